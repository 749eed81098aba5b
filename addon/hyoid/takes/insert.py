# SPDX-License-Identifier: GPL-3.0-or-later
"""A take onto a target: a Hyoid character, a mesh with a table of shapes, an armature with a table of bones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import bpy
import numpy as np

from ..characters import find, limits, update
from ..timeline.frames import scene_rate
from ..toolkit import take_edit
from ..toolkit.blender import action_units, animation, pack
from ..toolkit.characters import facs, gestures
from ..toolkit.errors import UsageError
from ..toolkit.geometry.rotations import identity
from ..toolkit.take import Take
from . import channels, mapping, placed, retarget
from .channels import Channel, Placement

_MAY_LACK = frozenset((*gestures.CURVES, gestures.TENSE, *(name for name, _ in gestures.COLLAR_BONES)))
"""What nobody misses on a character that does not have it."""

KINDS = ("curves", "joints", "root", "larynx")
"""What ``only`` may name besides curves and joints; ``larynx`` is ``larynxHeight`` and ``larynxSize``."""


def insert(
    context_or_scene: Any,
    target: Any,
    take: Take,
    placement: Placement,
    *,
    only: Collection[str] | None = None,
    keys: str = "dense",
    whole_frames: bool = True,
) -> str:
    """Put a take on a target in a scene and say in one line what was done.

    Args:
        context_or_scene: the scene, or a context, whose scene counts.
        target: an object: the armature or a mesh of a Hyoid character, a mesh with shape keys, another armature.
        placement: where and how; without ``last`` the whole take is used.
        only: names of curves and joints, or of ``KINDS``: nothing else changes, and the record of phones stays.
        keys: ``dense`` (a key on every frame) or ``sparse`` (the take's editable keys where it has them).
        whole_frames: dense keys lie on the frames of the scene when its rate is not the take's.

    Raises:
        UsageError: the target cannot play a take, or nothing in the take fits it.
    """
    scene = getattr(context_or_scene, "scene", context_or_scene)
    rate = scene_rate(scene)
    notes = ["its point cache is not imported, only its curves and joints"] if take.points is not None else []
    take = pack.with_gestures(replace(take, points=None))
    whole = take
    if only is not None:
        take = part_of(take, only)
    if keys == "dense" and whole_frames and abs(rate - take.fps) > 1e-6:
        take = take_edit.resample(take, rate)
    placement = _used(placement, take, rate, snap=keys == "dense" and whole_frames)
    made = channels_for(target, take, keys, notes)
    if only is not None and "root" not in only:
        made = [channel for channel in made if not channel.path.endswith(".location")]
    if not any(channel for channel in made if not channel.path.endswith(".location")) and not take.root.any():
        raise UsageError(f"nothing in the take fits '{target.name}'", expected=_expected(take))
    actions = channels.write(scene, made, placement)
    _remember(target, whole, placement, rate, actions, only)
    return _message(made, placement, rate, notes)


def _used(placement: Placement, take: Take, rate: float, *, snap: bool) -> Placement:
    """The placement with the seconds that are used: all by default; on whole frames of the scene when they snap."""
    end = (take.frames - 1) / take.fps
    ends = []
    for second, default in ((placement.first, 0.0), (placement.last, end)):
        if second is not None and snap:
            second = (round(placement.start + second * rate) - placement.start) / rate
        ends.append(default if second is None else second)
    return replace(placement, first=max(ends[0], 0.0), last=min(ends[1], end))


def channels_for(target: Any, take: Take, keys: str, notes: list[str]) -> list[Channel]:
    """The channels that a take moves on any target; remarks for the user are added to ``notes``.

    Raises:
        UsageError: the object is none that a take can move.
    """
    rig = find.rig_of(target)
    if rig is not None:
        if not {*take.joint_names} <= {bone.name for bone in rig.armature.pose.bones}:
            take = retarget.human_take(take)
        notes += free_neck(rig, take)
        notes += _action_units(rig, take)
        made = channels_for_rig(rig, take, keys)
        _note_missing(made, take, notes)
        return made
    if target is None or target.type not in ("MESH", "ARMATURE"):
        what = "nothing" if target is None else f"'{target.name}' ({target.type.lower()})"
        raise UsageError(
            f"{what} cannot play a take", expected="a Hyoid character, a mesh with shape keys, an armature"
        )
    made = []
    take = facs.expand(take)
    for obj in _together(target):
        write = mapping.channels_for_mesh if obj.type == "MESH" else mapping.channels_for_armature
        made += write(obj, take)
        notes += mapping.remarks(obj, take)
    if target.type == "MESH" and take.joint_names:
        idle = [armature.name for armature in _armatures(target) if not len(armature.hyoid_bone_map)]
        if idle:
            notes.append(f"'{idle[0]}' does not turn: guess its table of bones (Target Mapping) and import again")
    return made


def free_neck(rig: find.Rig, take: Take) -> list[str]:
    """Switch off the limits of a neck that a take goes beyond, and say so; nothing where it keeps to them."""
    armature = rig.armature
    if not armature.get("neck_limits", 0):
        return []
    beyond = limits.exceeded(rig, take)
    if not beyond:
        return []
    armature["neck_limits"] = type(armature["neck_limits"])(0)
    return [f"the limits of the neck are now off, as the take goes beyond them ({beyond[0]})"]


def _action_units(rig: find.Rig, take: Take) -> list[str]:
    """Give a character controls for action units if the take moves any and it has none; what to say of that."""
    moved = any(facs.unit(name) is not None and take.curve(name).any() for name in take.curve_names)
    if not moved or action_units.units(rig.armature) or rig.body.data.shape_keys is None:
        return []
    reason = update.hindrance(rig)
    if reason:
        return [f"its action units are left out: {reason}"]
    action_units.add(
        rig.armature, rig.parts, pack.action_units([key.name for key in rig.body.data.shape_keys.key_blocks])
    )
    return ["controls for action units were added"]


def channels_for_rig(rig: find.Rig, take: Take, keys: str = "dense") -> list[Channel]:
    """What a take moves on a Hyoid character: shape keys of the body, larynx properties, bones, the root.

    Args:
        keys: ``dense``, or ``sparse``: the take's editable keys where it has them.
    """
    every = np.arange(take.frames) / take.fps
    armature, shapes = rig.armature, rig.body.data.shape_keys
    made: list[Channel] = []
    units = action_units.units(armature)

    def sampled(channel: str, dense: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = take.keys.get(channel) if keys == "sparse" else None
        return (every, dense) if found is None else (np.asarray(found.times, np.float64), found.values)

    for index, name in enumerate(take.curve_names):
        times, values = sampled(name, take.curves[:, index])
        if name in pack.PROPERTY_CURVES:
            control = pack.PROPERTY_CURVES[name]
            if control in armature:
                made.append(Channel(armature, f'["{control}"]', 0, "Controls", times, values))
        elif facs.unit(name) in units:
            made.append(Channel(armature, f'["{facs.unit(name)}"]', 0, "Action Units", times, values))
        elif shapes is not None and name in shapes.key_blocks:
            path = f'key_blocks["{bpy.utils.escape_identifier(name)}"].value'
            made.append(Channel(shapes, path, 0, "Face", times, values))
    for index, name in enumerate(take.joint_names):
        bone = armature.pose.bones.get(name)
        if bone is not None:
            times, values = sampled(f"{name}.rotation", take.rotations[:, index])
            turned = pack.to_blender(values)
            made.append(channels.rotation_channel(armature, bone, times, animation.bone_rotations(bone.bone, turned)))
    root = find.root_bone(armature)
    if root is None:
        return made
    times, values = sampled("root", take.root)
    local = pack.to_blender(values) @ np.array(root.bone.matrix_local.to_3x3(), np.float32)
    path = f'pose.bones["{bpy.utils.escape_identifier(root.name)}"].location'
    made.append(Channel(armature, path, 3, root.name, times, local, optional=not local.any()))
    return made


def part_of(take: Take, only: Collection[str]) -> Take:
    """The take with some of its channels alone; see ``insert``.

    Raises:
        UsageError: the take has none of them.
    """
    wanted = set(only)
    if "larynx" in wanted:
        wanted |= set(pack.PROPERTY_CURVES)
    curves = [i for i, name in enumerate(take.curve_names) if name in wanted or "curves" in wanted]
    joints = [i for i, name in enumerate(take.joint_names) if name in wanted or "joints" in wanted]
    names = {take.curve_names[i] for i in curves} | {f"{take.joint_names[i]}.rotation" for i in joints}
    if "root" in wanted:
        names.add("root")
    if not names:
        raise UsageError("the take has none of the channels that are to change", expected=", ".join(sorted(wanted)))
    return replace(
        take,
        curve_names=tuple(take.curve_names[i] for i in curves),
        curves=take.curves[:, curves],
        joint_names=tuple(take.joint_names[i] for i in joints),
        rotations=take.rotations[:, joints] if joints else identity(take.frames, 0),
        root=take.root if "root" in wanted else np.zeros_like(take.root),
        keys={name: entry for name, entry in take.keys.items() if name in names},
    )


def _together(target: Any) -> list[Any]:
    """A target, and what belongs to the same character and has a table too: its armature, its other meshes."""
    if target.type == "MESH":
        armatures = [armature for armature in _armatures(target) if len(armature.hyoid_bone_map)]
        bound = set(_armatures(target))
    else:
        armatures, bound = [], {target}
    mapped = (obj for obj in bpy.data.objects if obj.type == "MESH" and len(obj.hyoid_shape_map))
    meshes = [obj for obj in mapped if bound & set(_armatures(obj))]
    return list(dict.fromkeys([target, *armatures, *meshes]))


def _armatures(mesh: Any) -> list[Any]:
    """The armature objects that deform a mesh."""
    found = (modifier.object for modifier in mesh.modifiers if modifier.type == "ARMATURE" and modifier.object)
    return list(dict.fromkeys(found))


def _note_missing(made: list[Channel], take: Take, notes: list[str]) -> None:
    paths = " ".join(channel.path for channel in made)
    lost = [
        name
        for name in take.curve_names
        if bpy.utils.escape_identifier(pack.PROPERTY_CURVES.get(name, facs.unit(name) or name)) not in paths
    ]
    lost = [name for name in lost if name not in _MAY_LACK and take.curve(name).any()]
    lost += [name for name in take.joint_names if f'"{bpy.utils.escape_identifier(name)}"' not in paths]
    lost = [name for name in lost if name not in _MAY_LACK]
    if lost:
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        notes.append(f"the character has no {', '.join(lost[:5])}{more}")


def _expected(take: Take) -> str:
    """What a target would have to have, by examples."""
    curves, joints = ", ".join(take.curve_names[:3]), ", ".join(take.joint_names[:3])
    wanted = [f"shape keys such as {curves}"] if curves else []
    return " or ".join([*wanted, *([f"bones such as {joints}"] if joints else [])]) or "a take with curves or joints"


def _remember(
    target: Any, take: Take, placement: Placement, rate: float, actions: list[Any], only: Collection[str] | None
) -> None:
    """Store where the take comes from, its phones and words on the target."""
    if only is not None:
        return
    rig = find.rig_of(target)
    assert placement.first is not None
    assert placement.last is not None
    audio = None
    if take.audio is not None:
        audio = {name: getattr(take.audio, name) for name in ("path", "sha256", "seconds", "offset")}
    entry = placed.Placed(
        name=placement.name, start=placement.start, rate=rate, fps=take.fps, first=placement.first,
        last=placement.last, mode=placement.mode, actions=tuple(action.name for action in actions), audio=audio,
        events=take.events, provenance=placed.provenance_of(take), timing=take.mode,
    )  # fmt: skip
    placed.store(target if rig is None else rig.armature, entry)


def _message(made: list[Channel], placement: Placement, rate: float, notes: list[str]) -> str:
    assert placement.first is not None
    assert placement.last is not None
    first, last = (placement.start + second * rate for second in (placement.first, placement.last))
    text = f"'{placement.name}' plays from frame {first:g} to {last:g}: {len(made)} channels"
    return "; ".join([text, *notes])
