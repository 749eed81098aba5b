# SPDX-License-Identifier: Apache-2.0
"""Jobs of many shots: a TOML or JSON file of steps (verbs with their options), done for every shot.

name = "dailies"
shots = "shots.csv"                  # or [[shots]] tables, or none: the files of a pattern are the shots

[[steps]]
name = "speak"
verb = "talk"
audio = "voices/*.wav"               # a shot for each file, called by its name without the suffix
output = ["takes/{shot}.take.npz"]   # {shot} and every column of the table

[[steps]]
name = "film"
verb = "render"
after = ["speak"]                    # seen by itself, for what this step reads is what "speak" writes
scene = "hero.blend"
take = "takes/{shot}.take.npz"
output = ["films/{shot}.mp4"]
chunk = 100                          # frames a chunk; without it the verb's usual number

A file with ``verb = ...`` alone is a job of one step. Paths are relative to the job file.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ConfigDict, Field

from hyoid.errors import InputError, UsageError
from hyoid.verbs.job import JobModel, environment_defaults

SHOT = "shot"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")
_PLACE = re.compile(r"\{([^{}]*)\}")
_PATTERN = re.compile(r"[*?\[]")
_LONGEST_NAME = 120
_MOST_SHOTS = 1_000_000
_OWN = ("name", "verb", "after", "chunk")
_LARGEST_TABLE = 256 << 20


class StepModel(JobModel):
    """A step as the file gives it: what is not a key of ours is an option of the verb."""

    model_config = ConfigDict(**{**JobModel.model_config, "extra": "allow"})

    verb: str
    name: str | None = None
    after: list[str] | None = None
    chunk: int | None = Field(None, ge=1)


class JobListModel(JobModel):
    """A job file of steps."""

    name: str | None = None
    folder: str | None = None
    shots: str | list[dict[str, Any]] | None = None
    chunk: int | None = Field(None, ge=1)
    steps: list[StepModel] = Field(min_length=1)


@dataclass(frozen=True)
class Step:
    """A verb and its options, before the places in braces are filled in.

    Attributes:
        after: names of steps whose outputs this one needs, as far as the file tells. chunk: frames, or None.
    """

    name: str
    verb: str
    values: Mapping[str, Any]
    after: tuple[str, ...]
    chunk: int | None


@dataclass(frozen=True)
class JobList:
    """All steps and shots.

    Attributes:
        path: the file. home: the folder that paths are relative to. folder: where parts and records lie.
        shots: what stands in braces, for each shot; ``shot`` is its name.
    """

    name: str
    path: Path
    home: Path
    folder: Path
    shots: tuple[Mapping[str, str], ...]
    steps: tuple[Step, ...]


def read(path: Path) -> JobList:
    """The steps and shots of a job file.

    Raises:
        InputError: file or table cannot be read, or a pattern matches nothing.
        UsageError: an unknown verb, option, step or place in braces; two shots or steps of one name.
    """
    from hyoid.cli import validate
    from hyoid.verbs import run

    values = run.read_values(path)
    if "steps" not in values:
        own = {name: values.pop(name) for name in ("name", "folder", "shots", "chunk") if name in values}
        values = {**own, "steps": [values]}
    if isinstance(values["steps"], list) and not all(isinstance(step, dict) for step in values["steps"]):
        raise UsageError("'steps' holds something else than steps", path=path, expected="[[steps]] tables")
    model = validate(JobListModel, values, as_options=False, path=path)
    assert isinstance(model, JobListModel)
    home = path.resolve().parent
    name = model.name or path.stem
    steps = _steps(model, path)
    shots, steps = _shots(model, steps, home, path)
    folder = home / (model.folder or f"{slug(name)}.farm")
    return JobList(name, path, home, folder, shots, steps)


def is_pattern(verb: str, option: str, value: Any, path: Path) -> bool:
    """Whether what a job file gives an option is a pattern of files.

    A transcript may hold a question mark: where a text or a file may stand, a pattern has to match files.
    """
    from hyoid.cli import load_verb
    from hyoid.verbs import run

    if not isinstance(value, str) or not _PATTERN.search(value) or "\n" in value or verb not in run.RUNNABLE:
        return False
    field, home = load_verb(verb).Job.model_fields.get(option), path.resolve().parent
    if field is None or not run.is_input(field, option) or (home / value).exists():
        return False
    return run.holds_paths(field.annotation) or bool(glob.glob(value, root_dir=home, recursive=True))


def is_list(path: Path) -> bool:
    """Whether a file is a job of steps or shots, or has a pattern of files, and not the job of one verb alone.

    Raises:
        InputError: it cannot be read.
    """
    from hyoid.verbs import run

    values = run.read_values(path)
    verb = str(values.get("verb"))
    return bool({"steps", "shots"} & values.keys()) or any(
        is_pattern(verb, name, value, path) for name, value in values.items()
    )


def filled(step: Step, shot: Mapping[str, str], path: Path) -> dict[str, Any]:
    """The options of a step for one shot; one whose text is the place of an empty cell is left out.

    Raises:
        UsageError: a place that no column fills.
    """

    def text(value: str) -> str:
        def put(found: re.Match[str]) -> str:
            if found[1] not in shot:
                known = ", ".join(f"{{{name}}}" for name in shot)
                raise UsageError(f"step '{step.name}' has {found[0]}", path=path, expected=f"one of {known}")
            return shot[found[1]]

        return _PLACE.sub(put, value)

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, list):
            return [item for item in map(fill, value) if item != ""]
        return {key: fill(item) for key, item in value.items()} if isinstance(value, dict) else value

    found = {name: fill(value) for name, value in step.values.items()}
    return {name: value for name, value in found.items() if value != "" or step.values[name] == ""}


def slug(name: str) -> str:
    """A name as that of a file on every system: letters, digits, ``_`` and ``-`` stay, others are spelt in hex."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else f"%{ord(c):x}." for c in name)
    if len(plain) <= _LONGEST_NAME:
        return plain
    return f"{plain[:_LONGEST_NAME]}%{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _steps(model: JobListModel, path: Path) -> tuple[Step, ...]:
    from hyoid.cli import load_verb
    from hyoid.verbs.run import RUNNABLE

    found: list[Step] = []
    for number, given in enumerate(model.steps, 1):
        if given.verb not in RUNNABLE:
            expected = f"verb = one of {', '.join(RUNNABLE)}"
            raise UsageError(f"step {number}: '{given.verb}' is not a verb that a job can run", path=path,
                             expected=expected)  # fmt: skip
        name = given.name or given.verb.replace(" ", "_")
        if any(step.name == name for step in found):
            hint = "Give each step a name of its own"
            raise UsageError(f"two steps are called '{name}'", path=path, hint=hint)
        for other in given.after or ():
            if all(step.name != other for step in found):
                earlier = ", ".join(step.name for step in found) or "nothing: it is the first step"
                raise UsageError(f"step '{name}' comes after '{other}'", path=path, expected=f"one of {earlier}")
        own = load_verb(given.verb).Job
        options = {**environment_defaults(given.verb, own), **(given.model_extra or {})}
        fields = own.model_fields
        unknown = next((key for key in options if key not in fields), None)
        if unknown is not None:
            raise UsageError(
                f"step '{name}' has the unknown option '{unknown}'", path=path,
                expected=f"one of {', '.join((*_OWN, *fields))}",
            )  # fmt: skip
        found.append(Step(name, given.verb, options, tuple(given.after or ()), given.chunk or model.chunk))
    return tuple(found)


