# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Body from Video" of the panel."""

from __future__ import annotations

from typing import Any

import bpy

from .. import panel
from ..jobs import queue, text
from ..takes import choices
from ..toolkit.blender import compat
from . import operators, records

_NO_SIZE = "how large the pictures are"


class HYOID_PG_lift(bpy.types.PropertyGroup):
    """Choices of the section."""

    source: bpy.props.EnumProperty(
        name="Keypoints",
        description="Where the joints in the pictures lie",
        items=(
            ("FILE", "File", "A detector's JSON, an .npz, or a video where MediaPipe is installed"),
            ("FOLDER", "Folder", "A folder with a JSON file for each picture, as OpenPose writes it"),
        ),
    )
    keypoints: bpy.props.StringProperty(
        name="Keypoints", description="What a detector has found: JSON or .npz; or a video, where MediaPipe is "
        "installed beside the toolkit", subtype="FILE_PATH", options=compat.RELATIVE,
    )  # fmt: skip
    folder: bpy.props.StringProperty(
        name="Keypoints", description="A folder with a JSON file for each picture", subtype="DIR_PATH",
        options=compat.RELATIVE,
    )  # fmt: skip
    footage: bpy.props.StringProperty(
        name="Footage", description="The video that the keypoints come from, for its size, its times and the picture "
        "behind the camera; may be left empty", subtype="FILE_PATH", options=compat.RELATIVE,
    )  # fmt: skip
    detector: bpy.props.StringProperty(
        name="Detector", description="The file pose_landmarker....task of MediaPipe", subtype="FILE_PATH",
        options=compat.RELATIVE,
    )  # fmt: skip
    people: bpy.props.IntProperty(
        name="People", description="How many people the detector looks for", default=1, min=1, max=100
    )
    size: bpy.props.IntVectorProperty(
        name="Picture Size", description="Width and height in pixels; 0 x 0: as keypoints or footage tell", size=2,
        default=(0, 0), min=0, max=65536,
    )  # fmt: skip
    source_fps: bpy.props.FloatProperty(
        name="Frame Rate", description="Frames a second of the keypoints; 0: as the file or the footage says",
        default=0.0, min=0.0, max=1000.0, precision=3,
    )  # fmt: skip
    system: bpy.props.EnumProperty(
        name="Method",
        description="How joints find their way into space",
        items=(
            ("ktpformer", "Many Frames", "Sees many frames at once (KTPFormer): steadier"),
            ("hopfir", "Each Frame", "Sees each frame on its own (HopFIR): good for single pictures"),
        ),
    )
    person: bpy.props.EnumProperty(
        name="Person",
        description="Who is lifted",
        items=(
            ("MAIN", "Main", "The one who is seen longest"),
            ("ALL", "All", "Everybody; the main one onto the active character, a new one for each other"),
            ("ONE", "Name", "The one that is named below"),
        ),
    )
    person_name: bpy.props.StringProperty(name="Name", description="As in the list of who was found: person_02")
    found: bpy.props.StringProperty(options={"HIDDEN"})
    field_of_view: bpy.props.FloatProperty(
        name="Field of View", description="Degrees across the larger side of the picture", default=60.0, min=1.0,
        max=170.0, precision=1, step=100,
    )  # fmt: skip
    camera_height: bpy.props.FloatProperty(
        name="Height", description="Metres of the camera above the ground; 0: the ground is found", default=0.0,
        min=0.0, max=1000.0, precision=2, step=5,
    )  # fmt: skip
    camera_pitch: bpy.props.FloatProperty(
        name="Looks Down", description="Degrees that the camera looks down, where its height is given", default=0.0,
        min=-89.0, max=89.0, precision=1, step=100,
    )  # fmt: skip
    foot_lock: bpy.props.FloatProperty(
        name="Foot Lock", description="How firmly feet that stand are planted; 0 leaves them free", default=1.0,
        min=0.0, max=1.0, precision=2, step=5, subtype="FACTOR",
    )  # fmt: skip
    smoothing: bpy.props.FloatProperty(
        name="Smoothing", description="How much trembling is taken away; 0 keeps all of it", default=1.0, min=0.0,
        max=1.0, precision=2, step=5, subtype="FACTOR",
    )  # fmt: skip
    target: bpy.props.EnumProperty(
        name="Onto",
        description="Who performs",
        items=(
            ("ACTIVE", "Active Character", "The active character or armature; where there is none, a new human"),
            ("HUMAN", "New Human", "A new human"),
            ("MIXAMO", "New, Mixamo", "A new human whose bones are called and lie as Mixamo's"),
            ("RIGIFY", "New, Rigify", "A new human with the bones of Rigify's human metarig"),
            ("CMU", "New, CMU", "A new human with the bones of CMU's recordings"),
            ("SMPLX", "New, SMPL-X", "A new human with the bones of SMPL-X"),
        ),
    )
    mode: bpy.props.EnumProperty(
        name="As", description="How the keys go into the file", items=choices.MODE_ITEMS, default="new"
    )
    scene_range: bpy.props.BoolProperty(
        name="Scene range of the clip", description="Let the scene start and end with the clip"
    )
    show_shot: bpy.props.BoolProperty(name="Shot", description="What is known of pictures and camera")


