# SPDX-License-Identifier: Apache-2.0
"""``hyoid check FILE...``: is this file sound, is this job ready to run? Cheap, and the first step of a farm job."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pydantic import Field

from hyoid.errors import HyoidError, InputError
from hyoid.report import Report
from hyoid.verbs.job import JobModel, positional


class Job(JobModel):
    """Files to check."""

    files: list[Path] = Field(
        min_length=1,
        description="take, character, mesh, bvh, csv, glb, usd, video, sound or job (TOML, JSON)",
        json_schema_extra=positional(),
    )
    strict: bool = Field(False, description="warnings count as problems")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Check every file and list every problem.

    Returns:
        ``files``: one entry each with ``file``, ``type``, ``problems`` (it must not be used) and ``warnings`` (it
        works, but look); ``exit_code``: 0 when all are sound, else 3.
    """
    entries = []
    for index, path in enumerate(job.files):
        report.progress(index / len(job.files), f"checking {path.name}")
        problems: list[str] = []
        warnings: list[str] = []
        kind = "?"
        try:
            kind = _check(path, problems, warnings)
        except HyoidError as error:
            problems += _all_problems(error, path)
        if job.strict:
            problems, warnings = problems + warnings, []
        entries.append({"file": str(path), "type": kind, "problems": problems, "warnings": warnings})
    bad = any(entry["problems"] for entry in entries)
    return {"files": entries, "exit_code": InputError.exit_code if bad else 0}


def _all_problems(error: HyoidError, path: Path) -> list[str]:
    """What stopped the reader, and in a table every other bad row, up to twenty."""
    found = _without_path(error, path)
    if path.suffix.lower() not in (".csv", ".bvh") or not path.is_file():
        return [found]
    from hyoid.formats.rows import row_problems

    try:
        rows = row_problems(path)
    except HyoidError:
        return [found]
    return rows if _line_of(found) in map(_line_of, rows) else [found, *rows]


def _line_of(text: str) -> str:
    """``line 12`` at the start of a message; nothing for one that speaks of the whole file."""
    match = re.match(r"line \d+", text)
    return match[0] if match else ""


def _without_path(error: HyoidError, path: Path) -> str:
    """The message; the file's own name stands before it anyway."""
    return str(error).removeprefix(f"{path}: ")


def _check(path: Path, problems: list[str], warnings: list[str]) -> str:
    if path.is_dir() or not path.exists():
        raise InputError("is a folder" if path.is_dir() else "does not exist", path=path, expected="a file")
    if not path.stat().st_size:
        raise InputError("is empty", path=path)
    from hyoid.verbs import info

    name = path.name.lower()
    if name.endswith(".json") and info.is_heads(path):
        from hyoid.formats import heads_json

        failed = [picture for picture in heads_json.read(path).pictures if picture.error]
        if failed:
            warnings.append(f"{len(failed)} pictures failed, the first is '{failed[0].name}': {failed[0].error}")
        return "heads"
    if name.endswith(".json") and info.sidecar(path.with_name(path.name.removesuffix(".json"))):
        return "provenance"
    if name.endswith((".toml", ".json")):
        _check_job(path, problems, warnings)
        return "job"
    if name.endswith((".take.npz", ".bvh", ".csv")):
        _check_take(path, problems, warnings)
        return "performance"
    if name.endswith(".character.npz"):
        from hyoid.formats import character_checks, character_npz

        problems += character_checks.problems(character_npz.read_unchecked(path)[0])
        return "character"
    if name.endswith(".glb"):
        from hyoid.formats import glb_read

        problems += glb_read.problems(glb_read.read(path))
        return "glb"
    # Everything else is sound when its reader can look into it.
    from hyoid.report import SILENT

    found = info.run(info.Job(file=path), SILENT)
    problems += found["contents"].get("damage", [])
    return found["type"]


