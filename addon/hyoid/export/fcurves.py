# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""F-curves as arrays: read, thin out, replace a range of keys; keys outside the range keep everything they have."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..toolkit.blender import compat
from ..toolkit.errors import UsageError

LINEAR = 1
"""The number of 'LINEAR' in the enum of keyframe interpolation."""

_SINGLE = ("interpolation", "easing", "type")
_WORDS = ("handle_left_type", "handle_right_type")  # Blender 3.4 does not read or write these as arrays
_PLAIN = ("back", "amplitude", "period")
_PAIRS = ("co", "handle_left", "handle_right")


def check_editable(owner: Any, mixed: bool = True) -> None:
    """Refuse an ID whose animation cannot be changed in a way that shows.

    Args:
        mixed: refuse an action that is mixed with NLA tracks, too: keys put into it would not show as they are.

    Raises:
        UsageError: it is linked from another file, its NLA is in tweak mode, or its action is mixed with the NLA.
    """
    if owner.library is not None:
        raise UsageError(f"'{owner.name}' is linked from another file", hint="Make a library override or append it")
    data = owner.animation_data
    if data is None:
        return
    if data.use_tweak_mode:
        raise UsageError(
            f"an NLA strip of '{owner.name}' is being tweaked", hint="Press Tab in the NLA editor to leave the strip"
        )
    if data.action is not None and data.action.library is not None:
        raise UsageError(f"the action '{data.action.name}' is linked from another file", hint="Make it local first")
    partly = data.action_blend_type != "REPLACE" or data.action_influence < 1
    if mixed and data.action is not None and has_nla(owner) and partly:
        raise UsageError(
            f"the action of '{owner.name}' is mixed with its NLA tracks",
            expected="the blending Replace at full influence", hint="Change it in the sidebar of the NLA editor",
        )  # fmt: skip


def has_nla(owner: Any) -> bool:
    """Whether NLA strips play on an ID."""
    data = owner.animation_data
    return bool(data and data.use_nla and any(len(track.strips) and not track.mute for track in data.nla_tracks))


def container_of(owner: Any, name: str) -> Any:
    """The thing whose f-curves animate an ID: of its action, else of a new one called ``name``."""
    found = compat.playing(owner)
    if found is not None:
        return found
    data = owner.animation_data
    action = data.action if data is not None and data.action is not None else bpy.data.actions.new(name)
    return compat.fcurve_owner(owner, action)


def find(owner: Any, path: str, index: int = 0) -> Any | None:
    """The f-curve of a property in the action that an ID has, or None."""
    container = compat.playing(owner)
    return None if container is None else container.fcurves.find(path, index=index)


def key_frames(curve: Any) -> np.ndarray:
    """Frames of the keys of an f-curve, (n,) float32."""
    return coordinates(curve)[:, 0]


def coordinates(curve: Any) -> np.ndarray:
    """Keys of an f-curve, (n, 2) float32: frame, value."""
    points = np.empty(2 * len(curve.keyframe_points), np.float32)
    curve.keyframe_points.foreach_get("co", points)
    return points.reshape(-1, 2)


def all_linear(curve: Any) -> bool:
    """Whether straight lines join the keys of an f-curve."""
    kinds = np.empty(len(curve.keyframe_points), np.int32)
    curve.keyframe_points.foreach_get("interpolation", kinds)
    return bool((kinds[:-1] == LINEAR).all())


def values_at(curve: Any, frames: np.ndarray) -> np.ndarray:
    """What an f-curve says at given frames, (n,) float64, its modifiers included."""
    evaluate = curve.evaluate
    return np.array([evaluate(frame) for frame in np.asarray(frames, float).tolist()], np.float64)


def put(
    container: Any, path: str, index: int, group: str, frames: np.ndarray, values: np.ndarray, span: tuple[float, float]
) -> Any:
    """Give a channel linear keys; its other keys within ``span`` (first, last frame) go, those outside stay.

    Args:
        container: see :func:`container_of`. frames: (n,), rising. values: (n,).

    Returns:
        The f-curve.
    """
    curve = container.fcurves.find(path, index=index)
    points = np.stack([frames, values], -1).astype(np.float32)
    if curve is None:
        curve = compat.new_fcurve(container, path, index, group)
        kept: dict[str, np.ndarray] = {name: np.empty((0, 2), np.float32) for name in _PAIRS}
        kept |= {name: np.empty(0, "U16") for name in _WORDS}
        kept |= {name: np.empty(0, np.int32) for name in _SINGLE} | {name: np.empty(0, np.float32) for name in _PLAIN}
    else:
        times = key_frames(curve)
        kept = _read(curve, np.flatnonzero((times < span[0] - 1e-3) | (times > span[1] + 1e-3)))
    order = np.argsort(np.concatenate([kept["co"][:, 0], points[:, 0]]), kind="stable")
    fresh = {"co": points, "handle_left": points, "handle_right": points}
    count = len(points)
    fresh |= {name: np.full(count, "FREE") for name in _WORDS}
    fresh |= {name: np.zeros(count, np.int32) for name in _SINGLE} | {name: np.zeros(count) for name in _PLAIN}
    fresh["interpolation"] = np.full(count, LINEAR, np.int32)
    if len(kept["co"]):
        rows = {name: np.concatenate([kept[name], fresh[name]])[order] for name in kept}
    else:
        rows = {name: fresh[name] for name in ("co", "interpolation")}
    _write(curve, rows)
    return curve


