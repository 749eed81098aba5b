# SPDX-License-Identifier: Apache-2.0
"""Every verb as a job of chunks through two workers, and through openjd's sessions: the files of the plain command."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hyoid.cli import load_verb, run_command
from hyoid.farm.splits import split_of
from hyoid.report import SILENT
from hyoid.verbs import run
from hyoid.verbs.run import RUNNABLE
from PIL import Image

from tests.blender import scenes
from tests.motion import walks
from tests.verbs import lift_files, stabilize_files

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
ANSWERS_PEOPLE = ("info", "check", "schema", "bench", "doctor", "weights list", "weights add", "weights verify")
"""Verbs without outputs that a job could wait for."""
JOB = """
name = "every verb"
chunk = {chunk}
[[steps]]
verb = "talk"
audio = "voice.wav"
text = "voice.txt"
output = ["{out}/talk.take.npz", "{out}/talk.csv"]
[[steps]]
name = "heard"
verb = "talk"
audio = "voice.wav"
output = ["{out}/heard.take.npz"]
[[steps]]
verb = "convert"
source = "{out}/talk.take.npz"
outputs = ["{out}/converted.bvh"]
[[steps]]
verb = "lift"
keypoints = "walk.npz"
output = ["{out}/walk.take.npz", "{out}/walk.bvh"]
[[steps]]
name = "single"
verb = "lift"
system = "hopfir"
keypoints = "walk.npz"
output = ["{out}/single.take.npz"]
[[steps]]
verb = "headpose"
footage = "street"
fps = 24
output = ["{out}/heads.json", "{out}/heads.csv"]
[[steps]]
verb = "stabilize"
meshes = ["scan.npz"]
output = ["{out}/still.npz"]
motion = ["{out}/motion.csv"]
[[steps]]
verb = "render"
scene = "shot.blend"
first = 2
last = 4
output = ["{out}/film.##.png", "{out}/film.mp4"]
[[steps]]
verb = "rig"
character = "human"
part = "head"
subdivision = 0
output = ["{out}/human.glb"]
"""
FIT = """
[[steps]]
verb = "rig fit"
mesh = "scan.obj"
output = ["{out}/fitted.character.npz"]
"""
"""Takes half a minute, so it is compared in one way alone."""
FITTED, WITH_FIT = "fitted.character.npz", 40


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Small inputs of every verb."""
    folder = tmp_path_factory.mktemp("every") / "it's a job; with spaces"
    folder.mkdir()
    samples, rate = soundfile.read(ROOT / "examples/talk/jfk.flac", dtype="float32", frames=int(3.2 * 44100))
    soundfile.write(folder / "voice.wav", samples, rate, subtype="PCM_16")
    (folder / "voice.txt").write_text("And so my fellow Americans\n")
    lift_files.write(folder / "walk.npz", lift_files.keypoints(walks.walk(seconds=2)))
    (folder / "street").mkdir()
    picture = Image.open(ROOT / "examples/headpose/people.jpg")
    for frame in range(3):
        picture.rotate(frame).resize((320, 213)).save(folder / "street" / f"{frame}.png")
    vertices, faces = stabilize_files.performance(5)[0], stabilize_files.skin()[1]
    stabilize_files.write_npz(folder / "scan.npz", vertices)
    write_obj(folder / "scan.obj", vertices[0], faces)
    (folder / "shot.blend").write_bytes((scenes.folder() / "shot.blend").read_bytes())
    return folder


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
    path.write_text("\n".join([*lines, *("f " + " ".join(str(i + 1) for i in face) for face in faces)]) + "\n")


def written(folder: Path) -> dict[str, bytes]:
    """What lies in a folder; reports of what was done beside files, which say so in their own way, are not."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.endswith(".json.json")}


def job(home: Path, out: str, chunk: int) -> Path:
    path = home / f"{out}.toml"
    text = JOB + FIT if chunk == WITH_FIT else JOB
    path.write_text(text.format(out=out, chunk=chunk).replace('"every verb"', f'"{out}"'))
    return path


@pytest.fixture(scope="module")
def whole(home) -> dict[str, bytes]:
    """The files that plain commands write, one after the other."""
    for step in tomllib.loads((JOB + FIT).format(out="whole", chunk=1))["steps"]:
        verb = step.pop("verb")
        step.pop("name", None)
        load_verb(verb).run(run.job_of(verb, step, home, home), SILENT)
    return written(home / "whole")


def test_every_verb_that_makes_files_is_here():
    here = set(re.findall(r'^verb = "(.*)"', JOB + FIT, re.MULTILINE))
    trainings = {verb for verb in RUNNABLE if verb.startswith("train ")}  # one task, resumed by its own --state
    assert here == set(RUNNABLE) - trainings - set(ANSWERS_PEOPLE)
    assert {verb for verb in here if split_of(verb)} == {"talk", "lift", "headpose", "stabilize", "render"}


@pytest.mark.slow
@pytest.mark.blender
@pytest.mark.parametrize(("way", "chunk"), [("run", 1), ("run", 40), ("farm run", 7)])
def test_two_workers_write_the_files_of_the_plain_command(home, whole, way, chunk, capsys):
    out = f"{way.replace(' ', '_')}_{chunk}"
    code = run_command([*way.split(), str(job(home, out, chunk)), "--workers", "2"])
    assert code == 0, capsys.readouterr()
    found = written(home / out)
    wanted = {name: data for name, data in whole.items() if chunk == WITH_FIT or not name.startswith(FITTED)}
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
    parts = {path.name for path in (home / f"{out}.farm" / "parts").iterdir()}
    assert parts >= {"single", "headpose", "stabilize", "render"} - ({"headpose", "render"} if chunk == 40 else set())
