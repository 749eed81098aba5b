# SPDX-License-Identifier: Apache-2.0
"""Runs inside Blender: what a scene does to a character by constraints, drivers, parents and handlers is sampled and
baked as the scene shows it."""

import importlib

import bpy
import numpy as np


def main(addon, args):
    def module(path):
        return importlib.import_module(f"{addon.__name__}.{path}")

    create, evaluate = module("characters.create"), module("timeline.evaluate")
    drive = module("toolkit.blender.rig").drive
    scene = bpy.context.scene
    rig = create.create(bpy.context, {}, "head")
    armature, keys = rig.armature, rig.body.data.shape_keys
    armature["neck_limits"] = type(armature["neck_limits"])(0)

    def empty(name, hidden=False):
        made = bpy.data.objects.new(name, None)
        scene.collection.objects.link(made)
        made.hide_viewport = hidden
        return made

    target, carrier = empty("target", hidden=True), empty("carrier")
    for frame, place in ((1, (0.5, -1, 1.4)), (20, (-0.8, -1, 1.9))):
        target.location = place
        target.keyframe_insert("location", frame=frame)
        carrier.rotation_euler.z = frame / 30
        carrier.keyframe_insert("rotation_euler", frame=frame)
    armature.parent = carrier
    look = armature.pose.bones["oc1"].constraints.new("DAMPED_TRACK")
    look.target, look.track_axis = target, "TRACK_Z"
    drive(keys.key_blocks["mouthSmileLeft"], "value", "abs(x)", x=(target, "location[0]"))
    armature.pose.bones["jaw"].location = (0, 0, 0.002)
    keys.key_blocks["cheekPuff"].value, keys.key_blocks["cheekPuff"].mute = 0.7, True

    def shown():
        matrices, weights = [], []
        for frame in (1, 8, 13, 20):
            scene.frame_set(frame)
            graph = bpy.context.evaluated_depsgraph_get()
            bones = armature.evaluated_get(graph).pose.bones
            matrices.append([np.array(bone.matrix) for bone in bones])
            weights.append([key.value * (not key.mute) for key in keys.evaluated_get(graph).key_blocks])
        return np.array(matrices), np.array(weights)

    def away(first, second):
        return [float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True)]

    answer = {"driven": keys.key_blocks["mouthSmileLeft"].value}
    wanted = shown()
    scene.frame_set(5)
    seen = evaluate.evaluate(scene, armature, keys, [1, 8, 13, 20])
    answer["sampled"] = away(wanted, (seen.matrices, np.stack(list(seen.weights.values()), -1)))
    answer["moving"] = float(np.ptp(wanted[0], axis=0).max())
    answer["frame"] = scene.frame_current

    # The artist's constraint on the skull is in the keys after the bake, and silent.
    bpy.context.view_layer.objects.active = armature
    bpy.ops.hyoid.bake_neck(frame_range="CUSTOM", first=1, last=20)
    answer["neck"] = away(wanted, shown())
    answer["silent"] = look.mute
    bpy.ops.hyoid.bake_performance(frame_range="CUSTOM", first=1, last=20, name="all")
    answer["all"] = away(wanted, shown())
    answer["driver"] = [d.mute for d in keys.animation_data.drivers if "mouthSmileLeft" in d.data_path]
    own = [d.mute for d in keys.animation_data.drivers if "larynx" in d.data_path]
    answer["own"] = any(own) or not own
    return answer
