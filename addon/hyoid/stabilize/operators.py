# SPDX-License-Identifier: GPL-3.0-or-later
"""The button "Stabilize Head", what happens with its result, and the buttons for a mesh that is stabilised."""

from __future__ import annotations

import contextlib
import statistics
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from .. import jobs
from ..characters import find
from ..jobs import places
from ..takes import importer
from ..timeline import frames
from ..toolkit.errors import HyoidError, UsageError
from . import apply, mesh_frames, reading, records, result_files

HANDLER = "stabilize_head"
MARK = "hyoid_stabilizing"
"""Custom property of a mesh that is being stabilised, so that it is found under another name too."""
VIEWS = (
    (records.ORIGINAL, "Original", "The mesh as it was before"),
    (records.STABILIZED, "Stabilized", "The expression alone: the head holds still"),
    (records.BOTH, "Both", "Expression and head motion, apart: looks like the original"),
)


def chosen(context: Any) -> Any:
    """The mesh that is to be stabilised: the active one.

    Raises:
        UsageError: there is none, or it cannot be stabilised now.
    """
    active = context.view_layer.objects.active
    if active is None or active.type != "MESH":
        raise UsageError("no mesh is active", hint="Select the face whose head moves")
    if records.MARK in active:
        raise UsageError(f"'{active.name}' is stabilized already", hint="Press Remove to stabilize it anew")
    reason = mesh_frames.hindrance(active)
    if reason:
        raise UsageError(reason)
    if len(active.data.vertices) < mesh_frames.FEWEST and not len(active.modifiers):
        raise UsageError(f"'{active.name}' has {len(active.data.vertices)} vertices: too few for a face")
    return active


