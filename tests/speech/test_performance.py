# SPDX-License-Identifier: Apache-2.0
"""Face, head and larynx: alive but never wild, placed where speakers do it, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.characters import arkit, gestures, neck
from hyoid.speech import events as track
from hyoid.speech import larynx, performance, prosody, solve, style
from hyoid.speech.timing import Spoken
from hyoid.take import Event, Take


def equal(a: Take, b: Take) -> bool:
    return (
        a.curves.tobytes() == b.curves.tobytes()
        and a.rotations.tobytes() == b.rotations.tobytes()
        and a.events == b.events
    )


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
def test_every_blink_is_full_in_one_frame(fps):
    times = np.arange(10 * fps) / fps
    blinks = [Event("blink", "blink", start, start + 0.15) for start in np.linspace(0.5, 9, 12) + 0.0137]
    curve = performance.blink_curve(blinks, times, 1.0)
    for blink in blinks:
        assert curve[(times >= blink.start) & (times <= blink.end)].max() == 1
    assert curve[times < 0.4].max() == 0


def test_blinks_come_every_two_to_six_seconds_and_prefer_pauses():
    spoken = [Spoken("SIL" if i % 8 == 7 else "AA", i * 0.5, (i + 1) * 0.5) for i in range(600)]
    blinks = [e for e in performance.events(spoken, 300, style.style(), 3) if e.kind == "blink"]
    gaps = np.diff([blink.start for blink in blinks])
    assert 2 < gaps.mean() < 6
    assert gaps.min() > 0.5
    pauses = np.array([start for start, _ in performance.pauses(spoken, 0.15)])
    near = [np.abs(pauses - blink.start).min() < 0.15 for blink in blinks]
    assert np.mean(near) > 0.25  # by chance: 0.3 s of every 4 s, 0.08


def test_swallows_lie_in_long_pauses_far_apart():
    spoken = [Spoken("SIL" if i % 5 == 4 else "AA", i, i + 1) for i in range(200)]
    swallows = [e for e in performance.events(spoken, 200, style.style(), 0) if e.kind == "swallow"]
    assert len(swallows) >= 4
    for swallow in swallows:
        assert spoken[int(swallow.start)].name == "SIL"
        assert int(swallow.start) == int(swallow.end)
    assert np.diff([swallow.start for swallow in swallows]).min() >= performance.SWALLOW_GAP[0] - 1


def test_breath_is_drawn_before_phrases(take):
    intakes = [e for e in take.events if e.kind == "breath" and e.name == "intake"]
    onsets = np.array([e.start for e in take.events if e.kind == "word"])
    assert intakes
    for intake in intakes:
        assert 0 < onsets[onsets >= intake.end].min() - intake.end < 0.1
    assert take.curve("breath").max() > 0.8


def test_a_swallow_dips_rises_and_comes_back():
    times = np.arange(150) / 100
    curve = larynx.swallow_curve([Event("swallow", "swallow", 0.1, 1.0)], times)
    assert curve.max() > 0.98
    voice = prosody.Prosody(*(np.zeros(150, np.float32) for _ in range(4)), -60.0, -20.0)
    zero = np.zeros(150, np.float32)
    height = larynx.height(voice, [], curve, zero, zero, times, 100.0, 1.0)
    assert height.min() == pytest.approx(-gestures.SWALLOW_DIP, abs=0.7)
    assert height.max() == pytest.approx(gestures.SWALLOW_RISE, abs=0.3)
    assert height.argmin() < height.argmax()
    assert np.all(height[101:] == 0)


def test_the_larynx_follows_pitch():
    """An octave up after a second: about ten millimetres."""
    count = 300
    pitch = np.where(np.arange(count) < 150, 100.0, 200.0).astype(np.float32)
    even = np.ones(count, np.float32)
    voice = prosody.Prosody(-20 * even, pitch, even, 0 * even, -60.0, -20.0)
    zero = np.zeros(count, np.float32)
    height = larynx.height(voice, [], zero, zero, zero, np.arange(count) / 100, 100.0, 1.0)
    assert 8 < height[250] - height[50] < 12
    assert np.all(larynx.height(voice, [], zero, zero, zero, np.arange(count) / 100, 100.0, 0.0) == 0)


def test_pitch_of_a_known_tone():
    seconds = np.arange(16000) / 16000
    for hertz in (80, 140, 220, 350):
        tone = sum(np.sin(2 * np.pi * hertz * k * seconds) / k for k in range(1, 8)).astype(np.float32) * 0.1
        pause = np.zeros(8000, np.float32)
        found = prosody.measure(np.concatenate([pause, tone, pause])).pitch
        assert np.median(found[60:140]) == pytest.approx(hertz, rel=0.01)
        assert found[:40].max() == 0


def test_the_head_moves_a_little_and_through_all_neck_joints(take):
    assert take.joint_names == neck.JOINTS
    degrees = np.degrees(2 * neck.collapse(take.rotations)[:, 1:])
    assert np.ptp(degrees, axis=0).min() > 0.8
    assert np.abs(degrees).max() < 12
    assert (np.ptp(take.rotations, axis=0).max(-1) > 1e-4).all(), "no joint stands still"
    assert np.allclose(np.linalg.norm(take.rotations, axis=-1), 1, atol=1e-5)


def test_a_take_has_every_curve_in_its_range(take):
    assert take.curve_names == arkit.CURVES
    assert np.isfinite(take.curves).all()
    weights = take.curves[:, : len(arkit.NAMES)]
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert np.abs(take.curve("larynxHeight")).max() < 25


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path, take, voice, transcript):
    assert equal(take, solve(voice, text=transcript))
    other = solve(voice, text=transcript, seed=1)
    assert not equal(take, other)
    names = [name for name in arkit.NAMES if name.startswith("mouth")]
    same = [
        np.array_equal(take.curve(name), other.curve(name))
        for name in names
        if "Press" not in name and "Shrug" not in name
    ]
    assert all(same), "a seed never changes the mouth"


def test_each_layer_can_be_switched_off(tmp_path, take, voice):
    track.write(tmp_path / "a.csv", take.events)
    off = dict.fromkeys(style.LAYERS, 0.0)
    still = solve(voice, events=tmp_path / "a.csv", strengths=off)
    rest = [name for name in arkit.NAMES if name.startswith(("eye", "brow", "jaw"))]
    assert max(np.abs(still.curve(name)).max() for name in rest) == 0
    assert np.abs(still.rotations - [1, 0, 0, 0]).max() < 1e-6
    assert np.all(still.curve("larynxHeight") == 0)


def test_styles_differ_in_size(tmp_path, take, voice):
    track.write(tmp_path / "a.csv", take.events)
    calm, energetic = (solve(voice, events=tmp_path / "a.csv", style=name) for name in ("calm", "energetic"))
    assert energetic.curve("jawOpen").max() > 1.2 * calm.curve("jawOpen").max()
    size = [np.abs(neck.collapse(one.rotations)[:, 1:]).mean() for one in (calm, energetic)]
    assert size[1] > 1.8 * size[0]


def test_the_offset_moves_the_face_later(tmp_path, take, voice):
    track.write(tmp_path / "a.csv", take.events)
    first, late = (solve(voice, events=tmp_path / "a.csv", offset_ms=ms).curve("jawOpen") for ms in (0, 100))
    assert np.corrcoef(first[:-3], late[3:])[0, 1] > 0.98
