# SPDX-License-Identifier: Apache-2.0
"""One head rotation for eight joints: exact, within range, anatomically shared."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import neck
from hyoid.geometry import rotations
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation


@pytest.fixture(scope="module")
def limits():
    return characters.load("human", part="head").neck


def _turn(x: float, y: float, z: float) -> np.ndarray:
    return rotations.from_rotation_vector(np.radians(np.array([x, y, z], float)))


def _degrees(joints: np.ndarray) -> np.ndarray:
    return np.degrees(rotations.to_rotation_vector(joints))


def test_random_head_rotations_come_back_exactly(limits):
    heads = Rotation.random(500, random_state=1).as_quat()[:, [3, 0, 1, 2]]
    back = neck.collapse(neck.distribute(limits, heads))
    assert np.abs(np.abs(np.sum(back * heads, -1)) - 1).max() < 1e-12


@settings(max_examples=60, deadline=None)
@given(st.floats(-55, 40), st.floats(-70, 70), st.floats(-38, 38))
def test_no_joint_is_torn_within_the_range_of_the_neck(x, y, z):
    limits = characters.load("human", part="head").neck
    turned = abs(x) / 60 + abs(y) / 77 + abs(z) / 45
    scale = min(1.0, 1.0 / turned) if turned else 1.0
    joints = _degrees(neck.distribute(limits, _turn(x * scale, y * scale, z * scale)))
    ranges = np.stack([np.where(joints[:, 0] > 0, limits.flexion, limits.extension), limits.axial, limits.lateral], -1)
    # The top joint takes the residual and coupling adds to the others: a margin over the plain range.
    assert (
        np.abs(joints[:7]) < 1.15 * ranges[:7] + np.abs(limits.coupling[:7, None]) * limits.axial[:7, None] + 1.5
    ).all()
    assert (np.abs(joints[7]) < [30, 14, 18]).all()


def test_c0_to_c2_take_most_of_a_turn(limits):
    joints = _degrees(neck.distribute(limits, _turn(0, 55, 0)))
    upper = joints[6:, 1].sum() / 55
    assert 0.62 < upper < 0.80  # 71 % measured in living women by dual fluoroscopy (docs/neck.md)


def test_a_turn_bends_below_to_the_same_side_and_above_to_the_opposite(limits):
    joints = _degrees(neck.distribute(limits, _turn(0, 55, 0)))
    # A bend to the left, the side of the turn, is about -z.
    assert (joints[:6, 2] < 0).all()
    assert (joints[6:, 2] > 0).all()
    assert 8 < -joints[:6, 2].sum() < 25


def test_left_and_right_mirror_each_other(limits):
    left = neck.distribute(limits, _turn(10, 40, 15))
    right = neck.distribute(limits, _turn(10, -40, -15))
    np.testing.assert_allclose(left, right * [1, 1, -1, -1], atol=1e-12)


def test_far_beyond_the_range_only_the_top_joint_gives_way(limits):
    head = _turn(0, 130, 0)
    joints = neck.distribute(limits, head)
    assert np.abs(neck.collapse(joints) - head).max() < 1e-12
    assert (np.abs(_degrees(joints)[:7, 1]) < 1.13 * limits.axial[:7] + 1).all()


def test_motion_is_smooth_through_rest_and_through_the_limits(limits):
    sweep = np.zeros((721, 3))
    sweep[:, 0] = np.linspace(-90, 90, 721)
    sweep[:, 1] = 60 * np.sin(np.linspace(0, 6, 721))
    joints = neck.distribute(limits, rotations.from_rotation_vector(np.radians(sweep)))
    steps = np.linalg.norm(np.diff(_degrees(joints), axis=0), axis=-1)
    assert steps[:, :7].max() < 0.6
    assert steps.max() < 1.6


def test_any_leading_shape(limits):
    heads = np.broadcast_to(_turn(5, 20, 3), (2, 3, 4))
    joints = neck.distribute(limits, heads)
    assert joints.shape == (2, 3, 8, 4)
    np.testing.assert_allclose(neck.collapse(joints), heads, atol=1e-12)
