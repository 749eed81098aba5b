# SPDX-License-Identifier: Apache-2.0
"""Heads marked in photographs, as JSON: where they are and which way they face.

``{"pictures": {"NAME.jpg": [{"box": [x1, y1, x2, y2], "yaw": 30, "pitch": -5, "roll": 0}]}}``: a box in pixels, angles
in degrees; yaw > 0 turns the face to the left of the picture (180 is seen from behind), pitch > 0 looks up, roll > 0
tilts the head clockwise. The roll may be missing; a head without yaw and pitch has a box alone.

Angles are as one tells them by eye: yaw is where the nose points as seen from above, pitch how far it points up. With
``"angles": "camera"`` beside ``pictures`` they are those of ``hyoid headpose`` (pitch about the axis of the camera).

Also read: the mapping of names without ``pictures``; of each name ``{"boxes": [...], "yaw": [...], "pitch": [...]}``
instead of a list; a flat list of heads, each with its ``file`` (or ``image``, ``name``, ``picture``); ``bbox`` or
``boxes`` for ``box``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hyoid.errors import InputError

EXPECTED = '{"pictures": {"NAME.jpg": [{"box": [x1, y1, x2, y2], "yaw": degrees, "pitch": degrees}]}}'
_FILE = ("file", "image", "name", "picture")
_BOX = ("box", "bbox", "boxes")
_ANGLES = ("pitch", "yaw", "roll")
_ORDERS = ("eye", "camera")
_LARGEST = 1 << 26
_LARGEST_SIDE = 1e6  # pixels


@dataclass(frozen=True)
class Marked:
    """The heads of one picture.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2 pixels. angles: (n, 3) pitch, yaw, roll degrees; NaN where they are not told.
    """

    boxes: np.ndarray
    angles: np.ndarray


@dataclass(frozen=True)
class Truth:
    """Marked pictures by name.

    Attributes:
        order: what the angles are: those told by eye, or those of the camera's axes. See the module.
    """

    pictures: Mapping[str, Marked]
    order: Literal["eye", "camera"] = "eye"


def read(path: Path) -> Truth:
    """The marked heads in a file, pictures in the order of the file.

    Raises:
        InputError: missing, too large, not JSON, or a head that has no box or half a direction; it is named.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path.stat().st_size} bytes", path=path, expected="marked heads: at most 64 MiB")
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, expected="a file of marked heads") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", path=path, expected=EXPECTED) from None
    order: Any = "eye"
    if isinstance(value, dict) and "pictures" in value:
        order, value = value.get("angles", "eye"), value["pictures"]
    if order not in _ORDERS:
        raise InputError(f"'angles' is {order!r:.60}", path=path, expected="'eye' or 'camera'")
    if isinstance(value, list):
        groups = _by_file(value, path)
    elif isinstance(value, dict):
        groups = {name: _records(name, heads, path) for name, heads in value.items()}
    else:
        raise InputError(f"holds {_kind(value)}", path=path, expected=EXPECTED)
    if not groups:
        raise InputError("names no picture", path=path, expected=EXPECTED)
    for name in groups:
        if not name or not name.isprintable():
            raise InputError(f"a picture is named {name!r:.60}", path=path, expected="names of files")
    return Truth({name: _marked(name, heads, path) for name, heads in groups.items()}, order)


def _by_file(records: list[Any], path: Path) -> dict[str, list[Any]]:
    """Heads, or pictures with the heads in them, of a flat list by the file they name."""
    groups: dict[str, list[Any]] = {}
    for number, record in enumerate(records, 1):
        name = _first(record, _FILE) if isinstance(record, dict) else None
        if not isinstance(name, str) or not name:
            raise InputError(f"entry {number} names no picture", path=path, expected=f"one of {', '.join(_FILE)}")
        inside = record.get("heads", record)
        groups.setdefault(name, []).extend(_records(name, inside, path))
    return groups


def _records(name: str, heads: Any, path: Path) -> list[Any]:
    """A list of heads, of any of the ways to write those of one picture."""
    if isinstance(heads, list):
        return heads
    if not isinstance(heads, dict):
        raise InputError(f"'{name}' has {_kind(heads)}", path=path, expected="a list of heads")
    if "heads" in heads:
        return _records(name, heads["heads"], path)
    boxes = _first(heads, _BOX)
    if not (isinstance(boxes, list) and (not boxes or isinstance(boxes[0], list))):
        return [heads]  # one head
    columns = {angle: heads[angle] for angle in _ANGLES if heads.get(angle) is not None}
    for angle, values in columns.items():
        if not isinstance(values, list) or len(values) != len(boxes):
            count = len(values) if isinstance(values, list) else "no list of them"
            raise InputError(f"'{name}' has {len(boxes)} boxes, but of '{angle}' {count}", path=path)
    return [
        {"box": box, **{angle: values[number] for angle, values in columns.items()}}
        for number, box in enumerate(boxes)
    ]  # fmt: skip


def _marked(name: str, heads: list[Any], path: Path) -> Marked:
    boxes, angles = np.zeros((len(heads), 4)), np.full((len(heads), 3), np.nan)
    for number, head in enumerate(heads):
        where = f"head {number + 1} of '{name}'"
        if not isinstance(head, dict):
            raise InputError(f"{where} is {_kind(head)}", path=path, expected="an object with box, yaw and pitch")
        boxes[number] = _box(where, _first(head, _BOX), path)
        angles[number] = [_angle(where, head, angle, path) for angle in _ANGLES]
        if np.isnan(angles[number, 0]) != np.isnan(angles[number, 1]):
            missing = "pitch" if np.isnan(angles[number, 0]) else "yaw"
            raise InputError(f"{where} has no {missing}", path=path, expected="yaw and pitch, or neither")
    return Marked(boxes, angles)


def _box(where: str, value: Any, path: Path) -> list[float]:
    expected = "[x1, y1, x2, y2] in pixels, x1 < x2 and y1 < y2"
    if value is None:
        raise InputError(f"{where} has no box", path=path, expected=expected)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        raise InputError(f"the box of {where} is {value!r:.80}", path=path, expected=expected)
    x1, y1, x2, y2 = map(float, value)
    if not (x1 < x2 and y1 < y2) or max(map(abs, (x1, y1, x2, y2))) > _LARGEST_SIDE:
        hint = "Boxes are corners, not x, y, width, height"
        raise InputError(f"the box of {where} is {value!r:.80}", path=path, expected=expected, hint=hint)
    return [x1, y1, x2, y2]


def _angle(where: str, head: dict[str, Any], name: str, path: Path) -> float:
    value = head.get(name)
    if value is None:
        return math.nan
    limit = 360 if name == "yaw" else 180
    if not _is_number(value) or abs(value) > limit:
        raise InputError(f"the {name} of {where} is {value!r:.60}", path=path, expected=f"degrees within +-{limit}")
    return (value + 180) % 360 - 180 if abs(value) > 180 else float(value)


def _first(record: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((record[name] for name in names if name in record), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
