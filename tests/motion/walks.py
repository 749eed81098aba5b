# SPDX-License-Identifier: Apache-2.0
"""Where tests find people with known truth, and the camera before which they stand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from hyoid.motion import cameras
from hyoid.motion.cameras import Camera
from hyoid.synthetic import people
from hyoid.synthetic.people import (
    ANKLE,
    SHIN,
    THIGH,
    Truth,
    jump,
    landmarks,
    seventeen,
    skeleton,
    still,
    walk,
)
from hyoid.synthetic.scenes import noisy

__all__ = [
    "ANKLE", "MOCAP", "SHIN", "THIGH", "Truth", "camera", "jump", "landmarks", "noisy", "recorded", "seen", "seventeen",
    "skeleton", "still", "walk",
]  # fmt: skip
MOCAP = Path(os.environ.get("HYOID_MOCAP", Path(__file__).resolve().parents[3] / "shared" / "data" / "mocap"))


def recorded(name: str) -> Truth:
    """A clip of the recorded motion by its name, on the ground."""
    return people.recorded(MOCAP, name)


def camera(height: float = 1.5, pitch: float = 0.06) -> Camera:
    """A landscape camera with a 55 degree lens."""
    return cameras.from_field_of_view((1280, 720), np.radians(55), height=height, pitch=pitch)


def seen(truth: Truth, of: Camera, distance: float = 5.0) -> np.ndarray:
    """Joints (F, 17, 3) in camera space of somebody whose way is centred ``distance`` metres in front of the camera."""
    middle = (truth.joints[:, 0].min(0) + truth.joints[:, 0].max(0)) / 2
    return cameras.to_camera(of, truth.joints - [middle[0], 0, middle[2] + distance])
