# SPDX-License-Identifier: Apache-2.0
"""The whole way as a script goes it: create, import, save, export, open again, export again; or only open and look.

Every step is an operator by its name, as in ``blender -b --python-expr``.
"""

from pathlib import Path

import bpy
import numpy as np
from evaluated import world_points


def main(addon, args):
    if args["look"]:
        bpy.ops.wm.open_mainfile(filepath=args["blend"])
        return look(args)
    scene = bpy.context.scene
    scene.render.fps = 30
    settings = [scene.render.fps, scene.frame_start, scene.frame_end, scene.render.engine]
    bpy.ops.hyoid.create_character(part="head", preset=args["preset"])
    bpy.ops.hyoid.import_take(filepath=args["take"], start=args["start"], sound=True)
    answer = {"settings": [settings, [scene.render.fps, scene.frame_start, scene.frame_end, scene.render.engine]]}
    answer["shown"] = look(args)
    export(args, "first")
    bpy.ops.wm.save_as_mainfile(filepath=args["blend"])
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=args["blend"])
    export(args, "second")
    answer["identity"] = next(obj["hyoid_character"] for obj in bpy.data.objects if "hyoid_character" in obj)
    return answer


def export(args, name):
    first = args["start"]
    path = str(Path(args["place"]) / f"{name}.take.npz")
    bpy.ops.hyoid.export_take(filepath=path, frame_range="CUSTOM", first=first, last=first + args["count"] - 1)


def look(args):
    """Every vertex that is shown at some frames (the toolkit's axes), in a file by mesh; the path of the file."""
    vertices = {}
    for frame in args["frames"]:
        bpy.context.scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        for obj in bpy.context.scene.objects:
            if obj.type == "MESH" and "hyoid_part" in obj:
                vertices.setdefault(obj["hyoid_part"], []).append(shown(obj.evaluated_get(graph)))
    path = str(Path(args["place"]) / f"shown-{'bare' if args['look'] else 'own'}.npz")
    np.savez(path, **{name: np.stack(frames) for name, frames in vertices.items()})
    return path


def shown(evaluated):
    points = world_points(evaluated)
    return np.stack([points[:, 0], points[:, 2], -points[:, 1]], -1).astype(np.float32)
