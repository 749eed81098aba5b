# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""What all backbones are made of, as functions of parameters by name.

A parameter set may be folded (:mod:`hyoid.systems.semiuhpe.fold`): where the norm of a convolution is not there, its
bias is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hyoid.systems.semiuhpe.plans import NORM, Block, Convolution

Parameters = Mapping[str, Tensor]
Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Activation] = {
    "relu": functional.relu, "relu6": functional.relu6, "silu": functional.silu, "gelu": functional.gelu,
}  # fmt: skip
_MOMENTUM = 0.1


@dataclass(frozen=True)
class Training:
    """How a forward differs in training: BatchNorm takes the batch's statistics and keeps running ones.

    Attributes:
        dropout: share of the numbers that each crop's pooled feature loses. drop_path: share of residual branches that
            the last block leaves out; it rises evenly from 0.
    """

    dropout: float = 0.2
    drop_path: float = 0.0


def convolve(parameters: Parameters, c: Convolution, x: Tensor, training: Training | None) -> Tensor:
    """A convolution and its norm (B, C, H, W); the activation is the caller's."""
    padding = c.kernel // 2
    if c.same:
        x, padding = functional.pad(x, _same(c, x)), 0
    weight, bias = parameters[f"{c.name}.weight"], parameters.get(f"{c.name}.bias")
    x = functional.conv2d(x, weight, bias, c.stride, padding, 1, c.groups)
    return batch_norm(parameters, c.norm, x, training, c.eps) if bias is None else x


def batch_norm(parameters: Parameters, name: str, x: Tensor, training: Training | None, eps: float = 1e-5) -> Tensor:
    """BatchNorm of (B, C, ...) or (B, C); in training the running statistics are changed in place."""
    weight, bias, mean, variance = (parameters[f"{name}.{leaf}"] for leaf in NORM)
    return functional.batch_norm(x, mean, variance, weight, bias, training is not None, _MOMENTUM, eps)


def gated(parameters: Parameters, block: Block, x: Tensor, activation: Activation) -> Tensor:
    """Squeeze-and-excitation: channels times what their means say of them."""
    down, up = block.gate
    gate = activation(convolve(parameters, down, x.mean((2, 3), keepdim=True), None))
    return x * convolve(parameters, up, gate, None).sigmoid()


def drop_path(x: Tensor, rate: float) -> Tensor:
    """Crops lose a residual branch (B, ...) whole, at random; the others make up for it."""
    if rate <= 0:
        return x
    kept = torch.rand((len(x),) + (1,) * (x.ndim - 1), device=x.device) >= rate
    return x * kept.to(x.dtype) / (1 - rate)


def linear(parameters: Parameters, name: str, x: Tensor) -> Tensor:
    """``x W^T + b``."""
    return functional.linear(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])


def _same(c: Convolution, x: Tensor) -> tuple[int, int, int, int]:
    sides = []
    for side in (int(x.shape[-1]), int(x.shape[-2])):
        missing = max(0, (-(-side // c.stride) - 1) * c.stride + c.kernel - side)
        sides += [missing // 2, missing - missing // 2]
    return sides[0], sides[1], sides[2], sides[3]
