# SPDX-License-Identifier: GPL-3.0-or-later
"""The button "Rig My Own Head", and what happens with the rig that comes back."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from .. import jobs
from ..characters import find, from_files
from ..toolkit import characters
from ..toolkit.errors import HyoidError, UsageError
from . import apply, mesh_out

HANDLER = "rig_own_head"
MARK = "hyoid_rigging"
"""Custom property of the meshes that a job works on, so that they are found under another name too."""


def chosen(context: Any) -> list[Any]:
    """The meshes that are to be rigged: the active one, then the others that are selected (eyes, teeth, brows).

    Raises:
        UsageError: there is none, or one of them cannot be rigged now.
    """
    active = context.view_layer.objects.active
    if active is None or active.type != "MESH":
        raise UsageError("no mesh is active", hint="Select your head, and with it its eyes and teeth; the head last")
    others = [obj for obj in context.view_layer.objects if obj.type == "MESH" and obj.select_get() and obj != active]
    for obj in (active, *others):
        if find.rig_of(obj) is not None:
            raise UsageError(f"'{obj.name}' is a part of a Hyoid character already")
        reason = mesh_out.hindrance(obj)
        if reason:
            raise UsageError(reason)
    if len(active.data.vertices) < mesh_out.FEWEST:
        raise UsageError(f"'{active.name}' has {len(active.data.vertices)} vertices: too few for a face")
    if not len(active.data.polygons):
        raise UsageError(f"'{active.name}' has no faces")
    return [active, *others]


class HYOID_OT_rig_own_head(bpy.types.Operator):
    """Fit a face rig to the active mesh: 52 ARKit shape keys, a neck of eight joints, jaw, larynx, eyes. Eyes, teeth
    and brows that are meshes of their own come along when they are selected too. Vertices, UVs, materials, modifiers
    and keys that are there stay as they are"""

    bl_idname = "hyoid.rig_own_head"
    bl_label = "Rig My Own Head"
    bl_options = {"REGISTER"}

    wait: bpy.props.BoolProperty(
        name="Wait", description="Come back when the rig is on the mesh", options={"SKIP_SAVE", "HIDDEN"}
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A mesh is active, in Object Mode."""
        try:
            chosen(context)
        except UsageError as error:
            cls.poll_message_set(str(error).partition(". ")[0])
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Write the mesh and start the job, or do it here and now where there is no window."""
        try:
            said = start(context, self.wait)
        except (HyoidError, jobs.JobError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, said)
        return {"FINISHED"}


def start(context: Any, wait: bool = False) -> str:
    """Hand the chosen meshes to the toolkit; what to tell.

    Raises:
        HyoidError: they cannot be rigged. JobError: there is no toolkit, or it failed.
    """
    jobs.toolkit(context)
    objects, settings = chosen(context), context.scene.hyoid_own_head
    output = jobs.output_path(context, objects[0].name, characters.FILE_SUFFIX)
    path = output.with_name(output.name.replace(characters.FILE_SUFFIX, ".obj"))
    mesh_out.write(path, objects)
    mark = uuid.uuid4().hex
    for number, obj in enumerate(objects):
        obj[MARK] = f"{mark} {number}"
    job = jobs.submit(
        context, "rig fit", options(settings, path, output), label=f"Rig: {objects[0].name[:40]}", handler=HANDLER,
        payload={"mark": mark, "names": [obj.name for obj in objects], "mesh": str(path)}, made=[path], wait=wait,
    )  # fmt: skip
    return job.message or f"'{objects[0].name}' is being rigged; see the panel"


def options(settings: Any, mesh: Path, output: Path) -> dict[str, Any]:
    """The job of the toolkit: it finds unit and direction of the head by itself."""
    model = settings.model.strip() or "human"
    return {"mesh": str(mesh), "output": [str(output)], "model": model, "keep_order": True}


def finish(scene: Any, payload: dict[str, Any], result: dict[str, Any]) -> str:
    """Handler of the job: the rig goes onto the meshes that it was made for.

    Raises:
        HyoidError: they are gone or were edited, or the rig cannot be read.
    """
    objects = marked(scene, payload)
    path = next(str(path) for path in result["outputs"] if str(path).endswith(characters.FILE_SUFFIX))
    rig, notes = apply.rig_objects(bpy.context, objects, characters.load(path), path)
    forget(payload)
    if payload.get("mesh"):  # what was written for the toolkit alone
        with contextlib.suppress(OSError):
            Path(str(payload["mesh"])).unlink()
    said = [f"'{objects[0].name}' is rigged", quality(result), *notes, from_files.terms(rig.armature)]
    return "; ".join(filter(None, said))


def marked(scene: Any, payload: Mapping[str, Any]) -> list[Any]:
    """The meshes of a job, in its order: by their marks, else by their names.

    Raises:
        UsageError: one is not in the scene any more.
    """
    found = []
    for number, name in enumerate(payload["names"]):
        same = [obj for obj in scene.objects if obj.get(MARK) == f"{payload['mark']} {number}"]
        obj = next((obj for obj in same if obj.name == name), same[0] if same else scene.objects.get(name))
        if obj is None or obj.type != "MESH":
            raise UsageError(f"'{name}' is not in the scene any more", hint="Rig it again")
        found.append(obj)
    return found


def forget(payload: Mapping[str, Any]) -> None:
    """Take the marks of a job off its meshes."""
    for obj in bpy.data.objects:
        if str(obj.get(MARK, "")).startswith(f"{payload['mark']} "):
            del obj[MARK]


def quality(result: Mapping[str, Any]) -> str:
    """How near the rig came, and what to look at, in words; empty where the toolkit does not say."""
    error = result.get("median_error_mm")
    said = [f"the fit is within {error:.1f} mm" if isinstance(error, (int, float)) else ""]
    warned = (jobs.for_artists(str(text)).rstrip(".") for text in result.get("warnings", ()))
    return "; ".join(filter(None, [*said, *warned]))


CLASSES = (HYOID_OT_rig_own_head,)
