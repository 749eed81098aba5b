# SPDX-License-Identifier: Apache-2.0
"""Motion capture from a .bvh with CMU's names on the human and on a Mixamo armature, through the import operator."""

import math
from pathlib import Path

import bpy
from mathutils import Quaternion

JOINTS = (
    ("Hips", None, (0, 0, 0)), ("LowerBack", "Hips", (0, 5, 0)), ("Spine", "LowerBack", (0, 10, 0)),
    ("Spine1", "Spine", (0, 10, 0)), ("Neck", "Spine1", (0, 12, 0)), ("Neck1", "Neck", (0, 5, 0)),
    ("Head", "Neck1", (0, 6, 1)), ("LeftShoulder", "Spine1", (4, 8, 0)), ("LeftArm", "LeftShoulder", (12, 0, 0)),
    ("LeftForeArm", "LeftArm", (25, 0, 0)), ("LeftHand", "LeftForeArm", (22, 0, 0)),
)  # fmt: skip
FRAMES = (0, 5, 19)


def hierarchy(name, depth=0):
    offset = next(joint[2] for joint in JOINTS if joint[0] == name)
    children = [joint[0] for joint in JOINTS if joint[1] == name]
    position = "" if depth else "Xposition Yposition Zposition "
    lines = [f"{'JOINT' if depth else 'ROOT'} {name}", "{", "OFFSET {} {} {}".format(*offset)]
    lines.append(f"CHANNELS {3 if depth else 6} {position}Zrotation Yrotation Xrotation")
    for child in children:
        lines += hierarchy(child, depth + 1)
    return [*lines, *([] if children else ["End Site", "{", "OFFSET 0 5 0", "}"]), "}"]


def write(path):
    lines = ["HIERARCHY", *hierarchy("Hips"), "MOTION", "Frames: 20", "Frame Time: 0.04166667"]
    for frame in range(20):
        # Absolute places in centimetres: hips at 92, walking along +Z.
        numbers = [10, 92 + frame * 0.1, frame * 2.0]
        for joint in range(len(JOINTS)):
            swing = (2 * math.sin(frame / 5 + joint), 3 * math.cos(frame / 4 + joint), 4 * math.sin(frame / 3))
            numbers += swing
        lines.append(" ".join(f"{number:.5f}" for number in numbers))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(addon, args):
    core = {"__name__": "core"}
    path = Path(__file__).with_name("mapping_core.py")
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), core)
    write(args["bvh"])
    scene = bpy.context.scene
    scene.render.fps = 24
    other = core["mixamo"]("")
    scene.frame_set(10)
    bpy.ops.hyoid.import_take(filepath=args["bvh"], target=other.name)
    bpy.ops.hyoid.create_character(part="full")
    human = next(obj for obj in bpy.data.objects if obj.type == "ARMATURE" and obj != other)
    scene.frame_set(10)
    bpy.ops.hyoid.import_take(filepath=args["bvh"], target=human.name)
    turns = [core["head_turns"](rig, bone, FRAMES) for rig, bone in ((other, "Head"), (human, "oc1"))]
    scene.frame_set(10 + 19)
    arms, ways = [], []
    for rig, upper, lower in ((other, "LeftArm", "LeftForeArm"), (human, "upperarm01.L", "lowerarm01.L")):
        along = rig.pose.bones[lower].head - rig.pose.bones[upper].head
        arms.append(list((rig.matrix_world.to_3x3() @ along).normalized()))
    for rig, hips in ((other, "Hips"), (human, "root")):
        ways.append(
            list(rig.matrix_world @ rig.pose.bones[hips].head - rig.matrix_world @ rig.data.bones[hips].head_local)
        )
    return {
        "apart": max(core["angle"](a, b) for a, b in zip(*turns, strict=True)),
        "most": max(core["angle"](turn, Quaternion()) for turn in turns[0]),
        "arms": arms, "ways": ways,
    }  # fmt: skip
