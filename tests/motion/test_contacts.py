# SPDX-License-Identifier: Apache-2.0
"""When feet stand and when bodies fly."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.motion import contacts
from hyoid.motion.contacts import Thresholds

from tests.motion import walks


def test_the_feet_of_a_walk_stand_when_they_do():
    truth = walks.walk()
    ankles = truth.joints[:, [6, 3]]
    found = contacts.detect(ankles[..., 1] - walks.ANKLE, contacts.speeds(ankles, 30.0), 30.0)
    wrong = found.standing != truth.standing
    # Edges may be off by the two frames in which a foot starts and stops slowly.
    assert wrong.mean() < 0.12
    assert found.probability[truth.standing].mean() > 0.9
    assert found.probability[~truth.standing].mean() < 0.2


def test_between_the_thresholds_a_foot_stays_as_it_was():
    speed = np.array([0, 0, 0, 0, 0.4, 0.4, 0.4, 0.5, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2])
    standing = contacts.detect(np.zeros(14), speed, 30.0).standing
    np.testing.assert_array_equal(standing, [1] * 7 + [0] * 4 + [1] * 3)
    height = np.array([0.0] * 4 + [0.08] * 3 + [0.1] + [0.08] * 6)
    np.testing.assert_array_equal(contacts.detect(height, np.zeros(14), 30.0).standing, [1] * 7 + [0] * 7)


def test_contacts_of_less_than_three_frames_are_none_and_more_at_higher_rates():
    speed = np.where(np.isin(np.arange(20), [3, 4, 9, 10, 11]), 0.0, 2.0)
    np.testing.assert_array_equal(np.flatnonzero(contacts.detect(np.zeros(20), speed, 30.0).standing), [9, 10, 11])
    assert not contacts.detect(np.zeros(20), speed, 60.0).standing.any()


def test_the_probability_is_a_half_where_it_could_be_either():
    probability = contacts.detect(np.array([-1.0]), np.array([0.35]), 30.0).probability
    assert probability[0] == pytest.approx(0.5, abs=1e-6)


def test_thresholds_widen_with_noise():
    wide = Thresholds().widened(0.02, 0.3)
    assert (wide.height, wide.height_out, wide.speed, wide.speed_out) == pytest.approx((0.08, 0.11, 0.55, 0.75))


def test_only_a_body_that_falls_freely_is_airborne():
    truth = walks.jump(height=0.4)
    fly = contacts.airborne(truth.standing, truth.joints[:, 0, 1], 30.0)
    np.testing.assert_array_equal(fly, ~truth.standing.any(1))
    # Hanging, or carried: no contact, no fall.
    assert not contacts.airborne(np.zeros((30, 2), bool), np.full(30, 1.4), 30.0).any()
    # 0.15 s are the flight of a runner, which needs no care.
    assert not contacts.airborne(truth.standing[:3], truth.joints[:3, 0, 1], 30.0).any()


def test_runs_gaps_and_short_stretches():
    mask = np.array([1, 1, 0, 1, 0, 0, 0, 1], bool)
    np.testing.assert_array_equal(contacts.runs(mask), [[0, 2], [3, 4], [7, 8]])
    np.testing.assert_array_equal(contacts.without_gaps(mask, 2), [1, 1, 1, 1, 0, 0, 0, 1])
    np.testing.assert_array_equal(contacts.without_short(mask, 2), [1, 1, 0, 0, 0, 0, 0, 0])
