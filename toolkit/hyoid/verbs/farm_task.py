# SPDX-License-Identifier: Apache-2.0
"""``hyoid farm task PLAN --step NAME --tasks 0-9``: what a farm calls, on any machine, in any order, also twice.

What is wrong with one shot stands in the job's folder and does not fail the command, for farms stop at what fails, and
other shots must go on; ``--strict`` makes it fail. What another machine may do better always fails.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from hyoid.errors import Cancelled, HyoidError, InputError, OutOfMemoryError, OutputError, PartialError, TimeLimitError
from hyoid.farm.options import PlanOptions, plan_of
from hyoid.report import Report

if TYPE_CHECKING:
    from hyoid.farm.plan import Plan, Task
    from hyoid.farm.tasks import Outcome

RESULT = "none"
# Another machine may have more memory, a disk that is not full, the tool that is missing here, or more time.
ELSEWHERE = (OutOfMemoryError.exit_code, OutputError.exit_code, TimeLimitError.exit_code)


class Job(PlanOptions):
    """Tasks of a step."""

    step: str = Field(description="name of a step of the job")
    tasks: str = Field(description="numbers of its tasks: 0-9, 3 or 0-4,7")
    finish: bool = Field(False, description="numbers are those of the tasks that join chunks and write outputs")
    group: int = Field(1, ge=1, le=1_000_000, description="numbers are those of groups of so many tasks")
    strict: bool = Field(False, description="fail when a shot failed, or some of its frames")
    overwrite: bool = Field(False, description="do again what was done, or was made of other inputs")
    openjd: bool = Field(False, description="write lines of progress and status for Open Job Description")


@dataclass
class _Ended:
    """Tasks that have ended, and how."""

    outcomes: list[tuple[str, Outcome]]

    def code(self, *, strict: bool) -> int:
        """How the command ends: 0, the code of what failed, or 7 where there were several."""
        fatal = {_code(one) for _, one in self.outcomes if _is_fatal(one, strict=strict)}
        return fatal.pop() if len(fatal) == 1 else PartialError.exit_code if fatal else 0


def run(job: Job, report: Report) -> dict[str, Any]:
    """Do tasks that are not done.

    Returns:
        ``tasks``, ``done``, ``skipped``, ``failed``, ``blocked`` (counts), ``errors`` (a line each) and ``exit_code``.

    Raises:
        InputError: the plan cannot be read. UsageError: there is no such step or task. OutputError: the job's folder
        cannot be written. Cancelled: nothing is left of the task that was at work.
    """
    from hyoid.farm import openjd_lines

    try:
        return _run(job, _heard(openjd_lines.telling(report) if job.openjd else report))
    except HyoidError as error:
        if job.openjd:
            openjd_lines.say("fail", str(error))
        raise


def _run(job: Job, report: Report) -> dict[str, Any]:
    from hyoid.farm import openjd_lines, ranges

    made = plan_of(job.plan, job)
    known = made.tasks(job.step, "finish" if job.finish else "work")
    numbers = ranges.read(job.tasks, -(-len(known) // job.group))
    wanted = [known[number] for number in ranges.of_groups(numbers, job.group, len(known))]
    ended = _work(made, wanted, job, report)
    count = Counter(one.ended for _, one in ended.outcomes)
    errors = [f"{name}: {one.error or _frames(one)}" for name, one in ended.outcomes if _code(one)]
    code = ended.code(strict=job.strict)
    if job.openjd and code:
        openjd_lines.say("fail", errors[-1] if len(errors) == 1 else f"{len(errors)} failed, the last: {errors[-1]}")
    counts = {name: count[name] for name in ("done", "skipped", "failed", "blocked")}
    return {"tasks": len(wanted), **counts, "errors": errors, "exit_code": code}


def show(result: dict[str, Any]) -> str:
    """How many tasks ended how; what failed was told when it did."""
    counts = ", ".join(f"{result[name]} {name}" for name in ("done", "skipped", "failed", "blocked") if result[name])
    return f"{result['tasks']} tasks: {counts}"


def _work(made: Plan, wanted: list[Task], job: Job, report: Report) -> _Ended:
    ended = _Ended([])
    with _performer(made, job, report) as perform:
        for number, task in enumerate(wanted):
            name = made.units[task.unit].name + (f" frames {task.first}-{task.end}" if task.kind == "chunk" else "")
            stage = report.stage(number / len(wanted), (number + 1) / len(wanted))
            stage.progress(0.0, name)
            outcome = perform(task, stage)
            stage.progress(1.0, name)
            ended.outcomes.append((name, outcome))
            if _code(outcome):
                report.message(f"{name}: {outcome.ended}: {outcome.error or _frames(outcome)}", "warning")
            elif outcome.ended == "done":
                report.message(f"{name}: done after {outcome.seconds:.1f} s")
            if outcome.exit_code == TimeLimitError.exit_code:
                break  # the limit is that of the command
    return ended


def _heard(report: Report) -> Report:
    """A report that cancels the command when nobody reads what it says: the farm's session is gone."""

    def emit(event: dict[str, Any]) -> None:
        try:
            report.emit(event)
        except BrokenPipeError:
            raise Cancelled("nobody reads what this command says") from None

    return Report(emit)


@contextlib.contextmanager
def _performer(made: Plan, job: Job, report: Report) -> Iterator[Callable[[Task, Report], Outcome]]:
    """What does a task: the worker in the background as long as there is one, else this process."""
    from hyoid import held
    from hyoid.farm import background, tasks

    with contextlib.ExitStack() as stack:
        stack.enter_context(held.holding())
        helper: list[background.Client] = []
        note = os.environ.get(background.ENVIRONMENT)
        if note:
            try:
                helper.append(stack.enter_context(background.client(Path(note), made)))
            except background.WorkerGoneError as error:
                report.message(f"{error}: going on without it", "warning")

        def perform(task: Task, stage: Report) -> Outcome:
            if helper:
                try:
                    return helper[0].perform(task, stage, overwrite=job.overwrite)
                except background.WorkerGoneError as error:
                    helper.clear()
                    report.message(f"{error}: going on without it", "warning")
            return tasks.perform(made, task, stage, overwrite=job.overwrite)

        yield perform


def _code(outcome: Outcome) -> int:
    """The exit code of an outcome; of a task that waits for what nobody has done yet, that of a missing input."""
    return outcome.exit_code or (InputError.exit_code if outcome.ended == "blocked" else 0)


def _is_fatal(outcome: Outcome, *, strict: bool) -> bool:
    if outcome.ended == "blocked" and not outcome.exit_code:
        return True  # the farm is too early: what it needs has not been tried
    return bool(_code(outcome)) and (strict or (outcome.ended == "failed" and outcome.exit_code in ELSEWHERE))


def _frames(outcome: Outcome) -> str:
    return f"{len(outcome.failed)} frames or pictures failed"
