# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Blender as a peer: a child process that builds a character's scene once, exports it on demand, and shows any file.

The parent side is :class:`Peer`. The child answers one JSON line to each JSON line; it never sees our writers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

FPS = 30
_Z_UP = np.array([1, -1, 1], np.float32)  # the signs of x, z, y when +Y up becomes +Z up


class Peer:
    """A Blender process that holds a character and its performance: meshes, shape keys, armature, actions."""

    def __init__(self, character: Any, take: Any) -> None:
        from hyoid.blender import process
        from hyoid.characters import performance

        performed = performance.perform(character, take)
        shapes, parts = character.shapes, character.parts
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        np.savez(
            self.folder / "scene.npz",
            vertices=character.vertices, faces=character.faces, uv=character.uv, face_uv=character.face_uv,
            part_names=np.array([part.name for part in parts]),
            part_rows=np.array([[p.vertices.start, p.vertices.stop, p.faces.start, p.faces.stop] for p in parts]),
            shape_names=np.array(shapes.names), starts=shapes.starts, moved=shapes.vertices, offsets=shapes.offsets,
            joint_names=np.array(character.joint_names), parents=character.parents, heads=character.heads,
            weight_joints=character.weight_joints, weights=character.weights,
            shape_weights=performed.shape_weights, rotations=performed.rotations, root=performed.root,
        )  # fmt: skip
        command, environment = process.blender_command()
        self._child = subprocess.Popen(
            [command[0], str(Path(__file__).resolve()), str(self.folder / "scene.npz")],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            from hyoid.errors import HyoidError

            raise HyoidError(f"Blender failed: {answer['error']}")
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and wait for its answer."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()
        return self._answer()

    def export(self, path: Path) -> float:
        """Seconds that Blender's exporter takes for the scene."""
        return self.ask(do="export", path=str(path))["seconds"]

    def show(self, path: Path, frames: list[int]) -> dict[str, np.ndarray]:
        """What Blender shows of a file: ``joints`` (frames, J, 3), their ``joint_names``, and all ``vertices``."""
        out = self.folder / "shown.npz"
        self.ask(do="show", path=str(path), frames=frames, out=str(out))
        with np.load(out, allow_pickle=False) as arrays:
            return dict(arrays)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.wait()
        self._folder.cleanup()


def spread(times: list[float]) -> dict[str, float]:
    """Median, least and most of some seconds."""
    return {"median_seconds": float(np.median(times)), "least": min(times), "most": max(times)}


def joint_difference(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """The largest distance in metres between joints of one name."""
    order = [theirs["joint_names"].tolist().index(name) for name in ours["joint_names"].tolist()]
    return float(np.linalg.norm(ours["joints"] - theirs["joints"][:, order], axis=-1).max())


def grid_character(side: int = 71, shapes: int = 52, joints: int = 55) -> Any:
    """A character of the size that games use: side * side vertices, smooth, with a UV for each, four influences."""
    from hyoid.characters import arkit
    from hyoid.characters.character import Character, Material, NeckLimits, Part, Shapes

    u, v = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side)))
    vertices = np.stack([0.4 * (u - 0.5), 1.2 + 0.6 * v, 0.1 * np.sin(5 * u) * np.cos(4 * v)], -1).astype(np.float32)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    faces = np.stack([corner, corner + 1, corner + side + 1, corner + side], -1).astype(np.int32)
    dice = np.random.default_rng(1)
    starts, moved, offsets = [0], [], []
    for _ in range(shapes):
        away = np.hypot(u - dice.random(), v - dice.random())
        rows = np.flatnonzero(away < 0.25)
        bump = np.exp(-((away[rows, None] / 0.1) ** 2)) * dice.normal(0, 0.01, 3)
        moved.append(rows.astype(np.int32))
        offsets.append(bump.astype(np.float32))
        starts.append(starts[-1] + len(rows))
    heads = np.stack([0 * np.arange(joints), np.linspace(1.2, 1.8, joints), 0 * np.arange(joints)], -1).astype(
        np.float32
    )
    nearest = np.clip((v * (joints - 1))[:, None].astype(int) + np.arange(4) - 1, 0, joints - 1)
    distance = np.abs(v[:, None] * (joints - 1) - nearest)
    weights = np.where(np.diff(nearest, axis=1, prepend=-1) == 0, 0, np.exp(-distance))
    order = np.argsort(-weights, axis=1, kind="stable")
    weights = np.take_along_axis(weights, order, 1)
    full_weights, full_joints = np.zeros((len(u), 8), np.float32), np.zeros((len(u), 8), np.int32)
    full_weights[:, :4] = weights / weights.sum(1, keepdims=True)
    full_joints[:, :4] = np.where(weights > 0, np.take_along_axis(nearest, order, 1), 0)
    names = (*arkit.NAMES, *(f"shape{number:02d}" for number in range(shapes)))[:shapes]
    return Character(
        name="grid", licence="CC0-1.0", settings={}, vertices=vertices, faces=faces,
        uv=np.stack([u, v], -1).astype(np.float32), face_uv=faces.copy(),
        parts=(Part("body", "skin", slice(0, len(u)), slice(0, len(faces))),),
        shapes=Shapes(names, np.array(starts), np.concatenate(moved), np.concatenate(offsets)),
        joint_names=tuple(f"joint{number:02d}" for number in range(joints)),
        parents=np.arange(-1, joints - 1, dtype=np.int32), heads=heads, tails=heads + np.float32(0.01),
        weight_joints=full_joints, weights=full_weights, drivers=(), neck=NeckLimits(*np.ones((5, 8))),
        materials={"skin": Material("skin")}, landmarks={},
    )  # fmt: skip


