# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""Training of KTPFormer and its losses, on windows of root-relative joints (B, F, J, 3), metres.

The published training scales the gradient by the loss itself (as if its square were minimised); here it is the losses
alone. The frames of a window are much alike, so that a network learns more from one frame each of many windows than
from many frames of few: the first steps see a frame or a few of each window (:func:`thinned`), the last ones all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyoid import training
from hyoid.geometry.human36m import LOSS_WEIGHTS
from hyoid.report import SILENT, Report
from hyoid.systems.ktpformer import network
from hyoid.systems.ktpformer.checkpoint import Model
from hyoid.systems.ktpformer.config import Config, shapes_of

CONSISTENCY, VELOCITY = 0.5, 2.0


@dataclass(frozen=True)
class Losses:
    """Scalars: each term as it is, and their weighted sum."""

    position: Tensor
    consistency: Tensor
    velocity: Tensor
    total: Tensor


def losses(
    predicted: Tensor, target: Tensor, joint_weights: tuple[float, ...] = LOSS_WEIGHTS, *,
    consistency: float = CONSISTENCY, velocity: float = VELOCITY,
) -> Losses:  # fmt: skip
    """All terms of predicted and target joints (B, F, J, 3).

    Args:
        joint_weights: (J,). consistency, velocity: weights of these terms in the sum.
    """
    weights = predicted.new_tensor(joint_weights)
    terms = (
        weighted_position(predicted, target, weights), temporal_consistency(predicted, weights),
        velocity_error(predicted, target),
    )  # fmt: skip
    return Losses(*terms, terms[0] + consistency * terms[1] + velocity * terms[2])


