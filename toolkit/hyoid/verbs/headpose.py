# SPDX-License-Identifier: Apache-2.0
"""``hyoid headpose FOOTAGE -o OUT``: where heads look, in pictures and films, and that look on a character."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hyoid.errors import UsageError
from hyoid.report import Report
from hyoid.verbs.job import CLI, DEVICE, JobModel, Outputs, output_field

if TYPE_CHECKING:
    from hyoid.motion.heads import HeadShot
    from hyoid.verbs.headpose_search import Searched
    from hyoid.verbs.headpose_takes import Performer

RESULT = "files"
TAKES = (".take.npz", ".bvh", ".fbx", ".glb", ".usdc", ".usda", ".blend")
SUFFIXES = (*TAKES, ".json", ".csv", ".mp4", ".png")
ALL, MAIN = "all", "main"
_SHOWN = 12  # people on the terminal


class Job(JobModel):
    """Footage with heads, and what is made of them."""

    footage: Path = Field(
        description="a picture, a folder of pictures, or a video",
        json_schema_extra={CLI: {"positional": True, "file": "any"}},
    )
    output: Outputs = output_field(
        "file to write: .json and .csv hold boxes and directions; .mp4 and .png show them; .take.npz, .bvh, .fbx, "
        ".glb, .usdc, .blend are the head on a character; may be given several times"
    )
    system: Literal["semiuhpe", "directmhp"] = Field(
        "semiuhpe",
        description="semiuhpe looks at each head on its own and says how sure it is; directmhp at all at once",
    )
    weights: Path | None = Field(
        None, description="weights of the system: a file, or a name of hyoid weights list; without it Hyoid's own",
        json_schema_extra={CLI: {"file": "read"}},
    )  # fmt: skip
    detector_weights: Path | None = Field(
        None, description="weights of DirectMHP, which finds the boxes for semiuhpe; without it Hyoid's own",
        json_schema_extra={CLI: {"file": "read"}},
    )  # fmt: skip
    boxes: Path | None = Field(
        None, description="JSON with boxes of heads by picture (left, top, right, bottom), instead of the detector",
        json_schema_extra={CLI: {"file": "read"}},
    )  # fmt: skip
    confidence: float = Field(
        0.4,
        ge=0.001,
        le=1,
        description="heads that the detector trusts less are left out; lower it where some are missed",
    )
    overlap: float = Field(
        0.45, gt=0, le=1, description="boxes that share more than this are one head; raise it for crowds"
    )
    smallest: float = Field(16.0, ge=1, le=10000, description="pixels; smaller heads are left out")
    size: int | None = Field(
        None,
        ge=64,
        le=4096,
        description="pixels of the larger side that the detector sees; without it as it has learned",
    )
    hide_unsure: float | None = Field(
        None, ge=-20, le=1,
        description="directions with an entropy above this are not shown or followed; -5.3 is the usual line",
    )  # fmt: skip
    field_of_view: float = Field(60.0, ge=1, le=170, description="degrees across the larger side of the picture")
    perspective: bool = Field(
        True, description="directions in the axes of the camera; without it as seen along the ray to each head"
    )
    mirror: bool = Field(
        True,
        description="semiuhpe looks at each head in a mirror too: less error, twice the work; without it as published",
    )
    head_height: float = Field(0.24, gt=0.01, le=10, description="metres of a head, which tell how far away it is")
    smoothing: float = Field(1.0, ge=0, le=1, description="strength of the smoothing; 0 keeps every tremble")
    longest_gap: float = Field(
        1.0, ge=0, le=60, description="seconds that a head may be out of sight and keep its name"
    )
    person: str = Field(
        MAIN, description="main: who is seen longest; all: a take for each, NAME.person_01.EXT; or one: person_02"
    )
    fps: float | None = Field(
        None, ge=1, le=1000,
        description="frames a second of takes and films, without it the video's; makes a sequence of a folder",
    )  # fmt: skip
    character: str = Field("human", description="who performs; only its skeleton goes into .bvh and .take.npz")
    set: dict[str, float] = Field({}, description="identity setting of the character; may be given several times")
    place: Literal["camera", "origin"] = Field(
        "camera", description="camera: heads stand before the camera, which is above the origin; origin: the first "
        "frame stands at the origin",
    )  # fmt: skip
    keys: Literal["sparse", "dense"] = Field(
        "sparse", description="animation keys of a .blend: sparse ones that are easy to edit, or one on every frame"
    )
    device: str = Field("auto", pattern=rf"^({DEVICE})$", description="where networks run: auto, cpu, cuda")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Find heads, follow people, write.

    Returns:
        ``outputs``; ``pictures``, ``heads``; ``people``: for each one name, frames and seconds seen; ``failed``: names
        of pictures and what is wrong with them; ``small``, ``unsure``: heads that are left out or not shown;
        ``frames_per_second`` of the search, 0 where it was done in chunks; ``system``; ``exit_code``: 7 where some
        pictures failed, else 0.

    Raises:
        UsageError: an unknown output, character or person. InputError: footage or boxes that cannot be used.
        WeightsError: weights that are missing or not sound. OutputError, MissingToolError: an output cannot be written.
    """
    from hyoid.threads import one_blas_thread
    from hyoid.verbs import headpose_search

    begun = time.monotonic()
    who = prepared(job)
    with one_blas_thread():
        searched = headpose_search.search(job, report.stage(0.0, 0.6))
        return finished(job, [searched], who, report.stage(0.6, 1.0), begun)


