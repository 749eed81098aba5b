# SPDX-License-Identifier: Apache-2.0
"""The bundled human (CC0) rigged with joints as Mixamo, Rigify, CMU and SMPL-X name them, at rest in a T pose.

Motion on such a skeleton goes by its names onto any character of that convention (docs/named_skeletons.md). Each joint
stands for one or more of the human's own and has their places and weights. The mesh is brought into the T pose such
that arms which hang again look as those of the human do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

import numpy as np
from scipy import sparse

from hyoid.characters import SKELETON_PREFIX, bundled, neck, t_pose
from hyoid.characters.character import Character, Driver, Shapes, largest_weights
from hyoid.characters.joint_names import CONVENTIONS, Joint
from hyoid.errors import UsageError
from hyoid.files import data_folder, sha256_of
from hyoid.geometry.skinning import weight_matrix

NAMES: tuple[str, ...] = tuple(CONVENTIONS)
"""``mixamo``, ``rigify``, ``cmu``, ``smplx``."""
_NO_SETTINGS: Mapping[str, float] = MappingProxyType({})
_SPREAD = frozenset((*neck.JOINTS, *(f"spine0{n}" for n in range(1, 5))))
"""Joints of the human that bend little by little where a convention has one joint for several of them."""
_BALL = 0.0136
"""Height of the ball of the foot as a share of that of the head's joint: so high lies it above
:func:`hyoid.motion.skeletons.floor`, and feet that are planted there touch the ground."""
_SHOULDER = 0.5
"""Of the upper arm's length: how far around the shoulder weights are made smooth for arms that lie far from rest."""
_ROUNDS = 20
_RATE = 0.7


def character_name(name: str) -> str:
    """The name by which :func:`hyoid.characters.load` knows a skeleton: ``mixamo`` is ``human_mixamo``.

    Raises:
        UsageError: there is no such skeleton.
    """
    short = name.removeprefix(SKELETON_PREFIX)
    if short not in CONVENTIONS:
        raise UsageError(f"unknown skeleton '{name}'", expected=" or ".join(NAMES))
    return SKELETON_PREFIX + short


def load(
    name: str, settings: Mapping[str, float] = _NO_SETTINGS, part: str = "full", subdivision: int = 0
) -> Character:
    """The bundled human with the joints of a convention.

    Args:
        name: one of :data:`NAMES`, or as :func:`character_name` gives it. The rest is as for
            :func:`hyoid.characters.load` and ``human``.

    Raises:
        UsageError: an unknown name or setting.
        InputError: the data of the human is missing or damaged.
    """
    called = character_name(name)
    table = CONVENTIONS[called.removeprefix(SKELETON_PREFIX)]
    whole = bundled.load(settings, "full", 0)
    source = whole if part == "full" else bundled.load(settings, part, 0)
    pose = t_pose.of(whole)
    floor = float(_posed(whole, _smooth_weights(whole), pose)[0][whole.parts[0].vertices, 1].min())
    held = _smooth_weights(source)
    vertices, turns = _posed(source, held, pose)
    places, ends = _bones(table, pose, floor)
    parents = _parents(table)
    shares = _shares(table, whole)[[whole.joint(joint) for joint in source.joint_names]]
    named = held @ shares
    kept = _used(named, parents) if part == "head" else np.arange(len(table))
    row = {int(joint): index for index, joint in enumerate(kept)}
    joints, weights = largest_weights(named[:, kept])
    result = replace(
        source, name=called, vertices=(vertices - [0, floor, 0]).astype(np.float32), shapes=_shapes(source, turns),
        joint_names=tuple(table[joint].name for joint in kept),
        parents=np.array([row.get(int(parents[joint]), -1) for joint in kept], np.int32),
        heads=places[kept].astype(np.float32), tails=ends[kept].astype(np.float32),
        weight_joints=joints, weights=weights, drivers=_drivers(source, table), correctives=(), digest=_digest(),
    )  # fmt: skip
    if subdivision:
        from hyoid.characters.refine import refine

        return refine(result, subdivision)
    return result


@cache
def _digest() -> str:
    return sha256_of(data_folder("rigs") / "human" / "human.npz")


def _parents(table: tuple[Joint, ...]) -> np.ndarray:
    names = [joint.name for joint in table]
    return np.array([names.index(joint.parent) if joint.parent else -1 for joint in table], np.int32)


def _smooth_weights(source: Character) -> sparse.csr_matrix:
    """The weights (V, J) of the human, smoother near the shoulders, where they are made for arms that hang.

    Without it the skin above a raised arm folds over itself.
    """
    count = len(source.joint_names)
    weights = weight_matrix(source.weight_joints, source.weights, count).toarray().astype(np.float64)
    weights /= weights.sum(1, keepdims=True)
    share = np.zeros(len(source.vertices))
    body = source.parts[0].vertices
    for side in "LR":
        first, second = (source.joint(f"{bone}.{side}") for bone in ("upperarm01", "upperarm02"))
        shoulder, elbow = source.heads[first].astype(float), source.tails[second].astype(float)
        away = np.linalg.norm(source.vertices[body] - shoulder, axis=1) / np.linalg.norm(elbow - shoulder)
        near = np.clip(2 - 2 * away / _SHOULDER, 0, 1)
        share[body] = np.maximum(share[body], _RATE * near**2 * (3 - 2 * near))
    rows = np.flatnonzero(share)
    means, kept = _neighbours(source.faces, len(share))[rows], share[rows, None]
    for _ in range(_ROUNDS):
        weights[rows] += kept * (means @ weights - weights[rows])
    return sparse.csr_matrix(weights)


