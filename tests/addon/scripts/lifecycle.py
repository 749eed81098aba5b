# SPDX-License-Identifier: Apache-2.0
"""Switch the add-on off, on, off and remove it: what is left of it in Blender each time."""

import gc
import importlib
import sys
import threading
import types
from pathlib import Path

import bpy

FOUND = {}


def before(args):
    """Take stock before the add-on is there."""
    FOUND["before"] = stock()


def stock():
    """Everything that an add-on can leave behind, as plain lists to compare."""
    kinds = [getattr(bpy.types, name) for name in sorted(dir(bpy.types))]
    kinds = [kind for kind in kinds if isinstance(kind, type) and hasattr(kind, "bl_rna")]
    keys = bpy.context.window_manager.keyconfigs.addon
    return {
        "classes": sorted(kind.__name__ for kind in kinds),
        "operators": sorted(f"{group}.{name}" for group in dir(bpy.ops) for name in dir(getattr(bpy.ops, group))),
        "properties": sorted(
            f"{kind.__name__}.{name}"
            for kind in (bpy.types.ID, *bpy.types.ID.__subclasses__(), bpy.types.Bone, bpy.types.PoseBone)
            for name in {*kind.bl_rna.properties.keys(), *_added(kind)}
        ),
        "menu_entries": sorted(
            f"{kind.__name__}: {function.__module__}.{function.__name__}"
            for kind in kinds
            for function in getattr(getattr(kind, "draw", None), "_draw_funcs", ())
            if function.__name__ != "draw"
        ),
        "handlers": sorted(
            f"{name}: {function.__module__}.{function.__name__}"
            for name in dir(bpy.app.handlers)
            if isinstance(getattr(bpy.app.handlers, name), list)
            for function in getattr(bpy.app.handlers, name)
        ),
        "keys": [f"{area.name} {key.idname}" for area in (keys.keymaps if keys else ()) for key in area.keymap_items],
        "driver_names": sorted(bpy.app.driver_namespace),
        "paths": [path for path in sys.path if not path.endswith("addons")],  # Blender 3.4 adds its own once it exists
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "data": {
            name: len(getattr(bpy.data, name))
            for name in sorted(dir(bpy.data))
            if isinstance(getattr(bpy.data, name), bpy.types.bpy_prop_collection)
        },
    }  # fmt: skip


def _added(kind):
    """Properties that Python put on a type: Blender keeps some of them out of ``bl_rna`` until they are used."""
    return [name for name, value in vars(kind).items() if "Property" in type(value).__name__]


def timers(package):
    """Functions of the add-on that Blender's timer still calls."""
    functions = [
        thing for thing in gc.get_objects()
        if isinstance(thing, types.FunctionType) and (thing.__module__ or "").startswith(package)
    ]  # fmt: skip
    return sorted(function.__qualname__ for function in functions if bpy.app.timers.is_registered(function))


def difference(one, other):
    """What differs between two stocks, by kind."""
    return {
        name: [sorted(set(map(str, listed(one[name]))) ^ set(map(str, listed(other[name]))))]
        for name in one
        if listed(one[name]) != listed(other[name])
    }


def listed(value):
    return sorted(value.items()) if isinstance(value, dict) else value


def main(addon, args):
    module = addon.__name__
    answer = {"module": module}
    installed = Path(addon.__file__).parent
    there = stock()
    answer["brings"] = {name: len(there[name]) - len(FOUND["before"][name]) for name in ("classes", "properties")}
    bpy.ops.preferences.addon_disable(module=module)
    answer["disabled"] = difference(FOUND["before"], stock())
    answer["disabled_timers"] = timers(module)
    bpy.ops.preferences.addon_enable(module=module)
    answer["enabled_again"] = difference(there, stock())
    if args.get("use"):
        answer["used"] = use(importlib.import_module(module))
    full = stock()["data"]
    if "." not in module:
        window = bpy.context.window_manager.windows[0]
        with bpy.context.temp_override(window=window, area=window.screen.areas[0]):
            bpy.ops.preferences.addon_remove(module=module)
    else:
        repositories = bpy.context.preferences.extensions.repos
        index = [repository.module for repository in repositories].index("user_default")
        bpy.ops.extensions.package_uninstall(repo_index=index, pkg_id="hyoid")
    after = stock()
    answer["data_kept"] = after["data"] == full  # what the artist made stays
    after["data"] = FOUND["before"]["data"]
    answer["removed"] = difference(FOUND["before"], after)
    answer["removed_timers"] = timers(module)
    answer["files_left"] = installed.exists()
    answer["enabled"] = [entry.module for entry in bpy.context.preferences.addons if "hyoid" in entry.module]
    return answer


def use(addon):
    """Make a character and let Blender evaluate it once more: drivers and handlers have been at work."""
    bpy.ops.hyoid.create_character(part="head")
    bpy.context.scene.frame_set(5)
    return sorted(thing.name for thing in bpy.data.objects)
