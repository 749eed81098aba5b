# SPDX-License-Identifier: Apache-2.0
"""Wavefront ``.obj``: the mesh that every 3D program writes. Vertices keep the file's order, units and axes.

Read: ``v`` (colours behind it are left out), ``vt``, ``f`` in all four forms with negative indices, ``o``,
``g``, ``usemtl``, comments, continued lines, any line ends. Everything else (normals, lines, curves) is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hyoid.errors import InputError
from hyoid.formats import polygons
from hyoid.formats.checks import finite
from hyoid.geometry.mesh import Mesh

_WHAT = "a Wavefront .obj file"
_LINE = re.compile(rb"^[ \t]*(vt?|f|g|o|usemtl)(?:[ \t\r]+(.*))?$", re.MULTILINE)
_CORNER = re.compile(rb"-?\d{1,18}(/(-?\d{1,18})?){0,2}")
_VERTEX = re.compile(rb"^[ \t]*v[ \t]+(.*)$", re.MULTILINE)


def read(path: Path) -> Mesh:
    """The mesh in an ``.obj`` file.

    A face's group is the name that its last ``o``, ``g`` and ``usemtl`` lines give, joined by ``/`` where there are
    several different ones.

    Raises:
        InputError: the file is missing, holds no vertices, or a line makes no sense; the line is named.
    """
    text = _text(path)
    scan = _Scan(text, path)
    vertices = _numbers(scan.vertices, 3, text, b"v", path)
    uv = _numbers(scan.uv, 2, text, b"vt", path)
    polygons.check_counts(len(vertices), len(scan.sizes), path)
    index, index_uv = _corners(scan, text, path)
    sizes = np.array(scan.sizes, np.int64)
    slots, polygon = polygons.cut(sizes, index)
    face_uv = np.zeros((0, 4), np.int32)
    if (index_uv >= 0).any():
        if (index_uv < 0).any():  # some faces without: they share one more coordinate
            index_uv = np.where(index_uv < 0, len(uv), index_uv)
            uv = np.concatenate([uv, np.zeros((1, 2))])
        face_uv = index_uv[slots].astype(np.int32)
    else:
        uv = np.zeros((0, 2))
    return Mesh(
        vertices, index[slots].astype(np.int32), uv.astype(np.float32), face_uv,
        np.array(scan.groups, np.int32)[polygon], tuple(scan.group_names),
    )  # fmt: skip


def read_vertices(path: Path) -> np.ndarray:
    """The vertices of an ``.obj`` file, (V, 3) float64 in its order; nothing else of it is looked at.

    Raises:
        InputError: the file is missing, holds no vertices, or one that is not three finite numbers.
    """
    text = _text(path)
    vertices = _numbers(_VERTEX.findall(text), 3, text, b"v", path)
    polygons.check_counts(len(vertices), 0, path)
    return vertices


def write(path: Path, mesh: Mesh) -> None:
    """Write a mesh: full precision, groups as ``g``, one object."""
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in np.asarray(mesh.vertices, np.float64).tolist()]
    lines += [f"vt {u!r} {v!r}" for u, v in np.asarray(mesh.uv, np.float64).tolist()]
    has_uv = len(mesh.face_uv) > 0
    group = -1
    for number, face in enumerate(mesh.faces.tolist()):
        if len(mesh.group_names) and mesh.groups[number] != group:
            group = int(mesh.groups[number])
            lines.append(f"g {mesh.group_names[group]}".rstrip())
        corners = 3 if face[2] == face[3] else 4
        if has_uv:
            pairs = zip(face[:corners], mesh.face_uv[number].tolist(), strict=False)
            lines.append("f " + " ".join(f"{vertex + 1}/{coordinate + 1}" for vertex, coordinate in pairs))
        else:
            lines.append("f " + " ".join(str(vertex + 1) for vertex in face[:corners]))
    Path(path).write_bytes("\n".join([*lines, ""]).encode())


class _Scan:
    """What the lines of a file say, in order; face corners as text, with the counts that relative indices refer to."""

    def __init__(self, text: bytes, path: Path) -> None:
        self.vertices: list[bytes] = []
        self.uv: list[bytes] = []
        self.sizes: list[int] = []
        self.corners: list[bytes] = []
        self.seen: list[tuple[int, int]] = []
        self.groups: list[int] = []
        names: dict[str, int] = {}
        said = {b"o": "", b"g": "", b"usemtl": ""}
        group = -1
        for keyword, rest in _LINE.findall(text):
            if keyword == b"v":
                self.vertices.append(rest)
            elif keyword == b"vt":
                self.uv.append(rest)
            elif keyword == b"f":
                corners = _uncommented(rest).split()
                if len(corners) < 3:
                    self._refuse(text, path, len(corners))
                if group < 0:
                    label = "/".join(dict.fromkeys(filter(None, said.values())))
                    group = names.setdefault(label, len(names))
                self.sizes.append(len(corners))
                self.corners += corners
                self.seen.append((len(self.vertices), len(self.uv)))
                self.groups.append(group)
            else:
                name = " ".join(_uncommented(rest).decode("utf-8", "replace").split())
                said[keyword] = "" if keyword == b"g" and name in ("default", "off") else name
                group = -1
        self.group_names = list(names)

    def _refuse(self, text: bytes, path: Path, found: int) -> None:
        line = _line_of(text, b"f", len(self.sizes))
        raise InputError(f"line {line} is a face of {found} corners", path=path, expected="at least 3")


def _text(path: Path) -> bytes:
    text = polygons.file_bytes(path, _WHAT)
    if b"\r" in text and b"\n" not in text:
        text = text.replace(b"\r", b"\n")
    if b"\\" in text:  # continued lines; the line break stays as a space so that words keep apart
        text = re.sub(rb"\\[ \t]*\r?\n", b"  ", text)
    return text


def _uncommented(rest: bytes) -> bytes:
    return rest.partition(b"#")[0] if b"#" in rest else rest


def _numbers(rests: list[bytes], width: int, text: bytes, keyword: bytes, path: Path) -> np.ndarray:
    """The first numbers of each line as (n, width) float64; a texture coordinate may have one number only."""
    rows = [_uncommented(rest).split()[:width] for rest in rests]
    if keyword == b"vt":
        rows = [[*row, b"0"] if len(row) == 1 else row for row in rows]
    try:
        if any(len(row) != width for row in rows):
            raise ValueError
        array = np.array([float(word) for row in rows for word in row], np.float64).reshape(-1, width)
    except ValueError:
        number = next(n for n, row in enumerate(rows) if len(row) != width or not _is_numeric(row))
        shown = rests[number].strip().decode("utf-8", "replace")[:60]
        raise InputError(
            f"line {_line_of(text, keyword, number)} is '{keyword.decode()} {shown}'",
            path=path, expected=f"{width} numbers",
        ) from None  # fmt: skip
    finite("vertices" if keyword == b"v" else "texture coordinates", array, path)
    return array


def _is_numeric(words: list[bytes]) -> bool:
    try:
        np.array([float(word) for word in words])
    except ValueError:
        return False
    return True


def _corners(scan: _Scan, text: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertex and texture index of every corner, from 0; -1 where a corner has no texture coordinate."""
    try:
        if any(b"/" in word for word in scan.corners):
            split = [word.split(b"/", 2) for word in scan.corners]
            index = np.array([int(parts[0]) for parts in split], np.int64)
            index_uv = np.array([int(parts[1]) if len(parts) > 1 and parts[1] else 0 for parts in split], np.int64)
        else:
            index = np.array([int(word) for word in scan.corners], np.int64)
            index_uv = np.zeros(len(index), np.int64)
    except (ValueError, OverflowError):
        number = next(n for n, word in enumerate(scan.corners) if not _CORNER.fullmatch(word))
        raise _face_error(scan, text, path, number, "is no corner", "v, v/vt, v//vn or v/vt/vn") from None
    seen = np.repeat(np.array(scan.seen, np.int64).reshape(-1, 2), scan.sizes, axis=0)
    uv_missing = index_uv == 0
    index = np.where(index < 0, index + seen[:, 0], index - 1)
    index_uv = np.where(uv_missing, -1, np.where(index_uv < 0, index_uv + seen[:, 1], index_uv - 1))
    for values, count, allowed in ((index, len(scan.vertices), 0), (index_uv, len(scan.uv), -1)):
        lowest = np.where(uv_missing, -1, 0) if allowed else 0
        wrong = np.flatnonzero((values < lowest) | (values >= count))
        if len(wrong):
            expected = f"1 to {count}" if count else "none, the file has no vt lines"
            raise _face_error(scan, text, path, int(wrong[0]), "is out of range", expected)
    return index, index_uv


def _face_error(scan: _Scan, text: bytes, path: Path, corner: int, what: str, expected: str) -> InputError:
    face = int(np.searchsorted(np.cumsum(scan.sizes), corner, side="right"))
    word = scan.corners[corner].decode("utf-8", "replace")[:40]
    return InputError(f"line {_line_of(text, b'f', face)}: '{word}' {what}", path=path, expected=expected)


def _line_of(text: bytes, keyword: bytes, ordinal: int) -> int:
    """The line (from 1) of the n-th line (from 0) that begins with a keyword."""
    return next(line for count, line in enumerate(_lines_with(text, keyword)) if count == ordinal)


def _lines_with(text: bytes, keyword: bytes) -> Iterator[int]:
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.split(maxsplit=1)[:1] == [keyword]:
            yield number