def prepared(job: Job) -> Performer | None:
    """Who performs, where a take is asked for; what cannot be done is told before the work.

    Raises:
        UsageError, InputError, OutputError: see :func:`run`.
    """
    from hyoid.verbs import headpose_results, headpose_search

    check_outputs(job)
    headpose_search.check_kind(job)
    return headpose_results.performer(job)


def finished(
    job: Job, searched: Sequence[Searched], who: Performer | None, report: Report, begun: float
) -> dict[str, Any]:
    """Follow people through what was found in all pictures, and write every output: the result of :func:`run`.

    Args:
        searched: in order. begun: on the monotonic clock, when the work began.
    """
    from hyoid.verbs import headpose_results, headpose_search

    shot = headpose_search.followed(job, searched, report)
    told = headpose_results.write(job, shot, who, report)
    spent = sum(part.seconds for part in searched)
    rate = round(len(shot.pictures) / spent, 2) if spent else 0.0
    return {**told, "frames_per_second": rate, "elapsed": round(time.monotonic() - begun, 2)}


def suffix_of(path: Path) -> str:
    """The file type of an output.

    Raises:
        UsageError: headpose writes no such type.
    """
    name = path.name.lower()
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return suffix
    raise UsageError(f"unknown file type '{path.suffix}'", path=path, expected=f"one of {', '.join(SUFFIXES)}")


def check_outputs(job: Job) -> None:
    """Refuse outputs that could not be written, before the work and for ``hyoid check``.

    Raises:
        UsageError: an unknown suffix, the same file twice, an input as an output. OutputError: see ``files``.
    """
    from hyoid import files
    from hyoid.verbs import outputs

    given = {path.resolve() for path in (job.footage, job.boxes, job.weights, job.detector_weights) if path is not None}
    seen: set[Path] = set()
    takes = [path for path in job.output if suffix_of(path) in TAKES]
    for path in job.output:
        if path.resolve() in given:
            raise UsageError("is an input", path=path, expected="another name, so that it is not lost")
        if path.resolve() in seen:
            raise UsageError("is named twice as an output", path=path)
        seen.add(path.resolve())
        if path not in takes:
            files.check_writable(path)
    outputs.check_outputs(takes)


def show(result: dict[str, Any]) -> str:
    """One line on the footage, one on each person, one on each picture that failed, then the files."""
    what = "frame" if result["frames"] else "picture"
    line = f"{_counted(result['heads'], 'head')} in {_counted(result['pictures'], what)}"
    if result["frames_per_second"]:
        line += f", {result['frames_per_second']:.1f} a second"
    lines = [line, *(f"note: {text}" for text in result["notes"])]
    for person in result["people"][:_SHOWN]:
        text = f"{person['name']}: seen in {_counted(person['seen_frames'], what)}"
        angles = [round(angle) for angle in person["angles"] or ()]
        lines.append(f"{text}, pitch {angles[0]} yaw {angles[1]} roll {angles[2]}" if angles else text)
    if len(result["people"]) > _SHOWN:
        lines.append(f"and {len(result['people']) - _SHOWN} more")
    lines += [f"failed: {entry['name']}: {entry['error']}" for entry in result["failed"]]
    return "\n".join([*lines, *result["outputs"]])


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def sure(job: Job, shot: HeadShot) -> Any:
    """(N,) bool: heads whose direction is shown and followed."""
    import numpy as np

    if job.hide_unsure is None:
        return np.ones(len(shot.heads), bool)
    return ~(shot.heads.entropy > job.hide_unsure)
