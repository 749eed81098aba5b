# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels of a take written into actions: at a frame of the scene, as a new action, over a range, or as NLA strips.

Seconds become frames by the frame rate of the scene, which is never changed. From Blender 4.4 on one action holds all
channels, with a slot for each owner; before that each owner has an action of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..timeline import fcurves
from ..timeline.frames import scene_rate
from ..toolkit.blender import animation, compat
from ..toolkit.errors import UsageError
from . import nla

MODES = ("new", "replace", "nla")


@dataclass(frozen=True)
class Channel:
    """The values of one animated property over time.

    Attributes:
        owner: the ID that holds the property: an object, or the Key of a mesh.
        path: its data path from there. columns: 0 for a number, else the length of the array.
        group: title of the channel group.
        times: (n,) float64, rising, seconds from the start of the take.
        values: (n,) float32 for a number, (n, columns) for an array, in Blender's axes and units.
        optional: the values say "at rest"; they may be left out where nothing else moves the property.
    """

    owner: Any
    path: str
    columns: int
    group: str
    times: np.ndarray
    values: np.ndarray
    optional: bool = False


@dataclass(frozen=True)
class Placement:
    """Where and how channels go into a scene.

    Attributes:
        start: the frame of the scene at which second 0 of the take lies.
        mode: ``new``: a new action, the old one is kept; ``replace``: only the frames of the take change in the action
            that is there; ``nla``: a strip on the track "Hyoid".
        blend_in, blend_out: seconds in which the take fades from and to what was there (or the strips fade).
        name: of actions and strips.
        first, last: seconds of the take that are used; all by default.
    """

    start: float
    mode: str = "new"
    blend_in: float = 0.0
    blend_out: float = 0.0
    name: str = "take"
    first: float | None = None
    last: float | None = None


def rotation_channel(armature: Any, bone: Any, times: np.ndarray, local: np.ndarray) -> Channel:
    """A channel that turns a pose bone, in whatever rotation mode the artist keeps it.

    Args:
        local: (n, 4) unit quaternions w, x, y, z in the bone's own rest axes, without jumps of sign.
    """
    property_name, values = animation.rotation_values(bone.rotation_mode, local)
    path = f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"].{property_name}'
    resting = bool(np.abs(local - [1, 0, 0, 0]).max(initial=0) < 1e-7)
    return Channel(armature, path, values.shape[1], bone.name, times, values, optional=resting)


def write(scene: Any, channels: Sequence[Channel], placement: Placement) -> list[Any]:
    """Write channels into actions and give those; scene settings, other objects and other channels stay as they are.

    Raises:
        UsageError: nothing to write, an unknown mode, no second left between first and last, or data that belongs to
            another file.
    """
    channels = [channel for channel in channels if len(channel.times)]
    if placement.mode not in MODES:
        raise UsageError(f"the way to insert a take is '{placement.mode}'", expected=f"one of {', '.join(MODES)}")
    if not channels:
        raise UsageError("nothing in the take fits the target")
    span = _Span.of(channels, placement, scene_rate(scene))
    owners = list(dict.fromkeys(channel.owner for channel in channels))
    for owner in owners:
        fcurves.check_editable(owner, mixed=False, action=placement.mode == "replace")
    _widen_sliders(channels)
    if placement.mode == "nla":
        return _write_strips(owners, channels, placement, span)
    if placement.mode == "replace":
        return _write_range(owners, channels, placement, span)
    return _write_new(owners, channels, placement, span)


