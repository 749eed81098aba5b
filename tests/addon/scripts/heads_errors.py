# SPDX-License-Identifier: Apache-2.0
"""What cannot be done with heads, a search that is cancelled, and where footage comes from."""

import time

import bpy
import heads_scene as heads


def main(addon, args):
    module, answer = heads.modules(addon), {"refused": {}}
    folder, scene = heads.prepare(addon, args), bpy.context.scene
    settings, refused, queue = scene.hyoid_heads, answer["refused"], module("jobs.queue")
    settings.footage = str(folder / "crowd.png")

    def told(name, operator=bpy.ops.hyoid.find_heads, **values):
        before = {key: getattr(settings, key) for key in values}
        for key, value in values.items():
            setattr(settings, key, value)
        try:
            operator()
            refused[name] = "nothing was said"
        except RuntimeError as error:
            refused[name] = str(error)
        for key, value in before.items():
            setattr(settings, key, value)

    told("nothing chosen", footage="")
    told("no such file", footage=str(folder / "gone.png"))
    told("no picture", footage=str(folder / "notes.txt"))
    told("no clip", source="CLIP")
    told("no camera picture", source="CAMERA")
    told("no name", person="ONE")
    told("no such person", person="ONE", person_name="person_09")
    told("no character", make="ACTIVE")
    told("nobody", footage=str(folder / "empty.png"))
    told("nobody performs", footage=str(folder / "empty.png"), make="HEADS")
    told("no weights", footage=str(folder / "noweights.png"))
    told("no redo", bpy.ops.hyoid.redo_heads)
    answer["untouched"] = [obj.name for obj in bpy.data.objects]
    heads.add_camera({"data": {"type": "ORTHO"}})
    told("flat camera")
    scene.camera.data.type = "PERSP"
    answer["empties"] = list(bpy.ops.hyoid.find_heads())
    found = next((folder / "out").glob("crowd-heads-*.heads.json"))
    for path in (folder / "out").glob("crowd-heads-*.heads.json"):
        path.rename(folder / path.name)
    told("heads gone", bpy.ops.hyoid.redo_heads)
    for path in folder.glob("crowd-heads-*.heads.json"):
        path.rename(found.parent / path.name)
    answer["cancelled"] = cancelled(folder, settings, queue)
    bpy.context.preferences.addons[addon.__name__].preferences.toolkit = str(folder / "nowhere")
    told("no toolkit")
    answer["footage"] = footage(module, folder, settings)
    return answer


def cancelled(folder, settings, queue):
    """States of a search that is cancelled, and what files it leaves."""
    settings.footage = str(folder / "slow.png")
    before = {path.name for path in (folder / "out").iterdir()}
    waited, queue._wait_for = queue._wait_for, lambda job: None  # as if there were a window
    bpy.ops.hyoid.find_heads()
    queue._wait_for = waited
    job = queue.jobs()[-1]
    end = time.monotonic() + 30
    while "looking" not in job.what and time.monotonic() < end:
        queue.pump()
        time.sleep(0.05)
    states = [job.state]
    bpy.ops.hyoid.cancel_job(job=job.id)
    while job.state not in queue.OVER and time.monotonic() < end:
        queue.pump()
        time.sleep(0.05)
    left = {path.name for path in (folder / "out").iterdir() if path.suffix != ".job"} - before
    return [*states, job.state, sorted(left)]


def footage(module, folder, settings):
    """What the sources of the section mean."""
    scene, chosen = bpy.context.scene, module("head_directions.footage").chosen
    told = {}
    settings.footage = str(folder / "crowd.png")
    told["file"] = _facts(chosen(bpy.context))
    behind = scene.camera.data.background_images.new()
    behind.image = bpy.data.images.load(str(folder / "crowd.png"))
    settings.source = "CAMERA"
    told["behind"] = _facts(chosen(bpy.context))
    sequence = bpy.data.movieclips.load(str(folder / "frames" / "0003.png"))
    sequence.frame_start = 20
    settings.source = "CLIP"
    told["only clip"] = _facts(chosen(bpy.context))
    clip = bpy.data.movieclips.load(str(folder / "shot.mp4"))
    clip.frame_start, clip.frame_offset = 30, 4
    settings.clip = clip
    told["clip"] = _facts(chosen(bpy.context))
    return told


def _facts(found):
    return [found.path.name, found.start, found.fps, found.film, found.shown, list(found.size) if found.size else None]
