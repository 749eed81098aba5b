# SPDX-License-Identifier: Apache-2.0
"""A small verb for tests of the farm: numbers of a text file, smoothed over three frames, into another text file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hyoid.report import Report
from hyoid.verbs.job import JobModel, Outputs, output_field, positional
from pydantic import Field


class Job(JobModel):
    """Numbers to smooth."""

    source: Path = Field(description="a number a line", json_schema_extra=positional())
    output: Outputs = output_field("text files to write")
    scale: float = Field(1.0, description="factor of all numbers")
    seconds: float = Field(0.0, ge=0, description="what a frame takes")


def check_outputs(job: Job) -> None:
    """Text files may have any name."""
    from hyoid.files import check_writable

    for path in job.output:
        check_writable(path)


def run(job: Job, report: Report) -> dict[str, Any]:
    """Smooth and write."""
    import tempfile

    import wave_chunks

    frames = wave_chunks.extent(job).frames
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "whole"
        wave_chunks.work(job, 0, frames, part, report)
        return wave_chunks.finish(job, [part], report)
