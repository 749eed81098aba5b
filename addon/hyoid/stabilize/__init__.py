# SPDX-License-Identifier: GPL-3.0-or-later
"""Expression and head motion of a moving mesh, parted by the toolkit: the mesh goes out, both come back apart."""

from __future__ import annotations

import bpy

from .. import jobs
from . import operators, reading, section

_CLASSES = (*operators.CLASSES, *section.CLASSES)


def register() -> None:
    """Register operators, the section, ``Scene.hyoid_stabilize``, and what is done with results."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.hyoid_stabilize = bpy.props.PointerProperty(type=section.HYOID_PG_stabilize)
    slider = bpy.props.FloatProperty(min=0, max=100, subtype="PERCENTAGE", precision=0, get=reading.percentage)
    setattr(bpy.types.WindowManager, section.BAR, slider)
    bpy.app.handlers.load_pre.append(reading.another_file)
    jobs.register_handler(operators.HANDLER, operators.finish, operators.forget)


def unregister() -> None:
    """Remove them; what is being read ends."""
    reading.stop()
    if reading.another_file in bpy.app.handlers.load_pre:
        bpy.app.handlers.load_pre.remove(reading.another_file)
    delattr(bpy.types.WindowManager, section.BAR)
    del bpy.types.Scene.hyoid_stabilize
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
