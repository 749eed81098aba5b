# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a stabilised mesh, kept on its object; the three ways to see it, and the way back.

Nothing of the artist's is deleted: modifiers are hidden, constraints, drivers and curves muted, and all is listed here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import bpy
from mathutils import Matrix

from ..takes import nla
from ..toolkit.blender import compat
from ..toolkit.errors import UsageError
from . import mesh_frames

MARK, HEAD, PARENT = "hyoid_stabilized", "hyoid_stabilized_head", "hyoid_stabilized_parent"
"""Custom properties of the mesh object: its record (JSON), the armature with the head bone, the former parent."""
BEFORE, SEPARATE = "hyoid_stabilized_before", "hyoid_stabilized_action"
"""Custom properties of an armature that was there: the action that it had, and the one with the head's motion."""
ORIGINAL, STABILIZED, BOTH = "ORIGINAL", "STABILIZED", "BOTH"
UNCERTAIN = 0.5
_REPLACED = frozenset(
    (
        "ARMATURE", "CAST", "CORRECTIVE_SMOOTH", "CURVE", "DISPLACE", "HOOK", "LAPLACIANDEFORM", "LAPLACIANSMOOTH",
        "LATTICE", "MESH_CACHE", "MESH_DEFORM", "SHRINKWRAP", "SIMPLE_DEFORM", "SMOOTH", "SURFACE_DEFORM", "WARP",
        "WAVE",
    )
)  # fmt: skip
"""Modifiers that change places alone: a cache behind them makes them superfluous."""
_VALUES = ("location", "rotation_euler", "rotation_quaternion", "rotation_axis_angle", "scale")


@dataclass
class Record:
    """A stabilised mesh.

    Attributes:
        view: which of the three is shown. modifier: name of the cache. bone: that the mesh hangs on.
        made: the armature came with it. slot: of the action that it had.
        curves: data paths and indices that move the bone. inverse: of the parent, 16 numbers.
        rest: what the bone had before: values by property.
        parent: kind, bone, inverse and transform of the mesh before.
        hidden: modifiers that are replaced, with where they were shown.
        muted: ``curves``, ``drivers``, ``tracks``, ``constraints`` that moved the object.
        first: frame of the scene. confidence, residual_mm: one a frame. target: the frame that was the target.
    """

    view: str
    modifier: str
    bone: str
    made: bool
    slot: str
    curves: list[list[Any]]
    inverse: list[float]
    rest: dict[str, list[float]]
    parent: dict[str, Any]
    hidden: dict[str, list[bool]]
    muted: dict[str, list[Any]]
    first: int
    target: str = ""
    method: str = ""
    confidence: list[float] = field(default_factory=list)
    residual_mm: list[float] = field(default_factory=list)

    def uncertain(self) -> list[int]:
        """Frames of the scene that deserve a look."""
        return [self.first + index for index, value in enumerate(self.confidence) if value < UNCERTAIN]


def of(obj: Any) -> Record | None:
    """The record of an object; None where it is not stabilised."""
    if obj is None or obj.type != "MESH" or MARK not in obj:
        return None
    try:
        return Record(**json.loads(str(obj[MARK])))
    except (ValueError, TypeError):
        return None


def keep(obj: Any, record: Record) -> None:
    """Write a record on its object."""
    obj[MARK] = json.dumps(asdict(record))


def before(obj: Any) -> dict[str, Any]:
    """How an object hangs and where it is, for ``Record.parent``; its parent itself is kept on it."""
    if obj.parent is not None:
        obj[PARENT] = obj.parent
    values = {name: list(getattr(obj, name)) for name in _VALUES}
    return {"type": obj.parent_type, "bone": obj.parent_bone, "inverse": flat(obj.matrix_parent_inverse), **values}


def movers(obj: Any) -> dict[str, list[Any]]:
    """What moves an object now, for ``Record.muted``; what is muted already is not among it."""
    container, data = compat.playing(obj), obj.animation_data
    curves = [curve for curve in getattr(container, "fcurves", ()) if _moves(curve)]
    strips = set(mesh_frames.TRANSFORMS) & nla.animated(obj)
    return {
        "curves": [[curve.data_path, curve.array_index] for curve in curves],
        "drivers": [[c.data_path, c.array_index] for c in (data.drivers if data else ()) if _moves(c)],
        "tracks": [track.name for track in data.nla_tracks if not track.mute] if data and strips else [],
        "constraints": [constraint.name for constraint in obj.constraints if not constraint.mute],
    }


def replaced(obj: Any, vertices: int) -> dict[str, list[bool]]:
    """Modifiers that a cache of so many vertices makes superfluous, for ``Record.hidden``."""
    above = list(obj.modifiers)[: mesh_frames.depth(obj)]
    kinds = set(_REPLACED)
    if len(obj.data.vertices) == vertices:
        kinds.add("MESH_SEQUENCE_CACHE")  # one that brings other vertices than the mesh has is needed for those
    return {m.name: [m.show_viewport, m.show_render] for m in above if m.type in kinds}


