# SPDX-License-Identifier: Apache-2.0
"""Takes in a scene: right in time and value, only where they belong, and undone in one step."""

import functools
import wave

import numpy as np
import pytest
from hyoid import characters, take_edit, take_keys
from hyoid.characters import arkit, performance
from hyoid.formats import bvh, curves_csv, glb, take_npz
from hyoid.geometry import rotations
from hyoid.take import AudioReference, Take

from tests import toy
from tests.addon import tools

pytestmark = pytest.mark.blender

VALUE = 1e-5
"""Keys are float32, and the frame 200 resolves 1.5e-5 frames: what curves of 0..1 can differ by."""
MILLIMETRES = 1e-4
RADIANS = 1e-5


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """What ``take_core.py`` measured in a version; each Blender starts once."""
    folder = tmp_path_factory.mktemp("takes")

    def measure(version):
        take = folder / "toy.take.npz"
        strange = folder / "Ü\"b'ung ❤.take.npz"
        for path in (take, strange):
            take_npz.write(path, toy.take())
        (folder / "damaged.take.npz").write_bytes(b"hello")
        (folder / "cut.bvh").write_text("HIERARCHY\nROOT")
        (folder / "empty.csv").write_text("")
        names = ("missing.take.npz", "damaged.take.npz", "cut.bvh", "empty.csv", "scene.fbx", "voice.wav")
        bad = {name: str(folder / name) for name in names} | {"nothing": ""}
        try:
            return tools.run(version, "take_core", folder, take=str(take), strange=str(strange), bad=bad)
        except AssertionError as error:
            return error

    known = functools.cache(measure)  # a failure too: every test of a version would start it again

    def measured(version):
        found = known(version)
        if isinstance(found, AssertionError):
            raise found
        return found

    return measured


@pytest.fixture(params=tools.VERSIONS)
def measured(request, answer):
    return answer(request.param)


def near(error, times=1):
    """Weights, millimetres and radians are those of the take."""
    return error[0] < times * VALUE and error[1] < times * MILLIMETRES and error[2] < times * RADIANS


def test_a_take_keeps_its_seconds_at_every_rate(measured):
    for name, found in measured["times"].items():
        assert near(found), (name, found)
        if name.endswith("True"):
            assert found[3] == 0, name  # keys on the frames of the scene
    assert measured["times"]["24 False"][3] > 0.3  # keys where the frames of the take are


def test_a_new_action_leaves_the_old_one_in_the_file(measured):
    found = measured["new"]
    assert found["names"] == ["first", "second"]
    assert found["kept"]
    assert near(found["error"])
    assert found["keys"] == [32, 1]  # 40 frames at 30 are 32 at 24; what never moves has one key
    assert not found["jaw"]  # a bone that rests in the whole take has no channel
    assert {"Controls", "oc1", "c3c4"} <= set(found["groups"])
    assert found["interpolation"] == ["LINEAR"]
    assert found["placed"] == [["second", 5.0, 3]]


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_one_action_has_all_channels_where_actions_have_slots(version, answer):
    assert answer(version)["new"]["same"] == (version >= "4.4")


def test_only_the_frames_of_the_take_change(measured):
    found = measured["replaced"]
    assert found["outside"] < 5e-5  # 200 frames outside a straight line, in float32
    assert found["moved"] == 0
    assert near(found["inside"])
    assert found["same_action"]
    assert found["jaw_outside"] == [0, 0]  # nothing moved it before, so it rests outside the take


def test_fades_start_and_end_at_what_was_there(measured):
    found = measured["faded"]
    assert abs(found["ends"][0]) < VALUE
    assert abs(found["ends"][1]) < VALUE
    assert abs(found["middle"]) < VALUE
    assert abs(found["jaw"]) < VALUE
    assert found["length"] == pytest.approx([1, 1], abs=1e-3)  # straight lines between frames cut the sphere a little


def test_an_action_that_moves_something_else_is_copied_first(measured):
    found = measured["shared"]
    assert found["together"]  # else the case proves nothing
    assert found["twin"] == 0
    assert not found["same"]
    assert near(found["mine"])


