# SPDX-License-Identifier: Apache-2.0
"""hyoid headpose: heads in pictures, folders and films to tables, drawings and takes, and what bad footage is told."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import head_motion, neck
from hyoid.cli import run_command
from hyoid.formats import bvh, heads_json, take_npz
from hyoid.geometry import head_angles
from hyoid.geometry import rotations as turns
from hyoid.media import footage
from hyoid.media import video as films
from hyoid.verbs import headpose_takes
from PIL import Image

from tests.verbs import head_files as files

pytest.importorskip("torch")
BOX = (100, 60, 150, 120)


@pytest.fixture
def asked(monkeypatch, tmp_path) -> list[dict]:
    """The systems' stand-ins: directions come from colours (tests/verbs/head_files.py)."""
    home = tmp_path / "stand_ins"
    home.mkdir()
    monkeypatch.setenv("HYOID_WEIGHTS", str(home / "kept"))
    return files.install(monkeypatch, home)


def ended(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict]:
    """The exit code and the last event."""
    code = run_command(["headpose", *map(str, words), "--json"])
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    return code, event.get("result", event)


def save(path: Path, *heads, **options) -> Path:
    Image.fromarray(files.picture(*heads, **options)).save(path)
    return path


def head_turns(path: Path) -> np.ndarray:
    """Rotations (F, 3, 3) of the skull in a take, axes of the toolkit."""
    take = take_npz.read(path)
    return head_motion.from_take(take, characters.load("human")).rotations


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_picture_gives_boxes_and_directions_in_every_kind_of_file(asked, tmp_path, capsys):
    shot = save(tmp_path / "a.png", (BOX, 10, 40), ((200, 60, 230, 90), 0, -90))
    out = [tmp_path / f"out{suffix}" for suffix in (".json", ".csv", ".png", ".take.npz", ".bvh")]
    code, told = ended(capsys, shot, "--no-perspective", *(word for path in out for word in ("-o", path)))
    assert code == 0
    assert (told["heads"], told["pictures"], told["failed"]) == (2, 1, [])
    assert [person["name"] for person in told["people"]] == ["person_01", "person_02"]  # the larger one first
    document = json.loads(out[0].read_text())
    assert (document["format"], document["version"]) == ("hyoid.heads", 1)
    first = document["pictures"][0]["heads"][0]
    assert first["box"] == list(BOX)
    assert first["entropy"] == -6.0
    # Colours tell a yaw to 1.8 degrees and a pitch to 0.9.
    assert (first["pitch"], first["yaw"], first["roll"]) == pytest.approx((10, 40, 0), abs=1.8)
    np.testing.assert_allclose(turns.to_matrix(np.array(first["quaternion"])), first["rotation"], atol=1e-6)
    rows = list(csv.DictReader(out[1].open()))
    assert [row["person"] for row in rows] == ["person_01", "person_02"]
    assert float(rows[1]["yaw"]) == pytest.approx(-90, abs=1.8)
    assert Image.open(out[2]).size == (320, 240)
    assert not np.array_equal(np.asarray(Image.open(out[2])), files.picture((BOX, 10, 40)))
    wanted = head_angles.FLIP @ np.array(first["rotation"]) @ head_angles.FLIP
    np.testing.assert_allclose(head_turns(out[3])[0], wanted, atol=1e-4)
    assert bvh.read(out[4]).frames == 1
    sidecar = json.loads((tmp_path / "out.png.json").read_text())
    assert sidecar["verb"] == "headpose"
    assert {source["role"] for source in sidecar["sources"]} == {"input", "weights"}


def test_the_perspective_is_taken_out_by_the_ray_to_the_head(asked, tmp_path, capsys):
    """At the right edge of 60 degrees a head that faces the camera is turned by 30 against its axes."""
    shot = save(tmp_path / "a.png", ((300, 110, 320, 130), 0, 0), size=(320, 240))
    code, _ = ended(capsys, shot, "-o", tmp_path / "a.json", "--smallest", 8)
    assert code == 0
    head = json.loads((tmp_path / "a.json").read_text())["pictures"][0]["heads"][0]
    ray = np.degrees(np.arctan((310 - 160) / head_angles.focal_length(320, 240, 60)))
    # A face that is turned towards the camera from there looks to the left of the picture.
    assert head["yaw"] == pytest.approx(ray, abs=0.1)
    assert head_angles.angles(np.array(head["apparent"]))[1] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "I;16", "LA", "1"])
