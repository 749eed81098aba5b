# SPDX-License-Identifier: Apache-2.0
"""OpenPose's JSON, one file a frame, and AlphaPose's imitations of it (``--format open`` and ``cmu``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hyoid.errors import InputError
from hyoid.formats.keypoints.guess import Statement
from hyoid.formats.keypoints.layouts import LAYOUTS
from hyoid.formats.keypoints.people import Person

_FORMS = {75: "body25", 54: "coco18", 45: "mpi15"}
"""Layouts of OpenPose by how many numbers a person has."""
_KEYS = ("pose_keypoints_2d", "pose_keypoints", "joints")


def is_frame(value: Any) -> bool:
    return isinstance(value, dict) and (isinstance(value.get("people"), list) or isinstance(value.get("bodies"), list))


def people(value: dict[str, Any], frame: int, path: Path) -> list[Person]:
    """The people of one frame; those of whom only hands or a face were found are left out.

    Raises:
        InputError: a person is no object, or its keypoints are no list.
    """
    found = []
    for index, one in enumerate(value["people"] if isinstance(value.get("people"), list) else value["bodies"]):
        if not isinstance(one, dict):
            raise InputError(f"person {index} of frame {frame} is {one!r:.40}", path=path, expected="an object")
        keypoints = next((one[key] for key in _KEYS if key in one), None)
        if not isinstance(keypoints, list):
            raise InputError(
                f"person {index} of frame {frame} has no list 'pose_keypoints_2d'", path=path,
                expected="the body's keypoints",
            )  # fmt: skip
        if keypoints:
            track = one.get("person_id", one.get("idx"))
            found.append(Person(frame, keypoints, score=one.get("score"), track=track))
    return found


def statement(found: list[Person]) -> Statement | None:
    """What the form says: OpenPose's own counts mean its own layouts."""
    count = len(found[0].keypoints) if found else 0
    if count not in _FORMS:
        return None
    layout = LAYOUTS[_FORMS[count]]
    return Statement(layout, f"{layout.count} is what OpenPose writes for it")
