# SPDX-License-Identifier: Apache-2.0
"""Whole scenes with the errors of networks: who is who, who goes and who stands, and the bench that measures it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hyoid.motion import cameras, identities, time_bases, trajectory
from hyoid.synthetic import scenes
from hyoid.verbs import bench

from tests.motion import walks


def _scene(name: str, seed: int) -> scenes.Scene:
    return next(one for one in scenes.made_up(seed) if one.name == name)


@pytest.mark.parametrize("name", ["crossing", "bystander", "exit", "gap"])
@pytest.mark.parametrize("seed", range(3))
def test_nobody_is_taken_for_somebody_else(name, seed):
    scene = _scene(name, seed)
    found = scenes.found(scene, seed)
    tracks = identities.track(found.detections, time_bases.frame_times(scene.there.shape[1], scenes.FPS))
    assert len(tracks.people) == len(scene.people)
    for one in tracks.people:
        who = found.who[one.detections]
        assert len(np.unique(who[who >= 0])) == 1


def test_scenes_are_the_same_for_a_seed_and_are_seen_whole():
    first, again, other = (_scene("crossing", seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.people[0].joints, again.people[0].joints)
    np.testing.assert_array_equal(scenes.found(first, 3).joints, scenes.found(again, 3).joints)
    assert first.camera == again.camera
    assert first.camera != other.camera
    for one in first.people:
        pixels = cameras.project(first.camera, cameras.to_camera(first.camera, one.joints))
        assert (pixels >= -1e-6).all()
        assert (pixels <= np.array(first.camera.size) + 1e-6).all()
        assert np.abs(one.joints[..., 1].min() - walks.ANKLE) < 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_slow_steps_along_the_ray_are_no_standing_still(seed):
    """Half a metre a second away from the camera: less in a second than the depth of one frame errs."""
    camera = walks.camera()
    joints = walks.noisy(walks.seen(walks.walk(10, speed=0.5, heading=np.pi), camera, 8.0), camera, seed, missed=0.0)
    precision = trajectory.precision_along_rays(
        trajectory.smooth_depth(joints[:, 0], 30.0, cutoff=0.5), camera.focal, 3.0, 0.08
    )  # fmt: skip
    path = trajectory.fit_path(trajectory.seen_only(joints[:, 0], precision), 30.0)
    # 5 m; a line through 300 depths that err by 0.64 m is off by 0.64 sqrt(12 / 300) = 0.13 m from end to end.
    assert path[-1, 2] - path[0, 2] == pytest.approx(5.0, abs=0.4)


def test_the_bench_measures_and_shows(tmp_path):
    script = bench.load(Path(__file__).resolve().parents[2] / "bench" / "lift_clips.py")
    result = script.run(data=tmp_path, count=2)
    assert [row["clip"] for row in result["clips"]] == ["still", "jump"]
    whole, bare = (result["overall"][way] for way in ("whole", "without both"))
    assert result["worst"]["drift_mm"] < 10
    assert whole["skate_mm"] < 5 < bare["skate_mm"]
    assert whole["penetration_mm"] < 10 < bare["penetration_mm"]
    lines = script.show(result).splitlines()
    assert lines[1].startswith("still")
    assert "only the clips that are made up" in lines[-2]
    again = script.run(data=tmp_path, count=2)
    assert again["clips"] == result["clips"]
