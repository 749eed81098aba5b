# SPDX-License-Identifier: Apache-2.0
"""A character made in Blender by the add-on is the toolkit's character, in every version, and leaves no trace."""

import functools
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid import blender, characters
from hyoid.blender import neck_control
from hyoid.characters import arkit, bundled, neck, performance
from hyoid.formats import take_npz
from hyoid.geometry import rotations

from tests import toy
from tests.addon import tools

pytestmark = pytest.mark.blender
TOLERANCE = 1e-4  # metres
NECK = neck.JOINTS


@functools.cache
def human(part, age=0.7):
    return characters.load("human", {"age": age}, part=part)


def poses(character, frames, **given):
    """Pose arrays of the script ``character_pose`` at rest, with some of them given."""
    count = len(character.joint_names)
    return {
        "joint_names": np.array(character.joint_names),
        "shape_names": np.array(arkit.NAMES),
        "shape_weights": np.zeros((frames, len(arkit.NAMES)), np.float32),
        "larynx_height": np.zeros(frames),
        "larynx_size": np.ones(frames),
        "head": np.zeros((frames, 3)),
        "handle": np.tile([1.0, 0, 0, 0], (frames, 1)),
        "rotations": rotations.identity(frames, count),
        "root": np.zeros((frames, 3), np.float32),
        **given,
    }


def show(version, folder, character, arrays, part, limits=None):
    """What Blender shows of a posed character: arrays by part, ``joints`` and ``bones``, and the answer."""
    np.savez(folder / "poses.npz", **arrays)
    answer = tools.run(
        version, "character_pose", folder, poses=str(folder / "poses.npz"), out=str(folder / "shown.npz"), part=part,
        settings=dict(character.settings), limits=limits,
    )  # fmt: skip
    with np.load(folder / "shown.npz") as archive:
        return {name: archive[name] for name in archive.files}, answer


def follow_joints(character, weights, turns):
    """Write the weights of the correctives for rotations (frames, joints, 4) into ``weights``."""
    for entry in character.correctives:
        moved = rotations.to_matrix(turns[:, character.joint(entry.joint)].astype(float)) - np.eye(3)
        weights[:, character.shapes.names.index(entry.shape)] = (entry.features * moved).sum((-1, -2))


@pytest.mark.parametrize("part", ["head", "full"])
@pytest.mark.parametrize("version", tools.VERSIONS)
def test_the_evaluated_mesh_is_the_toolkits(version, part, tmp_path):
    """Random shapes, joints and larynx together; an age of 0.3 moves every joint and vertex from the default.

    In the last frame each joint of the neck turns by some 20 degrees on its own: as far as the correctives ever go.
    """
    character = human(part, 0.3)
    assert character.correctives
    random = np.random.default_rng(5)
    frames = 4
    turns = rotations.from_rotation_vector(random.normal(0, 0.12, (frames, len(character.joint_names), 3)))
    names = character.joint_names
    for index in [names.index(joint) for joint in NECK]:
        turns[:, index] = rotations.identity(frames)
    heads = neck.distribute(character.neck, rotations.from_rotation_vector(random.normal(0, 0.3, (frames, 3))))
    turns[:, [names.index(joint) for joint in NECK]] = heads
    turns[3, [names.index(joint) for joint in NECK]] = rotations.from_rotation_vector(random.normal(0, 0.25, (8, 3)))
    arrays = poses(
        character, frames, rotations=turns.astype(np.float32),
        root=random.normal(0, 0.2, (frames, 3)).astype(np.float32),
        shape_weights=random.uniform(0, 1, (frames, len(arkit.NAMES))).astype(np.float32),
        larynx_height=np.array([-8.0, 5, 11, 0]), larynx_size=np.array([0.4, 1.0, 2.0, 1.0]),
    )  # fmt: skip
    shown, answer = show(version, tmp_path, character, arrays, part, limits=0.0)
    assert answer["bad_drivers"] == []
    assert answer["mark"]["settings"] == {"age": 0.3}

    weights = np.zeros((frames, len(character.shapes.names)), np.float32)
    weights[:, : len(arkit.NAMES)] = arrays["shape_weights"]
    travel = arrays["larynx_height"] / arkit.SHAPE_MILLIMETRES
    larynx = {"larynxUp": np.maximum(travel, 0), "larynxDown": np.maximum(-travel, 0)}
    for name, values in (larynx | {"larynxSize": arrays["larynx_size"] - 1}).items():
        weights[:, character.shapes.names.index(name)] = values
    driven = arrays["rotations"].copy()
    for joint in ("eye.L", "eye.R"):
        vector = np.zeros((frames, 3))
        for driver in character.drivers:
            if driver.joint == joint:
                curve = weights[:, character.shapes.names.index(driver.curve), None]
                vector += np.radians(driver.degrees) * curve * np.array(driver.axis)
        index = names.index(joint)
        driven[:, index] = rotations.multiply(driven[:, index], rotations.from_rotation_vector(vector))
    follow_joints(character, weights, driven)
    performed = performance.Performance(weights, driven, arrays["root"])
    expected = performance.deform(character, performed)
    for piece in character.parts:
        assert np.abs(shown[piece.name] - expected[:, piece.vertices]).max() < TOLERANCE, piece.name
    joints = performance.joint_transforms(character, performed)[:, :, :3, 3]
    assert np.abs(shown["joints"] - joints).max() < TOLERANCE


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_the_handle_and_the_properties_share_the_head_as_the_toolkit_does(version, tmp_path):
    """Every third pose by the handle, every third by the properties, every third by both, inside the whole range."""
    character = human("head")
    vectors = neck_control.heads(character.neck, 8)[::3]
    by_handle = np.array([1.0, 0.0, 0.6])[np.arange(len(vectors)) % 3][:, None] * vectors
    rest = np.degrees(vectors - by_handle)
    arrays = poses(
        character, len(vectors), handle=rotations.from_rotation_vector(by_handle), head=rest[:, [1, 0, 2]] * [1, 1, -1]
    )
    shown, _ = show(version, tmp_path, character, arrays, "head", limits=0.0)
    own = shown["bones"][:, [character.joint_names.index(joint) for joint in NECK]]
    head = rotations.from_rotation_vector(vectors)
    joint_error = degrees_between(neck.distribute(character.neck, head), own)
    head_error = degrees_between(head, neck.collapse(own))
    assert joint_error.max() < 0.4  # measured: 0.30 at the edge of the range
    assert head_error.max() < 1.6  # measured: 1.46
    assert np.median(head_error) < 0.5
    # Correctives follow what the constraints of the handle did.
    weights = np.zeros((len(vectors), len(character.shapes.names)), np.float32)
    follow_joints(character, weights, shown["bones"])
    assert np.abs(weights).max() > 0.1
    root = np.zeros((len(vectors), 3), np.float32)
    performed = performance.Performance(weights, shown["bones"].astype(np.float32), root)
    body = next(piece for piece in character.parts if piece.name == "body")
    assert np.abs(shown["body"] - performance.deform(character, performed)[:, body.vertices]).max() < TOLERANCE