@dataclass(frozen=True)
class _Span:
    """The used seconds of a take, and their frames; ``fades`` are frames."""

    first: float
    last: float
    zero: float
    rate: float
    fades: tuple[float, float]

    @classmethod
    def of(cls, channels: Sequence[Channel], placement: Placement, rate: float) -> _Span:
        first = placement.first
        last = placement.last
        first = min(float(channel.times[0]) for channel in channels) if first is None else first
        last = max(float(channel.times[-1]) for channel in channels) if last is None else last
        if not first <= last:
            raise UsageError(f"no second of the take lies between {first:g} and {last:g}")
        fades = [max(fade, 0.0) for fade in (placement.blend_in, placement.blend_out)]
        scale = min(1.0, (last - first) / max(sum(fades), 1e-9))  # fades that do not fit share the time there is
        return cls(first, last, placement.start, rate, (fades[0] * scale * rate, fades[1] * scale * rate))

    @property
    def start(self) -> float:
        return self.zero + self.first * self.rate

    @property
    def end(self) -> float:
        return self.zero + self.last * self.rate

    def keys(self, channel: Channel) -> tuple[np.ndarray, np.ndarray]:
        """Frames (n,) float64 and values (n, columns) float32 of the used seconds."""
        times, values = np.asarray(channel.times, np.float64), np.asarray(channel.values, np.float32)
        values = values[:, None] if values.ndim == 1 else values
        if times[0] < self.first - 1e-9 or times[-1] > self.last + 1e-9:
            ends = np.array([self.first, self.last])
            inside = times[(times > ends[0] + 1e-9) & (times < ends[1] - 1e-9)]
            wanted = np.unique(np.concatenate([ends, inside]))
            values = _at(times, values, wanted, channel.path)
            times = wanted
        return self.zero + times * self.rate, values

    def whole(self, frames: np.ndarray, values: np.ndarray, path: str) -> tuple[np.ndarray, np.ndarray]:
        """The same keys from the first to the last frame of the range, with one on each whole frame of a fade."""
        wanted = [np.clip(frames, self.start, self.end), [self.start, self.end]]
        if self.fades[0]:
            wanted.append(np.arange(np.ceil(self.start), min(self.start + self.fades[0] + 1, self.end)))
        if self.fades[1]:
            wanted.append(np.arange(np.ceil(max(self.end - self.fades[1] - 1, self.start)), self.end))
        every = np.unique(np.concatenate(wanted))
        # Of keys that nearly coincide only one is kept, and always the ends.
        far = np.concatenate([np.diff(every) > fcurves.NEAR, [True]])
        far[0] = True
        every = every[far]
        return every, _at(frames, values, every, path)

    def weights(self, frames: np.ndarray) -> np.ndarray:
        """How much of the take shows at each frame, 0 to 1, with soft ends."""
        share = np.ones(len(frames))
        for distance, fade in ((frames - self.start, self.fades[0]), (self.end - frames, self.fades[1])):
            if fade:
                part = np.clip(distance / fade, 0, 1)
                share *= part * part * (3 - 2 * part)
        return share


def _at(times: np.ndarray, values: np.ndarray, wanted: np.ndarray, path: str) -> np.ndarray:
    """Linear interpolation of values (n, columns); quaternions stay of length one."""
    mixed = np.stack([np.interp(wanted, times, column) for column in values.T], -1)
    return _unit(mixed, path).astype(np.float32)


def _unit(values: np.ndarray, path: str) -> np.ndarray:
    if not path.endswith("rotation_quaternion"):
        return values
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)


# --- the three ways ---------------------------------------------------------------------------------------------------


def _write_new(owners: list[Any], channels: Sequence[Channel], placement: Placement, span: _Span) -> list[Any]:
    """A new action for the owners; what they played before fades into it and is kept."""
    before = {owner: compat.playing(owner) for owner in owners}
    blended = [_blended(channel, before[channel.owner], span) for channel in channels]
    for owner in owners:
        _keep(owner)
    containers, actions = _new_actions(owners, placement.name)
    for channel, (frames, values) in zip(channels, blended, strict=True):
        if not (channel.optional and _at_rest(channel, before[channel.owner])):
            _add(containers[channel.owner], channel, frames, values)
    return actions


def _write_range(owners: list[Any], channels: Sequence[Channel], placement: Placement, span: _Span) -> list[Any]:
    """The frames of the take in the actions that play now; owners that have none get a new one."""
    _refuse_hidden(channels)
    _unshare(owners)
    before = {owner: compat.playing(owner) for owner in owners}
    blended = [_blended(channel, before[channel.owner], span) for channel in channels]
    idle = [owner for owner in owners if before[owner] is None]
    existing = list(dict.fromkeys(owner.animation_data.action for owner in owners if before[owner] is not None))
    made, actions = _new_actions(idle, placement.name, existing[0] if existing else None)
    for channel, (frames, values) in zip(channels, blended, strict=True):
        container = before[channel.owner]
        if channel.optional and _at_rest(channel, container):
            continue
        if container is None:
            _add(made[channel.owner], channel, frames, values)
        else:
            _replace(container, channel, span, frames, values)
    return list(dict.fromkeys([*existing, *actions]))


