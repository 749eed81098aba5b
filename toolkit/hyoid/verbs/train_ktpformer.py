# SPDX-License-Identifier: Apache-2.0
"""``hyoid train ktpformer -o my.safetensors --data FOLDER``: weights for lifting clips, from motion capture."""

from __future__ import annotations

from typing import Any

from hyoid.report import Report
from hyoid.verbs import lift_training, training

RESULT = "files"
SUFFIXES = (training.SUFFIX,)
PRESETS: training.Presets = {
    "cpu": (
        {"frames": 27, "channels": 64, "depth": 3, "heads": 4},
        {"steps": 20_000, "windows": 6, "rate": 2e-3, "precision": "bfloat16"},
    ),
    "gpu": (
        {"frames": 81, "channels": 128, "depth": 4, "heads": 8},
        {"steps": 20_000, "windows": 64, "rate": 5e-4, "precision": "bfloat16"},
    ),
}
"""Sizes of the network, and of the training."""

Job = lift_training.Job
check_outputs = training.check_outputs
show = lift_training.show


def run(job: Job, report: Report) -> dict[str, Any]:
    """Train, judge on subjects that were not learned from, write weights and card.

    Returns:
        See :func:`hyoid.verbs.lift_training.finish`.

    Raises:
        InputError: the folder holds no packed motion, or ``state`` is of another training. MissingToolError: torch, or
        the GPU that was asked for, is not there. OutputError: the files cannot be written.
    """
    lesson = lift_training.prepare(job, report.stage(0.0, 0.01))
    from hyoid.systems.ktpformer import train
    from hyoid.systems.ktpformer.config import Config

    sizes, chosen = training.chosen(job, PRESETS)
    config, recipe = Config(**sizes), train.Recipe(**chosen)

    def sizes_at(step: int) -> tuple[int, int]:
        count, kept = recipe.frames_at(step, config.frames)
        return count, train.span(kept, config)

    with lift_training.batches(lesson, job, recipe.steps, sizes_at) as batches:
        model = train.train(
            batches, config, recipe, note=lesson.note, state=job.state, device=lesson.device,
            report=report.stage(0.01, 0.97),
        )  # fmt: skip
    return lift_training.finish(job, lesson, trained_of(model, lesson.device), report.stage(0.97, 1.0))


def trained_of(model: Any, device: str = "cpu") -> lift_training.Trained:
    """A model of ``hyoid.systems.ktpformer.checkpoint``, to be judged and written."""
    from hyoid.systems.ktpformer import checkpoint, infer

    def lifter(model: Any) -> Any:
        ready = infer.ready(model, device)
        return lambda keypoints, width, height: infer.lift(ready, keypoints, width, height)

    sizes = model.config
    told = f"KTPFormer, {sizes.frames} frames, {sizes.channels} channels, depth {sizes.depth}, {sizes.heads} heads"
    return lift_training.Trained(
        "ktpformer", model, lifter, lambda path, model: checkpoint.save(path, model, half=True), told
    )