def test_pictures_of_every_mode_are_seen(asked, tmp_path, capsys, mode):
    image = Image.fromarray(files.picture((BOX, 0, 0)))
    if mode == "I;16":
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
        grey[60:120, 100:150] = 65535
        image = Image.fromarray(grey)
    else:
        image = image.convert(mode, dither=Image.Dither.NONE)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image.save(path)
    code, told = ended(capsys, path, "-o", tmp_path / "a.json")
    assert code == 0
    assert asked[-1].get("shape", (240, 320, 3)) == (240, 320, 3)
    assert (told["heads"], told["pictures"]) == (1, 1)
    box = json.loads((tmp_path / "a.json").read_text())["pictures"][0]["heads"][0]["box"]
    np.testing.assert_allclose(box, BOX, atol=2)  # JPEG blurs the edge of a colour


def test_the_orientation_of_the_camera_is_applied(asked, tmp_path, capsys):
    image = Image.fromarray(files.picture((BOX, 0, 0)))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    image.save(tmp_path / "a.png", exif=exif)
    assert ended(capsys, tmp_path / "a.png", "-o", tmp_path / "a.json")[0] == 0
    seen = json.loads((tmp_path / "a.json").read_text())["pictures"][0]
    assert (seen["width"], seen["height"]) == (240, 320)
    left, top, right, bottom = seen["heads"][0]["box"]
    assert (left, top, right, bottom) == (240 - 120, 100, 240 - 60, 150)


def test_nobody_is_an_answer_that_says_what_to_try(asked, tmp_path, capsys):
    shot = save(tmp_path / "a.png")
    code, told = ended(capsys, shot, "-o", tmp_path / "a.json", "-o", tmp_path / "a.csv", "-o", tmp_path / "a.png.png")
    assert code == 0
    assert (told["heads"], told["people"]) == (0, [])
    assert "no head was found" in told["notes"][0]
    assert "--confidence" in told["notes"][0]
    assert json.loads((tmp_path / "a.json").read_text())["pictures"][0]["heads"] == []
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1
    code, told = ended(capsys, shot, "-o", tmp_path / "b.take.npz")
    assert code == 3
    assert "no head was found" in told["error"]
    assert not (tmp_path / "b.take.npz").exists()


def test_small_and_unsure_heads_are_left_out_and_told(asked, tmp_path, capsys):
    shot = save(tmp_path / "a.png", (BOX, 0, 0), ((10, 10, 20, 20), 0, 0))
    code, told = ended(capsys, shot, "-o", tmp_path / "a.json", "--hide-unsure", "-6.5")
    assert code == 0
    assert (told["heads"], told["small"], told["unsure"]) == (1, 1, 1)
    assert any("smaller than 16 pixels" in text for text in told["notes"])
    assert ended(capsys, shot, "-o", tmp_path / "a.json", "--smallest", 4)[1]["heads"] == 2


def test_options_of_the_detector_arrive(asked, tmp_path, capsys):
    shot = save(tmp_path / "a.png", (BOX, 0, 0))
    words = ["--confidence", 0.2, "--overlap", 0.6, "--size", 640, "--device", "cpu"]
    assert ended(capsys, shot, "-o", tmp_path / "a.json", *words)[0] == 0
    call = next(entry for entry in asked if "size" in entry)
    assert (call["size"], call["confidence"], call["overlap"]) == (640, 0.2, 0.6)
    assert ended(capsys, shot, "-o", tmp_path / "b.json", "--system", "directmhp")[1]["system"] == "directmhp"
    assert json.loads((tmp_path / "b.json").read_text())["pictures"][0]["heads"][0]["entropy"] is None


# --- boxes ------------------------------------------------------------------------------------------------------------


