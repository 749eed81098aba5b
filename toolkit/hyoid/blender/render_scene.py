# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""Frames of a scene as image files. Runs inside Blender: the scene is opened once, its scripts are not run.

The child first tells what the scene is (``scene``), then waits for ``plan.json``, in which the parent says which frames
it wants and which take is played, and tells each frame (``frame``) when its files are there.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import performers, render_settings, stage
from .export import ExportError
from .rig import HEADS

PLAN = "plan.json"
_LIT = 0.2  # brightness of a plain world from which on it lights a scene
_HEADER = re.compile(rb"BLENDER(?:[-_][vV](\d)(\d\d)|\d\d-\d\d[vV](\d\d)(\d\d))")


def run(job: dict[str, Any], folder: Path, emit: Any) -> None:
    """Do a job of one of the tasks ``read scene`` and ``render``.

    Raises:
        ExportError: the scene cannot be opened, something that was named is not in it, or Blender cannot render it.
    """
    if job["task"] == "render":
        render_settings.load_cycles()
    emit(event="progress", fraction=0.0, what="opening the scene")
    _open(Path(job["path"]))
    scene = bpy.context.scene
    facts = {
        "blender": bpy.app.version_string,
        "fps": scene.render.fps / scene.render.fps_base,
        "first": scene.frame_start,
        "last": scene.frame_end,
        "sounds": len(bpy.data.sounds),
        "characters": [performers.described(performer) for performer in performers.found(scene)],
    }
    if job["task"] == "read scene":
        emit(event="scene", **facts)
        return
    _tell_missing(emit)
    facts |= render_settings.apply(scene, job["settings"])
    character = None
    if job["has_take"] or job["armature"] is not None:
        character = performers.chosen(scene, job["armature"])
        if job["has_take"]:
            performers.check_own(character)
    emit(event="scene", character=character and character.armature.name, **facts)
    plan = _wait(folder / PLAN)
    if plan["take"] is not None:
        assert character is not None
        with np.load(folder / "arrays.npz", allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        performers.perform(character, plan["take"], arrays, plan["start"])
    # Camera and light stand where the start of the scene or take wants them, whichever frames are rendered here.
    scene.frame_set(plan["start"])
    _light(scene, job, emit)
    bound = _camera(scene, job, facts["width"] / facts["height"], emit)
    _render(scene, job, plan, folder, bound, emit)


def _open(path: Path) -> None:
    saved = _saved_by(path)
    newer = f"A scene of a newer Blender needs that one or a later: set HYOID_BLENDER; this is {bpy.app.version_string}"
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        if saved is not None and saved > bpy.app.version[:2]:
            raise ExportError(f"was saved by Blender {saved[0]}.{saved[1]}", "input", hint=newer) from None
        reason = str(error).strip().splitlines()[0].rpartition(": ")[2].partition(" '/")[0]
        raise ExportError(f"cannot be opened by Blender ({reason})", "input", hint=newer) from None
    if bpy.data.version[:2] > bpy.app.version[:2]:
        # It opens, but what this version does not know is lost.
        raise ExportError(f"was saved by Blender {'.'.join(map(str, bpy.data.version[:2]))}", "input", hint=newer)


def _saved_by(path: Path) -> tuple[int, int] | None:
    """The version that saved a file, where its first bytes tell; those of a packed file need not."""
    with open(path, "rb") as stream:
        match = _HEADER.search(stream.read(256))
    if match is None:
        return None
    major, minor = match.group(1, 2) if match[1] else match.group(3, 4)
    return int(major), int(minor)


def _tell_missing(emit: Any) -> None:
    """Warn of what the picture will lack: files of the scene that are gone, and scripts, which are not run."""
    places = sorted(set(bpy.utils.blend_paths(absolute=True, packed=False, local=False)))
    gone = [place for place in places if "<" not in place and not os.path.exists(place)]
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        emit(event="message", level="warning", text=f"the scene misses {gone[0]}{more}")
    if bpy.app.autoexec_fail:
        text = f"scripts of the scene are not run ({bpy.app.autoexec_fail_message})"
        emit(event="message", level="warning", text=text)


def _wait(path: Path) -> dict[str, Any]:
    """What the parent wants; should it die meanwhile, the child is ended (see ``child``)."""
    while not path.exists():
        time.sleep(0.01)
    return json.loads(path.read_text(encoding="utf-8"))


def _camera(scene: Any, job: dict[str, Any], aspect: float, emit: Any) -> bool:
    """See to it that the scene has a camera; whether markers on the timeline choose it frame by frame."""
    cameras = {item.name: item for item in scene.objects if item.type == "CAMERA"}
    names = ", ".join(f"'{name}'" for name in cameras)
    if job["camera"] is not None:
        if job["camera"] not in cameras:
            hint = f"Its cameras are {names}" if cameras else "It has none"
            raise ExportError(f"has no camera '{job['camera']}'", "usage", hint=hint)
        scene.camera = cameras[job["camera"]]
        return False
    if any(marker.camera for marker in scene.timeline_markers):
        return True
    if scene.camera is not None:
        return False
    if len(cameras) > 1:
        raise ExportError(f"has {len(cameras)} cameras, none of them active: {names}", "usage", hint="Choose --camera")
    if cameras:
        scene.camera = next(iter(cameras.values()))
        return False
    if not performers.found(scene):
        hint = "Add one, or a Hyoid character, whose head is framed then"
        raise ExportError("has no camera", "input", hint=hint)
    performer = performers.chosen(scene, job["armature"])
    stage.add_camera(scene, performer.armature, _rest_points(performer.body), aspect, _place(performer.armature))
    text = f"the scene has no camera: one frames the head of '{performer.armature.name}'"
    emit(event="message", level="info", text=text)
    return False


def _light(scene: Any, job: dict[str, Any], emit: Any) -> None:
    """Light a scene that has none, if it has a character to be lit."""
    present = performers.found(scene)
    if scene.render.engine == "BLENDER_WORKBENCH" or _is_lit(scene) or not present:
        return
    performer = performers.chosen(scene, job["armature"]) if job["armature"] else present[0]
    stage.add_lights(scene, performer.armature, _rest_points(performer.body), _place(performer.armature))
    text = f"the scene has no light: three are set up for '{performer.armature.name}'"
    emit(event="message", level="info", text=text)


def _is_lit(scene: Any) -> bool:
    if any(item.type == "LIGHT" and not item.hide_render for item in scene.objects):
        return True
    materials = [slot.material for item in scene.objects for slot in item.material_slots if slot.material]
    trees = [material.node_tree for material in materials if material.node_tree]
    if any(node.type == "EMISSION" for tree in trees for node in tree.nodes):
        return True
    world = scene.world
    if world is None or world.node_tree is None:
        return world is not None and max(world.color) > _LIT
    for node in world.node_tree.nodes:
        if node.type == "BACKGROUND":
            colour, strength = node.inputs["Color"], node.inputs["Strength"]
            if colour.is_linked or max(colour.default_value[:3]) * strength.default_value > _LIT:
                return True
    return False


def _rest_points(body: Any) -> np.ndarray:
    points = np.empty(3 * len(body.data.vertices), np.float32)
    body.data.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)


