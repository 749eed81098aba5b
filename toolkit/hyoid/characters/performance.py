# SPDX-License-Identifier: Apache-2.0
"""A take on a character: curves become shape weights, joints are matched by name, eyes follow their curves."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from hyoid.characters import facs, gestures
from hyoid.characters.arkit import LARYNX_SHAPES, SHAPE_MILLIMETRES
from hyoid.characters.character import Character, Shapes
from hyoid.geometry import rotations
from hyoid.geometry.meshes import NormalPlan
from hyoid.geometry.skinning import Skin, skin_transforms, weight_matrix, world_transforms
from hyoid.take import Take


@dataclass(frozen=True)
class Performance:
    """What a character does, in its own shapes and joints.

    Attributes:
        shape_weights: (frames, shapes) float32. rotations: (frames, joints, 4) float32, w, x, y, z.
        root: (frames, 3) float32, metres.
    """

    shape_weights: np.ndarray
    rotations: np.ndarray
    root: np.ndarray

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.shape_weights)


def perform(character: Character, take: Take, start: int = 0, stop: int | None = None) -> Performance:
    """Frames ``start`` to ``stop`` of a take on a character; what the character does not have is left out.

    Action units (``AU12``) become the shapes that show them (:mod:`hyoid.characters.facs`); ``swallow``, ``breath`` and
    ``effort`` move what the take does not move itself (:mod:`hyoid.characters.gestures`).
    ``larynxHeight`` (millimetres) goes to ``larynxUp`` and ``larynxDown``, ``larynxSize`` (1 = own) to the shape of
    that name, ``character.drivers`` turn joints (the eyes) on top of the take's own rotations, and the shapes of
    ``character.correctives`` follow the joints.
    """
    frames = slice(start, take.frames if stop is None else min(stop, take.frames))
    gesture = gestures.added(take, frames.start, frames.stop)
    said = dict(zip(take.curve_names, take.curves[frames].T, strict=True)) | gesture.curves
    told = np.stack(list(said.values()), -1) if said else take.curves[frames]
    names, curves = facs.expanded(tuple(said), told, character.shapes.names)
    count = len(curves)
    weights = np.zeros((count, len(character.shapes.names)), np.float32)
    columns = {name: i for i, name in enumerate(character.shapes.names)}
    named = {name: curves[:, i] for i, name in enumerate(names)}
    for name, values in named.items():
        if name in columns and name not in LARYNX_SHAPES:
            weights[:, columns[name]] = values
    if "larynxHeight" in named:
        height = named["larynxHeight"] / SHAPE_MILLIMETRES
        for name, sign in (("larynxUp", 1), ("larynxDown", -1)):
            if name in columns:
                weights[:, columns[name]] = np.maximum(sign * height, 0)
    if "larynxSize" in named and "larynxSize" in columns:
        weights[:, columns["larynxSize"]] = named["larynxSize"] - 1
    turns = rotations.identity(count, len(character.joint_names))
    for i, name in enumerate(take.joint_names):
        if name in character.joint_names:
            turns[:, character.joint(name)] = take.rotations[frames, i]
    for name, turn in gesture.joints.items():
        if name in character.joint_names:
            turns[:, character.joint(name)] = turn
    for joint, vector in driven(character, named).items():
        index = character.joint(joint)
        turns[:, index] = rotations.multiply(turns[:, index], rotations.from_rotation_vector(vector))
    _correct(character, turns, weights, columns)
    return Performance(weights, turns, take.root[frames].astype(np.float32))


def _correct(character: Character, turns: np.ndarray, weights: np.ndarray, columns: dict[str, int]) -> None:
    """Write the weights of the correctives, which follow the rotations (frames, joints, 4), into ``weights``."""
    matrices: dict[str, np.ndarray] = {}
    for corrective in character.correctives:
        if corrective.joint not in matrices:
            matrices[corrective.joint] = rotations.to_matrix(turns[:, character.joint(corrective.joint)]) - np.eye(3)
        moved = matrices[corrective.joint].reshape(len(turns), 9) @ corrective.features.reshape(9)
        weights[:, columns[corrective.shape]] = moved


def driven(character: Character, curves: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rotation vectors (frames, 3) of the joints that follow curves: all drivers of a joint added up."""
    result: dict[str, np.ndarray] = {}
    for driver in character.drivers:
        if driver.curve in curves and driver.joint in character.joint_names:
            angle = np.radians(driver.degrees) * curves[driver.curve][:, None]
            vector = (angle * np.asarray(driver.axis)).astype(np.float32)
            result[driver.joint] = result.get(driver.joint, 0) + vector
    return result


def joint_transforms(character: Character, performance: Performance) -> np.ndarray:
    """World transforms of the joints, (frames, joints, 4, 4) float32."""
    return world_transforms(
        character.parents, character.heads, performance.rotations, performance.root
    ).astype(np.float32)  # fmt: skip


def deform(character: Character, performance: Performance) -> np.ndarray:
    """Posed vertices, (frames, V, 3) float32, metres: shapes, then linear blend skinning.

    The result is the only large thing in memory; call it on slices of a long performance.
    """
    world = world_transforms(character.parents, character.heads, performance.rotations, performance.root)
    return _plan(character).skin(skin_transforms(world, character.heads), performance.shape_weights)


def deform_normals(character: Character, vertices: np.ndarray) -> np.ndarray:
    """Unit vertex normals of posed vertices (..., V, 3), of the same shape."""
    return _plan(character).normals(vertices)


def shape_matrix(shapes: Shapes, count: int) -> sparse.csr_matrix:
    """Shapes as one sparse matrix (3 * count, shapes) float32: offsets of vertex v in rows 3 v to 3 v + 2."""
    rows = (3 * shapes.vertices.astype(np.int64)[:, None] + np.arange(3)).ravel()
    columns = np.repeat(np.arange(len(shapes.names)), 3 * np.diff(shapes.starts))
    entries = (shapes.offsets.astype(np.float32).ravel(), (rows, columns))
    return sparse.csr_matrix(entries, shape=(3 * count, len(shapes.names)))


@dataclass(frozen=True)
class _Plan:
    skin: Skin
    normals: NormalPlan


_PLANS: dict[int, tuple[weakref.ref[Character], _Plan]] = {}


def _plan(character: Character) -> _Plan:
    """The prepared sparse matrices of a character; kept as long as the character lives."""
    found = _PLANS.get(id(character))
    if found is not None and found[0]() is character:
        return found[1]
    count = len(character.vertices)
    weights = weight_matrix(character.weight_joints, character.weights, len(character.joint_names))
    skin = Skin(character.vertices, weights, shape_matrix(character.shapes, count))
    plan = _Plan(skin, NormalPlan(character.faces, count))
    key = id(character)
    _PLANS[key] = (weakref.ref(character, lambda _: _PLANS.pop(key, None)), plan)
    return plan
