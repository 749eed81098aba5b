# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Writing a rigged head with a take as .usdc: our writer beside Blender's exporter, from the same scene.

The bundled head, 300 frames. USD itself skins both files on five frames; the points must agree before any time counts.
"""

from __future__ import annotations

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

SUMMARY = "writing .usdc: ours beside Blender's exporter, ratio of medians"
FRAMES, ROUNDS = 300, 3
CHECKED = (0, 60, 150, 222, 299)
TOLERANCE = 1e-4  # metres


def run() -> dict[str, Any]:
    """Measure both; Blender opens its scene beforehand, so that only its exporter is timed.

    Raises:
        MissingToolError: bpy is not installed.
        HyoidError: the two files do not show the same.
    """
    from hyoid import blender, characters
    from hyoid.blender import process
    from hyoid.errors import HyoidError
    from hyoid.formats import usd

    character = characters.load("human", part="head")
    take = _take(character)
    command, environment = process.blender_command()
    times: dict[str, list[float]] = {"ours": [], "blender": []}
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.blend"
        blender.write(scene, character, take, subdivide=False)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            usd.write(Path(folder) / "ours.usdc", character, take)
            times["ours"].append(time.perf_counter() - start)
            child = [command[0], str(Path(__file__).resolve()), "--child", str(scene), str(Path(folder) / "peer.usdc")]
            done = subprocess.run(child, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise HyoidError(f"the child failed: {(done.stderr.strip().splitlines() or ['silently'])[-1]}")
            times["blender"].append(float(done.stdout.strip().splitlines()[-1]))
        ours, peer = (_points(Path(folder) / name, frame0) for name, frame0 in (("ours.usdc", 0), ("peer.usdc", 1)))
        error = float(np.abs(ours - peer).max())
        sizes = {name: (Path(folder) / f"{name}.usdc").stat().st_size for name in ("ours", "peer")}
    if not error < TOLERANCE:
        raise HyoidError(f"the files differ by {error:.2g} m", expected=f"at most {TOLERANCE:g} m")
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        "frames": FRAMES,
        "vertices": len(character.vertices),
        "largest_difference_metres": error,
        "bytes": sizes,
        "ours_seconds": median["ours"],
        "blender_seconds": median["blender"],
        "spread": {name: [min(values), max(values)] for name, values in times.items()},
        "ratio": round(median["blender"] / median["ours"], 1),
    }


def _take(character: Any) -> Any:
    """Every ARKit curve and the neck in smooth motion."""
    from hyoid.characters import arkit, neck
    from hyoid.take import Take

    time_ = np.arange(FRAMES) / 30
    phases = np.arange(len(arkit.NAMES)) / 7
    curves = (0.3 + 0.3 * np.sin(2 * np.pi * (0.5 * time_[:, None] + phases))).astype(np.float32)
    half = 0.04 * np.sin(2 * np.pi * (0.3 * time_[:, None] + np.arange(8) / 8))
    rotations = np.stack([np.cos(half), np.sin(half), 0 * half, 0 * half], -1).astype(np.float32)
    return Take(
        fps=30.0, curve_names=arkit.NAMES, curves=curves, joint_names=neck.JOINTS, rotations=rotations,
        root=np.zeros((FRAMES, 3), np.float32), confidence=np.ones(FRAMES, np.float32),
    )  # fmt: skip


def _points(path: Path, first: int) -> np.ndarray:
    """The body as USD's own skinning shows it, (frames, n, 3), +Y up."""
    from pxr import Usd, UsdGeom, UsdSkel

    stage = Usd.Stage.Open(str(path))
    for prim in stage.Traverse():
        if prim.IsA(UsdSkel.Root):
            UsdSkel.BakeSkinning(UsdSkel.Root(prim))
    mesh = max(
        (UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)),
        key=lambda mesh: len(mesh.GetPointsAttr().Get(first)),
    )
    frames = []
    for frame in CHECKED:
        world = np.array(UsdGeom.Imageable(mesh).ComputeLocalToWorldTransform(frame + first))
        points = np.array(mesh.GetPointsAttr().Get(frame + first), np.float64) @ world[:3, :3] + world[3, :3]
        z_up = UsdGeom.GetStageUpAxis(stage) == "Z"
        frames.append(np.stack([points[:, 0], points[:, 2], -points[:, 1]], -1) if z_up else points)
    return np.array(frames)


def measure(scene: str, out: str) -> float:
    """Seconds that Blender's exporter takes, inside Blender."""
    import bpy

    bpy.ops.wm.open_mainfile(filepath=scene)
    start = time.perf_counter()
    result = bpy.ops.wm.usd_export(
        filepath=out, export_animation=True, export_armatures=True, export_shapekeys=True, export_materials=True
    )
    assert result == {"FINISHED"}
    return time.perf_counter() - start


def main() -> None:
    """Print the measurement as JSON."""
    print(json.dumps(run(), indent=1))


if __name__ == "__main__":
    if "--child" in sys.argv:
        print(measure(*sys.argv[-2:]))
        sys.stdout.flush()
        os._exit(0)
    main()
