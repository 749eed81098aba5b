# SPDX-License-Identifier: Apache-2.0
"""The worker in the background of a farm's session: found, used, cancelled, stopped, dead."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from multiprocessing import connection
from pathlib import Path

import pytest
from hyoid.farm import background, plan
from hyoid.report import SILENT

from tests.farm import small_jobs
from tests.processes import alive, until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and pipes of POSIX")


@pytest.fixture
def planned(tmp_path):
    made = plan.read(small_jobs.write(tmp_path / "job"))
    plan.write(tmp_path / "plan.json", made)
    return tmp_path / "plan.json", made


@pytest.fixture
def endless(tmp_path):
    made = plan.read(small_jobs.write_endless(tmp_path / "job"))
    plan.write(tmp_path / "plan.json", made)
    return tmp_path / "plan.json", made


@pytest.fixture
def foreground(tmp_path):
    """Starts workers that stay, and ends those that are left."""
    started = []

    def start(path, *words):
        note = tmp_path / "session" / "worker.json"
        words = ["farm", "worker", str(path), f"--listen={note}", "--stay", *words]
        started.append(subprocess.Popen([sys.executable, "-m", "hyoid", *words], env=small_jobs.environment()))
        until(note.exists)
        return started[-1], note

    yield start
    for process in started:
        process.kill()
        process.wait()


def process_of(note: Path) -> int:
    return json.loads(note.read_text())["process"]


@pytest.mark.slow
def test_a_worker_goes_to_the_background_does_tasks_and_is_stopped(planned, tmp_path):
    """What a session of Open Job Description does: enter, two commands, exit."""
    path, made = planned
    note = tmp_path / "session" / "worker.json"
    entered = small_jobs.hyoid("farm", "worker", path, "--listen", note)
    assert entered.returncode == 0, entered.stderr
    assert f"openjd_env: HYOID_WORKER={note}" in entered.stdout.splitlines()
    facts = json.loads(note.read_text())
    try:
        assert stat.S_IMODE(note.stat().st_mode) == 0o600
        assert stat.S_IMODE(Path(facts["address"]).parent.stat().st_mode) == 0o700
        for step in ("table", small_jobs.STEP):
            done = small_jobs.hyoid("farm", "task", path, "--step", step, "--tasks", "0-2", HYOID_WORKER=str(note))
            assert (done.returncode, done.stdout) == (0, "3 tasks: 3 done\n"), done.stderr
            assert "without it" not in done.stderr
        assert len(list((made.home / "out").glob("*.take.npz"))) == 3
    finally:
        left = small_jobs.hyoid("farm", "worker", path, "--listen", note, "--stop")
    assert "state: stopped" in left.stdout
    assert not note.exists()
    assert not Path(facts["address"]).parent.exists()
    until(lambda: not alive(facts["process"]), 10)
    assert (note.parent / "worker.json.log").read_text() == "tasks: 6\n"
    again = small_jobs.hyoid("farm", "worker", path, "--listen", note, "--stop")
    assert (again.returncode, "state: was gone already" in again.stdout) == (0, True)


def test_only_who_knows_the_key_is_heard_and_one_at_a_time(planned, foreground):
    path, made = planned
    _, note = foreground(path)
    facts = json.loads(note.read_text())
    with pytest.raises(Exception, match="digest"):
        connection.Client(facts["address"], authkey=b"guessed")
    with background.client(note, made) as first:
        with pytest.raises(background.WorkerGoneError, match="busy"), background.client(note, made):
            pass
        assert first.perform(made.tasks("table")[0], SILENT).ended == "done"
    until(lambda: _ready(note, made))


def _ready(note, made):
    try:
        with background.client(note, made):
            return True
    except background.WorkerGoneError:
        return False


def test_a_worker_of_another_plan_is_not_used(planned, foreground):
    path, made = planned
    _, note = foreground(path)
    other = plan.placed(made, folder=path.parent / "elsewhere")
    with pytest.raises(background.WorkerGoneError, match="another plan"), background.client(note, other):
        pass


def test_a_client_that_goes_away_cancels_its_task(endless, foreground):
    path, _ = endless
    worker, note = foreground(path)
    words = ["farm", "task", str(path), "--step=table", "--tasks=0"]
    task = subprocess.Popen([sys.executable, "-m", "hyoid", *words], env=small_jobs.environment(HYOID_WORKER=str(note)))
    log = path.parent / "job"
    until(lambda: any(log.glob("*.farm/logs/table/slow.log")))
    task.kill()
    task.wait()
    assert worker.wait(20) == 130
    assert not note.exists()
    assert not list(log.glob("*.farm/failed/**/*.json"))  # cancelled is not failed


def test_a_stop_cancels_what_the_worker_does(endless, foreground):
    path, made = endless
    worker, note = foreground(path)
    gone: list[BaseException] = []

    def ask():
        try:
            with background.client(note, made) as client:
                client.perform(made.tasks("table")[0], SILENT)
        except background.WorkerGoneError as error:
            gone.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: any(made.folder.glob("logs/table/slow.log")))
    assert background.stop(note)
    thread.join(20)
    assert worker.wait(20) == 130
    assert gone  # and the client was told, to do the work itself


def test_a_dead_worker_is_done_without(planned, foreground, capsys, monkeypatch):
    from hyoid.cli import run_command

    path, _ = planned
    worker, note = foreground(path)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert note.exists()
    monkeypatch.setenv("HYOID_WORKER", str(note))
    assert run_command(["farm", "task", str(path), "--step", "table", "--tasks", "0-1"]) == 0
    said = capsys.readouterr()
    assert "the worker in the background does not answer: going on without it" in said.err
    assert said.out == "2 tasks: 2 done\n"


def test_a_worker_ends_when_nobody_asks_or_its_plan_is_gone(planned, foreground):
    path, _ = planned
    worker, _ = foreground(path, "--idle=1")
    assert worker.wait(20) == 0
    worker, note = foreground(path)
    path.unlink()
    assert worker.wait(20) == 0
    assert not note.exists()


def test_a_worker_that_cannot_start_says_why(tmp_path):
    entered = small_jobs.hyoid("farm", "worker", tmp_path / "no plan.json", "--listen", tmp_path / "worker.json")
    assert entered.returncode == 1
    assert "the worker did not start: hyoid: error: " in entered.stderr
    assert "no plan.json: cannot be read" in entered.stderr
    assert "openjd_env" not in entered.stdout
