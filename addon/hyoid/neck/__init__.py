# SPDX-License-Identifier: GPL-3.0-or-later
"""Head, neck and larynx: one control for eight joints, each joint by itself, a swallow, and plain keys from all of it.

``joints`` reads one bone as an artist sees it, ``motion`` moves a whole performance between control and joints.
"""

from __future__ import annotations

import bpy

from . import joints, operators, ui

_CLASSES = (*operators.CLASSES, *ui.CLASSES)


def register() -> None:
    """Register operators, the section and ``Scene.hyoid_neck``, ``PoseBone.hyoid_neck``."""
    joints.register()
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.hyoid_neck = bpy.props.PointerProperty(type=ui.HyoidNeckSettings)


def unregister() -> None:
    """Remove all of it."""
    del bpy.types.Scene.hyoid_neck
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
    joints.unregister()
