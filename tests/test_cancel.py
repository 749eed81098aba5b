# SPDX-License-Identifier: Apache-2.0
"""Cancelled is cancelled, whatever a library makes of it: not dropped, and no failure."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hyoid import cancel, cli
from hyoid.errors import Cancelled, InputError
from hyoid.farm import plan, tasks

from tests.farm import small_jobs

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


_SWALLOWS = """
import os, signal, sys, time, weakref
from hyoid import cli

class Thing: pass

def deaf(_):  # what is raised in here is dropped, as in libraries of other languages that call Python
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(3): time.sleep(0)

def run(arguments, screen, debug):
    thing = Thing()
    kept = weakref.ref(thing, deaf)
    del thing
    print("went on", flush=True)
    try:
        time.sleep(60)
    finally:
        time.sleep(0.2)
        print("cleaned up", flush=True)

cli._run = run
sys.exit(cli.run_command([]))
"""


def test_a_cancel_that_a_library_drops_comes_again_and_lets_the_command_clean_up():
    done = subprocess.run([sys.executable, "-c", _SWALLOWS], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (130, "went on\ncleaned up\n")
    assert "cancelled" in done.stderr


def told_otherwise(*_):
    """As a library does that makes an error of its own out of any that comes while it calls Python."""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    except BaseException as error:  # noqa: BLE001
        text = str(error)
    raise InputError(f"the schema is wrong: {text}")


def test_a_cancel_that_a_library_tells_as_its_own_error_is_a_cancel(monkeypatch, capsys):
    monkeypatch.setattr(cli, "_run", told_otherwise)
    assert cli.run_command(["doctor", "--json"]) == 130
    (event,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (event["event"], event["error"]) == ("failure", "cancelled")


def test_an_error_after_a_command_that_was_cancelled_is_an_error(monkeypatch):
    monkeypatch.setattr(cli, "_run", told_otherwise)
    assert cli.run_command([]) == 130
    with pytest.raises(ValueError, match="own"), cancel.told():
        raise ValueError("own")


def test_a_cancelled_task_of_a_farm_is_no_failed_one(tmp_path, monkeypatch):
    made = plan.read(small_jobs.write(tmp_path))
    monkeypatch.setattr(tasks, "_performed", told_otherwise)
    task = made.tasks("table")[0]
    with pytest.raises(Cancelled), cancel.signals():
        tasks.perform(made, task)
    assert tasks.state(made, task) == (None, {})
    (log,) = made.folder.glob("logs/table/*.log")
    assert log.read_text().endswith("cancelled\n")
