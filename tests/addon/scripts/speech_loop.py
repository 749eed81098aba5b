# SPDX-License-Identifier: Apache-2.0
"""The whole loop of the Talk section without a window: talk, drag markers, re-solve, with the real toolkit."""

import importlib
import json

import bpy
import numpy as np


def setup(addon, args):
    """Preferences, a character and the settings that all scripts of the section begin with."""
    preferences = bpy.context.preferences.addons[addon.__name__].preferences
    preferences.toolkit, preferences.output_folder = args["toolkit"], args["output"]
    create = importlib.import_module(addon.__name__ + ".characters.create")
    bpy.context.scene.render.fps = args.get("fps", 30)
    bpy.context.scene.frame_set(args.get("frame", 11))
    return create.create(bpy.context, {}, "head", args.get("name", "human"))


def fcurves(owner):
    """Every f-curve that plays on an ID, in any version of Blender."""
    data = owner.animation_data
    if data is None or data.action is None:
        return []
    if hasattr(data.action, "layers"):
        bags = [bag for layer in data.action.layers for strip in layer.strips for bag in strip.channelbags]
        return [curve for bag in bags if bag.slot == data.action_slot for curve in bag.fcurves]
    return list(data.action.fcurves)


def keys(rig):
    """The keys of a character by channel: (n, 2) lists of frame and value."""
    found = {}
    for owner in (rig.armature, rig.body.data.shape_keys):
        for curve in fcurves(owner):
            points = np.empty(2 * len(curve.keyframe_points), np.float32)
            curve.keyframe_points.foreach_get("co", points)
            found[f"{curve.data_path}[{curve.array_index}]"] = points.reshape(-1, 2)
    return found


def marks(scene):
    return sorted([marker.frame, marker.name] for marker in scene.timeline_markers)


def same(before, after, names, outside):
    """Whether the keys of channels are equal to the bit outside of a range of frames."""
    for name in names:
        one, two = before.get(name), after.get(name)
        if one is None or two is None:
            return name
        one, two = (points[(points[:, 0] < outside[0]) | (points[:, 0] > outside[1])] for points in (one, two))
        if one.tobytes() != two.tobytes():
            return [name, sorted(set(map(tuple, one.tolist())) ^ set(map(tuple, two.tolist())))]
    return ""


def values(rig, name, frames):
    """A face curve at frames, by the f-curve that plays."""
    path = f'key_blocks["{name}"].value'
    curve = next(curve for curve in fcurves(rig.body.data.shape_keys) if curve.data_path == path)
    return [curve.evaluate(frame) for frame in frames]


def main(addon, args):
    scene = bpy.context.scene
    rig = setup(addon, args)
    scene.timeline_markers.new("Shot B", frame=20)
    scene.timeline_markers.new("M", frame=25)  # the artist's own, though it has a phone's name
    counts = {"actions": len(bpy.data.actions), "fps": scene.render.fps, "range": [scene.frame_start, scene.frame_end]}
    bpy.ops.hyoid.talk(audio=args["audio"], text=args["text"], style="calm", head=1.5, **args.get("options", {}))
    talk = rig.armature.hyoid_talk.talks[0]
    after_talk = marks(scene)
    solved = [[entry.name, entry.word, entry.frame] for entry in talk.phones]
    before = keys(rig)
    strips = importlib.import_module(addon.__name__ + ".toolkit.blender.compat").strips(scene)
    # The artist drags the M of "my" five frames back, and what stands between it and there is pushed along.
    number = next(index for index, entry in enumerate(talk.phones) if entry.name == "M")
    home = talk.phones[number].frame
    marker = next(m for m in scene.timeline_markers if m.frame == home and m.name.startswith("M (my)"))
    marker.frame = home - 5
    # ... and makes a brow key of his own, far away in time from the M and near it.
    brow = 'key_blocks["browInnerUp"].value'
    curve = next(c for c in fcurves(rig.body.data.shape_keys) if c.data_path == brow)
    curve.keyframe_points.insert(home, 0.77)
    before = keys(rig)
    bpy.ops.hyoid.resolve_phonemes()
    after = keys(rig)
    speech = importlib.import_module(addon.__name__ + ".speech")
    mouth = {f'key_blocks["{name}"].value[0]' for name in speech.resolve.edit.MOUTH}
    ranges = [home - 5 - 0.6 * scene.render.fps, home + 0.45 * scene.render.fps]
    others = [name for name in before if name not in mouth]
    span = range(int(talk.start), int(talk.start + talk.seconds * talk.rate))
    press = values(rig, "mouthPressLeft", span)
    answer = {
        "counts": [counts, {"actions": len(bpy.data.actions), "fps": scene.render.fps,
                            "range": [scene.frame_start, scene.frame_end]}],
        "after_talk": after_talk, "solved": solved, "home": home, "start": talk.start, "end": span[-1],
        "strips": [[strip.name, strip.frame_start] for strip in strips],
        "others_changed": same(before, after, others, (1e9, -1e9)),
        "mouth_far_changed": same(before, after, sorted(mouth & set(before)), ranges),
        "mouth_changed": bool(same(before, after, ['key_blocks["mouthPressLeft"].value[0]'], (1e9, 1e9))),
        "channels": len(before), "press": dict(zip(span, press, strict=True)), "after": marks(scene),
        "phones": [[entry.name, entry.word, entry.frame] for entry in talk.phones],
        "options": json.loads(talk.options), "provenance": rig.armature.get("hyoid_provenance", ""),
    }  # fmt: skip
    bpy.ops.hyoid.hide_phonemes()
    answer["hidden"] = marks(scene)
    bpy.ops.hyoid.show_phonemes()
    answer["shown"] = marks(scene)
    return answer
