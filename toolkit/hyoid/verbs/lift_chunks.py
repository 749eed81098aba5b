# SPDX-License-Identifier: Apache-2.0
"""``lift`` in chunks: each lifts its frames of everybody, and people are cleaned when all are there.

A chunk reads all keypoints, fills the gaps of each person and finds out who is who, for these look at the whole clip.
That takes little of one core (a millisecond for a hundred frames), except that people of a detector without numbers
are told apart by lifting each detection on its own: half a millisecond for each. A worker that keeps what it loads
does it once for all its chunks of a clip. The network sees the frames of the chunk and its halo: windows lie on a grid
from frame 0 of the clip, or of the network's own frames where it is resampled (:mod:`hyoid.systems.ktpformer.infer`),
and single pictures run in batches from frame 0, so that numbers are those of the whole in every digit.

Cleaning (ground, planted feet, smoothing) looks at all frames and is left to ``finish``, with drawing and writing. It
takes 0.7 milliseconds for each frame of a person, lifting 1.5 ms with our KTPFormer and 1 with our HopFIR. So chunks
pay with KTPFormer, above all the published one, which is a hundred times as large; with HopFIR they do little. Neither
needs more memory for a longer clip: it is cleaned in stretches, and arrays of all frames lie in a file.

A ``.lifted.npz`` has nothing left to lift, and MediaPipe's detector follows a video from its first frame on: both are
one chunk, so that nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import held, scratch
from hyoid.errors import InputError
from hyoid.farm.splits import Extent
from hyoid.formats import lifted_npz, part_npz
from hyoid.media.footage import is_film
from hyoid.motion.lifted import Lifted
from hyoid.report import SILENT, Report
from hyoid.threads import one_blas_thread
from hyoid.verbs import lift, lift_people
from hyoid.verbs.lift import Job

A_MINUTE = {"ktpformer": 3.2e9, "hopfir": 3.7e10}
"""Frames of a person that a core lifts in a minute, times parameters of the network."""
_USUAL = (100, 100_000)  # frames of a chunk, at least and at most
_LAYOUT: part_npz.Layout = {
    "times": ("<f8", ("frames",)),
    **{
        name: ("|b1" if name == "seen" else "<f8", ("people", "frames", *shape))
        for name, shape in lifted_npz.SHAPES.items()
    },
}


def extent(job: Job) -> Extent:
    """How many frames the clip has, and how far a window of the network reaches.

    Raises:
        InputError: keypoints that cannot be used. WeightsError: weights that are missing or not sound.
    """
    whole = _whole(job)
    if whole is not None:
        return Extent(whole, grid=whole, usual=whole)
    found = lift_people.read(job, SILENT)
    people = 1 if job.person != lift.ALL else max(1, round(len(found.frame) / found.frames))
    if job.system == "hopfir":
        from hyoid.systems.hopfir import checkpoint as single
        from hyoid.systems.hopfir.infer import BATCH

        model = held.load(single.load, lift_people.weights_of(job))
        return Extent(found.frames, grid=BATCH, usual=_usual(job, model.parameters, people))
    from hyoid.systems.ktpformer import checkpoint as temporal

    model = held.load(temporal.load, lift_people.weights_of(job))
    times, fps = lift_people.times_of(job, found, SILENT)
    rate = lift_people.resampled_rate(times, fps, lift_people.network_fps(model.note))
    # Windows that hold a frame reach so far; resampled, they do from its two neighbours there.
    halo = model.config.frames - 1 if rate is None else int(np.ceil((model.config.frames + 1) * fps / rate))
    return Extent(found.frames, halo=halo, usual=_usual(job, model.parameters, people))


def work(job: Job, first: int, end: int, target: Path, report: Report) -> dict[str, Any]:
    """Lift the frames ``[first, end)`` of everybody who was asked for and write them to ``target``.

    Raises:
        UsageError: there are no such frames. InputError, WeightsError, OutputError: see ``lift.run``.
    """
    whole = _whole(job)
    if whole is not None:
        part_npz.check_chunk(first, end, whole)
    with one_blas_thread():
        lifted = lift.read_or_lift(job, report, None if whole else (first, end))
    made = {**_made(job), **lifted_npz.document_of(lifted)}
    part_npz.write(target, "lift", first, end, made, {}, lifted_npz.arrays_of(lifted))
    return {"failed": [], "people": len(lifted.people)}


def finish(job: Job, parts: Sequence[Path], report: Report) -> dict[str, Any]:
    """Clean the people of all parts and write every output; the result is that of ``lift.run``.

    Raises:
        UsageError, OutputError: see ``lift.run``. InputError: also parts that are damaged, made with other settings, or
            not all.
    """
    return lift.performed(job, lambda: _joined(job, parts), report)


def _joined(job: Job, paths: Sequence[Path]) -> Lifted:
    frames = _whole(job) or lift_people.read(job, SILENT).frames
    whole: dict[str, np.ndarray] = {}
    made: dict[str, Any] = {}
    at, path = 0, Path()
    for part in part_npz.read_each(paths, "lift", _LAYOUT, frames, _made(job)):
        count, people = len(part.arrays["times"]), len(part.arrays["seen"])
        # What a container says of a film's frames and what a detector finds in it may differ.
        film = is_film(job.keypoints)
        if count != part.end - part.first and not film:
            raise InputError(f"holds {count} frames", path=part.path, expected=f"{part.end - part.first}",
                             hint=part_npz.AGAIN)  # fmt: skip
        if not whole:
            made, path = part.made, part.path
            whole = _room(people, count if film else frames)
        if people != len(whole["seen"]):
            raise InputError(f"holds {people} people", path=part.path, expected=f"{len(whole['seen'])}",
                             hint=part_npz.AGAIN)  # fmt: skip
        for name, array in part.arrays.items():
            if name == "times":
                whole[name][at : at + count] = array
            else:
                whole[name][:, at : at + count] = array
        scratch.give_back(*whole.values())
        at += count
    return lifted_npz.of_arrays(whole, made, path)


def _room(people: int, frames: int) -> dict[str, np.ndarray]:
    """Arrays for all frames of everybody, by the name of those of a part."""
    sizes = {"people": people, "frames": frames}
    return {
        name: scratch.empty(tuple(sizes[side] if isinstance(side, str) else side for side in shape), kind)
        for name, (kind, shape) in _LAYOUT.items()
    }


def _made(job: Job) -> dict[str, Any]:
    """What all parts of a job have in common, as far as the job tells it."""
    settings = job.model_dump(mode="json", include={*lift_people.SETTINGS})
    return {"settings": settings, "keypoints": lift_people.digest(job.keypoints)}


def _whole(job: Job) -> int | None:
    """Frames of what is one chunk; None for keypoints, which can be cut."""
    if lift.is_lifted(job):
        return len(lifted_npz.read(job.keypoints).times)
    if is_film(job.keypoints):
        from hyoid.media import video

        return video.probe(job.keypoints).frames
    return None


def _usual(job: Job, parameters: Any, people: int) -> int:
    """Frames that take a core about a minute."""
    size = sum(array.size for array in parameters.values())
    return int(np.clip(A_MINUTE[job.system] / (size * people), *_USUAL))