def busy_take(character: Any, frames: int) -> Any:
    """A take in which every shape and every joint of a character moves in every frame."""
    from hyoid.take import Take

    time_axis = np.arange(frames)[:, None] / FPS
    root = np.zeros((frames, 3), np.float32)
    root[:, 1] = 0.01 * np.sin(time_axis[:, 0])
    names = tuple(name for name in character.shapes.names if not name.startswith("larynx"))
    curves = 0.5 + 0.5 * np.sin(2 * np.pi * (0.7 * time_axis + np.arange(len(names)) / 17))
    half = np.radians(1) * np.sin(2 * np.pi * (0.5 * time_axis + np.arange(len(character.joint_names)) / 9))
    axes = np.eye(3)[np.arange(half.shape[1]) % 3]
    rotations = np.concatenate([np.cos(half)[..., None], np.sin(half)[..., None] * axes], -1)
    return Take(
        fps=FPS, curve_names=names, curves=curves.astype(np.float32), joint_names=character.joint_names,
        rotations=rotations.astype(np.float32), confidence=np.ones(frames, np.float32),
        root=root,
    )  # fmt: skip


# --- the child -------------------------------------------------------------------------------------------------------


def _serve(scene_path: str) -> None:
    # Blender talks on stdout; the answers get a pipe of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import bpy

    frames = _build(bpy, dict(np.load(scene_path)))
    own = {item.name for item in bpy.data.objects}
    answers.write('{"ready": true}\n')
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "export":
                answer = {"seconds": _export(bpy, request["path"], frames)}
            else:
                answer = _show(bpy, own, request["path"], request["frames"], request["out"])
        except Exception as error:  # noqa: BLE001  # whatever happens, the parent must hear of it
            answer = {"error": str(error)[:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _build(bpy: Any, data: dict[str, np.ndarray]) -> int:
    """The scene: bones with world-aligned axes, one object a part, actions written with ``foreach_set``."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    frames = len(data["root"])
    scene.render.fps, scene.frame_start, scene.frame_end = FPS, 0, frames - 1
    names, heads = data["joint_names"].tolist(), data["heads"][:, [0, 2, 1]] * [1, -1, 1]
    armature = bpy.data.armatures.new("rig")
    rig = bpy.data.objects.new("rig", armature)
    scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, head, parent in zip(names, heads, data["parents"].tolist(), strict=True):
        bone = armature.edit_bones.new(name)
        bone.head, bone.tail = head, head + np.array([0, 0.02, 0])
        bone.parent = armature.edit_bones[names[parent]] if parent >= 0 else None
    bpy.ops.object.mode_set(mode="OBJECT")
    action = bpy.data.actions.new("rig")
    rig.animation_data_create().action = action
    turns = data["rotations"][..., [0, 1, 3, 2]] * [1, 1, -1, 1]
    for index, name in enumerate(names):
        _curves(action, f'pose.bones["{name}"].rotation_quaternion', turns[:, index], name)
    _curves(action, f'pose.bones["{names[0]}"].location', data["root"][:, [0, 2, 1]] * [1, -1, 1], names[0])
    material = bpy.data.materials.new("skin")
    for name, rows in zip(data["part_names"].tolist(), data["part_rows"].tolist(), strict=True):
        _mesh(bpy, data, rig, material, name, rows)
    return frames


def _curves(action: Any, path: str, values: np.ndarray, group: str) -> None:
    for index, column in enumerate(values.T):
        curve = action.fcurves.new(path, index=index, action_group=group)
        curve.keyframe_points.add(len(column))
        curve.keyframe_points.foreach_set("co", np.stack([np.arange(len(column)), column], -1).ravel())
        curve.keyframe_points.foreach_set("interpolation", np.ones(len(column), np.int32))  # linear
        curve.update()


def _mesh(bpy: Any, data: dict[str, np.ndarray], rig: Any, material: Any, name: str, rows: list[int]) -> None:
    first, last, face_first, face_last = rows
    faces = data["faces"][face_first:face_last]
    keep = np.ones(faces.shape, bool)
    keep[:, 3] = faces[:, 3] != faces[:, 2]
    points = data["vertices"][first:last][:, [0, 2, 1]] * _Z_UP
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(
        points.tolist(), [], [(face[kept] - first).tolist() for face, kept in zip(faces, keep, strict=True)]
    )
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    mesh.uv_layers.new(name="UVMap").uv.foreach_set(
        "vector", data["uv"][data["face_uv"][face_first:face_last][keep]].ravel()
    )
    mesh.materials.append(material)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    item.parent = rig
    item.modifiers.new("rig", "ARMATURE").object = rig
    groups = [item.vertex_groups.new(name=joint) for joint in data["joint_names"].tolist()]
    for vertex, (joints, weights) in enumerate(
        zip(data["weight_joints"][first:last].tolist(), data["weights"][first:last].tolist(), strict=True)
    ):
        for joint, weight in zip(joints, weights, strict=True):
            if weight > 0:
                groups[joint].add([vertex], weight, "REPLACE")
    _shape_keys(bpy, data, item, points, first, last)


def _shape_keys(bpy: Any, data: dict[str, np.ndarray], item: Any, points: np.ndarray, first: int, last: int) -> None:
    action = None
    for shape, name in enumerate(data["shape_names"].tolist()):
        piece = slice(data["starts"][shape], data["starts"][shape + 1])
        moved = data["moved"][piece]
        inside = (moved >= first) & (moved < last)
        if not inside.any():
            continue
        if action is None:
            item.shape_key_add(name="Basis")
            action = bpy.data.actions.new(item.name)
            item.data.shape_keys.animation_data_create().action = action
        key = item.shape_key_add(name=name)
        shifted = points.copy()
        shifted[moved[inside] - first] += data["offsets"][piece][inside][:, [0, 2, 1]] * _Z_UP
        key.data.foreach_set("co", shifted.ravel())
        _curves(action, f'key_blocks["{name}"].value', data["shape_weights"][:, shape : shape + 1], "shapes")


def _export(bpy: Any, path: str, frames: int) -> float:
    start = time.perf_counter()
    if path.endswith(".glb"):
        # All influences and morph normals, as in our file; one animation out of all actions; the rest is the default.
        bpy.ops.export_scene.gltf(
            filepath=path, export_influence_nb=8, export_animation_mode="ACTIVE_ACTIONS", export_morph_normal=True
        )
    else:
        bpy.context.view_layer.objects.active = bpy.data.objects["rig"]
        bpy.ops.export_anim.bvh(filepath=path, frame_start=0, frame_end=frames - 1)
    return time.perf_counter() - start


def _show(bpy: Any, own: set[str], path: str, frames: list[int], out: str) -> dict[str, float]:
    before = set(bpy.data.objects)
    begin = time.perf_counter()
    start = 0
    if path.endswith(".glb"):
        bpy.ops.import_scene.gltf(filepath=path)
    else:
        # Blender's own BVH has Blender's axes, ours those that its importer expects.
        axes = {"axis_forward": "Y", "axis_up": "Z"} if path.endswith("blender.bvh") else {}
        bpy.ops.import_anim.bvh(filepath=path, frame_start=1, **axes)
        start = 1
    seconds = time.perf_counter() - begin
    new = [item for item in bpy.data.objects if item not in before]
    rig = next(item for item in new if item.type == "ARMATURE")
    joints, vertices = [], []
    for frame in frames:
        bpy.context.scene.frame_set(frame + start)
        graph = bpy.context.evaluated_depsgraph_get()
        joints.append([rig.matrix_world @ bone.head for bone in rig.pose.bones])
        points = []
        for item in new:
            if item.type == "MESH" and item.find_armature() == rig:
                evaluated = item.evaluated_get(graph)
                matrix = np.array(evaluated.matrix_world)
                mesh = evaluated.to_mesh()
                flat = np.empty(3 * len(mesh.vertices), np.float32)
                mesh.vertices.foreach_get("co", flat)
                points.append(flat.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
                evaluated.to_mesh_clear()
        vertices.append(np.concatenate([np.empty((0, 3)), *points]))
    names = np.array([bone.name for bone in rig.pose.bones])
    np.savez(out, joint_names=names, joints=np.array(joints, float), vertices=np.array(vertices))
    for item in new:
        bpy.data.objects.remove(item)
    # What was imported must not be exported in the next round.
    bpy.ops.outliner.orphans_purge(do_recursive=True)
    assert own.issuperset(item.name for item in bpy.data.objects)
    return {"seconds": seconds}


if __name__ == "__main__":
    _serve(sys.argv[1])
