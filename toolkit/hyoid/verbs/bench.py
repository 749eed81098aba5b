# SPDX-License-Identifier: Apache-2.0
"""``hyoid bench NAME``: run a script of the ``bench`` folder: ours beside a named peer, equal outputs, one run.

Each script has ``SUMMARY``, ``run(**options) -> dict`` with plain numbers, and maybe ``show(result) -> str``; this verb
and ``python bench/NAME.py`` are two doors to it.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import Field

from hyoid.errors import InputError, UsageError
from hyoid.report import Report
from hyoid.verbs.job import CLI, JobModel, positional


class Job(JobModel):
    """A measurement."""

    name: str | None = Field(None, description="which measurement; without it the list", json_schema_extra=positional())
    audio: Path | None = Field(None, description="for 'talk': a recording of a speaker")
    curves: Path | None = Field(None, description="for 'talk': the .npz of face curves measured from the video")
    text: str | None = Field(None, description="for 'talk': the transcript, a file or the words themselves")
    ict: Path | None = Field(None, description="for 'facestab': a folder of ICT-FaceKit")
    pairs: Path | None = Field(None, description="for 'facestab': a folder with pairs of faces of its own")
    seed: int | None = Field(
        None,
        ge=0,
        description="for 'facestab': another seed draws other people and expressions; for 'headpose': other renders; "
        "for 'hopfir': of training",
    )
    count: int | None = Field(
        None,
        ge=10,
        le=5000,
        description="for 'facestab': pairs in the table; for 'headpose': crops, and half as many pictures",
    )  # fmt: skip
    images: Path | None = Field(
        None, description="for 'headpose': folder of photographs whose heads are marked, with --truth",
        json_schema_extra={CLI: {"file": "folder"}},
    )  # fmt: skip
    truth: Path | None = Field(
        None, description="for 'headpose': marked heads of --images, JSON: "
        '{"pictures": {"NAME.jpg": [{"box": [x1, y1, x2, y2], "yaw": degrees, "pitch": degrees}]}}; '
        "yaw > 0 faces left in the picture, 180 is seen from behind, pitch > 0 looks up, roll may be added",
        json_schema_extra={CLI: {"file": "read"}},
    )  # fmt: skip
    data: Path | None = Field(
        None, description="for 'lift', 'hopfir': folder of packed motion capture; without it $HYOID_MOCAP",
        json_schema_extra={CLI: {"file": "folder"}},
    )  # fmt: skip
    steps: int | None = Field(None, ge=1, le=1_000_000, description="for 'hopfir': training steps of each network")
    pictures: Path | None = Field(
        None,
        description="for 'facestab': folder for pictures of the worst cases; for 'headpose': folder for drawings of "
        "what was found and of the worst cases",
    )  # fmt: skip


def run(job: Job, report: Report) -> dict[str, Any]:
    """Run a measurement, or list those that there are.

    Raises:
        UsageError: there is no such measurement, or it does not take an option.
        InputError: the bench folder is not there (it is part of a checkout, not of a wheel).
    """
    scripts = {path.stem: path for path in sorted(_folder().glob("*.py")) if not path.stem.startswith("_")}
    if job.name is None:
        return {"benches": {name: str(load(path).SUMMARY) for name, path in scripts.items()}}
    if job.name not in scripts:
        raise UsageError(f"there is no bench '{job.name}'", expected=f"one of {', '.join(scripts)}")
    measure = load(scripts[job.name]).run
    takes = inspect.signature(measure).parameters
    own = [name for name in type(job).model_fields if name != "name"]
    options = {name: value for name in own if (value := getattr(job, name)) is not None}
    for name in options:
        if name not in takes:
            raise UsageError(f"bench '{job.name}' does not take --{name}", hint=f"Type 'hyoid bench {job.name}'")
    if "report" in takes:
        options["report"] = report
    return {"bench": job.name, **measure(**options)}


def load(path: Path) -> ModuleType:
    """Import a bench script by its path; what the scripts share lies beside them, as for ``python bench/NAME.py``."""
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(f"hyoid_bench_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _folder() -> Path:
    folder = Path(__file__).resolve().parents[3] / "bench"
    if not folder.is_dir():
        raise InputError("the bench folder is not there", path=folder, hint="Run benches from a checkout of Hyoid")
    return folder


def show(result: dict[str, Any]) -> str:
    """The figures as indented lines."""
    if "benches" in result:
        width = max(map(len, result["benches"]), default=0)
        return "\n".join(f"{name:<{width}}  {summary}" for name, summary in result["benches"].items())
    own = _folder() / f"{result['bench']}.py"
    if own.is_file() and hasattr(module := load(own), "show"):
        return module.show(result)
    return "\n".join(_lines(result, 0))


def _lines(value: dict[str, Any], depth: int) -> list[str]:
    lines = []
    for key, item in value.items():
        label = "  " * depth + key.replace("_", " ")
        if isinstance(item, dict):
            lines += [f"{label}:", *_lines(item, depth + 1)]
        elif isinstance(item, list) and item and all(isinstance(entry, dict) for entry in item):
            for number, entry in enumerate(item, 1):
                lines += [f"{label} {number}:", *_lines(entry, depth + 1)]
        else:
            lines.append(f"{label}: {f'{item:.4g}' if isinstance(item, float) else item}")
    return lines
