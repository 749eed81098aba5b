# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""Training of SemiUHPE in two stages: with labels alone, then with unlabelled crops that a teacher speaks about.

Two things differ from the published code. The cross entropy is the exact one (see ``losses``), and the teacher copies
the student before the first threshold is taken from it; in the published code the first threshold comes from a teacher
that was never trained and lets nearly everything pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyoid import training
from hyoid.errors import UsageError
from hyoid.geometry import head_angles
from hyoid.geometry.head_angles import FLIP
from hyoid.report import SILENT, Report
from hyoid.systems.semiuhpe import augment, distribution, losses, network
from hyoid.systems.semiuhpe.augment import LABELLED, STRONG, WEAK, Settings, View
from hyoid.systems.semiuhpe.checkpoint import Model
from hyoid.systems.semiuhpe.config import Config
from hyoid.systems.semiuhpe.layers import Training
from hyoid.systems.semiuhpe.plans import plan_of, shapes_of

Labelled = Callable[[int, int], tuple[np.ndarray, np.ndarray]]
"""Of the number of the step and how many: crops (B, T, T, 3) uint8 and rotations (B, 3, 3), common convention, as seen
in the crop."""
Unlabelled = Callable[[int, int], np.ndarray]
"""Of the number of the step and how many: crops (B, T, T, 3) uint8."""

_BUFFERS = ("running_mean", "running_var")
_HEAD_SPREAD = 0.01
_TOLD_EVERY = 20  # steps
_WEAK_SALT, _STRONG_SALT, _LABELLED_SALT, _TEACHER_SALT, _CHOICE_SALT = range(1, 6)
_CANDIDATES = 3  # times as many crops are looked at as are learned from, where some are to be seen more often


@dataclass(frozen=True)
class Recipe:
    """How a network is trained with labels (stage 1).

    Attributes:
        steps, batch, rate, decay, warm_up, average: of the optimiser, see ``hyoid.training.Schedule``. The paper takes
            Adam at 1e-4 from ImageNet's weights; from nothing a higher rate is needed.
        dropout, drop_path: see ``layers.Training``. over: factor of the log normaliser.
        shares: of fronts, sides and backs (``head_angles.regions``) among the crops; None takes them as they come.
        views: how crops are varied. margin: side of the crops that come over that of the crop of a box that fits.
        precision: of products, ``bfloat16`` or ``float32``; parameters are float32 in any case.
    """

    steps: int = 20_000
    batch: int = 64
    rate: float = 2e-3
    decay: float = 0.02
    warm_up: int = 500
    average: float = 0.999
    dropout: float = 0.2
    drop_path: float = 0.0
    over: float = losses.OVER
    shares: tuple[float, float, float] | None = None
    views: Settings = LABELLED
    margin: float = 1.25
    precision: str = "bfloat16"
    seed: int = 0


@dataclass(frozen=True)
class SemiRecipe:
    """How a trained network goes on with unlabelled crops (stage 2).

    Attributes:
        steps, rate: of Adam. batch: labelled crops of a step; ratio: how many times as many unlabelled ones.
        share: weight of the unlabelled loss (lambda). threshold: entropy below which the teacher is believed; None
            takes it from the teacher: such that ``believed`` of the unlabelled crops pass, anew every ``renewed``
            steps, by ``asked`` crops.
        decay: of the teacher's averaged parameters. turned: turn the strong view, and what the teacher said with it.
        result: ``student`` (as published) or ``teacher``. The others: see :class:`Recipe`.
    """

    steps: int = 10_000
    rate: float = 1e-5
    batch: int = 16
    ratio: int = 4
    share: float = 1.0
    threshold: float | None = distribution.SURE
    believed: float = 0.75
    renewed: int = 10_000
    asked: int = 2048
    decay: float = 0.999
    turned: bool = True
    dropout: float = 0.2
    drop_path: float = 0.0
    over: float = losses.OVER
    clip: float = 1.0
    labelled: Settings = LABELLED
    weak: Settings = WEAK
    strong: Settings = STRONG
    margin: float = 1.25
    unlabelled_margin: float = 1.25
    precision: str = "bfloat16"
    result: str = "student"
    kept_every: int = 250
    seed: int = 0


