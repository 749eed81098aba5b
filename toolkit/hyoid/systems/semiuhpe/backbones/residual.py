# SPDX-License-Identifier: Apache-2.0
"""ResNet-18, ResNet-50, and our own network of plain 3x3 convolutions."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn import functional

from hyoid.systems.semiuhpe import layers
from hyoid.systems.semiuhpe.layers import Parameters, Training
from hyoid.systems.semiuhpe.plans import POOLED, Plan


def stages(parameters: Parameters, plan: Plan, x: Tensor, training: Training | None) -> Iterator[tuple[str, Tensor]]:
    """Each block's stage and features (B, C, H, W)."""
    last = max(1, len(plan.blocks) - 1)
    for number, block in enumerate(plan.blocks):
        came = x
        for convolution in block.convolutions:
            x = layers.convolve(parameters, convolution, x, training)
            if convolution.active:
                x = functional.relu(x)
        if block.shortcut is not None:
            came = layers.convolve(parameters, block.shortcut, came, training)
        if block.residual:
            x = functional.relu((layers.drop_path(x, training.drop_path * number / last) if training else x) + came)
        yield block.stage, x
        if block.stage == POOLED:
            x = functional.max_pool2d(x, 3, 2, 1)
