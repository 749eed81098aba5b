# SPDX-License-Identifier: Apache-2.0
"""The arrays of a binary glTF: typed, strided, normalised or sparse, checked against the bytes that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError
from hyoid.formats.glb_read import Glb

_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Accessors:
    """Reads accessors of one file by number."""

    def __init__(self, glb: Glb, path: Path) -> None:
        self.glb, self.path = glb, path

    def get(self, index: int) -> np.ndarray:
        """The values (count, components) float64; whole numbers that stand for fractions are divided out.

        Raises:
            InputError: there is no such accessor, or it does not fit the file.
        """
        accessors = self.glb.document.get("accessors", [])
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(accessors):
            raise InputError(f"names accessor {index}, and there are {len(accessors)}", path=self.path)
        record = accessors[index]
        kind, width = _TYPES.get(record.get("componentType")), _WIDTHS.get(record.get("type"))
        if kind is None or width is None:
            raise InputError(f"accessor {index} has no known type", path=self.path)
        count = self._count(record, f"accessor {index}")
        dtype = np.dtype(kind)
        if record.get("bufferView") is None:
            self._affordable(index, record, count * width)
            values = np.zeros((count, width), dtype)
        else:
            values = self._rows(record["bufferView"], record.get("byteOffset", 0), count, width, dtype)
        if "sparse" in record:
            values = self._filled(index, record["sparse"], values)
        result = values.astype(np.float64)
        if record.get("normalized") and dtype.kind in "iu":
            result = np.maximum(result / np.iinfo(dtype).max, -1.0)
        return result

    def _affordable(self, index: int, record: dict[str, Any], numbers: int) -> None:
        """Zeros cost nothing in a file: refuse more of them than any animation of its size could want."""
        if numbers > 64 * (len(self.glb.binary) + 65536):
            raise InputError(f"accessor {index} holds {numbers} numbers without data", path=self.path)

    def _count(self, record: dict[str, Any], what: str) -> int:
        count = record.get("count", 0)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise InputError(f"{what} has {count!r:.40} elements", path=self.path, expected="a whole number")
        return count

    def _rows(self, view_index: Any, offset: Any, count: int, width: int, dtype: np.dtype) -> np.ndarray:
        """``count`` rows of a buffer view, (count, width), as they are stored."""
        views = self.glb.document.get("bufferViews", [])
        if isinstance(view_index, bool) or not isinstance(view_index, int) or not 0 <= view_index < len(views):
            raise InputError(f"names buffer view {view_index}, and there are {len(views)}", path=self.path)
        view = views[view_index]
        buffers = self.glb.document.get("buffers", [{}])
        if view.get("buffer", 0) != 0 or "uri" in buffers[0]:
            raise InputError(
                "keeps its data in another file", path=self.path, expected="a .glb with everything inside",
                hint="Export it as one binary file",
            )  # fmt: skip
        size = width * dtype.itemsize
        step, start = view.get("byteStride", size), view.get("byteOffset", 0) + offset
        length = view.get("byteLength", 0)
        if not all(isinstance(number, int) and number >= 0 for number in (step, start, offset, length)) or step < size:
            raise InputError(f"buffer view {view_index} makes no sense", path=self.path)
        needed = step * (count - 1) + size if count else 0
        if offset + needed > length or start + needed > len(self.glb.binary):
            raise InputError(f"buffer view {view_index} ends before its data does", path=self.path)
        if not count:
            return np.zeros((0, width), dtype)
        raw = np.frombuffer(self.glb.binary, np.uint8, needed, start)
        rows = np.lib.stride_tricks.as_strided(raw, (count, size), (step, 1), writeable=False)
        return np.ascontiguousarray(rows).view(dtype).reshape(count, width)

    def _filled(self, index: int, sparse: dict[str, Any], values: np.ndarray) -> np.ndarray:
        """``values`` with the rows replaced that a sparse record names."""
        count = self._count(sparse, f"the sparse part of accessor {index}")
        where, what = sparse["indices"], sparse["values"]
        kind = _TYPES.get(where.get("componentType"))
        if kind not in ("<u1", "<u2", "<u4"):
            raise InputError(f"accessor {index} has sparse indices of no known type", path=self.path)
        rows = self._rows(where["bufferView"], where.get("byteOffset", 0), count, 1, np.dtype(kind)).reshape(-1)
        if len(rows) and int(rows.max()) >= len(values):
            raise InputError(f"accessor {index} has a sparse index of {rows.max()}", path=self.path)
        result = values.copy()
        width = values.shape[1]
        result[rows] = self._rows(what["bufferView"], what.get("byteOffset", 0), count, width, values.dtype)
        return result
