"""Imports takes onto the bundled human and stores every vertex that Blender then shows at some frames."""

import importlib
from pathlib import Path

import bpy
import numpy as np


def main(addon, args):
    create = importlib.import_module(f"{addon.__name__}.characters.create")
    find = importlib.import_module(f"{addon.__name__}.characters.find")
    bpy.context.scene.render.fps = 30
    answer = {}
    for part in args["parts"]:
        rig = create.create(bpy.context, args["settings"], part)
        bpy.context.view_layer.objects.active = rig.body
        bpy.ops.hyoid.import_take(filepath=args["take"], start=args["start"])
        vertices = {}
        for frame in args["frames"]:
            bpy.context.scene.frame_set(frame)
            graph = bpy.context.evaluated_depsgraph_get()
            for mesh in rig.parts:
                vertices.setdefault(mesh[find.PART], []).append(_shown(mesh.evaluated_get(graph)))
        path = str(Path(args["out"]) / f"{part}.npz")
        np.savez(path, **{name: np.stack(frames) for name, frames in vertices.items()})
        answer[part] = {"path": path, "limits": float(rig.armature["neck_limits"])}
        create.remove(rig)
    return answer


def _shown(evaluated):
    """The vertices (n, 3) of an evaluated object in the toolkit's axes (+Y up)."""
    mesh = evaluated.to_mesh()
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    world = np.array(evaluated.matrix_world)
    points = points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]
    evaluated.to_mesh_clear()
    return np.stack([points[:, 0], points[:, 2], -points[:, 1]], -1).astype(np.float32)
