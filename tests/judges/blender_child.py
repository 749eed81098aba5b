# SPDX-License-Identifier: Apache-2.0
"""Runs in a process of its own: import a .glb or .bvh into Blender and write down what it shows at some frames.

python blender_child.py FILE OUT.npz FPS FRAME...  Positions are turned back to +Y up. Arrays: ``joint_names``,
``joints`` the heads of pose bones (frames, J, 3); per mesh ``vertices:NAME`` (frames, n, 3) and ``shapes:NAME``.
"""

from __future__ import annotations

import sys

import bpy
import numpy as np


def y_up(points):
    return points[..., [0, 2, 1]] * [1, 1, -1]


def main(path, out, fps, frames):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = int(fps), 1.0
    if path.endswith(".glb"):
        bpy.ops.import_scene.gltf(filepath=path)
    else:
        # This importer's first frame is 1, whatever frame_start asks for.
        bpy.ops.import_anim.bvh(filepath=path, frame_start=1, update_scene_fps=True)
        frames = [frame + 1 for frame in frames]
    rig = next(item for item in scene.objects if item.type == "ARMATURE")
    # The importer adds a ball that only draws bones.
    meshes = [item for item in scene.objects if item.type == "MESH" and item.find_armature() == rig]
    result = {"joint_names": np.array([bone.name for bone in rig.pose.bones]), "fps": np.array(scene.render.fps)}
    joints, vertices = [], {item.name: [] for item in meshes}
    for frame in frames:
        scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        joints.append([rig.matrix_world @ bone.head for bone in rig.pose.bones])
        for item in meshes:
            evaluated = item.evaluated_get(graph)
            mesh = evaluated.to_mesh()
            flat = np.empty(3 * len(mesh.vertices), np.float32)
            mesh.vertices.foreach_get("co", flat)
            matrix = np.array(item.matrix_world)
            vertices[item.name].append(flat.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
            evaluated.to_mesh_clear()
    result["joints"] = y_up(np.array(joints, float))
    for item in meshes:
        result[f"vertices:{item.name}"] = y_up(np.array(vertices[item.name]))
        keys = item.data.shape_keys
        result[f"shapes:{item.name}"] = np.array([key.name for key in keys.key_blocks[1:]] if keys else [], dtype=str)
    np.savez(out, **result)


main(sys.argv[1], sys.argv[2], float(sys.argv[3]), [int(value) for value in sys.argv[4:]])
