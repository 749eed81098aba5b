# SPDX-License-Identifier: Apache-2.0
"""Jobs that take milliseconds: tiny takes to tables and back, with names that shells and templates stumble over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hyoid.formats import take_npz

from tests import toy

ROOT = Path(__file__).parents[2]
SHOTS = ("a", "b 'q' ö;x $HOME", 'c"{1}')
STEP = "back; 'it'"
FILE = f"""
name = "two \\"steps\\" ö"
[[steps]]
name = "table"
verb = "convert"
source = "takes/*.take.npz"
outputs = ["out/{{shot}}.csv"]
[[steps]]
name = "{STEP}"
verb = "convert"
source = "out/{{shot}}.csv"
outputs = ["out/{{shot}}.take.npz"]
"""


def write(folder: Path, shots: tuple[str, ...] = SHOTS, text: str = FILE) -> Path:
    """A job file of two steps; its takes lie beside it."""
    for number, shot in enumerate(shots):
        path = folder / "takes" / f"{shot}.take.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        take_npz.write(path, toy.take(4 + number))
    path = folder / "job.toml"
    path.write_text(text, encoding="utf-8")
    return path


def write_endless(folder: Path) -> Path:
    """A job whose first task never ends: its take is a pipe that nobody writes to."""
    path = write(folder, ("a",))
    os.mkfifo(folder / "takes" / "slow.take.npz")
    (folder / "takes" / "a.take.npz").rename(folder / "takes" / "z.take.npz")
    return path


def environment(**more: str) -> dict[str, str]:
    """That of a command of ours."""
    own = {name: value for name, value in os.environ.items() if name != "HYOID_WORKER"}
    return {**own, "PYTHONPATH": f"{ROOT / 'toolkit'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1", **more}


def hyoid(*words: object, **more: str) -> subprocess.CompletedProcess[str]:
    """A command, done."""
    return subprocess.run(
        [sys.executable, "-m", "hyoid", *map(str, words)], capture_output=True, text=True, timeout=120,
        env=environment(**more),
    )  # fmt: skip


def command(folder: Path) -> Path:
    """A program that starts Hyoid, whose path has a space."""
    path = folder / "bin of tests" / "hyoid"
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hyoid "$@"\n')
    path.chmod(0o755)
    return path
