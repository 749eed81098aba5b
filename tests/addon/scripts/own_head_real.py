# SPDX-License-Identifier: Apache-2.0
"""Runs inside Blender: a head with eyes, teeth and brows of its own is rigged by the toolkit, and moves."""

import importlib

import bpy
import numpy as np
from evaluated import world_points


def main(addon, args):
    def module(path):
        return importlib.import_module(f"{addon.__name__}.{path}")

    find = module("characters.find")
    scene, answer = bpy.context.scene, {}
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    with np.load(args["meshes"]) as archive:
        arrays = {name: archive[name] for name in archive.files}
    objects = [made(scene, arrays, number, name) for number, name in enumerate(args["names"])]
    head = objects[0]
    if args["decimate"]:
        thin(head, args["decimate"])
    for obj in objects:
        obj.select_set(True)
    bpy.context.view_layer.objects.active = head
    rest = world_points(head)
    answer["result"] = list(bpy.ops.hyoid.rig_own_head(wait=True))
    rig = find.rig_of(head)
    answer["keys"] = len(head.data.shape_keys.key_blocks)
    answer["parts"] = [part.name for part in rig.parts]
    answer["bones"] = [bone.name for bone in rig.armature.data.bones]
    answer["groups"] = {obj.name: sorted(group.name for group in obj.vertex_groups) for obj in objects}
    answer["rest"] = float(np.abs(world_points(head.evaluated_get(bpy.context.evaluated_depsgraph_get())) - rest).max())

    def pose(**values):
        for key in head.data.shape_keys.key_blocks[1:]:
            key.value = values.get(key.name, 0.0) if not key.name.startswith("corrective") else key.value
        rig.armature.update_tag()
        bpy.context.view_layer.update()
        graph = bpy.context.evaluated_depsgraph_get()
        return {obj.name: world_points(obj.evaluated_get(graph)) for obj in objects}

    still, opened = pose(), pose(jawOpen=1.0)
    answer["jaw"] = {name: float((opened[name] - still[name])[:, 2].min()) / args["size"] for name in opened}
    looked = pose(eyeLookUpLeft=1.0, eyeLookUpRight=1.0)
    answer["look"] = {name: float(np.abs(looked[name] - still[name]).max()) / args["size"] for name in looked}
    rig.armature["head_turn"] = 50.0
    turned = pose()
    answer["turn"] = float(np.abs(turned[head.name] - still[head.name]).max()) / args["size"]
    answer["correctives"] = float(
        max(abs(key.value) for key in head.data.shape_keys.key_blocks if key.name.startswith("corrective"))
    )
    rig.armature["head_turn"] = 0.0
    if args.get("save"):
        bpy.ops.wm.save_as_mainfile(filepath=args["save"])
    return answer


def made(scene, arrays, number, name):
    mesh = bpy.data.meshes.new(name)
    faces = [[*dict.fromkeys(face)] for face in arrays[f"faces_{number}"].tolist()]
    mesh.from_pydata(arrays[f"points_{number}"].tolist(), [], faces)
    obj = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(obj)
    bpy.context.view_layer.update()
    return obj


def thin(obj, ratio):
    """Another topology: triangles, fewer of them."""
    modifier = obj.modifiers.new("Decimate", "DECIMATE")
    modifier.ratio = ratio
    with bpy.context.temp_override(object=obj, active_object=obj):
        bpy.ops.object.modifier_apply(modifier="Decimate")
