# SPDX-License-Identifier: GPL-3.0-or-later
"""From the scene back to keys and files: bake, thin out, export.

``sample`` makes a take of what the scene shows, ``bake`` an action, ``reduce`` few keys of many, ``write`` files.
"""

from __future__ import annotations

import bpy

from .. import jobs
from . import operators, ui

_CLASSES = (*operators.CLASSES, *ui.CLASSES)


def register() -> None:
    """Register operators, the section, ``Scene.hyoid_export`` and the handler of export jobs."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.hyoid_export = bpy.props.PointerProperty(type=ui.HyoidExportSettings)
    jobs.register_handler("export_take", operators.exported)


def unregister() -> None:
    """Remove all of it."""
    del bpy.types.Scene.hyoid_export
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
