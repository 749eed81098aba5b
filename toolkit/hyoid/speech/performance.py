# SPDX-License-Identifier: Apache-2.0
"""What the rest of the head does while it talks: blinks, gaze, brows, nods, breath; by pauses and pitch, seeded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyoid.speech import prosody as voice
from hyoid.speech.larynx import SWALLOW_SECONDS
from hyoid.speech.prosody import Prosody
from hyoid.speech.style import Style
from hyoid.speech.timing import Spoken
from hyoid.take import Event

BLINK = (0.06, 0.02, 0.07)  # seconds of closing, holding, opening
BLINK_GAP = (2.0, 6.0)
SWALLOW_GAP = (22.0, 45.0)
SWALLOW_PAUSE = 0.85
BREATH_PAUSE = 0.3
IDLE_BREATH = 3.8
GAZE_DEGREES = {"left": (6.0, 0.0), "right": (-6.0, 0.0), "up": (0.0, 4.5), "down": (0.0, -5.0), "camera": (0.0, 0.0)}
EYE_RANGE = {
    "Up": 25.0,
    "Down": 30.0,
    "Out": 35.0,
    "In": 35.0,
}  # degrees at weight 1, as the character's drivers have it
SACCADE = 0.045


def pauses(spoken: Sequence[Spoken], shortest: float) -> list[tuple[float, float]]:
    """The silences of at least ``shortest`` seconds."""
    return [(p.start, p.end) for p in spoken if p.name == "SIL" and p.end - p.start >= shortest]


def events(spoken: Sequence[Spoken], seconds: float, style: Style, seed: int) -> list[Event]:
    """Blinks, gaze shifts, breaths and swallows for a performance."""
    swallows = _swallows(spoken, seconds, seed)
    return [
        *_blinks(spoken, seconds, style.rate, seed),
        *_gazes(spoken, seconds, style.rate, seed),
        *_breaths(spoken, seconds, swallows, seed),
        *swallows,
    ]


def _random(seed: int, layer: int) -> np.random.Generator:
    """One stream a layer, so that changing one leaves the others as they were."""
    return np.random.default_rng([seed, layer])


def _blinks(spoken: Sequence[Spoken], seconds: float, rate: float, seed: int) -> list[Event]:
    random = _random(seed, 1)
    near = sorted([start + 0.08 for start, _ in pauses(spoken, 0.15)])
    result: list[Event] = []
    length = sum(BLINK)
    time = float(random.uniform(0.6, 2.2)) / rate
    while time < seconds - length:
        # Speakers blink where they pause: move to a pause that is close.
        close = [pause for pause in near if abs(pause - time) < 0.7 and (not result or pause > result[-1].end + 0.5)]
        place = min(close, key=lambda pause: abs(pause - time)) if close else time
        longer = float(random.uniform(0.9, 1.25))
        if place + length * longer < seconds:
            result.append(Event("blink", "blink", round(place, 4), round(place + length * longer, 4)))
        time = place + float(np.clip(random.lognormal(1.15, 0.38), *BLINK_GAP)) / rate
    return result


def _gazes(spoken: Sequence[Spoken], seconds: float, rate: float, seed: int) -> list[Event]:
    """Mostly at the camera; now and then away, more at the start of pauses, where speakers think."""
    random = _random(seed, 2)
    result = []
    time = float(random.uniform(1.0, 2.5)) / rate
    starts = [start for start, end in pauses(spoken, 0.35)]
    while time < seconds - 0.8:
        close = [start for start in starts if abs(start - time) < 0.8]
        place = close[0] if close else time
        if result and place < result[-1].end + 0.3:
            place = time
        length = float(random.uniform(0.45, 1.3))
        name = str(random.choice(["left", "right", "down", "up"], p=[0.32, 0.32, 0.24, 0.12]))
        strength = round(float(random.uniform(0.5, 1.2)), 3)
        if place + length < seconds:
            result.append(Event("gaze", name, round(place, 4), round(place + length, 4), strength))
        time = place + length + float(random.uniform(1.5, 4.5)) / rate
    return result


def _breaths(spoken: Sequence[Spoken], seconds: float, swallows: Sequence[Event], seed: int) -> list[Event]:
    """A breath before each phrase, and quiet breathing where nobody speaks for long."""
    random = _random(seed, 3)
    result = []
    for start, end in pauses(spoken, BREATH_PAUSE):
        inside = [swallow for swallow in swallows if swallow.end > start and swallow.start < end]
        begin = max([start, *(swallow.end for swallow in inside)])
        time = begin + 0.6
        last = end >= seconds - 1e-3
        while end - time > IDLE_BREATH:  # long silence: quiet breathing
            length = float(random.uniform(1.2, 1.6))
            result.append(Event("breath", "quiet", round(time, 4), round(time + length, 4), 0.6))
            time += IDLE_BREATH * float(random.uniform(0.9, 1.15))
        intake = min(0.6, 0.7 * (end - begin))
        if not last and intake >= 0.15 and (not result or end - intake > result[-1].end):
            result.append(Event("breath", "intake", round(end - intake - 0.04, 4), round(end - 0.04, 4)))
    return [event for event in result if event.start >= 0]


def _swallows(spoken: Sequence[Spoken], seconds: float, seed: int) -> list[Event]:
    random = _random(seed, 4)
    result = []
    due = float(random.uniform(2.0, 4.0))
    for start, end in pauses(spoken, SWALLOW_PAUSE):
        time = start + 0.1 if due < end else due
        shortest, usual = SWALLOW_SECONDS
        while time + shortest + 0.05 <= end and time <= seconds:
            length = min(usual, end - time - 0.05)
            result.append(Event("swallow", "swallow", round(time, 4), round(time + length, 4)))
            due = time + float(random.uniform(*SWALLOW_GAP))
            time = due
    return result


# --- curves -----------------------------------------------------------------------------------------------------------


def blink_curve(track: Sequence[Event], times: np.ndarray, strength: float) -> np.ndarray:
    """(frames,) 0..1: fast down, short hold, slower up; full in the frame nearest to the hold at every rate."""
    result = np.zeros(len(times), np.float32)
    close, hold, _ = (part / sum(BLINK) for part in BLINK)
    for event in track:
        if event.kind != "blink" or not len(times):
            continue
        low, high = np.searchsorted(times, [event.start, event.end])
        phase = (times[low:high] - event.start) / (event.end - event.start)
        ramp = np.clip(np.minimum(phase / close, (1 - phase) / (1 - close - hold)), 0, 1)
        peak = min(event.strength, 1.0)
        result[low:high] = np.maximum(result[low:high], peak * ramp * ramp * (3 - 2 * ramp))
        middle = event.start + (close + hold / 2) * (event.end - event.start)
        nearest = int(np.argmin(np.abs(times[max(low - 1, 0) : high + 1] - middle))) + max(low - 1, 0)
        result[nearest] = max(result[nearest], peak)
    return np.clip(strength, 0, 1) * result


def gaze_degrees(track: Sequence[Event], times: np.ndarray, seed: int, strength: float) -> np.ndarray:
    """(frames, 2) degrees: to the character's left and up; quick shifts, still between them but for tiny drifts."""
    random = _random(seed, 5)
    drift = np.stack([noise(times, random, 0.9), noise(times, random, 1.1)], -1) * 0.35
    result = np.zeros((len(times), 2), np.float32)
    for event in track:
        if event.kind != "gaze":
            continue
        aim = np.sum([GAZE_DEGREES.get(word, (0.0, 0.0)) for word in event.name.lower().split()], axis=0)
        low, high = np.searchsorted(times, [event.start, event.end + SACCADE])
        there = _step((times[low:high] - event.start) / SACCADE)
        back = _step((times[low:high] - event.end) / SACCADE)
        result[low:high] += event.strength * (there * (1 - back))[:, None] * aim
    return strength * (result + drift)


