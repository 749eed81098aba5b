# SPDX-License-Identifier: Apache-2.0
"""The skeleton in a binary glTF and its motion: turns against the rest pose in model axes, and the way of the root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError
from hyoid.formats.checks import finite
from hyoid.formats.glb_accessors import Accessors
from hyoid.geometry import rotations

TURNED = 1e-6
"""Components of a turn that differ less are the same."""
_MOVES = 1e-4  # metres that a joint below the root must travel to be the one that carries the body
_APART = 1e-3  # radians between rest and bind pose that are rounding


@dataclass(frozen=True)
class Track:
    """One animated property: ``times`` (n,) float64 seconds, ``values`` (n, k), tangents (n, 2, k) if cubic."""

    times: np.ndarray
    values: np.ndarray
    tangents: np.ndarray | None
    step: bool
    rotation: bool

    def at(self, moments: np.ndarray) -> np.ndarray:
        """The values (frames, k) at some moments; before the first and after the last key they hold."""
        last = len(self.times) - 1
        if not last:
            return np.repeat(self.values, len(moments), 0)
        low = np.clip(np.searchsorted(self.times, moments, "right") - 1, 0, last - 1)
        length = self.times[low + 1] - self.times[low]
        share = np.clip((moments - self.times[low]) / length, 0, 1)
        if self.step:
            # A moment that rounding put just before a key belongs to it.
            return self.values[np.where(share > 1 - 1e-4, low + 1, low)]
        first, second = self.values[low], self.values[low + 1]
        if self.tangents is not None:
            return self._cubic(first, second, low, length, share)
        if self.rotation:
            return rotations.slerp(first, second, share)
        return first + (second - first) * share[:, None]

    def _cubic(
        self, first: np.ndarray, second: np.ndarray, low: np.ndarray, length: np.ndarray, share: np.ndarray
    ) -> np.ndarray:
        assert self.tangents is not None
        leave, arrive = self.tangents[low, 1], self.tangents[low + 1, 0]
        s, d = share[:, None], length[:, None]
        mixed = (
            (2 * s**3 - 3 * s**2 + 1) * first
            + (s**3 - 2 * s**2 + s) * d * leave
            + (3 * s**2 - 2 * s**3) * second
            + (s**3 - s**2) * d * arrive
        )
        return rotations.normalise(mixed) if self.rotation else mixed


@dataclass(frozen=True)
class Nodes:
    """Nodes: ``parents`` (n,), -1 for none; local ``translations`` (n, 3), ``turns`` (n, 4), ``scales`` (n, 3)."""

    names: list[str]
    parents: list[int]
    translations: np.ndarray
    turns: np.ndarray
    scales: np.ndarray


def read_nodes(document: Mapping[str, Any], path: Path) -> Nodes:
    records = document.get("nodes", [])
    count = len(records)
    parents = [-1] * count
    for index, record in enumerate(records):
        for child in record.get("children", []):
            if not 0 <= child < count or parents[child] >= 0 or child == index:
                raise InputError(f"node {index} has node {child} as its child", path=path, expected="a tree of nodes")
            parents[child] = index
    for index in range(count):
        at, steps = index, 0
        while parents[at] >= 0:
            at, steps = parents[at], steps + 1
            if steps > count:
                raise InputError(f"node {index} is its own ancestor", path=path, expected="a tree of nodes")
    translations, turns, scales = np.zeros((count, 3)), np.zeros((count, 4)), np.ones((count, 3))
    for index, record in enumerate(records):
        if "matrix" in record:
            matrix = np.array(record["matrix"], float).reshape(4, 4).T
            finite(f"the matrix of node {index}", matrix, path)
            translations[index], turns[index], scales[index] = _parts(matrix)
        else:
            translations[index] = record.get("translation", (0, 0, 0))
            turns[index] = np.array(record.get("rotation", (0, 0, 0, 1)), float)[[3, 0, 1, 2]]
            scales[index] = record.get("scale", (1, 1, 1))
    for name, values in (("translations", translations), ("rotations", turns), ("scales", scales)):
        finite(f"the {name} of the nodes", values, path)
    names = [str(record.get("name") or f"node{index}") for index, record in enumerate(records)]
    return Nodes(names, parents, translations, rotations.normalise(turns), scales)


def _parts(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Translation, rotation and scale of a matrix (4, 4) that has no shear."""
    scale = np.linalg.norm(matrix[:3, :3], axis=0)
    if np.linalg.det(matrix[:3, :3]) < 0:
        scale[0] = -scale[0]
    turn = matrix[:3, :3] / np.where(np.abs(scale) > 1e-12, scale, 1)
    return matrix[:3, 3], rotations.from_matrix(turn), scale


