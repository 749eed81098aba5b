# SPDX-License-Identifier: Apache-2.0
"""Feet stay, knees stay in their plane, nothing goes under the ground, and jumps keep their height."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.motion import contacts, foot_lock, joint_rotations, quality, skeletons
from hyoid.motion.skeletons import Pose

from tests.motion import walks


def _posed(truth: walks.Truth) -> Pose:
    return joint_rotations.from_joints(truth.skeleton, truth.joints, landmarks=walks.landmarks(truth.skeleton))


def _sliding(truth: walks.Truth) -> Pose:
    """The pose with a root that drifts by 3 cm a second, sways and floats."""
    pose = _posed(truth)
    seconds = np.arange(len(truth.joints)) / truth.fps
    drift = np.stack([0.03 * seconds, 0.015 * np.sin(3 * seconds), 0.02 * np.sin(5 * seconds)], -1)
    return Pose(pose.rotations, pose.root + drift)


def test_two_bones_reach_their_target_with_the_knee_in_its_plane():
    random = np.random.default_rng(0)
    hip, target = np.zeros((200, 3)), random.normal(size=(200, 3)) * 0.3 + [0, -0.5, 0]
    normal = np.tile([1.0, 0.0, 0.0], (200, 1))
    thigh, shin, missed = foot_lock.two_bone(hip, target, np.full(200, 0.45), np.full(200, 0.42), normal)
    distance = np.linalg.norm(target, axis=-1)
    assert (missed == (distance > 0.995 * 0.87)).all()
    reached = 0.45 * thigh + 0.42 * shin
    np.testing.assert_allclose(reached[~missed], target[~missed], atol=1e-12)
    # Beyond its stretch the leg points there at 99.5 % of its length.
    np.testing.assert_allclose(np.linalg.norm(reached[missed], axis=-1), 0.995 * 0.87, atol=1e-12)
    bend = np.cross(thigh, shin)
    axis = bend / np.linalg.norm(bend, axis=-1, keepdims=True)
    wanted = normal - (normal * target).sum(-1, keepdims=True) / distance[:, None] ** 2 * target
    wanted /= np.linalg.norm(wanted, axis=-1, keepdims=True)
    np.testing.assert_allclose((axis * wanted).sum(-1), 1, atol=1e-9)


def test_planted_feet_do_not_move_and_nothing_is_under_the_ground():
    truth = walks.walk()
    done = foot_lock.lock(truth.skeleton, _sliding(truth), truth.standing, 30.0)
    assert quality.skate(done.soles, done.planted).max() < 1e-6  # mm
    assert quality.penetration(done.soles).max() < 1e-6
    assert not done.stretched[done.planted.any(2)].any()
    planted = done.soles[done.planted]
    np.testing.assert_allclose(planted[:, 1], 0, atol=1e-9)
    before = foot_lock.soles(truth.skeleton, done.before)
    assert quality.skate(before, np.repeat(truth.standing[..., None], 2, -1)).mean() > 1


def test_bones_keep_their_length_and_the_upper_body_its_rotations():
    truth = walks.walk()
    done = foot_lock.lock(truth.skeleton, _sliding(truth), truth.standing, 30.0)
    places, _ = skeletons.forward(truth.skeleton, done.pose)
    spans = np.linalg.norm(places[:, 1:] - places[:, truth.skeleton.parents[1:]], axis=-1)
    assert np.ptp(spans, axis=0).max() < 1e-12
    upper = [0, 3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]
    np.testing.assert_allclose(done.pose.rotations[:, upper], done.before.rotations[:, upper], atol=1e-9)


def test_the_lock_fades_in_and_out_without_a_jump():
    truth = walks.walk()
    done = foot_lock.lock(truth.skeleton, _sliding(truth), truth.standing, 30.0)
    places = [skeletons.forward(truth.skeleton, pose)[0][:, [7, 8]] for pose in (done.before, done.pose)]
    change = np.linalg.norm(np.diff(places[1] - places[0], axis=0), axis=-1)
    # Up to 9 cm of drift go within 5 frames, the steepest part of the ramp takes 1.5 times the mean.
    assert change.max() < 0.05


def test_a_pose_that_already_stands_hardly_changes():
    truth = walks.still(seconds=2)
    done = foot_lock.lock(truth.skeleton, _posed(truth), truth.standing, 30.0)
    joints = skeletons.forward(truth.skeleton, done.pose)[0][:, [4, 5, 7, 8]]
    np.testing.assert_allclose(joints, truth.joints[:, [5, 2, 6, 3]], atol=0.03)


def test_a_foot_out_of_reach_rolls_onto_its_ball():
    truth = walks.still(seconds=1)
    pose = _posed(truth)
    ahead = np.interp(np.arange(30), [20, 29], [0, 0.33])
    done = foot_lock.lock(truth.skeleton, Pose(pose.rotations, pose.root + ahead[:, None] * [0, 0, 1.0]),
                          truth.standing, 30.0)  # fmt: skip
    assert done.soles[-1, 1, 0, 1] > 0.02  # the heel of the foot behind is up
    assert quality.skate(done.soles[:, :, 1], truth.standing).max() < 0.5  # balls stay; mm
    assert not done.planted[-1, 1, 0]


def test_toes_stay_flat_while_the_heel_is_up():
    truth = walks.still(seconds=1)
    standing = np.ones((30, 2, 2), bool)
    standing[15:, :, 0] = False
    pose = _posed(truth)
    turns = pose.rotations.copy()
    turns[15:, [7, 8]] = joint_rotations.about(np.array([1.0, 0, 0]), np.full((15, 2), 0.5))
    done = foot_lock.lock(truth.skeleton, Pose(turns, pose.root + np.array([0, 0.03, 0])), standing, 30.0)
    _, world = skeletons.forward(truth.skeleton, done.pose)
    ahead = joint_rotations.turns.rotate(world[-1, [10, 11]], np.array([0.0, 0, 1]))
    np.testing.assert_allclose(ahead[:, 1], 0, atol=1e-9)
    assert (done.soles[-1, :, 0, 1] > 0.01).all()


@pytest.mark.parametrize("height", [0.15, 0.4])
def test_a_jump_keeps_its_height(height):
    truth = walks.jump(height)
    pose = _posed(truth)
    fly = contacts.airborne(truth.standing, truth.joints[:, 0, 1], 30.0)
    assert fly.any()
    done = foot_lock.lock(truth.skeleton, pose, truth.standing, 30.0, airborne=fly)
    places, _ = skeletons.forward(truth.skeleton, done.pose)
    top = places[:, [1, 2], 1].mean(1).max() - truth.joints[0, 0, 1]
    assert top == pytest.approx(height, rel=0.1)


def test_drift_goes_and_the_picture_place_stays():
    truth = walks.walk(seconds=8)
    random = np.random.default_rng(1)
    feet = truth.joints[:, [6, 3]] - truth.joints[:, :1] - [0, walks.ANKLE, 0]
    # Depth (z) trembles and drifts, the picture directions are good.
    wave = 0.25 * np.sin(np.arange(240) / 40)
    seen = truth.joints[:, 0] + random.normal(size=(240, 3)) * [0.005, 0.005, 0.2] + wave[:, None] * [0, 0, 1]
    precision = np.tile(np.diag(1 / np.array([0.005, 0.005, 0.3]) ** 2), (240, 1, 1))
    path = foot_lock.correct_drift(seen, precision, feet, truth.standing, 30.0, slip=0.005)
    points = path[:, None] + feet
    assert quality.skate(points, truth.standing).mean() < 3  # mm
    assert np.abs(points[truth.standing][:, 1]).mean() < 0.01
    assert np.abs(path - truth.joints[:, 0])[:, :2].max() < 0.02 * 1.7  # 2 % of body height
