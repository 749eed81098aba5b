# SPDX-License-Identifier: Apache-2.0
"""Characters from files in Blender: any source becomes the same rig, and works on when its file is gone."""

import dataclasses

import numpy as np
import pytest
from hyoid.characters import performance
from hyoid.formats import character_npz, take_npz
from hyoid.geometry import rotations

from tests import toy
from tests.addon import tools

pytestmark = pytest.mark.blender
FRAMES = [0, 7, 13, 22]
TO_BLENDER = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
NATIVE = {"c7t1": "neck", "oc1": "head", "c6c7": "left_hip", "c5c6": "right_index1", "c4c5": "left_shoulder",
          "c3c4": "spine2", "c2c3": "right_ankle", "c1c2": "right_collar"}  # fmt: skip


def native():
    """The toy as a body model without cervical joints, with a full set of correctives: names of SMPL-X, no drivers."""
    base = toy.corrected(full=True)
    return dataclasses.replace(
        base, drivers=(), licence="LicenseRef-SMPL-X",
        joint_names=tuple(NATIVE.get(name, name) for name in base.joint_names),
        correctives=tuple(dataclasses.replace(c, joint=NATIVE.get(c.joint, c.joint)) for c in base.correctives),
    )  # fmt: skip


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_characters_from_files(version, tmp_path):
    """The neck of the take turns by up to 50 degrees a joint, so that the correctives matter."""
    people = {"hero": toy.corrected(), "model": native()}
    take = toy.take(24)
    random = np.random.default_rng(3)
    turned = rotations.continuous(rotations.from_rotation_vector(random.normal(0, 0.4, (*take.rotations.shape[:2], 3))))
    take = dataclasses.replace(take, rotations=turned.astype(np.float32))
    take_npz.write(tmp_path / "t.take.npz", take)
    files = {name: tmp_path / f"{name}.character.npz" for name in people}
    for name, character in people.items():
        character_npz.write(files[name], character)
    (tmp_path / "broken.character.npz").write_bytes(b"no archive")
    bad = [
        "",
        str(tmp_path / "gone.character.npz"),
        str(tmp_path / "t.take.npz"),
        str(tmp_path / "broken.character.npz"),
    ]
    answer = tools.run(
        version, "character_stored", tmp_path, take=str(tmp_path / "t.take.npz"), frames=FRAMES, out=str(tmp_path),
        files={name: str(path) for name, path in files.items()}, bad=bad,
    )  # fmt: skip
    for name, character in people.items():
        case = answer["cases"][name]
        performed = performance.perform(character, take)
        chosen = performance.Performance(
            performed.shape_weights[FRAMES], performed.rotations[FRAMES], performed.root[FRAMES]
        )
        points = performance.deform(character, chosen) @ TO_BLENDER.T
        with np.load(tmp_path / f"{name}.npz") as shown:
            for part in character.parts:
                assert np.linalg.norm(shown[part.name] - points[:, part.vertices], axis=-1).max() < 1e-4, (name, part)
        assert case["bad"] == []
        assert case["armature"] == f"{name}_rig"
        assert f"From {name}.character.npz" in case["about"]
        assert "not there any more" in case["gone"]
        assert case["character"] == str(files[name])
        assert case["curves"] < 1e-5
        assert case["polls"] == [False, True]  # nobody else, but twice
    assert answer["cases"]["hero"]["keys"] == 4
    assert answer["cases"]["hero"]["beyond"]
    model = answer["cases"]["model"]
    assert "Its licence is SMPL-X" in model["about"]
    assert model["licence"] == "LicenseRef-SMPL-X"
    assert {title: sorted(names) for title, names in model["collections"].items()} == {
        "Head": ["head"], "Neck": ["neck"], "Face": ["eye.L", "eye.R", "jaw"], "Legs.L": ["left_hip"],
        "Legs.R": ["right_ankle"], "Arms.L": ["left_shoulder"], "Arms.R": ["right_collar"],
        "Hands.R": ["right_index1"], "Spine": ["root", "spine01", "spine2"],
    }  # fmt: skip
    assert answer["left"] == answer["after"] == answer["before"]
    words = ("no file is chosen", "there is no such file", "is no file of a character", "broken.character.npz",
             "no ICT-FaceKit is chosen", "there is no such file or folder", "no JSON object")  # fmt: skip
    assert len(answer["refused"]) == len(words)
    assert all(word in said for word, said in zip(words, answer["refused"], strict=True)), answer["refused"]
