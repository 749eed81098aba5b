# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking, thinning out and exporting. Every operator runs without a window too."""

import os
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy_extras.io_utils import ExportHelper

from .. import jobs
from ..characters import find
from ..characters.active import has_character, rig_in, told
from ..timeline import fcurves, frames
from ..toolkit.blender import compat
from ..toolkit.errors import HyoidError, UsageError
from . import bake, reduce, sample, write

_FOLDER = "hyoid-export-"
"""How the temporary folders of takes begin that the toolkit turns into files."""

_GLOB = ";".join(sorted({f"*{entry.suffix}" for entry in write.FORMATS.values()}))


class HYOID_OT_bake_performance(frames.RangeOptions, bpy.types.Operator):
    """Write all that the scene shows of the character (shapes, bones, NLA, drivers, constraints) as one plain action.
    The former actions stay in the file; NLA tracks and your constraints are muted"""

    bl_idname = "hyoid.bake_performance"
    bl_label = "Bake Performance"
    bl_options = {"REGISTER", "UNDO"}

    name: bpy.props.StringProperty(name="Action", description="Name of the new action; empty takes the character's")
    step: bpy.props.IntProperty(name="Step", description="Frames between two keys", default=1, min=1, max=100)

    @classmethod
    def poll(cls, context: Any) -> bool:
        return has_character(cls, context)

    def draw(self, context: Any) -> None:
        self.layout.use_property_split = True
        self.layout.prop(self, "name")
        frames.draw(self.layout, self)
        self.layout.prop(self, "step")

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            rig = rig_in(context)
            first, last = frames.chosen(self, context.scene, _extent(rig.armature, rig))
            times = np.unique(np.append(np.arange(first, last, self.step, dtype=float), last))
            name = self.name.strip() or f"{rig.armature.name} baked"
            with _progress(context) as progress:
                action, count = bake.performance(rig, context.scene, times, name, progress)
            return f"'{action.name}' holds the whole performance: {count} keys on {len(times)} frames"

        return told(self, work)


class HYOID_OT_reduce_keys(frames.RangeOptions, bpy.types.Operator):
    """Take out keys that straight lines between the others replace within a tolerance, so that the curves can be edited
    by hand. Closed lips and blinks stay exact. Works on the character, else on the active object"""

    bl_idname = "hyoid.reduce_keys"
    bl_label = "Reduce Keys"
    bl_options = {"REGISTER", "UNDO"}

    frame_range: bpy.props.EnumProperty(
        name="Range", description="Frames to work on", items=frames.RANGES, default="KEYS"
    )
    tolerance: bpy.props.FloatProperty(
        name="Tolerance", description="How far a shape key or another number may be off (shape keys go from 0 to 1)",
        default=0.01, min=0.0001, soft_max=0.1, max=1.0, precision=4, step=0.1,
    )  # fmt: skip
    degrees: bpy.props.FloatProperty(
        name="Rotations", description="How far the rotation of a bone may be off, degrees",
        default=0.1, min=0.001, soft_max=2.0, max=45.0, precision=3, step=1,
    )  # fmt: skip
    millimetres: bpy.props.FloatProperty(
        name="Places (mm)", description="How far a bone or the larynx may be off, millimetres",
        default=0.2, min=0.001, soft_max=5.0, max=100.0, precision=3, step=1,
    )  # fmt: skip
    selected: bpy.props.BoolProperty(
        name="Selected Curves Only", default=False,
        description="Only curves that are selected in the Graph Editor or the Dope Sheet",
    )  # fmt: skip

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.view_layer.objects.active is not None or find.active_rig(context) is not None:
            return True
        cls.poll_message_set("Nothing is selected: select a character or an animated object")
        return False

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.use_property_split = True
        column = layout.column(align=True)
        for name in ("tolerance", "degrees", "millimetres"):
            column.prop(self, name)
        layout.prop(self, "selected")
        frames.draw(layout, self)

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            scene, active = context.scene, context.view_layer.objects.active
            rig = find.rig_of(active)
            if rig is None and (active is None or not reduce.owners_of(active, None)):
                rig = find.active_rig(context)
            target = active if rig is None else rig.armature
            owners = reduce.owners_of(target, rig)
            span = None
            if self.frame_range != "KEYS":
                span = tuple(float(frame) for frame in frames.chosen(self, scene, None))
            metres = self.millimetres / 1000
            tolerance = reduce.Tolerance(self.tolerance, self.degrees, self.millimetres, metres)
            first, seconds, events = 0.0, 0.0, ()
            extent = _extent(target, rig)
            if extent is not None:
                first, seconds = extent[0], (extent[1] - extent[0] + 1) / frames.scene_rate(scene)
                events = sample.events_on(target, scene, first, seconds)
            origin = (first, frames.scene_rate(scene))
            return str(reduce.reduce(owners, tolerance, span, selected=self.selected, events=events, origin=origin))

        return told(self, work)


