# SPDX-License-Identifier: Apache-2.0
"""Runs inside Blender: one pose, the table with automatic keying, a swallow, faults."""

import importlib

import bpy
import numpy as np


def main(addon, args):
    name = addon.__name__
    answer = {"poll": bpy.ops.hyoid.bake_neck.poll()}
    create = importlib.import_module(f"{name}.characters.create")
    motion = importlib.import_module(f"{name}.neck.motion")
    neck = importlib.import_module(f"{name}.toolkit.characters.neck")
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 25, 1.0
    rig = create.create(bpy.context, {}, "head")
    armature = rig.armature
    bpy.context.view_layer.objects.active = armature
    armature["neck_limits"] = type(armature["neck_limits"])(0)

    def head():
        return neck.collapse(motion.shown_now(rig)[None])[0]

    def apart(first, second):
        return float(2 * np.linalg.norm(np.minimum(abs(first - second), abs(first + second))))

    armature.pose.bones["c4c5"].hyoid_neck = (9, 14, 0)
    armature["head_turn"] = 20.0
    armature.update_tag()
    wanted = head()
    bpy.ops.hyoid.redistribute_neck()
    answer["spread"] = apart(wanted, head())
    bpy.ops.hyoid.collapse_neck()
    answer["gather"] = apart(wanted, head())
    answer["moved"] = float(np.abs(np.array(armature.pose.bones["head_control"].rotation_euler)).max())
    answer["action"] = armature.animation_data is not None and armature.animation_data.action is not None

    bone = armature.pose.bones["c2c3"]
    keyed = []
    for automatic in (False, True):
        scene.tool_settings.use_keyframe_insert_auto = automatic
        bone.hyoid_neck = (1, 0, 0)
        keyed.append(armature.animation_data.action is not None)
    answer["keyed"] = keyed
    scene.tool_settings.use_keyframe_insert_auto = False

    bpy.ops.hyoid.select_head_control()
    answer["selected"] = [armature.mode, armature.data.bones.active.name]
    bpy.ops.object.mode_set(mode="OBJECT")

    armature["larynx_height"] = 4.0
    scene.frame_set(10)
    bpy.ops.hyoid.swallow(seconds=1.0)
    curve = motion.compat.playing(armature).fcurves.find('["larynx_height"]')
    answer["keys"] = [point.co.x for point in curve.keyframe_points]
    heights = [point.co.y for point in curve.keyframe_points]
    answer["top"], answer["ends"] = max(heights), [heights[0], heights[-1]]
    answer["rise"] = (answer["keys"][2] - answer["keys"][1]) / 25

    try:
        bpy.ops.hyoid.bake_neck(frame_range="CUSTOM", first=9, last=3)
    except RuntimeError as error:
        answer["empty"] = str(error)
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        bpy.ops.hyoid.bake_neck()
    except RuntimeError as error:
        answer["edit"] = str(error)
    bpy.ops.object.mode_set(mode="OBJECT")
    data = armature.animation_data
    action = data.action
    track = data.nla_tracks.new()
    strip = motion.compat.new_strip(armature, track, "strip", 1)
    data.action = None
    strip.select = track.select = True
    data.nla_tracks.active = track
    data.use_tweak_mode = True
    try:
        bpy.ops.hyoid.bake_neck()
        answer["tweak"] = f"{action.name} {data.use_tweak_mode}"
    except RuntimeError as error:
        answer["tweak"] = str(error)
    return answer
