# SPDX-License-Identifier: Apache-2.0
"""What a user gets by pip: the wheel holds the data, nothing else, and works far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("build", reason="the dev extra installs it")
    pytest.importorskip("hatchling", reason="pip install hatchling builds without a network")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("hyoid-*.whl")
    return made


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        "blender/sound_strip.blend",
        "media/shaders/surface.frag",
        "media/stabilize_page.css",
        "models/README.md",
        "rigs/human/LICENSE",
        "rigs/human/human.npz",
        "rigs/human/rig.toml",
        "rigs/human/textures/skin_colour.jpg",
    ],
)
def test_the_wheel_holds_what_runs_need(wheel, name):
    assert f"hyoid/{name}" in names_in(wheel)


def test_the_wheel_holds_every_file_of_the_package(wheel):
    listed = subprocess.run(
        ["git", "ls-files", "toolkit/hyoid", "rigs/human/textures"], cwd=REPOSITORY, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this is not a checkout")
    kept = {f"hyoid/{name.removeprefix('toolkit/hyoid/')}" for name in listed.stdout.split()}
    assert kept - names_in(wheel) == set()


def test_the_wheel_holds_no_junk(wheel):
    """No build scripts of the rig, no tests, no caches, no results."""
    ours = {name for name in names_in(wheel) if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in ours} == {"hyoid"}
    assert {Path(name).suffix for name in ours if name.startswith(("hyoid/rigs/", "hyoid/models/"))} <= {
        ".npz", ".toml", ".md", ".png", ".jpg", ".safetensors", "",
    }  # fmt: skip
    assert not [name for name in ours if "__pycache__" in name or name.endswith((".pyc", ".part"))]
    assert wheel.stat().st_size < 36e6  # the human, its pictures, and weights


def test_the_installed_wheel_works_far_from_the_checkout(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    where = "import hyoid, pathlib; print(pathlib.Path(hyoid.__file__).parent)"
    command = [sys.executable, "-P", "-c", where]
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert Path(found.stdout.strip()) == tmp_path / "site" / "hyoid", "the wheel is tested, not the checkout"
    command = [sys.executable, "-P", "-m", "hyoid", "rig", "human", "-o", "a.glb", "-o", "a.usdc"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.glb").stat().st_size > 1e6