class HYOID_PT_lift(panel.Section, bpy.types.Panel):
    """Keypoints, person, camera, character; then the result."""

    bl_label = "Body from Video"
    bl_order = 25

    def draw(self, context: Any) -> None:
        """Draw the section."""
        layout, settings = self.layout, context.scene.hyoid_lift
        layout.use_property_split, layout.use_property_decorate = True, False
        _draw_source(layout, settings)
        _draw_person(layout, settings)
        _draw_shot(layout, settings)
        column = layout.column(align=True)
        column.prop(settings, "foot_lock", slider=True)
        column.prop(settings, "smoothing", slider=True)
        column = layout.column()
        column.prop(settings, "target")
        armature = operators.armature_of(context)
        if settings.target == "ACTIVE":
            row = column.row()
            row.use_property_split = False
            name = "A new human" if armature is None else armature.name
            row.label(text=name, icon="ADD" if armature is None else "ARMATURE_DATA")
        column.prop(settings, "mode")
        column.prop(settings, "scene_range")
        row = layout.row()
        row.scale_y = 1.4
        row.operator("hyoid.lift", icon="ARMATURE_DATA")
        record = records.of(armature)
        if record is not None:
            _draw_result(layout.box(), context, record)


def _draw_source(layout: Any, settings: Any) -> None:
    column = layout.column(align=True)
    row = column.row(align=True)
    row.use_property_split = False
    row.prop(settings, "source", expand=True)
    column.prop(settings, "folder" if settings.source == "FOLDER" else "keypoints", text="")
    column = layout.column()
    if operators.is_video(settings):
        column.prop(settings, "detector")
        column.prop(settings, "people")
    column.prop(settings, "footage")
    if size_is_missing():
        row = column.row()
        row.alert = True
        row.prop(settings, "size")


def size_is_missing() -> bool:
    """Whether a lift failed because nobody said how large the pictures are."""
    return any(job.verb == "lift" and job.state == queue.FAILED and _NO_SIZE in job.error for job in queue.jobs())


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
    for name, seconds in found:
        chosen = settings.person == "ONE" and settings.person_name == name
        label = f"{name}: seen {seconds:.1f} s"
        column.operator("hyoid.choose_lift_person", text=label, icon="USER", depress=chosen).name = name


def _draw_shot(layout: Any, settings: Any) -> None:
    row = layout.row()
    row.use_property_split = False
    row.alignment = "LEFT"
    row.prop(settings, "show_shot", emboss=False, icon="TRIA_DOWN" if settings.show_shot else "TRIA_RIGHT")
    if not settings.show_shot:
        return
    column = layout.column()
    if not size_is_missing():
        column.prop(settings, "size")
    column.prop(settings, "source_fps")
    column.prop(settings, "system")
    column.prop(settings, "field_of_view")
    column.prop(settings, "camera_height", text="Camera Height")
    row = column.row()
    row.active = settings.camera_height > 0
    row.prop(settings, "camera_pitch")


def _draw_result(box: Any, context: Any, record: records.Record) -> None:
    said = [f"{record.person}: seen {record.seen:.1f} s", *records.figures(record.quality)]
    box.label(text=record.name, icon="CHECKMARK")
    for line in said:
        text.draw(box, context, line)
    row = box.row(align=True)
    row.operator("hyoid.redo_lift", icon="FILE_REFRESH")
    row.operator("hyoid.add_lift_camera", icon="CAMERA_DATA")


CLASSES = (HYOID_PG_lift, HYOID_PT_lift)
