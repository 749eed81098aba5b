# SPDX-License-Identifier: Apache-2.0
"""Sound comes in whole, at 16 kHz, from any usual file; what is damaged is refused with the place of the damage."""

from __future__ import annotations

import struct

import av
import numpy as np
import pytest
import soundfile
from hyoid.errors import InputError
from hyoid.media import audio

TONE = 440.0


def tone(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    wave = 0.3 * np.sin(2 * np.pi * TONE * np.arange(int(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, 1).astype(np.float32)


def heard(path, **options):
    with audio.recording(path, **options) as sound:
        return sound, np.array(sound.samples)


def pitch(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * audio.RATE / len(samples))


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 1), (44100, 2), (48000, 6), (192000, 1)])
def test_any_rate_and_channels_become_16_khz_mono(tmp_path, rate, channels):
    soundfile.write(tmp_path / "a.wav", tone(1.5, rate, channels), rate)
    sound, samples = heard(tmp_path / "a.wav")
    assert abs(len(samples) - 24000) <= 2
    assert abs(pitch(samples) - TONE) < 1
    assert abs(np.abs(samples[4000:-4000]).max() - 0.3) < 0.01
    assert (sound.rate, sound.channels) == (rate, channels)
    assert any("mixed" in note for note in sound.notes) == (channels > 1)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "aiff"])
def test_other_formats_of_libsndfile(tmp_path, suffix):
    soundfile.write(tmp_path / f"a.{suffix}", tone(1, 22050), 22050)
    assert abs(pitch(heard(tmp_path / f"a.{suffix}")[1]) - TONE) < 2


def write_av(path, rate: int = 48000, codec: str = "aac", video: bool = False, sound: bool = True) -> None:
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25) if video else None
        stream = container.add_stream(codec, rate=rate, layout="mono") if sound else None
        if pictures is not None:
            pictures.width, pictures.height = 64, 64
            for _ in range(25):
                frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                container.mux(pictures.encode(frame))
            container.mux(pictures.encode())
        if stream is not None:
            frame = av.AudioFrame.from_ndarray(tone(1.0, rate).T.copy(), format="fltp", layout="mono")
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
            container.mux(stream.encode())


@pytest.mark.parametrize(
    ("name", "codec", "video"), [("a.m4a", "aac", False), ("a.mp4", "aac", True), ("a.mp3", "mp3", False)]
)
def test_compressed_sound_and_the_sound_of_a_video(tmp_path, name, codec, video):
    write_av(tmp_path / name, codec=codec, video=video)
    _, samples = heard(tmp_path / name)
    assert abs(pitch(samples) - TONE) < 2
    assert 0.95 < len(samples) / audio.RATE < 1.1  # encoders pad to whole frames


def test_a_video_without_sound_is_refused(tmp_path):
    write_av(tmp_path / "a.mp4", video=True, sound=False)
    with pytest.raises(InputError, match="no sound track"):
        heard(tmp_path / "a.mp4")


def test_channels_that_cancel_out_are_not_mixed(tmp_path):
    """A microphone wired out of phase: the mix would be silence."""
    pair = tone(1, 16000, 2) * [1, -1]
    soundfile.write(tmp_path / "a.wav", pair, 16000)
    sound, samples = heard(tmp_path / "a.wav")
    assert np.abs(samples).max() > 0.25
    assert any("first is used" in note for note in sound.notes)


def test_a_truncated_wav_names_promised_and_found_seconds_and_can_be_repaired(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(4, 16000), 16000)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 16000])
    with pytest.raises(InputError, match=r"promises 4\.00 s .* holds 1\.00 s"):
        heard(path)
    sound, samples = heard(path, repair=True)
    assert abs(len(samples) - 16000) <= 1
    assert any("truncated" in note for note in sound.repaired)


def test_a_truncated_flac_is_refused_and_gives_what_it_holds(tmp_path):
    path = tmp_path / "a.flac"
    noise = np.random.default_rng(0).normal(0, 0.1, 16000 * 4)
    soundfile.write(path, noise, 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="truncated"):
        heard(path)
    assert 1.0 < len(heard(path, repair=True)[1]) / audio.RATE < 2.1


def test_a_wav_of_a_program_that_could_not_seek_is_whole(tmp_path):
    """Recorders that write to a pipe leave the length at 0xFFFFFFFF."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(1, 16000), 16000)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert abs(len(heard(path)[1]) - 16000) <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers(tmp_path, value):
    samples = tone(1, 16000)
    samples[12345] = value
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(InputError, match="sample 12345"):
        heard(tmp_path / "a.wav")
    sound, repaired = heard(tmp_path / "a.wav", repair=True)
    assert np.isfinite(repaired).all()
    assert "1 samples" in sound.repaired[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"hello, this is text\n" * 50, "text"),
        (b"<!DOCTYPE html><html>" * 50, "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
        (b"RIFF\xe8\x03\0\0WAVELIST" + struct.pack("<I", 4_000_000_000) + bytes(900), "reaches past"),
        (b"RIFF" + struct.pack("<I", 149) + b"WAVELIST" + struct.pack("<I", 0) + bytes(137), "data"),
    ],
)  # fmt: skip
def test_what_is_no_sound_is_said(tmp_path, content, words):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        heard(tmp_path / "a.wav")
    assert caught.value.path == str(tmp_path / "a.wav")
    assert caught.value.expected


@pytest.mark.parametrize("rate", [1, 7999, 192001, 384000])
def test_odd_rates_are_refused(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", np.zeros(40000), rate)
    with pytest.raises(InputError, match=str(rate)):
        heard(tmp_path / "a.wav")


def test_too_short(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.05, 48000), 48000)
    with pytest.raises(InputError, match=r"0\.050 s"):
        heard(tmp_path / "a.wav")


def test_every_cut_of_a_good_file_is_an_input_error_or_sound(tmp_path):
    """No other exception, no hang: cut at every 5 %, and with random bytes flipped."""
    good = tmp_path / "good.wav"
    soundfile.write(good, tone(0.5, 16000), 16000)
    data = good.read_bytes()
    random = np.random.default_rng(3)
    samples = [data[: len(data) * part // 20] for part in range(20)]
    for _ in range(40):
        flipped = bytearray(data)
        for place in random.integers(0, 60, 3):
            flipped[place] = int(random.integers(256))
        samples.append(bytes(flipped))
    for sample in samples:
        (tmp_path / "a.wav").write_bytes(sample)
        try:
            _, result = heard(tmp_path / "a.wav", repair=bool(len(sample) % 2))
            assert np.isfinite(result).all()
        except InputError:
            pass


def test_no_temporary_file_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    soundfile.write(tmp_path / "a.wav", tone(1, 16000), 16000)
    heard(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_bytes(b"x")
    with pytest.raises(InputError):
        heard(tmp_path / "b.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav"]
