# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer keys that say the same within a tolerance that is measured, not hoped for.

Kept keys hold their exact values and are joined by straight lines. The four channels of a quaternion keep the same
frames and are judged as one rotation. Curves that are already sparse and curved are left alone, as are locked ones and
those with modifiers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..timeline import fcurves
from ..toolkit.blender import compat
from ..toolkit.errors import UsageError
from ..toolkit.geometry.rotations import continuous
from ..toolkit.take import Event
from ..toolkit.take_keys import chosen_keys, closing_frames

_TOGETHER = 8
"""Channels that are reduced at a time: bounds the memory for long takes."""

_SHAPE = re.compile(r'key_blocks\["(.+)"\]\.value')
_NONE = (-np.inf, np.inf)


@dataclass(frozen=True)
class Tolerance:
    """How far a channel may be off: shape keys and other numbers, rotations, larynx height, places."""

    curves: float = 0.01
    degrees: float = 0.1
    millimetres: float = 0.2
    metres: float = 0.0005

    def of(self, path: str) -> float:
        """The tolerance of a channel of numbers, in its own unit."""
        if path == '["larynx_height"]':
            return self.millimetres
        if path.endswith("rotation_euler"):
            return float(np.radians(self.degrees))
        if path in ('["head_turn"]', '["head_nod"]', '["head_tilt"]'):
            return self.degrees
        return self.metres if path.endswith("location") else self.curves


@dataclass
class Reduction:
    """What was done: keys before and after, the largest error by unit ("" for shape keys), curves left alone."""

    before: int = 0
    after: int = 0
    errors: dict[str, float] = field(default_factory=dict)
    alone: int = 0

    def __str__(self) -> str:
        sizes = ", ".join(f"{self.errors[unit]:.2g}{unit}" for unit in ("", "°", " mm") if self.errors.get(unit))
        text = f"{_spaced(self.before)} → {_spaced(self.after)} keys, largest error {sizes or 0}"
        if self.alone:
            text += f"; {self.alone} curves were left alone (curved, locked or with modifiers)"
        return text


def _size(path: str, error: float) -> tuple[str, float]:
    """An error in the unit in which it is told."""
    if path == '["larynx_height"]':
        return " mm", error
    if path.endswith("location"):
        return " mm", 1000 * error
    if path.endswith("rotation_quaternion"):
        return "°", float(np.degrees(4 * np.arcsin(min(error / 2, 1.0))))
    if path.endswith("rotation_euler"):
        return "°", float(np.degrees(error))
    return ("°" if path.startswith('["head_') else ""), error


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")


@dataclass
class _Channel:
    """F-curves that are judged together: one, or the four of a quaternion."""

    curves: list[Any]
    path: str
    rows: np.ndarray
    times: np.ndarray
    values: np.ndarray
    limit: float
    forced: np.ndarray = field(default_factory=lambda: np.empty(0, bool))


def ids_of(obj: Any, rig: Any | None) -> list[Any]:
    """The IDs that can hold f-curves of an object or a character: itself, shape keys, object data."""
    if rig is not None:
        owners = [rig.armature, *(part.data.shape_keys for part in rig.parts)]
    else:
        data = getattr(obj, "data", None)
        owners = [obj, data, getattr(data, "shape_keys", None)]
    return [owner for owner in owners if owner is not None]


def owners_of(obj: Any, rig: Any | None) -> list[Any]:
    """Those of them on which an action plays."""
    return [owner for owner in ids_of(obj, rig) if compat.playing(owner) is not None]


