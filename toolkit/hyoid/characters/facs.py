# SPDX-License-Identifier: Apache-2.0
"""Action units of the Facial Action Coding System (FACS) as controls of a face with ARKit shapes.

A unit is named ``AU12``; ``AU12L`` and ``AU12R`` are the character's left and right side of it. As curves of a take
units run from 0 to 1 and add up, with each other and with the ARKit curves beside them (docs/action_units.md). FACS
grades intensity with letters, A trace to E maximum; here they are even steps of a fifth, see :data:`INTENSITIES`.

NumPy only: Blender carries this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hyoid.characters import arkit
from hyoid.errors import UsageError
from hyoid.take import Take

INTENSITIES: dict[str, float] = {"A": 0.2, "B": 0.4, "C": 0.6, "D": 0.8, "E": 1.0}
"""What a letter is worth: A trace, B slight, C marked, D severe, E maximum."""

NAMES: dict[str, str] = {
    "AU1": "inner brow raiser", "AU2": "outer brow raiser", "AU4": "brow lowerer", "AU5": "upper lid raiser",
    "AU6": "cheek raiser", "AU7": "lid tightener", "AU8": "lips toward each other", "AU9": "nose wrinkler",
    "AU10": "upper lip raiser", "AU11": "nasolabial deepener", "AU12": "lip corner puller",
    "AU13": "sharp lip puller", "AU14": "dimpler", "AU15": "lip corner depressor", "AU16": "lower lip depressor",
    "AU17": "chin raiser", "AU18": "lip pucker", "AU19": "tongue show", "AU20": "lip stretcher",
    "AU21": "neck tightener", "AU22": "lip funneler", "AU23": "lip tightener", "AU24": "lip presser",
    "AU25": "lips part", "AU26": "jaw drop", "AU27": "mouth stretch", "AU28": "lips suck", "AU29": "jaw thrust",
    "AU30": "jaw sideways", "AU31": "jaw clencher", "AU32": "bite", "AU33": "blow", "AU34": "puff",
    "AU35": "cheek suck", "AU36": "tongue bulge", "AU37": "lip wipe", "AU38": "nostril dilator",
    "AU39": "nostril compressor", "AU40": "sniff", "AU41": "lid droop", "AU42": "slit", "AU43": "eyes closed",
    "AU44": "squint", "AU45": "blink", "AU46": "wink",
}  # fmt: skip
"""Every unit and action descriptor from 1 to 46. FACS has no unit 3 (it is used in the baby version only)."""

NOT_SHOWN: dict[str, str] = {
    "AU3": "FACS has no unit 3 for adults",
    "AU31": "the masseter's bulge has no ARKit shape",
    "AU36": "a tongue against the cheek has no ARKit shape",
    "AU37": "ARKit's tongue comes straight out and does not wipe",
    "AU39": "no ARKit shape narrows the nostrils",
    "AU40": "a sniff is a movement in time, not a shape: AU38 shows its nostrils",
}
"""Units that ARKit's shapes cannot show, and why."""

