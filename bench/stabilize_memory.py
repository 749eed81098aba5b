# SPDX-License-Identifier: Apache-2.0
"""Peak memory of ``hyoid stabilize`` for a long capture, beside a short one: frames stream through it.

``python bench/stabilize_memory.py`` or ``hyoid bench stabilize_memory``. The capture is the bundled head, finer, whose
jaw opens while it turns; it is written frame by frame, so that making it needs no memory either.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hyoid import characters
from hyoid.formats.mesh_sequence import open_sequence, write_sequence
from hyoid.geometry import rotations
from talk_memory import _PROBE

SUMMARY = "peak memory for 10 000 frames of 10 000 vertices (goal 1000 MB); needs 3 GB of disk, takes a minute"
GOAL_MB = 1000
VERTICES = 10_000


def capture(folder: Path, frames: int) -> Path:
    """An .npz of frames of VERTICES vertices."""
    head = characters.load("human", part="head", subdivision=1)
    rows = np.arange(VERTICES)  # the first ones are the face and what is around it
    faces = head.faces[(head.faces < VERTICES).all(1)]
    rest, jaw = head.vertices[rows], head.offsets("jawOpen")[rows]
    one = folder / f"one{frames}.npy"
    np.save(one, np.zeros((frames, 1, 3), np.float32))
    target = folder / f"frames{frames}.npz"
    # A sequence that knows its length and gives its frames when they are asked for.
    source = open_sequence([one])
    shape = type(source)(**{**vars(source), "vertices": VERTICES, "faces": faces, "fps": 30.0})

    def made() -> Iterator[np.ndarray]:
        for frame in range(frames):
            angle = np.array([0.2 * np.sin(frame / 40), 0.3 * np.sin(frame / 70), 0.0])
            turn = rotations.to_matrix(rotations.from_rotation_vector(angle))
            yield (rest + 0.5 * (1 - np.cos(frame / 9)) * 0.5 * jaw) @ turn.T

    write_sequence(target, shape, made(), fps=30.0)
    return target


def peak(folder: Path, frames: int) -> dict[str, float]:
    """Peak resident megabytes and seconds of one whole run, meshes and motion written."""
    source = capture(folder, frames)
    words = [str(source), "-o", str(folder / "still.npz"), "--motion", str(folder / "head.csv"), "--json"]
    command = [sys.executable, "-c", _PROBE, "stabilize", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    own, _, wall = map(float, done.stdout.splitlines()[-1].split()[1:])
    source.unlink()
    (folder / "still.npz").unlink()
    return {"frames": frames, "vertices": VERTICES, "peak_mb": round(own), "seconds": round(wall, 1)}


def run(frames: int = 10_000) -> dict[str, Any]:
    """A short capture and a long one."""
    with tempfile.TemporaryDirectory(prefix="hyoid-bench-") as name:
        short, long = peak(Path(name), 100), peak(Path(name), frames)
    return {"short": short, "long": long, "goal_mb": GOAL_MB}


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
