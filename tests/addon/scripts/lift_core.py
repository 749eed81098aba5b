# SPDX-License-Identifier: Apache-2.0
"""A body is lifted onto a character by a stand-in for the toolkit, and done again with other settings."""

import json

import bpy
import drawn
import lift_scene as lift


def main(addon, args):
    module, answer = lift.modules(addon), {"faults": {}, "drawn": {}}
    folder, scene = lift.prepare(addon, args), bpy.context.scene
    made = module("characters.create").create(bpy.context, {"age": 0.6}, "full").armature
    lift.activate(made)
    settings = scene.hyoid_lift
    settings.smoothing, settings.field_of_view, settings.size = 0.25, 50.0, (1080, 1920)
    settings.show_shot = True
    drawn.draw(bpy.types.HYOID_PT_lift, "before", answer)
    answer["result"] = list(bpy.ops.hyoid.lift())
    answer["job"] = lift.job(folder)
    answer["said"] = [job.message for job in module("jobs.queue").jobs()]
    answer["people"] = module("lift.operators").people(settings)
    answer["markers"] = lift.markers()
    answer["walked"] = lift.walked(made)
    answer["actions"] = sorted(action.name for action in bpy.data.actions)
    answer["action"] = made.animation_data.action.name
    fcurves = module("timeline.fcurves")
    path = 'pose.bones["root"].location'
    answer["keys"] = keys(fcurves.find(made, path))
    drawn.draw(bpy.types.HYOID_PT_lift, "after", answer)

    thigh = 'pose.bones["upperleg01.L"].rotation_quaternion'
    curve = fcurves.find(made, thigh)
    for frame in (lift.FIRST - 5, lift.FIRST + 40):
        curve.keyframe_points.insert(frame, 0.5)
    settings.foot_lock, settings.camera_height, settings.camera_pitch = 0.0, 2.0, 20.0
    redone = {"result": list(bpy.ops.hyoid.redo_lift()), "walked": lift.walked(made), "job": lift.job(folder)}
    redone["actions"] = sorted(action.name for action in bpy.data.actions)
    redone["action"] = made.animation_data.action.name
    redone["keys"] = keys(fcurves.find(made, path))
    curve = fcurves.find(made, thigh)
    redone["outside"] = [curve.evaluate(frame) for frame in (lift.FIRST - 5, lift.FIRST + 40)]
    redone["markers"] = lift.markers()
    redone["said"] = module("jobs.queue").jobs()[-1].message
    record = module("lift.records").of(made)
    redone["figures"] = [record.quality["skate"], record.camera["pitch_degrees"]]
    answer["redone"] = redone

    other = module("characters.create").create(bpy.context, {}, "full").armature
    lift.activate(other)
    scene.frame_set(lift.FIRST)
    settings.mode, settings.foot_lock = "nla", 1.0
    bpy.ops.hyoid.lift()
    settings.foot_lock = 0.0
    bpy.ops.hyoid.redo_lift()
    tracks = [track for track in other.animation_data.nla_tracks if "rest" not in track.name]
    answer["strip"] = {"walked": lift.walked(other), "tracks": [len(tracks), [track.name for track in tracks]]}
    json.dumps(answer)
    return answer


def keys(curve):
    frames = [round(point.co[0]) for point in curve.keyframe_points]
    return [frames[0], frames[-1], len(frames)]
