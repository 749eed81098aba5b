# SPDX-License-Identifier: Apache-2.0
"""What ``hyoid train semiuhpe`` and ``hyoid train directmhp`` share: options, renders, quality, the card."""

from __future__ import annotations

import contextlib
import importlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hyoid.report import Report
from hyoid.verbs import training
from hyoid.verbs.job import CLI

if TYPE_CHECKING:
    import numpy as np

    from hyoid.synthetic.render_store import Renders, RenderSet

JUDGES = 7_000_000  # seed of the renders that weights are judged by, whatever they learned from
DOMAINS = ("usual", "shifted")
NUMBERS = ("mean", "median", "front", "side", "back")
_CREDIT = "Bundled human and its clothes and hair: CC0."
_OF_THE_DATA = (
    "No photograph was used: people, hair, garments, lights, cameras, noise and compression are made up, from the "
    "bundled human (CC0)"
)
_FOREIGN = "They went on from weights with these terms; what they learned here are renders of the bundled human (CC0)"
_OF_A_START = ("data", "recipe", "semi_recipe", "start")
_LIMITS = (
    "A starter model. It has seen renders alone, and what judged it here are renders too: expect it to err by more on "
    "photographs, above all where hair, hats, hands or the dark hide the head, and on heads of few pixels. How far it "
    "carries to photographs is measured by `hyoid bench headpose`, not told here. It was not made to tell who somebody "
    "is, and cannot."
)


class Options(training.Options):
    """What a training from renders of heads is told."""

    preset: Literal["cpu", "gpu"] = Field(
        "cpu", description="cpu: about an hour of one core, and one more for the renders; gpu: larger, about 20 minutes"
    )
    start: Path | None = Field(
        None, description="weights to go on from, of ours or published; the network is theirs, and so are their terms",
        json_schema_extra={CLI: {"file": "read"}},
    )  # fmt: skip
    workers: int = Field(
        1, ge=0, le=256, description="processes that render beside the training; 0 renders in between, on one core"
    )
    cache: Path | None = Field(
        None, description="keep the renders in this folder, and take those that are there",
        json_schema_extra={CLI: {"file": "folder"}},
    )  # fmt: skip


@dataclass(frozen=True)
class Lesson:
    """What there is to learn from and where.

    Attributes:
        renders: of all sets. note: data, credits and licence. device: of torch. begun: seconds of a clock that only
            goes forward. report: of the training; tells the renders too.
    """

    renders: Renders
    note: dict[str, Any]
    device: str
    begun: float
    report: Report


@dataclass(frozen=True)
class Judged:
    """A model as its file holds it.

    Attributes:
        name: as in ``hyoid train NAME``. size: told in the card. steps: of all stages. seen: how many pictures.
        quality: of each domain ``heads`` and the numbers of ``ours`` and ``mean pose``. remarks: lines of the card
            below the table.
    """

    name: str
    model: Any
    size: str
    steps: int
    seen: int
    quality: dict[str, Any]
    remarks: Sequence[str]


def judges(kind: Literal["crops", "scenes"], settings: Any, count: int, step: int) -> list[RenderSet]:
    """Renders of people that are never learned from, of both domains; they are made last, for the end of a training."""
    from hyoid.synthetic.render_store import RenderSet

    return [
        RenderSet(
            f"{kind}_judging_{domain}", kind, JUDGES, replace(settings, held_out=True, domain=domain), count, step, step
        )
        for domain in DOMAINS
    ]  # fmt: skip


def start_of(job: Options, system: str) -> Any:
    """The model that a training goes on from, or None.

    Raises:
        WeightsError: the file holds none of this system. MissingToolError: torch is not there.
    """
    if job.start is None:
        return None
    from hyoid.training import torch_or_error

    torch_or_error()
    return importlib.import_module(f"hyoid.systems.{system}.checkpoint").load(job.start)


