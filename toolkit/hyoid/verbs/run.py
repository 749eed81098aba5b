# SPDX-License-Identifier: Apache-2.0
"""``hyoid run JOB.toml``: any verb from a file that can be kept under version control, TOML or (``.json``) JSON.

verb = "talk"
audio = "voice.flac"          # paths are relative to the job file
output = ["out/voice.blend", "out/voice.glb"]

A file of steps and shots (:mod:`hyoid.farm.jobs`) is done by worker processes, in chunks, and goes on where it stopped.
"""

from __future__ import annotations

import json
import tomllib
import typing
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic.fields import FieldInfo

from hyoid.errors import InputError, UsageError
from hyoid.report import Report
from hyoid.verbs import SUMMARIES
from hyoid.verbs.job import JobModel, cli_settings, environment_defaults, positional

RUNNABLE = tuple(verb for verb in SUMMARIES if verb != "run" and not verb.startswith("farm "))
LARGEST_JOB_FILE = 1 << 20
LONGEST_PATH = 255
OUTPUT_FIELDS = ("output", "outputs")
_CHARACTERS = ("character", "model", "shapes")


class Job(JobModel):
    """A job file to run."""

    job: Path = Field(
        description="TOML or JSON file with `verb` and that verb's options, or with steps and shots",
        json_schema_extra=positional(),
    )
    workers: int | None = Field(
        None, ge=1, le=256, description="processes that share the work of steps and shots; without it 1"
    )
    dry_run: bool = Field(False, description="tell what would be done, and what it will cost by what was measured")
    overwrite: bool = Field(False, description="do again what was done, or was made of other inputs")
    retry_failed: bool = Field(False, description="do again the frames that failed, and what is made of them")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Read the job file and run its verb, or all tasks of its steps and shots.

    Returns:
        Of one verb: ``verb`` and its result. Of steps and shots: see ``farm.summary``; ``exit_code`` 7 where something
        failed.

    Raises:
        InputError: the file is missing, or neither TOML nor JSON.
        UsageError: an unknown verb or option, or a value that the option does not take.
        OutputError: the job's folder cannot be written.
    """
    from hyoid.cli import load_verb
    from hyoid.farm import jobs

    asked = job.workers is not None or job.dry_run or job.overwrite or job.retry_failed
    if not asked and not jobs.is_list(job.job):
        verb, inner = read_job(job.job)
        return {"verb": verb, **load_verb(verb).run(inner, report)}
    return _run_list(job, report)


def _run_list(job: Job, report: Report) -> dict[str, Any]:
    from hyoid.farm import local, plan, summary

    workers = job.workers or 1
    report.progress(0.0, "planning")
    made = plan.read(job.job)
    if job.dry_run:
        return {"kind": "estimate", **summary.estimate(made, workers, summary.known_rates())}
    if job.retry_failed:
        summary.forget_failed(made)
    done = local.run(made, report, workers=workers, overwrite=job.overwrite)
    return summary.close(made, done, workers)


def show(result: dict[str, Any]) -> str:
    """What the verb itself would show, or a table."""
    from hyoid.cli import load_verb
    from hyoid.console import as_text

    if result.get("kind") in ("list", "estimate"):
        from hyoid.farm import summary

        return summary.show(result) if result["kind"] == "list" else summary.show_estimate(result)
    values = dict(result)
    return getattr(load_verb(values.pop("verb")), "show", as_text)(values)


def read_job(path: Path) -> tuple[str, JobModel]:
    """The verb and the validated job of a TOML or JSON file; relative paths become relative to the file's folder."""
    from hyoid.cli import load_verb

    values = read_values(path)
    verb = values.pop("verb", None)
    if verb not in RUNNABLE:
        found = "has no 'verb'" if verb is None else f"'{verb}' is not a verb that a job can run"
        raise UsageError(found, path=path, expected=f"verb = one of {', '.join(RUNNABLE)}")
    values = {**environment_defaults(verb, load_verb(verb).Job), **values}
    return verb, job_of(verb, values, path.resolve().parent, path)


