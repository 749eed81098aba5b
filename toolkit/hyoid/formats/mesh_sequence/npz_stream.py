# SPDX-License-Identifier: Apache-2.0
"""Sequences in .npz and .npy files, streamed: the member's head is checked against the file, then frames pass through.

An .npz holds ``vertices`` or ``points`` (F, N, 3), and may hold ``faces`` (n, 3) or (n, 4), ``fps`` and ``names`` (F,).
"""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from hyoid.errors import InputError
from hyoid.files import part_file
from hyoid.formats import npz, polygons
from hyoid.formats.checks import frame_rate
from hyoid.formats.mesh_sequence import MeshSequence

_POINTS = ("vertices", "points")
_LARGEST_SIDE = 64 << 20
"""Bytes of faces, names or a rate; more is no topology of a sequence."""


@dataclass(frozen=True)
class _Points:
    """The array of positions: its member (None for an .npy), type and shape, and where its first frame begins."""

    member: str | None
    dtype: np.dtype
    shape: tuple[int, int, int]
    offset: int

    def frame_bytes(self) -> int:
        return 3 * self.shape[1] * self.dtype.itemsize


def open_file(path: Path) -> MeshSequence:
    """The sequence in an .npz or .npy file; its frames stay in the file.

    Raises:
        InputError: missing, damaged, a pickle, in Fortran order, of an unusable type, or without positions.
    """
    faces, fps, names = np.zeros((0, 4), np.int32), None, None
    with _sound(path):
        if path.suffix.lower() == ".npy":
            with open(path, "rb") as stream:
                points = _head(stream, None, path.stat().st_size, path)
        else:
            with zipfile.ZipFile(path) as archive:
                points = _member(archive, path)
                faces = _faces(_side(archive, "faces", path), points.shape[1], path)
                fps = _rate(_side(archive, "fps", path), path)
                names = _names(_side(archive, "names", path), points.shape[0], path)

    def read(start: int, stop: int) -> Iterator[np.ndarray]:
        return _frames(path, points, start, stop)

    names = names or tuple(str(number) for number in range(points.shape[0]))
    return MeshSequence(path, "npz", names, points.shape[1], faces, fps, None, None, (path,), read)


def write(path: Path, source: MeshSequence, frames: Iterator[np.ndarray], fps: float | None) -> None:
    """Write frames to an .npz or .npy, stored and with fixed time stamps; other arrays of an .npz source are kept.

    Raises:
        OutputError: it cannot be written.
    """
    keep = source.kind == path.suffix.lower()[1:] == source.path.suffix.lower()[1:] == "npz"
    with part_file(path) as part:
        if path.suffix.lower() == ".npy":
            with open(part, "wb") as stream:
                _stream(stream, np.dtype("<f4"), source, frames)
            return
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            if keep:
                _copy(archive, source, frames, fps)
                return
            _store_points(archive, "vertices.npy", np.dtype("<f4"), source, frames)
            if len(source.faces):
                _store(archive, "faces", source.faces.astype("<i4"))
            rate = fps or source.fps
            if rate is not None:
                _store(archive, "fps", np.array(rate, "<f8"))
            _store(archive, "names", np.array(source.names, dtype=str))


def _copy(archive: zipfile.ZipFile, source: MeshSequence, frames: Iterator[np.ndarray], fps: float | None) -> None:
    """Every member of the source in its order, the positions replaced."""
    with _sound(source.path):
        old = zipfile.ZipFile(source.path)
    with old:
        with _sound(source.path):
            points = _member(old, source.path)
        for entry in old.infolist():
            if entry.filename == points.member:
                # Half precision would undo the work that the positions went through.
                kind = np.dtype(f"<f{max(points.dtype.itemsize, 4)}")
                _store_points(archive, entry.filename, kind, source, frames)
            elif entry.filename == "fps.npy" and fps is not None:
                _store(archive, "fps", np.array(fps, "<f8"))
            else:
                with archive.open(entry.filename, "w", force_zip64=entry.file_size > 1 << 30) as stream:
                    stream.writelines(_blocks(old, entry, source.path))
        if fps is not None and "fps.npy" not in old.namelist():
            _store(archive, "fps", np.array(fps, "<f8"))


def _blocks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> Iterator[bytes]:
    with _sound(path):
        _honest(archive, entry.filename, path)
        with archive.open(entry) as stream:
            while block := stream.read(1 << 20):
                yield block


