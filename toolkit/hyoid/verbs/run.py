# SPDX-License-Identifier: Apache-2.0
"""``hyoid run JOB.toml``: any verb from a file that can be kept under version control, TOML or (``.json``) JSON.

verb = "talk"
audio = "voice.flac"          # paths are relative to the job file
output = ["out/voice.blend", "out/voice.glb"]
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
from hyoid.verbs.job import JobModel, cli_settings, positional

RUNNABLE = tuple(verb for verb in SUMMARIES if verb != "run")
LARGEST_JOB_FILE = 1 << 20
LONGEST_PATH = 255
_CHARACTERS = ("character", "model", "shapes")


class Job(JobModel):
    """A job file to run."""

    job: Path = Field(
        description="TOML or JSON file with `verb` and that verb's options", json_schema_extra=positional()
    )


def run(job: Job, report: Report) -> dict[str, Any]:
    """Read the job file and run its verb.

    Raises:
        InputError: the file is missing, or neither TOML nor JSON.
        UsageError: an unknown verb or option, or a value that the option does not take.
    """
    from hyoid.cli import load_verb

    verb, inner = read_job(job.job)
    return {"verb": verb, **load_verb(verb).run(inner, report)}


def show(result: dict[str, Any]) -> str:
    """What the verb itself would show."""
    from hyoid.cli import load_verb
    from hyoid.console import as_text

    values = dict(result)
    return getattr(load_verb(values.pop("verb")), "show", as_text)(values)


def read_job(path: Path) -> tuple[str, JobModel]:
    """The verb and the validated job of a TOML or JSON file; relative paths become relative to the file's folder."""
    from hyoid.cli import load_verb, validate

    values = _read(path)
    verb = values.pop("verb", None)
    if verb not in RUNNABLE:
        found = "has no 'verb'" if verb is None else f"'{verb}' is not a verb that a job can run"
        raise UsageError(found, path=path, expected=f"verb = one of {', '.join(RUNNABLE)}")
    model = load_verb(verb).Job
    for name, value in values.items():
        field = model.model_fields.get(name)
        folder = path.resolve().parent
        if field is not None and (_holds_paths(field.annotation) or _names_file(field, folder, value)):
            values[name] = _anchored(value, folder)
        elif name in _CHARACTERS and isinstance(value, str):
            values[name] = _anchored_character(value, folder)
    return verb, validate(model, values, as_options=False, path=path)


def _read(path: Path) -> dict[str, Any]:
    """The keys of a job file; the suffix tells JSON from TOML."""
    kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
    try:
        if path.stat().st_size > LARGEST_JOB_FILE:
            raise InputError(f"{path.stat().st_size} bytes", path=path, expected="a job file of at most 1 MiB")
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


def _holds_paths(annotation: Any) -> bool:
    return annotation is Path or any(_holds_paths(arm) for arm in typing.get_args(annotation))


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
