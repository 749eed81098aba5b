# SPDX-License-Identifier: Apache-2.0
"""The vocabularies of facial curves: ARKit's 52 names, ICT-FaceKit's 53, HACK's 55, and expression coefficients.

Names are told by what they say, not by how they are spelt: ``eyeBlink_L``, ``EyeBlinkLeft`` and ``face.eye_blink_left``
are one. Order matters only where an array has no names: :data:`ICT` and :data:`HACK` are in the order of their files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hyoid.characters import arkit

SPLIT = ("browInnerUp", "cheekPuff")
"""What ARKit has once and ICT and HACK have once a side."""
_UNSIDED = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")


def _halves(name: str) -> tuple[str, ...]:
    """The names that ICT and HACK have for an ARKit shape."""
    if name in SPLIT:
        return f"{name}_L", f"{name}_R"
    if name in _UNSIDED or not name.endswith(("Left", "Right")):
        return () if name == "tongueOut" else (name,)
    return (f"{name.removesuffix('Left').removesuffix('Right')}_{'L' if name.endswith('Left') else 'R'}",)


ICT: tuple[str, ...] = tuple(sorted(half for name in arkit.NAMES for half in _halves(name)))
"""The 53 expressions of ICT-FaceKit in the order of its list."""
HACK: tuple[str, ...] = tuple(sorted((*ICT, "cheekRaiser_L", "cheekRaiser_R")))
"""The 55 expressions of HACK in the order of its arrays."""
VOCABULARIES = ("arkit", "ict", "hack", "expression")
_EXPRESSION = re.compile(r"(?:expression|expr|exp)[_.]?(\d{1,3})", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """What became of one curve: its names before and after (empty when it is lost), and how, in words."""

    source: str
    target: str
    how: str


def _plain(name: str) -> str:
    """A name without what spellings differ in: prefixes, capitals, separators."""
    return re.sub(r"[^a-z0-9]", "", re.split(r"[.:|](?=[A-Za-z])", name)[-1].lower())


def _spellings() -> dict[str, str]:
    found = {_plain(name): name for name in arkit.NAMES}
    for name in HACK:
        base, _, side = name.rpartition("_")
        known = next((arkit_name for arkit_name in arkit.NAMES if name in _halves(arkit_name)), name)
        means = name if known in SPLIT else known
        found.setdefault(_plain(name), means)
        if base:
            found.setdefault(_plain(f"{base}{'Left' if side == 'L' else 'Right'}"), means)
    return found


_SPELLINGS = _spellings()


def meaning(name: str) -> str:
    """The ARKit name that a curve means, one of ICT's or HACK's where ARKit has none of its own, else an empty text."""
    return _SPELLINGS.get(_plain(name), "")


def expression_number(name: str) -> int | None:
    """The number of an expression coefficient (``expression007``: 7), or None."""
    match = _EXPRESSION.fullmatch(name)
    return None if match is None else int(match[1])


def vocabulary(names: Sequence[str]) -> str:
    """Which vocabulary most of the curves are in, one of :data:`VOCABULARIES`; empty when they are in none."""
    numbered = sum(expression_number(name) is not None for name in names)
    meant = [name for name in names if meaning(name)]
    if numbered > len(meant):
        return "expression"
    if not meant:
        return ""
    if any(name in HACK and name not in ICT for name in meant):
        return "hack"
    return "ict" if any(name in ICT and name not in arkit.NAMES for name in meant) else "arkit"


def to_arkit(
    curves: Mapping[str, np.ndarray], own: Sequence[str] = (), *, pairs: str = "mean"
) -> tuple[dict[str, np.ndarray], list[Row]]:
    """Curves under ARKit's names, and what became of each.

    A pair that ARKit has once (the inner brows, the cheeks) becomes its mean or its maximum; ``cheekRaiser``, which
    ARKit lacks, becomes ``cheekSquint`` where that is smaller. Curves that mean nothing facial keep their names.

    Args:
        curves: (frames,) each. own: names that the target has as they are; they stay.
        pairs: ``mean`` or ``max``.
    """
    result: dict[str, np.ndarray] = {}
    rows: list[Row] = []
    halves: dict[str, list[str]] = {}
    for name, values in curves.items():
        means = meaning(name)
        if name in arkit.NAMES or name in own or not means:
            result[name] = values
        elif means in arkit.NAMES:
            result[means] = values
            rows.append(Row(name, means, "renamed"))
        else:
            halves.setdefault(means[:-2], []).append(name)
    for base, names in halves.items():
        if base == "cheekRaiser":
            for name in names:
                target = f"cheekSquint{'Left' if meaning(name).endswith('L') else 'Right'}"
                result[target] = np.maximum(result.get(target, np.zeros_like(curves[name])), curves[name])
                how = f"the larger of {name} and {target}" if curves[name].any() else "at rest"
                rows.append(Row(name, target, how))
            continue
        both = np.stack([curves[name] for name in names])
        if len(names) == 1:  # the other side is at rest
            both = np.concatenate([both, np.zeros_like(both)])
        result[base] = (both.mean(0) if pairs == "mean" else both.max(0)).astype(np.float32)
        alike = np.abs(both[0] - both[1]).max(initial=0) < 1e-3
        how = "both sides are alike" if alike else f"{'mean' if pairs == 'mean' else 'maximum'} of both sides"
        rows += [Row(name, base, how) for name in names]
    return result, rows


def from_arkit(curves: Mapping[str, np.ndarray], vocabulary: str) -> tuple[dict[str, np.ndarray], list[Row]]:
    """Curves under the names of ``ict`` or ``hack``, all of them, in order; other curves follow.

    Args:
        curves: (frames,) each, under ARKit's names.
    """
    wanted = HACK if vocabulary == "hack" else ICT
    frames = len(next(iter(curves.values()), np.zeros(0)))
    result = {name: curves.get(name, np.zeros(frames, np.float32)) for name in wanted}
    rows: list[Row] = []
    for name, values in curves.items():
        if name not in arkit.NAMES:
            result[name] = values
            continue
        halves = _halves(name)
        for half in halves:
            result[half] = values
        if not halves:
            rows.append(Row(name, "", "there is no such shape"))
        elif halves != (name,):
            rows += [Row(name, half, "both sides" if len(halves) > 1 else "renamed") for half in halves]
    return result, rows
