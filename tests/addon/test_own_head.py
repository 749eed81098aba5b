# SPDX-License-Identifier: Apache-2.0
"""Rig My Own Head: the artist's meshes get the rig and keep all that was theirs, in any unit and at any place."""

import dataclasses
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import performance
from hyoid.characters.neck import JOINTS as NECK
from hyoid.formats import character_npz, obj, take_npz
from hyoid.geometry import rotations

from tests import toy
from tests.addon import tools

pytestmark = pytest.mark.blender
FRAMES = [0, 7, 13, 22]
TO_BLENDER = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
HOLDER = np.array([0.3, 0.1, -0.2])
TURN = rotations.to_matrix(rotations.from_rotation_vector(np.array([0.2, -0.5, 2.4])))
SIZE = 100.0
"""The artist's head is in centimetres and looks somewhere else."""


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_rig_my_own_head(version, tmp_path):
    character, take = toy.corrected(), toy.take(24)
    random = np.random.default_rng(3)
    turned = rotations.from_rotation_vector(random.normal(0, 0.3, (*take.rotations.shape[:2], 3)))
    take = dataclasses.replace(take, rotations=rotations.continuous(turned).astype(np.float32))
    take_npz.write(tmp_path / "t.take.npz", take)
    character_npz.write(tmp_path / "head.character.npz", character)

    def in_world(points):
        return SIZE * points @ (TURN @ TO_BLENDER).T + np.array([20.0, 5.0, 1.0])

    place = {"location": np.array([3.0, 2.0, 1.0]), "scale": np.array([2.0, 0.5, 4.0])}
    meshes = dict(place)
    for number, part in enumerate(character.parts):
        offset = HOLDER if number == 0 else 0  # the head hangs on an empty
        world = in_world(character.vertices[part.vertices].astype(float))
        meshes[f"points_{number}"] = (world - place["location"] - offset) / place["scale"]
        meshes[f"faces_{number}"] = character.faces[part.faces] - part.vertices.start
    np.savez(tmp_path / "meshes.npz", **meshes)
    names = [part.name for part in character.parts]
    answer = tools.run(
        version, "own_head", tmp_path, meshes=str(tmp_path / "meshes.npz"), names=names, frames=FRAMES,
        character=str(tmp_path / "head.character.npz"), take=str(tmp_path / "t.take.npz"),
        out=str(tmp_path / "shown.npz"), obj=str(tmp_path / "head.obj"),
    )  # fmt: skip
    words = ("half a head with a Mirror modifier", "follows the armature 'old rig' already", "shares its mesh",
             "Go to Object Mode", "'gone' is not in the scene any more", "reshaped while it was being rigged",
             "512 vertices now and had 544")  # fmt: skip
    assert len(answer["refused"]) == len(words)
    assert all(word in said for word, said in zip(words, answer["refused"], strict=True)), answer["refused"]
    assert answer["untouched"] is True
    assert answer["poll"]

    written = obj.read(tmp_path / "head.obj")
    wanted = in_world(character.vertices.astype(float)) @ TO_BLENDER  # turned back to +Y up
    assert np.abs(written.vertices - wanted).max() < 1e-4 * SIZE
    assert np.array_equal(written.faces, character.faces)
    assert len(written.uv)

    assert "'renamed meanwhile' is rigged" in answer["said"]
    assert "keeps its own keys noseSneerLeft" in answer["said"]
    assert "the vertex group 'jaw' of 'renamed meanwhile' is now called 'jaw (old)'" in answer["said"]
    assert answer["place"] == answer["place before"]
    assert answer["marks"] == [False] * 3
    assert answer["rest"] < 1e-4 * SIZE
    ours = [name for name in character.shapes.names if name != "noseSneerLeft"]
    assert answer["keys"] == ["Basis", "Smile", "noseSneerLeft", *ours, "jaw"]
    assert answer["groups"][:2] == ["jaw (old)", "hair"]
    assert set(answer["groups"][2:]) == set(character.joint_names[1:-3])  # those that move the skin
    assert answer["group_used"] == "jaw (old)"
    assert answer["modifiers"] == [["ARMATURE", "SMOOTH"], ["ARMATURE"], ["ARMATURE"]]
    assert answer["parents"] == [True] * 4
    assert answer["active_key"] == 1
    assert answer["kept"] == [1, 1, ["renamed meanwhile", "eye_left", "eye_right"]]

    performed = performance.perform(character, take)
    weights = performed.shape_weights.copy()
    weights[:, character.shapes.names.index("noseSneerLeft")] = 0  # the artist's own key moves nothing
    chosen = performance.Performance(weights[FRAMES], performed.rotations[FRAMES], performed.root[FRAMES])
    points = in_world(performance.deform(character, chosen).astype(float))
    with np.load(tmp_path / "shown.npz") as shown:
        assert np.abs(shown["points"] - points).max() < 1e-4 * SIZE
    assert answer["sampled"] < 1e-5
    assert not answer["again"]
    assert answer["follows"] == pytest.approx(1, abs=1e-3)
    assert answer["restored"] == [True] * 3
    assert answer["own"] == [False] * 3
    assert answer["rest_again"] < 1e-4 * SIZE
    assert answer["actions left"] == []
    assert not answer["keys left"]
    assert answer["armatures"] == ["old rig"]


@pytest.mark.slow
def test_the_toolkit_rigs_a_head_of_another_topology(tmp_path):
    """A bent nose, in decimetres, the skin in triangles of its own, eyes and teeth as meshes of their own.

    The jaw drops by about 2 cm and takes lower teeth and tongue along; eyes turn, the neck turns with its correctives.
    """
    character = characters.load("human", {"age": 0.8, "nose-hump-incr": 0.8, "weight": 0.8}, part="head")
    meshes, size = {}, 10.0
    for number, part in enumerate(character.parts):
        meshes[f"points_{number}"] = size * character.vertices[part.vertices].astype(float) @ TO_BLENDER.T
        meshes[f"faces_{number}"] = character.faces[part.faces] - part.vertices.start
    np.savez(tmp_path / "meshes.npz", **meshes)
    answer = tools.run(
        "5.0", "own_head_real", tmp_path, timeout=300, meshes=str(tmp_path / "meshes.npz"), size=size, decimate=0.6,
        names=[part.name for part in character.parts],
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert answer["result"] == ["FINISHED"]
    assert len(answer["parts"]) == len(character.parts)
    assert answer["rest"] < 2e-4 * size
    assert set(NECK) <= set(answer["bones"])
    assert answer["groups"]["eye_left"] == ["eye.L"]
    assert answer["groups"]["teeth_lower"] == ["jaw"]
    assert -0.03 < answer["jaw"]["body"] < -0.015
    assert -0.03 < answer["jaw"]["teeth_lower"] < -0.015
    assert abs(answer["jaw"]["teeth_upper"]) < 1e-4
    assert 0.004 < answer["look"]["eye_left"] < 0.008
    assert answer["turn"] > 0.05
    assert answer["correctives"] > 0.01
