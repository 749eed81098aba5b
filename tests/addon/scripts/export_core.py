# SPDX-License-Identifier: Apache-2.0
"""Runs inside Blender: a take goes in and comes out again, plain, over NLA, with the control on top; baked; thinned."""

import importlib
import os

import bpy
import numpy as np


def main(addon, args):
    def module(path):
        return importlib.import_module(f"{addon.__name__}.{path}")

    create, insert, channels = module("characters.create"), module("takes.insert"), module("takes.channels")
    evaluate, sample, reduce = module("timeline.evaluate"), module("export.sample"), module("export.reduce")
    take_npz, rotations = module("toolkit.formats.take_npz"), module("toolkit.geometry.rotations")
    curves_csv = module("toolkit.formats.curves_csv")
    scene, answer = bpy.context.scene, {}
    scene.render.fps, scene.render.fps_base = 30, 1.0
    take = take_npz.read(args["take"])
    last = take.frames
    rig = create.create(bpy.context, {}, args["part"])
    bpy.context.view_layer.objects.active = rig.armature

    def angle(first, second):
        size = np.linalg.norm(
            rotations.to_rotation_vector(rotations.multiply(rotations.inverse(first), second)), axis=-1
        )
        return float(size.max())

    def compared(found, wanted):
        names = [name for name in wanted.curve_names if name in found.curve_names]
        curves = max(float(np.abs(found.curve(name) - wanted.curve(name)).max()) for name in names)
        joints = [name for name in wanted.joint_names if name in found.joint_names]
        turns = max(
            angle(
                found.rotations[:, found.joint_names.index(name)], wanted.rotations[:, wanted.joint_names.index(name)]
            )
            for name in joints
        )
        moving = [n for i, n in enumerate(wanted.joint_names) if np.abs(wanted.rotations[:, i, 1:]).max() > 1e-5]
        return {
            "curves": curves, "turns": turns, "root": float(np.abs(found.root - wanted.root).max()),
            "lost": sorted(set(wanted.curve_names) - set(found.curve_names)) + sorted(set(moving) - set(joints)),
            "extra": sorted(set(found.joint_names) - set(wanted.joint_names)),
            "events": [[e.kind, e.name, round(e.start, 6), round(e.end, 6), e.strength] for e in found.events],
            "verb": found.provenance.verb, "fps": found.fps, "frames": found.frames,
        }  # fmt: skip

    def state():
        seen = evaluate.evaluate(scene, rig.armature, rig.body.data.shape_keys, np.arange(1.0, last + 1))
        return seen.matrices, np.stack(list(seen.weights.values()), -1)

    def distance(first, second):
        return [float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True)]

    counts = {name: len(getattr(bpy.data, name)) for name in ("scenes", "objects", "meshes", "armatures")}
    scene.frame_set(7, subframe=0.25)
    insert.insert(scene, rig.armature, take, channels.Placement(1, "new", 0, 0, "toy"))
    answer["plain"] = compared(sample.take_of(rig, scene, 1, last), take)
    scene.render.fps = 24
    slow = sample.take_of(rig, scene, 1, 1 + 24, fps=24)
    answer["rate"] = [slow.fps, slow.frames]
    scene.render.fps = 30
    answer["place"] = [scene.frame_current, scene.frame_subframe]

    # The same take as an NLA strip, with the head control posed on top: what is shown comes out.
    rig.armature.animation_data.action = rig.body.data.shape_keys.animation_data.action = None
    insert.insert(scene, rig.armature, take, channels.Placement(1, "nla", 0, 0, "toy"))
    answer["nla"] = compared(sample.take_of(rig, scene, 1, last), take)
    rig.armature["head_turn"] = 12.0
    rig.armature["jaw"] = 0.1
    over = sample.take_of(rig, scene, 1, last)
    answer["over"] = {
        "jaw": float(np.abs(over.curve("jawOpen") - take.curve("jawOpen") - 0.1).max()),
        "turned": angle(over.rotations[:, 0], take.rotations[:, 0]),
    }

    # Bake all: the same, without NLA and control.
    before = state()
    bpy.ops.hyoid.bake_performance(frame_range="CUSTOM", first=1, last=last, name="whole")
    answer["baked"] = distance(before, state())
    answer["muted"] = all(track.mute for track in rig.armature.animation_data.nla_tracks)
    answer["control"] = rig.armature["head_turn"]
    answer["action"] = rig.armature.animation_data.action.name

    # Thin out: every curve stays within its tolerance.
    report = reduce.reduce(reduce.owners_of(rig.armature, rig), reduce.Tolerance(0.02, 0.2, 0.4, 0.001))
    answer["reduced"] = [report.before, report.after, report.errors, str(report)]
    total = sum(
        len(c.keyframe_points) for o in reduce.owners_of(rig.armature, rig) for c in reduce.compat.playing(o).fcurves
    )
    answer["counted"] = total
    thin = sample.take_of(rig, scene, 1, last)
    answer["thin"] = compared(thin, over)

    # Files.
    folder = args["place"]
    path = os.path.join(folder, "Ünïcode 'take'")
    bpy.ops.hyoid.export_take(filepath=path, format="TAKE", frame_range="CUSTOM", first=1, last=last)
    answer["file"] = compared(take_npz.read(path + ".take.npz"), thin)
    bpy.ops.hyoid.export_take(filepath=path + ".csv", frame_range="CUSTOM", first=1, last=last)
    table = curves_csv.read(path + ".csv")
    answer["table"] = float(max(np.abs(table.curve(name) - thin.curve(name)).max() for name in thin.curve_names))
    answer["left"] = sorted(os.listdir(folder))
    try:
        bpy.ops.hyoid.export_take(filepath="/proc/nowhere/take", format="TAKE")
        answer["refused"] = ""
    except RuntimeError as error:
        answer["refused"] = str(error)
    try:
        bpy.ops.hyoid.export_take(filepath=path, format="TAKE", overwrite=False)
        answer["kept"] = ""
    except RuntimeError as error:
        answer["kept"] = str(error)
    answer["counts"] = {name: len(getattr(bpy.data, name)) - value for name, value in counts.items()}
    return answer
