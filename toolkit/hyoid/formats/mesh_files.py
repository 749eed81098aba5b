# SPDX-License-Identifier: Apache-2.0
"""A mesh from a file of any type that holds one: the suffix chooses the reader."""

from __future__ import annotations

from pathlib import Path

from hyoid.errors import UsageError
from hyoid.geometry.mesh import Mesh

SUFFIXES = (".obj", ".ply", ".stl", ".glb")
"""The file types that hold a mesh."""


def read_mesh(path: Path) -> Mesh:
    """The mesh in a file, in its own units and axes.

    Raises:
        UsageError: no reader knows the suffix; those that exist are listed.
        InputError: the file is missing or damaged.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".obj":
        from hyoid.formats import obj as reader
    elif suffix == ".ply":
        from hyoid.formats import ply as reader
    elif suffix == ".stl":
        from hyoid.formats import stl as reader
    elif suffix == ".glb":
        from hyoid.formats import glb_mesh as reader
    else:
        hint = (
            "Export it from your 3D program as .obj" if suffix in (".fbx", ".blend", ".abc", ".usdc", ".dae") else None
        )
        raise UsageError(
            f"unknown type of mesh '{Path(path).suffix}'",
            path=path,
            expected=f"one of {', '.join(SUFFIXES)}",
            hint=hint,
        )
    return reader.read(Path(path))
