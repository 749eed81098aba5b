# SPDX-License-Identifier: Apache-2.0
"""Runs inside bpy: opens or imports a file and stores what each frame looks like, in Hyoid's axes (+Y up).

    python probe.py FILE OUT.npz FRAME,FRAME,... [STATEMENT]

OUT holds ``vertices.OBJECT`` (frames, n, 3), ``joints.BONE`` (frames, 3) and ``info``, a JSON text. STATEMENT is Python
that runs after loading with ``scene`` and ``armature``: how a test poses the rig.
"""

import json
import os
import sys

import bpy
import numpy as np


def load(path: str) -> None:
    if path.endswith(".blend"):
        bpy.ops.wm.open_mainfile(filepath=path, use_scripts=False)
        return
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = int(os.environ.get("PROBE_FPS", "30"))  # Alembic has seconds, the importer keeps fps
    if path.endswith(".fbx"):
        bpy.ops.import_scene.fbx(filepath=path, anim_offset=0.0)
    elif path.endswith(".abc"):
        assert bpy.ops.wm.alembic_import(filepath=path, as_background_job=False) == {"FINISHED"}
    elif path.endswith((".glb", ".gltf")):
        bpy.ops.import_scene.gltf(filepath=path)
    else:
        assert bpy.ops.wm.usd_import(filepath=path) == {"FINISHED"}


def widen() -> None:
    """Importers leave sliders at 0..1, which would clamp a larynx that shrinks; the file itself says more."""
    for keys in bpy.data.shape_keys:
        for key in keys.key_blocks[1:]:
            key.slider_min, key.slider_max = -10, 10


def sample(scene, frames):
    meshes = [o for o in scene.objects if o.type == "MESH" and len(o.data.polygons)]
    rigs = [o for o in scene.objects if o.type == "ARMATURE"]
    vertices = {o.name: [] for o in meshes}
    joints = {b.name: [] for rig in rigs for b in rig.pose.bones}
    for frame in frames:
        scene.frame_set(int(frame), subframe=frame - int(frame))
        graph = bpy.context.evaluated_depsgraph_get()
        for o in meshes:
            shown = o.evaluated_get(graph)
            mesh = shown.to_mesh()
            points = np.empty(3 * len(mesh.vertices), np.float32)
            mesh.vertices.foreach_get("co", points)
            world = np.array(shown.matrix_world)
            vertices[o.name].append(to_hyoid(points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]))
            shown.to_mesh_clear()
        for rig in rigs:
            shown = rig.evaluated_get(graph)
            for bone in shown.pose.bones:
                joints[bone.name].append(to_hyoid(np.array(shown.matrix_world @ bone.head)))
    return vertices, joints


def to_hyoid(points):
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


def info(scene) -> dict:
    rig = next((o for o in scene.objects if o.type == "ARMATURE"), None)
    editor = scene.sequence_editor
    strips = [] if editor is None else list(editor.strips if hasattr(editor, "strips") else editor.sequences)
    return {
        "version": bpy.app.version_string,
        "objects": {o.name: o.type for o in scene.objects},
        "collections": [c.name for c in bpy.data.collections],
        "bone_collections": {c.name: [b.name for b in c.bones] for c in rig.data.collections} if rig else {},
        "constraints": {b.name: [c.name for c in b.constraints] for b in rig.pose.bones} if rig else {},
        "keys": {o.name: [k.name for k in o.data.shape_keys.key_blocks]
                 for o in scene.objects if o.type == "MESH" and o.data.shape_keys},
        "relative": [o.data.shape_keys.use_relative for o in scene.objects if o.type == "MESH" and o.data.shape_keys],
        "actions": [a.name for a in bpy.data.actions],
        "slots": [len(getattr(a, "slots", [])) for a in bpy.data.actions],
        "materials": {m.name: sorted({n.type for n in m.node_tree.nodes}) for m in bpy.data.materials if m.node_tree},
        "images": {i.name: i.packed_file is not None for i in bpy.data.images},
        "fps": scene.render.fps / scene.render.fps_base,
        "range": [scene.frame_start, scene.frame_end],
        "camera": scene.camera is not None,
        "lights": sum(o.type == "LIGHT" for o in scene.objects),
        "markers": [[m.name, m.frame] for m in scene.timeline_markers],
        "sounds": [[s.frame_final_start, s.frame_final_end, s.sound.packed_file is not None] for s in strips],
        "properties": {k: v for k, v in rig.items() if isinstance(v, int | float | str)} if rig else {},
        "invalid_drivers": [d.data_path for owner in owners(scene) for d in owner.animation_data.drivers
                            if not d.is_valid or not d.driver.is_valid or not d.driver.is_simple_expression],
        "drivers": sum(len(owner.animation_data.drivers) for owner in owners(scene)),
    }  # fmt: skip


def owners(scene):
    for o in scene.objects:
        if o.animation_data:
            yield o
        keys = o.type == "MESH" and o.data.shape_keys
        if keys and keys.animation_data:
            yield keys


def main() -> None:
    path, out, frames = sys.argv[1:4]
    load(path)
    if not path.endswith(".blend"):
        widen()
    scene = bpy.context.scene
    armature = next((o for o in scene.objects if o.type == "ARMATURE"), None)
    if len(sys.argv) > 4:
        exec(sys.argv[4], {"scene": scene, "armature": armature, "bpy": bpy})
        if armature:
            armature.update_tag()
    vertices, joints = sample(scene, [float(f) for f in frames.split(",")])
    arrays = {f"vertices.{name}": np.array(value) for name, value in vertices.items()}
    arrays |= {f"joints.{name}": np.array(value) for name, value in joints.items()}
    np.savez(out, info=np.array(json.dumps(info(scene))), **arrays)


main()
sys.stdout.flush()
os._exit(0)
