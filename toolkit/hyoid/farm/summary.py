# SPDX-License-Identifier: Apache-2.0
"""What became of a job: per step and shot, from its folder; how fast it was; what it will cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyoid.errors import PartialError
from hyoid.farm import records
from hyoid.farm.local import Done
from hyoid.farm.plan import Plan, Task, Unit
from hyoid.farm.tasks import state
from hyoid.files import cache_folder, write_bytes

REPORT = "report.json"
DONE, PARTLY, FAILED, WAITING = "done", "some frames failed", "failed", "waiting"


@dataclass(frozen=True)
class Status:
    """A unit as its job's folder shows it.

    Attributes:
        state: one of the four words. chunks: how many are done, how many there are. exit_code, error: of what failed.
        failed: frames or pictures that failed. outputs: files, relative to the job's home.
    """

    unit: Unit
    state: str
    chunks: tuple[int, int]
    exit_code: int = 0
    error: str = ""
    failed: tuple[Mapping[str, Any], ...] = ()
    outputs: tuple[str, ...] = ()


def statuses(plan: Plan, told: Callable[[float], None] = lambda share: None) -> list[Status]:
    """Every unit of a plan, from the records in its folder."""
    found = []
    for row, unit in enumerate(plan.units):
        told(row / len(plan.units))
        found.append(_status(plan, unit, plan.tasks_of(row)))
    return found


def _status(plan: Plan, unit: Unit, tasks: Sequence[Task]) -> Status:
    states = [state(plan, task) for task in tasks]
    size = len(unit.chunks)
    done = sum(word == "done" for word, _ in states[:size])
    errors = [facts for word, facts in states if word == "failed"]
    if errors:
        return Status(unit, FAILED, (done, size), int(errors[0]["exit_code"]), str(errors[0]["error"]))
    word, facts = states[-1]
    if word != "done":
        return Status(unit, WAITING, (done, size))
    failed = tuple(facts.get("failed", ()))
    code = int(facts.get("exit_code", 0)) or (PartialError.exit_code if failed else 0)
    return Status(unit, PARTLY if code else DONE, (done, size), code, "", failed, tuple(facts["outputs"]))


def told(plan: Plan, found: Sequence[Status]) -> dict[str, Any]:
    """The result of a job: counts per step, what failed and why, and how a command that did it ends.

    Returns:
        ``job``, ``folder``, ``steps`` (name to counts, frames and chunks), ``failed`` (shot, step, state, exit code,
        error, frames), ``exit_code``: 0, 7 where something failed and something else did not, else the code of what
        failed first.
    """
    steps: dict[str, Any] = {}
    for name in plan.steps:
        own = [status for status in found if status.unit.step == name]
        count = Counter(status.state for status in own)
        steps[name] = {
            "verb": own[0].unit.verb, "shots": len(own), "done": count[DONE], "partly": count[PARTLY],
            "failed": count[FAILED], "waiting": count[WAITING], "frames": sum(one.unit.frames or 0 for one in own),
            "chunks": sum(max(len(one.unit.chunks), 1) for one in own),
        }  # fmt: skip
    bad = [status for status in found if status.state in (PARTLY, FAILED)]
    return {
        "job": plan.name, "folder": str(plan.folder), "steps": steps,
        "failed": [
            {
                "shot": one.unit.shot, "step": one.unit.step, "state": one.state, "exit_code": one.exit_code,
                "error": one.error, "frames": list(one.failed),
            }
            for one in bad
        ],
        "exit_code": exit_code(found),
    }  # fmt: skip


def exit_code(found: Sequence[Status]) -> int:
    """How a command ends whose job is like this."""
    codes = {status.exit_code for status in found if status.exit_code}
    if not codes:
        return 0
    if len(codes) == 1 and not any(status.state in (DONE, PARTLY) for status in found):
        return codes.pop()
    return PartialError.exit_code


def close(plan: Plan, done: Done, workers: int) -> dict[str, Any]:
    """The result of a command that did a job: :func:`told` and what was done now; ``report.json`` is written.

    Raises:
        OutputError: the job's folder cannot be written.
    """
    found = statuses(plan)
    measured = rates(plan, done)
    keep_rates(measured)
    count = Counter(outcome.ended for outcome in done.outcomes.values())
    more = {
        "tasks": count.total(), "done_now": count["done"], "skipped": count["skipped"], "workers": workers,
        "seconds": round(done.seconds, 3), "measured": measured,
    }  # fmt: skip
    path = write_report(plan, found, more)
    return {"kind": "list", **told(plan, found), **more, "report": str(path)}


def write_report(plan: Plan, found: Sequence[Status], more: Mapping[str, Any]) -> Path:
    """Write ``report.json`` into the job's folder: the result and every unit."""
    units = [
        {
            "shot": one.unit.shot, "step": one.unit.step, "verb": one.unit.verb, "state": one.state,
            "frames": one.unit.frames, "chunks": list(one.chunks), "exit_code": one.exit_code, "error": one.error,
            "failed": list(one.failed), "outputs": list(one.outputs),
        }
        for one in found
    ]  # fmt: skip
    path = plan.folder / REPORT
    values = {**told(plan, found), **more, "units": units}
    write_bytes(path, json.dumps(values, indent=1, default=str).encode() + b"\n")
    return path


