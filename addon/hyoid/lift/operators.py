# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons "Lift", "Redo" and "Add Camera", and what happens with results."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from .. import jobs
from ..characters import find
from ..takes import importer, mapping_table
from ..timeline.frames import scene_rate
from ..toolkit.errors import HyoidError, InputError, UsageError
from . import apply, camera, records

LIFT, RIG, REDO = "lift", "lift_rig", "lift_redo"
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
RAW = ".lifted.npz"
_TAKE = ".take.npz"
_CHARACTER = ".character.npz"


def keypoints_of(settings: Any) -> Path:
    """The file or folder that is to be lifted, as an absolute path.

    Raises:
        UsageError: none is chosen. InputError: it is not there.
    """
    return _existing(settings.folder if settings.source == "FOLDER" else settings.keypoints, "no keypoints are chosen")


def _existing(path: str, missing: str) -> Path:
    if not path.strip():
        raise UsageError(missing, hint="Choose what a detector has written")
    found = Path(os.path.abspath(bpy.path.abspath(path.strip())))
    if not found.exists():
        raise InputError("there is no such file or folder", path=found)
    return found


def is_video(settings: Any) -> bool:
    """Whether a film is chosen instead of keypoints."""
    return settings.source == "FILE" and settings.keypoints.strip().lower().endswith(VIDEOS)


def armature_of(context: Any) -> Any:
    """The armature that takes a body: of the active character, the active one, that of the only character; or None."""
    active = context.view_layer.objects.active
    rig = find.rig_of(active)
    if rig is None and active is not None and active.type == "ARMATURE":
        return active
    if rig is None:
        rigs = find.rigs(context.scene)
        rig = rigs[0] if len(rigs) == 1 else None
    return None if rig is None else rig.armature


def _check(armature: Any) -> None:
    """Refuse an armature that cannot take a body, before the work.

    Raises:
        UsageError: it is a head only, or names of its bones say nothing.
    """
    if find.rig_of(armature) is None:
        if not len(armature.hyoid_bone_map):
            mapping_table.guess_bone_table(armature)
    elif find.identity(armature).get("part") == "head":
        hint = "Choose a whole body, or a new character"
        raise UsageError(f"'{armature.name}' is a head without legs", hint=hint)


def _performer(armature: Any) -> dict[str, Any]:
    """What the toolkit has to know of who performs, so that feet reach the ground."""
    if armature is None or find.rig_of(armature) is None:
        return {}
    if find.is_bundled(armature):
        return {"set": dict(find.identity(armature).get("settings", {}))}
    path = find.file_of(armature)
    return {"character": str(path)} if path is not None and path.is_file() else {}


def _number(value: float) -> float:
    """Without the noise of single precision."""
    return float(f"{value:.6g}")


def cleaning(settings: Any) -> dict[str, Any]:
    """The options that can be changed without lifting again."""
    said: dict[str, Any] = {
        "foot_lock": _number(settings.foot_lock), "smoothing": _number(settings.smoothing),
        "field_of_view": _number(settings.field_of_view),
    }  # fmt: skip
    if settings.camera_height > 0:
        said |= {"camera_height": _number(settings.camera_height), "camera_pitch": _number(settings.camera_pitch)}
    return said


def person_of(settings: Any) -> str:
    """Who is asked for, as the toolkit takes it.

    Raises:
        UsageError: one is to be chosen, and none is.
    """
    if settings.person != "ONE":
        return settings.person.lower()
    if not settings.person_name.strip():
        raise UsageError("no person is named", hint="Write person_02, or lift the main one first to see who is there")
    return settings.person_name.strip()


def reading(settings: Any) -> dict[str, Any]:
    """The options that say what the keypoints are.

    Raises:
        UsageError, InputError: something that is chosen cannot be used.
    """
    said: dict[str, Any] = {"keypoints": str(keypoints_of(settings)), "system": settings.system}
    if settings.footage.strip():
        said["footage"] = str(_existing(settings.footage, ""))
    width, height = settings.size
    if bool(width) != bool(height):
        raise UsageError(f"the picture is {width} x {height}", expected="both sides in pixels, or 0 x 0")
    if width:
        said["size"] = f"{width}x{height}"
    if settings.source_fps > 0:
        said["source_fps"] = _number(settings.source_fps)
    if is_video(settings):
        said["people"] = settings.people
        if settings.detector.strip():
            said["detector"] = str(_existing(settings.detector, ""))
    return said


