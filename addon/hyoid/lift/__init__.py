# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies from video: keypoints go to the toolkit, moving characters come back; feet and camera can be changed later."""

from __future__ import annotations

import bpy

from .. import jobs
from . import operators, section

_CLASSES = (*operators.CLASSES, *section.CLASSES)


def register() -> None:
    """Register operators, the section, ``Scene.hyoid_lift``, and what is done with results."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.hyoid_lift = bpy.props.PointerProperty(type=section.HYOID_PG_lift)
    jobs.register_handler(operators.LIFT, operators.finish)
    jobs.register_handler(operators.RIG, operators.finish_rig)
    jobs.register_handler(operators.REDO, operators.finish_redo)


def unregister() -> None:
    """Remove them."""
    del bpy.types.Scene.hyoid_lift
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
