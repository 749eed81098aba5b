# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons "Find Heads" and "Redo", and what happens with results."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from .. import jobs
from ..characters import create, find
from ..takes import importer
from ..timeline.frames import scene_rate
from ..toolkit.errors import HyoidError, InputError, UsageError
from ..toolkit.formats import heads_json
from ..toolkit.motion.heads import HeadShot
from . import apply, camera, footage, performers, records

FIND, REDO = "heads_find", "heads_redo"
HEADS = ".heads.json"
_TAKE = ".take.npz"
_AGAIN = ("system", "confidence", "smallest", "weights", "detector_weights", "longest_gap", "footage", "fps")
"""Options of a search that are not asked for again when it is redone on a character."""


def character_of(context: Any) -> Any:
    """The armature of the active Hyoid character, else of the only one; None."""
    rig = find.active_rig(context)
    return None if rig is None else rig.armature


def redone(context: Any) -> Any:
    """The object that Redo is about: the active one, else the first that heads were put on; None."""
    active = context.view_layer.objects.active
    rig = find.rig_of(active)
    for obj in (active, active.parent if active is not None else None, rig.armature if rig else None):
        if records.of(obj) is not None and context.scene.objects.get(obj.name) == obj:
            return obj
    made = [obj for obj in context.scene.objects if records.of(obj) is not None]
    uids = {records.of(obj).uid for obj in made}
    return made[0] if len(uids) == 1 else None


def _number(value: float) -> float:
    """Without the noise of single precision."""
    return float(f"{value:.6g}")


def person_of(settings: Any) -> str:
    """Who is asked for, as the toolkit takes it.

    Raises:
        UsageError: one is to be chosen, and none is.
    """
    if settings.person != "ONE":
        return settings.person.lower()
    if not settings.person_name.strip():
        raise UsageError("no person is named", hint="Write person_02, or find the main one first to see who is there")
    return settings.person_name.strip()


def options_of(context: Any, given: footage.Footage) -> dict[str, Any]:
    """What the toolkit is asked, but for the outputs.

    Raises:
        UsageError: the scene's camera is no perspective one.
    """
    scene, settings = context.scene, context.scene.hyoid_heads
    said: dict[str, Any] = {
        "footage": str(given.path), "system": settings.system, "confidence": _number(settings.threshold),
        "smallest": _number(settings.smallest), "longest_gap": _number(settings.longest_gap),
        "field_of_view": _number(degrees_of(scene, given.size)), "head_height": _number(settings.head_height),
    }  # fmt: skip
    for name in ("weights", "detector_weights"):
        value = getattr(settings, name).strip()
        if value:
            at = os.path.abspath(bpy.path.abspath(value))
            said[name] = at if os.path.exists(at) else value
    if given.fps is not None:
        said["fps"] = round(given.fps, 4)
    return said


def degrees_of(scene: Any, size: tuple[int, int] | None) -> float:
    """Degrees across the larger side of a picture in the scene's camera; without one as the section says.

    Raises:
        UsageError: the scene's camera is no perspective one.
    """
    if not _has_camera(scene):
        return scene.hyoid_heads.field_of_view
    return min(max(camera.field_of_view(scene, scene.camera, size or _render_size(scene)), 1.0), 170.0)


def _has_camera(scene: Any) -> bool:
    return scene.camera is not None and scene.camera.type == "CAMERA"


def _render_size(scene: Any) -> tuple[int, int]:
    return scene.render.resolution_x, scene.render.resolution_y


