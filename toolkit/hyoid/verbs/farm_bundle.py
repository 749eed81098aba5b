# SPDX-License-Identifier: Apache-2.0
"""``hyoid farm bundle JOB.toml -o FOLDER``: a job of steps and shots as files that a farm takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hyoid.report import Report
from hyoid.verbs.job import CLI, JobModel, positional, short

RESULT = "none"


class Job(JobModel):
    """A job, and the farm that it is for."""

    job: Path = Field(description="job file of steps and shots", json_schema_extra=positional())
    output: Path = Field(
        description="folder for the files", json_schema_extra={CLI: {"short": "-o", "file": "folder"}}
    )  # fmt: skip
    farm: Literal["openjd", "deadline", "opencue", "flamenco", "slurm"] = Field(
        "openjd",
        description="the farm: Open Job Description, AWS Deadline Cloud (the same files), OpenCue, Flamenco 3 or Slurm",
        json_schema_extra=short("--for"),
    )
    command: str = Field("hyoid", min_length=1, description="command that starts Hyoid on the farm's machines")
    at_once: int | None = Field(
        None, ge=1, le=1_000_000, description="tasks that one command does; without it short ones are put together"
    )
    processors: int = Field(1, ge=1, le=1024, description="cores that a machine must have")
    memory: int = Field(2048, ge=256, le=16_777_216, description="MiB of memory that a machine must have")
    gpu: bool = Field(False, description="a machine must have a GPU, and networks run there")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Plan the job and write what the farm takes.

    Returns:
        ``farm``, ``outputs`` (files), ``tasks`` of the plan, and ``stages``: name, tasks, commands.

    Raises:
        InputError, UsageError: the job file cannot be used, or has more tasks or steps than farms take. OutputError.
    """
    from hyoid.farm import openjd, plan, recipes, stages

    report.progress(0.0, "planning")
    made = plan.read(job.job)
    machine = openjd.Machine(job.processors, job.memory, job.gpu)
    parts = stages.of_plan(made, job.at_once)
    needed = openjd.assets(made)
    _tell_outside(made.home, needed, report)
    if job.farm in recipes.WRITERS:
        device = "cuda" if job.gpu else None
        made = plan.placed(made, device=device)
        files = recipes.write(job.farm, job.output, made, parts, command=job.command, machine=machine)
    else:
        files = openjd.write(job.output, made, parts, command=[job.command], machine=machine, needed=needed)
    return {
        "farm": job.farm, "outputs": [str(path) for path in files], "tasks": sum(stage.tasks for stage in parts),
        "stages": [
            {"name": stage.name, "tasks": stage.tasks, "commands": -(-stage.count // stage.at_once)} for stage in parts
        ],
    }  # fmt: skip


def show(result: dict[str, Any]) -> str:
    """A line for each stage, then the files."""
    lines = [f"{one['name']}: {one['tasks']} tasks in {one['commands']} commands" for one in result["stages"]]
    return "\n".join([*lines, *result["outputs"]])


def _tell_outside(home: Path, needed: dict[str, Any], report: Report) -> None:
    """Warn of inputs and outputs that other machines may not have."""
    for name in (*needed["inputs"]["filenames"], *needed["inputs"]["directories"], *needed["outputs"]["directories"]):
        if not Path(name).is_relative_to(home):
            text = f"{name} is outside of the job's folder: every machine must have it at the same place"
            report.message(text, "warning")
            return
