# SPDX-License-Identifier: Apache-2.0
"""A real toolkit does a real job, as a script without a window would ask for it."""

import importlib
from pathlib import Path

import bpy


def main(addon, args):
    jobs = importlib.import_module(addon.__name__ + ".jobs")
    preferences = bpy.context.preferences.addons[addon.__name__].preferences
    preferences.toolkit = args["toolkit"]
    preferences.output_folder = args["output"]
    seen = []

    def handler(scene, payload, result):
        seen.append([scene.name, payload["target"], [Path(path).name for path in result["outputs"]]])
        return "imported"

    jobs.register_handler("test", handler)
    target = jobs.output_path(bpy.context, "bönes 'x'")
    job = jobs.submit(
        bpy.context, "convert", {"source": args["source"], "outputs": [target]}, label="Convert", handler="test",
        payload={"target": "human"},
    )  # fmt: skip
    return {"state": job.state, "message": job.message, "seen": seen, "there": target.is_file(),
            "words": jobs.toolkit(bpy.context), "fraction": job.fraction,
            "error": job.error}  # fmt: skip
