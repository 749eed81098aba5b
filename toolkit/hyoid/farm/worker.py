# SPDX-License-Identifier: Apache-2.0
"""A process that does one task after the other and keeps what is loaded; both ends of what is said between.

Lines of JSON. To the worker: ``{"task": [unit, kind, first, end], "overwrite": false}``. From it: the events of a
report, then ``{"event": "ended", ...}`` with the outcome, or ``{"event": "broken", "exit_code", "error"}`` when the
job's folder cannot be written. A worker whose other end is gone leaves what it does and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from hyoid import cancel, held
from hyoid.errors import HyoidError, OutputError
from hyoid.farm import tasks
from hyoid.farm.plan import Plan, Task
from hyoid.farm.tasks import Outcome
from hyoid.report import Report
from hyoid.threads import one_blas_thread

Event = dict[str, Any]
_LEAVE_SECONDS = 3.0
_PROGRESS_SECONDS = 0.2  # between events of progress: more are no use to anybody


# --- the worker's side ------------------------------------------------------------------------------------------------


def serve(plan: Plan, source: IO[str], target: IO[str]) -> int:
    """Do what ``source`` asks for until it ends; how many tasks were done.

    Raises:
        Cancelled: the source ended in the middle of a task.
    """
    # Tasks limit threads each for itself; to give them back between two of them takes milliseconds.
    with held.holding(), one_blas_thread():
        return attend(plan, source, lambda event: _say(target, event))


def attend(plan: Plan, source: Iterable[str | bytes], say: Callable[[Event], None]) -> int:
    """Do what one client asks for until ``source`` ends; how many tasks were done.

    Args:
        source: requests; it may raise OSError, EOFError or ValueError where the client is gone.
        say: tells the client an event; it raises nothing where the client is gone.

    Raises:
        Cancelled: the source ended in the middle of a task.
    """
    wanted: queue.SimpleQueue[str | bytes | None] = queue.SimpleQueue()
    busy = threading.Event()

    def listen() -> None:
        with contextlib.suppress(OSError, EOFError, ValueError):
            for line in source:
                wanted.put(line)
        wanted.put(None)
        if busy.is_set():
            cancel.main_thread()

    threading.Thread(target=listen, name="requests", daemon=True).start()
    done = 0
    while (line := wanted.get()) is not None:
        busy.set()
        last = answer(plan, json.loads(line), say)
        busy.clear()  # before the last word: whoever hears it may close the source
        say(last)
        done += 1
    return done


def answer(plan: Plan, request: Mapping[str, Any], say: Callable[[Event], None]) -> Event:
    """Do the task of a request and say how it goes; the last event, which is not said yet."""
    told = [0.0]

    def emit(event: Event) -> None:
        if event["event"] == "progress":
            now = time.monotonic()
            if now - told[0] < _PROGRESS_SECONDS:
                return
            told[0] = now
        say(event)

    task = Task(*request["task"])
    held.begin(plan.units[task.unit].verb)
    try:
        outcome = tasks.perform(plan, task, Report(emit), overwrite=bool(request.get("overwrite")))
    except HyoidError as error:
        return {"event": "broken", "exit_code": error.exit_code, "error": str(error)}
    return {"event": "ended", **asdict(outcome)}


def _say(target: IO[str], event: Event) -> None:
    with contextlib.suppress(OSError):  # whoever asked is gone: the end of the source tells
        target.write(json.dumps(event) + "\n")
        target.flush()


@contextlib.contextmanager
def own_output() -> Iterator[IO[str]]:
    """Standard output for answers alone: what libraries print goes to standard error meanwhile."""
    sys.stdout.flush()
    channel, before = os.dup(1), os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(channel, "w", encoding="utf-8") as stream:
            yield stream
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)


# --- the other side ---------------------------------------------------------------------------------------------------


class Worker:
    """A worker process of this machine.

    Attributes:
        task: what it does now, or None.
    """

    def __init__(self, plan_file: Path, events: queue.SimpleQueue[tuple[Worker, Event]], settings: Mapping[str, str],
                 log: IO[bytes]) -> None:  # fmt: skip
        """Start it.

        Args:
            events: gets (self, event) of all that it says; ``{"event": "gone", "code": ...}`` when it has ended.
            settings: environment beside ours. log: takes its standard error.
        """
        command = [sys.executable, "-m", "hyoid", "farm", "worker", str(plan_file)]
        self.task: Task | None = None
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8",
            env={**os.environ, **settings},
        )  # fmt: skip
        self._events = events
        threading.Thread(target=self._listen, daemon=True).start()

    def give(self, task: Task, *, overwrite: bool = False) -> None:
        """Let it do a task; one that has died by now says so with ``gone``."""
        assert self.process.stdin is not None
        self.task = task
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(request_of(task, overwrite=overwrite)) + "\n")
            self.process.stdin.flush()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                self._events.put((self, json.loads(line)))
        self._events.put((self, {"event": "gone", "code": self.process.wait()}))


def stop(workers: Sequence[Worker]) -> None:
    """End workers: they are asked, and killed when they have not gone within three seconds."""
    for worker in workers:
        with contextlib.suppress(OSError):
            assert worker.process.stdin is not None
            worker.process.stdin.close()
        if worker.task is not None:
            worker.process.terminate()
    for worker in workers:
        try:
            worker.process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()


def request_of(task: Task, *, overwrite: bool = False) -> Event:
    """What asks a worker for a task."""
    return {"task": [task.unit, task.kind, task.first, task.end], "overwrite": overwrite}


def error_of(event: Mapping[str, Any]) -> HyoidError:
    """The error in a ``broken`` event."""
    kind = OutputError if event["exit_code"] == OutputError.exit_code else HyoidError
    return kind(str(event["error"]))


def outcome_of(event: Mapping[str, Any]) -> Outcome:
    """The outcome in an ``ended`` event."""
    values = {name: value for name, value in event.items() if name != "event"}
    return Outcome(**{**values, "failed": tuple(values["failed"])})
