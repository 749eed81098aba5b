# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Bake & Export" of the sidebar."""

from typing import Any

import bpy

from .. import panel
from ..timeline import frames
from . import write


class HyoidExportSettings(frames.RangeOptions, bpy.types.PropertyGroup):
    """What the section's buttons hand to their operators."""

    tolerance: bpy.props.FloatProperty(
        name="Tolerance", description="How far a shape key may be off after Reduce Keys (shape keys go from 0 to 1)",
        default=0.01, min=0.0001, soft_max=0.1, max=1.0, precision=3, step=0.1,
    )  # fmt: skip
    format: bpy.props.EnumProperty(
        name="Format", description="Kind of file to export", items=write.ITEMS, default="TAKE"
    )
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
        column = layout.column(align=True)
        column.use_property_split, column.use_property_decorate = True, False
        frames.draw(column, settings)
        row = layout.row(align=True)
        neck = row.operator("hyoid.bake_neck", text="Bake Neck", icon="KEYFRAME_HLT")
        whole = row.operator("hyoid.bake_performance", text="Bake All", icon="ACTION")
        column = layout.column(align=True)
        row = column.row(align=True)
        row.prop(settings, "tolerance")
        row.prop(settings, "selected", text="", icon="RESTRICT_SELECT_OFF")
        fewer = column.operator("hyoid.reduce_keys", icon="IPO_LINEAR")
        fewer.tolerance, fewer.selected = settings.tolerance, settings.selected
        column = layout.column(align=True)
        column.prop(settings, "format", text="")
        export = column.operator("hyoid.export_take", text="Export...", icon="EXPORT")
        export.format = settings.format
        for button in (neck, whole, fewer, export):
            button.frame_range, button.first, button.last = settings.frame_range, settings.first, settings.last


CLASSES = (HyoidExportSettings, HYOID_PT_export)
