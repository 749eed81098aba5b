# SPDX-License-Identifier: Apache-2.0
"""One task, from its record to its record: skipped where it is done, done, failed, or waiting for what it needs."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from hyoid import cancel
from hyoid.errors import Cancelled, HyoidError, InputError, OutOfMemoryError, PartialError
from hyoid.farm import records
from hyoid.farm.plan import Plan, Task, Unit
from hyoid.farm.splits import split_of
from hyoid.files import numbered, output_errors
from hyoid.report import SILENT, Report

Ended = Literal["done", "skipped", "failed", "blocked"]


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        exit_code: of its error or of what it needs, 7 where some frames failed, else 0. error: one line. failed: frames
            that failed. seconds: of work.
    """

    ended: Ended
    exit_code: int = 0
    error: str = ""
    failed: tuple[Mapping[str, Any], ...] = field(default=())
    seconds: float = 0.0


def perform(plan: Plan, task: Task, report: Report = SILENT, *, overwrite: bool = False) -> Outcome:
    """Do a task, unless it is done. What is wrong with its input is its outcome and stands in the job's folder.

    Args:
        overwrite: do it again where it was made of something else, or of the same.

    Raises:
        OutputError: the job's folder cannot be written. Cancelled: nothing is left of it.
    """
    unit, begun = plan.units[task.unit], time.monotonic()
    with _log(plan, task, report) as (told, say):
        try:
            with cancel.told():
                outcome = blocked(plan, task)
                if outcome is None:
                    outcome = _performed(plan, task, told, overwrite)
                else:
                    records.forgive(plan, task)  # an earlier try
        except MemoryError:
            error = OutOfMemoryError("out of memory", hint="Give the step smaller chunks, or the job fewer workers")
            outcome = _failed(plan, task, error)
        except HyoidError as error:
            outcome = _failed(plan, task, error)
        except Cancelled:
            say("cancelled")
            raise
        except Exception as error:  # noqa: BLE001  one shot's trouble, even a bug of ours, must not stop the others
            import traceback

            say(traceback.format_exc().rstrip())
            text = f"{type(error).__name__}: {error}"
            outcome = _failed(plan, task, HyoidError(text, hint="This is a bug of Hyoid; the log tells more"))
        outcome = replace(outcome, seconds=round(time.monotonic() - begun, 4))
        say(f"{unit.name}: {outcome.ended} after {outcome.seconds:.3f} s {outcome.error}".rstrip())
    return outcome


def state(plan: Plan, task: Task) -> tuple[Ended | None, dict[str, Any]]:
    """What the job's folder says of a task: ``done`` with its record, ``failed`` with the reason, or None.

    A task that was done, and failed when it was asked for again (its input has changed), is failed.
    """
    failure = records.failure(plan, task)
    if failure is not None:
        return "failed", failure
    record = records.read(plan, task)
    return (None, {}) if record is None else ("done", record)


def finished(plan: Plan, task: Task) -> bool:
    """Whether a task would be skipped: it is done, of the same inputs, and its files are there as they were made.

    A chunk without a record is not needed where the whole is there: it was cut otherwise, or its parts were removed.

    Raises:
        HyoidError: its options are not those of the verb.
    """
    known = records.read(plan, task)
    if known is None and task.kind == "chunk":
        task = plan.last_of(task.unit)
        known = records.read(plan, task)
    if known is None:
        return False
    unit = plan.units[task.unit]
    return _is_whole(plan, task, known, records.made_of(plan, unit, _job(plan, unit)))


def _is_whole(plan: Plan, task: Task, known: Mapping[str, Any], made_of: Mapping[str, str]) -> bool:
    """Whether a record is of what a task would be made of now, and its files are there."""
    return known["key"] == records.key_of(plan, task, made_of) and records.whole(plan, known)


def _performed(plan: Plan, task: Task, report: Report, overwrite: bool) -> Outcome:
    unit = plan.units[task.unit]
    job = _job(plan, unit)
    made_of = records.made_of(plan, unit, job)
    key = records.key_of(plan, task, made_of)
    known = records.read(plan, task)
    if known is None and task.kind == "chunk" and not overwrite:
        last = plan.last_of(task.unit)
        whole = records.read(plan, last)
        if whole is not None and _is_whole(plan, last, whole, made_of):
            return Outcome("skipped")
    if known is not None and not overwrite:
        if known["key"] != key:
            raise InputError(
                "was made of other inputs, options, weights or another version",
                path=records.place_of(plan, task).record,
                hint="Run again with --overwrite, or give the job another folder",
            )  # fmt: skip
        if records.whole(plan, known):
            records.forgive(plan, task)
            return Outcome("skipped", _code(known), failed=tuple(known.get("failed", ())))
        report.message("what was made is gone or was changed: it is made again")
    if task.kind == "chunk":
        return _chunk(plan, task, job, key, report)
    result = _finished(plan, task, job, report) if task.kind == "finish" else _whole(unit, job, report)
    failed = _failed_frames(plan, task, result)
    outputs = [Path(path) for path in _outputs(result)]
    facts = {"failed": list(failed), "exit_code": int(result.get("exit_code", 0))}
    records.write(plan, task, key, outputs, facts)
    return Outcome("done", facts["exit_code"], failed=failed)


