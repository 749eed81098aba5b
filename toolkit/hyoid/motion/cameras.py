# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera: pixels, camera space (x right, y down, z forward) and world (+Y up), all in metres and radians.

The world's origin is on the ground below the camera. The camera looks along -Z of the world, so that who faces the
camera looks along +Z, with the left hand at +X.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hyoid.errors import InputError

DEFAULT_FIELD_OF_VIEW = float(np.radians(60.0))
"""Across the larger side of the picture, when nothing is known about the lens."""
_FLIP = np.diag([1.0, -1.0, -1.0])
_NEAREST = 1e-6


@dataclass(frozen=True)
class Camera:
    """A camera that stands still.

    Attributes:
        focal: pixels. centre: (x, y) principal point, pixels from the top left. size: width and height, pixels.
        height: metres above the ground.
        pitch: radians, positive looks down. roll: radians, positive has the camera's right side lower.
    """

    focal: float
    centre: tuple[float, float]
    size: tuple[int, int]
    height: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.focal, *self.centre, *self.size, self.height, self.pitch, self.roll)
        if not np.isfinite(numbers).all() or self.focal <= 0 or min(self.size) <= 0:
            raise InputError(
                f"a camera with focal {self.focal:g} px and a picture of {self.size[0]} x {self.size[1]}",
                expected="finite numbers, focal length and size above 0",
            )


@dataclass(frozen=True)
class Lens:
    """The lens as film cameras and Blender tell it: millimetres, and shifts in units of the larger picture side."""

    millimetres: float
    shift_x: float
    shift_y: float


def from_field_of_view(
    size: tuple[int, int],
    field_of_view: float = DEFAULT_FIELD_OF_VIEW,
    *,
    height: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
) -> Camera:
    """A camera with the principal point in the middle and a field of view (radians) across the larger side.

    Raises:
        InputError: the field of view is not between 1 and 175 degrees.
    """
    if not np.radians(1) <= field_of_view <= np.radians(175):
        raise InputError(
            f"a field of view of {np.degrees(field_of_view):g} degrees", expected="1 to 175 degrees",
            hint="Give it in radians here",
        )  # fmt: skip
    width, tall = size
    return Camera(0.5 * max(size) / float(np.tan(field_of_view / 2)), (width / 2, tall / 2), size, height, pitch, roll)


def field_of_view(camera: Camera) -> float:
    """Radians across the larger side of the picture."""
    return 2 * float(np.arctan(0.5 * max(camera.size) / camera.focal))


def lens(camera: Camera, sensor_width: float = 36.0) -> Lens:
    """Focal length in millimetres for a sensor width in millimetres along the larger side, and the lens shift."""
    (width, tall), (x, y), largest = camera.size, camera.centre, max(camera.size)
    return Lens(camera.focal / largest * sensor_width, (width / 2 - x) / largest, (y - tall / 2) / largest)


def project(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Pixels (..., 2) of points (..., 3) in camera space; NaN for points that are not in front of the camera."""
    points = np.asarray(points, np.float64)
    depth = points[..., 2:]
    safe = np.where(depth > _NEAREST, depth, np.nan)
    return camera.focal * points[..., :2] / safe + np.asarray(camera.centre)


def rays(camera: Camera, pixels: np.ndarray) -> np.ndarray:
    """Directions (..., 3) in camera space with z = 1 of pixels (..., 2)."""
    slopes = (np.asarray(pixels, np.float64) - np.asarray(camera.centre)) / camera.focal
    return np.concatenate([slopes, np.ones((*slopes.shape[:-1], 1))], -1)


def rotation(camera: Camera) -> np.ndarray:
    """(3, 3) that turns vectors of camera space into vectors of the world; determinant 1."""
    sine, cosine = np.sin([camera.pitch, camera.roll]), np.cos([camera.pitch, camera.roll])
    down = np.array([[1, 0, 0], [0, cosine[0], sine[0]], [0, -sine[0], cosine[0]]])
    tilt = np.array([[cosine[1], -sine[1], 0], [sine[1], cosine[1], 0], [0, 0, 1]])
    return _FLIP @ down @ tilt


def to_world(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Points (..., 3) of camera space in the world, metres."""
    return np.asarray(points, np.float64) @ rotation(camera).T + [0.0, camera.height, 0.0]


def to_camera(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Points (..., 3) of the world in camera space, metres."""
    return (np.asarray(points, np.float64) - [0.0, camera.height, 0.0]) @ rotation(camera)


def on_ground(camera: Camera, pixels: np.ndarray) -> np.ndarray:
    """World points (..., 3) with y = 0 that pixels (..., 2) show; NaN at or above the horizon."""
    directions = rays(camera, pixels) @ rotation(camera).T
    down = -directions[..., 1:2]
    reach = np.where(down > _NEAREST, camera.height / np.where(down > _NEAREST, down, 1.0), np.nan)
    return directions * reach + [0.0, camera.height, 0.0]


def levelled(camera: Camera, normal: np.ndarray, offset: float) -> Camera:
    """The camera with pitch, roll and height for which a plane of the present world is the ground y = 0.

    Args:
        normal: (3,) of the plane, unit, upwards. offset: ``normal @ p`` of its points, metres.
    """
    seen = rotation(camera).T @ np.asarray(normal, np.float64)
    # The world's up in camera space is (-cos p sin r, -cos p cos r, -sin p).
    pitch = float(np.arcsin(np.clip(-seen[2], -1, 1)))
    roll = float(np.arctan2(-seen[0], -seen[1]))
    return replace(camera, height=float(normal[1] * camera.height - offset), pitch=pitch, roll=roll)
