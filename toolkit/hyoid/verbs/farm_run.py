# SPDX-License-Identifier: Apache-2.0
"""``hyoid farm run JOB.toml``: the job through Open Job Description on this machine, as a farm would do it.

The files and the report are those of ``hyoid run``; what the one has begun, the other goes on with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from hyoid.report import Report
from hyoid.verbs.job import CLI, JobModel

RESULT = "none"


class Job(JobModel):
    """A job of steps and shots."""

    job: Path = Field(
        description="job file of steps and shots, or plan.json of its folder or bundle",
        json_schema_extra={CLI: {"positional": True, "file": "read"}},
    )
    workers: int = Field(1, ge=1, le=256, description="sessions side by side")
    overwrite: bool = Field(False, description="do again what was done, or was made of other inputs")
    retry_failed: bool = Field(False, description="do again the frames that failed, and what is made of them")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Do all tasks that are not done.

    Returns:
        See ``farm.summary.close``; ``exit_code`` 7 where something failed and something else did not.

    Raises:
        InputError, UsageError: the job file cannot be used. MissingToolError: openjd is not installed. OutputError:
        the job's folder cannot be written.
    """
    from hyoid.farm import plan, sessions, summary

    report.progress(0.0, "planning")
    made = plan.read(job.job)
    if job.retry_failed:
        summary.forget_failed(made)
    done = sessions.run(made, report, workers=job.workers, overwrite=job.overwrite)
    return summary.close(made, done, job.workers)


def show(result: dict[str, Any]) -> str:
    """A table of the steps, what failed, and where the report lies."""
    from hyoid.farm import summary

    return summary.show(result)
