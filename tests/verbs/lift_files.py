# SPDX-License-Identifier: Apache-2.0
"""Keypoint files of people whose motion is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hyoid.motion import cameras

from tests.motion import walks
from tests.motion.walks import Truth

SIZE = (1280, 720)


def keypoints(truth: Truth, distance: float = 5.0, aside: float = 0.0, noise: float = 1.5, seed: int = 0) -> np.ndarray:
    """(F, 17, 2) pixels of somebody ``distance`` metres before the camera and ``aside`` metres to its right."""
    camera = walks.camera()
    joints = walks.seen(truth, camera, distance) + np.array([aside, 0.0, 0.0])
    pixels = cameras.project(camera, joints)
    return pixels + noise * np.random.default_rng(seed).standard_normal(pixels.shape)


def write(path: Path, points: np.ndarray, **more: Any) -> Path:
    """An .npz with keypoints (F[, P], 17, 2) of Human3.6M, its picture and its frame rate."""
    width, height = SIZE
    told: dict[str, Any] = {"layout": "human36m17", "fps": 30.0, "width": width, "height": height} | more
    np.savez(
        path, keypoints=points.astype(np.float32), **{name: value for name, value in told.items() if value is not None}
    )
    return path


def openpose(folder: Path, points: np.ndarray, first: int = 0) -> Path:
    """A folder of OpenPose's JSON with 25 joints for (F, 17, 2) pixels of Human3.6M."""
    order = {0: 9, 1: 8, 2: 14, 3: 15, 4: 16, 5: 11, 6: 12, 7: 13, 8: 0, 9: 1, 10: 2, 11: 3, 12: 4, 13: 5, 14: 6}
    folder.mkdir(exist_ok=True)
    for number, frame in enumerate(points, first):
        rows = np.zeros((25, 3))
        for joint, source in order.items():
            rows[joint] = [*frame[source], 0.9]
        ear = frame[9] + 0.2 * (frame[10] - frame[9])
        rows[17], rows[18] = [ear[0] - 4, ear[1], 0.8], [ear[0] + 4, ear[1], 0.8]
        text = json.dumps({"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": rows.ravel().tolist()}]})
        (folder / f"shot_{number:012d}_keypoints.json").write_text(text)
    return folder


def walking(seconds: float = 3.0, **more: Any) -> np.ndarray:
    """Keypoints of somebody who walks across the picture."""
    return keypoints(walks.walk(seconds=seconds, heading=1.2), **more)
