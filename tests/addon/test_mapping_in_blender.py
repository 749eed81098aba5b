# SPDX-License-Identifier: Apache-2.0
"""Takes on meshes and armatures of anybody's, as Blender shows them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.addon import tools

pytestmark = pytest.mark.blender

VERSIONS = ("3.4", "4.2", "5.0")
TURNS = (0.0, 0.7)


@pytest.fixture(scope="module", params=VERSIONS)
def answers(request, tmp_path_factory):
    """What one Blender found in every case of ``mapping_core``, and where it saved a table."""
    place = tmp_path_factory.mktemp("mapping")
    preset = place / "tä'b\".json"
    cases = {f"armature {turn}": {"case": "armature", "turn": turn} for turn in TURNS}
    cases |= {name: {"case": name, "place": str(place)} for name in ("mesh", "speech", "linked", "faults")}
    cases["saved"] = {"case": "saved", "blend": str(place / "ä 'b' \"c\".blend"), "json": str(preset)}
    return {"preset": preset, **tools.run(request.param, "mapping_core", place, cases=cases)}


@pytest.mark.parametrize("turn", TURNS)
def test_the_head_of_another_armature_looks_where_the_humans_looks(answers, turn):
    """Centimetres, lying on its own Y axis, rolled at random, in a T pose, in four rotation modes, turned away."""
    answer = answers[f"armature {turn}"]
    assert answer["most"] > 0.1  # the head does turn
    assert answer["worst"] < 1e-3
    assert np.allclose(answer["arm"], answer["wanted_arm"], atol=2e-3)
    # The hips of the target stand at about 0.9 m, the human's at 1 m.
    way, root = np.array(answer["travel"]), np.array(answer["root"])
    right, forward = np.array([np.cos(turn), np.sin(turn)]), np.array([np.sin(turn), -np.cos(turn)])
    ratio = np.array([way[:2] @ right, way[2], way[:2] @ forward]) / root
    assert np.ptp(ratio) < 1e-3
    assert 0.8 < ratio[0] < 1.1


def test_renamed_keys_get_the_curves(answers):
    answer = answers["mesh"]
    assert answer["worst"] < 1e-5
    assert answer["larynx"] == pytest.approx(np.clip(answer["height"] / 10, 0, 1), abs=1e-5)
    # Two lines with one target add up, and stop at the slider of the key.
    assert answer["quoted"] == pytest.approx(np.clip(answer["both"], 0, 1), abs=1e-5)
    assert answer["slider"] == [0, 1]


def test_a_mesh_with_visemes_speaks(answers):
    answer = answers["speech"]
    assert answer["rows"]["viseme_PP"] == "viseme:PP"
    assert "Basis 2" not in answer["rows"]
    assert answer["closed"] == pytest.approx(1, abs=1e-5)
    assert answer["open"] == pytest.approx(1, abs=1e-5)
    assert "roughly" in answer["guessed"]  # told from the jaw and the lips: the user is told so too
    assert "roughly" not in answer["message"]


def test_tables_are_saved_with_the_file_and_as_json(answers):
    answer = answers["saved"]
    assert answer["rows"][0] == ["jawOpen", "jaw_open", 1.0]
    assert answer["rows"][-1] == ["mouthPucker", 'Kö\'rper "a".blink', 1.5]
    assert answer["empty"] == 0
    assert answer["loaded"] == answer["rows"]
    assert answer["widen"]
    assert json.loads(answers["preset"].read_text(encoding="utf-8"))["format"] == "hyoid.map"


def test_a_linked_character_keeps_its_table(answers):
    """Productions link characters and override them; the table belongs to the shot."""
    assert answers["linked"] == [["jawOpen", "jaw_open", 1.0], ["mouthPucker", "Ö", 0.5]]


@pytest.mark.parametrize("version", VERSIONS)
def test_rigify_controls_turn_its_deforming_bones(version, tmp_path):
    """A rig made by Rigify itself: its neck copies rotations from the torso, its lower spine hangs upside down."""
    answer = tools.run(version, "mapping_rigify", tmp_path)
    assert answer["DEF-spine.003"] < 1e-3
    assert answer["DEF-spine.006"] < 1e-3
    assert np.allclose(answer["arm"], answer["wanted_arm"], atol=2e-3)
    assert answer["rows"]["head"] == "c1c2, oc1"
    assert answer["rows"]["torso"] == "root"
    assert answer["rows"]["upper_arm_fk.L"] == "upperarm01.L, upperarm02.L"
    assert not [bone for bone in answer["rows"] if bone.startswith(("DEF-", "ORG-", "MCH-"))]


def test_foreseeable_faults_are_told_in_words(answers):
    answer = answers["faults"]
    assert "is understood" in answer["names"]
    assert answer["kept"] == 1  # the table that was there
    assert "no table to save" in answer["empty"]
    assert "is not a table" in answer["garbage"]
    assert "version 9" in answer["newer"]
    assert "cannot be read" in answer["missing"]
    assert not answer["poll"]


@pytest.mark.parametrize("version", ["4.2", "5.0"])
def test_a_glb_of_blenders_exporter_is_read_as_the_scene_shows_it(version, tmp_path):
    """Rolled bones in centimetres on a lying armature; the face in an animation of its own."""
    from hyoid.formats import read_take
    from hyoid.geometry.rotations import multiply

    path = tmp_path / "ä 'b'.glb"
    answer = tools.run(version, "mapping_glb", tmp_path, glb=str(path))
    take = read_take(path)
    assert (take.fps, take.frames) == (24, 12)
    assert np.allclose(take.curve("jawOpen"), np.arange(1, 13) / 24, atol=1e-6)
    assert take.curve("Mund 'auf'").max() == 0
    for name, wanted in answer["turns"].items():
        chain, at = [], f"mixamorig:{name}"
        while at:
            chain.insert(0, at)
            at = answer["parents"].get(at)
        whole = np.tile([1.0, 0, 0, 0], (12, 1))
        for joint in chain:
            whole = multiply(whole, take.rotations[:, take.joint_names.index(joint)].astype(float))
        assert np.abs((whole * wanted).sum(-1)).min() > 1 - 1e-6, name
    assert np.abs(take.root - answer["ways"]).max() < 1e-5


@pytest.mark.parametrize("version", ["3.4", "5.0"])
def test_motion_capture_plays_on_the_human_and_on_others_alike(version, tmp_path):
    answer = tools.run(version, "mapping_bvh", tmp_path, bvh=str(tmp_path / "gehen 'ü'.bvh"))
    assert answer["most"] > 0.1
    assert answer["apart"] < 1e-3
    other, human = map(np.array, answer["arms"])
    # The joint in the middle of the human's upper arm lies a little beside the line from shoulder to elbow.
    assert np.degrees(np.arccos(other @ human)) < 2
    # 38 cm forward of a man whose hips stand at 92 cm; the human's stand at 1 m.
    assert answer["ways"][1] == pytest.approx([0.1 / 0.92, -0.38 / 0.92, 0.019 / 0.92], abs=1e-3)
    assert answer["ways"][0][1] < -0.3
