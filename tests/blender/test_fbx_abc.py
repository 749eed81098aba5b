# SPDX-License-Identifier: Apache-2.0
"""FBX and Alembic files, read back by Blender, show the performance."""

import time

import pytest
from hyoid import blender
from hyoid.characters import arkit

from tests import toy
from tests.blender import tools

pytestmark = pytest.mark.blender
FRAMES = [0, 7, 13, 22, 39]


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_fbx_holds_rig_shapes_and_animation(version, tmp_path, monkeypatch):
    folder = tools.folder_of(version)
    if folder is not None:
        monkeypatch.setenv("HYOID_BLENDER", str(folder))
    blender.write(tmp_path / "shot.fbx", toy.character(), toy.take())
    seen = tools.probe(tmp_path / "shot.fbx", [frame + 1 for frame in FRAMES], tmp_path)
    tools.check(seen, toy.character(), toy.take(), FRAMES)
    assert seen.info["keys"]["toy_body"] == ["Basis", *arkit.NAMES, *arkit.LARYNX_SHAPES]


@pytest.mark.parametrize("suffix", [".fbx", ".abc"])
def test_equal_input_gives_equal_bytes(suffix, tmp_path):
    """Also a second later: neither file holds the time of its making."""
    tools.folder_of("4.2")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        blender.write(tmp_path / name / f"shot{suffix}", toy.character(), toy.take())
        time.sleep(1)
    assert (tmp_path / f"a/shot{suffix}").read_bytes() == (tmp_path / f"b/shot{suffix}").read_bytes()


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_abc_holds_the_deformed_meshes(version, tmp_path, monkeypatch):
    folder = tools.folder_of(version)
    if folder is not None:
        monkeypatch.setenv("HYOID_BLENDER", str(folder))
    blender.write(tmp_path / "shot.abc", toy.character(), toy.take())
    seen = tools.probe(tmp_path / "shot.abc", [frame + 1 for frame in FRAMES], tmp_path)
    tools.check(seen, toy.character(), toy.take(), FRAMES, joints=False)


def test_files_at_rest(tmp_path):
    tools.folder_of("4.2")
    for suffix in (".fbx", ".abc"):
        blender.write(tmp_path / f"rest{suffix}", toy.character())
        seen = tools.probe(tmp_path / f"rest{suffix}", [1], tmp_path)
        assert abs(seen.vertices["toy_body"][0] - toy.character().vertices[:480]).max() < tools.TOLERANCE