def start(context: Any, wait: bool = False) -> str:
    """Hand keypoints to the toolkit; what came out where it was waited for, else what is going on.

    Raises:
        HyoidError: something that is chosen cannot be used. JobError: there is no toolkit, or it failed.
    """
    jobs.toolkit(context)
    scene, settings = context.scene, context.scene.hyoid_lift
    target = armature_of(context) if settings.target == "ACTIVE" else None
    options = {**reading(settings), **cleaning(settings), "person": person_of(settings)}
    if target is not None:
        _check(target)
    options |= {**_performer(target), "fps": round(scene_rate(scene), 4)}
    stem = Path(options["keypoints"]).name.split(".")[0]
    output = jobs.output_path(context, f"{stem}-body")
    raw = output.with_name(output.name.replace(_TAKE, RAW))
    footage = options.get("footage") or (options["keypoints"] if is_video(settings) else "")
    payload = {
        **({} if target is None else find.named(target)), "create": target is None, "uid": uuid.uuid4().hex,
        "several": options["person"] == "all", "lifted": str(raw), "footage": footage,
        "start": scene.frame_current_final, "mode": settings.mode, "scene_range": settings.scene_range,
    }  # fmt: skip
    options["output"] = [str(output), str(raw)]
    label = f"Lift: {stem[:40]}"
    if settings.target in ("ACTIVE", "HUMAN"):
        job = jobs.submit(context, "lift", options, label=label, handler=LIFT, payload=payload, wait=wait)
        return job.message or f"'{stem}' is being lifted; see the panel"
    name = f"human_{settings.target.lower()}"
    built = jobs.output_path(context, name, _CHARACTER)
    options["character"] = str(built)
    rig: dict[str, Any] = {"character": name, "output": [str(built)]}
    if wait or bpy.app.background:  # one after the other: a handler must not wait for another job
        jobs.submit(context, "rig", rig, label=f"Skeleton: {name}", wait=True)
        return jobs.submit(context, "lift", options, label=label, handler=LIFT, payload=payload, wait=True).message
    follows = {"options": options, "payload": payload, "label": label}
    jobs.submit(context, "rig", rig, label=f"Skeleton: {name}", handler=RIG, payload=follows)
    return f"'{name}' is being made, then '{stem}' is lifted; see the panel"


def finish_rig(scene: Any, payload: dict[str, Any], result: dict[str, Any]) -> str:
    """Handler of the job that makes a skeleton: now the people are lifted onto it.

    Raises:
        JobError: there is no toolkit.
    """
    jobs.submit(
        bpy.context, "lift", payload["options"], label=payload["label"], handler=LIFT, payload=payload["payload"]
    )  # fmt: skip
    return "The skeleton is there; the keypoints are being lifted"


def finish(scene: Any, payload: dict[str, Any], result: dict[str, Any]) -> str:
    """Handler of a lift: its people come into the scene.

    Raises:
        HyoidError: a take cannot be read or does not fit, or the armature is gone.
    """
    remember_people(scene, result)
    seen = {str(entry.get("name")): float(entry.get("seen_seconds") or 0) for entry in result.get("people", ())}
    said = []
    for number, path in enumerate(importer.takes_of(result)):
        take = importer.read(path)
        target = None if payload["create"] or number else importer.performer(scene, payload, armature_of)
        said.append(apply.place(scene, target, take, payload, path, seen.get(apply.person_of(take), 0.0)))
        figures = records.figures(take.provenance.settings.get("quality") or {})
        said.append(f"{apply.person_of(take)}: {', '.join(figures)}" if figures else "")
    return "; ".join(filter(None, said))


def remember_people(scene: Any, result: Mapping[str, Any]) -> None:
    """Keep who was found in a clip, for the list of the section."""
    found = [entry for entry in (*result.get("people", ()), *result.get("others", ())) if isinstance(entry, dict)]
    people = [[str(one.get("name", "")), float(one.get("seen_seconds") or 0)] for one in found]
    scene.hyoid_lift.found = json.dumps(people)


def people(settings: Any) -> list[tuple[str, float]]:
    """Names and seconds of those who were found by the last lift."""
    try:
        return sorted((str(name), float(seconds)) for name, seconds in json.loads(settings.found or "[]"))
    except (ValueError, TypeError):
        return []


