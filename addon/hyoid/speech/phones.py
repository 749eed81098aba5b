# SPDX-License-Identifier: GPL-3.0-or-later
"""The talks of a character, kept on its object: what was solved, from which voice, and its phones as edited since."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import bpy
import numpy as np

from ..characters import find
from ..takes import placed
from ..toolkit.speech import edit
from ..toolkit.take import Event

_LOCAL = {"LIBRARY_OVERRIDABLE"}
_ADDED = {"LIBRARY_OVERRIDABLE", "USE_INSERTION"}
"""So that an override of a linked character can speak."""
STRONGEST = 4.0
"""The toolkit's limit of an event's strength."""


class HyoidPhone(bpy.types.PropertyGroup):
    """A sound of speech as the artist has it; ``name`` is the phone.

    ``origin`` is its number among the solved phones or -1 for an added one; ``home`` the frame of its solved start,
    ``frame`` the frame it stands at now. ``word`` is filled at the start of a word, ``number`` is the word's
    number. ``was`` and ``solved`` are name and strength as solved.
    """

    __annotations__ = {
        "word": bpy.props.StringProperty(),
        "number": bpy.props.IntProperty(default=-1),
        "origin": bpy.props.IntProperty(default=-1),
        "home": bpy.props.IntProperty(),
        "frame": bpy.props.IntProperty(),
        "was": bpy.props.StringProperty(),
        "solved": bpy.props.FloatProperty(default=1.0),
        "strength": bpy.props.FloatProperty(
            name="Strength", description="How strongly the mouth follows this sound: 1 as solved, 0 leaves it out",
            default=1.0, min=0.0, max=STRONGEST, soft_max=2.0, step=5, precision=2,
        ),
    }  # fmt: skip


class HyoidTalk(bpy.types.PropertyGroup):
    """One talk: ``name`` is the take's; ``start`` the scene frame of its second 0, ``rate`` the scene's at that time.

    ``events`` and ``options`` are JSON: the track it was solved from, and the job of the toolkit. ``sound`` is the
    sound data-block where the voice was packed.
    """

    __annotations__ = {
        "uid": bpy.props.StringProperty(),
        "start": bpy.props.FloatProperty(),
        "rate": bpy.props.FloatProperty(default=24),
        "seconds": bpy.props.FloatProperty(),
        "events": bpy.props.StringProperty(),
        "options": bpy.props.StringProperty(),
        "sound": bpy.props.StringProperty(),
        "mode": bpy.props.StringProperty(),
        "density": bpy.props.StringProperty(default="dense"),
        "phones": bpy.props.CollectionProperty(type=HyoidPhone, override=_ADDED),
        "active": bpy.props.IntProperty(name="Phoneme", description="The chosen sound of speech"),
        "shown": bpy.props.BoolProperty(),
        "count": bpy.props.IntProperty(),
        "foreign": bpy.props.StringProperty(),
    }


class HyoidTalks(bpy.types.PropertyGroup):
    """The talks of a character."""

    __annotations__ = {
        "talks": bpy.props.CollectionProperty(type=HyoidTalk, override=_ADDED),
    }


def add(
    holder: bpy.types.Object, name: str, events: Sequence[Event], seconds: float, start: float, rate: float,
    options: dict[str, Any], sound: str, mode: str, keys: str = "dense",
) -> HyoidTalk:  # fmt: skip
    """Remember a talk on an object.

    Args:
        start: the scene frame of its second 0. rate: of the scene.
        options: the job of the toolkit; the settings in a take's provenance do as well.
        sound: the name of the sound data-block where the voice is packed.
    """
    if "strengths" in options:  # a provenance, not a job
        takes = [take for take in placed.takes_on(holder) if (take.name, round(take.start)) == (name, round(start))]
        options, sound = (job_of(takes[-1]) if takes else {}), ""
    talk = holder.hyoid_talk.talks.add()
    talk.name, talk.uid = name, uuid.uuid4().hex
    talk.start, talk.rate, talk.seconds = start, rate, seconds
    talk.options, talk.sound, talk.mode, talk.density = json.dumps(options), sound, mode, keys
    fill(talk, events)
    return talk


def job_of(take: Any) -> dict[str, Any]:
    """The job of the toolkit that made a placed take, by its provenance; without a recording where that is unknown."""
    settings = take.provenance.get("settings", {})
    options = {name: settings[name] for name in ("fps", "style", "seed", "offset_ms") if name in settings}
    options["language"] = "english" if settings.get("english", True) else "other"
    options |= settings.get("strengths", {})
    if take.audio and take.audio["offset"] <= 0:
        options["audio"] = take.audio["path"]
        if take.audio["offset"] < 0:
            start = -take.audio["offset"]
            options |= {"start": start, "end": start + edit.length(take.events)}
    return options


def fill(talk: HyoidTalk, events: Sequence[Event]) -> None:
    """Put a solved track into a talk: its phones stand where they were solved."""
    talk.events = json.dumps([list(asdict(event).values()) for event in events])
    words = sorted((event for event in events if event.kind == "word"), key=lambda event: event.start)
    talk.phones.clear()
    told: set[int] = set()
    for number, phone in enumerate(edit.phones_of(events)):
        entry = talk.phones.add()
        entry.name, entry.origin, entry.number = phone.name, number, phone.word
        entry.home = entry.frame = round(talk.start + phone.start * talk.rate)
        entry.strength = entry.solved = phone.strength
        entry.was = phone.name
        if phone.word >= 0 and phone.word not in told:
            told.add(phone.word)
            entry.word = words[phone.word].name
    talk.count = len(talk.phones)
    talk.active = min(talk.active, max(len(talk.phones) - 1, 0))


def events_of(talk: HyoidTalk) -> tuple[Event, ...]:
    """The track that a talk was solved from."""
    return _events(talk.events)


@lru_cache(maxsize=4)
def _events(text: str) -> tuple[Event, ...]:
    return tuple(Event(*row) for row in json.loads(text or "[]"))


def count_edited(talk: HyoidTalk) -> int:
    """How many phones are not as they were solved: moved, renamed, scaled, added or gone."""
    kept = 0
    changed = 0
    for entry in talk.phones:
        kept += entry.origin >= 0
        changed += (
            entry.origin < 0
            or entry.frame != entry.home
            or entry.name != entry.was
            or abs(entry.strength - entry.solved) > 1e-4
        )
    return changed + talk.count - kept


def edited(talk: HyoidTalk) -> list[edit.Phone]:
    """The phones of a talk as the artist has them; what was not moved starts exactly where it was solved."""
    solved = edit.phones_of(events_of(talk))
    result = []
    for entry in talk.phones:
        if 0 <= entry.origin < len(solved):
            start = solved[entry.origin].start + (entry.frame - entry.home) / talk.rate
            strength = solved[entry.origin].strength
            if abs(strength - entry.strength) > 1e-4:
                strength = round(entry.strength, 3)
        else:
            start, strength = (entry.frame - talk.start) / talk.rate, round(entry.strength, 3)
        result.append(edit.Phone(entry.name, start, strength, entry.number))
    return result


def performer(context: bpy.types.Context) -> bpy.types.Object | None:
    """Who performs and keeps the talks: the character of the active object, a mapped mesh or armature that is active,
    else the only character of the scene, else any mesh or armature that is active."""
    active = getattr(context, "object", None) or context.view_layer.objects.active
    rig = find.rig_of(active)
    if rig is not None:
        return rig.armature
    if active is not None and (len(active.hyoid_shape_map) or len(active.hyoid_bone_map)):
        return active
    rig = find.active_rig(context)
    if rig is not None:
        return rig.armature
    return active if active is not None and active.type in ("ARMATURE", "MESH") else None


def hindrance(obj: bpy.types.Object) -> str:
    """Why an object cannot speak, in words for the artist; empty where it can."""
    if find.is_bare(obj):
        return f"'{obj.name}' has no meshes: select a whole character"
    if obj.type == "MESH" and find.rig_of(obj) is None and obj.data.shape_keys is None:
        return f"'{obj.name}' has no shape keys: select the mesh of a face, or choose New"
    return ""


def active_talk(context: bpy.types.Context) -> tuple[bpy.types.Object, HyoidTalk] | None:
    """The talk to edit: of what is active that under the playhead, else that whose markers show, else the last."""
    holder = performer(context)
    if holder is None or not len(holder.hyoid_talk.talks):
        return None
    talks = holder.hyoid_talk.talks
    frame = context.scene.frame_current
    for talk in reversed(talks):  # the latest lies above the others
        if talk.start <= frame <= talk.start + talk.seconds * talk.rate:
            return holder, talk
    return holder, next((talk for talk in talks if talk.shown), talks[len(talks) - 1])


def may_adopt(holder: bpy.types.Object | None) -> bool:
    """Whether an object has takes with phones but no talks yet (they came in by Import); quick, for panels."""
    if holder is None or len(holder.hyoid_talk.talks):
        return False
    return '"phone"' in str(holder.get("hyoid_events", ""))


def by_id(uid: str) -> tuple[bpy.types.Object, HyoidTalk] | None:
    """A talk by its id, wherever it is now."""
    for obj in bpy.data.objects:
        for talk in obj.hyoid_talk.talks:
            if talk.uid == uid:
                return obj, talk
    return None


def at_frame(talk: HyoidTalk, frame: float) -> int:
    """The number of the phone that sounds at a frame, -1 outside of the talk."""
    if not len(talk.phones) or not talk.start <= frame <= talk.start + talk.seconds * talk.rate:
        return -1
    frames = frames_of(talk)
    order = np.argsort(frames, kind="stable")
    return int(order[max(int(np.searchsorted(frames[order], frame, side="right")) - 1, 0)])


def frames_of(talk: HyoidTalk) -> np.ndarray:
    """(phones,) int32, the frames at which the phones of a talk stand; collections are slow to index."""
    frames = np.empty(len(talk.phones), np.int32)
    talk.phones.foreach_get("frame", frames)
    return frames


CLASSES = (HyoidPhone, HyoidTalk, HyoidTalks)


def register() -> None:
    """Give objects their talks."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Object.hyoid_talk = bpy.props.PointerProperty(type=HyoidTalks, override=_LOCAL)


def unregister() -> None:
    """Take them away; what is stored in the file stays there."""
    del bpy.types.Object.hyoid_talk
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
