# SPDX-License-Identifier: Apache-2.0
"""``hyoid weights add FILE``: a checkpoint that you have becomes known by its name."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import Field

from hyoid.report import Report
from hyoid.verbs.job import CLI, JobModel


class Job(JobModel):
    """A checkpoint to keep."""

    file: Path = Field(
        description="a checkpoint, official or trained with hyoid train",
        json_schema_extra={CLI: {"positional": True, "file": "read"}},
    )
    system: str | None = Field(None, description="the system that it is for; without it that is found by reading it")
    replace: bool = Field(False, description="replace another file that is kept under the same name")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Read the file with the strict reader of each system, and keep a copy.

    Returns:
        ``system``, ``name``, ``sha256``, ``bytes``, ``licence``, ``path``.

    Raises:
        InputError, WeightsError, UsageError, OutputError: see ``weights_store.add``.
    """
    from hyoid import weights_store

    report.progress(0.1, f"reading {job.file.name}")
    entry = weights_store.add(job.file, job.system, replace=job.replace)
    return {**asdict(entry), "path": str(entry.path)}


def show(result: dict[str, Any]) -> str:
    """What it is, and how to use it."""
    licence = result["licence"] or "its file states no licence: read its authors' terms"
    return f"{result['name']}: weights of {result['system']}, {licence}\n--weights {result['name']}"
