# SPDX-License-Identifier: Apache-2.0
"""Sizes of a DirectMHP network, its layers in order, and the names and shapes that follow from them; needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

ANCHORS = (
    ((19, 27), (44, 40), (38, 94)), ((96, 68), (86, 152), (180, 137)), ((140, 301), (303, 264), (238, 542)),
    ((436, 615), (739, 380), (925, 792)),
)  # fmt: skip
"""Width and height in pixels, (levels, 3, 2), of the published settings; files bring their own."""
SQUARE = (
    ((12, 13), (20, 22), (30, 33)), ((44, 48), (62, 68), (88, 96)), ((120, 130), (165, 180), (230, 250)),
    ((320, 340), (450, 480), (640, 680)),
)  # fmt: skip
"""Anchors for pictures of about 320 pixels: heads are nearly square."""
FIRST_STRIDE = 8
BOX_FIELDS = 6  # x, y, w, h, objectness, class
ROTATIONS = {"angles": 3, "matrix": 9}
"""How a network tells a direction, and in how many numbers: sigmoids of pitch, yaw, roll (published), or a matrix."""
_STAGES = (64, 128, 256, 512, 768, 1024)
_COUNTED = "weight", "bias", "running_mean", "running_var"


@dataclass(frozen=True)
class Config:
    """Sizes of a network.

    Attributes:
        channels: of the stages at strides 2, 4, 8, ...; six for four levels, five for three.
        short, long: bottlenecks of the usual blocks and of those at strides 8 and 16.
        rotation: a name of :data:`ROTATIONS`. anchors: pixels (levels, 3, 2), to begin a training with.
    """

    channels: tuple[int, ...] = (48, 96, 192, 384, 576, 768)
    short: int = 2
    long: int = 6
    rotation: str = "angles"
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ANCHORS

    @property
    def levels(self) -> int:
        """Output levels: 4, or 3 without the coarsest one."""
        return len(self.channels) - 2

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels of a cell of each level."""
        return tuple(FIRST_STRIDE << level for level in range(self.levels))

    @property
    def fields(self) -> int:
        """Numbers of each anchor: 9, or 15 with a matrix."""
        return BOX_FIELDS + ROTATIONS[self.rotation]

    @property
    def head(self) -> str:
        """Name of the last layer."""
        return f"model.{len(layers_of(self)) - 1}"


def sized(width: float, depth: float, levels: int = 4, rotation: str = "angles", anchors=ANCHORS) -> Config:
    """The sizes of a width and a depth multiple, as published: s6 is 0.5, 0.33; m6 0.75, 0.67; l6 1, 1."""
    channels = tuple(math.ceil(stage * width / 8) * 8 for stage in _STAGES[: levels + 2])
    short, long = (max(round(count * depth), 1) for count in (3, 9))
    return Config(channels, short, long, rotation, tuple(anchors[:levels]))


SIZES = {
    "s6": sized(0.5, 0.33),
    "m6": sized(0.75, 0.67),
    "l6": sized(1.0, 1.0),
    "n6": sized(0.25, 0.33, rotation="matrix", anchors=SQUARE),
    "n5": sized(0.25, 0.33, 3, "matrix", SQUARE),
    "t5": sized(0.125, 0.33, 3, "matrix", SQUARE),
}
"""Published sizes (s6, m6, l6) and ours: n6 has four levels; n5 and t5 have three, for pictures of about 320 pixels."""


@dataclass(frozen=True)
class Layer:
    """One numbered layer.

    Attributes:
        kind: focus, conv, c3, spp, up, join (with ``other`` behind it) or detect.
        entering, leaving: channels. kernel, stride: of ``conv``. repeats, shortcut: of ``c3``.
        others: numbers of earlier layers.
    """

    kind: str
    entering: int = 0
    leaving: int = 0
    kernel: int = 1
    stride: int = 1
    repeats: int = 0
    shortcut: bool = False
    others: tuple[int, ...] = ()


def layers_of(config: Config) -> list[Layer]:
    """All layers in the published order; one that names no others takes what the one before it gives."""
    stages, top = config.channels, len(config.channels) - 1
    layers = [Layer("focus", 12, stages[0], 3)]
    backbone = {}
    for stage in range(1, top):
        layers.append(Layer("conv", stages[stage - 1], stages[stage], 3, 2))
        repeats = config.long if stage in (2, 3) else config.short
        layers.append(Layer("c3", stages[stage], stages[stage], repeats=repeats, shortcut=True))
        backbone[stage] = len(layers) - 1
    layers.append(Layer("conv", stages[top - 1], stages[top], 3, 2))
    layers.append(Layer("spp", stages[top], stages[top]))
    layers.append(Layer("c3", stages[top], stages[top], repeats=config.short))
    lateral = {}
    for stage in range(top - 1, 1, -1):
        layers.append(Layer("conv", stages[stage + 1], stages[stage]))
        lateral[stage] = len(layers) - 1
        layers += [Layer("up"), Layer("join", others=(backbone[stage],))]
        layers.append(Layer("c3", 2 * stages[stage], stages[stage], repeats=config.short))
    outputs = [len(layers) - 1]
    for stage in range(2, top):
        layers.append(Layer("conv", stages[stage], stages[stage], 3, 2))
        layers.append(Layer("join", others=(lateral[stage],)))
        layers.append(Layer("c3", 2 * stages[stage], stages[stage + 1], repeats=config.short))
        outputs.append(len(layers) - 1)
    layers.append(Layer("detect", leaving=3 * config.fields, others=tuple(outputs)))
    return layers


def convolutions_of(config: Config) -> dict[str, tuple[int, int, int]]:
    """Entering and leaving channels and the kernel of every convolution with a norm, by its name."""
    found = {}
    for number, layer in enumerate(layers_of(config)):
        name, entering, leaving = f"model.{number}", layer.entering, layer.leaving
        half = leaving // 2
        if layer.kind == "focus":
            found[f"{name}.conv"] = entering, leaving, layer.kernel
        elif layer.kind == "conv":
            found[name] = entering, leaving, layer.kernel
        elif layer.kind == "c3":
            found |= {f"{name}.cv1": (entering, half, 1), f"{name}.cv2": (entering, half, 1)}
            found[f"{name}.cv3"] = 2 * half, leaving, 1
            for repeat in range(layer.repeats):
                found[f"{name}.m.{repeat}.cv1"] = half, half, 1
                found[f"{name}.m.{repeat}.cv2"] = half, half, 3
        elif layer.kind == "spp":
            found[f"{name}.cv1"] = entering, entering // 2, 1
            found[f"{name}.cv2"] = 4 * (entering // 2), leaving, 1
    return found


def shapes_of(config: Config) -> dict[str, tuple[int, ...]]:
    """All parameters and buffers by their published names."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (entering, leaving, kernel) in convolutions_of(config).items():
        shapes[f"{name}.conv.weight"] = (leaving, entering, kernel, kernel)
        shapes |= {f"{name}.bn.{leaf}": (leaving,) for leaf in _COUNTED}
    layers, head = layers_of(config), config.head
    shapes |= {f"{head}.anchors": (config.levels, 3, 2), f"{head}.anchor_grid": (config.levels, 1, 3, 1, 1, 2)}
    for level, source in enumerate(layers[-1].others):
        shapes[f"{head}.m.{level}.weight"] = (layers[-1].leaving, layers[source].leaving, 1, 1)
        shapes[f"{head}.m.{level}.bias"] = (layers[-1].leaving,)
    return shapes
