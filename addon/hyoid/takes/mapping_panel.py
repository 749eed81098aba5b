# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel for characters of anybody's: which curve drives which shape key, which joints turn which bone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .. import panel
from ..characters import find
from ..jobs import text
from ..toolkit.blender import compat
from ..toolkit.errors import HyoidError
from . import guess_bones, guess_shapes, mapping, mapping_table

_WIDE = 320
"""Pixels from which on a list shows both sides of its lines."""
_SHOWN = 6
"""So many missing or unknown names are written out; the others are counted."""


def target_of(context: Any) -> Any:
    """The active object if it is a mesh with shape keys or an armature, and no Hyoid character; else None."""
    obj = context.active_object
    if obj is None or find.rig_of(obj) is not None:
        return None
    return obj if obj.type == "ARMATURE" or mapping_table.key_names(obj) else None


def listed(names: Any, shown: int = _SHOWN) -> str:
    """``a, b, c and 4 more``."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


class _OnTarget:
    """An operator on the active mesh or armature."""

    bl_options = {"REGISTER", "UNDO"}
    kinds: tuple[str, ...] = ("MESH", "ARMATURE")

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Whether the active object can have a table."""
        obj = target_of(context)
        if obj is None or obj.type not in cls.kinds:
            wanted = {("MESH",): "a mesh with shape keys", ("ARMATURE",): "an armature"}
            what = wanted.get(cls.kinds, "a mesh with shape keys or an armature")
            cls.poll_message_set(f"Make {what} active (no Hyoid character: those need no table)")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Do it, and say what was done."""
        try:
            message = self.run(target_of(context))
        except HyoidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, message)
        return {"FINISHED"}


class HYOID_OT_guess_shape_map(_OnTarget, bpy.types.Operator):
    """Fill the table from the names of the shape keys (ARKit, MetaHuman, VRM, visemes); unclear names are left out"""

    bl_idname = "hyoid.guess_shape_map"
    bl_label = "Guess"
    kinds = ("MESH",)

    def run(self, obj: Any) -> str:
        """Fill the table of a mesh."""
        return shapes_text(mapping_table.guess_shape_table(obj))


class HYOID_OT_guess_bone_map(_OnTarget, bpy.types.Operator):
    """Fill the bone map."""

    bl_description = (
        "Fill the table from the names of the bones (Rigify, Mixamo, Auto-Rig Pro, Unreal, VRM...); "
        "unclear names are left out"
    )

    bl_idname = "hyoid.guess_bone_map"
    bl_label = "Guess"
    kinds = ("ARMATURE",)

    meshes: bpy.props.BoolProperty(
        name="Its meshes too", description="Fill the empty tables of the meshes that it deforms as well", default=True
    )

    def run(self, obj: Any) -> str:
        """Fill the table of an armature."""
        found = mapping_table.guess_bone_table(obj)
        said = f"{len(found.rows)} bones found ({found.style})"
        if found.ambiguous:
            said += f"; unclear and left out: {listed(found.ambiguous)}"
        filled = []
        for mesh in mapping_table.bound_meshes(obj) if self.meshes else ():
            if not len(mesh.hyoid_shape_map) and guess_shapes.guess_shapes(mapping_table.key_names(mesh)):
                mapping_table.guess_shape_table(mesh)
                filled.append(mesh.name)
        return said + (f"; shape tables of {listed(filled)} filled" if filled else "")


class HYOID_OT_clear_map(_OnTarget, bpy.types.Operator):
    """Empty the tables of this object"""

    bl_idname = "hyoid.clear_map"
    bl_label = "Clear"

    def run(self, obj: Any) -> str:
        """Empty both tables."""
        count = len(obj.hyoid_shape_map) + len(obj.hyoid_bone_map)
        obj.hyoid_shape_map.clear()
        obj.hyoid_bone_map.clear()
        return f"{count} lines removed"


class HYOID_OT_add_map_row(_OnTarget, bpy.types.Operator):
    """Add a line to the table"""

    bl_idname = "hyoid.add_map_row"
    bl_label = "Add Line"

    source: bpy.props.StringProperty(name="Source", description="Curve, or joints with commas between them")
    target: bpy.props.StringProperty(name="Target", description="Shape key or bone")
    factor: bpy.props.FloatProperty(name="Strength", default=1.0)

    def run(self, obj: Any) -> str:
        """Append a line and select it."""
        if obj.type == "MESH":
            mapping_table.add_shape_row(obj, self.source, self.target, self.factor)
            obj.hyoid_map.shape_index = len(obj.hyoid_shape_map) - 1
        else:
            mapping_table.add_bone_row(obj, self.target, mapping_table.split_names(self.source))
            obj.hyoid_map.bone_index = len(obj.hyoid_bone_map) - 1
        return "Line added"


class HYOID_OT_remove_map_row(_OnTarget, bpy.types.Operator):
    """Remove the selected line"""

    bl_idname = "hyoid.remove_map_row"
    bl_label = "Remove Line"

    def run(self, obj: Any) -> str:
        """Remove the line that the list shows as selected."""
        rows, name = (obj.hyoid_shape_map, "shape_index") if obj.type == "MESH" else (obj.hyoid_bone_map, "bone_index")
        index = getattr(obj.hyoid_map, name)
        if not 0 <= index < len(rows):
            return "No line is selected"
        rows.remove(index)
        setattr(obj.hyoid_map, name, min(index, max(len(rows) - 1, 0)))
        return "Line removed"


class _OnFile(_OnTarget):
    """An operator that asks for a .json file."""

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Ask for the file."""
        if not self.filepath:
            self.filepath = f"{bpy.path.clean_name(target_of(context).name)}_map.json"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


