# SPDX-License-Identifier: Apache-2.0
"""From a job of steps and shots to tasks: which chunk of what has to be done, and what must be done before.

A unit is one step of one shot. One that can be split has a task for each chunk and one that finishes: it joins the
parts and writes the outputs. Any other unit is one task. Tasks of a step and kind have numbers from 0, in order of
shots and frames; the same job file and inputs give the same numbers on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from hyoid import held
from hyoid.errors import HyoidError, InputError, UsageError
from hyoid.farm import jobs
from hyoid.farm.jobs import SHOT, JobList, Step
from hyoid.farm.splits import Extent, split_of

Kind = Literal["whole", "chunk", "finish"]
FORMAT, VERSION = "hyoid-farm-plan", 1
_LARGEST = 1 << 30


@dataclass(frozen=True)
class Unit:
    """One step of one shot.

    Attributes:
        values: options of the verb, paths relative to the job's home. needs: steps whose outputs it reads.
        chunks: frames of each chunk; empty where the unit is done whole. frames: of the whole, None if not known.
    """

    step: str
    shot: str
    verb: str
    values: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    chunks: tuple[tuple[int, int], ...] = ()
    frames: int | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.shot} {self.step}"


@dataclass(frozen=True)
class Task:
    """Something that one worker does in one go.

    Attributes:
        unit: row in the plan's units. first, end: frames of a chunk, else 0 and the frames of the whole.
    """

    unit: int
    kind: Kind
    first: int = 0
    end: int = 0


@dataclass(frozen=True)
class Plan:
    """Everything that a job does.

    Attributes:
        home: the folder that paths are relative to. folder: where parts and records lie.
    """

    name: str
    home: Path
    folder: Path
    units: tuple[Unit, ...]

    @cached_property
    def steps(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(dict.fromkeys(unit.step for unit in self.units))

    @cached_property
    def rows(self) -> Mapping[tuple[str, str], int]:
        """The row of each step and shot."""
        return {(unit.step, unit.shot): row for row, unit in enumerate(self.units)}

    def tasks(self, step: str, kind: Literal["work", "finish"] = "work") -> list[Task]:
        """The tasks of a step that do the work (chunks and wholes), or those that finish; their places are numbers.

        Raises:
            UsageError: there is no such step.
        """
        if step not in self.steps:
            raise UsageError(f"there is no step '{step}'", expected=f"one of {', '.join(self.steps)}")
        rows = [row for row, unit in enumerate(self.units) if unit.step == step]
        return [task for row in rows for task in self.tasks_of(row) if (task.kind == "finish") == (kind == "finish")]

    def tasks_of(self, row: int) -> list[Task]:
        """The tasks of a unit, the one that finishes last."""
        return [*self.chunks_of(row), self.last_of(row)]

    def chunks_of(self, row: int) -> list[Task]:
        """The tasks of a unit that do its chunks; none where it is done whole."""
        return [Task(row, "chunk", first, end) for first, end in self.units[row].chunks]

    def last_of(self, row: int) -> Task:
        """The task of a unit that writes its outputs."""
        unit = self.units[row]
        return Task(row, "finish" if unit.chunks else "whole", 0, unit.frames or 0)

    def needs(self, row: int) -> list[int]:
        """Rows of the units that have to be done before."""
        unit = self.units[row]
        return [self.rows[step, unit.shot] for step in unit.needs if (step, unit.shot) in self.rows]


def read(path: Path) -> Plan:
    """The plan of a job file, or one that :func:`write` wrote.

    Raises:
        InputError, UsageError: see ``jobs.read``; two units that write the same file.
    """
    from hyoid.verbs import run

    if path.suffix.lower() == ".json":
        values = run.read_values(path, most=_LARGEST)
        if values.get("format") == FORMAT:
            return _stored(values, path)
    return make(jobs.read(path))


def make(job: JobList) -> Plan:
    """The plan of a job. Lengths come from the inputs: a unit whose input is still to be made is done whole."""
    with held.holding():  # weights that many shots name are read once
        units = _units(job)
    if not units:
        raise InputError("has nothing to do", path=job.path, expected="shots whose 'steps' name a step")
    return Plan(job.name, job.home, job.folder, tuple(units))


def _units(job: JobList) -> list[Unit]:
    """All units, in the order of the steps."""
    units: list[Unit] = []
    writers: dict[Path, tuple[str, str]] = {}
    for step in job.steps:
        for shot in job.shots:
            if not _asked(step, shot):
                continue
            unit, writes = _unit(job, step, shot, writers)
            for path in writes:
                if path in writers:
                    others = " of ".join(writers[path])
                    raise UsageError(f"is written by {step.name} of {shot[SHOT]} and by {others}", path=path,
                                     hint="Name outputs after the shot: {shot}")  # fmt: skip
                writers[path] = (step.name, shot[SHOT])
            units.append(unit)
    return units


def write(path: Path, plan: Plan) -> None:
    """Write a plan for workers elsewhere, which :func:`placed` fits to where its folders lie there.

    Raises:
        OutputError: see ``files.part_file``.
    """
    from hyoid.files import write_bytes

    units = [asdict(unit) for unit in plan.units]
    values = {
        "format": FORMAT, "version": VERSION, "name": plan.name, "home": str(plan.home), "folder": str(plan.folder),
        "units": units,
    }  # fmt: skip
    write_bytes(path, json.dumps(values, indent=0, sort_keys=True, default=str).encode())


def placed(plan: Plan, home: Path | None = None, folder: Path | None = None, device: str | None = None) -> Plan:
    """A plan as another machine sees it.

    Args:
        home, folder: where the two folders lie there; a folder below the home moves with it.
        device: where networks run (``cpu``, ``cuda``), for units that do not say so themselves.
    """
    where = plan.home if home is None else home.resolve()
    below = plan.folder.is_relative_to(plan.home)
    records = where / plan.folder.relative_to(plan.home) if below else plan.folder
    units = plan.units if device is None else tuple(_on_device(unit, device) for unit in plan.units)
    return replace(plan, home=where, folder=records if folder is None else folder.resolve(), units=units)


def identity(plan: Plan) -> str:
    """The same for two plans that do the same at the same place: SHA-256 of all of it."""
    return hashlib.sha256(json.dumps(asdict(plan), sort_keys=True, default=str).encode()).hexdigest()


def _on_device(unit: Unit, device: str) -> Unit:
    from hyoid.cli import load_verb

    if "device" in unit.values or "device" not in load_verb(unit.verb).Job.model_fields:
        return unit
    return replace(unit, values={**unit.values, "device": device})


def _stored(values: dict[str, Any], path: Path) -> Plan:
    try:
        if values["version"] != VERSION:
            raise InputError(f"is a plan of version {values['version']}", path=path, expected=f"version {VERSION}")
        units = tuple(
            Unit(
                unit["step"], unit["shot"], unit["verb"], unit["values"], tuple(unit["needs"]),
                tuple((int(first), int(end)) for first, end in unit["chunks"]), unit["frames"],
            )
            for unit in values["units"]
        )  # fmt: skip
        return Plan(values["name"], Path(values["home"]), Path(values["folder"]), units)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"is no sound plan: {error!r}", path=path, hint="Bundle the job again") from None


def _asked(step: Step, shot: Mapping[str, str]) -> bool:
    """Whether a shot takes part in a step: its column ``steps``, if there is one, names them."""
    return not shot.get("steps") or step.name in shot["steps"].replace(",", " ").split()


def _unit(
    job: JobList, step: Step, shot: Mapping[str, str], writers: Mapping[Path, tuple[str, str]]
) -> tuple[Unit, list[Path]]:
    """A unit, and the files that it writes."""
    from hyoid.verbs import run

    values = jobs.filled(step, shot, job.path)
    asked = run.job_of(step.verb, values, job.home, job.path)
    reads, writes = run.paths_of(asked)
    sources = [writers[path] for path in reads if path in writers]
    foreign = next((other for other, name in sources if name != shot[SHOT]), None)
    needs = dict.fromkeys([*step.after, *(other for other, name in sources if name == shot[SHOT])])
    if foreign is not None:
        raise UsageError(
            f"step '{step.name}' of {shot[SHOT]} reads what '{foreign}' makes of another shot", path=job.path,
            expected="outputs of the same shot",
        )  # fmt: skip
    extent = _extent(step, asked)
    chunks = [] if extent is None else extent.chunks(step.chunk)
    frames = None if extent is None else extent.frames
    whole = len(chunks) <= 1
    unit = Unit(step.name, shot[SHOT], step.verb, values, tuple(needs), () if whole else tuple(chunks), frames)
    return unit, writes


def _extent(step: Step, asked: Any) -> Extent | None:
    """What can be cut into chunks; None where the verb is done whole, or nobody knows how long its input will be."""
    split = split_of(step.verb)
    if split is None:
        return None
    try:
        return split.extent(asked)
    except HyoidError:
        return None  # an input that is still to be made, or one that cannot be used: its own task will say so