_SIDES = {"L": "Left", "R": "Right"}
# Weights at intensity E. ``*`` stands for the side.
_SIDED: dict[str, dict[str, float]] = {
    "AU1": {"browInnerUp": 0.5},
    "AU2": {"browOuterUp*": 1.0},
    "AU4": {"browDown*": 1.0},
    "AU5": {"eyeWide*": 1.0},
    "AU6": {"cheekSquint*": 1.0, "eyeSquint*": 0.35},
    "AU7": {"eyeSquint*": 1.0},
    "AU9": {"noseSneer*": 1.0, "browDown*": 0.25},
    "AU10": {"mouthUpperUp*": 1.0, "noseSneer*": 0.15},
    "AU11": {"mouthUpperUp*": 0.15, "noseSneer*": 0.25, "cheekSquint*": 0.3},
    "AU12": {"mouthSmile*": 1.0},
    "AU13": {"mouthSmile*": 0.5, "cheekSquint*": 0.3, "cheekPuff": 0.1},
    "AU14": {"mouthDimple*": 1.0},
    "AU15": {"mouthFrown*": 1.0},
    "AU16": {"mouthLowerDown*": 1.0},
    "AU20": {"mouthStretch*": 1.0},
    "AU38": {"noseSneer*": 0.25},
    "AU41": {"eyeBlink*": 0.35},
    "AU42": {"eyeBlink*": 0.6},
    "AU43": {"eyeBlink*": 1.0},
    "AU44": {"eyeSquint*": 0.9, "eyeBlink*": 0.2, "browDown*": 0.35, "cheekSquint*": 0.3},
    "AU45": {"eyeBlink*": 1.0},
    "AU46": {"eyeBlink*": 1.0, "cheekSquint*": 0.6, "mouthSmile*": 0.15},
}
_WHOLE: dict[str, dict[str, float]] = {
    "AU8": {"mouthClose": 1.0},
    "AU17": {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.35},
    "AU18": {"mouthPucker": 1.0},
    "AU19": {"tongueOut": 1.0, "jawOpen": 0.25},
    "AU21": {"neckTense": 1.0},
    "AU22": {"mouthFunnel": 1.0},
    "AU23": {"mouthRollLower": 0.35, "mouthRollUpper": 0.35, "mouthPressLeft": 0.35, "mouthPressRight": 0.35,
             "mouthPucker": 0.15},
    "AU24": {"mouthPressLeft": 0.8, "mouthPressRight": 0.8, "mouthRollLower": 0.25, "mouthRollUpper": 0.2,
             "mouthPucker": 0.2},
    "AU25": {"mouthLowerDownLeft": 0.35, "mouthLowerDownRight": 0.35, "mouthUpperUpLeft": 0.25,
             "mouthUpperUpRight": 0.25},
    "AU26": {"jawOpen": 0.4},
    "AU27": {"jawOpen": 1.0},
    "AU28": {"mouthRollLower": 1.0, "mouthRollUpper": 1.0},
    "AU29": {"jawForward": 1.0},
    "AU30L": {"jawLeft": 1.0},
    "AU30R": {"jawRight": 1.0},
    "AU32": {"mouthRollLower": 0.9, "mouthUpperUpLeft": 0.35, "mouthUpperUpRight": 0.35, "jawOpen": 0.05},
    "AU33": {"cheekPuff": 0.7, "mouthFunnel": 0.45, "mouthPucker": 0.25},
    "AU34": {"cheekPuff": 1.0, "mouthPressLeft": 0.2, "mouthPressRight": 0.2},
    "AU35": {"mouthPucker": 0.7, "mouthDimpleLeft": 0.3, "mouthDimpleRight": 0.3, "jawOpen": 0.08},
}  # fmt: skip
_ONE_SIDE_ONLY = ("AU46",)


def _recipes() -> dict[str, dict[str, float]]:
    found = {name: dict(weights) for name, weights in _WHOLE.items()}
    for name, weights in _SIDED.items():
        both: dict[str, float] = {}
        for letter, side in _SIDES.items():
            one = {shape.replace("*", side): weight for shape, weight in weights.items()}
            found[name + letter] = one
            both = {shape: both.get(shape, 0.0) + one.get(shape, 0.0) for shape in (*both, *one)}
        if name not in _ONE_SIDE_ONLY:
            found[name] = both
    return {name: found[name] for name in sorted(found, key=_order)}


def _order(name: str) -> tuple[int, str]:
    return int(name[2:].rstrip("LR")), name


RECIPES: dict[str, dict[str, float]] = _recipes()
"""Weights of shapes at intensity E, by unit: ARKit's shapes, and ``neckTense`` where a character has it (AU21)."""

CHEEK_RAISERS: dict[str, tuple[str, ...]] = {
    "L": ("cheekRaiserLeft", "cheekRaiser_L"),
    "R": ("cheekRaiserRight", "cheekRaiser_R"),
}
"""The shapes that HACK has for AU6, in either spelling; they take the place of ``cheekSquint``."""

EMOTIONS: dict[str, dict[str, float]] = {
    "happiness": {"AU6": 0.6, "AU12": 0.8, "AU25": 0.4},
    "sadness": {"AU1": 0.8, "AU4": 0.4, "AU15": 0.7, "AU17": 0.3},
    "surprise": {"AU1": 0.8, "AU2": 0.8, "AU5": 0.7, "AU26": 0.8},
    "fear": {"AU1": 0.8, "AU2": 0.5, "AU4": 0.5, "AU5": 0.8, "AU7": 0.3, "AU20": 0.6, "AU26": 0.4},
    "anger": {"AU4": 0.9, "AU5": 0.5, "AU7": 0.6, "AU23": 0.7},
    "disgust": {"AU9": 0.8, "AU15": 0.4, "AU16": 0.3, "AU10": 0.4},
    "contempt": {"AU12L": 0.4, "AU14L": 0.8},
}
"""Combinations of units that are read as basic emotions (EMFACS), at an intensity that looks natural."""

