# SPDX-License-Identifier: Apache-2.0
"""Directions of heads in pictures: one matrix for all systems, its angles, and what the perspective does to it.

A head's rotation (3, 3) has the head's axes as columns, in the axes of the camera: x to the right of the picture, y
down, z away from the camera. A head that faces the camera has the identity, so its axes are x = right of the picture,
y = chin, z = back of the head; the nose points along ``-rotation[:, 2]``.

Angles are degrees: pitch > 0 looks up, yaw > 0 turns the face to the left of the picture (180 is seen from behind),
roll > 0 tilts the head clockwise in the picture; ``rotation = Rx(-pitch) Ry(yaw) Rz(roll)``.

A network that sees a crop tells the head as seen along the ray of the crop's centre (``apparent``); a head away from
the middle of a wide picture is turned against the camera by the angle of that ray.
"""

from __future__ import annotations

import numpy as np

FLIP = np.diag([1.0, -1.0, -1.0])
"""Between axes with y down, z away and axes with y up, z towards the viewer, such as those of Blender's camera."""

FRONT, BACK = 60.0, 120.0
"""Degrees of yaw within which a head is seen from the front, and beyond which from behind."""


def matrices(angles: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) float64 of pitch, yaw, roll (..., 3) in degrees."""
    pitch, yaw, roll = np.moveaxis(np.radians(np.asarray(angles, np.float64)), -1, 0)
    sa, ca, sb, cb, sc, cc = np.sin(-pitch), np.cos(pitch), np.sin(yaw), np.cos(yaw), np.sin(roll), np.cos(roll)
    rows = [
        [cb * cc, -cb * sc, sb],
        [sa * sb * cc + ca * sc, ca * cc - sa * sb * sc, -sa * cb],
        [sa * sc - ca * sb * cc, ca * sb * sc + sa * cc, ca * cb],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def angles(rotations: np.ndarray) -> np.ndarray:
    """Pitch, yaw, roll (..., 3) float64, degrees, of rotations (..., 3, 3).

    Yaw is in (-180, 180] and pitch in [-90, 90]; roll leaves [-90, 90] only where the head is upside down. At a yaw of
    90 degrees pitch and roll turn about one axis: all of it is told as pitch.
    """
    r = np.asarray(rotations, np.float64)
    side = np.where(r[..., 2, 2] < 0, -1.0, 1.0)
    across = np.hypot(r[..., 0, 0], r[..., 0, 1])
    locked = across < 1e-9
    yaw = np.arctan2(r[..., 0, 2], side * across)
    pitch = -np.where(
        locked, np.arctan2(r[..., 2, 1], r[..., 1, 1]), np.arctan2(-side * r[..., 1, 2], side * r[..., 2, 2])
    )
    roll = np.where(locked, 0.0, np.arctan2(-side * r[..., 0, 1], side * r[..., 0, 0]))
    return np.degrees(np.stack([pitch, yaw, roll], -1))


def geodesic(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Degrees (...) float64 between rotations (..., 3, 3), broadcast; exact for small and large ones."""
    between = np.swapaxes(np.asarray(first, np.float64), -1, -2) @ np.asarray(second, np.float64)
    trace = np.trace(between, axis1=-2, axis2=-1)
    skew = np.stack([
        between[..., 2, 1] - between[..., 1, 2], between[..., 0, 2] - between[..., 2, 0],
        between[..., 1, 0] - between[..., 0, 1],
    ], -1)  # fmt: skip
    return np.degrees(np.arctan2(np.linalg.norm(skew, axis=-1), trace - 1))


def regions(rotations: np.ndarray) -> dict[str, np.ndarray]:
    """Which of rotations (n, 3, 3) are seen from the ``front``, the ``side`` and the ``back``, each (n,) bool."""
    yaw = np.abs(angles(rotations)[..., 1])
    return {"front": yaw < FRONT, "side": (yaw >= FRONT) & (yaw <= BACK), "back": yaw > BACK}


def mean(rotations: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) float64 that lies nearest to all of some (n, 3, 3), in the squares of their matrices."""
    left, _, right = np.linalg.svd(np.asarray(rotations, np.float64).sum(0))
    return left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right


def rays(points: np.ndarray, focal: float, centre: tuple[float, float]) -> np.ndarray:
    """Unit directions (..., 3) float64, camera axes, of pixels (..., 2); focal length and principal point in pixels."""
    offset = np.asarray(points, np.float64) - np.asarray(centre, np.float64)
    direction = np.concatenate([offset / focal, np.ones((*offset.shape[:-1], 1))], -1)
    return direction / np.linalg.norm(direction, axis=-1, keepdims=True)


def apparent(rotations: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) as seen along rays (..., 3), of those in camera axes."""
    return np.swapaxes(_towards(directions), -1, -2) @ np.asarray(rotations, np.float64)


def in_camera(rotations: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) in camera axes, of those as seen along rays (..., 3): undoes :func:`apparent`."""
    return _towards(directions) @ np.asarray(rotations, np.float64)


def focal_length(width: int, height: int, field_of_view: float) -> float:
    """Focal length in pixels of a picture whose larger side spans so many degrees."""
    return 0.5 * max(width, height) / float(np.tan(np.radians(field_of_view) / 2))


def _towards(directions: np.ndarray) -> np.ndarray:
    """The least turn (..., 3, 3) that brings the axis of the camera onto unit rays (..., 3) in front of it."""
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    share = 1 / (1 + z)
    rows = [[1 - x * x * share, -x * y * share, x], [-x * y * share, 1 - y * y * share, y], [-x, -y, z]]
    return np.stack([np.stack(row, -1) for row in rows], -2)
