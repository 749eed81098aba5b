# SPDX-License-Identifier: GPL-3.0-or-later
"""What a target remembers of the takes on it: where each lies, its phones and words, its sound, where it comes from.

It is a JSON text in the custom property ``hyoid_events`` of the armature of a character, or of the mesh or armature
object that a take was put on, so that it is saved, copied and undone with the animation itself::

    {"takes": [{"name", "start", "rate", "fps", "first", "last", "mode", "actions", "audio", "events", "provenance",
                "timing"}]}

``start`` is the frame of the scene of the take's second 0, ``rate`` the frame rate of the scene at that time, ``fps``
that of the take, ``first`` and ``last`` the seconds that were used, ``events`` rows of kind, name, start, end (seconds
of the take) and strength, ``audio`` path, sha256, seconds and offset or null, ``timing`` the take's ``mode``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..toolkit.take import Event, Take

PROPERTY = "hyoid_events"
PROVENANCE = "hyoid_provenance"


@dataclass(frozen=True)
class Placed:
    """One take as it was put on a target; see the module for the fields."""

    name: str
    start: float
    rate: float
    fps: float
    first: float
    last: float
    mode: str = "new"
    actions: tuple[str, ...] = ()
    audio: dict[str, Any] | None = None
    events: tuple[Event, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    timing: str = ""

    @property
    def frames(self) -> tuple[float, float]:
        """The first and the last frame of the scene that the take fills."""
        return self.start + self.first * self.rate, self.start + self.last * self.rate


def takes_on(target: Any) -> list[Placed]:
    """The takes on an object, the latest last; what cannot be read is left out."""
    try:
        entries = json.loads(str(target.get(PROPERTY, ""))).get("takes", [])
        return [_placed(entry) for entry in entries]
    except (ValueError, TypeError, AttributeError, KeyError):
        return []


def store(target: Any, placed: Placed) -> None:
    """Remember a take; takes that it replaces altogether are forgotten, all others with a new action."""
    first, last = placed.frames
    kept = [
        other
        for other in takes_on(target)
        if placed.mode != "new" and not (first - 0.5 <= other.frames[0] and other.frames[1] <= last + 0.5)
    ]
    set_takes(target, [*kept, placed])
    target[PROVENANCE] = json.dumps(placed.provenance, sort_keys=True)


def set_takes(target: Any, takes: Sequence[Placed]) -> None:
    """Write the whole list."""
    target[PROPERTY] = json.dumps({"takes": [_entry(placed) for placed in takes]}, ensure_ascii=False)


def provenance_of(take: Take) -> dict[str, Any]:
    """The provenance of a take as JSON holds it."""
    origin = take.provenance
    return {
        "version": origin.version,
        "verb": origin.verb,
        "settings": json.loads(json.dumps(dict(origin.settings), default=str)),
        "sources": [{"role": s.role, "name": s.name, "sha256": s.sha256, "licence": s.licence} for s in origin.sources],
        "mode": take.mode,
    }


def _entry(placed: Placed) -> dict[str, Any]:
    return {
        **{name: getattr(placed, name) for name in ("name", "start", "rate", "fps", "first", "last", "mode")},
        "actions": list(placed.actions),
        "audio": placed.audio,
        "events": [[event.kind, event.name, event.start, event.end, event.strength] for event in placed.events],
        "provenance": placed.provenance,
        "timing": placed.timing,
    }


def _placed(entry: dict[str, Any]) -> Placed:
    return Placed(
        **{name: float(entry[name]) for name in ("start", "rate", "fps", "first", "last")},
        name=str(entry["name"]),
        mode=str(entry["mode"]),
        actions=tuple(entry["actions"]),
        audio=entry["audio"],
        events=tuple(Event(*row) for row in entry["events"]),
        provenance=entry["provenance"],
        timing=str(entry.get("timing", "")),
    )