def keep(curve: Any, rows: np.ndarray, span: tuple[float, float] | None = None) -> None:
    """Keep only the keys ``rows`` (indices) of an f-curve; those within ``span`` (all if None) become linear."""
    if span is None:
        points = coordinates(curve)[rows]
        _write(curve, {"co": points, "interpolation": np.full(len(rows), LINEAR, np.int32)})
        return
    kept = _read(curve, rows)
    times = kept["co"][:, 0]
    # A key's interpolation holds for the way to the next key: the last one in the range leads out of it.
    kept["interpolation"][(times >= span[0] - 1e-3) & (times < span[1] - 1e-3)] = LINEAR
    _write(curve, kept)


def _read(curve: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
    points = curve.keyframe_points
    found: dict[str, np.ndarray] = {}
    kept = [points[int(row)] for row in rows]
    for name in _WORDS:
        found[name] = np.array([getattr(point, name) for point in kept], dtype="U16")
    for names, kind, width in ((_PAIRS, np.float32, 2), (_SINGLE, np.int32, 1), (_PLAIN, np.float32, 1)):
        for name in names:
            buffer = np.empty(width * len(points), kind)
            points.foreach_get(name, buffer)
            found[name] = (buffer.reshape(-1, 2) if width == 2 else buffer)[rows]
    return found


def _write(curve: Any, rows: dict[str, np.ndarray]) -> None:
    points = curve.keyframe_points
    points.clear()
    points.add(len(rows["co"]))
    for name, values in rows.items():
        if name in _WORDS:
            for point, value in zip(points, values.tolist(), strict=True):
                setattr(point, name, value)
            continue
        kind = np.int32 if name in _SINGLE else np.float32
        points.foreach_set(name, np.ascontiguousarray(values, kind).reshape(-1))
    curve.update()


def pin(curve: Any, frame: float) -> None:
    """Make sure that there is a key at a frame, without a change of the curve's shape.

    What is changed beyond that frame later does not reach back over it: the handles of the key and of its neighbour
    stay where they are (they become free ones).
    """
    times = key_frames(curve)
    if not len(times):
        return
    place = int(np.searchsorted(times, frame - 1e-3))
    points = curve.keyframe_points
    if place < len(times) and abs(times[place] - frame) <= 1e-3:
        points[place].handle_left_type = points[place].handle_right_type = "FREE"
        return
    value = curve.evaluate(frame)
    before = points[place - 1] if 0 < place < len(times) else None
    if before is None or before.interpolation in ("CONSTANT", "LINEAR"):
        kind = "CONSTANT" if before is not None and before.interpolation == "CONSTANT" else "LINEAR"
        inserted = points.insert(frame, value, options={"FAST"})
        inserted.interpolation, inserted.co.y = kind, value
        inserted.handle_left_type = inserted.handle_right_type = "FREE"
    elif before.interpolation == "BEZIER":
        _divide(curve, place, frame)
    else:  # an easing has no handles to divide: a key a frame on the way
        start = float(before.co.x)
        frames = np.append(np.arange(np.floor(start) + 1, frame), frame)
        values = values_at(curve, frames)
        before.interpolation = "LINEAR"
        for time, height in zip(frames.tolist(), values.tolist(), strict=True):
            inserted = curve.keyframe_points.insert(time, height, options={"FAST"})
            inserted.interpolation = "LINEAR"
            inserted.handle_left_type = inserted.handle_right_type = "FREE"
    curve.update()


def _divide(curve: Any, place: int, frame: float) -> None:
    """Divide the Bezier piece before the key ``place`` at a frame (de Casteljau)."""
    rows = _read(curve, np.arange(len(curve.keyframe_points)))
    low, high = place - 1, place
    ends = [rows["co"][low], rows["handle_right"][low], rows["handle_left"][high], rows["co"][high]]
    a, b, c, d = (end.astype(np.float64) for end in ends)
    # Blender shortens handles that would make the curve turn back in time.
    length, reach = d[0] - a[0], (b[0] - a[0]) + (d[0] - c[0])
    if reach > length > 0:
        b, c = a + (b - a) * length / reach, d + (c - d) * length / reach
    left, right = 0.0, 1.0
    for _ in range(60):
        middle = (left + right) / 2
        ab, bc, cd = a + (b - a) * middle, b + (c - b) * middle, c + (d - c) * middle
        abc, bcd = ab + (bc - ab) * middle, bc + (cd - bc) * middle
        point = abc + (bcd - abc) * middle
        left, right = (middle, right) if point[0] < frame else (left, middle)
    for name in rows:
        rows[name] = np.insert(rows[name], high, rows[name][low], axis=0)
    rows["handle_right"][low] = ab
    rows["handle_left"][high], rows["co"][high], rows["handle_right"][high] = abc, (frame, point[1]), bcd
    rows["handle_left"][high + 1] = cd
    for index in (low, high, high + 1):
        rows["handle_left_type"][index] = rows["handle_right_type"][index] = "FREE"
    _write(curve, rows)
