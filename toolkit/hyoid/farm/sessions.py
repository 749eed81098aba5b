# SPDX-License-Identifier: Apache-2.0
"""A whole job on this machine through Open Job Description: sessions of ``openjd run`` side by side, stage by stage.

What the job's folder says is done is left out. Each session has a share of a stage's tasks of its own. One whose task
dies is started again for what is left; a task that does so three times has failed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyoid.errors import HyoidError, MissingToolError, OutOfMemoryError
from hyoid.farm import local, openjd, ranges, records, stages, tasks
from hyoid.farm.background import ENVIRONMENT
from hyoid.farm.local import Done
from hyoid.farm.plan import Plan, Task
from hyoid.farm.stages import Stage
from hyoid.farm.tasks import Outcome
from hyoid.files import output_errors, write_bytes
from hyoid.report import Report
from hyoid.verbs.farm_task import ELSEWHERE

BUNDLE = "openjd"
_TRIES = 3
_PIECES = 8  # commands of a session and stage: each tells progress, and a stop waits for one at most
_MOST_AT_ONCE = 50
_LEAVE_SECONDS = 3.0
_LOOK_SECONDS = 0.1
_LINE = re.compile(r"openjd_(progress|status|fail): (.*)|--------- (Running Task)\b")
_INSTALL = "Type: pip install 'hyoid[farm]'"


@dataclass
class _Session:
    """One ``openjd run``.

    Attributes:
        log: what it says; a file, for openjd hangs when nobody reads a pipe. pieces: numbers of tasks that each of its
            commands does. begun: commands that have begun. share: of the last one. code: how it ended.
    """

    process: subprocess.Popen[bytes]
    log: Path
    pieces: Sequence[Sequence[int]]
    begun: int = 0
    share: float = 0.0
    code: int | None = None

    @property
    def numbers(self) -> list[int]:
        return [number for piece in self.pieces for number in piece]

    @property
    def done(self) -> float:
        """Tasks that it has done, as far as its lines tell."""
        if not self.begun:
            return 0.0
        return sum(map(len, self.pieces[: self.begun - 1])) + self.share * len(self.pieces[self.begun - 1])


@dataclass
class _Run:
    """What all stages share."""

    plan: Plan
    report: Report
    workers: int
    total: int
    outcomes: dict[Task, Outcome] = field(default_factory=dict)


def run(plan: Plan, report: Report, *, workers: int = 1, overwrite: bool = False) -> Done:
    """Do every task of a plan that is not done.

    Args:
        workers: sessions. Each has its share of the processor's cores, and of the GPUs, one each, in turn.
        overwrite: forget first what was done.

    Raises:
        MissingToolError: openjd is not installed. OutputError: the job's folder cannot be written. UsageError: see
        ``openjd.write``. HyoidError: sessions cannot be started. Cancelled: they are gone; the next run goes on.
    """
    if importlib.util.find_spec("openjd") is None or importlib.util.find_spec("openjd.cli") is None:
        raise MissingToolError("the runner of Open Job Description is not installed", hint=_INSTALL)
    begun = time.monotonic()
    folder = plan.folder / BUNDLE
    parts = stages.of_plan(plan, limited=False)
    openjd.write(folder, plan, parts, command=[sys.executable, "-m", "hyoid"])
    every = _Run(plan, report, workers, sum(stage.tasks for stage in parts))
    work = [(stage, plan.tasks(stage.step, "finish" if stage.finish else "work")) for stage in parts]
    for task in (task for _, own in work for task in own):
        if overwrite:
            records.forget(plan, task)
        records.forgive(plan, task)  # what failed before is tried again
    for stage, own in work:
        _stage(every, stage, own)
    return Done(every.outcomes, time.monotonic() - begun)


def _stage(every: _Run, stage: Stage, own: Sequence[Task]) -> None:
    """Do all tasks of a stage, in rounds until each has ended."""
    left = _left(every, own, range(len(own)), "skipped")
    tries: dict[int, int] = {}
    while left:
        sessions = _round(every, stage, left)
        left = _left(every, own, left, "done")
        for session in sessions:
            rest = [number for number in session.numbers if number in left]
            if not rest:
                continue
            if session.code and not session.begun:
                raise HyoidError("a session did not start", path=session.log, hint="That file tells more")
            failed = [own[number] for number in session.numbers if number not in left]
            if any(every.outcomes[task].exit_code in ELSEWHERE for task in failed):
                continue  # that is why it stopped
            tries[rest[0]] = tries.get(rest[0], 0) + 1
            if tries[rest[0]] == _TRIES:
                _give_up(every, own[rest[0]])
        left = [number for number in left if own[number] not in every.outcomes]


def _give_up(every: _Run, task: Task) -> None:
    """The session died three times when a task was the first that was left."""
    error = f"its process died {_TRIES} times, perhaps for memory"
    code = OutOfMemoryError.exit_code
    records.fail(every.plan, task, {"exit_code": code, "error": error})
    every.outcomes[task] = Outcome("failed", code, error)


def _left(every: _Run, own: Sequence[Task], numbers: Sequence[int], word: tasks.Ended) -> list[int]:
    """Numbers of tasks that have not ended; how the others did is noted, ``word`` for those that are done."""
    left = []
    for number in numbers:
        task = own[number]
        failure = records.failure(every.plan, task)
        if failure is not None:
            every.outcomes[task] = Outcome("failed", int(failure["exit_code"]), str(failure["error"]))
        elif tasks.finished(every.plan, task):
            every.outcomes[task] = Outcome(word)
        elif (blocked := tasks.blocked(every.plan, task)) is not None:
            every.outcomes[task] = blocked
        else:
            left.append(number)
        _tell(every, (), "reading records")
    return left


def _round(every: _Run, stage: Stage, left: Sequence[int]) -> list[_Session]:
    """Sessions side by side, each with its share of what is left, until all have ended."""
    count = min(every.workers, len(left))
    events: queue.SimpleQueue[tuple[_Session, re.Match[str] | None]] = queue.SimpleQueue()
    sessions: list[_Session] = []
    with _stopped(sessions):
        for number in range(count):
            share = left[number::count]
            size = min(_MOST_AT_ONCE, max(1, -(-len(share) // _PIECES)))
            sessions.append(_open(every, stage, number, ranges.cut(share, size)))
            threading.Thread(target=_listen, args=(sessions[-1], events), daemon=True).start()
        while any(session.code is None for session in sessions):
            session, line = events.get()
            if line is None:
                session.code = session.process.wait()
            elif line[3]:
                session.begun, session.share = session.begun + 1, 0.0
            elif line[1] == "progress":
                with contextlib.suppress(ValueError):
                    session.share = float(line[2]) / 100
            _tell(every, sessions, stage.name)
    return sessions


def _open(every: _Run, stage: Stage, number: int, pieces: Sequence[Sequence[int]]) -> _Session:
    folder = every.plan.folder / BUNDLE
    wanted = folder / f"tasks{number}.json"
    values = [{openjd.TASKS: ranges.text(piece)} for piece in pieces]
    write_bytes(wanted, json.dumps(values).encode())
    words = [
        sys.executable, "-m", "hyoid.farm.openjd_session", "run", str(folder / openjd.TEMPLATE), "--step", stage.name,
        "--no-run-dependencies", "--tasks", f"file://{wanted}", "-p", f"file://{folder / openjd.PARAMETERS}",
    ]  # fmt: skip
    log = folder / f"session{number}.log"
    with output_errors(log), log.open("wb") as stream:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            env=_environment(local.settings(number, every.workers)),
        )  # fmt: skip
    return _Session(process, log, pieces)


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name != ENVIRONMENT}
    return {**own, **settings}


def _listen(session: _Session, events: Any) -> None:
    """Put what a session says into ``events`` until it has ended, then None."""
    rest = b""
    with session.log.open("rb") as stream:
        while True:
            ended = session.process.poll() is not None  # before reading: what it said last is read too
            block = stream.read()
            *lines, rest = (rest + block).split(b"\n")
            for found in map(_LINE.search, (line.decode(errors="replace") for line in lines)):
                if found:
                    events.put((session, found))
            if ended:
                break
            time.sleep(0 if block else _LOOK_SECONDS)
    events.put((session, None))


@contextlib.contextmanager
def _stopped(sessions: list[_Session]) -> Iterator[None]:
    """However the block ends, sessions that still run are asked to leave, and killed when they do not."""
    try:
        yield
    finally:
        running = [session.process for session in sessions if session.code is None]
        for process in running:
            process.terminate()
        end = time.monotonic() + _LEAVE_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for session in sessions:
            assert session.process.stdin is not None
            session.process.stdin.close()


def _tell(every: _Run, sessions: Sequence[_Session], what: str) -> None:
    done = len(every.outcomes) + sum(session.done for session in sessions)
    bad = sum(one.ended in ("failed", "blocked") for one in every.outcomes.values())
    text = f"{what}: task {done:.0f} of {every.total}" + (f", {bad} failed" if bad else "")
    every.report.progress(min(done / every.total, 1.0), text)
