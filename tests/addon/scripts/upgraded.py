# SPDX-License-Identifier: Apache-2.0
"""Puts a newer add-on over the one that is switched on, as its installation does: which code runs then?"""

import importlib
import os
from pathlib import Path

import bpy


def main(addon, _args):
    folder, name = Path(addon.__file__).parent, addon.__name__
    path = folder / "neck" / "swallow.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nNEWER = True\n", encoding="utf-8")
    bpy.ops.preferences.addon_disable(module=name)
    os.utime(folder / "__init__.py", (2e9, 2e9))
    bpy.ops.preferences.addon_enable(module=name)
    bpy.ops.hyoid.create_character(part="head")
    swallow = importlib.import_module(f"{name}.neck.swallow")
    return {"newer": getattr(swallow, "NEWER", False), "works": bpy.ops.hyoid.swallow() == {"FINISHED"}}
