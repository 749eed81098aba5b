# SPDX-License-Identifier: Apache-2.0
"""The character record: geometry, parts, shapes, skeleton, weights, limits and licence, the same for every source.

Metres, +Y up, looks along +Z, character's left is +X. All joints have world-aligned axes at rest, so a rest
transform is a translation and a joint rotation is a quaternion in model axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Part:
    """A named piece with one material: rows ``vertices`` of the vertex arrays and rows ``faces`` of the face arrays."""

    name: str
    material: str
    vertices: slice
    faces: slice


@dataclass(frozen=True)
class Material:
    """A physically based material; texture paths are absolute, None where the plain value holds.

    Attributes:
        colour: linear RGBA factor. ``colour_map`` is sRGB, ``normal_map`` tangent space (OpenGL, +Y up),
            ``roughness_map`` holds roughness in its green channel (glTF convention).
        plain: linear RGBA that stands for ``colour_map`` where only plain colours are shown; ``colour`` times it.
        alpha: ``opaque``, ``mask`` (cut at 0.5) or ``blend``.
    """

    name: str
    colour: tuple[float, float, float, float] = (0.8, 0.8, 0.8, 1.0)
    roughness: float = 0.5
    metallic: float = 0.0
    colour_map: Path | None = None
    normal_map: Path | None = None
    roughness_map: Path | None = None
    alpha: str = "opaque"
    double_sided: bool = False
    subsurface: float = 0.0
    plain: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Shapes:
    """Named sparse vertex offsets, before skinning.

    Shape ``k`` moves vertices ``vertices[starts[k]:starts[k + 1]]`` (rising) by ``offsets[starts[k]:starts[k + 1]]``.

    Attributes:
        names: (shapes,); the 52 ARKit names first, in the order of :data:`hyoid.characters.arkit.NAMES`, then
            ``larynxUp``, ``larynxDown`` (10 mm of travel at weight 1; weights may pass 1) and ``larynxSize``
            (weight 1 adds one more template bump, weight -1 flattens it), then shapes of the source's own that have
            curves, then those of the correctives.
        starts: (shapes + 1,) int64. vertices: (n,) int32. offsets: (n, 3) float32, metres.
    """

    names: tuple[str, ...]
    starts: np.ndarray
    vertices: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class Driver:
    """A joint rotation that follows a curve: ``degrees`` about ``axis`` (unit, model axes) at curve value 1."""

    joint: str
    curve: str
    axis: tuple[float, float, float]
    degrees: float


@dataclass(frozen=True)
class Corrective:
    """A shape that follows the rotation of one joint.

    The weight of ``shape`` is ``sum(features * (R - I))`` for the joint's rotation matrix R relative to its parent, in
    model axes (elementwise over rows and columns). It has no curve: nobody keys it, whoever poses the joint gets it.

    Attributes:
        shape: a name in ``Character.shapes``, after those that have curves. joint: a joint's name.
        features: (3, 3) float64.
    """

    shape: str
    joint: str
    features: np.ndarray


@dataclass(frozen=True)
class NeckLimits:
    """Range of motion and coupling of the eight cervical joints, c7t1 ... oc1 (docs/neck.md).

    Each array is (8,) float64, degrees: ``flexion`` and ``extension`` about +X / -X, ``lateral`` and ``axial`` to one
    side; ``coupling`` is the lateral bend that comes with one degree of axial turn (same side positive).
    """

    flexion: np.ndarray
    extension: np.ndarray
    lateral: np.ndarray
    axial: np.ndarray
    coupling: np.ndarray


@dataclass(frozen=True)
class Character:
    """One rigged character at one identity.

    Attributes:
        vertices: (V, 3) float32, rest positions. faces: (F, 4) int32 quads; a triangle repeats its last index.
        uv: (U, 2) float32, origin bottom left. face_uv: (F, 4) int32 into ``uv``.
        parts: contiguous, in order, covering every vertex and face.
        joint_names: (J,), parents before children. parents: (J,) int32, -1 for the root.
        heads, tails: (J, 3) float32: where a joint turns and where its bone ends.
        weight_joints: (V, 8) int32, weights: (V, 8) float32, rows sum to 1, largest first.
        drivers: joints that follow curves (the eyes follow eyeLook*).
        correctives: shapes that follow joints (volume of the neck when it bends).
        landmarks: named vertex indices (``lip_upper``, ``lip_lower``, ``chin``, ``nose_tip``, ``crown``, ``larynx``).
        materials: by name. licence: an SPDX identifier. settings: the identity that was asked for.
        digest: the SHA-256 of the data that it was made from, for provenance; empty for the bundled human.
    """

    name: str
    licence: str
    settings: Mapping[str, float]
    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    face_uv: np.ndarray
    parts: tuple[Part, ...]
    shapes: Shapes
    joint_names: tuple[str, ...]
    parents: np.ndarray
    heads: np.ndarray
    tails: np.ndarray
    weight_joints: np.ndarray
    weights: np.ndarray
    drivers: tuple[Driver, ...]
    neck: NeckLimits
    materials: Mapping[str, Material]
    landmarks: Mapping[str, int]
    correctives: tuple[Corrective, ...] = ()
    digest: str = ""

    def joint(self, name: str) -> int:
        """The index of a joint by name."""
        return self.joint_names.index(name)

    def offsets(self, name: str) -> np.ndarray:
        """The offsets (V, 3) float64, metres, of one shape on every vertex; zero where there is no such shape."""
        result = np.zeros((len(self.vertices), 3))
        if name in self.shapes.names:
            index = self.shapes.names.index(name)
            rows = slice(self.shapes.starts[index], self.shapes.starts[index + 1])
            result[self.shapes.vertices[rows]] = self.shapes.offsets[rows]
        return result


def packed_shapes(names: tuple[str, ...], offsets: Iterable[np.ndarray], smallest: float) -> Shapes:
    """Offsets (V, 3) of each name as shapes, without vertices whose every coordinate is within ``smallest`` metres."""
    starts, vertices, values = [0], [np.zeros(0, np.int32)], [np.zeros((0, 3), np.float32)]
    for moved in offsets:
        rows = np.flatnonzero(np.abs(moved).max(1) > smallest)
        vertices.append(rows.astype(np.int32))
        values.append(moved[rows].astype(np.float32))
        starts.append(starts[-1] + len(rows))
    return Shapes(names, np.array(starts, np.int64), np.concatenate(vertices), np.concatenate(values))


def largest_weights(weights: np.ndarray, most: int = 8, least: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Dense weights (V, J) as the record has them, largest first, sum 1: joints (V, most) int32, weights float32.

    Args:
        least: weights below it are left out.
    """
    width = min(most, weights.shape[1])
    order = np.argsort(-weights, axis=1, kind="stable")[:, :width]
    values = np.take_along_axis(weights, order, 1).astype(np.float64)
    values[values < least] = 0
    values /= values.sum(1, keepdims=True)
    joints, shares = np.zeros((len(weights), most), np.int32), np.zeros((len(weights), most), np.float32)
    joints[:, :width], shares[:, :width] = np.where(values > 0, order, 0), values
    return joints, shares