def _write_strips(owners: list[Any], channels: Sequence[Channel], placement: Placement, span: _Span) -> list[Any]:
    """A new action that plays as one strip of each owner; an action that plays now goes down to a track of its own."""
    for owner in owners:
        nla.push_down(owner)
    moved = {owner: nla.animated(owner) for owner in owners}
    used = [
        channel
        for channel in channels
        if not (channel.optional and channel.path not in moved[channel.owner] and _at_rest(channel, None))
    ] or list(channels)
    _rest([channel for channel in used if channel.path not in moved[channel.owner]], placement, span)
    owners = list(dict.fromkeys(channel.owner for channel in used))
    containers, actions = _new_actions(owners, placement.name)
    for channel in used:
        _add(containers[channel.owner], channel, *span.keys(channel))
    for owner in owners:
        nla.add_strip(owner, placement.name, span.start, span.end, span.fades)
        owner.animation_data.action = None
    return actions


def _rest(channels: Sequence[Channel], placement: Placement, span: _Span) -> None:
    """Strips that hold the present values of properties which no other strip moves."""
    owners = list(dict.fromkeys(channel.owner for channel in channels))
    frame = int(np.floor(span.start))
    containers, _ = _new_actions(owners, f"{placement.name} rest")
    for channel in channels:
        _add(containers[channel.owner], channel, np.array([float(frame)]), _present(channel)[None])
    for owner in owners:
        nla.add_rest(owner, f"{placement.name} rest", frame)
        owner.animation_data.action = None


def write_into_strips(scene: Any, channels: Sequence[Channel], placement: Placement) -> int:
    """Replace a range in the actions that play a take as NLA strips, at the frames of their keys; how many channels.

    Strips may have been moved or scaled since: the keys below them have not. The take is known by ``placement.name``.
    Channels that rest in the whole take (``optional``) are left alone.
    """
    span = _Span.of(channels, placement, scene_rate(scene))
    containers = {channel.owner: nla.container_of(channel.owner, placement.name) for channel in channels}
    found = [channel for channel in channels if containers[channel.owner] is not None and not channel.optional]
    for channel in found:
        container = containers[channel.owner]
        _replace(container, channel, span, *_blended(channel, container, span))
    return len(found)


def _new_actions(owners: list[Any], name: str, shared: Any = None) -> tuple[dict[Any, Any], list[Any]]:
    """Where the channels of each owner go, and the actions: one for all from 4.4 on, else one each.

    Args:
        shared: an action that plays on other owners of the same character, to be used where it can hold all.
    """
    containers: dict[Any, Any] = {}
    actions: list[Any] = []
    kinds = {compat.id_type(owner) for owner in owners}
    for owner in owners:
        if compat.has_slots() and (actions or shared):
            action = actions[0] if actions else shared
        else:
            face = not compat.has_slots() and len(kinds) > 1 and compat.id_type(owner) == "KEY"
            action = bpy.data.actions.new(f"{name} face" if face else name)
            action["hyoid_take"] = name
        containers[owner] = compat.fcurve_owner(owner, action)
        if action not in actions:
            actions.append(action)
    return containers, actions


def _add(container: Any, channel: Channel, frames: np.ndarray, values: np.ndarray) -> None:
    """F-curves with linear keys; what never changes gets one key."""
    columns = values if channel.columns else values[:, 0]
    animation.add_channel(container, channel.path, channel.group, frames, columns)


def _replace(container: Any, channel: Channel, span: _Span, frames: np.ndarray, values: np.ndarray) -> None:
    """Put the keys into the f-curves that are there; new f-curves hold the present value outside."""
    frames, values = span.whole(frames, values, channel.path)
    present = _present(channel)
    for index in range(values.shape[1]):
        curve = container.fcurves.find(channel.path, index=index)
        column = values[:, index]
        if curve is not None and len(curve.keyframe_points):
            fcurves.put_range(curve, frames, column)
            continue
        if curve is None:
            curve = compat.new_fcurve(container, channel.path, index, channel.group)
        if np.abs(column - present[index]).max() < 1e-7:
            points = np.array([[frames[0], present[index]]])
        else:
            edges = [[frames[0] - 1, present[index]]], [[frames[-1] + 1, present[index]]]
            points = np.concatenate([edges[0], np.stack([frames, column], -1), edges[1]])
        animation.set_keys(curve, points)


