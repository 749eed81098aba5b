# SPDX-License-Identifier: Apache-2.0
"""The parts of a job, and what lies in a folder: what all tests of chunks compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hyoid.farm.splits import Split
from hyoid.report import SILENT


def worked(split: Split, job: Any, folder: Path, size: int | None, failed: list | None = None) -> list[Path]:
    """The parts of a job, the last one first: chunks come in any order.

    Args:
        failed: frames that every chunk has to tell as failed; None asks for nothing.
    """
    folder.mkdir(exist_ok=True)
    spans = split.extent(job).chunks(size)
    for first, end in reversed(spans):
        told = split.work(job, first, end, folder / f"{first}.part.npz", SILENT)
        assert failed is None or told["failed"] == failed
    return [folder / f"{first}.part.npz" for first, _ in spans]


def written(folder: Path) -> dict[str, bytes]:
    """What lies in a folder, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
