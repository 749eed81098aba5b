# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections for verbs that the installed toolkit announces: a new verb shows up without a change of the add-on.

They are made from what the toolkit answered last (``hyoid schema``), which is kept in the add-on's user folder, so they
are there from the start of the next session on. Their values lie in the scene and outlive a change of the toolkit.
"""

from __future__ import annotations

import json
import sys

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
        try:
            _show(form, FIRST + index)
        except (TypeError, ValueError, RuntimeError) as error:  # one odd verb must not hide the others
            sys.stderr.write(f"hyoid: the verb '{form.verb}' gets no section: {error}\n")
    _shown[:] = [wanted]


def _show(form: section.Form, order: int) -> None:
    """Register what a form needs.

    Raises:
        TypeError, ValueError, RuntimeError: Blender does not take a property as the toolkit describes it.
    """
    group, panel = section.classes_of(form, order)
    bpy.utils.register_class(group)
    _classes.append(group)
    setattr(bpy.types.Scene, form.group, bpy.props.PointerProperty(type=group))
    section.registered[form.verb] = form
    bpy.utils.register_class(panel)
    _classes.append(panel)


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
    places.when_a_toolkit_answered(refresh)


def unregister() -> None:
    """Remove sections and buttons; values stay in the scenes."""
    places.when_a_toolkit_answered(None)
    _remove()
    for kind in reversed(section.CLASSES):
        bpy.utils.unregister_class(kind)
