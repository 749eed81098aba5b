# SPDX-License-Identifier: Apache-2.0
"""Changed positions for an .obj file: only the numbers of its ``v`` (and ``vn``) lines are replaced."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hyoid.errors import InputError
from hyoid.formats import polygons

_POSITION = re.compile(rb"^([ \t]*v[ \t]+)[^\s#]+[ \t]+[^\s#]+[ \t]+[^\s#]+", re.MULTILINE)
_NORMAL = re.compile(rb"^([ \t]*vn[ \t]+)([^\s#]+[ \t]+[^\s#]+[ \t]+[^\s#]+)", re.MULTILINE)


def replaced(path: Path, points: np.ndarray, rotation: np.ndarray | None) -> bytes:
    """The bytes of the file with other positions; all else stays as it is, but for normals, which turn.

    Args:
        points: (vertices, 3). rotation: (3, 3), or None to leave the normals.

    Raises:
        InputError: the file has changed since it was read, or has a normal that is no three numbers.
    """
    text = polygons.file_bytes(path, "a Wavefront .obj file")
    old_ends = b"\r" in text and b"\n" not in text
    if old_ends:
        text = text.replace(b"\r", b"\n")
    if b"\\" in text:  # a continued line cannot be told from the next by its start
        text = re.sub(rb"\\[ \t]*\r?\n", b"  ", text)
    pieces = _POSITION.split(text)
    if len(pieces) != 2 * len(points) + 1:
        raise InputError(f"has {len(pieces) // 2} vertices now", path=path, expected=f"{len(points)}, as when read")
    text = _woven([pieces[0]], pieces[1::2], _rows(points), pieces[2::2])
    if rotation is not None and b"vn" in text:
        text = _turned(text, rotation, path)
    return text.replace(b"\n", b"\r") if old_ends else text


def plain(points: np.ndarray, faces: np.ndarray) -> bytes:
    """The bytes of an .obj file with positions (vertices, 3) and faces (F, 4)."""
    lines = [b"v " + row for row in _rows(points)]
    for a, b, c, d in (faces + 1).tolist():
        lines.append(b"f %d %d %d" % (a, b, c) if c == d else b"f %d %d %d %d" % (a, b, c, d))
    return b"\n".join([*lines, b""])


def _turned(text: bytes, rotation: np.ndarray, path: Path) -> bytes:
    pieces = _NORMAL.split(text)
    if len(pieces) == 1:
        return text
    try:
        normals = np.array([float(word) for word in b" ".join(pieces[2::3]).split()]).reshape(-1, 3)
    except ValueError:
        raise InputError("has a normal that is no three numbers", path=path, expected="vn lines of numbers") from None
    return _woven([pieces[0]], pieces[1::3], _rows(normals @ rotation.T), pieces[3::3])


def _woven(start: list[bytes], *columns: list[bytes]) -> bytes:
    """The columns' pieces in turn, joined."""
    woven: list[bytes] = [b""] * (len(columns) * len(columns[0]))
    for number, column in enumerate(columns):
        woven[number :: len(columns)] = column
    return b"".join(start + woven)


def _rows(values: np.ndarray) -> list[bytes]:
    """Each row as text; nine digits bring every float32 back."""
    template = "%.9g %.9g %.9g\n" * len(values)
    return (template % tuple(values.reshape(-1).tolist())).encode().split(b"\n")[:-1]
