# SPDX-License-Identifier: Apache-2.0
"""Child processes of the add-on: whatever the program does, the job ends with a plain sentence and nothing stays."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import time
import types
from pathlib import Path

import pytest

from tests.addon import stand_in

JOBS = Path(__file__).parents[2] / "addon" / "hyoid" / "jobs"
_package = types.ModuleType("hyoid_addon_jobs")
_package.__path__ = [str(JOBS)]  # the modules below need no Blender, the package itself does
sys.modules["hyoid_addon_jobs"] = _package
process = importlib.import_module("hyoid_addon_jobs.process")
finder = importlib.import_module("hyoid_addon_jobs.finder")
text = importlib.import_module("hyoid_addon_jobs.text")

ODD = "ünï 'quoted' \"double\" $HOME & 日本"


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / ODD
    folder.mkdir()
    (folder / "source.npz").write_bytes(b"take")
    return folder


def child_of(place, behaviour, **more):
    program = stand_in.install(place / "bin")
    output = place / "out" / f"{ODD[:9]}.take.npz"
    job = {"verb": "wiggle", "source": str(place / "source.npz"), "output": [str(output)], "behaviour": behaviour}
    path = place / "job.json"
    path.write_text(json.dumps(job | more), encoding="utf-8")
    environment = finder.child_environment(os.environ)
    child = process.Child([str(program)], ["run", str(path), "--json"], environment, outputs=[output])
    return child, output


def finished(child, seconds=30.0):
    assert child.join(seconds), "the job did not end"
    return child


def test_a_good_run_gives_its_result_through_a_folder_with_a_difficult_name(place):
    child, output = child_of(place, "good")
    finished(child)
    assert (child.error, child.cancelled, child.fraction) == ("", False, 1.0)
    assert child.result["outputs"] == [str(output)]
    assert output.read_bytes() == b"take"
    assert "info: wiggled" in child.log


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("fail", ["source.npz: is no take; expected a .take.npz"]),
        ("crash", ["crashed (SIGSEGV)"]),
        ("killed", ["ended from outside", "Out of memory?"]),
        ("silent", ["ended without a result"]),
        ("complain", ["ended without a result", "no luck"]),
        ("garbage", ["ended without a result"]),
    ],
)
def test_a_bad_end_is_told_in_plain_words(place, behaviour, words):
    child, output = child_of(place, behaviour)
    finished(child)
    assert child.result is None
    assert not child.cancelled
    for word in words:
        assert word in child.error
    assert "Traceback" not in child.error
    assert child.error.isprintable()
    assert not output.exists()


def test_what_only_the_command_line_can_do_is_not_told_to_artists(place):
    child = finished(child_of(place, "warn")[0])
    assert child.warnings == [f"no eyes {index}." for index in range(5)]
    assert finished(child_of(place, "refuse")[0]).error == f"{place / 'source.npz'}: is no head. Cut it"
    assert process.for_artists("is no take (2 m); or so (-3)") == "is no take (2 m); or so (-3)"


def test_a_flood_of_output_is_cut_and_does_not_fill_the_memory(place):
    child, output = child_of(place, "flood")
    finished(child)
    assert child.result is not None
    assert len(child.log) <= process.LOG_LINES
    assert max(map(len, child.log)) <= process.LONGEST_LOG_LINE
    assert output.is_file()


def test_cancel_ends_the_whole_family_within_five_seconds_and_removes_the_part(place):
    """It ignores SIGTERM, and so do two processes that it started, one in a session of its own."""
    child, output = child_of(place, "stubborn")
    pids = place / "pids"
    deadline = time.monotonic() + 20
    while not (pids.exists() and child.what == "refusing"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    family = [int(word) for word in pids.read_text().split()]
    assert len(list(output.parent.iterdir())) == 1
    start = time.monotonic()
    child.cancel()
    assert time.monotonic() - start < 0.2, "cancel must not make Blender wait"
    finished(child, 5.0)
    while any(stand_in.alive(pid) for pid in family):
        assert time.monotonic() - start < 5.0, "something still runs"
        time.sleep(0.02)
    assert child.cancelled
    assert child.error == ""
    assert list(output.parent.iterdir()) == []


def test_cancel_of_a_program_that_listens_is_quick(place):
    child, _ = child_of(place, "forever")
    while child.what != "wiggling":
        time.sleep(0.02)
    start = time.monotonic()
    child.cancel()
    finished(child, 5.0)
    assert time.monotonic() - start < 1.5
    assert child.cancelled


def test_cancel_in_the_very_beginning_starts_nothing(place):
    child, _ = child_of(place, "good")
    child.cancel()
    finished(child, 5.0)
    assert child.cancelled
    assert child.result is None
    assert child.error in ("", "cancelled")


def test_parts_of_living_writers_and_other_files_stay(tmp_path):
    output = tmp_path / "a.take.npz"
    mine = tmp_path / f".a.take.npz.{os.getpid()}.part"
    dead = tmp_path / ".a.take.npz.4194999.part"
    other = tmp_path / ".b.take.npz.4194999.part"
    for folder in (mine, dead, other):
        folder.mkdir()
    process.remove_parts([output, tmp_path / "missing" / "b.npz"])
    assert (mine.exists(), dead.exists(), other.exists()) == (True, False, True)


# --- which program


def fake_home(tmp_path):
    return {"PATH": str(tmp_path / "nothing"), "HOME": str(tmp_path / "home")}


@pytest.fixture
def no_system_toolkit(monkeypatch):
    """Only what the test made counts, whatever is installed on this machine."""
    real = finder._runs
    monkeypatch.setattr(finder, "_runs", lambda path: not str(path).startswith(("/usr", "/opt")) and real(path))


@pytest.mark.usefixtures("no_system_toolkit")
def test_it_is_looked_for_where_people_install_it(tmp_path):
    environ = fake_home(tmp_path)
    with pytest.raises(process.JobError, match="not installed"):
        finder.locate("", environ)
    user = stand_in.install(tmp_path / "home" / ".local" / "bin")
    assert finder.locate("", environ) == [str(user)]
    virtual = stand_in.install(tmp_path / "venv" / "bin")
    assert finder.locate("", environ | {"VIRTUAL_ENV": str(tmp_path / "venv")}) == [str(virtual)]
    on_path = stand_in.install(tmp_path / "path")
    environ["PATH"] = str(tmp_path / "path")
    assert finder.locate("", environ | {"VIRTUAL_ENV": str(tmp_path / "venv")}) == [str(on_path)]
    assert finder.locate("", environ | {"HYOID_TOOLKIT": str(virtual)}) == [str(virtual)]


@pytest.mark.usefixtures("no_system_toolkit")
def test_a_toolkit_beside_the_file_is_proposed_but_not_run_unasked(tmp_path):
    """Somebody else's .blend must not bring its own programs."""
    stand_in.install(tmp_path / "shot" / ".venv" / "bin")
    with pytest.raises(process.JobError, match=r"shot/\.venv.*choose it"):
        finder.locate("", fake_home(tmp_path), tmp_path / "shot" / "scenes")


