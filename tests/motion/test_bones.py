# SPDX-License-Identifier: Apache-2.0
"""One body for a whole clip."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.motion import bones

from tests.motion import walks


def test_lengths_are_medians_with_left_and_right_alike():
    joints = walks.walk(seconds=2).joints.copy()
    joints[:, 6] = joints[:, 5] + 1.1 * (joints[:, 6] - joints[:, 5])  # one long shin
    joints[:5, 13] += 3.0  # a wrist that jumped away for a moment
    found = bones.lengths(joints)
    assert found[3] == found[6] == pytest.approx(1.05 * walks.SHIN)
    assert found[13] == found[16] == pytest.approx(0.25, abs=1e-9)
    assert found[0] == 0


def test_frames_with_a_low_score_count_less():
    joints = np.repeat(walks.walk(seconds=1).joints[:1], 9, 0)
    joints[:5, 10] += [0.0, 0.3, 0.0]
    scores = np.where(np.arange(9) < 5, 0.1, 1.0)
    assert bones.lengths(joints)[10] == pytest.approx(0.42)
    assert bones.lengths(joints, scores)[10] == pytest.approx(0.12)


def test_an_even_number_of_frames_has_the_median_of_numpy():
    joints = np.random.default_rng(0).normal(size=(10, 17, 3))
    found = bones.lengths(joints)
    plain = np.median(bones.measured(joints), axis=0)
    assert found[7] == pytest.approx(plain[7], rel=1e-12)


def test_joints_get_their_lengths_and_keep_their_directions():
    joints = np.random.default_rng(1).normal(size=(40, 17, 3))
    wanted = bones.scaled(bones.lengths(joints), 1.75)
    made = bones.with_lengths(joints, wanted)
    assert bones.height(wanted) == pytest.approx(1.75)
    np.testing.assert_allclose(bones.measured(made), np.broadcast_to(wanted, (40, 17)), atol=1e-12)
    np.testing.assert_allclose(made[:, 0], joints[:, 0])
    before, after = (j[:, 12] - j[:, 11] for j in (joints, made))
    np.testing.assert_allclose(np.cross(before, after), 0, atol=1e-12)
    assert bones.variance(made) < 1e-24
    assert bones.variance(joints) > 0.01


def test_a_bone_without_a_direction_keeps_that_of_its_parent():
    joints = walks.walk(seconds=1).joints.copy()
    joints[3, 13] = joints[3, 12]
    made = bones.with_lengths(joints, bones.lengths(joints))
    assert np.isfinite(made).all()
    assert np.linalg.norm(made[3, 13] - made[3, 12]) == pytest.approx(0.25)


def test_the_first_bad_number_is_named():
    joints = walks.walk(seconds=1).joints.copy()
    joints[7, 12] = np.nan
    with pytest.raises(InputError, match=r"frame 7, joint 'left elbow'"):
        bones.lengths(joints)
    with pytest.raises(InputError, match="frames"):
        bones.lengths(np.zeros((0, 17, 3)))
    with pytest.raises(InputError, match="weight"):
        bones.lengths(np.zeros((2, 17, 3)), np.zeros(2))
    with pytest.raises(InputError, match="height"):
        bones.scaled(np.ones(17), 175.0)