def train(
    labelled: Labelled, config: Config, recipe: Recipe, *, start: Model | None = None,
    note: dict[str, Any] | None = None, state: Path | None = None, device: str = "cpu", report: Report = SILENT,
) -> Model:  # fmt: skip
    """A model trained with labels; the same arguments give the same one on the same machine.

    Args:
        start: a model to begin with, of the same config or of less depth: blocks that it lacks change nothing at first.
        note: what the model says of itself beside the recipe. state: file that holds an unfinished training.

    Raises:
        InputError: ``state`` belongs to another training. UsageError: ``start`` is another network.
    """
    arrays = initial(config, recipe.seed) if start is None else _started(start, config, recipe.seed)
    schedule = training.Schedule(
        recipe.steps, recipe.rate, recipe.decay, warm_up=recipe.warm_up, average=recipe.average
    )
    mode = Training(recipe.dropout, recipe.drop_path)

    def loss_of(parameters: Mapping[str, Tensor], step: int) -> tuple[Tensor, Tensor]:
        crops, rotations = _drawn(labelled, step, recipe)
        salted = _salted(recipe.seed, _LABELLED_SALT)
        seen = augment.view(crops, config.size, recipe.views, salted, step, margin=recipe.margin, device=device)
        truth = augment.carried(torch.as_tensor(rotations).float().to(device), seen)
        found = predicted(parameters, config, seen.images, mode, recipe.precision)
        loss = losses.negative_log_likelihood(found, truth, recipe.over).mean()
        return loss, _error(found, truth) if step % _TOLD_EVERY == 0 else loss.detach()

    key = json.dumps([asdict(recipe), asdict(config), note, "" if start is None else start.digest], sort_keys=True)
    found = training.optimise(
        arrays, loss_of, schedule, seed=recipe.seed, buffers=buffers_of(arrays), key=key, state=state, device=device,
        unit="degrees", report=report,
    )  # fmt: skip
    told = {**(note or {}), "recipe": asdict(recipe), "crops_seen": recipe.steps * recipe.batch}
    return Model(config, found, told)


