# SPDX-License-Identifier: GPL-3.0-or-later
"""The naming schemes of facial shape keys, as slots: a meaning, its spellings, and the curves that feed it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..toolkit.characters import arkit

ARKIT = arkit.NAMES
SIDES = (("Left", "L"), ("Right", "R"))


@dataclass(frozen=True)
class Slot:
    """One meaning that a key can have.

    Attributes:
        sources: (curve, factor) pairs whose sum is the value of the key.
        spellings: names in lower case without anything but letters and digits. needs: slots that must be there too.
    """

    sources: tuple[tuple[str, float], ...]
    spellings: tuple[str, ...]
    needs: tuple[str, ...] = ()


def squeeze(name: str) -> str:
    """A name in lower case without anything but letters and digits (of any script)."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _sided(base: str, side: str, short: str) -> tuple[str, ...]:
    """``eyeblinkleft``, ``eyeblinkl``, ``lefteyeblink``, ``leyeblink``."""
    base, side, short = squeeze(base), side.lower(), short.lower()
    return base + side, base + short, side + base, short + base


def _split(name: str) -> tuple[str, str] | None:
    """``eyeBlinkLeft`` as (``eyeBlink``, ``Left``)."""
    return next(((name[: -len(side)], side) for side, _ in SIDES if name.endswith(side)), None)


def _arkit() -> dict[str, Slot]:
    table = {}
    for name in ARKIT:
        halves = _split(name)
        spellings = (squeeze(name),)
        if halves:
            spellings = _sided(halves[0], halves[1], halves[1][0])
        table[name] = Slot(((name, 1.0),), spellings)
    return table


_CENTRED = ("browInnerUp", "cheekPuff", "mouthFunnel", "mouthPucker", "mouthRollLower", "mouthRollUpper",
            "mouthShrugLower", "mouthShrugUpper")  # fmt: skip
"""Shapes of the middle that some rigs split into a left and a right key."""


def _halved() -> dict[str, Slot]:
    table = {}
    for name in _CENTRED:
        slots = [f"{name}{side}" for side, _ in SIDES]
        for side, short in SIDES:
            table[name + side] = Slot(((name, 1.0),), _sided(name, side, short), tuple(slots))
    return table


_META_SIDED = {
    "browDown": "browDown", "browOuterUp": "browRaiseOuter", "cheekSquint": "eyeCheekRaise", "eyeBlink": "eyeBlink",
    "eyeLookDown": "eyeLookDown", "eyeLookUp": "eyeLookUp", "eyeSquint": "eyeSquintInner", "eyeWide": "eyeWiden",
    "mouthDimple": "mouthDimple", "mouthFrown": "mouthCornerDepress", "mouthLowerDown": "mouthLowerLipDepress",
    "mouthSmile": "mouthCornerPull", "mouthStretch": "mouthStretch", "mouthUpperUp": "mouthUpperLipRaise",
    "noseSneer": "noseWrinkle",
}  # fmt: skip
"""ARKit name and the MetaHuman control that does the same, each by side."""

_META_MIDDLE = {
    "browInnerUp": ("browRaiseInL", "browRaiseInR"),
    "cheekPuff": ("mouthCheekBlowL", "mouthCheekBlowR"),
    "jawForward": ("jawFwd",),
    "mouthRollLower": ("mouthLowerLipRollInL", "mouthLowerLipRollInR"),
    "mouthRollUpper": ("mouthUpperLipRollInL", "mouthUpperLipRollInR"),
    "mouthShrugLower": ("jawChinRaiseDL", "jawChinRaiseDR"),
    "mouthShrugUpper": ("jawChinRaiseUL", "jawChinRaiseUR"),
    "mouthClose": tuple(f"mouthLipsTogether{quarter}" for quarter in ("UL", "UR", "DL", "DR")),
    "mouthFunnel": tuple(f"mouthFunnel{quarter}" for quarter in ("UL", "UR", "DL", "DR")),
    "mouthPucker": tuple(f"mouthLipsPurse{quarter}" for quarter in ("UL", "UR", "DL", "DR")),
    "mouthPressLeft": ("mouthPressUL", "mouthPressDL"),
    "mouthPressRight": ("mouthPressUR", "mouthPressDR"),
}
_META_LOOK = {
    "eyeLookLeftL": "eyeLookOutLeft", "eyeLookRightL": "eyeLookInLeft",
    "eyeLookLeftR": "eyeLookInRight", "eyeLookRightR": "eyeLookOutRight",
}  # fmt: skip
"""MetaHuman eyes look to the character's left and right, ARKit's in and out."""


