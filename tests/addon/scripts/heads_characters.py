# SPDX-License-Identifier: Apache-2.0
"""Heads of a film come onto characters, which stand before the camera, and are done again in place."""

import json

import bpy
import heads_scene as heads
from mathutils import Vector


def main(addon, args):
    module, answer = heads.modules(addon), {}
    folder, scene = heads.prepare(addon, args), bpy.context.scene
    settings, find = scene.hyoid_heads, module("characters.find")
    settings.footage, settings.make, settings.person = str(folder / "shot.mp4"), "HEADS", "ALL"
    heads.add_camera(args["camera"])
    new = {"result": list(bpy.ops.hyoid.find_heads()), "job": heads.job(folder)}
    rigs = [rig.armature for rig in find.rigs(scene)]
    new["parts"] = [find.identity(one)["part"] for one in rigs]
    new["shown"] = [[skull(one, heads.FIRST + frame, args) for frame in (0, 20, 39)] for one in rigs]
    new["markers"] = sorted([marker.frame, marker.name] for marker in scene.timeline_markers)
    actions = sorted(action.name for action in bpy.data.actions)
    heads.activate(rigs[0])
    settings.smoothing = 0.0
    new["redo"] = list(bpy.ops.hyoid.redo_heads())
    new["redo job"] = heads.job(folder)
    new["in place"] = actions == sorted(action.name for action in bpy.data.actions)
    new["redone"] = [[skull(one, heads.FIRST + frame, args) for frame in (0, 20, 39)] for one in rigs]
    new["markers redone"] = sorted([marker.frame, marker.name] for marker in scene.timeline_markers)
    answer["new"] = new

    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    heads.add_camera(args["camera"])
    made = module("characters.create").create(bpy.context, {"age": 0.6}, "full").armature
    made.location = (5, 6, 7)
    heads.activate(made)
    settings.make, settings.person, settings.smoothing, settings.mode = "ACTIVE", "MAIN", 1.0, "nla"
    scene.frame_set(heads.FIRST)
    active = {"result": list(bpy.ops.hyoid.find_heads()), "job": heads.job(folder)}
    active["shown"] = [skull(made, heads.FIRST + frame, args, "old middle") for frame in (0, 20, 39)]
    settings.smoothing = 0.0
    active["redo"] = list(bpy.ops.hyoid.redo_heads())
    active["redone"] = [skull(made, heads.FIRST + frame, args, "old middle") for frame in (0, 20, 39)]
    active["tracks"] = len([track for track in made.animation_data.nla_tracks if "rest" not in track.name])
    settings.place, settings.mode = "STAY", "new"
    made.matrix_world.translation = (5, 6, 7)
    scene.frame_set(heads.FIRST)
    bpy.ops.hyoid.find_heads()
    active["stays"] = [list(made.location), heads.job(folder)["place"]]
    answer["active"] = active
    json.dumps(answer)
    return answer


def skull(armature, frame, args, who="middle"):
    """Pixels of the middle of a skull and of a point before its face, and its depth."""
    scene = bpy.context.scene
    scene.frame_set(frame)
    posed = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    bone = posed.pose.bones["oc1"]
    moved = posed.matrix_world @ bone.matrix @ bone.bone.matrix_local.inverted()
    middle = Vector((args[who][0], -args[who][2], args[who][1]))
    points = [moved @ middle, moved @ (middle + Vector((0, -0.2, 0)))]
    depth = -(scene.camera.matrix_world.inverted() @ points[0]).z
    return [*(heads.pixel(point, args["size"]) for point in points), depth]
