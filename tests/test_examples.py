# SPDX-License-Identifier: Apache-2.0
"""The examples run as they stand, and the commands in the documents exist."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.cli import load_verb, verb_parser
from hyoid.errors import WeightsError
from hyoid.formats import character_npz, take_npz
from hyoid.geometry import head_angles
from hyoid.verbs import SUMMARIES
from PIL import Image

from tests import toy
from tests.systems import hack_files
from tests.verbs import stabilize_files

ROOT = Path(__file__).parents[1]


def test_the_python_example_writes_what_it_says(tmp_path):
    command = [sys.executable, ROOT / "examples/python/talk.py", tmp_path / "a.take.npz", tmp_path / "a.glb"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5 s at 30 fps: and so my fellow americans")
    assert take_npz.read(tmp_path / "a.take.npz").seconds == 5
    assert (tmp_path / "a.glb").read_bytes()[:4] == b"glTF"


def _run(name, *words):
    done = subprocess.run([sys.executable, ROOT / "examples/python" / name, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_deforms_a_character_by_a_take(tmp_path):
    """Also one that Hyoid wrote as a file, whose joints are not the take's."""
    take_npz.write(tmp_path / "a.take.npz", toy.take(6))
    character_npz.write(tmp_path / "a.character.npz", toy.character())
    said = _run("deform.py", tmp_path / "a.take.npz", tmp_path / "a.character.npz", tmp_path / "a.npy")
    posed = np.load(tmp_path / "a.npy")
    assert said.startswith(f"toy (CC0-1.0): {posed.shape}")
    assert posed.shape == (6, len(toy.character().vertices), 3)
    assert np.isfinite(posed).all()


def test_the_example_finds_the_parameters_of_hack_again(tmp_path):
    pytest.importorskip("torch")
    said = _run("hack_forward.py", hack_files.write(tmp_path / "hack"))
    assert said.startswith("948 vertices, within 0.0")
    assert "atlas 0.400 rad, tau 0.0200" in said


def test_the_example_lifts_keypoints(tmp_path):
    pytest.importorskip("torch")
    said = _run("lift.py", ROOT / "examples/lift/walk.npz", tmp_path / "walk.npy")
    assert said.startswith("180 poses (17 joints: Human3.6M-17")
    joints = np.load(tmp_path / "walk.npy")
    assert joints.shape == (180, 17, 3)
    # Legs of a walk: the ankles pass each other.
    ahead = joints[:, 3, 0] - joints[:, 6, 0]
    assert (np.diff(np.sign(ahead)) != 0).sum() >= 6


def test_the_keypoints_to_try_are_made_by_their_script(tmp_path):
    (tmp_path / "make_walk.py").write_bytes((ROOT / "examples/lift/make_walk.py").read_bytes())
    subprocess.run([sys.executable, tmp_path / "make_walk.py"], check=True)
    made, stored = np.load(tmp_path / "walk.npz"), np.load(ROOT / "examples/lift/walk.npz")
    np.testing.assert_allclose(made["keypoints"], stored["keypoints"], atol=1e-3)


def test_the_example_stabilises_meshes(tmp_path):
    vertices, _ = stabilize_files.performance(8)
    stabilize_files.write_npz(tmp_path / "shot.npz", vertices)
    said = _run("stabilize.py", tmp_path / "shot.npz", tmp_path / "still.npy")
    assert said.startswith("8 frames onto '0': the head turned by up to")
    still = np.load(tmp_path / "still.npy")
    high = still[0, :, 1] > np.quantile(still[0, :, 1], 0.9)  # the crown is skull
    assert np.linalg.norm(still - still[0], axis=-1)[:, high].mean() < 5e-4  # metres


def test_the_example_says_where_heads_look(tmp_path):
    """Five people who look different ways, with our own weights."""
    pytest.importorskip("torch")
    for system in ("directmhp", "semiuhpe"):
        checkpoint = pytest.importorskip(f"hyoid.systems.{system}.checkpoint")
        try:
            checkpoint.find()
        except WeightsError as error:
            pytest.skip(str(error))
    said = _run("headpose.py", ROOT / "examples/headpose/people.jpg", tmp_path / "a.npy")
    found = np.load(tmp_path / "a.npy")
    assert found.shape[1:] == (3, 3)
    assert said.count("\n") == len(found)
    assert 4 <= len(found) <= 7
    np.testing.assert_allclose(np.linalg.det(found), 1, atol=1e-4)
    yaws = np.abs(head_angles.angles(found)[:, 1])
    assert yaws.min() < 60  # the one in front
    assert yaws.max() > 120  # and the backs


@pytest.mark.slow
def test_the_job_of_two_recordings_is_done(tmp_path):
    shutil.copytree(ROOT / "examples/farm", tmp_path / "farm", ignore=shutil.ignore_patterns("out", "*.farm"))
    command = [sys.executable, "-m", "hyoid", "run", tmp_path / "farm/dailies.toml", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for shot, seconds, word in (("americans", 2.4, "americans"), ("country", 2.7, "country")):
        take = take_npz.read(tmp_path / "farm/out" / f"{shot}.take.npz")
        assert abs(take.seconds - seconds) < 0.1
        assert word in {event.name.lower() for event in take.events if event.kind == "word"}
        assert (tmp_path / "farm/out" / f"{shot}.glb").read_bytes()[:4] == b"glTF"
        assert (tmp_path / "farm/out" / f"{shot}.csv").stat().st_size > 1000


def test_the_people_to_try_are_small_and_of_the_size_that_their_script_draws():
    path = ROOT / "examples/headpose/people.jpg"
    assert path.stat().st_size <= 150_000
    script = runpy.run_path(str(path.with_name("make_people.py")))
    with Image.open(path) as picture:
        assert picture.size == (script["SETTINGS"].width, script["SETTINGS"].height)


@pytest.mark.slow
def test_the_example_rigs_a_scan(tmp_path):
    head = characters.load("human", {"age": 0.7}, part="head")
    skin = head.parts[0]
    faces = [list(dict.fromkeys(face)) for face in (head.faces[skin.faces] + 1).tolist()]
    lines = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in (100 * head.vertices[skin.vertices]).tolist()]
    lines += [f"f {' '.join(map(str, face))}" for face in faces]
    (tmp_path / "scan.obj").write_text("\n".join(lines), encoding="utf-8")
    said = _run("fit_scan.py", tmp_path / "scan.obj", tmp_path / "me.character.npz")
    rigged = character_npz.read(tmp_path / "me.character.npz")
    assert len(rigged.vertices) == skin.vertices.stop
    assert float(said.split("fitted within ")[1].split()[0]) < 0.5  # mm: it is a human of ours


def commands() -> list[tuple[str, str]]:
    """Every `hyoid VERB ...` line in the fenced blocks of the documents."""
    found = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]:
        for block in re.findall(r"^```(?:\w*)\n(.*?)^```", path.read_text(), re.S | re.M):
            for line in block.replace("\\\n", " ").splitlines():
                words = line.split("#")[0].strip()
                if re.match(r"(\.venv/bin/)?hyoid [a-z]", words):
                    found.append((path.name, words))
    return found


@pytest.mark.parametrize(("document", "command"), commands())
def test_the_commands_in_the_documents_are_understood(document, command):
    words = shlex.split(command)[1:]
    count = 2 if " ".join(words[:2]) in SUMMARIES else 1  # `rig fit` is a verb of two words
    verb = " ".join(words[:count])
    verb_parser(verb, load_verb(verb).Job).parse_args(words[count:])
