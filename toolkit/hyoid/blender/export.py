# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""From a job folder to a file: read the job, build the scene, write .blend, .fbx or .abc. Runs inside Blender."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import compat, head_motion_scene, scene


class ExportError(Exception):
    """A failure with a kind that the parent turns into a typed error: ``input``, ``output``, ``usage``, ``bug``."""

    def __init__(self, found: str, kind: str = "output", path: str | None = None, hint: str | None = None) -> None:
        super().__init__(found)
        self.kind, self.path, self.hint = kind, path, hint


def run(folder: Path, emit: Any) -> None:
    """Do the job in ``folder`` (``job.json`` and ``arrays.npz``) and send progress through ``emit``.

    A job that names a ``task`` is one of point caches or of renders, see ``points`` and ``render_scene``.

    Raises:
        ExportError: Blender refused to write.
    """
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    if "task" in job:
        from . import points, render_scene

        tasks = render_scene if job["task"] in ("read scene", "render") else points
        tasks.run(job, folder, emit)
        return
    with np.load(folder / "arrays.npz", allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if job.get("kind") == head_motion_scene.KIND:
        built = head_motion_scene.build(compat.new_scene(), job, arrays, emit)
    else:
        built = scene.build(compat.new_scene(), job, arrays, folder, emit)
    emit(event="progress", fraction=0.6, what=f"writing {job['format'][1:]}")
    writer = {".blend": _write_blend, ".fbx": _write_fbx, ".abc": _write_abc}[job["format"]]
    with progress_by_frame(emit, 0.6, 0.99, f"writing {job['format'][1:]}"):
        writer(Path(job["path"]), built)
    if not Path(job["path"]).is_file():
        raise ExportError("Blender wrote no file")
    emit(event="progress", fraction=1.0, what="written")


@contextmanager
def progress_by_frame(emit: Any, low: float, high: float, what: str) -> Iterator[None]:
    """Send progress while an exporter steps through the frames, a hundred times at most."""
    scene = bpy.context.scene
    first, count = scene.frame_start, max(scene.frame_end - scene.frame_start, 1)
    reached = 0

    def stepped(scene: Any, *_: Any) -> None:
        nonlocal reached
        percent = 100 * (scene.frame_current - first) // count
        if reached < percent <= 100:
            reached = percent
            emit(event="progress", fraction=low + (high - low) * percent / 100, what=what)

    bpy.app.handlers.frame_change_post.append(stepped)
    try:
        yield
    finally:
        bpy.app.handlers.frame_change_post.remove(stepped)


def _write_blend(path: Path, built: scene.Built) -> None:
    bpy.context.preferences.filepaths.save_version = 0
    _finish(bpy.ops.wm.save_as_mainfile, filepath=str(path), compress=True, check_existing=False)


def _write_fbx(path: Path, built: scene.Built) -> None:
    """Armature, meshes and shape keys with every frame baked, in metres, +Y up."""
    _select([built.armature, *built.meshes])
    with compat.reproducible_fbx():
        _finish(
            bpy.ops.export_scene.fbx,
            filepath=str(path),
            check_existing=False,
            use_selection=True,
            object_types={"ARMATURE", "MESH"},
            use_mesh_modifiers=False,
            mesh_smooth_type="OFF",
            add_leaf_bones=False,
            apply_scale_options="FBX_SCALE_ALL",
            axis_forward="-Z",
            axis_up="Y",
            bake_anim=built.animated,
            bake_anim_use_all_bones=True,
            bake_anim_use_nla_strips=False,
            bake_anim_use_all_actions=False,
            bake_anim_force_startend_keying=True,
            bake_anim_step=1.0,
            bake_anim_simplify_factor=0.0,
            path_mode="COPY",
            embed_textures=True,
        )


def _write_abc(path: Path, built: scene.Built) -> None:
    """The deformed meshes frame by frame; Alembic knows no rigs."""
    write_alembic(path, built.meshes)


def write_alembic(path: Path, objects: list[Any]) -> None:
    """Write mesh objects as they are in every frame of the scene.

    Raises:
        ExportError: Blender refused to write.
    """
    path.touch()  # its exporter says neither that the folder is missing nor that it is read-only
    _select(objects)
    _finish(
        bpy.ops.wm.alembic_export,
        filepath=str(path),
        check_existing=False,
        as_background_job=False,
        selected=True,
        flatten=True,
        start=bpy.context.scene.frame_start,
        end=bpy.context.scene.frame_end,
        uvs=True,
        packuv=False,
        face_sets=True,
        export_hair=False,
        export_particles=False,
        evaluation_mode="RENDER",
    )
    compat.fix_abc_date(path)


def _select(objects: list[Any]) -> None:
    layer = bpy.context.view_layer
    for other in layer.objects:
        other.select_set(other in objects)
    layer.objects.active = objects[0]


def _finish(operator: Any, **options: Any) -> None:
    """Call an operator; a returned set without FINISHED is a failure, and so is an exception."""
    try:
        result = operator(**options)
    except RuntimeError as error:
        raise _refused(str(error)) from error
    if "FINISHED" not in result:
        raise ExportError(f"Blender gave up without a reason ({operator.idname_py()})")


def _refused(text: str) -> ExportError:
    """What an operator's exception means: its first line, or the last line of the Python traceback in it."""
    lines = [line.strip().removeprefix("Error: ") for line in text.splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"\w+(Error|Exception)\b", line)]
    if raised and not raised[-1].startswith(("OSError", "PermissionError", "FileNotFoundError")):
        return ExportError(f"Blender's exporter failed: {raised[-1]}", kind="bug")
    reason = re.sub(r"^\w+Error: (\[Errno \d+\] )?", "", raised[-1]) if raised else lines[0]
    return ExportError(f"cannot be written: {reason}", hint="Free some space or choose another folder")
