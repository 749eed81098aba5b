# SPDX-License-Identifier: Apache-2.0
"""The child process: every way in which it can fail is one clear line, and none leaves a process or a file behind."""

import importlib.util
import json
import os
import resource
import subprocess
import sys
import time

import pytest
from hyoid import blender
from hyoid.blender import pack, process
from hyoid.errors import HyoidError, MissingToolError, OutputError, UsageError
from hyoid.files import part_file
from hyoid.report import Report

from tests import toy
from tests.blender import tools


def children():
    """Process ids of the living children of this process."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as stream:
        return set(stream.read().split())


def test_without_bpy_the_pip_line_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("HYOID_BLENDER", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match=r'pip install "bpy>=4') as caught:
        blender.write(tmp_path / "shot.blend", toy.character())
    assert caught.value.exit_code == 6


def test_a_wrong_hyoid_blender_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HYOID_BLENDER", str(tmp_path / "blender"))
    with pytest.raises(MissingToolError, match="HYOID_BLENDER names no program"):
        blender.write(tmp_path / "shot.blend", toy.character())


def test_a_python_without_bpy_is_told_apart(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # -S: no site-packages, so no bpy
    python.chmod(0o755)
    monkeypatch.setenv("HYOID_BLENDER", str(python))
    with pytest.raises(MissingToolError, match=r'\(bpy\) cannot be loaded.*pip install "bpy>=4'):
        blender.write(tmp_path / "shot.blend", toy.character())


def test_a_blender_program_gets_its_own_arguments(monkeypatch, tmp_path):
    program = tmp_path / "blender-4.5"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("HYOID_BLENDER", str(program))
    command, _ = process.blender_command()
    assert command[:2] == [str(program), "-b"]
    assert command[-3:] == ["--python", str(process.CHILD), "--"]
    with pytest.raises(HyoidError, match="ended with code 0: it said nothing"):  # it never said that it was done
        blender.write(tmp_path / "shot.blend", toy.character())


@pytest.mark.blender
def test_a_blender_program_does_the_job(tmp_path, monkeypatch):
    """A stand-in that takes Blender's arguments: what comes before the script is for Blender, the rest for it."""
    tools.folder_of("4.2")
    program = tmp_path / "blender"
    shift = 'while [ "$1" != "--python" ]; do shift; done; shift'
    program.write_text(f'#!/bin/sh\n{shift}\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("HYOID_BLENDER", str(program))
    blender.write(tmp_path / "shot.blend", toy.character(), toy.take())
    assert (tmp_path / "shot.blend").stat().st_size > 100_000


def test_wrong_options():
    for options, text in (({"keys": "few"}, "dense or sparse"), ({"audio": "loud"}, "pack or link or none")):
        with pytest.raises(UsageError, match=text):
            blender.write("shot.blend", toy.character(), **options)
    with pytest.raises(UsageError, match=r"\.blend or \.fbx or \.abc"):
        blender.write("shot.max", toy.character())


@pytest.mark.blender
@pytest.mark.parametrize("suffix", [".blend", ".fbx", ".abc"])
def test_a_folder_that_is_gone(suffix, tmp_path):
    tools.folder_of("4.2")
    with pytest.raises(OutputError, match="cannot be written"):
        blender.write(tmp_path / "gone" / f"shot{suffix}", toy.character())


@pytest.mark.blender
@pytest.mark.parametrize("suffix", [".blend", ".fbx", ".abc"])
def test_a_full_disk(suffix, tmp_path, monkeypatch):
    """A limit on file sizes stands in for it: the write fails in the middle. Nothing half-written stays."""
    tools.folder_of("4.2")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    save = pack.save_arrays

    def save_then_fill(path, arrays):
        save(path, arrays)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))

    monkeypatch.setattr(pack, "save_arrays", save_then_fill)
    try:
        with (
            pytest.raises(OutputError, match=rf"^{tmp_path}/shot\{suffix}: cannot be written: (?!Python)"),
            part_file(tmp_path / f"shot{suffix}") as part,
        ):
            blender.write(part, toy.character(), toy.take())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.blender
def test_cancel_ends_the_child_and_leaves_nothing(tmp_path):
    tools.folder_of("4.2")
    before = children()

    def cancel(event):
        if event.get("what") == "building the rig":  # said by the child: it is running
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), part_file(tmp_path / "shot.blend") as part:
        blender.write(part, toy.character(), toy.take(), Report(cancel))
    assert time.monotonic() - start < 10  # of which up to 5 are the start of Blender
    assert children() == before
    assert list(tmp_path.iterdir()) == []


def test_the_child_leaves_when_its_parent_dies(tmp_path):
    """Its standard input closes with the parent, however that ends; here it waits for a job that never comes."""
    tools.folder_of("4.2")
    os.mkfifo(tmp_path / "job.json")
    child = subprocess.Popen([sys.executable, str(process.CHILD), "--", str(tmp_path)], stdin=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(timeout=2)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(timeout=5) == 4


def test_a_machine_without_opengl_is_told_so():
    """Blender's own last words, when EEVEE or Workbench start where neither EGL nor GLX is."""
    words = "python: dispatch_common.c:872: Assertion `0 && \"Couldn't find current GLX or EGL context.\\n\"' failed."
    error = process._died(-6, f"something before\n{words}\n", tools.ROOT / "shot.blend")
    assert isinstance(error, MissingToolError)
    assert "--engine cycles" in str(error)


@pytest.mark.blender
def test_our_own_bug_is_reported_with_its_reason(tmp_path):
    """A job that the child cannot understand ends as an error with the exception's text, not as silence."""
    tools.folder_of("4.2")
    (tmp_path / "job.json").write_text(json.dumps({"nonsense": True}))
    pack.save_arrays(tmp_path / "arrays.npz", {})
    command, environment = process.blender_command()
    with pytest.raises(HyoidError, match="KeyError: 'character'") as caught:
        process.run(command, environment, tmp_path, tmp_path / "shot.blend", Report())
    assert caught.value.exit_code == 1
