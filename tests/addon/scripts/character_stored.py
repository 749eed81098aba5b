# SPDX-License-Identifier: Apache-2.0
"""Runs inside Blender: characters from files play takes, are sampled and duplicated, also when their file is gone."""

import importlib
import os

import bpy
import numpy as np
from evaluated import world_points


def main(addon, args):
    def module(path):
        return importlib.import_module(f"{addon.__name__}.{path}")

    insert, channels, find = module("takes.insert"), module("takes.channels"), module("characters.find")
    sample, limits, section = module("export.sample"), module("characters.limits"), module("characters.section")
    take_npz = module("toolkit.formats.take_npz")
    scene, answer = bpy.context.scene, {"cases": {}}
    scene.render.fps, scene.render.fps_base = 30, 1.0
    take = take_npz.read(args["take"])
    answer["before"] = [len(bpy.data.armatures), len(bpy.data.objects)]
    for name, path in args["files"].items():
        answer["result"] = list(bpy.ops.hyoid.create_character_from_file(filepath=path))
        rig = find.active_rig(bpy.context)
        armature = rig.armature
        case = answer["cases"][name] = {"armature": armature.name, "about": section._about(rig)}
        case["said"] = insert.insert(scene, armature, take, channels.Placement(1, "new", 0, 0, name))
        armature["neck_limits"] = 0.0
        shown = {}
        for frame in args["frames"]:
            scene.frame_set(frame + 1)
            graph = bpy.context.evaluated_depsgraph_get()
            for part in rig.parts:
                shown.setdefault(part["hyoid_part"], []).append(world_points(part.evaluated_get(graph)))
        np.savez(os.path.join(args["out"], f"{name}.npz"), **{part: np.array(rows) for part, rows in shown.items()})
        case["keys"] = len([key for key in rig.body.data.shape_keys.key_blocks if key.name.startswith("corrective")])
        case["collections"] = collections(armature)
        owners = [armature, *(part.data.shape_keys for part in rig.parts if part.data.shape_keys)]
        case["bad"] = [
            curve.data_path
            for owner in owners
            if owner.animation_data
            for curve in owner.animation_data.drivers
            if not (curve.is_valid and curve.driver.is_valid and curve.driver.is_simple_expression)
        ]
        os.rename(path, path + ".away")
        case["gone"] = section._about(rig)
        case["beyond"] = limits.exceeded(rig, take)
        sampled = sample.take_of(rig, scene, 1, take.frames)
        case["character"] = sampled.character.name
        case["curves"] = float(np.abs(sampled.curve("jawOpen") - take.curve("jawOpen")).max())
        case["polls"] = [bpy.ops.hyoid.randomise_character.poll(), bpy.ops.hyoid.duplicate_character.poll()]
        case["licence"] = armature["hyoid_licence"]
        bpy.ops.hyoid.remove_character()
        os.rename(path + ".away", path)
    answer["left"] = [len(bpy.data.armatures), len(bpy.data.objects)]
    answer["refused"] = []
    for path in args["bad"]:
        try:
            bpy.ops.hyoid.create_character_from_file(filepath=path)
        except RuntimeError as error:
            answer["refused"].append(str(error).strip())
    for given in ({}, {"filepath": "/nowhere/model"}, {"filepath": args["take"], "settings": "{"}):
        try:
            bpy.ops.hyoid.build_character(**given)
        except RuntimeError as error:
            answer["refused"].append(str(error).strip())
    answer["after"] = [len(bpy.data.armatures), len(bpy.data.objects)]
    return answer


def collections(armature):
    data = armature.data
    if hasattr(data, "collections"):
        return {entry.name: [bone.name for bone in entry.bones] for entry in data.collections}
    groups = {}
    for bone in armature.pose.bones:
        groups.setdefault(bone.bone_group.name, []).append(bone.name)
    return groups
