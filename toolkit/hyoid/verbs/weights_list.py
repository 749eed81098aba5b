# SPDX-License-Identifier: Apache-2.0
"""``hyoid weights list``: what each system can run with, what is here, and where official files are to be had."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hyoid import weights_store
from hyoid.report import Report
from hyoid.verbs.job import JobModel


class Job(JobModel):
    """Which systems to list."""

    system: str | None = Field(None, description="one system; without it all of them")


def run(job: Job, report: Report) -> dict[str, Any]:
    """List weights.

    Returns:
        ``folder``: where files are kept; ``systems``: for each ``verb``, ``shipped`` (files with their SHA-256),
        ``official`` (``name``, ``where``, ``licence``, ``present``), ``kept`` (files with hash and licence), ``note``.

    Raises:
        UsageError: an unknown system.
    """
    from hyoid.files import sha256_of

    chosen = [weights_store.system_of(job.system)] if job.system else list(weights_store.SYSTEMS.values())
    entries = weights_store.entries()
    systems = {}
    for number, system in enumerate(chosen):
        report.progress(number / len(chosen), f"looking at {system.name}")
        kept = [entry for entry in entries if entry.system == system.name]
        there = {entry.name for entry in kept if entry.path.is_file()}
        systems[system.name] = {
            "verb": system.verb, "note": system.note,
            "shipped": [{"path": str(path), "sha256": sha256_of(path)} for path in weights_store.shipped(system)],
            "official": [
                {"name": one.name, "where": one.where, "licence": one.licence, "present": one.name in there}
                for one in system.official
            ],
            "kept": [
                {"name": entry.name, "path": str(entry.path), "sha256": entry.sha256, "bytes": entry.bytes,
                 "licence": entry.licence, "present": entry.name in there}
                for entry in kept
            ],
        }  # fmt: skip
    return {"folder": str(weights_store.folder()), "systems": systems}


def show(result: dict[str, Any]) -> str:
    """A block for each system."""
    lines = [f"kept in {result['folder']}"]
    for name, told in result["systems"].items():
        lines.append(f"{name} (hyoid {told['verb']}): {told['note']}")
        lines += [f"  with Hyoid: {one['path']} {one['sha256'][:12]}" for one in told["shipped"]]
        for one in told["kept"]:
            state = "" if one["present"] else " (the file is gone)"
            lines.append(f"  kept: {one['name']} {one['sha256'][:12]}, {one['licence'] or 'no licence stated'}{state}")
        lines += [
            f"  official: {one['name']} from {one['where']}, {one['licence']}"
            for one in told["official"] if not one["present"]
        ]  # fmt: skip
    return "\n".join(lines)
