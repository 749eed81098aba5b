# SPDX-License-Identifier: Apache-2.0
"""ARKit weights as the expression coefficients and the jaw of FLAME and SMPL-X, and back.

Forward is the linear map that comes with those characters (:mod:`hyoid.characters.smpl.expression`); back are the ARKit
weights 0..1 whose coefficients and jaw move the model's mesh most alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hyoid import characters
from hyoid.characters import arkit, curve_names, facs
from hyoid.errors import InputError, UsageError
from hyoid.geometry import rotations

_LEAST_MM = 0.5
"""Shapes smaller than this are left out of the mean residual: on skin they hardly show (looks move eyes)."""


@dataclass(frozen=True)
class ExpressionMap:
    """A linear map between vocabularies.

    Attributes:
        matrix: (52, K) float64, coefficients at ARKit weight 1. jaw: (52, 3) float64, the jaw's rotation vector in
            radians at weight 1.
        gram: (K + 3, K + 3), how much coefficients and jaw move the mesh together, square metres.
        residuals: millimetres by ARKit shape, root mean square over the vertices that it moves; ``sizes`` are those of
            the shapes themselves.
    """

    matrix: np.ndarray
    jaw: np.ndarray
    gram: np.ndarray
    residuals: Mapping[str, float]
    sizes: Mapping[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """The coefficients as curves: ``expression000`` ..."""
        return tuple(f"expression{index:03d}" for index in range(self.matrix.shape[1]))

    @property
    def residual_mm(self) -> float:
        """The mean of the residuals of shapes that show."""
        seen = [self.residuals[name] for name, size in self.sizes.items() if size > _LEAST_MM]
        return float(np.mean(seen)) if seen else 0.0


def of_name(name: str) -> ExpressionMap:
    """The map of the character that a name like ``flame:FILE`` or ``smplx:FILE`` means.

    Raises:
        UsageError: the character has no expression coefficients.
        InputError: the file cannot be read.
    """
    source, path = characters.parse(name)
    if source not in ("flame", "smplx") or path is None:
        raise UsageError(f"'{name}' has no expression coefficients", expected="flame:FILE or smplx:FILE")
    state = path.stat().st_mtime_ns if path.is_file() else 0
    return _of_file(source, str(path), state)


@lru_cache(maxsize=2)
def _of_file(source: str, path: str, _time: int) -> ExpressionMap:
    from pathlib import Path

    from hyoid.characters import flame, smplx

    module = flame if source == "flame" else smplx
    found = module.arkit_map(Path(path))
    if found is None:
        raise UsageError(f"'{source}:{path}' has no expression coefficients", expected="a FLAME or SMPL-X model")
    model = module.read(Path(path))
    joint = model.joint_names.index("jaw")
    weight = np.asarray(model.weights[:, joint].todense()).reshape(-1, 1)
    arm = model.template - (model.regressor @ model.template)[joint]
    jaw = [(weight * np.cross(axis, arm)).ravel() for axis in np.eye(3)]
    columns = model.expression.reshape(-1, model.expression.shape[2]).astype(np.float64)
    basis = np.concatenate([columns, np.stack(jaw, -1)], 1)
    residuals, sizes = (
        dict(zip(arkit.NAMES, map(float, values), strict=True)) for values in (found.residual, found.size)
    )
    return ExpressionMap(found.coefficients, found.jaw, basis.T @ basis, residuals, sizes)


def from_arkit(
    found: ExpressionMap, curves: Mapping[str, np.ndarray], frames: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Coefficients by name, (frames,) float32, from ARKit weights, and what the jaw does with them.

    Curves that are no ARKit weights stay, behind the coefficients. The jaw is (frames, 3) rotation vectors, radians.
    """
    weights = np.zeros((frames, len(arkit.NAMES)))
    for index, name in enumerate(arkit.NAMES):
        if name in curves:
            weights[:, index] = curves[name]
    values = (weights @ found.matrix).astype(np.float32)
    result = {name: values[:, index] for index, name in enumerate(found.names)}
    return result | {name: value for name, value in curves.items() if name not in arkit.NAMES}, weights @ found.jaw


def to_arkit(name: str, coefficients: Mapping[str, np.ndarray], jaw: np.ndarray | None) -> dict[str, np.ndarray]:
    """The ARKit weights 0..1 that come closest to expression coefficients and a jaw on the mesh of their model.

    Args:
        name: the character that the coefficients belong to. jaw: (frames, 4) or None.

    Raises:
        InputError: the character has no such coefficients, or its file cannot be read.
    """
    try:
        found = of_name(name)
    except UsageError as error:
        raise InputError(
            f"{len(coefficients)} expression coefficients cannot be understood without their model",
            expected="a take of flame:FILE or smplx:FILE, where the file is",
        ) from error
    frames = len(next(iter(coefficients.values())))
    given = np.zeros((frames, len(found.gram)))
    for key, values in coefficients.items():
        number = curve_names.expression_number(key)
        if number is None or number >= found.matrix.shape[1]:
            raise InputError(f"the model has no coefficient '{key}'", expected=f"the {found.matrix.shape[1]} of it")
        given[:, number] = values
    if jaw is not None:
        given[:, found.matrix.shape[1] :] = rotations.to_rotation_vector(jaw.astype(float))
    columns = np.concatenate([found.matrix, found.jaw], 1)
    towards = columns @ found.gram
    weights = facs.within_unit(towards @ columns.T, given @ towards.T)
    return {
        key: weights[:, index].astype(np.float32) for index, key in enumerate(arkit.NAMES) if weights[:, index].any()
    }
