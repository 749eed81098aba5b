# SPDX-License-Identifier: Apache-2.0
"""Runs in Blender: characters that were duplicated by Blender or by the button stay people of their own."""

import importlib

import bpy


def select(objects):
    for obj in bpy.context.view_layer.objects:
        obj.select_set(obj in objects)
    bpy.context.view_layer.objects.active = objects[0]


def main(addon, args):
    find = importlib.import_module(addon.__name__ + ".characters.find")
    scene = bpy.context.scene
    bpy.ops.hyoid.create_character(part="head", name="Anna")
    first = find.active_rig(bpy.context)
    by_button = {}
    bpy.ops.hyoid.duplicate_character()
    second = find.active_rig(bpy.context)
    by_button["names"] = [first.armature.name, second.armature.name, second.body.name]
    by_button["ids"] = len({find.identity(rig.armature)["id"] for rig in (first, second)})
    by_button["collection"] = second.body.users_collection[0] == first.body.users_collection[0]
    by_button["parts"] = len(second.parts) == len(first.parts)
    select([first.armature, *first.parts])
    bpy.ops.object.duplicate()
    third = find.active_rig(bpy.context)
    third.armature.name = "Berta"
    names = find.named(third.armature)
    third.armature.name = "Clara"
    found = find.found(scene, names).name
    find.named(third.armature)
    colours = {}
    for rig in (first, third):
        colours[rig.armature.name] = [slot.material.name for part in rig.parts for slot in part.material_slots]
    bpy.context.view_layer.objects.active = third.armature
    third.armature.hyoid_identity.set_african = 1.0
    own = [slot.material.name for part in third.parts for slot in part.material_slots]
    kept = [slot.material.name for part in first.parts for slot in part.material_slots]
    select([third.armature, *third.parts])
    bpy.ops.object.duplicate(linked=True)
    linked = find.active_rig(bpy.context)
    linked.armature.hyoid_identity.set_age = 0.9
    third.armature.hyoid_identity.set_age = 0.5
    select([first.armature])
    bpy.ops.object.duplicate()
    bare = bpy.context.view_layer.objects.active
    bpy.ops.mesh.primitive_cube_add()
    try:
        bpy.ops.hyoid.talk(audio=args["audio"], target=bpy.context.object.name)
        refused = ""
    except RuntimeError as error:
        refused = str(error)
    return {
        "by_button": by_button,
        "found": found,
        "same_before": colours[first.armature.name] == colours["Clara"],
        "shared_after": sorted(set(own) & set(kept)),
        "kept": kept == colours[first.armature.name],
        "linked": [find.identity(rig.armature)["settings"]["age"] for rig in (third, linked)],
        "said": third.armature.hyoid_identity.message,
        "bare": find.is_bare(bare),
        "whole": find.is_bare(first.armature),
        "refused": refused,
    }
