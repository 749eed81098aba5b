# SPDX-License-Identifier: Apache-2.0
"""MediaPipe's pose landmarks as people store them, and plain lists of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError
from hyoid.formats.keypoints.guess import Statement
from hyoid.formats.keypoints.layouts import LAYOUTS
from hyoid.formats.keypoints.people import Found, Person, gather, whole_number

_KEYS = ("pose_landmarks", "poseLandmarks", "landmarks")
_NUMBERS = ("frame", "frame_id", "frame_index", "frame_number", "frameIndex")
_MILLISECONDS = ("timestamp_ms", "timestampMs")


def is_point(value: Any) -> bool:
    return isinstance(value, dict) and "x" in value and "y" in value


def is_person(value: Any) -> bool:
    """Whether it is one person: points as objects, or as lists of two to four numbers."""
    if not isinstance(value, list) or not value:
        return False
    head = value[0]
    return is_point(head) or (isinstance(head, list) and 2 <= len(head) <= 4 and not isinstance(head[0], list | dict))


def is_frame(value: Any) -> bool:
    return isinstance(value, dict) and any(key in value for key in _KEYS)


def is_frames(value: Any) -> bool:
    """Whether it is a list of frames: objects, people, or lists of people."""
    if not isinstance(value, list):
        return False
    return any(
        is_frame(one) or is_person(one) or (isinstance(one, list) and one and is_person(one[0])) for one in value
    )


def read(value: Any, path: Path) -> Found:
    """People of one frame or of a list of frames.

    Raises:
        InputError: a frame holds something else; see :func:`people.gather`.
    """
    frames = [value] if is_frame(value) or is_person(value) else value
    found: list[Person] = []
    numbers: list[int] = []
    times: list[Any] = []
    for index, frame in enumerate(frames):
        number = index
        if isinstance(frame, dict):
            stated = next((frame[key] for key in _NUMBERS if key in frame), index)
            number = whole_number(stated, f"the number of frame {index}", path)
            times.append(next((frame[key] for key in _MILLISECONDS if key in frame), None))
        numbers.append(number)
        found += people(frame, number, path)
    first, last = min(numbers), max(numbers)
    steady = len(times) == len(numbers) == last - first + 1 and numbers == sorted(set(numbers))
    source = "MediaPipe landmarks" if _of_mediapipe(found) else "lists of points"
    return gather(found, path, source, first, last, known=len(frames), times=_seconds(times, path) if steady else None,
                  statement=_statement(found))  # fmt: skip


def people(frame: Any, number: int, path: Path) -> list[Person]:
    """The people of one frame.

    Raises:
        InputError: it is neither landmarks nor people.
    """
    inside = frame
    if isinstance(frame, dict):
        inside = next((frame[key] for key in _KEYS if key in frame), None)
    if isinstance(inside, dict):
        inside = inside.get("landmark", inside.get("landmarks"))
    if inside is None or inside == []:
        return []
    several = [inside] if is_person(inside) else inside
    if not isinstance(several, list):
        raise InputError(f"frame {number} is {frame!r:.40}", path=path, expected="landmarks")
    found = []
    for index, one in enumerate(several):
        if one == [] or one is None:
            continue
        rows = one.get("landmark", one.get("landmarks")) if isinstance(one, dict) else one
        if not isinstance(rows, list) or not is_person(rows) or (is_point(rows[0]) and not all(map(is_point, rows))):
            raise InputError(f"person {index} of frame {number} is {one!r:.40}", path=path, expected="landmarks")
        track = one.get("id", one.get("track_id")) if isinstance(one, dict) else None
        found.append(_person(rows, number, track))
    return found


def _person(rows: list[Any], number: int, track: Any) -> Person:
    if not is_point(rows[0]):
        return Person(number, rows, track=track)
    sure = [row.get("visibility", row.get("score")) for row in rows]
    points = [[row["x"], row["y"]] for row in rows]
    # A point without visibility is simply there; one that is null where others are not is missing.
    return Person(number, points, [1.0] * len(rows) if sure == [None] * len(rows) else sure, track=track)


def _of_mediapipe(found: list[Person]) -> bool:
    return bool(found) and len(found[0].keypoints) == LAYOUTS["mediapipe33"].count


def _statement(found: list[Person]) -> Statement | None:
    if not _of_mediapipe(found):
        return None
    return Statement(LAYOUTS["mediapipe33"], "only MediaPipe has that many")


def _seconds(times: list[Any], path: Path) -> np.ndarray | None:
    if not times or any(one is None for one in times):
        return None
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e15 for one in times):
        raise InputError("a time stamp is no number", path=path, expected="milliseconds")
    return np.array(times, np.float64) / 1000
