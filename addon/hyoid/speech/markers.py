# SPDX-License-Identifier: GPL-3.0-or-later
"""Phones as markers of the timeline, and back: what an artist dragged, renamed, deleted and added.

A marker has no identity of its own in Blender (nothing can be stored on it in 5.0), so a talk keeps a table: which
phones stand at which frame. Only one talk shows its markers at a time; the markers that were there before are noted, so
that they are never taken for phones. Phones that begin in the same frame share a marker: ``T AH (about)``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import bpy

from ..takes import placed
from ..toolkit.speech import edit
from . import phones

_TOKEN = re.compile(r"\s*([^\s()]+)(?:\s*\(([^()]*)\)?)?")
_LONGEST_NAME = 63


@dataclass
class Changes:
    """What the markers say that the talk did not know: numbers for a message, and names that are no phones."""

    moved: int = 0
    renamed: int = 0
    added: list[str] = field(default_factory=list)
    removed: int = 0
    invalid: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.moved or self.renamed or self.added or self.removed)


def label(entries: Sequence[Any]) -> str:
    """The name of the marker of phones that begin in one frame."""
    text = "  ".join(f"{entry.name} ({entry.word})" if entry.word else entry.name for entry in entries)
    return text.encode()[:_LONGEST_NAME].decode(errors="ignore")


def parse(name: str) -> list[str] | None:
    """The phones that the name of a marker means, None when it means none."""
    tokens = [edit.phone_name(match[1]) for match in _TOKEN.finditer(name) if match[1]]
    return [token for token in tokens if token] if tokens and all(tokens) else None


def show(scene: bpy.types.Scene, talk: phones.HyoidTalk) -> int:
    """Put the markers of a talk on the timeline, instead of those of any other talk; how many."""
    for obj in bpy.data.objects:
        for other in obj.hyoid_talk.talks:
            if other.shown:
                hide(scene, other)
    places = _places(talk)
    for marker in _imported(scene, talk, places):
        scene.timeline_markers.remove(marker)
    talk.foreign = json.dumps([[marker.frame, marker.name] for marker in scene.timeline_markers])
    names = _labels(talk)
    for frame in sorted(places):
        marker = scene.timeline_markers.new(names[frame], frame=frame)
        marker.select = False
    talk.shown = True
    return len(places)


def _imported(scene: bpy.types.Scene, talk: phones.HyoidTalk, places: dict[int, list[int]]) -> list[Any]:
    """The markers that Import made of all the phones of a talk; none when one of them is not there."""
    entries = list(talk.phones)
    wanted = {frame: [entries[index].name for index in members] for frame, members in places.items()}
    found = {
        marker.frame: marker for marker in scene.timeline_markers if wanted.get(marker.frame) == parse(marker.name)
    }
    return list(found.values()) if len(found) == len(wanted) else []


def hide(scene: bpy.types.Scene, talk: phones.HyoidTalk) -> None:
    """Take the markers of a talk away; what was changed with them is kept in the talk."""
    read(scene, talk)
    places = _places(talk)
    for marker in _candidates(scene, talk):
        if marker.frame in places and parse(marker.name):
            scene.timeline_markers.remove(marker)
    talk.shown = False


def read(scene: bpy.types.Scene, talk: phones.HyoidTalk) -> Changes:
    """Bring a talk up to what its markers say; what changed. Nothing where they are not shown.

    A marker that stands where its phone stood is that phone, also under another name; one of the same name elsewhere
    is a phone that was moved, the nearest first; any other with the name of a phone was added.
    """
    changes = Changes()
    if not talk.shown:
        return changes
    names = _labels(talk)
    groups = {(frame, names[frame]): rows for frame, rows in _places(talk).items()}
    left = []
    for marker in _candidates(scene, talk):
        if groups.pop((marker.frame, marker.name), None) is None:
            left.append((marker.frame, marker.name))
    left = _renamed(talk, groups, left, changes)
    left = _moved(talk, groups, left, changes)
    _added(talk, left, changes)
    gone = sorted((index for rows in groups.values() for index in rows), reverse=True)
    changes.removed = len(gone)
    for index in gone:
        _hand_on_word(talk, index)
        talk.phones.remove(index)
    return changes


def reconcile(scene: bpy.types.Scene, holder: bpy.types.Object) -> None:
    """Bring the talks of an object up to the takes that play on it.

    A take with phones that came in by Import becomes a talk; a talk whose take was replaced is forgotten.
    """
    takes = {(take.name, round(take.start)): take for take in placed.takes_on(holder)}
    talks = holder.hyoid_talk.talks
    for index in range(len(talks) - 1, -1, -1):
        if takes.pop((talks[index].name, round(talks[index].start)), None) is None:
            if talks[index].shown:
                hide(scene, talks[index])
            talks.remove(index)
    for take in takes.values():
        if any(event.kind == "phone" for event in take.events):
            length = take.last + 1 / take.fps
            phones.add(
                holder, take.name, take.events, length, take.start, take.rate, phones.job_of(take), "", take.mode
            )


def count_changes(scene: bpy.types.Scene, talk: phones.HyoidTalk) -> int:
    """How many phones are not as they were solved, by the talk and its markers, without touching either."""
    edited = phones.count_edited(talk)
    if not talk.shown:
        return edited
    wanted = set(_labels(talk).items())
    there = {(marker.frame, marker.name) for marker in scene.timeline_markers}
    return edited + len(wanted - there)


def _places(talk: phones.HyoidTalk) -> dict[int, list[int]]:
    """The numbers of the phones by the frame they stand at."""
    places: dict[int, list[int]] = {}
    for index, entry in enumerate(talk.phones):
        places.setdefault(entry.frame, []).append(index)
    return places


def _labels(talk: phones.HyoidTalk) -> dict[int, str]:
    """The names of the markers of a talk by frame."""
    entries = list(talk.phones)  # a collection is slow to index
    return {frame: label([entries[index] for index in rows]) for frame, rows in _places(talk).items()}


def _candidates(scene: bpy.types.Scene, talk: phones.HyoidTalk) -> list[Any]:
    """The markers that may be phones of the talk: not those that were there before it, not those of cameras."""
    before: dict[tuple[int, str], int] = {}
    for frame, name in json.loads(talk.foreign or "[]"):
        before[frame, name] = before.get((frame, name), 0) + 1
    result = []
    for marker in scene.timeline_markers:
        key = (marker.frame, marker.name)
        if before.get(key, 0):
            before[key] -= 1
        elif marker.camera is None:
            result.append(marker)
    return result


def _renamed(talk: Any, groups: dict[Any, list[int]], left: list[Any], changes: Changes) -> list[Any]:
    rest = []
    for frame, name in left:
        key = next((key for key in groups if key[0] == frame), None)
        names = parse(name)
        if key is None:
            rest.append((frame, name))
        elif names is None:
            changes.invalid.append(name)
            groups.pop(key)  # the phone stays what it was
        else:
            rows = groups.pop(key)
            for index, phone in zip(rows, names, strict=False):
                changes.renamed += talk.phones[index].name != phone
                talk.phones[index].name = phone
            if len(names) > len(rows):
                rest.append((frame, " ".join(names[len(rows) :])))
            elif len(names) < len(rows):
                groups[key] = rows[len(names) :]
    return rest


def _moved(talk: Any, groups: dict[Any, list[int]], left: list[Any], changes: Changes) -> list[Any]:
    span = talk.seconds * talk.rate
    pairs = sorted(
        (abs(key[0] - frame), number, key)
        for number, (frame, name) in enumerate(left)
        for key in groups
        if key[1] == name and talk.start - talk.rate <= frame <= talk.start + span + talk.rate
    )
    used: set[int] = set()
    for _, number, key in pairs:
        if number in used or key not in groups:
            continue
        used.add(number)
        for index in groups.pop(key):
            talk.phones[index].frame = left[number][0]
            changes.moved += 1
    return [entry for number, entry in enumerate(left) if number not in used]


def _added(talk: Any, left: list[Any], changes: Changes) -> None:
    for frame, name in left:
        names = parse(name)
        if names is None or not talk.start <= frame < talk.start + talk.seconds * talk.rate:
            continue
        for phone in names:
            entry = talk.phones.add()
            entry.name, entry.frame, entry.home = phone, frame, frame
            changes.added.append(f"{phone} at frame {frame}")


def _hand_on_word(talk: Any, index: int) -> None:
    """The next phone of a word becomes its first when the first is deleted."""
    gone = talk.phones[index]
    if not gone.word:
        return
    for entry in talk.phones:
        if entry.number == gone.number and entry.origin == gone.origin + 1:
            entry.word = gone.word
            return
