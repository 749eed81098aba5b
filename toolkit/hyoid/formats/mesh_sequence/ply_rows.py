# SPDX-License-Identifier: Apache-2.0
"""Positions out of a .ply file, and changed ones back into a copy of it: every other property stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hyoid.errors import InputError
from hyoid.formats import ply, polygons

_AXES = ("x", "y", "z")
_NORMALS = ("nx", "ny", "nz")
_WHAT = "a .ply file"


@dataclass(frozen=True)
class _Rows:
    """Where the vertices of a file are: its bytes, and from ``start`` on ``count`` rows of ``names``."""

    data: bytes
    order: str
    start: int
    count: int
    names: tuple[str, ...]
    kinds: tuple[str, ...]

    def table(self) -> np.dtype:
        return np.dtype([(str(n), self.order + kind) for n, kind in enumerate(self.kinds)])


def read_vertices(path: Path) -> np.ndarray:
    """The vertices of a .ply file, (V, 3) float64, without a look at what comes after them.

    Raises:
        InputError: missing, cut short, or without vertices.
    """
    rows = _rows(path)
    if not rows.order:
        return ply.read_vertices(path)
    values = np.frombuffer(rows.data, rows.table(), rows.count, rows.start)
    return np.stack([values[str(rows.names.index(axis))] for axis in _AXES], 1).astype(np.float64)


def replaced(path: Path, points: np.ndarray, rotation: np.ndarray | None) -> bytes:
    """The bytes of the file with other positions; normals, where it has them, turn by ``rotation`` (3, 3).

    Raises:
        InputError: the file has changed since it was read, or keeps positions as whole numbers.
    """
    rows = _rows(path)
    if rows.count != len(points):
        raise InputError(f"has {rows.count} vertices now", path=path, expected=f"{len(points)}, as when read")
    whole = [axis for axis in _AXES if rows.kinds[rows.names.index(axis)][0] != "f"]
    if whole:
        raise InputError(f"keeps '{whole[0]}' as whole numbers", path=path, expected="float or double positions")
    turn = rotation if rotation is not None and all(name in rows.names for name in _NORMALS) else None
    if rows.order:
        return _binary(rows, points, turn)
    try:
        return _text(rows, points, turn)
    except (IndexError, ValueError):
        raise InputError("has a vertex that its header does not describe", path=path, expected=_WHAT) from None


def _binary(rows: _Rows, points: np.ndarray, rotation: np.ndarray | None) -> bytes:
    data = bytearray(rows.data)
    values = np.frombuffer(data, rows.table(), rows.count, rows.start)
    for axis, name in enumerate(_AXES):
        values[str(rows.names.index(name))] = points[:, axis]
    if rotation is not None:
        columns = [str(rows.names.index(name)) for name in _NORMALS]
        turned = np.stack([values[column] for column in columns], 1).astype(np.float64) @ rotation.T
        for axis, column in enumerate(columns):
            values[column] = turned[:, axis]
    del values  # a bytearray with a view on it cannot be handed on
    return bytes(data)


def _text(rows: _Rows, points: np.ndarray, rotation: np.ndarray | None) -> bytes:
    lines = rows.data[rows.start :].splitlines(keepends=True)
    vertices = [number for number, line in enumerate(lines) if line.strip()][: rows.count]
    words = [lines[number].split() for number in vertices]
    changed = {name: points[:, axis] for axis, name in enumerate(_AXES)}
    if rotation is not None:
        columns = [rows.names.index(name) for name in _NORMALS]
        turned = np.array([[float(row[column]) for column in columns] for row in words]) @ rotation.T
        changed |= {name: turned[:, axis] for axis, name in enumerate(_NORMALS)}
    for name, values in changed.items():
        column = rows.names.index(name)
        digits = "%.17g" if rows.kinds[column] == "f8" else "%.9g"
        for row, value in zip(words, values.tolist(), strict=True):
            row[column] = (digits % value).encode()
    for number, row in zip(vertices, words, strict=True):
        line = lines[number]
        lines[number] = b" ".join(row) + line[len(line.rstrip(b"\r\n")) :]
    return rows.data[: rows.start] + b"".join(lines)


def _rows(path: Path) -> _Rows:
    data = polygons.file_bytes(path, _WHAT)
    order, elements, start, _ = ply.read_header(data, path)
    for element in elements:
        if element.name == "vertex":
            break
        start = _after(data, order, element, start, path)
    else:
        raise InputError("has no vertices with x, y and z", path=path, expected=_WHAT)
    names = tuple(entry.name for entry in element.properties)
    if not all(axis in names for axis in _AXES):
        raise InputError("has no vertices with x, y and z", path=path, expected=_WHAT)
    if any(entry.count for entry in element.properties):
        raise InputError("has vertices with lists in them", path=path, expected="vertices of plain numbers")
    rows = _Rows(data, order, start, element.count, names, tuple(entry.kind for entry in element.properties))
    if order and rows.table().itemsize * rows.count > len(data) - start:
        raise ply.too_short(element, path)
    return rows


def _after(data: bytes, order: str, element: ply.Element, start: int, path: Path) -> int:
    """Where the element that begins at ``start`` ends."""
    if order:
        if any(entry.count for entry in element.properties):
            return start + ply.read_lists(data, start, order, element, path)[1]
        return start + element.count * sum(np.dtype(entry.kind).itemsize for entry in element.properties)
    left = element.count
    while left:
        end = data.find(b"\n", start) + 1
        if not end:
            raise ply.too_short(element, path)
        left -= bool(data[start:end].strip())
        start = end
    return start
