# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables that say which curve drives which shape key, and which joints turn which bone: saved on each object."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

from ..characters import find
from ..toolkit.errors import InputError, UsageError
from ..toolkit.files import write_bytes
from . import guess_bones, guess_shapes, shape_names, visemes

FORMAT, VERSION = "hyoid.map", 1
_LARGEST_FILE = 8 << 20
_LOCAL = {"LIBRARY_OVERRIDABLE"}
"""Tables can be filled on characters that are linked from another file and overridden here."""
_FACINGS = (
    ("AUTO", "Found by itself", "Told by the bones: left and right arms, hips and head"),
    ("-Y", "-Y", "As Blender's characters do"), ("Y", "Y", "Along the armature's own +Y"),
    ("Z", "Z", "As characters from games and glTF do inside their armature"), ("-Z", "-Z", "Along its own -Z"),
    ("X", "X", "Along its own +X"), ("-X", "-X", "Along its own -X"),
)  # fmt: skip


def _sources(_self: Any, _context: Any, text: str) -> list[str]:
    """What the field of a source offers while one types."""
    known = (*shape_names.ARKIT, "larynxHeight", "larynxSize", "breath", "swallow", *visemes.SOURCES)
    return [name for name in known if text.lower() in name.lower()]


class HYOID_PG_shape_row(bpy.types.PropertyGroup):
    """One line of a shape map."""

    use: bpy.props.BoolProperty(override=_LOCAL, name="Use", description="Off: this line is left out", default=True)
    source: bpy.props.StringProperty(
        override=_LOCAL,
        name="Curve",
        description="What drives the key: a face curve of the take, or a mouth shape of speech (viseme:PP)",
        search=_sources,
    )
    target: bpy.props.StringProperty(
        override=_LOCAL, name="Shape Key", description="The shape key of this mesh that is moved"
    )
    factor: bpy.props.FloatProperty(
        override=_LOCAL, name="Strength", description="How far: 1 is as in the take, below 0 is the other way",
        default=1.0,
        soft_min=-2, soft_max=2, min=-1000, max=1000,
    )  # fmt: skip


class HYOID_PG_bone_row(bpy.types.PropertyGroup):
    """One line of a bone map."""

    use: bpy.props.BoolProperty(override=_LOCAL, name="Use", description="Off: this line is left out", default=True)
    target: bpy.props.StringProperty(
        override=_LOCAL, name="Bone", description="The bone of this armature that is turned"
    )
    sources: bpy.props.StringProperty(
        override=_LOCAL,
        name="Joints",
        description="The joints of the take whose turns it gets, one after the other, with commas between them",
    )


class HYOID_PG_map(bpy.types.PropertyGroup):
    """How the tables of an object are used."""

    shape_index: bpy.props.IntProperty(override=_LOCAL, options={"HIDDEN"})
    bone_index: bpy.props.IntProperty(override=_LOCAL, options={"HIDDEN"})
    widen: bpy.props.BoolProperty(
        override=_LOCAL,
        name="Beyond Slider Limits",
        description="Let a take move a key further than its slider goes (the slider is widened); off: it stops there",
        default=False,
    )
    align: bpy.props.BoolProperty(
        override=_LOCAL,
        name="Match Arms and Legs",
        description=(
            "Point arms and legs where the take points them, though this character rests in another pose (T instead "
            "of A). Off: every bone turns as far as in the take, from its own rest"
        ),
        default=True,
    )
    facing: bpy.props.EnumProperty(
        override=_LOCAL, name="Looks Along",
        description="The way the character looks at rest, in the armature's own axes",
        items=_FACINGS, default="AUTO",
    )  # fmt: skip
    travel: bpy.props.FloatProperty(
        override=_LOCAL, name="Travel",
        description="How far the hips travel: 1 suits the height of the hips, 0 stays on the spot",
        default=1.0, min=0, soft_max=2,
    )  # fmt: skip


CLASSES = (HYOID_PG_shape_row, HYOID_PG_bone_row, HYOID_PG_map)


