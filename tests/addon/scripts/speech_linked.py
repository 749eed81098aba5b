# SPDX-License-Identifier: Apache-2.0
"""Runs in Blender: a character that is linked from another file and overridden here keeps its talks."""

import importlib

import bpy


def main(addon, args):
    find = importlib.import_module(f"{addon.__name__}.characters.find")
    phones = importlib.import_module(f"{addon.__name__}.speech.phones")
    event = importlib.import_module(f"{addon.__name__}.toolkit.take").Event
    bpy.ops.hyoid.create_character(part="head")
    bpy.ops.wm.save_as_mainfile(filepath=args["library"])
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(args["library"], link=True) as (inside, wanted):
        wanted.collections = [name for name in inside.collections if name == "Hyoid human"]
    bpy.context.scene.collection.children.link(wanted.collections[0])
    wanted.collections[0].override_hierarchy_create(bpy.context.scene, bpy.context.view_layer)

    def mine():
        return next(rig.armature for rig in find.rigs(bpy.context.scene) if rig.armature.library is None)

    events = [event("phone", "SIL", 0.0, 0.2), event("phone", "AA", 0.2, 0.6), event("phone", "M", 0.6, 1.0)]
    phones.add(mine(), "talk", events, 1.0, 10.0, 24.0, {"audio": "x.wav"}, "", "replace")
    mine().hyoid_talk.talks[0].phones[1].strength = 0.5
    made = told(mine())
    bpy.ops.wm.save_as_mainfile(filepath=args["shot"])
    bpy.ops.wm.open_mainfile(filepath=args["shot"])
    return {"made": made, "kept": told(mine())}


def told(armature):
    return [[entry.name, round(entry.strength, 3)] for talk in armature.hyoid_talk.talks for entry in talk.phones]
