# SPDX-License-Identifier: Apache-2.0
"""The pinhole: what is seen where, and where the camera stands above the ground."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.motion import cameras
from hyoid.motion.cameras import Camera

TILTED = Camera(900.0, (630.0, 350.0), (1280, 720), height=1.6, pitch=0.2, roll=-0.05)


def test_who_faces_a_level_camera_looks_along_z_with_the_left_hand_at_positive_x():
    level = cameras.from_field_of_view((1280, 720), height=1.5)
    right_in_the_picture, up, nearer = np.array([1.0, 0, 3]), np.array([0, -1.0, 3]), np.array([0, 0, 2.0])
    origin = cameras.to_world(level, np.array([0, 0, 3.0]))
    np.testing.assert_allclose(origin, [0, 1.5, -3])
    np.testing.assert_allclose(cameras.to_world(level, right_in_the_picture) - origin, [1, 0, 0])
    np.testing.assert_allclose(cameras.to_world(level, up) - origin, [0, 1, 0])
    np.testing.assert_allclose(cameras.to_world(level, nearer) - origin, [0, 0, 1])


def test_pitch_looks_down_and_roll_lowers_the_right_side():
    ahead = cameras.rotation(Camera(1000, (0, 0), (10, 10), pitch=0.3)) @ [0, 0, 1]
    np.testing.assert_allclose(ahead, [0, -np.sin(0.3), -np.cos(0.3)], atol=1e-15)
    right = cameras.rotation(Camera(1000, (0, 0), (10, 10), roll=0.3)) @ [1, 0, 0]
    np.testing.assert_allclose(right, [np.cos(0.3), -np.sin(0.3), 0], atol=1e-15)
    assert np.linalg.det(cameras.rotation(TILTED)) == pytest.approx(1)


def test_world_and_camera_space_and_pixels_return():
    points = np.random.default_rng(0).normal([0, 0, 6], 1, (50, 3))
    np.testing.assert_allclose(cameras.to_camera(TILTED, cameras.to_world(TILTED, points)), points, atol=1e-13)
    rays = cameras.rays(TILTED, cameras.project(TILTED, points))
    np.testing.assert_allclose(rays * points[:, 2:], points, atol=1e-12)


def test_points_on_the_ground_are_found_from_their_pixels_and_the_sky_is_not():
    ground = np.array([[0.5, 0.0, -4.0], [-1.0, 0.0, -7.0]])
    pixels = cameras.project(TILTED, cameras.to_camera(TILTED, ground))
    np.testing.assert_allclose(cameras.on_ground(TILTED, pixels), ground, atol=1e-10)
    assert np.isnan(cameras.on_ground(TILTED, np.array([640.0, -500.0]))).all()
    assert np.isnan(cameras.project(TILTED, np.array([0.0, 0.0, -1.0]))).all()


def test_a_camera_is_levelled_to_the_plane_that_is_seen():
    guess = Camera(900.0, (630.0, 350.0), (1280, 720))
    ground = np.random.default_rng(1).uniform(-3, 3, (30, 3)) * [1, 0, 1] + [0, 0, -6]
    seen = cameras.to_world(guess, cameras.to_camera(TILTED, ground))
    normal = np.linalg.svd(seen - seen.mean(0))[2][2]
    normal *= np.sign(normal[1])
    found = cameras.levelled(guess, normal, float(normal @ seen.mean(0)))
    assert (found.height, found.pitch, found.roll) == pytest.approx((1.6, 0.2, -0.05), abs=1e-9)
    np.testing.assert_allclose(cameras.to_world(found, cameras.to_camera(TILTED, ground))[:, 1], 0, atol=1e-9)


def test_field_of_view_and_lens_are_those_of_film_cameras():
    camera = cameras.from_field_of_view((1080, 1920), np.radians(40))
    assert cameras.field_of_view(camera) == pytest.approx(np.radians(40))
    # 36 mm across the larger side and 40 degrees: 18 / tan 20.
    assert cameras.lens(camera).millimetres == pytest.approx(18 / np.tan(np.radians(20)))
    shifted = cameras.lens(Camera(1000, (600, 380), (1280, 720)))
    assert (shifted.shift_x, shifted.shift_y) == pytest.approx((40 / 1280, 20 / 1280))


@pytest.mark.parametrize("wrong", [{"focal": 0.0}, {"focal": float("nan")}, {"size": (0, 720)}])
def test_impossible_cameras_are_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        Camera(**({"focal": 900.0, "centre": (640, 360), "size": (1280, 720)} | wrong))
    with pytest.raises(InputError, match="degrees"):
        cameras.from_field_of_view((10, 10), 60.0)
