# SPDX-License-Identifier: Apache-2.0
"""From viseme targets to mouth curves: targets blend by dominance, then the rules of contact are enforced.

Blending is a weighted mean over time: each sound pulls with its dominance over its own duration and a little beyond, so
short sounds undershoot and neighbours colour each other (after Cohen and Massaro 1993). What must touch is decided
after the blending (after Edwards et al. 2016): lips on P B M, lip and teeth on F V, teeth nearly together on sibilants.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyoid.speech import visemes
from hyoid.speech.prosody import Prosody, smooth
from hyoid.speech.style import Style
from hyoid.speech.visemes import LIPS, TARGETS, Viseme

GRID = 100  # frames a second that the curves are solved at, before they are sampled at the output rate

JAW_SPREAD = 0.045  # seconds, how far a target reaches beyond its sound (standard deviation of a Gaussian)
LIP_SPREAD = 0.05
TONGUE_SPREAD = 0.025
# Seconds: jaw and lips set out before the sound changes, the lips first. In running speech the mouth is up to 70 ms
# ahead of the sound (Schwartz and Savariaux 2014), and the eye forgives a face that leads more than one that lags.
JAW_LEAD = 0.065
LIP_LEAD = 0.07
TONGUE_LEAD = 0.02
REST_OPENING = 0.25  # a mouth that pauses stays a little open, and closes over about this many seconds
REST_SECONDS = 0.35
JAW_RANGE = 0.47  # jawOpen of the widest vowel at usual loudness
LOUDNESS_TO_JAW = 0.025  # more opening for each dB over usual speech
FORMANT_TO_JAW = 0.35  # how much the sound itself corrects the table's vowel opening

CLOSING = 0.06  # seconds that lips take to meet, and to part
PARTING = 0.045
JAW_UNDER_CLOSURE = 0.06
JAW_UNDER_TEETH = 0.06
JAW_UNDER_SIBILANT = 0.1


class Contact:
    """One contact class: which visemes, how soon the contact is full and how long it holds."""

    def __init__(self, name: str, early: float, hold: float, closing: float, parting: float) -> None:
        self.name, self.early, self.hold, self.closing, self.parting = name, early, hold, closing, parting

    def cores(self, track: Sequence[Viseme]) -> np.ndarray:
        """(n, 3) float64: start, end and strength of the full contact of each viseme of the class."""
        rows = []
        for viseme in visemes.merge_closures(track, self.name):
            start = viseme.start - self.early
            end = viseme.start + self.hold * (viseme.end - viseme.start)
            rows.append((start, max(end, start + 0.02), min(viseme.strength, 1.0)))
        return np.array(rows, float).reshape(-1, 3)

    def curve(self, cores: np.ndarray, frames: int) -> np.ndarray:
        """(frames,) float32 on the grid: 1 while in contact, smooth ramps before and after."""
        result = np.zeros(frames, np.float32)
        for start, end, strength in cores:
            low = max(int((start - self.closing) * GRID), 0)
            high = min(int(np.ceil((end + self.parting) * GRID)) + 1, frames)
            if high <= low:
                continue
            time = np.arange(low, high) / GRID
            ramp = np.minimum((time - start) / self.closing + 1, 1 - (time - end) / self.parting)
            ramp = np.clip(ramp, 0, 1)
            result[low:high] = np.maximum(result[low:high], strength * ramp * ramp * (3 - 2 * ramp))
        return result


CLOSURE = Contact("PBM", 0.015, 0.7, CLOSING, PARTING)
TEETH = Contact("FV", 0.01, 0.8, 0.06, 0.05)
SIBILANT = Contact("SZ", 0.0, 0.85, 0.07, 0.06)
HUSH = Contact("SH", 0.0, 0.85, 0.07, 0.06)


def grid_size(seconds: float) -> int:
    """The number of grid frames for a length."""
    return max(2, int(np.ceil(seconds * GRID)) + 1)


def blend(track: Sequence[Viseme], prosody: Prosody, seconds: float) -> dict[str, np.ndarray]:
    """Blended mouth channels on the grid: ``jaw`` (0..1), ``tongue`` and the lip channels, each (frames,) float32."""
    frames = grid_size(seconds)
    jaw, jaw_pull, lip_pull, tongue = (np.zeros(frames, np.float32) for _ in range(4))
    lips = {name: np.zeros(frames, np.float32) for name in LIPS}
    gain = _jaw_gain(prosody, frames)
    formant = _formant_opening(prosody, frames)
    for number, viseme in enumerate(track):
        target = TARGETS[viseme.name]
        rows = _rows(viseme, JAW_LEAD)
        jaw_pull[rows] = target.insists[1]
        opening = np.full(len(jaw[rows]), viseme.jaw, np.float32)
        if viseme.name == "SIL" and number:
            opening = REST_OPENING * np.exp(-np.arange(len(opening), dtype=np.float32) / (REST_SECONDS * GRID))
        if viseme.name in ("AA", "AO", "EH", "IY", "W"):
            opening += FORMANT_TO_JAW * (formant[rows] - opening) * (formant[rows] >= 0)
            opening *= gain[rows]
        jaw[rows] = opening * viseme.strength
        rows = _rows(viseme, TONGUE_LEAD)
        tongue[rows] = target.tongue * viseme.strength
        rows = _rows(viseme, LIP_LEAD)
        lip_pull[rows] = target.insists[0]
        for name, value in target.lips:
            lips[name][rows] = value * viseme.strength
    result = {"jaw": _weighted(jaw, jaw_pull, JAW_SPREAD), "tongue": smooth(tongue, TONGUE_SPREAD)}
    for name, values in lips.items():
        result[name] = _weighted(values, lip_pull, LIP_SPREAD)
    return result


def _rows(viseme: Viseme, lead: float) -> slice:
    """The grid frames of a viseme that sets out early."""
    return slice(max(round((viseme.start - lead) * GRID), 0), max(round((viseme.end - lead) * GRID), 0))


def _weighted(values: np.ndarray, pull: np.ndarray, spread: float) -> np.ndarray:
    return smooth(values * pull, spread) / np.maximum(smooth(pull, spread), 1e-3)


def _on_grid(track: np.ndarray, frames: int) -> np.ndarray:
    """A prosody track (also 100 a second) cut or held to the grid's length."""
    if len(track) >= frames:
        return track[:frames]
    return np.pad(track, (0, frames - len(track)), mode="edge")


