# SPDX-License-Identifier: GPL-3.0-or-later
"""A character becomes another identity in place: surface, face keys, joints, larynx and tint; its animation stays.

What an artist changed by hand on the surface or in a key is kept: it is what lies between the file and the toolkit's
character of the old identity, and it is put on top of the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import bpy
import numpy as np

from ..toolkit import characters
from ..toolkit.blender import action_units, compat, materials, pack, rig
from . import find

_BY_HAND = 5e-6  # metres: a key that is farther from the toolkit's was edited


def hindrance(target: find.Rig) -> str:
    """Why this character cannot change now, in words for the artist; empty when it can."""
    if target.armature.data.is_editmode or any(part.data.is_editmode for part in target.parts):
        return "Leave Edit Mode (Tab) to change the character"
    linked = [target.armature, target.armature.data, *(part.data for part in target.parts)]
    if any(entry.library is not None for entry in linked):
        return "The character is linked from another file: change it there"
    return ""


def update(target: find.Rig, settings: Mapping[str, float]) -> list[str]:
    """Give a character another identity; animation, pose, constraints and edits by hand stay.

    Args:
        settings: the whole identity; what is not given goes to its default.

    Returns:
        The keys and surfaces (``part key``) that were edited by hand, and whose edits were kept.

    Raises:
        UsageError: an unknown setting or a value out of its range.
        RuntimeError: see :func:`hindrance`.
    """
    reason = hindrance(target)
    if reason:
        raise RuntimeError(reason)
    mark = find.identity(target.armature)
    who, part = mark.get("character", "human"), mark.get("part", "full")
    old = _packed(who, tuple(sorted(mark.get("settings", {}).items())), part)
    new = _packed(who, tuple(sorted(settings.items())), part)
    edited = []
    for piece in target.parts:
        edited += _reshape(piece, old, new)
    described, arrays = new
    rig.place_bones(target.armature, described, arrays, control=rig.CONTROL in target.armature.pose.bones)
    _tint(target, described["materials"])
    for armature in _sharing(target):
        rig.set_rings(armature, described, arrays)
        own = find.identity(armature)
        rig.mark(armature, described | {"name": own.get("name", "human")}, str(own.get("id", "")))
    return edited


def _sharing(target: find.Rig) -> list[Any]:
    """The armature of a character, and those of its linked duplicates (Alt+D): what they share changed as well."""
    others = [obj for obj in bpy.data.objects if find.MARK in obj and obj != target.armature and obj.library is None]
    return [target.armature, *(other for other in others if other.data == target.armature.data)]


@lru_cache(maxsize=3)
def _packed(name: str, settings: tuple[tuple[str, float], ...], part: str) -> tuple[dict, dict]:
    """See ``pack.record``; while a slider moves, what is new at one step is old at the next."""
    return pack.record(characters.load(name, dict(settings), part=part))


def _reshape(part: Any, old: tuple[dict, dict], new: tuple[dict, dict]) -> list[str]:
    """Move the vertices and keys of one mesh object; the names of what had been edited by hand."""
    described, arrays = new
    piece = next((entry for entry in described["parts"] if entry["name"] == part[find.PART]), None)
    mesh = part.data
    if piece is None or len(mesh.vertices) != piece["vertices"][1] - piece["vertices"][0]:
        return [f"{part.name} (its vertices were added or removed by hand: it stays as it is)"]
    rows = slice(*piece["vertices"])
    before, after = old[1]["vertices"][rows], arrays["vertices"][rows]
    if mesh.shape_keys is None:
        points, by_hand = _moved(mesh.vertices, before, after)
        mesh.vertices.foreach_set("co", points)
        mesh.update()
        return [part.name] if by_hand else []
    edited = []
    offsets_before, offsets_after = _offsets(old, rows), _offsets(new, rows)
    for key in mesh.shape_keys.key_blocks:
        name = "jawOpen" if key.name == "jaw" else action_units.base_of(key.name) or key.name
        shape_before, shape_after = before.copy(), after.copy()
        if name in offsets_before:
            moved, offset = offsets_before[name]
            shape_before[moved] += offset
            moved, offset = offsets_after[name]
            shape_after[moved] += offset
        known = name in offsets_before or key == mesh.shape_keys.reference_key
        points, by_hand = _moved(compat.key_points(key), shape_before, shape_after)
        compat.key_points(key).foreach_set("co", points)
        if key == mesh.shape_keys.reference_key:
            mesh.vertices.foreach_set("co", points)
        if by_hand and known:
            edited.append(f"{part.name} {key.name}")
    mesh.update()
    return edited


def _moved(points: Any, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, bool]:
    """Flat coordinates for ``points`` (n), which should lie at ``before`` (n, 3): ``after`` plus what was edited."""
    found = np.empty(before.size, np.float32)
    points.foreach_get("co", found)
    by_hand = found.reshape(-1, 3) - before
    by_hand[np.abs(by_hand).max(-1) < _BY_HAND] = 0
    return (after + by_hand).astype(np.float32).reshape(-1), bool(by_hand.any())


def _offsets(record: tuple[dict, dict], rows: slice) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By shape the vertices of a part that it moves, counted from the part's first, and by how much."""
    described, arrays = record
    starts, moved, offsets = arrays["shape_starts"], arrays["shape_vertices"], arrays["shape_offsets"]
    found = {}
    for index, name in enumerate(described["shapes"]):
        entries = slice(int(starts[index]), int(starts[index + 1]))
        inside = (moved[entries] >= rows.start) & (moved[entries] < rows.stop)
        found[name] = moved[entries][inside] - rows.start, offsets[entries][inside]
    return found


def _tint(target: find.Rig, records: Mapping[str, Any]) -> None:
    slots = [slot for part in target.parts for slot in part.material_slots if slot.material]
    for material in {slot.material for slot in slots}:
        name = material.get("hyoid_material")
        if name in records and material.library is None:
            material = _own(material, slots, target)
            left = materials.update(material, records[name])
            if left is not None and left.users == 0:
                bpy.data.images.remove(left)


def _own(material: Any, slots: list[Any], target: find.Rig) -> Any:
    """The material, or a copy of it in the slots where the meshes of a duplicate of the character have it, too."""
    meshes = {part.data for part in target.parts}
    others = (obj for obj in bpy.data.objects if obj.type == "MESH" and find.PART in obj and obj.data not in meshes)
    if not any(slot.material == material for other in others for slot in other.material_slots):
        return material
    copied = material.copy()
    for slot in [slot for slot in slots if slot.material == material]:
        slot.material = copied
    return copied
