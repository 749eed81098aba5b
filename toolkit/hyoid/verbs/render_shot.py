# SPDX-License-Identifier: Apache-2.0
"""Which frames a render is of, and the child that makes them: what the whole and its chunks share."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from hyoid.blender.render import Frame, Plan, Scene
from hyoid.errors import UsageError
from hyoid.report import Report

if TYPE_CHECKING:
    from hyoid.take import Source, Take
    from hyoid.verbs.render import Job


def take_of(job: Job) -> Take | None:
    """The performance of a job, checked.

    Raises:
        UsageError, InputError: it cannot be read.
    """
    if job.take is None:
        return None
    from hyoid import formats
    from hyoid.formats.checks import valid_take

    return valid_take(formats.read_take(job.take), job.take)


def extent(job: Job, scene: Scene, take: Take | None) -> tuple[int, int]:
    """The first and the last frame of the whole, in the scene's numbers.

    Raises:
        UsageError: there is no frame between them, or the one of a still picture is outside.
    """
    from hyoid.verbs import render_files

    if all(render_files.is_still(path) for path in job.output):
        frame = next((number for number in (job.frame, job.first) if number is not None), scene.first)
        return frame, frame
    end = scene.last if take is None else scene.first + _at_rate(take, scene).frames - 1
    first = scene.first if job.first is None else job.first
    last = end if job.last is None else job.last
    if first > last:
        raise UsageError(f"there is no frame from {first} to {last}", path=job.scene, expected="--first up to --last")
    if job.frame is not None and not first <= job.frame <= last:
        raise UsageError(f"--frame {job.frame} is not rendered", path=job.scene, expected=f"{first} to {last}")
    return first, last


def rendered(job: Job, report: Report, begin: int = 0, end: int | None = None) -> Generator[Frame, None, None]:
    """Render frames of a job; closing the generator ends Blender.

    Args:
        begin, end: which of the frames of the whole, counted from 0; ``end`` None goes to the last.

    Raises:
        UsageError, InputError, MissingToolError: see ``blender.render.frames``.
    """
    from hyoid.blender import render
    from hyoid.verbs import render_files

    take = take_of(job)
    silent = job.audio is None and (take is None or take.audio is None)
    movie = any(render_files.suffix_of(path) == ".mp4" for path in job.output)

    def plan(scene: Scene) -> Plan:
        first, last = extent(job, scene, take)
        if scene.sounds and silent and movie:
            report.message("the scene holds sound, which stays out of the film: give it with --audio FILE")
        if job.seed is not None and scene.engine != "cycles":
            report.message(f"--seed is for Cycles; {scene.engine} has no noise of its own", "warning")
        numbers = range(first, last + 1)[begin:end]
        return Plan(numbers, scene.first, None if take is None else _at_rate(take, scene))

    options = ("engine", "samples", "width", "height", "percentage", "device", "seed", "transparent")
    return render.frames(
        job.scene,
        render_files.suffixes(job),
        {name: getattr(job, name) for name in options},
        plan,
        report,
        has_take=take is not None,
        armature=job.armature,
        camera=job.camera,
    )


def facts(job: Job, scene: Scene) -> dict[str, Any]:
    """What is told of a render, as JSON has it: how it was made, its range, and the ``sources`` that touched it."""
    take = take_of(job)
    first, last = extent(job, scene, take)
    told = {name: getattr(scene, name) for name in ("engine", "samples", "width", "height", "device", "blender", "fps")}
    sources = [dataclasses.asdict(source) for source in _sources(job, scene, take)]
    return {"first": first, "last": last, "start": scene.first, **told, "sources": sources}


def _sources(job: Job, scene: Scene, take: Take | None) -> list[Source]:
    """The scene, the take and what that came from, and every character of the scene with its licence and history."""
    from hyoid.files import sha256_of
    from hyoid.take import Source

    found = [Source("input", path.name, sha256_of(path), "") for path in (job.scene, job.take) if path is not None]
    if take is not None:
        found += [source for source in take.provenance.sources if source.role != "character"]
    for entry in scene.characters:
        found.append(Source("character", entry["character"], "", entry["licence"]))
        if entry["name"] != scene.character or take is None:
            found += [
                Source(*(str(known.get(key, "")) for key in ("role", "name", "sha256", "licence")))
                for known in entry["provenance"].get("sources", [])
                if known.get("role") != "character"
            ]
    return list(dict.fromkeys(found))


def _at_rate(take: Take, scene: Scene) -> Take:
    """The take with a frame for each of the scene's: the scene keeps its rate, times stay."""
    from hyoid import take_edit

    return take_edit.resample(take, scene.fps) if abs(scene.fps - take.fps) > 1e-6 else take
