# SPDX-License-Identifier: GPL-3.0-or-later
"""A character comes into a scene, and leaves it, without a trace on anything else in the file."""

from __future__ import annotations

import json
import uuid
from typing import Any

import bpy

from ..toolkit import characters
from ..toolkit.blender import assemble, materials, meshes, pack, rig
from ..toolkit.characters.character import Character
from . import find, own


def create(context: bpy.types.Context, settings: dict[str, float], part: str, name: str = "human") -> find.Rig:
    """Add the bundled human to the scene of a context; active object, selection and mode stay as they are.

    Args:
        settings: identity by name, see ``characters.load``; what is not given keeps its default.
        part: ``head`` or ``full``.
        name: what its objects are called after; a number follows where that name is taken.

    Raises:
        UsageError: an unknown setting or part.
    """
    return put(context, characters.load("human", settings, part=part), name, "human")


def put(context: bpy.types.Context, character: Character, name: str, source: str) -> find.Rig:
    """Add a character of any source to the scene of a context; active object, selection and mode stay as they are.

    Args:
        name: what its objects are called after; a number follows where that name is taken.
        source: what ``characters.load`` finds it by.
    """
    described, arrays = pack.record(character)
    described["name"], described["source"] = free_name(name), source
    collection = bpy.data.collections.new(f"Hyoid {described['name']}")
    collection["hyoid_collection"] = True
    context.scene.collection.children.link(collection)
    armature = rig.build(described, arrays, collection, control=True)
    made = materials.build(described["materials"], owner=described["name"])
    objects = meshes.build(described, arrays, armature, collection, made, True)
    assemble.join(armature, described, objects)
    rig.mark(armature, described, uuid.uuid4().hex)
    rig.refresh(armature)
    found = find.rig_of(armature)
    assert found is not None
    return found


def show(context: bpy.types.Context, made: find.Rig) -> None:
    """Let the artist see a new character: in a local view too, and active, unless some mode is on."""
    space = context.space_data
    if space is not None and space.type == "VIEW_3D" and space.local_view is not None:
        for obj in (made.armature, *made.parts):
            obj.local_view_set(space, True)
    if context.mode == "OBJECT":
        for other in context.view_layer.objects:
            other.select_set(other == made.armature)
        context.view_layer.objects.active = made.armature


def separate(scene: bpy.types.Scene, made: find.Rig) -> None:
    """Give a duplicate of a character names, an id and a collection of its own."""
    mark = find.identity(made.armature)
    name = free_name(str(mark.get("name", "human")))
    was = f"{mark.get('name', 'human')}_"
    for obj in (made.armature, *made.parts):
        if obj.name.startswith(was):
            obj.name = f"{name}_{obj.name[len(was) :].split('.')[0]}"
    made.armature[find.MARK] = json.dumps({**mark, "name": name, "id": uuid.uuid4().hex}, sort_keys=True)
    collection = bpy.data.collections.new(f"Hyoid {name}")
    collection["hyoid_collection"] = True
    scene.collection.children.link(collection)
    for obj in (made.armature, *made.parts):
        for other in list(obj.users_collection):
            other.objects.unlink(obj)
        collection.objects.link(obj)


def free_name(name: str) -> str:
    """The name, or the name with the first number behind it that no other character's armature has."""
    taken = {armature.name for armature in bpy.data.objects} | {data.name for data in bpy.data.armatures}
    number, free = 0, name
    while f"{free}_rig" in taken:
        number += 1
        free = f"{name}.{number:03d}"
    return free


def remove(gone: find.Rig) -> None:
    """Take a character out of the file, with everything that came with it and that nothing else uses.

    Meshes that were the artist's before they were rigged stay, without the rig.
    """
    owners = [gone.armature, gone.armature.data, *(part.data.shape_keys for part in gone.parts if part.data.shape_keys)]
    actions = {action for owner in owners for action in _actions(owner)}
    for part in [part for part in gone.parts if own.is_own(part)]:
        own.strip(part, gone.armature)
        gone.parts.remove(part)
    objects = [gone.armature, *gone.parts]
    shapes = {bone.custom_shape for bone in gone.armature.pose.bones if bone.custom_shape}
    used = {slot.material for part in gone.parts for slot in part.material_slots if slot.material}
    images = {node.image for material in used for node in _image_nodes(material)}
    collections = {collection for obj in (*objects, *shapes) for collection in obj.users_collection}
    _remove_objects(objects)
    _remove_objects(
        [shape for shape in shapes if "hyoid_widget" in shape and shape.users <= len(shape.users_collection)]
    )
    _remove_unused(bpy.data.materials, [material for material in used if "hyoid_material" in material])
    _remove_unused(bpy.data.images, [image for image in images if "hyoid_sha256" in image])
    _remove_unused(bpy.data.actions, actions)
    for collection in sorted(collections, key=lambda entry: len(entry.children)):
        if "hyoid_collection" in collection and not collection.objects and not collection.children:
            bpy.data.collections.remove(collection)


def _remove_objects(objects: list[bpy.types.Object]) -> None:
    datas = {obj.data for obj in objects}
    for obj in objects:
        bpy.data.objects.remove(obj)
    for data in datas:
        if data.users == 0:
            (bpy.data.armatures if isinstance(data, bpy.types.Armature) else bpy.data.meshes).remove(data)


def _remove_unused(group: Any, entries: Any) -> None:
    for entry in entries:
        names = entry.keys()
        kept = entry.use_fake_user and not any(name.startswith("hyoid") for name in names)
        if not kept and entry.users - entry.use_fake_user == 0:
            group.remove(entry)


def _actions(owner: bpy.types.ID) -> list[bpy.types.Action]:
    data = owner.animation_data
    if data is None:
        return []
    strips = [strip.action for track in data.nla_tracks for strip in track.strips]
    return [action for action in (data.action, *strips) if action]


def _image_nodes(material: bpy.types.Material) -> list[bpy.types.Node]:
    tree = material.node_tree
    return [node for node in tree.nodes if node.type == "TEX_IMAGE" and node.image] if tree else []
