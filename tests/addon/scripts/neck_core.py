# SPDX-License-Identifier: Apache-2.0
"""Runs inside Blender: head control, joints, bake, spread, gather, swallow on a head."""

import importlib
import math
import random

import bpy
import numpy as np


def main(addon, args):
    name = addon.__name__
    create = importlib.import_module(f"{name}.characters.create")
    motion = importlib.import_module(f"{name}.neck.motion")
    neck = importlib.import_module(f"{name}.toolkit.characters.neck")
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 40
    rig = create.create(bpy.context, {}, "head")
    armature = rig.armature
    bpy.context.view_layer.objects.active = armature
    answer = {}

    def shown(frames=range(1, 41)):
        return motion.shown(rig, scene, np.array(list(frames), float))

    def apart(first, second):
        return float(2 * np.arcsin(np.clip(np.linalg.norm(first - second, axis=-1) / 2, 0, 1)).max())

    # What the control does with a head that a living person can hold is nothing to warn of; more than that is.
    joints = importlib.import_module(f"{name}.neck.joints")
    answer["warned"] = {}
    for motions in ((50, 0, 0), (-65, 0, 0), (30, 20, 10), (0, -50, 0), (0, 0, 40), (0, 0, 90)):
        for control, value in zip(joints.PROPERTIES, motions, strict=True):
            armature[control] = float(value)
        armature.update_tag()
        bpy.context.view_layer.update()
        warned = []
        for joint in neck.JOINTS:
            shown_now = joints.angles(joints.shown_rotation(armature.pose.bones[joint]))
            beyond = joints.range_of(motion.limits_of(rig), joint).beyond(*map(math.degrees, shown_now))
            warned += [f"{joint} {beyond}"] if beyond else []
        answer["warned"][str(motions)] = warned
    for control in joints.PROPERTIES:
        armature[control] = 0.0

    # Per-joint override in degrees, read back, as the bone's quaternion.
    bone = armature.pose.bones["c5c6"]
    bone.hyoid_neck = (6, -5, 4)
    answer["read_back"] = list(bone.hyoid_neck)
    answer["override"] = [math.degrees(x) for x in bone.rotation_quaternion.to_exponential_map()]

    # A performance: joints, control properties and the handle all animated, limits on.
    generator = random.Random(3)
    for frame in (1, 9, 17, 25, 33, 40):
        for joint in ("c7t1", "c5c6", "c2c3", "c1c2", "oc1"):
            pose = armature.pose.bones[joint]
            pose.hyoid_neck = [generator.uniform(-4, 4) for _ in range(3)]
            pose.keyframe_insert("rotation_quaternion", frame=frame)
        armature["head_turn"] = generator.uniform(-30, 30)
        armature["head_nod"] = generator.uniform(-15, 15)
        armature.keyframe_insert('["head_turn"]', frame=frame)
        armature.keyframe_insert('["head_nod"]', frame=frame)
        handle = armature.pose.bones.get("head_control")
        if handle is not None:
            handle.rotation_euler = (generator.uniform(-0.1, 0.1), generator.uniform(-0.2, 0.2), 0.05)
            handle.keyframe_insert("rotation_euler", frame=frame)
    if "neck_limits" in armature:
        armature["neck_limits"] = 1
    answer["handle"] = armature.pose.bones.get("head_control") is not None
    before, outside = shown(), shown((-5, 0, 41, 50))

    # Bake a part: inside equal, outside equal.
    bpy.ops.hyoid.bake_neck(frame_range="CUSTOM", first=10, last=20)
    answer["part_inside"] = apart(before[9:20], shown(range(10, 21)))
    answer["part_outside"] = apart(np.concatenate([before[:9], before[20:]]), shown([*range(1, 10), *range(21, 41)]))
    container = motion.compat.playing(armature)
    curve = container.fcurves.find('["head_turn"]')
    answer["control_in_part"] = max(abs(curve.evaluate(frame)) for frame in range(10, 21))

    # Bake all: equal, the control has no keys and is at rest.
    bpy.ops.hyoid.bake_neck(frame_range="KEYS")
    answer["whole"] = apart(before, shown())
    answer["beyond"] = apart(outside, shown((-5, 0, 41, 50)))
    container = motion.compat.playing(armature)
    answer["control_curves"] = sum("head_" in curve.data_path for curve in container.fcurves)
    answer["control"] = [armature["head_turn"], armature["head_nod"], armature["head_tilt"]]

    # Spread: the same head, and exactly what the toolkit makes of it.
    if "neck_limits" in armature:
        armature["neck_limits"] = 0
        armature.update_tag()
    head = neck.collapse(before)
    bpy.ops.hyoid.redistribute_neck(frame_range="SCENE")
    spread = shown()
    answer["spread_head"] = apart(head, neck.collapse(spread))
    limits = motion.limits_of(rig)
    upright = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]])  # +Z up to +Y up
    wanted = neck.distribute(limits, head @ upright) @ upright.T
    wanted = np.where((wanted * spread).sum(-1, keepdims=True) < 0, -wanted, wanted)
    answer["spread_joints"] = apart(spread, wanted)

    # Gather: the same head, the joints at rest, the control moves.
    bpy.ops.hyoid.collapse_neck(frame_range="SCENE")
    answer["gather_head"] = apart(head, neck.collapse(shown()))
    answer["mode"] = armature.pose.bones["head_control"].rotation_mode
    own = np.array([motion.joints.own_rotation(armature.pose.bones[joint]) for joint in neck.JOINTS])
    answer["gather_own"] = float(np.abs(own[:7, 1:]).max())

    return answer
