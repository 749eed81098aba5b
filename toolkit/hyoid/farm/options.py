# SPDX-License-Identifier: Apache-2.0
"""What verbs that work on a plan ask for: the plan, and where its folders lie on this machine."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from hyoid.farm.plan import Plan
from hyoid.verbs.job import CLI, DEVICE, JobModel


class PlaceOptions(JobModel):
    """Where a plan's folders lie here, and what its networks run on."""

    home: Path | None = Field(
        None, description="folder that paths of the plan are relative to, where it is another one on this machine",
        json_schema_extra={CLI: {"file": "folder"}},
    )  # fmt: skip
    folder: Path | None = Field(
        None, description="folder of parts and records, where it is another one on this machine",
        json_schema_extra={CLI: {"file": "folder"}},
    )  # fmt: skip
    device: str = Field(
        "job", pattern=rf"^(job|{DEVICE})$", description="where networks run: as the job says, or auto, cpu, cuda"
    )


class PlanOptions(PlaceOptions):
    """A plan and its place."""

    plan: Path = Field(
        description="plan.json of a job's folder or bundle",
        json_schema_extra={CLI: {"positional": True, "file": "read"}},
    )


def plan_of(path: Path, options: PlaceOptions) -> Plan:
    """The plan of a file, as it lies on this machine.

    Raises:
        InputError, UsageError: see ``plan.read``.
    """
    from hyoid.farm import plan

    device = None if options.device == "job" else options.device
    return plan.placed(plan.read(path), options.home, options.folder, device)
