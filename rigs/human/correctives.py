# SPDX-License-Identifier: Apache-2.0
"""The pose correctives of the bundled human's neck, fitted on the default adult (hyoid.systems.hack.train)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from hyoid.blender import neck_control
from hyoid.characters import bundled, neck
from hyoid.characters.character import NeckLimits
from hyoid.geometry import rotations
from hyoid.geometry.meshes import triangulate
from hyoid.geometry.volume import turned_over
from hyoid.systems.hack import train
from scipy import sparse
from scipy.spatial import KDTree

from rigs.human import skeleton

PEOPLE: tuple[dict[str, float], ...] = (
    {"gender": 0.0, "muscle": 1.0, "age": 0.7},
    {"gender": 0.0, "muscle": 0.9, "age": 1.0},
    {"age": 1.0},
    {"gender": 0.0, "weight": 1.0, "age": 0.7},
    {"gender": 1.0, "weight": 0.9, "age": 0.7},
    {"gender": 1.0, "weight": 0.2, "age": 0.7},
)
"""Whom the shapes serve beside the default adult."""
POSES = 250  # of each person anywhere in the range, and as many mirrored ones
BORDER = 500  # the same near the border of the range, where triangles under the chin turn over first
ROUNDS = 4  # of fitting; poses that still come near to turning a triangle over count more in the next
CLOSE = 0.25  # cosine between a triangle and its turned self that is near
AGAIN = 4
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
    people: list[_Person] = []
    rows, mirror = np.zeros(0, int), np.zeros(0, int)
    for number, adult in enumerate(adults):
        skin, rows = neck_skin(adult[skeleton.BODY], faces, weights[skeleton.BODY], names, heads @ adult)
        if not people:
            mirror = mirrored(skin.rest)
        size = bundled.corrective_need(skin.rest, skin.neck, skin.heads)
        joints = poses(limits, number)
        found, moved = train.offsets(train.Target(skin), joints, mirror)
        people.append(_Person(skin, joints, found, moved * np.float32(people[0].need / size if people else 1), size))
    counts = np.ones((len(people), POSES + BORDER), int)
    shapes: list[train.Shape] = []
    for number in range(ROUNDS):
        if number:
            counts += AGAIN * np.stack([_steepest(person, shapes, people[0].need) < CLOSE for person in people])
        # Every pose comes twice, the second time mirrored.
        found, moved = (
            np.concatenate([np.repeat(getattr(person, name), np.tile(count, 2), axis=0)
                            for person, count in zip(people, counts, strict=True)])
            for name in ("found", "moved")
        )  # fmt: skip
        shapes = train.compress(train.ridge(found, moved), found, moved)
    named = [(neck.JOINTS[shape.joint], shape.features, shape.offsets) for shape in shapes]
    return Fitted(named, rows, rows[people[0].skin.neck], people[0].need)


@dataclass(frozen=True)
class _Person:
    """One person's skin, poses, features and offsets (those of the reference's size), and ``need`` for correctives."""

    skin: train.NeckSkin
    joints: np.ndarray
    found: np.ndarray
    moved: np.ndarray
    need: float


def _steepest(person: _Person, shapes: list[train.Shape], reference: float) -> np.ndarray:
    """(poses,): how the triangle that comes nearest to turning over stands against its turn, 1 = as at rest."""
    result = []
    for start in range(0, len(person.joints), 64):
        joints = person.joints[start : start + 64]
        transforms = train.blended(person.skin, joints)
        turned = rotations.to_matrix(joints) - np.eye(3)
        weights = np.stack([(turned[:, shape.joint] * shape.features).sum((1, 2)) for shape in shapes], 1)
        offsets = np.tensordot(weights, np.stack([shape.offsets for shape in shapes]), 1) * (person.need / reference)
        points = train.apply(transforms, person.skin.rest + offsets)
        stands = turned_over(person.skin.rest, points, person.skin.triangles, transforms[..., :3])
        result.append(stands.min(1))
    return np.concatenate(result)


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


def poses(limits: NeckLimits, seed: int) -> np.ndarray:
    """The neck poses (POSES + BORDER, 8, 4) that one person is fitted to."""
    return np.concatenate([sample(limits, POSES, seed), on_the_border(limits, BORDER, seed)])


def on_the_border(limits: NeckLimits, count: int, seed: int) -> np.ndarray:
    """Neck poses (count, 8, 4) of head rotations at 0.85 to 1.03 of the range in any direction."""
    random = np.random.default_rng(1000 + seed)
    direction = random.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    wanted = direction * random.uniform(0.85, 1.03, (count, 1))
    high, low = neck_control.ranges(limits)
    return neck.distribute(limits, rotations.from_rotation_vector(wanted * np.where(wanted > 0, high, -low)))


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
