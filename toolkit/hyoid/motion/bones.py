# SPDX-License-Identifier: Apache-2.0
"""The seventeen body joints, and constant bone lengths for them: one body for a whole clip, never one a frame."""

from __future__ import annotations

import numpy as np

from hyoid.errors import InputError
from hyoid.geometry import human36m

PARENTS = np.array(human36m.PARENTS)
ANKLE_SHARE = 0.039
"""Height of the ankle above the sole as a share of body height: joints end at the ankle, people do not."""
_LEFT, _RIGHT = np.array(human36m.LEFT), np.array(human36m.RIGHT)
_UPRIGHT = np.array([2, 3, 5, 6, 7, 8, 9, 10])  # bones that add up to the height; the legs count half each


def shaped(joints: np.ndarray) -> np.ndarray:
    """Joints (F, 17, 3) as float64, with whatever numbers.

    Raises:
        InputError: another shape.
    """
    joints = np.asarray(joints, np.float64)
    if joints.ndim != 3 or joints.shape[1:] != (17, 3):
        raise InputError(f"joints have the shape {joints.shape}", expected="(frames, 17, 3)")
    return joints


def checked(joints: np.ndarray) -> np.ndarray:
    """Joints (F, 17, 3) as float64.

    Raises:
        InputError: another shape, or a number that is not finite; the first frame and joint are named.
    """
    joints = shaped(joints)
    bad = np.argwhere(~np.isfinite(joints))
    if len(bad):
        frame, joint, _ = bad[0]
        raise InputError(
            f"frame {frame}, joint '{human36m.NAMES[joint]}' is not a finite number", expected="metres",
            hint="Fill or drop the frames without a detection first",
        )  # fmt: skip
    return joints


def measured(joints: np.ndarray) -> np.ndarray:
    """(F, 17) length of the bone that ends in each joint; the pelvis has 0."""
    vectors = joints - joints[:, np.maximum(PARENTS, 0)]
    return np.linalg.norm(vectors, axis=-1)


def lengths(joints: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """One length for each bone of a clip: the weighted median over frames, left and right averaged.

    Args:
        joints: (F, 17, 3) metres, any frame of axes. weights: (F,) or (F, 17) scores, not negative; None for equal.

    Returns:
        (17,) metres, 0 for the pelvis.

    Raises:
        InputError: no frames, or no weight above 0.
    """
    joints = checked(joints)
    if not len(joints):
        raise InputError("the clip has no frames", expected="at least one frame")
    shares = np.ones(joints.shape[:2]) if weights is None else np.asarray(weights, np.float64)
    shares = np.broadcast_to(shares[:, None] if shares.ndim == 1 else shares, joints.shape[:2])
    if not (shares.sum(0) > 0).all() or (shares < 0).any():
        raise InputError("a joint has no positive weight in any frame", expected="scores of 0 or more")
    result = _weighted_median(measured(joints), shares)
    mean = (result[_LEFT] + result[_RIGHT]) / 2
    result[_LEFT] = result[_RIGHT] = mean
    return result


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, 0)
    below = np.cumsum(np.take_along_axis(weights, order, 0), axis=0)
    half = below[-1] / 2
    low = (below < half - 1e-12 * half).sum(0)
    # An even split between two frames lies between them, as in the plain median.
    even = np.abs(np.take_along_axis(below, low[None], 0)[0] - half) <= 1e-9 * half
    high = np.minimum(low + even, len(values) - 1)
    columns = np.arange(values.shape[1])
    return (ordered[low, columns] + ordered[high, columns]) / 2


def height(bone_lengths: np.ndarray) -> float:
    """Body height in metres of bone lengths (17,): the bones that stand on each other, and the foot under them."""
    upright = bone_lengths[_UPRIGHT] * np.where(_UPRIGHT < 7, 0.5, 1.0)
    return float(upright.sum() / (1 - ANKLE_SHARE))


def scaled(bone_lengths: np.ndarray, body_height: float) -> np.ndarray:
    """Bone lengths (17,) of the same proportions for a body of a height in metres.

    Raises:
        InputError: the height is not one of a person, or the bones have no length.
    """
    if not 0.3 <= body_height <= 2.8:
        raise InputError(f"a body height of {body_height:g} m", expected="0.3 to 2.8 m", hint="Give it in metres")
    own = height(bone_lengths)
    if own <= 0:
        raise InputError("the bones have no length", expected="joints that are not all in one place")
    return bone_lengths * (body_height / own)


def with_lengths(joints: np.ndarray, bone_lengths: np.ndarray) -> np.ndarray:
    """The joints (F, 17, 3) with every bone at its length (17,): directions and pelvis as they were.

    A bone without a direction in some frame (both ends in one place) keeps the direction of its parent.
    """
    joints = checked(joints)
    result = joints.copy()
    directions = np.zeros_like(joints)
    directions[:, 0, 1] = 1.0
    for joint in range(1, 17):
        parent = PARENTS[joint]
        vector = joints[:, joint] - joints[:, parent]
        length = np.linalg.norm(vector, axis=-1, keepdims=True)
        directions[:, joint] = np.where(length > 1e-9, vector / np.maximum(length, 1e-9), directions[:, parent])
        result[:, joint] = result[:, parent] + bone_lengths[joint] * directions[:, joint]
    return result


def variance(points: np.ndarray, parents: np.ndarray = PARENTS) -> float:
    """Largest variance over time of a bone's length, square metres: 0 for one body.

    Args:
        points: (F, J, 3) metres. parents: (J,), -1 for the root.
    """
    if not len(points):
        return 0.0
    pairs = [(joint, parent) for joint, parent in enumerate(parents) if parent >= 0]
    return max(
        (float(np.linalg.norm(points[:, one] - points[:, other], axis=-1).var()) for one, other in pairs), default=0.0
    )
