# SPDX-License-Identifier: Apache-2.0
"""Runs inside a Blender: installs the zip as a user would, then calls ``main(addon, args)`` of a script.

A script that has ``before(args)`` is asked before the installation. The answer of ``main`` goes into ``answer.json`` of
the work folder. ``python inside.py -- FOLDER`` with bpy, or ``blender -b --python inside.py -- FOLDER``.
"""

import importlib
import json
import os
import shutil
import sys
import traceback
from pathlib import Path


def install(zip_path, there):
    """Install the add-on, unless it is there already, and switch it on; its module."""
    import bpy

    extension = bpy.app.version >= (4, 2)
    module = "bl_ext.user_default.hyoid" if extension else "hyoid"
    if extension and not there:
        bpy.ops.extensions.package_install_files(filepath=zip_path, repo="user_default", enable_on_install=True)
    elif not there:
        bpy.ops.preferences.addon_install(filepath=zip_path)
    if there or not extension:
        bpy.ops.preferences.addon_enable(module=module)
    return importlib.import_module(module)


def keep(work, place):
    """Copy what was installed, for the next Blender of this version."""
    part = place.with_name(place.name + ".part")
    for name in ("resources", "scripts"):
        shutil.copytree(work / name, part / name, dirs_exist_ok=True)
    part.rename(place)


def main():
    folder = Path(sys.argv[sys.argv.index("--") + 1])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    code = 1
    try:
        sys.path.append(str(Path(job["script"]).parent))  # scripts share evaluated.py
        names = {"__name__": "script", "__file__": job["script"]}
        exec(compile(Path(job["script"]).read_text(encoding="utf-8"), job["script"], "exec"), names)
        if "before" in names:
            names["before"](job["args"])
        addon = install(job["zip"], job["there"]) if job["zip"] else None
        if addon and job["keep"]:
            keep(folder, Path(job["keep"]))
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
