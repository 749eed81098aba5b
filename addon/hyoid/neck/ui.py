# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Neck & Larynx" of the sidebar."""

import math
from typing import Any

import bpy

from .. import panel
from ..characters import find
from ..jobs import text
from ..toolkit.characters.neck import JOINTS
from . import joints, motion

_HEAD = (("head_turn", "Turn"), ("head_nod", "Nod"), ("head_tilt", "Tilt"))
_LARYNX = (("larynx_height", "Larynx Height"), ("larynx_size", "Larynx Size"), ("jaw", "Jaw"))
_TENSION = "neckTense"
"""The face key that an effort tightens the neck with."""


class HyoidNeckSettings(bpy.types.PropertyGroup):
    """How the table of joints is shown."""

    view: bpy.props.EnumProperty(
        name="Show",
        items=(
            ("OWN", "Own", "The rotation that each joint has of its own: drag to change it"),
            ("SHOWN", "Shown", "The whole rotation of each joint: its own and its share of the head control"),
            ("RANGE", "Range", "How far each joint of a living neck can go"),
        ),
        default="OWN",
    )


class HYOID_PT_neck(panel.Section, bpy.types.Panel):
    """Head control, larynx, jaw."""

    bl_label = "Neck & Larynx"
    bl_order = 40

    def draw(self, context: Any) -> None:
        layout = self.layout
        rig = find.active_rig(context)
        if rig is None:
            text.draw(layout, context, "Select a Hyoid character, or create one under Character", "INFO")
            return
        armature = rig.armature
        layout.operator("hyoid.select_head_control", icon="ORIENTATION_GIMBAL")
        controls = layout.column(align=True)
        _sliders(controls, armature, _HEAD)
        row = layout.row(align=True)
        if "neck_limits" in armature:
            limited = bool(armature["neck_limits"])
            icon = "CHECKBOX_HLT" if limited else "CHECKBOX_DEHLT"
            row.operator("hyoid.toggle_neck_limits", icon=icon, depress=limited)
        whole = row.operator("hyoid.reset_neck", text="" if "neck_limits" in armature else "Reset", icon="LOOP_BACK")
        whole.joint, whole.control = "ALL", True
        larynx = layout.column(align=True)
        _sliders(larynx, armature, _LARYNX)
        keys = rig.body.data.shape_keys
        if keys is not None and _TENSION in keys.key_blocks:
            row = larynx.row(align=True)
            row.prop(keys.key_blocks[_TENSION], "value", text="Neck Tension", slider=True)
            row.prop_decorator(keys.key_blocks[_TENSION], "value")
        layout.operator("hyoid.swallow", icon="TRIA_UP_BAR")


class HYOID_PT_neck_joints(panel.Section, bpy.types.Panel):
    """The table of the eight joints."""

    bl_label = "Joint by Joint"
    bl_parent_id = "HYOID_PT_neck"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return find.active_rig(context) is not None

    def draw(self, context: Any) -> None:
        layout = self.layout
        rig = find.active_rig(context)
        if rig is None or any(name not in rig.armature.pose.bones for name in JOINTS):
            text.draw(layout, context, "Some bones of the neck are gone", "ERROR")
            return
        view = context.scene.hyoid_neck.view
        layout.row(align=True).prop(context.scene.hyoid_neck, "view", expand=True)
        table = layout.column(align=True)
        head = _row(table, "Joint")
        for title in ("Nod °", "Turn °", "Tilt °"):
            head.label(text=title)
        warnings = []
        limits = motion.limits_of(rig)
        for name in reversed(JOINTS):
            bone = rig.armature.pose.bones[name]
            limit = joints.range_of(limits, name)
            shown = joints.angles(joints.shown_rotation(bone))
            beyond = limit.beyond(*(math.degrees(angle) for angle in shown))
            if beyond:
                warnings.append(f"{joints.TITLES[name]}: {beyond}")
            _cells(_row(table, joints.TITLES[name], bone, bool(beyond)), view, bone, limit, shown)
        if warnings:
            text.draw(layout.box(), context, "\n".join(["Beyond a living neck:", *warnings]), "ERROR")
        column = layout.column(align=True)
        column.operator("hyoid.redistribute_neck", text="Spread from Head", icon="MOD_LENGTH")
        column.operator("hyoid.collapse_neck", text="Gather into Control", icon="TRIA_UP")
        column.operator("hyoid.reset_neck", text="Reset All Joints", icon="LOOP_BACK").joint = "ALL"


def _row(table: Any, title: str, bone: Any = None, alert: bool = False) -> Any:
    """A line of the table; where a joint has a rotation of its own, its name is a button that takes it away."""
    split = table.split(factor=0.29, align=True)
    split.alert = alert
    if bone is not None and joints.own_rotation(bone).angle > 1e-4:
        split.operator("hyoid.reset_neck", text=title).joint = bone.name
    else:
        split.label(text=title)
    return split.row(align=True)


def _cells(row: Any, view: str, bone: Any, limit: Any, shown: tuple[float, float, float]) -> None:
    if view == "OWN":
        for index in range(3):
            row.prop(bone, "hyoid_neck", index=index, text="")
    elif view == "SHOWN":
        for angle in shown:
            row.label(text=f"{math.degrees(angle) + 0.0:.1f}")
    else:
        for text in (f"-{limit.up:g} {limit.down:g}", f"±{limit.turn:g}", f"±{limit.tilt:g}"):
            row.label(text=text)


def _sliders(layout: Any, armature: Any, rows: tuple[tuple[str, str], ...]) -> None:
    for name, title in rows:
        if name in armature:
            row = layout.row(align=True)
            row.prop(armature, f'["{name}"]', text=title, slider=True)
            row.prop_decorator(armature, f'["{name}"]')


CLASSES = (HyoidNeckSettings, HYOID_PT_neck, HYOID_PT_neck_joints)
