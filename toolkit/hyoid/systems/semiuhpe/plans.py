# SPDX-License-Identifier: Apache-2.0
"""The tables of the backbones: their convolutions with published names, in the order they run; needs no torch.

Names and shapes of parameters, the forward of ``backbones`` and the folding of BatchNorm all follow from these tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from hyoid.systems.semiuhpe.config import Config

Shapes = dict[str, tuple[int, ...]]
NORM = ("weight", "bias", "running_mean", "running_var")
POOLED = "conv1"
"""The stem after which the published residual networks halve the picture once more."""


@dataclass(frozen=True)
class Convolution:
    """A convolution and its BatchNorm.

    Attributes:
        name, norm: of their parameters; without a norm there is a bias. into, out: channels. kernel, stride, groups: as
            usual; padding keeps the size. active: the activation follows. same: padding as TensorFlow has it, the odd
            row and column at the bottom and the right.
    """

    name: str
    norm: str
    into: int
    out: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    active: bool = True
    same: bool = False
    eps: float = 1e-5

    def shapes(self) -> Shapes:
        """Of its parameters."""
        weight = (self.out, self.into // self.groups, self.kernel, self.kernel)
        if not self.norm:
            return {f"{self.name}.weight": weight, f"{self.name}.bias": (self.out,)}
        return {f"{self.name}.weight": weight} | {f"{self.norm}.{leaf}": (self.out,) for leaf in NORM}


@dataclass(frozen=True)
class Block:
    """Convolutions one after the other.

    Attributes:
        stage: name of the part of the network it belongs to. gate: the two convolutions of squeeze-and-excitation,
            before the last one. residual: what came is added. shortcut: through this convolution.
    """

    stage: str
    convolutions: tuple[Convolution, ...]
    gate: tuple[Convolution, ...] = ()
    residual: bool = False
    shortcut: Convolution | None = None

    def all(self) -> tuple[Convolution, ...]:
        """Every convolution with parameters."""
        return (*self.convolutions, *self.gate, *([self.shortcut] if self.shortcut else []))


@dataclass(frozen=True)
class Plan:
    """A whole network.

    Attributes:
        feature: width of the pooled feature. head: name of the last layers; widths: of the two before the nine numbers.
        activation: of the blocks. identities: norms of RepVGG's third branches, by the 3x3 convolutions. others: shapes
            of what is no convolution.
    """

    blocks: tuple[Block, ...]
    feature: int
    head: str
    widths: tuple[int, int] = (512, 128)
    activation: str = "relu"
    identities: dict[str, str] = field(default_factory=dict)
    others: Shapes = field(default_factory=dict)

    def convolutions(self) -> Iterator[Convolution]:
        """All of them, in order."""
        for block in self.blocks:
            yield from block.all()


@cache
def plan_of(config: Config) -> Plan:
    """The table of a network."""
    if config.backbone in ("resnet18", "resnet50"):
        return _resnet(config.backbone == "resnet50")
    makers = {
        "repvgg": _repvgg, "effinetv2": _efficientnet_v2, "effinet": _efficientnet_b4, "tinyvit": _tinyvit,
    }  # fmt: skip
    if config.backbone in makers:
        return makers[config.backbone]()
    return _mobilenet(config.width) if config.backbone == "mobilenet" else _plain(config.width, config.depth)


def shapes_of(config: Config) -> Shapes:
    """All parameters and buffers by their published names."""
    plan = plan_of(config)
    shapes: Shapes = {}
    for convolution in plan.convolutions():
        shapes |= convolution.shapes()
    for block in plan.blocks:
        first = block.convolutions[0]
        if first.name in plan.identities:
            shapes |= {f"{plan.identities[first.name]}.{leaf}": (first.out,) for leaf in NORM}
    shapes |= plan.others
    into = plan.feature
    for place, width in zip((1, 4, 7), (*plan.widths, 9), strict=True):
        shapes |= {f"{plan.head}.{place}.weight": (width, into), f"{plan.head}.{place}.bias": (width,)}
        if place < 7:
            shapes |= {f"{plan.head}.{place + 1}.{leaf}": (width,) for leaf in NORM}
        into = width
    return shapes


def _eighths(channels: float) -> int:
    """The next multiple of 8, not below 0.9 of what was asked for."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


# --- residual networks ------------------------------------------------------------------------------------------------


def _resnet(deep: bool) -> Plan:
    blocks = [Block("conv1", (Convolution("conv1", "bn1", 3, 64, 7, 2),))]
    into, growth = 64, 4 if deep else 1
    for stage, (width, count) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3) if deep else (2,) * 4, strict=True)):
        for index in range(count):
            stride = 2 if stage and not index else 1
            blocks.append(_residual(f"layer{stage + 1}", index, into, width, width * growth, stride))
            into = width * growth
    return Plan(tuple(blocks), into, "fc", (512, 128) if deep else (128, 64))