def test_strips_show_only_in_their_time(measured):
    found = measured["strips"]
    assert found["outside"] < VALUE
    assert found["outside_turn"] == pytest.approx(1, abs=1e-6)
    assert near(found["inside"])
    assert near(found["second"])
    assert found["rest"] == [0, 0]
    assert found["action"]
    assert "as an NLA strip" in found["refused"]  # an action would hide the strips outside the range too
    assert found["solved"] == 1
    assert found["jaws"] == pytest.approx([0, 0.25, 0], abs=VALUE)  # solved again inside a strip, nothing beside it
    names = [name for name, _ in found["tracks"]]
    assert names[1:] == ["Hyoid rest", "Hyoid", "Hyoid"]  # above the pushed-down action; two strips would overlap
    ((_, start, end, blend),) = found["tracks"][2][1]
    assert (start, end, blend) == (30, 61, 4)


def test_part_of_a_take_changes_that_part_only(measured):
    found = measured["part"]
    assert found["outside"] < VALUE
    assert found["inside"] == pytest.approx(0.25, abs=VALUE)
    assert found["smile"] == 0
    assert found["neck"] == 0
    assert found["placed"] == ["whole"]


def test_quotes_and_other_scripts_in_names(measured):
    found = measured["names"]
    assert abs(found["value"]) < VALUE
    assert found["moved"] > 0.01
    assert found["action"] == "Kü\"he\\ '頸'"
    assert found["result"] == ["FINISHED"]
    assert found["file_action"] == "Ü\"b'ung ❤"
    assert "has no" not in found["message"]


def test_faults_are_told_in_words(measured):
    said = measured["errors"]
    expected = {
        "missing.take.npz": "there is no such file", "damaged.take.npz": "is not a sound .npz file",
        "cut.bvh": "line 2", "empty.csv": "empty.csv: ", "scene.fbx": "File > Import", "voice.wav": "section Talk",
        "nothing": "no file is chosen",
        "target": "no object 'nobody'", "cannot": "'bystander' (empty) cannot play a take",
    }  # fmt: skip
    for name, text in expected.items():
        assert text in said[name], said[name]
        assert "Traceback" not in said[name], said[name]


def test_a_finished_job_finds_its_character(measured):
    found = measured["job"]
    assert near(found["error"])
    assert found["made"] == 1
    assert "is gone" in found["second"]
    assert "toy.take.npz" in found["second"]
    assert "wrote no take" in found["third"]


def test_one_step_takes_everything_back(measured):
    found = measured["undone"]
    assert found["undid"]
    assert found["before"] != found["between"]
    assert found["before"] == found["after"]
    assert found["markers"] > 0
    assert found["range"][1] > found["range"][0]


def test_scene_and_other_objects_stay_as_they_were(measured):
    before, after = measured["settings"]
    assert before == after


def _busy(character, low, high, frames=40):
    """Every curve between two weights, the larynx up, down, small and large, every joint and the root move."""
    time, dice = np.arange(frames) / 30, np.random.default_rng(5)
    count = len(arkit.CURVES)
    wave = np.sin(2 * np.pi * (dice.uniform(0.3, 1.5, count) * time[:, None] + dice.uniform(0, 1, count)))
    curves = low + (high - low) * (0.5 + 0.5 * wave)
    curves[:, arkit.CURVES.index("larynxHeight")] = 14 * wave[:, 0]
    curves[:, arkit.CURVES.index("larynxSize")] = 0.9 + 0.9 * wave[:, 1]
    rate, phase = dice.uniform((0.2, 0), (1, 6), (len(character.joint_names), 3, 2)).T
    angles = np.radians(25) * np.sin(2 * np.pi * rate.T * time[:, None, None] + phase.T)
    root = 0.3 * np.sin(np.stack([time, 2 * time, 3 * time], -1))
    return Take(
        fps=30.0, curve_names=arkit.CURVES, curves=curves.astype(np.float32), joint_names=character.joint_names,
        rotations=rotations.from_rotation_vector(angles).astype(np.float32), root=root.astype(np.float32),
        confidence=np.ones(frames, np.float32),
    )  # fmt: skip


