# SPDX-License-Identifier: GPL-3.0-or-later
"""A take on a mesh or an armature of anybody's, through the tables that are stored on the object."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np

from ..toolkit.geometry import rotations
from ..toolkit.take import Take
from . import mapping_table, retarget, visemes
from .channels import Channel, rotation_channel
from .guess_bones import NECK, SPINE, BoneRow
from .guess_shapes import guess_shapes

__all__ = ["channels_for_armature", "channels_for_mesh", "guess_shapes", "model_axes", "remarks", "stands_on_ik"]

_STILL = 1e-7
_TRUNK = ("root", *SPINE, *NECK)
_AXES = {"X": (1, 0, 0), "-X": (-1, 0, 0), "Y": (0, 1, 0), "-Y": (0, -1, 0), "Z": (0, 0, 1), "-Z": (0, 0, -1)}


def channels_for_mesh(obj: Any, take: Take) -> list[Channel]:
    """What a take does to the shape keys of a mesh by its shape map, which is guessed if it is empty.

    Lines with one target add up; the sum stays within the slider of the key, unless the object's ``hyoid_map.widen``.

    Raises:
        UsageError: the mesh has no shape keys, or no table and names that say nothing.
    """
    if not len(obj.hyoid_shape_map):
        mapping_table.guess_shape_table(obj)
    keys = obj.data.shape_keys
    if keys is None:
        return []
    values = _Sources(take)
    sums: dict[str, np.ndarray] = {}
    for row in mapping_table.shape_rows(obj):
        found = values.get(row.source)
        if found is not None and row.target in keys.key_blocks:
            sums[row.target] = sums.get(row.target, 0) + row.factor * found
    times = np.arange(take.frames) / take.fps
    result = []
    for name, total in sums.items():
        key = keys.key_blocks[name]
        if not obj.hyoid_map.widen:
            total = np.clip(total, key.slider_min, key.slider_max)
        path = f'key_blocks["{bpy.utils.escape_identifier(name)}"].value'
        result.append(Channel(keys, path, 0, "Face", times, np.asarray(total, np.float32)))
    return result


class _Sources:
    """The values of sources of a shape map at the frames of a take."""

    def __init__(self, take: Take) -> None:
        self.take = take
        self.sets: dict[str, dict[str, np.ndarray]] = {}

    def get(self, source: str) -> np.ndarray | None:
        """(frames,) float32, 0 at rest; None if the take cannot tell."""
        space = next((space for space in visemes.SETS if source.startswith(space)), None)
        if space is not None:
            if space not in self.sets:
                known = visemes.tells(self.take)
                self.sets[space] = visemes.weights(self.take, space)[0] if known else {}
            return self.sets[space].get(source)
        if source not in self.take.curve_names:
            return None
        # Of all curves the size of the larynx alone rests at 1.
        return self.take.curve(source) - (1 if source == "larynxSize" else 0)


def channels_for_armature(obj: Any, take: Take) -> list[Channel]:
    """What a take does to the bones of an armature by its bone map, which is guessed if it is empty.

    Raises:
        UsageError: no table, and names that say nothing.
    """
    if not len(obj.hyoid_bone_map):
        mapping_table.guess_bone_table(obj)
    rows = {row.target: row for row in mapping_table.bone_rows(obj) if row.target in obj.data.bones}
    take = retarget.human_take(take, align=obj.hyoid_map.align)
    turns = retarget.turns_of(take)
    axes = model_axes(obj, list(rows.values()))
    times = np.arange(take.frames) / take.fps
    pose = _Pose(obj, rows, turns, take.frames, axes)
    result = []
    for name, row in rows.items():
        turn = pose.own(name)
        if not any(source in turns for source in row.sources) and np.abs(np.abs(turn) - [1, 0, 0, 0]).max() < _STILL:
            continue
        rest = np.array(obj.data.bones[name].matrix_local.to_3x3(), np.float64)
        local = rotations.in_axes(turn, axes.T @ rest)
        local = rotations.continuous(rotations.normalise(local)).astype(np.float32)
        if local[0, 0] < 0:
            local = -local
        result.append(rotation_channel(obj, obj.pose.bones[name], times, local))
    travel = _travel(obj, rows, take, axes, times)
    return result if travel is None else [*result, travel]


def remarks(obj: Any, take: Take) -> list[str]:
    """What a user should know about a take on a mesh or an armature, clauses without a capital letter."""
    if obj.type == "MESH":
        speech = any(row.source.startswith(tuple(visemes.SETS)) for row in mapping_table.shape_rows(obj))
        if speech and visemes.tells(take) and not visemes.sounds(take.events, take.seconds):
            return [f"the take has no sounds: the mouth shapes of '{obj.name}' are told from its face curves, roughly"]
        return []
    rows = mapping_table.bone_rows(obj)
    limbs = {source for row in rows for source in row.sources if retarget.is_limb(source)}
    if limbs & set(take.joint_names) and stands_on_ik(obj, rows):
        return [f"limbs of '{obj.name}' stand on IK: switch them to FK to see their turns"]
    return []


def stands_on_ik(obj: Any, rows: Sequence[BoneRow]) -> bool:
    """Whether a limb of a Rigify armature, whose FK controls are mapped, follows its IK controls."""
    if not any("_fk" in row.target.lower() for row in rows):
        return False
    return any("IK_FK" in bone and float(bone["IK_FK"]) < 0.5 for bone in obj.pose.bones)


def model_axes(obj: Any, rows: Sequence[BoneRow]) -> np.ndarray:
    """The model axes in the armature's own: columns are the character's left, up and forward, (3, 3).

    Up is the armature's axis that is nearest to the way from hips to head, left the one nearest to the way from the
    right limbs to the left ones; ``hyoid_map.facing`` decides instead if it is set.
    """
    heads = {row.sources[0]: np.array(obj.data.bones[row.target].head_local) for row in rows}
    heads |= {row.sources[-1]: heads[row.sources[0]] for row in rows}
    bones = {row.sources[-1]: obj.data.bones[row.target] for row in rows}
    trunk = [joint for joint in _TRUNK if joint in heads]
    way = np.zeros(3)
    if len(trunk) > 1:
        way = heads[trunk[-1]] - heads[trunk[0]]
    if np.linalg.norm(way) < 1e-6 and trunk:
        bone = bones.get(trunk[-1]) or next(iter(bones.values()))
        way = np.array(bone.tail_local) - np.array(bone.head_local)
    up = _snapped(way, np.array([0.0, 0.0, 1.0]))
    if obj.hyoid_map.facing != "AUTO":
        forward = np.array(_AXES[obj.hyoid_map.facing], float)
        if abs(forward @ up) < 0.5:
            return np.stack([np.cross(up, forward), up, forward], -1)
    across = np.zeros(3)
    for joint, head in heads.items():
        if joint.endswith(".L") and f"{joint[:-1]}R" in heads:
            across += head - heads[f"{joint[:-1]}R"]
    across -= up * (across @ up)
    if np.linalg.norm(across) > 1e-6:
        left = _snapped(across, across)
    else:
        # Blender's characters look along -Y, those that stand along Y look along Z; both have +X on their left.
        left = np.array([1.0, 0, 0]) if abs(up[0]) < 0.5 else np.array([0.0, 1.0, 0])
    return np.stack([left, up, np.cross(left, up)], -1)


def _snapped(way: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """The signed axis that is nearest to a direction."""
    way = way if np.linalg.norm(way) > 1e-6 else fallback
    axis = np.zeros(3)
    best = int(np.abs(way).argmax())
    axis[best] = math.copysign(1.0, way[best])
    return axis


class _Pose:
    """The turns of a whole armature in model axes, from those that its mapped bones shall have.

    A mapped bone turns with the next mapped bone above it and by its own product of joints. What Blender makes of the
    bones between (they may not inherit rotation, or copy it from elsewhere, as Rigify's neck does) is taken off again.
    """

    def __init__(
        self, obj: Any, rows: dict[str, BoneRow], turns: dict[str, np.ndarray], frames: int, axes: np.ndarray
    ) -> None:
        self.obj, self.rows, self.turns = obj, rows, turns
        self.rest = np.broadcast_to(np.array([1.0, 0, 0, 0]), (frames, 4))
        self.whole: dict[str, np.ndarray] = {}
        self.aligned: dict[str, np.ndarray] = {}
        self.limbs = _limb_directions(obj, rows, axes) if obj.hyoid_map.align else {}

    def own(self, name: str) -> np.ndarray:
        """The turn (frames, 4) that a mapped bone itself has to make, against what carries it."""
        return rotations.multiply(rotations.inverse(self._carried(self.obj.data.bones[name])), self._whole(name))

    def _whole(self, name: str) -> np.ndarray:
        """The turn of a bone against its rest."""
        if name in self.whole:
            return self.whole[name]
        bone = self.obj.data.bones[name]
        if name not in self.rows:
            result = self._constrained(name, self._carried(bone))
        else:
            above = self._mapped_above(bone)
            product = retarget.product(self.turns, self.rows[name].sources)
            product = self._matched(name, above, self.rest if product is None else product)
            result = product if above is None else rotations.multiply(self._whole(above), product)
        self.whole[name] = result
        return result

    def _carried(self, bone: Any) -> np.ndarray:
        return self.rest if bone.parent is None or not bone.use_inherit_rotation else self._whole(bone.parent.name)

    def _mapped_above(self, bone: Any) -> str | None:
        while bone.parent is not None:
            bone = bone.parent
            if bone.name in self.rows:
                return bone.name
        return None

    def _constrained(self, name: str, turn: np.ndarray) -> np.ndarray:
        """What Copy Rotation constraints of an unmapped bone make of its turn."""
        for constraint in self.obj.pose.bones[name].constraints:
            if (
                constraint.type == "COPY_ROTATION"
                and not constraint.mute
                and constraint.influence > 0
                and constraint.target == self.obj
                and constraint.subtarget in self.obj.data.bones
                and constraint.mix_mode == "REPLACE"
                and constraint.owner_space == constraint.target_space == "WORLD"
                and not self._below(constraint.subtarget, name)
            ):
                other = self._whole(constraint.subtarget)
                turn = rotations.slerp(turn, other, np.float64(constraint.influence))
        return turn

    def _below(self, name: str, above: str) -> bool:
        bone = self.obj.data.bones[name]
        return name == above or any(parent.name == above for parent in bone.parent_recursive)

    def _matched(self, name: str, above: str | None, product: np.ndarray) -> np.ndarray:
        """A product of joints corrected for limbs that rest in another direction than the human's."""
        before = self.rest[0] if above is None else self.aligned.get(above, self.rest[0])
        sources = self.rows[name].sources
        base = next((source[:-2] for source in sources if source[:-2] in retarget.NEXT), None)
        own = before
        if base is not None:
            sided = f"{base}.{sources[-1][-1]}"
            moving = any(self._limb_moves(joint, sources[-1][-1]) for joint in _chain(base))
            if moving and sided in self.limbs:
                own = retarget.rest_turn(base, 1.0 if sided.endswith("L") else -1.0, self.limbs[sided])
            elif not moving:
                own = self.rest[0]
        elif not sources[-1].startswith(("finger", "metacarpal")):
            own = self.rest[0]
        self.aligned[name] = own
        return rotations.multiply(rotations.multiply(rotations.inverse(before), product), own)

    def _limb_moves(self, joint: str, side: str) -> bool:
        found = self.turns.get(f"{joint}.{side}")
        return found is not None and bool(np.abs(np.abs(found) - [1, 0, 0, 0]).max() > 1e-6)


def _chain(base: str) -> tuple[str, ...]:
    if "leg" in base:
        return "upperleg01", "upperleg02", "lowerleg01", "lowerleg02"
    return "upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist"


def _limb_directions(obj: Any, rows: dict[str, BoneRow], axes: np.ndarray) -> dict[str, np.ndarray]:
    """Joint (``upperarm01.L``) -> where its bone points at rest, (3,) in model axes."""
    heads = {}
    for row in rows.values():
        for source in row.sources:
            heads.setdefault(source, np.array(obj.data.bones[row.target].head_local))
    result = {}
    for base, following in retarget.NEXT.items():
        for side in "LR":
            first, second = heads.get(f"{base}.{side}"), heads.get(f"{following}.{side}")
            if first is not None and second is not None and np.linalg.norm(second - first) > 1e-6:
                result[f"{base}.{side}"] = (second - first) @ axes
    return result


def stature(obj: Any) -> tuple[np.ndarray, float, np.ndarray]:
    """How a mapped armature stands: its axes as in :func:`model_axes`, its size against the human's, its ground (3,).

    All in the armature's own space; the ground lies below its origin.
    """
    rows = {row.target: row for row in mapping_table.bone_rows(obj) if row.target in obj.data.bones}
    axes = model_axes(obj, list(rows.values()))
    hips = next((name for name, row in rows.items() if "root" in row.sources), None)
    return (axes, 1.0, np.zeros(3)) if hips is None else _stature(obj, rows, axes, hips)


def _stature(obj: Any, rows: dict[str, BoneRow], axes: np.ndarray, hips: str) -> tuple[np.ndarray, float, np.ndarray]:
    bone, up = obj.data.bones[hips], axes[:, 1]
    lowest = min(float(min(np.array(each.head_local) @ up, np.array(each.tail_local) @ up)) for each in obj.data.bones)
    height = float(np.array(bone.head_local) @ up) - lowest
    scale = float(np.mean(np.abs(obj.matrix_world.to_scale())))
    if not any(source.startswith(("foot", "toe", "lowerleg")) for row in rows.values() for source in row.sources):
        height = retarget.HIP_HEIGHT / max(scale, 1e-9)  # a bust: metres are metres
    return axes, height / retarget.HIP_HEIGHT, up * lowest


def _travel(obj: Any, rows: dict[str, BoneRow], take: Take, axes: np.ndarray, times: np.ndarray) -> Channel | None:
    """The way of the hips, scaled by how high they stand; None if the take stays on the spot."""
    hips = next((name for name, row in rows.items() if "root" in row.sources), None)
    if hips is None or not np.abs(take.root).max(initial=0) > _STILL or not obj.hyoid_map.travel:
        return None
    bone = obj.data.bones[hips]
    if bone.use_connect and bone.parent is not None:
        return None
    _, size, _ = _stature(obj, rows, axes, hips)
    way = take.root.astype(np.float64) * (obj.hyoid_map.travel * size)
    rest = np.array(bone.matrix_local.to_3x3(), np.float64)
    path = f'pose.bones["{bpy.utils.escape_identifier(hips)}"].location'
    return Channel(obj, path, 3, hips, times, (way @ axes.T @ rest).astype(np.float32))
