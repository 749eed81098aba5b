# SPDX-License-Identifier: Apache-2.0
"""Seconds and peak memory of ``hyoid lift`` for a long clip: keypoints lifted, cleaned and written as a .bvh.

``python bench/lift_speed.py`` or ``hyoid bench lift_speed``. Somebody walks to and fro for 10 000 frames; the
keypoints tremble by 1.5 pixels. The whole program is timed, its start included; memory is that of it and its children.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from hyoid.motion import cameras
from hyoid.synthetic import people
from stabilize_memory import watched

SUMMARY = "10 000 frames of keypoints lifted, cleaned and written to .bvh (goal 5 times real time, 2 GB)"
FPS = 30.0
GOAL_RATIO, GOAL_MB = 5.0, 2000
_LEG = 200  # frames in one direction


def keypoints(frames: int) -> tuple[np.ndarray, cameras.Camera]:
    """(frames, 17, 2) pixels of somebody who walks three metres, comes back, and so on."""
    camera = cameras.from_field_of_view((1280, 720), np.radians(60), height=1.4, pitch=0.05)
    one = people.walk(seconds=_LEG / FPS, speed=0.45, heading=np.pi / 2).joints
    middle = (one[:, 0].min(0) + one[:, 0].max(0)) / 2 * [1, 0, 1]
    there = one - middle
    back = there * [-1, 1, -1]  # half a turn about the vertical
    rounds = np.concatenate([there, back] * (frames // (2 * _LEG) + 1))[:frames]
    pixels = cameras.project(camera, cameras.to_camera(camera, rounds - [0, 0, 5.0]))
    return pixels + np.random.default_rng(0).normal(0, 1.5, pixels.shape), camera


def run(frames: int = 10_000, system: str = "ktpformer") -> dict[str, Any]:
    """Seconds, times real time, and peak megabytes of one run."""
    with tempfile.TemporaryDirectory(prefix="hyoid-bench-") as name:
        source, target = Path(name) / "walk.npz", Path(name) / "walk.bvh"
        points, camera = keypoints(frames)
        width, height = camera.size
        np.savez(source, keypoints=points.astype(np.float32), layout="human36m17", fps=FPS, width=width, height=height)
        command = [sys.executable, "-m", "hyoid", "lift", str(source), "-o", str(target), "--system", system]
        begun = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            largest = watched(process)
        seconds = time.monotonic() - begun
        assert process.returncode == 0, f"hyoid lift ended with {process.returncode}"
        size = target.stat().st_size
    ratio = frames / FPS / seconds
    return {
        "frames": frames, "system": system, "seconds": round(seconds, 1), "times_real_time": round(ratio, 1),
        "peak_mb": round(largest), "bvh_bytes": size, "goals_met": ratio >= GOAL_RATIO and largest <= GOAL_MB,
    }  # fmt: skip


def show(result: dict[str, Any]) -> str:
    """One line."""
    return (
        f"{result['frames']} frames with {result['system']}: {result['seconds']} s, {result['times_real_time']} times "
        f"real time at {FPS:g} frames a second (goal {GOAL_RATIO:g}); peak {result['peak_mb']} MB (goal {GOAL_MB})"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--system", choices=("ktpformer", "hopfir"), default="ktpformer")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    told = run(given.frames, given.system)
    print(json.dumps(told, indent=1) if given.json else show(told))
