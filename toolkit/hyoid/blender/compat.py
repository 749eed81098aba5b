# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Every difference between the Blender versions 3.4 to 5.0 that Hyoid meets, in one place."""

from __future__ import annotations

import importlib
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np

_DATE = b"Sat Jan  1 00:00:00 2000"
_STRIP_FILE = Path(__file__).with_name("sound_strip.blend")
RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5) else set()
"""Options of a text property that takes ``//`` paths; from 4.5 on Blender has to be told so."""


def playing(owner: Any) -> Any:
    """The thing whose ``fcurves`` play on ``owner`` (an ID) now, an action or a channel bag; None when nothing does."""
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


def swap_action(owner: Any, action: Any) -> None:
    """Assign a copy of the action that plays on ``owner``, and of its slots the one that it played."""
    data = owner.animation_data
    slot = data.action_slot.identifier if has_slots() else None
    data.action = action
    if slot is not None:
        data.action_slot = action.slots[slot]


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


def strip_curves(strip: Any) -> Any:
    """The thing whose ``fcurves`` an NLA strip plays: its action or a channel bag; None when it plays nothing."""
    if strip.action is None or not has_slots():
        return strip.action
    return None if strip.action_slot is None else _bag(strip.action, strip.action_slot)


def has_slots() -> bool:
    """Whether one action can hold the channels of several kinds of owners (4.4 and later)."""
    return hasattr(bpy.types, "ActionSlot")


def new_fcurve(container: Any, data_path: str, index: int, group: str) -> Any:
    """A new f-curve in the channel group ``group`` of an action or a channel bag."""
    curve = container.fcurves.new(data_path, index=index)
    groups = container.groups
    curve.group = groups.get(group) or groups.new(group)
    return curve


_HANDLES = ("handle_left_type", "handle_right_type")
_HANDLE_TYPES = ("FREE", "AUTO", "VECTOR", "ALIGNED", "AUTO_CLAMPED")


def handle_types(points: Any) -> np.ndarray:
    """The kinds of the left and right handles of keyframe points, (n, 2) int32.

    0 is free, 1 automatic, 2 vector, 3 aligned, 4 automatic and clamped. Before 4.0 fast access to them does not work.
    """
    kinds = np.empty((len(points), 2), np.int32)
    for column, name in enumerate(_HANDLES):
        if bpy.app.version < (4, 0):
            kinds[:, column] = [_HANDLE_TYPES.index(getattr(point, name)) for point in points]
        else:
            part = np.empty(len(points), np.int32)
            points.foreach_get(name, part)
            kinds[:, column] = part
    return kinds


def set_handle_types(points: Any, kinds: np.ndarray) -> None:
    """Set the kinds of handles (n, 2), numbers as in :func:`handle_types`."""
    for column, name in enumerate(_HANDLES):
        if bpy.app.version < (4, 0):
            present = handle_types(points)[:, column]
            for row in np.flatnonzero(present != kinds[:, column]).tolist():
                setattr(points[row], name, _HANDLE_TYPES[kinds[row, column]])
        else:
            points.foreach_set(name, np.ascontiguousarray(kinds[:, column], np.int32))


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


