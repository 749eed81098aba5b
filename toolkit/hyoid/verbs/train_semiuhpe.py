# SPDX-License-Identifier: Apache-2.0
"""``hyoid train semiuhpe -o my.safetensors``: weights for the direction of a head, from our own renders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from hyoid.errors import InputError, UsageError
from hyoid.report import Report
from hyoid.verbs import headpose_training, training

if TYPE_CHECKING:
    import numpy as np

    from hyoid.synthetic.render_store import Part, RenderSet

RESULT = "files"
SUFFIXES = (training.SUFFIX,)
PRESETS: training.Presets = {
    "cpu": (
        {"backbone": "plain", "size": 96, "width": 1.0},
        {"steps": 11_600, "batch": 64, "rate": 2e-3, "precision": "bfloat16"},
    ),
    "gpu": (
        {"backbone": "mobilenet", "size": 128, "width": 1.0},
        {"steps": 40_000, "batch": 128, "rate": 2e-3, "precision": "bfloat16"},
    ),
}
"""Sizes of the network, and of the training: ``steps`` are those of all stages."""
_SHARES = (0.34, 0.54, 0.12)
"""Of fronts, sides and backs: a profile hides how far it is turned towards us, so sides take longest to learn."""
CALM: dict[str, dict[str, Any]] = {
    "cpu": {"share": 0.65, "rate": 1e-3, "dropout": 0.0, "shares": _SHARES},
    "gpu": {"share": 0.25, "rate": 1e-3, "dropout": 0.1, "shares": _SHARES},
}
"""The stage with labels after the first one, whose views are less spoilt: its share of the steps, and its recipe."""
CALM_VIEWS: dict[str, Any] = {
    "turn": 20.0, "turned": 0.3, "area": (0.75, 1.3), "jitter": 0.07, "colour": 0.4, "grey": 0.05, "blur": 0.05,
    "sharpen": 0.05, "small": 0.1, "jpeg": 0.1, "noise": 0.1, "texture": 0.05, "cut": 0.05,
}  # fmt: skip
UNLABELLED: dict[str, dict[str, Any]] = {
    "cpu": {"share": 0.0455, "rate": 1e-4, "batch": 16, "ratio": 4, "threshold": None, "asked": 512},
    "gpu": {"share": 0.25, "rate": 1e-4, "batch": 64, "ratio": 4, "threshold": None, "asked": 2048},
}
"""The last stage, with unlabelled crops: its share of the steps, and other numbers of its recipe."""
CROPS: dict[str, dict[str, int]] = {
    "cpu": {"count": 21_000, "unlabelled": 3000, "judged": 600, "size": 140},
    "gpu": {"count": 300_000, "unlabelled": 100_000, "judged": 2000, "size": 176},
}
"""How many crops are learned from with and without labels, how many of each domain are for judging, and their side."""
FIRST, CALMED = "first", "calm"
_CLOSED = 0.9  # share of the steps of a stage after which all of its crops are seen
_MARGIN = 1.45  # side of the crops over that of the crop that the network sees of a box
_OTHERS = 1_000_000  # between the seeds of crops with and without labels: other people, not the same in another light
_PROFILES = 2_000_000  # between the seeds of crops from anywhere and from the side
_LABELLED, _SIDES, _UNLABELLED = "crops", "crops_sides", "crops_unlabelled"
_COST = 1.6  # of a step without labels, in steps with them


class Job(headpose_training.Options):
    """A training of SemiUHPE."""

    crops: int | None = Field(
        None, ge=1, le=10_000_000, description="different heads to learn from with labels; without it the preset's"
    )
    sides: int = Field(
        0, ge=0, le=10_000_000, description="as many further heads, seen from the side, for the calm stage"
    )
    depth: int | None = Field(
        None,
        ge=2,
        le=32,
        description="blocks of each of the two last stages of the plain network; may be more than those of --start",
    )
    calm: bool = Field(
        False, description="only the stage with labels whose views are hardly spoilt, to go on gently from --start"
    )


check_outputs = training.check_outputs
show = headpose_training.show


def run(job: Job, report: Report) -> dict[str, Any]:
    """Train in three stages, judge on renders of people that were not learned from, write weights and card.

    Returns:
        See :func:`hyoid.verbs.headpose_training.finish`.

    Raises:
        InputError: ``state`` is of another training, or the cache of other renders. MissingToolError: torch, OpenGL, or
        the GPU that was asked for, is not there. OutputError: the files cannot be written.
    """
    sizes, numbers = training.chosen(job, PRESETS)
    if job.calm and job.start is None:
        raise UsageError("--calm", expected="--start with weights that have learned the rest")
    stages = Stages(0, numbers["steps"], 0) if job.calm else Stages.of(job.preset, numbers["steps"])
    learned, judging = _sets(job, stages)
    start = headpose_training.start_of(job, "semiuhpe")
    config = _network(job, start, sizes)
    with headpose_training.lesson(job, learned, judging, start, report) as lesson:
        model = _trained(job, lesson, start, config, numbers, stages)
        found = judged(model, lesson, learned[0], judging, stages, report.stage(0.97, 1.0))
        result = headpose_training.finish(job, lesson, found, _save)
        if job.state is not None:
            for name in (FIRST, CALMED):
                finished(job.state, name).unlink(missing_ok=True)
        return result


@dataclass(frozen=True)
class Stages:
    """Steps of each stage."""

    first: int
    calm: int
    unlabelled: int

    @classmethod
    def of(cls, preset: str, steps: int) -> Stages:
        """The stages of a preset, with so many steps in all."""
        calm, unlabelled = round(CALM[preset]["share"] * steps), round(UNLABELLED[preset]["share"] * steps)
        return cls(steps - calm - unlabelled, calm, unlabelled)

    @property
    def steps(self) -> int:
        """Of all stages."""
        return self.first + self.calm + self.unlabelled


def finished(state: Path, stage: str) -> Path:
    """Where the network lies that a stage has finished, until the training has."""
    return state.with_name(f"{state.name}.{stage}")


def _sets(job: Job, stages: Stages) -> tuple[list[RenderSet], list[RenderSet]]:
    """Crops to learn from, with and without labels, and those to be judged by."""
    from hyoid.synthetic.heads import Settings
    from hyoid.synthetic.render_store import RenderSet

    how = CROPS[job.preset]
    count = job.crops or how["count"]
    settings = Settings(size=how["size"])
    learned = [RenderSet(_LABELLED, "crops", job.seed, settings, count, 0, round(_CLOSED * stages.first))]
    if job.sides:  # for the calm stage, which begins with all of them
        profiles = replace(settings, region="side")
        seed = job.seed + _PROFILES
        learned.append(RenderSet(_SIDES, "crops", seed, profiles, job.sides, stages.first, stages.first))
    if stages.unlabelled:
        shifted = Settings(size=how["size"], domain="shifted")
        others = max(round(count * how["unlabelled"] / how["count"]), 1)
        closes = stages.first + round(_CLOSED * stages.unlabelled)
        learned.append(RenderSet(_UNLABELLED, "crops", job.seed + _OTHERS, shifted, others, stages.first, closes))
    return learned, headpose_training.judges("crops", settings, how["judged"], stages.first + stages.unlabelled)


def _network(job: Job, start: Any, sizes: dict[str, Any]) -> Any:
    """The config of what is trained.

    Raises:
        UsageError: a depth that the backbone does not have, or less than the start's.
    """
    from hyoid.systems.semiuhpe.config import Config

    config = Config(**sizes) if start is None else start.config
    if job.depth is None:
        return config
    if start is not None and job.depth < config.depth:
        raise UsageError(f"--depth {job.depth}", expected=f"{config.depth}, which --start has, or more")
    return replace(config, depth=job.depth)


def _trained(
    job: Job, lesson: headpose_training.Lesson, start: Any, config: Any, numbers: dict[str, Any], stages: Stages
) -> Any:  # fmt: skip
    """The network after all stages."""
    from hyoid.systems.semiuhpe import train
    from hyoid.systems.semiuhpe.augment import LABELLED

    recipe = train.Recipe(**{**numbers, "steps": stages.first, "margin": _MARGIN})
    calm = {name: value for name, value in CALM[job.preset].items() if name != "share"}
    later = replace(recipe, **calm, steps=stages.calm, views=replace(LABELLED, **CALM_VIEWS))
    whole = stages.first + stages.calm + _COST * stages.unlabelled
    model = start
    if stages.first:
        model = _labelled(job, lesson, FIRST, start, config, recipe, 0, (0.0, 0.97 * stages.first / whole))
    if stages.calm:
        spans = 0.97 * stages.first / whole, 0.97 * (stages.first + stages.calm) / whole
        model = _labelled(job, lesson, CALMED, model, config, later, stages.first, spans)
    if not stages.unlabelled:
        return model
    return _unlabelled(job, lesson, model, recipe, stages, (0.97 * (stages.first + stages.calm) / whole, 0.97))


def _labelled(
    job: Job, lesson: headpose_training.Lesson, stage: str, start: Any, config: Any, recipe: Any, before: int,
    spans: tuple[float, float],
) -> Any:  # fmt: skip
    """The network after a stage with labels, or as it was kept when the stage had been finished.

    Args:
        before: steps of earlier stages.
    """
    from hyoid.systems.semiuhpe import train

    names = [_LABELLED, _SIDES] if stage == CALMED and job.sides else [_LABELLED]

    def labelled(step: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        return lesson.renders.crops(names, before + step, count, (job.seed, before + step))

    kept = None if job.state is None else _kept(finished(job.state, stage), config, recipe, lesson.note)
    if kept is not None:
        return kept
    model = train.train(
        labelled, config, recipe, start=start, note=lesson.note, state=job.state, device=lesson.device,
        report=lesson.report.stage(*spans),
    )  # fmt: skip
    return model if job.state is None else _keep(job.state, stage, model)


def _unlabelled(
    job: Job, lesson: headpose_training.Lesson, model: Any, recipe: Any, stages: Stages, spans: tuple[float, float]
) -> Any:
    """The network after the stage with unlabelled crops."""
    from hyoid.systems.semiuhpe import train

    renders, before = lesson.renders, stages.first + stages.calm

    def labelled(step: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        return renders.crops([_LABELLED], before + step, count, (job.seed, before + step))

    def unlabelled(step: int, count: int) -> np.ndarray:
        # Later numbers are for thresholds: as the stage begins.
        seen = stages.first + (step if step < stages.unlabelled else 0)
        return renders.crops([_UNLABELLED], seen, count, (job.seed, before + step))[0]

    numbers = {name: value for name, value in UNLABELLED[job.preset].items() if name != "share"}
    semi = train.SemiRecipe(
        **numbers, steps=stages.unlabelled, margin=_MARGIN, unlabelled_margin=_MARGIN, precision=recipe.precision,
        seed=job.seed,
    )  # fmt: skip
    return train.train_semi(
        model, labelled, unlabelled, semi, note=lesson.note, state=job.state, device=lesson.device,
        report=lesson.report.stage(*spans),
    )  # fmt: skip


def _keep(state: Path, stage: str, model: Any) -> Any:
    """Keep the network of a stage with labels, whose unfinished training is no longer needed."""
    from hyoid.systems.semiuhpe import checkpoint

    checkpoint.save(finished(state, stage), model)
    state.unlink(missing_ok=True)
    return checkpoint.load(finished(state, stage))


def _kept(path: Path, config: Any, recipe: Any, note: dict[str, Any]) -> Any:
    """The network of a stage that was finished, or None.

    Raises:
        InputError: the file holds that of another training. WeightsError: it is damaged.
    """
    import json

    from hyoid.systems.semiuhpe import checkpoint

    if not path.is_file():
        return None
    model = checkpoint.load(path)
    wanted = json.loads(json.dumps({**note, "recipe": asdict(recipe)}))
    if model.config != config or any(model.note.get(name) != value for name, value in wanted.items()):
        raise InputError(
            "holds another training", path=path, expected="the same data, recipe and seed",
            hint="Take another state, or remove it to begin anew",
        )  # fmt: skip
    return model


# --- the end ----------------------------------------------------------------------------------------------------------


def judged(
    model: Any, lesson: headpose_training.Lesson, learned: RenderSet, sets: Sequence[RenderSet], stages: Stages,
    report: Report,
) -> headpose_training.Judged:  # fmt: skip
    """A model as its file holds it, and how it does on crops of people that were not learned from."""
    from hyoid.geometry import head_angles
    from hyoid.systems.semiuhpe import checkpoint, infer

    held = training.stored(model, _save, checkpoint.load)
    ready = infer.ready(held, lesson.device)
    same = head_angles.mean(lesson.renders.all_crops(learned.name)["rotations"])
    quality, remarks = {}, []
    for number, (domain, own) in enumerate(zip(headpose_training.DOMAINS, sets, strict=True)):
        stage = report.stage(number / len(sets), (number + 1) / len(sets))
        crops = lesson.renders.all_crops(own.name, stage.stage(0.0, 0.5))
        told = scores(ready, crops, same, stage.stage(0.5, 1.0))
        quality[domain] = told
        sure = told["certainty"]
        remarks.append(
            f"Entropy, {domain} renders: the surest fifth errs by {headpose_training.number(sure['certain'])} degrees "
            f"(median), the others by {headpose_training.number(sure['others'])}; correlation of the ranks of entropy "
            f"and error {sure['correlation']}."
        )
    size = model.config
    deep = f" and a depth of {size.depth}" if size.backbone == "plain" else ""
    told = (
        f"SemiUHPE, {size.backbone} network at {size.width:g} of its width{deep}, heads of {size.size} x {size.size} "
        "pixels"
    )
    seen = (stages.first + stages.calm) * model.note["recipe"]["batch"]
    if "semi_recipe" in model.note:
        semi = model.note["semi_recipe"]
        seen += semi["steps"] * semi["batch"] * (1 + semi["ratio"])
    return headpose_training.Judged("semiuhpe", held, told, stages.steps, seen, quality, remarks)


def scores(ready: Any, crops: Part, same: np.ndarray, report: Report) -> dict[str, Any]:
    """How directions are told, and whether the entropy knows; ``same`` (3, 3) is what the mean pose answers.

    Returns:
        ``heads``; degrees of ``ours`` and ``mean pose``, see ``headpose_training.degrees``; ``certainty``: ``certain``,
        ``others``, ``correlation``, see ``head_scores.Calibration``.
    """
    import numpy as np

    from hyoid.geometry import head_angles
    from hyoid.synthetic import head_scores
    from hyoid.systems.semiuhpe import infer

    truth, found = crops["rotations"], []
    for row, image in enumerate(crops["images"]):
        told = infer.estimate(ready, image, crops["boxes"][row : row + 1], mirror=True)
        found.append((told.rotations, told.entropy))
        report.progress((row + 1) / len(truth), "judging")
    rotations, entropies = (np.concatenate(values) for values in zip(*found, strict=True))
    certainty = head_scores.calibration(entropies, head_angles.geodesic(rotations, truth))
    numbers = {"certain": certainty.certain, "others": certainty.others, "correlation": certainty.correlation}
    return {
        "heads": len(truth), "ours": headpose_training.degrees(rotations, truth),
        "mean pose": headpose_training.degrees(np.broadcast_to(same, truth.shape), truth),
        "certainty": headpose_training.rounded(numbers, 2),
    }  # fmt: skip


def _save(path: Path, model: Any) -> None:
    from hyoid.systems.semiuhpe import checkpoint

    checkpoint.save(path, model, half=True)
