# SPDX-License-Identifier: Apache-2.0
"""Edits of takes keep time, sound and closures where they were."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hyoid import take_keys
from hyoid.characters import arkit
from hyoid.errors import InputError, UsageError
from hyoid.formats.checks import valid_take
from hyoid.take import AudioReference, Event, Keys
from hyoid.take_edit import cut, expand_keys, join, key_values, reduce_keys, resample, slerp

from tests import toy


def angle(first, second):
    """Degrees between rotations, exact for small angles."""
    chord = np.minimum(np.linalg.norm(first - second, axis=-1), np.linalg.norm(first + second, axis=-1))
    return np.degrees(4 * np.arcsin(np.clip(chord / 2, 0, 1)))


def test_the_same_rate_changes_nothing():
    take = toy.take()
    assert resample(take, 30.0) is take


@pytest.mark.parametrize("fps", [24.0, 25.0, 30000 / 1001, 50.0, 60.0, 120.0])
def test_another_rate_shows_the_same_motion_at_the_same_time(fps):
    take = toy.take(300)
    other = valid_take(resample(take, fps))
    assert abs(other.seconds - take.seconds) <= 0.5 / fps + 1e-9
    assert other.events == take.events
    seconds = np.arange(other.frames) / fps
    inside = seconds <= (take.frames - 1) / 30
    # A 0.7 Hz sine sampled at 30 frames a second and joined by straight lines is 0.0014 off at most, and so on the arc.
    expected = 0.5 + 0.5 * np.sin(2 * np.pi * (0.7 * seconds + 3 / 17))
    assert np.abs(other.curves[inside, 3] - expected[inside]).max() < 0.0015
    half = np.radians(4) * np.sin(2 * np.pi * 0.5 * seconds)
    turn = np.stack([np.cos(half), np.sin(half), 0 * half, 0 * half], -1)
    assert angle(other.rotations[inside, 0], turn[inside]).max() < 0.02


def test_frames_that_fall_on_frames_are_exact():
    take = toy.take(31)
    doubled = resample(take, 60.0)
    np.testing.assert_array_equal(doubled.curves[:61:2], take.curves)
    np.testing.assert_array_equal(doubled.rotations[:61:2], take.rotations)
    np.testing.assert_array_equal(resample(doubled, 30.0).curves, take.curves)


def test_a_rotation_stored_with_the_other_sign_does_not_spin():
    take = toy.take()
    signs = np.where(np.arange(take.frames) % 2, -1, 1)[:, None, None]
    other = resample(replace(take, rotations=(take.rotations * signs).astype(np.float32)), 60.0)
    assert angle(other.rotations, resample(take, 60.0).rotations).max() < 1e-3


def test_slerp_reaches_both_ends_and_the_middle():
    first, second = np.array([1.0, 0, 0, 0]), np.array([0, 0, 1.0, 0])  # half a turn about Y
    np.testing.assert_array_equal(slerp(first, second, np.array(0.0)), first)
    np.testing.assert_allclose(slerp(first, second, np.array(0.5)), [0.5**0.5, 0, 0.5**0.5, 0], atol=1e-7)
    np.testing.assert_allclose(slerp(first, second, np.array(1.0)), second, atol=1e-7)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), 1e6])
def test_a_senseless_rate_is_refused(fps):
    with pytest.raises(InputError, match="frame rate"):
        resample(toy.take(), fps)


def test_a_piece_starts_at_zero_and_keeps_sound_and_events_in_place():
    take = toy.take(60, audio=AudioReference("a.wav", "0" * 64, 2.0, 0.1))
    piece = valid_take(cut(take, 0.25, 1.0))
    # 0.25 s is frame 7.5, which rounds to the even frame 8.
    np.testing.assert_array_equal(piece.curves, take.curves[8:30])
    assert piece.audio is not None
    assert piece.audio.offset == pytest.approx(0.1 - 8 / 30)
    names = {event.name: (event.start, event.end) for event in piece.events}
    assert names["M"] == pytest.approx((0, 0.3 - 8 / 30))
    assert names["blink"] == pytest.approx((0.6 - 8 / 30, 0.75 - 8 / 30))


def test_sparse_keys_of_a_piece_say_what_the_whole_said():
    take = reduce_keys(toy.take(90))
    piece = valid_take(cut(take, 0.5, 2.0))
    whole = expand_keys(take)
    for name in ("jawOpen", "larynxHeight"):
        np.testing.assert_allclose(expand_keys(piece).curve(name), whole.curve(name)[15:60], atol=1e-5)


@pytest.mark.parametrize(("start", "stop"), [(1.0, 1.0), (2.0, 1.0), (9.0, 10.0), (-2.0, -1.0)])
def test_an_empty_piece_is_refused(start, stop):
    with pytest.raises(UsageError, match="holds no frame"):
        cut(toy.take(), start, stop)


def test_pieces_joined_again_are_the_whole():
    take = toy.take(60, audio=AudioReference("a.wav", "0" * 64, 2.0))
    again = valid_take(join([cut(take, 0, 0.8), cut(take, 0.8, 1.5), cut(take, 1.5, 2)]))
    for name in ("curves", "rotations", "root"):
        np.testing.assert_array_equal(getattr(again, name), getattr(take, name))
    assert again.audio is not None
    assert again.audio.offset == pytest.approx(0)
    assert [(event.name, event.start, event.end) for event in again.events] == [
        (event.name, pytest.approx(event.start), pytest.approx(event.end)) for event in take.events
    ]


def test_a_cross_fade_overlaps_and_runs_from_one_to_the_other():
    first, second = toy.take(40), toy.take(40)
    second = replace(second, curves=second.curves + 1)
    joined = valid_take(join([first, second], 0.2))
    assert joined.frames == 74
    np.testing.assert_array_equal(joined.curves[:34], first.curves[:34])
    np.testing.assert_array_equal(joined.curves[40:], second.curves[6:])
    share = (joined.curves[34:40, 0] - first.curves[34:, 0]) / (second.curves[:6, 0] - first.curves[34:, 0])
    assert (np.diff(share) > 0).all()
    assert 0 < share[0] < share[-1] < 1


def test_joined_takes_of_other_rates_and_curves_rest_where_they_have_none():
    bare = replace(toy.take(50, fps=25.0), curve_names=("jawOpen",), curves=np.ones((50, 1), np.float32))
    bare = replace(bare, joint_names=(), rotations=np.zeros((50, 0, 4), np.float32))
    joined = valid_take(join([toy.take(30), bare]))
    assert joined.frames == 30 + 60
    assert joined.curve("larynxSize")[30:].tolist() == [1.0] * 60  # its own size, not zero size
    assert joined.curve("jawOpen")[30:].min() == 1.0
    np.testing.assert_array_equal(joined.rotations[30:], np.tile([1, 0, 0, 0], (60, 9, 1)))


def test_takes_with_different_sounds_keep_none_and_all_sources():
    first = toy.take(audio=AudioReference("a.wav", "0" * 64, 1.0))
    second = toy.take(audio=AudioReference("b.wav", "1" * 64, 1.0))
    joined = join([first, second])
    assert joined.audio is None
    assert len(joined.provenance.sources) == 1  # both name the same character


@pytest.mark.parametrize("fade", [2.0, -0.1])
def test_a_fade_that_does_not_fit_is_refused(fade):
    with pytest.raises(UsageError, match="does not fit"):
        join([toy.take(), toy.take()], fade)


def test_nothing_to_join_is_refused():
    with pytest.raises(UsageError, match="nothing to join"):
        join([])


def test_reduced_keys_rebuild_every_frame_within_their_tolerances():
    take = toy.take(400)
    reduced = valid_take(reduce_keys(take, 0.02, millimetres=0.2, degrees=0.5, metres=0.001))
    np.testing.assert_array_equal(reduced.curves, take.curves)
    again = expand_keys(reduced)
    height = arkit.CURVES.index("larynxHeight")
    error = np.abs(again.curves - take.curves).max(0)
    assert error[height] <= 0.2
    assert np.delete(error, height).max() <= 0.02 + 1e-6
    assert angle(again.rotations.astype(float), take.rotations.astype(float)).max() <= 0.5 + 1e-3
    assert np.abs(again.root - take.root).max() <= 0.001
    assert sum(len(keys.times) for keys in reduced.keys.values()) < 0.3 * take.frames * len(reduced.keys)


def test_keys_of_a_long_take_are_found_in_pieces(monkeypatch):
    take = toy.take(400)
    whole = reduce_keys(take)
    monkeypatch.setattr(take_keys, "_PIECE", 150)
    reduced = valid_take(reduce_keys(take))
    again = expand_keys(reduced)
    assert angle(again.rotations.astype(float), take.rotations.astype(float)).max() <= 0.05 + 1e-3
    assert np.abs(again.root - take.root).max() <= 0.0005 + 1e-6
    assert list(reduced.keys) == list(whole.keys)
    for channel, keys in reduced.keys.items():
        assert (np.diff(keys.times) > 0).all()
        # One more where two pieces meet, and what follows from it; none more where nothing moves.
        more = len(keys.times) - len(whole.keys[channel].times)
        assert more <= (0.2 * len(keys.times) + 4 if len(keys.times) > 1 else 0), channel


def test_keys_of_a_joint_that_comes_round_after_a_full_turn():
    """After 360 degrees a rotation is the same, and its quaternion the other one of two."""
    take = toy.take(241)
    angles = np.linspace(0, 2 * np.pi, 241)
    rotations = take.rotations.copy()
    rotations[:, 1] = np.stack([np.cos(angles / 2), 0 * angles, np.sin(angles / 2), 0 * angles], -1)
    turned = replace(take, rotations=rotations)
    reduced = reduce_keys(turned)
    assert len(reduced.keys[f"{take.joint_names[1]}.rotation"].times) > 4
    assert angle(expand_keys(reduced).rotations.astype(float), rotations.astype(float)).max() <= 0.05 + 1e-3


def test_a_still_channel_has_one_key():
    reduced = reduce_keys(toy.take())
    assert len(reduced.keys["jaw.rotation"].times) == 1


def test_a_closure_of_one_frame_stays_exact():
    """A lip closure may be less than the tolerance above its neighbours, and must not be lost."""
    take = toy.take(60)
    curves = np.zeros_like(take.curves)
    close = arkit.CURVES.index("mouthClose")
    curves[:, close] = 0.9
    curves[31, close] = 0.908
    events = (Event("phone", "P", 30.5 / 30, 31.5 / 30), Event("phone", "AH", 0.2, 0.4))
    reduced = reduce_keys(replace(take, curves=curves, events=events), 0.05)
    assert 31 in np.round(reduced.keys["mouthClose"].times * 30)
    assert expand_keys(reduced).curve("mouthClose")[31] == np.float32(0.908)
    assert len(reduced.keys["browInnerUp"].times) == 1


def test_an_edited_key_becomes_frames():
    reduced = reduce_keys(toy.take(60))
    keys = {**reduced.keys, "jawOpen": Keys(np.array([0.0, 1.0]), np.array([0, 1], np.float32))}
    np.testing.assert_allclose(
        expand_keys(replace(reduced, keys=keys)).curve("jawOpen"), np.minimum(np.arange(60) / 30, 1), atol=1e-6
    )


def test_keys_hold_before_the_first_and_after_the_last():
    keys = Keys(np.array([1.0, 2.0]), np.array([3, 5], np.float32))
    np.testing.assert_array_equal(key_values(keys, np.array([0, 1.5, 9])), [3, 4, 5])


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan")])
def test_a_tolerance_of_nothing_is_refused(tolerance):
    with pytest.raises(UsageError, match="tolerance"):
        reduce_keys(toy.take(), tolerance)


def test_a_beat_repeated_for_ten_minutes_does_not_take_quadratic_time():
    """The division of a periodic curve at its first worst frame once took minutes."""
    start = time.perf_counter()
    reduce_keys(toy.take(18_000))
    assert time.perf_counter() - start < 10  # 0.7 s on one quiet core


@pytest.mark.slow
def test_an_hour_of_frames_is_reduced_in_seconds():
    start = time.perf_counter()
    reduce_keys(toy.take(100_000))
    assert time.perf_counter() - start < 60  # 4 s on one quiet core
