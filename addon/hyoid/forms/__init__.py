# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""Sections for verbs that the installed toolkit announces: a new verb shows up without a change of the add-on.

They are made from what the toolkit answered last (``hyoid schema``), which is kept in the add-on's user folder, so they
are there from the start of the next session on. Their values lie in the scene and outlive a change of the toolkit.
"""

from __future__ import annotations

import json

import bpy

from ..jobs import places
from . import section

FIRST = 60
"""Sections of this kind stand below all others."""
_classes: list[type] = []
_shown: list[str] = []


def refresh() -> None:
    """Show the sections of the toolkit that answered last; nothing happens when they are shown already."""
    schema = places.known().newest() or {}
    wanted = json.dumps(schema.get("verbs", {}), sort_keys=True)
    if _shown == [wanted]:
        return
    _remove()
    for index, form in enumerate(section.forms_of(schema)):
        group, panel = section.classes_of(form, FIRST + index)
        for kind in (group, panel):
            bpy.utils.register_class(kind)
            _classes.append(kind)
        setattr(bpy.types.Scene, form.group, bpy.props.PointerProperty(type=group))
        section.registered[form.verb] = form
    _shown[:] = [wanted]


def _remove() -> None:
    for form in section.registered.values():
        delattr(bpy.types.Scene, form.group)
    section.registered.clear()
    for kind in reversed(_classes):
        bpy.utils.unregister_class(kind)
    _classes.clear()
    _shown.clear()


def register() -> None:
    """Register buttons, then the sections that are known from before."""
    for kind in section.CLASSES:
        bpy.utils.register_class(kind)
    refresh()


def unregister() -> None:
    """Remove sections and buttons; values stay in the scenes."""
    _remove()
    for kind in reversed(section.CLASSES):
        bpy.utils.unregister_class(kind)
