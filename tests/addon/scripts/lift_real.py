# SPDX-License-Identifier: Apache-2.0
"""The toolkit itself lifts two people, does it again with free feet, and moves a skeleton with Mixamo's names."""

import bpy
import lift_scene as lift
import numpy as np


def main(addon, args):
    module, answer = lift.modules(addon), {}
    lift.prepare(addon, args)
    scene = bpy.context.scene
    settings, records, fcurves = scene.hyoid_lift, module("lift.records"), module("timeline.fcurves")
    settings.keypoints, settings.person = args["keypoints"], "ALL"
    answer["result"] = list(bpy.ops.hyoid.lift())
    people = sorted((obj for obj in scene.objects if records.of(obj)), key=lambda obj: records.of(obj).person)
    answer["people"] = [records.of(obj).person for obj in people]
    answer["seen"] = [records.of(obj).seen for obj in people]
    answer["skate"] = [records.of(obj).quality["skate"] for obj in people]
    path = 'pose.bones["foot.L"].rotation_quaternion'
    before = fcurves.coordinates(fcurves.find(people[0], path))
    lift.activate(people[0])
    bpy.ops.hyoid.add_lift_camera()
    camera = scene.camera.matrix_world.copy()
    settings.foot_lock, settings.camera_height = 0.0, 1.0
    bpy.ops.hyoid.redo_lift()
    bpy.context.view_layer.update()
    after = fcurves.coordinates(fcurves.find(people[0], path))
    answer["skate redone"] = [records.of(obj).quality["skate"] for obj in people]
    answer["keys"], answer["keys redone"] = before[:, 0].tolist(), after[:, 0].tolist()
    answer["moved"] = float(np.abs(after[:, 1] - before[:, 1]).max()) if len(after) == len(before) else 0.0
    now = scene.camera.matrix_world.translation
    told = records.of(people[0]).camera["location"][1]
    answer["camera"] = abs(now.z - told) < 1e-4 and (now - camera.translation).length > 0.01

    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    settings.person, settings.target, settings.camera_height = "MAIN", "MIXAMO", 0.0
    mixamo = {"result": list(bpy.ops.hyoid.lift())}
    rig = next(obj for obj in scene.objects if records.of(obj))
    mixamo["bones"] = "mixamorig:LeftForeArm" in rig.pose.bones
    curve = fcurves.find(rig, 'pose.bones["mixamorig:LeftForeArm"].rotation_quaternion')
    mixamo["turns"] = float(np.ptp(fcurves.coordinates(curve)[:, 1])) if curve is not None else 0.0
    answer["mixamo"] = mixamo
    return answer
