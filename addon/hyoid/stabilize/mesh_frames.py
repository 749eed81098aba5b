# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh as the scene shows it on every frame of a range, in one .npz for the toolkit; frame by frame, in steps.

Neither the scene nor the mesh is touched: a copy of the object is evaluated in a private scene, which is gone after
each step. Positions are in the world, turned to +Y up.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..timeline.frames import scene_rate
from ..toolkit.blender import compat
from ..toolkit.errors import UsageError
from ..toolkit.files import part_file

FEWEST = 100
"""Vertices that can show a face."""
FINISHING = frozenset(
    (
        "ARRAY", "BEVEL", "BUILD", "COLLISION", "DATA_TRANSFER", "DECIMATE", "EDGE_SPLIT", "MASK", "MULTIRES",
        "NORMAL_EDIT", "OCEAN", "PARTICLE_SYSTEM", "REMESH", "SCREW", "SKIN", "SOLIDIFY", "SUBSURF", "TRIANGULATE",
        "UV_PROJECT", "UV_WARP", "VERTEX_WEIGHT_EDIT", "VERTEX_WEIGHT_MIX", "VERTEX_WEIGHT_PROXIMITY",
        "WEIGHTED_NORMAL", "WELD", "WIREFRAME",
    )
)  # fmt: skip
"""Modifiers that, behind the last one that bends the mesh, only finish it: they stay and are not read."""
TRANSFORMS = tuple(
    f"{delta}{name}"
    for delta in ("", "delta_")
    for name in ("location", "rotation_euler", "rotation_quaternion", "rotation_axis_angle", "scale")
)
_SIMULATED = ("CLOTH", "SOFT_BODY", "FLUID", "EXPLODE", "DYNAMIC_PAINT")
_NAME = "hyoid mesh frames"
_STEP = 0.2
"""Seconds of reading between two looks at the mouse."""
_STILL = 1e-6
"""Of the size of the mesh: less movement than this is none."""


def hindrance(obj: Any) -> str:
    """Why a mesh object cannot be stabilised now, in words for the artist; empty when it can."""
    if obj.library is not None or obj.override_library is not None:
        return f"'{obj.name}' is linked from another file: make it local first"
    if obj.mode != "OBJECT":
        return f"Go to Object Mode to stabilize '{obj.name}'"
    shown = [modifier for modifier in obj.modifiers if modifier.show_viewport]
    simulated = next((modifier.name for modifier in shown if modifier.type in _SIMULATED), None)
    if simulated is not None:
        return f"'{obj.name}' is simulated by its modifier '{simulated}': export it as Alembic and stabilize that"
    for modifier in list(obj.modifiers)[: depth(obj)]:
        if modifier.type in ("SUBSURF", "MULTIRES") and modifier.levels != modifier.render_levels:
            return (
                f"'{modifier.name}' of '{obj.name}' lies before what bends it: give it equal levels in view and render"
            )
    if abs(obj.matrix_world.determinant()) < 1e-18:
        return f"'{obj.name}' has a scale of zero"
    data = obj.animation_data
    if data is not None and data.use_tweak_mode:
        return f"An NLA strip of '{obj.name}' is being tweaked: leave it first (Tab in the NLA editor)"
    container = compat.playing(obj)
    if container is not None and any(curve.data_path in TRANSFORMS for curve in container.fcurves):
        if data.action.library is not None:
            return f"The action '{data.action.name}' of '{obj.name}' is linked from another file: make it local first"
        if compat.plays_elsewhere(data.action, [obj]):
            return f"The action '{data.action.name}' moves more than '{obj.name}': make it a single user first"
    return ""


def depth(obj: Any) -> int:
    """How many modifiers, from the top, shape what is read: all up to the last one that does more than finish."""
    bending = [index for index, modifier in enumerate(obj.modifiers) if modifier.type not in FINISHING]
    return bending[-1] + 1 if bending else 0


@contextmanager
def shown(scene: Any, obj: Any) -> Iterator[Callable[[float], tuple[np.ndarray, Any]]]:
    """A function that goes to a frame and gives what is to be seen there.

    Its result: vertices (n, 3) float64 in the world, and the evaluated mesh, which lives until the next call.
    """
    private, probe = bpy.data.scenes.new(_NAME), obj.copy()
    try:
        private.render.fps, private.render.fps_base = scene.render.fps, scene.render.fps_base
        for modifier in list(probe.modifiers)[depth(obj) :]:
            probe.modifiers.remove(modifier)
        probe.hide_viewport = False
        private.collection.objects.link(probe)
        layer = private.view_layers[0]
        held: list[Any] = []

        def at(frame: float) -> tuple[np.ndarray, Any]:
            while held:
                held.pop().to_mesh_clear()
            whole = int(np.floor(frame))
            private.frame_set(whole, subframe=frame - whole)
            evaluated = probe.evaluated_get(layer.depsgraph)
            mesh = evaluated.to_mesh()
            held.append(evaluated)
            points = np.empty(3 * len(mesh.vertices), np.float32)
            mesh.vertices.foreach_get("co", points)
            world = np.array(evaluated.matrix_world, np.float64)
            return points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3], mesh

        yield at
        while held:
            held.pop().to_mesh_clear()
    finally:
        bpy.data.objects.remove(probe)
        bpy.data.scenes.remove(private)


