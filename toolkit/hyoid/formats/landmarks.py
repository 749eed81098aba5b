# SPDX-License-Identifier: Apache-2.0
"""Places on a head that a user picked, as a file: names with vertex numbers or coordinates, or the 68 iBUG points.

JSON: ``{"nose_tip": 3120, "chin": [0.1, 4.2, 9.0]}``, or a list of 68 points or vertex numbers. Any other file is text:
one landmark a line, ``nose_tip 3120`` or ``chin 0.1 4.2 9.0``, or 68 lines without names; ``#`` begins a comment, and
commas and colons are spaces. Vertices count from 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError, UsageError

Place = int | tuple[float, float, float]
COUNT = 68
_LARGEST = 1 << 20


def read(path: Path) -> dict[str, Place] | np.ndarray:
    """The landmarks in a file: by name, or 68 of them as an array (68,) of vertices or (68, 3) of points.

    Raises:
        InputError: missing, too large, or a landmark that is neither a vertex nor a point; the line is named.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path.stat().st_size} bytes", path=path, expected="landmarks: at most 1 MiB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, expected="a file of landmarks") from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", path=path, expected="landmarks as JSON or text") from None
    if text.lstrip().startswith(("{", "[")):
        return _from_json(text, path)
    return _from_lines(text, path)


def picked(path: Path | None, named: Mapping[str, str], vertices: np.ndarray) -> dict[str, Place] | np.ndarray | None:
    """The places of a file together with those of options, as the fitting takes them; None where there are none.

    Args:
        named: name -> ``VERTEX`` or ``X,Y,Z``. vertices: (V, 3) of the mesh that they are on.

    Raises:
        InputError: see :func:`read`; a vertex that is not there.
        UsageError: an option that is neither a vertex nor a point, or options beside 68 places without names.
    """
    found = None if path is None else read(path)
    if found is not None and not isinstance(found, dict) and found.ndim == 1:
        if found.min() < 0 or found.max() >= len(vertices):
            raise InputError(f"names vertex {int(found.max())}", path=path, expected=f"0 to {len(vertices) - 1}")
        found = vertices[found]
    if not named:
        return found
    if found is not None and not isinstance(found, dict):
        raise UsageError("--landmark adds to named landmarks, and the file has 68 without names", path=path)
    places = dict(found or {})
    for name, text in named.items():
        one = place(text)
        if one is None:
            raise UsageError(f"--landmark {name} is '{text}'", expected="NAME=VERTEX or NAME=X,Y,Z")
        places[name] = one
    return places


def place(value: Any) -> Place | None:
    """A vertex number or a point from JSON or words; None when it is neither."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        value = value.replace(",", " ").split()
        value = value[0] if len(value) == 1 else value
    try:
        if isinstance(value, list | tuple):
            point = tuple(float(number) for number in value)
            return point if len(point) == 3 and all(map(math.isfinite, point)) else None  # type: ignore[return-value]
        number = int(value)
        return number if not isinstance(value, bool) and number == float(value) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _from_json(text: str, path: Path) -> dict[str, Place] | np.ndarray:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", path=path) from None
    if isinstance(values, list):
        return _all(values, path)
    found = {}
    for name, value in values.items():
        one = place(value)
        if one is None:
            raise InputError(
                f"landmark '{name}' is {value!r:.60}", path=path, expected="a vertex number or three coordinates"
            )
        found[name] = one
    if not found:
        raise InputError("names no landmark", path=path)
    return found


def _from_lines(text: str, path: Path) -> dict[str, Place] | np.ndarray:
    found: dict[str, Place] = {}
    nameless = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].replace(",", " ").replace(":", " ").replace("=", " ").split()
        if not words:
            continue
        named = place(words[:1]) is None and not _is_number(words[0])
        one = place(words[1:] if named else words)
        if one is None:
            raise InputError(
                f"line {number} is '{line.strip()[:60]}'", path=path, expected="NAME and a vertex number or x y z"
            )
        if not named:
            nameless.append(one)
        elif words[0] in found:
            raise InputError(f"line {number} names '{words[0]}' again", path=path)
        else:
            found[words[0]] = one
    if nameless and found:
        raise InputError("some landmarks have names and others none", path=path)
    if not nameless and not found:
        raise InputError("names no landmark", path=path)
    return found or _all(nameless, path)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _all(values: list[Any], path: Path) -> np.ndarray:
    """68 vertices or points as one array."""
    places = [place(value) for value in values]
    if len(places) != COUNT:
        raise InputError(f"holds {len(places)} landmarks without names", path=path, expected=f"{COUNT}, in iBUG order")
    kinds = {type(one) for one in places}
    if len(kinds) != 1 or None in places:
        wrong = next((number for number, one in enumerate(places) if one is None), 0)
        raise InputError(f"landmark {wrong} is {values[wrong]!r:.60}", path=path, expected="68 vertices or 68 points")
    return np.array(places)
