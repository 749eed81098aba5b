# SPDX-License-Identifier: Apache-2.0
"""RepVGG-B1g2 in its training form: each block adds a 3x3, a 1x1 and an identity branch, each with a norm."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn import functional

from hyoid.systems.semiuhpe import layers
from hyoid.systems.semiuhpe.layers import Parameters, Training
from hyoid.systems.semiuhpe.plans import Plan


def stages(parameters: Parameters, plan: Plan, x: Tensor, training: Training | None) -> Iterator[tuple[str, Tensor]]:
    """Each block's stage and features (B, C, H, W); a folded block has its 3x3 branch alone."""
    for block in plan.blocks:
        (dense,), point = block.convolutions, block.shortcut
        found = layers.convolve(parameters, dense, x, training)
        if point is not None and f"{point.name}.weight" in parameters:
            found = found + layers.convolve(parameters, point, x, training)
            if dense.name in plan.identities:
                found = found + layers.batch_norm(parameters, plan.identities[dense.name], x, training)
        x = functional.relu(found)
        yield block.stage, x
