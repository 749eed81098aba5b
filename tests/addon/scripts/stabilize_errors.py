# SPDX-License-Identifier: Apache-2.0
"""What an artist is told when a mesh cannot be stabilised, and that nothing is left behind then."""

import importlib
import json
import os
from pathlib import Path

import bpy
import numpy as np
import stabilize_scene as heads


class Tries:
    """The add-on, a head, and what was said."""

    def __init__(self, addon, args):
        self.folder, self.args = Path(args["place"]), args
        self.module = lambda path: importlib.import_module(f"{addon.__name__}.{path}")
        self.preferences = bpy.context.preferences.addons[addon.__name__].preferences
        self.preferences.toolkit, self.preferences.output_folder = args["toolkit"], str(self.folder / "out")
        for obj in list(bpy.data.objects):
            bpy.data.objects.remove(obj)
        scene = bpy.context.scene
        scene.render.fps, scene.frame_start, scene.frame_end = 25, heads.FRAMES[0], heads.FRAMES[-1]
        self.head = heads.by_object()
        Path(args["toolkit"]).with_name("skull.json").write_text(json.dumps(heads.SKULL), encoding="utf-8")
        self.choose(self.head)

    def choose(self, obj):
        bpy.context.view_layer.objects.active = obj
        for other in bpy.context.scene.objects:
            other.select_set(other == obj)

    def said(self, **settings):
        """What the button says with some settings, which are put back after it."""
        chosen = bpy.context.scene.hyoid_stabilize
        before = {name: getattr(chosen, name) for name in settings}
        for name, value in settings.items():
            setattr(chosen, name, value)
        try:
            bpy.ops.hyoid.stabilize()
            return ""
        except RuntimeError as error:
            return str(error).strip()
        finally:
            for name, value in before.items():
                setattr(chosen, name, value)

    def left(self):
        """Files of the output folder that are no result, and marks on objects."""
        out = self.folder / "out"
        files = [path.name for path in out.glob(".*")] if out.is_dir() else []
        return files + [obj.name for obj in bpy.data.objects if "hyoid_stabilizing" in obj]


def refused(tries):
    """One reason after the other."""
    head, answer = tries.head, {}
    answer["one frame"] = tries.said(frame_range="CUSTOM", first=3, last=3)
    answer["backwards"] = tries.said(frame_range="CUSTOM", first=9, last=3)
    bpy.context.scene.frame_set(40)
    answer["target"] = tries.said(target="CURRENT")
    answer["no armature"] = tries.said(head="BONE")
    answer["no character"] = tries.said(solve=True)
    answer["still"] = tries.said(frame_range="CUSTOM", first=100, last=110)
    array, smooth = head.modifiers.new("More", "ARRAY"), head.modifiers.new("Bend", "SMOOTH")
    for frame, count in ((1, 1), (10, 2)):
        array.count = count
        array.keyframe_insert("count", frame=frame)
    answer["topology"] = tries.said()
    for modifier in (array, smooth):
        head.modifiers.remove(modifier)
    head.modifiers.new("Cloth", "CLOTH")
    answer["cloth"] = tries.said()
    head.modifiers.remove(head.modifiers["Cloth"])
    finer, smooth = head.modifiers["Subdivision"], head.modifiers.new("Bend", "SMOOTH")
    finer.render_levels = 2
    answer["finer in render"] = tries.said()
    finer.render_levels = 1
    head.modifiers.remove(smooth)
    scale = head.scale.copy()
    answer["nothing active"] = with_active(tries, None)
    small = bpy.data.objects.new("Small", bpy.data.meshes.new("Small"))
    small.data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    bpy.context.scene.collection.objects.link(small)
    answer["small"] = with_active(tries, small)
    bpy.ops.object.mode_set(mode="EDIT")
    answer["edit mode"] = tries.said()
    bpy.ops.object.mode_set(mode="OBJECT")
    twin = bpy.data.objects.new("twin", None)
    twin.animation_data_create()
    slots = hasattr(bpy.types, "ActionSlot")
    twin.animation_data.action = head.animation_data.action
    if slots:
        twin.animation_data.action_slot = head.animation_data.action_slot
    answer["shared action"] = tries.said()
    bpy.data.objects.remove(twin)
    tries.preferences.toolkit = str(tries.folder / "nowhere")
    answer["no toolkit"] = tries.said()
    tries.preferences.toolkit = tries.args["toolkit"]
    assert head.scale == scale
    return answer


def with_active(tries, obj):
    tries.choose(obj)
    words = tries.said()
    tries.choose(tries.head)
    return words


