# SPDX-License-Identifier: GPL-3.0-or-later
"""FACS action units as sliders of a character, on top of its animation: added, set by letter, taken away."""

from __future__ import annotations

import bpy

from . import operators, section

_CLASSES = (*operators.CLASSES, *section.CLASSES)


def register() -> None:
    """Register the operators, the section and ``Scene.hyoid_units``."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.hyoid_units = bpy.props.PointerProperty(type=section.HYOID_PG_units)


def unregister() -> None:
    """Remove all of it."""
    del bpy.types.Scene.hyoid_units
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
