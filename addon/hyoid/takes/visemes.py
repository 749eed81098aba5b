# SPDX-License-Identifier: GPL-3.0-or-later
"""Mouth shapes of speech over time (Oculus visemes, VRM vowels, Rhubarb and Preston Blair mouths) from a take.

The sounds of the take are cross-faded: at every moment the weights of a set sum to one at most, a mouth sets out before
its sound, and lips that must meet (P B M) do meet, in one frame at least.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..toolkit.take import Event, Take
from .shape_names import BLAIR, OCULUS, RHUBARB, VOWELS

SETS: dict[str, tuple[str, ...]] = {
    "viseme:": tuple(OCULUS), "vowel:": tuple(VOWELS), "mouth:": RHUBARB, "blair:": BLAIR,
}  # fmt: skip
"""The shapes of each set; a source is the set's name and the shape's: ``viseme:PP``."""
SOURCES = tuple(space + name for space, names in SETS.items() for name in names)

PHONES = "phones"
CURVES = "curves"
"""Where the mouth shapes came from: the sounds of the take, or its face curves."""

LEAD = 0.04  # seconds that a mouth is ahead of its sound
FADE = 0.09  # seconds from one mouth to the next, when both last long enough
EARLY = 0.015  # seconds that a closure is full before its sound starts
HOLD = 0.7  # of its sound that a closure stays full
GAP = 0.03  # seconds without a sound that are still no silence

Mix = tuple[tuple[str, float], ...]

_OCULUS: dict[str, Mix] = {
    "SIL": (("sil", 1.0),), "AE": (("aa", 0.6), ("E", 0.4)), "AH": (("aa", 0.65),), "ER": (("RR", 0.6), ("E", 0.3)),
    "HH": (("kk", 0.4), ("aa", 0.2)), "IH": (("I", 0.8),), "UH": (("U", 0.75),), "Y": (("I", 0.8),),
} | {
    phone: ((name, 1.0),)
    for name, phones in {"PP": "P B M", "FF": "F V", "TH": "TH DH", "DD": "T D", "kk": "K G NG", "CH": "SH ZH CH JH",
                         "SS": "S Z", "nn": "N L", "RR": "R", "aa": "AA", "E": "EH", "I": "IY", "O": "AO",
                         "U": "UW W"}.items()
    for phone in phones.split()
}  # fmt: skip
_VOWELS: dict[str, Mix] = {
    "SIL": (), "AA": (("A", 1.0),), "AE": (("A", 0.6), ("E", 0.4)), "AH": (("A", 0.6),), "AO": (("O", 1.0),),
    "EH": (("E", 1.0),), "ER": (("E", 0.4), ("U", 0.2)), "IH": (("I", 0.8),), "IY": (("I", 1.0),), "Y": (("I", 0.7),),
    "UH": (("U", 0.8),), "UW": (("U", 1.0),), "W": (("U", 1.0),), "R": (("U", 0.35), ("E", 0.15)),
    "HH": (("A", 0.3),), "L": (("I", 0.2), ("E", 0.2)), "N": (("I", 0.25),),
} | {
    phone: mix
    for phones, mix in (("P B M", ()), ("F V", (("I", 0.1),)), ("TH DH T D", (("I", 0.2), ("E", 0.1))),
                        ("K G NG", (("A", 0.15), ("E", 0.15))), ("S Z", (("I", 0.3),)),
                        ("SH ZH CH JH", (("U", 0.4),)))
    for phone in phones.split()
}  # fmt: skip
_RHUBARB: dict[str, Mix] = {
    phone: ((name, 1.0),)
    for name, phones in {"X": "SIL", "A": "P B M", "B": "T D N K G NG S Z SH ZH CH JH TH DH Y IY IH R HH",
                         "C": "EH AE AH", "D": "AA", "E": "AO ER UH", "F": "UW W", "G": "F V", "H": "L"}.items()
    for phone in phones.split()
}  # fmt: skip
_BLAIR: dict[str, Mix] = {
    phone: ((name, 1.0),)
    for name, phones in {"rest": "SIL", "MBP": "P B M", "etc": "T D N K G NG S Z SH ZH CH JH TH DH Y R HH ER",
                         "E": "EH IY IH", "AI": "AA AE AH", "O": "AO", "U": "UW UH", "WQ": "W", "FV": "F V",
                         "L": "L"}.items()
    for phone in phones.split()
}  # fmt: skip
_MIXES = {"viseme:": _OCULUS, "vowel:": _VOWELS, "mouth:": _RHUBARB, "blair:": _BLAIR}

_DIPHTHONGS = {"EY": ("EH", "IY"), "AY": ("AA", "IY"), "OW": ("AO", "UW"), "AW": ("AA", "UW"), "OY": ("AO", "IY")}
_SPLIT = 0.6
_CLOSED = frozenset(["P", "B", "M", "F", "V"])
_CLASSES = {
    "SIL": "SIL", "PBM": "P B M", "FV": "F V", "TH": "TH DH", "TDNL": "T D N L", "SZ": "S Z", "SH": "SH ZH CH JH",
    "KG": "K G NG HH", "R": "R ER", "W": "W UW UH", "IY": "IY IH Y", "EH": "EH AE", "AA": "AA AH", "AO": "AO",
}  # fmt: skip
"""The viseme classes of a take and the sounds of each; the first stands for the class."""


@dataclass(frozen=True)
class Sound:
    """A sound in time: an ARPAbet phone or ``SIL``; seconds; strength 0..1."""

    name: str
    start: float
    end: float
    strength: float = 1.0


def weights(take: Take, space: str) -> tuple[dict[str, np.ndarray], str]:
    """The curves of one set of mouth shapes at the frames of a take.

    Args:
        space: ``viseme:``, ``vowel:``, ``mouth:`` or ``blair:``.

    Returns:
        Source -> (frames,) float32, 0..1, their sum never above 1; and how they were found, :data:`PHONES` or
        :data:`CURVES` (the take has no sounds, so the face curves tell what they can).
    """
    spoken = sounds(take.events, take.seconds)
    if spoken:
        found = _faded(spoken, _MIXES[space], np.arange(take.frames) / take.fps, take.fps)
        how = PHONES
    else:
        found, how = _from_curves(take, space), CURVES
    empty = np.zeros(take.frames, np.float32)
    return {space + name: found.get(name, empty) for name in SETS[space]}, how


def tells(take: Take) -> bool:
    """Whether a take knows anything of the mouth: its sounds, or the curve of the jaw."""
    return "jawOpen" in take.curve_names or any(event.kind in ("phone", "viseme") for event in take.events)


def sounds(events: Sequence[Event], seconds: float) -> list[Sound]:
    """The sounds of a take without gaps, from 0 to ``seconds``; empty if it has none.

    The viseme events decide, as they do in the toolkit, with the phone behind each where one of its class lies;
    without them the phones do, a diphthong as two.
    """
    phones = [Sound(event.name.upper(), event.start, event.end, _bounded(event.strength))
              for event in sorted(events, key=lambda event: event.start) if event.kind == "phone"]  # fmt: skip
    visemes = sorted((event for event in events if event.kind == "viseme"), key=lambda event: event.start)
    rows = _behind(visemes, phones) if visemes else [half for phone in phones for half in _halves(phone)]
    rows = [row for row in rows if row.name in _OCULUS]
    if not rows:
        return []
    result: list[Sound] = []
    at = 0.0
    for number, row in enumerate(rows):
        following = rows[number + 1].start if number + 1 < len(rows) else max(seconds, row.end)
        start = max(row.start, at)
        end = min(row.end, max(following, start))
        if end <= start:
            continue
        if start - at > GAP:
            result.append(Sound("SIL", at, start))
        elif result and start > at:
            result[-1] = Sound(result[-1].name, result[-1].start, start, result[-1].strength)
        elif start > at:
            start = at
        result.append(Sound(row.name, start, end, row.strength))
        at = end
    if seconds > at:
        result.append(Sound("SIL", at, seconds))
    return result


def _bounded(strength: float) -> float:
    return min(max(strength, 0.0), 1.0)


def _halves(phone: Sound) -> list[Sound]:
    if phone.name not in _DIPHTHONGS:
        return [phone]
    first, second = _DIPHTHONGS[phone.name]
    split = phone.start + _SPLIT * (phone.end - phone.start)
    return [Sound(first, phone.start, split, phone.strength), Sound(second, split, phone.end, phone.strength)]


def _behind(visemes: Sequence[Event], phones: Sequence[Sound]) -> list[Sound]:
    """Each viseme event as a sound: the phone in its middle if that is of its class, else the first of the class."""
    result, at = [], 0
    for event in visemes:
        members = _CLASSES.get(event.name.upper(), "").split()
        if not members:
            continue
        middle = (event.start + event.end) / 2
        while at < len(phones) and phones[at].end <= middle:
            at += 1
        phone = phones[at].name if at < len(phones) and phones[at].start <= middle else ""
        name = phone if phone in members else members[0]
        result.append(Sound(name, event.start, event.end, _bounded(event.strength)))
    return result


def _fades(spoken: Sequence[Sound]) -> np.ndarray:
    """Start and end of the fade into each sound but the first, (n - 1, 2) seconds, in order and without overlap."""
    fades = []
    for before, after in itertools.pairwise(spoken):
        room = min(FADE, 0.8 * (before.end - before.start), 0.8 * (after.end - after.start))
        if after.name in _CLOSED:
            end = after.start - EARLY
            fades.append([end - min(FADE, 0.8 * (before.end - before.start)), end])
        elif before.name in _CLOSED:
            start = max(before.start - EARLY + 0.02, before.start + HOLD * (before.end - before.start))
            fades.append([start, start + min(FADE, max(0.8 * (after.end - after.start), 0.02))])
        else:
            middle = after.start - LEAD
            fades.append([middle - room / 2, middle + room / 2])
    # Where fades of neighbours overlap, both give way to the middle, closures last.
    for index in range(len(fades) - 1):
        (_, end), (start, _) = fades[index], fades[index + 1]
        if end > start:
            meeting = (end + start) / 2
            if spoken[index + 1].name in _CLOSED:
                meeting = end if end <= fades[index + 1][1] else meeting
            fades[index][1] = max(meeting, fades[index][0])
            fades[index + 1][0] = min(max(meeting, fades[index][1]), fades[index + 1][1])
    flat = np.maximum.accumulate(np.array(fades, float).reshape(-1))
    return flat.reshape(-1, 2)


def _faded(spoken: Sequence[Sound], mixes: dict[str, Mix], times: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """Shape -> (frames,) float32: the mixes of the sounds, each faded in and out."""
    fades = _fades(spoken)
    result: dict[str, np.ndarray] = {}
    for number, sound in enumerate(spoken):
        low = fades[number - 1][0] if number else -np.inf
        high = fades[number][1] if number < len(fades) else np.inf
        rows = slice(*np.searchsorted(times, [low, high + 1e-9]))
        weight = np.full(len(times[rows]), sound.strength)
        if number:
            weight *= _rise(times[rows], *fades[number - 1])
        if number < len(fades):
            weight *= 1 - _rise(times[rows], *fades[number])
        for name, share in mixes[sound.name]:
            result.setdefault(name, np.zeros(len(times), np.float32))[rows] += (share * weight).astype(np.float32)
    for number, sound in enumerate(spoken):
        if sound.name in _CLOSED and len(times):
            start = fades[number - 1][1] if number else sound.start
            end = fades[number][0] if number < len(fades) else sound.end
            frame = int(np.clip(round((start + end) / 2 * fps), 0, len(times) - 1))
            for values in result.values():
                values[frame] = 0
            for name, share in mixes[sound.name]:
                result[name][frame] = share * sound.strength
    return result


def _rise(times: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 before ``start``, 1 after ``end``, smooth between."""
    share = np.clip((times - start) / max(end - start, 1e-9), 0, 1)
    return share * share * (3 - 2 * share)