def _place(armature: Any) -> Any:
    """The matrix that carries the resting head to where it is in this frame, without the turn of the pose."""
    from mathutils import Matrix

    shown = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    skull = next((shown.pose.bones[name] for name in HEADS if name in shown.pose.bones), shown.pose.bones[-1])
    return shown.matrix_world @ Matrix.Translation(skull.head - skull.bone.head_local)


def _render(scene: Any, job: dict[str, Any], plan: dict[str, Any], folder: Path, bound: bool, emit: Any) -> None:
    suffixes, frames = job["suffixes"], plan["frames"]
    multilayer = ".exr" in suffixes and render_settings.is_multilayer(scene)
    for number, frame in enumerate(frames):
        emit(event="progress", fraction=number / len(frames), what=_what(frame, number, len(frames)))
        scene.frame_set(frame)
        if bound:
            _switch_camera(scene, frame)
        files = {suffix: folder / f"{frame}{suffix}" for suffix in suffixes}
        if multilayer:
            render_settings.set_format(scene, ".exr", multilayer=True)
            scene.render.filepath = str(files[".exr"])
        try:
            result = bpy.ops.render.render(write_still=multilayer)
        except RuntimeError as error:
            reason = str(error).strip().removeprefix("Error: ")
            kind = "memory" if "out of memory" in reason.lower() else "input"
            raise ExportError(f"frame {frame}: {reason}", kind) from error
        if "FINISHED" not in result:
            raise ExportError(f"frame {frame}: Blender gave up without a reason", "input")
        for suffix, path in files.items():
            if not (multilayer and suffix == ".exr"):
                render_settings.save(scene, suffix, path)
        emit(event="frame", frame=frame, files={suffix: str(path) for suffix, path in files.items()})
    emit(event="progress", fraction=1.0, what="rendered")


def _what(frame: int, number: int, count: int) -> str:
    return f"rendering frame {frame}" + (f" ({number + 1} of {count})" if count > 1 else "")


def _switch_camera(scene: Any, frame: int) -> None:
    """The camera of the last marker that names one up to a frame, else of the first that does, as Blender plays it."""
    marks = sorted((marker.frame, marker.name) for marker in scene.timeline_markers if marker.camera)
    name = max((mark for mark in marks if mark[0] <= frame), default=marks[0])
    for marker in scene.timeline_markers:
        if marker.camera and (marker.frame, marker.name) == name:
            scene.camera = marker.camera
