# SPDX-License-Identifier: Apache-2.0
"""Runs in a process of its own: where Blender's camera shows points.

python blender_camera.py IN.npz OUT.npz  In: ``points`` (n, 3) in Blender's world, ``matrix`` (4, 4) of the camera
object, ``size``, ``lens`` millimetres and two shifts. Out: ``pixels`` (n, 2) from the top left.
"""

from __future__ import annotations

import sys

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector


def main(source, out):
    given = dict(np.load(source))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    width, height = (int(value) for value in given["size"])
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100
    data = bpy.data.cameras.new("camera")
    data.sensor_fit, data.sensor_width = "AUTO", 36.0
    data.lens, data.shift_x, data.shift_y = (float(value) for value in given["lens"])
    camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(camera)
    camera.matrix_world = Matrix(given["matrix"].tolist())
    bpy.context.view_layer.update()
    shown = np.array([world_to_camera_view(scene, camera, Vector(point)) for point in given["points"].tolist()])
    np.savez(out, pixels=np.stack([shown[:, 0] * width, (1 - shown[:, 1]) * height], -1))


main(*sys.argv[1:])
