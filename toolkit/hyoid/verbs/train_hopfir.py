# SPDX-License-Identifier: Apache-2.0
"""``hyoid train hopfir -o my.safetensors --data FOLDER``: weights for lifting single pictures, from motion capture."""

from __future__ import annotations

from typing import Any

from hyoid.report import Report
from hyoid.verbs import lift_training, training

RESULT = "files"
SUFFIXES = (training.SUFFIX,)
PRESETS: training.Presets = {
    "cpu": (
        {"channels": 64, "blocks": 3, "hops": 3, "heads": 4},
        {"steps": 10_125, "pictures": 384, "rate": 1e-3, "precision": "bfloat16"},
    ),
    "gpu": (
        {"channels": 96, "blocks": 4, "hops": 3, "heads": 4},
        {"steps": 40_000, "pictures": 1024, "rate": 1e-3, "precision": "bfloat16"},
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
    from hyoid.systems.hopfir import train
    from hyoid.systems.hopfir.network import Config

    sizes, chosen = training.chosen(job, PRESETS)
    config, recipe = Config(**sizes), train.Recipe(**chosen)
    with lift_training.batches(lesson, job, recipe.steps, lambda _: (recipe.pictures, 1)) as batches:
        model = train.train(
            batches, config, recipe, note=lesson.note, state=job.state, device=lesson.device,
            report=report.stage(0.01, 0.97),
        )  # fmt: skip
    return lift_training.finish(job, lesson, trained_of(model, lesson.device), report.stage(0.97, 1.0))


def trained_of(model: Any, device: str = "cpu") -> lift_training.Trained:
    """A model of ``hyoid.systems.hopfir.checkpoint``, to be judged and written."""
    from hyoid.systems.hopfir import checkpoint, infer

    def lifter(model: Any) -> Any:
        ready = infer.ready(model, device)
        return lambda keypoints, width, height: infer.lift(ready, keypoints, width, height)

    sizes = model.config
    told = f"HopFIR, {sizes.channels} channels, {sizes.blocks} blocks, {sizes.hops} hops, {sizes.heads} heads"
    return lift_training.Trained("hopfir", model, lifter, checkpoint.save, told)
