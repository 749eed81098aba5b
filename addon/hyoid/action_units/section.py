# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Action Units" of the panel."""

from __future__ import annotations

from typing import Any

import bpy

from .. import panel
from ..characters import find
from ..jobs import text
from ..toolkit.blender import action_units
from ..toolkit.characters import facs

REGIONS: dict[str, tuple[str, tuple[int, ...]]] = {
    "BROWS": ("Brows & Lids", (1, 2, 4, 5, 6, 7, 41, 42, 43, 44, 45, 46)),
    "MOUTH": ("Nose & Mouth", (9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 25, 38)),
    "LIPS": ("Lips, Jaw & Neck", (8, 18, 19, 21, 22, 23, 24, 26, 27, 28, 29, 30, 32, 33, 34, 35)),
}
"""Which units the panel shows together; between them all that ARKit's shapes can show."""

_WIDE = 260
"""Pixels of a sidebar, at a scale of 1, that has room for the letters."""


class HYOID_PG_units(bpy.types.PropertyGroup):
    """What the section shows."""

    region: bpy.props.EnumProperty(
        name="Region",
        items=[(key, title, "") for key, (title, _) in REGIONS.items()] + [("USED", "In Use", "Those not at rest")],
        default="BROWS",
    )
    sides: bpy.props.BoolProperty(name="Left and right apart", description="Show a slider for each side of the face")


class HYOID_PT_units(panel.Section, bpy.types.Panel):
    """Sliders of the action units."""

    bl_label = "Action Units"
    bl_order = 45

    def draw(self, context: Any) -> None:
        """Draw the units of one region, with the grade of each."""
        layout, rig = self.layout, find.active_rig(context)
        if rig is None:
            text.draw(layout, context, "Select a Hyoid character, or create one under Character", "INFO")
            return
        present = action_units.units(rig.armature)
        if not present:
            text.draw(layout, context, "Sliders for AU1 to AU46 of FACS, on top of the animation", "INFO")
            layout.operator("hyoid.add_action_units", icon="ADD")
            return
        group = context.scene.hyoid_units
        row = layout.row(align=True)
        row.operator_menu_enum("hyoid.set_emotion", "emotion", text="Emotion", icon="USER")
        row.operator("hyoid.key_action_units", text="", icon="KEY_HLT")
        row.operator("hyoid.reset_action_units", text="", icon="LOOP_BACK")
        row.operator("hyoid.remove_action_units", text="", icon="TRASH")
        row = layout.row(align=True)
        row.prop(group, "region", text="")
        row.prop(group, "sides", text="", icon="MOD_MIRROR", toggle=True)
        column = layout.column(align=True)
        narrow = context.region.width < _WIDE * context.preferences.system.ui_scale
        shown = shown_units(rig.armature, present, group.region, group.sides)
        for name in shown:
            _slider(column, rig.armature, name, narrow)
        if not shown:
            text.draw(layout, context, "All action units are at rest", "INFO")


def shown_units(armature: Any, present: list[str], region: str, sides: bool) -> list[str]:
    """The units of a region in the order of the panel; whole ones, or the two sides where there are such."""
    if region == "USED":
        return sorted((name for name in present if armature[name]), key=_number)
    found = []
    for number in REGIONS[region][1]:
        halves = [f"AU{number}{side}" for side in "LR" if f"AU{number}{side}" in present]
        whole = [f"AU{number}"] if f"AU{number}" in present else []
        if halves and (sides or not whole):
            # A whole unit that is in use stays in sight: it adds to its sides.
            found += [name for name in whole if armature[name]] + halves
        else:
            found += whole
    return found


def title(name: str) -> str:
    """What a slider says: ``AU12 Lip Corner Puller``, ``AU12 L Lip Corner Puller``."""
    unit = name.rstrip("LR")
    side = f" {name[-1]}" if name != unit else ""
    return f"{unit}{side} {facs.NAMES[unit].title()}"


def _number(name: str) -> tuple[int, str]:
    return int(name[2:].rstrip("LR")), name


def _slider(layout: Any, armature: Any, name: str, narrow: bool) -> None:
    row = layout.row(align=True)
    row.prop(armature, f'["{name}"]', text=title(name), slider=True)  # in the slider: a narrow sidebar shows it too
    grade = row.row(align=True)
    grade.ui_units_x = 1.0 if narrow else 2.0  # the letter, or its menu alone
    menu = grade.operator_menu_enum("hyoid.set_action_unit", "intensity", text=facs.letter(armature[name]) or "-")
    menu.unit = name
    row.prop_decorator(armature, f'["{name}"]')


CLASSES = (HYOID_PG_units, HYOID_PT_units)
