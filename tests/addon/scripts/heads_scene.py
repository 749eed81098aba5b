# SPDX-License-Identifier: Apache-2.0
"""What the scripts about Head Directions share."""

import importlib
import json
from pathlib import Path

import bpy
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

FIRST = 10


def modules(addon):
    return lambda path: importlib.import_module(f"{addon.__name__}.{path}")


def prepare(addon, args):
    """An empty scene at 25 frames a second, and the folder for results."""
    folder = Path(args["place"])
    preferences = bpy.context.preferences.addons[addon.__name__].preferences
    preferences.toolkit, preferences.output_folder = args["toolkit"], str(folder / "out")
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    bpy.data.orphans_purge(do_recursive=True)
    scene = bpy.context.scene
    scene.render.fps = 25
    scene.frame_set(FIRST)
    return folder


def add_camera(facts=None):
    """The camera of the scene, new or with other values."""
    facts = facts or {}
    scene = bpy.context.scene
    camera = scene.objects.get("Eye")
    if camera is None:
        camera = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
        scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = facts.get("location", (1, 2, 3)), facts.get("euler", (1.2, 0.3, -0.7))
    camera.scale = facts.get("scale", (1, 1, 1))
    for name, value in facts.get("data", {}).items():
        setattr(camera.data, name, value)
    for name, value in facts.get("render", {}).items():
        setattr(scene.render, name, value)
    scene.camera = camera
    bpy.context.view_layer.update()
    return camera


def job(folder):
    """The job that the toolkit got last."""
    found = max((folder / "out").glob("*.job"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(found.read_text(encoding="utf-8"))


def pixel(point, size):
    """The pixel of a picture, which lies in the frame of the scene's camera with Fit, at which a point is seen."""
    scene = bpy.context.scene
    at = world_to_camera_view(scene, scene.camera, Vector(point))
    render = scene.render
    wide, high = render.resolution_x * render.pixel_aspect_x, render.resolution_y * render.pixel_aspect_y
    scale = min(wide / size[0], high / size[1])
    return [(at.x - 0.5) * wide / scale + size[0] / 2, (0.5 - at.y) * high / scale + size[1] / 2]


def empties():
    return sorted(
        (obj for obj in bpy.context.scene.objects if obj.type == "EMPTY" and "seen" in obj), key=lambda o: o.name
    )


def shown(obj, frame, size, reach=0.2):
    """Pixels of the middle of an Empty's head and of a point before its face and above it, and its depth."""
    bpy.context.scene.frame_set(frame)
    world = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world
    points = [world @ Vector(point) for point in ((0, 0, 0), (0, -reach, 0), (0, 0, reach))]
    depth = world_to_camera_view(bpy.context.scene, bpy.context.scene.camera, points[0]).z
    return [*(pixel(point, size) for point in points), depth]


def activate(obj):
    for other in bpy.context.view_layer.objects:
        other.select_set(other == obj)
    bpy.context.view_layer.objects.active = obj
