# SPDX-License-Identifier: Apache-2.0
"""Head Directions: Empties and characters are seen by Blender's camera where the picture has the heads."""

import re

import numpy as np
import pytest
from hyoid import characters
from hyoid.formats import heads_json
from hyoid.geometry import head_angles
from hyoid.geometry import rotations as turns
from hyoid.media import footage, images
from hyoid.motion import head_smoothing
from hyoid.verbs import headpose_takes

from tests.addon import stand_in, tools
from tests.verbs import head_files

pytestmark = pytest.mark.blender
SIZE = (320, 240)
CROWD = (((20, 30, 80, 100), 12.0, 40.0), ((150, 100, 180, 140), -25.0, -100.0), ((260, 180, 310, 235), 0.0, 170.0))
HIDDEN = range(10, 14)
FIRST = 10
TOOLKIT = f"""
import json
import os
import shutil
import sys
import time
from pathlib import Path

sys.path[:0] = [{str(tools.ROOT / "toolkit")!r}, {str(tools.ROOT)!r}]
import pytest
from hyoid.__main__ import main
from hyoid.errors import WeightsError
from tests.verbs import head_files

if sys.argv[1] == "run":
    job = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2]).parent
    head_files.install(pytest.MonkeyPatch(), folder)
    shutil.copy(sys.argv[2], Path(job["output"][0]).with_suffix(".job"))
    detector = sys.modules["hyoid.systems.directmhp"]
    if "slow" in job["footage"]:
        output = Path(job["output"][0])
        output.with_name(f".{{output.name}}.{{os.getpid()}}.part").write_text("half")
        detector.infer.detect = lambda *words, **options: time.sleep(600)
    if "noweights" in job["footage"]:
        def missing():
            raise WeightsError("there are no weights for DirectMHP", hint="Type: hyoid weights list")
        detector.checkpoint.find = missing
main()
"""
CAMERAS = (
    {"data": {"lens": 42.0}, "render": {"resolution_x": 640, "resolution_y": 480}},
    {"data": {"sensor_fit": "VERTICAL", "lens": 30.0}, "render": {"resolution_x": 1920, "resolution_y": 1080},
     "scale": (2.0, 2.0, 2.0)},
    {"data": {"sensor_fit": "AUTO"}, "render": {"resolution_x": 600, "resolution_y": 1000}},
    {"data": {"shift_x": 0.1, "shift_y": -0.05}, "render": {"resolution_x": 640, "resolution_y": 480}},
)  # fmt: skip


@pytest.fixture
def place(tmp_path):
    """A folder with pictures and a film."""
    folder = tmp_path / "footage"
    folder.mkdir()
    images.write_png(folder / "crowd.png", head_files.picture(*CROWD))
    for name in ("slow", "noweights"):
        images.write_png(folder / f"{name}.png", head_files.picture(*CROWD))
    images.write_png(folder / "empty.png", head_files.picture())
    (folder / "notes.txt").write_text("no picture", encoding="utf-8")
    (folder / "frames").mkdir()
    for number in range(1, 5):
        images.write_png(folder / "frames" / f"{number:04d}.png", head_files.picture(*CROWD))
    head_files.film(folder / "shot.mp4", hidden=HIDDEN, yaw=[40 + 9 * (-1) ** frame for frame in range(40)])
    return folder


@pytest.fixture
def toolkit(tmp_path):
    return stand_in.install(tmp_path / "bin", text=TOOLKIT)


def seen_by(degrees, middle, larger, rotation, *, centre=(160.0, 120.0), reach=0.2, height=0.24):
    """Pixels of the middle of a head, of a point before its face and one above it, and how far away it is."""
    focal = head_angles.focal_length(*SIZE, degrees)
    depth = focal * height / larger
    at = np.array([*((np.array(middle) - centre) / focal * depth), depth])
    points = [at, at - reach * rotation[:, 2], at - reach * rotation[:, 1]]
    return [*((point[:2] / point[2] * focal + centre).tolist() for point in points), depth]


