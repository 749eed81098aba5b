# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Head Directions" of the panel."""

from __future__ import annotations

import math
from typing import Any

import bpy

from .. import panel
from ..jobs import text
from ..takes import choices
from ..toolkit.blender import compat
from . import footage, operators, records


class HYOID_PG_heads(bpy.types.PropertyGroup):
    """Choices of the section."""

    source: bpy.props.EnumProperty(
        name="Footage",
        description="What heads are looked for in",
        items=(
            ("FILE", "File", "A picture or film on disk"),
            ("CLIP", "Clip", "A movie clip of this file"),
            ("CAMERA", "Camera", "The picture or film that the camera of the scene shows behind the scene"),
        ),
    )
    footage: bpy.props.StringProperty(
        name="Footage", description="A picture or film with heads", subtype="FILE_PATH", options=compat.RELATIVE
    )  # fmt: skip
    clip: bpy.props.PointerProperty(
        name="Clip", description="Movie clip; without one that of the scene, or the only one of the file",
        type=bpy.types.MovieClip,
    )  # fmt: skip
    system: bpy.props.EnumProperty(
        name="Method",
        description="Who tells where heads look",
        items=(
            ("semiuhpe", "Each Head", "Looks at each head on its own (SemiUHPE), in boxes that DirectMHP finds"),
            ("directmhp", "All at Once", "Boxes and directions in one look (DirectMHP): faster in crowds"),
        ),
    )
    threshold: bpy.props.FloatProperty(
        name="Threshold", description="Heads that are less certain are left out: lower it where some are missed, raise "
        "it where boxes stand on nothing", default=0.4, min=0.001, max=1.0, precision=2, step=5, subtype="FACTOR",
    )  # fmt: skip
    smallest: bpy.props.FloatProperty(
        name="Smallest", description="Pixels; smaller heads are left out", default=16.0, min=1.0, max=10000.0,
        precision=0, step=100,
    )  # fmt: skip
    longest_gap: bpy.props.FloatProperty(
        name="Longest Gap", description="Seconds that a head may be out of sight and keep its name", default=1.0,
        min=0.0, max=60.0, precision=1, step=10,
    )  # fmt: skip
    weights: bpy.props.StringProperty(
        name="Weights", description="Weights of the method: a file, or a name that the toolkit keeps; empty: Hyoid's "
        "own", subtype="FILE_PATH", options=compat.RELATIVE,
    )  # fmt: skip
    detector_weights: bpy.props.StringProperty(
        name="Detector", description="Weights of DirectMHP, which finds the boxes: a file, or a name that the toolkit "
        "keeps; empty: Hyoid's own", subtype="FILE_PATH", options=compat.RELATIVE,
    )  # fmt: skip
    field_of_view: bpy.props.FloatProperty(
        name="Field of View", description="Degrees across the larger side of the picture, for the camera that is "
        "added", default=60.0, min=1.0, max=170.0, precision=1, step=100,
    )  # fmt: skip
    head_height: bpy.props.FloatProperty(
        name="Head Height", description="Metres of a head, which tell how far away it is", default=0.24, min=0.011,
        max=10.0, precision=3, step=1,
    )  # fmt: skip
    smoothing: bpy.props.FloatProperty(
        name="Smoothing", description="How much trembling is taken away; 0 keeps all of it", default=1.0, min=0.0,
        max=1.0, precision=2, step=5, subtype="FACTOR",
    )  # fmt: skip
    person: bpy.props.EnumProperty(
        name="Person",
        description="Whose head",
        items=(
            ("MAIN", "Main", "The one who is seen longest; in a picture the largest"),
            ("ALL", "All", "Everybody"),
            ("ONE", "Name", "The one that is named below"),
        ),
    )
    person_name: bpy.props.StringProperty(name="Name", description="As in the list of who was found: person_02")
    found: bpy.props.StringProperty(options={"HIDDEN"})
    make: bpy.props.EnumProperty(
        name="Make",
        description="What shows where heads look",
        items=(
            ("EMPTIES", "Empties", "An Empty for each person, which goes with the camera: -Y out of the face, Z up"),
            ("HEADS", "New Heads", "A new animated head of the bundled human for each person"),
            ("ACTIVE", "Active Character", "The active character turns head and neck; new heads for further people"),
        ),
    )
    display: bpy.props.EnumProperty(
        name="Display",
        description="How Empties look",
        items=(
            ("ARROW", "Arrow", "A ball of the size of the head, and an arrow out of the face"),
            ("AXES", "Axes", "The axes: -Y out of the face, Z up, X to the right of the picture"),
        ),
    )
    place: bpy.props.EnumProperty(
        name="Place",
        description="Where characters stand",
        items=(
            ("CAMERA", "Before Camera", "Where the picture has them, before the camera of the scene"),
            ("STAY", "Where They Are", "Where they are at the first frame; they move from there"),
        ),
    )
    mode: bpy.props.EnumProperty(
        name="As", description="How the keys go into the file", items=choices.MODE_ITEMS, default="new"
    )
    scene_range: bpy.props.BoolProperty(
        name="Scene range of the film", description="Let the scene start and end with the film"
    )
    show_more: bpy.props.BoolProperty(name="More", description="What is seldom needed")


