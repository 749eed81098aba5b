# SPDX-License-Identifier: GPL-3.0-or-later
"""A section of the panel for a verb that the add-on does not know: drawn and run from what the toolkit said of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import jobs, panel
from ..characters import find
from ..jobs import JobError
from ..takes import importer
from ..toolkit.errors import HyoidError
from . import fields as f
from . import properties

HAND_MADE = ("talk", "rig", "stabilize", "lift", "headpose")
"""Verbs that have sections of their own."""
TAKE = ".take.npz"


@dataclass(frozen=True)
class Form:
    """What is known of a verb that has a section.

    Attributes:
        output: the field that takes the files to write. imports: its result is a take, which is imported.
        several: whether ``output`` takes a list. fields: without ``output`` when the add-on names the file itself.
        undrawable: required options that have no widget: such a verb cannot be run from here.
    """

    verb: str
    summary: str
    output: str
    imports: bool
    several: bool
    fields: tuple[f.Field, ...]
    undrawable: tuple[str, ...]

    @property
    def group(self) -> str:
        """The scene's property that holds its values."""
        return f"hyoid_form_{self.verb}"


def forms_of(schema: dict[str, Any]) -> list[Form]:
    """The forms for the verbs of a toolkit: those that write something and have no section of their own."""
    forms = []
    for verb, entry in schema.get("verbs", {}).items():
        outputs = entry.get("outputs") or {}
        if verb in HAND_MADE or entry.get("result") not in ("take", "files") or not outputs.get("field"):
            continue
        if not verb.isidentifier() or len(verb) > f.LONGEST_NAME - 20:
            continue
        drawn, undrawable = f.fields_of(entry.get("job") or {})
        imports = entry["result"] == "take" and TAKE in outputs.get("suffixes", [TAKE])
        if imports:
            drawn = [field for field in drawn if field.name != outputs["field"]]
        forms.append(
            Form(
                verb, str(entry.get("summary", "")), outputs["field"], imports, bool(outputs.get("several", True)),
                tuple(drawn), tuple(undrawable),
            )
        )  # fmt: skip
    return forms


def classes_of(form: Form, order: int) -> tuple[type, type]:
    """The property group and the panel of a form."""
    group = properties.group_type(f"HYOID_PG_form_{form.verb}", list(form.fields))
    section = type(
        f"HYOID_PT_form_{form.verb}",
        (panel.Section, bpy.types.Panel),
        {
            "bl_label": f.label(form.verb),
            "bl_order": order,
            "__doc__": form.summary,
            "draw": lambda self, context: draw(self.layout, context, form),
        },
    )
    return group, section


def draw(layout: Any, context: Any, form: Form) -> None:
    """Draw a form: summary, fields, the folded ones, the button."""
    group = getattr(context.scene, form.group)
    if form.summary:
        jobs.draw_text(layout, context, form.summary[:1].upper() + form.summary[1:])
    layout.use_property_split = True
    layout.use_property_decorate = False
    column = layout.column()
    for field in form.fields:
        if not field.advanced:
            _draw_field(column, group, form, field)
    if any(field.advanced for field in form.fields):
        row = layout.row()
        row.use_property_split = False
        row.alignment = "LEFT"
        icon = "TRIA_DOWN" if group.show_advanced else "TRIA_RIGHT"
        row.prop(group, "show_advanced", icon=icon, emboss=False)
        if group.show_advanced:
            column = layout.column()
            for field in form.fields:
                if field.advanced:
                    _draw_field(column, group, form, field)
    if form.undrawable:
        names = ", ".join(form.undrawable)
        jobs.draw_text(layout, context, f"Only in a terminal: this needs {names}, which has no place here", "INFO")
        return
    row = layout.row()
    row.scale_y = 1.3
    text = f"{f.label(form.verb)} and Import" if form.imports else f.label(form.verb)
    row.operator("hyoid.run_form", text=text, icon="PLAY").verb = form.verb


def _draw_field(column: Any, group: Any, form: Form, field: f.Field) -> None:
    if field.kind in (f.LIST, f.TABLE):
        _draw_rows(column, group, form, field)
        return
    if not field.optional:
        column.prop(group, properties.VALUE + field.name)
        return
    row = column.row(align=True, heading=field.label)
    row.prop(group, properties.USE + field.name, text="")
    value = row.row(align=True)
    value.active = getattr(group, properties.USE + field.name)
    value.prop(group, properties.VALUE + field.name, text="")


