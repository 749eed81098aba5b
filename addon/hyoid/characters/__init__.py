# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters: find them in a scene, create them, change who they are, take them away."""

from __future__ import annotations

import bpy

from .. import jobs
from . import from_files, operators, section, settings

_CLASSES = (*operators.CLASSES, *from_files.CLASSES, section.HYOID_PT_character)


def _add_menu(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    new = context.scene.hyoid_characters
    made = menu.layout.operator("hyoid.create_character", text="Hyoid Character", icon="OUTLINER_OB_ARMATURE")
    made.preset, made.part, made.location = new.preset, new.part, "CURSOR"


def register() -> None:
    """Register the sliders, the operators and the section of the panel."""
    settings.register()
    for entry in _CLASSES:
        bpy.utils.register_class(entry)
    bpy.types.VIEW3D_MT_add.append(_add_menu)
    jobs.register_handler(from_files.HANDLER, from_files.finish)


def unregister() -> None:
    """Take them away."""
    bpy.types.VIEW3D_MT_add.remove(_add_menu)
    for entry in reversed(_CLASSES):
        bpy.utils.unregister_class(entry)
    settings.unregister()
