# SPDX-License-Identifier: Apache-2.0
"""Where somebody is, from pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.motion import cameras, trajectory

from tests.motion import walks


def _clip(seconds: float = 4.0):
    camera = walks.camera()
    joints = walks.seen(walks.walk(seconds, heading=0.7), camera)
    return camera, joints, cameras.project(camera, joints)


def test_the_path_is_exact_for_exact_keypoints():
    camera, joints, keypoints = _clip()
    found = trajectory.root_path(camera, joints - joints[:, :1], keypoints)
    np.testing.assert_allclose(found.positions, joints[:, 0], atol=1e-8)
    assert found.error.max() < 1e-6
    assert found.seen.all()


def test_noise_and_wild_keypoints_move_the_path_little():
    camera, joints, keypoints = _clip()
    random = np.random.default_rng(0)
    keypoints = keypoints + random.normal(size=keypoints.shape) * 2
    keypoints[::3, 13] += 200  # a wrist on somebody else
    found = trajectory.root_path(camera, joints - joints[:, :1], keypoints)
    away = found.positions - joints[:, 0]
    # 2 px at 5 m and a focal length of 1230 px are 8 mm; 17 joints share it, only the body's size tells depth.
    assert np.sqrt((away[:, :2] ** 2).mean()) < 0.008
    assert np.sqrt((away[:, 2] ** 2).mean()) < 0.06


def test_confidence_weighs_and_missing_frames_are_filled():
    camera, joints, keypoints = _clip()
    keypoints[:, 16] += 80
    confidence = np.ones(keypoints.shape[:2])
    confidence[:, 16] = 1e-6
    keypoints[40:45] = np.nan
    found = trajectory.root_path(camera, joints - joints[:, :1], keypoints, confidence)
    assert not found.seen[40:45].any()
    assert found.seen[:40].all()
    assert np.isnan(found.error[42])
    assert (found.precision[42] == 0).all()
    np.testing.assert_allclose(found.positions, joints[:, 0], atol=0.01)


def test_precision_tells_that_depth_is_the_uncertain_direction():
    camera, joints, keypoints = _clip()
    found = trajectory.root_path(camera, joints - joints[:, :1], keypoints)
    spread = np.sqrt(np.diagonal(np.linalg.inv(found.precision), axis1=1, axis2=2))
    assert (spread[:, 2] > 2 * spread[:, 0]).all()


def test_depth_is_smoothed_along_the_ray():
    _, joints, _ = _clip(8.0)
    path = joints[:, 0]
    noisy = path * np.exp(0.08 * np.random.default_rng(2).normal(size=(len(path), 1)))
    noisy[50] *= 2  # a wild one
    smooth = trajectory.smooth_depth(noisy, 30.0, cutoff=0.5)
    np.testing.assert_allclose(smooth[:, :2] / smooth[:, 2:], path[:, :2] / path[:, 2:], atol=1e-12)
    before, after = (np.std(np.log(one[:, 2] / path[:, 2])) for one in (noisy, smooth))
    assert after < 0.35 * before  # 0.5 of 15 Hz: about a quarter of the standard deviation stays
    with pytest.raises(InputError, match="frame 3"):
        trajectory.smooth_depth(np.where(np.arange(9)[:, None] == 3, -1.0, path[:9]), 30.0)


def test_noise_is_measured_and_the_calmest_path_chosen():
    camera, joints, _ = _clip(8.0)
    random = np.random.default_rng(3)
    ray = joints[:, 0] / joints[:, 0, 2:]
    ray[:, :2] += random.normal(size=(len(ray), 2)) * 3 / camera.focal
    seen = ray * joints[:, 0, 2:] * np.exp(0.08 * random.normal(size=(len(ray), 1)))
    pixels, depth = trajectory.noise_along_rays(seen, camera.focal)
    # Wild depths do not move the picture place, so that both come out on their own; a median over 240 frames.
    assert pixels == pytest.approx(3, rel=0.25)
    assert depth == pytest.approx(0.08, rel=0.25)
    precision = trajectory.precision_along_rays(seen, camera.focal, pixels, depth)
    path = trajectory.fit_path(trajectory.seen_only(seen, precision), 30.0)
    away = path - joints[:, 0]
    shown, truth = (cameras.project(camera, one) for one in (path, joints[:, 0]))
    assert np.sqrt(((shown - truth) ** 2).mean()) < 3  # better than what was seen
    assert np.sqrt((away[:, 2] ** 2).mean()) < 0.35 * np.std(seen[:, 2] - joints[:, 0, 2])


def test_shapes_that_disagree_and_clips_without_joints_are_refused():
    camera, joints, keypoints = _clip(1.0)
    with pytest.raises(InputError, match="keypoints"):
        trajectory.root_path(camera, joints, keypoints[:, :5])
    with pytest.raises(InputError, match="two joints"):
        trajectory.root_path(camera, joints, np.full_like(keypoints, np.nan))


def test_sums_whose_last_digits_leave_them_below_zero_are_solved():
    """Whoever leaves the picture for a minute: only stiffness speaks there, and rounding takes a pivot below zero."""
    bands = np.zeros((7, 12))
    bands[0] = 1e12
    bands[0, 5] = -0.01  # far below the last digit of the others
    factor = trajectory._factor(bands)
    assert np.isfinite(factor).all()
    assert (factor[0] > 0).all()
    np.testing.assert_allclose(factor[0, :5] ** 2, 1e12, rtol=1e-9)
    sound = np.zeros((7, 12))
    sound[0] = 4.0
    assert (trajectory._factor(sound)[0] == 2.0).all()  # nothing is held where nothing has to be
