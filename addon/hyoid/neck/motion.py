# SPDX-License-Identifier: GPL-3.0-or-later
"""The movement of head and neck, whoever makes it: read as the scene shows it, rewritten on other channels.

All rotations are unit quaternions w, x, y, z in the armature's axes (the neck's bones at rest stand in them).
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Quaternion

from ..characters import find
from ..timeline import evaluate, fcurves
from ..toolkit.blender import animation, compat, pack
from ..toolkit.blender.rig import CONTROL
from ..toolkit.characters import neck as anatomy
from ..toolkit.characters.neck import JOINTS
from ..toolkit.errors import UsageError
from ..toolkit.geometry import rotations
from . import joints

Span = tuple[float, float]
_ROUNDS = 8
_CLOSE = 1e-6


def bones_of(rig: Any) -> list[Any]:
    """The eight pose bones of a character's neck.

    Raises:
        UsageError: one is missing.
    """
    bones = rig.armature.pose.bones
    missing = [name for name in JOINTS if name not in bones]
    if missing:
        raise UsageError(f"'{rig.armature.name}' has no bone '{missing[0]}'", expected="the eight joints of the neck")
    return [bones[name] for name in JOINTS]


def shown(rig: Any, scene: Any, frames: np.ndarray) -> np.ndarray:
    """Rotations of the eight joints as the scene shows them, (n, 8, 4): control, limits and constraints included."""
    seen = evaluate.evaluate(scene, rig.armature, None, frames)
    return np.stack([seen.rotation(name) for name in JOINTS], 1)


def shown_now(rig: Any) -> np.ndarray:
    """The same for the pose in the viewport, unkeyed changes included, (8, 4)."""
    bpy.context.view_layer.update()
    turned = [np.array(joints.shown_rotation(bone)) for bone in bones_of(rig)]
    return np.stack([_turned(rig, name, row[None], 1)[0] for name, row in zip(JOINTS, turned, strict=True)])


def limits_of(rig: Any) -> Any:
    """The neck's ranges of motion of a character."""
    return find.facts_of(rig).neck


def distributed(rig: Any, head: np.ndarray) -> np.ndarray:
    """Head rotations (n, 4) as a living neck would share them among its joints, (n, 8, 4).

    Blender's Z is up and the toolkit's Y, so the vectors are turned on the way in and out.
    """
    return pack.to_blender(anatomy.distribute(limits_of(rig), evaluate.from_blender(head)))


def apart(first: np.ndarray, second: np.ndarray) -> float:
    """The largest angle between rotations (n, 4), degrees."""
    between = rotations.multiply(rotations.inverse(first), second)
    return float(np.degrees(np.linalg.norm(rotations.to_rotation_vector(between), axis=-1).max()))


def extent(rig: Any) -> Span | None:
    """First and last frame of the keys on head and neck (the armature's action), or None without keys."""
    container = compat.playing(rig.armature)
    if container is None:
        return None
    paths = {path for path, _ in _channels(rig)}
    times = [fcurves.key_frames(curve) for curve in container.fcurves if curve.data_path in paths]
    times = [row for row in times if len(row)]
    if not times:
        return None
    return float(min(row.min() for row in times)), float(max(row.max() for row in times))


def write(rig: Any, frames: np.ndarray, turned: np.ndarray) -> None:
    """Key the eight joints so that the scene shows ``turned``, and put the head control to rest.

    Keys within the range of ``frames`` are replaced. Outside it nothing changes: where the neck is animated outside, or
    the control was posed without a key, a key one frame before and after the range holds what was there.

    Args:
        frames: (n,), rising. turned: (n, 8, 4), what each joint shows with the control at rest.

    Raises:
        UsageError: see ``fcurves.check_editable``.
    """
    armature = rig.armature
    fcurves.check_editable(armature)
    span = (float(frames[0]), float(frames[-1]))
    whole = _covers(rig, span)
    container = fcurves.container_of(armature, f"{armature.name} neck")
    for bone, rows in zip(bones_of(rig), turned.swapaxes(0, 1), strict=True):
        attribute, values = _channel(rig, bone, rows)
        _put(rig, container, f'pose.bones["{bone.name}"].{attribute}', bone.name, frames, values, whole)
        setattr(bone, attribute, values[_nearest(frames, bpy.context.scene.frame_current)].tolist())
    rest_control(rig, container, span, whole)
    mute_others(rig)


def rest_control(rig: Any, container: Any, span: Span, whole: bool) -> None:
    """Put the head control to rest in a range: keys at zero, or none where none are needed."""
    ends = np.unique(np.array(span))
    over_nla = fcurves.has_nla(rig.armature)
    for path, rest in control_channels(rig):
        existing = [container.fcurves.find(path, index=index) for index in range(len(rest))]
        if whole and not over_nla:
            for curve in filter(None, existing):
                container.fcurves.remove(curve)
        elif over_nla or any(existing) or not _is_at_rest(rig, path, rest):
            group = CONTROL if path.startswith("pose") else "Controls"
            _put(rig, container, path, group, ends, np.tile(rest, (len(ends), 1)), whole)
        _assign(rig, path, rest)


