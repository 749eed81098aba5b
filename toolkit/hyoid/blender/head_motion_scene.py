# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""Runs inside Blender: the scene of a head motion, a moving bone or empty with a mesh on it. See ``head_motion``."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from . import animation, compat, rig, scene

KIND = "head_motion"
ARMATURE, BONE, MESH, MODIFIER = "HeadMotion", "head", "HeadMesh", "Expression"


def build(world: Any, job: dict[str, Any], arrays: dict[str, np.ndarray], emit: Any) -> scene.Built:
    """Fill the scene of an empty file.

    Args:
        world: what ``compat.new_scene`` gave.
        job, arrays: see ``head_motion.write``: ``rotations`` (F, 4) and ``translations`` (F, 3) take points from the
            stabilised place to each frame; all arrays are in Blender's metres and axes.
    """
    compat.remove_unused_strip(world)
    world.unit_settings.system = "METRIC"
    collection = bpy.data.collections.new("Hyoid head motion")
    world.collection.children.link(collection)
    animation.set_time(world, job["fps"], job["frames"])
    emit(event="progress", fraction=0.2, what="keying the head")
    bone = job["holder"] == "armature"
    holder = _armature(collection, arrays) if bone else _empty(collection, arrays)
    _key(holder, job, arrays)
    if job["provenance"]:
        holder["hyoid_provenance"] = job["provenance"]
    objects = []
    if "vertices" in arrays:
        emit(event="progress", fraction=0.4, what="building the mesh")
        objects.append(_mesh(collection, holder, bone, arrays))
        if job["cache"]:
            _play(objects[0], job["cache"])
    _set_views(holder, arrays)
    world.frame_set(world.frame_start)
    return scene.Built(holder, objects, True)


def _armature(collection: Any, arrays: dict[str, np.ndarray]) -> Any:
    """An armature with one bone, which stands upright at the pivot."""
    data = bpy.data.armatures.new(ARMATURE)
    holder = bpy.data.objects.new(ARMATURE, data)
    collection.objects.link(holder)
    data.display_type = "STICK"
    holder.show_in_front = True
    place, length = arrays["pivot"], 0.5 * float(arrays["size"])
    joint = {"joints": [BONE], "drivers": []}
    upright = {
        "parents": np.array([-1]), "heads": place[None], "tails": place[None] + [0, 0, length],
        "weights": np.ones((1, 1)), "weight_joints": np.zeros((1, 1), np.int32),
    }  # fmt: skip
    rig.place_bones(holder, joint, upright, control=False)
    holder.pose.bones[BONE].rotation_mode = "QUATERNION"
    return holder


def _empty(collection: Any, arrays: dict[str, np.ndarray]) -> Any:
    holder = bpy.data.objects.new(ARMATURE, None)
    collection.objects.link(holder)
    holder.empty_display_type = "ARROWS"
    holder.empty_display_size = 0.5 * float(arrays["size"])
    holder.rotation_mode = "QUATERNION"
    holder.location = arrays["pivot"].tolist()
    return holder


def _key(holder: Any, job: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Linear keys on every frame: of location, of rotation, and of what is told about the frames."""
    pivot, turns = arrays["pivot"], arrays["rotations"]
    places = _turned(turns, pivot) + arrays["translations"]
    path, group = "", "Head"
    if holder.type == "ARMATURE":
        # As the bone has it: in its own rest axes, from its rest position.
        bone = holder.data.bones[BONE]
        axes = np.array(bone.matrix_local.to_3x3(), np.float64)
        places = (places - np.array(bone.head_local, np.float64)) @ axes
        turns = np.concatenate([turns[:, :1], turns[:, 1:] @ axes], -1)
        path, group = f'pose.bones["{BONE}"].', BONE
    action = bpy.data.actions.new(job["name"])
    action.use_fake_user = True
    container = compat.fcurve_owner(holder, action)
    frames = np.arange(job["frames"]) + animation.FIRST
    channels = {f"{path}location": places, f"{path}rotation_quaternion": turns}
    for name, high, about in (
        ("confidence", 1.0, "How sure the head motion of this frame is, 0 to 1"),
        ("residual_mm", 10.0, "How far the still parts of the face are from the target's, millimetres"),
    ):
        if name in arrays:
            compat.set_property(holder, name, float(arrays[name][0]), 0.0, high, about, most=1.0 if high == 1 else 10.0)
            channels[f'["{name}"]'] = arrays[name][:, None]
    for data_path, values in channels.items():
        for index in range(values.shape[1]):
            curve = compat.new_fcurve(container, data_path, index, group if data_path[0] != "[" else "Quality")
            animation.set_keys(curve, np.stack([frames, values[:, index]], -1))


def _turned(turns: np.ndarray, point: np.ndarray) -> np.ndarray:
    """One point (3,) turned by quaternions (F, 4): (F, 3)."""
    real, imaginary = turns[:, :1], turns[:, 1:]
    across = 2 * np.cross(imaginary, point)
    return point + real * across + np.cross(imaginary, across)


def _mesh(collection: Any, holder: Any, bone: bool, arrays: dict[str, np.ndarray]) -> Any:
    """The target, which hangs on the bone or empty and stands in its own place where that is at rest."""
    from mathutils import Matrix

    faces = arrays["faces"]
    corner = np.ones(faces.shape, bool)
    corner[:, 3] = faces[:, 3] != faces[:, 2]  # a triangle repeats its last index
    sizes = corner.sum(1)
    mesh = bpy.data.meshes.new(MESH)
    mesh.vertices.add(len(arrays["vertices"]))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(arrays["vertices"], np.float32).reshape(-1))
    mesh.loops.add(int(sizes.sum()))
    mesh.loops.foreach_set("vertex_index", faces[corner].astype(np.int32))
    mesh.polygons.add(len(faces))
    compat.set_polygons(mesh, np.cumsum(sizes) - sizes, sizes)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    mesh.update(calc_edges=True)
    made = bpy.data.objects.new(MESH, mesh)
    collection.objects.link(made)
    made.parent = holder
    if bone:
        made.parent_type, made.parent_bone = "BONE", BONE
        rest = holder.data.bones[BONE]
        # What hangs on a bone hangs on its tail.
        made.matrix_parent_inverse = (rest.matrix_local @ Matrix.Translation((0, rest.length, 0))).inverted()
    else:
        made.matrix_parent_inverse = Matrix.Translation((-arrays["pivot"]).tolist())
    return made


def _play(made: Any, cache: str) -> None:
    """Let a point cache replace the vertices on every frame; without the modifier the mesh is the target."""
    modifier = made.modifiers.new(MODIFIER, "MESH_CACHE")
    modifier.cache_format = "PC2"
    modifier.filepath = cache
    modifier.frame_start = float(animation.FIRST)
    modifier.interpolation = "LINEAR"


def _set_views(holder: Any, arrays: dict[str, np.ndarray]) -> None:
    """What the file shows when it is opened: the head from the front, and the holder selected."""
    from mathutils import Quaternion

    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                region = area.spaces.active.region_3d
                region.view_location = arrays["pivot"].tolist()
                region.view_distance = 4 * float(arrays["size"])
                region.view_rotation = Quaternion((1, 0, 0), np.pi / 2)
                region.view_perspective = "PERSP"
    holder.select_set(True)
    bpy.context.view_layer.objects.active = holder
