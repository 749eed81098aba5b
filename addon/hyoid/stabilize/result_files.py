# SPDX-License-Identifier: GPL-3.0-or-later
"""What the toolkit gives back, in Blender's axes: the stabilised mesh, the head's motion; and point caches (.pc2)."""

from __future__ import annotations

import csv
import math
import struct
from pathlib import Path

import numpy as np

from ..toolkit.errors import InputError
from ..toolkit.files import part_file
from ..toolkit.formats import npz
from ..toolkit.formats.rows import text_lines
from ..toolkit.geometry import rotations
from . import mesh_frames

_COLUMNS = ("tx", "ty", "tz", "qw", "qx", "qy", "qz")


def read_vertices(path: Path, frames: int) -> np.ndarray:
    """The stabilised vertices (frames, n, 3) float32 in the world, +Z up.

    Raises:
        InputError: the file is missing, damaged, holds other frames, or places that are not finite.
    """
    vertices = npz.read_npz(path).get("vertices")
    if vertices is None or vertices.dtype.kind != "f" or vertices.ndim != 3 or vertices.shape[2] != 3:
        found = "nothing" if vertices is None else f"{vertices.dtype} {vertices.shape}"
        raise InputError(f"'vertices' is {found}", path=path, expected=f"numbers ({frames}, n, 3)")
    if len(vertices) != frames:
        raise InputError(f"has {len(vertices)} frames", path=path, expected=f"{frames}")
    if not np.isfinite(vertices).all():
        raise InputError("has vertices that are not finite", path=path, expected="finite places")
    return mesh_frames.to_blender(vertices.astype(np.float32, copy=False))


def read_motion(path: Path, frames: int) -> np.ndarray:
    """The motion (frames, 4, 4) float64 that takes stabilised places to those that were there, in the world, +Z up.

    Raises:
        InputError: the file is missing, no table of a head motion, or has other frames; the line is named.
    """
    rows = list(csv.reader(text_lines(path)))
    header = [name.strip().lower() for name in rows[0]]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise InputError(f"lacks the columns {', '.join(missing)}", path=path, expected="a table of a head's motion")
    order = [header.index(name) for name in _COLUMNS]
    lines = [(number, row) for number, row in enumerate(rows[1:], 2) if row]
    if len(lines) != frames:
        raise InputError(f"has {len(lines)} frames", path=path, expected=f"{frames}")
    values = np.empty((frames, len(_COLUMNS)))
    for index, (number, row) in enumerate(lines):
        try:
            values[index] = [float(row[column]) for column in order]
        except (ValueError, IndexError):
            values[index] = math.nan
        if not np.isfinite(values[index]).all() or abs(np.linalg.norm(values[index, 3:]) - 1) > 1e-3:
            raise InputError(f"line {number} is no motion", path=path, expected="a place and a unit quaternion")
    moves = np.tile(np.eye(4), (frames, 1, 1))
    turn = mesh_frames.to_blender(np.eye(3)).T
    moves[:, :3, :3] = turn @ rotations.to_matrix(rotations.normalise(values[:, 3:])) @ turn.T
    moves[:, :3, 3] = values[:, :3] @ turn.T
    return moves


def write_cache(path: Path, vertices: np.ndarray, to_local: np.ndarray, first: int) -> None:
    """Write a point cache in an object's own space.

    Args:
        vertices: (F, n, 3) in the world. to_local: (4, 4) from there into the object. first: frame of the scene.

    Raises:
        OutputError: it cannot be written.
    """
    turn, place = to_local[:3, :3].T, to_local[:3, 3]
    with part_file(path) as part, open(part, "wb") as stream:
        stream.write(struct.pack("<12siiffi", b"POINTCACHE2", 1, vertices.shape[1], float(first), 1.0, len(vertices)))
        for points in vertices:
            stream.write((points.astype(np.float64) @ turn + place).astype("<f4").tobytes())
