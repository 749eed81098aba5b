# SPDX-License-Identifier: Apache-2.0
"""Polygons of any size as the record's quads and triangles: what every reader of meshes does with its faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hyoid.errors import InputError

LARGEST_FILE = 4 << 30
"""Bytes of a mesh file; more is a point cloud of a building, or damage."""
_LARGEST_COUNT = 1 << 30


def file_bytes(path: Path, what: str) -> bytes:
    """The whole of a mesh file.

    Args:
        what: what it should be, for messages (``an .obj file``).

    Raises:
        InputError: it is missing, empty, a folder or larger than :data:`LARGEST_FILE`.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InputError(f"{size} bytes", path=path, expected=f"at most {LARGEST_FILE >> 30} GiB of mesh")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError("the file does not exist", path=path, expected=what) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path, expected=what) from None
    if not data:
        raise InputError("is empty", path=path, expected=what)
    return data


def cut(counts: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles and quads from polygons: three corners repeat the last one, more than four become a fan of triangles.

    Polygons with fewer than three different corners have no area and are left out; a quad with two equal neighbours
    becomes the triangle that it is.

    Args:
        counts: (n,) number of corners of each polygon, all at least 3.
        corners: (sum of counts,) vertex index of every corner.

    Returns:
        slots: (F, 4) int64, which entry of ``corners`` each corner is (so that other corner data can follow);
        polygon: (F,) int64, the polygon that each face came from.
    """
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64) if len(counts) else np.zeros(0, np.int64)
    pieces, owners, order = [], [], []
    for size in (3, 4):
        which = np.flatnonzero(counts == size)
        steps = np.array([0, 1, 2, min(3, size - 1)])
        pieces.append(starts[which, None] + steps)
        owners.append(which)
        order.append(np.zeros(len(which), np.int64))
    large = np.flatnonzero(counts > 4)
    triangles = counts[large].astype(np.int64) - 2
    owner = np.repeat(large, triangles)
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(triangles) - triangles, triangles)
    first = starts[owner]
    pieces.append(np.stack([first, first + turn + 1, first + turn + 2, first + turn + 2], 1))
    owners.append(owner)
    order.append(turn)
    slots, polygon = np.concatenate(pieces), np.concatenate(owners)
    rows = np.lexsort((np.concatenate(order), polygon))
    return _without_area(slots[rows], polygon[rows], corners)


def _without_area(slots: np.ndarray, polygon: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quads with equal neighbours as triangles, and nothing with fewer than three different corners."""
    index = corners[slots]
    same = index == np.roll(index, -1, axis=1)  # corner k equals the next one
    for corner in (0, 1, 3):  # the pair (2, 3) is the form that a triangle has anyway
        which = same[:, corner] & ~same[:, 2]
        keep = np.delete(np.arange(4), corner)
        slots[which] = slots[which][:, [*keep, keep[-1]]]
    index = np.sort(corners[slots], axis=1)
    different = 1 + (np.diff(index, axis=1) != 0).sum(1)
    opposite = (corners[slots[:, 0]] == corners[slots[:, 2]]) | (corners[slots[:, 1]] == corners[slots[:, 3]])
    sound = (different >= 3) & ~(opposite & (slots[:, 2] != slots[:, 3]))
    return slots[sound], polygon[sound]


def check_counts(vertices: int, faces: int, path: Path) -> None:
    """Refuse a mesh without vertices, or with more than an index can name.

    Raises:
        InputError: says which.
    """
    if not vertices:
        raise InputError("holds no vertices", path=path, expected="a mesh")
    if max(vertices, faces) > _LARGEST_COUNT:
        raise InputError(f"{vertices} vertices and {faces} faces", path=path, expected=f"at most {_LARGEST_COUNT}")


def welded(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different points in the order in which they first appear, and for each point which of them it is.

    Args:
        points: (n, 3) float64.

    Returns:
        vertices: (m, 3); index: (n,) int64 into it.
    """
    # + 0.0 makes the two zeros equal bits, so that rows can be compared as bytes.
    rows = np.ascontiguousarray(points + 0.0).view(np.dtype((np.void, 24))).ravel()
    _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(first), np.int64)
    rank[order] = np.arange(len(first))
    return points[first[order]], rank[inverse.ravel()]
