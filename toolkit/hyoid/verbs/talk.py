# SPDX-License-Identifier: Apache-2.0
"""``hyoid talk VOICE -o OUT``: speech to a performing head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from hyoid.errors import UsageError
from hyoid.report import Report
from hyoid.verbs.job import OutputOptions, Outputs, file_or_text, output_field, positional

if TYPE_CHECKING:
    from hyoid.media.audio import Recording
    from hyoid.speech.prosody import Prosody
    from hyoid.speech.timing import Timing

LAYERS = ("jaw", "lips", "tongue", "brows", "blinks", "gaze", "head", "breath", "larynx")


def _layer(what: str) -> Any:
    return Field(1.0, ge=0, le=3, description=f"strength of {what}; 0 switches it off")


class Job(OutputOptions):
    """A recording of a voice, and how it is performed."""

    audio: Path = Field(description="recording of a voice: any sound file, or a video", json_schema_extra=positional())
    output: Outputs = output_field("file to write; may be given several times")
    text: str | None = Field(
        None,
        description="transcript: a text file or the words; without it they are recognised",
        json_schema_extra=file_or_text(),
    )
    language: Literal["english", "other"] = Field("english", description="other: follow phones, do not look for words")
    events: Path | None = Field(None, description="edited event track (CSV) to solve from, instead of recognising")
    events_out: Path | None = Field(None, description="write the event track here (CSV), for editing")
    character: str = Field("human", description="who performs")
    set: dict[str, float] = Field({}, description="identity setting of the character; may be given several times")
    part: Literal["full", "head"] = Field("head", description="head, neck and shoulders, or the whole body")
    subdivision: int = Field(1, ge=0, le=2, description="levels of smoothing of the mesh (4 times the points each)")
    fps: Literal[24, 25, 30, 50, 60] = Field(30, description="frames a second")
    style: Literal["calm", "neutral", "energetic"] = Field("neutral", description="how lively the performance is")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of blinks, gaze and idle motion; same seed, same take")
    offset_ms: float = Field(0.0, ge=-500, le=500, description="moves the face later (or earlier) than the sound")
    start: float = Field(0.0, ge=0, description="second of the recording at which the part to perform begins")
    end: float | None = Field(
        None, gt=0, description="second of the recording at which it ends; without it, at the end"
    )
    repair: bool = Field(False, description="take what a damaged recording holds instead of refusing it")
    jaw: float = _layer("the jaw")
    lips: float = _layer("the lips")
    tongue: float = _layer("the tongue")
    brows: float = _layer("the brows")
    blinks: float = _layer("blinks")
    gaze: float = _layer("gaze shifts")
    head: float = _layer("head motion")
    breath: float = _layer("breathing")
    larynx: float = _layer("larynx motion")

    @field_validator("fps", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.isdigit() else value


def run(job: Job, report: Report) -> dict[str, Any]:
    """Solve the performance of a recording and write it.

    Raises:
        InputError: the recording, transcript or event track cannot be used.
        UsageError: an unknown character, setting or output.
        OutputError, MissingToolError: an output cannot be written.
    """
    return performed(job, report)


def performed(job: Job, report: Report, timed: Callable[[Recording, Prosody], Timing] | None = None) -> dict[str, Any]:
    """What :func:`run` does and returns.

    Args:
        timed: see :func:`hyoid.speech.solve`; it is asked after outputs and character are found to be right.
    """
    from hyoid import characters, files
    from hyoid.characters import retarget
    from hyoid.speech import events, solve
    from hyoid.take import CharacterReference
    from hyoid.take_keys import reduce_keys
    from hyoid.verbs import outputs

    outputs.check_outputs(job.output, recording=job.audio)
    if job.events_out is not None:
        if job.events_out.resolve() in {path.resolve() for path in (job.audio, *job.output)}:
            raise UsageError("is named twice", path=job.events_out, expected="a file of its own for the event track")
        files.check_writable(job.events_out)
    performer = None
    if job.set or job.character != "human":  # a wrong name or setting is told before the work
        performer = characters.load(job.character, job.set, part=job.part)
    take = solve(
        job.audio,
        text=job.text,
        english=job.language == "english",
        fps=job.fps,
        style=job.style,
        strengths={layer: getattr(job, layer) for layer in LAYERS if getattr(job, layer) != 1.0},
        seed=job.seed,
        events=job.events,
        offset_ms=job.offset_ms,
        start=job.start,
        end=job.end,
        repair=job.repair,
        character=CharacterReference(job.character, job.set, job.part),
        timed=timed,
        report=report.stage(0.0, 0.4),
    )
    if performer is not None and not retarget.fits(take, performer):  # a neck of other joints
        take = retarget.retarget(take, performer, take.character).take
    if job.events_out is not None:
        events.write(job.events_out, take.events)

    def character():
        return characters.load(job.character, job.set, part=job.part, subdivision=job.subdivision)

    written = outputs.export(character, reduce_keys(take), job.output, report.stage(0.4, 1.0), options=job)
    report.progress(1.0, "done")
    return {
        "outputs": [*written, *([str(job.events_out)] if job.events_out else [])],
        "mode": take.mode,
        "words": sum(event.kind == "word" for event in take.events),
        "seconds": take.seconds,
        "frames": take.frames,
        "fps": take.fps,
    }


def show(result: dict[str, Any]) -> str:
    """One line on the take, then the files."""
    length = f"{result['seconds']:.2f} s, {result['frames']} frames at {result['fps']:g} fps"
    line = f"{length}, {result['words']} words ({result['mode']})"
    return "\n".join([line, *result["outputs"]])
