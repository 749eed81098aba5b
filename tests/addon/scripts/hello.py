# SPDX-License-Identifier: Apache-2.0
"""The add-on is on, and the toolkit's modules work in the Python of this Blender."""

import importlib
import importlib.machinery
import sys

import bpy


def main(addon, args):
    characters = importlib.import_module(addon.__name__ + ".toolkit.characters")
    elsewhere = [path for path in sys.path if "addons" not in path]
    human = characters.load("human", part="head")
    return {
        "version": list(bpy.app.version[:2]),
        "module": addon.__name__,
        "vertices": len(human.vertices),
        "scipy": "scipy" in sys.modules,
        "toolkit_too": importlib.machinery.PathFinder.find_spec("hyoid", elsewhere) is not None,
        "enabled": bpy.context.preferences.addons.get(addon.__name__) is not None,
        "panel": hasattr(bpy.types, "HYOID_PT_root"),
    }
