# SPDX-License-Identifier: Apache-2.0
"""Joints that a detector did not find: bridged over time, or guessed from a standing body, for networks want all."""

from __future__ import annotations

import numpy as np

from hyoid.geometry.human36m import PARENTS

_STANDING = np.array(
    [(0, 0), (-0.12, 0), (-0.13, 0.44), (-0.13, 0.86), (0.12, 0), (0.13, 0.44), (0.13, 0.86), (0, -0.24), (0, -0.5),
     (0, -0.6), (0, -0.74), (0.17, -0.47), (0.2, -0.2), (0.21, 0.05), (-0.17, -0.47), (-0.2, -0.2), (-0.21, 0.05)]
)  # fmt: skip
"""(17, 2) metres, x right and y down in the picture: somebody who stands and faces the camera."""
_TORSO = (0, 8)  # pelvis and thorax: others hang from them


def over_time(times: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (F, 17, 2), NaN where missing, with every gap filled: joints move with the joint above them.

    Between frames in which a joint was seen its place beside its parent runs on a straight line; before the first and
    after the last it stays. A joint that was never seen hangs as that of a standing body does.

    Args:
        times: (F,) seconds.
    """
    points = np.array(points, np.float64)
    root, thorax = points[:, _TORSO[0]], points[:, _TORSO[1]]
    if np.isfinite(thorax[:, 0]).sum() > np.isfinite(root[:, 0]).sum():
        base = _bridged(times, thorax)
        away = root - base
        points[:, 0] = np.where(np.isfinite(root), root, base + _bridged(times, away, _hanging(points, 0, 8)))
    else:
        points[:, 0] = _bridged(times, root, np.nanmedian(points.reshape(-1, 2), 0))
    for joint, parent in enumerate(PARENTS):
        if parent < 0:
            continue
        away = points[:, joint] - points[:, parent]
        guess = _bridged(times, away, _hanging(points, joint, parent))
        points[:, joint] = np.where(np.isfinite(points[:, joint]), points[:, joint], points[:, parent] + guess)
    return points


def complete(points: np.ndarray) -> np.ndarray:
    """Pictures (N, 17, 2), each on its own, NaN where missing: missing joints as those of a standing body."""
    points = np.array(points, np.float64)
    there = np.isfinite(points).all(-1)
    count = np.maximum(there.sum(1), 1)[:, None]
    middle = np.where(there[..., None], points, 0).sum(1) / count
    model = np.where(there[..., None], _STANDING, 0).sum(1) / count
    # The size that fits best, without turning: heads are up.
    own = np.where(there[..., None], points - middle[:, None], 0)
    standing = np.where(there[..., None], _STANDING - model[:, None], 0)
    size = np.sqrt((own**2).sum((1, 2)) / np.maximum((standing**2).sum((1, 2)), 1e-9))
    guess = middle[:, None] + size[:, None, None] * (_STANDING - model[:, None])
    return np.where(there[..., None], points, guess)


def _bridged(times: np.ndarray, values: np.ndarray, otherwise: np.ndarray | None = None) -> np.ndarray:
    """(F, 2) without gaps; ``otherwise`` (2,) where nothing was ever seen."""
    known = np.isfinite(values[:, 0])
    if not known.any():
        return np.tile(np.zeros(2) if otherwise is None else otherwise, (len(values), 1))
    return np.stack([np.interp(times, times[known], values[known, axis]) for axis in range(2)], -1)


def _hanging(points: np.ndarray, joint: int, parent: int) -> np.ndarray:
    """(2,) pixels from parent to joint for a standing body of the size that the seen bones tell."""
    sizes = []
    for below, above in enumerate(PARENTS):
        if above < 0:
            continue
        lengths = np.linalg.norm(points[:, below] - points[:, above], axis=-1)
        lengths = lengths[np.isfinite(lengths)]
        if len(lengths):
            sizes.append(np.median(lengths) / np.linalg.norm(_STANDING[below] - _STANDING[above]))
    return (np.median(sizes) if sizes else 1.0) * (_STANDING[joint] - _STANDING[parent])
