# SPDX-License-Identifier: Apache-2.0
"""Imports takes onto the bundled human and stores every vertex that Blender then shows at some frames."""

import importlib
from pathlib import Path

import bpy
import numpy as np
from evaluated import world_points
from mathutils import Matrix


def main(addon, args):
    create = importlib.import_module(f"{addon.__name__}.characters.create")
    find = importlib.import_module(f"{addon.__name__}.characters.find")
    scene, answer = bpy.context.scene, {}
    for case in args["cases"]:
        scene.render.fps, scene.render.fps_base = case["fps"]
        scene.unit_settings.scale_length = case["unit"]
        rig = create.create(bpy.context, args["settings"], case["part"])
        bpy.context.view_layer.objects.active = rig.body
        bpy.ops.hyoid.import_take(filepath=case["take"], start=args["start"], whole_frames=case["whole"])
        rig.armature.matrix_world = Matrix(case["world"])  # the artist puts it elsewhere
        vertices = {}
        for frame in case["frames"]:
            scene.frame_set(int(frame), subframe=frame - int(frame))
            graph = bpy.context.evaluated_depsgraph_get()
            for mesh in rig.parts:
                vertices.setdefault(mesh[find.PART], []).append(world_points(mesh.evaluated_get(graph)))
        path = str(Path(args["out"]) / f"{case['name']}.npz")
        np.savez(path, **{name: np.stack(frames) for name, frames in vertices.items()})
        rate = [scene.render.fps, scene.render.fps_base]
        answer[case["name"]] = {"path": path, "limits": float(rig.armature["neck_limits"]), "fps": rate}
        create.remove(rig)
    return answer