def start(context: Any, wait: bool = False) -> str:
    """Hand a picture or film to the toolkit; what came out where it was waited for, else what is going on.

    Raises:
        HyoidError: something that is chosen cannot be used. JobError: there is no toolkit, or it failed.
    """
    jobs.toolkit(context)
    scene, settings = context.scene, context.scene.hyoid_heads
    given = footage.chosen(context)
    person, options = person_of(settings), options_of(context, given)
    empties = settings.make == "EMPTIES"
    target = character_of(context) if settings.make == "ACTIVE" else None
    if settings.make == "ACTIVE" and target is None:
        raise UsageError("no Hyoid character is active", hint="Select one, or choose New Heads")
    stem = given.path.stem or given.path.name
    first = jobs.output_path(context, f"{stem}-heads", HEADS if empties else _TAKE)
    heads = first if empties else first.with_name(first.name.replace(_TAKE, HEADS))
    if empties:  # smoothed here, where the artist can try at once what looks best
        options |= {"smoothing": 0.0, "output": [str(heads)]}
    else:
        options |= {
            "smoothing": _number(settings.smoothing), "person": person, "output": [str(first), str(heads)],
            "place": "camera" if settings.place == "CAMERA" else "origin", "fps": round(scene_rate(scene), 4),
            **performers.options_of(target),
        }  # fmt: skip
    payload = {
        **({} if target is None else find.named(target)), "create": target is None, "uid": uuid.uuid4().hex,
        "kind": records.EMPTIES if empties else records.CHARACTERS, "person": person, "name": stem,
        "heads": str(heads), "footage": str(given.path), "film": given.film, "shown": given.shown,
        "start": scene.frame_current_final if given.start is None else float(given.start),
        "mode": settings.mode, "scene_range": settings.scene_range, "place": settings.place,
        "display": settings.display, "smoothing": settings.smoothing, "head_height": settings.head_height,
        "field_of_view": settings.field_of_view,
        "options": {name: options[name] for name in _AGAIN if name in options},
    }  # fmt: skip
    label = f"Heads: {stem[:40]}"
    job = jobs.submit(context, "headpose", options, label=label, handler=FIND, payload=payload, wait=wait)
    return job.message or f"Heads are looked for in '{given.name}'; see the panel"


def finish(scene: Any, payload: dict[str, Any], result: dict[str, Any]) -> str:
    """Handler of a search: Empties or characters come into the scene.

    Raises:
        HyoidError: nobody was found, a file cannot be read, a take does not fit, or the character is gone.
    """
    remember_people(scene, result)
    shot = heads_json.read(Path(payload["heads"]))
    people = apply.chosen(shot, payload["person"])
    rate = scene_rate(scene)
    draft = records.Record(
        uid=payload["uid"], person="", several=payload["person"] == "all", kind=payload["kind"], heads=payload["heads"],
        take="", footage=payload["footage"], options=payload["options"], start=payload["start"], rate=rate,
        name=_name_of(payload["heads"]),
    )  # fmt: skip
    if payload["kind"] == records.EMPTIES:
        lens, told = _camera_for(scene, shot, payload)
        settings = {
            "smoothing": payload["smoothing"], "head_height": payload["head_height"], "shown": payload["display"]
        }  # fmt: skip
        made = apply.put(scene, lens, shot, people, draft, settings)
        if payload["scene_range"] and len(shot.pictures) > 1:
            _set_range(scene, shot, draft)
        said = [f"{_heads(len(made))} before '{lens.name}'", told]
    else:
        said = _performed(scene, payload, result, shot, draft)
    said.append(camera.out_of_step(scene, shot.fps))
    scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)
    return "; ".join(filter(None, said))


def _name_of(path: str) -> str:
    name = Path(path).name
    return name[: -len(HEADS)] if name.endswith(HEADS) else name


def _heads(count: int) -> str:
    return f"{count} {'heads' if count > 1 else 'head'}"


def _camera_for(scene: Any, shot: HeadShot, payload: Mapping[str, Any]) -> tuple[Any, str]:
    """The camera of the scene, a new one where it has none, and a remark; the picture lies behind a new one."""
    if _has_camera(scene):
        return scene.camera, ""
    size = next((picture.width, picture.height) for picture in shot.pictures if picture.width)
    lens = camera.add(scene, payload["field_of_view"], size)
    remark = f"'{lens.name}' is new, pictures are {size[0]} x {size[1]}"
    path = Path(payload["footage"])
    if path.is_file():
        remark = "; ".join(filter(None, [remark, camera.show(scene, lens, path, payload["start"], payload["film"])]))
    return lens, remark


