# SPDX-License-Identifier: Apache-2.0
"""What the voice does every 10 ms: loudness, pitch, voicing, how open the vowel sounds; in constant memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyoid import scratch

RATE = 16_000
HOP = 160
WINDOW = 640  # 40 ms: two periods of a 50 Hz voice
BLOCK = 2048  # frames worked on at once
INAUDIBLE = -90.0  # dB
PITCH = (60.0, 420.0)
_SIZE = 2048
_HERTZ = np.arange(_SIZE // 2 + 1) * RATE / _SIZE
_HANN = np.hanning(WINDOW).astype(np.float32)


@dataclass(frozen=True)
class Prosody:
    """Tracks at 100 frames a second, frame ``i`` centred at ``i * 0.01`` s.

    Attributes:
        loudness: (frames,) float32, dB of the speech band (below 0).
        pitch: (frames,) float32, Hz, 0 where unvoiced.
        voicing: (frames,) float32, 0..1, height of the autocorrelation peak.
        opening: (frames,) float32, centre of gravity of the 200..1000 Hz spectrum on a 0..1 scale: it follows the first
            formant, which rises as the jaw opens.
        floor, level: dB of the background and of usual speech.
    """

    loudness: np.ndarray
    pitch: np.ndarray
    voicing: np.ndarray
    opening: np.ndarray
    floor: float
    level: float

    @property
    def times(self) -> np.ndarray:
        """(frames,) seconds."""
        return np.arange(len(self.loudness)) * (HOP / RATE)

    def is_speech(self) -> np.ndarray:
        """(frames,) bool: louder than the background by a clear margin."""
        threshold = self.floor + max(6.0, 0.3 * (self.level - self.floor))
        return self.loudness > max(threshold, -85.0)


def measure(samples: np.ndarray, *, voice: bool = True) -> Prosody:
    """Measure a recording.

    Args:
        samples: (n,) float32 at 16 kHz; a memory map is read block by block.
        voice: measure all; False leaves pitch, voicing and opening at 0, which takes half the time or less.
    """
    count = max(1, -(-len(samples) // HOP))
    tracks = np.zeros((4, count), np.float32)
    for first in range(0, count, BLOCK):
        last = min(first + BLOCK, count)
        begin, end = first * HOP - WINDOW // 2, (last - 1) * HOP + WINDOW // 2
        block = np.zeros(end - begin, np.float32)
        inside = slice(max(begin, 0), min(end, len(samples)))
        block[inside.start - begin : inside.stop - begin] = samples[inside]
        scratch.give_back(samples)
        frames = np.lib.stride_tricks.sliding_window_view(block, WINDOW)[::HOP]
        power = _power(frames)
        tracks[0, first:last] = _loudness(power)
        if voice:
            tracks[1:, first:last] = _voice(power)
    loudness = tracks[0]
    audible = loudness[loudness > INAUDIBLE]
    # Gates and speech synthesisers leave digital silence: then the background is silent, not the quietest speech.
    floor = float(np.percentile(np.maximum(loudness, INAUDIBLE), 8))
    level = float(np.percentile(audible, 85)) if len(audible) else INAUDIBLE
    pitch = _clean_pitch(tracks[1], tracks[2], loudness > floor + 0.3 * max(level - floor, 6.0))
    return Prosody(loudness, pitch, tracks[2], tracks[3], floor, level)


def _power(frames: np.ndarray) -> np.ndarray:
    """(frames, 1025) float32: how much of each of :data:`_HERTZ` there is."""
    spectrum = np.fft.rfft(frames * _HANN, _SIZE)
    return (spectrum.real**2 + spectrum.imag**2).astype(np.float32)


def _loudness(power: np.ndarray) -> np.ndarray:
    """(frames,) dB."""
    band = (_HERTZ >= 100) & (_HERTZ <= 7000)
    energy = power[:, band].sum(1) * (2 / (_SIZE * float((_HANN**2).sum())))
    return 10 * np.log10(energy + 1e-12)


def _voice(power: np.ndarray) -> np.ndarray:
    """(3, frames): pitch, voicing, opening."""
    voice = np.where(_HERTZ < 1200, power, 0)
    correlation = np.fft.irfft(voice, _SIZE)[:, : int(RATE / PITCH[0]) + 2]
    own = np.fft.irfft(np.abs(np.fft.rfft(_HANN, _SIZE)) ** 2)[: correlation.shape[1]]
    correlation = correlation / np.maximum(correlation[:, :1], 1e-12) / (own / own[0])
    shortest = int(RATE / PITCH[1])
    # A small slope prefers the shorter of two periods that fit equally (no octave errors downwards).
    slope = 1 - 0.12 * np.arange(correlation.shape[1]) / correlation.shape[1]
    search = (correlation * slope)[:, shortest:-1]
    lag = search.argmax(1) + shortest
    rows = np.arange(len(power))
    peak = correlation[rows, lag]
    before, after = correlation[rows, lag - 1], correlation[rows, lag + 1]
    shift = np.clip(0.5 * (before - after) / np.minimum(before - 2 * peak + after, -1e-6), -0.5, 0.5)
    low = (_HERTZ >= 200) & (_HERTZ <= 1000)
    amplitude = np.sqrt(power[:, low])
    centre = (amplitude * _HERTZ[low]).sum(1) / np.maximum(amplitude.sum(1), 1e-9)
    opening = np.clip((centre - 200) / 800, 0, 1)
    return np.stack([RATE / (lag + shift), np.clip(peak, 0, 1), opening]).astype(np.float32)


def _clean_pitch(pitch: np.ndarray, voicing: np.ndarray, loud: np.ndarray) -> np.ndarray:
    """Zero outside voiced runs of 30 ms or more; octave jumps against the run's surroundings folded back."""
    voiced = (voicing > 0.5) & loud
    padded = np.concatenate([[False], voiced, [False]])
    edges = np.flatnonzero(np.diff(padded.astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start < 3:
            voiced[start:end] = False
    result = np.where(voiced, pitch, 0).astype(np.float32)
    if voiced.any():
        centre = float(np.median(result[voiced]))
        result[voiced & (result > 1.8 * centre)] /= 2
        result[voiced & (result < 0.55 * centre)] *= 2
    return result


def smooth(track: np.ndarray, seconds: float) -> np.ndarray:
    """A track at 100 frames a second, smoothed by a Gaussian of the given standard deviation; edges are held."""
    sigma = seconds * RATE / HOP
    if sigma <= 0 or not len(track):
        return track
    reach = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.pad(track, reach, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), "valid").astype(np.float32)


def register(prosody: Prosody) -> tuple[np.ndarray, float]:
    """Pitch in octaves against the speaker's own middle, continuous through unvoiced stretches, and that middle in Hz.

    Returns:
        (frames,) float32, and the median pitch (0 when nothing is voiced).
    """
    voiced = prosody.pitch > 0
    if not voiced.any():
        return np.zeros_like(prosody.pitch), 0.0
    middle = float(np.median(prosody.pitch[voiced]))
    known = np.flatnonzero(voiced)
    octaves = np.log2(prosody.pitch[known] / middle)
    return np.interp(np.arange(len(voiced)), known, octaves).astype(np.float32), middle