def job_of(verb: str, values: dict[str, Any], folder: Path, path: Path) -> JobModel:
    """The validated job of a verb from its options, whose paths are relative to ``folder``; ``path`` is for messages.

    Raises:
        UsageError: an unknown option, or a value that the option does not take.
    """
    from hyoid.cli import load_verb, validate

    model = load_verb(verb).Job
    values = dict(values)
    for name, value in values.items():
        field = model.model_fields.get(name)
        if field is not None and (holds_paths(field.annotation) or _names_file(field, folder, value)):
            values[name] = _anchored(value, folder)
        elif name in _CHARACTERS and isinstance(value, str):
            values[name] = _anchored_character(value, folder)
    return validate(model, values, as_options=False, path=path)


def is_output(field: FieldInfo, name: str) -> bool:
    """Whether a field names files that the verb writes."""
    told = name in OUTPUT_FIELDS or name.endswith("_out") or cli_settings(field).get("file") == "write"
    return told and holds_paths(field.annotation)


def is_input(field: FieldInfo, name: str) -> bool:
    """Whether a field names files that the verb reads."""
    return (holds_paths(field.annotation) or "file_or_text" in cli_settings(field)) and not is_output(field, name)


def paths_of(job: JobModel) -> tuple[list[Path], list[Path]]:
    """The files and folders that a job reads, and those that it writes, resolved; names of other things are not."""
    reads: list[Path] = []
    writes: list[Path] = []
    for name, field in type(job).model_fields.items():
        if is_output(field, name):
            writes += _paths_in(getattr(job, name))
        elif is_input(field, name):
            reads += [path for path in _paths_in(getattr(job, name)) if holds_paths(field.annotation) or path.is_file()]
        elif "file_or_name" in cli_settings(field) or name in _CHARACTERS:
            reads += [path for path in _paths_in(getattr(job, name)) if path.exists()]
    return reads, writes


def _paths_in(value: Any) -> list[Path]:
    if isinstance(value, list):
        return [path for item in value for path in _paths_in(item)]
    if isinstance(value, str) and len(value) < LONGEST_PATH:
        value = Path(value.rpartition(":")[2] or value)  # a character may be SOURCE:FILE
    return [value.resolve()] if isinstance(value, Path) else []


def read_values(path: Path, most: int = LARGEST_JOB_FILE) -> dict[str, Any]:
    """The keys of a job file of at most so many bytes; the suffix tells JSON from TOML.

    Raises:
        InputError: it cannot be read, is larger, or neither TOML nor JSON.
    """
    kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
    try:
        if path.stat().st_size > most:
            raise InputError(f"{path.stat().st_size} bytes", path=path, expected=f"a job file of at most {most} bytes")
        text = path.read_text(encoding="utf-8-sig")  # some programs of Windows begin a file with a mark
        values = _parsed_json(text) if kind == "JSON" else tomllib.loads(text)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, expected=f"a {kind} job file") from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", path=path, expected=f"a {kind} job file") from None
    except (ValueError, RecursionError) as error:
        example = '{"verb": "talk", ...}' if kind == "JSON" else 'lines such as verb = "talk"'
        raise InputError(f"is not {kind}: {error}", path=path, expected=example) from None
    if not isinstance(values, dict):
        raise InputError("is not a JSON object", path=path, expected='{"verb": "talk", ...}')
    return values


def _parsed_json(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number that JSON has")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The keys of an object; TOML refuses a key that is given twice, so JSON jobs do too."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(name for name in names if names.count(name) > 1)}' is given twice")
    return values


def holds_paths(annotation: Any) -> bool:
    """Whether the values of a field are paths, or lists of them."""
    return annotation is Path or any(holds_paths(arm) for arm in typing.get_args(annotation))


def _names_file(field: FieldInfo, folder: Path, value: Any) -> bool:
    """Whether a field that takes a text or name, or else a file, was given the path of a file that is there."""
    takes_both = not {"file_or_text", "file_or_name"}.isdisjoint(cli_settings(field))
    return takes_both and isinstance(value, str) and len(value) < LONGEST_PATH and (folder / value).is_file()


def _anchored_character(name: str, folder: Path) -> str:
    """The name of a character; a file or folder in it that lies beside the job file is named from there."""
    source, colon, place = name.rpartition(":")
    return f"{source}{colon}{folder / place}" if place and (folder / place).exists() else name


def _anchored(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_anchored(item, folder) for item in value]
    return str(folder / value) if isinstance(value, str) else value
