# SPDX-License-Identifier: Apache-2.0
"""``hyoid render``: a scene's frames, with a take put onto its character, as pictures and films; nothing half-done."""

from __future__ import annotations

import hashlib
import json
import os
import time

import numpy as np
import pytest
import soundfile
from hyoid.errors import HyoidError, InputError, UsageError
from hyoid.media import video
from hyoid.report import Report
from hyoid.take import AudioReference
from hyoid.verbs import info, render

from tests.blender import scenes
from tests.blender.test_process import children

SILENT = Report()


def run(scene, *outputs, report=SILENT, **options):
    job = render.Job.model_validate({"scene": scene, "output": list(outputs), **options})
    return render.run(job, report)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """A jaw that is shut, open and shut again, with its sound, as pictures and as a film."""
    folder = tmp_path_factory.mktemp("spoken")
    sound = folder / "voice.wav"
    soundfile.write(sound, 0.3 * np.sin(np.arange(16000) / 10), 16000)
    audio = AudioReference(str(sound), hashlib.sha256(sound.read_bytes()).hexdigest(), 1.0)
    take = scenes.write_take(folder / "jaw.take.npz", [0, 1, 0], 30, audio)
    told = []
    result = run(
        scenes.folder() / "shot.blend", folder / "frames/shot.###.png", folder / "shot.mp4", folder / "open.jpg",
        take=take, frame=2, seed=3, device="cpu", report=Report(told.append),
    )  # fmt: skip
    return folder, result, told


@pytest.mark.blender
def test_the_jaw_opens_in_the_picture_when_the_take_says_so(spoken):
    """Nothing of the scene's own performance is left: frames of equal takes are equal files."""
    folder = spoken[0]
    shut, wide, again = (scenes.pixels(folder / f"frames/shot.00{number}.png") for number in (1, 2, 3))
    assert shut.shape == (48, 48, 3)
    assert shut[20:28, 20:28].mean() > 60  # lit skin, neither black nor burnt out
    assert shut[20:28, 20:28].mean() < 240
    assert np.abs(wide - shut).max() > 60
    assert (np.abs(wide - shut).max(-1) > 25).mean() < 0.3  # the mouth, not the whole head
    assert (shut == again).all()


@pytest.mark.blender
def test_a_film_has_the_frames_rate_and_sound_of_the_take(spoken):
    folder, result, _ = spoken
    facts = video.probe(folder / "shot.mp4")
    assert (facts.frames, facts.fps, facts.width, facts.height) == (3, 30, 48, 48)
    assert facts.has_audio
    film = np.stack(list(video.read(folder / "shot.mp4"))).astype(int)
    assert np.abs(film[1] - film[0]).max() > 60
    assert result["frames"] == 3
    assert (result["engine"], result["samples"], result["device"]) == ("cycles", 2, "cpu")


@pytest.mark.blender
def test_one_picture_is_the_frame_that_was_asked_for(spoken):
    folder = spoken[0]
    still = scenes.pixels(folder / "open.jpg")
    wide, shut = (scenes.pixels(folder / f"frames/shot.00{number}.png") for number in (2, 1))
    assert np.abs(still - wide).mean() < np.abs(still - shut).mean()
    assert sorted(path.name for path in (folder / "frames").iterdir()) == [
        "shot.###.png.json", "shot.001.png", "shot.002.png", "shot.003.png",
    ]  # fmt: skip


@pytest.mark.blender
def test_pictures_say_what_they_were_made_from(spoken):
    folder, result, _ = spoken
    record = json.loads((folder / "frames/shot.###.png.json").read_text())
    assert [(source["role"], source["name"], source["licence"]) for source in record["sources"]] == [
        ("input", "shot.blend", ""), ("input", "jaw.take.npz", ""), ("character", "toy", "CC0-1.0"),
    ]  # fmt: skip
    found = info.run(info.Job(file=folder / "frames/shot.002.png"), SILENT)
    assert found["provenance"]["verb"] == "render"
    assert found["licence"]["commercial"] == "yes"
    assert "3 frames at 30 fps, 48 x 48, cycles, 2 samples on cpu" in render.show(result)


@pytest.mark.blender
def test_progress_is_told_frame_by_frame_and_scripts_of_the_scene_are_not_run(spoken):
    _, _, told = spoken
    said = [event["what"] for event in told if event["event"] == "progress"]
    assert [text for text in said if text.startswith("rendering")] == [
        f"rendering frame {number} ({number} of 3)" for number in (1, 2, 3)
    ]
    assert not (scenes.folder() / "ran").exists()


@pytest.mark.blender
def test_without_a_take_the_scene_plays_what_it_holds(tmp_path):
    """The toy moves all the time; larger, transparent, and the same bytes in a second run that begins later."""
    options = {"width": 56, "height": 40, "transparent": True, "device": "cpu"}
    told = []
    run(scenes.folder() / "shot.blend", tmp_path / "a.####.png", first=9, last=10, **options)
    run(scenes.folder() / "shot.blend", tmp_path / "b.png", tmp_path / "b.mp4", first=10, last=10,
        report=Report(told.append), **options)  # fmt: skip
    assert (tmp_path / "a.0010.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.0009.png").read_bytes() != (tmp_path / "b.png").read_bytes()
    from PIL import Image

    alpha = np.asarray(Image.open(tmp_path / "b.png"))[..., 3]
    assert alpha.shape == (40, 56)
    assert alpha[0].max() == 0
    assert alpha[20, 26:30].min() == 255


