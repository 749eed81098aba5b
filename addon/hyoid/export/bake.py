# SPDX-License-Identifier: GPL-3.0-or-later
"""All that the scene shows of a character as one plain action: no NLA, no constraints, no controls to play it.

What the artist had is kept: the former actions stay in the file, NLA tracks and constraints are muted, not removed.
Drivers that belong to the character (larynx, eyes, teeth and tongue) go on working; their inputs are keyed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
import numpy as np

from ..characters import find
from ..neck import joints, motion
from ..timeline import evaluate, fcurves
from ..toolkit.blender import animation, compat
from ..toolkit.blender.rig import CONTROL
from ..toolkit.geometry import rotations
from . import sample

_STILL = 1e-6
_RESTING = {"location": 0.0, "scale": 1.0}


def performance(
    rig: Any, scene: Any, frames: np.ndarray, name: str, progress: Callable[[float], None] | None = None
) -> tuple[Any, int]:
    """Bake a character into a new action.

    Args:
        frames: (n,), rising, frames of the scene that get keys. name: of the action.

    Returns:
        The action (before Blender 4.4 the armature's; the face has one of its own) and the number of keys.

    Raises:
        UsageError: the character is linked from another file, or an NLA strip is being tweaked.
    """
    armature, keys = rig.armature, rig.body.data.shape_keys
    owners = [armature] if keys is None else [armature, keys]
    for owner in owners:
        fcurves.check_editable(owner, mixed=False)
    record = find.facts_of(rig)
    paths = _paths(armature)
    seen = evaluate.evaluate(scene, armature, keys, frames, paths=paths, progress=progress)
    curves = sample.curves_of(seen.weights)
    turns = {bone: _rotation(seen, bone, record, curves) for bone in seen.bones if bone != CONTROL}
    _put_away(rig, owners)
    action = bpy.data.actions.new(name)
    action.use_fake_user = True
    container, count = compat.fcurve_owner(armature, action), 0

    def put(path: str, group: str, values: np.ndarray, to: Any) -> int:
        return sum(_put(to, path, index, group, frames, column) for index, column in enumerate(values.T))

    for bone, turned in turns.items():
        count += _bone(armature, seen, bone, turned, put, container)
    for path, values in seen.numbers.items():
        if np.ptp(values, axis=0).max() == 0:
            _hold(armature, path, values[0])  # a key would stand in the way of whoever moves the slider
        else:
            count += put(path, "Controls" if path.startswith("[") else "Object Transforms", values, container)
    if keys is not None:
        shared = compat.has_slots()
        face = compat.fcurve_owner(keys, action if shared else _face_action(name))
        for block in list(keys.key_blocks)[1:]:
            if not find.is_own_key(block.name) and not block.mute:
                path = f'key_blocks["{bpy.utils.escape_identifier(block.name)}"].value'
                count += put(path, "Face", seen.weights[block.name][:, None], face)
    for owner in owners:
        _silence_drivers(owner)
    return action, count


def _face_action(name: str) -> Any:
    action = bpy.data.actions.new(f"{name} face")
    action.use_fake_user = True
    return action


def _paths(armature: Any) -> list[str]:
    """Numbers of the armature object that are keyed besides its bones: its controls, and what of it is animated."""
    skipped = {*joints.PROPERTIES}
    found = [
        f'["{bpy.utils.escape_identifier(name)}"]'
        for name, value in armature.items()
        if isinstance(value, (int, float)) and name not in skipped
    ]
    for container in _containers(armature):
        for curve in container.fcurves:
            if not curve.data_path.startswith(("pose.", "[")):
                found.append(curve.data_path)
    return list(dict.fromkeys(found))


def _containers(owner: Any) -> list[Any]:
    """What animates an ID: its action and the actions of its NLA strips."""
    found = [compat.playing(owner)]
    data = owner.animation_data
    if data is not None:
        for track in data.nla_tracks:
            found += [compat.strip_curves(strip) for strip in track.strips if strip.action is not None]
    return [container for container in found if container is not None]


def _rotation(seen: evaluate.Evaluated, bone: str, record: Any, curves: dict[str, np.ndarray]) -> np.ndarray:
    """The rotation of a bone in its rest axes, (n, 4), without what its drivers add from the face's curves."""
    turned = sample.without_looks(seen.rotation(bone), bone, record, curves)
    axes = seen.rest[seen.bones.index(bone), :3, :3]
    return rotations.continuous(rotations.normalise(rotations.in_axes(turned, axes)))


def _bone(
    armature: Any, seen: evaluate.Evaluated, name: str, turned: np.ndarray, put: Callable[..., int], container: Any
) -> int:
    """Key one bone: its rotation in the mode that it has, its place and scale where they are not at rest."""
    bone = armature.pose.bones[name]
    path = f'pose.bones["{bpy.utils.escape_identifier(name)}"]'
    basis = seen.basis(name)
    count = 0
    if np.abs(turned[:, 1:]).max(initial=0) > _STILL:
        attribute, values = animation.rotation_values(bone.rotation_mode, turned)
        count += put(f"{path}.{attribute}", name, np.asarray(values), container)
    else:
        joints.set_rotation(bone, joints.Quaternion())
    scale = np.linalg.norm(basis[:, :3, :3], axis=-2)
    for attribute, values, small in (("location", basis[:, :3, 3], 2e-6), ("scale", scale, 1e-5)):
        if np.abs(values - _RESTING[attribute]).max() > small:
            count += put(f"{path}.{attribute}", name, values, container)
        else:
            setattr(bone, attribute, (_RESTING[attribute],) * 3)
    return count


def _put(container: Any, path: str, index: int, group: str, frames: np.ndarray, column: np.ndarray) -> int:
    span = (frames[0], frames[-1])
    if len(column) > 1 and np.ptp(column) == 0:
        frames, column = frames[:1], column[:1]
    fcurves.put(container, path, index, group, frames, column, span)
    return len(frames)


def _hold(armature: Any, path: str, value: np.ndarray) -> None:
    """Give a property of the armature object a value that no key holds."""
    if not path.startswith("["):
        owner, _, name = path.rpartition(".")
        setattr(armature.path_resolve(owner) if owner else armature, name, value if len(value) > 1 else value[0])
        return
    name = next(name for name in armature.keys() if path == f'["{bpy.utils.escape_identifier(name)}"]')  # noqa: SIM118
    armature[name] = type(armature[name])(value[0])


def _put_away(rig: Any, owners: list[Any]) -> None:
    """Keep what played so far, but silence it: old actions, NLA tracks, the artist's constraints."""
    for owner in owners:
        data = owner.animation_data
        if data is None:
            continue
        if data.action is not None:
            data.action.use_fake_user = True
            data.action = None
        for track in data.nla_tracks:
            track.mute = True
        data.action_blend_type, data.action_influence = "REPLACE", 1.0
    for bone in rig.armature.pose.bones:
        for constraint in bone.constraints:
            if not constraint.name.startswith("Hyoid "):
                constraint.mute = True
    motion.rest_now(rig, False)


def _silence_drivers(owner: Any) -> None:
    """Mute drivers of channels that have keys now: an artist's, for none of the character's own is baked."""
    keyed = {(curve.data_path, curve.array_index) for curve in compat.playing(owner).fcurves}
    for driver in owner.animation_data.drivers:
        if (driver.data_path, driver.array_index) in keyed:
            driver.mute = True
