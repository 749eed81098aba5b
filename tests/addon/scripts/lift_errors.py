# SPDX-License-Identifier: Apache-2.0
"""What cannot be lifted, and a job that is cancelled."""

import time

import bpy
import lift_scene as lift


def main(addon, args):
    module, answer = lift.modules(addon), {"refused": {}}
    folder, scene = lift.prepare(addon, args), bpy.context.scene
    settings, refused = scene.hyoid_lift, answer["refused"]
    create, queue = module("characters.create").create, module("jobs.queue")

    def told(name, operator=bpy.ops.hyoid.lift, **values):
        before = {key: getattr(settings, key) for key in values} | ({"size": (0, 0)} if "size" in values else {})
        for key, value in values.items():
            setattr(settings, key, value)
        try:
            operator()
            refused[name] = "nothing was said"
        except RuntimeError as error:
            refused[name] = str(error)
        for key, value in before.items():
            setattr(settings, key, value)

    told("nothing chosen", keypoints="")
    told("no such file", keypoints=str(folder / "gone.json"))
    told("half a size", size=(640, 0))
    told("no name", person="ONE")
    told("no footage", footage=str(folder / "gone.mp4"))
    head = create(bpy.context, {}, "head")
    lift.activate(head.armature)
    told("a head")
    module("characters.create").remove(head)
    section = module("lift.section")
    asked = [section.size_is_missing()]
    told("no size", keypoints=str(folder / "nosize.json"))
    answer["size asked for"] = [*asked, section.size_is_missing()]
    told("no redo", bpy.ops.hyoid.redo_lift)
    answer["untouched"] = not module("characters.find").rigs(scene) and not scene.timeline_markers
    settings.keypoints, settings.size = str(folder / "nosize.json"), (640, 480)
    answer["with size"] = list(bpy.ops.hyoid.lift())
    armature = module("characters.find").rigs(scene)[0].armature
    lift.activate(armature)
    raw = next((folder / "out").glob("*.lifted.npz"))
    raw.rename(folder / "moved")
    told("raw gone", bpy.ops.hyoid.redo_lift)
    (folder / "moved").rename(raw)
    armature.animation_data.action = None
    told("action gone", bpy.ops.hyoid.redo_lift)

    settings.keypoints = str(folder / "slow.json")
    before = {path.name for path in (folder / "out").iterdir()}
    waited, queue._wait_for = queue._wait_for, lambda job: None  # as if there were a window
    bpy.ops.hyoid.lift()
    queue._wait_for = waited
    job = queue.jobs()[-1]
    end = time.monotonic() + 30
    while (job.fraction or 0) < 0.3 and time.monotonic() < end:
        queue.pump()
        time.sleep(0.05)
    states = [job.state]
    bpy.ops.hyoid.cancel_job(job=job.id)
    while job.state not in queue.OVER and time.monotonic() < end:
        queue.pump()
        time.sleep(0.05)
    left = {path.name for path in (folder / "out").iterdir() if path.suffix != ".job"} - before
    answer["cancelled"] = [*states, job.state, sorted(left)]
    bpy.context.preferences.addons[addon.__name__].preferences.toolkit = str(folder / "nowhere")
    told("no toolkit")
    return answer
