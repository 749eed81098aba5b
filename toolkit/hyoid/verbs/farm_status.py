# SPDX-License-Identifier: Apache-2.0
"""``hyoid farm status JOB``: how far a job of steps and shots is, from its folder; nothing is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from hyoid.report import Report
from hyoid.verbs.job import CLI, JobModel

RESULT = "none"


class Job(JobModel):
    """A job to ask about."""

    job: Path = Field(
        description="the job file, or plan.json of its folder or bundle",
        json_schema_extra={CLI: {"positional": True, "file": "read"}},
    )
    shots: bool = Field(False, description="tell every shot, not the steps alone")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Read the records of a job.

    Returns:
        See ``farm.summary.told``; with ``shots`` also ``units``: shot, step, state, chunks done and in all.
        ``exit_code`` is 0 as long as nothing failed.

    Raises:
        InputError, UsageError: the job file cannot be used.
    """
    from hyoid.farm import plan, summary

    made = plan.read(job.job)
    found = summary.statuses(made, lambda share: report.progress(share, "reading records"))
    result = summary.told(made, found)
    if job.shots:
        result["units"] = [
            {"shot": one.unit.shot, "step": one.unit.step, "state": one.state, "chunks": list(one.chunks)}
            for one in found
        ]
    return result


def show(result: dict[str, Any]) -> str:
    """A table of the steps, then what failed, then every shot where that was asked for."""
    from hyoid.farm import summary

    lines = [summary.table(result)]
    for one in result.get("units", ()):
        done, size = one["chunks"]
        lines.append(f"{one['shot']} {one['step']}: {one['state']}{f', {done} of {size} chunks' if size else ''}")
    return "\n".join(lines)
