# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields as Blender properties: made, read back as options of a job, checked before the job runs."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import bpy

from ..jobs import JobError
from ..toolkit.blender import compat
from . import fields as f

VALUE, USE = "value_", "use_"
_LARGEST_INT = 2**31 - 1


class HYOID_PG_form_row(bpy.types.PropertyGroup):
    """One entry of a list or table; which of the values counts depends on the field."""

    key: bpy.props.StringProperty(name="Name")
    text: bpy.props.StringProperty(name="Value")
    path: bpy.props.StringProperty(name="File", subtype="FILE_PATH", options=compat.RELATIVE)
    number: bpy.props.FloatProperty(name="Value", precision=3)
    whole: bpy.props.IntProperty(name="Value")


ROW_VALUE = {f.TEXT: "text", f.PATH: "path", f.FLOAT: "number", f.INT: "whole"}


def group_type(name: str, fields: list[f.Field]) -> type:
    """A property group with a value for each field, and a checkbox for each that may be left unset."""
    annotations: dict[str, Any] = {
        "show_advanced": bpy.props.BoolProperty(name="More", description="Show options that are seldom changed")
    }
    for field in fields:
        annotations[VALUE + field.name] = _property(field)
        if field.optional:
            annotations[USE + field.name] = bpy.props.BoolProperty(
                name=f"Set {field.label}", description=f"Off: left to the toolkit. {_tooltip(field)}"
            )
    return type(name, (bpy.types.PropertyGroup,), {"__annotations__": annotations})


def _tooltip(field: f.Field) -> str:
    """The description as a tooltip: a capital at the front, no full stop (Blender adds one)."""
    text = " ".join(field.description.split()).rstrip(".")
    return text[:1].upper() + text[1:]


def _property(field: f.Field) -> Any:
    common = {"name": field.label, "description": _tooltip(field)}
    default = field.default
    if field.kind == f.BOOL:
        return bpy.props.BoolProperty(default=bool(default), **common)
    if field.kind == f.INT:
        low, high = _whole_limits(field)
        return bpy.props.IntProperty(default=min(max(int(default or 0), low), high), min=low, max=high, **common)
    if field.kind == f.FLOAT:
        limits = {name: value for name, value in (("min", field.low), ("max", field.high)) if value is not None}
        start = float(default) if default is not None else _start(field)
        start = min(max(start, limits.get("min", start)), limits.get("max", start))
        return bpy.props.FloatProperty(default=start, precision=3, step=_step(field), **limits, **common)
    if field.kind == f.CHOICE:
        # Files keep the number of an item: made from its value, it stays the same when others are added.
        items = [(str(v), f.label(str(v)), "", zlib.crc32(str(v).encode()) & _LARGEST_INT) for v in field.choices]
        start = {} if default not in field.choices else {"default": str(default)}
        return bpy.props.EnumProperty(items=items, **start, **common)
    if field.kind in (f.LIST, f.TABLE):
        return bpy.props.CollectionProperty(type=HYOID_PG_form_row, **common)
    if field.kind == f.PATH:
        common |= {"subtype": "DIR_PATH" if field.use == "folder" else "FILE_PATH", "options": compat.RELATIVE}
    return bpy.props.StringProperty(default=str(default or ""), **common)


def _whole_limits(field: f.Field) -> tuple[int, int]:
    low = -_LARGEST_INT if field.low is None else int(max(field.low, -_LARGEST_INT))
    high = _LARGEST_INT if field.high is None else int(min(field.high, _LARGEST_INT))
    return low, high


def _start(field: f.Field) -> float:
    """Where a number without a default begins: 0, or a round number inside its limits."""
    low, high = field.low, field.high
    if low is None or low <= 0:
        return 0.0
    return 1.0 if high is None or high >= 1 else high / 2


def _step(field: f.Field) -> float:
    """A hundredth of the range a click, in Blender's unit (1 is 0.01)."""
    if field.low is None or field.high is None:
        return 10
    return min(max(field.high - field.low, 0.1), 1000.0)


def options(group: Any, fields: list[f.Field]) -> dict[str, Any]:
    """The options that a form says: what is required, and what differs from its default.

    Raises:
        JobError: something required is missing.
    """
    said: dict[str, Any] = {}
    for field in fields:
        if field.optional and not getattr(group, USE + field.name):
            continue
        value = _value(group, field)
        if field.required or field.optional or value != field.default:
            if field.kind in (f.PATH, f.LIST) and not value:
                if field.required:
                    raise JobError(f"{field.label}: {_missing(field)}")
                if field.kind == f.PATH:
                    continue  # an empty picker is no path
            said[field.name] = value
    return said


def _missing(field: f.Field) -> str:
    if field.use == "folder":
        return "choose a folder"
    if field.use == "write":
        return "say which file to write"
    return "choose a file" if f.PATH in (field.kind, field.item) else "add at least one"


def _value(group: Any, field: f.Field) -> Any:
    raw = getattr(group, VALUE + field.name)
    if field.kind == f.CHOICE:
        return next((choice for choice in field.choices if str(choice) == raw), field.default)
    if field.kind == f.LIST:
        values = [_plain(getattr(row, ROW_VALUE[field.item]), field.item) for row in raw]
        return [value for value in values if value != "" or field.item == f.TEXT]
    if field.kind == f.TABLE:
        return {
            row.key.strip(): _plain(getattr(row, ROW_VALUE[field.item]), field.item) for row in raw if row.key.strip()
        }
    return _plain(raw, field.kind)


def _plain(value: Any, kind: str) -> Any:
    """A value as JSON takes it: floats without the noise of single precision, paths absolute."""
    if kind == f.FLOAT:
        return float(f"{value:.6g}")
    if kind == f.PATH and value:
        path = Path(bpy.path.abspath(value))
        if not path.is_absolute() and bpy.data.filepath:
            path = Path(bpy.data.filepath).parent / path
        return str(path.absolute())
    return value


def fill(group: Any, fields: list[f.Field], text: str) -> None:
    """Put values into a form, as scripts do.

    Args:
        text: a JSON object, names of options and their values; null leaves an option to the toolkit.

    Raises:
        JobError: it is something else, there is no such field, or it does not take the value.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise JobError(f"The options are not JSON: {error}") from None
    if not isinstance(values, dict):
        raise JobError('The options are no JSON object. Write them like {"fps": 25}')
    known = {field.name: field for field in fields}
    for name, value in values.items():
        field = known.get(name)
        if field is None:
            raise JobError(f"There is no option '{name}'. There are: {', '.join(known)}")
        if field.optional:
            setattr(group, USE + name, value is not None)
        if value is None:
            continue
        try:
            _set(group, field, value)
        except (TypeError, ValueError, AttributeError) as error:
            raise JobError(f"{field.label} does not take {value!r}: {error}") from None


def _set(group: Any, field: f.Field, value: Any) -> None:
    if field.kind not in (f.LIST, f.TABLE):
        if field.kind in (f.INT, f.FLOAT):
            low, high = -math.inf if field.low is None else field.low, math.inf if field.high is None else field.high
            if not low <= value <= high:  # Blender would take the nearest without a word
                raise ValueError(f"it goes from {low:g} to {high:g}")
        setattr(group, VALUE + field.name, str(value) if field.kind in (f.CHOICE, f.PATH) else value)
        return
    rows = getattr(group, VALUE + field.name)
    rows.clear()
    pairs = value.items() if isinstance(value, dict) else [("", item) for item in value]
    for key, item in pairs:
        row = rows.add()
        row.key = key
        setattr(row, ROW_VALUE[field.item], str(item) if field.item == f.PATH else item)
