# SPDX-License-Identifier: GPL-3.0-or-later
"""F-curves: where an ID keeps them, their keys as arrays, keys taken out, and a range of keys replaced.

What lies outside a replaced range keeps its shape exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
import numpy as np

from ..toolkit.blender import animation, compat
from ..toolkit.errors import UsageError

Keys = dict[str, np.ndarray]
"""By field of a Blender keyframe: ``co``, ``handle_left``, ``handle_right`` (n, 2) float32, the others (n,)."""

NEAR = 1e-3
"""Frames; keys closer than this lie at one time."""

_PAIRS = ("co", "handle_left", "handle_right")
_HANDLES = ("handle_left_type", "handle_right_type")
_INTEGERS = ("interpolation", "easing", "type")
_NUMBERS = ("amplitude", "back", "period")
_FLAGS = ("select_control_point", "select_left_handle", "select_right_handle")
_CONSTANT, _LINEAR, _BEZIER = 0, 1, 2
_FREE, _AUTO, _VECTOR, _ALIGNED, _CLAMPED = 0, 1, 2, 3, 4


def check_editable(owner: Any, *, mixed: bool = True, action: bool = True) -> None:
    """Refuse an ID whose animation cannot be changed in a way that shows.

    Args:
        mixed: refuse an action that is mixed with NLA tracks, too: keys put into it would not show as they are.
        action: refuse an action that is linked from another file, too.

    Raises:
        UsageError: it is linked from another file, its NLA is in tweak mode, or what ``mixed`` and ``action`` say.
    """
    if owner.library is not None:
        hint = "Make a library override of it first (Object > Library Override)"
        raise UsageError(f"'{owner.name}' is linked from another file", hint=hint)
    data = owner.animation_data
    if data is None:
        return
    if data.use_tweak_mode:
        raise UsageError(
            f"an NLA strip of '{owner.name}' is being tweaked", hint="Press Tab in the NLA editor to leave the strip"
        )
    if data.action is None:
        return
    if action and data.action.library is not None:
        hint = "Make it local first, or insert as a new action"
        raise UsageError(f"the action '{data.action.name}' of '{owner.name}' is linked from another file", hint=hint)
    if mixed and has_nla(owner) and (data.action_blend_type != "REPLACE" or data.action_influence < 1):
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
    return bool((kinds[:-1] == _LINEAR).all())


def values_at(curve: Any, frames: np.ndarray) -> np.ndarray:
    """What an f-curve says at given frames, (n,) float64, its modifiers included."""
    evaluate = curve.evaluate
    return np.array([evaluate(frame) for frame in np.asarray(frames, float).tolist()], np.float64)


def read_keys(curve: Any) -> Keys:
    """All keys of an f-curve."""
    points, count = curve.keyframe_points, len(curve.keyframe_points)
    keys: Keys = {name: np.empty((count, 2), np.float32) for name in _PAIRS}
    keys |= {name: np.empty(count, np.int32) for name in _INTEGERS}
    keys |= {name: np.empty(count, np.float32) for name in _NUMBERS}
    keys |= {name: np.empty(count, bool) for name in _FLAGS}
    for name, array in keys.items():
        points.foreach_get(name, array.reshape(-1))
    return keys | dict(zip(_HANDLES, compat.handle_types(points).T, strict=True))


def write_keys(curve: Any, keys: Keys) -> None:
    """Make an f-curve hold exactly these keys."""
    points, count = curve.keyframe_points, len(keys["co"])
    if len(points) > count:
        points.clear()
    if len(points) < count:
        points.add(count - len(points))
    # Kinds first: where they are set one by one, Blender moves handles to suit.
    compat.set_handle_types(points, np.stack([keys[name] for name in _HANDLES], -1))
    for name, array in keys.items():
        if name not in _HANDLES:
            points.foreach_set(name, np.ascontiguousarray(array).reshape(-1))
    curve.update()


def put(
    container: Any, path: str, index: int, group: str, frames: np.ndarray, values: np.ndarray,
    span: tuple[float, float] | None = None,
) -> Any:  # fmt: skip
    """Give a channel linear keys; its other keys within ``span`` go, those outside stay as they are.

    Args:
        container: see :func:`container_of`. frames: (n,), rising. values: (n,).
        span: first and last frame; None takes those of ``frames``.

    Returns:
        The f-curve.
    """
    first, last = span or (frames[0], frames[-1])
    curve = container.fcurves.find(path, index=index)
    if curve is None:
        curve = compat.new_fcurve(container, path, index, group)
        animation.set_keys(curve, np.stack([frames, values], -1))
        return curve
    keys = read_keys(curve)
    times = keys["co"][:, 0]
    merged = _joined(_rows(keys, (times < first - NEAR) | (times > last + NEAR)), linear_keys(frames, values))
    write_keys(curve, _rows(merged, np.argsort(merged["co"][:, 0], kind="stable")))
    return curve


def keep(curve: Any, rows: np.ndarray, span: tuple[float, float] | None = None) -> None:
    """Keep only the keys ``rows`` (indices) of an f-curve; those within ``span`` (all if None) become linear."""
    if span is None:
        points = coordinates(curve)[rows]
        curve.keyframe_points.clear()
        animation.set_keys(curve, points)
        return
    kept = _rows(read_keys(curve), rows)
    times = kept["co"][:, 0]
    # A key's interpolation holds for the way to the next key: the last one in the range leads out of it.
    kept["interpolation"][(times >= span[0] - NEAR) & (times < span[1] - NEAR)] = _LINEAR
    write_keys(curve, kept)


def put_range(curve: Any, frames: np.ndarray, values: np.ndarray) -> None:
    """Replace what lies between the first and the last of ``frames`` (n,), rising; see ``replace_range``."""
    if not _put_on_same_frames(curve, frames, values):
        keys = replace_range(read_keys(curve), frames, values, curve.evaluate, curve.extrapolation == "LINEAR")
        write_keys(curve, keys)


def _put_on_same_frames(curve: Any, frames: np.ndarray, values: np.ndarray) -> bool:
    """Change values alone where straight lines join keys on the same frames, and on those beside them; whether it was.

    A long take that is changed in one place is such a case, and moving all its keys would take seconds.
    """
    if curve.extrapolation == "LINEAR":
        return False  # the slope outside comes from keys that may change
    points, count = curve.keyframe_points, len(curve.keyframe_points)
    kinds, places = np.empty(count, np.int32), np.empty((count, 2), np.float32)
    points.foreach_get("interpolation", kinds)
    points.foreach_get("co", places.reshape(-1))
    first = int(np.searchsorted(places[:, 0], frames[0] - NEAR))
    rows = slice(first, first + len(frames))
    if (kinds != _LINEAR).any() or first == 0 or first + len(frames) >= count:
        return False
    beside = places[[first - 1, first + len(frames)], 0] - [frames[0] - 1, frames[-1] + 1]
    if np.abs(places[rows, 0] - frames).max() > NEAR or beside[0] < -NEAR or beside[1] > NEAR:
        return False
    places[rows, 1] = values
    points.foreach_set("co", places.reshape(-1))
    curve.update()
    return True


def linear_keys(frames: np.ndarray, values: np.ndarray) -> Keys:
    """Linear keys (n,) with handles that Blender keeps smooth if one is made a curve later."""
    count = len(frames)
    place = np.stack([frames, values], -1).astype(np.float32)
    keys: Keys = {name: place.copy() for name in _PAIRS}
    keys |= {name: np.zeros(count, np.int32) for name in _INTEGERS}
    keys["interpolation"][:] = _LINEAR
    keys |= {name: np.full(count, _CLAMPED, np.int32) for name in _HANDLES}
    keys |= {name: np.zeros(count, np.float32) for name in _NUMBERS}
    keys["back"][:] = 1.70158
    keys |= {name: np.zeros(count, bool) for name in _FLAGS}
    return keys


def replace_range(
    keys: Keys, frames: np.ndarray, values: np.ndarray, evaluate: Callable[[float], float], linear_ends: bool
) -> Keys:
    """Keys in which ``frames`` (n,), rising, with ``values`` (n,) stand for whatever lay between the first and last.

    A key a frame before and one a frame behind hold what the curve had there, so that nothing outside changes.

    Args:
        evaluate: the curve as it was, for kinds of interpolation that cannot be cut in two.
        linear_ends: the curve goes on in a straight line outside its keys, instead of level.
    """
    before = _before(keys, float(frames[0]), evaluate, linear_ends)
    after = _after(keys, float(frames[-1]), evaluate, linear_ends)
    pieces = [before, linear_keys(frames, values), after]
    times = keys["co"][:, 0]
    if linear_ends and (times < frames[0] - NEAR).sum() == 1:
        # The slope outside comes from the outermost two keys: another one keeps it.
        outer = np.array([times[0] - 1])
        pieces.insert(0, linear_keys(outer, np.array([evaluate(float(outer[0]))])))
    if linear_ends and (times > frames[-1] + NEAR).sum() == 1:
        outer = np.array([times[-1] + 1])
        after["interpolation"][-1] = _LINEAR
        pieces.append(linear_keys(outer, np.array([evaluate(float(outer[0]))])))
    return _joined(*pieces)


def _joined(*pieces: Keys) -> Keys:
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _rows(keys: Keys, rows: slice | np.ndarray) -> Keys:
    return {name: array[rows].copy() for name, array in keys.items()}


def _before(keys: Keys, start: float, evaluate: Callable[[float], float], linear_ends: bool) -> Keys:
    """The keys before ``start`` and the one that holds the curve up to the frame before it."""
    times = keys["co"][:, 0]
    count, edge = int((times < start - NEAR).sum()), start - 1
    kept = _rows(keys, slice(0, count))
    last = count - 1
    if count and times[last] >= edge - NEAR:
        _freeze(kept, last)
        return kept
    if not count or count == len(times):
        if count:
            _level(kept, last, edge)
        points = [edge - 1, edge] if linear_ends else [edge]
        return _joined(kept, linear_keys(np.array(points), np.array([evaluate(frame) for frame in points])))
    kind = int(keys["interpolation"][last])
    if kind > _BEZIER:
        kept["interpolation"][last] = _LINEAR
        _freeze(kept, last)
        return _joined(kept, _sampled(float(times[last]), edge, evaluate))
    cut = _cut(keys, last, edge)
    middle = linear_keys(np.array([edge]), np.array([cut[2][1]]))
    if kind == _BEZIER:
        _freeze(kept, last, always=True)
        kept["handle_right"][last] = cut[0]
        middle["handle_left"][0], middle["handle_left_type"][0] = cut[1], _FREE
    else:
        _freeze(kept, last)
    return _joined(kept, middle)


def _after(keys: Keys, end: float, evaluate: Callable[[float], float], linear_ends: bool) -> Keys:
    """The key that takes the curve up again a frame behind ``end``, and the keys behind it."""
    times = keys["co"][:, 0]
    first, edge = int((times <= end + NEAR).sum()), end + 1
    kept = _rows(keys, slice(first, None))
    if first < len(times) and times[first] <= edge + NEAR:
        _freeze(kept, 0, front=int(keys["interpolation"][first]) == _BEZIER)
        return kept
    if first == 0 or first == len(times):
        if first == 0:
            _freeze(kept, 0, front=int(keys["interpolation"][0]) == _BEZIER)
        points = [edge, edge + 1] if linear_ends else [edge]
        return _joined(linear_keys(np.array(points), np.array([evaluate(frame) for frame in points])), kept)
    kind = int(keys["interpolation"][first - 1])
    if kind > _BEZIER:
        _freeze(kept, 0, front=int(keys["interpolation"][first]) == _BEZIER)
        return _joined(_sampled(edge - 1, float(times[first]) - NEAR, evaluate), kept)
    cut = _cut(keys, first - 1, edge)
    middle = linear_keys(np.array([edge]), np.array([cut[2][1]]))
    middle["interpolation"][0] = kind
    if kind == _BEZIER:
        middle["handle_left_type"][0] = middle["handle_right_type"][0] = _FREE
        middle["handle_right"][0] = cut[3]
        _freeze(kept, 0, always=True)
        kept["handle_left"][0] = cut[4]
    else:
        _freeze(kept, 0, front=int(keys["interpolation"][first]) == _BEZIER)
    return _joined(middle, kept)


def _freeze(keys: Keys, row: int, *, always: bool = False, front: bool | None = None) -> None:
    """Keep the handles of a key at an edge: Blender would turn automatic ones to suit the new neighbour.

    Only where a curved stretch that stays hangs on them: behind the key, or in front of it when ``front`` says so.
    """
    curved = (row > 0 and int(keys["interpolation"][row - 1]) == _BEZIER) if front is None else front
    if not (curved or always):
        return
    for side in ("handle_left_type", "handle_right_type"):
        kind = int(keys[side][row])
        keys[side][row] = _ALIGNED if kind in (_AUTO, _CLAMPED) else _FREE if kind == _VECTOR else kind


def _level(keys: Keys, row: int, edge: float) -> None:
    """Let the curve run level from its last key to a new one at ``edge``."""
    keys["handle_left_type"][row] = keys["handle_right_type"][row] = _FREE
    place = keys["co"][row]
    keys["handle_right"][row] = [place[0] + (edge - place[0]) / 3, place[1]]
    keys["interpolation"][row] = _LINEAR


def _sampled(start: float, end: float, evaluate: Callable[[float], float]) -> Keys:
    """A linear key on every frame behind ``start`` up to ``end``: for bounces and their like, which cannot be cut."""
    frames = np.append(np.arange(np.floor(start) + 1, end - NEAR), end)
    return linear_keys(frames, np.array([evaluate(float(frame)) for frame in frames]))


def _cut(keys: Keys, row: int, frame: float) -> list[np.ndarray]:
    """Five points (2,) where the stretch from a key to the next is cut at ``frame``.

    The handle behind the first key, the handle before the new key, the new key, the handle behind it, and the handle
    before the next key.
    """
    first, last = keys["co"][row].astype(float), keys["co"][row + 1].astype(float)
    kind = int(keys["interpolation"][row])
    if kind == _CONSTANT:
        return [first, first, np.array([frame, first[1]]), last, last]
    share = (frame - first[0]) / (last[0] - first[0])
    if kind == _LINEAR:
        return [first, first, first + share * (last - first), last, last]
    length = last[0] - first[0]
    away, back = keys["handle_right"][row] - first, keys["handle_left"][row + 1] - last
    # Blender shortens handles that reach beyond the other key.
    away, back = (side * min(1.0, length / max(abs(side[0]), 1e-12)) for side in (away, back))
    points = np.array([first, first + away, last + back, last])
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _split(points, middle)[2][0] < frame:
            low = middle
        else:
            high = middle
    return _split(points, (low + high) / 2)


def _split(points: np.ndarray, share: float) -> list[np.ndarray]:
    """The inner points of the two halves of a cubic Bezier curve (4, 2)."""
    once = points[:-1] + share * np.diff(points, axis=0)
    twice = once[:-1] + share * np.diff(once, axis=0)
    return [once[0], twice[0], twice[0] + share * (twice[1] - twice[0]), twice[1], once[2]]
