# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes from files and jobs onto characters, meshes and armatures."""

from __future__ import annotations

import bpy

from .. import jobs
from ..toolkit.blender import compat
from . import importer, mapping_panel, panel

DROPPED = compat.file_handler(importer.HYOID_FH_take)
CLASSES = (panel.HYOID_PG_takes, importer.HYOID_OT_import_take, panel.HYOID_PT_import, *filter(None, [DROPPED]))


def register() -> None:
    """Register the section, its operator and its settings."""
    for each in CLASSES:
        bpy.utils.register_class(each)
    bpy.types.Scene.hyoid_takes = bpy.props.PointerProperty(type=panel.HYOID_PG_takes)
    mapping_panel.register()
    bpy.types.TOPBAR_MT_file_import.append(panel.draw_menu)
    jobs.register_handler("import_take", importer.finish_job)


def unregister() -> None:
    """Remove them."""
    bpy.types.TOPBAR_MT_file_import.remove(panel.draw_menu)
    mapping_panel.unregister()
    del bpy.types.Scene.hyoid_takes
    for each in reversed(CLASSES):
        bpy.utils.unregister_class(each)
