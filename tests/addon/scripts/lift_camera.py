# SPDX-License-Identifier: Apache-2.0
"""Cameras of shots are added to a scene; the pixels at which they show points of Hyoid's world."""

import bpy
import lift_scene as lift
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector


def main(addon, args):
    module, answer = lift.modules(addon), {"pixels": []}
    scene, records = bpy.context.scene, module("lift.records")
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    armature = module("characters.create").create(bpy.context, {}, "full").armature
    armature.location, armature.rotation_euler = (1, 2, 3), (0.1, 0.2, 0.3)
    lift.activate(armature)
    bpy.context.view_layer.update()
    for shot in args["shots"]:
        record = records.Record("u", "person_01", False, "", "", "", 1.0, 24.0, "walk", camera=shot["camera"])
        records.keep(armature, record)
        bpy.ops.hyoid.add_lift_camera()
        bpy.context.view_layer.update()
        width, height = shot["camera"]["size"]
        shown = []
        for x, y, z in shot["points"]:
            at = world_to_camera_view(scene, scene.camera, armature.matrix_world @ Vector((x, -z, y)))
            shown.append([at.x * width, (1 - at.y) * height])
        answer["pixels"].append(shown)
    answer["scene"] = [scene.camera is not None, [scene.render.resolution_x, scene.render.resolution_y]]
    answer["cameras"] = len([obj for obj in scene.objects if obj.type == "CAMERA"])
    return answer
