# SPDX-License-Identifier: Apache-2.0
"""The network as an ONNX graph, for ONNX Runtime and other programs; needs neither torch nor the package onnx.

The graph takes ``pictures`` (B, H, W, 3) uint8 RGB, sides multiples of the largest stride, and gives ``level0``,
``level1``, ...: the raw outputs (B, 3, rows, columns, fields) that :func:`hyoid.systems.directmhp.network.forward`
gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hyoid import onnx_file
from hyoid.errors import UsageError
from hyoid.files import write_bytes
from hyoid.systems.directmhp.checkpoint import Model
from hyoid.systems.directmhp.config import Config, Layer, layers_of

EPS = 1e-3
_OPSET = 13


def export(model: Model, path: Path, size: int | None = None) -> None:
    """Write the network as ``.onnx`` for square pictures of a side in pixels; None leaves number and sides open.

    Raises:
        UsageError: the side is no multiple of the largest stride. OutputError: see :func:`hyoid.files.part_file`.
    """
    write_bytes(Path(path), graph_of(model, size))


def graph_of(model: Model, size: int | None = None) -> bytes:
    """The bytes of :func:`export`.

    Raises:
        UsageError: as :func:`export`.
    """
    coarsest = model.config.strides[-1]
    if size is not None and (size < 1 or size % coarsest):
        raise UsageError(f"a side of {size} pixels", expected=f"a multiple of {coarsest}")
    graph = _Graph(parameters=_of_whole_pictures(folded(model.parameters)))
    graph.add("Transpose", ["pictures"], "channels_first", perm=[0, 3, 1, 2])  # bytes, which are less to move
    graph.add("Cast", ["channels_first"], "as_numbers", to=1)
    outputs = _layers(graph, model.config, "as_numbers")
    count = "count" if size is None else 1
    sides = ("height", "width") if size is None else (size, size)
    leaving: dict[str, onnx_file.Shape] = {}
    for level, (name, stride) in enumerate(zip(outputs, model.config.strides, strict=True)):
        cells = (f"rows{level}", f"columns{level}") if size is None else (size // stride,) * 2
        leaving[name] = (count, 3, *cells, model.config.fields)
    given = {"pictures": (count, *sides, 3)}
    return onnx_file.model_bytes(graph, "directmhp", given, leaving, opset=_OPSET, inputs_type="uint8")


def folded(parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """As :func:`hyoid.systems.directmhp.network.folded`, without torch."""
    found = {}
    for name, value in parameters.items():
        if name.endswith(".conv.weight"):
            place = name.removesuffix(".conv.weight")
            gamma, beta, mean, variance = (
                parameters[f"{place}.bn.{leaf}"].astype(np.float64)
                for leaf in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gamma / np.sqrt(variance + EPS)
            found[name] = (value * scale[:, None, None, None]).astype(np.float32)
            found[f"{place}.conv.bias"] = (beta - mean * scale).astype(np.float32)
        elif ".bn." not in name:
            found[name] = value
    return found


class _Doubled(NamedTuple):
    """Features whose height and width are to be doubled, and as many channels of that size that follow them."""

    half: str
    whole: str = ""


def _of_whole_pictures(parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """With a first convolution for pictures of 0 to 255 themselves, not for the four pictures of every second pixel.

    Its kernel is twice as wide and moves by two pixels: as many products, and nothing to rearrange before.
    """
    name = "model.0.conv.conv.weight"
    weight = parameters[name]
    count, side = len(weight), weight.shape[-1]
    # The four come as columns, rows, colours: see ``network.focus``.
    kernel = weight.reshape(count, 2, 2, 3, side, side).transpose(0, 3, 4, 2, 5, 1)
    return {**parameters, name: kernel.reshape(count, 3, 2 * side, 2 * side) / 255}


@dataclass
class _Graph(onnx_file.Graph):
    """With the numbers of the network that it is of."""

    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)

    def convolution(self, name: str, x: str | _Doubled, stride: int = 1) -> str:
        """A convolution with its SiLU."""
        weight, bias = (self.parameters[f"{name}.conv.{leaf}"] for leaf in ("weight", "bias"))
        if isinstance(x, str):
            found = self.filtered(f"{name}.conv", x, weight, bias, stride)
        else:  # kernels of a single pixel: a sum over channels, where those to be doubled cost a quarter before that
            first, rest = np.split(weight, 2, 1)
            half = self.doubled(f"{name}.doubled", self.filtered(f"{name}.half", x.half, first, bias))
            found = self.add("Add", [half, self.filtered(f"{name}.whole", x.whole, rest)], f"{name}.sum")
        return self.add("Mul", [found, self.add("Sigmoid", [found], f"{name}.gate")], f"{name}.silu")

    def filtered(
        self, name: str, x: str, weight: np.ndarray, bias: np.ndarray | None = None, stride: int = 1
    ) -> str:  # fmt: skip
        """A convolution alone; its padding keeps the sides, or halves them."""
        kernel = weight.shape[-1]
        names = [x, self.constant(weight, f"{name}.weight")]
        names += [] if bias is None else [self.constant(bias, f"{name}.bias")]
        sides = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [(kernel - 1) // 2] * 4}
        return self.add("Conv", names, f"{name}.out", **sides)

    def doubled(self, name: str, x: str) -> str:
        modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.add("Resize", [x, "", "twice"], name, **modes)


def _layers(graph: _Graph, config: Config, x: str) -> list[str]:
    """The names of the outputs of all levels."""
    given: dict[int, str] = {}
    features: str | _Doubled = x
    graph.constant(np.array([1.0, 1, 2, 2]), "twice")
    for number, layer in enumerate(layers_of(config)):
        name = f"model.{number}"
        if layer.kind == "detect":
            return [_detect(graph, f"{name}.m.{i}", i, config, given[n]) for i, n in enumerate(layer.others)]
        features = _layer(graph, name, layer, features, given)
        if isinstance(features, str):
            given[number] = features
    return []


def _layer(
    graph: _Graph, name: str, layer: Layer, x: str | _Doubled, given: Mapping[int, str]
) -> str | _Doubled:  # fmt: skip
    if layer.kind == "focus":
        return graph.convolution(f"{name}.conv", x, 2)
    if layer.kind == "conv":
        return graph.convolution(name, x, layer.stride)
    if layer.kind == "c3":
        inner = graph.convolution(f"{name}.cv1", x)
        for repeat in range(layer.repeats):
            branch = graph.convolution(f"{name}.m.{repeat}.cv1", inner)
            branch = graph.convolution(f"{name}.m.{repeat}.cv2", branch)
            inner = graph.add("Add", [inner, branch], f"{name}.m.{repeat}.sum") if layer.shortcut else branch
        both = graph.add("Concat", [inner, graph.convolution(f"{name}.cv2", x)], f"{name}.both", axis=1)
        return graph.convolution(f"{name}.cv3", both)
    if layer.kind == "spp":
        pooled = [graph.convolution(f"{name}.cv1", x)]
        for turn in range(3):
            sides = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}
            pooled.append(graph.add("MaxPool", [pooled[-1]], f"{name}.pool{turn}", **sides))
        return graph.convolution(f"{name}.cv2", graph.add("Concat", pooled, f"{name}.all", axis=1))
    if isinstance(x, _Doubled):
        return _Doubled(x.half, given[layer.others[0]])
    if layer.kind == "up":
        return _Doubled(x)
    return graph.add("Concat", [x, given[layer.others[0]]], f"{name}.out", axis=1)


def _detect(graph: _Graph, name: str, level: int, config: Config, x: str) -> str:
    weight, bias = (graph.parameters[f"{name}.{leaf}"] for leaf in ("weight", "bias"))
    found = graph.filtered(name, x, weight, bias)
    # (B, 3 * fields, rows, columns) -> (B, rows, columns, 3, fields) -> (B, 3, rows, columns, fields)
    last = graph.add("Transpose", [found], f"{name}.last", perm=[0, 2, 3, 1])
    parts = graph.constant(np.array([3, config.fields]), f"{name}.parts")
    sides = graph.add("Shape", [last], f"{name}.shape")
    first = graph.constant(np.array([0, 1, 2]), f"{name}.first")
    kept = graph.add("Gather", [sides, first], f"{name}.kept", axis=0)
    shape = graph.add("Concat", [kept, parts], f"{name}.shaped", axis=0)
    split = graph.add("Reshape", [last, shape], f"{name}.split")
    return graph.add("Transpose", [split], f"level{level}", perm=[0, 3, 1, 2, 4])
