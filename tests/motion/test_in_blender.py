# SPDX-License-Identifier: Apache-2.0
"""What the chain makes is the same in Blender: its camera shows the same pixels, its bones and skin the same places."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hyoid import blender, characters
from hyoid.geometry import rotations
from hyoid.motion import cameras
from hyoid.motion.cameras import Camera

from tests import toy
from tests.blender import tools

pytestmark = [pytest.mark.blender, pytest.mark.slow]
TO_BLENDER = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""From +Y up to +Z up."""
CAMERAS = {
    "landscape": Camera(900.0, (640.0, 360.0), (1280, 720), 1.6, 0.2, -0.05),
    "shifted": Camera(1100.0, (600.0, 401.0), (1280, 720), 0.7, -0.1, 0.1),
    "portrait": Camera(1500.0, (540.0, 960.0), (1080, 1920), 1.4, 0.05),
    "portrait, shifted": Camera(1300.0, (571.5, 900.0), (1080, 1920), 2.0, 0.3, 0.02),
    "square": Camera(700.0, (500.0, 510.0), (1000, 1000), 1.0, 0.0, 0.0),
}


@pytest.mark.parametrize("name", CAMERAS)
def test_its_camera_shows_every_point_at_our_pixel(name, tmp_path):
    tools.folder_of("4.2")
    camera, lens = CAMERAS[name], cameras.lens(CAMERAS[name])
    random = np.random.default_rng(0)
    seen = random.uniform([-0.5, -0.5, 1], [0.5, 0.5, 9], (100, 3))
    seen[:, :2] *= seen[:, 2:]
    matrix = np.eye(4)
    # A camera of Blender looks along its own -Z, up is +Y: camera space with two axes turned round.
    matrix[:3, :3] = TO_BLENDER @ cameras.rotation(camera) @ np.diag([1.0, -1.0, -1.0])
    matrix[:3, 3] = TO_BLENDER @ [0.0, camera.height, 0.0]
    np.savez(tmp_path / "in.npz", points=cameras.to_world(camera, seen) @ TO_BLENDER.T, matrix=matrix,
             size=np.array(camera.size), lens=np.array([lens.millimetres, lens.shift_x, lens.shift_y]))  # fmt: skip
    child = Path(__file__).with_name("blender_camera.py")
    command = [sys.executable, str(child), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "out.npz") as shown:
        assert np.abs(shown["pixels"] - cameras.project(camera, seen)).max() < 0.1


def test_random_poses_of_the_whole_body_come_back_from_an_armature(tmp_path):
    tools.folder_of("4.2")
    human = characters.load("human")
    random, frames = np.random.default_rng(1), 20
    vectors = random.normal(size=(frames, len(human.joint_names), 3)) * np.radians(25)
    turns = rotations.from_rotation_vector(vectors).astype(np.float32)
    still = replace(toy.take(frames), events=())
    posed = replace(
        still, curves=np.zeros_like(still.curves), joint_names=human.joint_names, rotations=turns,
        root=random.normal(size=(frames, 3)).astype(np.float32),
    )  # fmt: skip
    blender.write(tmp_path / "pose.blend", human, posed, subdivide=False)
    seen = tools.probe(tmp_path / "pose.blend", range(1, frames + 1), tmp_path)
    tools.check(seen, human, posed, list(range(frames)))  # 0.1 mm
