# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""Characters: find them in a scene, create them, change who they are, take them away."""

from __future__ import annotations

import bpy

from . import operators, section, settings

_CLASSES = (*operators.CLASSES, section.HYOID_PT_character)


def register() -> None:
    """Register the sliders, the operators and the section of the panel."""
    settings.register()
    for entry in _CLASSES:
        bpy.utils.register_class(entry)


def unregister() -> None:
    """Take them away."""
    for entry in reversed(_CLASSES):
        bpy.utils.unregister_class(entry)
    settings.unregister()