def bones(tries):
    """Bones that cannot carry a head."""
    bpy.context.view_layer.objects.active = tries.head
    data = bpy.data.armatures.new("rig")
    rig = bpy.data.objects.new("held rig", data)
    bpy.context.scene.collection.objects.link(rig)
    tries.choose(rig)
    bpy.ops.object.mode_set(mode="EDIT")
    first, second = data.edit_bones.new("root"), data.edit_bones.new("tied")
    first.tail, second.head, second.tail = (0, 0, 1), (0, 0, 1), (0, 0, 2)
    second.parent, second.use_connect = first, True
    bpy.ops.object.mode_set(mode="OBJECT")
    rig.pose.bones["root"].constraints.new("COPY_LOCATION").name = "Holder"
    tries.choose(tries.head)
    return [tries.said(head="BONE", armature=rig, bone=name) for name in ("gone", "tied", "root")]


def bad_results(tries):
    """Results that do not fit what the scene shows."""
    answer = {}
    for wrong in ("short", "elsewhere", "garbled"):
        os.environ["STAND_IN_WRONG"] = wrong
        answer[wrong] = tries.said()
    del os.environ["STAND_IN_WRONG"]
    queue = tries.module("jobs.queue")
    answer["kept"] = [job.lost for job in queue.jobs() if job.state == queue.FAILED]
    for job in queue.jobs():
        queue.dismiss(job)
    return answer


def steps(tries):
    """The mesh is read in steps, as with a window; given up; the mesh goes in between."""
    reading, frames = tries.module("stabilize.reading"), tries.module("stabilize.mesh_frames")
    frames._STEP, path, answer = 0.0, tries.folder / "steps.npz", {}
    scene, dropped = bpy.context.scene, []

    def begin(find):
        work = reading.Reading(
            "read", 24, frames.write(path, find, heads.FRAMES), lambda: None, lambda: dropped.append(1)
        )
        reading._now[:] = [work]
        return work

    def found():
        obj = bpy.data.objects.get("By Object")
        if obj is None:
            raise tries.module("toolkit.errors").UsageError("'By Object' is gone")
        return scene, obj

    work = begin(found)
    counts = []
    while reading.step():
        counts.append(work.done)
    with np.load(path) as written:
        answer["whole"] = [counts == list(heads.FRAMES), written["vertices"].shape[0], reading.current() is None]
    first = path.read_bytes()
    begin(found)
    while reading.step():
        pass
    answer["same bytes"] = path.read_bytes() == first
    path.unlink()
    begin(found)
    for _ in range(5):
        reading.step()
    bpy.ops.hyoid.cancel_reading()
    answer["cancelled"] = [
        reading.current() is None,
        len(dropped),
        sorted(p.name for p in tries.folder.glob("*steps*")),
    ]
    begin(found)
    for _ in range(5):
        reading.step()
    tries.head.name = "Renamed"
    answer["gone"] = [
        reading.step(),
        reading.failed().error,
        len(dropped),
        [p.name for p in tries.folder.glob("*steps*")],
    ]
    tries.head.name = "By Object"
    begin(found)
    reading.step()
    bpy.ops.wm.read_homefile(use_empty=True)
    answer["another file"] = [reading.current() is None, [p.name for p in tries.folder.glob("*steps*")]]
    answer["scenes"] = [s.name for s in bpy.data.scenes]
    return answer


def deleted(tries):
    """The artist deletes the head bone, or hangs something on it: there is a way back, and nothing of theirs goes."""
    original, answer = heads.seen(tries.head), {}
    bpy.ops.hyoid.stabilize()
    bpy.data.objects.remove(tries.head.parent)
    for view in ("BOTH", "ORIGINAL"):
        try:
            answer[view] = list(bpy.ops.hyoid.view_stabilized(view=view))
        except RuntimeError as error:
            answer[view] = str(error).strip()
    bpy.ops.hyoid.remove_stabilized()
    answer["off"] = float(np.abs(heads.seen(tries.head) - original).max())
    bpy.ops.hyoid.stabilize()
    hat = bpy.data.objects.new("hat", None)
    bpy.context.scene.collection.objects.link(hat)
    hat.parent = tries.head.parent
    bpy.ops.hyoid.remove_stabilized()
    answer["hat hangs"] = hat.parent is not None
    bpy.data.objects.remove(hat.parent)
    bpy.data.objects.remove(hat)
    return answer


def main(addon, args):
    tries = Tries(addon, args)
    before = heads.facts(tries.head)
    answer = {"refused": refused(tries), "bones": bones(tries), "bad": bad_results(tries), "left": tries.left()}
    after = heads.facts(tries.head)
    before.pop("stores"), after.pop("stores")
    answer["differs"] = {key: [before[key], after[key]] for key in before if before[key] != after[key]}
    answer["deleted"] = deleted(tries)
    answer["steps"] = steps(tries)
    return answer
