# SPDX-License-Identifier: Apache-2.0
"""What happens inside Blender when a scene is rendered: other versions, what artists do in scenes, what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid import blender
from hyoid.blender import render
from hyoid.errors import InputError
from hyoid.media.image_notes import without_times
from hyoid.report import Report

from tests import toy
from tests.blender import scenes, tools

pytestmark = pytest.mark.blender
PROBE = Path(__file__).with_name("render_probe.py")
SETTINGS = dict.fromkeys(("engine", "samples", "width", "height", "percentage", "seed")) | {
    "device": "cpu", "transparent": False,
}  # fmt: skip


def job(scene, suffixes=(".png",), has_take=False, armature=None, camera=None, **settings):
    return {
        "task": "render", "path": str(scenes.folder() / f"{scene}.blend"), "suffixes": list(suffixes),
        "settings": SETTINGS | settings, "has_take": has_take, "armature": armature, "camera": camera,
    }  # fmt: skip


def probe(folder, jobs):
    """What came of jobs that one Blender does one after the other."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = dict(os.environ, BLENDER_USER_RESOURCES=str(folder / "resources"))
    environment["PYTHONPATH"] = str(tools.ROOT / "toolkit")
    done = subprocess.run([sys.executable, str(PROBE), str(folder)], env=environment, capture_output=True, text=True,
                          timeout=120, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "told.json").read_text())


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """What Blender says to each job that it cannot do, by a name."""
    folder = tmp_path_factory.mktemp("refused")
    whole = (scenes.folder() / "shot.blend").read_bytes()
    (scenes.folder() / "cut.blend").write_bytes(whole[: len(whole) // 2])
    (scenes.folder() / "later.blend").write_bytes(b"BLENDER17-01v0901REND")
    nothing = {"frames": [], "start": 1, "take": None}
    jobs = {
        "no character": {"job": job("cube", has_take=True)},
        "another armature": {"job": job("two", armature="anna")},
        "no camera": {"job": job("cube"), "plan": nothing},
        "which camera": {"job": job("cameras"), "plan": nothing},
        "another camera": {"job": job("shot", camera="side"), "plan": nothing},
        "linked": {"job": job("linked", has_take=True)},
        "cut off": {"job": job("cut")},
        "newer": {"job": job("later")},
        "no GPU": {"job": job("shot", device="gpu")},
    }
    told = probe(folder, list(jobs.values()))
    return {name: entry["error"] for name, entry in zip(jobs, told, strict=True)}


@pytest.mark.parametrize(
    ("name", "kind", "text", "hint"),
    [
        ("no character", "input", "holds no Hyoid character", "hyoid talk"),
        ("another armature", "usage", "holds no Hyoid character 'anna'", "Its characters are 'twin', 'toy_rig'"),
        ("no camera", "input", "has no camera", "Add one"),
        ("which camera", "usage", "has 2 cameras, none of them active: 'left', 'right'", "Choose --camera"),
        ("another camera", "usage", "has no camera 'side'", "Its cameras are 'Camera'"),
        ("linked", "input", "'toy_rig' is linked from another file", "Make it local"),
        ("cut off", "input", "cannot be opened by Blender (Missing DNA block)", "A scene of a newer Blender"),
        ("newer", "input", "was saved by Blender 9.1", "set HYOID_BLENDER; this is 4.2"),
        ("no GPU", "usage", "--device gpu: Cycles finds no GPU on this machine", "--device cpu"),
    ],
)
def test_what_cannot_be_is_told_with_what_to_do(refused, name, kind, text, hint):
    assert refused[name] is not None
    found = refused[name]
    assert found[0] == kind
    assert text in found[1]
    assert hint in found[2]


@pytest.fixture(scope="module")
def dressed(tmp_path_factory):
    """Frames 1 and 3 of the scene with all that artists do, the character opening its jaw."""
    told = []
    plan = render.Plan([1, 3], 1, scenes.take([0.0, 0.0, 1.0]))
    frames = list(
        render.frames(
            scenes.folder() / "passes.blend", [".exr", render.FILM], SETTINGS, lambda _: plan, Report(told.append),
            has_take=True,
        )
    )  # fmt: skip
    return frames, told


def test_all_passes_are_in_the_file_where_the_scene_says_so(dressed):
    frames, _ = dressed
    picture = frames[0].pictures[".exr"]
    assert b"ViewLayer.Depth.Z" in picture
    assert b"render_time" not in picture
    assert without_times(picture, ".exr") == picture


def test_markers_change_the_camera(dressed):
    """The second looks past the character: what is left is one colour."""
    from hyoid.verbs.render_files import decoded

    first, third = (decoded(frame.pictures[render.FILM]).astype(float) for frame in dressed[0])
    assert first.std() > 15
    assert third.std(axis=(0, 1)).max() < 3


def test_nodes_of_the_scene_write_no_files(dressed):
    assert dressed[0]
    assert not (scenes.folder() / "nodes").exists()


def test_what_the_picture_lacks_is_told(dressed):
    texts = [event["text"] for event in dressed[1] if event["event"] == "message"]
    assert f"the scene misses {scenes.folder()}/textures/gone.png" in texts
    assert any("scripts of the scene are not run" in text for text in texts)
    assert not (scenes.folder() / "ran").exists()


def test_a_take_replaces_what_it_has_and_nothing_else(tmp_path):
    """The armature's own move stays, the neck's and the face's go, and the action in the file is another one."""
    take = {"action_units": {}, "joints": ["c1c2", "oc1"], "root": "root", "name": "take", "within_limits": True,
            "channels": [{"kind": "rotation", "target": "oc1"}, {"kind": "shape", "target": "jawOpen"}]}  # fmt: skip
    arrays = {"frames_0": np.arange(2.0), "values_0": np.tile([1.0, 0, 0, 0], (2, 1)), "frames_1": np.arange(2.0),
              "values_1": np.array([0.0, 0.5])}  # fmt: skip
    (tmp_path / "0").mkdir()
    np.savez(tmp_path / "0/arrays.npz", **arrays)
    after = """[sorted({curve.data_path for curve in bpy.data.objects["toy_rig"].animation_data.action.fcurves
        if any(word in curve.data_path for word in ("location", "oc1", "c1c2", "c2c3"))}),
        len(bpy.data.actions["toy face"].fcurves), bpy.data.actions["toy"].users,
        [len(curve.keyframe_points)
         for curve in bpy.data.objects["toy_body"].data.shape_keys.animation_data.action.fcurves
         if "jawOpen" in curve.data_path]]"""
    entry = {"job": job("passes", has_take=True), "plan": {"frames": [], "start": 1, "take": take}, "after": after}
    (found,) = probe(tmp_path, [entry])
    assert found["error"] is None
    paths, face, users, jaw = found["after"]
    neck = [f'pose.bones["{name}"].rotation_quaternion' for name in ("c2c3", "oc1")]
    assert paths == ["location", *neck]
    assert face > 40  # the action of the file is untouched
    assert users == 1  # its own, so that it stays
    assert jaw == [2]


@pytest.mark.parametrize("version", ["4.5", "5.0"])
def test_other_versions_render_too(version, monkeypatch):
    monkeypatch.setenv("HYOID_BLENDER", str(tools.folder_of(version)))
    plan = render.Plan([1, 2], 1, scenes.take([0.0, 1.0]))
    frames = list(render.frames(scenes.folder() / "passes.blend", [render.FILM, ".exr", ".jpg"], SETTINGS,
                                lambda _: plan, has_take=True))  # fmt: skip
    from hyoid.verbs.render_files import decoded

    shut, wide = (decoded(frame.pictures[render.FILM]).astype(int) for frame in frames)
    assert frames[0].scene.blender.startswith(version)
    assert np.abs(wide - shut).max() > 60
    assert b"ViewLayer.Depth.Z" in frames[0].pictures[".exr"]
    assert frames[0].pictures[".jpg"][:2] == b"\xff\xd8"


def test_a_scene_of_a_newer_blender_names_it(tmp_path, monkeypatch):
    """4.2 calls it no Blender file at all."""
    monkeypatch.setenv("HYOID_BLENDER", str(tools.folder_of("5.0")))
    blender.write(tmp_path / "new.blend", toy.character())
    monkeypatch.delenv("HYOID_BLENDER")
    with pytest.raises(InputError, match=r"new\.blend: (was saved by|cannot be opened by) Blender.*HYOID_BLENDER"):
        render.read_scene(tmp_path / "new.blend")
