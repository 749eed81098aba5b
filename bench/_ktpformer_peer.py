# SPDX-License-Identifier: Apache-2.0
"""KTPFormer as one would write it down with ``nn.Module``, under the published names: the peer of ``ktpformer.py``.

Features are (windows, frames, joints, channels) between the blocks and (rows, tokens, channels) in them.
"""

from __future__ import annotations

import torch
from hyoid.systems.ktpformer.config import Config
from hyoid.systems.ktpformer.network import chain, skeleton
from torch import nn


class GraphConvolution(nn.Module):
    def __init__(self, channels: int, width: int, topology: torch.Tensor) -> None:
        super().__init__()
        nodes = len(topology)
        self.W = nn.Parameter(torch.zeros(2, width, channels))
        self.M = nn.Parameter(torch.zeros(nodes, channels))
        self.adj2 = nn.Parameter(torch.zeros(nodes, nodes))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.topology = topology

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = self.topology + self.adj2
        total = (total + total.T) / 2
        own = torch.eye(len(total))
        first = torch.matmul(total * own, self.M * torch.matmul(x, self.W[0]))
        return first + torch.matmul(total * (1 - own), self.M * torch.matmul(x, self.W[1])) + self.bias


class GraphLayer(nn.Module):
    def __init__(self, channels: int, width: int, topology: torch.Tensor) -> None:
        super().__init__()
        self.gconv = GraphConvolution(channels, width, topology)
        self.bn = nn.BatchNorm1d(channels, track_running_stats=True)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.bn(self.gconv(x).transpose(1, 2)).transpose(1, 2))


class GraphPair(nn.Module):
    def __init__(self, channels: int, topology: torch.Tensor) -> None:
        super().__init__()
        self.gconv1 = GraphLayer(channels, channels, topology)
        self.gconv2 = GraphLayer(channels, channels, topology)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.gconv2(self.gconv1(x))


class Attention(nn.Module):
    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, length, channels = x.shape
        width = channels // self.heads
        mixed = self.qkv(x).reshape(rows, length, 3, self.heads, width).permute(2, 0, 3, 1, 4)
        query, key, value = mixed[0], mixed[1], mixed[2]
        scores = (query @ key.transpose(-2, -1)) * width**-0.5
        gathered = scores.softmax(dim=-1) @ value
        return self.proj(gathered.transpose(1, 2).reshape(rows, length, channels))


class PriorAttention(Attention):
    def __init__(self, channels: int, heads: int, names: tuple[str, str], nodes: int, graph: nn.Module) -> None:
        super().__init__(channels, heads)
        self.norm1 = nn.LayerNorm(channels)
        self.graph_name, self.places_name = names
        self.add_module(self.graph_name, graph)
        self.register_parameter(self.places_name, nn.Parameter(torch.zeros(1, nodes, channels)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = getattr(self, self.graph_name)(x) + getattr(self, self.places_name)
        return x + super().forward(self.norm1(x))


class Perceptron(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 2 * channels)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(2 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.act(self.fc1(x)))


class PriorBlock(nn.Module):
    def __init__(self, channels: int, attention: nn.Module) -> None:
        super().__init__()
        self.attn = attention
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = Perceptron(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.attn(x)
        return x + self.mlp(self.norm2(x))


class Block(nn.Module):
    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = Perceptron(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Network(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        channels, heads = config.channels, config.heads
        body, time_line = skeleton(config.parents), chain(config.frames)
        spatial = PriorAttention(
            channels, heads, ("kpa", "Spatial_pos_embed"), len(body), GraphLayer(channels, 2, body)
        )
        temporal = PriorAttention(
            channels, heads, ("tpa", "Temporal_pos_embed"), len(time_line), GraphPair(channels, time_line)
        )
        self.kpattention = PriorBlock(channels, spatial)
        self.tpattention = PriorBlock(channels, temporal)
        self.STEblocks = nn.ModuleList(Block(channels, heads) for _ in range(config.depth))
        self.TTEblocks = nn.ModuleList(Block(channels, heads) for _ in range(config.depth))
        self.Spatial_norm = nn.LayerNorm(channels, eps=1e-6)
        self.Temporal_norm = nn.LayerNorm(channels, eps=1e-6)
        self.head = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, 3))

    def spatial(self, block: nn.Module, x: torch.Tensor) -> torch.Tensor:
        windows, frames = x.shape[:2]
        return self.Spatial_norm(block(x.flatten(0, 1))).unflatten(0, (windows, frames))

    def temporal(self, block: nn.Module, x: torch.Tensor) -> torch.Tensor:
        windows, frames, joints, _ = x.shape
        rows = x.transpose(1, 2).reshape(windows * joints, frames, -1)
        found = self.Temporal_norm(block(rows))
        return found.reshape(windows, joints, frames, -1).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.spatial(self.kpattention, x)
        x = self.temporal(self.tpattention, x)
        for spatial, temporal in zip(self.STEblocks, self.TTEblocks, strict=True):
            x = self.temporal(temporal, self.spatial(spatial, x))
        return self.head(x)
