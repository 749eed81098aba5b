# SPDX-License-Identifier: Apache-2.0
"""The preferences: what they say without a toolkit, with a good one, with a wrong one; folders and frame rates."""

import importlib
import os
from pathlib import Path

import bpy


def check(module):
    """Press the button; the lines it shows, or what it complains about."""
    try:
        bpy.ops.hyoid.check_toolkit()
    except RuntimeError as error:
        return ["error", str(error)]
    return module.summary()


def main(addon, args):
    jobs = importlib.import_module(addon.__name__ + ".jobs")
    module = importlib.import_module(addon.__name__ + ".jobs.check")
    preferences = bpy.context.preferences.addons[addon.__name__].preferences
    answer = {}
    os.environ["PATH"], os.environ["HOME"] = args["nothing"], args["nothing"]
    for name in ("VIRTUAL_ENV", "HYOID_TOOLKIT"):
        os.environ.pop(name, None)
    for name, toolkit in args["toolkits"].items():
        preferences.toolkit = toolkit
        answer[name] = check(module)
    preferences.toolkit = ""
    answer["state"] = module.answer()
    answer["rate"] = []
    for choice, fps, base in (("SCENE", 24, 1.0), ("SCENE", 24, 1.001), ("SCENE", 12, 1.0), ("SCENE", 120, 1.0),
                              ("50", 24, 1.0)):  # fmt: skip
        preferences.frame_rate = choice
        bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = fps, base
        answer["rate"].append(jobs.frame_rate(bpy.context))
    answer["unsaved"] = str(jobs.output_folder(bpy.context))
    folder = Path(args["home"]) / "shöts 'a'"
    folder.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "a.blend"))
    answer["saved"] = str(jobs.output_folder(bpy.context).relative_to(args["home"]))
    preferences.output_folder = "//results"
    answer["chosen"] = str(jobs.output_folder(bpy.context).relative_to(args["home"]))
    preferences.toolkit = args["toolkits"]["good"]
    names = [jobs.output_path(bpy.context, stem).name for stem in ('a/b:c"d', "ü" * 200, "..", "")]
    answer["names"] = [[name, len(name.encode())] for name in names]
    (folder / "hyoid").rmdir()
    (folder / "hyoid").write_text("in the way")
    preferences.output_folder = ""
    try:
        jobs.output_folder(bpy.context)
    except jobs.JobError as error:
        answer["read only"] = str(error)
    return answer