class HYOID_PT_heads(panel.Section, bpy.types.Panel):
    """Footage, method, person, what to make; then the result."""

    bl_label = "Head Directions"
    bl_order = 27

    def draw(self, context: Any) -> None:
        """Draw the section."""
        layout, settings = self.layout, context.scene.hyoid_heads
        layout.use_property_split, layout.use_property_decorate = True, False
        _draw_source(layout, context, settings)
        column = layout.column()
        column.prop(settings, "system")
        column.prop(settings, "threshold", slider=True)
        _draw_camera(column, context.scene, settings)
        column.prop(settings, "smoothing", slider=True)
        _draw_person(layout, settings)
        _draw_target(layout, context, settings)
        _draw_more(layout, settings)
        row = layout.row()
        row.scale_y = 1.4
        row.operator("hyoid.find_heads", icon="HIDE_OFF")
        obj = operators.redone(context)
        if obj is not None:
            _draw_result(layout.box(), context, obj)


def _draw_source(layout: Any, context: Any, settings: Any) -> None:
    column = layout.column(align=True)
    row = column.row(align=True)
    row.use_property_split = False
    row.prop(settings, "source", expand=True)
    if settings.source == "FILE":
        column.prop(settings, "footage", text="")
    elif settings.source == "CLIP":
        column.prop(settings, "clip", text="")
        used = footage.clip_of(context)
        if settings.clip is None:
            _label(column, "No clip is open" if used is None else used.name, "SEQUENCE")
    else:
        shown = footage.behind_camera(context.scene)
        data = None if shown is None else shown.clip if shown.source == "MOVIE_CLIP" else shown.image
        _label(column, "The camera shows no picture" if data is None else data.name, "IMAGE_BACKGROUND")


def _label(layout: Any, said: str, icon: str) -> None:
    row = layout.row()
    row.use_property_split = False
    row.label(text=said, icon=icon)


def _draw_camera(column: Any, scene: Any, settings: Any) -> None:
    lens = scene.camera
    if lens is None or lens.type != "CAMERA":
        column.prop(settings, "field_of_view")
    elif lens.data.type != "PERSP":
        _label(column, f"'{lens.name}' is no perspective camera", "ERROR")
    else:
        _label(column, f"{lens.name}: {math.degrees(lens.data.angle):.1f} degrees wide", "CAMERA_DATA")


def _draw_person(layout: Any, settings: Any) -> None:
    column = layout.column(align=True)
    column.row(align=True).prop(settings, "person", expand=True)
    if settings.person == "ONE":
        column.prop(settings, "person_name")
    found = operators.people(settings)
    if len(found) < 2:
        return
    column = layout.column(align=True)
    column.use_property_split = False
    for name, count in found[:12]:
        chosen = settings.person == "ONE" and settings.person_name == name
        label = f"{name}: {count} frames" if count > 1 else name
        column.operator("hyoid.choose_head", text=label, icon="USER", depress=chosen).name = name
    if len(found) > 12:
        column.label(text=f"and {len(found) - 12} more")


def _draw_target(layout: Any, context: Any, settings: Any) -> None:
    column = layout.column()
    column.prop(settings, "make")
    if settings.make == "EMPTIES":
        column.prop(settings, "display")
    else:
        if settings.make == "ACTIVE":
            armature = operators.character_of(context)
            name = "No character is active" if armature is None else armature.name
            _label(column, name, "ERROR" if armature is None else "ARMATURE_DATA")
            column.prop(settings, "mode")
        column.prop(settings, "place")
    column.prop(settings, "scene_range")


def _draw_more(layout: Any, settings: Any) -> None:
    row = layout.row()
    row.use_property_split = False
    row.alignment = "LEFT"
    row.prop(settings, "show_more", emboss=False, icon="TRIA_DOWN" if settings.show_more else "TRIA_RIGHT")
    if not settings.show_more:
        return
    column = layout.column()
    for name in ("smallest", "longest_gap", "head_height", "weights"):
        column.prop(settings, name)
    if settings.system == "semiuhpe":
        column.prop(settings, "detector_weights")


def _draw_result(box: Any, context: Any, obj: Any) -> None:
    record = records.of(obj)
    count = len(records.together(context.scene, record.uid))
    box.label(text=record.name, icon="CHECKMARK")
    if count > 1:
        box.label(text=f"{count} heads")
    if record.seen > 1:
        text.draw(box, context, f"{record.person}: seen in {record.seen} frames")
    box.operator("hyoid.redo_heads", icon="FILE_REFRESH")


CLASSES = (HYOID_PG_heads, HYOID_PT_heads)