def _step(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def eye_curves(degrees: np.ndarray) -> dict[str, np.ndarray]:
    """eyeLook* weights for a gaze (frames, 2) in degrees to the left and up."""
    left, up = degrees[:, 0], degrees[:, 1]
    out, inward = EYE_RANGE["Out"], EYE_RANGE["In"]
    curves = {
        "eyeLookOutLeft": left / out, "eyeLookInRight": left / inward,
        "eyeLookInLeft": -left / inward, "eyeLookOutRight": -left / out,
    }  # fmt: skip
    for side in ("Left", "Right"):
        curves["eyeLookUp" + side] = up / EYE_RANGE["Up"]
        curves["eyeLookDown" + side] = -up / EYE_RANGE["Down"]
    return {name: np.clip(values, 0, 1).astype(np.float32) for name, values in curves.items()}


def noise(times: np.ndarray, random: np.random.Generator, period: float) -> np.ndarray:
    """Smooth noise, about -1..1, that turns every ``period`` seconds; a cubic through random knots."""
    count = int(times[-1] / period) + 4 if len(times) else 4
    knots = random.uniform(-1, 1, count)
    place = times / period
    index = place.astype(int)
    share = place - index
    a, b, c, d = (knots[np.minimum(index + shift, count - 1)] for shift in range(4))
    # Uniform cubic B-spline: twice differentiable, so the head has no kinks.
    return (
        (1 - share) ** 3 * a + (3 * share**3 - 6 * share**2 + 4) * b
        + (-3 * share**3 + 3 * share**2 + 3 * share + 1) * c + share**3 * d
    ) / 6 * 1.5  # fmt: skip


def emphasis(prosody: Prosody) -> np.ndarray:
    """(grid frames,) how strongly the voice stresses, about 0..1: louder and higher than the speaker's usual."""
    octaves, _ = voice.register(prosody)
    speech = prosody.is_speech().astype(np.float32)
    loud = np.clip((voice.smooth(prosody.loudness, 0.08) - prosody.level + 8) / 12, 0, 1.2)
    high = np.clip(voice.smooth(octaves, 0.08) / 0.35, -0.5, 1.2)
    return voice.smooth((0.55 * loud + 0.45 * np.maximum(high, 0)) * speech, 0.05)


def brow_curves(prosody: Prosody, times: np.ndarray, seed: int, strength: float) -> dict[str, np.ndarray]:
    """Brows rise where pitch rises on stressed syllables, and sink a little on low, loud ones."""
    octaves, _ = voice.register(prosody)
    speech = voice.smooth(prosody.is_speech().astype(np.float32), 0.1)
    slow = voice.smooth(np.clip(octaves, -1, 1), 0.18) - voice.smooth(np.clip(octaves, -1, 1), 1.5)
    stress = voice.smooth(emphasis(prosody), 0.12)
    rise = np.clip(slow / 0.25, 0, 1.3) * speech * np.clip(stress * 1.6, 0, 1)
    frown = np.clip(-slow / 0.35, 0, 1) * speech * np.clip(stress * 1.3, 0, 1)
    random = _random(seed, 6)
    idle = np.clip(noise(times, random, 2.7), 0, 1) * 0.07
    grid = prosody.times
    up = np.interp(times, grid, voice.smooth(rise, 0.06))
    down = np.interp(times, grid, voice.smooth(frown, 0.06))
    lean = 1 + 0.12 * noise(times, random, 3.3)  # brows are never quite even
    curves = {"browInnerUp": 0.38 * up + idle}
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        curves["browOuterUp" + side] = 0.26 * up * (lean if sign > 0 else 2 - lean) + 0.5 * idle
        curves["browDown" + side] = 0.16 * down
    return {name: np.clip(strength * values, 0, 1).astype(np.float32) for name, values in curves.items()}


def head_angles(prosody: Prosody, times: np.ndarray, seed: int, strength: float, rate: float) -> np.ndarray:
    """(frames, 3) degrees: nod (down positive), turn to the left, tilt to the character's left shoulder."""
    random = _random(seed, 7)
    speech = voice.smooth(prosody.is_speech().astype(np.float32), 0.5)
    stress = voice.smooth(emphasis(prosody), 0.09)
    octaves, _ = voice.register(prosody)
    melody = voice.smooth(np.clip(octaves, -1, 1) * prosody.is_speech(), 0.3)
    nod = 6.0 * (stress - voice.smooth(stress, 0.9)) - 3.5 * melody
    grid = prosody.times
    nod = np.interp(times, grid, voice.smooth(nod.astype(np.float32), 0.09))
    active = 0.45 + 0.55 * np.interp(times, grid, speech)
    slow = 1.0 / max(rate, 0.1)
    turn = 6.5 * noise(times, random, 2.3 * slow) + 1.5 * noise(times, random, 0.9 * slow)
    tilt = 3.2 * noise(times, random, 3.1 * slow) + 0.35 * turn
    sway = 2.4 * noise(times, random, 2.9 * slow)
    return (strength * np.stack([nod + sway * active, turn * active, tilt * active], -1)).astype(np.float32)


def breath_curves(track: Sequence[Event], times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The air in the lungs (``breath``, 0..1) and how strongly air is drawn in (0..1), each (frames,)."""
    level = np.full(len(times), 0.15, np.float32)
    draw = np.zeros(len(times), np.float32)
    breaths = sorted((event for event in track if event.kind == "breath"), key=lambda event: event.start)
    current = 0.15
    for number, event in enumerate(breaths):
        following = breaths[number + 1].start if number + 1 < len(breaths) else event.end + 6.0
        top = min(current + 0.85 * event.strength, 1.0)
        low, peak, high = np.searchsorted(times, [event.start, event.end, max(following, event.end + 0.05)])
        rise = (times[low:peak] - event.start) / (event.end - event.start)
        level[low:peak] = current + (top - current) * _step(rise)
        draw[low:peak] = event.strength * np.sin(np.pi * np.clip(rise, 0, 1)) ** 2
        out = (times[peak:high] - event.end) / max(following - event.end, 2.0)
        bottom = 0.12
        level[peak:high] = top + (bottom - top) * _step(out)
        current = float(level[high - 1]) if high > peak else top
        level[high:] = current
    return np.clip(level, 0, 1), np.clip(draw, 0, 1)


def effort_curve(prosody: Prosody, times: np.ndarray, strength: float) -> np.ndarray:
    """(frames,) 0..1: the strain of the loudest tenth or so of speech; nothing below."""
    speech = prosody.is_speech().astype(np.float32)
    loud = np.clip((voice.smooth(prosody.loudness, 0.25) - prosody.level + 7) / 10, 0, 1)
    return np.clip(strength * 0.5 * np.interp(times, prosody.times, voice.smooth(loud * speech, 0.15)), 0, 1).astype(
        np.float32
    )
