# SPDX-License-Identifier: Apache-2.0
"""Vertices and faces of a head in the order of its pieces: skin, eyes and teeth can then have looks of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hyoid.characters.fit.mesh_parts import head_mesh, parts_of
from hyoid.geometry.mesh import Mesh


def by_piece(mesh: Mesh) -> tuple[Mesh, np.ndarray]:
    """The mesh with each connected piece in one run of vertices and of faces; as it was where it is so already.

    The skin comes first, the others by group, then side, then from above: what is alike lies together. Within a piece
    the order stays. Programs that decimate or join meshes leave their vertices interleaved.

    Args:
        mesh: metres, +Y up, looking along +Z.

    Returns:
        The mesh, and for each of its vertices the number that it had (V,) int64.

    Raises:
        InputError: see :func:`hyoid.characters.fit.mesh_parts.head_mesh`.
    """
    head = head_mesh(mesh)
    count = len(mesh.vertices)
    used = np.zeros(count, bool)
    used[mesh.faces] = True
    piece = np.where(used, head.piece, 0)  # loose vertices stay with the skin
    numbers = int(head.piece.max()) + 1
    runs = parts_of(mesh, head.piece, {number: str(number) for number in range(numbers)})
    if numbers == 1 or len(runs) > 1:
        return mesh, np.arange(count)
    rank = _ranks(mesh, piece, numbers)
    order = np.argsort(rank[piece], kind="stable")
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    rows = np.argsort(rank[piece[mesh.faces[:, 0]]], kind="stable")
    return replace(
        mesh, vertices=mesh.vertices[order], faces=place[mesh.faces[rows]].astype(np.int32),
        face_uv=mesh.face_uv[rows] if len(mesh.face_uv) else mesh.face_uv, groups=mesh.groups[rows],
    ), order  # fmt: skip


def _ranks(mesh: Mesh, piece: np.ndarray, numbers: int) -> np.ndarray:
    """Which place each piece takes: (numbers,) int64."""
    group = np.zeros(numbers, np.int64)
    group[piece[mesh.faces[:, 0]]] = mesh.groups
    counts = np.maximum(np.bincount(piece, minlength=numbers), 1)
    side, height = (np.bincount(piece, mesh.vertices[:, axis], numbers) / counts for axis in (0, 1))
    middle = float(side[0])
    order = np.lexsort((-height, side < middle, group, np.arange(numbers) > 0))
    rank = np.empty(numbers, np.int64)
    rank[order] = np.arange(numbers)
    return rank
