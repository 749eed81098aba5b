# SPDX-License-Identifier: Apache-2.0
"""The larynx of a talking take: it rises with pitch, sinks on rounded vowels and breath, and travels in a swallow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyoid.speech import prosody as voice
from hyoid.speech.prosody import Prosody
from hyoid.speech.visemes import Viseme
from hyoid.take import Event

MILLIMETRES_AN_OCTAVE = 10.0
ROUNDED = 3.0  # millimetres down on W, UW, OW, AO
SWALLOW_RISE = 17.0
SWALLOW_DIP = 4.0
SWALLOW_SECONDS = 0.7
TRAVEL = (-15.0, 22.0)


def height(
    prosody: Prosody,
    track: Sequence[Viseme],
    swallow: np.ndarray,
    inhale: np.ndarray,
    times: np.ndarray,
    strength: float,
) -> np.ndarray:
    """Height in millimetres, up positive.

    Args:
        prosody: of the recording. track: viseme targets.
        swallow: (frames,) 0..1 and its phase is in :func:`swallow_height`; here already millimetres.
        inhale: (frames,) 0..1. times: (frames,) seconds. strength: 1 as solved.
    """
    octaves, _ = voice.register(prosody)
    voiced = (prosody.pitch > 0).astype(np.float32)
    # In unvoiced stretches the larynx drifts back to rest over about a quarter of a second.
    weight = voice.smooth(voiced, 0.10)
    follow = voice.smooth(np.clip(octaves, -1.2, 1.2), 0.05) * np.clip(weight * 1.3, 0, 1)
    rounded = np.zeros(len(octaves), np.float32)
    for viseme in track:
        if viseme.name in ("W", "AO"):
            rounded[int(viseme.start * 100) : int(viseme.end * 100)] = min(viseme.strength, 1.5)
    grid = prosody.times
    speech = MILLIMETRES_AN_OCTAVE * follow - ROUNDED * voice.smooth(rounded, 0.06)
    value = np.interp(times, grid, speech) - 1.5 * inhale
    value = value * (1 - np.clip(np.abs(swallow) / 6, 0, 1)) + swallow
    return np.clip(strength * value, *TRAVEL).astype(np.float32)


def swallow_tracks(events: Sequence[Event], times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The swallows of a take: height in millimetres (a dip, a rise, a slower fall) and the 0..1 ``swallow`` curve."""
    travel = np.zeros(len(times), np.float32)
    activity = np.zeros(len(times), np.float32)
    for event in events:
        if event.kind != "swallow":
            continue
        low, high = np.searchsorted(times, [event.start, event.end])
        phase = (times[low:high] - event.start) / (event.end - event.start)
        points = ((0, 0.12, 0.42, 0.58, 1.0), (0, -SWALLOW_DIP, SWALLOW_RISE, SWALLOW_RISE, 0))
        travel[low:high] = event.strength * _smooth_through(phase, *points)
        activity[low:high] = np.maximum(activity[low:high], event.strength * np.sin(np.pi * phase) ** 2)
    return travel, np.clip(activity, 0, 1)


def _smooth_through(phase: np.ndarray, knots: tuple[float, ...], values: tuple[float, ...]) -> np.ndarray:
    """Through the knots with zero slope at each."""
    result = np.zeros(len(phase), np.float32)
    for start, end, low, high in zip(knots, knots[1:], values, values[1:], strict=False):
        share = np.clip((phase - start) / (end - start), 0, 1)
        inside = (phase >= start) & (phase <= end)
        result[inside] = (low + (high - low) * share * share * (3 - 2 * share))[inside]
    return result
