# SPDX-License-Identifier: Apache-2.0
"""Runs inside Blender: an artist's head of three meshes is rigged with a given character, played, and unrigged."""

import importlib

import bpy
import numpy as np
from evaluated import world_points


def main(addon, args):
    def module(path):
        return importlib.import_module(f"{addon.__name__}.{path}")

    operators, find, own = module("own_head.operators"), module("characters.find"), module("characters.own")
    insert, channels = module("takes.insert"), module("takes.channels")
    take_npz, sample = module("toolkit.formats.take_npz"), module("export.sample")
    scene, answer = bpy.context.scene, {"refused": []}
    scene.render.fps, scene.render.fps_base = 30, 1.0
    with np.load(args["meshes"]) as archive:
        arrays = {name: archive[name] for name in archive.files}
    objects = [made(scene, arrays, number, name) for number, name in enumerate(args["names"])]
    head = objects[0]
    holder = bpy.data.objects.new("holder", None)
    scene.collection.objects.link(holder)
    holder.location = (0.3, 0.1, -0.2)
    head.parent = holder
    head.shape_key_add(name="Basis")
    for name in ("Smile", "noseSneerLeft"):
        head.shape_key_add(name=name)
    head.vertex_groups.new(name="jaw").add([1, 2, 3], 0.5, "REPLACE")
    head.vertex_groups.new(name="hair").add([4], 1.0, "REPLACE")
    smooth = head.modifiers.new("Smooth", "SMOOTH")
    smooth.factor, smooth.vertex_group = 0.0, "jaw"
    head.active_shape_key_index = 1
    select(objects, head)
    before = state(objects)
    points = shown(objects)

    def refused(work):
        try:
            work()
            answer["refused"].append("")
        except Exception as error:  # noqa: BLE001  its words are what is tested
            answer["refused"].append(str(error).strip())

    def with_modifier(kind):
        modifier = head.modifiers.new("Extra", kind)
        if kind == "ARMATURE":
            modifier.object = bpy.data.objects.new("old rig", bpy.data.armatures.new("old rig"))
        refused(lambda: operators.chosen(bpy.context))
        head.modifiers.remove(modifier)

    with_modifier("MIRROR")
    with_modifier("ARMATURE")
    twin = bpy.data.objects.new("twin", head.data)
    refused(lambda: operators.chosen(bpy.context))
    bpy.data.objects.remove(twin)
    bpy.ops.object.mode_set(mode="EDIT")
    refused(lambda: operators.chosen(bpy.context))
    bpy.ops.object.mode_set(mode="OBJECT")
    answer["poll"] = bpy.ops.hyoid.rig_own_head.poll()

    module("own_head.mesh_out").write(__import__("pathlib").Path(args["obj"]), operators.chosen(bpy.context))
    payload = {"mark": "a", "names": [obj.name for obj in objects]}
    for number, obj in enumerate(objects):
        obj[operators.MARK] = f"a {number}"
    head.name = "renamed meanwhile"
    result = {"outputs": [args["character"]]}
    refused(lambda: operators.finish(scene, payload | {"names": ["gone"], "mark": "b"}, result))
    head.data.shape_keys.key_blocks[0].data[5].co.x += 50
    refused(lambda: operators.finish(scene, payload, result))
    head.data.shape_keys.key_blocks[0].data[5].co.x -= 50
    refused(lambda: operators.finish(scene, payload | {"names": payload["names"][:2]}, result))
    answer["untouched"] = list(state(objects).values()) == list(before.values())

    answer["said"] = operators.finish(scene, payload, result)
    rig = find.rig_of(head)
    armature = rig.armature
    answer["marks"] = [operators.MARK in obj for obj in objects]
    answer["place"] = [next(iter(state([obj]).values()))["place"][:9] for obj in objects]
    answer["place before"] = [entry["place"][:9] for entry in before.values()]
    answer["rest"] = max(float(np.abs(a - b).max()) for a, b in zip(shown(objects), points, strict=True))
    answer["keys"] = [key.name for key in head.data.shape_keys.key_blocks]
    answer["groups"] = [group.name for group in head.vertex_groups]
    answer["modifiers"] = [[modifier.type for modifier in obj.modifiers] for obj in objects]
    answer["group_used"] = smooth.vertex_group
    answer["parents"] = [obj.parent == armature for obj in objects] + [armature.parent == holder]
    answer["active_key"] = head.active_shape_key_index
    answer["kept"] = [len(head.data.uv_layers), len(head.data.materials), [p.name for p in rig.parts]]
    take = take_npz.read(args["take"])
    answer["played"] = insert.insert(scene, armature, take, channels.Placement(1, "new", 0, 0, "t"))
    armature["neck_limits"] = 0.0
    rows = []
    for frame in args["frames"]:
        scene.frame_set(frame + 1)
        rows.append(np.concatenate(shown(objects)))
    np.savez(args["out"], points=np.array(rows))
    sampled = sample.take_of(rig, scene, 1, take.frames)
    answer["sampled"] = float(np.abs(sampled.curve("jawOpen") - take.curve("jawOpen")).max())
    select(objects, head)
    answer["again"] = bpy.ops.hyoid.rig_own_head.poll()

    holder.location.z += 1
    bpy.context.view_layer.update()
    answer["follows"] = float(np.concatenate(shown(objects))[:, 2].mean() - rows[-1][:, 2].mean())
    holder.location.z -= 1
    scene.frame_set(1)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.hyoid.remove_character()
    after = state(objects)
    answer["restored"] = [now == was or [now, was] for now, was in zip(after.values(), before.values(), strict=True)]
    answer["own"] = [own.is_own(obj) for obj in objects]
    answer["rest_again"] = max(float(np.abs(a - b).max()) for a, b in zip(shown(objects), points, strict=True))
    head.shape_key_clear()  # without keys of the artist's own, no action is left that moved only the rig's
    head.name = payload["names"][0]
    actions = {action.name for action in bpy.data.actions}
    operators.finish(scene, payload, result)
    insert.insert(scene, head.parent, take, channels.Placement(1, "new", 0, 0, "second"))
    bpy.context.view_layer.objects.active = head
    bpy.ops.hyoid.remove_character()
    answer["actions left"] = sorted({action.name for action in bpy.data.actions} - actions)
    answer["keys left"] = head.data.shape_keys is not None
    answer["armatures"] = [obj.name for obj in bpy.data.objects if obj.type == "ARMATURE"]
    return answer


