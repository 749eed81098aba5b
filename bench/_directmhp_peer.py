# SPDX-License-Identifier: Apache-2.0
"""DirectMHP's m6 as one would write it down with ``nn.Module``, under the published names: the peer of our detector.

Nothing is folded or laid out otherwise; features are (B, C, H, W).
"""

from __future__ import annotations

import math

import torch
from torch import nn

STAGES = (64, 128, 256, 512, 768, 1024)
STRIDES = (8, 16, 32, 64)
FIELDS = 9
ANCHORS = (
    ((19, 27), (44, 40), (38, 94)), ((96, 68), (86, 152), (180, 137)), ((140, 301), (303, 264), (238, 542)),
    ((436, 615), (739, 380), (925, 792)),
)  # fmt: skip


class Conv(nn.Module):
    def __init__(self, entering: int, leaving: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(entering, leaving, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(leaving, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(x)))


class Focus(nn.Module):
    def __init__(self, leaving: int) -> None:
        super().__init__()
        self.conv = Conv(12, leaving, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return self.conv(torch.cat(parts, dim=1))


class Bottleneck(nn.Module):
    def __init__(self, channels: int, shortcut: bool) -> None:
        super().__init__()
        self.cv1, self.cv2 = Conv(channels, channels), Conv(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.cv2(self.cv1(x))
        return x + found if self.shortcut else found


class C3(nn.Module):
    def __init__(self, entering: int, leaving: int, repeats: int, shortcut: bool) -> None:
        super().__init__()
        half = leaving // 2
        self.cv1, self.cv2 = Conv(entering, half), Conv(entering, half)
        self.cv3 = Conv(2 * half, leaving)
        self.m = nn.Sequential(*[Bottleneck(half, shortcut) for _ in range(repeats)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], dim=1))


class SPP(nn.Module):
    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = Conv(entering, entering // 2), Conv(2 * entering, leaving)
        self.m = nn.ModuleList(nn.MaxPool2d(kernel, 1, kernel // 2) for kernel in (3, 5, 7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.cv1(x)
        return self.cv2(torch.cat([x] + [pool(x) for pool in self.m], dim=1))


class Join(nn.Module):
    """The tensor that comes, then the one of an earlier layer."""

    def __init__(self, other: int) -> None:
        super().__init__()
        self.other = other


class Detect(nn.Module):
    anchors: torch.Tensor
    anchor_grid: torch.Tensor

    def __init__(self, sources: dict[int, int]) -> None:
        super().__init__()
        self.sources = tuple(sources)
        self.m = nn.ModuleList(nn.Conv2d(channels, 3 * FIELDS, 1) for channels in sources.values())
        pixels = torch.tensor(ANCHORS, dtype=torch.float32)
        self.register_buffer("anchors", pixels / torch.tensor(STRIDES, dtype=torch.float32)[:, None, None])
        self.register_buffer("anchor_grid", pixels[:, None, :, None, None, :].clone())

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        rows = []
        for level, (x, stride) in enumerate(zip(levels, STRIDES, strict=True)):
            x = self.m[level](x)
            batch, _, height, width = x.shape
            found = x.view(batch, 3, FIELDS, height, width).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
            down, right = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            grid = torch.stack([right, down], dim=-1).float()
            found[..., :2] = (found[..., :2] * 2 - 0.5 + grid) * stride
            found[..., 2:4] = (found[..., 2:4] * 2) ** 2 * self.anchor_grid[level]
            rows.append(found.view(batch, -1, FIELDS))
        return torch.cat(rows, dim=1)


class Network(nn.Module):
    """Of pictures (B, 3, H, W) in 0..1: rows (B, N, 9) of centre, size, objectness, class and the angles in 0..1."""

    def __init__(self, width: float = 0.75, depth: float = 0.67) -> None:
        super().__init__()
        a, b, c, d, e, f = (math.ceil(stage * width / 8) * 8 for stage in STAGES)
        short, long = (max(round(count * depth), 1) for count in (3, 9))
        self.model = nn.ModuleList([
            Focus(a), Conv(a, b, 3, 2), C3(b, b, short, True), Conv(b, c, 3, 2), C3(c, c, long, True),
            Conv(c, d, 3, 2), C3(d, d, long, True), Conv(d, e, 3, 2), C3(e, e, short, True), Conv(e, f, 3, 2),
            SPP(f, f), C3(f, f, short, False),
            Conv(f, e), nn.Upsample(scale_factor=2), Join(8), C3(2 * e, e, short, False),
            Conv(e, d), nn.Upsample(scale_factor=2), Join(6), C3(2 * d, d, short, False),
            Conv(d, c), nn.Upsample(scale_factor=2), Join(4), C3(2 * c, c, short, False),
            Conv(c, c, 3, 2), Join(20), C3(2 * c, d, short, False),
            Conv(d, d, 3, 2), Join(16), C3(2 * d, e, short, False),
            Conv(e, e, 3, 2), Join(12), C3(2 * e, f, short, False),
            Detect({23: c, 26: d, 29: e, 32: f}),
        ])  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: list[torch.Tensor] = []
        for layer in self.model:
            if isinstance(layer, Detect):
                return layer([outputs[number] for number in layer.sources])
            x = torch.cat([x, outputs[layer.other]], dim=1) if isinstance(layer, Join) else layer(x)
            outputs.append(x)
        return x