# --- what was there before --------------------------------------------------------------------------------------------


def _blended(channel: Channel, container: Any, span: _Span) -> tuple[np.ndarray, np.ndarray]:
    """Frames and values of a channel, in its fades mixed with what plays now."""
    frames, values = span.keys(channel)
    if any(span.fades):
        frames, values = span.whole(frames, values, channel.path)
    shares = span.weights(frames)
    fading = np.flatnonzero(shares < 1)
    quaternion = channel.path.endswith("rotation_quaternion")
    if not (len(fading) or (quaternion and container is not None)):
        return frames, values
    rows = fading if len(fading) else np.array([0])
    old = _old(channel, container, frames[rows])
    if quaternion:
        # q and -q turn alike: take the sign that lies next to what was there.
        if (old[0] * values[rows[0]]).sum() < 0:
            values = -values
        old = np.where((old * values[rows]).sum(-1, keepdims=True) < 0, -old, old)
    if len(fading):
        values = values.copy()
        share = shares[fading, None]
        values[fading] = _unit(old * (1 - share) + values[fading] * share, channel.path)
    return frames, values


def _old(channel: Channel, container: Any, frames: np.ndarray) -> np.ndarray:
    """What a property had at some frames, (n, columns): its f-curves, else its present value."""
    present = _present(channel)
    old = np.repeat(present[None], len(frames), 0)
    for index in range(len(present)):
        curve = None if container is None else container.fcurves.find(channel.path, index=index)
        if curve is not None and len(curve.keyframe_points):
            old[:, index] = [curve.evaluate(float(frame)) for frame in frames]
    return old


def _present(channel: Channel) -> np.ndarray:
    """The value that a property has now, (columns,) float64."""
    return np.array(channel.owner.path_resolve(channel.path), np.float64).reshape(-1)


def _at_rest(channel: Channel, container: Any) -> bool:
    """Whether a property has the value of its channel, which never changes, and no f-curve moves it."""
    if container is not None and container.fcurves.find(channel.path, index=0) is not None:
        return False
    values = np.asarray(channel.values, np.float64).reshape(len(channel.times), -1)
    return bool(np.abs(values - _present(channel)).max() < 1e-6)


def _keep(owner: Any) -> None:
    """The action that plays now survives when it is no longer assigned."""
    data = owner.animation_data
    if data is not None and data.action is not None and data.action.library is None:
        data.action.use_fake_user = True


def _unshare(owners: list[Any]) -> None:
    """Give the owners a copy of an action that moves something else too, so that only they change."""
    actions = {owner.animation_data.action for owner in owners if compat.playing(owner) is not None}
    for action in actions:
        if compat.plays_elsewhere(action, owners):
            copied = action.copy()
            for owner in owners:
                if owner.animation_data and owner.animation_data.action == action:
                    compat.swap_action(owner, copied)


def _refuse_hidden(channels: Sequence[Channel]) -> None:
    """Say that keys in an action would hide NLA strips, before and after the range too.

    Raises:
        UsageError: strips move what the take moves, and the action that plays now does not.
    """
    moved = {owner: nla.animated(owner) for owner in {channel.owner for channel in channels}}
    for channel in channels:
        container = compat.playing(channel.owner)
        keyed = container is not None and container.fcurves.find(channel.path, index=0) is not None
        if channel.path in moved[channel.owner] and not channel.optional and not keyed:
            name = getattr(channel.owner, "name", "")
            hint = "Insert the take as an NLA strip, which lies over them only in its time"
            raise UsageError(f"NLA strips of '{name}' move what the take moves", hint=hint)


def _widen_sliders(channels: Sequence[Channel]) -> None:
    """Let the sliders of shape keys reach what the take asks for; Blender cuts off values beyond them."""
    for channel in channels:
        if channel.path.startswith("key_blocks[") and channel.path.endswith(".value"):
            key = channel.owner.path_resolve(channel.path[: -len(".value")])
            high, low = float(np.max(channel.values)), float(np.min(channel.values))
            if high > key.slider_max:
                key.slider_max = np.ceil(high)
            if low < key.slider_min:
                key.slider_min = np.floor(low)
