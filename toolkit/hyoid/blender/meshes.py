# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Mesh objects of a character: one a part, skinned to the armature, with the shape keys that move it."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from . import compat

COARSE = 30_000
"""A body with fewer vertices is a base mesh that gains from a Subdivision modifier."""

FOLLOWING = (-10.0, 10.0)
"""Sliders of keys that drivers move: all that Blender knows, or strong takes leave teeth behind."""
_RANGES = {"larynxUp": (0.0, 3.0), "larynxDown": (0.0, 3.0), "larynxSize": (-1.0, 3.0)}


def build(
    character: dict[str, Any],
    arrays: dict[str, np.ndarray],
    armature: Any,
    collection: Any,
    materials: dict[str, Any],
    subdivide: bool,
) -> list[Any]:
    """The mesh objects, the body first; it has every shape key, the other parts those that move them."""
    parts = character["parts"]
    body = _body(parts)
    objects = []
    for part in [body, *(part for part in parts if part is not body)]:
        mesh = _mesh(f"{character['name']}_{part['name']}", part, arrays)
        if part["material"] in materials:
            mesh.materials.append(materials[part["material"]])
        made = bpy.data.objects.new(mesh.name, mesh)
        collection.objects.link(made)
        made.parent = armature
        made["hyoid_part"] = part["name"]
        add_groups(made, part, arrays, character["joints"])
        add_keys(made, part, arrays, character, every=part is body)
        modifier = made.modifiers.new("Armature", "ARMATURE")
        modifier.object = armature
        if subdivide and len(objects[0].data.vertices if objects else mesh.vertices) < COARSE:
            modifier = made.modifiers.new("Subdivision", "SUBSURF")
            modifier.levels, modifier.render_levels = 0, 1
        objects.append(made)
    return objects


def _body(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The part called body, else the one with the most vertices."""
    named = [part for part in parts if part["name"] == "body"]
    return named[0] if named else max(parts, key=lambda part: part["vertices"][1] - part["vertices"][0])


def _mesh(name: str, part: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    first, last = part["vertices"]
    rows = slice(*part["faces"])
    faces, face_uv = arrays["faces"][rows] - first, arrays["face_uv"][rows]
    # A triangle is a quad whose last index repeats: drop that corner.
    corner = np.ones(faces.shape, bool)
    corner[:, 3] = faces[:, 3] != faces[:, 2]
    sizes = corner.sum(1)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(last - first)
    mesh.vertices.foreach_set("co", _flat(arrays["vertices"][first:last]))
    mesh.loops.add(int(sizes.sum()))
    mesh.loops.foreach_set("vertex_index", faces[corner].astype(np.int32))
    mesh.polygons.add(len(faces))
    compat.set_polygons(mesh, np.cumsum(sizes) - sizes, sizes)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    compat.set_uv(mesh.uv_layers.new(name="UVMap"), arrays["uv"][face_uv[corner]])
    mesh.update(calc_edges=True)
    return mesh


def add_groups(made: Any, part: dict[str, Any], arrays: dict[str, np.ndarray], joints: list[str]) -> None:
    """Vertex groups of a mesh object, one for each joint that moves it; ``part["vertices"]`` are its first and last."""
    rows = slice(*part["vertices"])
    weights, joint_of = arrays["weights"][rows], arrays["weight_joints"][rows]
    vertex, slot = np.nonzero(weights > 0)
    joint, weight = joint_of[vertex, slot], weights[vertex, slot]
    order = np.lexsort((vertex, weight, joint))
    vertex, joint, weight = vertex[order], joint[order], weight[order]
    # Vertices of one group with one weight go in one call: most of a head hangs on one joint entirely.
    starts = np.flatnonzero(np.r_[True, (np.diff(joint) != 0) | (np.diff(weight) != 0)])
    groups: dict[int, Any] = {}
    for start, stop in zip(starts, [*starts[1:], len(joint)], strict=True):
        index = int(joint[start])
        if index not in groups:
            groups[index] = made.vertex_groups.new(name=joints[index])
        groups[index].add(vertex[start:stop].tolist(), float(weight[start]), "REPLACE")


def add_keys(
    made: Any,
    part: dict[str, Any],
    arrays: dict[str, np.ndarray],
    character: dict[str, Any],
    *,
    every: bool,
    base: np.ndarray | None = None,
    turn: np.ndarray | None = None,
) -> list[str]:
    """Shape keys of a mesh object; those that it has of a name stay as they are, and their names are given back.

    Args:
        part: ``vertices``, its first and last among those of the character.
        every: it gets all keys, else those that move it.
        base: (n, 3) of the resting mesh in its own space, the character's by default.
        turn: (3, 3), from the character's space to the mesh's; by default they are one.
    """
    following = {corrective["shape"] for corrective in character["correctives"]}
    first, last = part["vertices"]
    starts, moved, offsets = arrays["shape_starts"], arrays["shape_vertices"], arrays["shape_offsets"]
    rest = arrays["vertices"][first:last] if base is None else base
    wanted = []
    for index, name in enumerate(character["shapes"]):
        rows = slice(int(starts[index]), int(starts[index + 1]))
        inside = (moved[rows] >= first) & (moved[rows] < last)
        if every or inside.any():
            wanted.append((name, moved[rows][inside] - first, offsets[rows][inside]))
    keys = made.data.shape_keys
    present = {key.name for key in keys.key_blocks} if keys else set()
    kept, active = [name for name, _, _ in wanted if name in present], made.active_shape_key_index
    if wanted and keys is None:
        made.shape_key_add(name="Basis", from_mix=False)
        made.data.shape_keys.name = made.name
        made.data.shape_keys.use_relative = True
    for name, vertices, offset in wanted:
        if name in present:
            continue
        key = made.shape_key_add(name=name, from_mix=False)
        key.slider_min, key.slider_max = slider_range(name) if every and name not in following else FOLLOWING
        key.value = 0.0
        points = rest.copy()
        points[vertices] += offset if turn is None else offset @ turn.T
        compat.key_points(key).foreach_set("co", _flat(points))
    if wanted:
        made.active_shape_key_index = active
    return kept


def slider_range(name: str) -> tuple[float, float]:
    """Lowest and highest value of the slider of one of the body's keys."""
    return _RANGES.get(name, (0.0, 1.0))


def _flat(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32).reshape(-1)
