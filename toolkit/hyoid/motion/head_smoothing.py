# SPDX-License-Identifier: Apache-2.0
"""Steady heads: rotations and boxes smoothed over uneven times, each frame by its trust; also part of the add-on.

Rotations are smoothed on the rotations themselves; a single wild one is not followed. Where SciPy is missing, as in
Blender, the same equations are solved in Python.
"""

from __future__ import annotations

import numpy as np

from hyoid.geometry import rotations as turns

ROTATION_CUTOFF, BOX_CUTOFF, DEPTH_CUTOFF = 2.5, 2.5, 0.5
"""Hertz at which half of a wave passes, at full strength: nods and shakes of heads are slower, walks slower still."""
_WILD = 12.0  # degrees off the neighbours from which a direction counts less
_FAR, _AROUND = 75.0, 0.2  # degrees off what most within so many seconds agree on that no head can be
_ROUNDS = 4


def between(times: np.ndarray, quaternions: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Rotations (n, 4) at other seconds (K,) by slerp; beyond the ends the end ones."""
    if len(times) == 1:
        return np.repeat(quaternions, len(wanted), 0)
    before = np.clip(np.searchsorted(times, wanted, side="right") - 1, 0, len(times) - 2)
    share = np.clip((wanted - times[before]) / (times[before + 1] - times[before]), 0, 1)
    return turns.continuous(turns.slerp(quaternions[before], quaternions[before + 1], share))


def smooth_rotations(
    quaternions: np.ndarray, times: np.ndarray, trust: np.ndarray, *, cutoff: float = ROTATION_CUTOFF,
    strength: float = 1.0,
) -> np.ndarray:  # fmt: skip
    """Rotations (n, 4) float64 smoothed over time as rotations, with continuous signs.

    Penalised second differences in the tangent at the running estimate; directions far from it count less (Cauchy), so
    that one that is turned about by mistake bends nothing.

    Args:
        quaternions: (n, 4) unit. times: (n,) seconds, rising, any steps. trust: (n,) above 0.
        cutoff: hertz of which half passes at full strength. strength: 0 keeps all, to 1.
    """
    source = turns.normalise(np.asarray(quaternions, np.float64))
    if len(source) < 3 or strength <= 0:
        return turns.continuous(source)
    tame = _tame(source, times)
    places = np.flatnonzero(tame)
    # A wild direction must not turn the signs of all that follow.
    source = between(times[places], turns.continuous(source[places]), times)
    weight = np.where(tame, np.asarray(trust, np.float64), 1e-4 * np.min(trust))
    smooth = turns.normalise(smooth_values(source, times, weight, cutoff))
    for _ in range(_ROUNDS):
        off = turns.to_rotation_vector(turns.multiply(turns.inverse(smooth), source))
        angle = np.degrees(np.linalg.norm(off, axis=-1))
        robust = weight / (1 + np.square(angle / _WILD))
        step = smooth_values(off, times, robust, cutoff)
        smooth = turns.normalise(turns.multiply(smooth, turns.from_rotation_vector(step)))
    if strength < 1:
        smooth = turns.slerp(source, smooth, np.full(len(source), strength))
    return turns.continuous(turns.normalise(smooth))


def _tame(source: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(n,) False for rotations that are far from what most around them agree on."""
    step = max(float(np.median(np.diff(times))), 1e-6)
    half = int(np.clip(np.ceil(_AROUND / step), 2, 12))
    places = np.clip(np.arange(len(source))[:, None] + np.arange(-half, half + 1), 0, len(source) - 1)
    around = source[places]
    apart = np.degrees(2 * np.arccos(np.clip(np.abs(around @ around.transpose(0, 2, 1)), 0, 1)))
    middle = around[np.arange(len(source)), apart.sum(-1).argmin(-1)]
    away = np.degrees(2 * np.arccos(np.clip(np.abs((middle * source).sum(-1)), 0, 1)))
    tame = away < _FAR
    return tame if tame.sum() >= 3 else np.ones(len(source), bool)


def smooth_values(
    values: np.ndarray, times: np.ndarray, trust: np.ndarray, cutoff: float, *, strength: float = 1.0
) -> np.ndarray:
    """Values (n, k) smoothed by penalised second derivatives over uneven times (n,), each by its trust (n,)."""
    values, times = np.asarray(values, np.float64), np.asarray(times, np.float64)
    if len(values) < 3 or strength <= 0:
        return values.copy()
    steps = np.maximum(np.diff(times), 1e-6)
    span = np.concatenate([[steps[0]], (steps[1:] + steps[:-1]) / 2, [steps[-1]]])
    weight = np.asarray(trust, np.float64)
    # Neither many frames a second nor much trust in all of them make the whole stiffer or softer.
    weight = np.maximum(weight / np.mean(weight), 1e-6) * np.minimum(span, 1 / cutoff)
    stiff = 1 / (2 * np.pi * cutoff) ** 4
    before, after = steps[:-1], steps[1:]
    curve = 2 / (before + after)
    rows = np.stack([curve / before, -curve * (1 / before + 1 / after), curve / after])
    rows *= np.sqrt(stiff * (before + after) / 2)
    bands = np.zeros((3, len(values)))
    bands[0] = weight
    for shift in range(3):
        for first in range(3 - shift):
            bands[shift, first : len(values) - 2 + first] += rows[first] * rows[first + shift]
    solved = _solved(bands, weight[:, None] * values)
    return values + strength * (solved - values)


def _solved(bands: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x (n, k) of A x = right, A symmetric, positive definite, with its diagonal and the two below it (3, n)."""
    try:
        from scipy.linalg import solveh_banded
    except ImportError:
        return _solved_without_scipy(bands, right)
    return solveh_banded(bands, right, lower=True)


def _solved_without_scipy(bands: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The same in Blender's Python, which has no SciPy."""
    diagonal, first, second = (row.tolist() for row in bands)
    count = len(diagonal)
    for row in range(count):  # A = L D L^T; the bands become D and L
        pivot = diagonal[row]
        below, lower = first[row] / pivot, second[row] / pivot
        if row + 1 < count:
            diagonal[row + 1] -= below * first[row]
            first[row + 1] -= lower * first[row]
        if row + 2 < count:
            diagonal[row + 2] -= lower * second[row]
        first[row], second[row] = below, lower
    columns = []
    for column in right.T.tolist():
        for row in range(1, count):
            column[row] -= first[row - 1] * column[row - 1]
            if row > 1:
                column[row] -= second[row - 2] * column[row - 2]
        for row in range(count - 1, -1, -1):
            value = column[row] / diagonal[row]
            if row + 1 < count:
                value -= first[row] * column[row + 1]
            if row + 2 < count:
                value -= second[row] * column[row + 2]
            column[row] = value
        columns.append(column)
    return np.array(columns, np.float64).T