def made(scene, arrays, number, name):
    mesh = bpy.data.meshes.new(name)
    faces = [[*dict.fromkeys(face)] for face in arrays[f"faces_{number}"].tolist()]
    mesh.from_pydata(arrays[f"points_{number}"].tolist(), [], faces)
    mesh.uv_layers.new(name="UVMap")
    mesh.materials.append(bpy.data.materials.new(name))
    obj = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(obj)
    obj.location, obj.scale = arrays["location"].tolist(), arrays["scale"].tolist()
    bpy.context.view_layer.update()
    return obj


def select(objects, active):
    for obj in bpy.context.view_layer.objects:
        obj.select_set(obj in objects)
    bpy.context.view_layer.objects.active = active


def shown(objects):
    graph = bpy.context.evaluated_depsgraph_get()
    return [world_points(obj.evaluated_get(graph)) for obj in objects]


def state(objects):
    return {
        obj.name: {
            "keys": [key.name for key in obj.data.shape_keys.key_blocks] if obj.data.shape_keys else [],
            "groups": [group.name for group in obj.vertex_groups],
            "modifiers": [modifier.name for modifier in obj.modifiers],
            "place": [
                *obj.location,
                *obj.rotation_euler,
                *obj.scale,
                *(v for row in obj.matrix_parent_inverse for v in row),
            ],
            "parent": obj.parent.name if obj.parent else None,
            "marks": sorted(key for key in obj.keys() if key not in ("cycles", "hyoid_rigging")),  # noqa: SIM118,
        }
        for obj in objects
    }
