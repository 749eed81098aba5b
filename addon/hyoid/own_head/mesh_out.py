# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's meshes as one Wavefront file for the toolkit: vertices in their order, in the axes of the toolkit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..toolkit.blender import compat
from ..toolkit.files import write_bytes

FEWEST = 100
"""Vertices that can show a face."""


def hindrance(obj: Any) -> str:
    """Why a mesh object cannot be rigged now, in words for the artist; empty when it can."""
    mesh = obj.data
    if obj.library is not None or mesh.library is not None or obj.override_library is not None:
        return f"'{obj.name}' is linked from another file: make it local first"
    if obj.mode != "OBJECT":
        return f"Go to Object Mode to rig '{obj.name}'"
    if mesh.users > 1:
        return f"'{obj.name}' shares its mesh with another object: Object > Relations > Make Single User first"
    if mesh.shape_keys is not None and not mesh.shape_keys.use_relative:
        return f"The shape keys of '{obj.name}' are absolute: tick Relative in its mesh properties first"
    for modifier in obj.modifiers:
        if modifier.type == "MIRROR":
            return f"'{obj.name}' is half a head with a Mirror modifier: apply it first"
        if modifier.type == "ARMATURE" and modifier.object is not None:
            return f"'{obj.name}' follows the armature '{modifier.object.name}' already: remove that modifier first"
    return ""


def rest_points(obj: Any) -> np.ndarray:
    """The vertices of a mesh without keys and modifiers, (n, 3) float64 in the object's own space."""
    mesh = obj.data
    points = mesh.vertices if mesh.shape_keys is None else compat.key_points(mesh.shape_keys.reference_key)
    found = np.empty(3 * len(mesh.vertices), np.float32)
    points.foreach_get("co", found)
    return found.reshape(-1, 3).astype(np.float64)


def world_points(obj: Any) -> np.ndarray:
    """The same in the world, (n, 3) float64."""
    world = np.array(obj.matrix_world, np.float64)
    return rest_points(obj) @ world[:3, :3].T + world[:3, 3]


def write(path: Path, objects: Sequence[Any]) -> None:
    """Write meshes in the world, turned to +Y up, one ``o`` each; polygons and texture coordinates as they are.

    Raises:
        OutputError: the file cannot be written.
    """
    lines: list[str] = []
    first = first_uv = 1
    for number, obj in enumerate(objects):
        mesh = obj.data
        points = world_points(obj)
        lines.append(f"o {number}_{_plain(obj.name)}")
        lines += [f"v {x:.9g} {z:.9g} {-y:.9g}" for x, y, z in points.tolist()]
        corners = np.empty(len(mesh.loops), np.int32)
        mesh.loops.foreach_get("vertex_index", corners)
        names = (corners + first).astype(str).tolist()
        layer = mesh.uv_layers.active
        if layer is not None:
            uv = np.empty(2 * len(mesh.loops), np.float32)
            layer.data.foreach_get("uv", uv)
            lines += [f"vt {u:.7g} {v:.7g}" for u, v in uv.reshape(-1, 2).tolist()]
            names = [f"{name}/{first_uv + corner}" for corner, name in enumerate(names)]
            first_uv += len(mesh.loops)
        starts = np.empty(len(mesh.polygons), np.int32)
        sizes = np.empty(len(mesh.polygons), np.int32)
        mesh.polygons.foreach_get("loop_start", starts)
        mesh.polygons.foreach_get("loop_total", sizes)
        for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
            lines.append("f " + " ".join(names[start : start + size]))
        first += len(mesh.vertices)
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in bpy.path.clean_name(name))
