# SPDX-License-Identifier: Apache-2.0
"""``hyoid train directmhp -o my.safetensors``: weights that find heads and their directions, from our own renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from hyoid.report import Report
from hyoid.verbs import headpose_training, training
from hyoid.verbs.job import CLI

if TYPE_CHECKING:
    import numpy as np

    from hyoid.synthetic.render_store import RenderSet, Scenes

RESULT = "files"
SUFFIXES = (training.SUFFIX,)
PRESETS: training.Presets = {
    "cpu": ({"name": "n5"}, {"steps": 4000, "pictures": 16, "rate": 4e-3, "precision": "bfloat16"}),
    "gpu": ({"name": "n6"}, {"steps": 20_000, "pictures": 64, "precision": "bfloat16"}),
}
"""Size of the network by its name in ``hyoid.systems.directmhp.config``, and numbers of the training."""
SCENES: dict[str, dict[str, Any]] = {
    "cpu": {"count": 4000, "judged": 200, "width": 320, "height": 320, "people": (1, 7), "heads": (14.0, 240.0)},
    "gpu": {"count": 30_000, "judged": 600, "width": 384, "height": 384, "people": (1, 8), "heads": (14.0, 240.0)},
}
"""How many scenes are learned from, how many of each domain are for judging, and how they are."""
_CLOSED = 0.8  # share of the steps after which all scenes are seen
_CLEAR = 0.35  # share of a head that must be visible for it to be taught and counted; others may be found or not
_CONFIDENCE, _FEWEST = 0.4, 0.01  # of a box: to count as found, and for the average precision


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
        InputError: ``state`` is of another training, the cache of other renders, or the folder holds no packed motion.
        MissingToolError: torch, OpenGL, or the GPU that was asked for, is not there. OutputError: the files cannot be
        written.
    """
    sizes, numbers = training.chosen(job, PRESETS)
    learned, judging = _sets(job, numbers["steps"])
    start = headpose_training.start_of(job, "directmhp")
    with headpose_training.lesson(job, [learned], judging, start, report) as lesson:
        from hyoid.systems.directmhp import config, train

        def batches(step: int, count: int) -> tuple[Any, ...]:
            return taught(lesson.renders.scenes(learned.name, step, count, (job.seed, step)))

        note = {**lesson.note, "size": max(learned.settings.width, learned.settings.height)}
        model = train.train(
            batches, start.config if start else config.SIZES[sizes["name"]], train.Recipe(**numbers), note=note,
            state=job.state, device=lesson.device, report=lesson.report.stage(0.0, 0.97), start=start,
        )  # fmt: skip
        found = judged(model, lesson, learned, judging, report.stage(0.97, 1.0))
        return headpose_training.finish(job, lesson, found, _save)


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
    """Images (n, H, W, 3), boxes (m, 4) and rotations (m, 3, 3) of heads that can be seen, and boxes of others."""
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


# --- the end ----------------------------------------------------------------------------------------------------------


def judged(
    model: Any, lesson: headpose_training.Lesson, learned: RenderSet, sets: Sequence[RenderSet], report: Report
) -> headpose_training.Judged:
    """A model as its file holds it, and how it does on scenes of people that were not learned from."""
    from hyoid.geometry import head_angles
    from hyoid.systems.directmhp import checkpoint, infer

    held = training.stored(model, _save, checkpoint.load)
    ready = infer.ready(held, device=lesson.device)
    same = head_angles.mean(_rotations(lesson.renders.need(learned.name, learned.parts)))
    quality, remarks = {}, []
    for number, (domain, own) in enumerate(zip(headpose_training.DOMAINS, sets, strict=True)):
        stage = report.stage(number / len(sets), (number + 1) / len(sets))
        told = scores(ready, lesson.renders.all_scenes(own.name, stage.stage(0.0, 0.2)), same, stage.stage(0.2, 1.0))
        quality[domain] = told
        found = told["detection"]
        remarks.append(
            f"On {own.count} {domain} renders: AP50 {_share(found['ap50'])}; at a confidence of {_CONFIDENCE:g} it "
            f"finds {_share(found['recall'])} of {found['heads']} heads larger than {found['smallest']:g} pixels, with "
            f"{_share(found['false_boxes'])} false boxes a picture."
        )
    remarks.append(
        f"Heads of which less than {100 * _CLEAR:.0f} % can be seen may be found or not; directions are those of heads "
        "that were found."
    )
    size = model.config
    told = f"DirectMHP, {size.levels} levels, {' '.join(map(str, size.channels))} channels, directions as matrices"
    return headpose_training.Judged(
        "directmhp", held, told, model.note["recipe"]["steps"], model.note["pictures_seen"], quality, remarks
    )


def scores(ready: Any, scenes: Scenes, same: np.ndarray, report: Report) -> dict[str, Any]:
    """How heads are found and their directions told; ``same`` (3, 3) is what the mean pose answers.

    Returns:
        ``heads`` that were found and can be seen; degrees of ``ours`` and ``mean pose`` on them, see
        ``headpose_training.degrees``; ``detection``: ``ap50``, ``recall``, ``false_boxes``, ``heads``, ``smallest``.
    """
    import numpy as np

    from hyoid.synthetic import head_scores
    from hyoid.systems.directmhp import infer

    images, boxes, rotations, visible = scenes.images, scenes.boxes, scenes.rotations, scenes.visible
    height, width = images.shape[1:3]
    pictures, ours, truth = [], [np.zeros((0, 3, 3))], [np.zeros((0, 3, 3))]
    for row, image in enumerate(images):
        found = infer.detect(ready, image, confidence=_FEWEST)
        inside = np.clip(boxes[row], 0, [width, height, width, height])
        seen = visible[row] >= _CLEAR
        pictures.append(head_scores.Found(found.boxes, found.confidence, inside, seen))
        own = head_scores.match(found.boxes, found.confidence, inside[seen], _CONFIDENCE)
        ours.append(found.rotations[own[own >= 0]])
        truth.append(rotations[row][seen][own >= 0])
        report.progress((row + 1) / len(images), "judging")
    told, true = np.concatenate(ours), np.concatenate(truth)
    detection = head_scores.detection(pictures, _CONFIDENCE)
    numbers = {"ap50": detection.average_precision, "recall": detection.recall, "false_boxes": detection.false_boxes}
    return {
        "heads": len(true), "ours": headpose_training.degrees(told, true),
        "mean pose": headpose_training.degrees(np.broadcast_to(same, true.shape), true),
        "detection": {
            **headpose_training.rounded(numbers, 3), "heads": detection.heads, "smallest": head_scores.SMALLEST
        },
    }  # fmt: skip


def _rotations(parts: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    import numpy as np

    return np.concatenate([part["rotations"] for part in parts])


def _save(path: Path, model: Any) -> None:
    from hyoid.systems.directmhp import checkpoint

    checkpoint.save(path, model, half=True)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
