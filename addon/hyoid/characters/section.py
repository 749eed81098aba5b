# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Character" of the panel."""

from __future__ import annotations

import bpy

from .. import panel
from ..jobs import text
from . import details, find, from_files, settings, update

_BUILD = ("gender", "age", "muscle", "weight", "height", "proportions")
_ORIGIN = ("african", "asian", "caucasian")
_BREAST = ("cupsize", "firmness")


class HYOID_PT_character(panel.Section, bpy.types.Panel):
    """Create characters and shape them."""

    bl_label = "Character"
    bl_order = 10
    bl_options = set()

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the sliders of the character at hand, then what makes a new one."""
        rig = find.active_rig(context)
        if rig is not None:
            self._existing(context, rig)
        else:
            text.draw(self.layout, context, *_first_step(context))
        self._new(context, rig is not None)

    def _existing(self, context: bpy.types.Context, rig: find.Rig) -> None:
        layout, group = self.layout, rig.armature.hyoid_identity
        row = layout.row()
        row.prop(rig.armature, "name", text="", icon="OUTLINER_OB_ARMATURE")
        row = row.row(align=True)
        row.operator("hyoid.duplicate_character", text="", icon="DUPLICATE", emboss=False)
        row.operator("hyoid.remove_character", text="", icon="TRASH", emboss=False)
        if not find.is_bundled(rig.armature):
            text.draw(layout, context, _about(rig), "INFO")
            return
        row = layout.row(align=True)
        row.operator_menu_enum("hyoid.apply_preset", "preset", text="Preset", icon="USER")
        row.operator("hyoid.randomise_character", text="", icon="FILE_REFRESH")
        row.operator("hyoid.reset_character", text="", icon="LOOP_BACK")
        reason = update.hindrance(rig)
        if reason or group.message:
            text.draw(layout, context, reason or group.message, "ERROR" if reason else "INFO")
        body = layout.column()
        body.enabled = not reason
        self._person(body, context, rig)
        self._details(body, context, rig)

    def _person(self, layout: bpy.types.UILayout, context: bpy.types.Context, rig: find.Rig) -> None:
        if not _heading(layout, context, "show_person", "Person"):
            return
        group = rig.armature.hyoid_identity
        column = layout.column(align=True)
        for name in _BUILD:
            column.prop(group, settings.slider(name), slider=True)
        column = layout.column(align=True)
        for name in _ORIGIN:
            column.prop(group, settings.slider(name), slider=True)
        woman = getattr(group, settings.slider("gender")) > 0.5
        if woman and find.identity(rig.armature).get("part") == "full":
            column = layout.column(align=True)
            for name in _BREAST:
                column.prop(group, settings.slider(name), slider=True)

    def _details(self, layout: bpy.types.UILayout, context: bpy.types.Context, rig: find.Rig) -> None:
        group, chosen = rig.armature.hyoid_identity, settings.shown(rig.armature)
        if not _heading(layout, context, "show_details", f"Details ({len(chosen)})" if chosen else "Details"):
            return
        row = layout.row(align=True)
        row.operator("hyoid.add_detail", text="Add a Detail...", icon="VIEWZOOM")
        row.prop(group, "mirror", text="", icon="MOD_MIRROR")
        row.operator("hyoid.reset_character", text="", icon="LOOP_BACK").only_details = True
        column = layout.column(align=True)
        for detail in chosen:
            self._detail(column, group, detail)

    def _detail(self, layout: bpy.types.UILayout, group: settings.HYOID_PG_identity, detail: details.Detail) -> None:
        row = layout.row(align=True)
        if len(detail.labels) > 1 and group.mirror:
            row.prop(group, settings.pair_slider(detail.name), slider=True)
        else:
            for label in detail.labels:
                row.prop(group, settings.slider(label), slider=True)
        row.operator("hyoid.remove_detail", text="", icon="X").detail = detail.name

    def _new(self, context: bpy.types.Context, small: bool) -> None:
        new = context.scene.hyoid_characters
        if small and not _heading(self.layout, context, "show_new", "New character"):
            return
        column = self.layout.column(align=True)
        column.row(align=True).prop(new, "source", expand=True)
        if new.source == "HUMAN":
            column.prop(new, "preset", text="")
            column.row(align=True).prop(new, "part", expand=True)
        elif new.source == "FILE":
            column.prop(new, "file", text="")
        else:
            column.prop(new, "model", text="")
            column.prop(new, "model_path", text="")
        column.row(align=True).prop(new, "place", expand=True)
        row = column.row()
        row.scale_y = 1.0 if small else 1.4
        if new.source == "HUMAN":
            made = row.operator("hyoid.create_character", text="Create Character", icon="ADD")
            made.preset, made.part = new.preset, new.part
        elif new.source == "FILE":
            row.operator_context = "EXEC_DEFAULT"  # the file is chosen already
            row.enabled = bool(new.file)
            made = row.operator("hyoid.create_character_from_file", text="Create Character", icon="ADD")
            made.filepath = new.file
        else:
            row.enabled = bool(new.model_path)
            made = row.operator("hyoid.build_character", icon="ADD")
            made.model, made.filepath = new.model, new.model_path
        made.location = new.place


def _about(rig: find.Rig) -> str:
    """Where a character comes from that has no sliders, and its licence."""
    mark, place = find.identity(rig.armature), find.file_of(rig.armature)
    lines = [f"From {place.name}" if place is not None else f"From {mark.get('character', 'another program')}"]
    if place is not None and not place.is_file():
        lines.append(f"The file is not there any more ({place.parent}): the character works, but cannot be exported")
    lines.append(from_files.terms(rig.armature))
    return "\n".join(filter(None, lines))


def _heading(layout: bpy.types.UILayout, context: bpy.types.Context, name: str, text: str) -> bool:
    """A line that opens and closes what stands below it; whether it is open."""
    group = context.scene.hyoid_characters
    is_open = getattr(group, name)
    row = layout.row()
    row.alignment = "LEFT"
    row.prop(group, name, text=text, icon="DISCLOSURE_TRI_DOWN" if is_open else "DISCLOSURE_TRI_RIGHT", emboss=False)
    return is_open


def _first_step(context: bpy.types.Context) -> tuple[str, str]:
    """What to do where no character is at hand, and an icon."""
    active = getattr(context, "object", None)
    if find.is_bare(active):
        words = "has lost its meshes. To duplicate a character, use the button beside its name"
        return f"'{active.name}' {words}", "ERROR"
    if find.rigs(context.scene):
        return "Select a character to change it, or create another", "INFO"
    if active is not None and active.type == "MESH" and active.data.shape_keys:
        return f"'{active.name}' has shape keys: Talk and Import work on it. Or create a character", "INFO"
    return "Create a character, or select a mesh that has shape keys of a face", "INFO"