def degrees_between(a, b):
    vector = rotations.to_rotation_vector(rotations.multiply(rotations.inverse(a), b))
    return np.degrees(np.linalg.norm(vector, axis=-1))


@pytest.mark.parametrize("version", ["3.4", "5.0"])
def test_limits_leave_the_range_alone_and_stop_what_is_beyond(version, tmp_path):
    character = human("head")
    vectors = neck_control.heads(character.neck, 6)
    turns = rotations.identity(len(vectors) + 1, len(character.joint_names)).astype(np.float64)
    places = [character.joint_names.index(joint) for joint in NECK]
    turns[:-1, places] = neck.distribute(character.neck, rotations.from_rotation_vector(vectors))
    turns[-1, places[2]] = rotations.about((0, 1, 0), np.radians(40.0))  # C5-C6 turns 7 degrees at most
    arrays = poses(character, len(turns), rotations=turns)
    free, _ = show(version, tmp_path, character, arrays, "head", limits=0.0)
    held, _ = show(version, tmp_path, character, arrays, "head", limits=1.0)
    assert np.abs(held["body"][:-1] - free["body"][:-1]).max() < 1e-5
    stopped = np.degrees(2 * np.arcsin(np.linalg.norm(held["bones"][-1, places[2], 1:])))
    assert 7 < stopped < 9
    assert np.degrees(2 * np.arccos(free["bones"][-1, places[2], 0])) == pytest.approx(40, abs=0.01)


def test_what_lies_beyond_the_limits_is_named():
    limits = neck_control.box(human("head").neck)
    turns = rotations.identity(4, 2)
    turns[2, 1] = rotations.about((0, 1, 0), np.radians(70.0))
    frame, motion, angle, limit = neck_control.beyond(limits, ("jaw", "c1c2"), turns)["c1c2"]
    assert (frame, motion) == (2, "turns")
    assert angle == pytest.approx(70, abs=0.01)
    assert 39 < limit < 50
    assert neck_control.beyond(limits, ("jaw", "c1c2"), turns[:2]) == {}


