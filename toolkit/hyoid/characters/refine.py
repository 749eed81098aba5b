# SPDX-License-Identifier: Apache-2.0
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalSubscript=false
"""Catmull-Clark levels of any character: positions, shapes and weights by the same matrix, all else as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from hyoid.characters.character import Character, Part, Shapes, largest_weights
from hyoid.geometry.meshes import catmull_clark, refine_linear
from hyoid.geometry.skinning import weight_matrix

_ROUND_MAPS = ("eye", "cornea")
"""Materials whose maps are refined as their rings are; the others are painted on the flat faces."""
_STILL = 1e-7  # metres: a shape does not list vertices that it moves by less
_TOGETHER = 8  # shapes


@dataclass(frozen=True)
class Refined:
    """The topology of a finer mesh; ``matrix`` takes vertices of the coarse mesh to those of the fine."""

    matrix: sparse.csr_matrix
    parts: tuple[Part, ...]
    faces: np.ndarray
    face_uv: np.ndarray
    uv: np.ndarray


def refine(character: Character, levels: int) -> Character:
    """The character with a mesh of ``levels`` more Catmull-Clark steps, about four times the vertices each.

    Parts are refined one by one and stay in order. The vertices of a part begin with those that it had, so landmarks
    keep their meaning; joints, drivers, correctives, materials and settings are untouched.
    """
    if not levels:
        return character
    fine = topology(character.parts, character.faces, character.face_uv, character.uv, levels)
    joints = weight_matrix(character.weight_joints, character.weights, len(character.joint_names))
    weight_joints, weights = largest_weights(
        (fine.matrix @ joints.astype(np.float64)).toarray(), character.weights.shape[1]
    )
    landmarks = {name: _moved(vertex, character.parts, fine.parts) for name, vertex in character.landmarks.items()}
    vertices = fine.matrix @ character.vertices.astype(np.float64)
    return replace(
        character, vertices=vertices.astype(np.float32), faces=fine.faces, uv=fine.uv.astype(np.float32),
        face_uv=fine.face_uv, parts=fine.parts, shapes=_shapes(character.shapes, fine.matrix),
        weight_joints=weight_joints, weights=weights, landmarks=landmarks,
    )  # fmt: skip


def topology(
    parts: Sequence[Part], faces: np.ndarray, face_uv: np.ndarray, uv: np.ndarray, levels: int
) -> Refined:  # fmt: skip
    """Every part refined ``levels`` times; UV rows that no face of a part names are left out."""
    rows, new_faces, new_uv, new_face_uv, new_parts = [], [], [], [], []
    counts = [0, 0, 0]
    for part in parts:
        matrix = sparse.identity(part.vertices.stop - part.vertices.start, format="csr")
        step_faces = faces[part.faces] - part.vertices.start
        used, step_uv = np.unique(face_uv[part.faces], return_inverse=True)
        step_uv, coordinates = step_uv.reshape(-1, 4), uv[used].astype(np.float64)
        for _ in range(levels):
            finer, finer_faces = catmull_clark(step_faces, matrix.shape[0])
            step = catmull_clark if part.material in _ROUND_MAPS else refine_linear
            finer_uv, step_uv = step(step_uv, len(coordinates))
            matrix, step_faces, coordinates = finer @ matrix, finer_faces, finer_uv @ coordinates
        rows.append(matrix)
        new_faces.append(step_faces + counts[0])
        new_face_uv.append(step_uv + counts[2])
        new_uv.append(coordinates)
        vertices = slice(counts[0], counts[0] + matrix.shape[0])
        new_parts.append(Part(part.name, part.material, vertices, slice(counts[1], counts[1] + len(step_faces))))
        counts = [vertices.stop, counts[1] + len(step_faces), counts[2] + len(coordinates)]
    return Refined(
        sparse.block_diag(rows, format="csr"), tuple(new_parts), np.concatenate(new_faces).astype(np.int32),
        np.concatenate(new_face_uv).astype(np.int32), np.concatenate(new_uv),
    )  # fmt: skip


def _moved(vertex: int, before: Sequence[Part], after: Sequence[Part]) -> int:
    """The number of a vertex in the finer mesh."""
    for old, new in zip(before, after, strict=True):
        if old.vertices.start <= vertex < old.vertices.stop:
            return vertex - old.vertices.start + new.vertices.start
    raise AssertionError(f"vertex {vertex} is in no part")


def _shapes(shapes: Shapes, matrix: sparse.csr_matrix) -> Shapes:
    """The shapes on the finer mesh: a few at a time as dense columns, which is faster than sparse products of all."""
    starts, vertices, offsets = [0], [], []
    for first in range(0, len(shapes.names), _TOGETHER):
        chosen = range(first, min(first + _TOGETHER, len(shapes.names)))
        dense = np.zeros((matrix.shape[1], len(chosen), 3))
        for column, shape in enumerate(chosen):
            rows = slice(shapes.starts[shape], shapes.starts[shape + 1])
            dense[shapes.vertices[rows], column] = shapes.offsets[rows]
        moved = (matrix @ dense.reshape(len(dense), -1)).reshape(-1, len(chosen), 3)
        for column in range(len(chosen)):
            rows = np.flatnonzero(np.abs(moved[:, column]).max(1, initial=0) > _STILL)
            vertices.append(rows.astype(np.int32))
            offsets.append(moved[rows, column].astype(np.float32))
            starts.append(starts[-1] + len(rows))
    return Shapes(shapes.names, np.array(starts, np.int64), np.concatenate(vertices), np.concatenate(offsets))
