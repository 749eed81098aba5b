# SPDX-License-Identifier: Apache-2.0
"""A network for inference alone: BatchNorm goes into convolutions, RepVGG's branches become one; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hyoid.systems.semiuhpe.config import Config
from hyoid.systems.semiuhpe.plans import Block, Convolution, Plan, plan_of

_EPS = 1e-5

Arrays = Mapping[str, np.ndarray]


def folded(parameters: Arrays, config: Config) -> dict[str, np.ndarray]:
    """Parameters float32 that give the same numbers: each convolution has a weight and a bias, and no norm is left.

    ``layers`` and ``onnx_graph`` take them under the same names.
    """
    plan = plan_of(config)
    found: dict[str, np.ndarray] = {}
    for block in plan.blocks:
        if config.backbone == "repvgg":
            weight, bias = _merged(parameters, plan, block)
            found |= {f"{block.convolutions[0].name}.weight": weight, f"{block.convolutions[0].name}.bias": bias}
            continue
        for c in block.all():
            weight, bias = _convolution(parameters, c)
            found |= {f"{c.name}.weight": weight, f"{c.name}.bias": bias}
    for name in plan.others:
        found[name] = parameters[name]
    for place in (1, 4, 7):
        name = f"{plan.head}.{place}"
        weight, bias = (parameters[f"{name}.{leaf}"].astype(np.float64) for leaf in ("weight", "bias"))
        if place < 7:
            scale, shift = _affine(parameters, f"{plan.head}.{place + 1}", _EPS)
            weight, bias = weight * scale[:, None], bias * scale + shift
        found |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return {name: np.ascontiguousarray(array, np.float32) for name, array in found.items()}


def _affine(parameters: Arrays, norm: str, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift (C,) float64 that a norm stands for."""
    weight, bias, mean, variance = (
        parameters[f"{norm}.{leaf}"].astype(np.float64) for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(variance + eps)
    return scale, bias - mean * scale


def _convolution(parameters: Arrays, c: Convolution) -> tuple[np.ndarray, np.ndarray]:
    weight = parameters[f"{c.name}.weight"].astype(np.float64)
    if not c.norm:
        return weight, parameters[f"{c.name}.bias"].astype(np.float64)
    scale, shift = _affine(parameters, c.norm, c.eps)
    return weight * scale[:, None, None, None], shift


def _merged(parameters: Arrays, plan: Plan, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """One 3x3 convolution that is the sum of a block's branches."""
    (dense,), point = block.convolutions, block.shortcut
    weight, bias = _convolution(parameters, dense)
    if point is not None:
        small, shift = _convolution(parameters, point)
        weight[:, :, 1, 1] += small[:, :, 0, 0]
        bias = bias + shift
    if dense.name in plan.identities:
        scale, shift = _affine(parameters, plan.identities[dense.name], dense.eps)
        rows = np.arange(dense.out)
        weight[rows, rows % (dense.into // dense.groups), 1, 1] += scale
        bias = bias + shift
    return weight, bias
