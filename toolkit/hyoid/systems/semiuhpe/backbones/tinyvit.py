# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""TinyViT-21M (Wu et al., ECCV 2022) for crops of 224 pixels: convolutions first, then attention within windows."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from hyoid.systems.semiuhpe import layers
from hyoid.systems.semiuhpe.layers import Parameters, Training
from hyoid.systems.semiuhpe.plans import TINYVIT, Block, Plan, offsets

_EPS = 1e-5


def stages(parameters: Parameters, plan: Plan, x: Tensor, training: Training | None) -> Iterator[tuple[str, Tensor]]:
    """Each stage's features: (B, C, H, W) after the stem, then tokens (B, H*W, C) with the step to the next stage."""
    blocks = {block.stage: block for block in plan.blocks}
    x = _convolutions(parameters, blocks["patch_embed"], x, training)
    yield "patch_embed", x
    total, done = sum(count for _, count, _, _ in TINYVIT), 0
    for stage, (_, count, heads, window) in enumerate(TINYVIT):
        for index in range(count):
            name = f"layers.{stage}.blocks.{index}"
            rate = training.drop_path * done / (total - 1) if training else 0.0
            done += 1
            if stage:
                x = _attention_block(parameters, blocks[name], x, heads, window, rate, training)
            else:
                branch = _convolutions(parameters, blocks[name], x, training)
                x = functional.gelu(x + layers.drop_path(branch, rate))
        if stage < len(TINYVIT) - 1:
            x = _convolutions(parameters, blocks[f"layers.{stage}.downsample"], x, training)
        yield f"layers.{stage}", x.flatten(2).transpose(1, 2)


def norm(parameters: Parameters, name: str, x: Tensor) -> Tensor:
    """LayerNorm over the last axis."""
    return functional.layer_norm(x, x.shape[-1:], parameters[f"{name}.weight"], parameters[f"{name}.bias"], _EPS)


def _convolutions(parameters: Parameters, block: Block, x: Tensor, training: Training | None) -> Tensor:
    """One after the other with GELU between."""
    for number, convolution in enumerate(block.convolutions):
        x = layers.convolve(parameters, convolution, functional.gelu(x) if number else x, training)
    return x


def _attention_block(
    parameters: Parameters, block: Block, x: Tensor, heads: int, window: int, rate: float, training: Training | None
) -> Tensor:
    name = block.stage
    x = x + layers.drop_path(_in_windows(parameters, f"{name}.attn", x, heads, window), rate)
    x = layers.convolve(parameters, block.convolutions[0], x, training)
    tokens = x.permute(0, 2, 3, 1)
    hidden = functional.gelu(layers.linear(parameters, f"{name}.mlp.fc1", norm(parameters, f"{name}.mlp.norm", tokens)))
    tokens = tokens + layers.drop_path(layers.linear(parameters, f"{name}.mlp.fc2", hidden), rate)
    return tokens.permute(0, 3, 1, 2)


def _in_windows(parameters: Parameters, name: str, x: Tensor, heads: int, window: int) -> Tensor:
    """Attention (B, C, H, W) among the places of each window; sides are multiples of the window at 224 pixels."""
    channels, rows, columns = (int(side) for side in x.shape[1:])
    down, across = rows // window, columns // window
    tokens = x.permute(0, 2, 3, 1).reshape(-1, down, window, across, window, channels)
    tokens = tokens.transpose(2, 3).reshape(-1, window * window, channels)
    tokens = norm(parameters, f"{name}.norm", tokens)
    # Of each head in turn: its query, key and value.
    parts = layers.linear(parameters, f"{name}.qkv", tokens).unflatten(-1, (heads, 3, channels // heads))
    query, key, value = (part.transpose(1, 2) for part in parts.unbind(-2))
    bias = parameters[f"{name}.attention_biases"][:, torch.from_numpy(offsets(window))]
    tokens = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
    tokens = layers.linear(parameters, f"{name}.proj", tokens.transpose(1, 2).flatten(2))
    tokens = tokens.reshape(-1, down, across, window, window, channels).transpose(2, 3)
    return tokens.reshape(-1, rows, columns, channels).permute(0, 3, 1, 2)
