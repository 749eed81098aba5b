# SPDX-License-Identifier: Apache-2.0
"""A whole job on this machine: worker processes that take the next task as they are free.

A task begins when what it needs is done. What fails does not stop the others; what needs it is blocked. A worker that
dies is replaced and its task given to another one, at most twice.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyoid import files
from hyoid.errors import HyoidError
from hyoid.farm import plan as plans
from hyoid.farm import records, worker
from hyoid.farm.plan import Plan, Task
from hyoid.farm.tasks import Outcome
from hyoid.farm.worker import Worker
from hyoid.report import Report

PLAN, LOG = "plan.json", "workers.log"
_TRIES = 3
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_KILLED = -9


@dataclass
class _Unit:
    """What is left of a unit: rows of units that it waits for, tasks that it still has to do before it can finish."""

    waits: set[int]
    left: int
    finish: Task | None
    later: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Done:
    """How a job ended: the outcome of every task, seconds from beginning to end."""

    outcomes: Mapping[Task, Outcome]
    seconds: float


def run(plan: Plan, report: Report, *, workers: int = 1, overwrite: bool = False) -> Done:
    """Do every task of a plan that is not done.

    Args:
        workers: processes. Each has its share of the processor's cores, and of the GPUs, one each, in turn.

    Raises:
        OutputError: the job's folder cannot be written. Cancelled: the workers are gone; the next run goes on.
    """
    begun = time.monotonic()
    plan_file = plan.folder / PLAN
    plans.write(plan_file, plan)
    jobs = _Jobs(plan)
    events: queue.SimpleQueue[tuple[Worker, worker.Event]] = queue.SimpleQueue()
    running: list[Worker] = []
    with (plan.folder / LOG).open("ab") as log:
        try:
            for number in range(min(workers, jobs.total)):
                running.append(Worker(plan_file, events, settings(number, workers), log))
            _work(plan, jobs, running, events, report, overwrite, log)
        finally:
            worker.stop(running)
    _tidy(plan)
    return Done(jobs.outcomes, time.monotonic() - begun)


def _tidy(plan: Plan) -> None:
    """Remove what killed workers left beside files that nobody writes any more."""
    for folder, _, _ in os.walk(plan.folder):
        if not folder.endswith(".part"):
            files.remove_stale_parts(Path(folder))


def _work(
    plan: Plan, jobs: _Jobs, running: list[Worker], events: Any, report: Report, overwrite: bool, log: Any
) -> None:  # fmt: skip
    idle = list(running)
    tries: dict[Task, int] = {}
    while jobs.more():
        while idle and (task := jobs.next()) is not None:
            idle.pop(0).give(task, overwrite=overwrite)
        one, event = events.get()
        if event["event"] == "ended" and one.task is not None:
            task, one.task = one.task, None
            jobs.end(task, worker.outcome_of(event))
            idle.append(one)
            report.progress(jobs.share, jobs.told())
        elif event["event"] == "broken":
            raise worker.error_of(event)
        elif event["event"] == "gone":
            _replace(plan, jobs, running, idle, one, event, tries, events, log)
        elif event["event"] == "message" and event["level"] == "warning" and one.task is not None:
            report.message(f"{plan.units[one.task.unit].name}: {event['text']}", "warning")
        elif event["event"] == "progress":
            report.progress(jobs.share, jobs.told())


def _replace(
    plan: Plan, jobs: _Jobs, running: list[Worker], idle: list[Worker], one: Worker, event: Mapping[str, Any],
    tries: dict[Task, int], events: Any, log: Any,
) -> None:  # fmt: skip
    """A worker has died: its task goes to another one, and a new one takes its place."""
    number = running.index(one)
    task = one.task
    if one in idle:
        idle.remove(one)
    if task is not None:
        tries[task] = tries.get(task, 0) + 1
        if tries[task] >= _TRIES:
            why = "was killed, perhaps for memory" if event["code"] == _KILLED else f"ended with {event['code']}"
            error = f"its worker {why}, {_TRIES} times"
            code = 5 if event["code"] == _KILLED else 1
            records.fail(plan, task, {"exit_code": code, "error": error})
            jobs.end(task, Outcome("failed", code, error))
        else:
            jobs.again(task)
    elif event["code"]:
        raise HyoidError(f"a worker ended with {event['code']}", path=plan.folder / LOG, hint="That file tells more")
    running[number] = Worker(plan.folder / PLAN, events, settings(number, len(running)), log)
    idle.append(running[number])


def settings(number: int, workers: int) -> dict[str, str]:
    """The environment of a worker: threads, and the GPU that it sees."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // workers))
    found = {name: os.environ.get(name, threads) for name in _THREADS}
    cards = gpus()
    if cards and workers > 1:
        found["CUDA_VISIBLE_DEVICES"] = cards[number % len(cards)]
    return found


def gpus() -> Sequence[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name.strip()]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = subprocess.run(
        [program, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, check=False
    )
    return asked.stdout.split() if asked.returncode == 0 else []


class _Jobs:
    """Which tasks are ready, in order of steps and shots, and what has ended."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.outcomes: dict[Task, Outcome] = {}
        self.ready: deque[Task] = deque()
        self._units: list[_Unit] = []
        self.total = 0
        self._weight, self._ended_weight = 0, 0
        self._bad, self._frames = 0, 0
        self._begun = time.monotonic()
        for row in range(len(plan.units)):
            tasks = plan.tasks_of(row)
            finish = tasks.pop() if tasks[-1].kind == "finish" else None
            self._units.append(_Unit(set(plan.needs(row)), len(tasks), finish))
            self.total += len(tasks) + (finish is not None)
            self._weight += sum(_weight(task) for task in tasks)
        for row, unit in enumerate(self._units):
            for other in unit.waits:
                self._units[other].later.append(row)
            if not unit.waits:
                self._open(row)

    def more(self) -> bool:
        return len(self.outcomes) < self.total

    def next(self) -> Task | None:
        return self.ready.popleft() if self.ready else None

    def again(self, task: Task) -> None:
        self.ready.appendleft(task)

    @property
    def share(self) -> float:
        return self._ended_weight / max(self._weight, 1)

    def told(self) -> str:
        spent = time.monotonic() - self._begun
        rate = f", {self._frames / spent:.0f} frames a second" if self._frames and spent > 1 else ""
        bad = f", {self._bad} failed" if self._bad else ""
        return f"task {len(self.outcomes)} of {self.total}{bad}{rate}"

    def end(self, task: Task, outcome: Outcome) -> None:
        self.outcomes[task] = outcome
        self._bad += outcome.ended in ("failed", "blocked")
        unit = self._units[task.unit]
        if outcome.ended == "done" and task.kind != "finish":
            self._frames += task.end - task.first
        if task.kind != "finish":
            self._ended_weight += _weight(task)
            unit.left -= 1
            if unit.left:
                return
            if unit.finish is not None:
                self.ready.appendleft(unit.finish)
                return
        for row in unit.later:
            self._units[row].waits.discard(task.unit)
            if not self._units[row].waits:
                self._open(row)

    def _open(self, row: int) -> None:
        self.ready.extend(task for task in self.plan.tasks_of(row) if task.kind != "finish")


def _weight(task: Task) -> int:
    return max(task.end - task.first, 1)
