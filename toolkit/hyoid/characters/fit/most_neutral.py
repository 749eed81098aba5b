# SPDX-License-Identifier: Apache-2.0
"""Which frame of a performance shows the least expression, told from the canonical points of all frames."""

from __future__ import annotations

import numpy as np

from hyoid.characters import arkit
from hyoid.characters.fit.template import Template
from hyoid.geometry.rigid import align

_MOST = 400  # frames that are looked at
_RIDGE = 0.02  # of a usual shape: shapes that skin hardly shows stay quiet
_LOW = 0.05  # quantile of a shape's weight that counts as its absence
_SKIPPED = ("tongueOut", "mouthClose")
_ROUNDS = 4


def most_neutral(points: np.ndarray, mask: np.ndarray, template: Template, rows: np.ndarray) -> int:
    """The frame in which the ARKit shapes are, all together, the weakest: no smile, lids open, mouth closed.

    No frame is known to be neutral, so each shape is measured against the frame that shows the least of it.

    Args:
        points: (F, K, 3) millimetres, unstabilised. mask: (K,) points that are there.
        template: of the bundled human. rows: (K,) its rows that are the points.
    """
    chosen = np.unique(np.linspace(0, len(points) - 1, min(len(points), _MOST)).round().astype(int))
    own = np.asarray(points[chosen], np.float64)
    used = mask > 0
    rest = 1000 * template.rest[rows]
    placed = align(own, rest, mask).apply(own)
    # The head's motion is small against expressions here: plain least squares on their mean, a few times, is enough.
    for _ in range(_ROUNDS):
        placed = align(placed, np.median(placed, axis=0), mask).apply(placed)
    names = [name for name in arkit.NAMES if name not in _SKIPPED and "Look" not in name]
    shapes = np.stack([1000 * template.source.offsets(name)[template.rows[rows]][used] for name in names])
    flat = shapes.reshape(len(names), -1)
    square = flat @ flat.T
    square += _RIDGE * np.median(np.diag(square)) * np.eye(len(names))
    moved = (placed - placed.mean(0))[:, used].reshape(len(chosen), -1)
    weights = np.linalg.solve(square, flat @ moved.T).T
    above = np.maximum(weights - np.quantile(weights, _LOW, axis=0), 0)
    sizes = np.sqrt((flat**2).mean(1))
    return int(chosen[int((above * sizes).sum(1).argmin())])
