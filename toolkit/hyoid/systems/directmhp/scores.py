# SPDX-License-Identifier: Apache-2.0
"""How good found heads are, as the paper tells it (arXiv 2302.01110, section 4): angles of matched heads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyoid.systems.directmhp.boxes import overlaps


@dataclass(frozen=True)
class AngleErrors:
    """Mean absolute errors in degrees, (3,) pitch, yaw, roll each; NaN where no head is.

    Attributes:
        count, matched: true heads, and those that a sure enough detection lies on. backs, fronts: of the matched ones,
            those whose true yaw is more than 90 degrees, and the others. all, back, front: errors of these.
    """

    count: int
    matched: int
    backs: int
    fronts: int
    all: np.ndarray
    back: np.ndarray
    front: np.ndarray


def angle_errors(truth: np.ndarray, found: np.ndarray, *, confidence: float = 0.7, overlap: float = 0.5) -> AngleErrors:
    """Errors of the detection that overlaps each true head most; heads without one are counted and left out.

    Args:
        truth: (n, 8) picture, box as x1, y1, x2, y2, then pitch, yaw, roll in degrees. found: (m, 9) picture, box,
            confidence, angles. confidence: least one of a detection. overlap: a match is larger.
    """
    found = found[found[:, 5] >= confidence]
    pairs = []
    for head in truth:
        near = found[found[:, 0] == head[0]]
        shares = overlaps(head[1:5], near[:, 1:5])
        if len(near) and shares.max() > overlap:
            pairs.append((head[5:], near[shares.argmax(), 6:]))
    true, told = np.array(pairs, np.float64).reshape(-1, 2, 3).swapaxes(0, 1)
    errors = np.abs(true - told)
    errors[:, 1] = np.minimum(errors[:, 1], 360 - errors[:, 1])
    behind = np.abs(true[:, 1]) > 90
    means = [
        errors[rows].mean(0) if rows.any() else np.full(3, np.nan)
        for rows in (np.ones(len(errors), bool), behind, ~behind)
    ]
    return AngleErrors(len(truth), len(errors), int(behind.sum()), int((~behind).sum()), *means)
