# SPDX-License-Identifier: Apache-2.0
"""Made walk.npz: keypoints of somebody made up who walks across the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hyoid.formats.npz import write_npz
from hyoid.motion import cameras
from hyoid.synthetic import people

SECONDS, SPEED, HEADING, TREMBLE = 6.0, 0.8, 1.2, 2.0  # seconds, metres a second, radians, pixels


def main() -> None:
    """Write the file beside this script; the bytes are always the same."""
    camera = cameras.from_field_of_view((1280, 720), np.radians(60), height=1.4, pitch=0.05)
    joints = people.walk(seconds=SECONDS, speed=SPEED, heading=HEADING).joints
    middle = (joints[:, 0].min(0) + joints[:, 0].max(0)) / 2 * [1, 0, 1]
    pixels = cameras.project(camera, cameras.to_camera(camera, joints - middle - [0, 0, 5.0]))
    pixels += np.random.default_rng(0).normal(0, TREMBLE, pixels.shape)
    width, height = camera.size
    arrays = {
        "keypoints": pixels.astype(np.float32), "layout": np.array("human36m17"), "fps": np.array(30.0),
        "width": np.array(width), "height": np.array(height),
    }  # fmt: skip
    write_npz(Path(__file__).with_name("walk.npz"), arrays)


if __name__ == "__main__":
    main()