def redo(context: Any, wait: bool = False) -> str:
    """Clean the raw poses of the active character's lift again; what came out, or what is going on.

    Raises:
        HyoidError: nothing was lifted onto it, or the raw poses are gone. JobError: no toolkit, or it failed.
    """
    jobs.toolkit(context)
    armature = armature_of(context)
    record = records.of(armature)
    if record is None:
        raise UsageError("nothing was lifted onto the active character", hint="Press Lift first")
    raw = Path(bpy.path.abspath(record.lifted))
    if not raw.is_file():
        raise InputError("the raw poses of this lift are gone", path=raw, hint="Press Lift again")
    take = Path(bpy.path.abspath(record.take))
    if record.several:  # the toolkit puts the names in again
        take = take.with_name(take.name.replace(f".{record.person}{_TAKE}", _TAKE))
    options = {
        "keypoints": str(raw), "output": [str(take)], "person": "all" if record.several else record.person,
        "fps": round(record.rate, 4), **cleaning(context.scene.hyoid_lift), **_performer(armature),
    }  # fmt: skip
    label = f"Redo: {record.name[:40]}"
    job = jobs.submit(context, "lift", options, label=label, handler=REDO, payload={"uid": record.uid}, wait=wait)
    return job.message or f"'{record.name}' is being done again; see the panel"


def finish_redo(scene: Any, payload: dict[str, Any], result: dict[str, Any]) -> str:
    """Handler of a redo: the keys of the earlier lift get other values.

    Raises:
        HyoidError: a take cannot be read, or nobody plays it any more.
    """
    takes = {apply.person_of(take): take for take in map(importer.read, importer.takes_of(result))}
    said = []
    for armature in records.together(scene, payload["uid"]):
        record = records.of(armature)
        take = takes.get(record.person) if record else None
        if take is not None:
            apply.rewrite(scene, armature, take)
            figures = records.figures(take.provenance.settings.get("quality") or {})
            said.append(f"'{armature.name}' was done again: {', '.join(figures) or 'in place'}")
    if not said:
        raise UsageError("the characters of this lift are not in the scene any more", hint="Press Lift again")
    scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)
    return "; ".join(said)


class _Starts:
    """Base of the operators that start a job."""

    bl_options = {"REGISTER"}

    wait: bpy.props.BoolProperty(name="Wait", description="Come back when it is done", options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        """Start the job; in background mode do it here and now."""
        try:
            said = self.work(context)
        except (HyoidError, jobs.JobError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, said)
        return {"FINISHED"}


class HYOID_OT_lift(_Starts, bpy.types.Operator):
    """Bring the people in a detector's keypoints to life: the toolkit lifts them into space, plants their feet on the
    ground, and the body of the character moves as theirs. What was found before cleaning is kept for Redo"""

    bl_idname = "hyoid.lift"
    bl_label = "Lift"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A scene that can be changed."""
        return context.scene is not None and context.scene.library is None

    def work(self, context: Any) -> str:
        """Start it."""
        return start(context, self.wait)


class _OfLifted:
    """Base of the buttons for a character that something was lifted onto."""

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There is one."""
        if context.scene is None or records.of(armature_of(context)) is None:
            cls.poll_message_set("Nothing was lifted onto the active character: press Lift first")
            return False
        return True


class HYOID_OT_redo_lift(_OfLifted, _Starts, bpy.types.Operator):
    """Clean what was lifted again, with the feet, smoothing and camera set above, and replace the keys of the earlier
    result; nothing is lifted anew. Keys before and after it stay"""

    bl_idname = "hyoid.redo_lift"
    bl_label = "Redo"

    def work(self, context: Any) -> str:
        """Start it."""
        return redo(context, self.wait)


class HYOID_OT_add_lift_camera(_OfLifted, bpy.types.Operator):
    """Add a camera that sees the character as the shot did, the footage behind it, and make it that of the scene"""

    bl_idname = "hyoid.add_lift_camera"
    bl_label = "Add Camera"
    bl_options = {"REGISTER", "UNDO"}

    resolution: bpy.props.BoolProperty(
        name="Picture Size", default=True, description="Let the scene render pictures of the size of the shot"
    )

    def execute(self, context: Any) -> set[str]:
        """Add it."""
        armature = armature_of(context)
        try:
            said = camera.add(context.scene, armature, records.of(armature), resolution=self.resolution)
        except HyoidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, said)
        return {"FINISHED"}


class HYOID_OT_choose_lift_person(bpy.types.Operator):
    """Lift this person at the next press of Lift"""

    bl_idname = "hyoid.choose_lift_person"
    bl_label = "Choose Person"
    bl_options = {"INTERNAL", "UNDO"}

    name: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context: Any) -> set[str]:
        """Set it in the section."""
        settings = context.scene.hyoid_lift
        settings.person, settings.person_name = "ONE", self.name
        return {"FINISHED"}


CLASSES = (HYOID_OT_lift, HYOID_OT_redo_lift, HYOID_OT_add_lift_camera, HYOID_OT_choose_lift_person)