def _set_range(scene: Any, shot: HeadShot, draft: records.Record) -> None:
    times = [picture.time or 0.0 for picture in shot.pictures]
    scene.frame_start = max(round(draft.start + times[0] * draft.rate), 0)
    scene.frame_end = max(round(draft.start + times[-1] * draft.rate), scene.frame_start)


def _performed(
    scene: Any, payload: Mapping[str, Any], result: Mapping[str, Any], shot: HeadShot, draft: records.Record
) -> list[str]:
    """Takes onto characters; what to tell."""
    said = []
    takes = [(path, importer.read(path)) for path in importer.takes_of(result)]
    if payload["place"] == "CAMERA":
        said.append(_camera_for(scene, shot, payload)[1])
    for number, (path, take) in enumerate(takes):
        target = None if payload["create"] or number else importer.performer(scene, payload, character_of)
        text, armature = performers.place(scene, target, take, payload, path, draft)
        said.append(text)
        made = find.rig_of(armature)
        if target is None and not number and made is not None and _nothing_selected():
            create.show(bpy.context, made)
    return said


def _nothing_selected() -> bool:
    active = bpy.context.view_layer.objects.active
    return active is None or not active.select_get()


def remember_people(scene: Any, result: Mapping[str, Any]) -> None:
    """Keep who was found, for the list of the section."""
    found = [entry for entry in result.get("people", ()) if isinstance(entry, dict)]
    people = [[str(one.get("name", "")), int(one.get("seen_frames") or 0)] for one in found]
    scene.hyoid_heads.found = json.dumps(people)


def people(settings: Any) -> list[tuple[str, int]]:
    """Names of those who were found by the last search, and in how many pictures each was seen."""
    try:
        return sorted((str(name), int(frames)) for name, frames in json.loads(settings.found or "[]"))
    except (ValueError, TypeError):
        return []


def redo(context: Any, wait: bool = False) -> str:
    """Smooth what was found again, and show it; what came out, or what is going on.

    Empties are changed here and now. For characters the toolkit looks once more where the heads look, in the boxes that
    it has found; DirectMHP, which finds both at once, looks for everything again.

    Raises:
        HyoidError: there is nothing, or files are gone. JobError: no toolkit, or it failed.
    """
    obj = redone(context)
    record = records.of(obj)
    if record is None:
        raise UsageError("no heads were found yet", hint="Press Find Heads first, or select one of its results")
    heads = Path(bpy.path.abspath(record.heads))
    if not heads.is_file():
        raise InputError("the heads that were found are gone", path=heads, hint="Press Find Heads again")
    if record.kind == records.EMPTIES:
        return _redo_empties(context.scene, obj, record, heads)
    return _redo_characters(context, obj, record, heads, wait)


def _redo_empties(scene: Any, obj: Any, record: records.Record, heads: Path) -> str:
    settings = scene.hyoid_heads
    lens = obj.parent if obj.parent is not None and obj.parent.type == "CAMERA" else scene.camera
    if lens is None or lens.type != "CAMERA":
        raise UsageError("the scene has no camera any more", hint="Add one, or press Find Heads again")
    shot = heads_json.read(heads)
    names = {records.of(other).person for other in records.together(scene, record.uid)}
    people = {number: name for number, name in shot.names.items() if name in names}
    people |= apply.chosen(shot, person_of(settings))
    draft = records.Record(**{**vars(record), "name": _name_of(record.heads)})
    choices = {
        "smoothing": settings.smoothing, "head_height": settings.head_height, "shown": settings.display
    }  # fmt: skip
    bpy.context.view_layer.update()
    made = apply.put(scene, lens, shot, people, draft, choices)
    scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)
    return f"{_heads(len(made))} done again before '{lens.name}'"


