# SPDX-License-Identifier: Apache-2.0
"""The surface that is drawn: the part of a character that a view shows, refined until it looks round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from hyoid.characters.character import Character
from hyoid.geometry.meshes import NormalPlan, catmull_clark, refine_linear, triangulate, wedges


@dataclass(frozen=True)
class Batch:
    """Triangles ``first`` .. ``first + count`` share a material."""

    material: str
    first: int
    count: int


@dataclass(frozen=True)
class Surface:
    """A drawable mesh that follows the character's vertices by one sparse matrix.

    Attributes:
        stencil: (S, V) float32: surface points from the character's vertices.
        normals: smooth normals of (S, 3) points.
        wedge_point: (W,) int32 into the points: points are split at UV seams. wedge_uv: (W, 2) float32.
        triangles: (T, 3) int32 into the wedges. batches: what to draw, opaque first, then what is seen through.
    """

    stencil: sparse.csr_matrix
    normals: NormalPlan
    wedge_point: np.ndarray
    wedge_uv: np.ndarray
    triangles: np.ndarray
    batches: tuple[Batch, ...]

    def points(self, vertices: np.ndarray) -> np.ndarray:
        """(S, 3) float32 surface points of the deformed vertices (V, 3)."""
        return self.stencil @ np.asarray(vertices, np.float32)


def build(character: Character, focus: tuple[np.ndarray, float], budget: int) -> Surface:
    """The surface inside a ball, refined by Catmull-Clark at most twice while it stays within ``budget`` points.

    Args:
        focus: centre (3,) and radius of the ball, metres; faces that lie wholly outside are left out.
    """
    near = np.linalg.norm(character.vertices - focus[0], axis=1) < focus[1]
    kept = near[character.faces].any(1)
    part_of_face = np.zeros(len(character.faces), np.int64)
    for index, part in enumerate(character.parts):
        part_of_face[part.faces] = index
    used, faces = np.unique(character.faces[kept], return_inverse=True)
    used_uv, face_uv = np.unique(character.face_uv[kept], return_inverse=True)
    faces, face_uv, part_of_face = faces.reshape(-1, 4), face_uv.reshape(-1, 4), part_of_face[kept]
    ones = np.ones(len(used), np.float32)
    shape = (len(used), len(character.vertices))
    stencil: Any = sparse.csr_matrix((ones, (np.arange(len(used)), used)), shape)
    uv = character.uv[used_uv].astype(np.float32)
    for _ in range(2):
        if 4 * stencil.shape[0] > budget:
            break
        corners = 4 - (faces[:, 2] == faces[:, 3])
        uv_step, face_uv = refine_linear(face_uv, len(uv))
        step, faces = catmull_clark(faces, stencil.shape[0])
        stencil, uv = step.astype(np.float32) @ stencil, uv_step @ uv
        part_of_face = np.repeat(part_of_face, corners)  # children follow their parents in order
    wedge_point, uv_rows, wedge_faces = wedges(faces, face_uv)
    # Parts are ranges of faces, draw calls are ranges of triangles: a triangle face gives one, a quad two.
    first = np.concatenate([[0], np.cumsum(1 + (wedge_faces[:, 2] != wedge_faces[:, 3]))])
    return Surface(
        stencil.tocsr(), NormalPlan(faces, stencil.shape[0]), wedge_point, uv[uv_rows], triangulate(wedge_faces),
        _batches(character, part_of_face, first),
    )  # fmt: skip


def _batches(character: Character, part_of_face: np.ndarray, first: np.ndarray) -> tuple[Batch, ...]:
    """Opaque parts first, then masked, then blended ones, the clear ones (cornea) before lashes and brows."""

    def rank(batch: Batch) -> tuple[int, float]:
        material = character.materials[batch.material]
        return ("opaque", "mask", "blend").index(material.alpha), material.roughness

    batches = []
    for index, part in enumerate(character.parts):
        start, stop = np.searchsorted(part_of_face, [index, index + 1])
        if stop > start:
            batches.append(Batch(part.material, int(first[start]), int(first[stop] - first[start])))
    return tuple(sorted(batches, key=rank))
