# SPDX-License-Identifier: Apache-2.0
"""The .blend opens in every supported Blender, plays exactly the performance, and has what an artist looks for."""

import dataclasses
import hashlib

import numpy as np
import pytest
import soundfile
from hyoid import blender
from hyoid.characters import arkit
from hyoid.report import Report
from hyoid.take import AudioReference, Event, Keys

from tests import toy
from tests.blender import tools

pytestmark = pytest.mark.blender
FRAMES = [0, 7, 13, 22, 39]
FIRST = 1  # the scene's frame of the take's frame 0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blend")
    tools.folder_of("4.2")
    sound = folder / "voice.wav"
    soundfile.write(sound, 0.3 * np.sin(np.arange(16000) / 10), 16000)
    take = toy.take(audio=AudioReference(str(sound), hashlib.sha256(sound.read_bytes()).hexdigest(), 1.0))
    blender.write(folder / "shot.blend", toy.character(), take)
    return folder / "shot.blend", toy.character(), take


def scene_frames(frames):
    return [frame + FIRST for frame in frames]


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_opens_and_plays_the_performance(made, version, tmp_path):
    path, character, take = made
    seen = tools.probe(path, scene_frames(FRAMES), tmp_path, version)
    assert seen.info["version"].startswith(version)
    tools.check(seen, character, take, FRAMES)
    assert seen.info["invalid_drivers"] == []  # each is evaluated without Python, so auto-run may stay off
    assert seen.info["drivers"] > 30
    assert seen.info["sounds"] == [[1, 31, True]]


@pytest.mark.parametrize("version", ["4.5", "5.0"])
def test_other_versions_write_slotted_actions(made, version, tmp_path, monkeypatch):
    _, character, take = made
    monkeypatch.setenv("HYOID_BLENDER", str(tools.folder_of(version)))
    path = tmp_path / "shot.blend"
    blender.write(path, character, take)
    seen = tools.probe(path, scene_frames(FRAMES), tmp_path, version)
    tools.check(seen, character, take, FRAMES)
    assert seen.info["sounds"] == [[1, 31, True]]
    assert seen.info["actions"] == ["shot"]
    assert seen.info["slots"] == [2]


def test_the_scene_has_what_an_artist_looks_for(made, tmp_path):
    info = tools.probe(made[0], [1], tmp_path).info
    assert "Hyoid toy" in info["collections"]
    assert info["bone_collections"]["Neck"] == list(toy.NECK[:-1])
    assert info["bone_collections"]["Head"] == ["oc1"]
    assert info["bone_collections"]["Control"] == ["head_control"]
    assert info["bone_collections"]["Face"] == ["jaw", "eye.L", "eye.R"]
    names = [*arkit.NAMES, *arkit.LARYNX_SHAPES]
    assert info["keys"]["toy_body"] == ["Basis", *names, "jaw"]
    assert all(info["relative"])
    assert info["actions"] == ["shot", "shot face"]
    assert info["fps"] == 30
    assert info["range"] == [1, 40]
    assert info["camera"]
    assert info["lights"] == 3
    assert info["markers"] == [["M  (my)", 7]]
    properties = ["head_turn", "head_nod", "head_tilt", "neck_limits", "larynx_height", "larynx_size", "jaw"]
    assert [key for key in info["properties"] if not key.startswith("hyoid_")] == properties
    assert '"verb": "talk"' in info["properties"]["hyoid_provenance"]
    assert "BSDF_PRINCIPLED" in info["materials"]["skin"]


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_controls_move_the_rig_on_top_of_the_take(made, version, tmp_path):
    path, character, _ = made
    poses = {1: {"head_turn": 30.0}, 2: {"head_nod": 20.0}, 3: {"larynx_height": -5.0, "jaw": 0.5}}
    statement = f"""
keys = bpy.data.objects["toy_body"].data.shape_keys
armature.animation_data.action = keys.animation_data.action = None
for key in keys.key_blocks:
    key.value = 0
for bone in armature.pose.bones:
    bone.rotation_quaternion, bone.location = (1, 0, 0, 0), (0, 0, 0)
rest = dict.fromkeys(("head_turn", "head_nod", "head_tilt", "larynx_height", "jaw"), 0.0) | {{"larynx_size": 1.0}}
for frame, pose in {poses}.items():
    for name, value in (rest | pose).items():
        armature[name] = value
        armature.keyframe_insert(f'["{{name}}"]', frame=frame)
"""
    seen = tools.probe(path, [1, 2, 3], tmp_path, version, statement)
    eyes = seen.joints["eye.L"][0] - seen.joints["eye.R"][0]
    assert np.degrees(np.arctan2(-eyes[2], eyes[0])) == pytest.approx(30, abs=1)
    assert abs(eyes[1]) / np.linalg.norm(eyes) < np.sin(np.radians(2))  # the head stays level

    forward = seen.joints["eye.L"][1] - seen.joints["oc1"][1]
    still = character.heads[character.joint("eye.L")] - character.heads[character.joint("oc1")]
    before, after = np.arctan2(still[1], still[2]), np.arctan2(forward[1], forward[2])
    assert np.degrees(before - after) == pytest.approx(20, abs=0.1)

    shapes = character.shapes
    offset = np.zeros_like(character.vertices)
    for name, weight in (("larynxDown", 0.5), ("jawOpen", 0.5)):
        k = shapes.names.index(name)
        rows = slice(shapes.starts[k], shapes.starts[k + 1])
        offset[shapes.vertices[rows]] += weight * shapes.offsets[rows]
    body = character.parts[0].vertices
    assert np.abs(seen.vertices["toy_body"][2] - character.vertices[body] - offset[body]).max() < tools.TOLERANCE