def show(obj: Any, view: str) -> None:
    """Show a stabilised mesh as it was, with its expression alone, or with expression and head motion apart.

    Raises:
        UsageError: it is not stabilised, or what it needs was deleted.
    """
    record = of(obj)
    if record is None:
        raise UsageError(f"'{obj.name}' is not stabilized")
    armature, modifier = obj.get(HEAD), obj.modifiers.get(record.modifier)
    there = armature is not None and record.bone in armature.pose.bones and modifier is not None
    if view != ORIGINAL and not there:
        raise UsageError(
            f"the head bone or the cache of '{obj.name}' was deleted", hint="Press Remove, and stabilize it again"
        )
    own = view == ORIGINAL
    if modifier is not None:
        modifier.show_viewport = modifier.show_render = not own
    for name, shown in record.hidden.items():
        if name in obj.modifiers:
            obj.modifiers[name].show_viewport, obj.modifiers[name].show_render = shown if own else (False, False)
    _mute(obj, record.muted, not own)
    if there:
        _head(armature, record, view)
    _hang(obj, record, None if own else armature)
    record.view = view
    keep(obj, record)
    for changed in filter(None, (obj, armature)):
        changed.update_tag()
    bpy.context.view_layer.update()


def remove(obj: Any) -> None:
    """Take away all that came with the stabilisation; the object is what it was. Files stay.

    The head bone stays where something else hangs on it.

    Raises:
        UsageError: it is not stabilised.
    """
    show(obj, ORIGINAL)
    record, armature = of(obj), obj.get(HEAD)
    assert record is not None
    if record.modifier in obj.modifiers:
        obj.modifiers.remove(obj.modifiers[record.modifier])
    for name in (MARK, HEAD, PARENT):
        if name in obj:
            del obj[name]
    others = [other for other in bpy.data.objects if other != obj]
    if armature is None or any(other.get(HEAD) == armature for other in others):
        return
    if record.made:
        if any(other.parent == armature for other in others):
            return
        data, action = armature.data, armature.animation_data and armature.animation_data.action
        bpy.data.objects.remove(armature)
        for block, store in ((data, bpy.data.armatures), (action, bpy.data.actions)):
            if block is not None and block.users - block.use_fake_user <= 0:
                store.remove(block)
    elif SEPARATE in armature:
        action = armature[SEPARATE]
        for name in (BEFORE, SEPARATE):
            if name in armature:
                del armature[name]
        if action is not None and action.users - action.use_fake_user <= 0:
            bpy.data.actions.remove(action)


def flat(matrix: Iterable[Iterable[float]]) -> list[float]:
    """A matrix as 16 numbers, row by row."""
    return [float(value) for row in matrix for value in row]


def matrix_of(values: list[float]) -> Matrix:
    """The way back."""
    return Matrix([values[row : row + 4] for row in (0, 4, 8, 12)])


def _moves(curve: Any) -> bool:
    return curve.data_path in mesh_frames.TRANSFORMS and not curve.mute


def _mute(obj: Any, muted: dict[str, list[Any]], mute: bool) -> None:
    data = obj.animation_data
    for container, key in ((compat.playing(obj), "curves"), (data, "drivers")):
        curves = getattr(container, "fcurves" if key == "curves" else "drivers", None)
        for path, index in muted[key] if curves is not None else ():
            curve = curves.find(path, index=index)
            if curve is not None:
                curve.mute = mute
    for track in data.nla_tracks if data else ():
        if track.name in muted["tracks"]:
            track.mute = mute
    for constraint in obj.constraints:
        if constraint.name in muted["constraints"]:
            constraint.mute = mute


def _hang(obj: Any, record: Record, armature: Any) -> None:
    """Hang an object on the head bone, or on what it hung on before; its own transform is what it was then."""
    was = record.parent
    if armature is None:
        obj.parent = obj.get(PARENT)
        obj.parent_type, obj.parent_bone = was["type"], was["bone"]
    else:
        obj.parent, obj.parent_type, obj.parent_bone = armature, "BONE", record.bone
    obj.matrix_parent_inverse = matrix_of(was["inverse"] if armature is None else record.inverse)
    for name in _VALUES:
        setattr(obj, name, was[name])


def _head(armature: Any, record: Record, view: str) -> None:
    """Let the head bone move, or rest."""
    bone, data = armature.pose.bones[record.bone], armature.animation_data
    if not record.made and data is not None:
        wanted = armature.get(BEFORE if view == ORIGINAL else SEPARATE)
        if data.action != wanted:
            _assign(data, wanted, record.slot)
    container = compat.playing(armature)
    if view != ORIGINAL:
        for path, index in record.curves if container is not None else ():
            curve = container.fcurves.find(path, index=index)
            if curve is not None:
                curve.mute = view == STABILIZED
    if view != BOTH:
        for name, values in record.rest.items():
            setattr(bone, name, values if view == ORIGINAL else _RESTING[name])


_RESTING = {
    "location": (0, 0, 0), "rotation_quaternion": (1, 0, 0, 0), "rotation_euler": (0, 0, 0),
    "rotation_axis_angle": (0, 0, 1, 0), "scale": (1, 1, 1),
}  # fmt: skip


def _assign(data: Any, action: Any, slot: str) -> None:
    """Let an action play, from 4.4 on with the slot of an identifier."""
    data.action = action
    if action is not None and compat.has_slots():
        data.action_slot = action.slots.get(slot) or (action.slots[0] if len(action.slots) else None)
