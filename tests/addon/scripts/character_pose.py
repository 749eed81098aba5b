# SPDX-License-Identifier: Apache-2.0
"""Poses created characters as the test says and stores what Blender shows, in Hyoid's axes (+Y up)."""

import importlib

import bpy
import numpy as np


def main(addon, args):
    create = importlib.import_module(addon.__name__ + ".characters.create")
    found = importlib.import_module(addon.__name__ + ".characters.find")
    with np.load(args["poses"]) as archive:
        poses = {name: archive[name] for name in archive.files}
    rig = create.create(bpy.context, args["settings"], args["part"])
    body_keys = rig.body.data.shape_keys.key_blocks
    bones = rig.armature.pose.bones
    if args["limits"] is not None:
        rig.armature["neck_limits"] = args["limits"]
    joints = [str(name) for name in poses["joint_names"]]
    shown = {"joints": [], "bones": [], **{part["hyoid_part"]: [] for part in rig.parts}}
    for frame in range(len(poses["shape_weights"])):
        for name, weight in zip(poses["shape_names"], poses["shape_weights"][frame], strict=True):
            key = body_keys[str(name)]
            if key.name not in ("larynxUp", "larynxDown", "larynxSize"):
                key.value = weight
        rig.armature["larynx_height"] = float(poses["larynx_height"][frame])
        rig.armature["larynx_size"] = float(poses["larynx_size"][frame])
        for name, value in zip(("head_turn", "head_nod", "head_tilt"), poses["head"][frame], strict=True):
            rig.armature[name] = float(value)
        handle = bones["head_control"]
        handle.rotation_mode = "QUATERNION"
        handle.rotation_quaternion = poses["handle"][frame]
        for name, turn in zip(joints, poses["rotations"][frame], strict=True):
            rest = np.array(bones[name].bone.matrix_local.to_3x3())
            bones[name].rotation_quaternion = [turn[0], *(np.array([turn[1], -turn[3], turn[2]]) @ rest)]
        root = poses["root"][frame]
        rest = np.array(bones[joints[0]].bone.matrix_local.to_3x3())
        bones[joints[0]].location = (np.array([root[0], -root[2], root[1]]) @ rest).tolist()
        rig.armature.update_tag()
        rig.body.data.shape_keys.update_tag()
        bpy.context.view_layer.update()
        sample(rig, joints, shown)
    np.savez(args["out"], **{name: np.array(values) for name, values in shown.items()})
    drivers = [curve for owner in owners(rig) for curve in owner.animation_data.drivers]
    return {
        "mark": found.identity(rig.armature),
        "drivers": len(drivers),
        "bad_drivers": [
            f"{curve.data_path}: {curve.driver.expression}"
            for curve in drivers
            if not (curve.is_valid and curve.driver.is_valid and curve.driver.is_simple_expression)
        ],
    }


def owners(rig):
    every = [rig.armature, *(part.data.shape_keys for part in rig.parts if part.data.shape_keys)]
    return [owner for owner in every if owner.animation_data]


def sample(rig, joints, shown):
    graph = bpy.context.evaluated_depsgraph_get()
    for part in rig.parts:
        evaluated = part.evaluated_get(graph)
        mesh = evaluated.to_mesh()
        points = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", points)
        shown[part["hyoid_part"]].append(to_hyoid(points.reshape(-1, 3)))
        evaluated.to_mesh_clear()
    pose = rig.armature.evaluated_get(graph).pose.bones
    shown["joints"].append([to_hyoid(np.array(pose[name].head)) for name in joints])
    shown["bones"].append([np.array(turned(pose[name])) for name in joints])


def turned(bone):
    """The rotation of an evaluated bone against its parent and its rest, in Hyoid's axes: w, x, y, z."""
    matrix, rest = bone.matrix.to_3x3(), bone.bone.matrix_local.to_3x3()
    if bone.parent:
        change = (bone.parent.matrix.to_3x3() @ bone.parent.bone.matrix_local.to_3x3().inverted()).inverted()
        matrix = change @ matrix
    w, x, y, z = (matrix @ rest.inverted()).to_quaternion()
    return [w, x, z, -y]


def to_hyoid(points):
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)
