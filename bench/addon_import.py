# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""A take into Blender by the add-on, beside ``keyframe_insert`` and beside Blender's glTF importer.

52 face curves and 60 quaternion bones, all moving, on the bundled human (whole body):

- 300 frames from memory into actions: our ``insert`` and ``keyframe_insert`` on the same character; every key of both
  must agree before a time counts;
- 300 frames from files: our operator (reads a .take.npz and inserts) beside Blender's glTF importer on a .glb of the
  same take. The importer also makes the meshes, so our creation of the character plus the import stands beside it.
  Joints and face weights of both must agree on five frames;
- 10 000 frames from a file by our operator. ``keyframe_insert`` is not run on those.

The ways alternate, and medians are compared.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SUMMARY = "a take into Blender: the add-on beside keyframe_insert and beside Blender's glTF importer"
FRAMES, LONG, CURVES, BONES, FPS = 300, 10_000, 52, 60, 30
ROUNDS, PEER_ROUNDS = 7, 3
GOALS = {"insert_300_seconds": 0.5, "import_10000_seconds": 5.0}
CHECKED = (0, 60, 150, 222, 299)
TOLERANCE = 1e-4  # metres and weights
ROOT = Path(__file__).resolve().parents[1]
NEWEST = ROOT / ".tools" / "bpy-5.0"


def run() -> dict[str, Any]:
    """Measure in a Blender child process: the bpy 5.0 of ``make tools`` where it is, else the one that is installed.

    Raises:
        MissingToolError: there is no bpy.
        HyoidError: two ways do not give the same animation.
    """
    from hyoid import characters
    from hyoid.errors import HyoidError, MissingToolError
    from hyoid.formats import glb, take_npz

    environment = dict(os.environ)
    if NEWEST.is_dir():
        environment["PYTHONPATH"] = str(NEWEST)
    elif importlib.util.find_spec("bpy") is None:
        raise MissingToolError("bpy is not installed", hint='make tools, or pip install "bpy>=4.2.23,<4.3"')
    character = characters.load("human", part="full")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for relative, data in _builder().contents().items():
            path = folder / "addons" / "hyoid_addon" / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        short = take(character.joint_names[-BONES:], FRAMES)
        take_npz.write(folder / "short.take.npz", short)
        take_npz.write(folder / "long.take.npz", take(character.joint_names[-BONES:], LONG))
        glb.write(folder / "short.glb", character, short)
        child = [sys.executable, str(Path(__file__).resolve()), "--child", str(folder)]
        done = subprocess.run(child, env=environment, capture_output=True, text=True, check=False)
        answer = folder / "answer.json"
        if done.returncode or not answer.is_file():
            raise HyoidError(f"the child failed: {(done.stderr.strip().splitlines() or ['silently'])[-1]}")
        return json.loads(answer.read_text(encoding="utf-8"))


