# SPDX-License-Identifier: GPL-3.0-or-later
"""Expression and head motion of a mesh, apart: the one as a point cache on it, the other as keys of a bone it hangs on.

Playing both shows what was there before. What moved the mesh stays, hidden or muted (``records``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..timeline import evaluate, fcurves
from ..toolkit.blender import animation, compat, rig
from ..toolkit.errors import UsageError
from ..toolkit.geometry import rotations
from . import mesh_frames, records, result_files

BONE = "head"
CACHE = "Hyoid Expression"
_OFF = 1e-3
"""Of the size of a mesh: where it is farther than this from where it was read, it was changed meanwhile."""


@dataclass(frozen=True)
class Bone:
    """A pose bone that is to carry the head, and where it rests.

    Attributes:
        rest: (4, 4) float64, where it is in the world when the head is where the target had it.
        made: the armature came with it.
    """

    armature: Any
    name: str
    rest: np.ndarray
    made: bool

    @property
    def pose(self) -> Any:
        """The pose bone."""
        return self.armature.pose.bones[self.name]


def check_unchanged(scene: Any, obj: Any, vertices: np.ndarray, moves: np.ndarray, first: int) -> None:
    """Refuse a result that is not what the scene shows: the mesh was changed since it was read.

    Args:
        vertices: (F, n, 3) stabilised, in the world. moves: (F, 4, 4) what takes them to where they were.

    Raises:
        UsageError: it is another mesh now, or elsewhere.
    """
    size = max(float(np.ptp(vertices[0], axis=0).max()), 1e-12)
    with mesh_frames.shown(scene, obj) as at:
        for index in sorted({0, len(moves) // 2, len(moves) - 1}):
            points, _ = at(first + index)
            if len(points) != vertices.shape[1]:
                found = f"has {len(points)} vertices now and had {vertices.shape[1]}"
                raise UsageError(f"'{obj.name}' {found}: it was edited meanwhile", hint="Stabilize it again")
            there = vertices[index] @ moves[index, :3, :3].T + moves[index, :3, 3]
            if np.abs(there - points).max() > _OFF * size:
                raise UsageError(
                    f"'{obj.name}' is not what it was at frame {first + index}: it was changed meanwhile",
                    hint="Stabilize it again",
                )  # fmt: skip


def separate(
    scene: Any, obj: Any, vertices: np.ndarray, moves: np.ndarray, first: int, cache: Path, chosen: Any, bone: str
) -> records.Record:
    """Put the expression on a mesh and the head's motion on a bone that it hangs on; both are shown then.

    Args:
        vertices, moves: as in :func:`check_unchanged`. cache: the .pc2 to write.
        chosen: an armature object whose ``bone`` takes the motion; None makes a new one.

    Raises:
        UsageError: the chosen bone cannot move so. OutputError: the cache cannot be written.
    """
    if chosen is not None:
        check_bone(chosen, bone)
    world = np.array(obj.matrix_world, np.float64)
    result_files.write_cache(cache, vertices, np.linalg.inv(world), first)
    frames = np.arange(first, first + len(moves))
    name = f"{obj.name} head motion"
    slot = ""
    if chosen is None:
        head = _new_bone(scene, obj, vertices)
        local = np.linalg.inv(head.rest) @ moves @ head.rest
        rest: dict[str, list[float]] = {}
        action = bpy.data.actions.new(name)
        compat.fcurve_owner(head.armature, action)
    else:
        rested = np.array(chosen.matrix_world @ chosen.data.bones[bone].matrix_local, np.float64)
        head = Bone(chosen, bone, rested, False)
        local = _local(scene, head, frames, moves)
        rest = {key: list(getattr(head.pose, key)) for key in ("location", _turning(head.pose))}
        slot = _separate_action(chosen, name)
    curves = _key(head, frames, local)
    replaced, muted = records.replaced(obj, vertices.shape[1]), records.movers(obj)
    modifier = _cached(obj, cache, first)
    tail = np.eye(4)
    tail[1, 3] = head.armature.data.bones[head.name].length
    basis = np.array(obj.matrix_basis, np.float64)
    inverse = np.linalg.inv(head.rest @ tail) @ world @ np.linalg.inv(basis)
    record = records.Record(
        view=records.BOTH, modifier=modifier.name, bone=head.name, made=head.made, slot=slot, curves=curves,
        inverse=records.flat(inverse.tolist()), rest=rest, parent=records.before(obj), hidden=replaced, muted=muted,
        first=first,
    )  # fmt: skip
    obj[records.HEAD] = head.armature
    records.keep(obj, record)
    records.show(obj, records.BOTH)
    return record


def check_bone(armature: Any, name: str) -> None:
    """Refuse a bone that cannot take a head's motion.

    Raises:
        UsageError: it is not there, is held by something, or its animation cannot be changed.
    """
    bone = armature.pose.bones.get(name) if armature.type == "ARMATURE" else None
    if bone is None:
        raise UsageError(f"'{armature.name}' has no bone '{name}'", hint="Choose the bone that carries the head")
    fcurves.check_editable(armature)
    if bone.bone.use_connect:
        raise UsageError(
            f"the bone '{name}' is connected to its parent and cannot move away from it",
            hint="Untick Connected (bone properties, Relations), or choose a new armature",
        )  # fmt: skip
    held = [constraint.name for constraint in bone.constraints if not constraint.mute]
    if held:
        raise UsageError(f"the bone '{name}' is held by '{held[0]}'", hint="Mute its constraints first")
    if records.SEPARATE in armature:
        raise UsageError(f"'{armature.name}' carries another stabilized head already")


def _new_bone(scene: Any, obj: Any, vertices: np.ndarray) -> Bone:
    """An armature of one upright bone in the middle of the head, as it is on average."""
    mean = vertices.mean(0, dtype=np.float64)
    low, high = mean.min(0), mean.max(0)
    middle, height = (low + high) / 2, max(0.5 * float((high - low).max()), 1e-4)
    data = bpy.data.armatures.new(f"{obj.name} head")
    with rig.edit_bones(data) as edit:
        made = edit.new(BONE)
        made.head, made.tail = middle.tolist(), (middle + np.array([0.0, 0.0, height])).tolist()
        made.roll = 0.0
    armature = bpy.data.objects.new(f"{obj.name} head", data)
    below = scene.collection
    beside = next((one for one in obj.users_collection if one in below.children_recursive), below)
    beside.objects.link(armature)
    armature.show_in_front = True
    data.display_type = "STICK"
    rig.refresh(armature)
    return Bone(armature, BONE, np.array(data.bones[BONE].matrix_local, np.float64), True)


def _local(scene: Any, head: Bone, frames: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """What the bone's own transform must be, (F, 4, 4), for it to be moved in the world from where it rests.

    Raises:
        UsageError: it inherits a scale that only a scale could undo.
    """
    local, bone = np.empty((len(frames), 4, 4)), head.pose
    above = bone.parent.name if bone.parent else ""
    with evaluate.stepped(scene, head.armature, None) as step:
        for index, frame in enumerate(frames.tolist()):
            shown = head.armature.evaluated_get(step(frame))
            wanted = np.linalg.inv(np.array(shown.matrix_world, np.float64)) @ moves[index] @ head.rest
            parent = {}
            if above:
                parent = {
                    "parent_matrix": shown.pose.bones[above].matrix,
                    "parent_matrix_local": bone.bone.parent.matrix_local,
                }
            turned = bone.bone.convert_local_to_pose(
                Matrix(wanted.tolist()), bone.bone.matrix_local, invert=True, **parent
            )  # fmt: skip
            local[index] = turned
    sizes = np.linalg.norm(local[:, :3, :3], axis=1)
    if np.abs(sizes - 1).max() > 1e-3:
        raise UsageError(f"the bone '{head.name}' inherits a scale", hint="Choose a new armature")
    return local


def _separate_action(armature: Any, name: str) -> str:
    """Give an armature a copy of its action, or a new one, for the head's motion; the slot that it played."""
    data = armature.animation_data or armature.animation_data_create()
    slot = data.action_slot.identifier if compat.has_slots() and data.action_slot else ""
    if compat.playing(armature) is not None:
        armature[records.BEFORE] = data.action
        copied = data.action.copy()
        copied.name = name
        compat.swap_action(armature, copied)
    else:
        compat.fcurve_owner(armature, bpy.data.actions.new(name))
    armature[records.SEPARATE] = data.action
    return slot


