# SPDX-License-Identifier: Apache-2.0
"""The queue is looked at by hand, as its timer does with a window, while the file changes under it."""

import importlib
import json
import os
import time
from pathlib import Path

import bpy


class Queue:
    """The add-on's queue, submitting without waiting as with a window."""

    def __init__(self, addon, args):
        self.queue = importlib.import_module(addon.__name__ + ".jobs.queue")
        self.jobs = importlib.import_module(addon.__name__ + ".jobs")
        self.args = args
        self.preferences = bpy.context.preferences.addons[addon.__name__].preferences
        self.preferences.toolkit, self.preferences.output_folder = args["toolkit"], args["output"]
        self.got = []
        self.jobs.register_handler("keep", self.keep)
        self.jobs.register_handler("fall", self.fall)
        self.count = 0

    def keep(self, scene, payload, result):
        self.got.append([scene.name, payload.get("word", ""), Path(result["outputs"][0]).is_file()])
        scene["got"] = scene.get("got", 0) + 1
        self.context = [bpy.context.scene == scene, bpy.context.view_layer == scene.view_layers[0]]
        return "imported"

    def fall(self, scene, payload, result):
        raise ZeroDivisionError("a fault of ours")

    def submit(self, behaviour, handler="keep", word="", made=(), **options):
        self.count += 1
        output = Path(self.args["output"]) / f"r'{self.count}\".take.npz"
        places = self.queue.places
        options = {"source": self.args["source"], "output": [output], "behaviour": behaviour, **options}
        context = bpy.context
        real, self.queue._wait_for = self.queue._wait_for, lambda job: None  # as if there were a window
        try:
            places.toolkit(context)
            label = f"{behaviour} {self.count}"
            payload = {"word": word}
            return self.jobs.submit(
                context, "wiggle", options, label=label, handler=handler, payload=payload, made=made
            )  # fmt: skip
        finally:
            self.queue._wait_for = real

    def run(self, *jobs, seconds=30.0):
        deadline = time.monotonic() + seconds
        while any(job.state not in self.queue.OVER for job in jobs):
            assert time.monotonic() < deadline, [(job.label, job.state) for job in jobs]
            self.jobs.pump()
            time.sleep(0.02)
        return [[job.state, job.error, job.message] for job in jobs]

    def until(self, condition):
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            self.jobs.pump()
            time.sleep(0.02)


def scenes(q):
    """Renamed, deleted, copied, reloaded, another file: the result finds its scene or says that it is gone."""
    answer = {}
    first = bpy.context.scene
    job = q.submit("slow", word="renamed")
    first.name = "Renämed 'shot'"
    answer["renamed"] = q.run(job)[0][0]
    answer["scene"] = q.got[-1][0]
    job = q.submit("slow", word="copied")
    first.copy()
    answer["copied"], answer["copy got"] = q.run(job)[0][0], q.got[-1][0]
    job = q.submit("slow", word="id lost")
    del first["hyoid_scene"]  # as undo does
    answer["id lost"] = q.run(job)[0][0]
    window = bpy.context.window_manager.windows[0] if len(bpy.context.window_manager.windows) else None
    other = bpy.data.scenes.new("Other")
    job = q.submit("slow", word="elsewhere")
    if window:
        window.scene = other
    answer["elsewhere"] = [q.run(job)[0][0], q.got[-1][0], q.context if window else [True, True]]
    job = q.queue.Job("wiggle", {}, "gone", "keep", {}, "no such id", "Deleted", "", q.queue._generation)
    job.state, job.result = q.queue.READY, {"outputs": [q.args["source"]]}
    q.queue._jobs.append(job)
    answer["gone"] = q.run(job)[0]
    answer["lost"] = job.lost
    bpy.ops.hyoid.import_job_result(job=job.id)
    answer["rescued"] = [job.state, job.message, q.got[-1][0] == bpy.context.scene.name]
    return answer


def files(q):
    """A file is saved, reloaded and replaced while jobs run."""
    answer = {}
    path = str(Path(q.args["output"]) / "shöt 'a' \"b\".blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    job = q.submit("slow")
    bpy.ops.wm.open_mainfile(filepath=path)
    answer["reloaded"] = q.run(job)[0]
    job = q.submit("slow")
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=False)
    q.preferences.toolkit, q.preferences.output_folder = q.args["toolkit"], q.args["output"]
    answer["another file"] = q.run(job)[0]
    answer["lost"] = job.lost
    return answer