def check(shown, wanted, *, near=0.05):
    for one, other in zip(shown[:-1], wanted[: len(shown) - 1], strict=True):
        assert np.abs(np.array(one) - other).max() < near
    assert shown[-1] == pytest.approx(wanted[-1], rel=1e-3)


def of_frame(shot, frame, number):
    """Box middle, larger side, and rotation of a person in a frame."""
    heads = shot.heads[(shot.heads.picture == frame) & (shot.heads.ids == number)]
    box = heads.boxes[0]
    return (box[:2] + box[2:]) / 2, max(box[2:] - box[:2]), heads


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_empties_lie_where_the_picture_has_the_heads(version, tmp_path, place, toolkit):
    answer = tools.run(
        version, "heads_core", tmp_path, timeout=400, place=str(place), toolkit=str(toolkit), cameras=CAMERAS, size=SIZE
    )
    assert answer["faults"] == {}
    assert answer["drawn"]["after"] > answer["drawn"]["before"] > 15
    shot = heads_json.read(place / "out" / "crowd-heads-001.heads.json")
    job = answer["job"]
    assert (job["verb"], job["system"], job["confidence"], job["smoothing"]) == ("headpose", "semiuhpe", 0.3, 0.0)
    for told, facts in zip(answer["shots"], CAMERAS, strict=True):
        shifted = "shift_x" in facts["data"]  # parts of the larger side
        centre = (160.0 - 0.1 * 320, 120.0 - 0.05 * 320) if shifted else (160.0, 120.0)
        assert told["result"] == ["FINISHED"]
        assert len(told["shown"]) == len(CROWD)
        for number, name in shot.names.items():
            middle, larger, heads = of_frame(shot, 0, number)
            focal = head_angles.focal_length(*SIZE, told["degrees"])
            turned = head_angles.in_camera(heads.apparent[0], head_angles.rays(middle, focal, centre))
            wanted = seen_by(told["degrees"], middle, larger, turned, centre=centre)
            check(told["shown"][f"head.{name}"], wanted)
    # The JSON's own rotation, where it was made for this lens
    first = answer["shots"][0]
    assert job["field_of_view"] == pytest.approx(first["degrees"], rel=1e-5)
    assert first["degrees"] == pytest.approx(2 * np.degrees(np.arctan(18 / 42)), abs=1e-3)
    middle, larger, heads = of_frame(shot, 0, 1)
    wanted = seen_by(first["degrees"], middle, larger, heads.rotations[0])
    check(first["shown"]["head.person_01"], wanted)
    assert "3 heads before 'Eye'" in answer["said"]
    assert answer["people"] == [["person_01", 1], ["person_02", 1], ["person_03", 1]]
    assert answer["chosen"] == ["ONE", "person_02"]
    film(answer["film"], heads_json.read(place / "out" / "shot-heads-001.heads.json"))
    alone(answer["alone"], shot)


def film(told, shot):
    """A film: keys on each frame, gaps marked, and every redo in place."""
    assert told["result"] == told["redo"] == ["FINISHED"]
    assert told["range"] == [FIRST, FIRST + 39]
    assert told["names"] == ["head.person_01", "head.person_02"]
    assert told["jobs"] == 0  # nothing was looked for
    assert told["objects"] == told["objects redone"] == 5  # camera, two heads, two arrows
    assert told["actions"] == told["actions redone"]
    assert told["actions"][1].startswith("head.person_01")
    hidden = next(number for number in (1, 2) if (~shot.heads.seen & (shot.heads.ids == number)).any())
    assert hidden == 2  # seen longest is the first
    frames, seen = np.array(told["seen"]).T
    assert frames.tolist() == list(range(FIRST - 1, FIRST + 41))
    gaps = frames[seen == 0].astype(int).tolist()
    assert gaps == [FIRST - 1, *(FIRST + frame for frame in HIDDEN), FIRST + 40]

    degrees = 2 * np.degrees(np.arctan(18 / 50))
    for frame, *views in zip((0, 7, 39), told["shown"], told["moving"], told["longer lens"], strict=True):
        for view, lens in zip(views, (degrees, degrees, 2 * np.degrees(np.arctan(18 / 80))), strict=True):
            middle, larger, heads = of_frame(shot, frame, 1)
            focal = head_angles.focal_length(*SIZE, lens)
            turned = head_angles.in_camera(heads.apparent[0], head_angles.rays(middle, focal, (160.0, 120.0)))
            check(view, seen_by(lens, middle, larger, turned))
    smooth, raw, again = (np.array(told[name]) for name in ("smooth", "raw", "again"))
    assert np.abs(np.diff(smooth, axis=0)).sum() < 0.1 * np.abs(np.diff(raw, axis=0)).sum()
    assert np.abs(smooth - again).max() < 0.06  # the longer lens sees it a few degrees otherwise
    assert told["outside"] == [0.5, pytest.approx(told["inside"], abs=0.05)]  # what the artist keyed before stays


