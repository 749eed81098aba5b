# SPDX-License-Identifier: Apache-2.0
"""Swallow, breath and effort: three curves (0..1) of a take that move larynx, neck and shoulders.

A take that has only the curve gets the motion; what it says itself stays: its own ``larynxHeight`` (where that is not
zero throughout), its own ``neckTense``, its own rotations of neck joints or collar bones. So takes of ``hyoid talk``,
which hold the larynx and the neck already, are not moved twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hyoid.characters.neck import JOINTS
from hyoid.geometry import rotations
from hyoid.take import Take

CURVES: tuple[str, ...] = ("swallow", "breath", "effort")
TENSE = "neckTense"
"""The shape of tense neck muscles; its curve is the effort unless the take has one of its own."""

SWALLOW_RISE = 17.0  # millimetres
SWALLOW_DIP = 4.0
_DIP_AT, _DIP_END = 0.13, 0.4  # of the curve: deepest, over
_GETTING_UP = 1.5  # a second: how fast the curve rises in a swallow that begins
BREATH_DROP = 2.0  # millimetres that a full breath draws the larynx down
EFFORT_DROP = 3.0

# Degrees of flexion (negative: extension) at 1. The sum is nearly nothing: the eyes stay on what they look at.
_NECK = {
    "swallow": {"c6c7": -0.3, "c1c2": 0.4, "oc1": 1.1},
    "breath": {"c7t1": -0.8, "c6c7": -0.4, "oc1": 0.9},
    "effort": {"c7t1": 1.6, "c6c7": 1.6, "c5c6": 1.0, "c2c3": -0.6, "c1c2": -1.2, "oc1": -2.4},
}
_COLLAR = {"breath": 1.6, "effort": 4.0}
"""Degrees by which the collar bones rise at 1."""
COLLAR_BONES: tuple[tuple[str, float], ...] = (("clavicle.L", 1.0), ("clavicle.R", -1.0))
"""The joints and the sense of a turn about +Z that lifts the shoulder."""


@dataclass(frozen=True)
class Added:
    """What gestures add to some frames: ``curves`` (frames,) by name, ``joints`` (frames, 4) quaternions by name."""

    curves: dict[str, np.ndarray]
    joints: dict[str, np.ndarray]


def added(take: Take, start: int = 0, stop: int | None = None) -> Added:
    """The curves and rotations that the gestures of frames ``start`` to ``stop`` add to what the take says itself.

    Any window gives the same as the whole take.
    """
    stop = take.frames if stop is None else min(stop, take.frames)
    present = [name for name in CURVES if name in take.curve_names]
    if not present or stop <= start:
        return Added({}, {})
    early, late = max(start - 1, 0), min(stop + 1, take.frames)
    around = {name: np.clip(take.curve(name)[early:late], 0, 1).astype(np.float64) for name in present}
    inside = slice(start - early, stop - early)
    now = {name: values[inside] for name, values in around.items()}
    if not any(values.any() for values in now.values()):
        return Added({}, {})
    curves = {}
    if not take.curve("larynxHeight").any():
        zero = np.zeros(late - early)
        swallow, breath, effort = (around.get(name, zero) for name in CURVES)
        height = larynx_height(swallow, breath, effort, take.fps)
        curves["larynxHeight"] = height[inside].astype(np.float32)
    if "effort" in now and TENSE not in take.curve_names:
        curves[TENSE] = now["effort"].astype(np.float32)
    joints = {}
    if not set(JOINTS) & set(take.joint_names):
        bends = neck_bends(now)
        moved = np.flatnonzero(np.abs(bends).max(0) > 0)
        joints |= {JOINTS[joint]: rotations.about((1.0, 0.0, 0.0), bends[:, joint]) for joint in moved}
    rise = np.radians(sum(degrees * now[name] for name, degrees in _COLLAR.items() if name in now))
    if np.any(rise):
        turns = {name: rotations.about((0.0, 0.0, 1.0), sense * rise) for name, sense in COLLAR_BONES}
        joints |= {name: turn for name, turn in turns.items() if name not in take.joint_names}
    return Added(curves, {name: turn.astype(np.float32) for name, turn in joints.items()})


def baked(take: Take) -> Take:
    """The take with its gestures written out as curves and joint rotations, for programs that know only these.

    The same take when there is nothing to add; baking twice is baking once.
    """
    found = added(take)
    if not found.curves and not found.joints:
        return take
    names = (*take.curve_names, *(name for name in found.curves if name not in take.curve_names))
    curves = np.zeros((take.frames, len(names)), np.float32)
    curves[:, : len(take.curve_names)] = take.curves
    for name, values in found.curves.items():
        curves[:, names.index(name)] = values
    turns = [take.rotations, *(turn[:, None] for turn in found.joints.values())]
    return replace(
        take, curve_names=names, curves=curves, joint_names=(*take.joint_names, *found.joints),
        rotations=np.concatenate(turns, axis=1).astype(np.float32),
        keys={name: keys for name, keys in take.keys.items() if name not in found.curves},
    )  # fmt: skip


def larynx_height(swallow: np.ndarray, breath: np.ndarray, effort: np.ndarray, fps: float) -> np.ndarray:
    """Millimetres (frames,) that the gestures move the larynx, up positive; a swallow stands above the others."""
    busy = np.clip(2 * swallow, 0, 1)
    return swallow_height(swallow, fps) - (1 - busy) * (BREATH_DROP * breath + EFFORT_DROP * effort)


def swallow_height(swallow: np.ndarray, fps: float) -> np.ndarray:
    """Millimetres (frames,) of a swallow curve (0..1): a dip while it begins, the rise, and back without a dip."""
    pace = np.gradient(swallow) * fps if len(swallow) > 1 else np.zeros(len(swallow))
    begins = _step(pace / _GETTING_UP)
    dip = _step(swallow / _DIP_AT) * (1 - _step((swallow - _DIP_AT) / (_DIP_END - _DIP_AT)))
    risen = np.clip((swallow - 0.5 * _DIP_AT) / (1 - 0.5 * _DIP_AT), 0, 1)
    # Slow at the start, then nearly in proportion to the curve, so that a weaker swallow is a lower one.
    return SWALLOW_RISE * risen**2 * (2 - risen) - SWALLOW_DIP * begins * dip


def neck_bends(curves: dict[str, np.ndarray]) -> np.ndarray:
    """Radians of flexion (frames, 8) in the order of the neck's joints, for gesture curves by name."""
    count = len(next(iter(curves.values())))
    result = np.zeros((count, len(JOINTS)))
    for name, table in _NECK.items():
        for joint, degrees in table.items():
            if name in curves:
                result[:, JOINTS.index(joint)] += np.radians(degrees) * curves[name]
    return result


def on_neck(joints: np.ndarray, curves: dict[str, np.ndarray]) -> np.ndarray:
    """Neck rotations (frames, 8, 4) with the bends of gestures on top."""
    return rotations.multiply(joints, rotations.about((1.0, 0.0, 0.0), neck_bends(curves)))


def _step(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)
