# SPDX-License-Identifier: Apache-2.0
"""Body from Video: people come onto characters, are done again in place, and the camera sees them as the shot did."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from tests.addon import stand_in, tools

pytestmark = pytest.mark.blender
EVERYBODY_SEEN_FROM = [[0.25, -4.0, 1.5], [0.25, -4.0, 1.5], [0.25, -4.0, 2.0]]
WEIGHTS = tools.ROOT / "models" / "hopfir" / "hopfir.safetensors"
_HERE = f"import sys\nsys.path.insert(0, {str(tools.ROOT / 'toolkit')!r})\n"
TOOLKIT = (
    '"""A stand-in for the toolkit: two people who walk along, as far as the foot lock says."""\n'
    + _HERE
    + """
import json
import os
import time
from pathlib import Path

import numpy as np

from hyoid.formats import take_npz
from hyoid.take import CharacterReference, Event, Provenance, Take


def emit(**event):
    print(json.dumps(event), flush=True)


if sys.argv[1] == "schema":
    emit(event="result", verb="schema", result={"protocol": 1, "version": "9.9", "verbs": {}})
    sys.exit(0)
job = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
source = Path(job["keypoints"])
output = Path(job["output"][0])
output.with_suffix(".job").write_text(json.dumps(job))
emit(event="progress", fraction=0.3, what="following people")
if "slow" in source.name:
    output.with_name(f".{output.name}.{os.getpid()}.part").write_text("half")
    time.sleep(600)
if "nosize" in source.name and source.suffix == ".json" and "size" not in job:
    text = f"{source}: does not say how large the pictures are; expected their width and height. "
    text += "Give them (--size 1920x1080) or the video (--footage FILE)"
    emit(event="failure", exit_code=3, error=text, path=str(source))
    sys.exit(3)
if not source.exists():
    sys.exit(9)
frames, fps = 24, job["fps"]
names = {"all": ["person_01", "person_02"], "main": ["person_01"]}.get(job["person"], [job["person"]])
outputs, people = [], []
for number, name in enumerate(names):
    step = np.arange(frames) / 10
    turns = np.tile(np.array([1.0, 0, 0, 0]), (frames, 3, 1))
    turns[:, 0] = np.stack([np.cos(step), np.sin(step), 0 * step, 0 * step], -1)
    turns[:, 2] = np.stack([np.cos(step / 2), 0 * step, np.sin(step / 2), 0 * step], -1)
    root = np.stack([step * (2 - job["foot_lock"]) + number, 0 * step, step], -1)
    quality = {"skate": 10 * (1 - job["foot_lock"]), "penetration": 1.5, "reprojection": 0.02}
    height = job.get("camera_height", 1.5)
    camera = {"location": [0.25 + number, height + 0.25 * number, 4.0],
              "pitch_degrees": 10.0 if height == 1.5 else job["camera_pitch"],
              "roll_degrees": 3.0, "field_of_view_degrees": job["field_of_view"], "size": [1080, 1920]}
    made = Take(
        fps=fps, curve_names=(), curves=np.zeros((frames, 0), np.float32),
        joint_names=("upperleg01.L", "lowerleg01.L", "upperarm01.R"), rotations=turns.astype(np.float32),
        root=root.astype(np.float32), confidence=np.ones(frames, np.float32),
        events=(Event("hidden", name + " not seen", 8 / fps, 12 / fps),),
        character=CharacterReference(job.get("character", "human"), job.get("set", {})),
        provenance=Provenance("9.9", "lift", {"person": name, "quality": quality, "camera": camera}, ()),
    )
    path = output.with_name(output.name.replace(".take", f".{name}.take")) if job["person"] == "all" else output
    take_npz.write(path, made)
    outputs.append(str(path))
    people.append({"name": name, "seen_seconds": 0.8 - 0.1 * number, "quality": quality})
for path in job["output"][1:]:
    Path(path).write_text("raw")
    outputs.append(path)
