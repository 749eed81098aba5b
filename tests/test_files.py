# SPDX-License-Identifier: Apache-2.0
"""Atomic writing: a final name holds a whole file or nothing, and nobody's leftovers stay."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hyoid import files
from hyoid.errors import Cancelled, OutputError
from hyoid.files import check_writable, part_file, sha256_of, write_bytes


def test_a_finished_part_becomes_the_file(tmp_path):
    target = tmp_path / "new folder" / "shot.take.npz"
    with part_file(target) as part:
        part.write_bytes(b"whole")
        assert not target.exists()
        assert part.name == target.name, "exporters choose the format by the suffix"
    assert target.read_bytes() == b"whole"
    assert os.listdir(target.parent) == ["shot.take.npz"]


def test_companions_arrive_with_the_file_and_only_with_it(tmp_path):
    target = tmp_path / "shot.usdc"
    with pytest.raises(RuntimeError), part_file(target) as part:
        (part.parent / "shot_files").mkdir()
        (part.parent / "shot_files" / "skin.jpg").write_bytes(b"x")
        raise RuntimeError
    assert os.listdir(tmp_path) == []
    with part_file(target) as part:
        part.write_bytes(b"whole")
        (part.parent / "shot_files").mkdir()
        (part.parent / "shot_files" / "skin.jpg").write_bytes(b"x")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "shot.usdc", "shot_files", "shot_files/skin.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize("failure", [RuntimeError("x"), Cancelled("SIGTERM")])
def test_a_failure_keeps_the_old_file_and_leaves_no_part(tmp_path, failure):
    target = tmp_path / "shot.glb"
    target.write_bytes(b"old")
    with pytest.raises(type(failure)), part_file(target) as part:
        part.write_bytes(b"half")
        raise failure
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["shot.glb"]


def test_a_writer_that_wrote_nothing_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="nothing was written"), part_file(tmp_path / "a.glb"):
        pass
    assert os.listdir(tmp_path) == []


def test_parts_of_dead_processes_are_removed_and_those_of_living_ones_stay(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    alive = os.getppid()
    for process in (dead.pid, alive):
        (tmp_path / f".a.glb.{process}.part").mkdir()
    write_bytes(tmp_path / "a.glb", b"x")
    assert sorted(os.listdir(tmp_path)) == [f".a.glb.{alive}.part", "a.glb"]


def test_parts_of_other_machines_stay_for_a_day(tmp_path):
    """On a folder that machines share, a process of another machine cannot be asked whether it lives."""
    old, new = (tmp_path / f".a.glb.other@{process}.part" for process in (1, 2))
    for part in (old, new):
        part.mkdir()
    os.utime(old, (0, 0))
    write_bytes(tmp_path / "a.glb", b"x")
    assert sorted(os.listdir(tmp_path)) == [new.name, "a.glb"]
    with part_file(tmp_path / "b.glb") as part:
        assert part.parent.name.endswith(f"@{os.getpid()}.part")
        part.write_bytes(b"y")


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(OutputError, match="disk is full") as caught, part_file(tmp_path / "a.glb") as part:
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")
        part.write_bytes(b"unreached")
    assert caught.value.exit_code == 6
    assert os.listdir(tmp_path) == []


def test_targets_that_cannot_be_written_fail_before_the_work(tmp_path):
    (tmp_path / "folder.glb").mkdir()
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "folder.glb", tmp_path / "file" / "a.glb"):
        with pytest.raises(OutputError):
            check_writable(target)
    check_writable(tmp_path / "deep" / "er" / "a.glb")
    assert os.listdir(tmp_path / "deep" / "er") == []


def test_on_windows_nobody_is_asked_whether_he_lives(tmp_path, monkeypatch):
    """A signal would end the process there: parts of others go when they are a day old."""
    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(os, "kill", None)
    old, new = (tmp_path / f".a.glb.{process}.part" for process in (1, 2))
    for part in (old, new):
        part.mkdir()
    os.utime(old, (0, 0))
    write_bytes(tmp_path / "a.glb", b"x")
    assert sorted(os.listdir(tmp_path)) == [new.name, "a.glb"]


def test_sha256_is_the_known_one(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
