# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""Training of HopFIR on single pictures; it can be stopped and goes on where it was."""

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
from hyoid.report import SILENT, Report
from hyoid.systems.hopfir import network
from hyoid.systems.hopfir.checkpoint import Model
from hyoid.systems.hopfir.network import Config

Batches = Callable[[int, int, int], tuple[np.ndarray, np.ndarray]]
"""Of the number of the step, how many windows, and of how many frames (1): normalised images (B, 1, N, 2) and joints
(B, 1, N, 3), float32."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps, rate, decay: of AdamW. pictures: of a step. dropout: see ``network.forward``.
        precision: of products, ``bfloat16`` or ``float32``; parameters are float32 in any case.
    """

    steps: int = 10_000
    pictures: int = 384
    rate: float = 1e-3
    decay: float = 0.01
    dropout: float = 0.0
    precision: str = "float32"
    seed: int = 0


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
    schedule = training.Schedule(recipe.steps, recipe.rate, recipe.decay)

    def loss_of(parameters: Mapping[str, Tensor], step: int) -> tuple[Tensor, Tensor]:
        images, joints = (torch.from_numpy(array).to(device) for array in batches(step, recipe.pictures, 1))
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            found = network.forward(parameters, config, images, dropout=recipe.dropout)
        found = found.float()
        error = (found.detach() - joints).norm(dim=-1).mean() * 1000
        return network.loss(found, joints), error

    key = json.dumps([asdict(recipe), asdict(config), note], sort_keys=True)
    start = network.initial(config, recipe.seed)
    arrays = training.optimise(
        start, loss_of, schedule, seed=recipe.seed, key=key, state=state, device=device, report=report
    )
    told = {**(note or {}), "recipe": asdict(recipe), "frames_seen": recipe.steps * recipe.pictures}
    return Model(config, arrays, told)
