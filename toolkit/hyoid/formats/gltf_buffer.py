# SPDX-License-Identifier: Apache-2.0
"""The binary half of a .glb: arrays become buffer views and accessors, and the file is streamed out without a copy."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import OutputError

VERTEX_DATA, INDEX_DATA = 34962, 34963
_COMPONENT = {np.dtype(np.uint8): 5121, np.dtype(np.uint16): 5123, np.dtype(np.uint32): 5125, np.dtype("<f4"): 5126}
_KIND = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_LIMIT = (1 << 32) - 1


@dataclass
class Buffer:
    """Arrays collected for one .glb: ``views`` and ``accessors`` are JSON records, ``chunks`` the bytes in order."""

    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    chunks: list[np.ndarray] = field(default_factory=list)
    size: int = 0

    def view(self, array: np.ndarray, target: int | None = None) -> int:
        """Append the bytes of an array, four-byte aligned; gives the index of its buffer view."""
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        record: dict[str, Any] = {"buffer": 0, "byteOffset": self.size, "byteLength": len(data)}
        if target is not None:
            record["target"] = target
        self.views.append(record)
        self.chunks.append(data)
        self.size += len(data)
        if padding := -self.size % 4:
            self.chunks.append(np.zeros(padding, np.uint8))
            self.size += padding
        return len(self.views) - 1

    def accessor(self, array: np.ndarray, target: int | None = None, *, bounds: bool = False) -> int:
        """Append an array of shape (count,) or (count, components); ``bounds`` adds min and max."""
        record = _record(len(array), array) | {"bufferView": self.view(array, target)}
        if bounds:
            rows = array.reshape(len(array), -1)
            record |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self.accessors.append(record)
        return len(self.accessors) - 1

    def sparse(self, count: int, pieces: Sequence[tuple[np.ndarray, np.ndarray]], *, bounds: bool = False) -> list[int]:
        """Append arrays that are zero but in a few rows; all of them share two buffer views.

        Args:
            count: rows of each array.
            pieces: (indices (n,) rising, values (n, components) float32) for each array; n may be 0.
            bounds: add min and max (zero rows count).

        Returns:
            The accessor index of each array.
        """
        index_type = np.uint16 if count <= 1 << 16 else np.uint32
        # Where most rows move, indices cost more than the zeros that they spare.
        dense = [len(indices) * (12 + np.dtype(index_type).itemsize) >= count * 12 for indices, _ in pieces]
        kept = [piece for piece, whole in zip(pieces, dense, strict=True) if not whole and len(piece[0])]
        if kept:
            index_view = self.view(np.concatenate([indices.astype(index_type) for indices, _ in kept]))
            value_view = self.view(np.concatenate([values for _, values in kept]))
        made, place = [], 0
        for (indices, values), whole in zip(pieces, dense, strict=True):
            record = _record(count, values)
            if bounds:
                low, high = np.zeros((2, values.shape[1]), np.float32)
                if len(indices):
                    low, high = values.min(0), values.max(0)
                    if len(indices) < count:
                        low, high = np.minimum(low, 0), np.maximum(high, 0)
                record |= {"min": low.tolist(), "max": high.tolist()}
            if whole:
                rows = np.zeros((count, values.shape[1]), np.float32)
                rows[indices] = values
                record["bufferView"] = self.view(rows, VERTEX_DATA)
            elif len(indices):
                index_bytes, value_bytes = (
                    place * size for size in (np.dtype(index_type).itemsize, 4 * values.shape[1])
                )
                record["sparse"] = {
                    "count": len(indices),
                    "indices": {
                        "bufferView": index_view,
                        "byteOffset": index_bytes,
                        "componentType": _COMPONENT[np.dtype(index_type)],
                    },
                    "values": {"bufferView": value_view, "byteOffset": value_bytes},
                }
                place += len(indices)
            self.accessors.append(record)
            made.append(len(self.accessors) - 1)
        return made

    def write(self, path: Path, document: dict[str, Any]) -> None:
        """Write the .glb: ``document`` gets this buffer's tables.

        Raises:
            OutputError: the file would pass the 4 GiB that a .glb can hold.
        """
        document = document | {
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": self.size}],
        }
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + self.size
        if total > _LIMIT:
            raise OutputError(
                f"the .glb would have {total / 1e9:.1f} GB, and the format ends at 4.3 GB",
                hint="Cut the take into parts",
            )
        with open(path, "wb") as stream:
            stream.write(struct.pack("<4sII", b"glTF", 2, total))
            stream.write(struct.pack("<I4s", len(text), b"JSON") + text)
            stream.write(struct.pack("<I4s", self.size, b"BIN\0"))
            for chunk in self.chunks:
                stream.write(chunk.data)


def _record(count: int, array: np.ndarray) -> dict[str, Any]:
    components = int(np.prod(array.shape[1:]))
    return {"componentType": _COMPONENT[array.dtype], "count": count, "type": _KIND[components]}
