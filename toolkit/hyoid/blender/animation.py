# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""A take as Blender actions, timeline markers and sound."""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np

from . import compat

FIRST = 1
"""The frame of the scene at which a take starts."""

_LINEAR = 1  # the number of 'LINEAR' in the enum of keyframe interpolation


def add_take(scene: Any, armature: Any, body: Any, take: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Key a take: the armature object gets rotations, root and properties, the body's shape keys get the weights."""
    set_time(scene, take["fps"], take["frames"])
    keys = body.data.shape_keys
    action = _action(take["name"])
    containers = {"armature": compat.fcurve_owner(armature, action)}
    if keys is not None and any(channel["kind"] == "shape" for channel in take["channels"]):
        shared = compat.has_slots()
        containers["keys"] = compat.fcurve_owner(keys, action if shared else _action(f"{take['name']} face"))
    key_channels(armature, keys, containers, take["channels"], arrays, FIRST)
    armature["hyoid_provenance"] = take["provenance"]


def key_channels(
    armature: Any,
    keys: Any,
    containers: dict[str, Any],
    channels: list[dict[str, Any]],
    arrays: dict[str, np.ndarray],
    first: int,
) -> None:
    """Key the channels of a take, whose frame 0 is frame ``first`` of the scene.

    Args:
        keys: the body's shape keys, or None. containers: what holds the f-curves of ``armature`` and of ``keys``.
        channels, arrays: see ``pack.channels``; the parent sends only what the character has.
    """
    for index, channel in enumerate(channels):
        frames, values, path = arrays[f"frames_{index}"] + first, arrays[f"values_{index}"], data_path(channel)
        if channel["kind"] == "shape":
            key = keys.key_blocks[channel["target"]]
            key.slider_max = max(key.slider_max, math.ceil(float(values.max(initial=0))))
            key.slider_min = min(key.slider_min, math.floor(float(values.min(initial=0))))
            add_channel(containers["keys"], path, "Face", frames, values)
        elif channel["kind"] == "property":
            add_channel(containers["armature"], path, "Controls", frames, values)
        else:
            bone, group = armature.data.bones[channel["target"]], bpy.utils.escape_identifier(channel["target"])
            if channel["kind"] == "rotation":
                local = bone_rotations(bone, values)
            else:
                local = values @ np.array(bone.matrix_local.to_3x3(), np.float32)
            add_channel(containers["armature"], path, group, frames, local)


def data_path(channel: dict[str, Any]) -> str:
    """What a channel of a take animates: a path from the shape keys or from the armature object."""
    target = bpy.utils.escape_identifier(channel["target"])
    return {
        "shape": f'key_blocks["{target}"].value',
        "property": f'["{target}"]',
        "rotation": f'pose.bones["{target}"].rotation_quaternion',
        "root": f'pose.bones["{target}"].location',
    }[channel["kind"]]


def set_time(scene: Any, fps: float, frames: int) -> None:
    """Frame rate (29.97 becomes 30 / 1.001) and frame range of the scene."""
    scene.render.fps = max(math.ceil(fps - 1e-6), 1)
    scene.render.fps_base = scene.render.fps / fps
    scene.frame_start, scene.frame_end = FIRST, FIRST + max(frames - 1, 0)


def bone_rotations(bone: Any, rotations: np.ndarray) -> np.ndarray:
    """Rotations in world-aligned axes (frames, 4) w, x, y, z as rotations in the bone's own rest axes.

    With the rest orientation M of the bone that is M^-1 R M, so the vector part is turned by M^-1. Signs are chosen so
    that neighbours never jump to the opposite quaternion, between which an f-curve would pass through zero.
    """
    rest = np.array(bone.matrix_local.to_3x3(), np.float64)
    local = np.concatenate([rotations[:, :1], rotations[:, 1:] @ rest], -1).astype(np.float64)
    flips = np.where((local[1:] * local[:-1]).sum(-1) < 0, -1.0, 1.0)
    local[1:] *= np.cumprod(flips)[:, None]
    return local.astype(np.float32)


def rotation_values(mode: str, quaternions: np.ndarray) -> tuple[str, np.ndarray]:
    """Rotations as an object or bone in a rotation mode keeps them: the name of the property and its values.

    Args:
        mode: ``QUATERNION``, ``AXIS_ANGLE`` or an order of Euler angles such as ``XYZ``.
        quaternions: (n, 4) w, x, y, z, without jumps of sign.

    Returns:
        ``rotation_quaternion`` (n, 4), ``rotation_axis_angle`` (n, 4) angle, x, y, z, or ``rotation_euler`` (n, 3),
        radians, which run on past a full turn.
    """
    if mode == "QUATERNION":
        return "rotation_quaternion", quaternions
    if mode == "AXIS_ANGLE":
        vectors, real = quaternions[:, 1:].astype(np.float64), quaternions[:, 0].astype(np.float64)
        sines = np.linalg.norm(vectors, axis=-1)
        axes = np.where(sines[:, None] > 1e-9, vectors / np.maximum(sines, 1e-12)[:, None], [0.0, 1.0, 0.0])
        # An axis that turns round between two frames would swing through zero: keep it on one side.
        flips = np.cumprod(np.where((axes[1:] * axes[:-1]).sum(-1) < 0, -1.0, 1.0))
        sides = np.append(np.ones(1), flips)
        angles = np.unwrap(2 * np.arctan2(sides * sines, real))
        return "rotation_axis_angle", np.concatenate([angles[:, None], sides[:, None] * axes], -1).astype(np.float32)
    from mathutils import Quaternion

    angles, before = np.empty((len(quaternions), 3), np.float32), None
    for row, quaternion in enumerate(quaternions.tolist()):
        turn = Quaternion(quaternion)
        before = turn.to_euler(mode) if before is None else turn.to_euler(mode, before)
        angles[row] = before
    return "rotation_euler", angles


def add_channel(container: Any, data_path: str, group: str, frames: np.ndarray, values: np.ndarray) -> None:
    """F-curves with linear keys: one for values (n,), one a column for (n, k). What never changes gets one key."""
    columns = values[:, None] if values.ndim == 1 else values
    for index in range(columns.shape[1]):
        column = columns[:, index]
        moving = len(column) > 1 and np.ptp(column) > 0
        points = np.stack([frames, column], -1) if moving else np.array([[frames[0], column[0]]])
        curve = compat.new_fcurve(container, data_path, index if values.ndim > 1 else 0, group)
        set_keys(curve, points)


def set_keys(curve: Any, points: np.ndarray) -> None:
    """Give an empty f-curve linear keys at ``points`` (n, 2): frame, value, by rising frame."""
    keys = curve.keyframe_points
    keys.add(len(points))
    keys.foreach_set("co", np.ascontiguousarray(points, np.float32).reshape(-1))
    keys.foreach_set("interpolation", np.full(len(points), _LINEAR, np.int32))
    curve.update()


def _action(name: str) -> Any:
    action = bpy.data.actions.new(name)
    action.use_fake_user = True
    return action


def add_markers(scene: Any, take: dict[str, Any]) -> None:
    """Timeline markers: each phoneme at its start, with the word where one begins: ``M  (my)``."""
    names: dict[int, list[str]] = {}
    for kind, pattern in (("phone", "{}"), ("word", "({})")):
        for event in take["events"]:
            if event["kind"] == kind and event["name"]:
                frame = FIRST + round(event["start"] * take["fps"])
                names.setdefault(frame, []).append(pattern.format(event["name"]))
    for frame in sorted(names):
        scene.timeline_markers.new("  ".join(names[frame])[:63], frame=frame)


def add_sound(scene: Any, take: dict[str, Any], mode: str, emit: Any) -> bool:
    """Put the sound of the take on the timeline, packed into the file or linked by its path; whether there is one."""
    audio = take["audio"]
    if audio is None or mode == "none":
        return False
    start, frames = FIRST + audio["offset"] * take["fps"], round(audio["seconds"] * take["fps"])
    try:
        strip = compat.new_sound_strip(scene, "Voice", audio["path"], round(start), frames)
    except RuntimeError as error:
        text = f"{audio['path']}: Blender cannot read the sound; the file is written without it ({error})"
        emit(event="message", level="warning", text=" ".join(text.split()))
        return False
    if mode == "pack":
        strip.sound.pack()
    scene.sync_mode = "AUDIO_SYNC"
    scene.use_audio_scrub = True
    return True