# --- shots ------------------------------------------------------------------------------------------------------------


def _shots(
    model: JobListModel, steps: tuple[Step, ...], home: Path, path: Path
) -> tuple[tuple[Mapping[str, str], ...], tuple[Step, ...]]:
    """The shots, and the steps with the place of a file where they had a pattern."""
    if model.shots is not None:
        rows = _table(home / model.shots) if isinstance(model.shots, str) else list(model.shots)
        return _named(rows, path), steps
    patterns = [
        (number, key, value)
        for number, step in enumerate(steps)
        for key, value in step.values.items()
        if is_pattern(step.verb, key, value, path)
    ]
    if not patterns:
        return ({SHOT: slug(model.name or path.stem)},), steps
    if len({value for _, _, value in patterns}) > 1:
        told = " and ".join(f"'{value}'" for _, _, value in patterns[:2])
        raise UsageError(f"has the patterns {told}", path=path, expected="one pattern, or a table of shots")
    pattern = patterns[0][2]
    files = sorted(glob.glob(pattern, root_dir=home, recursive=True))
    if not files:
        raise InputError(f"no file matches '{pattern}'", path=path, expected=f"files in {home}")
    names = [PurePosixPath(Path(file).as_posix()).name.split(".")[0] for file in files]
    column = _free("file", steps)
    rows = [{SHOT: name, column: Path(file).as_posix()} for name, file in zip(names, files, strict=True)]
    changed = list(steps)
    for number, key, _ in patterns:
        step = changed[number]
        changed[number] = Step(step.name, step.verb, {**step.values, key: f"{{{column}}}"}, step.after, step.chunk)
    return _named(rows, path), tuple(changed)


