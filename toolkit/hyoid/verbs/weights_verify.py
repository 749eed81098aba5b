# SPDX-License-Identifier: Apache-2.0
"""``hyoid weights verify``: every file that is kept, hashed and read again."""

from __future__ import annotations

from typing import Any

from hyoid.errors import WeightsError
from hyoid.report import Report
from hyoid.verbs.job import JobModel


class Job(JobModel):
    """All weights that are kept."""


def run(job: Job, report: Report) -> dict[str, Any]:
    """Check everything, those that came with Hyoid too.

    Returns:
        ``files``: one entry each with ``system``, ``name``, ``problem`` (empty when sound); ``exit_code``: 0, or 4.
    """
    from hyoid import weights_store
    from hyoid.errors import HyoidError

    entries = weights_store.entries()
    own = [(system, path) for system in weights_store.SYSTEMS.values() for path in weights_store.shipped(system)]
    total, found = max(len(entries) + len(own), 1), []
    for number, entry in enumerate(entries):
        report.progress(number / total, f"reading {entry.name}")
        found.append({"system": entry.system, "name": entry.name, "problem": weights_store.verify(entry)})
    for number, (system, path) in enumerate(own, len(entries)):
        report.progress(number / total, f"reading {path.name}")
        problem = ""
        try:
            weights_store.read(path, system.name)
        except HyoidError as error:
            problem = error.found
        found.append({"system": system.name, "name": path.name, "problem": problem})
    found += [
        {"system": path.parent.name, "name": path.name, "problem": "its record cannot be read: add the file again"}
        for path in weights_store.damaged()
    ]
    bad = any(entry["problem"] for entry in found)
    return {"files": found, "exit_code": WeightsError.exit_code if bad else 0}


def show(result: dict[str, Any]) -> str:
    """One line a file."""
    return "\n".join(f"{one['system']} {one['name']}: {one['problem'] or 'sound'}" for one in result["files"])
