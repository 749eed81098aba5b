# SPDX-License-Identifier: Apache-2.0
"""Signs, ranges and inverses of the directions of heads."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.geometry import head_angles


def _about(axis: int, degrees: float) -> np.ndarray:
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = np.cos(np.radians(degrees))
    matrix[b, a] = np.sin(np.radians(degrees))
    matrix[a, b] = -matrix[b, a]
    return matrix


def test_matrices_are_the_stated_product():
    pitch, yaw, roll = 20.0, 130.0, -35.0
    expected = _about(0, -pitch) @ _about(1, yaw) @ _about(2, roll)
    np.testing.assert_allclose(head_angles.matrices(np.array([pitch, yaw, roll])), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("given", "nose"),
    [
        ((0, 0, 0), (0, 0, -1)),  # at the camera
        ((0, 90, 0), (-1, 0, 0)),  # left of the picture
        ((90, 0, 0), (0, -1, 0)),  # up
        ((0, 180, 0), (0, 0, 1)),  # away
    ],
)
def test_the_nose_points_where_the_angles_say(given, nose):
    np.testing.assert_allclose(-head_angles.matrices(np.array(given))[:, 2], nose, atol=1e-12)


def test_roll_is_clockwise_in_the_picture():
    crown = -head_angles.matrices(np.array([0, 0, 30.0]))[:, 1]
    assert crown[0] > 0.4  # the crown of a head that tilts clockwise goes to the right of the picture
    assert crown[1] < -0.8


def test_angles_undo_matrices_wherever_heads_can_be():
    random = np.random.default_rng(0)
    given = random.uniform([-89, -180, -89], [89, 180, 89], (2000, 3))
    np.testing.assert_allclose(head_angles.angles(head_angles.matrices(given)), given, atol=1e-7)


def test_angles_of_any_rotation_give_it_back():
    random = np.random.default_rng(1)
    rotations = np.linalg.qr(random.standard_normal((500, 3, 3)))[0]
    rotations *= np.linalg.det(rotations)[:, None, None]
    locked = head_angles.matrices(np.array([[30.0, 90.0, 20.0], [-50.0, -90.0, 10.0]]))
    for one in (rotations, locked):
        np.testing.assert_allclose(head_angles.matrices(head_angles.angles(one)), one, atol=1e-7)


def test_geodesic_is_the_angle_between():
    turned = head_angles.matrices(np.array([[0, 1e-5, 0], [0, 40, 0], [0, 180, 0]]))
    np.testing.assert_allclose(head_angles.geodesic(np.eye(3), turned), [1e-5, 40, 180], atol=1e-9)


def test_a_head_that_faces_the_camera_from_the_side_looks_frontal():
    ray = head_angles.rays(np.array([900.0, 500.0]), 800.0, (500.0, 400.0))
    away = head_angles.in_camera(np.eye(3), ray)
    np.testing.assert_allclose(-away[:, 2], -ray, atol=1e-12)  # its nose points at the camera
    np.testing.assert_allclose(head_angles.apparent(away, ray), np.eye(3), atol=1e-12)


def test_focal_length_spans_the_larger_side():
    assert head_angles.focal_length(1920, 1080, 90) == pytest.approx(960)
