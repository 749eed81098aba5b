# SPDX-License-Identifier: Apache-2.0
"""The head motion of stabilised meshes as a .blend: a bone or an empty that moves as the head did.

A mesh may hang on it: the target, which then shows the head moving, or all stabilised frames in a point cache beside
the file, so that the mesh shows the expression while the bone moves the head. Either can be switched off.
"""

from __future__ import annotations

import json
import struct
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hyoid.blender import pack
from hyoid.characters.head_motion import in_metres
from hyoid.errors import InputError, UsageError
from hyoid.files import final_path
from hyoid.formats.checks import finite, frame_rate, shaped
from hyoid.geometry import rotations
from hyoid.geometry.registration import Similarity
from hyoid.geometry.rigid import Rigid
from hyoid.report import SILENT, Report
from hyoid.take import Provenance

KINDS = ("armature", "empty")
JOB = "head_motion"
"""The ``kind`` of the job that ``head_motion_scene`` does."""
_TO_BLENDER = Similarity(1.0, np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), np.zeros(3))
_FIRST = 1  # the scene's frame of frame 0, as in animation.py, which needs Blender
_BLOCK = 1 << 22  # numbers of a point cache that are in memory at once
_SIZE = 0.25  # metres: a head, where no mesh tells its size


def write(
    path: Path,
    motion: Rigid,
    placement: Similarity,
    fps: float,
    report: Report = SILENT,
    *,
    kind: str = "armature",
    mesh: tuple[np.ndarray, np.ndarray] | None = None,
    points: Path | None = None,
    pivot: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    residual_mm: np.ndarray | None = None,
    name: str | None = None,
    provenance: Provenance | None = None,
) -> None:
    """Write a .blend in which a bone ``head`` of the armature ``HeadMotion``, or an empty, moves as the head did.

    With ``points`` a folder ``NAME_files`` appears beside the file, and the modifier ``Expression`` plays it.

    Args:
        motion: F frames, in the unit and axes of the mesh file. placement: from there to metres, +Y up.
        kind: one of :data:`KINDS`.
        mesh: vertices (N, 3) of the target in the file's unit and axes, and faces (n, 4), a triangle repeating its
            last index; it hangs on the bone. None: no mesh.
        points: a file of raw little-endian float32, (F, N, 3): the stabilised vertices, as the target's.
        pivot: (3,) in the file's unit and axes, where the bone stands; None takes the middle of the mesh, or the
            file's origin.
        confidence, residual_mm: (F,) animated properties, or None.
        name: of the action; the file name without its suffix when None.

    Raises:
        UsageError: another suffix or kind, or points without a mesh.
        InputError: arrays disagree or hold numbers that are not finite, or ``points`` is not what it should be.
        MissingToolError: bpy is not installed, or HYOID_BLENDER names something that is not Blender.
        OutputError, OSError: the file cannot be written.
    """
    path = Path(path)
    _check_choices(path, kind, mesh is not None, points is not None)
    _check(motion, fps, {"the confidence": confidence, "the residual": residual_mm}, path)
    to_world = _TO_BLENDER.after(placement)
    arrays = _arrays(motion, to_world, mesh, pivot, path)
    arrays |= {k: v for k, v in (("confidence", confidence), ("residual_mm", residual_mm)) if v is not None}
    from hyoid.blender import process

    command, environment = process.blender_command()
    job = {
        "kind": JOB, "holder": kind, "path": str(path.resolve()), "format": ".blend", "name": name or path.stem,
        "fps": float(fps), "frames": len(motion), "cache": None,
        "provenance": None if provenance is None else json.dumps(asdict(provenance), sort_keys=True, default=str),
    }  # fmt: skip
    if points is not None and mesh is not None:
        cache = path.with_name(f"{path.stem}_files") / f"{path.stem}.pc2"
        cache.parent.mkdir(exist_ok=True)
        write_point_cache(cache, Path(points), len(motion), len(mesh[0]), to_world, report.stage(0.0, 0.5))
        job["cache"] = f"//{cache.parent.name}/{cache.name}"
    with tempfile.TemporaryDirectory(prefix="hyoid-") as folder:
        pack.save_arrays(Path(folder) / "arrays.npz", arrays)
        (Path(folder) / "job.json").write_text(json.dumps(job), encoding="utf-8")
        environment["BLENDER_USER_RESOURCES"] = str(Path(folder) / "blender")
        process.run(command, environment, Path(folder), final_path(path), report.stage(0.5, 1.0))