def write(path: Path, find: Callable[[], tuple[Any, Any]], frames: Sequence[int]) -> Iterator[int]:
    """Write the frames of a mesh; after each step it gives how many are written. Close it to give up.

    The file holds ``vertices`` (F, n, 3) float32, ``faces`` (m, 3) int32, ``fps``, and ``names``: the frames' numbers.

    Args:
        find: gives scene and object, or raises UsageError when they are gone; called anew in each step.

    Raises:
        UsageError: the object is gone, has too few vertices, changes its topology, or does not move.
        OutputError: the file cannot be written.
    """
    scene, obj = find()
    rate = scene_rate(scene)
    with shown(scene, obj) as at:
        first, mesh = at(frames[0])
        counts, faces = _counts(mesh), _triangles(mesh)
    _check_size(obj.name, first, faces)
    size = max(float(np.ptp(first, axis=0).max()), 1e-12)
    moved, done = 0.0, 0
    with part_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("vertices.npy", "w", force_zip64=12 * len(first) * len(frames) > 1 << 30) as stream:
            head: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": (len(frames), len(first), 3)}
            np.lib.format.write_array_header_1_0(stream, head)
            while done < len(frames):
                scene, obj = find()
                until = time.monotonic() + _STEP
                with shown(scene, obj) as at:
                    while done < len(frames):
                        points, mesh = at(frames[done])
                        _check_frame(obj.name, frames[done], points, _counts(mesh), counts)
                        moved = max(moved, float(np.abs(points - first).max()))
                        stream.write(to_toolkit(points).astype("<f4").tobytes())
                        done += 1
                        if time.monotonic() > until:  # behind the first frame, however long that takes
                            break
                yield done
        if moved < _STILL * size:
            raise UsageError(
                f"'{obj.name}' does not move between frame {frames[0]} and {frames[-1]}",
                hint="Choose the frames in which it does",
            )  # fmt: skip
        for name, array in (("faces", faces), ("fps", np.array(rate)), ("names", np.array([*map(str, frames)]))):
            with archive.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


def to_toolkit(points: np.ndarray) -> np.ndarray:
    """Points (..., 3) turned from +Z up to +Y up: (x, y, z) -> (x, z, -y)."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


def to_blender(points: np.ndarray) -> np.ndarray:
    """The way back."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1)


def keyed(obj: Any) -> tuple[float, float] | None:
    """First and last key of what moves a mesh: its object, its shape keys, its armature; None without keys."""
    owners = [obj, obj.data.shape_keys, obj.parent, *(getattr(modifier, "object", None) for modifier in obj.modifiers)]
    curves = [curve for owner in owners if owner is not None for curve in getattr(compat.playing(owner), "fcurves", ())]
    ends = [end for curve in curves for end in curve.range()]
    return (min(ends), max(ends)) if ends else None


def _counts(mesh: Any) -> tuple[int, int, int]:
    return len(mesh.vertices), len(mesh.polygons), len(mesh.loops)


def _triangles(mesh: Any) -> np.ndarray:
    """The faces of a mesh in triangles, (m, 3) int32."""
    mesh.calc_loop_triangles()
    corners = np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("vertices", corners)
    return corners.reshape(-1, 3)


def _check_size(name: str, points: np.ndarray, faces: np.ndarray) -> None:
    if len(points) < FEWEST:
        raise UsageError(f"'{name}' has {len(points)} vertices: too few for a face")
    if not len(faces):
        raise UsageError(f"'{name}' has no faces")


def _check_frame(
    name: str, frame: int, points: np.ndarray, counts: tuple[int, int, int], wanted: tuple[int, int, int]
) -> None:
    if counts != wanted:
        what = next((index for index in range(3) if counts[index] != wanted[index]), 0)
        kind = ("vertices", "faces", "face corners")[what]
        raise UsageError(
            f"'{name}' has {counts[what]} {kind} at frame {frame} and {wanted[what]} before",
            expected="the same mesh in every frame", hint="Stabilize a range in which its topology stays",
        )  # fmt: skip
    if not np.isfinite(points).all():
        raise UsageError(f"'{name}' has vertices without a place at frame {frame}", hint="Check what deforms it there")
