# SPDX-License-Identifier: GPL-3.0-or-later
"""From the JSON schema of a verb's options to fields that can be drawn. Needs no Blender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BOOL, INT, FLOAT, TEXT, PATH, CHOICE, LIST, TABLE = "bool", "int", "float", "text", "path", "choice", "list", "table"
_KINDS = {"boolean": BOOL, "integer": INT, "number": FLOAT, "string": TEXT}
UNITS = ("ms", "s", "mm", "cm", "m", "deg", "hz")
ACRONYMS = {word.lower(): word for word in ("FPS", "ID", "GPU", "CSV", "URL", "USD", "FBX", "BVH", "GLB", "CPU")}
LONGEST_NAME = 50
"""Blender takes 63 letters for the name of a property; some are ours."""


@dataclass(frozen=True)
class Field:
    """One option of a verb.

    Attributes:
        name: of the option. kind: one of the constants of this module. item: the kind of a list's or table's entries.
        required: the verb does not run without it. optional: it may be left unset, which the checkbox does.
        default: its value when nothing is said; None when there is none. low, high: limits, None where there is none.
        choices: values that it can take. description: the tooltip. advanced: folded away.
        use: for paths, ``read``, ``write`` or ``folder``.
    """

    name: str
    kind: str
    item: str = ""
    required: bool = False
    optional: bool = False
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    description: str = ""
    advanced: bool = False
    use: str = ""

    @property
    def label(self) -> str:
        """What stands beside it."""
        return label(self.name)


def label(name: str) -> str:
    """A name for people: ``head_pose`` becomes Head Pose, ``offset_ms`` Offset (ms)."""
    words = name.replace("-", "_").strip("_").split("_")
    unit = f" ({words.pop()})" if len(words) > 1 and words[-1] in UNITS else ""
    return " ".join(ACRONYMS.get(word, word[:1].upper() + word[1:]) for word in words) + unit


def fields_of(job: dict[str, Any]) -> tuple[list[Field], list[str]]:
    """The fields of a verb.

    Args:
        job: the JSON schema of its options (see ``hyoid schema``).

    Returns:
        the fields that can be drawn, in order; the names of required options that cannot.
    """
    required = set(job.get("required", ()))
    fields, undrawable = [], []
    for name, entry in (job.get("properties") or {}).items():
        field = _field(name, entry, name in required) if isinstance(entry, dict) else None
        if field is not None:
            fields.append(field)
        elif name in required:
            undrawable.append(name)
    return fields, undrawable


def _field(name: str, entry: dict[str, Any], required: bool) -> Field | None:
    """The field of one property; None for a kind of value that has no widget."""
    shape, nullable = _without_null(entry)
    kind, item = _kind(shape)
    if kind is None or not name.isidentifier() or len(name) > LONGEST_NAME:
        return None
    default = entry.get("default")
    several = kind in (LIST, TABLE)
    low, high = _limits(shape if not several else _items(shape), item if several else kind)
    return Field(
        name=name,
        kind=kind,
        item=item,
        required=required,
        # Rows cannot be given a default: unset, the verb's own holds.
        optional=not required and (nullable or (several and bool(default))),
        default=default,
        low=low,
        high=high,
        choices=tuple(shape.get("enum", ())) if kind == CHOICE else (),
        description=str(entry.get("description") or ""),
        advanced=bool(entry.get("advanced")),
        use=str(entry.get("file") or ("read" if PATH in (kind, item) else "")),
    )


def _without_null(entry: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """A property without its null arm, and whether it had one."""
    arms = entry.get("anyOf")
    if not isinstance(arms, list):
        return entry, False
    left = [arm for arm in arms if isinstance(arm, dict) and arm.get("type") != "null"]
    # Two kinds of value (a number or a word): the first that can be drawn.
    shape = next((arm for arm in left if _kind(arm)[0] is not None), {})
    return shape, len(left) < len(arms)


def _kind(shape: dict[str, Any]) -> tuple[str | None, str]:
    """The kind of a value and, for lists and tables, of its entries."""
    if shape.get("enum"):
        return CHOICE, ""
    if str(shape.get("format", "")).endswith("path"):
        return PATH, ""
    kind = shape.get("type")
    if kind in ("array", "object"):
        inner = _kind(_items(shape))[0]
        inner = TEXT if inner == CHOICE else inner
        if inner in (INT, FLOAT, TEXT, PATH):
            return (LIST if kind == "array" else TABLE), inner
        return None, ""
    return (_KINDS.get(kind) if isinstance(kind, str) else None), ""


def _items(shape: dict[str, Any]) -> dict[str, Any]:
    inner = shape.get("items" if shape.get("type") == "array" else "additionalProperties")
    return inner if isinstance(inner, dict) else {}


def _limits(shape: dict[str, Any], kind: str) -> tuple[float | None, float | None]:
    step = 1 if kind == INT else 1e-6
    low, high = shape.get("minimum"), shape.get("maximum")
    if low is None and shape.get("exclusiveMinimum") is not None:
        low = shape["exclusiveMinimum"] + step
    if high is None and shape.get("exclusiveMaximum") is not None:
        high = shape["exclusiveMaximum"] - step
    return low, high
