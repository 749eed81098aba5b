# SPDX-License-Identifier: Apache-2.0
"""Hands over to the Blender add-on of the same name, where Blender found this package in its place.

Before 4.2 Blender imports an add-on by the bare name of its folder, ``hyoid``. A Blender on the system's Python
(such as Debian's), started with the toolkit's virtual environment active, finds the toolkit first. Nothing of the
toolkit runs inside such a Blender (the add-on starts a process for it), so the name can go to the add-on.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType

NAMES = ("bl_info", "register", "unregister")
"""What Blender asks a module for that it takes for an add-on."""


def hand_over(toolkit: ModuleType) -> None:
    """Load the add-on from Blender's folders as the module ``hyoid`` of this process, and lend ``toolkit`` its NAMES.

    Raises:
        AttributeError: there is no Blender here, or no add-on in its folders.
    """
    bpy = sys.modules.get("bpy")
    folders = bpy.utils.script_paths(subdir="addons") if bpy is not None else []
    places = [os.path.join(folder, "hyoid") for folder in folders]
    place = next((place for place in places if os.path.isfile(os.path.join(place, "blender_manifest.toml"))), None)
    if place is None:
        raise AttributeError("module 'hyoid' is the Hyoid toolkit, and Blender has no add-on of that name")
    file = os.path.join(place, "__init__.py")
    for name in [name for name in sys.modules if name == "hyoid" or name.startswith("hyoid.")]:
        del sys.modules[name]
    spec = importlib.util.spec_from_file_location("hyoid", file, submodule_search_locations=[place])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Blender writes these two on the module that it imported, and asks for them on the one that has the name.
    vars(module).update(__time__=os.path.getmtime(file), __addon_enabled__=True)
    sys.modules["hyoid"] = module
    spec.loader.exec_module(module)
    for name in NAMES:
        setattr(toolkit, name, getattr(module, name))