def _from_curves(take: Take, space: str) -> dict[str, np.ndarray]:
    """What the ARKit curves tell of the mouth shapes: lips that meet, teeth on lip, rounding, spreading, opening."""
    curve = take.curve

    def both(base: str) -> np.ndarray:
        return (curve(f"{base}Left") + curve(f"{base}Right")) / 2

    opening = np.clip(curve("jawOpen") / 0.45, 0, 1)
    closed = np.clip(curve("mouthClose") / np.maximum(curve("jawOpen"), 0.04), 0, 1)
    closed = np.clip(np.maximum(closed, 2.5 * both("mouthPress")) - 1.5 * curve("mouthRollLower"), 0, 1)
    teeth = (1 - closed) * np.clip(1.8 * curve("mouthRollLower"), 0, 1)
    free = (1 - closed) * (1 - teeth)
    purse = free * np.clip(1.6 * curve("mouthPucker"), 0, 1)
    funnel = np.minimum(free - purse, free * np.clip(2.2 * curve("mouthFunnel"), 0, 1))
    rest = np.maximum(free - purse - funnel, 0)
    wide = rest * np.clip(3 * both("mouthStretch") + 1.5 * both("mouthSmile"), 0, 1) * np.clip(3 * opening, 0, 1)
    vowel = (rest - wide) * opening
    spread = wide * opening
    tight = wide - spread
    parts = {"closed": closed, "teeth": teeth, "purse": purse, "funnel": funnel, "open": vowel, "spread": spread,
             "tight": tight}  # fmt: skip
    names = {
        "viseme:": ("PP", "FF", "U", "O", "aa", "E", "I"), "vowel:": ("", "", "U", "O", "A", "E", "I"),
        "mouth:": ("A", "G", "F", "E", "D", "C", "B"), "blair:": ("MBP", "FV", "U", "O", "AI", "E", "etc"),
    }[space]  # fmt: skip
    result = {name: values.astype(np.float32) for name, values in zip(names, parts.values(), strict=True) if name}
    silent = {"viseme:": "sil", "mouth:": "X", "blair:": "rest"}.get(space)
    if silent:
        result[silent] = np.clip(1 - sum(parts.values()), 0, 1).astype(np.float32)
    return result
