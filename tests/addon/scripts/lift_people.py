# SPDX-License-Identifier: Apache-2.0
"""Everybody of a clip is lifted; and a body goes onto an armature that is not Hyoid's, half as tall."""

import bpy
import lift_scene as lift
from mathutils import Vector

MIXAMO = {
    "Hips": (None, (0, 0, 0.5), (0, 0, 0.6)), "Spine": ("Hips", (0, 0, 0.6), (0, 0, 0.7)),
    "Neck": ("Spine", (0, 0, 0.7), (0, 0, 0.8)), "Head": ("Neck", (0, 0, 0.8), (0, 0, 0.9)),
    **{
        f"{side}{name}": (above.format(side), head, tail)
        for side, x in (("Left", 1), ("Right", -1))
        for name, above, head, tail in (
            ("UpLeg", "Hips", (0.1 * x, 0, 0.5), (0.1 * x, 0, 0.25)),
            ("Leg", "{}UpLeg", (0.1 * x, 0, 0.25), (0.1 * x, 0, 0.03)),
            ("Foot", "{}Leg", (0.1 * x, 0, 0.03), (0.1 * x, -0.1, 0.0)),
            ("Arm", "Spine", (0.1 * x, 0, 0.7), (0.25 * x, 0, 0.7)),
            ("ForeArm", "{}Arm", (0.25 * x, 0, 0.7), (0.4 * x, 0, 0.7)),
            ("Hand", "{}ForeArm", (0.4 * x, 0, 0.7), (0.5 * x, 0, 0.7)),
        )
    },
}  # fmt: skip


def main(addon, args):
    module, answer = lift.modules(addon), {}
    folder, scene = lift.prepare(addon, args), bpy.context.scene
    settings, records = scene.hyoid_lift, module("lift.records")
    settings.person = "ALL"
    told = {"result": list(bpy.ops.hyoid.lift()), "job": lift.job(folder)}
    people = sorted((obj for obj in scene.objects if records.of(obj)), key=lambda obj: records.of(obj).person)
    told["people"] = [records.of(obj).person for obj in people]
    told["walked"] = [lift.walked(obj)[0] for obj in people]
    told["apart"] = (lift.place(people[1], lift.FIRST) - lift.place(people[0], lift.FIRST)).x
    told["files before"] = sorted(path.name for path in (folder / "out").iterdir())
    settings.foot_lock = 0.0
    lift.activate(people[1])
    bpy.ops.hyoid.redo_lift()
    told["redone"] = [lift.walked(obj)[0] for obj in people]
    told["files"] = sorted(path.name for path in (folder / "out").iterdir())
    told["characters"] = len(module("characters.find").rigs(scene))
    places = []
    for one in reversed(people):
        lift.activate(one)
        bpy.ops.hyoid.add_lift_camera()
        places.append(list(scene.camera.matrix_world.translation))
    settings.camera_height = 2.0
    bpy.ops.hyoid.redo_lift()
    told["camera places"] = [*places, list(scene.camera.matrix_world.translation)]
    settings.camera_height = 0.0
    told["one camera"] = len([obj for obj in scene.objects if obj.type == "CAMERA"]) == 1
    answer["all"] = told
    bpy.ops.hyoid.choose_lift_person(name="person_02")
    answer["chosen"] = [settings.person, settings.person_name]

    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    rig = skeleton()
    settings.person, settings.foot_lock = "MAIN", 1.0
    own = {"result": list(bpy.ops.hyoid.lift()), "job": lift.job(folder)}
    own["walked"] = Vector(lift.walked(rig, "mixamorig:Hips")).x
    settings.foot_lock = 0.0
    bpy.ops.hyoid.redo_lift()
    own["redone"] = Vector(lift.walked(rig, "mixamorig:Hips")).x
    bpy.ops.hyoid.add_lift_camera()
    own["camera"] = list(scene.camera.matrix_world.translation)
    answer["own"] = own
    return answer


def skeleton():
    """An armature with Mixamo's names, half as tall as the human."""
    bpy.context.scene.frame_set(lift.FIRST)
    data = bpy.data.armatures.new("own")
    rig = bpy.data.objects.new("own", data)
    bpy.context.scene.collection.objects.link(rig)
    lift.activate(rig)
    bpy.ops.object.mode_set(mode="EDIT")
    for name, (above, head, tail) in MIXAMO.items():
        bone = data.edit_bones.new(f"mixamorig:{name}")
        bone.head, bone.tail = head, tail
        if above:
            bone.parent = data.edit_bones[f"mixamorig:{above}"]
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig
