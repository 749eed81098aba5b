# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the pixels of a picture and the axes of Blender's camera, and the picture behind the scene.

The picture lies in the frame of the camera as a background image with *Fit*: whole, centred, as large as it can be.

A head's rotation R in the toolkit's axes (x right of the picture, y down, z away; frontal is the identity) is D R D in
those of Blender's camera (x right, y up, z to the viewer), with D = diag(1, -1, -1). Empties and characters look along
their own -Y with +Z up, as characters rest; :data:`FACING` takes those axes to x right, y up, z out of the face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..timeline.frames import scene_rate
from ..toolkit.errors import UsageError
from ..toolkit.geometry.head_angles import FLIP

FACING = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Columns: an Empty's x, y, z in the axes x right of the picture, y up, z out of the face."""
EYE_HEIGHT = 1.6
"""Metres above the floor of a camera that is added."""
_SAME_RATE = 0.01


@dataclass(frozen=True)
class View:
    """How a camera sees a picture: focal length, and the pixel that its axis goes through, both in pixels."""

    focal: float
    centre: tuple[float, float]


def view(scene: Any, camera: Any, size: tuple[int, int]) -> View:
    """How a camera of a scene sees a picture of some size that lies in its frame.

    Raises:
        UsageError: it is no perspective camera.
    """
    if camera.data.type != "PERSP":
        raise UsageError(
            f"'{camera.name}' is no perspective camera", hint="Choose Perspective in its properties, or another camera"
        )
    corners = np.array([list(corner) for corner in camera.data.view_frame(scene=scene)], np.float64)
    low, high, depth = corners[:, :2].min(0), corners[:, :2].max(0), -float(corners[:, 2].mean())
    pixel = float(((high - low) / size).min())
    x, y = ((low + high) / 2 / pixel).tolist()
    return View(depth / pixel, (size[0] / 2 - x, size[1] / 2 + y))


def field_of_view(scene: Any, camera: Any, size: tuple[int, int]) -> float:
    """Degrees that a camera sees across the larger side of a picture of some size.

    Raises:
        UsageError: see :func:`view`.
    """
    return math.degrees(2 * math.atan(0.5 * max(size) / view(scene, camera, size).focal))


def axes(rotations: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) of Empties in the axes of Blender's camera, of heads in those of the toolkit's."""
    return FLIP @ rotations @ FLIP @ FACING


def placed(camera: Any) -> Matrix:
    """Where a camera is, without its scale, which changes nothing of what it sees."""
    location, rotation, _ = camera.matrix_world.decompose()
    return Matrix.Translation(location) @ rotation.to_matrix().to_4x4()


def hang(obj: Any, camera: Any) -> None:
    """Let an object go with a camera: its own place is from now on that before the camera."""
    obj.parent = camera
    obj.matrix_parent_inverse = camera.matrix_world.inverted_safe() @ placed(camera)


def moves(camera: Any) -> bool:
    """Whether a camera may not stay where it is."""
    data = camera.animation_data
    return bool(camera.parent or len(camera.constraints) or (data and (data.action or len(data.nla_tracks))))


def add(scene: Any, degrees: float, size: tuple[int, int]) -> Any:
    """A camera for a scene without one: level, at the height of eyes, and the scene gets the size of the picture."""
    render = scene.render
    if min(size) >= 4:
        render.resolution_x, render.resolution_y = size
        render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = (0.0, 0.0, EYE_HEIGHT), (math.pi / 2, 0.0, 0.0)
    camera.data.lens *= 0.5 * max(size) / math.tan(math.radians(degrees) / 2) / view(scene, camera, size).focal
    scene.camera = camera
    bpy.context.view_layer.update()
    return camera


def show(scene: Any, camera: Any, path: Path, start: float, film: bool) -> str:
    """Show a picture or film behind the scene; a remark where that cannot be or does not keep step, else ''."""
    data = camera.data
    try:
        shown = bpy.data.movieclips if film else bpy.data.images
        footage = shown.load(str(path), check_existing=True)
    except RuntimeError as error:
        return f"Blender cannot show '{path.name}' ({' '.join(str(error).split())})"
    kind, name = ("MOVIE_CLIP", "clip") if film else ("IMAGE", "image")
    behind = next((one for one in data.background_images if one.source == kind and getattr(one, name) == footage), None)
    if behind is None:
        behind = data.background_images.new()
        behind.source, behind.alpha, behind.frame_method = kind, 1.0, "FIT"
        setattr(behind, name, footage)
    data.show_background_images = True
    if film:
        footage.frame_start = round(start)
    return ""


def out_of_step(scene: Any, rate: float | None) -> str:
    """A remark where a film has another frame rate than the scene, else ''."""
    if rate is None or abs(rate - scene_rate(scene)) <= _SAME_RATE * rate:
        return ""
    return f"the film has {rate:g} frames a second: give the scene as many to see both in step"
