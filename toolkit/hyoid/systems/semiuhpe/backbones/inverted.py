# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2, EfficientNetV2-S and EfficientNet-B4: inverted residuals, with or without squeeze-and-excitation."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from hyoid.systems.semiuhpe import layers
from hyoid.systems.semiuhpe.layers import Parameters, Training
from hyoid.systems.semiuhpe.plans import Block, Plan


def stages(parameters: Parameters, plan: Plan, x: Tensor, training: Training | None) -> Iterator[tuple[str, Tensor]]:
    """Each block's stage and features (B, C, H, W)."""
    activation = layers.ACTIVATIONS[plan.activation]
    last = max(1, len(plan.blocks) - 1)
    for number, block in enumerate(plan.blocks):
        found = _branch(parameters, block, x, activation, training)
        if block.residual:
            x = x + (layers.drop_path(found, training.drop_path * number / last) if training else found)
        else:
            x = found
        yield block.stage, x


def _branch(
    parameters: Parameters, block: Block, x: Tensor, activation: layers.Activation, training: Training | None
) -> Tensor:
    for convolution in block.convolutions:
        if block.gate and convolution is block.convolutions[-1]:
            x = layers.gated(parameters, block, x, activation)
        x = layers.convolve(parameters, convolution, x, training)
        if convolution.active:
            x = activation(x)
    return x