def table(result: Mapping[str, Any]) -> str:
    """A line for each step, then one for each thing that failed."""
    head = ("step", "verb", "shots", "done", "failed", "waiting", "frames")
    rows = [
        (name, one["verb"], one["shots"], one["done"], one["failed"] + one["partly"], one["waiting"], one["frames"])
        for name, one in result["steps"].items()
    ]
    texts = [tuple(map(str, row)) for row in (head, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) if column < 2 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in texts
    ]  # fmt: skip
    for one in result["failed"]:
        frames = f"{len(one['frames'])} frames or pictures" if one["frames"] else ""
        lines.append(f"failed: {one['shot']} {one['step']}: {one['error'] or frames}")
    return "\n".join(lines)


# --- how fast ---------------------------------------------------------------------------------------------------------


def rates(plan: Plan, done: Done) -> dict[str, dict[str, float]]:
    """Of each verb, what was measured: frames of its chunks or wholes, tasks, and seconds of work of one worker."""
    found: dict[str, dict[str, float]] = {}
    for task, outcome in done.outcomes.items():
        if outcome.ended == "done" and outcome.seconds:
            own = found.setdefault(plan.units[task.unit].verb, {"frames": 0, "units": 0, "seconds": 0.0})
            own["frames"] += task.end - task.first if task.kind != "finish" else 0
            own["units"] += task.kind != "chunk"
            own["seconds"] += outcome.seconds
    return found


def keep_rates(found: Mapping[str, Mapping[str, float]]) -> None:
    """Remember rates for later estimates, where the user's cache can be written."""
    import contextlib

    from hyoid.errors import OutputError

    known = known_rates()
    known.update({verb: dict(rate) for verb, rate in found.items() if rate["seconds"] > 0})
    with contextlib.suppress(OutputError):
        write_bytes(_rates_file(), json.dumps(known, indent=1, sort_keys=True).encode())


def known_rates() -> dict[str, dict[str, float]]:
    """What was measured on this machine before."""
    try:
        found = json.loads(_rates_file().read_text(encoding="utf-8"))
        return {
            verb: {name: float(rate[name]) for name in ("frames", "units", "seconds")} for verb, rate in found.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def estimate(plan: Plan, workers: int, known: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """What a plan would do and cost: per step tasks, frames and seconds of work; None where nothing was measured."""
    steps: dict[str, Any] = {}
    for name in plan.steps:
        own = [(row, unit) for row, unit in enumerate(plan.units) if unit.step == name]
        verb, frames = own[0][1].verb, sum(unit.frames or 0 for _, unit in own)
        rate = known.get(verb)
        seconds = None
        if rate is not None and frames and rate["frames"]:
            seconds = rate["seconds"] * frames / rate["frames"]
        elif rate is not None and rate["units"]:
            seconds = rate["seconds"] * len(own) / rate["units"]
        steps[name] = {
            "verb": verb, "shots": len(own), "tasks": sum(len(plan.tasks_of(row)) for row, _ in own),
            "frames": frames, "seconds": None if seconds is None else round(seconds, 1),
            "frames_per_second": round(rate["frames"] / rate["seconds"], 2) if rate and rate["frames"] else None,
        }  # fmt: skip
    known_all = all(step["seconds"] is not None for step in steps.values())
    total = sum(step["seconds"] for step in steps.values()) if known_all else None
    return {
        "job": plan.name, "folder": str(plan.folder), "workers": workers, "steps": steps, "work_seconds": total,
        "seconds": None if total is None else round(total / workers, 1),
    }  # fmt: skip


def show(result: Mapping[str, Any]) -> str:
    """What a command that did a job tells people."""
    last = f"{result['done_now']} tasks done, {result['skipped']} were done before, {result['seconds']:.1f} s"
    return "\n".join([table(result), last, result["report"]])


def show_estimate(result: Mapping[str, Any]) -> str:
    """A line for each step, and the sum."""
    lines = []
    for name, one in result["steps"].items():
        cost = (
            "not measured on this machine yet" if one["seconds"] is None else f"about {_time(one['seconds'])} of work"
        )
        rate = f" at {one['frames_per_second']:g} frames a second" if one["frames_per_second"] else ""
        lines.append(f"{name}: {one['verb']}, {one['shots']} shots, {one['tasks']} tasks, {one['frames']} frames: "
                     f"{cost}{rate}")  # fmt: skip
    if result["seconds"] is not None:
        lines.append(f"all: about {_time(result['seconds'])} with {result['workers']} workers")
    return "\n".join(lines)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _rates_file() -> Path:
    return cache_folder() / "rates.json"


def forget_failed(plan: Plan) -> None:
    """Let tasks with failed frames be done again, and what is made of them."""
    for row, status in enumerate(statuses(plan)):
        if status.state != PARTLY:
            continue
        for task in plan.tasks_of(row):
            if task.kind != "chunk" or (records.read(plan, task) or {}).get("failed"):
                records.forget(plan, task)