@pytest.mark.parametrize(
    ("version", "part"), [*((version, "head") for version in tools.VERSIONS), ("3.4", "full"), ("5.0", "full")]
)
def test_a_changed_character_equals_a_new_one(version, part, tmp_path):
    wanted = {"set_age": 0.4, "set_weight": 0.7, "set_african": 0.9, "set_nose_hump_incr": 0.5}
    answer = tools.run(version, "character_edit", tmp_path, part=part, settings=wanted)
    assert answer["surface"] < 1e-5
    assert answer["bones"] < 1e-5
    assert answer["tint"] < 1e-6
    assert answer["message"] == ""
    assert answer["read"] == pytest.approx(wanted)
    assert answer["animated"]
    assert answer["scenes"] == 1
    assert min(answer["times"]) < 0.5  # of processor time: a slider follows the mouse, on a busy machine too
    assert "mouthSmileLeft" in answer["message_after_edit"]
    assert answer["edit_kept"] > 0.005
    assert answer["same_seed"]
    assert answer["after_reset"] == {}
    assert answer["set"] == pytest.approx(0.9)
    assert answer["pair"] == {"l-cheek-volume-incr": 0.5, "r-cheek-volume-incr": 0.5}
    assert answer["added"] == ["Cheek: volume", "Nose: base up"]
    assert answer["left"] == ["Nose: base up"]
    words = ("JSON", "unknown setting 'agee'", "Leave Edit Mode", "Leave Edit Mode")
    assert all(word in text for word, text in zip(words, answer["refusals"], strict=True)), answer["refusals"]
    assert answer["name"] == "human"


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_creation_fits_into_any_session_and_removal_leaves_no_trace(version, tmp_path):
    """In edit mode of a mesh, with a hidden or excluded active collection, beside a posed character, in two scenes."""
    answer = tools.run(version, "character_contexts", tmp_path)
    assert len(answer) == 6
    for name, seen in answer.items():
        assert seen["result"] == ["FINISHED"], name
        assert seen["seen"], name
        assert 1.0 < seen["height"] < 1.6, name  # a girl stands about 1.4 m tall
        assert seen["unlike"] == {}, name
        assert seen["images"] == 8 if name != "posed" else seen["images"] >= 8
        before, created, removed = seen["before"], seen["after_create"], seen["after_remove"]
        if name in ("edit", "posed"):
            assert created == before == removed, name
        else:
            assert created["active"] == ("human.001_rig" if name == "scenes" else "human_rig")
            changed = {"active", "selected"}
            for after in (created, removed):
                kept = {key: value for key, value in after.items() if key not in changed}
                assert kept == {key: before[key] for key in kept}, name
    assert answer["plain"]["names"] == ["human", "human.001"]
    assert answer["scenes"]["names"] == ["human.001", "human.002"]  # an empty is called human_rig


@pytest.mark.parametrize("version", ["4.2", "5.0"])
def test_a_character_in_a_file_of_the_toolkit_is_known_again(version, tmp_path):
    """Its sliders work, another character shares its images after a reload, and a linked one says why it stays."""
    tools.command_of("4.2")
    path = tmp_path / "made.blend"
    blender.write(path, human("head", 0.9))
    answer = tools.run(version, "character_files", tmp_path, path=str(path))
    assert answer["mark"]["settings"] == {"age": 0.9}
    assert answer["mark"]["part"] == "head"
    assert answer["vertices"] == len(human("head").vertices)
    assert answer["message"] == ""
    assert answer["surface"] < 1e-5
    assert answer["read_again"] == pytest.approx(0.4)
    assert answer["more_images"] == 0
    assert answer["left"] == []
    assert answer["linked"]["age"] == pytest.approx(0.4)
    assert "linked from another file" in answer["linked"]["refusal"]


@pytest.mark.parametrize("version", ["3.4", "5.0"])
def test_a_character_takes_what_it_plays_along_and_leaves_the_rest(version, tmp_path):
    """Left are the artist's two actions, and the one take that a new take had put aside, kept on purpose."""
    take_npz.write(tmp_path / "t.take.npz", toy.take())
    left = tools.run(version, "character_take", tmp_path, path=str(tmp_path / "t.take.npz"))
    put_aside = 2 if version == "3.4" else 1  # before 4.4 face and joints have an action each
    assert left == {"actions": 2 + put_aside}


def test_every_preset_is_a_character_of_the_toolkit():
    presets = runpy.run_path(str(tools.ROOT / "addon" / "hyoid" / "characters" / "presets.py"))["PRESETS"]
    phenotype = set(bundled.defaults())
    for identifier, (label, settings) in presets.items():
        assert label, identifier
        assert bundled.check_settings(settings) == settings, identifier
        assert set(settings) & phenotype >= {"gender", "age", "weight", "african", "asian", "caucasian"}, identifier


@pytest.mark.parametrize("version", ["3.4", "5.0"])
def test_duplicates_are_people_of_their_own(version, tmp_path):
    """By the button, Shift+D, Alt+D, and the skeleton alone; a mesh without a face is refused before the work."""
    audio = tools.ROOT / "examples" / "talk" / "jfk.flac"
    toolkit = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    answer = tools.run(version, "character_duplicates", tmp_path, audio=str(audio), env=toolkit)
    button = {"names": ["Anna_rig", "Anna.001_rig", "Anna.001_body"], "ids": 2, "collection": False, "parts": True}
    assert answer["by_button"] == button
    assert answer["found"] == "Clara"
    assert answer["same_before"]
    assert answer["kept"]
    assert not answer["shared_after"]
    assert answer["linked"] == [0.5, 0.5]
    assert not answer["said"]
    assert answer["bare"]
    assert not answer["whole"]
    assert "has no shape keys: select the mesh of a face" in answer["refused"]
