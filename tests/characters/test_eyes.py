# SPDX-License-Identifier: Apache-2.0
"""Eyes on a character that has none: where they are, what turns them, what they are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid.characters import arkit, performance
from hyoid.characters.lent import eyes
from hyoid.take import Provenance, Take

from tests import toy

CENTRES, RADIUS = np.array([[0.03, 1.7, 0.08], [-0.03, 1.7, 0.08]]), 0.012


def _with_eyes(character=None):
    return eyes.add(character or toy.character(), eyes.Placement(CENTRES, RADIUS))


def _look(character, curve: str) -> np.ndarray:
    curves = np.zeros((1, len(arkit.CURVES)), np.float32)
    curves[0, arkit.CURVES.index(curve)] = 1
    curves[0, arkit.CURVES.index("larynxSize")] = 1
    take = Take(
        fps=30.0, curve_names=arkit.CURVES, curves=curves, joint_names=(), rotations=np.zeros((1, 0, 4), np.float32),
        root=np.zeros((1, 3), np.float32), confidence=np.ones(1, np.float32), provenance=Provenance("0", "test", {}),
    )  # fmt: skip
    return performance.deform(character, performance.perform(character, take))[0]


def test_parts_joints_and_materials_are_added_and_the_rest_stays():
    before = toy.character()
    after = _with_eyes(before)
    names = [part.name for part in after.parts]
    assert names[-4:] == ["eye_left", "eye_right", "cornea_left", "cornea_right"]
    np.testing.assert_array_equal(after.vertices[: len(before.vertices)], before.vertices)
    assert after.parts[-1].vertices.stop == len(after.vertices)
    assert after.parts[-1].faces.stop == len(after.faces)
    assert after.face_uv.max() < len(after.uv)
    assert {"eye", "cornea"} <= set(after.materials)
    for index, joint in enumerate(("eye.L", "eye.R")):
        np.testing.assert_allclose(after.heads[after.joint(joint)], CENTRES[index], atol=1e-6)
        ball = after.vertices[after.parts[-4 + index].vertices]
        distance = np.linalg.norm(ball - CENTRES[index], axis=1)
        assert distance.max() < 1.01 * RADIUS


def test_missing_joints_are_made_under_the_skull():
    before = toy.character()
    whole = np.eye(8, dtype=np.float32)[np.zeros(len(before.vertices), int)]
    kept = [i for i, name in enumerate(before.joint_names) if not name.startswith("eye.")]
    names = tuple(before.joint_names[i] for i in kept)
    places = {old: new for new, old in enumerate(kept)}
    bare = replace(
        before, joint_names=names, parents=np.array([places.get(int(before.parents[i]), -1) for i in kept], np.int32),
        heads=before.heads[kept], tails=before.tails[kept], drivers=(),
        weight_joints=np.zeros_like(before.weight_joints), weights=whole,
    )  # fmt: skip
    after = _with_eyes(bare)
    for joint in ("eye.L", "eye.R"):
        assert after.joint_names[after.parents[after.joint(joint)]] == "oc1"


@pytest.mark.parametrize(
    ("curve", "axis", "sign"),
    [("eyeLookUpLeft", 1, 1), ("eyeLookDownLeft", 1, -1), ("eyeLookOutLeft", 0, 1), ("eyeLookInLeft", 0, -1)],
)
def test_the_left_pupil_follows_its_curves_and_the_right_one_stays(curve, axis, sign):
    character = _with_eyes()
    posed = _look(character, curve)
    left, right = (part.vertices for part in character.parts[-4:-2])
    pupil = left.stop - 2  # before the back pole
    depth = character.vertices[pupil, 2] - CENTRES[0, 2]
    expected = depth * np.sin(np.radians({"eyeLookUpLeft": 25}.get(curve, 30)))
    assert sign * (posed - character.vertices)[pupil, axis] == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(posed[right], character.vertices[right], atol=1e-6)


def test_a_surface_of_ones_own_and_a_turn_outwards_are_mirrored():
    placement = eyes.Placement(CENTRES, RADIUS, lambda theta: 1 + 0.1 * np.cos(theta), 5.0)
    character = eyes.add(toy.character(), placement)
    left, right = (character.vertices[part.vertices] - CENTRES[i] for i, part in enumerate(character.parts[-4:-2]))
    axis = left[np.linalg.norm(left, axis=1).argsort()[-50:]].mean(0)
    assert axis[0] > 0  # outwards is +X for the left eye
    assert np.degrees(np.arctan2(axis[0], axis[2])) == pytest.approx(5.0, abs=0.5)
    np.testing.assert_allclose(np.sort(left[:, 0]), np.sort(-right[:, 0]), atol=1e-6)
