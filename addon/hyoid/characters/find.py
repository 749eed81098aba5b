# SPDX-License-Identifier: GPL-3.0-or-later
"""Which characters a scene holds: by the mark on their armatures and by pointers, never by names."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..toolkit import characters
from ..toolkit.blender import action_units
from ..toolkit.blender.rig import CONTROL, FACTS
from ..toolkit.characters.character import Character, Driver, NeckLimits

MARK = "hyoid_character"
PART = "hyoid_part"
FOLLOWING = (action_units.PREFIX, "corrective_")
"""How the names of shape keys begin that follow action units and joints."""

_OWN_KEYS = ("larynxUp", "larynxDown", "larynxSize", "jaw")


@dataclass
class Rig:
    """A character in the file: its armature object, the mesh object with the face keys, and all its mesh objects."""

    armature: bpy.types.Object
    body: bpy.types.Object
    parts: list[bpy.types.Object]


@dataclass(frozen=True)
class Facts:
    """What has to be known of a rig to read it; see :class:`Character`.

    ``own_shapes`` are those that have curves and are neither ARKit's nor the larynx's.
    """

    joint_names: tuple[str, ...]
    drivers: tuple[Driver, ...]
    neck: NeckLimits
    own_shapes: tuple[str, ...] = ()


def rig_of(obj: bpy.types.Object | None) -> Rig | None:
    """The character that an object belongs to: its armature, or a mesh below it."""
    if obj is None:
        return None
    if obj.type == "ARMATURE":
        return _rig(obj)
    if obj.type != "MESH":
        return None
    found = _rig(obj.parent)
    if found is None:
        modifiers = (modifier.object for modifier in obj.modifiers if modifier.type == "ARMATURE")
        found = next(filter(None, map(_rig, modifiers)), None)
    return found


def rigs(scene: bpy.types.Scene) -> list[Rig]:
    """Every character of a scene, in the order of its objects."""
    return [rig for rig in (_rig(obj) for obj in scene.objects if obj.type == "ARMATURE") if rig]


def active_rig(context: bpy.types.Context) -> Rig | None:
    """The character of the active object, else the only one of the scene."""
    found = rig_of(getattr(context, "object", None) or context.view_layer.objects.active)
    if found is None:
        every = rigs(context.scene)
        found = every[0] if len(every) == 1 else None
    return found


def identity(armature: bpy.types.Object) -> dict[str, Any]:
    """What the mark on an armature says: ``name``, ``settings``, ``part`` and ``id``; empty where it cannot be read."""
    return _parsed(str(armature.get(MARK, "")))


def named(obj: bpy.types.Object) -> dict[str, str]:
    """How an object is found again after undo, reload or renaming: by a character's id, else by its name.

    A character that was duplicated has the id of the other: it gets its own.
    """
    rig = rig_of(obj)
    if rig is None:
        return {"target": obj.name, "target_id": ""}
    armature, mark = rig.armature, identity(rig.armature)
    others = [identity(other).get("id") for other in bpy.data.objects if MARK in other and other != armature]
    if mark.get("id") in others and armature.library is None:
        mark = {**mark, "id": uuid.uuid4().hex}
        armature[MARK] = json.dumps(mark, sort_keys=True)
    return {"target": armature.name, "target_id": mark.get("id", "")}


def found(scene: bpy.types.Scene, names: Mapping[str, Any]) -> bpy.types.Object | None:
    """The object of a scene that :func:`named` described; None when it is gone."""
    name, identifier = str(names.get("target", "")), names.get("target_id")
    if identifier:
        same = [rig.armature for rig in rigs(scene) if identity(rig.armature).get("id") == identifier]
        if same:  # more than one where it was duplicated meanwhile
            return next((armature for armature in same if armature.name == name), same[0])
    return scene.objects.get(name)


def is_bare(obj: bpy.types.Object | None) -> bool:
    """Whether an object is the skeleton of a character whose meshes are gone, or were not duplicated with it."""
    return obj is not None and obj.type == "ARMATURE" and MARK in obj and _rig(obj) is None


def record_of(rig: Rig) -> Character:
    """The character as the toolkit evaluates it, at the identity that the armature says.

    Raises:
        UsageError: the mark names a character or a setting that this version does not know.
        InputError: the file of the character is not there any more, or was damaged.
    """
    return _loaded(str(rig.armature.get(MARK, "")))


def facts_of(rig: Rig) -> Facts:
    """Joints, drivers and neck of a character, as the armature says; from its source where an older version made it.

    Raises:
        UsageError, InputError: see :func:`record_of`.
    """
    text = str(rig.armature.get(FACTS, ""))
    found = _facts(text) if text else None
    if found is None:
        record = record_of(rig)
        found = Facts(record.joint_names, record.drivers, record.neck)
    return found


def is_bundled(armature: bpy.types.Object) -> bool:
    """Whether a character is the bundled human, whose sliders make another person of it."""
    return identity(armature).get("character", "human") == "human"


def file_of(armature: bpy.types.Object) -> Path | None:
    """The ``.character.npz`` that a character was made from, whether it is still there or not; None for others."""
    name = str(identity(armature).get("character", ""))
    return Path(bpy.path.abspath(name)) if name.endswith(characters.FILE_SUFFIX) else None


def is_own_key(name: str) -> bool:
    """Whether drivers of the character move a shape key of its body: nobody keys it, and no table maps to it.

    Larynx, jaw and action units follow properties of the armature, correctives its bones.
    """
    return name in _OWN_KEYS or name.startswith(FOLLOWING)


def root_bone(armature: bpy.types.Object) -> bpy.types.PoseBone | None:
    """The bone that carries a character, and moves it along; None where the artist took it away."""
    return next((bone for bone in armature.pose.bones if bone.parent is None and bone.name != CONTROL), None)


def _rig(armature: bpy.types.Object | None) -> Rig | None:
    if armature is None or armature.type != "ARMATURE" or MARK not in armature:
        return None
    parts = [obj for obj in bpy.data.objects if obj.type == "MESH" and PART in obj and _follows(obj, armature)]
    bodies = [part for part in parts if part[PART] == "body"]
    keyed = [part for part in parts if part.data.shape_keys]
    body = bodies[0] if bodies else max(keyed, key=lambda part: len(part.data.shape_keys.key_blocks), default=None)
    if body is None:
        return None
    return Rig(armature, body, [body, *(part for part in parts if part is not body)])


def _follows(mesh: bpy.types.Object, armature: bpy.types.Object) -> bool:
    """Whether a mesh object hangs on an armature: as its child, or by a modifier where the artist took it off."""
    if mesh.parent == armature:
        return True
    return any(modifier.type == "ARMATURE" and modifier.object == armature for modifier in mesh.modifiers)


@lru_cache(maxsize=64)
def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=64)
def _facts(text: str) -> Facts | None:
    found = _parsed(text)
    try:
        drivers = [Driver(d["joint"], d["curve"], tuple(d["axis"]), float(d["degrees"])) for d in found["drivers"]]
        limits = NeckLimits(**{name: np.array(values, np.float64) for name, values in found["neck"].items()})
        return Facts(tuple(found["joints"]), tuple(drivers), limits, tuple(found.get("own_shapes", ())))
    except (KeyError, TypeError, ValueError):
        return None


@lru_cache(maxsize=8)
def _loaded(text: str) -> Character:
    mark = _parsed(text)
    return characters.load(mark.get("character", "human"), mark.get("settings", {}), part=mark.get("part", "full"))
