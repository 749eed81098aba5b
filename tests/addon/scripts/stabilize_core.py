# SPDX-License-Identifier: Apache-2.0
"""A head is stabilised by a stand-in for the toolkit, looked at in three ways, saved, loaded, and given back."""

import importlib
import json
from pathlib import Path

import bpy
import drawn
import numpy as np
import stabilize_scene as heads


def main(addon, args):
    def module(path):
        return importlib.import_module(f"{addon.__name__}.{path}")

    folder, answer = Path(args["place"]), {}
    preferences = bpy.context.preferences.addons[addon.__name__].preferences
    preferences.toolkit, preferences.output_folder = args["toolkit"], str(folder / "out")
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = 25, heads.FRAMES[0], heads.FRAMES[-1]
    cache = module("stabilize.result_files").write_cache
    made = {
        "strips": lambda: heads.by_strips(module("takes.nla").push_down),
        "object": heads.by_object, "armature": heads.by_armature,
        "cache": lambda: heads.by_cache(folder, cache), "alembic": lambda: heads.by_alembic(folder, cache),
    }  # fmt: skip
    head = made[args["kind"]]()
    name = head.name
    bpy.data.orphans_purge(do_recursive=True)
    bpy.context.view_layer.objects.active = head
    settings = scene.hyoid_stabilize
    settings.smooth = 0.1
    if args["kind"] == "armature":
        settings.head, settings.armature, settings.bone = "BONE", bpy.data.objects["rig"], "head"
    if args["kind"] == "cache":
        settings.target = "CURRENT"
        scene.frame_set(9)
    before, original = heads.facts(head), heads.seen(head)
    scene.frame_set(9)
    (Path(args["toolkit"]).with_name("skull.json")).write_text(json.dumps(heads.SKULL))
    answer["faults"], answer["drawn"] = {}, {}
    drawn.draw(bpy.types.HYOID_PT_stabilize, "settings", answer)
    answer["settings"] = answer["drawn"]["settings"]
    answer["result"] = list(bpy.ops.hyoid.stabilize())
    answer["frame"] = scene.frame_current
    answer["job"] = json.loads(next((folder / "out").glob("*.job")).read_text(encoding="utf-8"))
    answer["files"] = sorted(path.name for path in (folder / "out").iterdir())
    answer["said"] = [job.message for job in module("jobs.queue").jobs()]
    records = module("stabilize.records")

    def off(points):
        return float(np.abs(points - original).max())

    answer["both"] = off(heads.seen(head))
    answer["still moved by"] = [
        name for name in ("tracks", "drivers", "constraints") for _, mute in heads.facts(head)[name] if not mute
    ]
    answer["hangs"] = [head.parent.type, head.parent_type, head.parent_bone]
    answer["muted"] = [[m.name, m.show_viewport] for m in head.modifiers]
    record = records.of(head)
    drawn.draw(bpy.types.HYOID_PT_stabilize, "result", answer)
    read(module("stabilize.reading"), answer)
    answer["told"] = [record.target, record.method, record.uncertain(), len(record.residual_mm)]
    bpy.ops.hyoid.view_stabilized(view="STABILIZED")
    still = heads.seen(head)
    answer["drift"] = drift(still, head)
    answer["drift before"] = drift(original, head)
    answer["expression"] = float(np.ptp(still, axis=0).max())
    bpy.ops.hyoid.view_stabilized(view="ORIGINAL")
    answer["original"] = off(heads.seen(head))
    bpy.ops.hyoid.view_stabilized(view="BOTH")
    scene.frame_set(1)
    bpy.ops.hyoid.next_uncertain_frame()
    jumps = [scene.frame_current]
    for _ in range(2):
        bpy.ops.hyoid.next_uncertain_frame()
        jumps.append(scene.frame_current)
    answer["jumps"] = jumps
    answer["again"] = bpy.ops.hyoid.stabilize.poll()

    path = str(folder / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    head = bpy.data.objects[name]
    bpy.context.view_layer.objects.active = head
    answer["loaded"] = off(heads.seen(head))
    bpy.ops.hyoid.view_stabilized(view="STABILIZED")
    answer["loaded drift"] = drift(heads.seen(head), head)
    bpy.ops.hyoid.view_stabilized(view="ORIGINAL")
    answer["loaded original"] = off(heads.seen(head))
    answer["removed"] = list(bpy.ops.hyoid.remove_stabilized())
    after = heads.facts(head)
    answer["differs"] = {key: [before[key], after[key]] for key in before if before[key] != after[key]}
    answer["after"] = off(heads.seen(head))
    return answer


def read(reading, answer):
    """The section while a mesh is read, and after it could not be."""
    work = reading.Reading("Stabilize: x", 24, iter(()), lambda: None, lambda: None, done=3, error="it is gone")
    for store, name in ((reading._now, "reading"), (reading._failed, "failed")):
        store[:] = [work]
        drawn.draw(bpy.types.HYOID_PT_stabilize, name, answer)
        answer["share"] = bpy.context.window_manager.hyoid_reading if name == "reading" else answer["share"]
        store.clear()


def drift(points, head):
    """How far the skull moves, of the size of the head; on a bone whose parent moves, against that."""
    scene, rows = bpy.context.scene, []
    rig = head.parent if head.parent_type == "BONE" and head.parent.name == "rig" else None
    for frame, row in zip(heads.LOOKED_AT, points, strict=True):
        if rig is not None:
            scene.frame_set(frame)
            world = np.linalg.inv(np.array(rig.matrix_world @ rig.pose.bones["root"].matrix))
            row = row @ world[:3, :3].T + world[:3, 3]
        rows.append(row[heads.SKULL])
    return float(np.ptp(rows, axis=0).max() / np.ptp(points[0], axis=0).max())
