# SPDX-License-Identifier: Apache-2.0
"""Seconds, not frame numbers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.geometry import rotations
from hyoid.motion import time_bases


def _at(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place = np.stack([np.sin(seconds), seconds**2, np.cos(2 * seconds)], -1)
    return place, rotations.about((0.0, 0.6, 0.8), 1.5 * np.sin(2 * seconds))


@pytest.mark.parametrize("source", [24.0, 25.0, 29.97, 60.0, "variable"])
@pytest.mark.parametrize("scene", [24.0, 29.97, 30.0])
def test_every_rate_lands_on_the_same_seconds(source, scene):
    """The same motion filmed at different rates is the same motion in a scene."""
    if source == "variable":
        steps = np.random.default_rng(0).uniform(0.025, 0.042, 300)  # a phone in the dark
        times = np.concatenate([[0.0], np.cumsum(steps)])
    else:
        times = time_bases.frame_times(round(10 * source), source)
    place, turn = _at(times)
    wanted = time_bases.covering(times, scene)
    assert wanted[1] == 1 / float(time_bases.exact_rate(scene))
    assert abs(wanted[-1] - times[-1]) < 1 / scene
    true_place, true_turn = _at(wanted)
    # Straight lines between frames err by the curvature times step^2 / 8: 4 * 0.042^2 / 8 < 0.001.
    np.testing.assert_allclose(time_bases.resample(times, place, wanted), true_place, atol=1e-3)
    found = time_bases.resample_rotations(times, turn, wanted)
    away = rotations.to_rotation_vector(rotations.multiply(rotations.inverse(true_turn), found))
    assert np.abs(away).max() < 2e-3
    frames = time_bases.scene_frames(wanted, scene)
    np.testing.assert_allclose(frames, np.arange(1, len(wanted) + 1), atol=1e-9)


def test_broadcast_rates_are_exact():
    assert time_bases.exact_rate(29.97) == Fraction(30000, 1001)
    assert time_bases.exact_rate(23.976) == Fraction(24000, 1001)
    assert time_bases.exact_rate(59.94) == Fraction(60000, 1001)
    assert time_bases.exact_rate(30.0) == 30
    assert time_bases.exact_rate(12.5) == Fraction(25, 2)
    # An hour of 29.97 is 3.6 s longer than one of 30.
    assert time_bases.frame_times(108001, 29.97)[-1] == pytest.approx(3603.6)


def test_rotations_go_the_short_way_for_many_joints_and_flags_are_not_mixed():
    times = np.array([0.0, 1.0])
    turns = np.stack([rotations.identity(3), -rotations.about((0.0, 1.0, 0.0), np.array([0.2, 0.4, 0.6]))]).astype(
        float
    )
    half = time_bases.resample_rotations(times, turns, np.array([0.5]))
    np.testing.assert_allclose(np.abs(half[0] @ np.array([1, 0, 0, 0])), np.cos([0.05, 0.1, 0.15]), atol=1e-9)
    np.testing.assert_array_equal(
        time_bases.resample_nearest(times, np.array([False, True]), np.array([0.2, 0.6])), [False, True]
    )


def test_short_gaps_are_bridged_and_long_ones_hidden():
    times = np.arange(60) / 30
    seen = np.ones(60, bool)
    seen[[0, 59]] = False
    seen[10:19] = False  # 9 frames: 0.3 s less one step
    seen[30:45] = False
    found = time_bases.gaps(times, seen)
    np.testing.assert_array_equal(np.flatnonzero(found.bridged), np.arange(10, 19))
    assert found.longer == ((30, 44),)
    np.testing.assert_array_equal(found.hidden, ~seen & ~found.bridged)


def test_gaps_are_filled_by_cubics_and_slerp():
    times = np.arange(90) / 30
    place, turn = _at(times)
    seen = np.ones(90, bool)
    seen[20:28] = False
    broken = np.where(seen[:, None], place, 0.0)
    np.testing.assert_allclose(time_bases.fill(times, broken, seen), place, atol=2e-3)
    spoiled = np.where(seen[:, None], turn, [1.0, 0, 0, 0])
    filled = time_bases.fill_rotations(times, spoiled, seen)
    np.testing.assert_allclose(np.linalg.norm(filled, axis=-1), 1)
    away = rotations.to_rotation_vector(rotations.multiply(rotations.inverse(turn), filled))
    assert np.abs(away).max() < 0.1
    held = time_bases.fill(times, place, np.arange(90) < 50)
    np.testing.assert_array_equal(held[50:], np.broadcast_to(place[49], (40, 3)))


def test_times_that_do_not_rise_are_refused():
    with pytest.raises(InputError, match="frame 2"):
        time_bases.checked(np.array([0.0, 0.1, 0.1, 0.2]))
    with pytest.raises(InputError, match="rate"):
        time_bases.exact_rate(0.0)
    with pytest.raises(InputError, match="seen"):
        time_bases.fill(np.arange(3.0), np.zeros((3, 2)), np.zeros(3, bool))