def _job(plan: Plan, unit: Unit) -> Any:
    from hyoid.verbs import run

    return run.job_of(unit.verb, dict(unit.values), plan.home, plan.home)


def _chunk(plan: Plan, task: Task, job: Any, key: str, report: Report) -> Outcome:
    split, place = split_of(plan.units[task.unit].verb), records.place_of(plan, task)
    assert split is not None
    assert place.part is not None
    result = split.work(job, task.first, task.end, place.part, report)
    failed = tuple(result.get("failed", ()))
    records.write(plan, task, key, [place.part], {"failed": list(failed)})
    return Outcome("done", PartialError.exit_code if failed else 0, failed=failed)


def _finished(plan: Plan, task: Task, job: Any, report: Report) -> dict[str, Any]:
    split = split_of(plan.units[task.unit].verb)
    assert split is not None
    parts = []
    for chunk in plan.chunks_of(task.unit):
        part = records.place_of(plan, chunk).part
        assert part is not None
        record = records.read(plan, chunk)
        if record is None or not records.whole(plan, record):
            records.forget(plan, chunk)
            raise InputError("the part is missing or damaged", path=part, hint="Run the job again")
        parts.append(part)
    return split.finish(job, parts, report)


def _whole(unit: Unit, job: Any, report: Report) -> dict[str, Any]:
    from hyoid.cli import load_verb

    return load_verb(unit.verb).run(job, report)


def _outputs(result: Mapping[str, Any]) -> list[str]:
    """The files that a result tells; a pattern of pictures (``shot.####.png``) stands for those of its frames."""
    told = [*result.get("outputs", ()), *([result["output"]] if isinstance(result.get("output"), str) else [])]
    found = []
    for path in told:
        if "#" not in Path(path).name or Path(path).exists():
            found.append(path)
            continue
        numbers = range(result["first"], result["last"] + 1)
        found += [str(numbered(Path(path), number)) for number in numbers]
    return found


def _failed_frames(plan: Plan, task: Task, result: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Frames that failed: those of all chunks, or those that the verb tells."""
    if task.kind != "finish":
        told = result.get("failed", ())
        return tuple(told) if isinstance(told, list | tuple) else ()
    found: list[Mapping[str, Any]] = []
    for chunk in plan.chunks_of(task.unit):
        found += (records.read(plan, chunk) or {}).get("failed", ())
    return tuple(found)


def _code(record: Mapping[str, Any]) -> int:
    return int(record.get("exit_code", PartialError.exit_code if record.get("failed") else 0))


def blocked(plan: Plan, task: Task) -> Outcome | None:
    """The outcome of a task that cannot begin, because what it needs failed (exit code and error say how) or is not
    done yet (exit code 0); else None."""
    wanted = [plan.last_of(row) for row in plan.needs(task.unit)]
    if task.kind == "finish" and records.read(plan, task) is None:
        wanted += plan.chunks_of(task.unit)
    for other in wanted:
        ended, facts = state(plan, other)
        if ended == "done":
            continue
        deeper = blocked(plan, other) if ended is None else None
        if deeper is not None:
            return deeper
        why = facts.get("error") or "it is not done yet"
        return Outcome("blocked", int(facts.get("exit_code", 0)), f"needs {plan.units[other.unit].name}: {why}")
    return None


def _failed(plan: Plan, task: Task, error: HyoidError) -> Outcome:
    facts = {"exit_code": error.exit_code, "error": str(error)}
    records.fail(plan, task, facts)
    return Outcome("failed", error.exit_code, str(error))


@contextlib.contextmanager
def _log(plan: Plan, task: Task, report: Report) -> Iterator[tuple[Report, Any]]:
    """A report that also writes messages to the task's log, and what writes a line there."""
    path = records.place_of(plan, task).log
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a", encoding="utf-8")
    with stream:

        def say(text: str) -> None:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
            stream.flush()

        def emit(event: dict[str, Any]) -> None:
            if event["event"] == "message":
                say(f"{event['level']}: {event['text']}")
            elif event["event"] != "progress":
                say(json.dumps(event))
            report.emit(event)

        unit = plan.units[task.unit]
        frames = f" frames {task.first} to {task.end}" if task.kind == "chunk" else ""
        say(f"{unit.name}: {unit.verb}, {task.kind}{frames}")
        yield replace(report, emit=emit), say
