# SPDX-License-Identifier: Apache-2.0
"""Rigid alignment without learning, many frames at once: Procrustes, and least squares with robust weights.

They are the opponents of the learned method and what it starts from. Lengths are millimetres, everything is float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hyoid.geometry.rigid import Rigid, align, concatenate, nearest

ROUNDS = 50
DECAY = 0.9
FINEST = 1.0
"""Millimetres: the residual at which a point counts a quarter once the scale has come down."""
_LEAST = 0.1  # millimetres: below it the L1 norm is taken as quadratic
_CACHED = 32768  # points of a group of frames
_Kernels = Callable[[np.ndarray, np.ndarray | None], Iterator[Callable[[np.ndarray], np.ndarray]]]


def procrustes(source: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> Rigid:
    """Plain least squares: source (F, n, 3) onto target (F, n, 3) or (n, 3).

    Args:
        mask: (F, n) or (n,), how much each point counts; 0 leaves it out.
    """
    return align(source, target, mask)


def geman_mcclure(
    source: np.ndarray,
    target: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    rounds: int = ROUNDS,
    decay: float = DECAY,
    finest: float = FINEST,
) -> Rigid:
    """Iteratively reweighted least squares with the kernel of Geman and McClure, from coarse to fine.

    The scale begins at three times the median residual after plain least squares and falls by ``decay`` a round down to
    ``finest``; a point with residual r counts ``(s^2 / (s^2 + r^2))^2``.

    Args:
        source: (F, n, 3) mm. target: (F, n, 3) or (n, 3). mask: as in :func:`procrustes`.
    """

    def kernels(square: np.ndarray, present: np.ndarray | None) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
        scale = 3 * np.sqrt(_median(square, present))
        for _ in range(rounds):
            scale = np.maximum(decay * scale, finest)
            own = scale[:, None] ** 2
            yield lambda square, own=own: (own / (own + square)) ** 2

    return _reweighted(source, target, mask, kernels)


def least_absolute(
    source: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None, *, rounds: int = ROUNDS
) -> Rigid:
    """The least sum of distances (L1), by reweighting with ``1 / r``; arguments as in :func:`geman_mcclure`."""

    def kernels(square: np.ndarray, present: np.ndarray | None) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
        for _ in range(rounds):
            yield lambda square: 1 / np.sqrt(np.maximum(square, _LEAST**2))

    return _reweighted(source, target, mask, kernels)


def residuals(motion: Rigid, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(F, n) how far each moved source point lies from its target."""
    away = motion.apply(source)
    away -= target
    return np.sqrt(np.einsum("fnc,fnc->fn", away, away))


def _reweighted(source: np.ndarray, target: np.ndarray, mask: np.ndarray | None, kernels: _Kernels) -> Rigid:
    """Frames go in groups that stay in the cache; the answer does not hang on the groups."""
    source = np.asarray(source, np.float64)
    target = np.broadcast_to(np.asarray(target, np.float64), source.shape)
    present = None if mask is None else np.broadcast_to(np.asarray(mask, np.float64), source.shape[:2])
    size = max(_CACHED // source.shape[1], 1)
    found = []
    for start in range(0, len(source), size):
        some = slice(start, start + size)
        found.append(_group(source[some], target[some], None if present is None else present[some], kernels))
    return concatenate(found)


def _group(source: np.ndarray, target: np.ndarray, present: np.ndarray | None, kernels: _Kernels) -> Rigid:
    """Squared residuals are linear in the products of coordinates, and so is all that Procrustes needs of the points.

    The products are made once: a round is one matrix times a vector each way instead of a dozen passes over points.
    """
    first = align(source, target, present)
    own = first.apply(source)
    middle = target.mean(1, keepdims=True)  # near the origin nothing is lost in large numbers
    own, other = own - middle, target - middle
    count, points = own.shape[:2]
    table = np.empty((count, points, 17))
    table[..., 0] = 1
    table[..., 1:4], table[..., 4:7] = own, other
    table[..., 7:16] = (own[..., :, None] * other[..., None, :]).reshape(count, points, 9)
    table[..., 16] = np.einsum("fnc,fnc->fn", own, own) + np.einsum("fnc,fnc->fn", other, other)
    rotation, shift = np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3))
    square = _squares(table, rotation, shift)
    for kernel in kernels(square, present):
        weights = kernel(square)
        if present is not None:
            weights = weights * present
        rotation, shift = _procrustes(weights, table)
        square = _squares(table, rotation, shift)
    late = Rigid(rotation, shift + middle[:, 0] - (rotation @ middle.transpose(0, 2, 1))[..., 0])
    return late.after(first)


def _squares(table: np.ndarray, rotation: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(F, n) squared distances of ``R s + t`` from p."""
    factors = np.empty((len(table), 17, 1))
    factors[:, 0, 0] = (shift**2).sum(1)
    factors[:, 1:4, 0] = 2 * (shift[:, None] @ rotation)[:, 0]
    factors[:, 4:7, 0] = -2 * shift
    factors[:, 7:16, 0] = -2 * rotation.transpose(0, 2, 1).reshape(-1, 9)
    factors[:, 16, 0] = 1
    return np.maximum((table @ factors)[..., 0], 0)


def _procrustes(weights: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sums = (weights[:, None] @ table)[:, 0]
    total = np.maximum(sums[:, :1], 1e-300)
    own, other = sums[:, 1:4] / total, sums[:, 4:7] / total
    moment = sums[:, 7:16].reshape(-1, 3, 3) / total[..., None] - own[:, :, None] * other[:, None]
    return nearest(moment, own, other)


def _median(square: np.ndarray, present: np.ndarray | None) -> np.ndarray:
    """(F,) the median over the points that count."""
    if present is None:
        return np.median(square, axis=1)
    if (present == present[0]).all():
        return np.median(square[:, present[0] > 0], axis=1)
    return np.nanmedian(np.where(present > 0, square, np.nan), axis=1)
