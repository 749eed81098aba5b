# SPDX-License-Identifier: Apache-2.0
"""How far joints lie from where they should: the errors by which 3D pose estimation is compared.

All functions take joints (frames, J, 3) in one unit and give an error a frame in that unit, float64; the number in a
paper is the mean over frames. Roots are the caller's: subtract them first where the protocol says so.
"""

from __future__ import annotations

import numpy as np

from hyoid.errors import InputError


def mpjpe(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(frames,) mean distance of the joints: MPJPE.

    Raises:
        InputError: shapes are not the same (frames, J, 3).
    """
    predicted, target = _pair(predicted, target)
    return np.linalg.norm(predicted - target, axis=-1).mean(-1)


def n_mpjpe(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(frames,) as :func:`mpjpe` after each frame was scaled, about the origin, as fits best: N-MPJPE.

    Raises:
        InputError: shapes are not the same (frames, J, 3).
    """
    predicted, target = _pair(predicted, target)
    square = (predicted**2).sum((1, 2))
    scale = (predicted * target).sum((1, 2)) / np.where(square > 0, square, 1.0)
    return mpjpe(scale[:, None, None] * predicted, target)


def p_mpjpe(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(frames,) as :func:`mpjpe` after each frame was moved, turned and scaled as fits best, not mirrored: P-MPJPE.

    Raises:
        InputError: shapes are not the same (frames, J, 3).
    """
    predicted, target = _pair(predicted, target)
    own, other = (joints - joints.mean(1, keepdims=True) for joints in (predicted, target))
    left, sizes, right = np.linalg.svd(own.transpose(0, 2, 1) @ other)
    signs = np.ones_like(sizes)
    signs[:, 2] = np.where(np.linalg.det(left @ right) < 0, -1.0, 1.0)
    square = (own**2).sum((1, 2))
    scale = (signs * sizes).sum(1) / np.where(square > 0, square, 1.0)
    return mpjpe(scale[:, None, None] * (own @ (left * signs[:, None]) @ right), other)


def mpjve(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(frames - 1,) mean error of the joints' steps from frame to frame: MPJVE.

    Raises:
        InputError: shapes are not the same (frames, J, 3), or there is one frame.
    """
    predicted, target = _pair(predicted, target)
    if len(predicted) < 2:
        raise InputError("one frame has no velocity", expected="two or more")
    return mpjpe(np.diff(predicted, axis=0), np.diff(target, axis=0))


def _pair(predicted: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, target = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    if predicted.shape != target.shape or predicted.ndim != 3 or predicted.shape[-1] != 3 or not predicted.shape[1]:
        raise InputError(f"joints of {predicted.shape} and {target.shape}", expected="the same (frames, J, 3)")
    return predicted, target