@pytest.mark.blender
def test_a_scene_without_camera_and_light_gets_both_and_says_so(tmp_path):
    told = []
    take = scenes.write_take(tmp_path / "jaw.take.npz", [0.0])
    run(scenes.folder() / "bare.blend", tmp_path / "a.png", take=take, device="cpu", report=Report(told.append))
    texts = " ".join(event["text"] for event in told if event["event"] == "message")
    assert "the scene has no camera: one frames the head of 'toy_rig'" in texts
    assert "the scene has no light" in texts
    picture = scenes.pixels(tmp_path / "a.png")
    assert picture[18:30, 20:28].mean() > 60  # the head is in the middle of the picture
    assert picture[:4].mean() < picture[18:30, 20:28].mean() / 2  # with room above it


@pytest.mark.blender
@pytest.mark.parametrize(
    ("scene", "options", "kind", "text"),
    [
        ("two", {}, UsageError, "holds 2 Hyoid characters: 'twin', 'toy_rig'. Choose one with --armature NAME"),
        ("shot", {"last": -5}, UsageError, "there is no frame from 1 to -5"),
    ],
    ids=["two characters", "range"],
)
def test_what_is_not_in_the_scene_is_one_clear_line(scene, options, kind, text, tmp_path):
    """As Blender tells it, see also tests/blender/test_render_scene.py, and as it is found out here."""
    take, path = scenes.write_take(tmp_path / "jaw.take.npz", [0.0]), scenes.folder() / f"{scene}.blend"
    with pytest.raises(kind, match=rf"^{path}: .*{text}"):
        run(path, tmp_path / "out/a.##.png", take=take, **options)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.blender
def test_a_take_of_somebody_else_is_refused(tmp_path):
    """Nothing of it moves this character: a film of a still head would be no help."""
    from dataclasses import replace

    from hyoid.formats import take_npz

    take = scenes.take([0.0, 1.0])
    take = replace(take, curve_names=tuple(f"x{name}" for name in take.curve_names), joint_names=(),
                   rotations=take.rotations[:, :0])  # fmt: skip
    take_npz.write(tmp_path / "a.take.npz", take)
    with pytest.raises(InputError, match=r"moves nothing that 'toy_rig' has.*hyoid convert"):
        run(scenes.folder() / "shot.blend", tmp_path / "a.mp4", take=tmp_path / "a.take.npz")
    assert not (tmp_path / "a.mp4").exists()


def test_what_is_no_scene_is_told_without_blender(tmp_path):
    (tmp_path / "text.blend").write_text("hello")
    (tmp_path / "empty.blend").touch()
    for name, text in (("gone.blend", "does not exist"), ("text.blend", "is no Blender scene"),
                       ("empty.blend", "is empty"), (".", "is a folder")):  # fmt: skip
        with pytest.raises(InputError, match=text):
            run(tmp_path / name, tmp_path / "a.png")


@pytest.mark.parametrize(
    ("outputs", "options", "text"),
    [
        (["a.gif"], {}, "unknown file type '.gif'"),
        (["a.##.mp4"], {}, "a film is one file"),
        (["a.#.b.##.png"], {}, "has hashes in several places"),
        (["a.png", "a.png"], {}, "is named twice"),
        (["a.mp4", "b.jpg"], {"transparent": True}, "--transparent needs files"),
        (["voice.mp4"], {"audio": "voice.mp4"}, "is an input"),
        (["a.mp4"], {"audio": "gone.wav"}, "does not exist"),
    ],
)  # fmt: skip
def test_outputs_that_cannot_be_are_refused_before_blender_starts(outputs, options, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=text):
        run("scene.blend", *outputs, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.blender
def test_cancelled_in_the_middle_it_keeps_whole_pictures_and_nothing_else(tmp_path):
    before = children()

    def cancel(event):
        if event.get("what", "").startswith("rendering frame 3"):
            raise KeyboardInterrupt

    start = time.monotonic()
    outputs = tmp_path / "out/a.##.png", tmp_path / "out/a.mp4"
    with pytest.raises(KeyboardInterrupt):
        run(scenes.folder() / "shot.blend", *outputs, device="cpu", report=Report(cancel))
    assert time.monotonic() - start < 30  # of which most is the start of Blender
    assert children() == before
    assert sorted(os.listdir(tmp_path / "out")) == ["a.01.png", "a.02.png"]
    assert scenes.pixels(tmp_path / "out/a.02.png").shape == (48, 48, 3)


def test_it_is_not_silent_about_what_went_wrong_inside(tmp_path, monkeypatch):
    """A Blender that dies on the way is an error with its last words, not a film of fewer frames."""
    program = tmp_path / "blender"
    program.write_text("#!/bin/sh\necho no GPU here >&2\nexit 11\n")
    program.chmod(0o755)
    monkeypatch.setenv("HYOID_BLENDER", str(program))
    (tmp_path / "a.blend").write_bytes(b"BLENDER-v402")
    with pytest.raises(HyoidError, match="Blender ended with code 11: no GPU here"):
        run(tmp_path / "a.blend", tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()
