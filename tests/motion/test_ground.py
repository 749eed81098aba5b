# SPDX-License-Identifier: Apache-2.0
"""One plane under everybody."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.motion import ground

SLOPES = np.array([0.05, -0.08])


def _plane(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    flat = random.uniform(-3, 3, (count, 2))
    return np.stack([flat[:, 0], flat @ SLOPES + 0.4 + 0.005 * random.normal(size=count), flat[:, 1]], -1)


def test_the_plane_is_found_among_chairs_and_lifted_feet():
    points = np.concatenate([_plane(200), np.random.default_rng(1).uniform([-3, 0.8, -3], [3, 2.0, 3], (150, 3))])
    found = ground.fit_plane(points)
    normal = np.array([-SLOPES[0], 1, -SLOPES[1]]) / np.linalg.norm([*SLOPES, 1])
    assert np.degrees(np.arccos(found.normal @ normal)) < 0.5
    assert np.abs(found.heights(points[:200])).max() < 0.04
    assert found.inliers[:200].all()
    assert found.error < 0.01


def test_grounds_of_people_of_any_size_are_parallel():
    """A child's unit is longer: its camera is higher above the same ground."""
    random, height = np.random.default_rng(5), 1.5
    units = np.array([1.0, 1.03, 0.7])
    groups = []
    for unit, away in zip(units, (4.0, 6.0, 7.0), strict=True):
        flat = random.uniform([-1, -1 - away], [1, 1 - away], (40, 2))
        level = flat @ SLOPES - height + 0.01 * random.normal(size=40)
        groups.append(np.stack([flat[:, 0], level, flat[:, 1]], -1) / unit)
    normal, offsets = ground.fit_parallel(groups, np.array([0.0, 1.0, 0.0]))
    truth = np.array([-SLOPES[0], 1, -SLOPES[1]]) / np.linalg.norm([*SLOPES, 1])
    assert np.degrees(np.arccos(normal @ truth)) < 1
    np.testing.assert_allclose(-offsets * units, height * truth[1], rtol=0.05)


def test_whoever_never_stands_is_as_large_as_others():
    one = _plane(40)
    _, offsets = ground.fit_parallel([one, np.zeros((0, 3))], np.array([0.0, 1.0, 0.0]))
    assert offsets[1] == pytest.approx(offsets[0], abs=1e-6)
    with pytest.raises(InputError, match="stood"):
        ground.fit_parallel([np.zeros((0, 3))], np.array([0.0, 1.0, 0.0]))


def test_the_same_points_always_give_the_same_plane():
    points = np.concatenate([_plane(50), np.random.default_rng(2).normal(size=(50, 3))])
    first, second = ground.fit_plane(points), ground.fit_plane(points)
    np.testing.assert_array_equal(first.normal, second.normal)
    assert first.offset == second.offset


def test_what_one_straight_walk_cannot_tell_stays_level():
    along = np.linspace(-3, 3, 80)
    feet = np.stack([np.where(np.arange(80) % 2, 0.1, -0.1), 0.03 * along + 0.01 * (np.arange(80) % 2), along], -1)
    found = ground.fit_plane(feet)
    assert np.degrees(np.arctan(-found.normal[2] / found.normal[1])) == pytest.approx(np.degrees(0.03), abs=0.2)
    # One foot seems 1 cm higher over 20 cm: 2.9 degrees that are hardly believed.
    assert abs(np.degrees(np.arctan(found.normal[0]))) < 1.5


def test_the_normal_stays_within_ten_degrees_of_up():
    random = np.random.default_rng(3)
    slope = random.uniform(-2, 2, (100, 3)) * [1, 0, 1]
    slope[:, 1] = 0.6 * slope[:, 0]  # 31 degrees: a wall, or stairs
    found = ground.fit_plane(slope)
    assert np.arccos(found.normal[1]) <= ground.TILT + 1e-9


@pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (0.3, 1.0, 0.0)])
def test_up_may_be_any_direction(up):
    up = np.array(up) / np.linalg.norm(up)
    random = np.random.default_rng(4)
    basis = np.linalg.svd(up[None])[2][1:]
    points = random.uniform(-2, 2, (60, 2)) @ basis + 0.7 * up
    found = ground.fit_plane(points, up)
    np.testing.assert_allclose(found.normal, up, atol=1e-6)
    assert found.offset == pytest.approx(0.7, abs=1e-6)


def test_one_place_is_enough_and_none_is_not():
    found = ground.fit_plane(np.array([[1.0, 0.3, 2.0]]))
    np.testing.assert_allclose(found.normal, [0, 1, 0], atol=1e-12)
    assert found.offset == pytest.approx(0.3)
    with pytest.raises(InputError, match="foot"):
        ground.fit_plane(np.zeros((0, 3)))
    with pytest.raises(InputError, match="finite"):
        ground.fit_plane(np.array([[np.nan, 0, 0]]))
