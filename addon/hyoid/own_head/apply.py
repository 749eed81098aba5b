# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig that the toolkit fitted goes onto the artist's own meshes: keys, groups, armature, drivers; nothing is lost.

The toolkit works in metres and +Y up and may have turned and scaled the head; the armature object carries the way
back, so that the meshes stay where they are, in whatever unit they were made.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..characters import create, find, own
from ..toolkit.blender import assemble, compat, meshes, pack, rig
from ..toolkit.characters.character import Character
from ..toolkit.errors import UsageError
from . import mesh_out

_OFF = 1e-3
"""Of the size of a head: vertices that moved farther than this while the toolkit worked are another head."""


def rig_objects(context: Any, objects: Sequence[Any], character: Character, source: str) -> tuple[find.Rig, list[str]]:
    """Rig meshes with a character whose vertices are theirs, in their order, the skin first.

    Args:
        objects: mesh objects; the first is the body. source: what ``characters.load`` finds the character by.

    Returns:
        The rig, and what the artist should know: which keys and groups had names that the rig needs.

    Raises:
        UsageError: a mesh cannot be rigged now, or was changed since the toolkit saw it.
    """
    for obj in objects:
        reason = mesh_out.hindrance(obj)
        if reason:
            raise UsageError(reason)
    counts = [len(obj.data.vertices) for obj in objects]
    if sum(counts) != len(character.vertices):
        found = f"has {sum(counts)} vertices now and had {len(character.vertices)}"
        raise UsageError(f"'{objects[0].name}' {found}: it was edited meanwhile", hint="Rig it again")
    described, arrays = pack.record(character)
    described["name"], described["source"] = create.free_name(objects[0].name), source
    place = _similarity(arrays["vertices"].astype(np.float64), np.concatenate([*map(mesh_out.world_points, objects)]))
    if place is None:
        raise UsageError(f"'{objects[0].name}' was reshaped while it was being rigged", hint="Rig it again")
    armature = rig.build(described, arrays, _collection(context, objects[0]), control=True)
    _put(armature, objects[0], place)
    notes: list[str] = []
    before: list[dict[str, list[str]]] = []
    ends = np.cumsum(counts)
    for number, (obj, end, count) in enumerate(zip(objects, ends.tolist(), counts, strict=True)):
        rows = slice(end - count, end)
        before.append(_dress(obj, rows, described, arrays, place, notes, whole=number == 0))
        obj[find.PART] = "body" if number == 0 else obj.name
        _follow(obj, armature)
    assemble.join(armature, described, list(objects))
    for obj, names in zip(objects, before, strict=True):
        own.remember(obj, names)
    rig.mark(armature, described, uuid.uuid4().hex)
    rig.refresh(armature)
    made = find.rig_of(armature)
    assert made is not None
    return made, notes


def _similarity(points: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
    """The turn, size and place (4, 4) that takes ``points`` (n, 3) to ``wanted``; None where none does."""
    middle, other = points.mean(0), wanted.mean(0)
    a, b = points - middle, wanted - other
    u, sizes, v = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ v))])
    turn = (u * sign) @ v
    scale = float((sizes * sign).sum() / max((a**2).sum(), 1e-30))
    place = np.eye(4)
    place[:3, :3], place[:3, 3] = scale * turn, other - scale * turn @ middle
    off = np.abs(points @ place[:3, :3].T + place[:3, 3] - wanted).max()
    return place if off <= _OFF * max(float(np.ptp(wanted, axis=0).max()), 1e-9) else None


def _collection(context: Any, obj: Any) -> Any:
    """A collection of the scene in which the object lies, for the armature and its handles."""
    below = context.scene.collection
    inside = [entry for entry in (below, *below.children_recursive) if obj.name in entry.objects]
    return inside[0] if inside else below


def _put(armature: Any, body: Any, place: np.ndarray) -> None:
    """Put the armature object where the head is, below what the head hangs on."""
    armature.parent, armature.parent_type, armature.parent_bone = body.parent, body.parent_type, body.parent_bone
    bpy.context.view_layer.update()
    armature.matrix_world = Matrix(place.tolist())
    bpy.context.view_layer.update()


def _follow(obj: Any, armature: Any) -> None:
    """Hang a mesh on the armature, before all its other modifiers; it stays where it is, its transform what it was."""
    inverse = armature.matrix_world.inverted() @ own.held_by(obj)
    obj.parent, obj.parent_type = armature, "OBJECT"
    obj.matrix_parent_inverse = inverse
    modifier = obj.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature
    compat.first_modifier(obj, modifier)


def _dress(
    obj: Any, rows: slice, described: dict[str, Any], arrays: dict[str, np.ndarray], place: np.ndarray,
    notes: list[str], *, whole: bool,
) -> dict[str, list[str]]:  # fmt: skip
    """Give one mesh its part of the keys and groups; what it had stays, and is given back.

    Args:
        rows: its vertices among those of the character. place: from the character to the world. whole: it gets every
            key, also those that do not move it.
    """
    renamed = own.free_groups(obj, described["joints"])
    for name in renamed:
        notes.append(f"the vertex group '{name}' of '{obj.name}' is now called '{name}{own.OLD}'")
    part = {"vertices": [rows.start, rows.stop]}
    before, base = own.names(obj), mesh_out.rest_points(obj)
    meshes.add_groups(obj, part, arrays, described["joints"])
    to_local = np.linalg.inv(np.array(obj.matrix_world, np.float64)) @ place
    kept = meshes.add_keys(obj, part, arrays, described, every=whole, base=base, turn=to_local[:3, :3])
    if kept:
        more = f" and {len(kept) - 5} more" if len(kept) > 5 else ""
        notes.append(f"'{obj.name}' keeps its own keys {', '.join(kept[:5])}{more}")
    return before | {"renamed": renamed} | own.parent_of(obj)