def _neighbours(faces: np.ndarray, count: int) -> sparse.csr_matrix:
    """(V, V) the mean of the neighbours of each vertex."""
    edges = np.concatenate([faces[:, [corner, (corner + 1) % 4]] for corner in range(4)])
    edges = edges[edges[:, 0] != edges[:, 1]]  # a triangle repeats its last index
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    degree = np.maximum(np.bincount(edges[:, 0], minlength=count), 1)
    return sparse.csr_matrix((1 / degree[edges[:, 0]], (edges[:, 0], edges[:, 1])), shape=(count, count))


def _posed(source: Character, weights: sparse.csr_matrix, pose: t_pose.Pose) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) in the T pose, and (V, 3, 3) by which offsets turn; both exact where nothing turns.

    They undo the skinning from the T pose back to the human's own rest, which so leads there exactly.
    """
    back = pose.back(source.joint_names)
    mixed = (weights @ back.reshape(len(back), 12)).reshape(-1, 3, 4)
    still = np.abs(mixed - np.eye(3, 4)).max((1, 2)) < 1e-9
    mixed[still] = np.eye(3, 4)
    turns = np.linalg.inv(mixed[:, :, :3])
    return (turns @ (source.vertices - mixed[:, :, 3])[..., None])[..., 0], turns


def _bones(table: tuple[Joint, ...], pose: t_pose.Pose, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the joints (J, 3) of a convention turn and where their bones end, metres above the ground."""
    heads = dict(zip(pose.names, pose.heads - [0, floor, 0], strict=True))
    tails = dict(zip(pose.names, pose.tails - [0, floor, 0], strict=True))
    above = dict(zip(pose.names, (pose.names[parent] if parent >= 0 else "" for parent in pose.parents), strict=True))
    places, ends = np.empty((len(table), 3)), np.empty((len(table), 3))
    ball = {side: np.mean([heads[f"toe{toe}-1.{side}"] for toe in range(1, 6)], axis=0) for side in "LR"}
    for side in "LR":
        ball[side][1] = _BALL * heads["c1c2"][1]
    for row, joint in enumerate(table):
        if joint.end:  # a short bone that goes on as the one before it does
            places[row] = tails[joint.end]
            ends[row] = places[row] + 0.5 * (tails[joint.end] - heads[joint.end])
            continue
        first, last = joint.own[0], joint.own[-1]
        inner = {above[own] for own in joint.own}
        places[row] = np.mean([heads[own] for own in joint.own if above[own] not in joint.own], axis=0)
        ends[row] = np.mean([tails[own] for own in joint.own if own not in inner], axis=0)
        if first.startswith("toe"):
            places[row] = ball[first[-1]]
        elif last.startswith("foot"):
            ends[row] = ball[last[-1]]
        elif last.startswith("wrist"):
            ends[row] = heads[f"finger3-1.{last[-1]}"]
    return places, ends


def _shares(table: tuple[Joint, ...], whole: Character) -> np.ndarray:
    """(J of the human, J of the convention): how much of each joint of the human goes with which joint."""
    names = [joint.name for joint in table]
    given: dict[str, np.ndarray] = {}
    for row, joint in enumerate(table):
        parts = np.ones(len(joint.own))
        if _SPREAD.issuperset(joint.own):
            parts = np.arange(1, len(joint.own) + 1) / len(joint.own)
        for own, part in zip(joint.own, parts, strict=True):
            share = np.zeros(len(table))
            share[row] = part
            if part < 1:
                share[names.index(joint.parent)] = 1 - part
            given.setdefault(own, share)
    result = np.zeros((len(whole.joint_names), len(table)))
    for index, (own, parent) in enumerate(zip(whole.joint_names, whole.parents.tolist(), strict=True)):
        if own in given:
            result[index] = given[own]
        elif parent >= 0:
            result[index] = result[parent]
        else:
            result[index, 0] = 1
    return result


def _used(weights: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """The joints of a bust: those that hold a vertex, and the ones above them."""
    used = (weights > 0).any(0)
    for joint in reversed(range(len(parents))):  # parents stand before their children
        if used[joint] and parents[joint] >= 0:
            used[parents[joint]] = True
    return np.flatnonzero(used)


def _shapes(source: Character, turns: np.ndarray) -> Shapes:
    """The human's shapes, turned with what they lie on, without those that follow joints of its own neck."""
    before, gone = source.shapes, {entry.shape for entry in source.correctives}
    kept = [index for index, name in enumerate(before.names) if name not in gone]
    rows = np.concatenate([np.arange(before.starts[index], before.starts[index + 1]) for index in kept])
    sizes = np.diff(before.starts)[kept]
    vertices = before.vertices[rows]
    offsets = (turns[vertices] @ before.offsets[rows][..., None].astype(float))[..., 0]
    names = tuple(before.names[index] for index in kept)
    return Shapes(names, np.concatenate([[0], np.cumsum(sizes)]), vertices, offsets.astype(np.float32))


def _drivers(source: Character, table: tuple[Joint, ...]) -> tuple[Driver, ...]:
    """The eyes follow their curves where the convention has eyes."""
    named = {own: joint.name for joint in table for own in joint.own}
    return tuple(replace(driver, joint=named[driver.joint]) for driver in source.drivers if driver.joint in named)