def key_names(obj: Any) -> list[str]:
    """The shape keys of a mesh object but its basis, and those that drivers of a Hyoid character move."""
    keys = getattr(obj.data, "shape_keys", None) if obj is not None and obj.type == "MESH" else None
    names = [] if keys is None else [key.name for key in keys.key_blocks if key != keys.reference_key]
    return [name for name in names if not name.startswith(find.FOLLOWING)]


def shape_rows(obj: Any) -> tuple[guess_shapes.Row, ...]:
    """The lines of an object's shape map that are in use and say something."""
    return tuple(
        guess_shapes.Row(row.source, row.target, row.factor)
        for row in obj.hyoid_shape_map
        if row.use and row.source and row.target
    )


def bone_rows(obj: Any) -> tuple[guess_bones.BoneRow, ...]:
    """The lines of an object's bone map that are in use and say something."""
    return tuple(
        guess_bones.BoneRow(row.target, split_names(row.sources))
        for row in obj.hyoid_bone_map
        if row.use and row.target and split_names(row.sources)
    )


def split_names(text: str) -> tuple[str, ...]:
    """``"c1c2, oc1"`` as two names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def guess_shape_table(obj: Any) -> guess_shapes.Guess:
    """Fill an object's shape map from the names of its keys; what was there is replaced.

    Raises:
        UsageError: none of the names is understood; the table stays as it is.
    """
    names = key_names(obj)
    if not names:
        raise UsageError(f"'{obj.name}' has no shape keys", hint="Select the mesh that has the face")
    found = guess_shapes.guess(names)
    if not found.rows:
        raise UsageError(
            f"no name among the {len(names)} shape keys of '{obj.name}' is understood ({', '.join(names[:4])})",
            hint="Fill the table by hand, or rename the keys to ARKit's names (jawOpen)",
        )
    obj.hyoid_shape_map.clear()
    for row in found.rows:
        add_shape_row(obj, row.source, row.target, row.factor)
    return found


def guess_bone_table(obj: Any) -> guess_bones.BoneGuess:
    """Fill an armature's bone map from the names of its bones; what was there is replaced.

    Raises:
        UsageError: none of the names is understood; the table stays as it is.
    """
    bones = obj.data.bones
    parents = {bone.name: bone.parent.name for bone in bones if bone.parent is not None}
    found = guess_bones.guess([bone.name for bone in bones], parents, jaw_curve=not _face_opens_jaw(obj))
    if not found.rows:
        raise UsageError(
            f"no name among the {len(bones)} bones of '{obj.name}' is understood",
            hint="Fill the table by hand: which joints of the take turn which bone",
        )
    obj.hyoid_bone_map.clear()
    for row in found.rows:
        add_bone_row(obj, row.target, row.sources)
    return found


def add_shape_row(obj: Any, source: str, target: str, factor: float = 1.0) -> None:
    """Append a line to the shape map."""
    row = obj.hyoid_shape_map.add()
    row.source, row.target, row.factor = source, target, factor
    row.name = f"{source} {target}"


def add_bone_row(obj: Any, target: str, sources: Iterable[str]) -> None:
    """Append a line to the bone map."""
    row = obj.hyoid_bone_map.add()
    row.target, row.sources = target, ", ".join(sources)
    row.name = f"{target} {row.sources}"


def bound_meshes(armature: Any) -> list[Any]:
    """The mesh objects that an armature deforms and that have shape keys."""
    return [
        obj
        for obj in bpy.data.objects
        if key_names(obj)
        and any(modifier.type == "ARMATURE" and modifier.object == armature for modifier in obj.modifiers)
    ]


def _face_opens_jaw(armature: Any) -> bool:
    """Whether a mesh of the armature opens its mouth by a shape key."""
    opening = {"jawOpen", "viseme:aa", "vowel:A", "mouth:D", "blair:AI"}
    for obj in bound_meshes(armature):
        rows = shape_rows(obj) or guess_shapes.guess_shapes(key_names(obj))
        if opening & {row.source for row in rows}:
            return True
    return False


def save(path: Path, obj: Any) -> None:
    """Write an object's tables as JSON.

    Raises:
        UsageError: it has none.
        OutputError: the file cannot be written.
    """
    if not (len(obj.hyoid_shape_map) or len(obj.hyoid_bone_map)):
        raise UsageError(f"'{obj.name}' has no table to save", hint="Press Guess first")
    settings = obj.hyoid_map
    document = {
        "format": FORMAT,
        "version": VERSION,
        "shapes": [
            {"source": row.source, "target": row.target, "factor": round(row.factor, 6), "use": row.use}
            for row in obj.hyoid_shape_map
        ],
        "bones": [
            {"target": row.target, "sources": list(split_names(row.sources)), "use": row.use}
            for row in obj.hyoid_bone_map
        ],
        "settings": {
            "widen": settings.widen, "align": settings.align, "facing": settings.facing,
            "travel": round(settings.travel, 6),
        },
    }  # fmt: skip
    write_bytes(path, (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode())


def load(path: Path, obj: Any) -> tuple[int, list[str]]:
    """Replace an object's tables by those of a file; gives the number of lines, and the targets that it lacks.

    Raises:
        InputError: the file is missing, damaged or no table.
    """
    shapes, bones, settings = _read(path)
    if obj.type != "ARMATURE":
        bones = []
    if obj.type != "MESH":
        shapes = []
    if not (shapes or bones):
        kind = "shape keys" if obj.type == "MESH" else "bones"
        raise InputError(f"has no table of {kind}", path=path, expected=f"one that was saved from a {obj.type.lower()}")
    obj.hyoid_shape_map.clear()
    obj.hyoid_bone_map.clear()
    for source, target, factor, use in shapes:
        add_shape_row(obj, source, target, factor)
        obj.hyoid_shape_map[-1].use = use
    for target, sources, use in bones:
        add_bone_row(obj, target, sources)
        obj.hyoid_bone_map[-1].use = use
    for name, value in settings.items():
        setattr(obj.hyoid_map, name, value)
    known = set(key_names(obj)) if shapes else {bone.name for bone in obj.data.bones}
    wanted = [row[1] for row in shapes] + [row[0] for row in bones]
    return len(wanted), [name for name in dict.fromkeys(wanted) if name not in known]


def _read(path: Path) -> tuple[list[tuple], list[tuple], dict[str, Any]]:
    """The rows and settings of a file, every type checked."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError("is too large for a table", path=path, expected="at most 8 MB")
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except (ValueError, RecursionError):
        raise InputError("is not a table", path=path, expected="a .json that Hyoid saved") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError("is JSON, but not a table", path=path, expected="a .json that Hyoid saved")
    version = document.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise InputError(f"is a table of version {version}", path=path, expected=f"{VERSION}", hint="Update the add-on")
    try:
        shapes = [
            (_text(row["source"]), _text(row["target"]), _number(row.get("factor", 1.0)), bool(row.get("use", True)))
            for row in document.get("shapes", [])
        ]
        bones = [
            (_text(row["target"]), [_text(name) for name in row["sources"]], bool(row.get("use", True)))
            for row in document.get("bones", [])
        ]
        given = document.get("settings", {})
        settings = {name: bool(given[name]) for name in ("widen", "align") if name in given}
        if given.get("facing") in [item[0] for item in _FACINGS]:
            settings["facing"] = given["facing"]
        if "travel" in given:
            settings["travel"] = max(_number(given["travel"]), 0.0)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError("its lines do not form a table", path=path, expected="a .json that Hyoid saved") from None
    return shapes, bones, settings


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1000:
        raise ValueError
    return float(value)


def register() -> None:
    """Register the records and put them on objects."""
    for record in CLASSES:
        bpy.utils.register_class(record)
    bpy.types.Object.hyoid_shape_map = bpy.props.CollectionProperty(
        type=HYOID_PG_shape_row, override=_LOCAL | {"USE_INSERTION"}
    )
    bpy.types.Object.hyoid_bone_map = bpy.props.CollectionProperty(
        type=HYOID_PG_bone_row, override=_LOCAL | {"USE_INSERTION"}
    )
    bpy.types.Object.hyoid_map = bpy.props.PointerProperty(type=HYOID_PG_map, override=_LOCAL)


def unregister() -> None:
    """Remove them."""
    for name in ("hyoid_map", "hyoid_bone_map", "hyoid_shape_map"):
        delattr(bpy.types.Object, name)
    for record in reversed(CLASSES):
        bpy.utils.unregister_class(record)
