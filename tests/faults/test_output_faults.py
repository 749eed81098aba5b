# SPDX-License-Identifier: Apache-2.0
"""What a full disk, a cancel, a kill or an odd name does to every kind of output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hyoid.formats import take_npz

HYOID = [sys.executable, "-m", "hyoid"]
NEEDS_BLENDER = (".blend", ".fbx", ".abc")
ALL = (".take.npz", ".csv", ".bvh", ".glb", ".usdc", ".usda", *NEEDS_BLENDER, ".mp4", ".png")


def marked(suffixes):
    return [pytest.param(s, marks=pytest.mark.blender if s in NEEDS_BLENDER else ()) for s in suffixes]


def left_behind(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.slow
def test_a_full_disk(small_disk, performance):
    """Every output that is larger than the disk, one after the other (the small take is tested with talk)."""
    pytest.importorskip("bpy", reason="needs Blender as a module")
    for suffix in ALL[1:]:
        command = [*HYOID, "convert", str(performance), str(small_disk / f"a{suffix}")]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 6, (suffix, done.stderr)
        assert done.stderr.count("\n") == 1, (suffix, done.stderr)
        assert "full" in done.stderr, (suffix, done.stderr)
        assert os.listdir(small_disk) == [], suffix
        assert time.perf_counter() - start < 60, suffix  # it neither hangs nor tries again and again


def start(performance: Path, target: Path) -> subprocess.Popen[str]:
    """A conversion of a minute of performance, which has begun to write ``target``."""
    command = [*HYOID, "convert", str(performance), str(target), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and target.name in event["what"]:
            return process
    raise AssertionError(f"it ended with {process.wait()} before it wrote")


def wait_for_blender(process: subprocess.Popen[str]) -> int:
    """The process number of the Blender child, once it runs."""
    for _ in range(500):
        found = subprocess.run(["pgrep", "-P", str(process.pid), "-f", "child.py"], capture_output=True, text=True)
        if found.stdout:
            return int(found.stdout.split()[0])
        time.sleep(0.02)
    raise AssertionError("Blender was not started")


@pytest.fixture(scope="module")
def long_performance(performance, tmp_path_factory) -> Path:
    from hyoid.take_edit import join

    path = tmp_path_factory.mktemp("long") / "long.take.npz"
    take_npz.write(path, join([take_npz.read(performance)] * 30))
    return path


@pytest.mark.parametrize("suffix", marked([".mp4", ".blend", ".fbx", ".abc", ".usdc", ".glb", ".bvh"]))
def test_a_cancel_while_an_output_is_written(tmp_path, long_performance, suffix):
    process = start(long_performance, tmp_path / f"a{suffix}")
    if suffix in NEEDS_BLENDER:
        wait_for_blender(process)
        time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    began = time.perf_counter()
    assert process.stdout is not None
    rest = process.stdout.read()
    assert process.wait(timeout=10) == 130, rest
    assert time.perf_counter() - began < 5
    assert json.loads(rest.splitlines()[-1])["exit_code"] == 130
    assert left_behind(tmp_path) == []
    assert subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True).stdout == b"", "no child stays"


@pytest.mark.blender
@pytest.mark.parametrize("suffix", [".blend", ".abc"])
def test_blender_ends_with_its_parent(tmp_path, long_performance, suffix):
    pytest.importorskip("bpy", reason="needs Blender as a module")
    process = start(long_performance, tmp_path / f"a{suffix}")
    child = wait_for_blender(process)
    time.sleep(0.5)
    process.kill()
    process.wait()
    for _ in range(50):
        if not Path(f"/proc/{child}").exists() or "zombie" in Path(f"/proc/{child}/status").read_text():
            break
        time.sleep(0.1)
    else:
        raise AssertionError("Blender lives on 5 s after its parent")
    assert not (tmp_path / f"a{suffix}").exists()
