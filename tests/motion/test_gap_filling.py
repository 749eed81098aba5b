# SPDX-License-Identifier: Apache-2.0
"""Joints that were not found: bridged, carried along, or those of a standing body."""

from __future__ import annotations

import numpy as np
from hyoid.motion import gap_filling

from tests.motion import walks
from tests.verbs import lift_files

TIMES = np.arange(60) / 30


def points() -> np.ndarray:
    return lift_files.keypoints(walks.walk(seconds=2, heading=1.2), noise=0.0)


def test_what_was_seen_stays():
    given = points()
    given[10:14, 3] = np.nan
    found = gap_filling.over_time(TIMES, given)
    there = np.isfinite(given)
    np.testing.assert_array_equal(found[there], given[there])
    assert np.isfinite(found).all()


def test_a_short_gap_is_bridged_nearly_as_it_was():
    whole, given = points(), points()
    given[20:24] = np.nan
    away = np.linalg.norm(gap_filling.over_time(TIMES, given) - whole, axis=-1)
    assert np.median(away[20:24]) < 3
    assert away[20:24].max() < 30  # a foot in mid-swing, of a body of 250 pixels


def test_joints_go_along_with_the_body_beyond_the_ends():
    whole, given = points(), points()
    given[40:, 13] = np.nan  # a wrist that leaves the picture while the body walks on
    found = gap_filling.over_time(TIMES, given)
    np.testing.assert_allclose(found[59, 13] - found[59, 12], found[39, 13] - found[39, 12], atol=1e-9)
    assert np.linalg.norm(found[59, 13] - whole[59, 12]) < 100


def test_legs_that_were_never_seen_hang_down():
    given = points()
    given[:, [1, 2, 3, 4, 5, 6]] = np.nan
    found = gap_filling.over_time(TIMES, given)
    assert np.isfinite(found).all()
    assert (found[:, 3, 1] > found[:, 2, 1]).all()
    assert (found[:, 2, 1] > found[:, 0, 1]).all()
    torso = np.linalg.norm(found[:, 8] - found[:, 0], axis=-1)
    # Legs are 1.7 torsos long in a standing body.
    np.testing.assert_allclose(found[:, 3, 1] - found[:, 0, 1], 1.7 * torso, rtol=0.3)


def test_single_pictures_are_completed_at_the_size_of_the_body():
    whole, given = points(), points()
    given[:, [3, 6, 13]] = np.nan
    found = gap_filling.complete(given)
    there = np.isfinite(given)
    np.testing.assert_array_equal(found[there], given[there])
    tall = np.ptp(whole[..., 1], axis=1)
    assert (np.linalg.norm(found - whole, axis=-1).max(1) < 0.45 * tall).all()
