# SPDX-License-Identifier: Apache-2.0
"""What may be asked for, and what comes back: settings, crops, scenes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hyoid.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """What to draw; every field is part of what makes a picture what it is.

    Attributes:
        size: pixels of a side of a crop. domain: ``usual``, or ``shifted`` for other backgrounds, lights, colours,
            lenses
            and shares of hair styles. held_out: identities, hair, garments and backgrounds that training never shows.
        width, height: pixels of a scene. people: fewest and most people in it. heads: smallest and largest head in it,
            pixels.
        pitch, roll: degrees, standard deviation of the heads of crops; their yaw is uniform.
        region: ``front``, ``side`` or ``back`` for crops of heads that are seen from there alone
            (``head_angles.regions``).
        motion: a folder of packed motion capture for the bodies of scenes, or None for the built-in poses.
        clean: leave out everything that a lens, a sensor and a codec do to a picture.
    """

    size: int = 160
    domain: Literal["usual", "shifted"] = "usual"
    held_out: bool = False
    width: int = 640
    height: int = 480
    people: tuple[int, int] = (1, 10)
    heads: tuple[float, float] = (16.0, 300.0)
    pitch: float = 25.0
    roll: float = 15.0
    region: Literal["front", "side", "back"] | None = None
    motion: Path | None = None
    clean: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            UsageError: a size, a range or a word that does not exist.
        """
        if self.domain not in ("usual", "shifted"):
            raise UsageError(f"unknown domain '{self.domain}'", expected="usual or shifted")
        if self.region not in (None, "front", "side", "back"):
            raise UsageError(f"unknown region '{self.region}'", expected="front, side or back")
        if not 32 <= self.size <= 1024:
            raise UsageError(f"the size of crops is {self.size}", expected="32 to 1024 pixels")
        if not (64 <= self.width <= 2048 and 64 <= self.height <= 2048):
            raise UsageError(f"the size of scenes is {self.width} x {self.height}", expected="64 to 2048 pixels a side")
        if not 1 <= self.people[0] <= self.people[1] <= 20:
            raise UsageError(f"people in a scene are {self.people}", expected="a rising pair within 1 to 20")
        if not 4 <= self.heads[0] <= self.heads[1]:
            raise UsageError(f"sizes of heads are {self.heads}", expected="a rising pair from 4 pixels up")


@dataclass(frozen=True)
class Crops:
    """Pictures of heads and what is true of them.

    Attributes:
        images: (n, S, S, 3) uint8 RGB. rotations: (n, 3, 3) float32, heads as seen along the ray of the crop's centre
            (:mod:`hyoid.geometry.head_angles`). boxes: (n, 4) float32 x1, y1, x2, y2 of the heads in pixels of the
            crop.
        visible: (n,) float32 share of the head's near side that nothing hides.
    """

    images: np.ndarray
    rotations: np.ndarray
    boxes: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True)
class Camera:
    """A pinhole: ``focal`` and ``centre`` in pixels; the camera's axes are x right, y down, z away."""

    width: int
    height: int
    focal: float
    centre: tuple[float, float]

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3) in metres, camera axes."""
        return points[..., :2] / points[..., 2:] * self.focal + np.asarray(self.centre)


@dataclass(frozen=True)
class Scene:
    """A picture of several people and what is true of it; rows of all arrays are people, nearest first.

    Attributes:
        image: (H, W, 3) uint8 RGB. boxes: (n, 4) float32 heads, pixels, not cut at the border. rotations, apparent:
            (n, 3, 3) float32 heads in the axes of the camera and as seen along the ray of the box's centre.
        visible: (n,) float32 share of the near side of the head that is in the picture and that nothing hides.
        landmarks: (n, K, 2) float32 pixels; landmark_points: (n, K, 3) metres, camera axes; landmark_names: (K,).
        joints: (n, J, 3) float32 metres, camera axes; joint_names: (J,).
        depth: (H, W) float32 metres along the axis of the camera, infinite where nothing is, 0 where
            something flat in front hides it.
        mask: (H, W) int16 row of the person, -1 for none.
    """

    image: np.ndarray
    boxes: np.ndarray
    rotations: np.ndarray
    apparent: np.ndarray
    visible: np.ndarray
    landmarks: np.ndarray
    landmark_points: np.ndarray
    landmark_names: tuple[str, ...]
    joints: np.ndarray
    joint_names: tuple[str, ...]
    depth: np.ndarray
    mask: np.ndarray
    camera: Camera
