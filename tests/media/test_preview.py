# SPDX-License-Identifier: Apache-2.0
"""Previews: they show the character, follow the take, are the same every time, and say clearly when there is no GL."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hyoid.errors import MissingToolError, UsageError
from hyoid.media import moments, preview, surface, video
from hyoid.take import AudioReference, Event

from tests import toy


@pytest.fixture(scope="module", autouse=True)
def _needs_gl():
    from hyoid.media import gl

    try:
        gl.context()
    except MissingToolError as error:
        pytest.skip(f"no OpenGL here: {error}")


def covered(picture: np.ndarray) -> np.ndarray:
    """Where the picture shows warm skin and not the blue-grey wall."""
    return picture[..., 0].astype(int) - picture[..., 2] > 12


def test_still_shows_the_character_in_front_of_the_wall():
    picture = preview.render_still(toy.character(), size=(96, 128))
    assert picture.shape == (128, 96, 3)
    assert picture.dtype == np.uint8
    share = covered(picture).mean()
    assert 0.15 < share < 0.8
    assert not covered(picture)[:, :4].any()  # the tube stands in the middle


@pytest.mark.parametrize("view", preview.VIEWS)
def test_every_view_keeps_the_whole_character_inside(view):
    """The toy has no shoulders: nothing of it may touch the upper or side edges."""
    seen = covered(preview.render_still(toy.character(), size=(96, 96), view=view))
    assert seen.any()
    assert not seen[0].any()
    assert not seen[:, 0].any()
    assert not seen[:, -1].any()


def test_a_still_is_the_same_every_time():
    first, second = (preview.render_still(toy.character(), toy.take(), time=0.5, size=(64, 64)) for _ in range(2))
    assert np.array_equal(first, second)


def test_frames_follow_the_take():
    """Frame by frame equals frame alone: buffers that are rewritten in place must not keep anything old."""
    character, take = toy.character(), toy.take(12)
    frames = list(preview.render_frames(character, take, size=(64, 64)))
    assert len(frames) == 12
    assert any(np.abs(a.astype(int) - b).max() > 20 for a, b in itertools.pairwise(frames))
    later = replace(
        take, curves=take.curves[9:], rotations=take.rotations[9:], root=take.root[9:], confidence=take.confidence[9:]
    )
    assert np.array_equal(next(preview.render_frames(character, later, size=(64, 64))), frames[9])


def test_head_turn_moves_the_eyes_across_the_picture():
    character = toy.character()
    still = np.zeros((2, len(toy.NECK), 4), np.float32)
    still[..., 0] = 1
    turned = still.copy()
    turned[1, :] = [np.cos(0.06), 0, np.sin(0.06), 0]  # eight joints of 7 degrees
    base = toy.take(2)
    take = replace(base, curves=base.curves * 0, joint_names=toy.NECK, rotations=turned, root=base.root * 0)
    a, b = preview.render_frames(character, take, size=(128, 128), view="front")
    grey = [picture.max(-1).astype(int) - picture.min(-1) < 16 for picture in (a, b)]
    white = [np.argwhere(g & (p.min(-1) > 150))[:, 1].mean() for g, p in zip(grey, (a, b), strict=True)]
    assert white[1] - white[0] > 4  # the character's left is the picture's right


def test_mp4_has_every_frame_and_the_sound(tmp_path):
    import hashlib

    import soundfile

    sound = tmp_path / "a.wav"
    soundfile.write(sound, np.sin(np.arange(8000) / 5) * 0.3, 16000)
    reference = AudioReference(str(sound), hashlib.sha256(sound.read_bytes()).hexdigest(), 0.5)
    path = tmp_path / "a.mp4"
    preview.write_mp4(path, toy.character(), toy.take(10, audio=reference), size=(64, 64))
    facts = video.probe(path)
    assert (facts.frames, facts.width, facts.height, float(facts.fps), facts.has_audio) == (10, 64, 64, 30.0, True)


def test_lost_or_changed_sound_is_told_and_left_out(tmp_path):
    from hyoid.report import Report

    for content in (None, b"other"):
        sound = tmp_path / "a.wav"
        if content:
            sound.write_bytes(content)
        told: list[dict] = []
        take = toy.take(2, audio=AudioReference(str(sound), "0" * 64, 1.0))
        preview.write_mp4(tmp_path / "a.mp4", toy.character(), take, size=(32, 32), report=Report(told.append))
        assert not video.probe(tmp_path / "a.mp4").has_audio
        assert any(event.get("level") == "warning" and "a.wav" in event["text"] for event in told)


def test_sheet_shows_the_moments_that_the_take_has(tmp_path):
    from PIL import Image

    base = toy.take()
    take = replace(base, events=(*base.events, Event("phone", "AA1", 0.7, 0.9), Event("phone", "UW", 1.0, 1.2)))
    found = moments.find(take)
    titles = [moment.title.split("  ")[0] for moment in found]
    assert titles[:4] == ["rest", "lips closed (M)", "wide vowel (AA)", "rounded (UW)"]
    assert titles[4].startswith("head turned")
    assert found[1].frame == round(0.25 * 30)
    preview.write_sheet(tmp_path / "a.png", toy.character(), take, size=(48, 48))
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (144, 96)


def test_png_is_a_png(tmp_path):
    from PIL import Image

    preview.write_png(tmp_path / "a.png", toy.character(), size=(40, 30))
    with Image.open(tmp_path / "a.png") as image:
        assert (image.format, image.size) == ("PNG", (40, 30))


def test_bad_requests_are_usage_errors():
    for options in ({"view": "below"}, {"size": (4, 4)}, {"size": (9000, 64)}):
        with pytest.raises(UsageError):
            preview.render_still(toy.character(), **options)
    with pytest.raises(UsageError, match="outside"):
        preview.render_still(toy.character(), toy.take(), time=99.0, size=(32, 32))


def test_surface_refines_within_its_budget_and_follows_the_vertices():
    character = toy.character()
    everything = np.array([0, 1.5, 0]), 9.0
    plain = surface.build(character, everything, budget=0)
    assert np.allclose(plain.points(character.vertices), character.vertices)
    assert len(plain.triangles) == 2 * len(character.faces)
    fine = surface.build(character, everything, budget=4 * len(character.vertices))
    assert len(character.vertices) < fine.stencil.shape[0] <= 4 * len(character.vertices)
    moved = fine.points(character.vertices + np.float32([0, 1, 0]))
    assert np.allclose(moved - fine.points(character.vertices), [0, 1, 0], atol=1e-5)
    counts = [batch.count for batch in fine.batches]
    assert sum(counts) == len(fine.triangles) == 8 * len(character.faces)


def test_surface_leaves_out_what_lies_outside_the_focus():
    character = toy.character()
    near = surface.build(character, (np.array([0, 1.65, 0]), 0.12), budget=0)
    low = near.points(character.vertices)[:, 1].min()
    assert len(near.triangles) < 2 * len(character.faces)
    assert low > 1.5


def test_a_character_that_hides_from_the_sky_is_dark():
    """A tube seen from inside sees less sky than from outside."""
    from hyoid.media.renderer import occlusion

    character = toy.character()
    focus = np.array([0, 1.52, 0]), 0.3
    (outside,) = occlusion(character, [character.vertices], focus)
    inside_out = replace(character, faces=character.faces[:, ::-1].copy(), face_uv=character.face_uv[:, ::-1].copy())
    (inside,) = occlusion(inside_out, [character.vertices], focus)
    body = character.parts[0].vertices
    middle = np.abs(character.vertices[body, 1] - 1.52) < 0.1
    assert outside[body][middle].mean() > 0.9
    assert inside[body][middle].mean() < 0.35


def test_no_gl_is_one_clear_error():
    """Without libEGL the user learns what to install; nothing else is printed."""
    code = (
        "import ctypes\n"
        "real = ctypes.CDLL\n"
        "def refuse(name, *a, **k):\n"
        "    if name and 'EGL' in str(name): raise OSError('libEGL.so.1: cannot open shared object file')\n"
        "    return real(name, *a, **k)\n"
        "ctypes.CDLL = refuse\n"
        "from hyoid.media import gl\n"
        "from hyoid.errors import MissingToolError\n"
        "try: gl.context()\n"
        "except MissingToolError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "apt-get install -y libegl1" in done.stdout
    assert done.stderr == ""


def test_a_users_own_platform_is_not_overruled():
    code = (
        "from hyoid.media import gl\n"
        "from hyoid.errors import MissingToolError\n"
        "try: gl.context()\n"
        "except MissingToolError as error: print(error)\n"
    )
    environment = {"PYOPENGL_PLATFORM": "osmesa", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert "unset PYOPENGL_PLATFORM" in done.stdout
