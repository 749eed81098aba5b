# SPDX-License-Identifier: Apache-2.0
"""Seventeen joints on skeletons: bones point where the joints do, and limbs bend in their plane."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import neck, skeleton_roles
from hyoid.errors import InputError
from hyoid.geometry import rotations
from hyoid.motion import bones, chain, joint_rotations, skeletons
from hyoid.motion.skeletons import Pose, Skeleton
from scipy.spatial.transform import Rotation

from tests.motion import walks


def _angles(a: np.ndarray, b: np.ndarray, joints: list[int]) -> np.ndarray:
    """Degrees between the bones that end in joints."""
    first, second = (joint_rotations.unit(x[:, joints] - x[:, bones.PARENTS[joints]]) for x in (a, b))
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second), axis=-1), (first * second).sum(-1)))


LIMBS = [2, 3, 5, 6, 12, 13, 15, 16]


def test_limbs_point_exactly_where_the_joints_do_and_the_pelvis_is_in_its_place():
    truth = walks.walk(heading=0.6)
    pose = joint_rotations.from_joints(truth.skeleton, truth.joints, landmarks=walks.landmarks(truth.skeleton))
    back = chain.joints_of(truth.skeleton, pose, walks.landmarks(truth.skeleton))
    assert _angles(back, truth.joints, LIMBS).max() < 1e-4
    np.testing.assert_allclose(back[:, 0], truth.joints[:, 0], atol=1e-9)
    # The same body: everything from pelvis to wrists and ankles within what a spine of three joints leaves open.
    assert np.linalg.norm(back - truth.joints, axis=-1).max() < 0.03
    np.testing.assert_allclose(np.linalg.norm(pose.rotations, axis=-1), 1, atol=1e-12)
    assert (np.sum(pose.rotations[1:] * pose.rotations[:-1], -1) > 0).all()


def test_the_plane_of_a_bent_elbow_is_kept():
    skeleton, frames = walks.skeleton(), 40
    random = np.random.default_rng(2)
    turns = rotations.identity(frames, 22).astype(float)
    turns[:, 16] = rotations.from_rotation_vector(random.normal(size=(frames, 3)) * 0.5)
    axis = skeletons.hinge(np.array([1.0, 0, 0]), np.array([1.0, 0, 0]), backwards=False)
    turns[:, 18] = rotations.about(axis, random.uniform(0.6, 1.8, frames))  # well bent
    places, _ = skeletons.forward(skeleton, Pose(turns, np.zeros((frames, 3))))
    pose = joint_rotations.from_joints(skeleton, walks.seventeen(places), landmarks=walks.landmarks(skeleton))
    for joint in (16, 18):
        assert np.abs(np.abs((pose.rotations[:, joint] * turns[:, joint]).sum(-1)) - 1).max() < 1e-6


def test_a_straight_limb_keeps_the_twist_it_had():
    skeleton, frames = walks.skeleton(), 60
    turns = rotations.identity(frames, 22).astype(float)
    turns[:, 16] = rotations.from_rotation_vector(np.tile([0.8, 0.0, 0.0], (frames, 1)))  # twisted about the arm
    axis = skeletons.hinge(np.array([1.0, 0, 0]), np.array([1.0, 0, 0]), backwards=False)
    bend = np.full(frames, 1.0)
    bend[28:32] = 0.0  # straight for a moment
    turns[:, 18] = rotations.about(axis, bend)
    places, _ = skeletons.forward(skeleton, Pose(turns, np.zeros((frames, 3))))
    pose = joint_rotations.from_joints(skeleton, walks.seventeen(places), landmarks=walks.landmarks(skeleton))
    vectors = rotations.to_rotation_vector(pose.rotations[:, 16])
    np.testing.assert_allclose(vectors[:, 0], 0.8, atol=0.06)


def test_no_direction_breaks_it():
    skeleton = walks.skeleton()
    random = np.random.default_rng(0)
    wild = random.normal(size=(300, 17, 3))
    wild[5] = 0.0
    wild[6, 4] = wild[6, 1]
    wild[7, 12] = wild[7, 11] + [-0.3, 0, 0]  # the arm through the body, opposite to rest
    pose = joint_rotations.from_joints(skeleton, wild)
    assert np.isfinite(pose.rotations).all()
    back = chain.joints_of(skeleton, pose)
    rows = np.r_[0:5, 8:300]
    assert _angles(back[rows], wild[rows], LIMBS).max() < 1e-3


def test_a_nose_in_front_tells_where_the_head_looks_and_a_straight_neck_does_not():
    skeleton, frames = walks.skeleton(), 30
    marks = walks.landmarks(skeleton)
    nose = marks.copy()
    nose[9] += [0, 0, 0.12]
    turn = rotations.about((0.0, 1.0, 0.0), np.linspace(-0.8, 0.8, frames))
    joints = np.repeat(nose[None], frames, 0)
    top = nose[8]
    joints[:, 9:11] = top + rotations.rotate(turn[:, None], nose[9:11] - top)
    pose = joint_rotations.from_joints(skeleton, joints, landmarks=nose)
    _, world = skeletons.forward(skeleton, pose)
    np.testing.assert_allclose(np.abs((world[:, 15] * turn).sum(-1)), 1, atol=1e-6)
    plain = joint_rotations.from_joints(skeleton, np.repeat(marks[None], frames, 0), landmarks=marks)
    np.testing.assert_allclose(np.abs(plain.rotations[:, 15, 0]), 1, atol=1e-9)


def _human() -> tuple[Skeleton, characters.Character]:
    human = characters.load("human")
    roles = skeleton_roles.of_character(human)
    return Skeleton(human.joint_names, human.parents, human.heads.astype(float), roles.roles), human


def test_the_bundled_human_walks_and_its_eight_neck_joints_share_a_given_head_direction():
    skeleton, human = _human()
    truth = walks.walk(seconds=2)
    size = bones.lengths(np.repeat(skeletons.landmarks(skeleton)[None], 2, 0))
    joints = bones.with_lengths(truth.joints, size)
    head = Rotation.from_euler("yx", np.stack([np.linspace(-40, 40, len(joints)), np.full(len(joints), 10)], -1),
                               degrees=True).as_quat()[:, [3, 0, 1, 2]]  # fmt: skip
    pose = joint_rotations.from_joints(skeleton, joints, head=head, neck_shares=partial(neck.distribute, human.neck))
    assert _angles(chain.joints_of(skeleton, pose), joints, LIMBS).max() < 1e-3
    _, world = skeletons.forward(skeleton, pose)
    np.testing.assert_allclose(np.abs((world[:, human.joint("oc1")] * head).sum(-1)), 1, atol=1e-9)
    members = [human.joint(name) for name in neck.JOINTS]
    moved = np.abs(rotations.to_rotation_vector(pose.rotations[:, members])).max((0, 2))
    assert (moved > 0.01).all()  # all eight take part


def test_wrong_joints_are_refused():
    with pytest.raises(InputError, match="shape"):
        joint_rotations.from_joints(walks.skeleton(), np.zeros((4, 16, 3)))
