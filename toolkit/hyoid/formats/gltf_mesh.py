# SPDX-License-Identifier: Apache-2.0
"""A character part as glTF wants it: one vertex per (position, texture coordinate), triangles, sparse morph targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyoid.characters.character import Character, Part
from hyoid.geometry import meshes

_STILL = 1e-4
"""A normal that turns by less than this (0.006 degrees) counts as unmoved."""


@dataclass(frozen=True)
class Wedges:
    """The drawn vertices of a part.

    Attributes:
        vertices: (W,) int32, rising: the character's vertex of each. uv: (W,) int32: its row in ``Character.uv``.
        triangles: (n, 3) int32 into the wedges.
        first, count: (part vertices,): where a part vertex's wedges start, and how many it has.
    """

    vertices: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray
    first: np.ndarray
    count: np.ndarray


def wedges(character: Character, part: Part) -> Wedges:
    """Split the part's vertices where texture coordinates differ, and its quads into triangles."""
    vertices, uv, faces = meshes.wedges(character.faces[part.faces], character.face_uv[part.faces])
    count = np.bincount(vertices - part.vertices.start, minlength=part.vertices.stop - part.vertices.start)
    return Wedges(vertices, uv, meshes.triangulate(faces), np.cumsum(count) - count, count)


def spread(split: Wedges, rows: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of part vertices ``rows`` (rising) repeated for their wedges: (indices (n,), values (n, 3))."""
    count = split.count[rows]
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(split.first[rows], count) + within, np.repeat(values, count, axis=0)


@dataclass(frozen=True)
class Surface:
    """What vertex normals of one part are summed from.

    Attributes:
        positions: (n, 3) float32. faces: (F, 4) into them. corner: (F, 4) bool, False for a triangle's repeated corner.
        face_normals: (F, 3), twice the area long. sums: (n, 3) of the faces around each vertex. normals: (n, 3) unit.
    """

    positions: np.ndarray
    faces: np.ndarray
    corner: np.ndarray
    face_normals: np.ndarray
    sums: np.ndarray
    normals: np.ndarray


def surface(character: Character, part: Part) -> Surface:
    """The area-weighted vertex normals of a part at rest."""
    positions = character.vertices[part.vertices]
    faces = character.faces[part.faces].astype(np.int64) - part.vertices.start
    corner = np.ones(faces.shape, bool)
    corner[:, 3] = faces[:, 3] != faces[:, 2]
    face_normals = _face_normals(positions, faces)
    sums = _sum_corners(len(positions), faces, corner, face_normals)
    return Surface(positions, faces, corner, face_normals, sums, _unit(sums))


def moved_normals(still: Surface, rows: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How the normals change when vertices ``rows`` move by ``offsets``: (changed rows rising, differences (n, 3))."""
    moved = np.zeros(len(still.positions), bool)
    moved[rows] = True
    a, b, c, d = (moved[still.faces[:, i]] for i in range(4))  # quicker than a reduction over so short an axis
    touched = np.flatnonzero(a | b | c | d)
    faces = still.faces[touched]
    positions = still.positions.copy()
    positions[rows] += offsets
    change = _face_normals(positions, faces) - still.face_normals[touched]
    sums = _sum_corners(len(positions), faces, still.corner[touched], change)
    around = np.zeros(len(positions), bool)
    around[faces] = True
    changed = np.flatnonzero(around)
    difference = _unit(still.sums[changed] + sums[changed]) - still.normals[changed]
    x, y, z = np.abs(difference.T)
    kept = np.maximum(np.maximum(x, y), z) > _STILL
    return changed[kept], difference[kept].astype(np.float32)


def tangents(positions: np.ndarray, normals: np.ndarray, uv: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Tangents for a normal map, (W, 4) float32: unit direction of rising u, and the side of rising v (1 or -1).

    Args:
        positions, normals: (W, 3). uv: (W, 2), origin bottom left. triangles: (n, 3) into the wedges.
    """
    a, b, c = (triangles[:, i] for i in range(3))
    edge_b, edge_c = positions[b] - positions[a], positions[c] - positions[a]
    uv_b, uv_c = uv[b] - uv[a], uv[c] - uv[a]
    area = uv_b[:, 0] * uv_c[:, 1] - uv_b[:, 1] * uv_c[:, 0]
    sign = np.sign(area)[:, None]
    along = (edge_b * uv_c[:, 1:] - edge_c * uv_b[:, 1:]) * sign
    across = (edge_c * uv_b[:, :1] - edge_b * uv_c[:, :1]) * sign
    corner = np.ones(triangles.shape, bool)
    u, v = (_sum_corners(len(positions), triangles, corner, value) for value in (along, across))
    n = normals.astype(np.float64)
    u -= n * np.einsum("wc,wc->w", n, u)[:, None]
    # Where texture coordinates have no area any direction in the surface will do.
    spare = np.cross(n, np.where(np.abs(n[:, :1]) < 0.9, [1.0, 0, 0], [0, 1.0, 0]))
    u = np.where(np.linalg.norm(u, axis=-1, keepdims=True) > 1e-12, u, spare)
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    side = np.where(np.einsum("wc,wc->w", np.cross(n, u), v) < 0, -1.0, 1.0)
    return np.concatenate([u, side[:, None]], -1).astype(np.float32)


def _face_normals(positions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c, d = (positions[faces[:, i]] for i in range(4))
    (ux, uy, uz), (vx, vy, vz) = (c - a).T, (d - b).T
    return np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], -1)


def _sum_corners(count: int, faces: np.ndarray, corner: np.ndarray, values: np.ndarray) -> np.ndarray:
    index = faces[corner]
    per_corner = np.broadcast_to(values[:, None], (*faces.shape, 3))[corner]
    return np.stack([np.bincount(index, per_corner[:, axis], count) for axis in range(3)], -1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.einsum("nc,nc->n", vectors, vectors))[:, None]
    # A vertex that no face uses, or whose faces cancel out, still needs a unit normal.
    return np.where(length > 1e-20, vectors / np.maximum(length, 1e-20), [0.0, 1.0, 0.0]).astype(np.float32)
