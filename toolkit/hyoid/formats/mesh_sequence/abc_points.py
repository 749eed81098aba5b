# SPDX-License-Identifier: Apache-2.0
"""Sequences in Alembic files, read and written by Blender in a child process; positions pass through a raw file.

The times of the samples are read from the file itself: Blender knows only its own frame rate.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from hyoid.errors import HyoidError, InputError
from hyoid.files import final_path, part_file
from hyoid.formats import polygons, rows
from hyoid.formats.mesh_sequence import MeshSequence
from hyoid.formats.npz import read_npz, write_npz
from hyoid.report import SILENT, Report

_DATA = 1 << 63
_LARGEST_TIMES = 1 << 20
_MOST_FRAMES = 1 << 20
_SAME = 1e-4
"""Relative distance within which a measured rate is a known one: 24 and 23.976 are 1e-3 apart."""


def open_file(path: Path) -> MeshSequence:
    """The sequence in an .abc file: every mesh in it, in the order of their names, in world space, +Y up.

    All frames are brought into a temporary file first, which lasts as long as the sequence. Names are frame numbers.

    Raises:
        InputError: missing, no Alembic (Ogawa) file, damaged, or without meshes.
        MissingToolError: bpy is not installed.
    """
    times, fps = _times(path)
    numbers = np.array(times) * (fps or 1.0)
    folder = Path(tempfile.mkdtemp(prefix="hyoid-"))

    def read(start: int, stop: int) -> Iterator[np.ndarray]:
        with open(folder / "points.raw", "rb") as stream:
            stream.seek(12 * vertices * start)
            for _ in range(start, stop):
                yield np.fromfile(stream, "<f4", 3 * vertices).reshape(-1, 3)

    weakref.finalize(read, shutil.rmtree, folder, ignore_errors=True)
    job = {"task": "read points", "path": str(path.resolve()), "fps": fps or 24.0, "times": times}
    try:
        _run(folder, job, path, SILENT)
    except HyoidError as error:
        if type(error) is not HyoidError:
            raise
        raise InputError(error.found, path=path, expected="a sound Alembic file") from error
    read_back = read_npz(folder / "topology.npz")
    vertices = int(read_back["counts"].sum())
    polygons.check_counts(vertices, 0, path)
    slots, _ = polygons.cut(read_back["sizes"].astype(np.int64), read_back["corners"].astype(np.int64))
    faces = read_back["corners"][slots].astype(np.int32).reshape(-1, 4)
    stored = (folder / "points.raw").stat().st_size
    if stored != 12 * vertices * len(times):
        raise InputError(f"gave {stored} bytes of positions", path=path, expected=f"{12 * vertices * len(times)}")

    names = tuple(f"{round(number, 3):.10g}" for number in numbers.tolist())
    return MeshSequence(path, "abc", names, vertices, faces, fps, None, None, (path,), read)


def write(path: Path, source: MeshSequence, frames: Iterator[np.ndarray], rate: float, report: Report) -> None:
    """Write frames as one mesh object, the first at frame 1.

    Raises:
        MissingToolError: bpy is not installed. OutputError: it cannot be written.
    """
    with part_file(path) as part, tempfile.TemporaryDirectory(prefix="hyoid-") as name:
        folder = Path(name)
        with open(folder / "points.pc2", "wb") as stream:
            _point_cache(stream, source, frames)
        write_npz(folder / "topology.npz", {"faces": source.faces}, 0)
        job = {"task": "write points", "path": str(part.resolve()), "fps": rate, "frames": len(source.names)}
        plain = re.sub(r"[^A-Za-z0-9_]", "_", source.path.stem)
        job |= {"vertices": source.vertices, "name": plain or "mesh"}
        _run(folder, job, final_path(part), report)


def _point_cache(stream: IO[bytes], source: MeshSequence, frames: Iterator[np.ndarray]) -> None:
    """The frames in a .pc2 file, which Blender's Mesh Cache modifier reads frame by frame; +Z up."""
    head = struct.pack("<12siiffi", b"POINTCACHE2\0", 1, source.vertices, 0.0, 1.0, len(source.names))
    stream.write(head)
    turned = np.empty((source.vertices, 3), "<f4")
    for points in frames:
        turned[:, 0], turned[:, 1], turned[:, 2] = points[:, 0], -points[:, 2], points[:, 1]
        stream.write(turned.data.cast("B"))


def _run(folder: Path, job: dict[str, Any], target: Path, report: Report) -> None:
    from hyoid.blender import process

    command, environment = process.blender_command()
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    environment["BLENDER_USER_RESOURCES"] = str(folder / "blender")
    process.run(command, environment, folder, target, report)


def _times(path: Path) -> tuple[list[float], float | None]:
    """The time of every frame in seconds, and the frames a second where there are several: the largest time sampling.

    Raises:
        InputError: missing, or no Alembic file of the kind that is in use (Ogawa).
    """
    try:
        with open(path, "rb") as stream:
            samplings = _samplings(_time_data(stream), path)
    except FileNotFoundError:
        raise InputError("the file does not exist", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    except (struct.error, ValueError):
        raise InputError("is not an Alembic file", path=path, expected="Alembic of the kind Ogawa") from None
    count, cycle, stored = max(samplings, key=lambda sampling: sampling[0], default=(1, 1.0, [0.0]))
    if count <= 1 or not stored:
        return [stored[0] if stored else 0.0], None
    if len(stored) >= count:  # a time for each sample
        times = stored[:count]
    else:  # as many samples a cycle as are stored: the first is the frame, others are for motion blur
        times = [stored[0] + number * cycle for number in range(-(-count // len(stored)))]
    steps = np.diff(times)
    if not np.isfinite(times).all() or not (steps > 0).all():
        raise InputError("its sample times do not rise", path=path, expected="rising times")
    return times, rows.nearest_rate(float(1 / steps.min()), _SAME) if len(steps) else None


def _time_data(stream: IO[bytes]) -> bytes:
    """The block of an Ogawa archive that holds its time samplings: the fifth child of its root group."""
    if stream.read(6) != b"Ogawa\xff":
        raise ValueError
    stream.seek(8)
    stream.seek(struct.unpack("<Q", stream.read(8))[0])
    children = struct.unpack("<Q", stream.read(8))[0]
    if not 5 <= children <= 64:
        raise ValueError
    place = struct.unpack(f"<{children}Q", stream.read(8 * children))[4]
    if not place & _DATA:
        raise ValueError
    if place == _DATA:
        return b""
    stream.seek(place & ~_DATA)
    size = struct.unpack("<Q", stream.read(8))[0]
    data = stream.read(size) if size <= _LARGEST_TIMES * 8 else b""
    if len(data) != size:
        raise ValueError
    return data


def _samplings(data: bytes, path: Path) -> list[tuple[int, float, list[float]]]:
    """For each time sampling: how many samples it has, seconds a cycle, and the times in a cycle."""
    found, place = [], 0
    while place < len(data):
        count, cycle, stored = struct.unpack_from("<IdI", data, place)
        place += 16
        times = list(struct.unpack_from(f"<{stored}d", data, place)) if stored <= _LARGEST_TIMES else []
        place += 8 * stored
        if count > _MOST_FRAMES:
            raise InputError(f"promises {count} frames", path=path, expected=f"at most {_MOST_FRAMES}")
        found.append((count, cycle, times))
    return found