def control_channels(rig: Any) -> list[tuple[str, np.ndarray]]:
    """Data paths of the head control with their values at rest: three properties and the rotation of the handle."""
    found = [(f'["{name}"]', np.zeros(1)) for name in joints.PROPERTIES if name in rig.armature]
    handle = rig.armature.pose.bones.get(CONTROL)
    if handle is not None:
        name = joints.rotation_path(handle)
        rest = {"rotation_quaternion": [1, 0, 0, 0], "rotation_axis_angle": [0, 0, 1, 0]}.get(name, [0, 0, 0])
        found.append((f'pose.bones["{CONTROL}"].{name}', np.array(rest, float)))
    return found


def mute_others(rig: Any) -> int:
    """Mute the constraints that an artist put on the neck: what they did is in the keys now. How many were muted."""
    count = 0
    for bone in bones_of(rig):
        for constraint in bone.constraints:
            if not constraint.name.startswith("Hyoid ") and not constraint.mute:
                constraint.mute = True
                count += 1
    return count


def collapse(rig: Any, scene: Any, frames: np.ndarray, turned: np.ndarray) -> float:
    """Give the whole movement of the head to the head control; the joints keep nothing of their own.

    The control shares its rotation among the joints in its own way, so it is asked and corrected a few times. What it
    cannot reach stays on the topmost joint, so that the head looks where it looked.

    Args:
        turned: (n, 8, 4), see :func:`shown`.

    Returns:
        The largest rotation that stayed on the topmost joint, degrees.
    """
    head = anatomy.collapse(turned)
    still = np.broadcast_to(np.array([1.0, 0, 0, 0]), turned.shape)
    vector = rotations.to_rotation_vector(head)
    write(rig, frames, still)
    missing = head
    for _ in range(_ROUNDS):
        _write_control(rig, frames, vector)
        reached = anatomy.collapse(shown(rig, scene, frames))
        missing = rotations.multiply(rotations.inverse(reached), head)
        if np.abs(missing[:, 1:]).max() < _CLOSE:
            break
        error = rotations.to_rotation_vector(rotations.multiply(head, rotations.inverse(reached)))
        vector = np.clip(vector + error, -np.pi, np.pi)
    left = np.linalg.norm(rotations.to_rotation_vector(missing), axis=-1)
    if left.max() > 1e-4:
        container = fcurves.container_of(rig.armature, f"{rig.armature.name} neck")
        _write_bone(rig, container, bones_of(rig)[-1], frames, missing)
    return float(np.degrees(left.max()))


def _write_control(rig: Any, frames: np.ndarray, vector: np.ndarray) -> None:
    """Key the head control: rotation vectors (n, 3) in the armature's axes."""
    container = fcurves.container_of(rig.armature, f"{rig.armature.name} neck")
    span = (float(frames[0]), float(frames[-1]))
    handle = rig.armature.pose.bones.get(CONTROL)
    if handle is None:
        degrees = np.degrees(np.stack([vector[:, 2], vector[:, 0], vector[:, 1]], -1))  # turn, nod, tilt
        for name, column in zip(joints.PROPERTIES, degrees.T, strict=True):
            fcurves.put(container, f'["{name}"]', 0, "Controls", frames, column, span)
        return
    _write_bone(rig, container, handle, frames, rotations.from_rotation_vector(vector))


def _write_bone(rig: Any, container: Any, bone: Any, frames: np.ndarray, turned: np.ndarray) -> None:
    """Key one bone, rotations (n, 4) in the armature's axes; its keys outside the frames stay."""
    attribute, values = _channel(rig, bone, turned)
    span = (float(frames[0]), float(frames[-1]))
    for index, column in enumerate(values.T):
        fcurves.put(container, f'pose.bones["{bone.name}"].{attribute}', index, bone.name, frames, column, span)


def _channel(rig: Any, bone: Any, turned: np.ndarray) -> tuple[str, np.ndarray]:
    """Property and values (n, 3 or 4) of a bone for rotations (n, 4) in the armature's axes, in its rotation mode."""
    local = rotations.continuous(_turned(rig, bone.name, turned, -1))
    return animation.rotation_values(bone.rotation_mode, local)


def _channels(rig: Any) -> list[tuple[str, np.ndarray]]:
    own = [(f'pose.bones["{bone.name}"].{joints.rotation_path(bone)}', np.zeros(4)) for bone in bones_of(rig)]
    return own + control_channels(rig)


