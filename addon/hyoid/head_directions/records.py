# SPDX-License-Identifier: GPL-3.0-or-later
"""What an Empty or an armature remembers of the head that moves it, so that it can be done again in place."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

MARK = "hyoid_heads"
"""Custom property of an Empty or an armature: its record (JSON)."""
EMPTIES, CHARACTERS = "empties", "characters"


@dataclass
class Record:
    """One person of a picture or film.

    Attributes:
        uid: of the search; people of one picture share it. person: name. several: everybody was asked for.
        kind: ``EMPTIES`` or ``CHARACTERS``. heads: JSON of everybody that was found. take: file of the result, or "".
        footage: what is shown behind the scene. options: of the search, as the toolkit took them.
        start, rate: frame of the scene at second 0, and its frame rate then. name: of the take or action.
        seen: pictures in which the head was seen. markers: frames and names of those on the timeline.
    """

    uid: str
    person: str
    several: bool
    kind: str
    heads: str
    take: str
    footage: str
    options: dict[str, Any]
    start: float
    rate: float
    name: str
    seen: int = 0
    markers: list[list[Any]] = field(default_factory=list)


def of(obj: Any) -> Record | None:
    """The record of an object; None where no head moves it."""
    if obj is None or obj.type not in ("EMPTY", "ARMATURE") or MARK not in obj:
        return None
    try:
        return Record(**json.loads(str(obj[MARK])))
    except (ValueError, TypeError):
        return None


def keep(obj: Any, record: Record) -> None:
    """Write a record on its object."""
    obj[MARK] = json.dumps(asdict(record), ensure_ascii=False)


def together(scene: Any, uid: str) -> list[Any]:
    """The objects of a scene that people of one search move, by the names of the people."""
    found = [(record.person, obj.name, obj) for obj in scene.objects if (record := of(obj)) and record.uid == uid]
    return [obj for _, _, obj in sorted(found, key=lambda entry: entry[:2])]
