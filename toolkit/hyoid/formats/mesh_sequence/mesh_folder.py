# SPDX-License-Identifier: Apache-2.0
"""Sequences of .obj and .ply files, one file a frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hyoid.errors import InputError, OutputError
from hyoid.files import part_file
from hyoid.formats import obj, ply
from hyoid.formats.mesh_sequence import MeshSequence, obj_lines, ply_rows
from hyoid.geometry.mesh import Mesh

_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*]')
_LONGEST = 200


def open_files(paths: Sequence[Path]) -> MeshSequence:
    """The sequence of one folder, or of files that are all .obj or all .ply; only the first file is read.

    Raises:
        InputError: a folder without meshes or with both kinds, or a first file that cannot be read.
    """
    named = paths[0]
    if named.is_dir():
        files = _meshes_in(named)
    else:
        files = sorted(paths, key=_natural) if list(paths) == sorted(paths) else list(paths)
        named = named if len(paths) == 1 else named.parent
    kind = files[0].suffix.lower()[1:]
    first = (obj if kind == "obj" else ply).read(files[0])

    def read(start: int, stop: int) -> Iterator[np.ndarray]:
        vertices_of = obj.read_vertices if kind == "obj" else ply_rows.read_vertices
        return (vertices_of(file) for file in files[start:stop])

    names = tuple(file.stem for file in files)
    return MeshSequence(
        named, kind, names, len(first.vertices), first.faces.astype(np.int32).reshape(-1, 4),
        None, None, None, tuple(files), read,
    )  # fmt: skip


def targets(path: Path, source: MeshSequence, kind: str) -> list[Path]:
    """Where each frame will be written: files in a folder, or the one file that ``path`` names.

    Raises:
        OutputError: the folder that is meant is a file.
    """
    if path.suffix.lower() in (".obj", ".ply") and not path.is_dir():
        return [path]
    if path.exists() and not path.is_dir():
        raise OutputError("is a file", path=path, expected="a folder, as the suffix is none of a mesh file")
    return [path / f"{name}.{kind}" for name in _file_names(source.names)]


def write(
    files: Sequence[Path], source: MeshSequence, frames: Iterator[np.ndarray], rotations: np.ndarray | None
) -> list[str]:
    """Write each frame to its file: a changed copy of the source's where that is of the same kind.

    Raises:
        OutputError: a file cannot be written; those before it stay, and are whole.
        InputError: see :func:`hyoid.formats.mesh_sequence.write_sequence`.
    """
    kind = files[0].suffix.lower()[1:]
    for number, (target, points) in enumerate(zip(files, frames, strict=True)):
        turn = None if rotations is None else rotations[number]
        if kind != source.kind:
            data = None
        elif kind == "obj":
            data = obj_lines.replaced(source.files[number], points, turn)
        else:
            data = ply_rows.replaced(source.files[number], points, turn)
        with part_file(target) as part:
            if data is not None:
                part.write_bytes(data)
            elif kind == "obj":
                part.write_bytes(obj_lines.plain(points, source.faces))
            else:
                ply.write(part, _mesh(points, source.faces))
    return [str(target) for target in files]


def _mesh(points: np.ndarray, faces: np.ndarray) -> Mesh:
    return Mesh(
        points, faces, np.zeros((0, 2), np.float32), np.zeros((0, 4), np.int32), np.zeros(len(faces), np.int32), ("",)
    )


def _meshes_in(folder: Path) -> list[Path]:
    try:
        # Other systems leave hidden companions (._frame1.obj) that are no meshes.
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file()]
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=folder, expected="a folder") from None
    found = {kind: [entry for entry in entries if entry.suffix.lower() == kind] for kind in (".obj", ".ply")}
    if found[".obj"] and found[".ply"]:
        counts = f"{len(found['.obj'])} .obj and {len(found['.ply'])} .ply files"
        raise InputError(f"holds {counts}", path=folder, expected="files of one kind")
    files = found[".obj"] or found[".ply"]
    if not files:
        raise InputError("holds no meshes", path=folder, expected=".obj or .ply files")
    return sorted(files, key=_natural)


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """A key by which frame2 comes before frame10; the plain name decides between frame2 and frame02."""
    words = re.split(r"(\d+)", str(path))
    key = [(0, int(word), "") if number % 2 else (1, 0, word) for number, word in enumerate(words)]
    return key, str(path)


def _file_names(names: Sequence[str]) -> list[str]:
    """A name without folders or signs that systems forbid for each frame, no two alike whatever their case."""
    taken: set[str] = set()
    made = []
    for number, name in enumerate(names):
        plain = _UNSAFE.sub("_", name).strip(". ")[:_LONGEST] or f"frame{number}"
        unused, again = plain, 1
        while unused.lower() in taken:
            again += 1
            unused = f"{plain}_{again}"
        taken.add(unused.lower())
        made.append(unused)
    return made
