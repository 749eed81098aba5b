# SPDX-License-Identifier: Apache-2.0
"""Sequences of meshes of one topology, read and written as streams: one frame is in memory at a time.

``open_sequence`` looks at the head of what was named, ``MeshSequence.frames`` streams positions out of it, and
``write_sequence`` streams changed positions into a copy of the source, or into plain meshes of another type.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hyoid.errors import InputError, OutputError, UsageError
from hyoid.formats import FORMATS
from hyoid.formats.checks import frame_rate
from hyoid.report import SILENT, Report

SUFFIXES = {
    ".obj": "obj", ".ply": "ply", ".npz": "npz", ".npy": "npz", ".glb": "glb",
    ".usd": "usd", ".usdc": "usd", ".usda": "usd", ".abc": "abc",
}  # fmt: skip
"""The kind of sequence that a suffix means."""
_FOREIGN = (*FORMATS, ".stl", ".gltf", ".dae", ".usdz")
_FARTHEST = float(np.finfo(np.float32).max)
_PLAYED_AT = 30.0
"""Frames a second of a file that must say a rate, where neither the source nor the caller knows one."""


@dataclass(frozen=True)
class MeshSequence:
    """Meshes of one topology, one a frame, still in their files.

    Attributes:
        path: the folder or file that was named, for messages.
        kind: ``obj``, ``ply``, ``npz``, ``glb``, ``usd`` or ``abc``.
        names: one a frame: file stem, name of a morph target, or number.
        vertices: how many each frame has.
        faces: (F, 4) int32 as in :mod:`hyoid.geometry.mesh`; (0, 4) where there are none.
        fps: None where the source states none. up: ``Y`` or ``Z`` where it states one, else None.
        metres: metres a unit, where it states that, else None.
        files: every file that the frames come from.
        read: frames ``[start, stop)``, each (n, 3), as the file has them; see :meth:`frames`.
    """

    path: Path
    kind: str
    names: tuple[str, ...]
    vertices: int
    faces: np.ndarray
    fps: float | None
    up: str | None
    metres: float | None
    files: tuple[Path, ...]
    read: Callable[[int, int], Iterator[np.ndarray]] = field(repr=False, compare=False)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Positions of the frames ``[start, stop)``, one at a time: (vertices, 3) float64, the file's units and axes.

        Raises:
            InputError: a frame cannot be read, has another vertex count, or a position that is not finite.
        """
        first, last, _ = slice(start, stop).indices(len(self.names))
        for number, points in zip(range(first, last), self.read(first, last), strict=True):
            if points.shape != (self.vertices, 3):
                raise self._error(number, f"has {len(points)} vertices", f"{self.vertices}, as the first frame has")
            yield self._finite(number, points)

    def _finite(self, number: int, points: np.ndarray) -> np.ndarray:
        values = np.ascontiguousarray(points, np.float64)
        if not (values.min() >= -_FARTHEST and values.max() <= _FARTHEST):
            first = int(np.flatnonzero(~(np.abs(values) <= _FARTHEST).all(1))[0])
            raise self._error(number, f"vertex {first} is not finite", "finite positions that a float32 holds")
        return values

    def _error(self, number: int, found: str, expected: str) -> InputError:
        if self.kind in ("obj", "ply"):
            return InputError(found, path=self.files[number], expected=expected)
        return InputError(f"frame {number} ('{self.names[number]}'): {found}", path=self.path, expected=expected)


def open_sequence(paths: Sequence[Path]) -> MeshSequence:
    """The sequence in a folder of .obj or .ply files, in such files, or in one .npz, .npy, .glb, USD or Alembic file.

    A folder is read in natural order (frame2 before frame10). So are files named in plain alphabetical order, which is
    what a shell makes of ``*.obj``; any other order of files stays as it is.

    Raises:
        UsageError: nothing named, an unknown suffix, or several files that are not all .obj or all .ply.
        InputError: missing, damaged, holds no meshes, or a folder with files of both kinds.
        MissingToolError: an .abc, and Blender is not installed.
    """
    chosen = [Path(path) for path in paths]
    if not chosen:
        raise UsageError("no meshes are named", expected="a folder or files of meshes")
    for path in chosen:
        if not path.exists():
            raise InputError("the file does not exist", path=path, expected="meshes")
    kinds = {None if path.is_dir() else _kind(path) for path in chosen}
    if len(chosen) > 1 and kinds not in ({"obj"}, {"ply"}):
        odd = next((path for path in chosen if path.is_dir() or _kind(path) not in ("obj", "ply")), chosen[-1])
        raise UsageError("cannot be one of several", path=odd, expected="one folder or file, or only .obj or only .ply")
    kind = kinds.pop()
    if kind in (None, "obj", "ply"):
        from hyoid.formats.mesh_sequence import mesh_folder as module

        return module.open_files(chosen)
    if kind == "npz":
        from hyoid.formats.mesh_sequence import npz_stream as module
    elif kind == "glb":
        from hyoid.formats.mesh_sequence import glb_targets as module
    elif kind == "usd":
        from hyoid.formats.mesh_sequence import usd_points as module
    else:
        from hyoid.formats.mesh_sequence import abc_points as module
    return module.open_file(chosen[0])