def _residual(stage: str, index: int, into: int, width: int, out: int, stride: int) -> Block:
    name = f"{stage}.{index}"
    sizes = [(into, width, 3, stride), (width, out, 3, 1)]
    if out != width:
        sizes = [(into, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
    convolutions = tuple(
        Convolution(f"{name}.conv{n}", f"{name}.bn{n}", *size, active=n < len(sizes)) for n, size in enumerate(sizes, 1)
    )
    shortcut = None
    if stride != 1 or into != out:
        shortcut = Convolution(f"{name}.downsample.0", f"{name}.downsample.1", into, out, 1, stride, active=False)
    return Block(stage, convolutions, residual=True, shortcut=shortcut)


def _plain(width: float, depth: int) -> Plan:
    """Ours: as ResNet-18 with half the channels, a 3x3 stem, and no pooling before the stages, each of which halves.

    A deeper one has more blocks where pictures are small.
    """
    into = _eighths(32 * width)
    blocks = [Block("stem", (Convolution("stem.conv", "stem.bn", 3, into, 3, 2),))]
    for stage, channels in enumerate((32, 64, 128, 256), 1):
        out = _eighths(channels * width)
        for index in range(depth if stage > 2 else 2):
            blocks.append(_residual(f"stage{stage}", index, into, out, out, 1 if index else 2))
            into = out
    return Plan(tuple(blocks), into, "head", (128, 64))


# --- RepVGG-B1g2 ------------------------------------------------------------------------------------------------------


def _repvgg() -> Plan:
    blocks, identities = [], {}
    into, count = 3, 0
    for stage, (out, length) in enumerate(zip((64, 128, 256, 512, 2048), (1, 4, 6, 16, 1), strict=True)):
        for index in range(length):
            name = f"layer{stage}.{index}" if stage else "layer0"
            groups = 2 if stage and (count := count + 1) % 2 == 0 and count <= 26 else 1
            stride = 1 if index else 2
            dense, point = (
                Convolution(
                    f"{name}.{branch}.conv", f"{name}.{branch}.bn", into, out, kernel, stride, groups, active=False
                )
                for branch, kernel in (("rbr_dense", 3), ("rbr_1x1", 1))
            )
            if stride == 1 and into == out:
                identities[dense.name] = f"{name}.rbr_identity"
            blocks.append(Block(f"layer{stage}", (dense,), shortcut=point))
            into = out
    return Plan(tuple(blocks), into, "linear_reg", identities=identities)


# --- inverted residuals -----------------------------------------------------------------------------------------------


def _mobilenet(width: float) -> Plan:
    into = _eighths(32 * width)
    blocks = [Block("features.0", (Convolution("features.0.0", "features.0.1", 3, into, 3, 2),))]
    table = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for growth, channels, count, first in table:
        out = _eighths(channels * width)
        for index in range(count):
            stage = f"features.{len(blocks)}"
            stride, hidden, place = 1 if index else first, into * growth, 0
            convolutions = []
            if growth > 1:
                convolutions.append(Convolution(f"{stage}.conv.0.0", f"{stage}.conv.0.1", into, hidden))
                place = 1
            deep = f"{stage}.conv.{place}"
            convolutions.append(Convolution(f"{deep}.0", f"{deep}.1", hidden, hidden, 3, stride, hidden))
            last = (f"{stage}.conv.{place + 1}", f"{stage}.conv.{place + 2}")
            convolutions.append(Convolution(*last, hidden, out, active=False))
            blocks.append(Block(stage, tuple(convolutions), residual=stride == 1 and into == out))
            into = out
    feature = _eighths(1280 * max(1.0, width))
    blocks.append(Block("features.18", (Convolution("features.18.0", "features.18.1", into, feature),)))
    return Plan(tuple(blocks), feature, "classifier", (256, 64), "relu6")


def _efficientnet_v2() -> Plan:
    eps, into = 1e-3, 24
    blocks = [Block("features.0", (Convolution("features.0.0", "features.0.1", 3, into, 3, 2, eps=eps),))]
    table = ((1, 24, 2, 1), (4, 48, 4, 2), (4, 64, 4, 2), (4, 128, 6, 2), (6, 160, 9, 1), (6, 256, 15, 2))
    for number, (growth, out, count, first) in enumerate(table, 1):
        for index in range(count):
            stage, stride, hidden = f"features.{number}", 1 if index else first, into * growth
            name = f"{stage}.{index}.block"
            sizes, gate = [(into, hidden, 1), (hidden, hidden, 3, stride, hidden), (hidden, out, 1)], ()
            if number <= 3:
                sizes = [(into, hidden, 3, stride), (hidden, out, 1)] if growth > 1 else [(into, out, 3, stride)]
            places = list(range(len(sizes)))
            if number > 3:
                places, few = [0, 1, 3], into // 4
                gate = (
                    Convolution(f"{name}.2.fc1", "", hidden, few), Convolution(f"{name}.2.fc2", "", few, hidden)
                )  # fmt: skip
            convolutions = tuple(
                Convolution(
                    f"{name}.{place}.0", f"{name}.{place}.1", *size, eps=eps,
                    active=len(sizes) == 1 or place != places[-1],
                )
                for place, size in zip(places, sizes, strict=True)
            )  # fmt: skip
            blocks.append(Block(stage, convolutions, gate, stride == 1 and into == out))
            into = out
    blocks.append(Block("features.7", (Convolution("features.7.0", "features.7.1", into, 1280, eps=eps),)))
    return Plan(tuple(blocks), 1280, "classifier", activation="silu")


_B4 = (
    ((24, 3, 1),) * 2,
    ((32, 3, 2), *((32, 3, 1),) * 3),
    ((56, 5, 2), *((56, 5, 1),) * 3),
    ((112, 3, 2), *((112, 3, 1),) * 5, *((160, 5, 1),) * 6),
    ((272, 5, 2), *((272, 5, 1),) * 7, *((448, 3, 1),) * 2),
)  # of each unit of the five stages: channels, kernel, stride


def _efficientnet_b4() -> Plan:
    def convolution(name: str, *size: int, active: bool = True) -> Convolution:
        return Convolution(f"{name}.conv", f"{name}.bn", *size, active=active, same=True, eps=1e-3)

    into = 48
    blocks = [Block("features.init_block", (convolution("features.init_block.conv", 3, into, 3, 2),))]
    for number, units in enumerate(_B4, 1):
        for index, (out, kernel, stride) in enumerate(units, 1):
            stage, few = f"features.stage{number}", into // 4
            name = f"{stage}.unit{index}"
            hidden = into if number == 1 else 6 * into
            deep = ("dw_conv" if number == 1 else "conv2", hidden, hidden, kernel, stride, hidden)
            last = ("pw_conv" if number == 1 else "conv3", hidden, out)
            convolutions = [convolution(f"{name}.{deep[0]}", *deep[1:])]
            if number > 1:
                convolutions.insert(0, convolution(f"{name}.conv1", into, hidden))
            convolutions.append(convolution(f"{name}.{last[0]}", *last[1:], active=False))
            gate = (
                Convolution(f"{name}.se.conv1", "", hidden, few), Convolution(f"{name}.se.conv2", "", few, hidden)
            )  # fmt: skip
            blocks.append(Block(stage, tuple(convolutions), gate, stride == 1 and into == out))
            into = out
    blocks.append(Block("features.final_block", (convolution("features.final_block", into, 1792),)))
    return Plan(tuple(blocks), 1792, "output", activation="silu")


# --- TinyViT-21M ------------------------------------------------------------------------------------------------------

TINYVIT = ((96, 2, 3, 7), (192, 2, 6, 7), (384, 6, 12, 14), (576, 2, 18, 7))
"""Of each stage: channels, blocks, heads, side of the window."""


def _tinyvit() -> Plan:
    blocks, others = [], {}

    def convolution(name: str, into: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> Convolution:
        return Convolution(f"{name}.c", f"{name}.bn", into, out, kernel, stride, groups)

    first = TINYVIT[0][0]
    stem = [convolution("patch_embed.seq.0", 3, first // 2, 3, 2)]
    stem.append(convolution("patch_embed.seq.2", first // 2, first, 3, 2))
    blocks.append(Block("patch_embed", tuple(stem)))
    for stage, (width, count, heads, window) in enumerate(TINYVIT):
        for index in range(count):
            name = f"layers.{stage}.blocks.{index}"
            if stage:
                blocks.append(Block(name, (convolution(f"{name}.local_conv", width, width, 3, 1, width),)))
                others |= _attention_shapes(name, width, heads, window)
            else:
                wide = 4 * width
                sizes = [(width, wide), (wide, wide, 3, 1, wide), (wide, width)]
                parts = tuple(convolution(f"{name}.conv{n}", *size) for n, size in enumerate(sizes, 1))
                blocks.append(Block(name, parts))
        if stage < len(TINYVIT) - 1:
            name, out = f"layers.{stage}.downsample", TINYVIT[stage + 1][0]
            sizes = [(width, out), (out, out, 3, 2, out), (out, out)]
            parts = tuple(convolution(f"{name}.conv{n}", *size) for n, size in enumerate(sizes, 1))
            blocks.append(Block(name, parts))
    feature = TINYVIT[-1][0]
    others |= {f"norm_head.{leaf}": (feature,) for leaf in NORM[:2]}
    return Plan(tuple(blocks), feature, "head", (128, 64), "gelu", others=others)


def _attention_shapes(name: str, width: int, heads: int, window: int) -> Shapes:
    shapes: Shapes = {f"{name}.attn.attention_biases": (heads, window * window)}
    for part in ("attn", "mlp"):
        shapes |= {f"{name}.{part}.norm.{leaf}": (width,) for leaf in NORM[:2]}
    linear = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
    linear |= {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}
    for part, shape in linear.items():
        shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
    return shapes


def offsets(window: int) -> np.ndarray:
    """(N, N) number of the offset between two places of an attention window, numbered as they first appear."""
    places = np.stack(np.divmod(np.arange(window * window), window), -1)
    steps = np.abs(places[:, None] - places[None])
    # From the first place every offset appears once, row by row.
    return steps[..., 0] * window + steps[..., 1]
