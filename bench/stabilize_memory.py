# SPDX-License-Identifier: Apache-2.0
"""Peak memory of ``hyoid stabilize`` for a long capture, beside a short one, in each kind of file that streams.

``python bench/stabilize_memory.py`` or ``hyoid bench stabilize_memory``. The capture is the bundled head, finer, whose
jaw opens while it turns; it is written frame by frame, so that making it needs no memory either. Memory is that of the
program and of all its children (USD and Blender run in some) at one moment; what they share counts for each of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hyoid import characters
from hyoid.formats.mesh_sequence import open_sequence, write_sequence
from hyoid.geometry import rotations

SUMMARY = "peak memory for 10 000 frames of 10 000 vertices in each kind of file (goal 1000 MB); needs 10 GB of disk"
GOAL_MB = 1000
VERTICES = 10_000
KINDS = {"npz": ".npz", "obj": "", "ply": "", "usd": ".usdc", "alembic": ".abc"}
"""What is measured, and the suffix of its file; none is a folder."""


def capture(folder: Path, frames: int, kind: str) -> Path:
    """A file or folder of frames of VERTICES vertices."""
    head = characters.load("human", part="head", subdivision=1)
    rows = np.arange(VERTICES)  # the first ones are the face and what is around it
    faces = head.faces[(head.faces < VERTICES).all(1)]
    rest, jaw = head.vertices[rows], head.offsets("jawOpen")[rows]
    one = folder / "one.npy"
    np.save(one, np.zeros((frames, 1, 3), np.float32))
    # A sequence that knows its length and gives its frames when they are asked for.
    source = open_sequence([one])
    facts = {"vertices": VERTICES, "faces": faces, "fps": 30.0}
    target = folder / f"capture{KINDS[kind]}"

    def made() -> Iterator[np.ndarray]:
        for frame in range(frames):
            angle = np.array([0.2 * np.sin(frame / 40), 0.3 * np.sin(frame / 70), 0.0])
            turn = rotations.to_matrix(rotations.from_rotation_vector(angle))
            yield (rest + 0.5 * (1 - np.cos(frame / 9)) * 0.5 * jaw) @ turn.T

    if kind == "ply":
        target.mkdir()
        for frame, points in enumerate(made()):
            write_ply(target / f"frame{frame:05d}.ply", points, faces)
    else:
        write_sequence(target, type(source)(**{**vars(source), **facts}), made(), fps=30.0)
    return target


def write_ply(path: Path, points: np.ndarray, faces: np.ndarray) -> None:
    """A binary .ply of quads."""
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz")
    head += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    rows = np.zeros(len(faces), [("count", "u1"), ("corners", "<i4", 4)])
    rows["count"], rows["corners"] = 4, faces
    path.write_bytes(head.encode() + points.astype("<f4").tobytes() + rows.tobytes())


def peak(frames: int, kind: str) -> dict[str, Any]:
    """Peak resident megabytes and seconds of one whole run, meshes and motion written."""
    with tempfile.TemporaryDirectory(prefix="hyoid-bench-") as name:
        folder = Path(name)
        source, still = capture(folder, frames, kind), folder / f"still{KINDS[kind]}"
        command = [sys.executable, "-m", "hyoid", "stabilize", str(source), "-o", str(still)]
        begun = time.monotonic()
        with subprocess.Popen([*command, "--motion", str(folder / "head.csv")], stdout=subprocess.DEVNULL) as process:
            largest = watched(process)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        seconds = time.monotonic() - begun
    return {"kind": kind, "frames": frames, "vertices": VERTICES, "peak_mb": round(largest), "seconds": round(seconds)}


def watched(process: subprocess.Popen[Any]) -> float:
    """Wait for a process; the largest sum of resident megabytes of it and all below it at one moment (Linux)."""
    largest, ended = 0.0, threading.Event()

    def watch() -> None:
        nonlocal largest
        while not ended.wait(0.02):
            largest = max(largest, sum(map(resident, family(process.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    ended.set()
    watcher.join()
    return largest


def family(process: int) -> list[int]:
    """A process and all below it."""
    found = [process]
    for one in found:
        try:
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        except OSError:
            continue  # it has ended meanwhile
    return found


def resident(process: int) -> float:
    """Megabytes in memory, files that are mapped included."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def run(frames: int = 10_000, kinds: tuple[str, ...] = tuple(KINDS)) -> dict[str, Any]:
    """A short capture and a long one of each kind."""
    rows = [peak(length, kind) for kind in kinds for length in (100, frames)]
    return {"runs": rows, "goal_mb": GOAL_MB, "met": all(row["peak_mb"] < GOAL_MB for row in rows)}


def show(result: dict[str, Any]) -> str:
    """A line a run."""
    lines = [
        f"{row['kind']}, {row['frames']} frames of {row['vertices']} vertices: {row['peak_mb']} MB, {row['seconds']} s"
        for row in result["runs"]
    ]
    return "\n".join([*lines, f"goal {result['goal_mb']} MB: {'met' if result['met'] else 'missed'}"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    options = parser.parse_args()
    print(json.dumps(run(options.frames, tuple(options.kind or KINDS)), indent=1))