def reduce(
    owners: Sequence[Any],
    tolerance: Tolerance,
    span: tuple[float, float] | None = None,
    *,
    selected: bool = False,
    events: Sequence[Event] = (),
    origin: tuple[float, float] = (0.0, 1.0),
) -> Reduction:
    """Take out keys of the actions that play on some IDs, within the tolerance.

    Args:
        span: first and last frame; None takes all keys.
        selected: only f-curves that are selected in the Graph Editor or Dope Sheet.
        events: phones, blinks and swallows whose closures stay exact. Without any, each clear opening and closing of
            lips, jaw and eyes stays.
        origin: the frame of second 0 of the events, and frames a second.

    Raises:
        UsageError: a tolerance is not above zero, or there is nothing to reduce.
    """
    if min(tolerance.curves, tolerance.degrees, tolerance.millimetres, tolerance.metres) <= 0:
        raise UsageError("a tolerance for keys is not above zero", expected="a positive number")
    result = Reduction()
    channels: list[_Channel] = []
    for owner in owners:
        fcurves.check_editable(owner, mixed=False)
        channels += _channels_of(owner, tolerance, span or _NONE, selected, result)
    if not result.before:
        raise UsageError(
            "there are no keys" + (" on selected curves" if selected else ""), hint="Import or bake a take first"
        )
    groups: dict[tuple[int, int], list[_Channel]] = {}
    for channel in channels:
        channel.forced = _forced(channel, events, origin)
        groups.setdefault(channel.values.shape, []).append(channel)
    for group in groups.values():
        for start in range(0, len(group), _TOGETHER):
            _reduce_group(group[start : start + _TOGETHER], span, result)
    return result


def _channels_of(
    owner: Any, tolerance: Tolerance, span: tuple[float, float], selected: bool, result: Reduction
) -> list[_Channel]:
    found: dict[str, dict[int, Any]] = {}
    for curve in compat.playing(owner).fcurves:
        if not selected or curve.select:
            found.setdefault(curve.data_path, {})[curve.array_index] = curve
    channels = []
    for path, parts in found.items():
        every = [parts[index] for index in sorted(parts)]
        points = [fcurves.coordinates(curve) for curve in every]
        counts = [len(row) for row in points]
        result.before += sum(counts)
        usable = not any(
            curve.lock or len(curve.modifiers) or not count for curve, count in zip(every, counts, strict=True)
        )
        whole = path.endswith("rotation_quaternion") and set(parts) == {0, 1, 2, 3}
        if whole and usable:
            made = _quaternion(every, points, path, tolerance, span)
            if made is not None:
                channels.append(made)
            elif max(counts) > 2:
                usable = False
        elif usable:
            limit = tolerance.of(path)
            for curve, row in zip(every, points, strict=True):
                rows = _within(row[:, 0], span)
                if len(rows) > 2:
                    channels.append(_Channel([curve], path, rows, row[rows, 0], row[rows, 1:], limit))
        result.after += sum(counts)
        result.alone += 0 if usable else len(every)
    return channels


def _quaternion(
    curves: list[Any], points: list[np.ndarray], path: str, tolerance: Tolerance, span: tuple[float, float]
) -> _Channel | None:
    """The four curves of a rotation as one channel; components that never change may have a single key."""
    longest = max(points, key=len)
    moving = [index for index, row in enumerate(points) if len(row) > 1]
    if any(points[i].shape != longest.shape or np.any(points[i][:, 0] != longest[:, 0]) for i in moving):
        return None
    rows = _within(longest[:, 0], span)
    if len(rows) <= 2:
        return None
    values = np.stack([row[rows, 1] if len(row) > 1 else np.full(len(rows), row[0, 1]) for row in points], -1)
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    if (length < 1e-6).any():
        return None
    # Two unit quaternions whose rotations differ by an angle lie 2 sin(angle / 4) apart.
    limit = float(2 * np.sin(np.radians(tolerance.degrees) / 4))
    return _Channel([curves[i] for i in moving], path, rows, longest[rows, 0], values / length, limit)


