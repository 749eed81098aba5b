# SPDX-License-Identifier: Apache-2.0
"""Heads of a picture and of a film come into the scene as Empties, and are done again in place."""

import json

import bpy
import drawn
import heads_scene as heads
import numpy as np


def main(addon, args):
    module, answer = heads.modules(addon), {"faults": {}, "drawn": {}}
    folder, scene = heads.prepare(addon, args), bpy.context.scene
    settings = scene.hyoid_heads
    drawn.draw(bpy.types.HYOID_PT_heads, "before", answer)
    settings.footage, settings.person, settings.threshold = str(folder / "crowd.png"), "ALL", 0.3

    answer["shots"] = []
    find, degrees = bpy.ops.hyoid.find_heads, module("head_directions.operators").degrees_of
    for facts in args["cameras"]:  # found once; then shown in other cameras
        heads.add_camera(facts)
        result = list(find())
        found = {obj.name: heads.shown(obj, heads.FIRST, args["size"]) for obj in heads.empties()}
        answer["shots"].append({"result": result, "degrees": degrees(scene, args["size"]), "shown": found})
        find = bpy.ops.hyoid.redo_heads
    answer["job"] = heads.job(folder)
    answer["said"] = module("jobs.queue").jobs()[-1].message
    settings.show_more = True
    drawn.draw(bpy.types.HYOID_PT_heads, "after", answer)
    answer["people"] = module("head_directions.operators").people(settings)
    bpy.ops.hyoid.choose_head(name="head.person_02"[5:])
    answer["chosen"] = [settings.person, settings.person_name]

    answer["film"] = film(module, folder, settings, args)
    answer["alone"] = alone(module, folder, settings, args)
    json.dumps(answer)
    return answer


def film(module, folder, settings, args):
    """A film: a course with a gap, smoothed; then as it was found, and in a camera that moves."""
    scene = bpy.context.scene
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    camera = heads.add_camera({"render": {"resolution_x": 640, "resolution_y": 480}})
    settings.footage, settings.person = str(folder / "shot.mp4"), "ALL"
    settings.scene_range = True
    told = {"result": list(bpy.ops.hyoid.find_heads()), "job": heads.job(folder)}
    told["range"] = [scene.frame_start, scene.frame_end]
    told["names"] = [obj.name for obj in heads.empties()]
    told["objects"] = len(bpy.data.objects)
    told["actions"] = [len(bpy.data.actions), *(obj.animation_data.action.name for obj in heads.empties())]
    one, two = heads.empties()
    fcurves = module("timeline.fcurves")
    told["seen"] = fcurves.coordinates(fcurves.find(two, '["seen"]')).tolist()
    told["smooth"] = turned(two)
    settings.smoothing = 0.0
    heads.activate(one)
    jobs = len(module("jobs.queue").jobs())
    told["redo"] = list(bpy.ops.hyoid.redo_heads())
    told["jobs"] = len(module("jobs.queue").jobs()) - jobs
    told["raw"] = turned(two)
    told["objects redone"] = len(bpy.data.objects)
    told["actions redone"] = [len(bpy.data.actions), *(obj.animation_data.action.name for obj in heads.empties())]
    told["shown"] = [heads.shown(one, heads.FIRST + frame, args["size"]) for frame in (0, 7, 39)]
    camera.keyframe_insert("location", frame=heads.FIRST)
    camera.location = (-3, 5, 1)
    camera.keyframe_insert("location", frame=heads.FIRST + 39)
    told["moving"] = [heads.shown(one, heads.FIRST + frame, args["size"]) for frame in (0, 7, 39)]
    camera.data.lens = 80  # another lens: nothing is looked for
    bpy.ops.hyoid.redo_heads()
    told["longer lens"] = [heads.shown(one, heads.FIRST + frame, args["size"]) for frame in (0, 7, 39)]
    curve = fcurves.find(one, "location")
    before = curve.evaluate(heads.FIRST + 7)
    curve.keyframe_points.insert(heads.FIRST - 8, 0.5)
    settings.smoothing = 1.0
    bpy.ops.hyoid.redo_heads()
    curve = fcurves.find(one, "location")
    told["outside"] = [curve.evaluate(heads.FIRST - 8), curve.evaluate(heads.FIRST + 7)]
    told["inside"] = before
    told["again"] = turned(two)
    return told


def alone(module, folder, settings, args):
    """Without a camera in the scene: one is added, with the film behind."""
    scene = bpy.context.scene
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    scene.frame_set(heads.FIRST)
    settings.field_of_view, settings.person, settings.display = 70.0, "MAIN", "AXES"
    settings.footage = str(folder / "crowd.png")
    bpy.ops.hyoid.find_heads()
    camera = scene.camera
    found = {obj.name: heads.shown(obj, heads.FIRST, args["size"]) for obj in heads.empties()}
    behind = camera.data.background_images
    told = {
        "angle": float(np.degrees(camera.data.angle)), "shown": found, "behind": [one.source for one in behind],
        "size": [scene.render.resolution_x, scene.render.resolution_y], "job": heads.job(folder),
    }  # fmt: skip
    settings.source = "CAMERA"
    told["from the camera"] = module("head_directions.footage").chosen(bpy.context).path.name
    told["its angle"] = module("head_directions.operators").degrees_of(scene, args["size"])
    settings.source = "FILE"
    return told


def turned(obj):
    """The quaternion of each frame of the film."""
    curves = [curve for curve in channels(obj) if curve.data_path == "rotation_quaternion"]
    curves.sort(key=lambda curve: curve.array_index)
    return [[curve.evaluate(heads.FIRST + frame) for curve in curves] for frame in range(40)]


def channels(obj):
    action = obj.animation_data.action
    if hasattr(action, "fcurves"):
        return list(action.fcurves)
    return list(action.layers[0].strips[0].channelbag(obj.animation_data.action_slot).fcurves)