def test_boxes_of_a_file_stand_for_the_detector(asked, tmp_path, capsys):
    shot = save(tmp_path / "a.png", (BOX, 10, 40))
    given = tmp_path / "boxes.json"
    given.write_text(json.dumps({"a.png": [[110, 70, 140, 110], [-20, 60, 20, 120, 0.1]]}))
    assert ended(capsys, shot, "-o", tmp_path / "a.json", "--boxes", given)[1]["heads"] == 1
    assert not any("size" in entry for entry in asked)  # no detector
    assert ended(capsys, shot, "-o", tmp_path / "b.json", "--boxes", tmp_path / "a.json")[1]["heads"] == 1
    given.write_text("[[110, 70, 111, 71]]")
    assert ended(capsys, shot, "-o", tmp_path / "b.json", "--boxes", given)[1]["small"] == 1
    code, told = ended(capsys, shot, "-o", tmp_path / "b.json", "--boxes", given, "--smallest", 1)
    assert (code, told["heads"]) == (0, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [('{"a.png": [[1, 2, NaN, 4]]}', "box 0 has a number that is not finite"), ("[[5, 5, 5, 9]]", "has no area"),
     ("[[1, 2, 3]]", "four or five"), ('{"a.png": 3}', "no list"), ("[[900, 900, 950, 950]]", "outside the picture"),
     ("[[1, 2, 3, 4, 7]]", "confidence"), ("{", "is not JSON"), ("3", "no boxes")],
)  # fmt: skip
def test_bad_boxes_are_refused_by_the_first_one(asked, tmp_path, capsys, text, words):
    shot = save(tmp_path / "a.png", (BOX, 0, 0))
    given = tmp_path / "boxes.json"
    given.write_text(text)
    code, told = ended(capsys, shot, "-o", tmp_path / "a.json", "--boxes", given)
    assert code == 3
    assert words in told["error"]
    assert not (tmp_path / "a.json").exists()


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_tells_what_failed_and_ends_with_seven(asked, tmp_path, capsys):
    folder = tmp_path / "shots"
    folder.mkdir()
    save(folder / "a.png", (BOX, 0, 30))
    (folder / "b.jpg").write_bytes(b"no picture")
    save(folder / "c.png", (BOX, 0, -30))
    (folder / "notes.txt").write_text("not a picture")
    code, told = ended(capsys, folder, "-o", tmp_path / "all.json", "-o", tmp_path / "all.png")
    assert code == 7
    assert [entry["name"] for entry in told["failed"]] == ["b.jpg"]
    pictures = json.loads((tmp_path / "all.json").read_text())["pictures"]
    assert [picture["name"] for picture in pictures] == ["a.png", "b.jpg", "c.png"]
    assert "no picture" in pictures[1]["error"]
    assert (tmp_path / "all.a.png").is_file()
    assert (tmp_path / "all.c.png").is_file()
    assert not (tmp_path / "all.b.png").exists()
    shot = heads_json.read(tmp_path / "all.json")
    heads_json.write(tmp_path / "again.json", shot)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "all.json").read_bytes()


def test_a_folder_with_a_rate_is_a_shot(asked, tmp_path, capsys):
    folder = tmp_path / "shot"
    folder.mkdir()
    for frame in range(6):
        save(folder / f"{frame:04d}.png", ((50 + 3 * frame, 60, 100 + 3 * frame, 120), 0, 20))
    (folder / "0003.png").write_bytes(b"broken")
    code, told = ended(capsys, folder, "--fps", 24, "-o", tmp_path / "a.take.npz", "-o", tmp_path / "a.mp4")
    assert code == 7
    assert [person["seen_frames"] for person in told["people"]] == [5]
    take = take_npz.read(tmp_path / "a.take.npz")
    assert (take.fps, take.frames) == (24, 6)
    assert take.confidence[3] == 0
    assert films.probe(tmp_path / "a.mp4").frames == 6
    code, told = ended(capsys, folder, "-o", tmp_path / "b.take.npz")
    assert code == 2
    assert "--fps" in told["error"]