_NAME = re.compile(r"A[UD]0*([1-9]\d?)([LR]?)", re.IGNORECASE)
# Units whose recipes together explain ARKit weights without saying the same thing twice.
_BASIS: tuple[str, ...] = (
    "AU1", *(f"{name}{side}" for name in ("AU2", "AU4", "AU5", "AU6", "AU7", "AU9", "AU10", "AU12", "AU14", "AU15",
    "AU16", "AU20", "AU43") for side in "LR"),
    "AU17", "AU18", "AU19", "AU22", "AU24", "AU27", "AU28", "AU29", "AU30L", "AU30R", "AU34",
)  # fmt: skip
_ROUNDS = 300


def unit(name: str) -> str | None:
    """The name of an action unit as it is written here (``AU12L``), or None; ``AU01``, ``au1``, ``AD29`` are read."""
    match = _NAME.fullmatch(name.strip())
    if match is None:
        return None
    number, side = match.groups()
    found = f"AU{number}{side.upper()}"
    return found if f"AU{number}" in NAMES or found in NOT_SHOWN else None


def recipe(name: str, shapes: Sequence[str] = ()) -> dict[str, float]:
    """The weights of shapes that show a unit at intensity E.

    Args:
        shapes: those of the character; one with ``cheekRaiser`` shows AU6 with it, one with ``browInnerUp_L`` AU1L.

    Raises:
        UsageError: there is no such unit, ARKit's shapes cannot show it, or it needs a side.
    """
    found = unit(name)
    if found is None:
        raise UsageError(f"there is no action unit '{name}'", expected="AU1 to AU46, with L or R for one side")
    if found.rstrip("LR") in NOT_SHOWN:
        raise UsageError(f"'{found}' cannot be shown: {NOT_SHOWN[found.rstrip('LR')]}")
    if found not in RECIPES:
        if found + "L" in RECIPES:
            raise UsageError(f"'{found}' needs a side", expected=f"{found}L or {found}R")
        raise UsageError(f"'{found}' has no sides", expected=found.rstrip("LR"))
    weights = dict(RECIPES[found])
    side = found[-1] if found[-1] in _SIDES else ""
    for shape in ("browInnerUp", "cheekPuff"):  # ARKit has them once, HACK once a side
        if side and shape in weights and f"{shape}_{side}" in shapes:
            weights[f"{shape}_{side}"] = 2 * weights.pop(shape)
    if found.rstrip("LR") == "AU6":
        for letter in side or "LR":
            raiser = next((shape for shape in CHEEK_RAISERS[letter] if shape in shapes), None)
            if raiser is not None:
                weights[raiser] = weights.pop(f"cheekSquint{_SIDES[letter]}")
    return weights


