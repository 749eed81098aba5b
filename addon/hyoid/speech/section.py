# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Talk" of the panel, and below it the phonemes of the active character."""

from __future__ import annotations

import os
from typing import Any

import bpy
import numpy as np

from .. import panel
from ..jobs import text
from ..timeline import frames
from . import fields, markers, phones, voices

_MOST_MARKERS = 3000
"""Beyond so many phones the panel does not count changes at every redraw."""
_SAME_RATE = 1e-3


class HYOID_PT_talk(panel.Section, bpy.types.Panel):
    """Voice, words, style, character: everything that a talk needs."""

    bl_idname = "HYOID_PT_talk"
    bl_label = "Talk"
    bl_order = 20
    bl_options = set()

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the section."""
        layout, settings = self.layout, context.scene.hyoid_speech
        layout.use_property_split = True
        layout.use_property_decorate = False
        _draw_voice(layout, context, settings)
        _draw_words(layout, settings)
        column = layout.column(align=True)
        column.prop(settings, "language")
        column.prop(settings, "style")
        _draw_target(layout, context, settings)
        if _fold(layout, settings, "show_strengths"):
            column = layout.column(align=True)
            for layer in fields.LAYERS:
                column.prop(settings, layer.name, slider=True)
            column = layout.column(align=True)
            column.prop(settings, "seed")
            column.prop(settings, "offset_ms", text="Offset (ms)")
        if _fold(layout, settings, "show_placement"):
            _draw_placement(layout, context, settings)
        row = layout.row()
        row.scale_y = 1.4
        row.operator("hyoid.talk", icon="PLAY_SOUND")


def _fold(layout: Any, settings: Any, name: str) -> bool:
    """A line that opens and closes what follows; whether it is open."""
    row = layout.row()
    row.use_property_split = False
    row.alignment = "LEFT"
    is_open = getattr(settings, name)
    row.prop(settings, name, icon="DISCLOSURE_TRI_DOWN" if is_open else "DISCLOSURE_TRI_RIGHT", emboss=False)
    return is_open


def _draw_voice(layout: Any, context: bpy.types.Context, settings: Any) -> None:
    column = layout.column(align=True)
    column.row(align=True).prop(settings, "voice", expand=True)
    if settings.voice == "FILE":
        column.prop(settings, "audio", text="")
        return
    strip = voices.strip_of(context)
    if strip is None:
        text.draw(column, context, "Select a sound strip in the Video Sequencer", "INFO")
        return
    name = os.path.basename(bpy.path.abspath(strip.sound.filepath)) or strip.name
    _tell(column, name, "SOUND")
    _tell(column, f"Frames {strip.frame_final_start} to {strip.frame_final_end - 1}", "BLANK1")


def _tell(layout: Any, text: str, icon: str) -> None:
    row = layout.row()
    row.use_property_split = False
    row.label(text=text, icon=icon)


def _draw_words(layout: Any, settings: Any) -> None:
    column = layout.column(align=True)
    column.prop(settings, "transcript")
    if settings.transcript == "TYPED":
        column.prop(settings, "text", text="")
    elif settings.transcript == "BLOCK":
        column.prop(settings, "text_block", text="")
    elif settings.transcript == "FILE":
        column.prop(settings, "text_file", text="")


def _draw_target(layout: Any, context: bpy.types.Context, settings: Any) -> None:
    column = layout.column(align=True)
    column.prop(settings, "target")
    if settings.target == "CHOSEN":
        column.prop(settings, "character", text="")
    elif settings.target == "CREATE":
        column.row(align=True).prop(settings, "part", expand=True)
    else:
        obj = phones.performer(context)
        if obj is None:
            text.draw(column, context, "Select a character, or choose New", "INFO")
        elif phones.hindrance(obj):
            text.draw(column, context, phones.hindrance(obj), "ERROR")
        else:
            _tell(column, obj.name, "ARMATURE_DATA" if obj.type == "ARMATURE" else "MESH_DATA")


def _draw_placement(layout: Any, context: bpy.types.Context, settings: Any) -> None:
    column = layout.column(align=True)
    column.prop(settings, "start")
    if settings.start == "FRAME":
        column.prop(settings, "frame")
    column.prop(settings, "mode")
    column.prop(settings, "density")
    column = layout.column(align=True)
    column.prop(settings, "blend_in")
    column.prop(settings, "blend_out")
    column = layout.column(align=True)
    if settings.voice == "FILE":
        column.prop(settings, "add_sound")
    column.prop(settings, "add_markers")
    column = layout.column(align=True)
    column.prop(context.scene, "sync_mode", text="Playback")
    column.prop(context.scene, "use_audio_scrub", text="Scrub Sound")


def _matches(entry: Any, wanted: str) -> bool:
    return not wanted or entry.name.lower() == wanted or wanted in entry.word.lower()


class HYOID_UL_phones(bpy.types.UIList):
    """The sounds of a talk, each with its word and frame."""

    bl_idname = "HYOID_UL_phones"

    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_name, index) -> None:
        """Draw one sound: its name and word, its strength where it was changed, and a frame to jump to."""
        split = layout.split(factor=0.7)
        scaled = "" if abs(item.strength - 1) < 1e-4 else f"  x {item.strength:.2g}"
        split.label(text=f"{item.name}  {item.word}{scaled}" if item.word else f"{item.name}{scaled}")
        jump = split.operator("hyoid.step_phoneme", text=str(item.frame), emboss=False)
        jump.direction, jump.index = "CHOSEN", index

    def filter_items(self, _context: Any, data: Any, name: str) -> tuple[list[int], list[int]]:
        """Show those whose phone or word holds the text of the filter, in the order of their frames."""
        entries = getattr(data, name)
        wanted = self.filter_name.strip().lower()
        shown = [self.bitflag_filter_item if _matches(entry, wanted) else 0 for entry in entries]
        return shown, np.argsort(np.argsort(phones.frames_of(data), kind="stable")).tolist()


class HYOID_PT_phonemes(bpy.types.Panel):
    """The sounds of speech of the active character."""

    bl_idname = "HYOID_PT_phonemes"
    bl_label = "Phonemes"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Hyoid"
    bl_parent_id = "HYOID_PT_talk"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown when the active character has spoken."""
        if context.scene is None:
            return False
        return phones.active_talk(context) is not None or phones.may_adopt(phones.performer(context))

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the list and its buttons."""
        place = phones.active_talk(context)
        if place is None:
            self.layout.operator("hyoid.show_phonemes", text="Show Markers", icon="HIDE_OFF")
            return
        layout, (_, talk) = self.layout, place
        rate = frames.scene_rate(context.scene)
        if abs(rate - talk.rate) > _SAME_RATE:
            words = (
                f"Made at {talk.rate:.4g} frames a second; the scene has {rate:.4g} now. Talk again to fit the sound"
            )
            text.draw(layout, context, words, "ERROR")
        now = phones.at_frame(talk, context.scene.frame_current)
        row = layout.row(align=True)
        row.operator("hyoid.step_phoneme", text="", icon="PREV_KEYFRAME").direction = "PREVIOUS"
        box = row.box()
        box.scale_y = 0.55
        box.alignment = "CENTER"
        box.label(text=_name(talk, now))
        row.operator("hyoid.step_phoneme", text="", icon="NEXT_KEYFRAME").direction = "NEXT"
        if now >= 0:
            layout.prop(talk.phones[now], "strength", slider=True, text="Strength")
        layout.template_list("HYOID_UL_phones", "", talk, "phones", talk, "active", rows=4)
        row = layout.row(align=True)
        if talk.shown:
            row.operator("hyoid.hide_phonemes", text="Hide Markers", icon="HIDE_ON")
        else:
            row.operator("hyoid.show_phonemes", text="Show Markers", icon="HIDE_OFF")
        row.operator("hyoid.reset_phonemes", text="", icon="LOOP_BACK")
        column = layout.column()
        column.scale_y = 1.2
        changed = markers.count_changes(context.scene, talk) if len(talk.phones) < _MOST_MARKERS else 0
        said = f"Re-solve ({changed} changed)" if changed else "Re-solve"
        column.operator("hyoid.resolve_phonemes", text=said, icon="FILE_REFRESH")


def _name(talk: phones.HyoidTalk, number: int) -> str:
    """The phone under the playhead with its word."""
    if number < 0:
        return "no speech here"
    entry = talk.phones[number]
    word = next((other.word for other in talk.phones if other.number == entry.number >= 0 and other.word), "")
    name = "pause" if entry.name == "SIL" else entry.name
    return f"{name}  in  {word}" if word else name


CLASSES = (HYOID_UL_phones, HYOID_PT_talk, HYOID_PT_phonemes)


def register() -> None:
    """Register the sections."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Remove the sections."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