def _meta() -> dict[str, Slot]:
    table = {}
    for curve, control in _META_SIDED.items():
        for side, short in SIDES:
            table[control + short] = Slot(((curve + side, 1.0),), (squeeze(control + short),))
    for curve, controls in _META_MIDDLE.items():
        needs = controls if len(controls) > 1 else ()
        for control in controls:
            table[control] = Slot(((curve, 1.0),), (squeeze(control),), needs)
    for control, curve in _META_LOOK.items():
        table[control] = Slot(((curve, 1.0),), (squeeze(control),))
    return table


def _both(base: str) -> tuple[tuple[str, float], ...]:
    return tuple((base + side, 0.5) for side, _ in SIDES)


def _closed_eyes() -> dict[str, Slot]:
    """Blinks under other names: VRM, VRoid, Ready Player Me, MMD; and gazes of both eyes at once."""
    table = {}
    for side, short in SIDES:
        spellings = (
            *_sided("blink", side, short),
            *_sided("eyeclose", side, short),
            *_sided("eyesclosed", side, short),
        )
        table[f"Blink_{short}"] = Slot(((f"eyeBlink{side}", 1.0),), spellings)
    ways = {"Up": _both("eyeLookUp"), "Down": _both("eyeLookDown"),
            "Left": (("eyeLookOutLeft", 0.5), ("eyeLookInRight", 0.5)),
            "Right": (("eyeLookInLeft", 0.5), ("eyeLookOutRight", 0.5))}  # fmt: skip
    for way, sources in ways.items():
        table[f"Look{way}"] = Slot(sources, (f"look{way.lower()}", f"eyeslook{way.lower()}"))
    return table


def _unsided() -> dict[str, Slot]:
    """One key for both sides: the mean of the two curves."""
    table = {
        "Blink": Slot(_both("eyeBlink"), ("blink", "eyeblink", "eyesblink", "eyesclosed", "eyeclose", "まばたき")),
    }
    for name in ARKIT:
        halves = _split(name)
        if halves and halves[0] not in ("jaw", "mouth", "eyeBlink", "eyeLookIn", "eyeLookOut"):
            table[halves[0]] = Slot(_both(halves[0]), (squeeze(halves[0]),))
    return table


_OTHER = {
    "mouthOpen": Slot((("jawOpen", 1.0),), ("mouthopen",)),
    "larynxUp": Slot((("larynxHeight", 0.1),), ("larynxup",)),
    "larynxDown": Slot((("larynxHeight", -0.1),), ("larynxdown",)),
    "larynxSize": Slot((("larynxSize", 1.0),), ("larynxsize",)),
}
_LARYNX = ("larynxUp", "larynxDown", "larynxSize")

FACES: dict[str, dict[str, Slot]] = {
    "ARKit": _arkit(),
    "larynx": {name: _OTHER[name] for name in _LARYNX},
    "ARKit by halves": _halved(),
    "MetaHuman": _meta(),
    "VRM eyes": _closed_eyes(),
    "one key for both sides": _unsided(),
    "other names": {"mouthOpen": _OTHER["mouthOpen"]},
}
"""The schemes in the order in which they are tried; a curve that one of them feeds is not fed by a later one."""

