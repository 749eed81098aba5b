# SPDX-License-Identifier: GPL-3.0-or-later
"""Strips on the NLA track "Hyoid"."""

from __future__ import annotations

import math
from typing import Any

from ..toolkit.blender import compat

TRACK = "Hyoid"


def has_strips(owner: Any) -> bool:
    """Whether any NLA strip plays on an ID."""
    data = owner.animation_data
    return data is not None and any(len(track.strips) for track in data.nla_tracks)


def animated(owner: Any) -> set[str]:
    """The data paths that NLA strips of an ID move."""
    paths: set[str] = set()
    data = owner.animation_data
    for track in data.nla_tracks if data else ():
        for strip in track.strips:
            container = compat.strip_curves(strip)
            if container is not None:
                paths.update(curve.data_path for curve in container.fcurves)
    return paths


def container_of(owner: Any, name: str) -> Any:
    """The f-curves of the topmost strip of an ID that plays a take of a name; None when there is none."""
    data = owner.animation_data
    strips = [strip for track in data.nla_tracks for strip in track.strips] if data else []
    ours = (strip for strip in reversed(strips) if strip.action and strip.action.get("hyoid_take") == name)
    return next((container for container in map(compat.strip_curves, ours) if container is not None), None)


def push_down(owner: Any) -> None:
    """Turn the action that plays on an ID into a strip on a track of its own, as the NLA editor's Push Down does.

    Active actions lie above all strips, so a strip would not be seen otherwise.
    """
    if compat.playing(owner) is None:
        return
    data = owner.animation_data
    action, first = data.action, not has_strips(owner)
    track = data.nla_tracks.new()
    track.name = action.name
    strip = compat.new_strip(owner, track, action.name, math.floor(action.frame_range[0]))
    strip.extrapolation = "HOLD" if first else "HOLD_FORWARD"
    strip.blend_type = data.action_blend_type
    strip.influence = data.action_influence
    data.action = None


def add_strip(owner: Any, name: str, start: float, end: float, fades: tuple[float, float]) -> Any:
    """A strip that plays the action of an ID on the topmost track "Hyoid", or a new one when that has no room.

    Args:
        start, end: frames of the scene, the same as those of the keys. fades: frames of blending in and out.
    """
    data = owner.animation_data
    end = max(end, start + 1)
    track = _track(data, start, end)
    strip = compat.new_strip(owner, track, name, math.floor(start))
    strip.action_frame_start, strip.action_frame_end = start, end
    strip.frame_start, strip.frame_end = start, end
    strip.scale = 1.0
    strip.use_auto_blend = False
    strip.extrapolation = "NOTHING"
    strip.blend_type = "REPLACE"
    strip.blend_in, strip.blend_out = fades
    return strip


def add_rest(owner: Any, name: str, frame: int) -> None:
    """A strip that holds the one key of each channel of an ID's action at all times, on a track "Hyoid rest".

    Outside a strip Blender leaves properties as they happen to be; with this below, they rest.
    """
    track = owner.animation_data.nla_tracks.new()
    track.name = f"{TRACK} rest"
    strip = compat.new_strip(owner, track, name, frame)
    strip.action_frame_start, strip.action_frame_end = frame, frame + 1
    strip.extrapolation = "HOLD"
    strip.blend_type = "REPLACE"


def _track(data: Any, start: float, end: float) -> Any:
    """The topmost track if it is ours and free between two frames, else a new one above all others."""
    top = data.nla_tracks[-1] if len(data.nla_tracks) else None
    ours = top is not None and top.name.split(".")[0] == TRACK and not top.lock
    # Whole frames around it too: Blender places a new strip on a whole frame before it can be moved.
    if ours and all(strip.frame_end <= math.floor(start) or strip.frame_start >= end + 1 for strip in top.strips):
        return top
    track = data.nla_tracks.new()
    track.name = TRACK
    return track