def test_a_folder_without_pictures_or_with_broken_ones_alone_is_refused(asked, tmp_path, capsys):
    folder = tmp_path / "empty"
    folder.mkdir()
    code, told = ended(capsys, folder, "-o", tmp_path / "a.json")
    assert (code, "holds no picture" in told["error"]) == (3, True)
    (folder / "a.png").write_bytes(b"broken")
    code, told = ended(capsys, folder, "-o", tmp_path / "a.json")
    assert (code, "none of its 1 pictures" in told["error"]) == (3, True)


# --- films ------------------------------------------------------------------------------------------------------------


def test_people_keep_their_names_through_a_film(asked, tmp_path, capsys):
    shot = files.film(tmp_path / "a.mp4", hidden=range(15, 22))
    out = [tmp_path / f"out{suffix}" for suffix in (".json", ".csv", ".mp4", ".png", ".take.npz")]
    words = [word for path in out for word in ("-o", path)]
    code, told = ended(capsys, shot, *words, "--person", "all", "--no-perspective")
    assert code == 0
    assert told["frames_per_second"] > 0
    assert [person["seen_frames"] for person in told["people"]] == [40, 33]
    pictures = json.loads(out[0].read_text())["pictures"]
    assert pictures[10]["time"] == pytest.approx(0.4)
    gap = [head for head in pictures[18]["heads"] if head["person"] == "person_02"]
    assert [head["seen"] for head in gap] == [False]
    assert gap[0]["yaw"] == pytest.approx(40, abs=7)  # three levels of a lossy video
    assert gap[0]["box"][0] == pytest.approx(20 + 6 * 18, abs=4)
    assert films.probe(out[2]).frames == 40
    assert Image.open(out[3]).width == 3 * 640
    take = take_npz.read(tmp_path / "out.person_02.take.npz")
    assert (take.fps, take.frames) == (25, 40)
    assert [(event.kind, event.start, event.end) for event in take.events] == [("hidden", 0.6, 0.88)]
    assert (take.confidence[15:22] == 0).all()
    assert (take.confidence[:15] > 0.5).all()
    first = take_npz.read(tmp_path / "out.person_01.take.npz")
    assert not first.events
    # The head goes left through the picture, the other one right; both stand before the camera.
    assert first.root[-1, 0] < first.root[0, 0]
    assert take.root[-1, 0] > take.root[0, 0]
    assert (take.root[:, 2] < -0.5).all()


def test_the_neck_shares_the_turn_and_the_body_helps_beyond_it(asked, tmp_path, capsys):
    yaw = np.concatenate([np.zeros(30), np.linspace(0, 120, 30), np.full(30, 120)])
    shot = files.film(tmp_path / "a.mp4", 90, yaw=yaw, size=(640, 240))
    path = tmp_path / "a.take.npz"
    assert ended(capsys, shot, "-o", path, "--person", "all", "--no-perspective", "--smoothing", 0)[0] == 0
    name = next(
        f"a.person_{n:02d}.take.npz" for n in (1, 2)
        if np.ptp(take_npz.read(tmp_path / f"a.person_{n:02d}.take.npz").rotations, 0).max() > 0.3
    )  # fmt: skip
    take = take_npz.read(tmp_path / name)
    nose = head_turns(tmp_path / name)[:, :, 2]
    heading = np.degrees(np.unwrap(np.arctan2(-nose[:, 0], nose[:, 2])))
    assert heading[5] == pytest.approx(0, abs=4)
    assert heading[-5] == pytest.approx(120, abs=5)
    body = np.degrees(2 * np.arcsin(np.abs(take.rotations[:, 0, 2])))
    assert body[5] < 8
    assert 60 < body[-5] < 90  # the neck keeps 45 degrees
    shares = take.rotations[-5, [take.joint_names.index(joint) for joint in neck.JOINTS]]
    assert (np.abs(shares[:, 2]) > 0.005).all()


