# SPDX-License-Identifier: Apache-2.0
"""What ``hyoid train ktpformer`` and ``hyoid train hopfir`` share: options, motion, batches, quality, the card."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hyoid.errors import InputError
from hyoid.report import Report
from hyoid.verbs import training
from hyoid.verbs.job import CLI
from hyoid.verbs.training import LICENCE, check_outputs, threads

if TYPE_CHECKING:
    import numpy as np

    from hyoid.synthetic.lift_scores import Lift
    from hyoid.synthetic.motion_clips import Motion, Split

_FREE = ("cc0", "free for all uses")  # how licences begin of motion whose weights may be published under ours
_CREDITS = {
    "CMU": "The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding "
    "from NSF EIA-0196217. BVH conversions by B. Hahne (cgspeed.com).",
    "Quaternius Universal Animation Library": "Animations by Quaternius, CC0.",
    "Mesh2Motion": "Animations by Mesh2Motion, CC0.",
    "KayKit Character Animations": "Animations by Kay Lousberg (KayKit), CC0.",
}
_DRAWERS, _AHEAD = 8, 3  # at most so many threads draw batches for a GPU, each so many steps ahead

Draw = Callable[[int, int, int], tuple[Any, Any]]
"""Of the number of a step, how many windows, and of how many frames: images and joints."""


class Job(training.Options):
    """A training of a lifter."""

    data: Path = Field(
        description="folder of packed motion capture (motion.npz and index.csv)",
        json_schema_extra={CLI: {"file": "folder"}},
    )
    preset: Literal["cpu", "gpu"] = Field(
        "cpu", description="cpu: at most three hours on two cores; gpu: larger, about 20 minutes of a large GPU"
    )
    unidentified: bool = Field(
        False, description="learn also from clips whose subject is not known; they may show people of the test"
    )


@dataclass(frozen=True)
class Lesson:
    """What there is to learn from and where.

    Attributes:
        motion, split: see ``hyoid.synthetic.motion_clips``. note: data, credits and licence. device: of torch.
        begun: seconds of a clock that only goes forward.
    """

    motion: Motion
    split: Split
    note: dict[str, Any]
    device: str
    begun: float


@dataclass(frozen=True)
class Trained:
    """A model that is to be judged and written.

    Attributes:
        name: as in ``hyoid train NAME``. model: of the system's checkpoint module. lifter: makes a model a ``Lift``.
        save: writes a model. size: told in the card.
    """

    name: str
    model: Any
    lifter: Callable[[Any], Lift]
    save: Callable[[Path, Any], None]
    size: str


def prepare(job: Job, report: Report) -> Lesson:
    """Read the motion and choose the device.

    Raises:
        InputError: the folder holds no such motion, or nothing to learn from or to be judged by.
        MissingToolError: torch, or the GPU that was asked for, is not there.
    """
    begun = time.monotonic()
    check_outputs(job)
    device = training.device_of(job.device)
    report.progress(0.0, "reading motion")
    motion, parts, note = lesson_of(job.data, unidentified=job.unidentified, report=report)
    return Lesson(motion, parts, note, device, begun)


def lesson_of(
    folder: Path, *, unidentified: bool = False, report: Report | None = None
) -> tuple[Motion, Split, dict[str, Any]]:
    """The motion of a folder, which clips are for what, and the note that weights learned from it carry.

    Raises:
        InputError: see :func:`prepare`.
    """
    from hyoid.files import sha256_of
    from hyoid.synthetic import motion_clips

    motion = motion_clips.load(folder)
    parts = motion_clips.split(motion, unidentified=unidentified)
    free = [clip for clip in parts.train.tolist() if motion.licences[clip].lower().startswith(_FREE)]
    if not free:
        raise InputError(
            "no clip may be learned from", path=folder / "index.csv",
            expected=f"licences that begin with {' or '.join(_FREE)}, of subjects that are not to be judged by",
        )  # fmt: skip
    if not len(parts.validation):
        raise InputError(
            "no clip to judge the weights by", path=folder / "index.csv",
            expected=f"clips of the CMU subjects {', '.join(motion_clips.VALIDATION_SUBJECTS)}",
        )  # fmt: skip
    if report is not None and len(free) < len(parts.train):
        text = f"{len(parts.train) - len(free)} clips are not learned from: their licence is neither CC0 nor free"
        report.message(text, "warning")
    parts = replace(parts, train=parts.train[[clip in set(free) for clip in parts.train.tolist()]])
    data = {
        "digest": [sha256_of(folder / name)[:16] for name in ("motion.npz", "index.csv")],
        "unidentified": unidentified, **_counts(motion, parts.train),
    }  # fmt: skip
    names = dict.fromkeys(motion.datasets[clip] for clip in parts.train.tolist())
    credit = [_CREDITS.get(name, f"Motion: {name}.") for name in names]
    return motion, parts, {"data": data, "credits": credit, "licence": LICENCE}


def _counts(motion: Motion, clips: np.ndarray) -> dict[str, int]:
    """How many clips, people (a pack is one) and frames."""
    from hyoid.synthetic.motion_clips import frames_of

    people = {(motion.datasets[clip], motion.subjects[clip]) for clip in clips.tolist()}
    return {"clips": len(clips), "subjects": len(people), "frames": int(frames_of(motion, clips).sum())}


def draws(lesson: Lesson, seed: int) -> Draw:
    """Batches of windows that follow from the seed and the step alone."""
    from hyoid.synthetic.lift_pairs import Windows

    def draw(step: int, count: int, frames: int) -> tuple[Any, Any]:
        return Windows(lesson.motion, lesson.split.train, frames, seed).at(step).batch(count)

    return draw


@contextlib.contextmanager
def ahead(
    draw: Draw, sizes_at: Callable[[int], tuple[int, int]], steps: int, workers: int | None = None
) -> Iterator[Draw]:
    """The same batches, drawn by threads before they are asked for: for a device that would wait for them.

    Args:
        sizes_at: how many windows a step takes, and of how many frames.
    """
    from concurrent.futures import Future, ThreadPoolExecutor

    workers = workers or min(_DRAWERS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers)
    waiting: dict[int, Future[tuple[Any, Any]]] = {}

    def drawn(step: int, _count: int, _frames: int) -> tuple[Any, Any]:
        for later in range(step, min(steps, step + _AHEAD * workers)):
            if later not in waiting:
                waiting[later] = pool.submit(draw, later, *sizes_at(later))
        return waiting.pop(step).result()

    try:
        yield drawn
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def batches(lesson: Lesson, job: Job, steps: int, sizes_at: Callable[[int], tuple[int, int]]) -> Iterator[Draw]:
    """The batches of a training, with the job's threads: drawn ahead for a GPU."""
    draw = draws(lesson, job.seed)
    with threads(job.threads):
        if lesson.device == "cpu":
            yield draw
        else:
            with ahead(draw, sizes_at, steps) as drawn:
                yield drawn


