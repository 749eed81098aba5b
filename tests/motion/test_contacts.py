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


def _step(seconds: float, swing: float, slowest: float, fps: float = 30.0) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and measured speed of a foot that is slowest in the middle and swings by before and after."""
    times = np.arange(-seconds / 2, seconds / 2 + 1e-9, 1 / fps)
    return times, slowest + (swing - slowest) * np.sin(np.pi * times / seconds) ** 2


def test_the_foot_of_a_runner_stands_although_it_never_seems_slow():
    times, speed = _step(0.6, swing=7.0, slowest=1.4)
    low, travel = np.zeros(len(speed)), np.full(len(speed), 3.6)
    assert not contacts.detect(low, speed, 30.0).standing.any()
    found = contacts.detect(low, speed, 30.0, travel=travel)
    stood = times[found.standing]
    # A tenth of a second or so about its slowest moment, and one frame more until it counts as gone.
    assert 0.1 <= np.ptp(stood) + 1 / 30 < 0.25
    assert abs(stood.mean()) < 0.04
    assert found.probability[found.standing].min() > 0.3 > found.probability[~found.standing].max()
    # One that is high, or as fast as the body, is swinging.
    assert not contacts.detect(low + 0.2, speed, 30.0, travel=travel).standing.any()
    assert not contacts.detect(low, speed + 2.0, 30.0, travel=travel).standing.any()


def test_travelling_changes_little_of_a_walk_and_nothing_of_who_stays():
    truth = walks.walk()
    ankles = truth.joints[:, [6, 3]]
    heights, speed = ankles[..., 1] - walks.ANKLE, contacts.speeds(ankles, 30.0)
    bare = contacts.detect(heights, speed, 30.0).standing
    travel = contacts.speeds(truth.joints[:, 0], 30.0)
    # A frame at an edge here and there.
    assert (contacts.detect(heights, speed, 30.0, travel=travel).standing != bare).mean() < 0.03
    stays = contacts.detect(heights, speed, 30.0, travel=np.zeros(len(speed)))
    np.testing.assert_array_equal(stays.standing, bare)


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
