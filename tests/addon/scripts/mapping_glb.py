# SPDX-License-Identifier: Apache-2.0
"""A performance that Blender's own exporter writes as .glb, and what it looks like in the scene."""

from pathlib import Path

import bpy
from mathutils import Quaternion, Vector

BONES = ("Hips", "Spine", "Neck", "Head", "LeftArm")
SHOWN = ("Hips", "Head", "LeftArm", "LeftHand")


def main(addon, args):
    core = {"__name__": "core"}
    path = Path(__file__).with_name("mapping_core.py")
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), core)
    rig = core["mixamo"]()
    face = core["mesh_with"](["jawOpen", "Mund 'auf'"])
    face.parent = rig
    for bone in rig.data.bones:
        face.vertex_groups.new(name=bone.name).add([0, 1, 2], 0.05, "REPLACE")
    face.modifiers.new("Armature", "ARMATURE").object = rig
    key = face.data.shape_keys.key_blocks["jawOpen"]
    key.data[0].co.x += 1
    for other in face.data.shape_keys.key_blocks:
        other.value = 0  # Blender 5.0 makes new keys with the value 1
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = 24, 1, 12
    for frame in range(1, 13):
        for number, name in enumerate(BONES):
            bone = rig.pose.bones[f"mixamorig:{name}"]
            axis = Vector((1, 0.3 * frame, 0.1 * number)).normalized()
            bone.rotation_quaternion = Quaternion(axis, 0.03 * frame)
            bone.keyframe_insert("rotation_quaternion", frame=frame)
        hips = rig.pose.bones["mixamorig:Hips"]
        hips.location = (frame, 0.5 * frame, 0)
        hips.keyframe_insert("location", frame=frame)
        key.value = frame / 24
        key.keyframe_insert("value", frame=frame)
    bpy.ops.export_scene.gltf(filepath=args["glb"], export_format="GLB", export_animations=True)
    turns, ways = {name: [] for name in SHOWN}, []
    for frame in range(1, 13):
        scene.frame_set(frame)
        for name in SHOWN:
            bone = rig.pose.bones[f"mixamorig:{name}"]
            rest = (rig.matrix_world @ bone.bone.matrix_local).to_quaternion()
            w, x, y, z = (rig.matrix_world @ bone.matrix).to_quaternion() @ rest.inverted()
            turns[name].append([w, x, z, -y])
        hips = rig.pose.bones["mixamorig:Hips"]
        x, y, z = rig.matrix_world @ hips.head - rig.matrix_world @ hips.bone.head_local
        ways.append([x, z, -y])
    parents = {bone.name: bone.parent.name for bone in rig.data.bones if bone.parent}
    return {"turns": turns, "ways": ways, "parents": parents}
