# SPDX-License-Identifier: Apache-2.0
"""Figures of known motions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hyoid.motion import cameras, quality

from tests.motion import walks


def test_skate_counts_standing_points_along_the_ground_only():
    points = np.zeros((5, 2, 3))
    points[:, 0, 0] = [0, 0.003, 0.006, 0.5, 0.5]
    points[:, 0, 1] = [0, 0.1, 0, 0, 0]
    standing = np.array([[1, 0], [1, 0], [1, 0], [0, 0], [1, 0]], bool)
    np.testing.assert_allclose(quality.skate(points, standing), [3, 3])
    assert len(quality.skate(points, np.zeros((5, 2), bool))) == 0


def test_penetration_is_the_depth_of_the_deepest_point():
    points = np.array([[[0, 0.1, 0], [0, -0.02, 0]], [[0, 0, 0], [0, 0.3, 0]]])
    np.testing.assert_allclose(quality.penetration(points), [20, 0])


def test_jerk_of_a_cubic_is_its_constant():
    seconds = np.arange(40) / 50
    points = np.stack([2 * seconds**3, seconds**2, seconds], -1)[:, None]
    assert quality.jerk(points, 50.0) == pytest.approx(12, rel=1e-6)
    assert np.isnan(quality.jerk(points[:3], 50.0))


def test_reprojection_is_a_share_of_body_height():
    camera = walks.camera()
    truth = walks.walk(seconds=1)
    seen = walks.seen(truth, camera)
    world = cameras.to_world(camera, seen)
    keypoints = cameras.project(camera, seen)
    assert quality.reprojection(camera, world, keypoints, 1.7) < 1e-9
    # A shift of 2 cm at every joint's depth.
    shifted = keypoints + np.stack([camera.focal * 0.02 / seen[..., 2], np.zeros(seen.shape[:2])], -1)
    assert quality.reprojection(camera, world, shifted, 1.7) == pytest.approx(0.02 / 1.7)
    shifted[3:] = np.nan
    assert quality.reprojection(camera, world, shifted, 1.7) == pytest.approx(0.02 / 1.7)
    assert np.isnan(quality.reprojection(camera, world, keypoints, 1.7, np.zeros(keypoints.shape[:2])))


def test_the_table_is_plain_json():
    points = np.zeros((4, 2, 3))
    figures = quality.measure([(points, np.zeros((4, 2), bool), points)], 30.0, seen=np.array([1, 1, 0, 1], bool))
    table = json.loads(json.dumps(figures.table()))
    assert table["skate"] is None
    assert table["filled"] == 0.25
    assert table["wrist_jerk"] == 0


def test_figures_of_pieces_are_those_of_the_whole():
    random = np.random.default_rng(3)
    points, wrists = random.normal(size=(50, 2, 2, 3)), random.normal(size=(50, 2, 3))
    standing = random.random((50, 2, 2)) < 0.6
    whole = quality.measure([(points, standing, wrists)], 30.0, reprojected=0.1)
    edges = [(0, 20), (17, 41), (38, 42), (39, 50)]
    parts = [(points[a:b], standing[a:b], wrists[a:b]) for a, b in edges]
    assert whole.skate > 0
    assert whole.penetrating > 0
    for name, value in quality.measure(parts, 30.0, reprojected=0.1).table().items():
        assert value == pytest.approx(whole.table()[name], rel=1e-12), name
