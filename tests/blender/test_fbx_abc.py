# SPDX-License-Identifier: Apache-2.0
"""FBX and Alembic files, read back by Blender, show the performance."""

import dataclasses
import time

import numpy as np
import pytest
from hyoid import blender
from hyoid.characters import arkit
from hyoid.characters.character import Material
from PIL import Image

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
def test_equal_input_gives_equal_files(suffix, tmp_path):
    """Also a second later and elsewhere: neither file holds the time or the place of its making.

    The bytes of an .abc are not compared: Blender orders its blocks by addresses in memory. What Blender reads is.
    """
    tools.folder_of("4.2")
    Image.new("RGBA", (8, 8), (200, 100, 50, 255)).save(tmp_path / "skin.png")
    skin = Material("skin", (0.5, 0.9, 1, 1), colour_map=tmp_path / "skin.png")
    character = dataclasses.replace(toy.character(), materials={**toy.character().materials, "skin": skin})
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        start = time.time()
        blender.write(tmp_path / name / f"shot{suffix}", character, toy.take())
        time.sleep(max(0, 1.1 - (time.time() - start)))
    one, other = ((tmp_path / name / f"shot{suffix}").read_bytes() for name in ("a", "b"))
    if suffix == ".fbx":
        assert one == other
        return
    assert b"_ai_DateWritten=Sat Jan  1 00:00:00 2000;" in one
    assert str(tmp_path).encode() not in one
    seen = [tools.probe(tmp_path / name / "shot.abc", [frame + 1 for frame in FRAMES], tmp_path) for name in ("a", "b")]
    assert seen[0].vertices.keys() == seen[1].vertices.keys()
    for mesh, vertices in seen[0].vertices.items():
        assert np.array_equal(vertices, seen[1].vertices[mesh]), mesh


def test_fbx_carries_its_maps_with_the_colour_factor(tmp_path):
    """The maps lie inside the file; FBX knows no factor, so the map itself is tinted."""
    tools.folder_of("4.2")
    for name, colour in (("skin", (188, 188, 188)), ("normal", (128, 128, 255)), ("rough", (0, 128, 0))):
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{name}.png")
    maps = {f"{kind}_map": tmp_path / f"{name}.png"
            for kind, name in (("colour", "skin"), ("normal", "normal"), ("roughness", "rough"))}  # fmt: skip
    skin = Material("skin", (0.5, 1, 0.25, 1), **maps)
    character = dataclasses.replace(toy.character(), materials={**toy.character().materials, "skin": skin})
    blender.write(tmp_path / "shot.fbx", character)
    for path in maps.values():
        path.unlink()
    out = tmp_path / "pixel.txt"
    statement = f"""
tree = bpy.data.materials["skin"].node_tree
inputs = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED").inputs
assert inputs["Normal"].is_linked and inputs["Roughness"].is_linked
image = inputs["Base Color"].links[0].from_node.image
open({str(out)!r}, "w").write(repr(tuple(image.pixels[:3])))
"""
    tools.probe(tmp_path / "shot.fbx", [1], tmp_path, "4.2", statement)
    # 188 is 0.5029 in linear light; half of it encodes as 137, a quarter as 99.
    assert np.round(np.array(eval(out.read_text())) * 255).tolist() == [137, 188, 99]


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
