# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Stabilize Head" of the panel."""

from __future__ import annotations

from typing import Any

import bpy

from .. import panel
from ..jobs import text
from ..timeline import frames
from ..toolkit.blender import compat
from ..toolkit.errors import UsageError
from . import operators, reading, records

BAR = "hyoid_reading"


class HYOID_PG_stabilize(frames.RangeOptions, bpy.types.PropertyGroup):
    """Choices of the section."""

    target: bpy.props.EnumProperty(
        name="Target",
        description="The frame whose skull all others are put on",
        items=(
            ("AUTO", "Most Neutral", "The frame with the least expression, found by the toolkit"),
            ("CURRENT", "Current Frame", "The frame at the playhead"),
        ),
        default="AUTO",
    )
    method: bpy.props.EnumProperty(
        name="Method",
        description="How the skull is found",
        items=(
            ("facestab", "FaceStab", "Has learned which skin moves over the skull"),
            ("irls", "Robust", "Trusts the skin that moves least; good where scalp and ears are there"),
            ("procrustes", "Plain", "Trusts all skin alike; fast and coarse"),
        ),
        default="facestab",
    )
    smooth: bpy.props.FloatProperty(
        name="Smooth", description="Seconds over which the motion of the head is smoothed; the expression keeps its "
        "detail and takes up what is smoothed away", default=0.0, min=0.0, soft_max=0.5, max=5.0, precision=2, step=5,
    )  # fmt: skip
    head: bpy.props.EnumProperty(
        name="Carried By",
        description="What carries the motion of the head",
        items=(
            ("NEW", "New Bone", "A new armature of one bone"),
            ("BONE", "Own Bone", "A bone of an armature that is there"),
        ),
        default="NEW",
    )
    armature: bpy.props.PointerProperty(
        name="Armature", description="Whose bone takes the motion of the head", type=bpy.types.Object,
        poll=lambda _self, obj: obj.type == "ARMATURE",
    )  # fmt: skip
    bone: bpy.props.StringProperty(name="Bone", description="The bone that carries the head", default="head")
    solve: bpy.props.BoolProperty(
        name="ARKit Shapes",
        description="Find the 52 ARKit weights of every frame too, and play them on a character",
    )
    character: bpy.props.PointerProperty(
        name="Character", description="Who plays the ARKit shapes", type=bpy.types.Object,
        poll=lambda _self, obj: obj.type in ("ARMATURE", "MESH"),
    )  # fmt: skip


class HYOID_PT_stabilize(panel.Section, bpy.types.Panel):
    """Part expression and head motion of a mesh that moves."""

    bl_label = "Stabilize Head"
    bl_order = 17

    def draw(self, context: Any) -> None:
        """Say what is chosen, then settings and button, or what can be done with a result."""
        layout, active = self.layout, context.view_layer.objects.active
        if reading.current() is not None:
            _draw_reading(layout.box(), context)
        elif reading.failed() is not None:
            text.draw(layout.box(), context, reading.failed().error, "ERROR")
        record = records.of(active)
        if record is not None:
            _draw_result(layout, context, record)
            return
        try:
            obj = operators.chosen(context)
        except UsageError as error:
            words = str(error)
            text.draw(layout, context, words[:1].upper() + words[1:], "INFO")
            return
        text.draw(layout, context, f"'{obj.name}': a face that moves, whatever moves it. Nothing is applied", "INFO")
        _draw_settings(layout, context.scene.hyoid_stabilize)
        row = layout.row()
        row.scale_y = 1.4
        row.operator("hyoid.stabilize", icon="CON_ROTLIKE")


def _draw_settings(layout: Any, settings: Any) -> None:
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(settings, "target")
    frames.draw(column, settings)
    column.prop(settings, "method")
    column.prop(settings, "smooth")
    column.prop(settings, "head")
    if settings.head == "BONE":
        column.prop(settings, "armature")
        if settings.armature is not None:
            column.prop_search(settings, "bone", settings.armature.data, "bones")
    column.prop(settings, "solve")
    if settings.solve:
        column.prop(settings, "character")


def _draw_reading(box: Any, context: Any) -> None:
    now = reading.current()
    if now is None:
        return
    box.label(text=now.label, icon="PLAY")
    words = f"reading frame {min(now.done + 1, now.frames)} of {now.frames}"
    compat.draw_progress(box.row(), now.done / max(now.frames, 1), words, (context.window_manager, BAR, -1))
    box.operator("hyoid.cancel_reading", icon="X")


def _draw_result(layout: Any, context: Any, record: records.Record) -> None:
    row = layout.row(align=True)
    for name, label, _ in operators.VIEWS:
        row.operator("hyoid.view_stabilized", text=label, depress=record.view == name).view = name
    said = operators.quality(record)
    if record.target:
        said = f"Onto frame {record.target}: {said}" if said else f"Onto frame {record.target}"
    if said:
        text.draw(layout, context, said, "CHECKMARK")
    if record.uncertain():
        layout.operator("hyoid.next_uncertain_frame", icon="NEXT_KEYFRAME")
    layout.operator("hyoid.remove_stabilized", icon="TRASH")


CLASSES = (HYOID_PG_stabilize, HYOID_PT_stabilize)