def _redo_characters(context: Any, armature: Any, record: records.Record, heads: Path, wait: bool) -> str:
    jobs.toolkit(context)
    scene, settings = context.scene, context.scene.hyoid_heads
    if not os.path.exists(record.footage):
        raise InputError("the picture or film is gone", path=record.footage, hint="Put it there again")
    take = Path(bpy.path.abspath(record.take))
    if record.several:  # the toolkit puts the names in again
        take = take.with_name(take.name.replace(f".{record.person}{_TAKE}", _TAKE))
    shot = heads_json.read(heads)
    size = next(((picture.width, picture.height) for picture in shot.pictures if picture.width), None)
    options: dict[str, Any] = {
        **record.options, "output": [str(take)], "person": "all" if record.several else record.person,
        "smoothing": _number(settings.smoothing), "head_height": _number(settings.head_height),
        "field_of_view": _number(degrees_of(scene, size)), "fps": round(record.rate, 4),
        **performers.options_of(armature),
    }  # fmt: skip
    if record.options.get("system") != "directmhp":
        options["boxes"] = str(heads)
    options["place"] = settings.place.lower() if settings.place == "CAMERA" else "origin"
    label = f"Redo: {record.name[:40]}"
    payload = {"uid": record.uid}
    job = jobs.submit(context, "headpose", options, label=label, handler=REDO, payload=payload, wait=wait)
    return job.message or f"'{record.name}' is being done again; see the panel"


def finish_redo(scene: Any, payload: dict[str, Any], result: dict[str, Any]) -> str:
    """Handler of a redo on characters: the keys of the earlier take get other values.

    Raises:
        HyoidError: a take cannot be read, or nobody plays it any more.
    """
    takes = {performers.person_of(take): take for take in map(importer.read, importer.takes_of(result))}
    said = []
    for armature in records.together(scene, payload["uid"]):
        take = takes.get(records.of(armature).person)
        if take is not None:
            performers.rewrite(scene, armature, take)
            said.append(f"'{armature.name}' was done again")
    if not said:
        raise UsageError("the characters of this search are not in the scene any more", hint="Press Find Heads again")
    scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)
    return "; ".join(said)


class _Starts:
    """Base of the operators that start a job."""

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


class HYOID_OT_find_heads(_Starts, bpy.types.Operator):
    """Find the heads in a picture or film and where they look: the toolkit does it beside Blender, then Empties or
    animated heads stand before the camera where the picture has them"""

    bl_idname = "hyoid.find_heads"
    bl_label = "Find Heads"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A scene that can be changed."""
        return context.scene is not None and context.scene.library is None

    def work(self, context: Any) -> str:
        """Start it."""
        return start(context, self.wait)


class HYOID_OT_redo_heads(_Starts, bpy.types.Operator):
    """Show the heads that were found with the smoothing, the head height and the camera of now: Empties change at once
    and nothing is looked for; for characters the toolkit looks again where the heads look, in the boxes it has found.
    Keys before and after stay"""

    bl_idname = "hyoid.redo_heads"
    bl_label = "Redo"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There are heads."""
        if context.scene is None or redone(context) is None:
            cls.poll_message_set("Press Find Heads first, or select one of its results")
            return False
        return True

    def work(self, context: Any) -> str:
        """Do it, or start it."""
        return redo(context, self.wait)


class HYOID_OT_choose_head(bpy.types.Operator):
    """Show this person at the next press of Find Heads, and beside the others at the next Redo"""

    bl_idname = "hyoid.choose_head"
    bl_label = "Choose Person"
    bl_options = {"INTERNAL", "UNDO"}

    name: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context: Any) -> set[str]:
        """Set it in the section."""
        settings = context.scene.hyoid_heads
        settings.person, settings.person_name = "ONE", self.name
        return {"FINISHED"}


CLASSES = (HYOID_OT_find_heads, HYOID_OT_redo_heads, HYOID_OT_choose_head)