def _within(times: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    return np.flatnonzero((times >= span[0] - 1e-3) & (times <= span[1] + 1e-3))


def _reduce_group(group: list[_Channel], span: tuple[float, float] | None, result: Reduction) -> None:
    """Reduce channels of equal length and width."""
    samples = np.stack([channel.values for channel in group]).astype(np.float64)
    times = np.stack([channel.times for channel in group]).astype(np.float64)
    limits = np.array([channel.limit for channel in group])
    # Single precision of the keys: a hair below the tolerance, so that what Blender shows is within it.
    chosen = chosen_keys(samples, limits * 0.999, np.stack([channel.forced for channel in group]), times)
    for channel, keep, sample, moments in zip(group, chosen, samples, times, strict=True):
        still = np.ptp(sample, axis=0).max() == 0
        if still:
            keep = np.zeros(len(keep), bool)
            keep[0] = True
            keep[-1] = span is not None
        error = _error(sample, moments, keep)
        if keep.all():
            continue
        if not _follows(channel, moments, sample, keep):
            result.alone += len(channel.curves)
            continue
        unit, size = _size(channel.path, error)
        result.errors[unit] = max(result.errors.get(unit, 0.0), size)
        for curve in channel.curves:
            count = len(curve.keyframe_points)
            kept = np.ones(count, bool)
            kept[channel.rows[~keep]] = False
            whole = len(channel.rows) == count
            fcurves.keep(curve, np.flatnonzero(kept), None if whole else (moments[0], moments[-1]))
            result.after -= int(count - kept.sum())


def _line(moments: np.ndarray, sample: np.ndarray, keep: np.ndarray, at: np.ndarray) -> np.ndarray:
    """What straight lines through the kept samples say, (n, components); quaternions are normalised."""
    line = np.stack([np.interp(at, moments[keep], column[keep]) for column in sample.T], -1)
    return line / np.linalg.norm(line, axis=-1, keepdims=True) if line.shape[1] == 4 else line


def _error(sample: np.ndarray, moments: np.ndarray, keep: np.ndarray) -> float:
    away = _line(moments, sample, keep, moments) - sample
    return float(np.abs(away).max() if sample.shape[1] == 1 else np.linalg.norm(away, axis=-1).max())


def _follows(channel: _Channel, moments: np.ndarray, sample: np.ndarray, keep: np.ndarray) -> bool:
    """Whether straight lines through the kept keys follow the curve between keys too, if it is curved there."""
    if all(fcurves.all_linear(curve) for curve in channel.curves):
        return True
    between = np.arange(np.ceil(moments[0]), np.floor(moments[-1]) + 1)
    between = between[~np.isin(between, np.round(moments, 3))]
    if not len(between):
        return True
    line = _line(moments, sample, keep, between)
    if sample.shape[1] == 1:
        shown = fcurves.values_at(channel.curves[0], between)[:, None]
        return bool(np.abs(line - shown).max() <= channel.limit)
    shown = np.empty((len(between), 4))
    shown[:] = sample[0]
    for curve in channel.curves:
        shown[:, curve.array_index] = fcurves.values_at(curve, between)
    shown = continuous(shown / np.linalg.norm(shown, axis=-1, keepdims=True))
    return bool(np.linalg.norm(line - shown, axis=-1).max() <= channel.limit)


def _forced(channel: _Channel, events: Sequence[Event], origin: tuple[float, float]) -> np.ndarray:
    """Keys of a mouth, an eye or the larynx that must stay, (n,) bool."""
    match = _SHAPE.fullmatch(channel.path)
    name = match[1] if match else "larynxHeight" if channel.path == '["larynx_height"]' else ""
    forced = np.zeros(len(channel.times), bool)
    if not name or channel.values.shape[1] != 1:
        return forced
    values = channel.values[:, 0]
    if events:
        seconds = (channel.times - origin[0]) / origin[1]
        forced[closing_frames(name, values, seconds, events)] = True
    elif name.startswith(("mouthClose", "mouthPress", "mouthRoll", "jawOpen", "eyeBlink")):
        forced[_turning_points(values, 10 * channel.limit)] = True
    return forced


def _turning_points(values: np.ndarray, clear: float) -> np.ndarray:
    """Rows where a curve turns, if it differs there by ``clear`` from the turns before and after."""
    steps = np.diff(values)
    moving = np.flatnonzero(steps != 0)
    turns = moving[1:][np.sign(steps[moving[1:]]) != np.sign(steps[moving[:-1]])]
    ends = np.concatenate([[0], turns, [len(values) - 1]]).astype(int)
    heights = values[ends]
    far = (np.abs(heights[1:-1] - heights[:-2]) > clear) & (np.abs(heights[1:-1] - heights[2:]) > clear)
    return ends[1:-1][far]
