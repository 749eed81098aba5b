# SPDX-License-Identifier: Apache-2.0
"""Sizes of a KTPFormer network and the names and shapes that follow from them; needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hyoid.geometry.human36m import LEFT, PARENTS, RIGHT


@dataclass(frozen=True)
class Config:
    """Sizes of a network.

    Attributes:
        frames: F, length of the window. channels: C. depth: pairs of spatial and temporal blocks. heads: H.
        parents: (J,) the tree of the joints, -1 for the root. left, right: joints that change places in a mirror.
    """

    frames: int = 243
    channels: int = 512
    depth: int = 7
    heads: int = 8
    parents: tuple[int, ...] = PARENTS
    left: tuple[int, ...] = LEFT
    right: tuple[int, ...] = RIGHT

    @property
    def joints(self) -> int:
        """J."""
        return len(self.parents)

    def mirrored(self) -> list[int]:
        """(J,) for each joint the one that it is in a mirror."""
        order = list(range(self.joints))
        for one, other in zip(self.left, self.right, strict=True):
            order[one], order[other] = other, one
        return order


def shapes_of(config: Config) -> dict[str, tuple[int, ...]]:
    """All parameters and buffers by their published names."""
    f, j, c = config.frames, config.joints, config.channels
    shapes: dict[str, tuple[int, ...]] = {}
    for block, attention, norm in _blocks(config):
        if block == "kpattention":
            shapes[f"{attention}.Spatial_pos_embed"] = (1, j, c)
            shapes |= _graph_shapes(f"{attention}.kpa", j, 2, c)
        elif block == "tpattention":
            shapes[f"{attention}.Temporal_pos_embed"] = (1, f, c)
            for number in (1, 2):
                shapes |= _graph_shapes(f"{attention}.tpa.gconv{number}", f, c, c)
        linear = {f"{attention}.qkv": (3 * c, c), f"{attention}.proj": (c, c)}
        linear |= {f"{block}.mlp.fc1": (2 * c, c), f"{block}.mlp.fc2": (c, 2 * c)}
        for name, shape in linear.items():
            shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
        for name in (norm, f"{block}.norm2"):
            shapes |= {f"{name}.weight": (c,), f"{name}.bias": (c,)}
    for name in ("Spatial_norm", "Temporal_norm", "head.0"):
        shapes |= {f"{name}.weight": (c,), f"{name}.bias": (c,)}
    return shapes | {"head.1.weight": (3, c), "head.1.bias": (3,)}


def _blocks(config: Config) -> Iterator[tuple[str, str, str]]:
    """Names of each block, of its attention and of the norm before that, in the order of the forward."""
    for block in ("kpattention", "tpattention"):
        yield block, f"{block}.attn", f"{block}.attn.norm1"
    for pair in range(config.depth):
        for block in (f"STEblocks.{pair}", f"TTEblocks.{pair}"):
            yield block, f"{block}.attn", f"{block}.norm1"


def _graph_shapes(name: str, nodes: int, width: int, channels: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        f"{name}.gconv.W": (2, width, channels), f"{name}.gconv.M": (nodes, channels),
        f"{name}.gconv.adj2": (nodes, nodes), f"{name}.gconv.bias": (channels,),
    }  # fmt: skip
    return shapes | {f"{name}.bn.{leaf}": (channels,) for leaf in ("weight", "bias", "running_mean", "running_var")}