def bad_ends(q):
    """Everything that a program can do wrong, and a fault of the add-on itself."""
    answer = {}
    for behaviour in ("fail", "crash", "killed", "garbage", "silent", "nothing"):
        answer[behaviour] = q.run(q.submit(behaviour, handler="keep" if behaviour != "nothing" else "missing"))[0]
    notes = [Path(q.args["output"]) / f"{name}.words.txt" for name in ("fail", "good")]
    for note in notes:
        note.write_text("words", encoding="utf-8")
        q.run(q.submit(note.name.partition(".")[0], made=[note]))
    source = Path(q.args["source"])
    copied = source.with_name("made.npz")
    copied.write_bytes(source.read_bytes())
    answer["made"] = [q.run(q.submit("refuse", source=str(copied), made=[copied]))[0][1], copied.is_file()]
    answer["warned"] = q.run(q.submit("warn"))[0]
    answer["notes"] = [note.is_file() for note in notes]
    job = q.submit("good", handler="fall")
    answer["handler"] = q.run(job)[0]
    answer["handler log"] = "ZeroDivisionError" in job.log
    bpy.ops.hyoid.show_job_log(job=job.id)
    answer["log"] = "ZeroDivisionError" in bpy.data.texts["Hyoid log"].as_string()
    bpy.ops.hyoid.dismiss_job(job=job.id)
    answer["dismissed"] = q.queue.find(job.id) is None
    return answer


def several(q):
    """Two at once, the third waits; one is cancelled while it refuses to end, one while it waits."""
    answer = {}
    q.preferences.at_once = 2
    jobs = [q.submit("stubborn"), q.submit("slow", limit=0.3), q.submit("good"), q.submit("good")]
    q.jobs.pump()
    answer["states"] = [job.state for job in jobs]
    pids = Path(q.args["source"]).with_name("pids")
    q.until(lambda: pids.exists() and jobs[0].what == "refusing")
    bpy.ops.hyoid.cancel_job(job=jobs[3].id)
    start = time.monotonic()
    bpy.ops.hyoid.cancel_job(job=jobs[0].id)
    q.run(*jobs)
    q.until(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))
    answer["seconds"] = time.monotonic() - start
    answer["ends"] = [job.state for job in jobs]
    answer["parts"] = [path.name for path in Path(q.args["output"]).glob(".*")]
    answer["left over"] = [str(job.folder) for job in jobs if job.folder and job.folder.exists()]
    return answer


def switched_off(q, addon):
    """The add-on is switched off while a job runs: its processes end with it."""
    pids = Path(q.args["source"]).with_name("pids")
    pids.unlink(missing_ok=True)
    job = q.submit("stubborn")
    q.until(lambda: pids.exists() and job.what == "refusing")
    start = time.monotonic()
    bpy.ops.preferences.addon_disable(module=addon.__name__)
    answer = {
        "seconds": time.monotonic() - start,
        "alive": [pid for pid in pids.read_text().split() if alive(int(pid))],
    }
    answer["traces"] = [
        name for kind in (bpy.types, bpy.types.Scene, bpy.types.WindowManager, bpy.types.Object) for name in dir(kind)
        if "hyoid" in name.lower()
    ]  # fmt: skip
    return answer


def read_only(q):
    """The output folder cannot be made: a file is in its way, which is so for root too."""
    q.preferences.output_folder = str(Path(q.args["source"]) / "sub")
    try:
        q.jobs.output_folder(bpy.context)
    except q.jobs.JobError as error:
        said = str(error)
    q.preferences.output_folder = q.args["output"]
    return said


def missing(q):
    """No toolkit where the preferences say."""
    q.preferences.toolkit = str(Path(q.args["output"]) / "nowhere")
    try:
        q.jobs.submit(bpy.context, "talk", {}, label="x", handler="keep", payload={})
    except q.jobs.JobError as error:
        said = str(error)
    q.preferences.toolkit = q.args["toolkit"]
    return said


def waiting(q):
    """With wait, or in background mode, a failure is raised where the script stands."""
    options = {"source": q.args["source"], "output": [str(Path(q.args["output"]) / "w.take.npz")]}
    job = q.jobs.submit(bpy.context, "wiggle", options, label="wait", handler="keep", payload={})
    try:
        q.jobs.submit(bpy.context, "wiggle", {**options, "behaviour": "fail"}, label="wait", handler="keep", payload={})
    except q.jobs.JobError as error:
        return [job.state, job.message, str(error)]
    return [job.state, job.message, ""]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main(addon, args):
    os.makedirs(args["output"], exist_ok=True)
    q = Queue(addon, args)
    answer = {
        "missing": missing(q), "read only": read_only(q), "waiting": waiting(q), "scenes": scenes(q), "files": files(q),
        "bad ends": bad_ends(q), "several": several(q), "off": switched_off(q, addon),
    }  # fmt: skip
    json.dumps(answer)
    return answer
