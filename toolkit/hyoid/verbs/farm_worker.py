# SPDX-License-Identifier: Apache-2.0
"""``hyoid farm worker PLAN``: does the tasks that others ask for, and keeps networks loaded between them.

By itself it listens to standard input. With ``--listen FILE`` it goes to the background, where ``hyoid farm task``
finds it by ``$HYOID_WORKER``; ``--stop`` ends it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from hyoid.errors import UsageError
from hyoid.farm.options import PlanOptions, plan_of
from hyoid.report import Report
from hyoid.verbs.job import CLI

RESULT = "none"


class Job(PlanOptions):
    """A plan whose tasks are asked for one after the other."""

    listen: Path | None = Field(
        None, description="go to the background, and write into this file how commands reach the worker there",
        json_schema_extra={CLI: {"file": "write"}},
    )  # fmt: skip
    stop: bool = Field(False, description="with --listen: end that worker")
    stay: bool = Field(False, description="with --listen: do not go to the background")
    idle: float = Field(1800.0, ge=1, le=86400, description="with --listen: seconds without a task after which it ends")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Do tasks until standard input ends; or start, be or stop a worker in the background.

    Returns:
        ``tasks``: how many were asked for; of a worker in the background ``listen`` and ``state``, started or stopped.

    Raises:
        InputError: the plan cannot be read. OutputError: the file cannot be written. Cancelled: who asked went away in
        the middle of a task.
    """
    import sys

    from hyoid.farm import background, openjd_lines, worker

    if job.listen is None:
        if job.stop or job.stay:
            raise UsageError("--stop and --stay need --listen", hint="Type 'hyoid farm worker --help'")
        with worker.own_output() as answers:
            return {"tasks": worker.serve(plan_of(job.plan, job), sys.stdin, answers)}
    note = job.listen.absolute()
    if job.stop:
        found = background.stop(note)
        return {"listen": str(note), "state": "stopped" if found else "was gone already"}
    if job.stay:
        made = plan_of(job.plan, job)
        return {"tasks": background.serve(made, note, job.plan.is_file, idle_seconds=job.idle)}
    background.start(_words(job, note), note)
    openjd_lines.say("env", f"{background.ENVIRONMENT}={note}")
    return {"listen": str(note), "state": "started"}


def _words(job: Job, note: Path) -> list[str]:
    """The command that serves in the foreground."""
    words = ["farm", "worker", str(job.plan.absolute()), f"--listen={note}", "--stay", f"--idle={job.idle}"]
    words += [f"--{name}={value}" for name, value in (("home", job.home), ("folder", job.folder)) if value]
    return [*words, f"--device={job.device}"]
