# SPDX-License-Identifier: Apache-2.0
"""``hyoid schema`` tells programs what they need to draw a form, and job files may be JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hyoid.errors import InputError, UsageError
from hyoid.verbs import SUMMARIES
from hyoid.verbs.run import read_job
from hyoid.verbs.schema import PROTOCOL, describe

HYOID = [sys.executable, "-m", "hyoid"]


def schema(*words: str) -> dict:
    done = subprocess.run([*HYOID, "schema", *words, "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["result"]


def test_every_verb_is_described_with_its_limits_choices_and_help():
    answer = schema()
    assert answer["protocol"] == PROTOCOL
    assert list(answer["verbs"]) == list(SUMMARIES)
    talk = answer["verbs"]["talk"]["job"]["properties"]
    assert talk["fps"]["enum"] == [24, 25, 30, 50, 60]
    assert (talk["jaw"]["minimum"], talk["jaw"]["maximum"], talk["jaw"]["default"]) == (0, 3, 1.0)
    assert talk["audio"]["cli"] == {"positional": True}
    assert talk["text"]["cli"] == {"file_or_text": True}
    for verb in answer["verbs"].values():
        assert all(entry["description"] for entry in verb["job"]["properties"].values())


def test_a_program_learns_which_verbs_are_jobs_and_what_they_give():
    verbs = schema()["verbs"]
    assert {name: verb["result"] for name, verb in verbs.items() if verb["outputs"]} == {
        "talk": "take", "rig": "files", "rig fit": "files", "convert": "files", "render": "files",
        "stabilize": "files", "lift": "files", "headpose": "files", "train facestab": "files",
        "train ktpformer": "files", "train hopfir": "files", "train semiuhpe": "files",
        "train directmhp": "files", "farm bundle": "none",
    }  # fmt: skip
    assert {verb["result"] for name, verb in verbs.items() if not verb["outputs"]} == {"none"}
    assert verbs["convert"]["outputs"]["field"] == "outputs"
    assert ".take.npz" in verbs["talk"]["outputs"]["suffixes"]


def test_paths_say_whether_they_are_read_or_written_and_shared_options_are_advanced():
    talk = describe("talk")["job"]["properties"]
    assert (talk["audio"]["file"], talk["output"]["file"], talk["events_out"]["file"]) == ("read", "write", "write")
    assert "file" not in talk["text"]
    assert talk["width"]["advanced"]
    assert not talk["style"]["advanced"]
    order = list(talk)
    assert order.index("audio") < order.index("width")


def test_one_verb_alone_and_an_unknown_one():
    assert list(schema("rig")["verbs"]) == ["rig"]
    done = subprocess.run([*HYOID, "schema", "sing"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "sing" in done.stderr


def test_a_json_job_is_read_like_a_toml_one(tmp_path):
    path = tmp_path / "jób 'x'.json"
    path.write_text(json.dumps({"verb": "talk", "audio": "vöice.wav", "output": ["a.take.npz"], "fps": 25}))
    verb, job = read_job(path)
    assert verb == "talk"
    assert job.model_dump()["audio"] == tmp_path / "vöice.wav"
    assert job.model_dump()["fps"] == 25


@pytest.mark.parametrize(
    "text",
    [
        '{"verb": "talk",}', "[1]", '{"verb": "talk", "jaw": NaN}', "[" * 100_000, "\xff",
        '{"verb": "rig", "verb": "talk"}', '{"verb": "talk", "seed": ' + "9" * 5000 + "}", " " * (1 << 20) + "{}",
    ],
    ids=["comma", "list", "nan", "deep", "latin", "twice", "long number", "large"],
)  # fmt: skip
def test_bad_json_jobs_are_refused_in_one_line(tmp_path, text):
    path = tmp_path / "job.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError) as caught:
        read_job(path)
    assert "job.json" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text"),
    [("start", "1e999"), ("set.age", '{"age": 1e999}'), ("audio", '"a\\u0000b"'), ("output", '["\\ud800.csv"]'),
     ("fps", "true"), ("fps", "24.5"), ("audio", "5"), ("verb", '["talk"]'), ("zzz", "1")],
)  # fmt: skip
def test_values_that_an_option_does_not_take_are_refused_by_its_name(tmp_path, key, text):
    values = {"verb": '"talk"', "audio": '"a.wav"', "output": '["a.csv"]', key.split(".")[0]: text}
    path = tmp_path / "job.json"
    path.write_text("{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}")
    with pytest.raises(UsageError, match=key) as caught:
        read_job(path)
    assert "job.json" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_job_shows_what_its_verb_shows(tmp_path):
    """Written as some programs of Windows do, with a byte order mark."""
    path = tmp_path / "job.json"
    path.write_text('{"verb": "schema", "name": "rig"}', encoding="utf-8-sig")
    shown = [subprocess.run([*HYOID, *words], capture_output=True, text=True, check=True).stdout
             for words in (["run", path], ["schema", "rig"])]  # fmt: skip
    assert shown[0] == shown[1]


@pytest.mark.parametrize("work", ["time.sleep(60)", "[None for _ in iter(int, 1)]"], ids=["waiting", "computing"])
def test_a_command_ends_when_the_program_that_started_it_dies(tmp_path, work):
    """The owner is killed with SIGKILL, so only the closed pipe can tell the command."""
    child = tmp_path / "child.py"
    child.write_text(
        "import sys, time, hyoid.verbs.info as info\nfrom pathlib import Path\nfrom hyoid.cli import run_command\n"
        f"def run(job, report):\n    Path({str(tmp_path / 'up')!r}).touch()\n    {work}\n"
        "info.run = run\n"
        "code = run_command(['info', 'a', '--end-with-stdin', '--json'])\n"
        f"Path({str(tmp_path / 'code')!r}).write_text(str(code))\n"
    )
    owner = subprocess.Popen([
        sys.executable, "-c",
        "import subprocess, sys; "
        f"subprocess.Popen([sys.executable, {str(child)!r}], stdin=subprocess.PIPE, start_new_session=True).wait()",
    ])  # fmt: skip
    _wait_for(tmp_path / "up")
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    _wait_for(tmp_path / "code")
    assert (tmp_path / "code").read_text() == "130"


def _wait_for(path):
    deadline = time.monotonic() + 20
    while not (path.exists() and (path.name != "code" or os.path.getsize(path))):
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.05)