def _jaw_gain(prosody: Prosody, frames: int) -> np.ndarray:
    """How far louder speech opens the jaw further: 1 at the usual loudness of the surrounding seconds."""
    loudness = smooth(_on_grid(prosody.loudness, frames), 0.05)
    usual = prosody.level - 4
    return np.clip(1 + LOUDNESS_TO_JAW * (loudness - usual), 0.45, 1.35).astype(np.float32)


def _formant_opening(prosody: Prosody, frames: int) -> np.ndarray:
    """The opening that the sound suggests, 0..1 by rank among the speaker's voiced frames; -1 where unvoiced."""
    opening = smooth(_on_grid(prosody.opening, frames), 0.02)
    voiced = (_on_grid(prosody.voicing, frames) > 0.5) & _on_grid(prosody.is_speech(), frames)
    if voiced.sum() < 50:
        return np.full(frames, -1, np.float32)
    low, high = np.percentile(opening[voiced], [10, 92])
    scaled = 0.2 + 0.8 * np.clip((opening - low) / max(high - low, 1e-3), 0, 1)
    return np.where(voiced, scaled, -1).astype(np.float32)


def mouth(
    track: Sequence[Viseme], prosody: Prosody, seconds: float, fps: float, times: np.ndarray, style: Style
) -> dict[str, np.ndarray]:
    """The mouth's ARKit curves at an output rate.

    Args:
        track: viseme targets in order. prosody: of the recording. seconds: its length.
        fps: output frames a second. times: (frames,) seconds of the sound that each frame shows.
        style: strengths of jaw, lips and tongue.

    Returns:
        ARKit name -> (frames,) float32, 0..1.
    """
    blended = blend(track, prosody, seconds)
    grid = np.arange(len(blended["jaw"])) / GRID
    at = {name: np.interp(times, grid, values).astype(np.float32) for name, values in blended.items()}
    contact = {}
    for kind in (CLOSURE, TEETH, SIBILANT, HUSH):
        cores = kind.cores(track)
        curve = np.interp(times, grid, kind.curve(cores, len(grid))).astype(np.float32)
        contact[kind.name] = _reach_contact(curve, cores, times)
    jaw = JAW_RANGE * style.jaw * at["jaw"]
    jaw = _limit(jaw, JAW_UNDER_SIBILANT, contact["SZ"])
    jaw = _limit(jaw, JAW_UNDER_SIBILANT + 0.01, contact["SH"])
    jaw = _limit(jaw, JAW_UNDER_TEETH, contact["FV"])
    jaw = np.clip(_limit(jaw, JAW_UNDER_CLOSURE, contact["PBM"]), 0, 1)
    return _arkit(jaw, at, contact, style)


def _limit(value: np.ndarray, limit: float, contact: np.ndarray) -> np.ndarray:
    """Pull a curve down to a limit as far as the contact is reached."""
    return value - contact * np.maximum(value - limit, 0)


def _reach_contact(curve: np.ndarray, cores: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Make every contact full in at least one output frame: the one nearest to the middle of its core."""
    for start, end, strength in cores:
        low, high = np.searchsorted(times, [start, end])
        if high <= low:
            middle = (start + end) / 2
            low = (
                max(low - 1, 0) if low == len(times) or (low and middle - times[low - 1] < times[low] - middle) else low
            )
            high = low + 1
        inside = slice(low, high)
        curve[inside] = np.maximum(curve[inside], strength)
    return curve


def _arkit(
    jaw: np.ndarray, at: dict[str, np.ndarray], contact: dict[str, np.ndarray], style: Style
) -> dict[str, np.ndarray]:
    closed, teeth = contact["PBM"], contact["FV"]
    free = (1 - closed) * (1 - teeth)
    part = 1 - closed
    lips = style.lips
    lower = lips * at["lower"] * free
    upper = lips * (at["upper"] * part + 0.1 * teeth * part)
    stretch, smile = lips * at["stretch"] * (1 - 0.5 * closed), lips * at["smile"] * (1 - 0.5 * closed)
    curves = {
        "jawOpen": jaw,
        "mouthClose": jaw * np.maximum(closed, 0.35 * teeth),
        "mouthFunnel": lips * at["funnel"] * free,
        "mouthPucker": lips * at["pucker"] * (1 - 0.4 * closed) * (1 - 0.6 * teeth),
        "mouthRollLower": 0.12 * closed + 0.6 * teeth * part,
        "mouthRollUpper": 0.1 * closed,
        "mouthShrugLower": lips * at["shrug"] * part + 0.12 * teeth * part,
        "tongueOut": style.tongue * at["tongue"] * free,
    }
    for side in ("Left", "Right"):
        curves["mouthPress" + side] = 0.4 * closed
        curves["mouthLowerDown" + side] = lower
        curves["mouthUpperUp" + side] = upper
        curves["mouthStretch" + side] = stretch
        curves["mouthSmile" + side] = smile
    return {name: np.clip(values, 0, 1).astype(np.float32) for name, values in curves.items()}
