# SPDX-License-Identifier: Apache-2.0
"""Sequences in Alembic files: what we write comes back bit for bit, and what Blender writes arrives in world space."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid import blender
from hyoid.errors import InputError, MissingToolError, OutputError
from hyoid.formats.mesh_sequence import MeshSequence, abc_points, open_sequence, write_sequence
from hyoid.formats.npz import write_npz
from hyoid.report import Report

from tests import toy
from tests.blender import tools

pytestmark = pytest.mark.blender
FACES = np.array([[0, 1, 2, 3], [0, 1, 4, 4]], np.int32)


def positions(frames: int = 7) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 100, (frames, 5, 3)).astype(np.float32)


def archive(path: Path, frames: int = 7, **more: np.ndarray) -> MeshSequence:
    write_npz(path, {"vertices": positions(frames), "faces": FACES} | more)
    return open_sequence([path])


def all_frames(sequence: MeshSequence) -> np.ndarray:
    return np.stack(list(sequence.frames()))


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_what_is_written_comes_back_bit_for_bit(version, tmp_path, monkeypatch):
    folder = tools.folder_of(version)
    if folder is not None:
        monkeypatch.setenv("HYOID_BLENDER", str(folder))
    sequence = archive(tmp_path / "face 1.npz", fps=np.array(24000 / 1001))
    seen: list[float] = []
    report = Report(lambda event: seen.append(event["fraction"]))
    assert write_sequence(tmp_path / "a.abc", sequence, sequence.frames(), report) == [str(tmp_path / "a.abc")]
    assert seen == sorted(seen)
    assert seen[-1] > 0.9
    back = open_sequence([tmp_path / "a.abc"])
    assert (back.kind, back.names, back.fps) == ("abc", tuple("1234567"), pytest.approx(24000 / 1001, abs=1e-9))
    assert np.array_equal(all_frames(back), positions())
    assert np.array_equal(back.faces, FACES)
    assert np.array_equal(list(back.frames(2, 4)), positions()[2:4])
    write_sequence(tmp_path / "b.abc", back, (frame * 2 for frame in back.frames()), fps=60)
    again = open_sequence([tmp_path / "b.abc"])
    assert np.array_equal(all_frames(again), positions() * 2)
    assert again.fps == 60


def test_the_temporary_file_lasts_as_long_as_the_sequence(tmp_path, monkeypatch):
    tools.folder_of("4.2")
    sequence = archive(tmp_path / "a.npz")
    write_sequence(tmp_path / "a.abc", sequence, sequence.frames())
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(abc_points.tempfile, "tempdir", str(tmp_path / "scratch"))
    back = open_sequence([tmp_path / "a.abc"])
    frames = back.frames()
    next(frames)
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    del back
    assert np.array_equal(np.stack(list(frames)), positions()[1:])
    del frames
    assert list((tmp_path / "scratch").iterdir()) == []


def test_one_frame_and_no_faces(tmp_path):
    tools.folder_of("4.2")
    sequence = archive(tmp_path / "a.npz", 1, faces=np.zeros((0, 4), np.int32))
    write_sequence(tmp_path / "a.abc", sequence, sequence.frames())
    back = open_sequence([tmp_path / "a.abc"])
    assert np.array_equal(all_frames(back), positions(1))
    assert (len(back.faces), back.fps) == (0, None)


SCENE = """
import os, sys
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps, scene.frame_start, scene.frame_end = 25, 11, 14
parent = bpy.data.objects.new("parent", None)
scene.collection.objects.link(parent)
parent.scale = (2, 2, 2)
for name, shift in (("b_eye", 5.0), ("a_head", 0.0)):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(shift, 0, 0), (shift + 1, 0, 0), (shift, 1, 0)], [], [(0, 1, 2)])
    made = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(made)
    made.parent = parent
for frame in (11, 14):
    parent.location = (0, 0, frame)
    parent.keyframe_insert("location", frame=frame)
for curve in parent.animation_data.action.fcurves:
    for key in curve.keyframe_points:
        key.interpolation = "LINEAR"
scene.frame_set(11)
bpy.ops.wm.alembic_export(filepath=sys.argv[1], as_background_job=False, flatten=False)
os._exit(0)
"""


def test_objects_follow_one_another_in_world_space(tmp_path):
    """Objects that another program's parents move: a name decides their order, and all transforms are in the points."""
    tools.folder_of("4.2")
    subprocess.run([sys.executable, "-c", SCENE, str(tmp_path / "a.abc")], check=True, capture_output=True)
    sequence = open_sequence([tmp_path / "a.abc"])
    assert (sequence.vertices, sequence.names, sequence.fps) == (6, ("11", "12", "13", "14"), 25.0)
    assert sequence.faces.tolist() == [[0, 1, 2, 2], [3, 4, 5, 5]]
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 0, -1]])  # Blender's +Z is +Y here
    still = 2.0 * np.concatenate([corners, corners + np.array([5, 0, 0])])
    expected = still + np.array([0.0, 1, 0]) * np.arange(11, 15)[:, None, None]
    np.testing.assert_allclose(all_frames(sequence), expected, atol=1e-5)


def test_a_character_performs_as_it_was_exported(tmp_path):
    tools.folder_of("4.2")
    blender.write(tmp_path / "a.abc", toy.character(), toy.take())
    sequence = open_sequence([tmp_path / "a.abc"])
    expected, _ = tools.expected(toy.character(), toy.take(), [0, 13])
    assert sequence.vertices == expected.shape[1]
    assert sequence.fps == toy.take().fps
    found = all_frames(sequence)[[0, 13]]
    assert len(sequence.names) == toy.take().frames
    assert np.abs(found - expected).max() < tools.TOLERANCE


def test_damaged_files_are_refused_by_name(tmp_path):
    tools.folder_of("4.2")
    sequence = archive(tmp_path / "a.npz")
    write_sequence(tmp_path / "a.abc", sequence, sequence.frames())
    whole = (tmp_path / "a.abc").read_bytes()
    for data in (b"", b"hello", whole[:40], whole[: len(whole) // 2], whole[:-9], b"Ogawa\xff" + bytes(200)):
        (tmp_path / "bad.abc").write_bytes(data)
        with pytest.raises(InputError, match=r"bad\.abc: "):
            all_frames(open_sequence([tmp_path / "bad.abc"]))


def test_without_blender_the_message_says_what_to_install(tmp_path, monkeypatch):
    sequence = archive(tmp_path / "a.npz")
    monkeypatch.setenv("HYOID_BLENDER", str(tmp_path / "nowhere"))
    with pytest.raises(MissingToolError, match="pip install"):
        write_sequence(tmp_path / "a.abc", sequence, sequence.frames())
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_folder_that_may_not_be_written(tmp_path):
    tools.folder_of("4.2")
    sequence = archive(tmp_path / "a.npz")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"a\.abc"):
        write_sequence(tmp_path / "file" / "a.abc", sequence, sequence.frames())
    assert sorted(os.listdir(tmp_path)) == ["a.npz", "file"]
