# SPDX-License-Identifier: Apache-2.0
"""What a farm calls: tasks by number, exit codes that farms understand, lines of Open Job Description."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from hyoid.cli import run_command
from hyoid.errors import InputError, OutOfMemoryError, UsageError
from hyoid.farm import plan, ranges, records, tasks

from tests.farm import small_jobs


@pytest.fixture
def planned(tmp_path):
    """A plan file away from its job, as on a farm."""
    made = plan.read(small_jobs.write(tmp_path / "job"))
    plan.write(tmp_path / "bundle" / "plan.json", made)
    return tmp_path / "bundle" / "plan.json", made


def do(path, *words):
    return run_command(["farm", "task", str(path), *words])


@pytest.mark.parametrize(
    ("text", "numbers"), [("0-9", [*range(10)]), ("3", [3]), ("0-4,7", [0, 1, 2, 3, 4, 7]), ("7, 0-1,1", [0, 1, 7])]
)
def test_numbers_are_ranges_and_back(text, numbers):
    assert ranges.read(text, 10) == numbers
    assert ranges.read(ranges.text(numbers), 10) == numbers


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1-", "0,,1", "10", "0-10", "1.5", "٣"])
def test_what_names_no_tasks_is_refused(text):
    with pytest.raises(UsageError):
        ranges.read(text, 10)


def test_groups_of_numbers_end_with_the_last_task():
    assert ranges.of_groups([0, 2], 4, 10) == [0, 1, 2, 3, 8, 9]


def test_tasks_are_done_by_number_and_skipped_the_second_time(planned, capfd):
    path, made = planned
    assert do(path, "--step", "table", "--tasks", "0,2") == 0
    assert {file.name for file in (made.home / "out").glob("*.csv")} == {"a.csv", 'c"{1}.csv'}
    assert do(path, "--step", "table", "--tasks", "0-2", "--json") == 0
    result = json.loads(capfd.readouterr().out.splitlines()[-1])["result"]
    assert (result["tasks"], result["done"], result["skipped"], result["failed"]) == (3, 1, 2, 0)


def test_a_number_may_stand_for_a_group(planned):
    path, made = planned
    assert do(path, "--step", "table", "--tasks", "1", "--group", "2") == 0
    assert [file.name for file in (made.home / "out").glob("*.csv")] == ['c"{1}.csv']
    assert do(path, "--step", "table", "--tasks", "2", "--group", "2") == 2


def test_open_job_description_hears_progress_and_status(planned, capfd):
    path, _ = planned
    do(path, "--step", "table", "--tasks", "0-1", "--openjd")
    lines = capfd.readouterr().out.splitlines()
    progress = [float(line.split(": ")[1]) for line in lines if line.startswith("openjd_progress: ")]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    status = [line for line in lines if line.startswith("openjd_status: ")]
    assert status[0].startswith("openjd_status: a table: done after ")
    assert len(status) == 2


def test_a_bad_shot_does_not_fail_the_command_and_is_written_down(planned, capfd):
    """A farm stops at what fails; the other shots must go on, and the last step tells."""
    path, made = planned
    (made.home / "takes" / "a.take.npz").write_bytes(b"no take")
    assert do(path, "--step", "table", "--tasks", "0-2", "--openjd") == 0
    said = capfd.readouterr().out
    assert "openjd_status: a table: failed: " in said
    assert "openjd_fail" not in said
    failure = records.failure(made, made.tasks("table")[0])
    assert failure is not None
    assert failure["exit_code"] == 3
    # What needs it is blocked, which is no reason to stop either; the rest is done.
    assert do(path, "--step", small_jobs.STEP, "--tasks", "0-2") == 0
    assert len(list((made.home / "out").glob("*.take.npz"))) == 2
    assert run_command(["farm", "status", str(path), "--report", "--openjd"]) == 7
    assert "openjd_fail: failed: a table" in capfd.readouterr().out
    units = json.loads((made.folder / "report.json").read_text())["units"]
    assert [unit["state"] for unit in units] == ["failed", "done", "done", "waiting", "done", "done"]


def test_strict_makes_a_bad_shot_fail(planned, capfd, monkeypatch):
    path, made = planned
    (made.home / "takes" / "a.take.npz").write_bytes(b"no take")
    assert do(path, "--step", "table", "--tasks", "0-2", "--strict", "--openjd") == 3
    assert "openjd_fail: a table: " in capfd.readouterr().out
    assert len(list((made.home / "out").glob("*.csv"))) == 2  # the others were done
    monkeypatch.setenv("HYOID_FARM_TASK_STRICT", "true")  # as the settings of a bundle say it
    assert do(path, "--step", small_jobs.STEP, "--tasks", "0") == 3


def test_what_another_machine_may_do_better_fails(planned, monkeypatch):
    path, made = planned
    from hyoid.verbs import convert

    def too_large(*_):
        raise OutOfMemoryError("out of memory")

    monkeypatch.setattr(convert, "run", too_large)
    assert do(path, "--step", "table", "--tasks", "0-1") == 5
    monkeypatch.undo()
    assert do(path, "--step", "table", "--tasks", "0-1") == 0  # the other machine
    assert records.failure(made, made.tasks("table")[0]) is None


def test_a_task_that_comes_too_early_fails(planned):
    """What it needs was not tried: the farm has to ask again, not to go on."""
    path, made = planned
    assert do(path, "--step", small_jobs.STEP, "--tasks", "0") == 3
    assert records.failure(made, made.tasks(small_jobs.STEP)[0]) is None


def test_a_result_of_other_inputs_is_refused_until_the_input_is_as_it_was(planned, capsys):
    path, made = planned
    take = made.home / "takes" / "a.take.npz"
    before = take.read_bytes()
    do(path, "--step", "table", "--tasks", "0-2")
    do(path, "--step", small_jobs.STEP, "--tasks", "0-2")
    take.write_bytes((made.home / "takes" / 'c"{1}.take.npz').read_bytes())
    assert do(path, "--step", "table", "--tasks", "0-2", "--strict") == 3
    assert "was made of other inputs" in capsys.readouterr().err
    assert run_command(["farm", "status", str(path)]) == 7  # a record is there, but not of this
    take.write_bytes(before)
    assert do(path, "--step", "table", "--tasks", "0-2", "--strict") == 0
    assert run_command(["farm", "status", str(path)]) == 0


def test_what_is_blocked_tells_the_first_cause(tmp_path):
    text = small_jobs.FILE + (
        '[[steps]]\nname = "last"\nverb = "convert"\nsource = "out/{shot}.take.npz"\noutputs = ["last/{shot}.csv"]\n'
    )
    made = plan.read(small_jobs.write(tmp_path, ("a",), text))
    (tmp_path / "takes" / "a.take.npz").write_bytes(b"no take")
    last = made.tasks("last")[0]
    before = tasks.blocked(made, last)
    assert before is not None
    assert before.exit_code == 0
    tasks.perform(made, made.tasks("table")[0])
    after = tasks.blocked(made, last)
    assert after is not None
    assert after.exit_code == InputError.exit_code
    assert after.error.startswith("needs a table: ")


def test_a_plan_is_done_where_its_folders_were_moved(planned, tmp_path):
    path, made = planned
    made.home.rename(tmp_path / "mapped; folder")
    where = ("--home", str(tmp_path / "mapped; folder"), "--folder", str(tmp_path / "records"))
    assert do(path, *where, "--step", "table", "--tasks", "0-2") == 0
    assert len(list((tmp_path / "mapped; folder" / "out").glob("*.csv"))) == 3
    assert (tmp_path / "records" / "done" / "table" / "a.json").is_file()
    # Records say nothing of the place: they are those of the folder as it was.
    moved = plan.placed(made, tmp_path / "mapped; folder", tmp_path / "records")
    assert records.key_of(moved, moved.tasks("table")[0], {}) == records.key_of(made, made.tasks("table")[0], {})


def test_a_folder_below_the_home_moves_with_it(planned, tmp_path):
    _, made = planned
    assert plan.placed(made, tmp_path).folder == tmp_path / made.folder.name


def test_a_device_is_for_units_with_networks_that_name_none(tmp_path):
    text = (
        '[[steps]]\nverb = "lift"\nkeypoints = "{shot}.npz"\noutput = ["{shot}.take.npz"]\n'
        '[[steps]]\nname = "mine"\nverb = "lift"\nkeypoints = "{shot}.npz"\ndevice = "cpu"\noutput = ["{shot}.bvh"]\n'
        '[[steps]]\nverb = "convert"\nsource = "{shot}.npz"\noutputs = ["{shot}.csv"]\n[[shots]]\nshot = "a"\n'
    )
    (tmp_path / "job.toml").write_text(text)
    made = plan.placed(plan.read(tmp_path / "job.toml"), device="cuda")
    assert [unit.values.get("device") for unit in made.units] == ["cuda", "cpu", None]


def test_a_command_that_nobody_hears_is_cancelled_and_fails_no_shot(planned):
    """The session of the farm has died: the task is not to blame."""
    path, made = planned
    words = [sys.executable, "-m", "hyoid", "farm", "task", str(path), "--step=table", "--tasks=0-2", "--openjd"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, text=True, env=small_jobs.environment())
    os.close(write)
    assert done.returncode != 0
    assert not list(made.folder.glob("failed/**/*.json"))


@pytest.mark.skipif(os.name == "nt", reason="signals and pipes of POSIX")
def test_a_farm_that_cancels_is_obeyed_at_once_and_the_shot_has_not_failed(tmp_path):
    made = plan.read(small_jobs.write_endless(tmp_path / "job"))
    plan.write(tmp_path / "plan.json", made)
    words = [sys.executable, "-m", "hyoid", "farm", "task", str(tmp_path / "plan.json"), "--step=table", "--tasks=0-1"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=small_jobs.environment())
    begun = time.monotonic()
    while not any(made.folder.glob("logs/table/slow.log")):
        assert time.monotonic() - begun < 60
        time.sleep(0.05)
    process.terminate()
    asked = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "hyoid: error: cancelled\n")
    assert time.monotonic() - asked < 5
    assert not list(made.folder.glob("failed/**/*.json"))


def test_wrong_words_are_usage_errors(planned, capsys):
    path, _ = planned
    assert do(path, "--step", "nothing", "--tasks", "0") == 2
    assert do(path, "--step", "table", "--tasks", "0", "--finish") == 2
    assert "expected no tasks at all" in capsys.readouterr().err
    assert do(path.parent / "none.json", "--step", "table", "--tasks", "0", "--openjd") == 3
    assert "none.json: cannot be read" in capsys.readouterr().out.split("openjd_fail: ")[1]
