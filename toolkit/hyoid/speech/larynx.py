# SPDX-License-Identifier: Apache-2.0
"""The larynx of a talking take: it rises with pitch, sinks on rounded vowels and breath, and travels in a swallow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyoid.characters import gestures
from hyoid.speech import prosody as voice
from hyoid.speech.prosody import Prosody
from hyoid.speech.visemes import Viseme
from hyoid.take import Event

MILLIMETRES_AN_OCTAVE = 10.0
ROUNDED = 3.0  # millimetres down on W, UW, OW, AO
SWALLOW_SECONDS = (0.7, 1.0)  # shortest and usual
TRAVEL = (-15.0, 22.0)


def height(
    prosody: Prosody,
    track: Sequence[Viseme],
    swallow: np.ndarray,
    breath: np.ndarray,
    effort: np.ndarray,
    times: np.ndarray,
    fps: float,
    strength: float,
) -> np.ndarray:
    """Height in millimetres, up positive.

    Args:
        prosody: of the recording. track: viseme targets.
        swallow, breath, effort: (frames,) 0..1, what :mod:`hyoid.characters.gestures` reads of a take.
        times: (frames,) seconds. fps: frames a second. strength: 1 as solved.
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
    speech = MILLIMETRES_AN_OCTAVE * follow - ROUNDED * voice.smooth(rounded, 0.06)
    value = np.interp(times, prosody.times, speech) * (1 - np.clip(4 * swallow, 0, 1))
    value = value + gestures.larynx_height(swallow, breath, effort, fps)
    return np.clip(strength * value, *TRAVEL).astype(np.float32)


def swallow_curve(events: Sequence[Event], times: np.ndarray) -> np.ndarray:
    """The ``swallow`` curve of a take, (frames,) 0..1, of its swallow events."""
    activity = np.zeros(len(times), np.float32)
    for event in events:
        if event.kind == "swallow":
            low, high = np.searchsorted(times, [event.start, event.end])
            phase = (times[low:high] - event.start) / (event.end - event.start)
            activity[low:high] = np.maximum(activity[low:high], event.strength * np.sin(np.pi * phase) ** 2)
    return np.clip(activity, 0, 1)