def test_a_head_stands_where_its_box_says(asked, tmp_path, capsys):
    """A head of 60 pixels in a picture of 320 by 60 degrees is 0.24 m of 0.24 * 277 / 60 = 1.11 m away."""
    shot = save(tmp_path / "a.png", ((130, 90, 190, 150), 0, 0))
    assert ended(capsys, shot, "-o", tmp_path / "a.take.npz")[0] == 0
    take = take_npz.read(tmp_path / "a.take.npz")
    human = characters.load("human")
    middle = headpose_takes.middle_of(human)
    skull = head_motion.from_take(take, human)
    place = skull.rotations[0] @ middle + skull.translations[0]
    away = 0.24 * head_angles.focal_length(320, 240, 60) / 60
    assert away == pytest.approx(1.11, abs=0.01)
    np.testing.assert_allclose(place, [0, middle[1], -away], atol=1e-3)
    assert take.provenance.settings["camera"]["location"] == pytest.approx([0, middle[1], 0], abs=1e-5)
    assert ended(capsys, shot, "-o", tmp_path / "b.take.npz", "--place", "origin")[0] == 0
    np.testing.assert_allclose(take_npz.read(tmp_path / "b.take.npz").root[0, [0, 2]], 0, atol=0.02)


def test_equal_films_give_equal_bytes(asked, tmp_path, capsys):
    shot = files.film(tmp_path / "shot.mp4", 12)
    for name in "ab":
        words = [f"{tmp_path}/{name}.{suffix}" for suffix in ("json", "csv", "mp4", "take.npz")]
        assert ended(capsys, shot, *(item for word in words for item in ("-o", word)))[0] == 0
    for suffix in ("json", "csv", "mp4", "take.npz"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_a_film_is_seen_one_frame_at_a_time(asked, tmp_path, capsys, monkeypatch):
    """Never more than a few decoded frames live at once."""
    import gc
    import weakref

    alive: list[weakref.ref] = []
    most = [0]
    plain = footage.frames

    def counted(path, *span):
        for seconds, picture in plain(path, *span):
            alive.append(weakref.ref(picture))
            gc.collect()
            most[0] = max(most[0], sum(reference() is not None for reference in alive))
            yield seconds, picture

    monkeypatch.setattr(footage, "frames", counted)
    shot = files.film(tmp_path / "a.mp4", 20)
    assert ended(capsys, shot, "-o", tmp_path / "b.json", "-o", tmp_path / "b.mp4")[0] == 0
    assert most[0] <= 4


def test_a_wrong_person_is_told_who_is_there(asked, tmp_path, capsys):
    shot = save(tmp_path / "a.png", (BOX, 0, 0))
    code, told = ended(capsys, shot, "-o", tmp_path / "a.take.npz", "--person", "person_07")
    assert code == 2
    assert "person_01" in told["error"]


# --- what cannot be --------------------------------------------------------------------------------------------------


def test_outputs_are_checked_before_the_work(asked, tmp_path, capsys):
    shot = save(tmp_path / "a.png", (BOX, 0, 0))
    for name, words in (("a.xyz", "unknown file type"), ("a.png", "is an input"), ("a.mp4", "makes no film")):
        code, told = ended(capsys, shot, "-o", tmp_path / name)
        assert (code, words in told["error"]) == (2, True), name
    assert not asked  # no weights were read


def test_missing_weights_end_with_four_and_a_hint(asked, tmp_path, capsys):
    shot = save(tmp_path / "a.png", (BOX, 0, 0))
    code, told = ended(capsys, shot, "-o", tmp_path / "a.json", "--weights", "dad_wild")
    assert code == 4
    assert "hyoid weights add" in told["hint"]


def test_weights_are_found_by_the_name_they_are_kept_under(asked, tmp_path, capsys):
    shot = save(tmp_path / "a.png", (BOX, 0, 0))
    (tmp_path / "mine.pth").write_bytes(b"my weights")
    assert run_command(["weights", "add", str(tmp_path / "mine.pth"), "--system", "semiuhpe"]) == 0
    (tmp_path / "mine.pth").unlink()
    assert ended(capsys, shot, "-o", tmp_path / "a.json", "--weights", "mine")[0] == 0
    assert Path(tmp_path / "stand_ins/kept/semiuhpe/mine.pth") in [entry.get("load") for entry in asked]


def test_info_and_check_know_heads_and_jobs(asked, tmp_path, capsys):
    save(tmp_path / "a.png", (BOX, 0, 0))
    job = tmp_path / "job.toml"
    job.write_text('verb = "headpose"\nfootage = "a.png"\noutput = ["out.json"]\n')
    assert run_command(["check", str(job)]) == 0
    assert run_command(["run", str(job)]) == 0
    assert run_command(["check", str(tmp_path / "out.json")]) == 0
    assert "ok (heads)" in capsys.readouterr().out
    assert run_command(["info", str(tmp_path / "out.json"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert (told["type"], told["contents"]["heads"]) == ("heads", 1)
    assert told["licence"]["commercial"] == "yes"
    job.write_text('verb = "headpose"\nfootage = "a.png"\noutput = ["out.xyz"]\n')
    assert run_command(["check", str(job)]) == 3
    text = (tmp_path / "out.json").read_text()
    for old, new in (('"version": 1', '"version": 7'), ('"heads": [{', '"heads": [{"x": 1}, {'), ("0.9", "NaN")):
        assert old in text
        (tmp_path / "bad.json").write_text(text.replace(old, new, 1))
        assert run_command(["check", str(tmp_path / "bad.json")]) == 3


def test_every_kind_of_take_can_be_written(asked, tmp_path, capsys):
    shot = save(tmp_path / "a.png", (BOX, 10, 40))
    out = [tmp_path / f"head{suffix}" for suffix in (".glb", ".usdc", ".usda", ".bvh", ".take.npz")]
    code, told = ended(capsys, shot, *(word for path in out for word in ("-o", path)))
    assert (code, told["outputs"]) == (0, [str(path) for path in out])
    assert all(path.stat().st_size > 1000 for path in out)


@pytest.mark.slow
@pytest.mark.blender
def test_a_blend_holds_the_head(asked, tmp_path, capsys):
    pytest.importorskip("bpy", reason="needs Blender as a module")
    shot = save(tmp_path / "a.png", (BOX, 10, 40))
    code, _ = ended(capsys, shot, "-o", tmp_path / "a.blend", "-o", tmp_path / "a.fbx")
    assert code == 0
    assert (tmp_path / "a.blend").stat().st_size > 100_000
    assert (tmp_path / "a.fbx").stat().st_size > 100_000


def test_a_film_with_uneven_times_keeps_its_seconds(asked, tmp_path, capsys):
    """As phones record: the second half at half the rate."""
    import av

    path = tmp_path / "shot.mp4"
    stamps = [*range(20), *range(20, 60, 2)]  # thirtieths of a second
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.time_base = stream.codec_context.time_base = films.frame_rate(30) ** -1
        for stamp in stamps:
            image = files.picture(((40 + 3 * stamp, 60, 90 + 3 * stamp, 120), 0, 0))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, films.frame_rate(30) ** -1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert ended(capsys, path, "-o", tmp_path / "a.json", "-o", tmp_path / "a.take.npz", "--smoothing", 0)[0] == 0
    pictures = json.loads((tmp_path / "a.json").read_text())["pictures"]
    np.testing.assert_allclose([picture["time"] for picture in pictures], np.array(stamps) / 30, atol=1e-3)
    take = take_npz.read(tmp_path / "a.take.npz")
    # The head goes at one speed all the time: so does the take, whatever the rate of the film.
    steps = np.diff(take.root[:, 0])
    assert steps[5:-5].min() > 0.8 * steps[5:-5].max() > 0
    assert take.seconds == pytest.approx(59 / 30, abs=0.1)


def test_a_film_on_its_side_is_seen_upright(asked, tmp_path, capsys, monkeypatch):
    class Turned:
        rotation = 90

        def to_ndarray(self, format):
            return files.picture((BOX, 0, 0))

    upright = footage._upright(Turned())
    assert upright.shape == (320, 240, 3)
    # A quarter counter-clockwise: what was on the right is on top.
    boxes, _ = files.found(upright)
    np.testing.assert_array_equal(boxes[0], [60, 320 - 150, 120, 320 - 100])
