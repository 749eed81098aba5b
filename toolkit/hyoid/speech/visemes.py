# SPDX-License-Identifier: Apache-2.0
"""What the mouth aims at for each sound: targets of jaw, lips and tongue, and how strongly a sound insists on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hyoid.speech import phones

if TYPE_CHECKING:
    from hyoid.speech.timing import Spoken
    from hyoid.take import Event

DIPHTHONG_SPLIT = 0.6

LIPS = ("funnel", "pucker", "stretch", "smile", "lower", "upper", "shrug")
"""Lip channels: mouthFunnel, mouthPucker, mouthStretch, mouthSmile, mouthLowerDown, mouthUpperUp, mouthShrugLower."""


@dataclass(frozen=True)
class Target:
    """Where a viseme class takes the mouth.

    ``lips`` are weights by channel (see :data:`LIPS`); ``jaw`` is the opening from 0 (teeth together) to 1 (the widest
    vowel); ``insists`` says how strongly the class pulls (lips, jaw) against its neighbours.
    """

    jaw: float
    insists: tuple[float, float]
    tongue: float = 0.0
    lips: tuple[tuple[str, float], ...] = ()


def _target(jaw: float, lip: float, pull: float, tongue: float = 0.0, **lips: float) -> Target:
    return Target(jaw, (lip, pull), tongue, tuple(lips.items()))


TARGETS: dict[str, Target] = {
    "SIL": _target(0.0, 0.35, 0.35),
    "PBM": _target(0.06, 0.6, 0.9),
    "FV": _target(0.14, 0.8, 0.8, upper=0.12),
    "TH": _target(0.26, 0.35, 0.5, 0.3, lower=0.16, stretch=0.05),
    "TDNL": _target(0.22, 0.12, 0.45, 0.0, lower=0.12, stretch=0.05),
    "SZ": _target(0.16, 0.4, 1.0, stretch=0.16, lower=0.16, upper=0.06, smile=0.05),
    "SH": _target(0.18, 0.8, 0.9, funnel=0.42, pucker=0.12, lower=0.12, upper=0.08),
    "KG": _target(0.3, 0.08, 0.25, lower=0.1),
    "R": _target(0.3, 0.6, 0.45, funnel=0.22, pucker=0.22),
    "W": _target(0.16, 1.0, 0.85, pucker=0.66, funnel=0.24),
    "IY": _target(0.42, 0.5, 0.55, stretch=0.2, smile=0.2, lower=0.14, upper=0.06),
    "EH": _target(0.72, 0.5, 0.8, stretch=0.14, smile=0.08, lower=0.2, upper=0.1),
    "AA": _target(0.9, 0.45, 0.9, lower=0.18, upper=0.06),
    "AO": _target(0.8, 0.65, 0.85, funnel=0.24, pucker=0.06, lower=0.05),
}
"""The fourteen classes; jaw heights follow the usual order of vowel height, sibilants keep the teeth together."""

# Finer jaw openings. Vowels by height; consonants by how far they lower the jaw in running speech (the order of Keating
# et al. 1994: s and t highest, then d f, then r n l k, h lowest). W and UW count the opening that rounded lips leave.
JAW: dict[str, float] = {
    "AA": 1.0, "AE": 0.95, "AH": 0.68, "EH": 0.75, "IY": 0.42, "IH": 0.5, "Y": 0.3, "UW": 0.3, "UH": 0.45, "W": 0.12,
    "ER": 0.45, "R": 0.3, "S": 0.16, "Z": 0.17, "SH": 0.18, "ZH": 0.19, "CH": 0.18, "JH": 0.18, "T": 0.22, "D": 0.26,
    "N": 0.34, "L": 0.42, "TH": 0.3, "DH": 0.3, "K": 0.42, "G": 0.4, "NG": 0.45, "HH": 0.5, "F": 0.12, "V": 0.14,
    "M": 0.06, "B": 0.05, "P": 0.05,
}  # fmt: skip


@dataclass(frozen=True)
class Viseme:
    """One target in time: its class, seconds, strength (1 = as solved), and the phone behind it ("" for none)."""

    name: str
    start: float
    end: float
    strength: float = 1.0
    phone: str = ""

    @property
    def jaw(self) -> float:
        """The jaw opening that it aims at, 0..1."""
        target = TARGETS[self.name].jaw
        if self.phone in phones.DIPHTHONGS:
            return target * (0.9 if self.name in ("AA", "AO", "EH") else 1.0)
        return JAW.get(self.phone, target)


def from_phones(spoken: Iterable[Spoken] | Iterable[Event]) -> list[Viseme]:
    """The viseme track of a phone track: diphthongs become two targets, equal neighbours merge."""
    result: list[Viseme] = []
    for phone in spoken:
        if phone.name in phones.DIPHTHONGS:
            first, second = phones.DIPHTHONGS[phone.name]
            split = round(phone.start + DIPHTHONG_SPLIT * (phone.end - phone.start), 4)
            result.append(Viseme(first, phone.start, split, 1.0, phone.name))
            result.append(Viseme(second, split, phone.end, 1.0, phone.name))
            continue
        name = phones.CLASS[phone.name]
        last = result[-1] if result else None
        if last and last.name == name and last.phone == phone.name and name != "SIL":
            result[-1] = Viseme(name, last.start, phone.end, 1.0, phone.name)
        else:
            result.append(Viseme(name, phone.start, phone.end, 1.0, phone.name))
    return result


def merge_closures(visemes: Sequence[Viseme], name: str) -> list[Viseme]:
    """The visemes of one class, those that touch each other joined."""
    result: list[Viseme] = []
    for viseme in visemes:
        if viseme.name != name or viseme.strength <= 0:
            continue
        if result and viseme.start - result[-1].end < 1e-3:
            last = result[-1]
            result[-1] = Viseme(name, last.start, viseme.end, max(last.strength, viseme.strength), viseme.phone)
        else:
            result.append(viseme)
    return result
