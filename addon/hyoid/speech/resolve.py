# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on phonemes: show and hide them, step through them, and solve the mouth again where they were changed."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from .. import jobs
from ..characters import find
from ..takes import channels, insert, placed
from ..timeline.frames import scene_rate
from ..toolkit import take_edit
from ..toolkit.errors import HyoidError, UsageError
from ..toolkit.formats import take_npz
from ..toolkit.speech import edit
from . import markers, phones, talk, voices

HANDLER = "talk_resolve"
BLEND = 0.1
"""Seconds at either end of a re-solved piece over which it grows out of what was there."""
_SAME_AUDIO = ("text", "output", "events", "events_out")


class _OnTalk:
    """Base of the operators on the talk that is active; ``work`` says what was done, or None when nothing was."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There must be a talk, or a take with phones."""
        known = context.scene is not None and phones.active_talk(context) is not None
        if known or (context.scene is not None and phones.may_adopt(phones.performer(context))):
            return True
        cls.poll_message_set("The active object has no talk: press Talk first, or select who spoke")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Do it, and say what was done, or why nothing was."""
        try:
            said = self.work(context, *_talk_of(context))
        except (HyoidError, jobs.JobError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if said:
            self.report({"INFO"}, said)
        return {"CANCELLED"} if said is None else {"FINISHED"}


def _talk_of(context: bpy.types.Context) -> tuple[bpy.types.Object, phones.HyoidTalk]:
    """The active talk and who keeps it.

    Raises:
        UsageError: its take was replaced.
    """
    holder = phones.performer(context)
    if holder is not None:
        markers.reconcile(context.scene, holder)
    place = phones.active_talk(context)
    if place is None:
        raise UsageError("The take with these phonemes does not play on this character any more")
    return place


class HYOID_OT_show_phonemes(_OnTalk, bpy.types.Operator):
    """Put a marker on the timeline for each sound of speech of the active character, instead of those of another"""

    bl_idname = "hyoid.show_phonemes"
    bl_label = "Show Phonemes"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, _holder: bpy.types.Object, entry: phones.HyoidTalk) -> str:
        """Make the markers."""
        count = markers.show(context.scene, entry)
        return f"{count} markers of '{entry.name}': drag them, then press Re-solve"


class HYOID_OT_hide_phonemes(bpy.types.Operator):
    """Take the phoneme markers off the timeline; what was dragged is remembered, other markers stay"""

    bl_idname = "hyoid.hide_phonemes"
    bl_label = "Hide Phonemes"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Markers must be shown."""
        if any(entry.shown for obj in bpy.data.objects for entry in obj.hyoid_talk.talks):
            return True
        cls.poll_message_set("No phonemes are shown")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Remove the markers."""
        for obj in bpy.data.objects:
            for entry in obj.hyoid_talk.talks:
                if entry.shown:
                    markers.hide(context.scene, entry)
        return {"FINISHED"}


class HYOID_OT_reset_phonemes(_OnTalk, bpy.types.Operator):
    """Put every phoneme back to where it was solved last"""

    bl_idname = "hyoid.reset_phonemes"
    bl_label = "Reset Phonemes"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, _holder: bpy.types.Object, entry: phones.HyoidTalk) -> str:
        """Rebuild phones, and markers where they are shown."""
        refill(context.scene, entry, phones.events_of(entry))
        return ""


class HYOID_OT_step_phoneme(_OnTalk, bpy.types.Operator):
    """Go to the next or the previous sound of speech"""

    bl_idname = "hyoid.step_phoneme"
    bl_label = "Step to Phoneme"
    bl_options = {"REGISTER"}

    __annotations__ = {
        "direction": bpy.props.EnumProperty(
            name="Direction",
            items=(("NEXT", "Next", "The next sound"), ("PREVIOUS", "Previous", "The sound before"),
                   ("CHOSEN", "Chosen", "The sound with the number below")),
        ),
        "index": bpy.props.IntProperty(name="Number", description="Which sound, from 0", min=0),
    }  # fmt: skip

    def work(self, context: bpy.types.Context, _holder: bpy.types.Object, entry: phones.HyoidTalk) -> str | None:
        """Move the playhead."""
        if self.direction != "CHOSEN":
            markers.read(context.scene, entry)
        now = context.scene.frame_current
        frames = phones.frames_of(entry).tolist()
        order = sorted(range(len(frames)), key=frames.__getitem__)
        if self.direction == "CHOSEN":
            chosen = self.index if self.index < len(frames) else None
        elif self.direction == "NEXT":
            chosen = next((index for index in order if frames[index] > now), None)
        else:
            chosen = next((index for index in reversed(order) if frames[index] < now), None)
        if chosen is None:
            return None
        entry.active = chosen
        context.scene.frame_set(entry.phones[chosen].frame)
        return ""


class HYOID_OT_resolve_phonemes(_OnTalk, bpy.types.Operator):
    """Solve the mouth again where phonemes were dragged, added, renamed or deleted; everything else stays as it is"""

    bl_idname = "hyoid.resolve_phonemes"
    bl_label = "Re-solve"
    bl_options = {"REGISTER"}

    __annotations__ = {
        "wait": bpy.props.BoolProperty(
            name="Wait", description="Come back when it is done", options={"SKIP_SAVE", "HIDDEN"}
        ),
    }

    def work(self, context: bpy.types.Context, holder: bpy.types.Object, entry: phones.HyoidTalk) -> str:
        """Start the job, or do it here and now where there is no window."""
        return start(context, holder, entry, self.wait)


def start(context: bpy.types.Context, holder: bpy.types.Object, entry: phones.HyoidTalk, wait: bool = False) -> str:
    """Hand the edited track of a talk to the toolkit; what was done, or "" when it is still to come.

    Raises:
        HyoidError: a marker has no phone's name, or the recording is gone. JobError: the toolkit is missing or failed.
    """
    changes = markers.read(context.scene, entry)
    if changes.invalid:
        wrong = ", ".join(f"'{name}'" for name in changes.invalid[:6])
        hint = "Rename them like the other markers (M, AH, SIL for a pause) and press Re-solve again"
        raise UsageError(f"These markers have no name of a phoneme: {wrong}", hint=hint)
    before = phones.events_of(entry)
    seconds = edit.length(before)
    track = edit.with_phones(before, phones.edited(entry), seconds)
    ranges = [_whole_frames(piece, entry) for piece in edit.changed_ranges(before, track, seconds)]
    if not ranges:
        return "No phoneme was changed: drag markers on the timeline, then press Re-solve"
    options = {name: value for name, value in json.loads(entry.options).items() if name not in _SAME_AUDIO}
    options["audio"] = _audio(entry, options, jobs.output_folder(context))
    output = jobs.output_path(context, entry.name)
    path = output.with_name(output.name.replace(".take.npz", ".events.csv"))
    _write(path, track)
    options |= {"events": str(path), "output": [str(output)]}
    payload = {**find.named(holder), "talk": entry.uid, "ranges": ranges, "said": _said(changes), "keys": entry.density}
    label = f"Re-solve: {entry.name[:40]}"
    job = jobs.submit(
        context, "talk", options, label=label, handler=HANDLER, payload=payload, made=[path], wait=wait
    )  # fmt: skip
    return getattr(job, "message", "") if wait or bpy.app.background else ""


def _whole_frames(piece: tuple[float, float], entry: phones.HyoidTalk) -> tuple[float, float]:
    """A piece of time that begins and ends on frames of the talk, within it."""
    first, last = math.floor(piece[0] * entry.rate), math.ceil(piece[1] * entry.rate)
    return first / entry.rate, min(last, round(entry.seconds * entry.rate) - 1) / entry.rate


def _audio(entry: phones.HyoidTalk, options: dict[str, Any], folder: Path) -> str:
    """The recording of a talk, wherever it is now.

    Raises:
        InputError: it is gone.
    """
    path = options.get("audio", "")
    if not path:
        raise UsageError(f"It is not known from which recording '{entry.name}' was made", hint="Press Talk again")
    if not os.path.isfile(path) and entry.sound in bpy.data.sounds:
        return voices.file_of(bpy.data.sounds[entry.sound], folder)
    return voices.of_file(path).path


def _write(path: Path, track: list[Any]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("kind", "name", "start", "end", "strength"))
        for event in track:
            writer.writerow((event.kind, event.name, f"{event.start:.4f}", f"{event.end:.4f}", f"{event.strength:g}"))


def _said(changes: markers.Changes) -> str:
    parts = []
    for count, what in ((changes.moved, "moved"), (changes.renamed, "renamed"), (changes.removed, "removed")):
        if count:
            parts.append(f"{count} {what}")
    if changes.added:
        parts.append("added " + ", ".join(changes.added[:4]))
    return "; ".join(parts)


def finish(scene: bpy.types.Scene, payload: dict[str, Any], result: dict[str, Any]) -> str:
    """Put the mouth of a re-solved take where phones were changed; a sentence on what was done.

    Raises:
        HyoidError: the take cannot be read, or its character or talk is gone.
    """
    holder, entry = _place(scene, payload)
    path = next(Path(name) for name in result["outputs"] if name.endswith(".take.npz"))
    take = take_npz.read(path)
    for first, last in payload["ranges"]:
        placement = channels.Placement(
            start=entry.start, mode="replace", blend_in=BLEND, blend_out=BLEND, name=entry.name, first=first, last=last
        )
        if entry.mode == "nla":
            _into_strips(scene, holder, take, placement, payload["keys"])
        else:
            insert.insert(scene, holder, take, placement, only=edit.MOUTH, keys=payload["keys"])
    _record(holder, entry, take.events)
    refill(scene, entry, take.events)
    seconds = sum(last - first for first, last in payload["ranges"])
    told = f" ({payload['said']})" if payload["said"] else ""
    return f"The mouth was solved again over {seconds:.1f} s{told}; everything else stayed"


def _into_strips(scene: bpy.types.Scene, holder: bpy.types.Object, take: Any, placement: Any, keys: str) -> None:
    """Put the mouth of a take into the actions that play it as NLA strips; strips may have been moved since.

    Raises:
        UsageError: the strips are gone.
    """
    rate = scene_rate(scene)
    mouth = insert.part_of(take, edit.MOUTH)
    if keys == "dense" and abs(rate - take.fps) > 1e-6:
        mouth = take_edit.resample(mouth, rate)
    if not channels.write_into_strips(scene, insert.channels_for(holder, mouth, keys, []), placement):
        raise UsageError(f"The NLA strips of '{placement.name}' are not there any more", hint="Press Talk again")


def _place(scene: bpy.types.Scene, payload: dict[str, Any]) -> tuple[bpy.types.Object, phones.HyoidTalk]:
    """The talk that a job was for; the object that started it first, because copies of it have the same talk.

    Raises:
        UsageError: it is gone.
    """
    with contextlib.suppress(UsageError):
        holder = talk.found(scene, payload)
        for entry in holder.hyoid_talk.talks:
            if entry.uid == payload["talk"]:
                return holder, entry
    place = phones.by_id(payload["talk"])
    if place is None:
        raise UsageError("The talk that was solved again is not in this file any more")
    return place


def _record(holder: bpy.types.Object, entry: phones.HyoidTalk, events: Any) -> None:
    """Let the record of the takes on an object tell the new phones too."""
    takes = [
        replace(take, events=tuple(events))
        if (take.name, round(take.start)) == (entry.name, round(entry.start))
        else take
        for take in placed.takes_on(holder)
    ]
    placed.set_takes(holder, takes)


def refill(scene: bpy.types.Scene, entry: phones.HyoidTalk, events: Any) -> None:
    """Give a talk a solved track, and its markers their places when they are shown."""
    shown = entry.shown
    if shown:
        markers.hide(scene, entry)
    phones.fill(entry, events)
    if shown:
        markers.show(scene, entry)


CLASSES = (
    HYOID_OT_show_phonemes, HYOID_OT_hide_phonemes, HYOID_OT_reset_phonemes, HYOID_OT_step_phoneme,
    HYOID_OT_resolve_phonemes,
)  # fmt: skip


def register() -> None:
    """Register the operators and what is done with their results."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    jobs.register_handler(HANDLER, finish)


def unregister() -> None:
    """Remove the operators."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
