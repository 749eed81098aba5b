# SPDX-License-Identifier: Apache-2.0
"""Noise goes, motion stays."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.geometry import rotations
from hyoid.motion import smoothing
from hyoid.motion.smoothing import OneEuro
from scipy.signal import savgol_filter


def _swing(frames: int = 240, fps: float = 30.0) -> np.ndarray:
    """(F, 2, 4) one joint that swings by 40 degrees once a second, and one that turns on and on."""
    seconds = np.arange(frames) / fps
    return np.stack([
        rotations.about((0.0, 0.6, 0.8), 0.7 * np.sin(2 * np.pi * seconds)),
        rotations.about((0.0, 1.0, 0.0), 2.0 * seconds),
    ], 1)  # fmt: skip


def _noisy(turns: np.ndarray, degrees: float, seed: int, correlated: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    white = random.normal(size=(len(turns) + correlated - 1, *turns.shape[1:-1], 3))
    noise = sum(white[k : k + len(turns)] for k in range(correlated)) / np.sqrt(correlated)
    return rotations.multiply(turns, rotations.from_rotation_vector(np.radians(degrees) / np.sqrt(3) * noise))


def _error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(
        np.linalg.norm(rotations.to_rotation_vector(rotations.multiply(rotations.inverse(a), b)), axis=-1)
    )


def test_about_one_axis_it_is_the_filter_of_savitzky_and_golay():
    angle = np.cumsum(np.random.default_rng(0).normal(size=80)) * 0.05
    found = smoothing.savitzky_golay(rotations.about((0.0, 1.0, 0.0), angle), 30.0, window=9)
    got = 2 * np.unwrap(np.arctan2(found[:, 2], found[:, 0]), period=np.pi)
    wanted = savgol_filter(angle, 9, 2)
    # The middle, where both see whole windows; a little stiffness makes the difference.
    np.testing.assert_allclose(got[4:-4], wanted[4:-4], atol=2e-3)


def test_the_window_grows_with_the_rate_and_full_turns_pass():
    assert [smoothing.window_frames(9, fps) for fps in (24, 30, 60, 120)] == [7, 9, 17, 33]
    turns = _swing()
    smooth = smoothing.savitzky_golay(turns, 30.0)
    assert _error(smooth, turns).max() < 1.5
    assert (np.sum(smooth[1:] * smooth[:-1], -1) > 0).all()


def test_noise_halves_and_strength_is_a_share_of_the_way():
    turns = _swing()
    noisy = _noisy(turns, 5, 1)
    whole = smoothing.savitzky_golay(noisy, 30.0)
    half = smoothing.savitzky_golay(noisy, 30.0, strength=0.5)
    # The middle of 9 frames of a parabola keeps 0.255 of the variance of white noise.
    assert _error(whole, turns).mean() < 0.6 * _error(noisy, turns).mean()
    np.testing.assert_allclose(_error(noisy, half) * 2, _error(noisy, whole), atol=1e-6)
    assert smoothing.jitter(whole, 30.0) < 0.3 * smoothing.jitter(noisy, 30.0)
    np.testing.assert_allclose(_error(smoothing.savitzky_golay(noisy, 30.0, strength=0), noisy), 0, atol=1e-6)


def test_windows_do_not_cross_the_edge_of_a_contact():
    standing = np.arange(60) >= 30
    turns = rotations.about((1.0, 0.0, 0.0), np.where(standing, 0.0, 0.8))
    blurred = smoothing.savitzky_golay(turns, 30.0)
    sharp = smoothing.savitzky_golay(turns, 30.0, segments=smoothing.segments_of(standing))
    assert _error(blurred, turns).max() > 5
    assert _error(sharp, turns).max() < 1e-6


def test_a_single_jump_is_an_outlier_and_a_fast_kick_is_none():
    turns = _swing()
    broken = turns.copy()
    broken[100, 0] = rotations.multiply(turns[100, 0], rotations.about((1.0, 0, 0), np.array(1.5)))
    found = smoothing.outliers(broken, 30.0)
    np.testing.assert_array_equal(np.argwhere(found), [[100, 0]])
    assert _error(smoothing.without_outliers(broken, 30.0), turns).max() < 3
    kick = rotations.about((1.0, 0.0, 0.0), np.linspace(0, 2.0, 20))[:, None]  # 3 rad/s
    assert not smoothing.outliers(kick, 30.0).any()
    step = rotations.about((1.0, 0.0, 0.0), np.where(np.arange(20) < 10, 0.0, 2.0))[:, None]  # a cut
    assert not smoothing.outliers(step, 30.0).any()


def test_whittaker_passes_half_at_its_cut_off_and_fills_what_it_does_not_trust():
    seconds = np.arange(600) / 30
    for hertz, low, high in ((0.5, 0.9, 1.0), (2.0, 0.45, 0.55), (8.0, 0.0, 0.03)):
        wave = np.sin(2 * np.pi * hertz * seconds)
        share = np.std(smoothing.whittaker(wave, 2.0, 30.0)[100:-100]) / np.std(wave[100:-100])
        assert low <= share <= high
    line = seconds.copy()
    line[200:220] = 99.0
    trust = np.where(line == 99.0, 0.0, 1.0)
    np.testing.assert_allclose(smoothing.whittaker(line, 2.0, 30.0, trust), seconds, atol=1e-4)
    with pytest.raises(InputError, match="weight"):
        smoothing.whittaker(line, 2.0, 30.0, np.zeros(600))


def test_measured_noise_goes_and_clean_motion_stays():
    turns = _swing()
    assert _error(smoothing.calmed(turns, 30.0), turns).mean() < 0.5
    noisy = _noisy(turns, 12, 3, correlated=3)
    assert _error(smoothing.calmed(noisy, 30.0), turns).mean() < 0.6 * _error(noisy, turns).mean()
    still = np.tile(turns[:1], (240, 1, 1))
    noisy = _noisy(still, 12, 4, correlated=3)
    assert _error(smoothing.calmed(noisy, 30.0), still).mean() < 0.35 * _error(noisy, still).mean()


def test_a_filled_gap_does_not_make_noise_pass_for_motion():
    """A hinge that trembles, a quarter of its frames filled: there is no noise in them, and as much elsewhere."""
    still = np.tile([1.0, 0.0, 0.0, 0.0], (300, 1, 1))
    known = np.ones(300, bool)
    known[130:205] = False
    calmed, fooled = [], []
    for seed in range(12):
        random = np.random.default_rng(seed)
        white = random.normal(size=302)
        angle = np.radians(9) * (white[:-2] + white[1:-1] + white[2:]) / np.sqrt(3)
        angle[130:205] = np.linspace(angle[129], angle[205], 77)[1:-1]
        hinge = rotations.about((1.0, 0.0, 0.0), angle)[:, None]
        calmed.append(_error(smoothing.calmed(hinge, 30.0, known), still)[known].mean())
        fooled.append(_error(smoothing.calmed(hinge, 30.0), still)[known].mean())
    # Noise of 9 degrees about one axis errs by 7 degrees on average; what is slower than half a hertz stays.
    assert max(calmed) < 4
    assert max(fooled) > 5


def test_one_euro_is_calm_when_still_and_quick_when_moving():
    times = np.arange(300) / 30
    random = np.random.default_rng(5)
    still = smoothing.one_euro(0.02 * random.normal(size=300), times, OneEuro(1.0, 0.0))
    # A first-order low-pass of 1 Hz at 30 Hz has a gain of 0.17 a step: 0.31 of the standard deviation stays.
    assert np.std(still[50:]) < 0.5 * 0.02
    ramp = 3.0 * times
    lag = [np.mean((ramp - smoothing.one_euro(ramp, times, OneEuro(1.0, beta)))[100:]) / 3.0 for beta in (0.0, 2.0)]
    assert lag[1] < 0.3 * lag[0]


def test_one_euro_does_the_same_at_every_rate_and_turns_the_short_way():
    results = []
    for fps in (30.0, 120.0):
        times = np.arange(int(4 * fps)) / fps
        results.append(smoothing.one_euro(np.sin(3 * times), times)[:: int(fps / 30)])
    np.testing.assert_allclose(results[0], results[1], atol=0.05)
    turns = _swing()
    flipped = turns * np.where(np.arange(240) % 3 == 0, -1, 1)[:, None, None]
    times = np.arange(240) / 30
    np.testing.assert_allclose(
        _error(smoothing.one_euro_rotations(flipped, times), smoothing.one_euro_rotations(turns, times)), 0, atol=1e-5
    )
