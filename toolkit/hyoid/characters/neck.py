# SPDX-License-Identifier: Apache-2.0
"""One head rotation for eight cervical joints and back: shares, coupling, soft limits, and how they follow each other.

Numbers and their sources: docs/neck.md. ``hyoid.blender.neck_control`` writes :func:`distribute` as formulas; what
changes here changes there.
"""

from __future__ import annotations

import numpy as np

from hyoid.characters.character import NeckLimits
from hyoid.geometry import rotations

JOINTS: tuple[str, ...] = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3", "c1c2", "oc1")
_UPPER = slice(6, 8)  # C1-C2 and C0-C1
_TOP = np.arange(8) == 7
_UPPER_SHARE = 0.71  # of a turn, until the upper joints reach their limit
_OVERSHOOT = 1.12  # of its range that a joint may reach before the top joint takes the rest
_ROUNDS = 6
EXTENSION = np.radians([0.0, -1.0, -1.0, 0.0, 1.0, 1.0, 4.0, 8.0])
"""How far each joint extends (negative: flexes) in a full turn to either side; the joints below make up for it."""
REVERSAL = float(np.radians(2.5))
"""How far C0-C1 goes back towards extension while the rest of the neck reaches the end of flexion."""
REVERSAL_FROM = 0.6  # of the range of flexion
LAGS = np.array([0.065, 0.055, 0.045, 0.035, 0.025, 0.015, 0.0, 0.0])
"""Seconds by which each joint follows the head: the upper levels lead."""
_ROOM = 0.25  # the part of its range in which an upper joint gives up leading, so that it is not pushed beyond it


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
        joints = rotations.from_rotation_vector(shares(limits, parts))
        missing = rotations.to_rotation_vector(rotations.multiply(head, rotations.inverse(collapse(joints))))
        parts = np.clip(parts + missing, -np.pi, np.pi)
    joints = rotations.from_rotation_vector(shares(limits, parts))
    joints[..., 7, :] = rotations.multiply(rotations.inverse(collapse(joints[..., :7, :])), head)
    return joints


def shares(limits: NeckLimits, parts: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 8, 3) radians of the joints for a demand (..., 3): bend, turn, tilt about x, y, z."""
    flexion, extension, lateral, axial = (
        np.radians(values) for values in (limits.flexion, limits.extension, limits.lateral, limits.axial)
    )
    bend, turn, tilt = parts[..., 0:1], parts[..., 1:2], parts[..., 2:3]
    flexed = _soft(np.maximum(bend, 0) / flexion.sum())
    bends = flexion * flexed + _even(np.minimum(bend, 0), extension)
    bends = bends - _TOP * REVERSAL * _step((flexed - REVERSAL_FROM) / (1 - REVERSAL_FROM))
    turns, upper = _turns(turn, axial)
    bends = bends - EXTENSION * upper**2
    tilts = _even(tilt, lateral) - limits.coupling * turns
    return np.stack([bends, turns, tilts], -1)


def _even(demand: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """A demand (..., 1) shared in proportion to the ranges (8,), none far beyond its own."""
    return ranges * _soft(demand / ranges.sum())


def _turns(demand: np.ndarray, ranges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The turn of each joint (..., 8), and the part of their range that the upper two use (..., 1)."""
    upper_range = ranges[_UPPER].sum()
    lower_range = ranges.sum() - upper_range
    upper = upper_range * _soft(_UPPER_SHARE * demand / upper_range)
    lower = lower_range * _soft((demand - upper) / lower_range)
    group = np.where(np.arange(8) >= 6, upper / upper_range, lower / lower_range)
    return group * ranges, upper / upper_range


def _soft(share: np.ndarray) -> np.ndarray:
    """The share itself up to 0.85, then a smooth approach to ``_OVERSHOOT``."""
    size = np.abs(share)
    knee, room = 0.85, _OVERSHOOT - 0.85
    return np.sign(share) * np.where(size < knee, size, knee + room * np.tanh((size - knee) / room))


