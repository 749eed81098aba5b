# SPDX-License-Identifier: Apache-2.0
"""The bundled human through every format that Blender reads: all its parts are where the performance puts them."""

import numpy as np
import pytest
from hyoid import blender, characters
from hyoid.formats import glb, usd

from tests import toy
from tests.blender import tools

pytestmark = [pytest.mark.blender, pytest.mark.slow]
FRAMES = [0, 7, 13, 22, 39]


@pytest.fixture(scope="module")
def human():
    return characters.load("human", part="head")


@pytest.mark.parametrize("suffix", [".blend", ".fbx", ".abc", ".usdc"])
def test_every_part_follows(human, suffix, tmp_path):
    tools.folder_of("4.2")
    take, path = toy.take(), tmp_path / f"shot{suffix}"
    if suffix == ".usdc":
        usd.write(path, human, take)
    else:
        blender.write(path, human, take, subdivide=False)
    first = 0 if suffix == ".usdc" else 1
    seen = tools.probe(path, [frame + first for frame in FRAMES], tmp_path)
    tools.check(
        seen, human, take, FRAMES, joints=suffix != ".abc",
        plain=(lambda name: name.replace(".", "_").replace("-", "_")) if suffix == ".usdc" else (lambda name: name),
    )  # fmt: skip


def test_glb_joints_and_surface(human, tmp_path):
    """Blender splits a .glb's vertices at seams, so each of its points is looked up among ours."""
    from scipy.spatial import cKDTree

    tools.folder_of("4.2")
    take = toy.take()
    glb.write(tmp_path / "shot.glb", human, take)
    seen = tools.probe(tmp_path / "shot.glb", FRAMES, tmp_path)
    vertices, positions = tools.expected(human, take, FRAMES)
    for index, name in enumerate(human.joint_names):
        assert np.abs(seen.joints[name] - positions[:, index]).max() < tools.TOLERANCE, name
    for part in human.parts:
        for frame in range(len(FRAMES)):
            distance, _ = cKDTree(vertices[frame, part.vertices]).query(seen.vertices[part.name][frame])
            assert distance.max() < tools.TOLERANCE, part.name


def test_the_blend_has_all_its_maps_and_bones_in_collections(tmp_path):
    tools.folder_of("4.2")
    human = characters.load("human")
    blender.write(tmp_path / "shot.blend", human)
    info = tools.probe(tmp_path / "shot.blend", [1], tmp_path).info
    maps = {
        path.name for m in human.materials.values() for path in (m.colour_map, m.normal_map, m.roughness_map) if path
    }
    assert maps
    assert {name: packed for name, packed in info["images"].items() if name in maps} == dict.fromkeys(maps, True)
    assert set(info["bone_collections"]) >= {"Neck", "Head", "Face", "Spine"}
    limbs = {"Arms.L", "Arms.R", "Hands.L", "Hands.R", "Legs.L", "Legs.R"}
    assert limbs <= set(info["bone_collections"])
    assert sum(map(len, info["bone_collections"].values())) == len(human.joint_names) + 1  # the handle of the head
