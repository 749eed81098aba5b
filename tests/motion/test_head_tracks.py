# SPDX-License-Identifier: Apache-2.0
"""Heads over time: names that stay, directions that calm down without lag, gaps that are told."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.geometry import head_angles
from hyoid.geometry import rotations as turns
from hyoid.motion import head_smoothing, head_tracks, heads

TIMES = np.arange(90) / 30


def detections(paths, angles, *, hidden=(), confidence=0.9, entropy=None) -> heads.Heads:
    """Heads of several people: centres (F, 2) and sizes by person, angles (F, 3), frames hidden by person."""
    parts = []
    for frame in range(len(TIMES)):
        rows = [person for person in range(len(paths)) if frame not in (hidden[person] if hidden else ())]
        boxes = np.array([[*(paths[p][frame] - 30), *(paths[p][frame] + 30)] for p in rows]).reshape(-1, 4)
        turned = head_angles.matrices(np.array([angles[p][frame] for p in rows]).reshape(-1, 3))
        told = None if entropy is None else np.array([entropy[p][frame] for p in rows])
        if len(rows):
            parts.append(heads.of_picture(frame, boxes, np.full(len(rows), confidence), turned, turned, told))
    return heads.joined(parts)


def straight(start, speed) -> np.ndarray:
    return np.array(start, float) + TIMES[:, None] * np.array(speed, float)


def still(pitch=0.0, yaw=0.0) -> np.ndarray:
    return np.tile([pitch, yaw, 0.0], (len(TIMES), 1))


def of(found: heads.Heads, number: int) -> heads.Heads:
    return found[found.ids == number]


def test_two_who_cross_behind_each_other_keep_their_names():
    """One walks right, one left, and for a third of a second only the front one is seen."""
    paths = [straight((100, 100), (100, 0)), straight((400, 105), (-100, 0))]
    found = detections(paths, [still(yaw=-40), still(yaw=40)], hidden=[(), range(40, 50)])
    followed = head_tracks.follow(found, TIMES)
    assert set(followed.ids) == {1, 2}
    for number, sign in ((1, 1), (2, -1)):
        centre = of(followed, number).boxes[:, 0]
        assert (np.sign(np.diff(centre)) == sign).all()


def test_a_gap_that_is_too_long_makes_a_new_name():
    path = [straight((100, 100), (0, 0))]
    found = detections(path, [still()], hidden=[range(20, 65)])
    assert set(head_tracks.follow(found, TIMES).ids) == {1, 2}
    assert set(head_tracks.follow(found, TIMES, longest_gap=1.6).ids) == {1}


def test_a_box_that_is_there_for_one_frame_is_nobody():
    paths = [straight((100, 100), (0, 0)), straight((400, 300), (0, 0))]
    found = detections(paths, [still(), still()], hidden=[(), [f for f in range(90) if f != 33]])
    followed = head_tracks.follow(found, TIMES)
    assert (followed.ids == 0).sum() == 1
    # It is told as it was found, and not followed.
    assert (head_tracks.completed(followed, TIMES).ids == 0).sum() == 1


def test_gaps_are_bridged_on_the_shortest_way_and_marked():
    """From a yaw of 150 to -150 the way is 60 degrees through the back of the head, not 300 through the face."""
    yaw = np.interp(TIMES, [0, 1, 1.5, 3], [150, 150, 210, 210])
    angles = np.stack([np.zeros(90), yaw, np.zeros(90)], -1)
    found = detections([straight((100, 100), (30, 0))], [angles], hidden=[range(30, 46)])
    whole = head_tracks.completed(head_tracks.follow(found, TIMES), TIMES, smoothing=0)
    assert len(whole) == 90
    np.testing.assert_array_equal(np.flatnonzero(~whole.seen), np.arange(30, 46))
    assert (whole.confidence[30:46] == 0).all()
    told = head_angles.angles(whole.rotations)[:, 1] % 360
    np.testing.assert_allclose(told[30:46], np.interp(np.arange(30, 46), [29, 46], [150, 210]), atol=0.5)
    np.testing.assert_allclose(whole.boxes[38, 0], 70 + 30 * TIMES[38], atol=0.1)


def test_noise_goes_and_the_motion_stays():
    rng = np.random.default_rng(3)
    angles = np.stack([15 * np.sin(3 * TIMES), 170 + 40 * np.sin(2 * TIMES), 8 * np.cos(4 * TIMES)], -1)
    true = head_angles.matrices(angles)
    noisy = true @ turns.to_matrix(turns.from_rotation_vector(np.radians(4) * rng.standard_normal((90, 3))))
    smooth = turns.to_matrix(head_smoothing.smooth_rotations(turns.from_matrix(noisy), TIMES, np.ones(90)))
    before, after = head_angles.geodesic(noisy, true), head_angles.geodesic(smooth, true)
    assert after.mean() < 0.55 * before.mean()
    # Clean motion passes nearly whole, across the seam of yaw too: a wave of 0.6 Hz keeps its height.
    clean = turns.to_matrix(head_smoothing.smooth_rotations(turns.from_matrix(true), TIMES, np.ones(90)))
    assert head_angles.geodesic(clean, true).max() < 1.5
    untouched = head_smoothing.smooth_rotations(turns.from_matrix(noisy), TIMES, np.ones(90), strength=0)
    np.testing.assert_allclose(untouched, turns.continuous(turns.from_matrix(noisy)))


def test_a_head_that_is_turned_about_for_a_frame_bends_nothing():
    true = head_angles.matrices(np.stack([np.zeros(90), 160 + 30 * np.sin(2 * TIMES), np.zeros(90)], -1))
    wrong = true.copy()
    for frame in (20, 50, 51):
        wrong[frame] = true[frame] @ head_angles.matrices(np.array([0.0, 180, 0]))
    smooth = turns.to_matrix(head_smoothing.smooth_rotations(turns.from_matrix(wrong), TIMES, np.ones(90)))
    assert head_angles.geodesic(smooth, true).max() < 2


def test_what_is_sure_outweighs_what_is_not():
    """Every third direction is sure and right, the others are 30 degrees off."""
    true = head_angles.matrices(still())
    turned = true.copy()
    off = np.arange(90) % 3 != 0
    off[-2:] = False  # the end has neighbours on one side only
    turned[off] = head_angles.matrices(still(yaw=30.0))[off]
    entropy = np.where(off, -2.5, -7.0)
    boxes = np.tile([0, 0, 50, 50], (90, 1))
    one = heads.Heads(
        np.arange(90), boxes, np.full(90, 0.9), turned, turned, entropy, np.ones(90, int), np.ones(90, bool)
    )
    error = head_angles.geodesic(head_tracks.completed(one, TIMES).rotations, true)
    equal = head_tracks.completed(heads.Heads(**{**vars(one), "entropy": np.full(90, -5.0)}), TIMES).rotations
    assert error.max() < 5 < head_angles.geodesic(equal, true).mean()
    # Left out altogether they count nothing.
    hidden = head_tracks.completed(one, TIMES, most_entropy=-5.3)
    assert head_angles.geodesic(hidden.rotations, true).max() < 1e-3


@pytest.mark.parametrize("fps", [24.0, 60.0, 120.0])
def test_the_same_waves_pass_at_every_rate_and_with_uneven_times(fps):
    times = np.arange(round(4 * fps)) / fps + 0.3 / fps * np.random.default_rng(0).random(round(4 * fps))
    wave = np.stack([np.sin(2 * np.pi * f * times) for f in (0.5, 2.5, 8.0)], -1)
    passed = head_smoothing.smooth_values(wave, times, np.ones(len(times)), 2.5)
    inner = (times > 1) & (times < 3)
    shares = (passed[inner] * wave[inner]).sum(0) / np.square(wave[inner]).sum(0)
    assert shares[0] > 0.98
    assert shares[1] == pytest.approx(0.5, abs=0.06)
    assert shares[2] < 0.05


def test_nobody_is_followed_too():
    followed = head_tracks.follow(heads.nobody(), TIMES)
    assert len(head_tracks.completed(followed, TIMES)) == 0


def test_a_crowd_that_walks_through_itself_keeps_its_names():
    """Six heads on wandering paths, one in seven boxes missed, noise in all, the nearer hides others."""
    rng = np.random.default_rng(5)
    frames, times, size = 300, np.arange(300) / 30, np.linspace(35, 90, 6)

    def wandering(reach: float, slow: float) -> np.ndarray:
        kernel = np.exp(-0.5 * (np.arange(-90, 91) / slow) ** 2)
        paths = np.stack([np.convolve(rng.standard_normal(frames + 180), kernel, "valid")[:frames] for _ in size])
        return reach * paths / paths.std()

    centres = np.stack([640 + wandering(300, 25), 360 + wandering(90, 30)], -1)
    yaw = wandering(60, 12) + rng.uniform(-180, 180, (6, 1))
    parts, truth = [], []
    for frame in range(frames):
        apart = np.abs(centres[:, None, frame] - centres[None, :, frame]).max(-1)
        covered = ((apart < 0.35 * (size[:, None] + size)) & (size[:, None] < size)).any(1)
        rows = rng.permutation(np.flatnonzero(~covered & (rng.random(6) > 1 / 7)))
        side = size[rows, None] * np.exp(0.05 * rng.standard_normal((len(rows), 1)))
        middle = centres[rows, frame] + 0.04 * side * rng.standard_normal((len(rows), 2))
        angles = np.stack([yaw[rows, frame] + 8 * rng.standard_normal(len(rows)), np.zeros(len(rows))], -1)
        turned = head_angles.matrices(np.insert(angles, 0, 0, axis=1))
        boxes = np.concatenate([middle - side / 2, middle + side / 2], 1)
        parts.append(heads.of_picture(frame, boxes, np.full(len(rows), 0.8), turned, turned))
        truth += rows.tolist()
    ids = head_tracks.follow(heads.joined(parts), times).ids
    whose = np.array(truth)
    changes = sum((np.diff(ids[(whose == person) & (ids > 0)]) != 0).sum() for person in range(6))
    assert (ids > 0).mean() > 0.99
    assert changes <= 4  # of some fifteen hundred boxes and dozens of meetings
