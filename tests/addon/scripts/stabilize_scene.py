# SPDX-License-Identifier: Apache-2.0
"""Heads that move in every way that a mesh can move in Blender; the upper half of each is its skull."""

import math

import bpy
import numpy as np
from evaluated import world_points

FRAMES = range(1, 25)
LOOKED_AT = (1, 2, 9, 16, 24)
SKULL = []
"""Rows of the vertices that the mouth does not move, in every head."""


def turned(frame):
    """Turn (radians about X, Y, Z) and place of a head at a frame."""
    return (
        (0.2 * math.sin(frame / 5), 0.1 * math.cos(frame / 7), 0.3 * math.sin(frame / 9)),
        (0.3 * math.sin(frame / 6), 0.05 * frame, 0.2 * math.cos(frame / 8)),
    )


def key_motion(owner, scale=1.0):
    """Key an object or bone: turn and place."""
    owner.rotation_mode = "XYZ"
    for frame in FRAMES:
        owner.rotation_euler, place = turned(frame)
        owner.location = [scale * value for value in place]
        for path in ("rotation_euler", "location"):
            owner.keyframe_insert(path, frame=frame)


def new_head(name):
    """A sphere that opens its mouth by a key, in the scene."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=24, ring_count=16)
    head = bpy.context.object
    head.name = name
    head.shape_key_add(name="Basis")
    SKULL[:] = [vertex.index for vertex in head.data.vertices if vertex.co.z > 0.4]
    mouth = head.shape_key_add(name="mouth")
    for point in mouth.data:
        below = max(0.0, -point.co.z)
        point.co.z -= 0.4 * below
        point.co.y -= 0.2 * below
    for frame in FRAMES:
        mouth.value = 0.5 + 0.5 * math.sin(frame)
        mouth.keyframe_insert("value", frame=frame)
    return head


def by_object():
    """Shape keys, a keyed object that is squeezed, below a parent that is scaled and turned; smooth behind it all."""
    head = new_head("By Object")
    holder = bpy.data.objects.new("holder", None)
    bpy.context.scene.collection.objects.link(holder)
    holder.scale, holder.rotation_euler, holder.location = (0.5, 0.5, 0.5), (0.3, 1.2, -0.4), (1, 2, 3)
    head.parent = holder
    head.scale = (1.0, 0.5, 2.0)
    key_motion(head)
    wall = head.constraints.new("LIMIT_LOCATION")
    wall.use_max_x, wall.max_x = True, 0.1
    smooth = head.modifiers.new("Subdivision", "SUBSURF")
    smooth.levels = smooth.render_levels = 1
    return head


def by_strips(push_down):
    """A head whose keys lie in an NLA strip, and whose height a driver gives."""
    head = new_head("By Strips")
    key_motion(head)
    push_down(head)
    head.delta_scale = (0.5, 0.6, 0.7)
    head.keyframe_insert("delta_scale", frame=1)
    driver = head.driver_add("location", 2).driver
    variable = driver.variables.new()
    variable.name, variable.type = "turn", "TRANSFORMS"
    holder = bpy.data.objects.new("holder", None)
    bpy.context.scene.collection.objects.link(holder)
    key_motion(holder)
    variable.targets[0].id, variable.targets[0].transform_type = holder, "ROT_Z"
    driver.expression = "turn"
    return head


def by_cache(folder, cache):
    """The head of before, all its movement in a Mesh Cache; ``cache`` writes one."""
    source = by_object()
    source.modifiers.clear()
    rows = []
    for frame in FRAMES:
        bpy.context.scene.frame_set(frame)
        rows.append(world_points(source.evaluated_get(bpy.context.evaluated_depsgraph_get())))
    mesh = source.data.copy()
    bpy.data.objects.remove(source.parent)
    bpy.data.objects.remove(source)
    head = bpy.data.objects.new("By Cache", mesh)
    head.shape_key_clear()
    bpy.context.scene.collection.objects.link(head)
    path = folder / "artist.pc2"
    cache(path, np.array(rows, np.float32), np.eye(4), FRAMES[0])
    modifier = head.modifiers.new("Cache", "MESH_CACHE")
    modifier.cache_format, modifier.filepath, modifier.frame_start = "PC2", str(path), FRAMES[0]
    return head


def by_alembic(folder, cache):
    """The head of before as an Alembic file: a Mesh Sequence Cache."""
    source = by_cache(folder, cache)
    bpy.context.view_layer.update()
    for obj in bpy.context.scene.objects:
        obj.select_set(obj == source)
    path = str(folder / "head.abc")
    bpy.ops.wm.alembic_export(
        filepath=path, selected=True, start=FRAMES[0], end=FRAMES[-1], as_background_job=False,
        evaluation_mode="VIEWPORT",
    )  # fmt: skip
    bpy.data.objects.remove(source)
    bpy.ops.wm.alembic_import(filepath=path, as_background_job=False)
    head = bpy.context.view_layer.objects.active
    head.name = "By Alembic"
    assert [modifier.type for modifier in head.modifiers] == ["MESH_SEQUENCE_CACHE"]
    return head


def by_armature():
    """A head that follows the bone of a rig, whose root moves too."""
    head = new_head("By Armature")
    data = bpy.data.armatures.new("rig")
    rig = bpy.data.objects.new("rig", data)
    bpy.context.scene.collection.objects.link(rig)
    rig.location = (0.5, 0.0, -1.0)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    root = data.edit_bones.new("root")
    root.head, root.tail = (0, 0, 0), (0, 0.2, 0.5)
    bone = data.edit_bones.new("head")
    bone.head, bone.tail, bone.parent, bone.roll = (0, 0.2, 0.7), (0, 0, 1.5), root, 0.4
    bpy.ops.object.mode_set(mode="OBJECT")
    key_motion(rig.pose.bones["root"], 0.3)
    head.vertex_groups.new(name="head").add(range(len(head.data.vertices)), 1.0, "REPLACE")
    bone = rig.pose.bones["head"]
    bone.rotation_mode = "XYZ"
    for frame in (1, 12, 24):
        bone.rotation_euler = (0.1, 0.02 * frame, -0.1)
        bone.keyframe_insert("rotation_euler", frame=frame)
    head.parent = rig
    head.modifiers.new("Armature", "ARMATURE").object = rig
    bpy.context.view_layer.objects.active = head
    return head


def seen(obj, frames=LOOKED_AT):
    """What the scene shows of an object, (frames, n, 3) in the world."""
    rows = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        rows.append(world_points(obj.evaluated_get(bpy.context.evaluated_depsgraph_get())))
    return np.array(rows)


def facts(obj):
    """Everything of an object that has to come back."""
    bpy.context.scene.frame_set(7)
    data = obj.animation_data
    action = data.action if data else None
    return {
        "parent": [obj.parent.name if obj.parent else "", obj.parent_type, obj.parent_bone],
        "inverse": [round(value, 6) for row in obj.matrix_parent_inverse for value in row],
        "place": [round(value, 5) for row in obj.matrix_world for value in row],
        "own": [round(value, 6) for value in (*obj.location, *obj.rotation_euler, *obj.scale)],
        "modifiers": [[m.name, m.show_viewport, m.show_render] for m in obj.modifiers],
        "constraints": [[c.name, c.mute] for c in obj.constraints],
        "action": action.name if action else "",
        "tracks": [[track.name, track.mute] for track in data.nla_tracks] if data else [],
        "drivers": [[driver.data_path, driver.mute] for driver in data.drivers] if data else [],
        "keys": [key.name for key in obj.data.shape_keys.key_blocks] if obj.data.shape_keys else [],
        "marks": sorted(name for name in obj.keys() if "hyoid" in name),  # noqa: SIM118
        "stores": {name: len(getattr(bpy.data, name)) for name in ("objects", "armatures", "actions", "scenes")},
    }
