# SPDX-License-Identifier: Apache-2.0
"""One head rotation for eight cervical joints and back: shares, coupling and soft limits (docs/neck.md)."""

from __future__ import annotations

import numpy as np

from hyoid.characters.character import NeckLimits
from hyoid.geometry import rotations

JOINTS: tuple[str, ...] = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3", "c1c2", "oc1")
_UPPER = slice(6, 8)  # C1-C2 and C0-C1
_UPPER_SHARE = 0.68  # of a turn, until the upper joints reach their limit
_OVERSHOOT = 1.12  # of its range that a joint may reach before the top joint takes the rest
_ROUNDS = 5


def collapse(joints: np.ndarray) -> np.ndarray:
    """The head rotation that eight joint rotations make: (..., 8, 4) -> (..., 4), exactly their product."""
    head = joints[..., 0, :]
    for index in range(1, joints.shape[-2]):
        head = rotations.multiply(head, joints[..., index, :])
    return head


def distribute(limits: NeckLimits, head: np.ndarray) -> np.ndarray:
    """Eight joint rotations whose product is ``head``.

    Turns go first to C0-C2, bends are shared in proportion to each level's range; with a turn the lower joints bend to
    the same side and the upper ones to the opposite side. Beyond the range of the neck joints stop softly and the top
    joint (``oc1``) takes what is left, so that :func:`collapse` gives ``head`` back.

    Args:
        head: (..., 4) unit quaternions, rotation of the head against the trunk in model axes.

    Returns:
        (..., 8, 4) in the order of :data:`JOINTS`, float64.
    """
    head = np.asarray(head, np.float64)
    wanted = rotations.to_rotation_vector(head)
    parts = wanted.copy()
    for _ in range(_ROUNDS):
        joints = rotations.from_rotation_vector(_shares(limits, parts))
        missing = rotations.to_rotation_vector(rotations.multiply(head, rotations.inverse(collapse(joints))))
        parts = np.clip(parts + missing, -np.pi, np.pi)
    joints = rotations.from_rotation_vector(_shares(limits, parts))
    joints[..., 7, :] = rotations.multiply(rotations.inverse(collapse(joints[..., :7, :])), head)
    return joints


def _shares(limits: NeckLimits, parts: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 8, 3) radians of the joints for a demand (..., 3): bend, turn, tilt about x, y, z."""
    flexion, extension, lateral, axial = (
        np.radians(values) for values in (limits.flexion, limits.extension, limits.lateral, limits.axial)
    )
    bend, turn, tilt = parts[..., 0:1], parts[..., 1:2], parts[..., 2:3]
    bends = np.where(bend > 0, _even(bend, flexion), _even(bend, extension))
    turns = _turns(turn, axial)
    tilts = _even(tilt, lateral) - limits.coupling * turns
    return np.stack([bends, turns, tilts], -1)


def _even(demand: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """A demand (..., 1) shared in proportion to the ranges (8,), none far beyond its own."""
    return ranges * _soft(demand / ranges.sum())


def _turns(demand: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    upper_range = ranges[_UPPER].sum()
    lower_range = ranges.sum() - upper_range
    upper = upper_range * _soft(_UPPER_SHARE * demand / upper_range)
    lower = lower_range * _soft((demand - upper) / lower_range)
    group = np.where(np.arange(8) >= 6, upper / upper_range, lower / lower_range)
    return group * ranges


def _soft(share: np.ndarray) -> np.ndarray:
    """The share itself up to 0.85, then a smooth approach to ``_OVERSHOOT``."""
    size = np.abs(share)
    knee, room = 0.85, _OVERSHOOT - 0.85
    return np.sign(share) * np.where(size < knee, size, knee + room * np.tanh((size - knee) / room))