def test_other_parts_follow_the_keys_of_the_body(tmp_path):
    character = toy.character()
    eye = character.parts[1].vertices
    shapes = character.shapes
    first = shapes.starts[1]  # let the first shape, browDownLeft, move the left "eye" too
    shapes = dataclasses.replace(
        shapes,
        starts=np.r_[0, shapes.starts[1:] + 1],
        vertices=np.insert(shapes.vertices, first, eye.start).astype(np.int32),
        offsets=np.insert(shapes.offsets, first, [0, 0.01, 0], axis=0).astype(np.float32),
    )
    character = dataclasses.replace(character, shapes=shapes)
    blender.write(tmp_path / "shot.blend", character, toy.take())
    seen = tools.probe(tmp_path / "shot.blend", scene_frames(FRAMES), tmp_path)
    assert seen.info["keys"]["toy_eye_left"] == ["Basis", "browDownLeft"]
    assert "toy_eye_right" not in seen.info["keys"]
    tools.check(seen, character, toy.take(), FRAMES)


def test_sparse_keys_stay_sparse(tmp_path):
    take = toy.take()
    ramp = np.interp(np.arange(take.frames), [0, 10, 39], [0, 1, 0.25]).astype(np.float32)
    curves = take.curves.copy()
    curves[:, arkit.CURVES.index("jawOpen")] = ramp
    keys = {"jawOpen": Keys(np.array([0, 10, 39]) / take.fps, np.array([0, 1, 0.25], np.float32))}
    take = dataclasses.replace(take, curves=curves, keys=keys)
    blender.write(tmp_path / "shot.blend", toy.character(), take, keys="sparse")
    statement = "curves = [c for a in bpy.data.actions for c in a.fcurves if 'jawOpen' in c.data_path]\n"
    statement += "assert [len(c.keyframe_points) for c in curves] == [3], curves\n"
    seen = tools.probe(tmp_path / "shot.blend", scene_frames(FRAMES), tmp_path, "4.2", statement)
    tools.check(seen, toy.character(), take, FRAMES)


def test_a_character_at_rest_and_odd_frame_rates(tmp_path):
    blender.write(tmp_path / "rest.blend", toy.character())
    seen = tools.probe(tmp_path / "rest.blend", [1], tmp_path)
    assert seen.info["actions"] == []
    assert np.abs(seen.vertices["toy_body"][0] - toy.character().vertices[:480]).max() < 1e-6
    blender.write(tmp_path / "ntsc.blend", toy.character(), toy.take(fps=30000 / 1001))
    assert tools.probe(tmp_path / "ntsc.blend", [1], tmp_path).info["fps"] == pytest.approx(29.97003, abs=1e-5)


def test_names_that_break_data_paths(tmp_path):
    """Shape and joint names may hold quotes and backslashes; the file may lie under an odd name."""
    character, take = toy.character(), toy.take()
    odd = 'neck "a"\\b'
    character = dataclasses.replace(character, joint_names=(character.joint_names[0], odd, *character.joint_names[2:]))
    take = dataclasses.replace(take, joint_names=(*take.joint_names[:-1], odd), events=(Event("phone", "é", 0, 0.1),))
    path = tmp_path / 'it\'s a "shot" ; é.blend'
    blender.write(path, character, take)
    tools.check(tools.probe(path, scene_frames(FRAMES), tmp_path), character, take, FRAMES)


def test_a_missing_sound_is_a_warning(tmp_path):
    events = []
    take = toy.take(audio=AudioReference(str(tmp_path / "gone.wav"), "0" * 64, 1.0))
    blender.write(tmp_path / "shot.blend", toy.character(), take, Report(events.append))
    assert [event["text"] for event in events if event.get("level") == "warning"] == [
        f"{tmp_path / 'gone.wav'}: the sound of the take is not there; the file is written without it"
    ]
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert tools.probe(tmp_path / "shot.blend", [1], tmp_path).info["sounds"] == []
