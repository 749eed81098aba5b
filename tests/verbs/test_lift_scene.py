# SPDX-License-Identifier: Apache-2.0
"""hyoid lift --person all: people of any size stand in one scene, and every take tells the camera that shows it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hyoid.cli import run_command
from hyoid.formats import take_npz
from hyoid.motion import cameras, chain
from hyoid.motion.skeletons import Pose
from hyoid.verbs import lift_results
from hyoid.verbs.lift import Job

from tests.motion import walks
from tests.verbs import lift_files as files

pytest.importorskip("torch")
TALL, SMALL = 1.08, 0.75  # beside the people of the tests
ANKLES = [3, 6]
OFF = 0.03  # of a person's height in the picture: the lifter's own error is 0.02


@pytest.fixture(scope="module")
def shot(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """A tall person and, farther away, a small one, whose takes are written; their keypoints (F, 2, 17, 2)."""
    folder = tmp_path_factory.mktemp("two")
    shown = []
    for size, heading, distance, aside in ((TALL, 1.2, 5.0, -0.5), (SMALL, -1.2, 7.0, 0.8)):
        truth = walks.walk(seconds=4, heading=heading)
        truth = replace(truth, joints=size * truth.joints)
        shown.append(files.keypoints(truth, distance=distance, aside=aside, seed=len(shown)))
    keypoints = np.stack(shown, 1)
    path = files.write(folder / "two.npz", keypoints, ids=np.tile([0, 1], (len(keypoints), 1)))
    words = ["lift", str(path), "--person", "all", "--field-of-view", "55", "-o", str(folder / "two.take.npz")]
    assert run_command([*words, "-o", str(folder / "two.lifted.npz")]) == 0
    return path, keypoints


def take_of(shot: Path, number: int) -> tuple[dict[str, Any], np.ndarray]:
    """The camera that a take tells, and its joints (F, 17, 3)."""
    take = take_npz.read(shot.with_name(f"two.person_{number:02d}.take.npz"))
    job = Job.model_validate({"keypoints": str(shot), "output": ["unused.bvh"]})
    who = lift_results.performer(job)
    pose = Pose(take.rotations[:, who.joints].astype(float), take.root.astype(float))
    return take.provenance.settings["camera"], chain.joints_of(who.skeleton, pose)


def shown(facts: dict[str, Any], joints: np.ndarray) -> np.ndarray:
    """(F, 17, 2) pixels at which a camera as takes tell it shows joints."""
    place = np.array(facts["location"])
    pitch, roll, angle = (np.radians(facts[f"{name}_degrees"]) for name in ("pitch", "roll", "field_of_view"))
    camera = cameras.from_field_of_view(tuple(facts["size"]), angle, height=place[1], pitch=pitch, roll=roll)
    return cameras.project(camera, cameras.to_camera(camera, joints - place * [1, 0, 1]))


def off(pixels: np.ndarray, keypoints: np.ndarray) -> float:
    """The median distance in a picture, as a share of the person's height there."""
    away = np.linalg.norm(pixels - keypoints, axis=-1)
    return float(np.median(away) / np.median(np.ptp(keypoints[..., 1], axis=1)))


@pytest.mark.parametrize("number", [1, 2])
def test_every_take_tells_the_camera_that_shows_it(shot, number):
    facts, joints = take_of(shot[0], number)
    assert off(shown(facts, joints), shot[1][:, number - 1]) < OFF


def test_the_ground_tells_who_is_small(shot):
    (tall, _), (small, _) = (take_of(shot[0], number) for number in (1, 2))
    assert (small["pitch_degrees"], small["roll_degrees"]) == (tall["pitch_degrees"], tall["roll_degrees"])
    assert tall["pitch_degrees"] == pytest.approx(np.degrees(0.06), abs=2)
    assert tall["location"][1] / small["location"][1] == pytest.approx(SMALL / TALL, rel=0.08)


def test_one_camera_sees_everybody_stand_where_they_stood(shot):
    """Bodies are as large as the character, but the middles of their ways are right before the first one's camera."""
    facts, _ = take_of(shot[0], 1)
    for number in (1, 2):
        joints, seen = take_of(shot[0], number)[1], shot[1][:, number - 1]
        assert joints[:, ANKLES, 1].min() == pytest.approx(0.08, abs=0.03)  # on the ground
        between = (np.median(points[:, ANKLES], axis=(0, 1)) for points in (shown(facts, joints), seen))
        tall = np.median(np.ptp(seen[..., 1], axis=1))
        assert np.linalg.norm(np.subtract(*between)) < 0.06 * tall


def test_the_result_tells_the_camera_of_the_first(shot, tmp_path, capsys):
    path = tmp_path / "again.take.npz"
    lifted = shot[0].with_name("two.lifted.npz")
    words = ["lift", str(lifted), "--person", "all", "--field-of-view", "55", "-o", str(path), "--json"]
    assert run_command(words) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]["camera"]
    first, _ = take_of(shot[0], 1)
    assert told["location"] == pytest.approx(first["location"], abs=0.01)
