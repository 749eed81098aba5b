# SPDX-License-Identifier: Apache-2.0
"""The pose correctives of the bundled human's neck, fitted on the default adult (hyoid.systems.hack.train)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from hyoid.characters import bundled, neck
from hyoid.characters.character import NeckLimits
from hyoid.geometry import rotations
from hyoid.geometry.meshes import triangulate
from hyoid.systems.hack import train
from scipy import sparse
from scipy.spatial import KDTree

from rigs.human import skeleton

PEOPLE: tuple[dict[str, float], ...] = (
    {"gender": 0.0, "muscle": 1.0, "age": 0.7},
    {"gender": 0.0, "muscle": 0.9, "age": 1.0},
    {"gender": 1.0, "weight": 0.9, "age": 0.7},
    {"gender": 1.0, "weight": 0.2, "age": 0.7},
)
"""Whom the shapes serve beside the default adult."""
POSES = 500  # of each person, and as many mirrored ones
REACH = 1.05  # of the range of motion that the samples fill
_COLUMNS = ("flexion", "extension", "lateral", "axial", "coupling")
SMALLEST = 2e-5  # metres: a vertex that a shape moves less is left out of it


@dataclass(frozen=True)
class Fitted:
    """Shapes (joint, features (3, 3), offsets (N, 3) metres) over the body vertices ``rows`` (N,).

    ``triangles`` (n, 3) are body vertices of the neck, for the ``need`` of another person (bundled.corrective_need).
    """

    shapes: list[tuple[str, np.ndarray, np.ndarray]]
    rows: np.ndarray
    triangles: np.ndarray
    need: float


def fit(
    adults: Sequence[np.ndarray],
    faces: np.ndarray,
    weights: np.ndarray,
    names: list[str],
    heads: sparse.csr_matrix,
    table: Mapping,
) -> Fitted:
    """The pose correctives that serve some people best, each with a part of the sampled poses.

    Args:
        adults: (vertices, 3) metres each, the first is the reference. faces: quads of the body.
        weights: (vertices, joints). heads: (joints, vertices) rows. table: range of motion, ``[neck]`` of rig.toml.
    """
    limits = NeckLimits(*(np.array(table[key], float) for key in _COLUMNS))
    features, offsets, reference = [], [], None
    for number, adult in enumerate(adults):
        skin, rows = neck_skin(adult[skeleton.BODY], faces, weights[skeleton.BODY], names, heads @ adult)
        need = bundled.corrective_need(skin.rest, skin.neck, skin.heads)
        if reference is None:
            reference = skin, rows, need, mirrored(skin.rest)
        found, moved = train.offsets(train.Target(skin), sample(limits, POSES, number), reference[3])
        features.append(found)
        offsets.append(moved * (reference[2] / need))
    found, moved = np.concatenate(features), np.concatenate(offsets)
    shapes = train.compress(train.ridge(found, moved), found, moved)
    named = [(neck.JOINTS[shape.joint], shape.features, shape.offsets) for shape in shapes]
    assert reference is not None, "nobody to fit to"
    skin, rows, need, _ = reference
    return Fitted(named, rows, rows[skin.neck], need)


def neck_skin(
    adult: np.ndarray, faces: np.ndarray, weights: np.ndarray, names: list[str], heads: np.ndarray
) -> tuple[train.NeckSkin, np.ndarray]:
    """The skin that the neck moves, with some of the rigid skin around it, and its body vertices."""
    column = {name: i for i, name in enumerate(names)}
    own = weights[:, [column[name] for name in skeleton.NECK]]
    skull = weights[:, [column[name] for name in ("jaw", "eye.L", "eye.R", "teeth_upper", "teeth_lower")]].sum(1)
    shares = np.concatenate([1 - own.sum(1, keepdims=True) - skull[:, None], own], 1)
    shares[:, 8] += skull
    near = own[:, :7].sum(1) > 1e-4
    triangles = triangulate(faces)
    for _ in range(3):  # rings around it, so that the edge is quiet
        near[triangles[near[triangles].any(1)]] = True
    rows = np.flatnonzero(near)
    place = np.full(len(adult), -1)
    place[rows] = np.arange(len(rows))
    inside = near[triangles].all(1)
    joints = heads[[column[name] for name in skeleton.NECK]]
    return train.NeckSkin(adult[rows], place[triangles[inside]], shares[rows], joints), rows


def mirrored(points: np.ndarray) -> np.ndarray:
    """The vertex on the other side of each vertex (N,)."""
    distance, other = KDTree(points).query(points * [-1, 1, 1])
    assert distance.max() < 1e-4, "the body is not symmetric"
    return np.asarray(other)


def sample(limits: NeckLimits, count: int, seed: int) -> np.ndarray:
    """Neck poses (count, 8, 4): head rotations over the whole range, shared out, and joints that go their own ways."""
    random = np.random.default_rng(seed)
    ranges = [np.radians(values) for values in (limits.flexion, limits.extension, limits.lateral, limits.axial)]
    flexion, extension, lateral, axial = ranges
    direction = random.normal(size=(count, 3))
    direction /= (
        np.abs(direction).max(1, keepdims=True) ** 0.5 * np.linalg.norm(direction, axis=1, keepdims=True) ** 0.5
    )
    wanted = direction * random.uniform(0, REACH, (count, 1)) ** 0.5
    reach = np.stack([np.where(wanted[:, 0] > 0, flexion.sum(), extension.sum()),
                      np.full(count, axial.sum()), np.full(count, lateral.sum())], -1)  # fmt: skip
    wanted /= np.maximum(1, np.linalg.norm(wanted, axis=1, keepdims=True) / REACH)
    joints = neck.distribute(limits, rotations.from_rotation_vector(wanted * reach))
    own = random.uniform(-0.5, 0.5, (count, 8, 3))
    own *= random.uniform(0, 1, (count, 1, 1)) ** 2
    span = np.stack([np.where(own[..., 0] > 0, flexion, extension), np.broadcast_to(axial, own.shape[:2]),
                     np.broadcast_to(lateral, own.shape[:2])], -1)  # fmt: skip
    return rotations.multiply(joints, rotations.from_rotation_vector(own * span))
