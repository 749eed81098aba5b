# SPDX-License-Identifier: Apache-2.0
"""Quaternion maths against SciPy, and at the places where formulas break: no turn, half turns, tiny turns."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.geometry import rotations
from scipy.spatial.transform import Rotation


def _random(count: int = 200) -> np.ndarray:
    return Rotation.random(count, random_state=3).as_quat()[:, [3, 0, 1, 2]]


def _scipy(quaternion: np.ndarray) -> Rotation:
    return Rotation.from_quat(quaternion[..., [1, 2, 3, 0]])


def test_products_matrices_vectors_and_points_agree_with_scipy():
    a, b = _random(), _random()[::-1]
    points = np.random.default_rng(1).normal(size=(200, 3))
    np.testing.assert_allclose(
        rotations.to_matrix(rotations.multiply(a, b)), (_scipy(a) * _scipy(b)).as_matrix(), atol=1e-14
    )
    np.testing.assert_allclose(rotations.to_rotation_vector(a), _scipy(a).as_rotvec(), atol=1e-13)
    np.testing.assert_allclose(rotations.rotate(a, points), _scipy(a).apply(points), atol=1e-14)


def test_every_conversion_returns():
    quaternion = _random()
    quaternion = np.where(quaternion[:, :1] < 0, -quaternion, quaternion)
    np.testing.assert_allclose(rotations.from_matrix(rotations.to_matrix(quaternion)), quaternion, atol=1e-14)
    vector = rotations.to_rotation_vector(quaternion)
    np.testing.assert_allclose(rotations.from_rotation_vector(vector), quaternion, atol=1e-14)
    np.testing.assert_allclose(rotations.multiply(quaternion, rotations.inverse(quaternion))[:, 0], 1, atol=1e-14)


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_half_turns_survive_the_matrix(axis):
    half = rotations.about(axis, np.array(np.pi))
    back = rotations.from_matrix(rotations.to_matrix(half))
    assert abs(abs(back @ half) - 1) < 1e-12


def test_tiny_turns_and_none_stay_exact():
    for angle in (0.0, 1e-12, 1e-6):
        vector = np.array([angle, 0, 0])
        back = rotations.to_rotation_vector(rotations.from_rotation_vector(vector))
        np.testing.assert_allclose(back, vector, rtol=1e-9, atol=1e-18)


def test_float32_stays_float32():
    a = _random(4).astype(np.float32)
    for result in (rotations.multiply(a, a), rotations.to_rotation_vector(a), rotations.to_matrix(a)):
        assert result.dtype == np.float32


def test_slerp_goes_the_short_way_and_continuous_removes_jumps():
    a = rotations.identity(1)[0].astype(float)
    b = -rotations.about((0, 1, 0), np.array(1.0))
    np.testing.assert_allclose(
        abs(rotations.slerp(a, b, np.array(0.5)) @ rotations.about((0, 1, 0), np.array(0.5))), 1, atol=1e-12
    )
    track = rotations.about((0, 0, 1), np.linspace(0, 8, 60))
    broken = track * np.where(np.arange(60) % 7 == 3, -1, 1)[:, None]
    smooth = rotations.continuous(broken)
    assert (np.sum(smooth[1:] * smooth[:-1], -1) > 0).all()
