# SPDX-License-Identifier: Apache-2.0
"""The network as an ONNX graph, for ONNX Runtime and other programs; needs neither torch nor the package onnx.

The graph takes ``pictures`` (B, H, W, 3) uint8 RGB, sides multiples of the largest stride, and gives ``level0``,
``level1``, ...: the raw outputs (B, 3, rows, columns, fields) that :func:`hyoid.systems.directmhp.network.forward`
gives. The file is written by hand in the wire format of protocol buffers, with the numbers of fields of ONNX 1.x.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from hyoid.errors import UsageError
from hyoid.files import write_bytes
from hyoid.systems.directmhp.checkpoint import Model
from hyoid.systems.directmhp.config import Config, Layer, layers_of

EPS = 1e-3
_IR, _OPSET = 8, 13
_TYPES = {"float32": 1, "uint8": 2, "int64": 7}
_FOCUS = (0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11)  # SpaceToDepth gives columns of a row before the next row


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
    graph = _Graph(folded(model.parameters))
    graph.add("Cast", ["pictures"], "as_numbers", to=1)
    graph.add("Transpose", ["as_numbers"], "channels_first", perm=[0, 3, 1, 2])
    graph.constant("scale", np.array(1 / 255, np.float32))
    graph.add("Mul", ["channels_first", "scale"], "scaled")
    outputs = _layers(graph, model.config, "scaled")
    sides = ["height", "width"] if size is None else [size, size]
    given = [_value("pictures", "uint8", ["count" if size is None else 1, *sides, 3])]
    leaving = []
    for level, (name, stride) in enumerate(zip(outputs, model.config.strides, strict=True)):
        cells = [f"rows{level}", f"columns{level}"] if size is None else [size // stride] * 2
        leaving.append(_value(name, "float32", ["count" if size is None else 1, 3, *cells, model.config.fields]))
    body = b"".join([
        *(_block(1, node) for node in graph.nodes), _text(2, "directmhp"), *(_block(5, t) for t in graph.tensors),
        *(_block(11, value) for value in given), *(_block(12, value) for value in leaving),
    ])  # fmt: skip
    opset = _block(8, _text(1, "") + _number(2, _OPSET))
    return _number(1, _IR) + _text(2, "hyoid") + _block(7, body) + opset


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


class _Graph:
    """Nodes and constants as they are collected."""

    def __init__(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.parameters = parameters
        self.nodes: list[bytes] = []
        self.tensors: list[bytes] = []

    def add(
        self, kind: str, inputs: Iterable[str], output: str, **attributes: int | str | list[int] | list[float]
    ) -> str:
        node = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(3, output) + _text(4, kind)
        self.nodes.append(node + b"".join(_block(5, _attribute(*item)) for item in attributes.items()))
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        told = b"".join(_number(1, side) for side in array.shape) + _number(2, _TYPES[array.dtype.name])
        self.tensors.append(told + _text(8, name) + _block(9, np.ascontiguousarray(array).tobytes()))
        return name

    def convolution(self, name: str, x: str, *, stride: int = 1, focus: bool = False, plain: bool = False) -> str:
        place = name if plain else f"{name}.conv"
        weight = self.parameters[f"{place}.weight"]
        kernel = weight.shape[-1]
        names = [
            x, self.constant(f"{place}.weight", weight[:, list(_FOCUS)] if focus else weight),
            self.constant(f"{place}.bias", self.parameters[f"{place}.bias"]),
        ]  # fmt: skip
        sides = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4}
        found = self.add("Conv", names, f"{name}.out", **sides)
        if plain:
            return found
        return self.add("Mul", [found, self.add("Sigmoid", [found], f"{name}.gate")], f"{name}.silu")


def _layers(graph: _Graph, config: Config, x: str) -> list[str]:
    """The names of the outputs of all levels."""
    given: list[str] = []
    graph.constant("twice", np.array([1, 1, 2, 2], np.float32))
    for number, layer in enumerate(layers_of(config)):
        name = f"model.{number}"
        if layer.kind == "detect":
            return [_detect(graph, f"{name}.m.{i}", i, config, given[n]) for i, n in enumerate(layer.others)]
        x = _layer(graph, name, layer, x, given)
        given.append(x)
    return []


def _layer(graph: _Graph, name: str, layer: Layer, x: str, given: list[str]) -> str:
    if layer.kind == "focus":
        x = graph.add("SpaceToDepth", [x], f"{name}.parts", blocksize=2)
        return graph.convolution(f"{name}.conv", x, focus=True)
    if layer.kind == "conv":
        return graph.convolution(name, x, stride=layer.stride)
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
    if layer.kind == "up":
        modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return graph.add("Resize", [x, "", "twice"], f"{name}.out", **modes)
    return graph.add("Concat", [x, given[layer.others[0]]], f"{name}.out", axis=1)


def _detect(graph: _Graph, name: str, level: int, config: Config, x: str) -> str:
    found = graph.convolution(name, x, plain=True)
    # (B, 3 * fields, rows, columns) -> (B, rows, columns, 3, fields) -> (B, 3, rows, columns, fields)
    last = graph.add("Transpose", [found], f"{name}.last", perm=[0, 2, 3, 1])
    parts = graph.constant(f"{name}.parts", np.array([3, config.fields], np.int64))
    sides = graph.add("Shape", [last], f"{name}.shape")
    first = graph.constant(f"{name}.first", np.array([0, 1, 2], np.int64))
    kept = graph.add("Gather", [sides, first], f"{name}.kept", axis=0)
    shape = graph.add("Concat", [kept, parts], f"{name}.shaped", axis=0)
    split = graph.add("Reshape", [last, shape], f"{name}.split")
    return graph.add("Transpose", [split], f"level{level}", perm=[0, 3, 1, 2, 4])


# --- wire format ------------------------------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _block(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _block(field, content.encode())


def _attribute(name: str, value: int | str | list[int] | list[float]) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, 3)
    return _text(1, name) + b"".join(_number(8, int(entry)) for entry in value) + _number(20, 7)


def _value(name: str, kind: str, shape: list[int | str]) -> bytes:
    sides = b"".join(_block(1, _number(1, side) if isinstance(side, int) else _text(2, side)) for side in shape)
    tensor = _number(1, _TYPES[kind]) + _block(2, sides)
    return _text(1, name) + _block(2, _block(1, tensor))