class HYOID_OT_stabilize(bpy.types.Operator):
    """Part what the face does from what the head does: the active mesh keeps its expressions and its skull holds still,
    the movement of the head goes onto a bone. Works on shape keys, Alembic and mesh caches, and any modifiers; they
    stay, muted"""

    bl_idname = "hyoid.stabilize"
    bl_label = "Stabilize Head"
    bl_options = {"REGISTER"}

    wait: bpy.props.BoolProperty(name="Wait", description="Come back when it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A mesh is active, in Object Mode, and nothing else is being read."""
        try:
            chosen(context)
            if reading.current() is not None:
                raise UsageError("another mesh is being read")
        except UsageError as error:
            cls.poll_message_set(str(error).partition(". ")[0])
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Begin to read the mesh; the job follows. In background mode all is done here and now."""
        try:
            said = start(context, self.wait)
        except (HyoidError, jobs.JobError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, said)
        return {"FINISHED"}


def start(context: Any, wait: bool = False) -> str:
    """Read the chosen mesh and hand it to the toolkit; what to tell.

    Raises:
        HyoidError: it cannot be stabilised. JobError: there is no toolkit, or it failed.
    """
    jobs.toolkit(context)
    obj, settings, scene = chosen(context), context.scene.hyoid_stabilize, context.scene
    first, last = frames.chosen(settings, scene, mesh_frames.keyed(obj))
    if first == last:
        raise UsageError(f"there is one frame only, {first}", hint="Choose a range in which the head moves")
    if settings.target == "CURRENT" and not first <= scene.frame_current <= last:
        raise UsageError(f"frame {scene.frame_current}, the target, is not between {first} and {last}")
    payload = payload_of(context, obj, first, last)
    obj[MARK] = payload["mark"]
    label = f"Stabilize: {obj.name[:40]}"
    scene_name, source = scene.name, Path(payload["source"])
    made: list[jobs.Job] = []

    def there() -> tuple[Any, Any]:
        here = bpy.data.scenes.get(scene_name)
        return here, marked(here, payload)

    def submit() -> None:
        scene, obj = there()
        with places.in_scene(scene):
            made.append(submitted(scene, obj, payload, label, wait))

    def dropped() -> None:
        forget(payload)
        with contextlib.suppress(OSError):
            source.unlink()

    steps = mesh_frames.write(source, there, range(first, last + 1))
    work = reading.Reading(label, last - first + 1, steps, submit, dropped)
    reading.begin(work, wait)
    if made:
        return made[0].message or f"'{obj.name}' is being stabilized; see the panel"
    return f"'{obj.name}' is being read; see the panel"


def payload_of(context: Any, obj: Any, first: int, last: int) -> dict[str, Any]:
    """All that has to be known of the settings when the result comes: plain values.

    Raises:
        UsageError: no armature or character is chosen where one has to be. JobError: there is no folder to write to.
    """
    settings, mark = context.scene.hyoid_stabilize, uuid.uuid4().hex
    payload: dict[str, Any] = {
        "mark": mark, "name": obj.name, "first": first, "frames": last - first + 1, "armature": "", "bone": "",
        "source": str(jobs.output_folder(context) / f".hyoid-mesh-{mark}.npz"), "method": settings.method,
        "smooth": round(settings.smooth, 4),
        "target": str(context.scene.frame_current) if settings.target == "CURRENT" else None,
    }  # fmt: skip
    if settings.head == "BONE":
        if settings.armature is None:
            raise UsageError("no armature is chosen", hint="Choose whose bone takes the head motion, or a new armature")
        apply.check_bone(settings.armature, settings.bone)
        payload |= {"armature": settings.armature.name, "bone": settings.bone}
    if settings.solve:
        if settings.character is None:
            raise UsageError("no character is chosen for the ARKit shapes", hint="Choose one, or untick it")
        payload["character"] = find.named(settings.character)
    return payload


def submitted(scene: Any, obj: Any, payload: dict[str, Any], label: str, wait: bool) -> jobs.Job:
    """The job for a mesh that is read.

    Raises:
        JobError: there is no toolkit or folder; or, when waiting, the job failed.
    """
    context, source = bpy.context, Path(payload["source"])
    output = jobs.output_path(context, f"{obj.name}-stabilized", ".npz")
    motion = output.with_suffix(".head.csv")
    take = output.with_suffix(".take.npz") if "character" in payload else None
    payload = payload | {"output": str(output), "motion": str(motion), "take": str(take or "")}
    return jobs.submit(
        context, "stabilize", options(payload), label=label, handler=HANDLER, payload=payload, made=[source], wait=wait
    )


def options(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The job of the toolkit; it finds the unit of the mesh by itself."""
    said: dict[str, Any] = {
        "meshes": [payload["source"]], "output": [payload["output"]], "motion": [payload["motion"]],
        "target": payload["target"], "order": "sequence", "method": payload["method"], "smooth": payload["smooth"],
    }  # fmt: skip
    if payload.get("take"):
        said |= {"shapes": "human", "motion": [payload["motion"], payload["take"]]}
    return said


def finish(scene: Any, payload: dict[str, Any], result: dict[str, Any]) -> str:
    """Handler of the job: expression and head motion go onto the mesh that was read.

    Raises:
        HyoidError: the mesh is gone or was changed, or the result cannot be read.
    """
    with contextlib.suppress(OSError):  # it was written for the toolkit alone
        Path(payload["source"]).unlink()
    obj = marked(scene, payload)
    reason = mesh_frames.hindrance(obj) or (f"'{obj.name}' is stabilized already" if records.MARK in obj else "")
    if reason:
        raise UsageError(reason)
    output, first = Path(payload["output"]), int(payload["first"])
    vertices = result_files.read_vertices(output, int(payload["frames"]))
    moves = result_files.read_motion(Path(payload["motion"]), int(payload["frames"]))
    apply.check_unchanged(scene, obj, vertices, moves, first)
    name = payload["armature"]
    armature = scene.objects.get(name) if name else None
    if name and armature is None:
        raise UsageError(f"the armature '{name}' is not in the scene any more", hint="Stabilize it again")
    record = apply.separate(
        scene, obj, vertices, moves, first, output.with_suffix(".pc2"), armature, payload["bone"]
    )  # fmt: skip
    record.target, record.method = str(result.get("target", "")), str(result.get("method", ""))
    record.confidence = _numbers(result, "confidence", len(moves))
    record.residual_mm = _numbers(result, "residual_mm", len(moves))
    records.keep(obj, record)
    forget(payload)
    said = [f"'{obj.name}' is stabilized", quality(record), _temporary(), _solved(scene, payload)]
    return "; ".join(filter(None, said))


def _numbers(result: Mapping[str, Any], name: str, count: int) -> list[float]:
    """One number a frame, or none where the toolkit does not tell them."""
    values = result.get(name)
    if not isinstance(values, list) or len(values) != count:
        return []
    return [float(value) if isinstance(value, (int, float)) else 0.0 for value in values]


def _temporary() -> str:
    """What to say where the cache lies in a folder that may be emptied."""
    kept = bpy.data.filepath or jobs.settings(bpy.context).output_folder
    return "" if kept else "its cache lies in a temporary folder: save the .blend first to have it beside that"


def _solved(scene: Any, payload: Mapping[str, Any]) -> str:
    """Put the ARKit take onto the character that was chosen; what was done, or why not."""
    if not payload.get("take"):
        return ""
    target = find.found(scene, payload["character"])
    if target is None:
        return f"the character of the ARKit shapes is gone; they lie in {payload['take']}"
    try:
        return importer.finish_job(
            scene, {**payload["character"], "start": payload["first"], "sound": False}, {"outputs": [payload["take"]]}
        )  # fmt: skip
    except HyoidError as error:
        return f"the ARKit shapes are left out: {error}"


def quality(record: records.Record) -> str:
    """How sure the result is, in words."""
    said = []
    if record.residual_mm:
        said.append(f"still skin within {statistics.median(record.residual_mm):.2f} mm")
    if record.confidence:
        count = len(record.uncertain())
        said.append(f"{count} of {len(record.confidence)} frames are uncertain" if count else "no frame is uncertain")
    return ", ".join(said)


def marked(scene: Any, payload: Mapping[str, Any]) -> Any:
    """The mesh of a job: by its mark, else by its name.

    Raises:
        UsageError: it is not in the scene any more.
    """
    every = list(scene.objects) if scene is not None else []
    same = [obj for obj in every if obj.get(MARK) == payload["mark"]]
    named = [obj for obj in every if obj.name == payload["name"] and obj.type == "MESH"]
    if not same and not named:
        raise UsageError(f"'{payload['name']}' is not in the scene any more", hint="Stabilize it again")
    return next((obj for obj in same if obj in named), (same or named)[0])


def forget(payload: Mapping[str, Any]) -> None:
    """Take the mark of a job off its mesh."""
    for obj in bpy.data.objects:
        if obj.get(MARK) == payload["mark"]:
            del obj[MARK]


class HYOID_OT_cancel_reading(bpy.types.Operator):
    """Stop reading the mesh; nothing is changed"""

    bl_idname = "hyoid.cancel_reading"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    def execute(self, context: Any) -> set[str]:
        """Stop."""
        reading.cancel()
        return {"FINISHED"}


class _OfStabilized:
    """Base of the buttons for a stabilised mesh."""

    @classmethod
    def poll(cls, context: Any) -> bool:
        """The active mesh is stabilised."""
        if records.of(context.view_layer.objects.active) is None:
            cls.poll_message_set("The active mesh is not stabilized: press Stabilize Head")
            return False
        return True


class HYOID_OT_view_stabilized(_OfStabilized, bpy.types.Operator):
    """Show the active mesh as it was, with its expression alone, or with expression and head motion apart"""

    bl_idname = "hyoid.view_stabilized"
    bl_label = "Show"
    bl_options = {"REGISTER", "UNDO"}

    view: bpy.props.EnumProperty(name="Show", description="What is to be seen", items=VIEWS, default=records.BOTH)

    @classmethod
    def description(cls, context: Any, properties: Any) -> str:
        """The tooltip of one of the three buttons."""
        return next(text for name, _, text in VIEWS if name == properties.view)

    def execute(self, context: Any) -> set[str]:
        """Show it so."""
        try:
            records.show(context.view_layer.objects.active, self.view)
        except UsageError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class HYOID_OT_next_uncertain_frame(_OfStabilized, bpy.types.Operator):
    """Go to the next frame in which the skull was hard to find; after the last one, to the first"""

    bl_idname = "hyoid.next_uncertain_frame"
    bl_label = "Next Uncertain Frame"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Any) -> set[str]:
        """Set the scene's frame."""
        record, scene = records.of(context.view_layer.objects.active), context.scene
        numbers = record.uncertain() if record else []
        if not numbers:
            self.report({"INFO"}, "No frame is uncertain")
            return {"CANCELLED"}
        scene.frame_set(next((number for number in numbers if number > scene.frame_current), numbers[0]))
        return {"FINISHED"}


class HYOID_OT_remove_stabilized(_OfStabilized, bpy.types.Operator):
    """Take the cache and the head bone away; the mesh is what it was. The files that were written stay"""

    bl_idname = "hyoid.remove_stabilized"
    bl_label = "Remove"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Any) -> set[str]:
        """Remove."""
        records.remove(context.view_layer.objects.active)
        return {"FINISHED"}


CLASSES = (
    HYOID_OT_stabilize,
    HYOID_OT_cancel_reading,
    HYOID_OT_view_stabilized,
    HYOID_OT_next_uncertain_frame,
    HYOID_OT_remove_stabilized,
)
