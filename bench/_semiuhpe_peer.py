# SPDX-License-Identifier: Apache-2.0
"""SemiUHPE's ResNet-50 as one would write it down with ``nn.Module``, under the published names: the peer of ours.

Nothing is folded or laid out otherwise; features are (B, C, H, W).
"""

from __future__ import annotations

import torch
from torch import nn

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BLOCKS = (3, 4, 6, 3)
EXPANSION = 4


class Bottleneck(nn.Module):
    def __init__(self, entering: int, channels: int, stride: int) -> None:
        super().__init__()
        leaving = EXPANSION * channels
        self.conv1, self.bn1 = nn.Conv2d(entering, channels, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3, self.bn3 = nn.Conv2d(channels, leaving, 1, bias=False), nn.BatchNorm2d(leaving)
        self.relu = nn.ReLU()
        self.downsample = None
        if stride != 1 or entering != leaving:
            self.downsample = nn.Sequential(
                nn.Conv2d(entering, leaving, 1, stride, bias=False), nn.BatchNorm2d(leaving)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.relu(self.bn1(self.conv1(x)))
        found = self.relu(self.bn2(self.conv2(found)))
        found = self.bn3(self.conv3(found))
        return self.relu(found + (x if self.downsample is None else self.downsample(x)))


class Network(nn.Module):
    """Of pictures (B, 3, 224, 224), normalised: the nine numbers (B, 3, 3) of the distribution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        channels, entering = 64, 64
        for number, blocks in enumerate(BLOCKS, 1):
            stride = 1 if number == 1 else 2
            layers = [Bottleneck(entering, channels, stride)]
            entering = EXPANSION * channels
            layers += [Bottleneck(entering, channels, 1) for _ in range(blocks - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*layers))
            channels *= 2
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(entering, 512), nn.BatchNorm1d(512), nn.ReLU6(), nn.Linear(512, 128),
            nn.BatchNorm1d(128), nn.ReLU6(), nn.Linear(128, 9),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for number in range(1, len(BLOCKS) + 1):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(self.avgpool(x).flatten(1)).view(-1, 3, 3)
