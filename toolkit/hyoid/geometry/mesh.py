# SPDX-License-Identifier: Apache-2.0
"""A mesh as it came from a file: its own topology, units and axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """One polygon mesh.

    Attributes:
        vertices: (V, 3) float64, in the file's units and axes and in the file's order.
        faces: (F, 4) int32 vertex indices; a triangle repeats its last index. Larger polygons arrive cut into these.
        uv: (U, 2) float32, origin bottom left; (0, 2) where the file has none.
        face_uv: (F, 4) int32 into ``uv``; (0, 4) where the file has none.
        groups: (F,) int32, the group (object, group or material of the file) of each face, into ``group_names``.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    face_uv: np.ndarray
    groups: np.ndarray
    group_names: tuple[str, ...]
