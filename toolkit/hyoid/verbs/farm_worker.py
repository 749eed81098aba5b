# SPDX-License-Identifier: Apache-2.0
"""``hyoid farm worker PLAN``: does the tasks that standard input asks for, and keeps networks loaded between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from hyoid.report import Report
from hyoid.verbs.job import CLI, JobModel

RESULT = "none"


class Job(JobModel):
    """A plan whose tasks are asked for one after the other."""

    plan: Path = Field(
        description="plan.json of a job's folder or bundle",
        json_schema_extra={CLI: {"positional": True, "file": "read"}},
    )


def run(job: Job, report: Report) -> dict[str, Any]:
    """Do tasks until standard input ends.

    Returns:
        ``tasks``: how many were asked for.

    Raises:
        InputError: the plan cannot be read. Cancelled: standard input ended in the middle of a task.
    """
    import sys

    from hyoid.farm import plan, worker

    with worker.own_output() as answers:
        return {"tasks": worker.serve(plan.read(job.plan), sys.stdin, answers)}
