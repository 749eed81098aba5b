# SPDX-License-Identifier: Apache-2.0
"""Long clips are cleaned in stretches: nearly what the whole gives, without a jump, however long nobody is seen."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hyoid import scratch
from hyoid.errors import InputError
from hyoid.motion import cameras, chain, contacts, stretches
from hyoid.motion.chain import Performance, Settings

from tests.motion import walks

FPS = 30.0
FRAMES = 1500


@pytest.fixture
def short(monkeypatch):
    """Stretches of ten seconds, so that tests take seconds."""
    monkeypatch.setattr(stretches, "WHOLE", 700)
    monkeypatch.setattr(stretches, "_CORE", 300)
    monkeypatch.setattr(stretches, "_AROUND", 5.0)
    monkeypatch.setattr(stretches, "_OVER", 2)
    monkeypatch.setattr(stretches, "_SAMPLE", 6.0)


def _truth() -> np.ndarray:
    """(F, 17, 3) somebody who walks to and fro, metres, world."""
    one = walks.walk(seconds=5, speed=0.6, heading=np.pi / 2).joints
    middle = (one[:, 0].min(0) + one[:, 0].max(0)) / 2 * [1, 0, 1]
    there = one - middle
    return np.concatenate([there, there * [-1, 1, -1]] * 5)[:FRAMES] - [0, 0, 5.0]


def _joints(hidden: slice | None = None) -> np.ndarray:
    """The same in camera space, with the noise of networks."""
    camera = walks.camera()
    joints = walks.noisy(cameras.to_camera(camera, _truth()), camera, 4)
    if hidden is not None:
        joints[hidden] = np.nan
    return joints


def _cleaned(joints: np.ndarray, **settings) -> Performance:
    unknown = cameras.from_field_of_view(walks.camera().size, cameras.field_of_view(walks.camera()))
    return chain.clean(walks.skeleton(), joints, unknown, FPS, settings=Settings(**settings))


def _error(done: Performance) -> float:
    """Metres, the mean over joints about the pelvis."""
    truth = _truth() * done.scale
    away = (done.joints - done.joints[:, :1]) - (truth - truth[:, :1])
    return float(np.linalg.norm(away, axis=-1).mean())


def test_stretches_cover_a_clip_and_overlap():
    assert stretches.of(9000, 30.0) == [(0, 9000)]
    for frames, fps in ((9001, 30.0), (100_000, 30.0), (50_000, 240.0)):
        spans = stretches.of(frames, fps)
        around = round(10 * fps)
        assert len(spans) > 1
        assert spans[0][0] == 0
        assert spans[-1][1] == frames
        for (_, end), (first, _) in pairwise(spans):
            assert end - first == 2 * around
        assert max(end - first for first, end in spans) < 1.6 * max(6000, 4 * around) + 2 * around


def test_samples_lie_where_somebody_is_seen():
    seen = np.zeros(40_000, bool)
    seen[5000:9000] = seen[30_000:39_990] = True
    spans = stretches.samples(seen, 30.0)
    assert len(spans) > 6
    assert all(0 <= first < end <= 40_000 and seen[first:end].mean() > 0.4 for first, end in spans)
    assert stretches.samples(np.ones(100, bool), 30.0) == [(0, 100)]


def test_a_seam_lies_where_two_agree_best():
    before = np.zeros((200, 3, 3))
    after = np.full((200, 3, 3), 0.1)
    after[90:120] = 0.0
    first, rising = stretches.seam(before, after, 30.0)
    assert first >= 90
    assert first + len(rising) <= 120
    assert (np.diff(rising) > 0).all()
    assert 0 < rising[0] < rising[-1] < 1
    # Near the ends of what they share one of the two knows too little, however well they agree there.
    after[:] = 0.1
    after[:20] = after[-20:] = 0.0
    assert 40 < stretches.seam(before, after, 30.0)[0] < 150


def test_stretches_give_nearly_what_the_whole_gives(short, monkeypatch):
    joints = _joints()
    parts = _cleaned(joints)
    monkeypatch.setattr(stretches, "WHOLE", FRAMES)
    whole = _cleaned(joints)
    assert _error(parts) < 1.02 * _error(whole)
    away = np.linalg.norm(parts.joints - whole.joints, axis=-1).max(1)
    assert np.median(away) < 0.02
    assert (parts.standing == whole.standing).mean() > 0.97
    assert parts.scale == pytest.approx(whole.scale, rel=0.01)
    # Feet are as planted as in the whole, and nothing jumps where stretches meet.
    assert parts.quality.skate < 1
    assert np.abs(np.diff(parts.joints, 2, axis=0)).max() < 1.3 * np.abs(np.diff(whole.joints, 2, axis=0)).max()
    # Signs of quaternions go on: the other one would be two away.
    assert np.linalg.norm(np.diff(parts.pose.rotations, axis=0), axis=-1).max() < 1.2


def test_what_is_found_twice_is_the_same(short):
    joints = _joints()
    first, second = _cleaned(joints), _cleaned(joints)
    assert np.array_equal(first.pose.rotations, second.pose.rotations)
    assert np.array_equal(first.pose.root, second.pose.root)
    assert first.quality == second.quality


def test_without_the_lock_both_poses_are_one(short):
    done = _cleaned(_joints(), lock=False)
    assert np.array_equal(done.pose.rotations, done.unlocked.rotations)
    assert np.array_equal(done.pose.root, done.unlocked.root)
    np.testing.assert_allclose(np.linalg.norm(done.pose.rotations, axis=-1), 1, atol=1e-9)


def test_whole_stretches_without_anybody_are_guessed(short):
    # 24 seconds: two stretches see nothing of their own.
    done = _cleaned(_joints(slice(400, 1120)))
    assert np.isfinite(done.pose.rotations).all()
    assert np.isfinite(done.joints).all()
    assert done.hidden.sum() == 720
    assert contacts.runs(done.hidden).tolist() == [[400, 1120]]
    assert not done.standing[400:1120].any()
    # Beside the gap people are as they are without it.
    seen = _cleaned(_joints())
    near = np.r_[0:300, 1250:1500]
    away = np.linalg.norm(done.joints - seen.joints, axis=-1).max(1)
    assert np.median(away[near]) < 0.06
    assert done.quality.filled == pytest.approx(1 - done.seen.mean())


def test_a_long_clip_without_anybody_is_refused(short):
    with pytest.raises(InputError, match="seen"):
        _cleaned(np.full((FRAMES, 17, 3), np.nan))


def test_three_times_as_long_a_clip_takes_no_more_memory(short, monkeypatch):
    monkeypatch.setattr(scratch, "LARGE", 1 << 16)
    monkeypatch.setattr(scratch, "FRAMES", 600)
    joints = _joints()

    def peak(times: int) -> float:
        gc.collect()
        tracemalloc.start()
        try:
            _cleaned(np.tile(joints, (times, 1, 1)))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    once, thrice = peak(1), peak(3)
    # Beside the work on a stretch stay the joints that the test itself makes (408 bytes) and less than as much again.
    assert thrice - once < 2 * FRAMES * 900
    assert once > 5e6