def _builder() -> Any:
    """The module that builds the add-on."""
    spec = importlib.util.spec_from_file_location("hyoid_addon_build", ROOT / "addon" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def take(joints: tuple[str, ...], frames: int) -> Any:
    """A take in which every ARKit curve and every one of the joints moves in every frame."""
    from hyoid.characters import arkit
    from hyoid.take import Take

    seconds = np.arange(frames)[:, None] / FPS
    curves = 0.5 + 0.5 * np.sin(2 * np.pi * (0.7 * seconds + np.arange(CURVES) / 17))
    half = np.radians(1) * np.sin(2 * np.pi * (0.5 * seconds + np.arange(len(joints)) / 9))
    axes = np.array([[0.6, 0.64, 0.48], [-0.6, 0.48, 0.64], [0.48, -0.6, 0.64]])[np.arange(len(joints)) % 3]
    rotations = np.concatenate([np.cos(half)[..., None], np.sin(half)[..., None] * axes], -1)
    return Take(
        fps=FPS, curve_names=arkit.NAMES[:CURVES], curves=curves.astype(np.float32), joint_names=joints,
        rotations=rotations.astype(np.float32), root=np.zeros((frames, 3), np.float32),
        confidence=np.ones(frames, np.float32),
    )  # fmt: skip


# --- the child -------------------------------------------------------------------------------------------------------


def measure(folder: Path) -> dict[str, Any]:
    """The measurement itself, inside Blender."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    sys.path.insert(0, str(folder / "addons"))
    importlib.import_module("hyoid_addon").register()
    case = _Case(bpy, folder)
    insertion, channels = case.insertion()
    importing = case.importing()
    long = case.long()
    found = {"insert_300_seconds": insertion["add-on"], "import_10000_seconds": long}
    return {
        "blender": bpy.app.version_string,
        "curves": channels,
        "insert_300_frames": _told(insertion, "add-on", "keyframe_insert"),
        "import_300_frames": _told(importing, "add-on, character created", "glTF importer"),
        "import_10000_frames": {"add-on": _spread(long), "keys": LONG * channels},
        "goals": GOALS,
        "met": all(statistics.median(times) < GOALS[name] for name, times in found.items()),
    }


def _told(times: dict[str, list[float]], ours: str, peer: str) -> dict[str, Any]:
    ratio = statistics.median(times[peer]) / statistics.median(times[ours])
    return {name: _spread(values) for name, values in times.items()} | {"ratio": round(ratio, 1)}


def _spread(times: list[float]) -> dict[str, float]:
    return {"median_seconds": statistics.median(times), "least": min(times), "most": max(times)}


class _Case:
    """A scene at 30 frames a second with the bundled human in it."""

    def __init__(self, bpy: Any, folder: Path) -> None:
        self.bpy, self.folder, self.scene = bpy, folder, bpy.context.scene
        self.scene.render.fps = FPS
        bpy.context.preferences.edit.keyframe_new_interpolation_type = "LINEAR"
        self.create = importlib.import_module("hyoid_addon.characters.create")
        self.take = importlib.import_module("hyoid_addon.takes.importer").read(folder / "short.take.npz")
        self.rig = self.create.create(bpy.context, {}, "full")
        self.keys = self.rig.body.data.shape_keys

    def insertion(self) -> tuple[dict[str, list[float]], int]:
        """Seconds of both ways from memory, and the number of f-curves."""
        insert = importlib.import_module("hyoid_addon.takes.insert")
        channels = importlib.import_module("hyoid_addon.takes.channels")
        times: dict[str, list[float]] = {"add-on": [], "keyframe_insert": []}
        ours = theirs = {}
        for number in range(ROUNDS):
            self.clear()
            start = time.perf_counter()
            insert.insert(self.scene, self.rig.armature, self.take, channels.Placement(1))
            times["add-on"].append(time.perf_counter() - start)
            ours = self.curves()
            if number < PEER_ROUNDS:
                turns = self.turns(ours)
                self.clear()
                start = time.perf_counter()
                self.keyframes(turns)
                times["keyframe_insert"].append(time.perf_counter() - start)
                theirs = self.curves()
            self.same_keys(ours, theirs)
        return times, len(ours)

    def importing(self) -> dict[str, list[float]]:
        """Seconds of both ways from files."""
        ours, alone, theirs = [], [], []
        for number in range(PEER_ROUNDS):
            self.create.remove(self.rig)
            start = time.perf_counter()
            self.rig = self.create.create(self.bpy.context, {}, "full")
            between = time.perf_counter()
            self.open("short.take.npz")
            end = time.perf_counter()
            ours.append(end - start)
            alone.append(end - between)
            shown = self.shown(self.rig.armature, self.rig.body, 1) if number == 0 else None
            before = self.everything()
            start = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                self.bpy.ops.import_scene.gltf(filepath=str(self.folder / "short.glb"))
            theirs.append(time.perf_counter() - start)
            new = self.everything() - before
            if shown is not None:
                self.same_pose(shown, self.imported(new))
            self.bpy.data.batch_remove(new)
            self.keys = self.rig.body.data.shape_keys
        return {"add-on": alone, "add-on, character created": ours, "glTF importer": theirs}

    def long(self) -> list[float]:
        """Seconds of our operator for the long take."""
        times = []
        for _ in range(PEER_ROUNDS):
            self.clear()
            start = time.perf_counter()
            self.open("long.take.npz")
            times.append(time.perf_counter() - start)
        if sum(len(points) for points in self.curves().values()) != LONG * (CURVES + 4 * BONES):
            raise RuntimeError("keys of the long take are missing")
        return times

    def open(self, name: str) -> None:
        self.bpy.ops.hyoid.import_take(filepath=str(self.folder / name), target=self.rig.armature.name, start=1)

    def clear(self) -> None:
        self.keys = self.rig.body.data.shape_keys
        for owner in (self.rig.armature, self.keys):
            owner.animation_data.action = None
        for action in list(self.bpy.data.actions):
            self.bpy.data.actions.remove(action)

    def curves(self) -> dict[tuple[str, int], np.ndarray]:
        """Keys (n, 2) of every f-curve by path and index."""
        compat = importlib.import_module("hyoid_addon.toolkit.blender.compat")
        found = {}
        for owner in (self.rig.armature, self.keys):
            for curve in compat.playing(owner).fcurves:
                points = np.empty((len(curve.keyframe_points), 2), np.float32)
                curve.keyframe_points.foreach_get("co", points.reshape(-1))
                found[curve.data_path, curve.array_index] = points
        return found

    def turns(self, curves: dict[tuple[str, int], np.ndarray]) -> dict[str, np.ndarray]:
        """The rotations that ``keyframe_insert`` gets: each bone's, (frames, 4)."""
        paths = {name: f'pose.bones["{name}"].rotation_quaternion' for name in self.take.joint_names}
        return {name: np.stack([curves[path, index][:, 1] for index in range(4)], -1) for name, path in paths.items()}

    def keyframes(self, turns: dict[str, np.ndarray]) -> None:
        """What most add-ons do: set every property, then key it, frame by frame."""
        keys = [self.keys.key_blocks[name] for name in self.take.curve_names]
        bones = [(self.rig.armature.pose.bones[name], turns[name]) for name in turns]
        for row in range(FRAMES):
            for key, value in zip(keys, self.take.curves[row], strict=True):
                key.value = value
                key.keyframe_insert("value", frame=1 + row)
            for bone, values in bones:
                bone.rotation_quaternion = values[row]
                bone.keyframe_insert("rotation_quaternion", frame=1 + row)

    def same_keys(self, ours: dict[Any, np.ndarray], theirs: dict[Any, np.ndarray]) -> None:
        if ours.keys() != theirs.keys():
            raise RuntimeError(f"{len(ours)} curves beside {len(theirs)}")
        for name, points in ours.items():
            if points.shape != theirs[name].shape or np.abs(points - theirs[name]).max() > 1e-6:
                raise RuntimeError(f"the keys of {name} differ")

    def everything(self) -> set[Any]:
        groups = ("objects", "meshes", "armatures", "materials", "images", "actions", "collections")
        return {entry for group in groups for entry in getattr(self.bpy.data, group)}

    def imported(self, new: set[Any]) -> dict[str, np.ndarray]:
        """What the imported glTF shows, see ``shown``."""
        armature = next(entry for entry in new if getattr(entry, "type", "") == "ARMATURE")
        keyed = [entry for entry in new if getattr(entry, "type", "") == "MESH" and entry.data.shape_keys]
        body = max(keyed, key=lambda entry: len(entry.data.shape_keys.key_blocks))
        actions = [entry for entry in new if isinstance(entry, self.bpy.types.Action)]
        return self.shown(armature, body, round(min(action.frame_range[0] for action in actions)))

    def shown(self, armature: Any, body: Any, first: int) -> dict[str, np.ndarray]:
        """World places of the animated joints and the face weights at the checked frames."""
        places, weights = [], []
        for row in CHECKED:
            self.scene.frame_set(first + row)
            graph = self.bpy.context.evaluated_depsgraph_get()
            posed = armature.evaluated_get(graph)
            places.append([posed.matrix_world @ posed.pose.bones[name].head for name in self.take.joint_names])
            keys = body.data.shape_keys.key_blocks
            weights.append([keys[name].value for name in self.take.curve_names])
        return {"joints": np.array(places), "weights": np.array(weights)}

    def same_pose(self, ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
        for name, values in ours.items():
            if np.abs(values - theirs[name]).max() > TOLERANCE:
                raise RuntimeError(f"the {name} of the glTF differ by {np.abs(values - theirs[name]).max():.2g}")


def main() -> None:
    """Print the measurement as JSON."""
    print(json.dumps(run(), indent=1))


if __name__ == "__main__":
    if "--child" in sys.argv:
        work = Path(sys.argv[sys.argv.index("--child") + 1])
        (work / "answer.json").write_text(json.dumps(measure(work)), encoding="utf-8")
        os._exit(0)
    main()