def _covers(rig: Any, span: Span) -> bool:
    """Whether nothing of head and neck is animated outside a range."""
    keyed = extent(rig)
    return keyed is None or (span[0] <= keyed[0] + 1e-3 and span[1] >= keyed[1] - 1e-3)


def _is_at_rest(rig: Any, path: str, rest: np.ndarray) -> bool:
    value = rig.armature.path_resolve(path)
    return bool(np.allclose(value if hasattr(value, "__len__") else [value], rest))


def _put(rig: Any, container: Any, path: str, group: str, frames: np.ndarray, values: np.ndarray, whole: bool) -> None:
    """Key a channel within a range; without ``whole``, what lies a frame before and after it is held by keys."""
    span = (float(frames[0]), float(frames[-1]))
    for index, column in enumerate(values.T):
        curve = container.fcurves.find(path, index=index)
        if whole:
            kept = slice(0, 1) if np.ptp(column) == 0 else slice(None)
            fcurves.put(container, path, index, group, frames[kept], column[kept], span)
        elif curve is not None and len(curve.keyframe_points):
            fcurves.put_range(curve, frames, column)
        else:
            still = np.reshape(rig.armature.path_resolve(path), -1)[index]
            times = np.concatenate([[span[0] - 1], frames, [span[1] + 1]])
            fcurves.put(container, path, index, group, times, np.concatenate([[still], column, [still]]))


def _assign(rig: Any, path: str, rest: np.ndarray) -> None:
    if path.startswith("["):
        rig.armature[path[2:-2]] = float(rest[0])
        rig.armature.update_tag()
        return
    bone = rig.armature.pose.bones[CONTROL]
    setattr(bone, path.rpartition(".")[2], rest.tolist())


def _turned(rig: Any, bone: str, quaternions: np.ndarray, sign: int) -> np.ndarray:
    """Rotations (n, 4) from a bone's rest axes to the armature's (sign 1) or back (sign -1)."""
    axes = np.array(rig.armature.data.bones[bone].matrix_local.to_3x3(), np.float64)
    return rotations.in_axes(quaternions, axes.T if sign > 0 else axes)


def _nearest(frames: np.ndarray, frame: float) -> int:
    return int(np.abs(frames - frame).argmin())


def set_now(rig: Any, turned: np.ndarray, key: bool) -> None:
    """Pose the eight joints (8, 4) without an action, with the head control at rest; ``key``: key all of it here."""
    for bone, row in zip(bones_of(rig), turned, strict=True):
        joints.set_rotation(bone, Quaternion(_turned(rig, bone.name, row[None], -1)[0].tolist()))
        if key:
            joints.key_rotation(bone)
    rest_now(rig, key)


def rest_now(rig: Any, key: bool) -> None:
    """Put the head control to rest in the pose; ``key``: key that here."""
    for path, rest in control_channels(rig):
        _assign(rig, path, rest)
        if key:
            rig.armature.keyframe_insert(path)


def collapse_now(rig: Any, key: bool) -> float:
    """:func:`collapse` for the pose in the viewport."""
    head = anatomy.collapse(shown_now(rig)[None])
    set_now(rig, np.tile([1.0, 0, 0, 0], (8, 1)), False)
    vector, missing = rotations.to_rotation_vector(head), head
    for _ in range(_ROUNDS):
        _pose_control(rig, vector[0])
        reached = anatomy.collapse(shown_now(rig)[None])
        missing = rotations.multiply(rotations.inverse(reached), head)
        if np.abs(missing[:, 1:]).max() < _CLOSE:
            break
        error = rotations.to_rotation_vector(rotations.multiply(head, rotations.inverse(reached)))
        vector = np.clip(vector + error, -np.pi, np.pi)
    left = float(np.linalg.norm(rotations.to_rotation_vector(missing)))
    if left > 1e-4:
        top = bones_of(rig)[-1]
        joints.set_rotation(top, Quaternion(_turned(rig, top.name, missing, -1)[0].tolist()))
    if key:
        for bone in bones_of(rig):
            joints.key_rotation(bone)
        for path, _ in control_channels(rig):
            rig.armature.keyframe_insert(path)
    return float(np.degrees(left))


def _pose_control(rig: Any, vector: np.ndarray) -> None:
    """Pose the head control: a rotation vector (3,) in the armature's axes."""
    handle = rig.armature.pose.bones.get(CONTROL)
    if handle is None:
        for name, value in zip(joints.PROPERTIES, np.degrees(vector[[2, 0, 1]]), strict=True):
            rig.armature[name] = float(value)
        rig.armature.update_tag()
        return
    turned = _turned(rig, handle.name, rotations.from_rotation_vector(vector[None]), -1)[0]
    joints.set_rotation(handle, Quaternion(turned.tolist()))
