# SPDX-License-Identifier: Apache-2.0
"""What the scripts about Body from Video share."""

import importlib
import json
from pathlib import Path

import bpy

FIRST = 10


def modules(addon):
    return lambda path: importlib.import_module(f"{addon.__name__}.{path}")


def prepare(addon, args):
    """An empty scene at 24 frames a second, and the folder for results."""
    folder = Path(args["place"])
    preferences = bpy.context.preferences.addons[addon.__name__].preferences
    preferences.toolkit, preferences.output_folder = args["toolkit"], str(folder / "out")
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    bpy.data.orphans_purge(do_recursive=True)
    scene = bpy.context.scene
    scene.render.fps = 24
    scene.frame_set(FIRST)
    for name in ("walk.json", "nosize.json", "slow.json"):
        (folder / name).write_text("[]")
    scene.hyoid_lift.keypoints = str(folder / "walk.json")
    scene.hyoid_lift.system = "hopfir"
    return folder


def job(folder):
    """The job that the stand-in got last."""
    found = max((folder / "out").glob("*.job"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(found.read_text(encoding="utf-8"))


def place(armature, frame, bone=None):
    """Where the hips are in the world."""
    bpy.context.scene.frame_set(frame)
    shown = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    found = shown.pose.bones[bone] if bone else next(b for b in shown.pose.bones if b.name == "root")
    return (shown.matrix_world @ found.matrix).translation.copy()


def walked(armature, bone=None, last=FIRST + 23):
    return list(place(armature, last, bone) - place(armature, FIRST, bone))


def markers():
    return sorted([marker.frame, marker.name] for marker in bpy.context.scene.timeline_markers)


def activate(obj):
    for other in bpy.context.view_layer.objects:
        other.select_set(other == obj)
    bpy.context.view_layer.objects.active = obj
