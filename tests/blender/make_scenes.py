# SPDX-License-Identifier: Apache-2.0
"""Runs inside bpy: makes the scenes that the tests of renders need out of the scene of a character.

python make_scenes.py TOY.blend FOLDER
"""

import os
import sys
from pathlib import Path

import bpy


def settle(scene):
    """Small, coarse and quick."""
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 2, False
    scene.render.resolution_x = scene.render.resolution_y = 48
    scene.render.resolution_percentage = 100


def save(path):
    bpy.context.preferences.filepaths.save_version = 0
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=False, check_existing=False)


def dress(scene, folder):
    """All passes in one file, a node that writes files of its own, a picture that is gone, a camera that takes over."""
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    scene.view_layers[0].use_pass_z = True
    scene.use_nodes = True
    node = scene.node_tree.nodes.new("CompositorNodeOutputFile")
    node.base_path = str(folder / "nodes")
    layers = next(node for node in scene.node_tree.nodes if node.type == "R_LAYERS")
    scene.node_tree.links.new(layers.outputs["Image"], node.inputs[0])
    image = bpy.data.images.new("gone", 4, 4)
    image.source, image.filepath = "FILE", "//textures/gone.png"
    image.use_fake_user = True
    side = scene.camera.copy()
    side.location.x += 10
    scene.collection.objects.link(side)
    for frame, camera in ((1, scene.camera), (3, side)):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    armature = next(item for item in scene.objects if item.type == "ARMATURE")
    armature.keyframe_insert("location", frame=1)


def main():
    import addon_utils  # which is there once bpy is

    toy, folder = sys.argv[1], Path(sys.argv[2])
    addon_utils.enable("cycles", default_set=True)
    bpy.ops.wm.open_mainfile(filepath=toy, use_scripts=False)
    scene = bpy.context.scene
    settle(scene)
    text = bpy.data.texts.new("evil.py")  # what nobody may run
    text.write(f"open({str(folder / 'ran')!r}, 'w').close()")
    text.use_module = True
    save(folder / "shot.blend")

    dress(scene, folder)
    save(folder / "passes.blend")

    bpy.ops.wm.open_mainfile(filepath=str(folder / "shot.blend"), use_scripts=False)
    scene = bpy.context.scene
    for item in [item for item in scene.objects if item.type in ("CAMERA", "LIGHT")]:
        bpy.data.objects.remove(item)
    scene.world = None
    save(folder / "bare.blend")

    scene.render.fps = 24
    armature = next(item for item in scene.objects if item.type == "ARMATURE")
    twin = armature.copy()
    scene.collection.objects.link(twin)
    for part in [item for item in scene.objects if item.parent == armature and item.type == "MESH"]:
        other = part.copy()
        other.parent = twin
        scene.collection.objects.link(other)
    twin.name = "twin"
    save(folder / "two.blend")

    for item in list(scene.objects):
        bpy.data.objects.remove(item)
    bpy.ops.mesh.primitive_cube_add()
    save(folder / "cube.blend")
    for name in ("left", "right"):
        scene.collection.objects.link(bpy.data.objects.new(name, bpy.data.cameras.new(name)))
    save(folder / "cameras.blend")

    with bpy.data.libraries.load(str(folder / "shot.blend"), link=True) as (there, wanted):
        wanted.collections = [name for name in there.collections if name.startswith("Hyoid") and "widget" not in name]
    scene.collection.children.link(wanted.collections[0])
    scene.camera = bpy.data.objects["left"]
    save(folder / "linked.blend")


main()
sys.stdout.flush()
os._exit(0)