def _turning(bone: Any) -> str:
    return animation.rotation_values(bone.rotation_mode, rotations.identity(1))[0]


def _key(head: Bone, frames: np.ndarray, local: np.ndarray) -> list[list[Any]]:
    """Key the bone's place and turn on every frame; the data paths and indices of the curves."""
    turns = rotations.continuous(rotations.from_matrix(local[:, :3, :3]))
    if head.made:
        head.pose.rotation_mode = "QUATERNION"
    name, values = animation.rotation_values(head.pose.rotation_mode, turns)
    container, made = fcurves.container_of(head.armature, f"{head.name} motion"), []
    base = f'pose.bones["{bpy.utils.escape_identifier(head.name)}"]'
    for path, columns in ((f"{base}.location", local[:, :3, 3]), (f"{base}.{name}", values)):
        for index in range(columns.shape[1]):
            fcurves.put(container, path, index, head.name, frames, columns[:, index])
            made.append([path, index])
    return made


def _cached(obj: Any, cache: Path, first: int) -> Any:
    """A modifier that replaces, at its place in the stack, all that bends the mesh by the cache."""
    place = mesh_frames.depth(obj)
    modifier = obj.modifiers.new(CACHE, "MESH_CACHE")
    modifier.cache_format = "PC2"
    modifier.filepath = _relative(cache)
    modifier.deform_mode, modifier.interpolation = "OVERWRITE", "LINEAR"
    modifier.time_mode, modifier.play_mode = "FRAME", "SCENE"
    modifier.frame_start, modifier.frame_scale = first, 1.0
    modifier.forward_axis, modifier.up_axis = "POS_Y", "POS_Z"
    modifier.show_expanded = False
    if place < len(obj.modifiers) - 1:
        _move(obj, modifier, place)
    return obj.modifiers[modifier.name]


def _relative(path: Path) -> str:
    """A path as seen from the .blend; the whole of it where there is none, or it lies on another drive."""
    try:
        return bpy.path.relpath(str(path)) if bpy.data.filepath else str(path)
    except ValueError:
        return str(path)


def _move(obj: Any, modifier: Any, place: int) -> None:
    if hasattr(obj.modifiers, "move"):
        obj.modifiers.move(obj.modifiers.find(modifier.name), place)
        return
    with bpy.context.temp_override(object=obj, active_object=obj):
        bpy.ops.object.modifier_move_to_index(modifier=modifier.name, index=place)
