# SPDX-License-Identifier: Apache-2.0
"""Runs inside a Blender: installs the zip as a user would, then calls ``main(addon, args)`` of a script.

A script that has ``before(args)`` is asked before the installation. The answer of ``main`` goes into ``answer.json`` of
the work folder. ``python inside.py -- FOLDER`` with bpy, or ``blender -b --python inside.py -- FOLDER``.
"""

import importlib
import json
import os
import sys
import traceback
from pathlib import Path


def install(zip_path):
    """Install and enable the add-on; its module."""
    import bpy

    if bpy.app.version >= (4, 2):
        bpy.ops.extensions.package_install_files(filepath=zip_path, repo="user_default", enable_on_install=True)
        return importlib.import_module("bl_ext.user_default.hyoid")
    bpy.ops.preferences.addon_install(filepath=zip_path)
    bpy.ops.preferences.addon_enable(module="hyoid")
    return importlib.import_module("hyoid")


def main():
    folder = Path(sys.argv[sys.argv.index("--") + 1])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    code = 1
    try:
        names = {"__name__": "script", "__file__": job["script"]}
        exec(compile(Path(job["script"]).read_text(encoding="utf-8"), job["script"], "exec"), names)
        if "before" in names:
            names["before"](job["args"])
        addon = install(job["zip"]) if job["zip"] else None
        answer = names["main"](addon, job["args"])
        (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
        code = 0
    except BaseException:  # noqa: BLE001  the test reads it
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the tear-down of the bpy module may crash after the work is done


if __name__ == "__main__":
    main()
