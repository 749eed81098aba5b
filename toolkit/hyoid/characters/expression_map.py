# SPDX-License-Identifier: Apache-2.0
"""ARKit weights as the expression coefficients and the jaw of FLAME and SMPL-X, and back: a fitted linear map.

Of a character that has both, each ARKit shape is rebuilt as well as the model's own expression space can: least squares
over all vertices, with the jaw's rotation as three more directions.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hyoid.characters import arkit, curve_names, facs
from hyoid.characters.character import Character
from hyoid.errors import InputError, UsageError
from hyoid.geometry import rotations

_JAW_STEP = 0.1  # radians: the turn over which the jaw's effect is taken to be straight
_RIDGE = 1e-4  # of the mean square of a coefficient's shape: keeps coefficients within what faces have


@dataclass(frozen=True)
class ExpressionMap:
    """A linear map between vocabularies.

    Attributes:
        names: the coefficients (K,). matrix: (52, K) float64, coefficients at ARKit weight 1.
        jaw: (52, 3) float64, the jaw's rotation vector in radians at weight 1; zeros without a jaw joint.
        gram: (K + 3, K + 3), how much coefficients and jaw move the mesh together, square metres.
        residual_mm: mean distance of the rebuilt shapes from the shapes, over the vertices that these move by 0.5 mm.
        residuals: the same by shape.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    jaw: np.ndarray
    gram: np.ndarray
    residual_mm: float
    residuals: Mapping[str, float]

    @property
    def count(self) -> int:
        """The number of coefficients."""
        return len(self.names)


_MAPS: dict[int, tuple[weakref.ref[Character], ExpressionMap]] = {}


def of_character(character: Character) -> ExpressionMap:
    """The map of a character with ARKit shapes and expression coefficients; fitted once for each.

    Raises:
        UsageError: the character has no expression coefficients.
    """
    found = _MAPS.get(id(character))
    if found is not None and found[0]() is character:
        return found[1]
    names = tuple(name for name in character.shapes.names if curve_names.expression_number(name) is not None)
    if not names:
        raise UsageError(f"'{character.name}' has no expression coefficients", expected="a FLAME or SMPL-X character")
    result = _fit(character, names)
    key = id(character)
    _MAPS[key] = (weakref.ref(character, lambda _: _MAPS.pop(key, None)), result)
    return result


def _fit(character: Character, names: tuple[str, ...]) -> ExpressionMap:
    basis = np.stack([_shape(character, name).ravel() for name in names] + _jaw_directions(character), -1)
    gram = basis.T @ basis
    moved = np.diagonal(gram)
    ridge = _RIDGE * moved[moved > 0].mean() * np.eye(len(gram)) if (moved > 0).any() else np.eye(len(gram))
    shapes = np.stack([_shape(character, name).ravel() for name in arkit.NAMES], -1)
    weights = np.linalg.solve(gram + ridge, basis.T @ shapes).T
    missed = (shapes - basis @ weights.T).reshape(-1, 3, len(arkit.NAMES))
    distance = np.linalg.norm(missed, axis=1)
    far = np.linalg.norm(shapes.reshape(missed.shape), axis=1) > 5e-4
    residuals = {
        name: float(1000 * distance[far[:, i], i].mean()) for i, name in enumerate(arkit.NAMES) if far[:, i].any()
    }
    count = len(names)
    mean = float(np.mean(list(residuals.values()))) if residuals else 0.0
    return ExpressionMap(names, weights[:, :count], weights[:, count:], gram, mean, residuals)


def _shape(character: Character, name: str) -> np.ndarray:
    """One shape on all vertices, (V, 3) float64, metres."""
    shapes = character.shapes
    result = np.zeros((len(character.vertices), 3))
    if name in shapes.names:
        index = shapes.names.index(name)
        rows = slice(shapes.starts[index], shapes.starts[index + 1])
        result[shapes.vertices[rows]] = shapes.offsets[rows]
    return result


def _jaw_directions(character: Character) -> list[np.ndarray]:
    """How the vertices move for one radian of the jaw about each axis, three of (3 V,)."""
    if "jaw" not in character.joint_names:
        return [np.zeros(character.vertices.size)] * 3
    below = {character.joint("jaw")}
    for index, parent in enumerate(character.parents.tolist()):
        if parent in below:
            below.add(index)
    held = np.where(np.isin(character.weight_joints, sorted(below)), character.weights, 0).sum(1)
    arm = character.vertices.astype(float) - character.heads[character.joint("jaw")]
    result = []
    for axis in np.eye(3):
        turn = rotations.from_rotation_vector(_JAW_STEP * axis)
        result.append((held[:, None] * (rotations.rotate(turn, arm) - arm) / _JAW_STEP).ravel())
    return result


def from_arkit(
    found: ExpressionMap, curves: Mapping[str, np.ndarray], frames: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Coefficients by name and the rotation of the jaw, (frames, 4), from ARKit weights; other curves stay."""
    weights = np.zeros((frames, len(arkit.NAMES)))
    for index, name in enumerate(arkit.NAMES):
        if name in curves:
            weights[:, index] = curves[name]
    values = (weights @ found.matrix).astype(np.float32)
    result = {name: values[:, index] for index, name in enumerate(found.names)}
    result |= {name: value for name, value in curves.items() if name not in arkit.NAMES}
    turned = {"jaw": rotations.from_rotation_vector(weights @ found.jaw)} if found.jaw.any() else {}
    return result, turned


def to_arkit(
    source: Character | None, coefficients: Mapping[str, np.ndarray], jaw: np.ndarray | None
) -> dict[str, np.ndarray]:
    """The ARKit weights 0..1 that come closest to expression coefficients and a jaw on the mesh of their model.

    Args:
        source: the character that the coefficients belong to. jaw: (frames, 4) or None.

    Raises:
        InputError: there is no source, or it has no such coefficients.
    """
    if source is None or not any(curve_names.expression_number(name) is not None for name in source.shapes.names):
        raise InputError(
            f"{len(coefficients)} expression coefficients cannot be understood without their model",
            expected="a take of a FLAME or SMPL-X character whose file is there",
        )
    found = of_character(source)
    frames = len(next(iter(coefficients.values())))
    given = np.zeros((frames, found.count + 3))
    places = {curve_names.expression_number(name): index for index, name in enumerate(found.names)}
    for name, values in coefficients.items():
        number = curve_names.expression_number(name)
        if number not in places:
            raise InputError(f"the model has no coefficient '{name}'", expected=f"{found.count} of them")
        given[:, places[number]] = values
    if jaw is not None:
        given[:, found.count :] = rotations.to_rotation_vector(jaw.astype(float))
    both = np.concatenate([found.matrix, found.jaw], 1) @ found.gram
    weights = facs.within_unit(both @ np.concatenate([found.matrix, found.jaw], 1).T, given @ both.T)
    return {
        name: weights[:, index].astype(np.float32) for index, name in enumerate(arkit.NAMES) if weights[:, index].any()
    }
