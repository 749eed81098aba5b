# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""What the lifters are compared with: simple networks for the same 17 joints, and their training on the same windows.

- ``SimpleBaseline`` (Martinez et al., ICCV 2017): one frame, all joints through wide layers.
- ``SemanticGraph`` (Zhao et al., CVPR 2019): one frame, graph convolutions; with the hop attention of HopFIR if wanted.
- ``TemporalConvolutions`` (in the manner of Pavllo et al., CVPR 2019): dilated convolutions over frames.

All take normalised images (B, F, 17, 2) float32 and give (B, F - 2 * margin, 17, 3) metres, camera space, with the
pelvis at the origin; ``margin`` frames at both ends serve as context only. :func:`lifted` lifts whole clips.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hyoid.systems.hopfir import network
from hyoid.systems.hopfir.network import HUMAN36M
from torch import Tensor, nn

JOINTS = len(HUMAN36M.parents)
_FLIP = np.array([-1, 1, 1], np.float32)
_CLIP = 1.0  # of the gradient's norm
_LAST = 0.01  # of the learning rate, at the end
_WARM_UP = 500  # steps


class SimpleBaseline(nn.Module):
    """Each frame on its own: a wide layer, residual blocks of two, and an output layer."""

    margin = 0

    def __init__(self, width: int = 1024, blocks: int = 2, dropout: float = 0.25) -> None:
        super().__init__()
        self.first = _dense(2 * JOINTS, width, dropout)
        self.blocks = nn.ModuleList(
            nn.Sequential(_dense(width, width, dropout), _dense(width, width, dropout)) for _ in range(blocks)
        )
        self.last = nn.Linear(width, 3 * JOINTS)

    def forward(self, image: Tensor) -> Tensor:
        """See the module."""
        x = self.first(image.reshape(-1, 2 * JOINTS))
        for block in self.blocks:
            x = x + block(x)
        return _rooted(self.last(x).reshape(*image.shape[:-1], 3))


def _dense(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout))


class TemporalConvolutions(nn.Module):
    """Dilated convolutions over frames without padding: a frame sees ``margin`` frames to each side.

    Args:
        dilations: of the convolutions of three frames; the first widens the joints to ``channels``, each further one is
            followed by a convolution of one frame, with a residual around both.
    """

    def __init__(self, channels: int = 256, dilations: tuple[int, ...] = (1, 3, 9), dropout: float = 0.25) -> None:
        super().__init__()
        self.dilations, self.margin = dilations, sum(dilations)
        self.first = _convolution(2 * JOINTS, channels, 3, dilations[0], dropout)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                _convolution(channels, channels, 3, dilation, dropout),
                _convolution(channels, channels, 1, 1, dropout),
            )
            for dilation in dilations[1:]
        )
        self.last = nn.Conv1d(channels, 3 * JOINTS, 1)

    def forward(self, image: Tensor) -> Tensor:
        """See the module."""
        x = self.first(image.flatten(2).transpose(1, 2))
        for dilation, block in zip(self.dilations[1:], self.blocks, strict=True):
            x = x[..., dilation:-dilation] + block(x)
        return _rooted(self.last(x).transpose(1, 2).reshape(len(image), -1, JOINTS, 3))


def _convolution(inputs: int, outputs: int, frames: int, dilation: int, dropout: float) -> nn.Sequential:
    # The normalisation has a shift of its own.
    convolution = nn.Conv1d(inputs, outputs, frames, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout))


