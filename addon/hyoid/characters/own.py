# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes of the artist that carry a Hyoid rig: what the rig brought is known, and can be taken away again."""

from __future__ import annotations

import json
from typing import Any

import bpy
from mathutils import Matrix

from ..toolkit.blender import action_units, compat
from .find import PART

MARK = "hyoid_own"
"""Custom property of a mesh object that was there before its rig: JSON, what the rig brought."""

PARENT = "hyoid_parent"
"""Custom property of such a mesh object: the object that it hung on, if any."""

_MOVED = 1e-5
"""Of its place and size: an object that is farther than this from where it was has been moved."""

OLD = " (old)"
"""Behind the names of vertex groups that had the names of joints."""


def is_own(obj: Any) -> bool:
    """Whether a mesh object was the artist's before it was rigged."""
    return obj is not None and MARK in obj


def names(obj: Any) -> dict[str, list[str]]:
    """The shape keys and vertex groups of a mesh object."""
    keys = obj.data.shape_keys
    return {
        "keys": [key.name for key in keys.key_blocks] if keys else [],
        "groups": [group.name for group in obj.vertex_groups],
    }


def remember(obj: Any, before: dict[str, list[str]]) -> None:
    """Say on a mesh object what came since ``before``, see :func:`names`, and what it was otherwise."""
    now = names(obj)
    brought = {kind: [name for name in now[kind] if name not in before[kind]] for kind in now}
    obj[MARK] = json.dumps({**before, **brought})


def parent_of(obj: Any) -> dict[str, list[str]]:
    """How an object hangs on its parent, which is kept on the object itself."""
    if obj.parent is not None:
        obj[PARENT] = obj.parent
    inverse = [value for row in obj.matrix_parent_inverse for value in row]
    return {"parent": [obj.parent_type, obj.parent_bone], "inverse": inverse}


def held_by(obj: Any) -> Any:
    """What turns an object's own transform into its place in the world: its parent, and how it hangs on it."""
    if obj.parent is None:
        return Matrix()
    if obj.parent_type == "OBJECT":
        return obj.parent.matrix_world @ obj.matrix_parent_inverse
    return obj.matrix_world @ obj.matrix_basis.inverted()


def free_groups(obj: Any, joints: list[str]) -> list[str]:
    """Rename groups that are called like joints, with what uses them by name; give the names."""
    taken = [group.name for group in obj.vertex_groups if group.name in joints]
    for name in taken:
        _rename(obj, name, name + OLD)
    return taken


def strip(obj: Any, armature: Any) -> None:
    """Take the rig off a mesh of the artist: its keys, groups, modifier and marks; the mesh stays where it is."""
    try:
        brought = json.loads(str(obj[MARK]))
    except ValueError:
        brought = {}
    for modifier in [entry for entry in obj.modifiers if entry.type == "ARMATURE" and entry.object == armature]:
        obj.modifiers.remove(modifier)
    keys = obj.data.shape_keys
    ours = brought.get("keys", ())
    for key in list(keys.key_blocks)[::-1] if keys else []:
        if key.name in ours or action_units.base_of(key.name):
            key.driver_remove("value")
            obj.shape_key_remove(key)
    _rest(obj.data.shape_keys)
    for name in brought.get("groups", ()):
        group = obj.vertex_groups.get(name)
        if group is not None:
            obj.vertex_groups.remove(group)
    for name in brought.get("renamed", ()):
        if name + OLD in obj.vertex_groups and name not in obj.vertex_groups:
            _rename(obj, name + OLD, name)
    if obj.parent == armature:
        world = obj.matrix_world.copy()
        kind, bone = brought.get("parent", ("OBJECT", ""))
        obj.parent = obj.get(PARENT)
        obj.parent_type, obj.parent_bone = kind, bone
        values = brought.get("inverse") or []
        if len(values) == 16:
            obj.matrix_parent_inverse = [values[row : row + 4] for row in (0, 4, 8, 12)]
        bpy.context.view_layer.update()
        off = obj.matrix_world - world
        if _largest(off) > _MOVED * max(1.0, _largest(world)):
            obj.matrix_world = world  # the rig was moved: the mesh stays where it is now
    talk = getattr(obj, "hyoid_talk", None)  # asking whether a mesh speaks has made it
    unused = ("hyoid_talk",) if talk is not None and not talk.talks else ()
    for mark in (MARK, PARENT, PART, *unused):
        if mark in obj:
            del obj[mark]


def _rest(keys: Any) -> None:
    """Let go of an action that moved only keys which are gone."""
    container = compat.playing(keys) if keys is not None else None
    if container is not None and not any(_is_there(keys, curve.data_path) for curve in container.fcurves):
        keys.animation_data.action = None


def _is_there(owner: Any, path: str) -> bool:
    try:
        owner.path_resolve(path)
    except ValueError:
        return False
    return True


def _largest(matrix: Any) -> float:
    return max(abs(value) for row in matrix for value in row)


def _rename(obj: Any, old: str, new: str) -> None:
    obj.vertex_groups[old].name = new
    keys = obj.data.shape_keys.key_blocks if obj.data.shape_keys else []
    for user in (*obj.modifiers, *keys):
        if getattr(user, "vertex_group", "") == old:
            user.vertex_group = new
