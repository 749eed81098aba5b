# SPDX-License-Identifier: Apache-2.0
"""Writes ONNX files: the few messages of the format that a network needs, as bytes; needs neither onnx nor torch.

Field numbers are those of ``onnx.proto`` (onnx.ai); protobuf's wire format is varints and length-delimited parts.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

_TYPES = {"float32": 1, "uint8": 2, "int64": 7}  # TensorProto.DataType
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7  # AttributeProto.AttributeType
_NEWER = 19  # the first set of operators that needs IR version 9

Attribute = int | float | str | Sequence[int]
Shape = Sequence[int | str]
"""Sides; a text names one that may vary."""


@dataclass
class Graph:
    """A graph while it is built: nodes as bytes, constants by name."""

    nodes: list[bytes] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Attribute) -> str:
        """Add a node of one result and tell the name of that: ``output``, or one that is made up."""
        name = output or f"n{len(self.nodes)}"
        output = output or f"{name}.0"
        node = b"".join(_text(1, text) for text in inputs) + _text(2, output) + _text(3, name) + _text(4, kind)
        self.nodes.append(node + b"".join(_part(5, _attribute(key, value)) for key, value in attributes.items()))
        return output

    def constant(self, array: np.ndarray | np.generic, name: str = "") -> str:
        """Add a constant, float32 or int64, and tell its name: ``name``, or one that is made up."""
        array = np.asarray(array)
        name = name or f"c{len(self.constants)}"
        self.constants[name] = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        return name


def model_bytes(
    graph: Graph, name: str, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape], *, opset: int,
    metadata: Mapping[str, str] | None = None, inputs_type: str = "float32",
) -> bytes:  # fmt: skip
    """The bytes of an ONNX file; equal graphs give equal bytes.

    Args:
        inputs, outputs: shapes by name; outputs are float32. opset: version of the operators.
        inputs_type: ``float32`` or ``uint8``.
    """
    body = b"".join(_part(1, node) for node in graph.nodes) + _text(2, name)
    body += b"".join(_part(5, _tensor(*item)) for item in graph.constants.items())
    body += b"".join(_part(11, _value(*item, inputs_type)) for item in inputs.items())
    body += b"".join(_part(12, _value(*item, "float32")) for item in outputs.items())
    found = _number(1, 9 if opset >= _NEWER else 8) + _text(2, "hyoid") + _part(7, body)
    found += _part(8, _text(1, "") + _number(2, opset))
    return found + b"".join(_part(14, _text(1, key) + _text(2, value)) for key, value in (metadata or {}).items())


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, _STRING)
    if isinstance(value, float):
        return _text(1, name) + _key(2, 5) + struct.pack("<f", value) + _number(20, _FLOAT)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _INT)
    return _text(1, name) + b"".join(_number(8, number) for number in value) + _number(20, _INTS)


def _tensor(name: str, array: np.ndarray) -> bytes:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    sides = b"".join(_number(1, side) for side in array.shape)
    return sides + _number(2, _TYPES[array.dtype.name]) + _text(8, name) + _part(9, little.tobytes())


def _value(name: str, shape: Shape, kind: str) -> bytes:
    sides = b"".join(_part(1, _text(2, side) if isinstance(side, str) else _number(1, side)) for side in shape)
    return _text(1, name) + _part(2, _part(1, _number(1, _TYPES[kind]) + _part(2, sides)))


def _key(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _number(number: int, value: int) -> bytes:
    return _key(number, 0) + _varint(value & (1 << 64) - 1)


def _text(number: int, value: str) -> bytes:
    return _part(number, value.encode())


def _part(number: int, value: bytes) -> bytes:
    return _key(number, 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
