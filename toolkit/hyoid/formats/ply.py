# SPDX-License-Identifier: Apache-2.0
"""Stanford ``.ply``: scans and meshes, as text or binary of either byte order. Vertices keep the file's order.

Read: ``x y z`` of the vertices, texture coordinates of vertices (``s t`` or ``u v``), and the faces; colours, normals
and every other element are passed over. A file without faces is a cloud of points.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hyoid.errors import InputError
from hyoid.formats import polygons
from hyoid.formats.checks import finite
from hyoid.geometry.mesh import Mesh

_WHAT = "a .ply file"
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_FACES = ("vertex_indices", "vertex_index")
_UV = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))
_LARGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class _Property:
    name: str
    kind: str
    count: str = ""
    """Type of the length, for a list; empty for a single number."""


@dataclass(frozen=True)
class Element:
    name: str
    count: int
    properties: tuple[_Property, ...]


@dataclass(frozen=True)
class _List:
    """The lists of one property, end to end: ``counts`` (n,) and ``values`` (sum of counts,)."""

    counts: np.ndarray
    values: np.ndarray


_Columns = dict[str, "np.ndarray | _List"]


def read(path: Path) -> Mesh:
    """The mesh, or the points, in a ``.ply`` file.

    Raises:
        InputError: the file is missing, cut short, holds no vertices, or its numbers make no sense.
    """
    return _mesh(path, with_faces=True)


def read_vertices(path: Path) -> np.ndarray:
    """The vertices of a ``.ply`` file, (V, 3) float64 in its order.

    Raises:
        InputError: see :func:`read`.
    """
    return _mesh(path, with_faces=False).vertices


def write(path: Path, mesh: Mesh) -> None:
    """Write vertices (double precision) and faces as binary, little endian; texture coordinates are left out."""
    triangle = mesh.faces[:, 2] == mesh.faces[:, 3]
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(mesh.vertices)}\n"
        "property double x\nproperty double y\nproperty double z\n"
        f"element face {len(mesh.faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.zeros((len(mesh.faces), 17), np.uint8)
    rows[:, 0] = np.where(triangle, 3, 4)
    rows[:, 1:] = np.ascontiguousarray(mesh.faces, "<i4").view(np.uint8).reshape(-1, 16)
    used = np.arange(17) < np.where(triangle, 13, 17)[:, None]
    vertices = np.ascontiguousarray(mesh.vertices, "<f8")
    Path(path).write_bytes(header.encode() + vertices.tobytes() + rows[used].tobytes())


def _mesh(path: Path, *, with_faces: bool) -> Mesh:
    data = polygons.file_bytes(path, _WHAT)
    order, elements, start, lines = read_header(data, path)
    found = _text(data[start:], elements, lines, path) if not order else _binary(data, start, order, elements, path)
    columns = found.get("vertex", {})
    axes = [columns.get(axis) for axis in "xyz"]
    if not all(isinstance(axis, np.ndarray) for axis in axes):
        raise InputError("has no vertices with x, y and z", path=path, expected=_WHAT)
    vertices = np.stack(axes, 1).astype(np.float64)  # type: ignore[arg-type]
    finite("vertices", vertices, path)
    faces = next((found.get("face", {}).get(name) for name in _FACES if name in found.get("face", {})), None)
    counts = faces.counts if isinstance(faces, _List) else np.zeros(0, np.int64)
    corners = faces.values if isinstance(faces, _List) else np.zeros(0, np.int64)
    polygons.check_counts(len(vertices), len(counts), path)
    if not with_faces:
        counts, corners = counts[:0], corners[:0]
    if "tristrips" in found and not len(counts) and with_faces:
        raise InputError("holds triangle strips", path=path, expected="faces", hint="Save it with plain triangles")
    index = _checked_corners(counts, corners, len(vertices), path)
    slots, _ = polygons.cut(counts, index)
    quads = index[slots].astype(np.int32)
    uv, face_uv = np.zeros((0, 2), np.float32), np.zeros((0, 4), np.int32)
    for names in _UV:
        pair = [columns.get(name) for name in names]
        if len(quads) and all(isinstance(column, np.ndarray) for column in pair):
            uv, face_uv = np.stack(pair, 1).astype(np.float32), quads.copy()  # type: ignore[arg-type]
            finite("texture coordinates", uv, path)
            break
    return Mesh(vertices, quads, uv, face_uv, np.zeros(len(quads), np.int32), ("",) if len(quads) else ())


def _checked_corners(counts: np.ndarray, corners: np.ndarray, vertices: int, path: Path) -> np.ndarray:
    small = np.flatnonzero(counts < 3)
    if len(small):
        raise InputError(f"face {small[0]} has {counts[small[0]]} corners", path=path, expected="at least 3")
    index = corners.astype(np.int64)
    wrong = np.flatnonzero((index < 0) | (index >= vertices))
    if len(wrong):
        face = int(np.searchsorted(np.cumsum(counts), wrong[0], side="right"))
        raise InputError(f"face {face} names vertex {index[wrong[0]]}", path=path, expected=f"0 to {vertices - 1}")
    return index


def read_header(data: bytes, path: Path) -> tuple[str, list[Element], int, int]:
    """The byte order (empty for text), the elements, where the data begins, and how many lines the header has."""
    end = data.find(b"end_header", 0, _LARGEST_HEADER)
    stop = data.find(b"\n", end) + 1
    if not data.startswith(b"ply") or end < 0 or not stop:
        raise InputError(
            "is not a .ply file", path=path, expected="a file that begins with 'ply' and has an end_header"
        )
    lines = data[:end].decode("latin-1").splitlines()
    order, elements = None, []
    for number, line in enumerate(lines[1:], 2):
        words = line.split()
        try:
            if not words or words[0] in ("comment", "obj_info"):
                continue
            if words[0] == "format":
                order = _ORDERS[words[1]]
            elif words[0] == "element":
                elements.append(Element(words[1], _count(words[2]), ()))
            elif words[0] == "property":
                last = elements.pop()
                one = _Property(words[4], _TYPES[words[3]], _TYPES[words[2]]) if words[1] == "list" else None
                one = one or _Property(words[2], _TYPES[words[1]])
                elements.append(Element(last.name, last.count, (*last.properties, one)))
            else:
                raise ValueError
        except (KeyError, IndexError, ValueError):
            raise InputError(f"line {number} of its header is '{line[:60]}'", path=path, expected=_WHAT) from None
    if order is None:
        raise InputError("does not say its format", path=path, expected="a 'format' line")
    return order, elements, stop, len(lines) + 1


def _count(word: str) -> int:
    count = int(word)
    if count < 0:
        raise ValueError
    return count


def too_short(element: Element, path: Path) -> InputError:
    return InputError(f"ends within its {element.count} of '{element.name}'", path=path, expected="a whole file")


def _binary(data: bytes, start: int, order: str, elements: list[Element], path: Path) -> dict[str, _Columns]:
    found = {}
    for element in elements:
        if not any(entry.count for entry in element.properties):
            kind = np.dtype([(str(n), order + entry.kind) for n, entry in enumerate(element.properties)])
            size = kind.itemsize * element.count
            if size > len(data) - start:
                raise too_short(element, path)
            rows = np.frombuffer(data, kind, element.count, start) if size else np.zeros(0, kind)
            columns: _Columns = {entry.name: rows[str(n)] for n, entry in enumerate(element.properties)}
        else:
            columns, size = read_lists(data, start, order, element, path)
        found[element.name] = columns
        start += size
    return found


def read_lists(data: bytes, start: int, order: str, element: Element, path: Path) -> tuple[_Columns, int]:
    """An element with lists: at once where every list is as long as the first, row by row elsewhere."""
    widths = []
    place = start
    for entry in element.properties:
        length = 1
        if entry.count:
            length = _length(data, place, order + entry.count, element, path)
            place += np.dtype(entry.count).itemsize
        widths.append(length)
        place += length * np.dtype(entry.kind).itemsize
    fields = []
    for number, (entry, length) in enumerate(zip(element.properties, widths, strict=True)):
        if entry.count:
            fields.append((f"n{number}", order + entry.count))
        fields.append((str(number), order + entry.kind, (length,)))
    kind = np.dtype(fields)
    size = kind.itemsize * element.count
    if element.count and size <= len(data) - start:
        rows = np.frombuffer(data, kind, element.count, start)
        lists = [number for number, entry in enumerate(element.properties) if entry.count]
        if all((rows[f"n{number}"] == widths[number]).all() for number in lists):
            return {
                entry.name: _List(np.full(element.count, widths[number], np.int64), rows[str(number)].reshape(-1))
                if entry.count
                else rows[str(number)][:, 0]
                for number, entry in enumerate(element.properties)
            }, size
    return _row_by_row(data, start, order, element, path)


def _row_by_row(data: bytes, start: int, order: str, element: Element, path: Path) -> tuple[_Columns, int]:
    if element.count > len(data) - start:  # the least that a row takes is one byte
        raise too_short(element, path)
    kinds = [(np.dtype(order + entry.kind), order + entry.count if entry.count else "") for entry in element.properties]
    counts: list[list[int]] = [[] for _ in kinds]
    pieces: list[list[bytes]] = [[] for _ in kinds]
    place = start
    for _ in range(element.count):
        for number, (kind, count) in enumerate(kinds):
            length = 1
            if count:
                length = _length(data, place, count, element, path)
                place += np.dtype(count).itemsize
            size = length * kind.itemsize
            if size > len(data) - place:
                raise too_short(element, path)
            counts[number].append(length)
            pieces[number].append(data[place : place + size])
            place += size
    columns: _Columns = {}
    for number, entry in enumerate(element.properties):
        values = np.frombuffer(b"".join(pieces[number]), kinds[number][0])
        columns[entry.name] = _List(np.array(counts[number], np.int64), values) if entry.count else values
    return columns, place - start


def _length(data: bytes, place: int, kind: str, element: Element, path: Path) -> int:
    """The length of the list that begins at ``place``; 0 where the element has no rows."""
    if not element.count:
        return 0
    if np.dtype(kind).itemsize > len(data) - place:
        raise too_short(element, path)
    value = np.frombuffer(data, kind, 1, place)[0]
    if not 0 <= value <= len(data) or value != int(value):
        raise InputError(f"a list of '{element.name}' has {value} entries", path=path, expected="a whole number")
    return int(value)


def _text(body: bytes, elements: list[Element], before: int, path: Path) -> dict[str, _Columns]:
    rows = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    place, found = 0, {}
    for element in elements:
        mine = []
        first = place
        while len(mine) < element.count:
            if place == len(rows):
                raise too_short(element, path)
            words = rows[place].split()
            place += 1
            if words:
                mine.append(words)
        try:
            found[element.name] = _columns(mine, element)
        except (ValueError, OverflowError, IndexError):
            line = before + first + next((n for n, words in enumerate(mine) if not _is_sound(words, element)), 0) + 1
            raise InputError(
                f"line {line} does not hold what '{element.name}' promises", path=path, expected=_WHAT
            ) from None
    return found


def _columns(rows: list[list[bytes]], element: Element) -> _Columns:
    if not any(entry.count for entry in element.properties):
        width = len(element.properties)
        table = np.array([float(word) for words in rows for word in words], np.float64).reshape(len(rows), width)
        if any(len(words) != width for words in rows):
            raise ValueError
        return {entry.name: table[:, number] for number, entry in enumerate(element.properties)}
    counts: list[list[int]] = [[] for _ in element.properties]
    values: list[list[bytes]] = [[] for _ in element.properties]
    for words in rows:
        place = 0
        for number, entry in enumerate(element.properties):
            length = int(words[place]) if entry.count else 1
            place += bool(entry.count)
            if not 0 <= length <= len(words) - place:
                raise ValueError
            counts[number].append(length)
            values[number] += words[place : place + length]
            place += length
        if place != len(words):
            raise ValueError
    columns: _Columns = {}
    for number, entry in enumerate(element.properties):
        whole = entry.kind[0] in "iu"
        array = np.array([int(word) if whole else float(word) for word in values[number]], np.int64 if whole else float)
        columns[entry.name] = _List(np.array(counts[number], np.int64), array) if entry.count else array
    return columns


def _is_sound(words: list[bytes], element: Element) -> bool:
    try:
        _columns([words], element)
    except (ValueError, OverflowError, IndexError):
        return False
    return True
