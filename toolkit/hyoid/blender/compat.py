# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""Every difference between the Blender versions 4.2 to 5.0 that Hyoid meets, in one place."""

from __future__ import annotations

import importlib
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy

_DATE = b"Sat Jan  1 00:00:00 2000"
_STRIP_FILE = Path(__file__).with_name("sound_strip.blend")


def playing(owner: Any) -> Any:
    """The thing whose ``fcurves`` play on ``owner`` (an ID) now, its action or a channel bag; None when nothing does."""
    data = owner.animation_data
    if data is None or data.action is None:
        return None
    if not has_slots():
        return data.action
    return None if data.action_slot is None else _bag(data.action, data.action_slot)


def fcurve_owner(owner: Any, action: Any) -> Any:
    """The thing whose ``fcurves.new`` animates ``owner`` (an ID) through ``action``, which is assigned to it.

    From 4.4 on each owner gets a slot of its own, so that several owners of one kind can share an action; nothing plays
    before the slot is assigned too.
    """
    data = owner.animation_data or owner.animation_data_create()
    data.action = action
    if not has_slots():
        return action
    if data.action_slot is None or any(user != owner for user in data.action_slot.users()):
        data.action_slot = action.slots.new(owner.id_type, owner.name)
    return _bag(action, data.action_slot)


def _bag(action: Any, slot: Any) -> Any:
    layer = action.layers[0] if len(action.layers) else action.layers.new("Layer")
    strip = layer.strips[0] if len(layer.strips) else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True)


def plays_elsewhere(action: Any, owners: list[Any]) -> bool:
    """Whether a change of the channels that play on ``owners`` through ``action`` shows on something else too."""
    assigned = [owner.animation_data for owner in owners if owner.animation_data]
    mine = [data for data in assigned if data.action == action]
    if not has_slots():
        return action.users - action.use_fake_user > len(mine)
    slots = [data.action_slot for data in mine if data.action_slot]
    return any(user not in owners for slot in slots for user in slot.users())


def new_strip(owner: Any, track: Any, name: str, start: int) -> Any:
    """A strip on an NLA track of ``owner`` that plays the action (from 4.4 on: and the slot) now assigned to it.

    Raises:
        RuntimeError: there is no room on the track.
    """
    data = owner.animation_data
    strip = track.strips.new(name, start, data.action)
    if has_slots():
        strip.action_slot = data.action_slot
    return strip


def has_slots() -> bool:
    """Whether one action can hold the channels of several kinds of owners (4.4 and later)."""
    return hasattr(bpy.types, "ActionSlot")


def new_fcurve(container: Any, data_path: str, index: int, group: str) -> Any:
    """A new f-curve in the channel group ``group`` of an action or a channel bag."""
    curve = container.fcurves.new(data_path, index=index)
    groups = container.groups
    curve.group = groups.get(group) or groups.new(group)
    return curve


def new_scene() -> Any:
    """The scene of a new, empty file, able to hold a sound (see :func:`new_sound_strip`)."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if bpy.app.build_options.audaspace:
        return bpy.context.scene
    # The bpy module of 4.2 cannot make sound strips: start from a scene that has one.
    with bpy.data.libraries.load(str(_STRIP_FILE)) as (_, wanted):
        wanted.scenes = ["Scene"]
    old, scene = bpy.context.scene, wanted.scenes[0]
    bpy.context.window.scene = scene
    bpy.data.scenes.remove(old)
    scene.name = "Scene"
    return scene


def new_sound_strip(scene: Any, name: str, path: str, start: int, frames: int) -> Any:
    """A strip on the timeline that plays the sound file from frame ``start`` on.

    Raises:
        RuntimeError: Blender cannot read the file.
    """
    if bpy.app.build_options.audaspace:
        editor = scene.sequence_editor or scene.sequence_editor_create()
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences
        return strips.new_sound(name, path, 1, start)
    strip = scene.sequence_editor.sequences[0]
    stand_in, strip.sound = strip.sound, bpy.data.sounds.load(path)
    bpy.data.sounds.remove(stand_in)
    strip.name, strip.frame_start, strip.frame_final_duration = name, start, max(frames, 1)
    return strip


def remove_unused_strip(scene: Any) -> None:
    """Remove the strip that :func:`new_scene` brought when no sound was put on it."""
    if not bpy.app.build_options.audaspace and scene.sequence_editor:
        stand_in = scene.sequence_editor.sequences[0].sound
        scene.sequence_editor_clear()
        bpy.data.sounds.remove(stand_in)


def set_blended(material: Any, blended: bool) -> None:
    """Choose sorted transparency or dithering for EEVEE; Cycles needs nothing."""
    if hasattr(material, "surface_render_method"):
        material.surface_render_method = "BLENDED" if blended else "DITHERED"


def set_engine(scene: Any) -> None:
    """EEVEE under whatever name this version gives it."""
    for name in ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE"):
        try:
            scene.render.engine = name
        except TypeError:
            continue
        return


def use_nodes(owner: Any) -> Any:
    """The node tree of a material or world; from 5.0 on it is always there."""
    if owner.node_tree is None:
        owner.use_nodes = True
    return owner.node_tree


@contextmanager
def reproducible_fbx() -> Iterator[None]:
    """Let the FBX exporter, a Python add-on, write a fixed date and relative image paths, for equal bytes."""
    exporter = importlib.import_module("io_scene_fbx.export_fbx_bin")
    clock, image_paths = exporter.datetime, exporter._gen_vid_path
    fixed = clock.datetime(2000, 1, 1)
    exporter.datetime = SimpleNamespace(datetime=SimpleNamespace(now=lambda: fixed))
    exporter._gen_vid_path = lambda *arguments: (image_paths(*arguments)[1],) * 2
    try:
        yield
    finally:
        exporter.datetime, exporter._gen_vid_path = clock, image_paths


def fix_abc_date(path: Path) -> None:
    """Overwrite the date in the header text of an Alembic file with a fixed one of the same length."""
    with open(path, "r+b") as stream, mmap.mmap(stream.fileno(), 0) as data:
        mark = b"_ai_DateWritten="
        found = data.rfind(mark)
        if found >= 0:
            data[found + len(mark) : found + len(mark) + len(_DATE)] = _DATE


def set_property(owner: Any, name: str, value: float, low: float, high: float, description: str) -> None:
    """A custom property with a default (its present value), a soft range and a tooltip."""
    owner[name] = value
    owner.id_properties_ui(name).update(
        default=value, soft_min=low, soft_max=high, min=10 * low, max=10 * high, description=description
    )
