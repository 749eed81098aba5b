# SPDX-License-Identifier: Apache-2.0
"""COCO's JSON: lists of results, files of annotations, and AlphaPose's results, which are the same with names."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from hyoid.errors import InputError
from hyoid.formats.keypoints import openpose
from hyoid.formats.keypoints.guess import Statement
from hyoid.formats.keypoints.layouts import by_joints
from hyoid.formats.keypoints.people import Found, Person, gather, image_size, last_number, whole_number

_TRACKS = ("idx", "track_id", "instance_id", "person_id")


def is_results(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and "image_id" in value[0]


def is_annotations(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("annotations"), list)


def is_by_picture(value: Any) -> bool:
    """Whether it is AlphaPose's object of frames in the form of OpenPose, by name of the picture."""
    return isinstance(value, dict) and bool(value) and all(map(openpose.is_frame, value.values()))


def read_results(value: list[Any], path: Path) -> Found:
    """People of a list of results: COCO's, or those of AlphaPose.

    Raises:
        InputError: an entry without picture or keypoints, or one that is no object; see :func:`people.gather`.
    """
    entries = [_entry(one, index, path) for index, one in enumerate(value)]
    pictures = list(dict.fromkeys(one["image_id"] for one in entries))
    frames, first = _frames(pictures, path)
    alphapose = any(isinstance(one, str) for one in pictures) or "idx" in entries[0] or "box" in entries[0]
    people = [_person(one, frames[one["image_id"]]) for one in entries]
    return gather(people, path, "AlphaPose results" if alphapose else "COCO results", first,
                  visibility=not alphapose and _flags(people))  # fmt: skip


def read_annotations(value: dict[str, Any], path: Path) -> Found:
    """People of a file of annotations, with the size of the pictures and the names of the joints.

    Raises:
        InputError: pictures of different sizes or without an entry; see :func:`read_results`.
    """
    entries = [
        _entry(one, index, path)
        for index, one in enumerate(value["annotations"])
        if not isinstance(one, dict) or one.get("keypoints") or "image_id" not in one
    ]
    pictures = value.get("images") or []
    if not isinstance(pictures, list) or not all(isinstance(one, dict) and "id" in one for one in pictures):
        raise InputError("'images' is no list of objects with an 'id'", path=path, expected="COCO annotations")
    sizes = {image_size(one.get("width"), one.get("height"), path) for one in pictures} - {None}
    if len(sizes) > 1:
        several = ", ".join(f"{size[0]} x {size[1]}" for size in sorted(filter(None, sizes))[:3])
        raise InputError(f"has pictures of several sizes: {several}", path=path, expected="the frames of one clip")
    names = {_key(one["id"], path): one.get("file_name", one["id"]) for one in pictures}
    for entry in entries:
        if pictures and entry["image_id"] not in names:
            found = f"an annotation belongs to picture {entry['image_id']!r:.40}, which is not among 'images'"
            raise InputError(found, path=path)
        names.setdefault(entry["image_id"], entry["image_id"])
    frames, first = _frames([_key(name, path) for name in names.values()], path, complete=bool(pictures))
    people = [_person(one, frames[names[one["image_id"]]]) for one in entries]
    return gather(
        people, path, "COCO annotations", first, max(frames.values(), default=0), known=len(frames),
        size=sizes.pop() if sizes else None, visibility=_flags(people), statement=_statement(value),
    )  # fmt: skip


def read_by_picture(value: dict[str, Any], path: Path) -> Found:
    """People of AlphaPose's single file in the form of OpenPose.

    Raises:
        InputError: see :func:`openpose.people`.
    """
    frames, first = _frames(list(value), path)
    people = [person for name, frame in frames.items() for person in openpose.people(value[name], frame, path)]
    source = "AlphaPose results in the form of OpenPose"
    return gather(people, path, source, first, statement=openpose.statement(people))


def _entry(one: Any, index: int, path: Path) -> dict[str, Any]:
    if not isinstance(one, dict) or "image_id" not in one or not isinstance(one.get("keypoints"), list):
        raise InputError(f"entry {index} is {one!r:.40}", path=path, expected="an object with image_id and keypoints")
    _key(one["image_id"], path)
    return one


def _key(value: Any, path: Path) -> int | str:
    return value if isinstance(value, str) else whole_number(value, "a picture's number", path)


def _person(one: dict[str, Any], frame: int) -> Person:
    track = next((one[key] for key in _TRACKS if key in one), None)
    return Person(frame, one["keypoints"], score=one.get("score"), track=track)


def _frames(pictures: list[Any], path: Path, complete: bool = False) -> tuple[dict[Any, int], int]:
    """The frame of each picture, and the number of the first frame.

    Numbers and names of nothing but a number (AlphaPose on a film) count from 0, or from 1 if that is the least. Other
    names have the last number in them, if what stands before it is the same for all, and begin at the least; else the
    pictures count in natural order.

    Args:
        complete: the pictures without people are among them, so the least is the first.
    """
    if not pictures:
        raise InputError("holds no person in any frame", path=path, expected="keypoints of people in pictures")
    stems = [one if isinstance(one, int) else PurePosixPath(one.replace("\\", "/")).stem for one in pictures]
    if all(isinstance(stem, int) or re.fullmatch(r"\d{1,30}", stem) for stem in stems):
        numbers = [int(stem) for stem in stems]
        from_zero = not complete and all(isinstance(one, str) for one in pictures)
        first = 0 if from_zero else min(numbers) if complete else min(*numbers, 1)
    else:
        parts = [last_number(str(stem)) for stem in stems]
        numbers = [number for _, number in parts if number is not None]
        if len({before for before, _ in parts}) > 1 or len(set(numbers)) != len(pictures):
            order = sorted(range(len(pictures)), key=lambda index: _natural(str(pictures[index])))
            numbers = [0] * len(pictures)
            for rank, index in enumerate(order):
                numbers[index] = rank
        first = min(numbers)
    if len(set(numbers)) != len(numbers):
        raise InputError("two pictures have the same number", path=path, expected="one number a frame")
    return dict(zip(pictures, numbers, strict=True)), first


def _natural(name: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]


def _flags(people: list[Person]) -> bool:
    """Whether each third number is COCO's 0, 1, 2 for missing, hidden and seen."""
    thirds: set[Any] = set()
    for person in people:
        thirds.update(one for one in person.keypoints[2::3] if not isinstance(one, list | dict))
        if len(thirds) > 3:
            return False
    return 2 in thirds and thirds <= {0, 1, 2}


def _statement(value: dict[str, Any]) -> Statement | None:
    """The names of the joints that the file's category of people has."""
    kinds = value.get("categories")
    for kind in kinds if isinstance(kinds, list) else []:
        names = kind.get("keypoints") if isinstance(kind, dict) else None
        if isinstance(names, list) and names and all(isinstance(name, str) and name for name in names):
            layout = by_joints(names)
            return None if layout is None else Statement(layout, "the file names its joints")
    return None
