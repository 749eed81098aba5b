# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera of a shot, as Blender's, with the footage behind the character."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..characters import find
from ..takes import mapping
from ..timeline.frames import scene_rate
from ..toolkit.errors import UsageError
from . import records

_UP_IS_Z = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
_FLIP = np.diag([1.0, -1.0, -1.0])
_SENSOR = 36.0
_SAME_RATE = 0.01


def turn(facts: Mapping[str, Any]) -> np.ndarray:
    """Where the axes of Blender's camera (right, up, back) point in Hyoid's world (left, up, forward), (3, 3)."""
    pitch, roll = (math.radians(float(facts[f"{name}_degrees"])) for name in ("pitch", "roll"))
    down = np.array(
        [[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]], np.float64
    )
    tilt = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]], np.float64)
    return _FLIP @ down @ tilt @ _FLIP


def matrix(armature: Any, facts: Mapping[str, Any]) -> Matrix:
    """The camera's transform in the world of the scene, where it sees the armature as the shot did.

    Raises:
        UsageError: the facts are not those of a camera.
    """
    try:
        place = np.array([float(value) for value in facts["location"]])
        own = turn(facts)
        if place.shape != (3,) or not np.isfinite(place).all() or not np.isfinite(own).all():
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise UsageError("the take does not tell where the camera stood", hint="Lift it again") from None
    axes, size, ground = _UP_IS_Z, 1.0, np.zeros(3)
    if find.rig_of(armature) is None:
        axes, size, ground = mapping.stature(armature)
    local = np.eye(4)
    local[:3, :3], local[:3, 3] = axes @ own, axes @ place * size + ground
    location, rotation, _ = (armature.matrix_world @ Matrix(local.tolist())).decompose()
    return Matrix.Translation(location) @ rotation.to_matrix().to_4x4()


def set_up(camera: Any, armature: Any, facts: Mapping[str, Any]) -> None:
    """Put a camera where that of the shot was, with its lens.

    Raises:
        UsageError: the facts are not those of a camera.
    """
    placed = matrix(armature, facts)
    try:
        angle = math.radians(float(facts["field_of_view_degrees"]))
    except (KeyError, TypeError, ValueError):
        raise UsageError("the take does not tell the lens of the camera", hint="Lift it again") from None
    camera.matrix_world = placed
    data = camera.data
    data.type, data.sensor_fit, data.sensor_width = "PERSP", "AUTO", _SENSOR
    data.lens_unit = "MILLIMETERS"
    data.lens = 0.5 * _SENSOR / math.tan(0.5 * angle)
    data.shift_x = data.shift_y = 0.0


def add(scene: Any, armature: Any, record: records.Record, *, resolution: bool) -> str:
    """Add the camera of a shot, or set the one that was added before; what was done.

    All people of a lift share it: they stand where the camera of the first of them sees them.

    Args:
        resolution: the scene renders pictures of the size of the shot.

    Raises:
        UsageError: where it stood is not known.
    """
    first = records.first(scene, record.uid)
    if first is not None:
        armature, record = first, records.of(first) or record
    camera = armature.get(records.CAMERA)
    if camera is None or scene.objects.get(camera.name) != camera:
        matrix(armature, record.camera)  # before anything is made
        camera = bpy.data.objects.new(f"{record.name} camera", bpy.data.cameras.new(f"{record.name} camera"))
        scene.collection.objects.link(camera)
    set_up(camera, armature, record.camera)
    for other in records.together(scene, record.uid):
        other[records.CAMERA] = camera
    scene.camera = camera
    said = [f"'{camera.name}' is the camera of the scene"]
    size = record.camera.get("size")
    if resolution and isinstance(size, list) and len(size) == 2 and min(size) >= 4:
        render = scene.render
        render.resolution_x, render.resolution_y = (int(side) for side in size)
        render.pixel_aspect_x = render.pixel_aspect_y = 1.0
        said.append(f"pictures are {size[0]} x {size[1]}")
    if record.footage:
        said.append(_footage(scene, camera, Path(bpy.path.abspath(record.footage)), record.start))
    return "; ".join(filter(None, said))


def _footage(scene: Any, camera: Any, path: Path, start: float) -> str:
    """Show the film behind the scene; a remark where that cannot be or does not keep step, else ''."""
    if not path.is_file():
        return f"the footage is not there: {path}"
    try:
        clip = bpy.data.movieclips.load(str(path), check_existing=True)
    except RuntimeError as error:
        return f"Blender cannot read the footage ({' '.join(str(error).split())})"
    clip.frame_start = round(start)
    data = camera.data
    shown = next((one for one in data.background_images if one.source == "MOVIE_CLIP" and one.clip == clip), None)
    if shown is None:
        shown = data.background_images.new()
        shown.source, shown.clip, shown.alpha = "MOVIE_CLIP", clip, 1.0
        shown.frame_method = "FIT"
    data.show_background_images = True
    rate = float(clip.fps)
    if rate > 0 and abs(rate - scene_rate(scene)) > _SAME_RATE * rate:
        return f"the footage has {rate:g} frames a second: give the scene as many to see both in step"
    return ""