@contextlib.contextmanager
def lesson(
    job: Options, learned: Sequence[RenderSet], judged: Sequence[RenderSet], start: Any, report: Report
) -> Iterator[Lesson]:
    """The renders of a training, with the job's threads; at the end all processes are gone.

    Args:
        start: the model to go on from, or None.

    Raises:
        InputError: the cache holds other renders. MissingToolError: torch, the GPU that was asked for, or OpenGL is not
        there. OutputError: an output or the cache cannot be written.
    """
    from hyoid.synthetic.render_store import Renders

    begun = time.monotonic()
    training.check_outputs(job)
    device = training.device_of(job.device)
    told = [0.0]

    def emit(event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            told[0] = event["fraction"]
            event = {**event, "what": f"{event['what']}, {renders.told()}"}
        report.emit(event)

    def waiting(what: str) -> None:
        report.emit({"event": "progress", "fraction": told[0], "what": what})

    renders = Renders([*learned, *judged], workers=job.workers, cache=job.cache, waiting=waiting)
    with training.threads(job.threads), renders:
        yield Lesson(renders, note_of(learned, start), device, begun, replace(report, emit=emit))


def note_of(learned: Sequence[RenderSet], start: Any = None) -> dict[str, Any]:
    """Data, credits and licence, as the weights carry them; a training of other data or from others has another note.

    Args:
        start: the model that is gone on from: what comes of it stands under its licence.
    """
    from hyoid.synthetic.render_store import told

    data = {of.name: {**told(of), "count": of.count, "opens": of.opens, "closes": of.closes} for of in learned}
    note = {"data": data, "credits": [_CREDIT], "licence": training.LICENCE}
    if start is None:
        return note
    before = {name: start.note[name] for name in _OF_A_START if name in start.note}
    return {
        **note, "licence": start.licence, "credits": list(dict.fromkeys([*start.note.get("credits", []), _CREDIT])),
        "start": {"sha256": start.digest, **before},
    }  # fmt: skip


def degrees(found: np.ndarray, truth: np.ndarray) -> dict[str, float | None]:
    """Mean and median degrees between rotations (n, 3, 3), means of fronts, sides and backs; None of nothing."""
    from hyoid.synthetic import head_scores

    errors = head_scores.by_region(found, truth)
    numbers = {"mean": errors["all"].mean, "median": errors["all"].median}
    return rounded({**numbers, **{name: errors[name].mean for name in head_scores.REGIONS}}, 2)


def rounded(numbers: Mapping[str, float], digits: int) -> dict[str, float | None]:
    """Numbers for a note; None where there is none."""
    return {name: round(value, digits) if math.isfinite(value) else None for name, value in numbers.items()}


def finish(job: Options, lesson: Lesson, judged: Judged, save: Any) -> dict[str, Any]:
    """Write the weights with their quality in the note, and their card; remove the state.

    Args:
        save: takes a path and a model.

    Returns:
        ``outputs``; ``validation``: see ``Judged.quality``; ``seconds``.

    Raises:
        OutputError: the files cannot be written.
    """
    model = replace(judged.model, note={**lesson.note, **judged.model.note, "validation": judged.quality})
    judged = replace(judged, model=model)
    outputs = training.write(job, model, save, card(job, lesson, judged))
    return {"outputs": outputs, "validation": judged.quality, "seconds": round(time.monotonic() - lesson.begun, 1)}


def card(job: Options, lesson: Lesson, judged: Judged) -> str:
    """What the weights are: licence, data, compute, quality, and what they cannot do."""
    note = judged.model.note
    count = sum(array.size for array in judged.model.parameters.values())
    rows = [
        f"| {domain} | {name} | " + " | ".join(number(told[name][which]) for which in NUMBERS) + " |"
        for domain, told in judged.quality.items()
        for name in ("ours", "mean pose")
    ]
    heads = " and ".join(f"{told['heads']} {domain}" for domain, told in judged.quality.items())
    about = _OF_THE_DATA if note["licence"] == training.LICENCE else _FOREIGN
    lines = [
        f"# {job.output.stem}: {judged.size}", "",
        f"- Licence of the weights: {note['licence']}. {about}.",
        f"- Credits: {' '.join(note['credits'])}",
        *([f"- Went on from weights of SHA-256 {note['start']['sha256'][:16]}"] if "start" in note else []),
        f"- Learned from: {_data(note['data'])}",
        f"- {count} parameters; {judged.steps} steps, {judged.seen} pictures seen; seed {job.seed}, "
        f"{job.threads} thread{'s' * (job.threads > 1)}, {lesson.device}, products in {note['recipe']['precision']}; "
        "stored as float16",
        f"- Made again by: `{command(job, judged)}`", "",
        f"Degrees between true and told directions of {heads} heads of people, hair, garments and backgrounds that "
        "were not learned from; `shifted` are other lights, lenses, colours and backgrounds. A front is within 60 "
        "degrees of yaw, a back beyond 120. The mean pose is one answer for all, the mean of what was learned from.",
        "",
        "| renders | | mean | median | front | side | back |", "|---|---|---|---|---|---|---|", *rows, "",
        *(f"- {remark}" for remark in judged.remarks), "", _LIMITS,
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def command(job: Options, judged: Judged) -> str:
    """The command line that trains the same again, without folders of this machine."""
    words = []
    for name in ("crops", "scenes"):
        if name in type(job).model_fields:
            words.append(f"--{name} {judged.model.note['data'][name]['count']}")
    sides = getattr(job, "sides", 0)
    words += [f"--sides {sides}"] if sides else []
    words += ["--motion FOLDER"] if getattr(job, "motion", None) else []
    words += [f"--start {job.start.name}"] if job.start else []
    depth = getattr(job, "depth", None)
    words += [f"--depth {depth}"] if depth else []
    words += ["--calm"] if getattr(job, "calm", False) else []
    recipe = {**judged.model.note["recipe"], "steps": judged.steps}
    return training.command(judged.name, job, recipe, *words)


def _data(data: Mapping[str, Any]) -> str:
    """The renders that were learned from."""
    told = []
    for of in data.values():
        size = of["settings"]
        pixels = f"{size['size']} pixels" if of["kind"] == "crops" else f"{size['width']} x {size['height']} pixels"
        kind = of["kind"] if size["domain"] == "usual" else f"{of['kind']} without labels, of a shifted domain,"
        seen = f", seen from the {size['region']}" if size.get("region") else ""
        told.append(f"{of['count']} {kind} of {pixels}{seen}")
    return "; ".join(told)


def number(value: float | None) -> str:
    """Degrees for a card; a dash where there are none."""
    return "-" if value is None else f"{value:.1f}"


def show(result: dict[str, Any]) -> str:
    """The files and the quality."""
    told = [
        f"{domain}, {name}: mean {number(found[name]['mean'])}, median {number(found[name]['median'])} degrees"
        for domain, found in result["validation"].items()
        for name in ("ours", "mean pose")
    ]
    return "\n".join([*result["outputs"], *told])