PLACES = (0, 7, 18.5, 33, 39)
"""Frames of a take that are compared; the half one lies between two keys."""
TO_BLENDER = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_blender_shows_what_the_toolkit_evaluates(version, tmp_path):
    """A plain head; and a whole body in a film's scene in centimetres, placed, turned and stretched by the artist,
    with weights below 0 and above 1."""
    settings, start = {"gender": 0.8, "age": 0.7}, 11
    away = np.eye(4)
    away[:3, :3] = rotations.to_matrix(rotations.from_rotation_vector(np.array([0.3, -0.6, 0.9]))) * [2.5, 0.4, 1.3]
    away[:3, 3] = 3, -2, 0.5
    cases, expected = [], {}
    for part, low, high, world, unit, fps in (
        ("head", 0, 1, np.eye(4), 1.0, (30, 1.0)), ("full", -0.5, 1.6, away, 0.01, (24, 1.001))
    ):  # fmt: skip
        character = characters.load("human", settings, part=part)
        take = _busy(character, low, high)
        path = tmp_path / f"{part}.take.npz"
        take_npz.write(path, take)
        frames = [start + place / 30 * fps[0] / fps[1] for place in PLACES]
        cases.append({
            "name": part, "part": part, "take": str(path), "world": world.tolist(), "unit": unit, "fps": fps,
            "frames": frames, "whole": False,
        })  # fmt: skip
        performed = performance.perform(character, take_edit.resample(take, 60))
        chosen = [round(2 * place) for place in PLACES]
        picked = (performed.shape_weights[chosen], performed.rotations[chosen], performed.root[chosen])
        points = performance.deform(character, performance.Performance(*picked))
        assert np.abs(points - character.vertices).max() > 0.1  # the take does move it
        expected[part] = (character, points @ TO_BLENDER.T @ world[:3, :3].T + world[:3, 3])
    found = tools.run(
        version, "take_mesh", tmp_path, settings=settings, start=start, cases=cases, out=str(tmp_path)
    )  # fmt: skip
    for case in cases:
        character, points = expected[case["name"]]
        assert found[case["name"]]["fps"] == pytest.approx(case["fps"])
        with np.load(found[case["name"]]["path"]) as shown:
            for piece in character.parts:
                worst = np.linalg.norm(shown[piece.name] - points[:, piece.vertices], axis=-1).max()
                assert worst < 1e-4, (case["name"], piece.name, worst)


@pytest.mark.parametrize("version", ["3.4", "5.0"])
def test_other_files_play_too(version, tmp_path):
    take = toy.take()
    bvh.write(tmp_path / "neck.bvh", toy.character(), take)
    curves_csv.write(tmp_path / "plain.csv", take)
    curves_csv.write(tmp_path / "phone.csv", take, convention="live_link")
    found = tools.run(version, "take_files", tmp_path, place=str(tmp_path))
    row = 20
    smile = float(take.curve("mouthSmileLeft")[row])
    assert found["plain.csv"]["smile"] == pytest.approx(smile, abs=1e-6)
    assert found["phone.csv"]["smile"] == pytest.approx(smile, abs=1e-3)  # its numbers have fewer digits
    assert found["neck.bvh"]["turned"] == pytest.approx(float(np.degrees(_angle(take, row))), abs=0.01)
    assert found["alone"]["created"] == ["human_rig"]
    assert found["alone"]["counts_after_remove"] == found["alone"]["counts_before"]


