# SPDX-License-Identifier: Apache-2.0
"""With ``--json`` every line of standard output is one of the events of docs/jobs.md, and progress never goes back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hyoid.formats import take_npz
from hyoid.take import CharacterReference

from tests import toy

VOICE = Path(__file__).parents[2] / "examples" / "talk" / "jfk.flac"
FIELDS = {
    "start": {"verb", "version", "job"},
    "progress": {"fraction", "what"},
    "message": {"level", "text"},
    "result": {"verb", "result"},
    "failure": {"exit_code", "error", "path", "found", "expected", "hint"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    from dataclasses import replace

    top = tmp_path_factory.mktemp("json")
    take_npz.write(top / "a.take.npz", replace(toy.take(6), character=CharacterReference("human", {}, "head")))
    (top / "job.toml").write_text('verb = "convert"\nsource = "a.take.npz"\noutputs = ["from_job.csv"]\n')
    return top


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("convert a.take.npz b.take.npz b.csv b.bvh b.glb b.usdc b.png b.mp4", 0),
        pytest.param("convert a.take.npz c.blend c.fbx c.abc", 0, marks=pytest.mark.blender),
        (f"talk {VOICE} --text ask -o t.take.npz -o t.csv --subdivision 0", 0),
        ("rig human -o r.glb --part head", 0),
        ("rig human --list", 0),
        ("info a.take.npz --events", 0),
        ("check a.take.npz job.toml", 0),
        ("check job.toml nothing.csv", 3),
        ("run job.toml", 0),
        ("doctor", 0),
        ("convert nothing.csv b.glb", 3),
        ("convert a.take.npz b.xyz", 2),
        ("convert", 2),
        ("nonsense", 2),
    ],
)
def test_a_stream(folder, words, code):
    command = [sys.executable, "-m", "hyoid", *words.split(), "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    for event in events:
        assert set(event) == FIELDS[event["event"]] | {"event"}, event
    kinds = [event["event"] for event in events]
    assert kinds.count("result") + kinds.count("failure") == 1
    assert kinds[-1] in ("result", "failure")
    assert (kinds[-1] == "failure") == (code != 0 and not words.startswith("check"))
    if code in (0, 3):
        assert kinds[0] == "start"
        assert kinds.count("start") == 1
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert fractions == sorted(fractions)
    if kinds[-1] == "result" and fractions:
        assert fractions[-1] == 1.0
