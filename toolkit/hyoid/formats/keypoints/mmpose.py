# SPDX-License-Identifier: Apache-2.0
"""JSON of MMPose (inferencer and demos) and of easy_ViTPose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hyoid.errors import InputError
from hyoid.formats.keypoints import layouts
from hyoid.formats.keypoints.guess import Statement
from hyoid.formats.keypoints.people import Found, Person, gather, whole_number

_TRACKS = ("track_id", "instance_id")


def is_person(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("keypoints"), list) and "image_id" not in value


def is_people(value: Any) -> bool:
    """Whether it is the people of one picture."""
    return isinstance(value, list) and bool(value) and all(map(is_person, value))


def is_frames(value: Any) -> bool:
    """Whether it is a list of frames: objects with ``instances``, or lists of people."""
    if not isinstance(value, list) or not value:
        return False
    if isinstance(value[0], dict):
        return "instances" in value[0]
    return any(map(is_people, value)) and all(one == [] or is_people(one) for one in value)


def is_vitpose(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("keypoints"), list) and "skeleton" in value


def read(value: list[Any], path: Path, meta: Any = None) -> Found:
    """People of a list of frames, or of one frame.

    Args:
        meta: the file's ``meta_info``, which names the joints and the data set.

    Raises:
        InputError: a frame or a person is no object of the kind; see :func:`people.gather`.
    """
    if is_people(value):
        value = [value]
    people: list[Person] = []
    numbers: list[int] = []
    for index, frame in enumerate(value):
        number, inside = index, frame
        if isinstance(frame, dict):
            number = whole_number(frame.get("frame_id", index), f"the number of frame {index}", path)
            inside = frame.get("instances")
        if not isinstance(inside, list):
            raise InputError(f"frame {index} is {frame!r:.40}", path=path, expected="a list of people ('instances')")
        numbers.append(number)
        people += persons(inside, number, path)
    return gather(people, path, "MMPose JSON", min(numbers, default=0), max(numbers, default=0),
                  known=len(value),
                  statement=_statement(meta))  # fmt: skip


def persons(inside: list[Any], frame: int, path: Path) -> list[Person]:
    """The people of one frame.

    Raises:
        InputError: one is no object with keypoints.
    """
    found = []
    for index, one in enumerate(inside):
        if not is_person(one):
            raise InputError(f"person {index} of frame {frame} is {one!r:.40}", path=path,
                             expected="an object with keypoints")  # fmt: skip
        score = one.get("bbox_score", one.get("score"))
        if isinstance(score, list) and len(score) == 1:
            score = score[0]
        track = next((one[key] for key in _TRACKS if key in one), None)
        found.append(Person(frame, one["keypoints"], one.get("keypoint_scores"), score, track))
    return found


def read_vitpose(value: dict[str, Any], path: Path) -> Found:
    """People of easy_ViTPose, whose points are y, x, confidence.

    Raises:
        InputError: a frame is neither an object of people by identity nor a list of them.
    """
    people: list[Person] = []
    frames = value["keypoints"]
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict | list):
            raise InputError(f"frame {number} is {frame!r:.40}", path=path, expected="people by identity")
        pairs = frame.items() if isinstance(frame, dict) else ((None, one) for one in frame)
        for track, rows in pairs:
            if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 3 for row in rows):
                raise InputError(f"frame {number}: a person is {rows!r:.40}", path=path,
                                 expected="rows of y, x, confidence")  # fmt: skip
            people.append(Person(number, [[x, y, sure] for y, x, sure in rows], track=track))
    stated = named(value["skeleton"])
    return gather(people, path, "easy_ViTPose JSON", 0, len(frames) - 1, known=len(frames), statement=stated)


def named(names: Any) -> Statement | None:
    """What an object of joint names by index says; None when it says nothing that is understood."""
    if not isinstance(names, dict) or not all(isinstance(name, str) and name for name in names.values()):
        return None
    ordered = [names.get(str(index)) for index in range(len(names))]
    layout = None if not ordered or None in ordered else layouts.by_joints([str(name) for name in ordered])
    return None if layout is None else Statement(layout, "the file names its joints")


def _statement(meta: Any) -> Statement | None:
    """What ``meta_info`` says: the names of the joints, or the data set that they are of."""
    if not isinstance(meta, dict):
        return None
    stated = named(meta.get("keypoint_id2name"))
    title = meta.get("dataset_name")
    if stated is None and isinstance(title, str):
        layout = layouts.by_name(title)
        return None if layout is None else Statement(layout, f"the file says '{title}'")
    return stated
