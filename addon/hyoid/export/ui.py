# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false, reportInvalidTypeForm=false
"""The section "Bake & Export" of the sidebar."""

from typing import Any

import bpy

from .. import panel
from ..characters import find
from . import frames


class HyoidExportSettings(frames.RangeOptions, bpy.types.PropertyGroup):
    """What the section's buttons hand to their operators."""

    tolerance: bpy.props.FloatProperty(
        name="Tolerance", description="How far a shape key may be off after Reduce Keys (shape keys go from 0 to 1)",
        default=0.01, min=0.0001, soft_max=0.1, max=1.0, precision=3, step=0.1,
    )  # fmt: skip
    selected: bpy.props.BoolProperty(
        name="Selected Curves Only", default=False,
        description="Reduce only curves that are selected in the Graph Editor or the Dope Sheet",
    )  # fmt: skip


class HYOID_PT_export(panel.Section, bpy.types.Panel):
    """Bake, reduce, export."""

    bl_label = "Bake & Export"
    bl_order = 50

    def draw(self, context: Any) -> None:
        layout = self.layout
        settings = context.scene.hyoid_export
        rig = find.active_rig(context)
        if rig is None:
            column = layout.column(align=True)
            column.label(text="Select a Hyoid character to bake", icon="INFO")
            column.label(text="and export what it performs", icon="BLANK1")
        else:
            self._character(layout, settings)
        column = layout.column(align=True)
        row = column.row(align=True)
        row.prop(settings, "tolerance")
        row.prop(settings, "selected", text="", icon="RESTRICT_SELECT_OFF")
        button = column.operator("hyoid.reduce_keys", icon="IPO_LINEAR")
        button.tolerance, button.selected = settings.tolerance, settings.selected
        _range(button, settings, keys=True)

    def _character(self, layout: Any, settings: Any) -> None:
        column = layout.column(align=True)
        column.use_property_split, column.use_property_decorate = True, False
        frames.draw(column, settings)
        row = layout.row(align=True)
        neck = row.operator("hyoid.bake_neck", text="Bake Neck", icon="KEYFRAME_HLT")
        whole = row.operator("hyoid.bake_performance", text="Bake All", icon="ACTION")
        export = layout.operator("hyoid.export_take", text="Export...", icon="EXPORT")
        for button in (neck, whole, export):
            _range(button, settings)


def _range(button: Any, settings: Any, keys: bool = False) -> None:
    button.frame_range, button.first, button.last = settings.frame_range, settings.first, settings.last
    if keys and settings.frame_range == "SCENE":
        button.frame_range = "KEYS"


CLASSES = (HyoidExportSettings, HYOID_PT_export)