others = [] if job["person"] == "all" else [{"name": "person_02", "seen_seconds": 0.7}]
emit(event="result", verb="run", result={"outputs": outputs, "people": people, "others": others})
"""
)


@pytest.fixture
def toolkit(tmp_path):
    return stand_in.install(tmp_path / "bin", text=TOOLKIT)


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_a_body_comes_onto_a_character_and_is_done_again_in_place(version, tmp_path, toolkit):
    answer = tools.run(version, "lift_core", tmp_path, place=str(tmp_path), toolkit=str(toolkit))
    assert answer["result"] == ["FINISHED"]
    job = answer["job"]
    assert (job["verb"], job["person"], job["fps"], job["system"]) == ("lift", "main", 24.0, "hopfir")
    assert (job["foot_lock"], job["smoothing"], job["field_of_view"], job["size"]) == (1.0, 0.25, 50.0, "1080x1920")
    assert job["set"] == {"age": 0.6}
    assert "camera_height" not in job
    assert [Path(path).name for path in job["output"]] == ["walk-body-001.take.npz", "walk-body-001.lifted.npz"]
    assert "person_01: feet skate 0.0 mm, below ground 1.5 mm, off the picture 2.0 % of height" in answer["said"][0]
    assert answer["people"] == [["person_01", pytest.approx(0.8)], ["person_02", pytest.approx(0.7)]]
    assert answer["markers"] == [[18, "person_01 hidden"], [22, "person_01 seen again"]]

    # the root of the stand-in walks 2.3 m to the left and to the front
    assert answer["walked"] == pytest.approx([2.3, -2.3, 0], abs=1e-4)
    redone = answer["redone"]
    assert redone["result"] == ["FINISHED"]
    assert redone["walked"] == pytest.approx([4.6, -2.3, 0], abs=1e-4)
    assert redone["job"]["keypoints"].endswith("walk-body-001.lifted.npz")
    assert (redone["job"]["foot_lock"], redone["job"]["person"]) == (0.0, "person_01")
    assert (redone["job"]["camera_height"], redone["job"]["camera_pitch"]) == (2.0, 20.0)
    assert redone["actions"] == answer["actions"]  # in place: none came, none went
    assert redone["action"] == answer["action"]
    assert redone["markers"] == answer["markers"]
    assert redone["keys"] == answer["keys"] == [10, 33, 24]
    assert redone["outside"] == pytest.approx([0.5, 0.5])  # what the artist keyed before and behind stays
    assert "feet skate 10.0 mm" in redone["said"]
    assert redone["figures"] == [10.0, 20.0]

    strip = answer["strip"]
    assert strip["walked"] == pytest.approx([4.6, -2.3, 0], abs=1e-4)
    assert strip["tracks"] == [1, ["Hyoid"]]
    assert answer["faults"] == {}
    assert answer["drawn"]["after"] > answer["drawn"]["before"] > 15


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_people_skeletons_and_armatures_of_ones_own(version, tmp_path, toolkit):
    answer = tools.run(version, "lift_people", tmp_path, place=str(tmp_path), toolkit=str(toolkit))
    everyone = answer["all"]
    assert everyone["result"] == ["FINISHED"]
    assert everyone["people"] == ["person_01", "person_02"]
    assert everyone["walked"] == pytest.approx([2.3, 2.3], abs=1e-4)
    assert everyone["apart"] == pytest.approx(1.0, abs=1e-4)
    assert everyone["job"]["person"] == "all"
    assert everyone["redone"] == pytest.approx([4.6, 4.6], abs=1e-4)
    assert everyone["files"] == everyone["files before"]  # takes are written over
    assert everyone["characters"] == 2
    assert everyone["one camera"]
    # The first one's, whoever is active, and after everybody was done again.
    assert everyone["camera places"] == [pytest.approx(place, abs=1e-4) for place in EVERYBODY_SEEN_FROM]
    assert answer["chosen"] == ["ONE", "person_02"]

    own = answer["own"]
    assert own["result"] == ["FINISHED"]
    assert "set" not in own["job"]
    assert own["walked"] == pytest.approx(0.5 * 2.3, rel=1e-3)  # hips half as high
    assert own["redone"] == pytest.approx(0.5 * 4.6, rel=1e-3)
    assert own["camera"] == pytest.approx([0.125, -2.0, 0.75], abs=1e-3)


REFUSED = {
    "nothing chosen": "no keypoints are chosen",
    "no such file": "there is no such file or folder",
    "half a size": "the picture is 640 x 0",
    "no name": "no person is named",
    "no footage": "there is no such file or folder",
    "a head": "is a head without legs",
    "no size": "does not say how large the pictures are; expected their width and height",
    "no redo": "press Lift first",
    "raw gone": "the raw poses of this lift are gone",
    "action gone": "does not play there any more",
    "no toolkit": "There is no",
}


@pytest.mark.parametrize("version", ["3.4", "4.4", "5.0"])
def test_faults_are_told_and_a_job_can_be_cancelled(version, tmp_path, toolkit):
    answer = tools.run(version, "lift_errors", tmp_path, place=str(tmp_path), toolkit=str(toolkit))
    assert answer["refused"].keys() == REFUSED.keys()
    for name, words in REFUSED.items():
        assert words in answer["refused"][name], name
        assert "Traceback" not in answer["refused"][name]
        assert "--" not in answer["refused"][name]
    assert answer["size asked for"] == [False, True]
    assert answer["with size"] == ["FINISHED"]
    assert answer["cancelled"] == ["running", "cancelled", []]
    assert answer["untouched"]


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_the_camera_shows_what_the_shot_showed(version, tmp_path):
    """The toolkit's own pixels of points in the world are those of Blender's camera."""
    from hyoid.motion import cameras

    shots = {
        "landscape": cameras.from_field_of_view((1280, 720), np.radians(50), height=1.6, pitch=0.2, roll=-0.05),
        "portrait": cameras.from_field_of_view((1080, 1920), np.radians(70), height=2.1, pitch=-0.1, roll=0.1),
    }
    random = np.random.default_rng(0)
    jobs, wanted = [], []
    for camera in shots.values():
        seen = random.uniform([-0.5, -0.5, 2], [0.5, 0.5, 6], (20, 3))
        seen[:, :2] *= seen[:, 2:]
        shift = np.array([0.5, 0, -0.25])
        facts = {
            "location": [0.5, camera.height, -0.25], "pitch_degrees": float(np.degrees(camera.pitch)),
            "roll_degrees": float(np.degrees(camera.roll)), "size": list(camera.size),
            "field_of_view_degrees": float(np.degrees(cameras.field_of_view(camera))),
        }  # fmt: skip
        jobs.append({"camera": facts, "points": (cameras.to_world(camera, seen) + shift).tolist()})
        wanted.append(cameras.project(camera, seen))
    answer = tools.run(version, "lift_camera", tmp_path, shots=jobs)
    for shown, pixels in zip(answer["pixels"], wanted, strict=True):
        assert np.abs(np.array(shown) - pixels).max() < 0.1
    assert answer["scene"] == [True, [1080, 1920]]
    assert answer["cameras"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("version", ["4.2", "5.0"])
def test_the_toolkit_itself_lifts_and_does_it_again(version, tmp_path):
    if not WEIGHTS.is_file():
        pytest.skip(f"{WEIGHTS} is not there")
    if importlib.util.find_spec("torch") is None:
        tools.absent("torch is not installed")
    from hyoid.formats.keypoints import LAYOUTS

    from tests.formats import keypoint_files

    rows = keypoint_files.rows(LAYOUTS["coco17"], 30, 2).astype(np.float32)
    keypoints = tmp_path / "street.npz"
    np.savez(keypoints, keypoints=rows, fps=25.0, width=1280, height=720, layout="coco17", ids=np.array([0, 1]))
    program = stand_in.install(tmp_path / "bin", text=f"{_HERE}from hyoid.__main__ import main\nmain()\n")
    answer = tools.run(
        version, "lift_real", tmp_path, timeout=300, place=str(tmp_path), toolkit=str(program),
        keypoints=str(keypoints),
    )  # fmt: skip
    assert answer["result"] == ["FINISHED"]
    assert answer["people"] == ["person_01", "person_02"]
    assert answer["seen"] == pytest.approx([28 / 24, 28 / 24], abs=1e-3)  # frames of the scene
    assert max(answer["skate"]) < 1.0  # planted
    assert min(answer["skate redone"]) > max(answer["skate"]) + 1.0  # and let go
    assert answer["keys"] == answer["keys redone"]
    assert answer["moved"] > 0.01
    assert answer["camera"]
    assert answer["mixamo"]["result"] == ["FINISHED"]
    assert answer["mixamo"]["turns"] > 0.003
    assert answer["mixamo"]["bones"]


def test_the_page_names_what_is_there():
    """Links and operators of the guide."""
    page = tools.ROOT / "docs" / "lift_in_blender.md"
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert "://" in link or (page.parent / link).is_file(), link
    source = (tools.ROOT / "addon" / "hyoid" / "lift" / "operators.py").read_text(encoding="utf-8")
    names = re.findall(r"`hyoid\.(\w+)`", text)
    assert len(names) >= 3
    for name in names:
        assert f'"hyoid.{name}"' in source, name


def test_films_are_known_as_the_toolkit_knows_them():
    from hyoid.media import footage

    source = (tools.ROOT / "addon" / "hyoid" / "lift" / "operators.py").read_text(encoding="utf-8")
    line = next(line for line in source.splitlines() if line.startswith("VIDEOS = "))
    assert tuple(re.findall(r'"(\.\w+)"', line)) == footage.SUFFIXES