def alone(told, shot):
    """A scene without a camera gets one that sees the picture as it was asked for."""
    assert told["angle"] == pytest.approx(70.0, abs=1e-3)
    assert told["size"] == list(SIZE)
    assert told["behind"] == ["IMAGE"]
    assert told["job"]["field_of_view"] == 70.0
    middle, larger, heads = of_frame(shot, 0, 1)
    ray = head_angles.rays(middle, head_angles.focal_length(*SIZE, 70.0), (160.0, 120.0))
    turned = head_angles.in_camera(heads.apparent[0], ray)
    assert list(told["shown"]) == ["head.person_01"]
    check(told["shown"]["head.person_01"], seen_by(70.0, middle, larger, turned))
    assert told["from the camera"] == "crowd.png"
    assert told["its angle"] == pytest.approx(70.0, abs=1e-3)


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_heads_come_onto_characters_before_the_camera(version, tmp_path, place, toolkit):
    middle, old = (
        headpose_takes.middle_of(characters.load("human", identity)).tolist() for identity in ({}, {"age": 0.6})
    )
    camera = {"data": {"lens": 40.0}, "render": {"resolution_x": 640, "resolution_y": 480}}
    answer = tools.run(
        version, "heads_characters", tmp_path, timeout=500, place=str(place), toolkit=str(toolkit), camera=camera,
        size=SIZE, middle=middle, **{"old middle": old},
    )  # fmt: skip
    new = answer["new"]
    assert new["result"] == new["redo"] == ["FINISHED"]
    assert new["parts"] == ["head", "head"]
    assert (new["job"]["person"], new["job"]["place"], new["job"]["fps"]) == ("all", "camera", 25.0)
    assert (new["redo job"]["person"], new["redo job"]["smoothing"]) == ("all", 0.0)
    assert new["redo job"]["boxes"] == new["job"]["output"][1]
    assert new["redo job"]["output"] == new["job"]["output"][:1]
    assert new["in place"]
    assert [FIRST + HIDDEN.start, "person_02 hidden"] in new["markers"]
    assert new["markers"] == new["markers redone"]
    shot = heads_json.read(place / "out" / "shot-heads-001.heads.json")
    degrees = new["job"]["field_of_view"]
    for number, shown in enumerate(new["shown"], 1):
        for frame, view in zip((0, 20, 39), shown, strict=True):
            where, larger, heads = of_frame(shot, frame, number)
            wanted = seen_by(degrees, where, larger, heads.rotations[0])
            for one, other in zip(view[:-1], wanted, strict=False):
                assert np.abs(np.array(one) - other).max() < 1.0
    assert np.abs(np.array(new["redone"][0][0][0]) - new["shown"][0][0][0]).max() < 3.0

    active = answer["active"]
    assert active["result"] == active["redo"] == ["FINISHED"]
    assert active["job"]["set"] == {"age": 0.6}
    for name in ("shown", "redone"):
        for frame, view in zip((0, 20, 39), active[name], strict=True):
            where, larger, heads = of_frame(shot, frame, 1)
            wanted = seen_by(degrees, where, larger, heads.rotations[0])
            for one, other in zip(view[:-1], wanted, strict=False):
                assert np.abs(np.array(one) - other).max() < 2.0
    assert active["tracks"] == 1
    assert active["stays"] == [pytest.approx([5, 6, 7]), "origin"]


