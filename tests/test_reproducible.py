# SPDX-License-Identifier: Apache-2.0
"""The same recording, settings and seed give the same bytes, wherever and however the command runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VOICE = Path(__file__).parents[1] / "examples" / "talk" / "jfk.flac"
NAMES = ("a.take.npz", "a.glb", "a.usdc", "a.usda", "a.bvh", "a.csv", "a.csv.json", "a.png", "a.mp4")
"""A .blend holds memory addresses, and an .abc its blocks in an order that follows from them."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Path]:
    """Two output folders of one command: other folders, spelling of the recording, hash seeds, numbers of threads."""
    top = tmp_path_factory.mktemp("reproducible")
    shutil.copy(VOICE, top / "voice.flac")
    folders = [top / "one" / "out", top / "other place" / "results"]
    voices = "../voice.flac", str(top / "voice.flac")
    for folder, voice, seed, threads in zip(folders, voices, ("1", "77"), ("1", "2"), strict=True):
        folder.parent.mkdir()
        outputs = [word for name in NAMES if not name.endswith(".json") for word in ("-o", f"{folder.name}/{name}")]
        words = (
            "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
        )
        command = [sys.executable, "-m", "hyoid", "talk", voice, "--text", words, "--width", "128", "--height", "128"]
        environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(
            [*command, *outputs, "--subdivision", "0", "--fps", "24"],
            cwd=folder.parent, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_same_bytes(runs, name):
    one, other = ((folder / name).read_bytes() for folder in runs)
    assert one == other


@pytest.mark.slow
def test_no_folder_of_this_machine_is_in_an_output(runs):
    """Neither where the recording lies nor where Hyoid is installed."""
    places = [str(runs[0].parents[1]).encode(), str(Path(__file__).parents[1]).encode()]
    for path in sorted(runs[0].rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        if path.name.endswith(".npz"):
            from hyoid.formats.npz import read_npz

            data = read_npz(path)["document"].tobytes()
        assert not [place for place in places if place in data], path.name
