# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""SemiUHPE's network: a backbone, the mean over the picture, and a head of nine numbers read row by row as A (3, 3).

Zhou et al., "Semi-Supervised Unconstrained Head Pose Estimation in the Wild", arXiv 2404.02544. Plain functions of
parameters under their published names; nothing is changed in place but the running statistics while training.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from hyoid.errors import InputError
from hyoid.systems.semiuhpe import layers
from hyoid.systems.semiuhpe.backbones import inverted, repvgg, residual, tinyvit
from hyoid.systems.semiuhpe.config import MEAN, SPREAD, Config
from hyoid.systems.semiuhpe.layers import Parameters, Training
from hyoid.systems.semiuhpe.plans import plan_of

_FORWARDS = {
    "resnet50": residual.stages, "resnet18": residual.stages, "plain": residual.stages, "repvgg": repvgg.stages,
    "effinetv2": inverted.stages, "effinet": inverted.stages, "mobilenet": inverted.stages, "tinyvit": tinyvit.stages,
}  # fmt: skip


def forward(parameters: Parameters, config: Config, images: Tensor, training: Training | None = None) -> Tensor:
    """Parameters A (B, 3, 3) of the distributions, in the network's own convention.

    Args:
        images: (B, 3, size, size), see :func:`normalised`.

    Raises:
        InputError: another shape.
    """
    return head(parameters, config, feature(parameters, config, images, training), training)


def feature(parameters: Parameters, config: Config, images: Tensor, training: Training | None = None) -> Tensor:
    """The pooled feature (B, C) that enters the head.

    Raises:
        InputError: another shape of images.
    """
    x = images
    for _, stage in stages(parameters, config, images, training):
        x = stage
    if config.backbone == "tinyvit":
        return tinyvit.norm(parameters, "norm_head", x.mean(1))
    return x.mean((2, 3))


def stages(
    parameters: Parameters, config: Config, images: Tensor, training: Training | None = None
) -> Iterator[tuple[str, Tensor]]:
    """The name of each block's stage and the features after the block; the last one of a name is the stage's.

    Raises:
        InputError: another shape of images.
    """
    expected = (3, config.size, config.size)
    if images.ndim != 4 or tuple(images.shape[1:]) != expected:
        raise InputError(f"images are {tuple(images.shape)}", expected=f"(images, {', '.join(map(str, expected))})")
    yield from _FORWARDS[config.backbone](parameters, plan_of(config), images, training)


def head(parameters: Parameters, config: Config, x: Tensor, training: Training | None = None) -> Tensor:
    """A (B, 3, 3) of the pooled feature (B, C)."""
    name = plan_of(config).head
    if training is not None:
        x = functional.dropout(x, training.dropout)
    for place in (1, 4):
        x = layers.linear(parameters, f"{name}.{place}", x)
        if f"{name}.{place + 1}.weight" in parameters:
            x = layers.batch_norm(parameters, f"{name}.{place + 1}", x, training)
        x = functional.relu6(x)
    return layers.linear(parameters, f"{name}.7", x).unflatten(-1, (3, 3))


def normalised(crops: Tensor) -> Tensor:
    """Images (B, 3, S, S) float32 of crops (B, S, S, 3) uint8."""
    mean, spread = (crops.new_tensor(values, dtype=torch.float32) for values in (MEAN, SPREAD))
    return ((crops.float() - 255 * mean) / (255 * spread)).permute(0, 3, 1, 2)