def strips(scene: Any) -> list[Any]:
    """Every strip of a scene's sequencer, by channel and then time; none where there is no sequencer."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    found = editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all
    return sorted(found, key=lambda strip: (strip.channel, strip.frame_final_start))


def is_retimed(strip: Any) -> bool:
    """Whether a sound strip plays at another speed than its file (a speed factor, or retiming keys)."""
    keys = [key.timeline_frame for key in getattr(strip, "retiming_keys", ())]
    stretched = len(keys) == 2 and abs(keys[1] - keys[0] - strip.frame_duration) > 1
    return getattr(strip, "speed_factor", 1.0) != 1.0 or len(keys) > 2 or stretched


def sound_offset(strip: Any) -> float:
    """Seconds by which the sound of a strip is shifted inside it, beside its trim."""
    return float(getattr(strip, "sound_offset", 0.0))


def set_blended(material: Any, blended: bool) -> None:
    """Choose sorted transparency or dithering for EEVEE; Cycles needs nothing."""
    if hasattr(material, "surface_render_method"):
        material.surface_render_method = "BLENDED" if blended else "DITHERED"
    elif blended:
        material.blend_method, material.shadow_method = "BLEND", "NONE"
        material.show_transparent_back = False


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


def set_property(
    owner: Any, name: str, value: float, low: float, high: float, description: str, most: float = 10.0
) -> None:
    """A custom property with a default (its present value), a soft range and a tooltip.

    most: the hard range is that many times the soft one; two digits are shown where that is 1.
    """
    owner[name] = value
    if most == 1:
        owner.id_properties_ui(name).update(precision=2)
    owner.id_properties_ui(name).update(
        default=value, soft_min=low, soft_max=high, min=most * low, max=most * high, description=description
    )


def set_polygons(mesh: Any, starts: np.ndarray, sizes: np.ndarray) -> None:
    """Where the corners of each polygon lie; versions before 4.0 do not derive the sizes from the starts."""
    mesh.polygons.foreach_set("loop_start", np.ascontiguousarray(starts, np.int32))
    if bpy.app.version < (4, 0):
        mesh.polygons.foreach_set("loop_total", np.ascontiguousarray(sizes, np.int32))


def set_uv(layer: Any, coordinates: np.ndarray) -> None:
    """Fill a UV layer with ``coordinates`` (corners, 2) float32."""
    flat = np.ascontiguousarray(coordinates, np.float32).reshape(-1)
    if hasattr(layer, "uv"):
        layer.uv.foreach_set("vector", flat)
    else:
        layer.data.foreach_set("uv", flat)


def key_points(key: Any) -> Any:
    """The points of a shape key in the form that ``foreach_get`` and ``foreach_set`` read fastest (``co``)."""
    return key.points if hasattr(key, "points") else key.data


def sort_bones(
    armature: Any, members: dict[str, list[str]], colours: dict[str, str], hidden: frozenset[str] = frozenset()
) -> None:
    """Put the bones into named sets with colours: bone collections, before 4.0 layers and bone groups.

    Args:
        members: names of bones by the title of their set; each set gets one layer where there are layers.
        colours: themes (``THEME01``...) by title. hidden: titles of sets that are not shown.
    """
    data = armature.data
    for layer, (title, names) in enumerate(members.items()):
        colour = colours.get(title)
        if hasattr(data, "collections"):
            made = data.collections.new(title)
            made.is_visible = title not in hidden
            for name in names:
                made.assign(data.bones[name])
                if colour:
                    data.bones[name].color.palette = colour
            continue
        group = armature.pose.bone_groups.new(name=title)
        if colour:
            group.color_set = colour
        for name in names:
            armature.pose.bones[name].bone_group = group
            data.bones[name].layers = [index == layer for index in range(32)]
    if not hasattr(data, "collections"):
        shown = [title not in hidden for title in members]
        data.layers = [index < len(members) and shown[index] for index in range(32)]


def set_subsurface(tree: Any, inputs: Any, weight: float, radius: tuple[float, float, float], scale: float) -> None:
    """Light below the surface of a Principled shader; ``radius`` by colour, in units of ``scale`` metres.

    Before 4.0 the weight also scaled the radius, and the scattered colour was an input of its own.
    """
    if "Subsurface Weight" in inputs:
        inputs["Subsurface Weight"].default_value = weight
        inputs["Subsurface Radius"].default_value = radius
        inputs["Subsurface Scale"].default_value = scale
        return
    inputs["Subsurface"].default_value = weight
    inputs["Subsurface Radius"].default_value = [scale / max(weight, 0.01) * value for value in radius]
    colour = inputs["Base Color"]
    inputs["Subsurface Color"].default_value = colour.default_value
    if colour.is_linked:
        tree.links.new(colour.links[0].from_socket, inputs["Subsurface Color"])


def glossy_node() -> str:
    """The type of the node that reflects like a rough mirror, and nothing else."""
    return "ShaderNodeBsdfGlossy" if bpy.app.version < (4, 0) else "ShaderNodeBsdfAnisotropic"


def id_type(owner: Any) -> str:
    """The kind of an ID (``OBJECT``, ``KEY``, ``ARMATURE``), which IDs themselves tell only in newer versions."""
    if hasattr(owner, "id_type"):
        return owner.id_type
    return next(base.__name__ for base in type(owner).__mro__ if base.__base__ is bpy.types.ID).upper()


def user_folder(package: str) -> Path:
    """Where an add-on may keep files of its own: its extension's folder from 4.2 on, else one in the configuration.

    It need not be there yet: Blender answers with the current folder when it is to make one and cannot.
    """
    if package.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(package))
    return Path(bpy.utils.user_resource("CONFIG", path="hyoid"))


def draw_progress(layout: Any, fraction: float, text: str, slider: tuple[Any, str, int]) -> None:
    """A bar with a text from 4.0 on; before, a slider (owner, property, index of its element) that cannot be moved."""
    if hasattr(layout, "progress"):
        layout.progress(factor=fraction, text=f"{100 * fraction:.0f} %  {text}")
        return
    owner, name, index = slider
    row = layout.row()
    row.enabled = False
    row.prop(owner, name, index=index, slider=True, text=text)


def is_dragging(manager: Any) -> bool:
    """Whether the user is in the middle of moving something; Blender tells it from 4.2 on."""
    kinds = ("TRANSFORM_OT_", "POSE_OT_", "GRAPH_OT_", "ACTION_OT_", "NLA_OT_", "SEQUENCER_OT_")
    running = (operator for window in manager.windows for operator in getattr(window, "modal_operators", ()))
    return any(operator.bl_idname.startswith(kinds) for operator in running)


def first_modifier(obj: Any, modifier: Any) -> None:
    """Let a modifier act before all others of its object; older versions know no other way than an operator."""
    if hasattr(obj.modifiers, "move"):
        obj.modifiers.move(obj.modifiers.find(modifier.name), 0)
        return
    with bpy.context.temp_override(object=obj, active_object=obj):
        bpy.ops.object.modifier_move_to_index(modifier=modifier.name, index=0)


def select_bone(armature: Any, name: str) -> None:
    """Select a bone of an armature object and make it the active one; its bone collection (or layer) is shown."""
    bone = armature.data.bones[name]
    if hasattr(bone, "collections"):
        for collection in bone.collections:
            collection.is_visible = True
    else:
        armature.data.layers = [a or b for a, b in zip(armature.data.layers, bone.layers, strict=True)]
    bone.hide = False
    armature.data.bones.active = bone
    (armature.pose.bones[name] if bpy.app.version >= (5, 0) else bone).select = True


def file_handler(about: type) -> type | None:
    """A class that Blender asks when a file is dropped on it, with the attributes of ``about``; None before 4.1."""
    base = getattr(bpy.types, "FileHandler", None)
    return None if base is None else type(about.__name__, (about, base), {"__module__": about.__module__})