ANY = frozenset(spelling for table in FACES.values() for slot in table.values() for spelling in slot.spellings)
"""Every spelling of every facial shape."""

ARTICULATION = frozenset(
    ["jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
     "mouthShrugUpper", "tongueOut"]
    + [f"{base}{side}" for side, _ in SIDES
       for base in ("mouthLowerDown", "mouthUpperUp", "mouthPress", "mouthStretch")]
)  # fmt: skip
"""What speech moves: a mesh has these or mouth shapes of speech in use, never both."""
ARTICULATION_ENOUGH = 9

OCULUS: dict[str, tuple[str, ...]] = {
    "sil": ("sil", "silence"), "PP": ("pp",), "FF": ("ff",), "TH": ("th",), "DD": ("dd",), "kk": ("kk",),
    "CH": ("ch",), "SS": ("ss",), "nn": ("nn",), "RR": ("rr",), "aa": ("aa",), "E": ("e",), "I": ("i", "ih"),
    "O": ("o", "oh"), "U": ("u", "ou"),
}  # fmt: skip
VOWELS: dict[str, tuple[str, ...]] = {
    "A": ("a", "aa", "あ"), "I": ("i", "ih", "い"), "U": ("u", "ou", "う"), "E": ("e", "ee", "え"),
    "O": ("o", "oh", "お"),
}  # fmt: skip
RHUBARB = tuple("ABCDEFGHX")
BLAIR = ("AI", "E", "O", "U", "etc", "L", "WQ", "MBP", "FV", "rest")

_PREFIX = "viseme"


def letters(
    names: Sequence[str], prefixed: Callable[[Sequence[str], Iterable[str]], dict]
) -> dict[str, dict[str, str]]:
    """The sets of mouth shapes for speech that the names form: scheme -> {source: name}; several if unclear.

    Single letters mean something only as a set, so a set counts when it is whole (Oculus: at least ten of fifteen, or
    five that say ``viseme``), and the names of no other set stand beside it.
    """
    consonants = [name for name in OCULUS if name not in ("aa", "E", "I", "O", "U")]
    oculus = _found(names, prefixed, OCULUS, "viseme:")
    vowels = _found(names, prefixed, VOWELS, "vowel:")
    rhubarb = _found(names, prefixed, {name: (name.lower(),) for name in RHUBARB}, "mouth:")
    blair = _found(names, prefixed, {name: (name.lower(),) for name in BLAIR}, "blair:")
    spoken = [source for source in oculus if source[7:] in consonants]
    named = [name for name in oculus.values() if "viseme" in name.lower()]
    result = {}
    if (len(oculus) >= 10 and len(spoken) >= 5) or (len(named) >= 5 and spoken):
        result["Oculus visemes"] = oculus
    if len(blair) >= 8:
        result["Preston Blair mouths"] = blair
    if len(vowels) == len(VOWELS) and not result and "mouth:B" not in rhubarb:
        result["VRM vowels"] = vowels
    if {f"mouth:{name}" for name in "ABCDEF"} <= rhubarb.keys() and "Oculus visemes" not in result:
        result["Rhubarb mouths"] = rhubarb
        if len(vowels) == len(VOWELS):
            result["VRM vowels"] = vowels
    return result


def _found(
    names: Sequence[str], prefixed: Callable, spellings: dict[str, tuple[str, ...]], space: str
) -> dict[str, str]:
    """Source -> the one name that spells it; what two names spell is left out."""
    meaning = {}
    for name, ways in spellings.items():
        for way in ways:
            meaning |= {way: name, _PREFIX + way: name}
    found: dict[str, list[tuple[int, str]]] = {}
    for name, (core, rank) in prefixed(names, meaning).items():
        found.setdefault(space + meaning[core], []).append((rank, name))
    result = {}
    for source, candidates in found.items():
        candidates.sort()
        if len(candidates) == 1 or candidates[0][0] < candidates[1][0]:
            result[source] = candidates[0][1]
    return result