def weighted_position(predicted: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean distance of the joints, each times its weight (J,)."""
    return (weights * (predicted - target).norm(dim=-1)).mean()


def temporal_consistency(predicted: Tensor, weights: Tensor) -> Tensor:
    """Mean square of the prediction's own steps, times the joints' weights (J,): less is smoother."""
    return (weights[:, None] * predicted.diff(dim=1).square()).mean()


def velocity_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean error of the joints' steps from frame to frame within windows."""
    return (predicted.diff(dim=1) - target.diff(dim=1)).norm(dim=-1).mean()


# --- training ---------------------------------------------------------------------------------------------------------

_GAIN = 1.414  # of the first weights of graph convolutions
_FIRST_TOPOLOGY, _TABLE = 1e-6, 0.02
_BRANCH = 0.05  # of the last matrices of residual branches: every block passes on what came, until it has learned more
_LAST_OF_BRANCH = ("proj.weight", "fc2.weight")
_BUFFERS = ("running_mean", "running_var")
_THINNED = ("Temporal_pos_embed", "gconv.M", "gconv.adj2")

Batches = Callable[[int, int, int], tuple[np.ndarray, np.ndarray]]
"""Of the number of the step, how many windows, and of how many frames: normalised images (B, F, J, 2) and joints
(B, F, J, 3), float32."""


@dataclass(frozen=True)
class Stage:
    """A stretch of the training: its share of the steps, and how many frames of a window are kept; 0 is all."""

    share: float
    kept: int


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps, rate, decay: of AdamW. windows: of a step at whole length; there are more where they are thinned, so that
            a step always sees about as many frames. stages: one after the other; the last one takes what is left.
        drop_path: see ``network.Training``.
        precision: of products, ``bfloat16`` or ``float32``; parameters are float32 in any case.
    """

    steps: int = 20_000
    windows: int = 6
    stages: tuple[Stage, ...] = (Stage(0.5, 1), Stage(0.2, 3), Stage(0.3, 0))
    rate: float = 2e-3
    decay: float = 0.05
    drop_path: float = 0.0
    precision: str = "float32"
    seed: int = 0

    def frames_at(self, step: int, frames: int) -> tuple[int, int]:
        """How many windows a step takes, and how many frames of each."""
        done, kept = 0.0, 0
        for stage in self.stages:
            done, kept = done + stage.share, stage.kept
            if step < round(self.steps * done):
                break
        kept = min(kept or frames, frames)
        return self.windows * frames // kept, kept

    def seen(self, frames: int) -> int:
        """Frames that the whole training sees."""
        return sum(int(np.prod(self.frames_at(step, frames))) for step in range(self.steps))


def train(
    batches: Batches, config: Config, recipe: Recipe, *, note: dict[str, Any] | None = None, state: Path | None = None,
    device: str = "cpu", report: Report = SILENT,
) -> Model:  # fmt: skip
    """A trained model; the same arguments give the same one on the same machine.

    Args:
        note: what the model says of itself beside the recipe. state: file that holds an unfinished training.

    Raises:
        InputError: ``state`` belongs to another training.
    """
    start = initial(config, recipe.seed)
    schedule = training.Schedule(recipe.steps, recipe.rate, recipe.decay)

    def loss_of(parameters: Mapping[str, Tensor], step: int) -> tuple[Tensor, Tensor]:
        count, kept = recipe.frames_at(step, config.frames)
        arrays = batches(step, count, span(kept, config))
        images, joints = (torch.from_numpy(array).to(device) for array in arrays)
        sizes, whole = config, kept == config.frames
        if not whole:
            rows = torch.randperm(config.frames)[:kept].sort().values
            if kept > 1:
                images, joints = images[:, rows], joints[:, rows]
            parameters, sizes = thinned(parameters, config, rows.to(device))
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            found = network.forward(parameters, sizes, images, network.Training(recipe.drop_path))
        found = found.float()
        error = (found.detach() - joints).norm(dim=-1).mean() * 1000
        if whole:
            return losses(found, joints).total, error
        # Steps between frames that lie far apart are no motion to be learned.
        return weighted_position(found, joints, found.new_tensor(LOSS_WEIGHTS)), error

    key = json.dumps([asdict(recipe), asdict(config), note], sort_keys=True)
    buffers = frozenset(name for name in start if name.endswith(_BUFFERS))
    arrays = training.optimise(
        start, loss_of, schedule, seed=recipe.seed, buffers=buffers, key=key, state=state, device=device, report=report
    )
    told = {**(note or {}), "recipe": asdict(recipe), "frames_seen": recipe.seen(config.frames)}
    return Model(config, arrays, told)


def span(kept: int, config: Config) -> int:
    """How many frames of a window have to be drawn where so many are kept: a single one needs no others."""
    return 1 if kept == 1 else config.frames


def thinned(parameters: Mapping[str, Tensor], config: Config, rows: Tensor) -> tuple[dict[str, Tensor], Config]:
    """The network of some frames (n,) of the window alone: each keeps its place in time, neighbours are the kept ones.

    Parameters are shared with the whole network, and so are their gradients.
    """
    found = dict(parameters)
    for name, value in parameters.items():
        if name.startswith("tpattention") and name.endswith(_THINNED):
            if name.endswith("adj2"):
                found[name] = value[rows][:, rows]
            else:
                found[name] = value[:, rows] if value.ndim == 3 else value[rows]
    return found, Config(len(rows), config.channels, config.depth, config.heads, config.parents)


def initial(config: Config, seed: int) -> dict[str, np.ndarray]:
    """Parameters to begin with, float32; the same seed gives the same."""
    random = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes_of(config).items():
        leaf = name.rpartition(".")[2]
        if leaf == "adj2":
            array = np.full(shape, _FIRST_TOPOLOGY)
        elif leaf in ("M", "running_var") or (leaf == "weight" and len(shape) == 1):
            array = np.ones(shape)
        elif leaf == "bias" and "gconv" in name:
            array = random.uniform(-1, 1, shape) / np.sqrt(config.channels)
        elif leaf in ("bias", "running_mean"):
            array = np.zeros(shape)
        elif leaf.endswith("pos_embed"):
            array = _TABLE * random.standard_normal(shape)
        else:  # matrices, (2, in, out) or (out, in)
            gain = _GAIN if leaf == "W" else 1.0
            spread = gain * np.sqrt(6 / sum(shape[-2:]))
            if name.endswith(_LAST_OF_BRANCH):
                spread *= _BRANCH
            array = random.uniform(-spread, spread, shape)
        found[name] = np.ascontiguousarray(array, np.float32)
    return found
