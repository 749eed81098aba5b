# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's own head, rigged by the toolkit: its mesh goes out, shapes, neck and weights come back onto it."""

from __future__ import annotations

import bpy

from .. import jobs
from . import operators, section

_CLASSES = (*operators.CLASSES, *section.CLASSES)


def register() -> None:
    """Register the operator, the section, ``Scene.hyoid_own_head``, and what is done with results."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.hyoid_own_head = bpy.props.PointerProperty(type=section.HYOID_PG_own_head)
    jobs.register_handler(operators.HANDLER, operators.finish, operators.forget)


def unregister() -> None:
    """Remove them."""
    del bpy.types.Scene.hyoid_own_head
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