REFUSED = {
    "nothing chosen": "no picture or film is chosen",
    "no such file": "there is no such file",
    "no picture": "is of the unknown type '.txt'",
    "no clip": "no movie clip is chosen",
    "no camera picture": "shows no picture or film behind the scene",
    "no name": "no person is named",
    "no such person": "there is no person 'person_09'",
    "no character": "no Hyoid character is active",
    "nobody": "no head was found. Lower the Threshold",
    "nobody performs": "o head was found",
    "no weights": "here are no weights for DirectMHP. Type: hyoid weights list",
    "no redo": "Press Find Heads first",
    "flat camera": "'Eye' is no perspective camera",
    "heads gone": "the heads that were found are gone",
    "no toolkit": "There is no",
}


@pytest.mark.parametrize("version", ["3.4", "4.4", "5.0"])
def test_faults_are_told_and_a_search_can_be_cancelled(version, tmp_path, place, toolkit):
    answer = tools.run(version, "heads_errors", tmp_path, timeout=500, place=str(place), toolkit=str(toolkit))
    assert answer["refused"].keys() == REFUSED.keys()
    for name, words in REFUSED.items():
        assert words in answer["refused"][name], name
        assert "Traceback" not in answer["refused"][name]
    assert answer["untouched"] == []
    assert answer["empties"] == ["FINISHED"]
    assert answer["cancelled"] == ["running", "cancelled", []]
    found = answer["footage"]
    assert found["file"] == ["crowd.png", None, None, False, False, [320, 240]]
    assert found["behind"] == ["crowd.png", None, None, False, True, [320, 240]]
    assert found["only clip"][:5] == ["frames", 18, 25.0, True, True]
    assert found["clip"][:5] == ["shot.mp4", 26, None, True, True]


@pytest.mark.parametrize("version", ["4.2"])
def test_what_is_smoothed_in_blender_is_what_the_toolkit_smooths(version, tmp_path):
    random = np.random.default_rng(3)
    times = np.cumsum(random.uniform(0.02, 0.08, 90))
    angles = np.stack([20 * np.sin(3 * times), 60 * np.sin(times), 5 * np.cos(times)], -1)
    angles += random.normal(0, 2, (90, 3))
    quaternions = turns.from_matrix(head_angles.matrices(angles))
    quaternions[40] = turns.from_matrix(head_angles.matrices(np.array([0.0, 179.0, 0.0])))  # one that is wild
    trust = random.uniform(0.1, 1, 90)
    boxes = random.uniform(0, 100, (90, 4))
    answer = tools.run(
        version, "heads_steady", tmp_path, times=times.tolist(), quaternions=quaternions.tolist(), boxes=boxes.tolist(),
        trust=trust.tolist(),
    )  # fmt: skip
    for strength in (0.0, 0.5, 1.0):
        wanted = head_smoothing.smooth_rotations(quaternions, times, trust, strength=strength)
        assert np.abs(np.array(answer[f"rotations {strength}"]) - wanted).max() < 1e-9
        wanted = head_smoothing.smooth_values(boxes, times, trust, head_smoothing.BOX_CUTOFF, strength=strength)
        assert np.abs(np.array(answer[f"values {strength}"]) - wanted).max() < 1e-7


def test_the_page_names_what_is_there():
    """Links and operators of the guide."""
    page = tools.ROOT / "docs" / "head_directions_in_blender.md"
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert "://" in link or (page.parent / link).is_file(), link
    source = (tools.ROOT / "addon" / "hyoid" / "head_directions" / "operators.py").read_text(encoding="utf-8")
    names = re.findall(r"`hyoid\.(\w+)`", text)
    assert len(names) >= 2
    for name in names:
        assert f'"hyoid.{name}"' in source, name


def test_pictures_and_films_are_known_as_the_toolkit_knows_them():
    source = (tools.ROOT / "addon" / "hyoid" / "head_directions" / "footage.py").read_text(encoding="utf-8")
    for name, wanted in (("PICTURES", images.SUFFIXES), ("FILMS", footage.SUFFIXES)):
        line = next(line for line in source.splitlines() if line.startswith(f"{name} = "))
        assert tuple(re.findall(r'"(\.\w+)"', line)) == wanted