def read_skeleton(
    document: Mapping[str, Any],
    nodes: Nodes,
    tracks: Mapping[tuple[int, str], Track],
    moments: np.ndarray,
    accessors: Accessors,
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the moving joints, their turns (frames, joints, 4), and the way of the root (frames, 3)."""
    binds = _binds(document, nodes, accessors)
    joints = list(binds) or [node for node, kind in tracks if kind == "rotation" and not _has_mesh(document, node)]
    joints = list(dict.fromkeys(joints))
    frames = len(moments)
    if not joints:
        return [], np.zeros((frames, 0, 4)), np.zeros((frames, 3))
    motion = _Motion(nodes, tracks, moments)
    rest = _rest_turns(nodes, joints, binds)
    members = set(joints)
    whole = {joint: rotations.multiply(motion.turn(joint), rotations.inverse(rest[joint])) for joint in joints}
    names, turns = [], []
    for joint in joints:
        above = _above(nodes, joint, members)
        own = whole[joint] if above is None else rotations.multiply(rotations.inverse(whole[above]), whole[joint])
        moving = (joint, "rotation") in tracks or np.abs(np.abs(own) - rotations.IDENTITY).max() > TURNED
        if moving and nodes.names[joint] not in names:
            names.append(nodes.names[joint])
            turns.append(own)
    top = next(joint for joint in joints if _above(nodes, joint, members) is None)
    root = motion.place(top) - motion.rest_place(top)
    carrier = _carrier(nodes, tracks, joints, top)
    if carrier is not None:
        root = root + motion.shift(carrier)
    return names, np.stack(turns, 1) if turns else np.zeros((frames, 0, 4)), root


def _has_mesh(document: Mapping[str, Any], node: int) -> bool:
    return document["nodes"][node].get("mesh") is not None


def _above(nodes: Nodes, joint: int, members: set[int]) -> int | None:
    at = nodes.parents[joint]
    while at >= 0 and at not in members:
        at = nodes.parents[at]
    return None if at < 0 else at


def _binds(document: Mapping[str, Any], nodes: Nodes, accessors: Accessors) -> dict[int, np.ndarray]:
    """Joint -> its bind rotation (4,) in the space of its skin, joints of the larger skins first."""
    found: dict[int, np.ndarray] = {}
    for skin in sorted(document.get("skins", []), key=lambda skin: -len(skin.get("joints", []))):
        joints = skin.get("joints", [])
        matrices = None
        if skin.get("inverseBindMatrices") is not None:
            matrices = accessors.get(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
            if len(matrices) < len(joints):
                raise ValueError(f"{len(matrices)} bind matrices for {len(joints)} joints")
        for number, joint in enumerate(joints):
            if not 0 <= joint < len(nodes.names):
                raise ValueError(f"a skin names node {joint}")
            if joint in found:
                continue
            bind = np.full(4, np.nan)
            if matrices is not None and abs(np.linalg.det(matrices[number][:3, :3])) > 1e-12:
                bind = rotations.inverse(_parts(matrices[number])[1])
            found[joint] = bind
    return found


def _rest_turns(nodes: Nodes, joints: Sequence[int], binds: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Joint -> its rotation (4,) in the world when the character rests.

    Files mostly stand in the bind pose when nothing is animated: then the nodes tell, and bind matrices differ from
    them by one and the same transform. A file that was exported in another pose has its rest in the matrices alone.
    """
    still = {joint: _world_turn(nodes, joint) for joint in joints}
    known = [joint for joint in joints if joint in binds and np.isfinite(binds[joint]).all()]
    if not known:
        return still
    first = known[0]
    common = rotations.multiply(still[first], rotations.inverse(binds[first]))
    posed = {joint: rotations.multiply(common, binds[joint]) for joint in known}
    apart = max(_angle(posed[joint], still[joint]) for joint in known)
    if apart < _APART:
        return still
    return still | {joint: binds[joint] for joint in known}


def _angle(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.linalg.norm(rotations.to_rotation_vector(rotations.multiply(rotations.inverse(first), second))))


def _world_turn(nodes: Nodes, node: int) -> np.ndarray:
    turn = nodes.turns[node]
    while (node := nodes.parents[node]) >= 0:
        turn = rotations.multiply(nodes.turns[node], turn)
    return turn


def _carrier(nodes: Nodes, tracks: Mapping[tuple[int, str], Track], joints: Sequence[int], top: int) -> int | None:
    """The joint below a root that stands still (``root`` over ``pelvis``) which carries most of the body along."""
    if (top, "translation") in tracks and np.ptp(tracks[top, "translation"].values, axis=0).max() > _MOVES:
        return None
    members = set(joints)
    below: dict[int, int] = {}
    for joint in joints:
        at: int | None = joint
        while at is not None:
            below[at] = below.get(at, 0) + 1
            at = _above(nodes, at, members)
    moving = [
        joint
        for joint in joints
        if joint != top
        and (joint, "translation") in tracks
        and np.ptp(tracks[joint, "translation"].values, axis=0).max() > _MOVES
        and below[joint] > len(joints) / 2
    ]
    return max(moving, key=below.__getitem__, default=None)


class _Motion:
    """Where nodes are and how they are turned in the world at every frame."""

    def __init__(self, nodes: Nodes, tracks: Mapping[tuple[int, str], Track], moments: np.ndarray) -> None:
        self.nodes, self.tracks, self.moments = nodes, tracks, moments
        self.turns: dict[int, np.ndarray] = {}

    def _local(self, node: int, kind: str, rest: np.ndarray) -> np.ndarray:
        track = self.tracks.get((node, kind))
        return rest[node][None] if track is None else track.at(self.moments)

    def turn(self, node: int) -> np.ndarray:
        """(frames, 4); or (1, 4) where nothing moves."""
        if node not in self.turns:
            own, parent = self._local(node, "rotation", self.nodes.turns), self.nodes.parents[node]
            turn = own if parent < 0 else rotations.multiply(self.turn(parent), own)
            self.turns[node] = np.broadcast_to(turn, (len(self.moments), 4))
        return self.turns[node]

    def _into_world(self, node: int, points: np.ndarray) -> np.ndarray:
        """Points (frames, 3) in the space of a node, in the world."""
        while node >= 0:
            points = points * self._local(node, "scale", self.nodes.scales)
            points = rotations.rotate(self._local(node, "rotation", self.nodes.turns), points)
            points = points + self._local(node, "translation", self.nodes.translations)
            node = self.nodes.parents[node]
        return np.broadcast_to(points, (len(self.moments), 3))

    def place(self, node: int) -> np.ndarray:
        """The origin of a node in the world, (frames, 3)."""
        return self._into_world(node, np.zeros((1, 3)))

    def rest_place(self, node: int) -> np.ndarray:
        """The same without animation, (3,)."""
        point = np.zeros(3)
        while node >= 0:
            point = rotations.rotate(self.nodes.turns[node], point * self.nodes.scales[node])
            point = point + self.nodes.translations[node]
            node = self.nodes.parents[node]
        return point

    def shift(self, node: int) -> np.ndarray:
        """How far the translation of a node itself carries it from its rest, in the world, (frames, 3)."""
        parent, rest = self.nodes.parents[node], self.nodes.translations[node][None]
        now = self._local(node, "translation", self.nodes.translations)
        if parent < 0:
            return np.broadcast_to(now - rest, (len(self.moments), 3))
        return self._into_world(parent, now) - self._into_world(parent, rest)