class _GraphLayer(nn.Module):
    """A semantic graph convolution; with ``active``, batch normalisation and ReLU after it."""

    near: Tensor

    def __init__(self, inputs: int, outputs: int, active: bool = True) -> None:
        super().__init__()
        self.W0, self.W1 = (nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs), 1.414)) for _ in "01")
        self.e = nn.Parameter(torch.ones(JOINTS, JOINTS))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.norm = nn.BatchNorm1d(outputs) if active else None
        self.register_buffer("near", torch.from_numpy(network.distances(HUMAN36M.parents) <= 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        own = {f"own.{name}": value for name, value in self.named_parameters(recurse=False)}
        y = network.semantic_convolution(own, "own", self.near, x)
        return y if self.norm is None else self.norm(y.transpose(1, 2)).transpose(1, 2).relu()


class _HopAttention(nn.Module):
    """The hop attention of HopFIR with a norm before it, added to the features."""

    masks: Tensor

    def __init__(self, channels: int, hops: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.hop = nn.ModuleList(nn.Linear(channels, 2 * channels) for _ in range(hops + 1))
        self.mix = nn.Linear((hops + 1) * channels, channels)
        masks = torch.from_numpy(network.hop_masks(HUMAN36M.parents, hops))
        self.register_buffer("masks", masks, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        own = {f"own.{name}": value for name, value in self.named_parameters()}
        return x + network.hop_attention(own, "own", self.heads, self.masks, self.norm(x))


class SemanticGraph(nn.Module):
    """Each frame on its own: residual blocks of two graph convolutions each.

    Args:
        hops: with hop attention over so many hops before each block; None without.
    """

    margin = 0

    def __init__(self, channels: int = 128, blocks: int = 4, hops: int | None = None, heads: int = 4) -> None:
        super().__init__()
        self.first = _GraphLayer(2, channels)
        self.attention = nn.ModuleList(
            nn.Identity() if hops is None else _HopAttention(channels, hops, heads) for _ in range(blocks)
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(_GraphLayer(channels, channels), _GraphLayer(channels, channels)) for _ in range(blocks)
        )
        self.last = _GraphLayer(channels, 3, active=False)

    def forward(self, image: Tensor) -> Tensor:
        """See the module."""
        x = self.first(image.reshape(-1, JOINTS, 2))
        for attention, block in zip(self.attention, self.blocks, strict=True):
            x = attention(x)
            x = x + block(x)
        return _rooted(self.last(x).reshape(*image.shape[:-1], 3))


def _rooted(points: Tensor) -> Tensor:
    return points - points[..., HUMAN36M.root, None, :]


def size_of(model: nn.Module) -> int:
    """How many parameters a network has."""
    return sum(value.numel() for value in model.parameters())


def lifted(model: Any, image: np.ndarray) -> np.ndarray:
    """A clip (F, 17, 2) lifted to (F, 17, 3) metres: the mean of the clip and of its mirror image.

    The first and the last frame are repeated where a network wants frames beyond them.
    """
    padded = np.concatenate([image[:1].repeat(model.margin, 0), image, image[-1:].repeat(model.margin, 0)])
    other = list(HUMAN36M.mirror)
    mirrored = (padded * _FLIP[:2])[:, other]
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.inference_mode():
        found = model(torch.from_numpy(np.stack([padded, mirrored]).astype(np.float32)).to(device)).cpu().numpy()
    model.train(training)
    return 0.5 * (found[0] + (found[1] * _FLIP)[:, other])


def fit(model: Any, stream: Any, steps: int, windows: int, *, rate: float = 1e-3, decay: float = 0.01) -> Any:
    """Train a network where its parameters are; the loss is the one of HopFIR for all of them.

    Args:
        stream: of windows longer than twice the margin, see ``hyoid.synthetic.lift_pairs.Windows``. windows: a step.
        rate, decay: of AdamW; the rate rises for some steps, then falls along a cosine.
    """
    device = next(model.parameters()).device
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    model.train()
    for step in range(steps):
        share = _LAST + (1 - _LAST) * 0.5 * (1 + np.cos(np.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * share * min(1.0, (step + 1) / min(_WARM_UP, max(steps // 10, 1)))
        image, truth = (torch.from_numpy(array).to(device) for array in stream.batch(windows))
        error = network.loss(model(image), truth[:, model.margin : truth.shape[1] - model.margin])
        optimiser.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimiser.step()
    return model.eval()
