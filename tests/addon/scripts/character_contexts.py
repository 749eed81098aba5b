# SPDX-License-Identifier: Apache-2.0
"""Creates and removes characters in the states that artists leave a session in; answers what else changed."""

import importlib
import json

import bpy


def main(addon, args):
    find = importlib.import_module(addon.__name__ + ".characters.find")
    create = importlib.import_module(addon.__name__ + ".characters.create")
    answer = {}
    for name, prepare in (
        ("plain", plain),
        ("edit", edit_mode),
        ("hidden", hidden_collection),
        ("excluded", excluded_collection),
        ("posed", posed_character),
        ("scenes", several_scenes),
    ):
        bpy.ops.wm.read_homefile(use_empty=False, use_factory_startup=True)
        importlib.import_module(addon.__name__)
        bpy.ops.preferences.addon_enable(module=addon.__name__)
        prepare()
        before, state = counts(), session()
        result = bpy.ops.hyoid.create_character(preset="GIRL", part="head")
        after_create = session()
        made = [rig for scene in bpy.data.scenes for rig in find.rigs(scene)][-1]
        seen = made.armature.visible_get() and all(part.visible_get() for part in made.parts)
        evaluated = made.body.evaluated_get(bpy.context.evaluated_depsgraph_get())
        height = max(vertex.co.z for vertex in evaluated.to_mesh().vertices)
        evaluated.to_mesh_clear()
        bpy.ops.hyoid.create_character(preset="OLD_MAN", part="full", location="CURSOR")
        names = sorted(find.identity(rig.armature)["name"] for rig in find.rigs(bpy.context.scene))
        shared = sorted({image.name for image in bpy.data.images if image.get("hyoid_sha256")})
        for rig in find.rigs(bpy.context.scene):
            if find.identity(rig.armature)["name"] != "old":
                create.remove(rig)
        answer[name] = {
            "result": list(result),
            "seen": seen,
            "height": height,
            "names": names,
            "images": len(shared),
            "unlike": {key: (before[key], value) for key, value in counts().items() if before[key] != value},
            "before": state,
            "after_create": after_create,
            "after_remove": session(),
        }
    return json.loads(json.dumps(answer))


def counts():
    groups = [name for name in dir(bpy.data) if hasattr(getattr(bpy.data, name), "remove")]
    return {name: len(getattr(bpy.data, name)) for name in groups}


def session():
    """What an artist would miss: the mode, the active object and collection, the selection, time and frame range."""
    context = bpy.context
    active = context.view_layer.objects.active
    return {
        "mode": context.mode,
        "active": active.name if active else None,
        "collection": context.view_layer.active_layer_collection.name,
        "selected": sorted(obj.name for obj in context.view_layer.objects if obj.select_get()),
        "scene": context.scene.name,
        "frames": [context.scene.frame_start, context.scene.frame_end, context.scene.frame_current],
        "fps": context.scene.render.fps,
        "cube": [round(value, 6) for value in bpy.data.objects["Cube"].matrix_world.translation],
    }


def plain():
    bpy.data.objects["Cube"].location.x = 0.25
    bpy.context.view_layer.update()


def edit_mode():
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    bpy.ops.object.mode_set(mode="EDIT")


def hidden_collection():
    made = bpy.data.collections.new("Away")
    bpy.context.scene.collection.children.link(made)
    layer = bpy.context.view_layer.layer_collection.children["Away"]
    bpy.context.view_layer.active_layer_collection = layer
    layer.hide_viewport = made.hide_viewport = True
    bpy.context.view_layer.objects.active = None


def excluded_collection():
    hidden_collection()
    bpy.context.view_layer.layer_collection.children["Away"].exclude = True


def posed_character():
    bpy.ops.hyoid.create_character(preset="BOY", part="head", name="old")
    bpy.ops.object.mode_set(mode="POSE")


def several_scenes():
    other = bpy.data.scenes.new("Other")
    other.collection.objects.link(bpy.data.objects["Cube"])
    bpy.data.objects.new("human_rig", None)  # the name is taken