def _drawn(labelled: Labelled, step: int, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """The crops of a step and their rotations."""
    if recipe.shares is None:
        return labelled(step, recipe.batch)
    crops, rotations = labelled(step, recipe.batch * _CANDIDATES)
    weights = np.zeros(len(crops))
    for share, rows in zip(recipe.shares, head_angles.regions(rotations).values(), strict=True):
        weights[rows] = share / max(rows.sum(), 1)
    # Weighted draws without repetition (Efraimidis and Spirakis, Information Processing Letters 97, 2006).
    random = np.random.default_rng([recipe.seed, _CHOICE_SALT, step])
    chosen = np.argsort(random.random(len(crops)) ** (1 / weights))[-recipe.batch :]
    return crops[chosen], rotations[chosen]


def predicted(
    parameters: Mapping[str, Tensor], config: Config, images: Tensor, mode: Training | None, precision: str
) -> Tensor:
    """Parameters A (B, 3, 3) float32 of images, in the common convention."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        found = network.forward(parameters, config, images, mode)
    found = found.float()
    flip = found.new_tensor(FLIP)
    return (flip @ found.transpose(-1, -2) if config.convention == "300w-lp" else found) @ flip


def train_semi(
    model: Model, labelled: Labelled, unlabelled: Unlabelled, recipe: SemiRecipe, *,
    note: dict[str, Any] | None = None, state: Path | None = None, device: str = "cpu", report: Report = SILENT,
) -> Model:  # fmt: skip
    """A trained model that has learned from unlabelled crops as well (paper, section 3).

    Thresholds are taken from crops that ``unlabelled`` gives for step numbers from ``recipe.steps`` on.

    Raises:
        InputError: ``state`` belongs to another training. UsageError: the recipe asks for no known result.
    """
    if recipe.result not in ("student", "teacher"):
        raise UsageError(f"result '{recipe.result}'", expected="student or teacher")
    config, buffers = model.config, buffers_of(model.parameters)
    parameters = {
        name: torch.tensor(array, device=device, requires_grad=name not in buffers)
        for name, array in model.parameters.items()
    }
    trained = {name: value for name, value in parameters.items() if name not in buffers}
    optimiser = torch.optim.Adam(list(trained.values()), lr=recipe.rate)
    # The teacher begins as the student, so the first threshold is one of a trained network.
    teacher = {name: value.detach().clone() for name, value in parameters.items()}
    told: dict[str, Any] = {"threshold": recipe.threshold}
    key = json.dumps([asdict(recipe), asdict(config), note, model.digest], sort_keys=True)
    begun = training.resume(state, key, parameters, optimiser, teacher, told.update)
    for step in range(begun, recipe.steps):
        if state is not None and step > begun and step % recipe.kept_every == 0:
            training.keep(state, key, step, parameters, optimiser, teacher, told)
        torch.manual_seed(int(np.random.SeedSequence([recipe.seed, step]).generate_state(1)[0] % 2**31))
        _follow(teacher, trained, min(1 - 1 / (step + 1), recipe.decay))
        if recipe.threshold is None and step % recipe.renewed == 0:
            told["threshold"] = _asked(teacher, config, unlabelled, recipe, device)
        supervised = _labelled_loss(parameters, config, labelled, recipe, step, device)
        other, passed = _unlabelled_loss(
            parameters, teacher, config, unlabelled, recipe, step, device, told["threshold"]
        )
        optimiser.zero_grad()
        (supervised + recipe.share * other).backward()
        torch.nn.utils.clip_grad_norm_(list(trained.values()), recipe.clip)
        optimiser.step()
        if step % _TOLD_EVERY == 0:
            text = f"step {step} of {recipe.steps}, the teacher is sure of {100 * passed:.0f} %"
            report.progress(step / recipe.steps, text)
    taken = parameters if recipe.result == "student" else teacher
    arrays = {name: value.detach().float().cpu().numpy().copy() for name, value in taken.items()}
    return Model(config, arrays, {**model.note, **(note or {}), "semi_recipe": asdict(recipe)})


def buffers_of(names: Mapping[str, Any]) -> frozenset[str]:
    """Names of the running statistics, which no gradient changes."""
    return frozenset(name for name in names if name.endswith(_BUFFERS))


def initial(config: Config, seed: int) -> dict[str, np.ndarray]:
    """Parameters to begin with, float32; the same seed gives the same."""
    random = np.random.default_rng(seed)
    plan = plan_of(config)
    last_norms = {block.convolutions[-1].norm for block in plan.blocks if block.residual}
    found = {}
    for name, shape in shapes_of(config).items():
        owner, _, leaf = name.rpartition(".")
        if leaf == "weight" and len(shape) == 4:
            array = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif leaf == "weight" and len(shape) == 2:
            array = random.standard_normal(shape) * (_HEAD_SPREAD if owner.startswith(plan.head) else 0.02)
        elif leaf in ("weight", "running_var"):
            # Each residual block passes on what came, until it has learned more.
            array = np.full(shape, 0.0 if leaf == "weight" and owner in last_norms else 1.0)
        else:
            array = np.zeros(shape)
        found[name] = np.ascontiguousarray(array, np.float32)
    return found


def _started(start: Model, config: Config, seed: int) -> dict[str, np.ndarray]:
    if start.config.depth > config.depth or replace(start.config, depth=config.depth) != config:
        raise UsageError(f"the start is a {start.config}", expected=str(config))
    # Further blocks begin with a last norm of nothing: what comes in goes out.
    return {**initial(config, seed), **start.parameters}


def _salted(seed: int, salt: int) -> int:
    return int(np.random.SeedSequence([seed, salt]).generate_state(1)[0])


def _error(found: Tensor, truth: Tensor) -> Tensor:
    """Mean angle in degrees."""
    modes = distribution.mode(found.detach().cpu().numpy())
    return torch.tensor(float(head_angles.geodesic(modes, truth.cpu().numpy()).mean()))


def _labelled_loss(
    parameters: Mapping[str, Tensor], config: Config, labelled: Labelled, recipe: SemiRecipe, step: int, device: str
) -> Tensor:
    crops, rotations = labelled(step, recipe.batch)
    salted = _salted(recipe.seed, _LABELLED_SALT)
    seen = augment.view(crops, config.size, recipe.labelled, salted, step, margin=recipe.margin, device=device)
    truth = augment.carried(torch.as_tensor(rotations).float().to(device), seen)
    mode = Training(recipe.dropout, recipe.drop_path)
    found = predicted(parameters, config, seen.images, mode, recipe.precision)
    return losses.negative_log_likelihood(found, truth, recipe.over).mean()


def _unlabelled_loss(
    parameters: Mapping[str, Tensor], teacher: Mapping[str, Tensor], config: Config, unlabelled: Unlabelled,
    recipe: SemiRecipe, step: int, device: str, threshold: float,
) -> tuple[Tensor, float]:  # fmt: skip
    """The loss, and the share of the crops that the teacher is sure of."""
    crops = unlabelled(step, recipe.batch * recipe.ratio)
    strong = recipe.strong if recipe.turned else replace(recipe.strong, turned=0.0)
    views = [
        augment.view(
            crops, config.size, settings, _salted(recipe.seed, salt), step, margin=recipe.unlabelled_margin,
            device=device,
        )
        for settings, salt in ((recipe.weak, _WEAK_SALT), (strong, _STRONG_SALT))
    ]  # fmt: skip
    mode = Training(recipe.dropout, recipe.drop_path)
    with torch.no_grad():
        # As published: in training mode, so its running statistics are those of weak views.
        said = predicted(teacher, config, views[0].images, mode, recipe.precision)
    entropies = distribution.entropy(distribution.proper_svd(said.cpu().numpy())[1])
    sure = torch.as_tensor(entropies < threshold).to(device)
    said = _from_view_to_view(said, views[0], views[1])
    found = predicted(parameters, config, views[1].images, mode, recipe.precision)
    crossed = losses.cross_entropy(said, found)
    return torch.where(sure, crossed, 0.0).mean(), float(sure.float().mean())


def _from_view_to_view(matrices: Tensor, one: View, other: View) -> Tensor:
    return augment.carried(augment.brought_back(matrices, one), other)


def _follow(teacher: Mapping[str, Tensor], trained: Mapping[str, Tensor], kept: float) -> None:
    with torch.no_grad():
        averaged = [teacher[name] for name in trained]
        torch._foreach_lerp_(averaged, [value.detach() for value in trained.values()], 1 - kept)


def _asked(
    teacher: Mapping[str, Tensor], config: Config, unlabelled: Unlabelled, recipe: SemiRecipe, device: str
) -> float:
    """The entropy below which the teacher, in evaluation, stays for the believed share of unlabelled crops."""
    count, found = recipe.batch * recipe.ratio, []
    plain = replace(WEAK, flip=0.0, area=(1.0, 1.0), jitter=0.0, blur=0.0)
    for number in range(-(-recipe.asked // count)):
        crops = unlabelled(recipe.steps + number, count)
        seen = augment.view(
            crops, config.size, plain, _salted(recipe.seed, _TEACHER_SALT), number, margin=recipe.unlabelled_margin,
            device=device,
        )  # fmt: skip
        with torch.no_grad():
            said = predicted(teacher, config, seen.images, None, recipe.precision)
        found.append(distribution.entropy(distribution.proper_svd(said.cpu().numpy())[1]))
    entropies = np.sort(np.concatenate(found)[: recipe.asked])
    return float(entropies[min(len(entropies) - 1, int(len(entropies) * recipe.believed))])