def _check_take(path: Path, problems: list[str], warnings: list[str]) -> None:
    import numpy as np

    from hyoid import formats
    from hyoid.characters import arkit
    from hyoid.files import sha256_of
    from hyoid.formats.checks import valid_take

    take = valid_take(formats.read_take(path), path)
    if len(take.curve_names):
        weights = [name for name in arkit.NAMES if name in take.curve_names]
        for name in weights:
            curve = take.curve(name)
            if curve.min() < -1e-3 or curve.max() > 1.5:
                frame = int(np.argmax(np.maximum(-curve, curve - 1)))
                warnings.append(f"curve {name} is {curve[frame]:.3g} in frame {frame}; expected 0..1")
    late = [event for event in take.events if event.end > take.seconds + 1 / take.fps or event.start < -1e-6]
    if late:
        event = late[0]
        warnings.append(f"{len(late)} events lie outside the take, the first is {event.kind} '{event.name}'")
    if take.audio is not None:
        sound = Path(take.audio.path)
        if not os.path.isfile(sound):
            warnings.append(f"its sound {sound} is not there; films will be silent")
        elif sha256_of(sound) != take.audio.sha256:
            warnings.append(f"its sound {sound} has changed since the take was made")
    missing = np.flatnonzero(take.confidence <= 0)
    if len(missing):
        warnings.append(f"{len(missing)} frames have no confidence, the first is frame {missing[0]}")


def _check_job(path: Path, problems: list[str], warnings: list[str]) -> None:
    from hyoid.farm import jobs, plan
    from hyoid.verbs import run

    if not jobs.is_list(path):
        verb, job = run.read_job(path)
        _check_verb(verb, job, set(), problems, warnings)
        return
    made = plan.read(path)
    written: set[Path] = set()
    for unit in made.units:
        job = run.job_of(unit.verb, dict(unit.values), made.home, path)
        own: list[str] = []
        _check_verb(unit.verb, job, written, own, warnings)
        problems += [f"{unit.name}: {text}" for text in own]
        written.update(run.paths_of(job)[1])


def _check_verb(verb: str, job: JobModel, made: set[Path], problems: list[str], warnings: list[str]) -> None:
    """What is wrong with the job of a verb; ``made`` are files that will be there by then."""
    from hyoid import weights_store
    from hyoid.cli import load_verb
    from hyoid.files import check_writable
    from hyoid.formats import format_of
    from hyoid.verbs.job import cli_settings

    # A verb whose outputs are of types of its own knows them itself.
    own = getattr(load_verb(verb), "check_outputs", None)
    if own is not None:
        try:
            own(job)
        except HyoidError as error:
            problems.append(str(error))
    for name, value in job:
        if name in ("character", "model") and isinstance(value, str):
            problems += _character_problems(name, value)
        role = cli_settings(type(job).model_fields[name]).get("file")
        outputs = name in ("output", "outputs")
        if own is not None and (outputs or role == "write"):
            continue
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, Path) or item.resolve() in made:
                continue
            try:
                if outputs:
                    format_of(item)
                    check_writable(item)
                elif role == "write":
                    check_writable(item)
                elif not item.exists() and name.endswith("weights") and weights_store.is_kept(item):
                    continue
                elif not item.exists():
                    problems.append(f"{name}: {item} does not exist")
                elif item.is_dir() and role not in ("folder", "any"):
                    problems.append(f"{name}: {item} is a folder")
                elif item.is_file() and not item.stat().st_size:
                    problems.append(f"{name}: {item} is empty")
            except HyoidError as error:
                problems.append(f"{name}: {error}")
    if not any(isinstance(value, list | Path) for _, value in job):
        warnings.append("names no file at all")


def _character_problems(option: str, name: str) -> list[str]:
    """Why a character cannot be had, as far as that is known without reading all of it."""
    from hyoid import characters

    try:
        characters.settings_of(name)
    except HyoidError as error:
        return [f"{option}: {error}"]
    return []


def show(result: dict[str, Any]) -> str:
    """One line a file, and one for each problem and warning."""
    lines = []
    for entry in result["files"]:
        verdict = f"{len(entry['problems'])} problems" if entry["problems"] else "ok"
        lines.append(f"{entry['file']}: {verdict} ({entry['type']})")
        lines += [f"  problem: {text}" for text in entry["problems"]]
        lines += [f"  warning: {text}" for text in entry["warnings"]]
    return "\n".join(lines)