# --- the end ----------------------------------------------------------------------------------------------------------


def finish(job: Job, lesson: Lesson, trained: Trained, report: Report) -> dict[str, Any]:
    """Judge the weights on people that were not learned from, write them and their card, remove the state.

    Returns:
        ``outputs``; ``validation_mm``: errors on the validation subjects, and those of the mean pose; ``seconds``.

    Raises:
        OutputError: the files cannot be written.
    """
    with threads(job.threads):
        model, quality = judged(trained, lesson, report)
    card = _card(job, lesson, replace(trained, model=model), quality)
    outputs = training.write(job, model, trained.save, card)
    return {"outputs": outputs, "validation_mm": quality, "seconds": round(time.monotonic() - lesson.begun, 1)}


def judged(trained: Trained, lesson: Lesson, report: Report) -> tuple[Any, dict[str, Any]]:
    """The model as a file holds it, in half precision and with its quality in the note, and that quality.

    The quality: clips and frames that it was judged on, and mm of ``ours`` and ``mean pose`` with detector errors.
    """
    import numpy as np

    from hyoid.synthetic import lift_pairs, lift_scores

    held = {name: array.astype(np.float16).astype(np.float32) for name, array in trained.model.parameters.items()}
    model = replace(trained.model, parameters=held)
    clips = lift_pairs.held_out(lesson.motion, lesson.split.validation)
    pose = lift_pairs.mean_pose(lesson.motion, lesson.split.train, 0)
    quality: dict[str, Any] = _counts(lesson.motion, lesson.split.validation)
    for name, lift in (("ours", trained.lifter(model)), ("mean pose", lift_scores.same_pose(pose))):
        found = lift_scores.scores(lift, clips, report=report)
        quality[name] = {
            "mpjpe": round(found.mpjpe, 2), "p_mpjpe": round(found.p_mpjpe, 2), "mpjve": round(found.mpjve, 2)
        }  # fmt: skip
    return replace(model, note={**lesson.note, **model.note, "validation_mm": quality}), quality


def _card(job: Job, lesson: Lesson, trained: Trained, quality: dict[str, Any]) -> str:
    note, data = trained.model.note, lesson.note["data"]
    count = sum(array.size for array in trained.model.parameters.values())
    rows = [
        f"| {name} | {found['mpjpe']:.1f} | {found['p_mpjpe']:.1f} | {found['mpjve']:.1f} |"
        for name, found in ((name, quality[name]) for name in ("ours", "mean pose"))
    ]
    lines = [
        f"# {job.output.stem}: {trained.size}", "",
        f"- Licence of the weights: {note['licence']}. They learned from motion that is free for all uses (CMU, which "
        "asks for the credit below and that its data is not sold) and CC0.",
        f"- Credits: {' '.join(lesson.note['credits'])}",
        f"- Learned from: {data['clips']} clips of {data['subjects']} subjects and packs, {data['frames']} frames at "
        f"{lesson.motion.fps:g} a second, bodies, cameras and the errors of a detector made up"
        + ("; clips of unidentified subjects among them" if data["unidentified"] else ""),
        f"- {count} parameters; {note['recipe']['steps']} steps, {note['frames_seen']} frames seen; seed {job.seed}, "
        f"{job.threads} thread{'s' * (job.threads > 1)}, {lesson.device}, products in {note['recipe']['precision']}; "
        "stored as float16",
        f"- Made again by: `{_command(job, trained)}`", "",
        f"Errors in mm on {quality['clips']} clips ({quality['frames']} frames) of {quality['subjects']} other "
        "subjects, with the errors of a detector, mirror averaging, the pelvis of both sides at the origin:", "",
        "| | MPJPE | P-MPJPE | MPJVE a frame |", "|---|---|---|---|", *rows, "",
        "Recipes may be chosen by these subjects, so they are no blind test; `hyoid bench lift` judges on others. The "
        "pose is about the pelvis: no travel, and no absolute size, for a picture does not tell it.",
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def _command(job: Job, trained: Trained) -> str:
    """The command line that trains the same again, without folders of this machine."""
    line = training.command(trained.name, job, trained.model.note["recipe"], "--data FOLDER")
    return line + " --unidentified" * job.unidentified


def show(result: dict[str, Any]) -> str:
    """The files and the quality."""
    told = [
        f"{name}: MPJPE {found['mpjpe']:.1f}, P-MPJPE {found['p_mpjpe']:.1f}, MPJVE {found['mpjve']:.1f} mm"
        for name, found in result["validation_mm"].items()
        if isinstance(found, dict)
    ]
    return "\n".join([*result["outputs"], *told])
