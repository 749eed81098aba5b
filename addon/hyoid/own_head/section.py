# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Rig My Own Head" of the panel."""

from __future__ import annotations

from typing import Any

import bpy

from .. import panel
from ..characters import find, own
from ..jobs import text
from ..toolkit.errors import UsageError
from . import operators


class HYOID_PG_own_head(bpy.types.PropertyGroup):
    """Choices of the section."""

    model: bpy.props.StringProperty(
        name="From",
        description="Whose shapes the head gets: human, or a model that you have: ict:FOLDER, hack:FOLDER, flame:FILE",
        default="human",
    )


class HYOID_PT_own_head(panel.Section, bpy.types.Panel):
    """Rig a head that the artist has made."""

    bl_label = "Rig My Own Head"
    bl_order = 15

    def draw(self, context: Any) -> None:
        """Say what is chosen, and draw the button."""
        layout, active = self.layout, context.view_layer.objects.active
        rig = find.rig_of(active)
        if rig is not None and own.is_own(rig.body):
            text.draw(layout, context, f"'{rig.body.name}' is rigged: Talk and Import work on it", "CHECKMARK")
            layout.operator("hyoid.remove_character", text="Remove the Rig", icon="TRASH")
            return
        try:
            objects = operators.chosen(context)
        except UsageError as error:
            words = str(error)
            text.draw(layout, context, words[:1].upper() + words[1:], "INFO")
            return
        count = sum(len(obj.data.vertices) for obj in objects)
        also = f" with {len(objects) - 1} more" if len(objects) > 1 else ""
        words = f"'{objects[0].name}'{also}: {count:,} vertices. Mouth closed, eyes open, any size and direction"
        text.draw(layout, context, words, "INFO")
        layout.prop(context.scene.hyoid_own_head, "model")
        row = layout.row()
        row.scale_y = 1.4
        row.operator("hyoid.rig_own_head", icon="MOD_ARMATURE")


CLASSES = (HYOID_PG_own_head, HYOID_PT_own_head)