def _kind(path: Path) -> str:
    kind = SUFFIXES.get(path.suffix.lower())
    if path.name.lower().endswith((".take.npz", ".character.npz")):
        raise UsageError("is a take or a character", path=path, expected="a sequence of meshes")
    if kind is None:
        known = ", ".join(SUFFIXES)
        raise UsageError(f"unknown type of mesh '{path.suffix}'", path=path, expected=f"a folder, or one of {known}")
    return kind


def write_sequence(
    path: Path,
    source: MeshSequence,
    frames: Iterable[np.ndarray],
    report: Report = SILENT,
    *,
    fps: float | None = None,
    rotations: np.ndarray | None = None,
) -> list[str]:
    """Write changed positions of a sequence; gives the paths that were written. Equal input gives equal bytes.

    The suffix chooses the type: .npz, .npy, .glb, .usd, .usdc, .usda or .abc; .obj and .ply for a single frame; a path
    without such a suffix is a folder of .obj (or .ply, if the source is) files. Where source and target are of the same
    kind everything but positions is kept (.obj, .ply, .npz, .glb, USD); elsewhere plain meshes are written.

    Args:
        frames: one a frame of the source, (vertices, 3) in its units and axes; read once, in order.
        fps: frames a second, the source's when None; 30 where a type must say one and nobody knows it.
        rotations: (F, 3, 3), how each frame was turned: normals of .obj, .ply, .glb and USD files turn with it.

    Raises:
        UsageError: an unknown suffix, or the target is one of the inputs.
        InputError: a frame that is not finite; a source that cannot be kept (the message says why).
        OutputError: it cannot be written; no half-written file stays.
    """
    path = Path(path)
    if fps is not None:
        frame_rate(fps)
    assert rotations is None or rotations.shape == (len(source.names), 3, 3)
    kind = _target_kind(path, source)
    stream = _watched(source, frames, report.stage(0.0, 0.5) if kind == "abc" else report)
    if kind in ("obj", "ply"):
        from hyoid.formats.mesh_sequence import mesh_folder

        targets = mesh_folder.targets(path, source, kind)
        _refuse_inputs(targets, source)
        return mesh_folder.write(targets, source, stream, rotations)
    if path.is_dir():
        raise OutputError("is a folder", path=path, expected="a file name")
    _refuse_inputs([path], source)
    rate = fps or source.fps
    if kind in ("usd", "abc") and rate is None and len(source.names) > 1:
        report.message(f"the meshes state no frame rate: {path.name} plays at {_PLAYED_AT:g} frames a second", "info")
    if kind == "npz":
        from hyoid.formats.mesh_sequence import npz_stream

        npz_stream.write(path, source, stream, fps)
    elif kind == "glb":
        from hyoid.formats.mesh_sequence import glb_write

        if source.kind == "glb" and fps is not None and fps != source.fps:
            report.message(f"{path.name} keeps the times of its own animations, not {fps:g} frames a second", "warning")
        glb_write.write(path, source, stream, rate, rotations)
    elif kind == "usd":
        from hyoid.formats.mesh_sequence import usd_points

        usd_points.write(path, source, stream, fps, rate or _PLAYED_AT, rotations)
    else:
        from hyoid.formats.mesh_sequence import abc_points

        abc_points.write(path, source, stream, rate or _PLAYED_AT, report.stage(0.5, 1.0))
    return [str(path)]


def is_folder(path: Path) -> bool:
    """Whether a target is a folder of files: it has no suffix that a file of meshes has.

    Raises:
        UsageError: the suffix is that of something else.
    """
    suffix = path.suffix.lower()
    kind = SUFFIXES.get(suffix)
    if path.is_dir() and kind in (None, "obj", "ply"):
        return True
    if path.name.lower().endswith((".take.npz", ".character.npz")) or (kind is None and suffix in _FOREIGN):
        writable = ", ".join(SUFFIXES)
        raise UsageError("no type of mesh sequence has this suffix", path=path, expected=f"a folder, or {writable}")
    return kind is None


def _target_kind(path: Path, source: MeshSequence) -> str:
    if is_folder(path):
        return source.kind if source.kind == "ply" else "obj"
    kind = SUFFIXES[path.suffix.lower()]
    if kind in ("obj", "ply") and len(source.names) > 1:
        raise UsageError(
            f"one {path.suffix} file cannot hold {len(source.names)} frames",
            path=path,
            expected="a folder, without suffix",
        )
    return kind


def _refuse_inputs(targets: Sequence[Path], source: MeshSequence) -> None:
    inputs = {os.path.realpath(file) for file in source.files}
    for target in targets:
        if os.path.realpath(target) in inputs:
            raise UsageError("is one of the inputs", path=target, expected="another file or folder to write to")


def _watched(source: MeshSequence, frames: Iterable[np.ndarray], report: Report) -> Iterator[np.ndarray]:
    """The frames as they are handed over: counted, checked, and told to the report."""
    count, step = len(source.names), max(len(source.names) // 100, 1)
    given = 0
    for given, points in enumerate(frames, 1):
        assert given <= count, f"more than {count} frames"
        assert points.shape == (source.vertices, 3), f"frame {given - 1} has the shape {points.shape}"
        yield source._finite(given - 1, points)
        if given % step == 0 or given == count:
            report.progress(given / count, "writing meshes")
    assert given == count, f"{given} frames for a sequence of {count}"
