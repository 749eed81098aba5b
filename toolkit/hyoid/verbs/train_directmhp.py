# SPDX-License-Identifier: Apache-2.0
"""``hyoid train directmhp -o my.safetensors``: weights that find heads and their directions, from our own renders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from hyoid.report import Report
from hyoid.verbs import headpose_training, training
from hyoid.verbs.job import CLI

if TYPE_CHECKING:
    import numpy as np

    from hyoid.synthetic.render_store import Renders, RenderSet, Scenes

RESULT = "files"
SUFFIXES = (training.SUFFIX,)
PRESETS: training.Presets = {
    "cpu": ({"name": "t5"}, {"steps": 10_000, "pictures": 8, "rate": 3e-3, "precision": "bfloat16"}),
    "gpu": ({"name": "n5"}, {"steps": 20_000, "pictures": 64, "rate": 2e-3, "precision": "bfloat16"}),
}
"""Size of the network by its name in ``hyoid.systems.directmhp.config``, and numbers of the training."""
SCENES: dict[str, dict[str, Any]] = {
    "cpu": {"count": 5000, "judged": 300, "width": 256, "height": 256, "people": (1, 6), "heads": (14.0, 160.0)},
    "gpu": {"count": 60_000, "judged": 600, "width": 320, "height": 320, "people": (1, 8), "heads": (14.0, 200.0)},
}
"""How many scenes are learned from, how many of each domain are for judging, and how they are."""
_CLOSED = 0.8  # share of the steps after which all scenes are seen
_CLEAR = 0.35  # share of a head that must be visible for it to be taught and counted; others may be found or not
_CONFIDENCE = 0.4


class Job(headpose_training.Options):
    """A training of DirectMHP."""

    scenes: int | None = Field(
        None, ge=1, le=10_000_000, description="different pictures to learn from; without it the preset's"
    )
    motion: Path | None = Field(
        None, description="folder of packed motion capture (motion.npz and index.csv), for the poses of bodies",
        json_schema_extra={CLI: {"file": "folder"}},
    )  # fmt: skip


check_outputs = training.check_outputs
show = headpose_training.show


def run(job: Job, report: Report) -> dict[str, Any]:
    """Train, judge on renders of people that were not learned from, write weights and card.

    Returns:
        See :func:`hyoid.verbs.headpose_training.finish`.

    Raises:
        InputError: ``state`` is of another training, the cache is of other renders, or the folder holds no packed motion.
        MissingToolError: torch, OpenGL, or the GPU that was asked for, is not there. OutputError: the files cannot be
        written.
    """
    sizes, numbers = training.chosen(job, PRESETS)
    learned, judged = _sets(job, numbers["steps"])
    with headpose_training.lesson(job, [learned], judged, report) as lesson:
        from hyoid.systems.directmhp import checkpoint, config, train

        recipe = train.Recipe(**numbers)

        def batches(step: int, count: int) -> tuple[Any, ...]:
            return taught(lesson.renders.scenes(learned.name, step, count, job.seed))

        model = train.train(
            batches, config.SIZES[sizes["name"]], recipe, note=lesson.note, state=job.state, device=lesson.device,
            report=lesson.report.stage(0.0, 0.97),
        )  # fmt: skip
        found = _judged(model, lesson, learned, judged, report.stage(0.97, 1.0))
        return headpose_training.finish(job, lesson, found, lambda path, model: checkpoint.save(path, model, half=True))


def _sets(job: Job, steps: int) -> tuple[RenderSet, list[RenderSet]]:
    """Scenes to learn from, and those to be judged by."""
    from hyoid.synthetic.heads import Settings
    from hyoid.synthetic.render_store import RenderSet

    how = dict(SCENES[job.preset])
    count, judged = how.pop("count"), how.pop("judged")
    settings = Settings(motion=job.motion, **how)
    learned = RenderSet("scenes", "scenes", job.seed, settings, job.scenes or count, 0, round(_CLOSED * steps))
    return learned, headpose_training.judges("scenes", settings, judged, steps)


def taught(scenes: Scenes) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Images (n, H, W, 3), boxes (m, 4), apparent rotations (m, 3, 3) of heads that can be seen, and boxes of others."""
    import numpy as np

    height, width = scenes.images.shape[1:3]
    limit = np.array([width, height, width, height], np.float32)
    clear = [share >= _CLEAR for share in scenes.visible]
    inside = [np.clip(boxes, 0, limit) for boxes in scenes.boxes]
    return (
        scenes.images,
        [boxes[rows] for boxes, rows in zip(inside, clear, strict=True)],
        [rotations[rows] for rotations, rows in zip(scenes.rotations, clear, strict=True)],
        [boxes[~rows] for boxes, rows in zip(inside, clear, strict=True)],
    )
