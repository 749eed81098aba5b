# SPDX-License-Identifier: Apache-2.0
"""Add a repository of one's own, read its list and install the add-on from there, as the Preferences do."""

import importlib
from pathlib import Path

import bpy


def main(addon, args):
    address = Path(args["index"]).as_uri()
    preferences = bpy.context.preferences
    preferences.system.use_online_access = True  # Blender asks for it even where the address is a folder
    for repository in [each for each in preferences.extensions.repos if each.use_remote_url]:
        preferences.extensions.repos.remove(repository)  # nothing goes online in this test
    bpy.ops.preferences.extension_repo_add(name="Hyoid site", remote_url=address, type="REMOTE")
    index = [repository.remote_url for repository in preferences.extensions.repos].index(address)
    site = preferences.extensions.repos[index]
    bpy.ops.extensions.repo_sync(repo_index=index)
    bpy.ops.extensions.package_install(repo_index=index, pkg_id="hyoid", enable_on_install=True)
    module = f"bl_ext.{site.module}.hyoid"
    return {
        "module": module,
        "enabled": [entry.module for entry in preferences.addons if "hyoid" in entry.module],
        "panel": hasattr(bpy.types, "HYOID_PT_root"),
        "version": importlib.import_module(module + ".toolkit").__version__,
    }