def test_a_program_an_environment_and_a_python_can_be_chosen(tmp_path):
    program = stand_in.install(tmp_path / ODD / ".venv" / "bin")
    for chosen in (program, program.parent, program.parents[1], program.parents[2]):
        assert finder.locate(str(chosen), {}) == [str(program)]
    python = stand_in.install(tmp_path, "python3.11", "")
    assert finder.locate(str(python), {}) == [str(python), "-m", "hyoid"]


@pytest.mark.parametrize(
    ("name", "word"), [("gone", "There is no"), ("file.txt", "not a program"), ("empty", "folder")]
)
def test_a_wrong_choice_says_what_is_wrong_and_never_falls_back(tmp_path, name, word):
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    stand_in.install(tmp_path / "path")
    with pytest.raises(process.JobError, match=word) as caught:
        finder.locate(str(tmp_path / name), {"PATH": str(tmp_path / "path")})
    assert str(tmp_path / name) in str(caught.value)
    assert "preferences" in str(caught.value) or "Choose" in str(caught.value)


OLD = (
    'import json, sys\nprint(json.dumps({"event": "failure", "exit_code": 2, "error": "\'schema\' is not a verb"}))\n'
    "sys.exit(2)\n"
)


@pytest.mark.parametrize(
    ("program", "environ", "word"),
    [
        (OLD, {}, "too old for this add-on. Update it: "),
        (None, {"STAND_IN_PROTOCOL": "0"}, "too old.*Update it: "),
        (None, {"STAND_IN_PROTOCOL": "7"}, "Update the add-on"),
        ("print('usage: something else')\n", {}, "does not answer like Hyoid"),
        ('print(\'{"event": "result", "result": {"protocol": "x"}}\')\n', {}, "does not answer like Hyoid"),
        ("import time\ntime.sleep(99)\n", {}, "does not answer"),
    ],
    ids=["no schema verb", "older protocol", "newer protocol", "another program", "odd answer", "never answers"],
)
def test_a_program_that_is_not_the_right_one_is_told_before_the_job_runs(tmp_path, monkeypatch, program, environ, word):
    monkeypatch.setattr(finder, "SECONDS_TO_ANSWER", 1.0 if program and "sleep" in program else 30.0)
    path = stand_in.install(tmp_path, text=program)
    child = process.Child([str(path)], ["run", "x"], finder.child_environment(os.environ) | environ, before=finder.ask)
    finished(child, 10.0)
    assert re.search(word, child.error), child.error


