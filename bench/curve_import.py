# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""Putting a take's curves into Blender: our ``foreach_set`` path beside ``keyframe_insert``, what most add-ons call.

300 frames of 52 shape keys and 55 quaternion bones. Both results are evaluated at every frame and must be equal before
any time counts; the runs alternate, and medians are compared.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np

SUMMARY = "curve import into Blender: foreach_set beside keyframe_insert, ratio of medians"
FRAMES, SHAPES, BONES, ROUNDS = 300, 52, 55, 3
GOAL = 30.0


def run() -> dict[str, Any]:
    """Measure in a Blender child process.

    Raises:
        MissingToolError: bpy is not installed.
        HyoidError: the two ways do not give equal curves.
    """
    from hyoid.blender import process
    from hyoid.errors import HyoidError, MissingToolError

    command, environment = process.blender_command()
    if command[-2:] != [str(process.CHILD), "--"] or "-b" in command:
        raise MissingToolError("this bench needs a Python that has bpy", hint="Unset HYOID_BLENDER")
    child = [command[0], str(Path(__file__).resolve()), "--child"]
    done = subprocess.run(child, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HyoidError(f"the child failed: {(done.stderr.strip().splitlines() or ['silently'])[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure() -> dict[str, Any]:
    """The measurement itself, inside Blender."""
    import bpy

    # The modules of the writer itself, loaded as its child process loads them.
    package = types.ModuleType("hyoid_blender")
    package.__path__ = [str(Path(__file__).resolve().parents[1] / "toolkit" / "hyoid" / "blender")]
    sys.modules["hyoid_blender"] = package
    from hyoid_blender import animation, compat

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.edit.keyframe_new_interpolation_type = "LINEAR"
    keys, armature = _scene(bpy)
    weights, rotations = _curves()

    def ours() -> None:
        action = bpy.data.actions.new("ours")
        bones = compat.fcurve_owner(armature, action)
        face = compat.fcurve_owner(keys, action if compat.has_slots() else bpy.data.actions.new("ours face"))
        frames = np.arange(FRAMES, dtype=np.float32)
        for index, key in enumerate(keys.key_blocks[1:]):
            animation.add_channel(face, f'key_blocks["{key.name}"].value', "Face", frames, weights[:, index])
        for index, bone in enumerate(armature.pose.bones):
            path = f'pose.bones["{bone.name}"].rotation_quaternion'
            animation.add_channel(bones, path, bone.name, frames, rotations[:, index])

    def peer() -> None:
        blocks, bones = list(keys.key_blocks[1:]), list(armature.pose.bones)
        for frame in range(FRAMES):
            for index, key in enumerate(blocks):
                key.value = weights[frame, index]
                key.keyframe_insert("value", frame=frame)
            for index, bone in enumerate(bones):
                bone.rotation_quaternion = rotations[frame, index]
                bone.keyframe_insert("rotation_quaternion", frame=frame)

    times: dict[str, list[float]] = {"ours": [], "keyframe_insert": []}
    for round_ in range(ROUNDS):
        for name, way in (("ours", ours), ("keyframe_insert", peer)):
            _clear(bpy, keys, armature)
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
            if round_ == 0:
                _check(bpy, keys, armature, weights, rotations, name)
    ratio = statistics.median(times["keyframe_insert"]) / statistics.median(times["ours"])
    return {
        "blender": bpy.app.version_string,
        "frames": FRAMES,
        "curves": SHAPES + 4 * BONES,
        "ours_seconds": statistics.median(times["ours"]),
        "keyframe_insert_seconds": statistics.median(times["keyframe_insert"]),
        "spread": {name: [min(values), max(values)] for name, values in times.items()},
        "ratio": round(ratio, 1),
        "goal": GOAL,
        "met": ratio >= GOAL,
    }


def _scene(bpy: Any) -> tuple[Any, Any]:
    """Shape keys on a triangle, and an armature."""
    mesh = bpy.data.meshes.new("mesh")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    face = bpy.data.objects.new("face", mesh)
    armature = bpy.data.objects.new("rig", bpy.data.armatures.new("rig"))
    for thing in (face, armature):
        bpy.context.scene.collection.objects.link(thing)
    face.shape_key_add(name="Basis")
    for index in range(SHAPES):
        face.shape_key_add(name=f"shape{index:02d}")
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    for index in range(BONES):
        bone = armature.data.edit_bones.new(f"bone{index:02d}")
        bone.head, bone.tail = (0, 0, 0.1 * index), (0, 0, 0.1 * index + 0.1)
    bpy.ops.object.mode_set(mode="OBJECT")
    return mesh.shape_keys, armature


def _curves() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    weights = random.uniform(0, 1, (FRAMES, SHAPES)).astype(np.float32)
    rotations = np.cumsum(random.normal(0, 0.05, (FRAMES, BONES, 4)), 0) + np.array([2.0, 0, 0, 0])
    rotations /= np.linalg.norm(rotations, axis=-1, keepdims=True)
    return weights, rotations.astype(np.float32)


def _clear(bpy: Any, keys: Any, armature: Any) -> None:
    keys.animation_data_clear()
    armature.animation_data_clear()
    for action in list(bpy.data.actions):
        bpy.data.actions.remove(action)


def _check(bpy: Any, keys: Any, armature: Any, weights: np.ndarray, rotations: np.ndarray, name: str) -> None:
    """The scene shows the curves at every frame."""
    for frame in range(FRAMES):
        bpy.context.scene.frame_set(frame)
        shown = np.array([key.value for key in keys.key_blocks[1:]])
        turned = np.array([bone.rotation_quaternion for bone in armature.pose.bones])
        error = max(np.abs(shown - weights[frame]).max(), np.abs(turned - rotations[frame]).max())
        if error > 1e-6:
            raise RuntimeError(f"{name} differs from the curves by {error} in frame {frame}")


def main() -> None:
    """Print the measurement as JSON."""
    print(json.dumps(run(), indent=1))


if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(measure()))
        sys.stdout.flush()
        os._exit(0)
    main()
