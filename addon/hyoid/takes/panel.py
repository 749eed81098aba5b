# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Import" of the sidebar."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, PointerProperty

from .. import panel as frame
from ..characters import find
from ..toolkit.errors import HyoidError
from . import choices, importer


def _fits(settings: Any, obj: Any) -> bool:
    return importer.playable(obj) and settings.id_data.objects.get(obj.name) == obj


class HYOID_PG_takes(bpy.types.PropertyGroup):
    """How takes go into a scene."""

    __annotations__ = {
        "target": PointerProperty(
            name="Target",
            type=bpy.types.Object,
            poll=_fits,
            description="What plays the take; empty: the active object, else the only character",
        ),
        **choices.properties(),
        "show_details": BoolProperty(name="Details", default=False, description="Blending, keys, sound and more"),
    }


class HYOID_PT_import(frame.Section, bpy.types.Panel):
    """Performances from files."""

    bl_label = "Import"
    bl_order = 30

    def draw(self, context: Any) -> None:
        """File button, target, way of inserting, and details that fold away."""
        settings = context.scene.hyoid_takes
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "target", text="Onto")
        try:
            target = importer.target_of(context)
        except HyoidError:
            target = None
        if settings.target is None:
            row = layout.row()
            row.use_property_split = False
            if target is None:
                row.label(text="A new character", icon="ADD")
            else:
                rig = find.rig_of(target)
                shown = target if rig is None else rig.armature
                row.label(text=shown.name, icon="ARMATURE_DATA" if shown.type == "ARMATURE" else "MESH_DATA")
        layout.prop(settings, "mode", text="As")
        row = layout.row()
        row.scale_y = 1.3
        row.operator("hyoid.import_take", text="Open Take...", icon="IMPORT")
        fold = layout.row()
        fold.use_property_split = False
        fold.alignment = "LEFT"
        fold.prop(settings, "show_details", emboss=False, icon="TRIA_DOWN" if settings.show_details else "TRIA_RIGHT")
        if settings.show_details:
            choices.draw(layout.box(), settings, choose_target=False)


def draw_menu(menu: Any, _context: Any) -> None:
    """The entry in File > Import."""
    menu.layout.operator("hyoid.import_take", text="Hyoid Take (.take.npz, .bvh, .csv, .glb)")