def _angle(take, row):
    """How far the whole neck turns the head, radians."""
    whole = rotations.IDENTITY.astype(np.float64)
    for index in range(8):
        whole = rotations.multiply(whole, take.rotations[row, index].astype(np.float64))
    return np.linalg.norm(rotations.to_rotation_vector(whole))


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_other_targets_and_kinds_of_takes(version, tmp_path):
    take, row = toy.take(), 20
    take_npz.write(tmp_path / "toy.take.npz", take)
    take_npz.write(tmp_path / "few.take.npz", take_keys.reduce_keys(take, 0.02))
    glb.write(tmp_path / "toy.glb", toy.character(), take)
    with wave.open(str(tmp_path / "Stimme 'ü'.wav"), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(8000)
        stream.writeframes(bytes(16000))
    audio = AudioReference(str(tmp_path / "Stimme 'ü'.wav"), "0" * 64, 1.0, 0.5)
    take_npz.write(tmp_path / "heard.take.npz", toy.take(audio=audio))
    found = tools.run(
        version, "take_more", tmp_path, take=str(tmp_path / "toy.take.npz"), glb=str(tmp_path / "toy.glb"),
        sparse=str(tmp_path / "few.take.npz"), heard=str(tmp_path / "heard.take.npz"),
    )  # fmt: skip
    assert found["drop"] == (None if version == "3.4" else ".npz;.bvh;.csv")  # Blender can ask from 4.1 on
    smile = take.curve("mouthSmileLeft")
    _check_glb(found["glb"], take, row)
    _check_modes(found["modes"], take)
    assert found["sparse"]["keys"] < take.frames / 2
    assert found["sparse"]["shown"] == pytest.approx(smile[::3].tolist(), abs=0.021)  # the tolerance of its keys
    assert found["sparse"]["ends"] == [1, take.frames]
    if found["sound"]["audaspace"]:
        first, second = found["sound"]["where"]
        assert first == [[1, 25], ""]  # half a second after frame 10
        assert second == [[1, 25], [2, 27], ""]
    else:
        assert "no sound" in found["sound"]["where"][0][-1]
    _check_mapped(found["mapped"], take, row, version)
    told = found["refused"]["told"]
    assert "nothing in the take fits" in told["nothing"]
    assert "sideways" in told["mode"]
    assert "no second of the take lies between 3 and" in told["seconds"]
    assert found["refused"]["tweaked"]
    assert "Tab in the NLA editor" in told["tweaked"]
    elsewhere = found["elsewhere"]
    assert (elsewhere["rigs"], elsewhere["here"]) == (1, 0)
    assert elsewhere["shown"] == pytest.approx(float(take.curve("jawOpen")[row]), abs=1e-4)
    assert "in place of 'toy'" in elsewhere["message"]
    assert "nothing in the take fits" in elsewhere["told"]
    assert elsewhere["left"] == 0  # the character that was made for it is gone again


def _check_glb(found, take, row):
    assert "New Character" in found["alone"]
    assert "glTF 2.0" in found["alone"]
    assert found["done"] == "done"
    assert found["smile"] == pytest.approx(float(take.curve("mouthSmileLeft")[row]), abs=1e-5)
    own = take.rotations[row, take.joint_names.index("c3c4")]
    assert found["turn"] == pytest.approx(float(2 * np.degrees(np.arccos(abs(own[0])))), abs=0.01)


def _check_modes(found, take):
    assert found["modes"] == ["ZXY", "AXIS_ANGLE"]
    to_blender = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    for name, turned in found["turned"].items():
        for place, row in enumerate((3, 11, 29)):
            quaternion = take.rotations[row, take.joint_names.index(name)].astype(float)
            expected = to_blender @ rotations.to_matrix(quaternion) @ to_blender.T
            assert np.abs(np.array(turned[place]) - expected).max() < 1e-5, (name, row)


def _check_mapped(found, take, row, version):
    assert found["first"] == found["second"] == "done"
    assert found["idle"]
    assert found["smile"] == pytest.approx(float(take.curve("mouthSmileLeft")[row]), abs=1e-5)
    assert found["angle"] == pytest.approx(float(np.degrees(_angle(take, row))), abs=0.1)
    assert found["shared"] == (version >= "4.4")
    assert found["placed"] == ["toy"]
    assert "no shape keys" in found["no keys"]
    assert "qqq" in found["no names"]