def _free(name: str, steps: Sequence[Step]) -> str:
    used = {found for step in steps for value in step.values.values() if isinstance(value, str)
            for found in _PLACE.findall(value)}  # fmt: skip
    return name if name not in used else _free(f"{name}_", steps)


def _table(path: Path) -> list[dict[str, Any]]:
    """The rows of a table of shots, .csv or .toml."""
    from hyoid.verbs import run

    if path.suffix.lower() in (".toml", ".json"):
        rows = run.read_values(path).get("shots")
        if not isinstance(rows, list):
            raise InputError("holds no shots", path=path, expected="[[shots]] tables")
        return rows
    try:
        if path.stat().st_size > _LARGEST_TABLE:
            raise InputError(f"{path.stat().st_size} bytes", path=path, expected="a table of at most 256 MiB")
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text), strict=True, restkey=""))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, expected="a .csv or .toml of shots") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"is no table: {error}", path=path, expected="UTF-8 text with commas") from None
    for number, row in enumerate(rows, 2):
        if "" in row or None in row.values():
            raise InputError(f"line {number} has another number of cells than the head", path=path)
    return rows


def _named(rows: Sequence[Any], path: Path) -> tuple[Mapping[str, str], ...]:
    """Rows as texts, each with a name of its own."""
    if not rows:
        raise InputError("has no shots", path=path, expected="one or more")
    if len(rows) > _MOST_SHOTS:
        raise InputError(f"has {len(rows)} shots", path=path, expected=f"at most {_MOST_SHOTS}")
    found: dict[str, Mapping[str, str]] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not str(row.get(SHOT, "")).strip():
            raise InputError(f"shot {number} has no name", path=path, expected=f"a column or key '{SHOT}'")
        wrong = next((key for key in row if not _NAME.match(str(key))), None)
        if wrong is not None:
            raise InputError(f"a column is called '{wrong}'", path=path, expected="letters, digits and _")
        shot = {str(key): str(value).strip() for key, value in row.items()}
        name = shot[SHOT]
        if "/" in name or "\\" in name or name in (".", ".."):
            raise InputError(f"a shot is called '{name}'", path=path, expected="a name without slashes")
        if name in found:
            raise InputError(
                f"two shots are called '{name}'", path=path, expected="a name for each",
                hint="Name them in a table: shots = \"shots.csv\"",
            )  # fmt: skip
        found[name] = shot
    return tuple(found.values())
