# SPDX-License-Identifier: Apache-2.0
"""Skeleton motion survives BVH, other programs' BVH is understood, and damage is named by its line."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hyoid.characters import performance
from hyoid.errors import InputError
from hyoid.formats import bvh, read_take
from hyoid.geometry import rotations

from tests import toy
from tests.formats.fuzz import survives
from tests.formats.test_glb import assert_blender_agrees

# The orders, the braces on one line with names, the tabs and the blank lines are as other programs write them.
FOREIGN = """HIERARCHY
ROOT Hips
{
  OFFSET 0 95.5 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT LeftUpLeg
  {
    OFFSET 9 -5 0
    CHANNELS 3 Zrotation Yrotation Xrotation
    End Site
    {
      OFFSET 0 -40 0
    }
  }

  JOINT Spine
  {
    OFFSET 0 10 0
    CHANNELS 3 Xrotation Yrotation Zrotation
    End Site
    {
      OFFSET 0 40 0
    }
  }
}
MOTION
Frames:\t2
Frame Time:\t.0083333
0 95.5 0 0 0 0   0 0 0   0 0 0
10 95.5 -20 90 0 0   30 40 50   30 40 50
"""


def turned_take(frames=60):
    """A take in which root, neck and eyes turn far, with eye joints of its own."""
    take = toy.take(frames)
    dice = np.random.default_rng(11)
    steps = dice.normal(0, 0.3, (frames, len(take.joint_names), 3)).cumsum(0)
    return replace(take, rotations=rotations.from_rotation_vector(steps).astype(np.float32))


def test_every_joint_comes_back(tmp_path):
    character, take = toy.character(), turned_take()
    bvh.write(tmp_path / "a.bvh", character, take)
    back = read_take(tmp_path / "a.bvh")
    performed = performance.perform(character, take)
    assert back.fps == 30.0
    assert sorted(back.joint_names) == sorted(character.joint_names)
    again = back.rotations[:, [back.joint_names.index(name) for name in character.joint_names]]
    same = np.abs(np.einsum("tjc,tjc->tj", again.astype(float), performed.rotations.astype(float)))
    assert same.min() > 1 - 1e-6
    # Positions have six decimals.
    np.testing.assert_allclose(back.root, performed.root, atol=1e-6)


def test_a_character_at_rest_is_one_frame(tmp_path):
    bvh.write(tmp_path / "a.bvh", toy.character())
    back = bvh.read(tmp_path / "a.bvh")
    assert back.frames == 1
    assert (back.rotations[0] == [1, 0, 0, 0]).all()
    assert not back.root.any()


def test_centimetres_come_back_as_metres(tmp_path):
    take = toy.take()
    bvh.write(tmp_path / "a.bvh", toy.character(), take, unit="centimetres")
    assert "OFFSET 0.000000 100.000000 0.000000" in (tmp_path / "a.bvh").read_text()
    np.testing.assert_allclose(bvh.read(tmp_path / "a.bvh").root, take.root, atol=1e-6)


def test_equal_takes_give_equal_bytes_and_no_negative_zero(tmp_path):
    for name in ("a.bvh", "b.bvh"):
        bvh.write(tmp_path / name, toy.character(), toy.take())
    text = (tmp_path / "a.bvh").read_text()
    assert text == (tmp_path / "b.bvh").read_text()
    assert "-0.000000" not in text.replace("\n", " ").replace("\t", " ")


def test_angles_run_on_past_half_a_turn(tmp_path):
    """A reader that interpolates linearly must not spin back from 179 to -179 degrees."""
    take = toy.take(90)
    turns = rotations.about(np.array([0.0, 1, 0]), np.radians(np.arange(90) * 10.0))
    spun = take.rotations.copy()
    spun[:, 0] = turns
    bvh.write(tmp_path / "a.bvh", toy.character(), replace(take, rotations=spun))
    rows = (tmp_path / "a.bvh").read_text().split("Frame Time:")[1].splitlines()[1:]
    # Channels: 6 of the root, 3 of the spine, then Z X Y of c7t1.
    angles = np.array([row.split() for row in rows], float)[:, 9:12]
    np.testing.assert_allclose(angles[:, 2], np.arange(90) * 10.0, atol=1e-3)


def test_a_quarter_turn_about_x_is_exact(tmp_path):
    """Where two of the three axes fall together, the rotation must still be right."""
    take = toy.take(3)
    turns = take.rotations.copy()
    quarter = rotations.about(np.array([1.0, 0, 0]), np.array(np.pi / 2))
    turns[:, 2] = rotations.multiply(rotations.about(np.array([0.0, 0, 1]), np.radians([10.0, 20, 30])), quarter)
    bvh.write(tmp_path / "a.bvh", toy.character(), replace(take, rotations=turns))
    back = bvh.read(tmp_path / "a.bvh")
    again = back.rotations[:, back.joint_names.index(take.joint_names[2])]
    # Near the pole the arc sine loses half of float32's digits.
    assert np.abs(np.einsum("tc,tc->t", again, turns[:, 2])).min() > 1 - 1e-5


def test_another_program_s_file_is_understood(tmp_path):
    (tmp_path / "a.bvh").write_text(FOREIGN)
    take = bvh.read(tmp_path / "a.bvh")
    assert take.fps == 120.0
    assert take.joint_names == ("Hips", "LeftUpLeg", "Spine")
    # 150 units high: centimetres.
    np.testing.assert_allclose(take.root[1], [0.1, 0, -0.2], atol=1e-6)

    def turn(axis, degrees):
        return rotations.to_matrix(rotations.about(np.eye(3)[axis], np.radians(float(degrees))))

    matrices = rotations.to_matrix(take.rotations[1].astype(float))
    np.testing.assert_allclose(matrices[0], turn(2, 90), atol=1e-6)
    np.testing.assert_allclose(matrices[1], turn(2, 30) @ turn(1, 40) @ turn(0, 50), atol=1e-6)
    np.testing.assert_allclose(matrices[2], turn(0, 30) @ turn(1, 40) @ turn(2, 50), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "fps"),
    [("0.0333333", 30), ("0.033333", 30), ("0.0333", 30), ("0.04", 25), ("0.041667", 24), ("0.0333667", 30000 / 1001),
     ("0.00833333", 120), ("0.0083333", 120), ("0.01", 100), ("1.66667e-2", 60), ("0.0211", 1 / 0.0211)],
)  # fmt: skip
def test_frame_times_that_were_rounded_mean_what_was_meant(tmp_path, text, fps):
    (tmp_path / "a.bvh").write_text(FOREIGN.replace(".0083333", text))
    assert bvh.read(tmp_path / "a.bvh").fps == pytest.approx(fps, rel=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "<html>", "line 1: begins with '<html>'; expected a BVH file"),
        ("ROOT Hips", "ROOT", "line 2: the joint name '' is missing"),
        ("JOINT Spine", "JOINT Hips", "line 16: the joint name 'Hips' is missing or used twice"),
        ("JOINT Spine", "ROOT Spine", "line 16: ROOT in a wrong place"),
        ("OFFSET 9 -5 0", "OFFSET 9 -5", "line 8 has 2 values; expected 3"),
        ("OFFSET 9 -5 0", "OFFSET 9 nan 0", "line 8, value 2 is 'nan'"),
        ("OFFSET 9 -5 0", "OFFSET 9,5 -5 0", "line 8, value 1 is '9,5'; expected a finite number with a decimal point"),
        ("CHANNELS 3 Xrotation", "CHANNELS 4 Xrotation", "line 19: 'CHANNELS 4"),
        ("CHANNELS 3 Xrotation Yrotation", "CHANNELS 2 Yrotation", "2 rotation channels"),
        ("  }\n\n", "\n", "line 25: MOTION before the skeleton is complete"),
        ("MOTION", "", "line 27: 'Frames: 2' is not understood"),
        ("Frames:\t2", "Frames: -2", "line 27: promises '-2' frames"),
        ("Frames:\t2", "Frames: 3", "has 2 frames; expected the 3 that its header promises"),
        ("Frames:\t2", "Frames: 99999999999999", "promises '99999999999999' frames"),
        (".0083333", "0", "line 28: a frame lasts 0 s"),
        (".0083333", "33.3", "a frame lasts 33.3 s; expected 0.001 to 1 second"),
        ("10 95.5 -20", "10 95.5 inf", "line 30, value 3 is 'inf'"),
        ("10 95.5 -20", "10 95.5", "line 30 has 11 values; expected 12"),
        ("10 95.5 -20", "10 9e400 -20", "line 30, value 2 is '9e400'"),
        ("}\nMOTION", "}\nROOT Other\n{\n}\nMOTION", "a second ROOT"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path, old, new, message):
    assert old in FOREIGN
    (tmp_path / "a.bvh").write_text(FOREIGN.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        bvh.read(tmp_path / "a.bvh")
    assert message in str(caught.value).replace("\t", " ")


@pytest.mark.parametrize(
    ("data", "message"), [(b"", "is empty"), (b"\0" * 99, "not a text file"), (b"\n\n", "before MOTION")]
)
def test_files_without_text_are_refused(tmp_path, data, message):
    (tmp_path / "a.bvh").write_bytes(data)
    with pytest.raises(InputError, match=message):
        bvh.read(tmp_path / "a.bvh")


def test_damaged_files_are_refused_or_sound(tmp_path):
    (tmp_path / "a.bvh").write_text(FOREIGN)
    survives(bvh.read, tmp_path / "a.bvh")


def test_a_hundred_thousand_frames_take_seconds(tmp_path):
    start = time.perf_counter()
    bvh.write(tmp_path / "a.bvh", toy.character(), toy.take(100_000))
    back = bvh.read(tmp_path / "a.bvh")
    assert time.perf_counter() - start < 20  # 2.2 s on one quiet core
    assert back.frames == 100_000


@pytest.mark.blender
def test_blender_shows_the_same_joints(tmp_path):
    character, take = toy.character(), turned_take()
    bvh.write(tmp_path / "a.bvh", character, take)
    shown = assert_blender_agrees(tmp_path / "a.bvh", character, take, [0, 7, 21, 38, 59])
    assert shown["fps"] == 30


@pytest.mark.blender
@pytest.mark.slow
def test_blender_shows_the_bundled_human_s_joints(tmp_path):
    from hyoid import characters

    character, take = characters.load("human", part="head", subdivision=0), toy.take(60)
    bvh.write(tmp_path / "a.bvh", character, take)
    assert_blender_agrees(tmp_path / "a.bvh", character, take, [0, 7, 21, 38, 59])