class HYOID_OT_export_take(frames.RangeOptions, bpy.types.Operator, ExportHelper):
    """Export what the scene shows of the character: to a take or a table at once, to glTF, USD, FBX, Alembic, a film or
    a picture through the toolkit"""

    bl_idname = "hyoid.export_take"
    bl_label = "Export Performance"
    bl_options = {"REGISTER"}

    filename_ext = ".take.npz"
    filepath: bpy.props.StringProperty(
        name="File Path", description="File to write", maxlen=1024, subtype="FILE_PATH", options=compat.RELATIVE
    )
    filter_glob: bpy.props.StringProperty(default=_GLOB, options={"HIDDEN"})
    format: bpy.props.EnumProperty(
        name="Format", description="Kind of file", default="TAKE",
        items=write.ITEMS,
    )  # fmt: skip
    fps: bpy.props.FloatProperty(
        name="Frame Rate",
        description="Frames a second of the file; 0 takes the scene's",
        default=0.0,
        min=0.0,
        max=1000.0,
    )
    sound: bpy.props.BoolProperty(
        name="Sound", description="Refer to the sound on the timeline; films and .blend files carry it", default=True
    )
    overwrite: bpy.props.BoolProperty(
        name="Overwrite", description="Replace a file of that name", default=True, options={"HIDDEN"}
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return _mapped(context) is not None or has_character(cls, context)

    def invoke(self, context: Any, event: Any) -> set[str]:
        if not self.filepath:
            self.filepath = str(
                Path(_folder())
                / (_stem(_mapped(context) or find.active_rig(context).armature) + write.FORMATS[self.format].suffix)
            )
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, context: Any) -> bool:
        wanted = write.with_suffix(self.filepath, write.FORMATS[self.format].suffix)
        changed = wanted != self.filepath
        self.filepath = wanted
        return changed

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "format")
        if not write.FORMATS[self.format].here:
            layout.label(text="Made by the toolkit; see the panel", icon="INFO")
        frames.draw(layout, self)
        layout.prop(self, "fps")
        if self.fps == 0:
            layout.label(text=f"0 takes the scene's {frames.scene_rate(context.scene):.4g}", icon="BLANK1")
        layout.prop(self, "sound")

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            if not self.filepath:
                raise UsageError("no file is named", expected="a path to write to")
            if not self.properties.is_property_set("format"):
                self.format = write.kind_of(self.filepath) or self.format
            entry = write.FORMATS[self.format]
            path = Path(os.path.abspath(bpy.path.abspath(write.with_suffix(self.filepath, entry.suffix))))
            if path.exists() and not self.overwrite:
                raise UsageError("exists already", path=path, hint="Choose another name, or allow to overwrite it")
            mesh, scene = _mapped(context), context.scene
            rig = None if mesh else rig_in(context)
            first, last = frames.chosen(self, scene, _extent(mesh or rig.armature, rig))
            with _progress(context) as progress:
                if mesh:
                    take = sample.take_of_mesh(mesh, scene, first, last, self.fps or None, progress)
                else:
                    take = sample.take_of(rig, scene, first, last, self.fps or None, progress)
            if not self.sound:
                take = replace(take, audio=None)
            if entry.here:
                write.write_here(path, take, self.format)
                return f"{path.name} is written: {take.frames} frames, {take.seconds:.2f} s"
            return self._through_toolkit(context, take, path)

        return told(self, work)

    def _through_toolkit(self, context: Any, take: Any, path: Path) -> str:
        folder = tempfile.mkdtemp(prefix=_FOLDER)
        source = os.path.join(folder, "performance.take.npz")
        try:
            jobs.toolkit(context)
            write.write_here(Path(source), take, "TAKE")
            jobs.submit(
                context, "convert", {"source": source, "outputs": [str(path)]},
                label=f"Export {path.name}", handler="export_take", payload={"folder": folder},
            )  # fmt: skip
        except (jobs.JobError, HyoidError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise error if isinstance(error, HyoidError) else UsageError(str(error)) from error
        return f"{path.name} is written" if bpy.app.background else f"{path.name} is being made; see the panel"


def exported(scene: Any, payload: dict[str, Any], result: dict[str, Any]) -> str:
    """Handler of export jobs: the take that was handed to the toolkit goes, the result is told."""
    folder = str(payload.get("folder", ""))
    if os.path.basename(folder).startswith(_FOLDER):
        shutil.rmtree(folder, ignore_errors=True)
    return "Written: " + ", ".join(Path(path).name for path in result.get("outputs", []))


class _progress:
    """Blender's progress cursor while frames are evaluated."""

    def __init__(self, context: Any) -> None:
        self.manager = context.window_manager

    def __enter__(self) -> Any:
        self.manager.progress_begin(0, 100)
        return lambda share: self.manager.progress_update(int(100 * share))

    def __exit__(self, *_: object) -> None:
        self.manager.progress_end()


def _extent(target: Any, rig: Any | None) -> tuple[float, float] | None:
    """First and last frame of the keys of an object or a character, NLA strips included."""
    ends: list[float] = []
    for owner in reduce.ids_of(target, rig):
        container = compat.playing(owner)
        if container is not None:
            ends += [edge for curve in container.fcurves for edge in curve.range()]
        if fcurves.has_nla(owner):
            tracks = [track for track in owner.animation_data.nla_tracks if not track.mute]
            strips = [strip for track in tracks for strip in track.strips]
            ends += [edge for strip in strips for edge in (strip.frame_start, strip.frame_end)]
    return (min(ends), max(ends)) if ends else None


def _mapped(context: Any) -> Any | None:
    """The active object, if it is no Hyoid character, but a mesh with a shape map that can be read backwards."""
    obj = context.view_layer.objects.active
    if obj is None or obj.type != "MESH" or find.rig_of(obj) is not None:
        return None
    return obj if sample.reversible(obj) else None


def _folder() -> str:
    return os.path.dirname(bpy.data.filepath) or os.path.expanduser("~")


def _stem(obj: Any) -> str:
    blend, name = Path(bpy.data.filepath).stem, obj.name.removesuffix("_rig")
    return re.sub(r'[<>:"/\\|?*]', "_", f"{blend}_{name}" if blend else name)


CLASSES = (HYOID_OT_bake_performance, HYOID_OT_reduce_keys, HYOID_OT_export_take)