def write_point_cache(
    path: Path, points: Path, frames: int, count: int, placement: Similarity, report: Report = SILENT
) -> None:
    """Write raw float32 points (frames, count, 3), moved by ``placement``, as a .pc2 file that starts at frame 1.

    Raises:
        InputError: the file is missing, of another size, or holds a number that is not finite.
        OSError: the disk is full.
    """
    try:
        size = points.stat().st_size
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=points) from error
    if size != 12 * frames * count:
        raise InputError(
            f"has {size} bytes", path=points, expected=f"{12 * frames * count}: {frames} frames of {count} vertices"
        )
    step = max(_BLOCK // (3 * max(count, 1)), 1)
    with open(points, "rb") as source, open(path, "wb") as stream:
        stream.write(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, count, float(_FIRST), 1.0, frames))
        for start in range(0, frames, step):
            report.progress(start / frames, "writing the point cache")
            rows = min(step, frames - start)
            block = np.frombuffer(source.read(12 * rows * count), "<f4").reshape(rows, count, 3)
            if not np.isfinite(block).all():
                frame, vertex, _ = np.argwhere(~np.isfinite(block))[0].tolist()
                found = f"vertex {vertex} in frame {start + frame} is not finite"
                raise InputError(found, path=points, expected="finite numbers")
            moved = placement.apply(block.reshape(-1, 3).astype(np.float64))
            stream.write(np.ascontiguousarray(moved, "<f4").data)


def _check_choices(path: Path, kind: str, mesh: bool, points: bool) -> None:
    if path.suffix.lower() != ".blend":
        raise UsageError(f"cannot write '{path.suffix}' as a Blender file", path=path, expected=".blend")
    if kind not in KINDS:
        raise UsageError(f"unknown kind '{kind}'", expected=" or ".join(KINDS))
    if points and not mesh:
        raise UsageError("there are points, but no mesh", path=path, expected="the target's vertices and faces")


def _check(motion: Rigid, fps: float, curves: dict[str, np.ndarray | None], path: Path) -> None:
    frames = len(motion)
    frame_rate(fps, path)
    if not frames:
        raise InputError("the head motion has no frames", path=path, expected="at least one frame")
    wanted = {"the head's rotations": (motion.rotations, 3, 3), "the head's translations": (motion.translations, 3)}
    wanted |= {name: (values,) for name, values in curves.items() if values is not None}
    for name, (array, *shape) in wanted.items():
        shaped(name, array, (frames, *shape), path)
        finite(name, array, path)


def _arrays(
    motion: Rigid,
    to_world: Similarity,
    mesh: tuple[np.ndarray, np.ndarray] | None,
    pivot: np.ndarray | None,
    path: Path,
) -> dict[str, np.ndarray]:
    """What the child needs, in Blender's metres and axes."""
    world = in_metres(motion, to_world)
    arrays = {
        "rotations": rotations.continuous(rotations.from_matrix(world.rotations)),
        "translations": world.translations,
        "size": np.array(_SIZE),
    }
    middle = np.zeros(3)
    if mesh is not None:
        vertices, faces = np.asarray(mesh[0], np.float64), np.asarray(mesh[1])
        shaped("the target's vertices", vertices, (None, 3), path)
        shaped("the target's faces", faces, (None, 4), path)
        finite("the target's vertices", vertices, path)
        if not len(vertices) or (len(faces) and not 0 <= faces.min() <= faces.max() < len(vertices)):
            raise InputError("the target's faces name vertices that it has not", path=path)
        placed = to_world.apply(vertices)
        middle = (vertices.min(0) + vertices.max(0)) / 2
        arrays["vertices"], arrays["faces"] = placed.astype(np.float32), faces.astype(np.int32)
        arrays["size"] = np.maximum(np.ptp(placed, axis=0).max(), 0.01)
    if pivot is not None:
        middle = np.asarray(pivot, np.float64)
        shaped("the pivot", middle, (3,), path)
        finite("the pivot", middle, path)
    arrays["pivot"] = to_world.apply(middle[None])[0]
    return arrays
