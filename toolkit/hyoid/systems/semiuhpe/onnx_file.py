# SPDX-License-Identifier: Apache-2.0
"""Writes ONNX files: the few messages of the format that a network needs, as bytes; needs neither onnx nor torch.

Field numbers are those of ``onnx.proto`` (onnx.ai, IR version 9); protobuf's wire format is varints and
length-delimited parts.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

_IR_VERSION, _OPSET = 9, 20
_FLOAT, _INT64 = 1, 7
_KINDS = {"f": 1, "i": 2, "s": 3, "fs": 6, "is": 7}  # AttributeProto.AttributeType

Value = int | float | str | Sequence[int]


@dataclass
class Graph:
    """A graph while it is built: nodes as bytes, initial values by name."""

    nodes: list[bytes] = field(default_factory=list)
    values: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, kind: str, inputs: Sequence[str], **attributes: Value) -> str:
        """The name of what a node of one result gives."""
        return self.add_many(kind, inputs, 1, **attributes)[0]

    def add_many(self, kind: str, inputs: Sequence[str], count: int, **attributes: Value) -> list[str]:
        """The names of what a node of several results gives."""
        name = f"n{len(self.nodes)}"
        outputs = [f"{name}.{index}" for index in range(count)]
        body = b"".join(_text(1, text) for text in inputs) + b"".join(_text(2, text) for text in outputs)
        body += _text(3, name) + _text(4, kind)
        body += b"".join(_part(5, _attribute(key, value)) for key, value in attributes.items())
        self.nodes.append(body)
        return outputs

    def constant(self, array: np.ndarray | np.generic, name: str = "") -> str:
        """The name of a constant, float32 or int64."""
        array = np.asarray(array)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        name = name or f"c{len(self.values)}"
        self.values[name] = array
        return name


def model(
    graph: Graph, inputs: Mapping[str, Sequence[int | str]], outputs: Mapping[str, tuple[str, Sequence[int | str]]],
    metadata: Mapping[str, str],
) -> bytes:  # fmt: skip
    """The bytes of an ONNX file.

    Args:
        inputs: shapes by name; a text is a size that may vary. outputs: by name, what of the graph it is and its shape.
    """
    body = b"".join(_part(1, node) for node in graph.nodes)
    for name, (source, _) in outputs.items():
        body += _part(1, _text(1, source) + _text(2, name) + _text(3, name) + _text(4, "Identity"))
    body += _text(2, "semiuhpe")
    body += b"".join(_part(5, _tensor(name, array)) for name, array in graph.values.items())
    body += b"".join(_part(11, _value(name, shape)) for name, shape in inputs.items())
    body += b"".join(_part(12, _value(name, shape)) for name, (_, shape) in outputs.items())
    found = _number(1, _IR_VERSION) + _text(2, "hyoid") + _part(7, body)
    found += _part(8, _text(1, "") + _number(2, _OPSET))
    for key, value in metadata.items():
        found += _part(14, _text(1, key) + _text(2, value))
    return found


def _attribute(name: str, value: Value) -> bytes:
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, _KINDS["s"])
    if isinstance(value, float):
        return _text(1, name) + _key(2, 5) + struct.pack("<f", value) + _number(20, _KINDS["f"])
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _KINDS["i"])
    return _text(1, name) + b"".join(_number(8, number) for number in value) + _number(20, _KINDS["is"])


def _tensor(name: str, array: np.ndarray) -> bytes:
    kind = _INT64 if array.dtype == np.int64 else _FLOAT
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    dims = b"".join(_number(1, side) for side in array.shape)
    return dims + _number(2, kind) + _text(8, name) + _part(9, little.tobytes())


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    sides = b"".join(_part(1, _text(2, side) if isinstance(side, str) else _number(1, side)) for side in shape)
    return _text(1, name) + _part(2, _part(1, _number(1, _FLOAT) + _part(2, sides)))


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
