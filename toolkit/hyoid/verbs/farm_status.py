# SPDX-License-Identifier: Apache-2.0
"""``hyoid farm status JOB``: how far a job of steps and shots is, from its folder; nothing is done.

With ``--report`` it is the last step on a farm: it writes the report and fails when something is not done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from hyoid.errors import PartialError
from hyoid.farm.options import PlaceOptions, plan_of
from hyoid.report import Report
from hyoid.verbs.job import CLI

RESULT = "none"
_NAMED = 10  # shots that a line of failure names


class Job(PlaceOptions):
    """A job to ask about."""

    job: Path = Field(
        description="the job file, or plan.json of its folder or bundle",
        json_schema_extra={CLI: {"positional": True, "file": "read"}},
    )
    shots: bool = Field(False, description="tell every shot, not the steps alone")
    report: bool = Field(False, description="write report.json, and fail when something is not done")
    openjd: bool = Field(False, description="write a line of failure for Open Job Description")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Read the records of a job.

    Returns:
        See ``farm.summary.told``; with ``shots`` also ``units``: shot, step, state, chunks done and in all.
        ``exit_code`` is 0 as long as nothing failed; with ``report``, when all is done.

    Raises:
        InputError, UsageError: the job file cannot be used. OutputError: the report cannot be written.
    """
    from hyoid.farm import openjd_lines, summary

    made = plan_of(job.job, job)
    found = summary.statuses(made, lambda share: report.progress(share, "reading records"))
    result = summary.told(made, found)
    if job.shots:
        result["units"] = [
            {"shot": one.unit.shot, "step": one.unit.step, "state": one.state, "chunks": list(one.chunks)}
            for one in found
        ]
    if job.report:
        result["report"] = str(summary.write_report(made, found, {}))
        waiting = sum(one.state == summary.WAITING for one in found)
        result["exit_code"] = result["exit_code"] or (PartialError.exit_code if waiting else 0)
        if job.openjd and result["exit_code"]:
            bad = [f"{one['shot']} {one['step']}" for one in result["failed"]] or [f"{waiting} shots are not done"]
            more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
            openjd_lines.say("fail", f"failed: {', '.join(bad[:_NAMED])}{more}")
    return result


def show(result: dict[str, Any]) -> str:
    """A table of the steps, then what failed, then every shot where that was asked for."""
    from hyoid.farm import summary

    lines = [summary.table(result)]
    for one in result.get("units", ()):
        done, size = one["chunks"]
        lines.append(f"{one['shot']} {one['step']}: {one['state']}{f', {done} of {size} chunks' if size else ''}")
    return "\n".join([*lines, *([result["report"]] if "report" in result else [])])
