# SPDX-License-Identifier: GPL-3.0-or-later
"""The sliders of a character. They hold no values: they read the mark on the armature and change the character.

So undo, reload and a character from another file never leave a slider that says something else than the surface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import bpy

from ..toolkit.blender import compat
from ..toolkit.characters import bundled
from ..toolkit.errors import HyoidError
from . import details, find, from_files, presets, update


def slider(name: str) -> str:
    """The name of the property of :class:`HYOID_PG_identity` that changes a setting."""
    return f"set_{_plain(name)}"


def pair_slider(name: str) -> str:
    """The name of the property that changes a detail on both sides."""
    return f"pair_{_plain(name)}"


def values(armature: bpy.types.Object) -> dict[str, float]:
    """The identity of a character; what its mark leaves out is not in it."""
    return dict(find.identity(armature).get("settings", {}))


def change(armature: bpy.types.Object, given: Mapping[str, float]) -> bool:
    """Change some settings of a character, as a slider does; whether it could be done.

    ``hyoid_identity.message`` says afterwards why not, or which edits by hand were kept.
    """
    wanted = values(armature) | {name: round(value, 6) for name, value in given.items()}
    wanted = {name: value for name, value in wanted.items() if name in details.PHENOTYPE or value}
    return become(armature, wanted)


def become(armature: bpy.types.Object, wanted: Mapping[str, float]) -> bool:
    """Give a character a whole identity; see :func:`change`."""
    rig = find.rig_of(armature)
    if rig is None:
        armature.hyoid_identity.message = "The body of this character is missing"
        return False
    try:
        edited = update.update(rig, wanted)
    except (HyoidError, RuntimeError) as error:
        armature.hyoid_identity.message = str(error)
        return False
    text = f"Kept what was edited by hand: {', '.join(edited[:3])}{'...' if len(edited) > 3 else ''}" if edited else ""
    if armature.hyoid_identity.message != text:
        armature.hyoid_identity.message = text
    return True


def shown(armature: bpy.types.Object) -> list[details.Detail]:
    """The details that the panel shows: those that are set, and those that the artist added."""
    every = details.details()
    present = values(armature)
    added = set(armature.hyoid_identity.added.split())
    return [
        detail
        for detail in every.values()
        if detail.name in added or any(present.get(label) for label in detail.labels)
    ]


class HYOID_PG_identity(bpy.types.PropertyGroup):
    """Sliders for the identity of an existing character (on its armature object)."""

    mirror: bpy.props.BoolProperty(
        name="Left and right together",
        description="One slider changes both sides of the face and body",
        default=True,
    )
    added: bpy.props.StringProperty(description="Names of the details that the panel shows", options={"HIDDEN"})
    message: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})


class HYOID_PG_characters(bpy.types.PropertyGroup):
    """What the next new character of a scene is made from."""

    preset: bpy.props.EnumProperty(
        name="Preset", description="Who to start from", items=presets.items(), default=presets.DEFAULT
    )
    part: bpy.props.EnumProperty(
        name="Part",
        items=[
            ("head", "Head", "Head, neck and shoulders"),
            ("full", "Whole body", "From head to toes, with hands and feet"),
        ],
        default="full",
    )
    source: bpy.props.EnumProperty(
        name="Source",
        items=[
            ("HUMAN", "Human", "The human that comes with Hyoid (CC0)"),
            ("FILE", "File", "A .character.npz that the toolkit has written"),
            ("MODEL", "Model", "ICT-FaceKit, HACK, FLAME or SMPL-X, which you have; the toolkit reads them"),
        ],
    )
    file: bpy.props.StringProperty(
        name="Character file", description="A .character.npz", subtype="FILE_PATH", options=compat.RELATIVE
    )
    model: bpy.props.EnumProperty(name="Model", items=from_files.MODELS)
    model_path: bpy.props.StringProperty(
        name="Path", description="Folder or file of the model, as its authors give it out", subtype="FILE_PATH",
        options=compat.RELATIVE,
    )  # fmt: skip
    place: bpy.props.EnumProperty(
        name="Place",
        items=[("WORLD", "World origin", "Feet at the world origin"), ("CURSOR", "3D cursor", "Feet at the 3D cursor")],
        default="WORLD",
    )
    show_details: bpy.props.BoolProperty(name="Details", description="Small shapes of face and body", default=False)
    show_new: bpy.props.BoolProperty(name="New character", description="Add another character", default=False)
    show_person: bpy.props.BoolProperty(name="Person", description="Age, build and origin", default=True)


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _get(name: str) -> Callable[[HYOID_PG_identity], float]:
    start = bundled.defaults().get(name, 0.0)
    return lambda group: float(find.identity(group.id_data).get("settings", {}).get(name, start))


def _set(names: tuple[str, ...]) -> Callable[[HYOID_PG_identity, float], None]:
    def change_to(group: HYOID_PG_identity, value: float) -> None:
        change(group.id_data, dict.fromkeys(names, value))

    return change_to


def _property(title: str, text: str, names: tuple[str, ...]):
    low, high = bundled.setting_range(names[0])
    return bpy.props.FloatProperty(
        name=title, description=text, min=low, max=high, subtype="FACTOR", precision=2, step=1,
        get=_get(names[0]), set=_set(names), options=set(),
    )  # fmt: skip


def _add_sliders() -> None:
    """One property a setting, and one for both sides of a detail."""
    sliders = HYOID_PG_identity.__annotations__
    for name, (title, text) in details.PHENOTYPE.items():
        sliders[slider(name)] = _property(title, text, (name,))
    for detail in details.details().values():
        for label in detail.labels:
            side = {"l-": "left ", "r-": "right "}.get(label[:2], "") if len(detail.labels) > 1 else ""
            title = f"{detail.group}: {side}{detail.text}"
            sliders[slider(label)] = _property(title, f"Local shape '{label}' of the toolkit", (label,))
        if len(detail.labels) > 1:
            text = "Local shapes " + " and ".join(f"'{label}'" for label in detail.labels)
            sliders[pair_slider(detail.name)] = _property(detail.title, text, detail.labels)


def register() -> None:
    """Register the property groups and hang them on objects and scenes."""
    _add_sliders()
    bpy.utils.register_class(HYOID_PG_identity)
    bpy.utils.register_class(HYOID_PG_characters)
    bpy.types.Object.hyoid_identity = bpy.props.PointerProperty(type=HYOID_PG_identity)
    bpy.types.Scene.hyoid_characters = bpy.props.PointerProperty(type=HYOID_PG_characters)


def unregister() -> None:
    """Take them away."""
    del bpy.types.Scene.hyoid_characters
    del bpy.types.Object.hyoid_identity
    bpy.utils.unregister_class(HYOID_PG_characters)
    bpy.utils.unregister_class(HYOID_PG_identity)
