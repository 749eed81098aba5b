# SPDX-License-Identifier: Apache-2.0
"""Rotations and angles as the published networks mean them, and as Hyoid does (``hyoid.geometry.head_angles``).

``dad3dheads`` (all published weights): R maps head axes (x right, y up, z out of the face, seen from the front) to the
camera's (x right, y down, z away); frontal is ``diag(1, -1, -1)``. ``300w-lp``: ``M = Rz(roll) Ry(yaw) Rx(pitch)``.
What holds for a rotation holds for the parameters A of its distribution as well.
"""

from __future__ import annotations

import numpy as np

from hyoid.errors import UsageError
from hyoid.geometry.head_angles import FLIP

CONVENTIONS = ("dad3dheads", "300w-lp")
MIRROR = np.diag([-1.0, 1.0, 1.0])
_LOCKED = 1e-6


def to_common(matrices: np.ndarray, convention: str = "dad3dheads") -> np.ndarray:
    """Matrices (..., 3, 3) in the common convention: frontal is the identity.

    Raises:
        UsageError: no such convention.
    """
    return (dad_from_wlp(matrices) if _is_wlp(convention) else matrices) @ FLIP


def from_common(matrices: np.ndarray, convention: str = "dad3dheads") -> np.ndarray:
    """Undoes :func:`to_common`.

    Raises:
        UsageError: no such convention.
    """
    found = matrices @ FLIP
    return wlp_from_dad(found) if _is_wlp(convention) else found


def dad_from_wlp(matrices: np.ndarray) -> np.ndarray:
    """``R = D M^T`` (..., 3, 3)."""
    return FLIP @ np.swapaxes(matrices, -1, -2)


def wlp_from_dad(matrices: np.ndarray) -> np.ndarray:
    """``M = (D R)^T`` (..., 3, 3)."""
    return np.swapaxes(FLIP @ matrices, -1, -2)


def dad_angles(rotations: np.ndarray) -> np.ndarray:
    """Pitch, yaw, roll (..., 3) in degrees as the published code shows them for R (..., 3, 3).

    Yaw stays within 90 degrees: a head seen from behind shows as pitch and roll near 180. For angles that artists read,
    see :func:`hyoid.geometry.head_angles.angles`.
    """
    r = np.swapaxes(np.asarray(rotations, np.float64), -1, -2)
    across = np.hypot(r[..., 0, 0], r[..., 1, 0])
    locked = across < _LOCKED
    first = np.where(
        locked, np.arctan2(-r[..., 1, 2], r[..., 1, 1]), np.arctan2(r[..., 2, 1], r[..., 2, 2])
    )  # fmt: skip
    yaw = np.arctan2(-r[..., 2, 0], across)
    roll = np.where(locked, 0.0, np.arctan2(r[..., 1, 0], r[..., 0, 0]))
    pitch = np.degrees(first) - 180
    return np.stack([np.where(pitch <= -180, pitch + 360, pitch), np.degrees(yaw), np.degrees(roll)], -1)


def wlp_angles(matrices: np.ndarray, *, full: bool = False) -> np.ndarray:
    """Pitch, yaw, roll (..., 3) in degrees of M (..., 3, 3).

    Args:
        full: let yaw go beyond 90 degrees, as published: pitch and roll are not turned with it then, so that the three
            do not make M again for heads seen from behind.
    """
    m = np.asarray(matrices, np.float64)
    across = np.hypot(m[..., 0, 0], m[..., 1, 0])
    locked = across < _LOCKED
    if full:
        across = np.where(m[..., 0, 0] < 0, -across, across)
    pitch = np.where(locked, np.arctan2(-m[..., 1, 2], m[..., 1, 1]), np.arctan2(m[..., 2, 1], m[..., 2, 2]))
    yaw = np.arctan2(-m[..., 2, 0], across)
    roll = np.where(locked, 0.0, np.arctan2(m[..., 1, 0], m[..., 0, 0]))
    return np.degrees(np.stack([pitch, yaw, roll], -1))


def wlp_matrices(angles: np.ndarray) -> np.ndarray:
    """M (..., 3, 3) float64 of pitch, yaw, roll (..., 3) in degrees."""
    pitch, yaw, roll = np.moveaxis(np.radians(np.asarray(angles, np.float64)), -1, 0)
    return picture_turn(-roll) @ _about_y(yaw) @ _about_x(pitch)


def picture_turn(angles: np.ndarray) -> np.ndarray:
    """Q (..., 3, 3) float64: what turning a picture counter-clockwise by so many radians does to R and A, ``Q R``."""
    c, s, o, i = _parts(angles)
    return np.stack([np.stack([c, s, o], -1), np.stack([-s, c, o], -1), np.stack([o, o, i], -1)], -2)


def turned_wlp(matrices: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """``(D Q D A^T)^T``: 300W-LP matrices (..., 3, 3) of the turned picture."""
    return np.swapaxes(FLIP @ turns @ FLIP @ np.swapaxes(matrices, -1, -2), -1, -2)


def mirrored(rotations: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) in the common convention, of the picture's mirror image."""
    return MIRROR @ rotations @ MIRROR


def _is_wlp(convention: str) -> bool:
    if convention not in CONVENTIONS:
        raise UsageError(f"convention '{convention}'", expected=" or ".join(CONVENTIONS))
    return convention == "300w-lp"


def _about_x(angle: np.ndarray) -> np.ndarray:
    c, s, o, i = _parts(angle)
    return np.stack([np.stack([i, o, o], -1), np.stack([o, c, -s], -1), np.stack([o, s, c], -1)], -2)


def _about_y(angle: np.ndarray) -> np.ndarray:
    c, s, o, i = _parts(angle)
    return np.stack([np.stack([c, o, s], -1), np.stack([o, i, o], -1), np.stack([-s, o, c], -1)], -2)


def _parts(angle: np.ndarray) -> tuple[np.ndarray, ...]:
    angle = np.asarray(angle, np.float64)
    return np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
