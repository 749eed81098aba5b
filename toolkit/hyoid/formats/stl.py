# SPDX-License-Identifier: Apache-2.0
"""``.stl``, text and binary: loose triangles. Corners at exactly the same place become one vertex."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hyoid.errors import InputError
from hyoid.formats import polygons
from hyoid.formats.checks import finite
from hyoid.geometry.mesh import Mesh

_WHAT = "an .stl file"
_HEADER, _TRIANGLE = 84, 50
_CORNER = re.compile(rb"\bvertex\s+(\S+)\s+(\S+)\s+(\S+)")


def read(path: Path) -> Mesh:
    """The mesh in an ``.stl`` file; vertices in the order in which they are first used.

    Raises:
        InputError: the file is missing, cut short, holds no triangles or numbers that are not finite.
    """
    data = polygons.file_bytes(path, _WHAT)
    count = int.from_bytes(data[80:84], "little")
    if len(data) >= _HEADER and len(data) == _HEADER + _TRIANGLE * count:
        rows = np.frombuffer(data, np.uint8, offset=_HEADER).reshape(count, _TRIANGLE)
        corners = np.ascontiguousarray(rows[:, 12:48]).view("<f4").reshape(-1, 3).astype(np.float64)
    elif data.lstrip().startswith(b"solid") and b"facet" in data[:1024]:
        words = _CORNER.findall(data)
        try:
            corners = np.array([float(word) for row in words for word in row], np.float64).reshape(-1, 3)
        except ValueError:
            raise InputError("holds a vertex that is no number", path=path, expected=_WHAT) from None
        if len(corners) % 3 or b"endsolid" not in data:
            raise InputError("ends within a triangle or without 'endsolid'", path=path, expected="a whole file")
    else:
        raise InputError(
            f"{len(data)} bytes for {count} triangles", path=path, expected=f"{_HEADER + _TRIANGLE * count} bytes"
        )
    finite("vertices", corners, path)
    polygons.check_counts(len(corners), len(corners) // 3, path)
    vertices, index = polygons.welded(corners)
    slots, _ = polygons.cut(np.full(len(corners) // 3, 3), index)
    return Mesh(
        vertices, index[slots].astype(np.int32), np.zeros((0, 2), np.float32), np.zeros((0, 4), np.int32),
        np.zeros(len(slots), np.int32), ("",),
    )  # fmt: skip
