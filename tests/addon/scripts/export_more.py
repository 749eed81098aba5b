# SPDX-License-Identifier: Apache-2.0
"""Runs inside Blender: a mesh with a table of shapes, big reductions, other owners' keys, a job of the toolkit."""

import importlib
import os
import time

import bpy
import numpy as np


def main(addon, args):
    def module(path):
        return importlib.import_module(f"{addon.__name__}.{path}")

    answer = {"mesh": mesh(module, args), "big": big(module, args["frames"], args["curves"]), "kept": kept(module)}
    if args["toolkit"]:
        answer["job"] = job(module, args)
    return answer


def mesh(module, args):
    """A mesh of somebody else, with names of its own: a take goes in through the table and comes out through it."""
    insert, channels, table = module("takes.insert"), module("takes.channels"), module("takes.mapping_table")
    take = module("toolkit.formats.take_npz").read(args["take"])
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 30, 1.0
    data = bpy.data.meshes.new("own")
    data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    obj = bpy.data.objects.new("own", data)
    scene.collection.objects.link(obj)
    for name in ("Basis", "JawOpen", "Mouth_Close", "eyeBlink_L", "eyeBlink_R"):
        obj.shape_key_add(name=name)
    table.guess_shape_table(obj)
    insert.insert(scene, obj, take, channels.Placement(1, "new", 0, 0, "toy"))
    bpy.context.view_layer.objects.active = obj
    path = os.path.join(args["place"], "own.take.npz")
    bpy.ops.hyoid.export_take(filepath=path, format="TAKE", frame_range="CUSTOM", first=1, last=take.frames)
    found = module("toolkit.formats.take_npz").read(path)
    apart = [float(np.abs(found.curve(name) - take.curve(name)).max()) for name in found.curve_names]
    answer = {"names": sorted(found.curve_names), "apart": max(apart), "events": len(found.events)}
    bpy.data.objects.remove(obj)
    bpy.data.meshes.remove(data)
    return answer


def big(module, frames, curves):
    """A dense action of many curves: how long the reduction takes, and whether its bound is true in Blender."""
    reduce, fcurves, compat = module("export.reduce"), module("timeline.fcurves"), module("toolkit.blender.compat")
    animation = module("toolkit.blender.animation")
    obj = bpy.data.objects.new("big", None)
    action = bpy.data.actions.new("big")
    container = compat.fcurve_owner(obj, action)
    at = np.arange(frames, dtype=float)
    for index in range(curves):
        obj[f"p{index}"] = 0.0
        values = np.clip(np.sin(at / (5 + index % 17)) * np.sin(at / (90 + index)), 0, 1)
        animation.add_channel(container, f'["p{index}"]', "Face", at, values)
    checked = list(range(0, curves, max(curves // 8, 1)))
    before = {i: fcurves.values_at(container.fcurves.find(f'["p{i}"]'), at) for i in checked}
    start = time.perf_counter()
    report = reduce.reduce([obj], reduce.Tolerance(0.01))
    seconds = time.perf_counter() - start
    after = {i: fcurves.values_at(container.fcurves.find(f'["p{i}"]'), at) for i in checked}
    worst = max(float(np.abs(before[i] - after[i]).max()) for i in checked)
    bpy.data.objects.remove(obj)
    bpy.data.actions.remove(action)
    return {
        "seconds": seconds,
        "before": report.before,
        "after": report.after,
        "told": report.errors[""],
        "worst": worst,
    }


def kept(module):
    """What a reduction must not touch, and closures that it must keep."""
    reduce, fcurves, compat = module("export.reduce"), module("timeline.fcurves"), module("toolkit.blender.compat")
    animation, events = module("toolkit.blender.animation"), module("toolkit.take")
    data = bpy.data.meshes.new("face")
    data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    obj = bpy.data.objects.new("face", data)
    for name in ("Basis", "mouthClose", "jawOpen", "locked", "modified", "hand"):
        obj.shape_key_add(name=name)
    keys = data.shape_keys
    container = compat.fcurve_owner(keys, bpy.data.actions.new("face"))
    at = np.arange(100.0)
    small = 0.5 + 0.004 * np.sin(at)  # within the tolerance: a straight line would do
    small[50] = 0.504
    path = 'key_blocks["{}"].value'.format
    for name in ("mouthClose", "locked", "modified"):
        animation.add_channel(container, path(name), "Face", at, small)
    container.fcurves.find(path("locked")).lock = True
    container.fcurves.find(path("modified")).modifiers.new("NOISE")
    for frame, value in ((0, 0.0), (30, 1.0), (70, 0.2), (99, 0.6)):
        keys.key_blocks["hand"].value = value
        keys.key_blocks["hand"].keyframe_insert("value", frame=frame)
    animation.add_channel(container, path("jawOpen"), "Face", at, np.abs(np.sin(at / 9)))
    jaw = container.fcurves.find(path("jawOpen"))
    ends = fcurves.values_at(jaw, at)
    bilabial = events.Event("phone", "M", 1.62, 1.71)
    span = (20.0, 80.0)
    report = reduce.reduce([keys], reduce.Tolerance(0.01), span, events=(bilabial,), origin=(0.0, 30.0))
    frames = {name: fcurves.key_frames(container.fcurves.find(path(name))).tolist() for name in
              ("mouthClose", "locked", "modified", "hand", "jawOpen")}  # fmt: skip
    shown = fcurves.values_at(container.fcurves.find(path("jawOpen")), at)
    outside = np.abs(shown - ends)[(at < span[0]) | (at > span[1])].max()
    return {
        "frames": frames,
        "alone": report.alone,
        "outside": float(outside),
        "inside": float(np.abs(shown - ends).max()),
    }


def job(module, args):
    """The toolkit writes a film's worth of formats from what the scene shows."""
    create = module("characters.create")
    rig = create.create(bpy.context, {}, "head")
    bpy.context.view_layer.objects.active = rig.armature
    rig.armature["head_turn"] = 20.0
    path = os.path.join(args["place"], 'Größe "x".glb')
    bpy.ops.hyoid.export_take(filepath=path, format="GLB", frame_range="CUSTOM", first=1, last=5)
    return {
        "size": os.path.getsize(path),
        "start": open(path, "rb").read(4).decode(),
        "left": os.listdir(args["place"]),
    }