def test_a_program_that_cannot_start_is_told(tmp_path):
    path = tmp_path / "hyoid"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    child = finished(process.Child([str(path)], ["run"], {}))
    assert "cannot be started" in child.error
    assert "preferences" in child.error


def test_what_blender_set_for_itself_does_not_reach_the_toolkit():
    environ = {
        "PATH": "/bin", "HOME": "/home/a", "PYTHONPATH": "/blender/python", "PYTHONHOME": "/blender", "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1", "BLENDER_SYSTEM_SCRIPTS": "/x", "LD_PRELOAD": "x.so",
        "LD_LIBRARY_PATH": "/opt/blender/lib:/opt/mine", "DYLD_LIBRARY_PATH": "/opt/blender/lib",
    }  # fmt: skip
    assert finder.child_environment(environ, Path("/opt/blender")) == {
        "PATH": "/bin", "HOME": "/home/a", "LANG": "C.UTF-8", "LD_LIBRARY_PATH": "/opt/mine", "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip


def test_answers_are_remembered_until_the_program_changes(tmp_path):
    program = stand_in.install(tmp_path)
    words = [str(program)]
    known = finder.Known(tmp_path / "kept" / "schema.json")
    known.put(words, {"version": "1"})
    again = finder.Known(tmp_path / "kept" / "schema.json")
    assert again.get(words) == {"version": "1"}
    assert again.newest() == {"version": "1"}
    os.utime(program, (1, 1))
    assert again.get(words) is None
    (tmp_path / "kept" / "schema.json").write_text("{broken")
    assert finder.Known(tmp_path / "kept" / "schema.json").newest() is None


def test_an_update_names_the_checkout_that_the_toolkit_stands_in(tmp_path):
    program = stand_in.install(tmp_path / "my hyoid" / ".venv")
    assert finder.update_command([str(program)]) == "bring the folder of Hyoid up to date and type make install there"
    (tmp_path / "my hyoid" / "toolkit" / "hyoid").mkdir(parents=True)
    (tmp_path / "my hyoid" / "Makefile").touch()
    assert str(tmp_path / "my hyoid") in finder.update_command([str(program)])


def test_text_wraps_even_paths_without_blanks():
    lines = text.lines("The result lies in /a/very/long/path/" + "x" * 60, 24)
    assert max(map(len, lines)) <= 24
    assert "".join(lines).replace(" ", "") == "Theresultliesin/a/very/long/path/" + "x" * 60
    assert (text.clock(7.9), text.clock(3723)) == ("0:07", "1:02:03")