def _draw_rows(column: Any, group: Any, form: Form, field: f.Field) -> None:
    """A list or table: a line each, with buttons to remove it and to add one."""
    box = column.column(align=True)
    box.use_property_split = False
    head = box.row(align=True)
    if field.optional:
        head.prop(group, properties.USE + field.name, text=field.label)
    else:
        head.label(text=field.label)
    body = box.column(align=True)
    body.active = not field.optional or getattr(group, properties.USE + field.name)
    add = head.operator("hyoid.form_row", text="", icon="ADD")
    add.verb, add.field, add.index = form.verb, field.name, -1
    for index, entry in enumerate(getattr(group, properties.VALUE + field.name)):
        row = body.row(align=True)
        if field.kind == f.TABLE:
            row.prop(entry, "key", text="")
        row.prop(entry, properties.ROW_VALUE[field.item], text="")
        remove = row.operator("hyoid.form_row", text="", icon="REMOVE")
        remove.verb, remove.field, remove.index = form.verb, field.name, index


def run(context: Any, form: Form, wait: bool = False) -> jobs.Job:
    """Submit the job that a form says.

    Raises:
        JobError: something is missing, there is no toolkit, or (when waiting) the job failed.
    """
    if form.undrawable:
        raise JobError(f"This needs {', '.join(form.undrawable)}: run it in a terminal")
    options = properties.options(getattr(context.scene, form.group), list(form.fields))
    source = next((options[field.name] for field in form.fields if field.use == "read" and options.get(field.name)), "")
    stem = Path(source[0] if isinstance(source, list) else source).name.split(".")[0]
    label = f"{f.label(form.verb)}: {stem}" if stem else f.label(form.verb)
    if not form.imports:
        return jobs.submit(context, form.verb, options, label=label, wait=wait)
    output = str(jobs.output_path(context, f"{stem}-{form.verb}" if stem else form.verb))
    options[form.output] = [output] if form.several else output
    return jobs.submit(
        context, form.verb, options, label=label, handler="import_take", payload=_target(context), wait=wait
    )


def _target(context: Any) -> dict[str, Any]:
    """Whom the take is for and where it begins: the target that imports have too, at the playhead."""
    target = importer.target_of(context)
    return {"start": context.scene.frame_current_final, **({} if target is None else find.named(target))}


registered: dict[str, Form] = {}


class HYOID_OT_run_form(bpy.types.Operator):
    """Let the toolkit do this with what is chosen above; a result that is a performance is imported at the playhead"""

    bl_idname = "hyoid.run_form"
    bl_label = "Run"
    bl_options = {"REGISTER"}

    verb: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    options: bpy.props.StringProperty(
        description="For scripts: options as JSON, put into the form first", options={"HIDDEN", "SKIP_SAVE"}
    )
    wait: bpy.props.BoolProperty(description="Come back when it is done", options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There must be a scene."""
        return context.scene is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Submit the job; in background mode do it here and now."""
        try:
            if self.verb not in registered and bpy.app.background:
                jobs.ask_now(context)
            form = registered.get(self.verb)
            if form is None:
                known = ", ".join(registered) or "none"
                raise JobError(f"The toolkit has announced no '{self.verb}'. It has announced: {known}")
            if self.options:
                properties.fill(getattr(context.scene, form.group), list(form.fields), self.options)
            job = run(context, form, self.wait)
        except (JobError, HyoidError, ValueError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if job.message:
            self.report({"INFO"}, job.message)
        return {"FINISHED"}


class HYOID_OT_form_row(bpy.types.Operator):
    """Add or remove an entry"""

    bl_idname = "hyoid.form_row"
    bl_label = "Entry"
    bl_options = {"INTERNAL", "UNDO"}

    verb: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    field: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    index: bpy.props.IntProperty(description="Which entry goes; -1 adds one", options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add at the end, or remove."""
        form = registered.get(self.verb)
        group = getattr(context.scene, form.group) if form else None
        rows = getattr(group, properties.VALUE + self.field, None) if group else None
        if rows is None:
            return {"CANCELLED"}
        if self.index < 0:
            rows.add()
            if hasattr(group, properties.USE + self.field):
                setattr(group, properties.USE + self.field, True)
        else:
            rows.remove(self.index)
        return {"FINISHED"}


CLASSES = (properties.HYOID_PG_form_row, HYOID_OT_run_form, HYOID_OT_form_row)
