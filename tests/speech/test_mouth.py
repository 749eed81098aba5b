# SPDX-License-Identifier: Apache-2.0
"""What must touch touches, at every output rate; what must be open is open; the motion is the same at every rate."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hyoid.speech import coarticulation, phones, prosody, style, visemes
from hyoid.speech.timing import Spoken

RATES = (24, 25, 30, 50, 60)


def voice(seconds: float, decibels: float = -20.0) -> prosody.Prosody:
    """An even voice of 120 Hz, no formant information."""
    count = int(seconds * 100) + 1
    even = np.ones(count, np.float32)
    return prosody.Prosody(decibels * even, 120 * even, 0 * even, 0 * even, -60.0, decibels)


def track(names: str, length: float = 0.08) -> list[visemes.Viseme]:
    spoken = [Spoken(name, 0.3 + i * length, 0.3 + (i + 1) * length) for i, name in enumerate(names.split())]
    before, after = Spoken("SIL", 0, 0.3), Spoken("SIL", spoken[-1].end, spoken[-1].end + 0.3)
    return visemes.from_phones([before, *spoken, after])


def solve(names: str, fps: float, length: float = 0.08, **layers: float):
    visemes_ = track(names, length)
    seconds = visemes_[-1].end
    times = np.arange(int(np.ceil(seconds * fps))) / fps
    return times, coarticulation.mouth(visemes_, voice(seconds), seconds, fps, times, style.style(**layers)), visemes_


def at(times: np.ndarray, values: np.ndarray, viseme: visemes.Viseme, early: float = 0.05) -> np.ndarray:
    inside = (times >= viseme.start - early) & (times <= viseme.end)
    return values[inside]


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("length", [0.03, 0.05, 0.12])
def test_lips_close_on_every_bilabial(fps, length):
    """Even on phones shorter than a frame, between the widest vowels."""
    times, curves, solved = solve("AA M AA P AA B AE B AO M AW P OW", fps, length)
    gap = curves["jawOpen"] - curves["mouthClose"]
    parted = np.maximum.reduce([gap, curves["mouthLowerDownLeft"], curves["mouthUpperUpLeft"], curves["mouthFunnel"]])
    closures = [viseme for viseme in solved if viseme.name == "PBM"]
    assert len(closures) == 6
    for viseme in closures:
        assert at(times, parted, viseme).min() < 0.01
        assert at(times, curves["mouthPressLeft"], viseme).max() > 0.3


@pytest.mark.parametrize("fps", RATES)
def test_the_lower_lip_meets_the_teeth_and_sibilants_close_the_jaw(fps):
    times, curves, solved = solve("AA F AA V AE S AA Z AA SH AE CH AA", fps, 0.07)
    for viseme in solved:
        jaw = at(times, curves["jawOpen"], viseme, 0.0)
        if viseme.name == "FV":
            assert jaw.min() < 0.075
            assert at(times, curves["mouthRollLower"], viseme).max() > 0.5
        if viseme.name in ("SZ", "SH"):
            assert jaw.min() < 0.13


@pytest.mark.parametrize("vowel", sorted(phones.VOWELS - {"UW", "UH"}))
def test_vowels_open_the_lips(vowel):
    _, curves, _ = solve(f"M {vowel} M {vowel} M", 30, 0.12)
    assert curves["jawOpen"].max() > 0.12


def test_vowels_are_told_apart():
    """Height opens the jaw, rounding purses the lips, spreading stretches them."""
    shape = {vowel: {k: v.max() for k, v in solve(f"T {vowel} T", 30, 0.15)[1].items()} for vowel in ("AA", "IY", "UW")}
    assert shape["AA"]["jawOpen"] > 1.5 * shape["IY"]["jawOpen"]
    assert shape["UW"]["mouthPucker"] > 0.4
    assert shape["IY"]["mouthStretchLeft"] > 0.1
    assert shape["AA"]["mouthPucker"] < 0.05


def test_short_sounds_undershoot():
    short, long = (solve("T AA T AA T", 50, length)[1]["jawOpen"].max() for length in (0.05, 0.2))
    assert short < 0.85 * long


def test_the_tongue_shows_between_the_teeth():
    assert solve("AA TH AA", 30)[1]["tongueOut"].max() > 0.1
    assert solve("AA S AA", 30)[1]["tongueOut"].max() < 0.01
    assert solve("AA TH AA", 30, tongue=0.0)[1]["tongueOut"].max() == 0


def test_loudness_opens_the_jaw():
    solved = track("T AA T", 0.2)
    times = np.arange(30) / 30
    quiet, loud = voice(1.0, -32), voice(1.0, -20)
    usual = dataclasses.replace(quiet, level=-20.0)
    jaws = [coarticulation.mouth(solved, one, 1.0, 30, times, style.style())["jawOpen"].max() for one in (usual, loud)]
    assert jaws[1] > 1.2 * jaws[0]


def test_the_same_motion_at_every_rate():
    """Sampled by time: where two rates share an instant they agree, but for the frames that contacts were moved to."""
    times, fast, _ = solve("HH EH L OW W ER L D AA T N AA IY", 60)
    slow_times, slow, _ = solve("HH EH L OW W ER L D AA T N AA IY", 30)
    for name, values in fast.items():
        assert np.abs(np.interp(slow_times, times, values) - slow[name]).max() < 0.02, name


def test_curves_are_weights_and_do_not_jitter():
    """Third differences of a 60 fps curve: a spike of one frame would show as 0.1 and more."""
    times, curves, _ = solve("DH AH K W IH K N AY T R AE N G OY T R AY K IH NG", 60, 0.07)
    for name, values in curves.items():
        assert values.dtype == np.float32
        assert values.min() >= 0
        assert values.max() <= 1
        assert np.abs(np.diff(values, 3)).max() < 0.1, name
    assert len(times) == len(curves["jawOpen"])


def test_the_mouth_closes_in_a_long_pause():
    solved = visemes.from_phones([Spoken("AA", 0, 0.3), Spoken("SIL", 0.3, 3.0)])
    times = np.arange(90) / 30
    curves = coarticulation.mouth(solved, voice(3.0), 3.0, 30, times, style.style())
    assert curves["jawOpen"][75:].max() < 0.01


def test_every_phone_has_a_target():
    for name in phones.NAMES:
        for viseme in visemes.from_phones([Spoken(name, 0, 0.1)]):
            assert viseme.name in visemes.TARGETS
            assert 0 <= viseme.jaw <= 1
