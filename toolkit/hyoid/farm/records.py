# SPDX-License-Identifier: Apache-2.0
"""What is done: a record for each task, written last; and the key that says what a result was made of.

In a job's folder lie ``parts/STEP/SHOT/FIRST-END.part`` with ``FIRST-END.json`` beside each, ``done/STEP/SHOT.json``
for what is finished, ``failed/STEP/SHOT...json`` for what is not, and ``logs``. A record is the only sign of "done": it
holds the key (verb, options, inputs and weights by hash, version), and hashes of the files that were made. It says
nothing of time and place, so equal work has equal records. Tasks may be done twice, anywhere, in any order.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyoid import __version__
from hyoid.errors import InputError, OutputError
from hyoid.farm.jobs import slug
from hyoid.farm.plan import Plan, Task, Unit
from hyoid.files import sha256_of, write_note

FORMAT, VERSION = "hyoid-farm-record", 1
ABSENT = "absent"
_LARGEST = 64 << 20
_LARGE = 1 << 20  # bytes; smaller files are read as fast as a note about them


@dataclass(frozen=True)
class Place:
    """Where a task keeps what it makes.

    Attributes:
        part: of a chunk, else None. record: the sign of done. failure: why it is not. log: what was said.
    """

    part: Path | None
    record: Path
    failure: Path
    log: Path


def place_of(plan: Plan, task: Task) -> Place:
    """The files of a task in the job's folder."""
    unit = plan.units[task.unit]
    step, shot = slug(unit.step), slug(unit.shot)
    if task.kind != "chunk":
        own = f"{step}/{shot}"
        return Place(None, *(plan.folder / kind / f"{own}{end}" for kind, end in
                             (("done", ".json"), ("failed", ".json"), ("logs", ".log"))))  # fmt: skip
    name = f"{task.first:08d}-{task.end:08d}"
    home = plan.folder / "parts" / step / shot
    return Place(
        home / f"{name}.part", home / f"{name}.json", plan.folder / "failed" / step / f"{shot}.{name}.json",
        plan.folder / "logs" / step / f"{shot}.{name}.log",
    )  # fmt: skip


def key_of(plan: Plan, task: Task, made_of: Mapping[str, str]) -> str:
    """What a task's result follows from: verb, options, version, and everything it is made of by hash.

    Only a chunk's follows from its frames: what is finished is the same however it was cut.
    """
    unit = plan.units[task.unit]
    facts = {"verb": unit.verb, "values": unit.values, "hyoid": __version__, "made_of": made_of, **_range(task)}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def made_of(plan: Plan, unit: Unit, job: Any) -> dict[str, str]:
    """Inputs and weights of a unit by hash, under names that are the same on every machine.

    Args:
        job: of the unit, validated.
    """
    from hyoid.verbs import run

    reads, _ = run.paths_of(job)
    found: dict[str, str] = {}
    for number, path in enumerate(reads):
        name = relative(plan, path)
        found[f"{number} {path.name if Path(name).is_absolute() else name}"] = digest(plan, path)
    return found | {f"weights {path.name}": digest(plan, path) for path in _weights(unit.verb)}


def _range(task: Task) -> dict[str, Any]:
    return {"frames": [task.first, task.end]} if task.kind == "chunk" else {}


def relative(plan: Plan, path: Path) -> str:
    """A path as it stands in records: from the job's home where it lies below it."""
    path = path.resolve()
    return path.relative_to(plan.home).as_posix() if path.is_relative_to(plan.home) else path.as_posix()


def digest(plan: Plan, path: Path) -> str:
    """The SHA-256 of a file, or of a folder's names and files; ``absent`` where nothing is.

    Hashes of large files are kept in the job's folder as long as a file's size and time stay.
    """
    if path.is_dir():
        whole = hashlib.sha256()
        for below in sorted(path.rglob("*")):
            if below.is_file():
                whole.update(f"{below.relative_to(path).as_posix()}\0{digest(plan, below)}\n".encode())
        return whole.hexdigest()
    try:
        facts = path.stat()
    except OSError:
        return _kept_weights(path) or ABSENT
    if facts.st_size < _LARGE:
        return sha256_of(path)
    state = [facts.st_size, facts.st_mtime_ns]
    note = plan.folder / "hashes" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"
    known = _json(note)
    if known is not None and known.get("state") == state:
        return str(known["sha256"])
    found = sha256_of(path)
    write_note(note, json.dumps({"path": str(path), "state": state, "sha256": found}).encode())
    return found


def write(plan: Plan, task: Task, key: str, outputs: Iterable[Path], facts: Mapping[str, Any]) -> None:
    """Write the record of a task whose files are there.

    Raises:
        OutputError: a file is missing, or the record cannot be written.
    """
    files = {}
    for path in outputs:
        if not path.is_file():
            raise OutputError("was not written", path=path)
        files[relative(plan, path)] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    unit = plan.units[task.unit]
    record = {
        "format": FORMAT, "version": VERSION, "key": key, "verb": unit.verb, "shot": unit.shot, "step": unit.step,
        "values": unit.values, "hyoid": __version__, "outputs": files, **_range(task), **facts,
    }  # fmt: skip
    place = place_of(plan, task)
    write_note(place.record, json.dumps(record, indent=1, sort_keys=True, default=str).encode() + b"\n")
    place.failure.unlink(missing_ok=True)


def read(plan: Plan, task: Task) -> dict[str, Any] | None:
    """The record of a task, or None where there is none, or one that a crash of the machine has damaged."""
    record = _json(place_of(plan, task).record)
    return record if record is not None and record.get("format") == FORMAT else None


def whole(plan: Plan, record: Mapping[str, Any]) -> bool:
    """Whether the files of a record are there as they were made."""
    for name, facts in record["outputs"].items():
        path = plan.home / name
        if not path.is_file() or path.stat().st_size != facts["bytes"] or sha256_of(path) != facts["sha256"]:
            return False
    return True


def fail(plan: Plan, task: Task, facts: Mapping[str, Any]) -> None:
    """Write why a task is not done."""
    unit = plan.units[task.unit]
    told = {"shot": unit.shot, "step": unit.step, **_range(task), **facts}
    write_note(place_of(plan, task).failure, json.dumps(told, indent=1, sort_keys=True).encode() + b"\n")


def failure(plan: Plan, task: Task) -> dict[str, Any] | None:
    """Why a task is not done, if it was tried."""
    return _json(place_of(plan, task).failure)


def forget(plan: Plan, task: Task) -> None:
    """Let a task be done again."""
    place_of(plan, task).record.unlink(missing_ok=True)
    forgive(plan, task)


def forgive(plan: Plan, task: Task) -> None:
    """Forget why a task failed; what it may have made before stays."""
    place_of(plan, task).failure.unlink(missing_ok=True)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path.stat().st_size} bytes", path=path, expected="a record of at most 64 MiB")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _weights(verb: str) -> list[Path]:
    """The weights that came with Hyoid for a verb, and may be read where the job names none."""
    from hyoid import weights_store

    systems = [system for system in weights_store.SYSTEMS.values() if system.verb == verb]
    return [path for system in systems for path in weights_store.shipped(system)]


def _kept_weights(path: Path) -> str | None:
    """The hash of weights that a job names by the name under which they are kept (``hyoid weights list``)."""
    from hyoid import weights_store

    name = os.path.basename(path)
    return next((entry.sha256 for entry in weights_store.entries() if entry.name == name), None)
