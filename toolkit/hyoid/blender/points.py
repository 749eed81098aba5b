# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Alembic point caches inside Blender: all meshes of a file to raw positions, and a point cache to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import compat
from .export import ExportError, progress_by_frame, write_alembic


def run(job: dict[str, Any], folder: Path, emit: Any) -> None:
    """Do a job of one of the tasks ``read points`` and ``write points``.

    Raises:
        ExportError: the file cannot be read or written.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    set_rate(scene, job["fps"])
    (_read if job["task"] == "read points" else _write)(scene, job, folder, emit)


def set_rate(scene: Any, fps: float) -> None:
    """The rate of a scene: Blender keeps a whole number and a divisor."""
    scene.render.fps = max(round(fps), 1)
    scene.render.fps_base = scene.render.fps / fps


def _read(scene: Any, job: dict[str, Any], folder: Path, emit: Any) -> None:
    """``points.raw``: float32 of all meshes, frame after frame, +Y up; ``topology.npz``: counts, sizes and corners."""
    try:
        result = bpy.ops.wm.alembic_import(filepath=job["path"], as_background_job=False)
    except RuntimeError as error:
        raise ExportError(f"cannot be read as Alembic ({str(error).strip()})", "input") from error
    if result != {"FINISHED"}:
        raise ExportError("cannot be read as Alembic", "input")
    objects = sorted((item for item in scene.objects if item.type == "MESH"), key=lambda item: item.name)
    counts: list[int] = []
    with open(folder / "points.raw", "wb") as stream:
        for number, time in enumerate(job["times"]):
            frame = time * job["fps"]
            whole = int(np.floor(frame + 1e-4))
            scene.frame_set(whole, subframe=min(max(frame - whole, 0.0), 1.0))
            graph = bpy.context.evaluated_depsgraph_get()
            points = [_world(item.evaluated_get(graph)) for item in objects]
            if number == 0:
                counts = [len(one) for one in points]
                _topology(objects, graph, folder)
            for item, one, count in zip(objects, points, counts, strict=True):
                if len(one) != count:
                    found = f"frame {number}: '{item.name}' has {len(one)} vertices; the first frame has {count}"
                    raise ExportError(found, "input")
                stream.write(one.data.cast("B"))
            emit(event="progress", fraction=(number + 1) / len(job["times"]), what="reading meshes")
    if not sum(counts):
        raise ExportError("holds no meshes", "input")


def _world(shown: Any) -> np.ndarray:
    """The vertices of an evaluated object in the world, (n, 3) float32, +Y up."""
    mesh = shown.to_mesh()
    flat = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", flat)
    shown.to_mesh_clear()
    matrix = np.array(shown.matrix_world)
    local = flat.reshape(-1, 3)
    # The importer turns +Y up to +Z up by the object's matrix: both turns in one leave the numbers as they were.
    turn = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]) @ matrix
    turn[np.abs(turn - np.round(turn)) < 1e-6] = np.round(turn[np.abs(turn - np.round(turn)) < 1e-6])
    return np.ascontiguousarray(local @ turn[:3, :3].T + turn[:3, 3], "<f4")


def _topology(objects: list[Any], graph: Any, folder: Path) -> None:
    counts, sizes, corners, first = [], [], [], 0
    for item in objects:
        shown = item.evaluated_get(graph)
        mesh = shown.to_mesh()
        size, corner = np.empty(len(mesh.polygons), np.int32), np.empty(len(mesh.loops), np.int32)
        mesh.polygons.foreach_get("loop_total", size)
        mesh.loops.foreach_get("vertex_index", corner)
        counts.append(len(mesh.vertices))
        sizes.append(size)
        corners.append(corner + first)
        first += len(mesh.vertices)
        shown.to_mesh_clear()
    none = [np.zeros(0, np.int32)]
    np.savez(
        folder / "topology.npz", counts=np.array(counts, np.int64), sizes=np.concatenate(none + sizes),
        corners=np.concatenate(none + corners),
    )  # fmt: skip


def _write(scene: Any, job: dict[str, Any], folder: Path, emit: Any) -> None:
    """One mesh object that ``points.pc2`` moves, through Blender's exporter."""
    cache = folder / "points.pc2"
    with np.load(folder / "topology.npz", allow_pickle=False) as archive:
        faces = archive["faces"]
    mesh = bpy.data.meshes.new(job["name"])
    mesh.vertices.add(job["vertices"])
    mesh.vertices.foreach_set("co", np.fromfile(cache, "<f4", 3 * job["vertices"], offset=32))
    corner = np.ones(faces.shape, bool)
    corner[:, 3] = faces[:, 3] != faces[:, 2]  # a triangle repeats its last index
    sizes = corner.sum(1)
    mesh.loops.add(int(sizes.sum()))
    mesh.loops.foreach_set("vertex_index", faces[corner].astype(np.int32))
    mesh.polygons.add(len(faces))
    compat.set_polygons(mesh, np.cumsum(sizes) - sizes, sizes)
    mesh.update(calc_edges=True)
    made = bpy.data.objects.new(job["name"], mesh)
    scene.collection.objects.link(made)
    scene.frame_start, scene.frame_end = 1, job["frames"]
    if job["frames"] > 1:
        modifier = made.modifiers.new("Cache", "MESH_CACHE")
        modifier.cache_format, modifier.filepath = "PC2", str(cache)
        modifier.interpolation, modifier.frame_start = "NONE", 1.0
    scene.frame_set(1)  # until something is evaluated, the exporter sees no object as selected
    with progress_by_frame(emit, 0.0, 0.99, "writing abc"):
        write_alembic(Path(job["path"]), [made])
    if not Path(job["path"]).is_file():
        raise ExportError("Blender wrote no file")