class HYOID_OT_save_map(_OnFile, bpy.types.Operator):
    """Save the table as a file, for other characters of the same kind"""

    bl_idname = "hyoid.save_map"
    bl_label = "Save Table"
    bl_options = {"REGISTER"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"} | compat.RELATIVE)
    filter_glob: bpy.props.StringProperty(default="*.json", options={"HIDDEN"})

    def run(self, obj: Any) -> str:
        """Write the file."""
        path = Path(bpy.path.ensure_ext(bpy.path.abspath(self.filepath), ".json"))
        mapping_table.save(path, obj)
        return f"Saved {path}"


class HYOID_OT_load_map(_OnFile, bpy.types.Operator):
    """Replace the table by one from a file"""

    bl_idname = "hyoid.load_map"
    bl_label = "Load Table"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"} | compat.RELATIVE)
    filter_glob: bpy.props.StringProperty(default="*.json", options={"HIDDEN"})

    def run(self, obj: Any) -> str:
        """Read the file."""
        count, lacking = mapping_table.load(Path(bpy.path.abspath(self.filepath)), obj)
        return f"{count} lines" + (f"; '{obj.name}' has no {listed(lacking)}" if lacking else "")


class _RowList:
    """What both lists have in common: the search looks at both sides of a line."""

    def filter_items(self, _context: Any, data: Any, name: str) -> tuple[list[int], list[int]]:
        """Show the lines that hold the text of the search, by the alphabet if that is asked for."""
        rows, wanted = getattr(data, name), self.filter_name.casefold()
        order = bpy.types.UI_UL_list.sort_items_by_name(rows, "target") if self.use_filter_sort_alpha else []
        if not wanted:
            return [], order
        kept = self.bitflag_filter_item
        return [kept if wanted in f"{row_source(row)} {row.target}".casefold() else 0 for row in rows], order


def row_source(row: Any) -> str:
    """The left side of a line."""
    return getattr(row, "source", None) or getattr(row, "sources", "")


class _Rows(_RowList):
    """Lists: the target of each line, and its source where there is room."""

    def draw_item(self, context, layout, data, item, _icon, _active, _name, _index) -> None:
        """One line."""
        line = layout.row(align=True)
        line.prop(item, "use", text="")
        names = line.row(align=True)
        names.active = item.use
        known = has_target(data, item.target)
        if context.region.width > _WIDE * context.preferences.system.ui_scale:
            names = names.split(factor=0.5, align=True)
        names.label(text=item.target or "(nothing)", icon="NONE" if known else "ERROR")
        if context.region.width > _WIDE * context.preferences.system.ui_scale:
            names.label(text=row_source(item))
        factor = getattr(item, "factor", 1.0)
        if abs(factor - 1) > 1e-6:
            strength = line.row()
            strength.alignment = "RIGHT"
            strength.label(text=f"{factor:g}")


class HYOID_UL_shape_rows(_Rows, bpy.types.UIList):
    """Lines of a shape map."""


class HYOID_UL_bone_rows(_Rows, bpy.types.UIList):
    """Lines of a bone map."""


def has_target(obj: Any, name: str) -> bool:
    """Whether an object has a shape key or bone of a name."""
    if obj.type == "ARMATURE":
        return name in obj.data.bones
    return obj.data.shape_keys is not None and name in obj.data.shape_keys.key_blocks


class HYOID_MT_map(bpy.types.Menu):
    """What can be done with a whole table."""

    bl_label = "Table"

    def draw(self, _context: Any) -> None:
        """Load, save, clear."""
        self.layout.operator(HYOID_OT_load_map.bl_idname, icon="FILEBROWSER")
        self.layout.operator(HYOID_OT_save_map.bl_idname, icon="FILE_TICK")
        self.layout.separator()
        self.layout.operator(HYOID_OT_clear_map.bl_idname, icon="X")


class HYOID_PT_mapping(panel.Section, bpy.types.Panel):
    """Tables of the active object."""

    bl_label = "Target Mapping"
    bl_order = 31

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only where a table makes sense."""
        return target_of(context) is not None

    def draw(self, context: Any) -> None:
        """The table, what it lacks, and its settings."""
        obj = target_of(context)
        layout = self.layout
        mesh = obj.type == "MESH"
        rows, name, index = (
            (obj.hyoid_shape_map, "hyoid_shape_map", "shape_index")
            if mesh
            else (obj.hyoid_bone_map, "hyoid_bone_map", "bone_index")
        )
        guess = HYOID_OT_guess_shape_map if mesh else HYOID_OT_guess_bone_map
        label = f"Guess for {obj.name}" if not len(rows) else "Guess Again"
        layout.operator(guess.bl_idname, icon="VIEWZOOM", text=label, translate=False)
        table = layout.row()
        lists = "HYOID_UL_shape_rows" if mesh else "HYOID_UL_bone_rows"
        table.template_list(lists, "", obj, name, obj.hyoid_map, index, rows=6)
        side = table.column(align=True)
        side.operator(HYOID_OT_add_map_row.bl_idname, text="", icon="ADD")
        side.operator(HYOID_OT_remove_map_row.bl_idname, text="", icon="REMOVE")
        side.separator()
        side.menu("HYOID_MT_map", text="", icon="DOWNARROW_HLT")
        place = getattr(obj.hyoid_map, index)
        if 0 <= place < len(rows):
            _draw_row(layout, obj, rows[place])
        if len(rows):
            text.draw(layout, context, "\n".join(_shape_notes(obj) if mesh else _bone_notes(obj)))
        else:
            text.draw(layout, context, "Empty: an import guesses it", "INFO")
        settings = layout.column()
        for setting in ("widen",) if mesh else ("align", "travel"):
            settings.prop(obj.hyoid_map, setting)
        if not mesh:
            settings.label(text="Looks along:")
            settings.prop(obj.hyoid_map, "facing", text="")


def _draw_row(layout: Any, obj: Any, row: Any) -> None:
    """The fields of the selected line."""
    fields = layout.column(align=True)
    if obj.type == "MESH":
        if obj.data.shape_keys is not None:
            fields.prop_search(row, "target", obj.data.shape_keys, "key_blocks", text="", icon="SHAPEKEY_DATA")
        fields.prop(row, "source", text="", icon="FCURVE")
        fields.prop(row, "factor")
    else:
        fields.prop_search(row, "target", obj.data, "bones", text="", icon="BONE_DATA")
        fields.prop(row, "sources", text="", icon="CON_ROTLIKE")


def shapes_text(found: guess_shapes.Guess) -> str:
    """What a guess found, in a line."""
    parts = [f"{len({row.target for row in found.rows})} shape keys understood ({listed(found.conventions, 3)})"]
    if found.ambiguous:
        parts.append(f"unclear and left out: {listed(found.ambiguous)}")
    if found.unmatched:
        parts.append(f"unknown: {listed(found.unmatched)}")
    return "; ".join(parts)


def _shape_notes(obj: Any) -> list[str]:
    rows = mapping_table.shape_rows(obj)
    keys = mapping_table.key_names(obj)
    lacking = guess_shapes.missing(rows)
    arkit = len(guess_shapes.shape_names.ARKIT) - len(lacking)
    notes = [f"{arkit} of {arkit + len(lacking)} ARKit shapes found"]
    mouths = sorted({row.source.partition(":")[0] for row in rows if ":" in row.source})
    if mouths:
        notes.append("Mouth shapes of speech: " + ", ".join(mouths))
    if lacking and (arkit or not mouths):
        notes.append(f"Missing: {listed(lacking)}")
    used = {row.target for row in rows}
    unused = [name for name in keys if name not in used]
    if unused:
        notes.append(f"Keys without a line: {listed(unused)}")
    gone = [row.target for row in rows if row.target not in keys]
    if gone:
        notes.append(f"No such key: {listed(gone)}")
    return notes


def _bone_notes(obj: Any) -> list[str]:
    rows = mapping_table.bone_rows(obj)
    moved = {source for row in rows for source in row.sources}
    notes = [f"{len(rows)} bones mapped"]
    lacking = [joint for joint in guess_bones.NECK if joint not in moved]
    if lacking:
        notes.append(f"Neck joints that move nothing: {listed(lacking)}")
    gone = [row.target for row in rows if row.target not in obj.data.bones]
    if gone:
        notes.append(f"No such bone: {listed(gone)}")
    if mapping.stands_on_ik(obj, rows):
        notes.append("Limbs stand on IK: switch them to FK to see their turns")
    return notes


CLASSES = (
    HYOID_OT_guess_shape_map, HYOID_OT_guess_bone_map, HYOID_OT_clear_map, HYOID_OT_add_map_row,
    HYOID_OT_remove_map_row, HYOID_OT_save_map, HYOID_OT_load_map, HYOID_UL_shape_rows, HYOID_UL_bone_rows,
    HYOID_MT_map, HYOID_PT_mapping,
)  # fmt: skip


def register() -> None:
    """Register tables, operators and the panel."""
    mapping_table.register()
    for item in CLASSES:
        bpy.utils.register_class(item)


def unregister() -> None:
    """Remove them."""
    for item in reversed(CLASSES):
        bpy.utils.unregister_class(item)
    mapping_table.unregister()
