# SPDX-License-Identifier: GPL-3.0-or-later
"""What an armature remembers of the body that was lifted onto it, so that it can be done again in place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

MARK, CAMERA, ACTION = "hyoid_lift", "hyoid_lift_camera", "hyoid_lift"
"""Custom properties: of an armature its record (JSON) and its camera, of an action the lift that it plays."""


@dataclass
class Record:
    """One person of a clip.

    Attributes:
        uid: of the lift; people of one clip share it. person: name. several: everybody of the clip was asked for.
        lifted: file of the raw poses. take: file of the result. footage: film, or "".
        start, rate: frame of the scene at second 0, and its frame rate then. name: of the take.
        camera: that shows this person as the shot did, see the toolkit's ``lift``. quality: figures. seen: seconds.
        markers: frames and names of those on the timeline.
    """

    uid: str
    person: str
    several: bool
    lifted: str
    take: str
    footage: str
    start: float
    rate: float
    name: str
    camera: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    seen: float = 0.0
    markers: list[list[Any]] = field(default_factory=list)


def of(armature: Any) -> Record | None:
    """The record of an armature; None where nothing was lifted onto it."""
    if armature is None or armature.type != "ARMATURE" or MARK not in armature:
        return None
    try:
        return Record(**json.loads(str(armature[MARK])))
    except (ValueError, TypeError):
        return None


def keep(armature: Any, record: Record) -> None:
    """Write a record on its armature."""
    armature[MARK] = json.dumps(asdict(record), ensure_ascii=False)


def together(scene: Any, uid: str) -> list[Any]:
    """The armatures of a scene that play people of one lift."""
    found = []
    for obj in scene.objects:
        record = of(obj)
        if record is not None and record.uid == uid:
            found.append(obj)
    return found


def first(scene: Any, uid: str) -> Any:
    """The armature of a lift whose camera counts for everybody; None where nobody's camera is known."""
    known = [one for one in together(scene, uid) if of(one).camera]
    return min(known, key=lambda one: of(one).person, default=None)


def figures(quality: Mapping[str, Any]) -> list[str]:
    """How good a result is, in words; what is not known is left out."""
    said = []
    for name, what, scale, unit in (
        ("skate", "feet skate", 1.0, "mm"),
        ("penetration", "below ground", 1.0, "mm"),
        ("reprojection", "off the picture", 100.0, "% of height"),
    ):
        value = quality.get(name)
        if isinstance(value, (int, float)):
            said.append(f"{what} {scale * value:.1f} {unit}")
    return said


def mark_hidden(scene: Any, events: Sequence[Any], person: str, start: float, rate: float) -> list[list[Any]]:
    """Put markers where a person is out of sight and where they come back; their frames and names."""
    made: list[list[Any]] = []
    for event in events:
        if event.kind == "hidden":
            made.append([round(start + event.start * rate), f"{person} hidden"])
            made.append([round(start + event.end * rate), f"{person} seen again"])
    for frame, name in made:
        scene.timeline_markers.new(name, frame=frame).select = False
    return made


def unmark(scene: Any, record: Record) -> None:
    """Take away the markers of a record that are still where they were put."""
    mine = {(frame, name) for frame, name in record.markers}
    for marker in [one for one in scene.timeline_markers if (one.frame, one.name) in mine]:
        scene.timeline_markers.remove(marker)
