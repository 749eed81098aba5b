# SPDX-License-Identifier: Apache-2.0
"""``hyoid convert IN OUT...``: a take, bvh, glb or csv to every output type, cut, resampled, thinned, and from one
character to another on the way."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hyoid.report import Report
from hyoid.verbs.job import OutputOptions, positional

if TYPE_CHECKING:
    from hyoid.characters.character import Character
    from hyoid.characters.retarget import Retargeted
    from hyoid.take import CharacterReference, Take

RESULT = "files"


class Job(OutputOptions):
    """One performance, other formats."""

    source: Path = Field(
        description="performance to read: .take.npz, .bvh, .glb, .csv (also OpenFace's), or HACK's theta_list.npy",
        json_schema_extra=positional(),
    )
    outputs: list[Path] = Field(
        min_length=1, description="files to write; the type follows the suffix", json_schema_extra=positional()
    )
    character: str | None = Field(
        None, description="character that performs: curves and joints become its own; without it the take's own"
    )
    set: dict[str, float] | None = Field(
        None, description="identity settings such as age=0.6; without any the take's own"
    )
    part: Literal["full", "head"] | None = Field(None, description="whole body or head; without it the take's own")
    subdivision: int = Field(
        0, ge=0, le=2, description="levels of smoothing of the written mesh (4 times the points each)"
    )
    fps: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="frame rate of the result; without it that of the source (30 where a source states none)",
    )
    start: float = Field(0.0, ge=0, description="first second to keep")
    stop: float | None = Field(None, gt=0, description="second at which to stop; without it the end")
    curves: Literal["arkit", "ict", "hack", "expression"] = Field(
        "arkit",
        description="names of the facial curves: ARKit's, ICT-FaceKit's 53, HACK's 55, or FLAME's and SMPL-X's "
        "expression coefficients",
    )
    pairs: Literal["mean", "max"] = Field(
        "mean", description="what becomes of inner brows and cheeks of two sides, which ARKit has once"
    )
    tolerance: float | None = Field(
        None, gt=0, le=0.2, description="how close sparse keys keep the curves, in curve units; without it 0.01"
    )
    time: float | None = Field(None, ge=0, description="second that a .png shows; without it a telling one")
    sheet: bool = Field(False, description="a .png shows a contact sheet of telling moments")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Read the performance, edit it, write every output.

    Raises:
        UsageError: an unknown type, character or setting, or an empty piece.
        InputError: the source cannot be read.
        OutputError, MissingToolError: an output cannot be written.
    """
    from hyoid.verbs import outputs

    outputs.check_outputs(job.outputs)
    report.progress(0.0, f"reading {job.source.name}")
    found = read(job)
    if found.audio is not None:
        outputs.check_outputs(job.outputs, recording=Path(found.audio.path))
    # A piece of a take moves as the whole does: the joints of a neck follow what came before.
    target, moved = retargeted(found, job, report)
    take = edited(found if moved is None else moved.take, job)
    facts = {} if moved is None else {"character": take.character.name, "retarget": moved.table()}
    report.progress(0.1, "writing")
    written = outputs.export(
        target or functools.partial(character_of, take.character),
        with_origin(take, job.source),
        job.outputs,
        report.stage(0.1, 1.0),
        options=job,
        time=job.time,
        sheet=job.sheet,
    )
    return {"outputs": written, "frames": take.frames, "fps": take.fps, "seconds": round(take.seconds, 6), **facts}


def read(job: Job) -> Take:
    """The performance in the source. One that states no frame rate has the job's."""
    from hyoid import formats
    from hyoid.formats import hack_take

    if hack_take.is_one(job.source):
        return hack_take.read(job.source, fps=job.fps)
    return formats.read_take(job.source)


def edited(take: Take, job: Job) -> Take:
    """The take cut, resampled and with sparse keys, as the job asks."""
    from dataclasses import replace

    from hyoid import take_edit

    if job.start > 0 or job.stop is not None:
        take = take_edit.cut(take, job.start, take.seconds if job.stop is None else job.stop)
    if job.fps is not None and job.fps != take.fps:
        take = take_edit.resample(take, job.fps)
    if job.tolerance is not None:
        take = take_edit.reduce_keys(take, job.tolerance)
    return replace(take, character=reference_of(take, job))


def reference_of(take: Take, job: Job) -> CharacterReference:
    """Who performs the take: whom the job names, else its own."""
    from hyoid.take import CharacterReference

    own = take.character
    name = job.character or own.name
    # Settings belong to a character: another one starts from its own defaults.
    settings = job.set if job.set is not None else own.settings if name == own.name else {}
    return CharacterReference(name, settings, job.part or own.part)


def retargeted(take: Take, job: Job, report: Report) -> tuple[Character | None, Retargeted | None]:
    """Who performs the take, if that was needed to know, and the take on it, if it is not that character's already.

    Without ``--character`` a take keeps its names, unless an output shows a character that does not know them.
    """
    from hyoid import formats
    from hyoid.characters import retarget
    from hyoid.errors import HyoidError

    shows = any(formats.format_of(path).suffix not in (".take.npz", ".csv") for path in job.outputs)
    if not (shows or job.character or job.curves != "arkit"):
        return None, None
    own, reference = take.character, reference_of(take, job)
    target = character_of(reference, job.subdivision if shows else 0)
    if own.name == reference.name and job.curves == "arkit" and retarget.fits(take, target):
        return target, None
    source = target if own == reference else None
    if source is None:
        try:
            source = character_of(own)
        except HyoidError as error:
            report.message(f"the take's own character cannot be loaded, its rest is taken for a T pose: {error}")
    moved = retarget.retarget(take, target, reference, source=source, curves=job.curves, pairs=job.pairs)
    for message in moved.messages:
        report.message(message)
    return target, moved


def character_of(reference: CharacterReference, subdivision: int = 0) -> Character:
    """The character that a take names."""
    from hyoid import characters

    return characters.load(
        reference.name, dict(reference.settings), part="head" if reference.part == "head" else "full",
        subdivision=subdivision,
    )  # fmt: skip


def with_origin(take: Take, source: Path) -> Take:
    """The take with the file it came from among its sources, if it had no history."""
    from dataclasses import replace

    from hyoid import __version__
    from hyoid.files import sha256_of
    from hyoid.take import Provenance, Source

    if take.provenance.verb or take.provenance.sources:
        return take
    origin = Provenance(__version__, "convert", {}, (Source("input", source.name, sha256_of(source), ""),))
    return replace(take, provenance=origin)


def show(result: dict[str, Any]) -> str:
    """The files, and in a few words what went to another character."""
    lines = list(result["outputs"])
    if "retarget" in result:
        table = result["retarget"]
        curves, joints = (len([row for row in table[kind] if row["target"]]) for kind in ("curves", "joints"))
        lines.append(f"now on '{result['character']}': {curves} curves with other names, {joints} groups of joints")
    return "\n".join(lines)
