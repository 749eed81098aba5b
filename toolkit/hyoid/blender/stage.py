# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""Camera, light and world around a head, and the views of the file."""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np

from . import compat
from .rig import HEADS

_BACKGROUND = (0.055, 0.06, 0.07, 1.0)
_NARROW = 0.8  # width by height of a picture in which the head just has room; a narrower one shows more of the body


def build(scene: Any, armature: Any, vertices: np.ndarray) -> None:
    """Frame the head from the chest up with a portrait lens, and light it from three sides."""
    add_camera(scene, armature, vertices)
    add_lights(scene, armature, vertices)
    compat.set_engine(scene)
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    if hasattr(scene, "cycles"):  # an add-on, which a distribution's Blender may lack
        scene.cycles.samples, scene.cycles.use_denoising = 64, True


def add_camera(scene: Any, armature: Any, vertices: np.ndarray, aspect: float = 16 / 9, place: Any = None) -> None:
    """A camera that frames the head from the chest up with a portrait lens.

    Args:
        vertices: (n, 3) of the resting body in the space of the armature.
        aspect: width by height of the pictures.
        place: the matrix that carries the resting head into the world; None leaves it where the rig was built.
    """
    head, size = _head(armature, vertices)
    camera = _camera(_collection(scene), head, size, aspect)
    _carry([camera], place)
    scene.camera = camera


def add_lights(scene: Any, armature: Any, vertices: np.ndarray, place: Any = None) -> None:
    """Key, fill and rim about a head, sized by it, and a dark world; arguments as of :func:`add_camera`."""
    head, size = _head(armature, vertices)
    collection = _collection(scene)
    lights = [
        _light(collection, "Key", head, size, (1.2, -2.4, 0.7), 1.0, 1.3, (1.0, 0.95, 0.9)),
        _light(collection, "Fill", head, size, (-2.3, -1.8, 0.3), 0.2, 2.4, (0.88, 0.94, 1.0)),
        _light(collection, "Rim", head, size, (-1.3, 2.2, 1.5), 1.1, 0.8, (1.0, 1.0, 1.0)),
    ]
    _carry(lights, place)
    _world(scene)


def set_views(armature: Any, vertices: np.ndarray) -> None:
    """What the file shows when it is opened: the camera's picture with materials; other views turn about the head."""
    head, size = _head(armature, vertices)
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type != "VIEW_3D":
                continue
            space = area.spaces.active
            space.region_3d.view_location = head.tolist()
            space.region_3d.view_distance = 5 * size
            if screen.name in ("Layout", "Animation"):
                space.shading.type = "MATERIAL"
                space.region_3d.view_perspective = "CAMERA"
    armature.select_set(True)
    bpy.context.view_layer.objects.active = armature


def _head(armature: Any, vertices: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and height of the head, from the lowest skull joint to the crown."""
    bones = armature.data.bones
    skull = next((bones[name] for name in HEADS if name in bones), bones[-1])
    base = np.array(skull.head_local)
    near = vertices[np.linalg.norm(vertices[:, :2] - base[:2], axis=-1) < 0.2]
    crown = float(near[:, 2].max()) if len(near) else float(vertices[:, 2].max())
    size = max((crown - base[2]) * 1.45, 0.05)  # the chin lies below the joint by nearly half of what is above it
    return np.array([base[0], base[1] - 0.3 * size, crown - 0.5 * size]), size


def _collection(scene: Any) -> Any:
    """The collection of camera and lights, made where it is missing."""
    found = scene.collection.children.get("Stage")
    if found is None:
        found = bpy.data.collections.new("Stage")
        scene.collection.children.link(found)
    return found


def _carry(things: list[Any], place: Any) -> None:
    for thing in things if place is not None else []:
        thing.matrix_world = place @ thing.matrix_basis


def _camera(collection: Any, head: np.ndarray, size: float, aspect: float) -> Any:
    data = bpy.data.cameras.new("Camera")
    data.lens = 85.0
    camera = bpy.data.objects.new("Camera", data)
    collection.objects.link(camera)
    seen = 1.65 * size  # height of the picture in metres at the head: headroom and the whole neck
    seen *= max(1.0, _NARROW / aspect)
    distance = seen / (data.sensor_width / data.lens / max(aspect, 1.0))  # the sensor fits the longer side
    target = head - [0, 0, 0.2 * size]
    angle = math.radians(12)
    camera.location = (target + distance * np.array([math.sin(angle), -math.cos(angle), 0.06])).tolist()
    _look_at(camera, target)
    data.dof.focus_distance = distance
    return camera


def _light(
    collection: Any, name: str, head: np.ndarray, size: float, place: tuple[float, float, float], strength: float,
    width: float, colour: tuple[float, float, float],
) -> Any:  # fmt: skip
    """A soft square light; place and width in head heights, so a child's head is lit like a man's."""
    data = bpy.data.lights.new(name, "AREA")
    data.size = width * size
    data.color = colour
    distance = float(np.linalg.norm(place)) * size
    data.energy = strength * 23.0 * distance**2
    light = bpy.data.objects.new(name, data)
    collection.objects.link(light)
    light.location = (head + np.array(place) * size).tolist()
    _look_at(light, head)
    return light


def _look_at(thing: Any, target: np.ndarray) -> None:
    from mathutils import Vector

    direction = Vector(target.tolist()) - thing.location
    thing.rotation_mode = "XYZ"
    thing.rotation_euler = direction.to_track_quat("-Z", "Y").to_euler()


def _world(scene: Any) -> None:
    world = bpy.data.worlds.new("World")
    scene.world = world
    tree = compat.use_nodes(world)
    background = next(node for node in tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = _BACKGROUND
    background.inputs["Strength"].default_value = 1.0
