# SPDX-License-Identifier: Apache-2.0
"""What the readers of the single formats hand on: people with their numbers as the file has them; and JSON, checked."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hyoid.errors import InputError
from hyoid.formats.keypoints.guess import Statement

LARGEST = 1 << 29
"""Bytes of a JSON file that are still read: ten thousand frames with the 136 points of five people have 370 MB."""
_LARGEST_ID = 1 << 62
MOST_FRAMES = 10_000_000
"""Two days at 60 frames a second."""
_LONGEST_GAP, _FREE_GAP = 100, 200_000


class Person(NamedTuple):
    """One detection as a file has it.

    Attributes:
        frame: in the file's own numbering. keypoints: numbers as nested lists, K rows of 2 or 3, or flat ones of 3.
        confidence: K numbers, None where the keypoints hold them. score, track: None where the file has none.
    """

    frame: int
    keypoints: Any
    confidence: Any = None
    score: Any = None
    track: Any = None


@dataclass(frozen=True)
class Found:
    """A file's content before its layout is known.

    Attributes:
        source: what kind of file, for people. first, frames: number of the first frame, and how many there are.
        frame: (N,) int64 from 0. points: (N, K, 2) as in the file. confidence: (N, K), None where the file has none.
        scores: (N,), NaN where it has none. ids: (N,), -1 where it has none.
        statement: what it says of its layout. size: width and height of the picture.
        times: (F,) seconds. fps: frames a second.
        visibility: the confidences are 0, 1, 2 for missing, hidden, seen.
        centred: coordinates below 2 run from -1 to 1 if any is negative, not from 0 to 1.
    """

    source: str
    first: int
    frames: int
    frame: np.ndarray
    points: np.ndarray
    confidence: np.ndarray | None
    scores: np.ndarray
    ids: np.ndarray
    statement: Statement | None = None
    size: tuple[int, int] | None = None
    times: np.ndarray | None = None
    fps: float | None = None
    visibility: bool = False
    centred: bool = False


def load_json(path: Path, most: int = LARGEST) -> Any:
    """The value in a JSON file.

    Raises:
        InputError: missing, larger than ``most`` bytes, or not JSON.
    """
    try:
        size = path.stat().st_size
        if size > most:
            raise InputError(f"has {size} bytes", path=path, expected=f"keypoints as JSON: at most {most} bytes")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, expected="a file of keypoints") from None
    except RecursionError:
        raise InputError("is JSON of lists in lists without end", path=path, expected="keypoints") from None
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", path=path, expected="keypoints as JSON") from None


def whole_number(value: Any, what: str, path: Path) -> int:
    """A frame number or identity from JSON: not negative, small enough for an int64.

    Raises:
        InputError: it is something else; ``what`` names it.
    """
    number = value
    if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value):
        number = int(value)
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < _LARGEST_ID:
        raise InputError(f"{what} is {value!r:.40}", path=path, expected="a whole number from 0 on")
    return number


def identity(value: Any, path: Path) -> int:
    """A track's number, -1 for none; programs write -1, null, a number, or lists around it.

    Raises:
        InputError: it is something else.
    """
    for _ in range(3):
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
    if value is None or value == -1 or value == []:
        return -1
    return whole_number(value, "the identity of a person", path)


def image_size(width: Any, height: Any, path: Path) -> tuple[int, int] | None:
    """Width and height in pixels; None when neither is there.

    Raises:
        InputError: they are no numbers from 1 to 100000.
    """
    if width is None and height is None:
        return None
    pixels = [
        int(one)
        for one in (width, height)
        if isinstance(one, int | float) and not isinstance(one, bool) and 1 <= one <= 100_000
    ]
    if len(pixels) != 2:
        found = f"the picture is {width!r:.20} wide and {height!r:.20} high"
        raise InputError(found, path=path, expected="pixels, from 1 to 100000")
    return pixels[0], pixels[1]


def last_number(name: str) -> tuple[str, int | None]:
    """The last number in a file's name without suffix, and what stands before it; None when there is none."""
    match = re.search(r"(\d+)\D*$", name)
    # More digits than these are no count of frames, and the sum below says so.
    return (name[: match.start(1)], int(match[1][:30])) if match else (name, None)


def gather(
    people: list[Person], path: Path, source: str, first: int, last: int | None = None, *, known: int = 0, **facts: Any
) -> Found:
    """People of all frames as arrays.

    Args:
        people: in the file's order. first, last: numbers of the first and the last frame that the file knows of, with
            people or not; without last that of the people. known: of how many frames it tells something.
        facts: further fields of :class:`Found`.

    Raises:
        InputError: nobody, lists of different lengths, something that is no number, or frames far apart.
    """
    if not people:
        raise InputError("holds no person in any frame", path=path, expected=f"keypoints: {source}")
    numbers = [person.frame for person in people]
    last = max(numbers) if last is None else last
    frames = frame_count(first, last, max(known, len(set(numbers))), path)
    values = _array([person.keypoints for person in people], people, path, "")
    confidence = None
    if any(person.confidence is not None for person in people):
        confidence = _array([person.confidence for person in people], people, path, "confidence of ")
    points, inline = split(values, confidence is not None, path)
    if confidence is None:
        confidence = inline
    elif confidence.shape != points.shape[:2]:
        found = f"has {confidence.shape[-1]} confidences a person, and {points.shape[1]} joints"
        raise InputError(found, path=path, expected="one confidence a joint")
    scores = _array(
        [math.nan if person.score is None else person.score for person in people], people, path, "score of "
    )
    if scores.ndim != 1:
        raise InputError("has lists as scores of people", path=path, expected="one number a person")
    frame = np.array(numbers, np.int64) - first
    ids = np.array([identity(person.track, path) for person in people], np.int64)
    return Found(source, first, frames, frame, points, confidence, scores, ids, **facts)


