# SPDX-License-Identifier: Apache-2.0
"""The volume of a piece of skin between cuts, and triangles that a deformation turns over."""

from __future__ import annotations

import numpy as np


def boundary_loops(triangles: np.ndarray) -> list[np.ndarray]:
    """The open edges of triangles (n, 3) as closed loops of vertices, in the direction that a lid over them needs.

    Raises:
        ValueError: an open edge belongs to no loop (the surface is not a manifold there).
    """
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).tolist()
    directed = {(start, end) for start, end in edges}
    following = {end: start for start, end in directed if (end, start) not in directed}
    loops = []
    while following:
        first, vertex = next(iter(following.items()))
        loop = [first]
        del following[first]
        while vertex != first:
            if vertex not in following:
                raise ValueError(f"the open edge at vertex {vertex} belongs to no loop")
            loop.append(vertex)
            vertex = following.pop(vertex)
        loops.append(np.array(loop))
    return loops


def closed_volume(points: np.ndarray, triangles: np.ndarray, loops: list[np.ndarray]) -> np.ndarray:
    """The volume (...) of posed skin (..., V, 3) whose open loops are closed by fans around their means."""
    a, b, c = (points[..., triangles[:, corner], :] for corner in range(3))
    total = np.einsum("...ni,...ni->...", a, np.cross(b, c))
    for loop in loops:
        rim = points[..., loop, :]
        middle = np.broadcast_to(rim.mean(-2, keepdims=True), rim.shape)
        total = total + np.einsum("...ni,...ni->...", middle, np.cross(rim, np.roll(rim, -1, -2)))
    return total / 6


def volume_gradient(points: np.ndarray, triangles: np.ndarray, loops: list[np.ndarray]) -> np.ndarray:
    """How :func:`closed_volume` changes with each point: (..., V, 3) of points (..., V, 3)."""
    result = np.zeros(points.shape)
    corners = [points[..., triangles[:, corner], :] for corner in range(3)]
    for corner in range(3):
        push = np.cross(corners[(corner + 1) % 3], corners[(corner + 2) % 3]) / 6
        _scatter(result, triangles[:, corner], push)
    for loop in loops:
        rim = points[..., loop, :]
        middle = rim.mean(-2, keepdims=True)
        following, before = np.roll(rim, -1, -2), np.roll(rim, 1, -2)
        spread = np.cross(rim, following).sum(-2, keepdims=True) / len(loop)
        _scatter(result, loop, (spread + np.cross(following - before, middle)) / 6)
    return result


def _scatter(result: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """Add ``values`` (..., n, 3) to rows of ``result`` (..., V, 3), rows may repeat."""
    order = np.argsort(rows, kind="stable")
    found, starts = np.unique(rows[order], return_index=True)
    result[..., found, :] += np.add.reduceat(values[..., order, :], starts, axis=-2)


def turned_over(rest: np.ndarray, posed: np.ndarray, triangles: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Cosines (poses, n) between the normals of posed triangles and those that rigid turns would give.

    Below zero a triangle shows its back.

    Args:
        rest: (V, 3). posed: (poses, V, 3). turns: (poses, V, 3, 3), the linear part that carries each vertex.
    """
    expected = np.einsum("pnab,nb->pna", turns[:, triangles].mean(2), _normals(rest, triangles))
    found = _normals(posed, triangles)
    lengths = np.linalg.norm(expected, axis=-1) * np.linalg.norm(found, axis=-1)
    return np.einsum("pna,pna->pn", expected, found) / np.maximum(lengths, 1e-30)


def _normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (points[..., triangles[:, corner], :] for corner in range(3))
    return np.cross(b - a, c - a)
