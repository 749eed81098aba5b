# SPDX-License-Identifier: Apache-2.0
"""A character that lies in a file: written by the toolkit, saved and opened again, linked into another file."""

import importlib
import json

import bpy
import numpy as np


def main(addon, args):
    module = {name: importlib.import_module(f"{addon.__name__}.characters.{name}") for name in ("find", "create")}
    bpy.ops.wm.open_mainfile(filepath=args["path"], use_scripts=False)
    rig = module["find"].rigs(bpy.context.scene)[0]
    answer = {"mark": module["find"].identity(rig.armature), "vertices": len(module["find"].record_of(rig).vertices)}
    rig.armature.hyoid_identity.set_age = 0.4
    answer["message"] = rig.armature.hyoid_identity.message
    fresh = module["create"].create(bpy.context, {"age": 0.4}, "head")
    answer["surface"] = max(
        float(np.abs(points(one) - points(other)).max())
        for one in rig.parts
        for other in fresh.parts
        if one["hyoid_part"] == other["hyoid_part"]
    )
    module["create"].remove(fresh)
    saved = args["path"].replace(".blend", "_saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=saved)
    bpy.ops.wm.open_mainfile(filepath=saved, use_scripts=False)
    rig = module["find"].rigs(bpy.context.scene)[0]
    answer["read_again"] = rig.armature.hyoid_identity.set_age
    before = len(bpy.data.images)
    other = module["create"].create(bpy.context, {}, "head")
    answer["more_images"] = len(bpy.data.images) - before
    module["create"].remove(other)
    module["create"].remove(rig)
    answer["left"] = [collection.name for collection in bpy.data.collections if "Hyoid" in collection.name]

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.preferences.addon_enable(module=addon.__name__)
    with bpy.data.libraries.load(saved, link=True) as (there, here):
        here.collections = [name for name in there.collections if name.startswith("Hyoid") and "widgets" not in name]
    bpy.context.scene.collection.children.link(here.collections[0])
    rig = module["find"].rigs(bpy.context.scene)[0]
    rig.armature.hyoid_identity.set_age = 0.9
    answer["linked"] = {"age": module["find"].identity(rig.armature)["settings"]["age"]}
    try:
        bpy.ops.hyoid.apply_preset(preset="BOY")
    except RuntimeError as error:
        answer["linked"]["refusal"] = str(error)
    return json.loads(json.dumps(answer))


def points(part):
    found = np.empty(3 * len(part.data.vertices), np.float32)
    part.data.vertices.foreach_get("co", found)
    return found
