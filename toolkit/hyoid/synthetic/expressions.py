# SPDX-License-Identifier: Apache-2.0
"""Random expressions and registration noise: the sampling that training and the benches of stabilisation share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_EXCLUDES = {"jawLeft": "jawRight", "jawRight": "jawLeft", "mouthLeft": "mouthRight", "mouthRight": "mouthLeft"}
_ENDINGS = (("_L", "_R"), ("Left", "Right"))
MOST = 6
"""Groups of shapes that are active at a time."""


def groups(names: Sequence[str]) -> dict[str, list[int]]:
    """Shapes by what they are: left and right ones together, left first; jaw and mouth moving sideways stay apart."""
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        stem = name
        if name not in _EXCLUDES:
            for endings in _ENDINGS:
                for ending in endings:
                    stem = stem.removesuffix(ending)
        found.setdefault(stem, []).append(index)
    return found


def sample(random: np.random.Generator, known: dict[str, list[int]], count: int) -> np.ndarray:
    """Weights (count,) of one random expression: one to six groups at 0.2 to 1.

    Both sides of a pair are equal with a probability of 0.7; else one side is full or none and the other 0.2 to 1, each
    with a probability of 0.5.

    Args:
        known: groups that may be active (see :func:`groups`), as indices below ``count``.
    """
    weights = np.zeros(count)
    names = list(known)
    chosen = random.choice(len(names), min(int(random.integers(1, MOST + 1)), len(names)), replace=False)
    active: set[str] = set()
    for number in chosen.tolist():
        name = names[number]
        if _EXCLUDES.get(name) in active:
            continue
        active.add(name)
        rows = known[name]
        if len(rows) == 1 or random.random() < 0.7:
            weights[rows] = random.uniform(0.2, 1)
            continue
        one = int(random.integers(2))
        weights[rows[one]] = random.uniform(0.2, 1) if random.random() < 0.5 else float(random.integers(2))
        weights[rows[1 - one]] = random.uniform(0.2, 1) if random.random() < 0.5 else 0.0
    return weights


def smooth_noise(
    random: np.random.Generator, points: np.ndarray, amplitude: float, width: float = 20.0, kernels: int = 64
) -> np.ndarray:
    """A smooth random field (n, 3) on points (n, 3): Gaussian kernels at random points, root mean square ``amplitude``.

    Args:
        amplitude, width: in the unit of the points (millimetres).
    """
    centres = points[random.choice(len(points), kernels)]
    square = (points**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * points @ centres.T
    field = np.exp(-square / (2 * width**2)) @ random.standard_normal((kernels, 3))
    return field * (amplitude / np.sqrt((field**2).sum(1).mean()))
