# SPDX-License-Identifier: Apache-2.0
"""A human head that talks and turns, as one mesh in a point cache, is stabilised by the toolkit itself."""

import importlib
import math
from pathlib import Path

import bpy
import numpy as np
import stabilize_scene as heads
from evaluated import world_points

FRAMES = range(1, 21)
KEYS = {"jawOpen": 2.1, "mouthSmileLeft": 3.7, "mouthSmileRight": 3.4, "browInnerUp": 2.9, "eyeBlinkLeft": 1.3}


def main(addon, args):
    def module(path):
        return importlib.import_module(f"{addon.__name__}.{path}")

    folder, scene, answer = Path(args["place"]), bpy.context.scene, {}
    bpy.context.preferences.addons[addon.__name__].preferences.output_folder = str(folder / "out")
    scene.frame_start, scene.frame_end = FRAMES[0], FRAMES[-1]
    head, still, jaw = talking_head(folder, module("stabilize.result_files").write_cache)
    heads.key_motion(head, 0.1)
    bpy.ops.hyoid.create_character(part="head")
    character = bpy.context.view_layer.objects.active
    bpy.context.view_layer.objects.active = head
    settings = scene.hyoid_stabilize
    settings.method, settings.solve, settings.character = args["method"], True, character
    looked = [FRAMES[0], 7, 13, FRAMES[-1]]
    original = heads.seen(head, looked)
    answer["result"] = list(bpy.ops.hyoid.stabilize())
    answer["said"] = [job.message for job in module("jobs.queue").jobs()]
    answer["both"] = float(np.abs(heads.seen(head, looked) - original).max())
    record = module("stabilize.records").of(head)
    answer["told"] = [len(record.confidence), len(record.residual_mm), record.method]
    bpy.ops.hyoid.view_stabilized(view="STABILIZED")
    points = heads.seen(head, looked)
    rows = np.linalg.norm(points[:, still] - points[0, still], axis=-1)
    answer["drift"] = float(rows.mean(1).max())
    bpy.ops.hyoid.view_stabilized(view="BOTH")
    rig = module("characters.find").rig_of(character)
    curve = module("timeline.fcurves").find(rig.body.data.shape_keys, 'key_blocks["jawOpen"].value')
    found = [curve.evaluate(frame) for frame in FRAMES] if curve is not None else [0.0, 1.0]
    answer["jaw"] = float(np.corrcoef(found, jaw)[0, 1]) if len(found) == len(jaw) else 0.0
    answer["left over"] = [path.name for path in (folder / "out").glob(".*")]
    if args.get("save"):
        bpy.ops.wm.save_as_mainfile(filepath=args["save"])
    return answer


def talking_head(folder, cache):
    """The skin of a human, moved by a cache alone; its rows that no key moves; how far the jaw opens."""
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    bpy.ops.hyoid.create_character(part="head")
    parts = [obj for obj in bpy.data.objects if "hyoid_part" in obj]
    body = next(obj for obj in parts if obj["hyoid_part"] == "body")
    rows, jaw = [], []
    for frame in FRAMES:
        for name, speed in KEYS.items():
            body.data.shape_keys.key_blocks[name].value = 0.5 + 0.5 * math.sin(frame / speed)
        jaw.append(body.data.shape_keys.key_blocks["jawOpen"].value)
        bpy.context.view_layer.update()
        rows.append(world_points(body.evaluated_get(bpy.context.evaluated_depsgraph_get())))
    rows = np.array(rows, np.float32)
    mesh = body.data.copy()
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    head = bpy.data.objects.new("Scan", mesh)
    head.shape_key_clear()
    head.vertex_groups.clear()
    bpy.context.scene.collection.objects.link(head)
    path = folder / "scan.pc2"
    cache(path, rows, np.eye(4), FRAMES[0])
    modifier = head.modifiers.new("Cache", "MESH_CACHE")
    modifier.cache_format, modifier.filepath, modifier.frame_start = "PC2", str(path), FRAMES[0]
    bpy.context.view_layer.objects.active = head
    head.select_set(True)
    moved = np.ptp(rows, axis=0).max(1)
    high = rows[0, :, 2] > np.quantile(rows[0, :, 2], 0.3)
    return head, np.flatnonzero((moved < 1e-6) & high), jaw
