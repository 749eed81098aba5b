# SPDX-License-Identifier: Apache-2.0
"""Heads of other topologies with known answers: the bundled human with edges collapsed, cut, turned and made noisy."""

from __future__ import annotations

import numpy as np
from hyoid.characters.character import Character
from hyoid.geometry.closest import edges_of
from hyoid.geometry.mesh import Mesh
from hyoid.geometry.meshes import triangulate


def mesh_of(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """A mesh without UVs; faces (n, 3) or (n, 4)."""
    quads = np.concatenate([faces, faces[:, -1:]], 1) if faces.shape[1] == 3 else faces
    return Mesh(
        np.asarray(vertices, np.float64), quads.astype(np.int32), np.zeros((0, 2), np.float32),
        np.zeros((0, 4), np.int32), np.zeros(len(quads), np.int32), ("head",),
    )  # fmt: skip


def collapsed(vertices: np.ndarray, triangles: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Some two fifths of the vertices taken out by collapsing edges: the rows that stay, and triangles over them.

    No two collapsed edges share a vertex, so every vertex that stays is where it was and its true motion is known.
    """
    edges, _ = edges_of(triangles)
    order = np.random.default_rng(seed).permutation(len(edges))
    free = np.ones(len(vertices), bool)
    onto = np.arange(len(vertices))
    for a, b in edges[order]:
        if free[a] and free[b]:
            free[a] = free[b] = False
            onto[a] = b
    faces = onto[triangles]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(1)]
    rows = np.unique(faces)
    number = np.full(len(vertices), -1)
    number[rows] = np.arange(len(rows))
    return rows, number[faces]


def decimated(character: Character) -> tuple[Mesh, np.ndarray]:
    """The skin of a character with fewer vertices and no quads, and which vertices of the character they are."""
    part = character.parts[0]
    triangles = triangulate(character.faces[part.faces])
    rows, faces = collapsed(character.vertices, triangles)
    return mesh_of(character.vertices[rows], faces), rows


def offsets_of(character: Character, name: str) -> np.ndarray:
    """Offsets (V, 3) of one shape on every vertex."""
    shapes = character.shapes
    index = shapes.names.index(name)
    span = slice(shapes.starts[index], shapes.starts[index + 1])
    full = np.zeros((len(character.vertices), 3))
    full[shapes.vertices[span]] = shapes.offsets[span]
    return full