def _step(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def halo(fps: float) -> int:
    """The frames before a window that :func:`dynamics` needs for the window to come out as in the whole track."""
    return int(np.ceil(2 * LAGS.max() * fps)) + 1


def dynamics(limits: NeckLimits, head: np.ndarray, fps: float) -> np.ndarray:
    """Eight joint tracks whose product is the head track: the upper levels lead, the lower ones follow and settle.

    Each joint goes where :func:`distribute` sends it; the six below C2 get there later, by :data:`LAGS`, and what they
    owe the head meanwhile, C1-C2 and C0-C1 have. Where an upper joint has no range left, the lower ones come sooner.
    A pose that is held for :func:`halo` frames is the one of :func:`distribute`. The motion is the same at every frame
    rate.

    Args:
        head: (frames, 4) unit quaternions, rotation of the head against the trunk. Before the first frame the head
            is taken to have been where the first frame has it; for a window give :func:`halo` frames more, drop them.
        fps: frames a second.

    Returns:
        (frames, 8, 4) in the order of :data:`JOINTS`, float64; :func:`collapse` gives ``head`` back.
    """
    head = np.asarray(head, np.float64)
    joints = distribute(limits, head)
    if len(head) < 2:
        return joints
    still = rotations.to_rotation_vector(joints)
    room = _room_to_lead(limits, still)
    vectors = still.copy()
    for level in np.flatnonzero(LAGS):
        late = _late(still[:, level], float(LAGS[level]), fps)
        vectors[:, level] += room * (late - still[:, level])
    result = rotations.from_rotation_vector(vectors)
    # The head that the upper two have to make, and what it is more than their own share.
    below = collapse(result[:, :6])
    wanted = rotations.multiply(rotations.inverse(below), head)
    owed = rotations.to_rotation_vector(rotations.multiply(wanted, rotations.inverse(collapse(joints[:, 6:]))))
    result[:, 6] = rotations.from_rotation_vector(still[:, 6] + owed * [0.5, 0.95, 0.5])
    result[:, 7] = rotations.multiply(rotations.inverse(result[:, 6]), wanted)
    return result


def _room_to_lead(limits: NeckLimits, still: np.ndarray) -> np.ndarray:
    """(frames, 1) 1 while C1-C2 and C0-C1 can go ahead of the rest, 0 where one of them is at its limit."""
    upper = still[:, 6:]
    bends = np.radians(np.where(upper[..., 0] > 0, limits.flexion[6:], limits.extension[6:]))
    # C0-C1 hardly flexes at all: its own 3.5 degrees do not stop it from leading, those of the pair do.
    bend = np.abs(upper[..., 0].sum(1)) / bends.sum(1)
    turn = np.abs(upper[:, 0, 1]) / np.radians(limits.axial[6])
    used = np.maximum(bend, turn)
    return 1 - _step((used - 1 + _ROOM) / _ROOM)[:, None]


def _late(values: np.ndarray, lag: float, fps: float) -> np.ndarray:
    """Values (frames, k) later by ``lag`` seconds on average and smoother: a raised cosine over the last two lags.

    The values are straight lines between frames, so that the result hardly depends on the frame rate.
    """
    past = np.linspace(0, 2 * lag, 257)
    weight = 1 - np.cos(np.pi * past / lag)
    taps = int(np.ceil(2 * lag * fps)) + 1
    shares = np.maximum(1 - np.abs(past[:, None] * fps - np.arange(taps)), 0) * weight[:, None]
    kernel = shares.sum(0) / shares.sum()
    padded = np.concatenate([np.repeat(values[:1], taps - 1, axis=0), values])
    result = np.zeros_like(values)
    for tap, share in enumerate(kernel):
        result += share * padded[taps - 1 - tap : len(padded) - tap]
    return result
