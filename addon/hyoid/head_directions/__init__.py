# SPDX-License-Identifier: GPL-3.0-or-later
"""Where heads look: pictures and films go to the toolkit, Empties or animated heads come back before the camera."""

from __future__ import annotations

import bpy

from .. import jobs
from . import operators, section

_CLASSES = (*operators.CLASSES, *section.CLASSES)


def register() -> None:
    """Register operators, the section, ``Scene.hyoid_heads``, and what is done with results."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.hyoid_heads = bpy.props.PointerProperty(type=section.HYOID_PG_heads)
    jobs.register_handler(operators.FIND, operators.finish)
    jobs.register_handler(operators.REDO, operators.finish_redo)


def unregister() -> None:
    """Remove them."""
    del bpy.types.Scene.hyoid_heads
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