def intensity(text: str | float) -> float:
    """The value of an intensity: a letter A to E (A is 0.2, E is 1), or a number.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(text, str) and text.strip().upper() in INTENSITIES:
        return INTENSITIES[text.strip().upper()]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise UsageError(f"'{text}' is no intensity", expected="a letter from A (trace) to E (maximum) or a number")
    return value


def letter(value: float) -> str:
    """The letter of an intensity 0..1, the nearest one; empty below a tenth."""
    return "" if value < 0.1 else "ABCDE"[min(max(round(5 * value), 1), 5) - 1]


def expanded(
    names: Sequence[str], curves: np.ndarray, shapes: Sequence[str] = ()
) -> tuple[tuple[str, ...], np.ndarray]:
    """Curves in which the action units have become weights of shapes.

    Weights add up and stop at 1, unless a curve already lies beyond. AU8 draws lips together only as far as the jaw is
    open, and a lid that closes leaves nothing to squint with. Each frame stands for itself, so that a piece of a take
    gives a piece of the result.

    Args:
        names: (curves,) of any kind; those that are no unit, or one that cannot be shown, stay.
        curves: (frames, curves) float32.
        shapes: those of the character, see :func:`recipe`.

    Returns:
        The names without the units, with the shapes that they need; the curves likewise, float32.
    """
    units = {index: found for index, name in enumerate(names) if (found := unit(name)) in RECIPES}
    if not units:
        return tuple(names), curves
    kept = [index for index in range(len(names)) if index not in units]
    result = {names[index]: curves[:, index] for index in kept}
    added: dict[str, np.ndarray] = {}
    for index, name in units.items():
        for shape, weight in recipe(name, shapes).items():
            added[shape] = added.get(shape, 0) + np.float32(weight) * curves[:, index]
    zero = np.zeros(len(curves), np.float32)
    total = {shape: result.get(shape, zero) + more for shape, more in added.items()}
    if "mouthClose" in added:
        jaw = total.get("jawOpen", result.get("jawOpen", zero))
        total["mouthClose"] = np.minimum(total["mouthClose"], np.maximum(jaw, result.get("mouthClose", zero)))
    for side in _SIDES.values():
        squint, blink = f"eyeSquint{side}", total.get(f"eyeBlink{side}", result.get(f"eyeBlink{side}", zero))
        if squint in added:
            room = 1 - 0.5 * np.clip(blink, 0, 1)
            total[squint] = np.minimum(total[squint], np.maximum(room, result.get(squint, zero)))
    for shape, values in total.items():
        own = result.get(shape, zero)
        result[shape] = np.clip(values, np.minimum(own, 0), np.maximum(own, 1)).astype(np.float32)
    return tuple(result), np.stack(list(result.values()), -1).astype(np.float32)


def expand(take: Take, shapes: Sequence[str] = ()) -> Take:
    """The take with its action units baked into curves of shapes; one without units stays as it is."""
    names, curves = expanded(take.curve_names, take.curves, shapes)
    if names == take.curve_names:
        return take
    changed = {
        name for i, name in enumerate(names)
        if name not in take.curve_names or not np.array_equal(take.curve(name), curves[:, i])
    }  # fmt: skip
    gone = set(take.curve_names) - set(names)
    keys = {channel: entry for channel, entry in take.keys.items() if channel not in changed | gone}
    return replace(take, curve_names=names, curves=curves, keys=keys)


def estimate(names: Sequence[str], curves: np.ndarray) -> dict[str, np.ndarray]:
    """Action units that come closest to ARKit weights: units by name, (frames,) float32 in 0..1.

    The way back of :func:`expanded`, least squares within 0..1, for reading and editing. ARKit says less than FACS:
    AU25, AU26 and AU27 are one jaw, AU43 and AU45 one closed eye (given as AU27 and AU43).

    Args:
        names, curves: (curves,) and (frames, curves) 0..1; what is no ARKit weight is left out.
    """
    targets = np.zeros((len(curves), len(arkit.NAMES)))
    for index, name in enumerate(arkit.NAMES):
        if name in names:
            targets[:, index] = curves[:, list(names).index(name)]
    matrix = np.array([[RECIPES[name].get(shape, 0.0) for shape in arkit.NAMES] for name in _BASIS])
    result = within_unit(matrix @ matrix.T, targets @ matrix.T)
    return {name: result[:, index].astype(np.float32) for index, name in enumerate(_BASIS) if result[:, index].any()}


def within_unit(gram: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Weights (frames, n) in 0..1 of a least-squares problem in its normal equations, by coordinate descent.

    Args:
        gram: (n, n), products of the unknowns' columns. wanted: (frames, n), products with what is to be explained.
    """
    result = np.zeros(wanted.shape)
    size = np.diagonal(gram)
    for _ in range(_ROUNDS):
        largest = 0.0
        for index in np.flatnonzero(size > 1e-15):
            step = (wanted[:, index] - result @ gram[:, index]) / size[index]
            better = np.clip(result[:, index] + step, 0, 1)
            largest = max(largest, float(np.abs(better - result[:, index]).max(initial=0)))
            result[:, index] = better
        if largest < 1e-5:
            break
    return result


def emotion(name: str, strength: float = 1.0) -> Mapping[str, float]:
    """The units of a basic emotion at a strength.

    Raises:
        UsageError: there is no such emotion.
    """
    if name not in EMOTIONS:
        raise UsageError(f"there is no emotion '{name}'", expected=", ".join(EMOTIONS))
    return {key: strength * value for key, value in EMOTIONS[name].items()}
