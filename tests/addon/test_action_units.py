# SPDX-License-Identifier: Apache-2.0
"""Action units in Blender: sliders that show what the toolkit evaluates, on top of keys that stay free."""

import dataclasses

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import arkit, facs, performance
from hyoid.formats import take_npz

from tests import toy
from tests.addon import tools

pytestmark = pytest.mark.blender
FRAMES = [0, 5, 11, 17, 23]
TO_BLENDER = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def mixed(frames=24):
    """ARKit curves, partly beyond 1 and below 0, and every unit that can be shown, all at once and out of step."""
    base = toy.take(frames)
    random = np.random.default_rng(8)
    names = (*base.curve_names, *facs.RECIPES)
    units = random.uniform(-0.3, 0.5, (frames, len(facs.RECIPES))).clip(0).astype(np.float32)
    own = random.uniform(-0.2, 1.1, (frames, len(base.curve_names))).astype(np.float32)
    own[:, [name.startswith("larynx") for name in base.curve_names]] = 1
    own[:, [name in ("swallow", "breath") for name in base.curve_names]] = 0
    own *= random.uniform(0, 1, own.shape) < 0.5  # half of the keys rest, so that units are not always cut off
    return dataclasses.replace(base, curve_names=names, curves=np.concatenate([own, units], 1))


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_action_units(version, tmp_path):
    take, character = mixed(), characters.load("human", part="head")
    take_npz.write(tmp_path / "units.take.npz", take)
    answer = tools.run(
        version, "action_units", tmp_path, take=str(tmp_path / "units.take.npz"), frames=FRAMES,
        out=str(tmp_path / "shown.npz"), sampled=str(tmp_path / "sampled.take.npz"),
    )  # fmt: skip
    assert answer["without"] == [False, []]
    assert 0.005 < answer["smile"] < 0.03  # metres that the face moved, in a file without any action
    assert answer["lashes"] > 0.3  # other parts come along
    assert "controls for action units were added" in answer["said"]
    known = {name for name in facs.RECIPES if set(facs.recipe(name)) & set(character.shapes.names)}
    assert set(answer["units"]) == known
    assert answer["keys"]
    assert all(name.startswith("AU ") and name[3:] in character.shapes.names for name in answer["keys"])
    assert answer["pickers"] == []  # nobody is offered a key that drivers move
    assert answer["bad"] == []  # all are evaluated without Python

    performed = performance.perform(character, take)
    chosen = performance.Performance(
        performed.shape_weights[FRAMES], performed.rotations[FRAMES], performed.root[FRAMES]
    )
    points = performance.deform(character, chosen) @ TO_BLENDER.T
    with np.load(tmp_path / "shown.npz") as shown:
        for part in character.parts:
            worst = np.linalg.norm(shown[part.name] - points[:, part.vertices], axis=-1).max()
            assert worst < 1e-4, part.name

    sampled = take_npz.read(tmp_path / "sampled.take.npz")
    names, curves = facs.expanded(take.curve_names, take.curves, character.shapes.names)
    for name in arkit.NAMES:
        assert np.abs(sampled.curve(name) - curves[:, names.index(name)]).max() < 1e-5, name
    assert answer["baked"] < 1e-5
    assert '["AU12"]' in answer["keyed"]
    assert not [path for path in answer["keyed"] if path.startswith('key_blocks["AU ')]

    assert answer["letter"] == 0.6
    assert "AU31" in answer["refused"]
    assert "masseter" in answer["refused"]
    assert answer["emotion"] == pytest.approx(facs.EMOTIONS["happiness"])
    assert sorted(answer["unit_keys"]) == sorted(f'["{name}"]' for name in facs.EMOTIONS["happiness"])
    whole = {name for shown in answer["shown"][::2] for name in shown}
    assert {name.rstrip("LR") for name in whole} == {name.rstrip("LR") for name in known}
    assert {name for shown in answer["shown"] for name in shown} == known
    assert answer["titles"] == ["AU12 Lip Corner Puller", "AU12 L Lip Corner Puller"]
    assert answer["after"] == [True, []]
    assert answer["left"] == 0
