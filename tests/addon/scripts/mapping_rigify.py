# SPDX-License-Identifier: Apache-2.0
"""A take on the controls of a generated Rigify rig: the deforming bones turn as the human's do."""

import importlib
from pathlib import Path

import bpy


def main(addon, args):
    core = {"__name__": "core"}
    path = Path(__file__).with_name("mapping_core.py")
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), core)
    work = {name: importlib.import_module(f"{addon.__name__}.{module}") for name, module in {
        "insert": "takes.insert", "channels": "takes.channels", "take": "toolkit.take",
        "arkit": "toolkit.characters.arkit",
    }.items()}  # fmt: skip
    bpy.ops.preferences.addon_enable(module="rigify")
    bpy.ops.object.armature_human_metarig_add()
    metarig = bpy.context.object
    bpy.ops.pose.rigify_generate()
    rig = metarig.data.rigify_target_rig
    bpy.context.view_layer.objects.active = rig
    turn = 0.6
    rig.rotation_mode, rig.rotation_euler = "XYZ", (0, 0, turn)
    for side in "LR":
        rig.pose.bones[f"upper_arm_parent.{side}"]["IK_FK"] = 1.0
    bpy.context.view_layer.update()
    take = core["take_of"](work)
    core["insert"](work, rig, take)
    frames = [0, 5, 11, 17, 23]
    answer = {}
    for bone, last in (("DEF-spine.003", "spine02"), ("DEF-spine.006", "oc1")):
        turns = core["head_turns"](rig, bone, frames)
        pairs = [(now, core["wanted_turn"](take, frame, last, turn)) for frame, now in zip(frames, turns, strict=True)]
        answer[bone] = max(core["angle"](now, wanted) for now, wanted in pairs)
    bpy.context.scene.frame_set(10 + 20)
    arm = rig.pose.bones["DEF-forearm.L"].head - rig.pose.bones["DEF-upper_arm.L"].head
    answer["arm"] = list((rig.matrix_world.to_3x3() @ arm).normalized())
    answer["wanted_arm"] = core["wanted_arm"](take, 20, turn)
    answer["names"] = [bone.name for bone in rig.data.bones]
    answer["parents"] = {bone.name: bone.parent.name for bone in rig.data.bones if bone.parent}
    answer["rows"] = {row.target: row.sources for row in rig.hyoid_bone_map}
    return answer
