# SPDX-License-Identifier: Apache-2.0
"""Videos: right length, rate and size, sound of exactly the pictures' length, equal bytes for equal input."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import soundfile
from hyoid.errors import InputError
from hyoid.media import video


def pictures(count: int, height: int = 64, width: int = 96):
    ramp = np.linspace(0, 255, width).astype(np.uint8)
    for index in range(count):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[..., 0] = ramp
        picture[..., 1] = 40 + index
        picture[: height // 2, ..., 2] = 200
        yield picture


def tone(path, seconds: float, rate: int = 16000, channels: int = 1):
    time = np.arange(round(seconds * rate)) / rate
    samples = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, np.repeat(samples[:, None], channels, 1), rate)
    return path


@pytest.mark.parametrize(
    ("given", "exact"),
    [(30, Fraction(30)), (29.97, Fraction(30000, 1001)), (23.976, Fraction(24000, 1001)), (12.5, Fraction(25, 2))],
)
def test_frame_rate_is_the_exact_one_that_is_meant(given, exact):
    assert video.frame_rate(given) == exact


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30, 50, 60])
def test_count_rate_and_length_survive(tmp_path, fps):
    path = tmp_path / "a.mp4"
    assert video.write(path, pictures(17), fps) == 17
    facts = video.probe(path)
    assert (facts.frames, facts.fps, facts.width, facts.height) == (17, video.frame_rate(fps), 96, 64)
    assert not facts.has_audio


def test_colours_come_back(tmp_path):
    """A wrong matrix or range (601 for 709, full for limited) shifts flat areas by more than 5 of 255."""
    path = tmp_path / "a.mp4"
    video.write(path, pictures(3), 30)
    for got, want in zip(video.read(path), pictures(3), strict=True):
        inner = np.s_[4:28, 4:-4]
        assert np.abs(got[inner].astype(int) - want[inner]).mean() < 4


def test_odd_size_grows_to_even(tmp_path):
    path = tmp_path / "a.mp4"
    video.write(path, pictures(2, 63, 95), 30)
    facts = video.probe(path)
    assert (facts.width, facts.height) == (96, 64)


@pytest.mark.parametrize("seconds", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_sound_is_as_long_as_the_pictures(tmp_path, seconds, channels):
    import av

    path = tmp_path / "a.mp4"
    video.write(path, pictures(30), 30, tone(tmp_path / "a.wav", seconds, channels=channels))
    assert video.probe(path).has_audio
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("offset", "loud", "quiet"),
    [(0.5, slice(30000, 46000), slice(0, 20000)), (-0.5, slice(2000, 20000), slice(30000, 46000))],
)
def test_offset_moves_the_sound(tmp_path, offset, loud, quiet):
    import av

    path = tmp_path / "a.mp4"
    video.write(path, pictures(30), 30, tone(tmp_path / "a.wav", 1.0), audio_offset=offset)
    with av.open(str(path)) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert np.abs(samples[loud]).max() > 0.3
    assert np.abs(samples[quiet]).max() < 0.05


def test_equal_input_gives_equal_bytes(tmp_path):
    """Twelve runs: with x264's macroblock-tree about every second one differed."""
    sound = tone(tmp_path / "a.wav", 1.0)
    results = set()
    for _ in range(12):
        video.write(tmp_path / "a.mp4", pictures(30), 29.97, sound)
        results.add((tmp_path / "a.mp4").read_bytes())
    assert len(results) == 1


def test_index_lies_in_front(tmp_path):
    """A player that streams must find the index (moov) before the pictures (mdat)."""
    path = tmp_path / "a.mp4"
    video.write(path, pictures(5), 30)
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_bad_input_is_named(tmp_path):
    with pytest.raises(InputError, match="no frame"):
        video.write(tmp_path / "a.mp4", iter(()), 30)
    with pytest.raises(InputError, match="frame 1 is 10x10"):
        video.write(tmp_path / "a.mp4", [np.zeros((8, 8, 3), np.uint8), np.zeros((10, 10, 3), np.uint8)], 30)
    text = tmp_path / "a.wav"
    text.write_text("no sound here")
    with pytest.raises(InputError, match=r"a\.wav"):
        video.write(tmp_path / "a.mp4", pictures(2), 30, text)
    with pytest.raises(InputError, match=r"gone\.mp4"):
        video.probe(tmp_path / "gone.mp4")