def frame_count(first: int, last: int, known: int, path: Path) -> int:
    """How many frames lie from the first to the last number.

    Args:
        known: of how many frames the file tells something.

    Raises:
        InputError: far too many for what is known.
    """
    count = last - first + 1
    if count > min(MOST_FRAMES, _FREE_GAP + _LONGEST_GAP * known):
        raise InputError(
            f"its {known} frames lie on {count} frames ({first} to {last})", path=path,
            expected="the frames of one clip",
        )  # fmt: skip
    return count


def split(values: np.ndarray, scored: bool, path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Points (N, K, 2) and what they hold of confidence (N, K) or None.

    Args:
        values: (N, 3 K) or (N, K, 2 to 4): x, y, then confidence; x, y, z; or x, y, z, confidence.
        scored: the file has confidences elsewhere.

    Raises:
        InputError: any other shape.
    """
    if values.ndim == 2 and values.shape[1] and values.shape[1] % 3 == 0:
        values = values.reshape(len(values), -1, 3)
    if values.ndim != 3 or not 2 <= values.shape[-1] <= 4 or not values.shape[1]:
        shape = " x ".join(map(str, values.shape[1:])) or "one"
        raise InputError(f"has {shape} numbers a person", path=path, expected="x, y, confidence of each joint")
    points, width = values[..., :2], values.shape[-1]
    if width == 2:
        return points, None
    third = values[..., 2]
    is_depth = values.shape[1] == 33 and (np.nanmin(third, initial=0) < 0 or np.nanmax(third, initial=0) > 1)
    if width == 3 and not scored:
        return points, None if is_depth else third
    if values.shape[1] != 33:
        more = " beside confidences" if scored else ""
        raise InputError(
            f"has {width} numbers a joint{more}", path=path, expected="x and y in pixels, and a confidence",
            hint="Results in three dimensions are not lifted again",
        )  # fmt: skip
    return points, None if width == 3 else values[..., 3]


def _array(rows: list[Any], people: list[Person], path: Path, what: str) -> np.ndarray:
    """Lists of JSON as float64, null as NaN; the first odd one is named."""
    try:
        values = np.asarray(rows)
        if values.dtype.kind in "fiu" and values.ndim <= 3:
            return values.astype(np.float64)
        if values.dtype == object and {*map(type, values.ravel().tolist())} <= {int, float, type(None)}:
            return values.astype(np.float64)
    except (ValueError, OverflowError):
        pass  # the slow way finds out what is wrong where
    shapes: list[tuple[int, ...]] = []
    slow: list[np.ndarray] = []
    for index, row in enumerate(rows):
        try:
            slow.append(_numbers(row))
            shapes.append(slow[-1].shape)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{what}{_who(people, index)}: {error}", path=path, expected="numbers") from None
        if shapes[-1] != shapes[0]:
            raise InputError(
                f"{what}{_who(people, index)}: {_counted(shapes[-1])}", path=path,
                expected=f"{_counted(shapes[0])}, as the first person has",
            )  # fmt: skip
    return np.array(slow, np.float64)


def _numbers(row: Any, depth: int = 0) -> np.ndarray:
    """Numbers in lists as an array.

    Raises:
        ValueError, OverflowError: something is no number, or lists are of different lengths.
    """
    if isinstance(row, list):
        if depth == 2:
            raise ValueError("lists in lists in lists")
        parts = []
        for index, one in enumerate(row):
            try:
                parts.append(_numbers(one, depth + 1))
            except ValueError as error:
                raise ValueError(f"{'value' if depth else 'entry'} {index}: {error}") from None
        if len({part.shape for part in parts}) > 1:
            raise ValueError("joints with different counts of numbers")
        return np.array(parts, np.float64)
    if row is None:
        return np.array(math.nan)
    if isinstance(row, bool) or not isinstance(row, int | float):
        raise ValueError(f"{row!r:.40} is no number")
    return np.array(float(row))


def _who(people: list[Person], index: int) -> str:
    frame = people[index].frame
    return f"frame {frame}, person {sum(person.frame == frame for person in people[:index])}"


def _counted(shape: tuple[int, ...]) -> str:
    return f"{' x '.join(map(str, shape))} numbers" if shape else "one number"