def _store(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    # Opened by name, a member gets the fixed time stamp that the format starts with.
    with archive.open(f"{name}.npy", "w") as stream:
        np.lib.format.write_array(stream, array, allow_pickle=False)


def _store_points(
    archive: zipfile.ZipFile, member: str, kind: np.dtype, source: MeshSequence, frames: Iterator[np.ndarray]
) -> None:
    size = 3 * kind.itemsize * source.vertices * len(source.names)
    with archive.open(member, "w", force_zip64=size > 1 << 30) as stream:
        _stream(stream, kind, source, frames)


def _stream(stream: IO[bytes], kind: np.dtype, source: MeshSequence, frames: Iterator[np.ndarray]) -> None:
    shape = (len(source.names), source.vertices, 3)
    head: dict[str, Any] = {"descr": kind.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, head)
    for points in frames:
        stream.write(points.astype(kind).data.cast("B"))


def _frames(path: Path, points: _Points, start: int, stop: int) -> Iterator[np.ndarray]:
    size = points.frame_bytes()
    with _sound(path), _opened(path, points) as stream:
        stream.seek(points.offset + start * size)
        for number in range(start, stop):
            data = stream.read(size)  # the last bytes of a member bring the comparison of its checksum
            if len(data) != size:
                raise InputError(f"ends within frame {number}", path=path, expected=f"{points.shape[0]} frames")
            yield np.frombuffer(data, points.dtype).reshape(-1, 3).astype(np.float64)


@contextmanager
def _opened(path: Path, points: _Points) -> Iterator[IO[bytes]]:
    if points.member is None:
        with open(path, "rb") as stream:
            yield stream
    else:
        with zipfile.ZipFile(path) as archive, archive.open(points.member) as stream:
            yield stream


def _member(archive: zipfile.ZipFile, path: Path) -> _Points:
    names = [entry.filename for entry in archive.infolist()]
    if len(set(names)) != len(names):
        raise InputError("holds two arrays of the same name", path=path)
    name = next((f"{name}.npy" for name in _POINTS if f"{name}.npy" in names), None)
    if name is None:
        shown = ", ".join(names[:8]) or "nothing"
        raise InputError(f"holds {shown:.200}", path=path, expected="an array 'vertices' or 'points' (F, N, 3)")
    entry = _honest(archive, name, path)
    with archive.open(entry) as stream:
        return _head(stream, name, entry.file_size, path)


def _honest(archive: zipfile.ZipFile, name: str, path: Path) -> zipfile.ZipInfo:
    """A member that does not promise more than the file's bytes can hold."""
    entry, size = archive.getinfo(name), path.stat().st_size
    if entry.compress_size > size or entry.file_size > npz.DEFLATE_LIMIT * entry.compress_size + 1024:
        raise InputError(f"'{name}' promises {entry.file_size} bytes, more than {size} bytes can hold", path=path)
    return entry


def _head(stream: IO[bytes], member: str | None, size: int, path: Path) -> _Points:
    """The head of the positions' array, compared with ``size``, the bytes from its start to its end."""
    shape, fortran, dtype = npz.read_header(stream)
    what = f"'{member}'" if member else "the array"
    if len(shape) != 3 or shape[2] != 3 or min(shape) < 1:
        raise InputError(f"{what} has the shape {shape}", path=path, expected="(frames, vertices, 3)")
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise InputError(f"{what} is of type {dtype}", path=path, expected="float16, float32 or float64")
    if fortran:
        hint = "Save it with numpy.ascontiguousarray"
        raise InputError(f"{what} is in Fortran order", path=path, expected="frames one after another", hint=hint)
    offset = stream.tell()
    promised = math.prod(shape) * dtype.itemsize
    if promised != size - offset:
        raise InputError(
            f"{what} promises {promised} bytes of {shape} {dtype}, {size - offset} are there", path=path,
            expected="a whole file",
        )  # fmt: skip
    polygons.check_counts(shape[1], 0, path)
    return _Points(member, dtype, (shape[0], shape[1], 3), offset)


def _side(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray | None:
    """A small array beside the positions; None where there is none."""
    if f"{name}.npy" not in archive.namelist():
        return None
    entry = _honest(archive, f"{name}.npy", path)
    if entry.file_size > _LARGEST_SIDE:
        raise InputError(f"'{name}' has {entry.file_size} bytes", path=path, expected=f"at most {_LARGEST_SIDE}")
    return npz.read_entry(archive, entry, path.stat().st_size)


def _faces(faces: np.ndarray | None, vertices: int, path: Path) -> np.ndarray:
    if faces is None or not faces.size:
        return np.zeros((0, 4), np.int32)
    if faces.ndim != 2 or faces.shape[1] not in (3, 4) or faces.dtype.kind not in "iu":
        raise InputError(
            f"'faces' is {faces.dtype} {faces.shape}", path=path, expected="whole numbers (n, 3) or (n, 4)"
        )
    if not 0 <= faces.min() <= faces.max() < vertices:
        wrong = faces.max() if faces.max() >= vertices else faces.min()
        raise InputError(f"'faces' names vertex {wrong}", path=path, expected=f"0 to {vertices - 1}")
    quads = faces if faces.shape[1] == 4 else faces[:, [0, 1, 2, 2]]
    return np.ascontiguousarray(quads, np.int32)


def _rate(fps: np.ndarray | None, path: Path) -> float | None:
    if fps is None:
        return None
    if fps.size != 1 or fps.dtype.kind not in "iuf":
        raise InputError(f"'fps' is {fps.dtype} {fps.shape}", path=path, expected="one number")
    rate = float(fps.reshape(())[()])
    frame_rate(rate, path)
    return rate


def _names(names: np.ndarray | None, frames: int, path: Path) -> tuple[str, ...] | None:
    if names is None:
        return None
    if names.shape != (frames,) or names.dtype.kind not in "US":
        raise InputError(f"'names' is {names.dtype} {names.shape}", path=path, expected=f"{frames} texts, one a frame")
    if names.dtype.kind == "S":
        return tuple(name.decode("utf-8", "replace") for name in names.tolist())
    return tuple(names.tolist())


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    """Turn what a damaged archive raises into an error that names it."""
    try:
        yield
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(f"is not sound: {error.found}", path=path, expected=error.expected) from error
    except FileNotFoundError:
        raise InputError("the file does not exist", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
    except (
        ValueError, EOFError, KeyError, TypeError, OverflowError, RuntimeError, NotImplementedError, SyntaxError,
        zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, tokenize.TokenError,
    ) as error:  # fmt: skip
        raise InputError(f"is not a sound array file ({error})", path=path, expected="plain arrays") from error
