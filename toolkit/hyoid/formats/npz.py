# SPDX-License-Identifier: Apache-2.0
"""Deterministic .npz files: the same arrays give the same bytes, and nothing in a file is ever executed."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from hyoid import scratch
from hyoid.errors import InputError

DEFLATE_LIMIT = 1032
"""Deflate cannot shrink by more than this factor, so a file's size bounds what it may honestly promise."""
_BLOCK, _WRITTEN = 1 << 22, 1 << 24


def write_npz(path: Path, arrays: Mapping[str, np.ndarray], level: int = 6) -> None:
    """Write arrays in the given order to ``path``, compressed, with fixed time stamps: equal arrays give equal bytes.

    Arrays go through in blocks: the memory needed beside them is small and constant.

    Args:
        arrays: name -> array of numbers or fixed-width text; object arrays are refused by our own assertion.
        level: deflate level, 0 (stored) to 9.
    """
    kind = zipfile.ZIP_DEFLATED if level else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind, compresslevel=level or None) as archive:
        for name, array in arrays.items():
            value = np.asarray(array)
            assert not value.dtype.hasobject, f"{name} would need a pickle"
            # Opened by name, an entry gets the fixed time stamp of 1980 that the format starts with.
            with archive.open(f"{name}.npy", "w", force_zip64=value.nbytes > 1 << 31) as stream:
                contiguous = np.ascontiguousarray(value).reshape(value.shape)
                header = np.lib.format.header_data_from_array_1_0(contiguous)
                np.lib.format.write_array_header_1_0(stream, header)
                flat = contiguous.reshape(-1).view(np.uint8)
                for start in range(0, len(flat), _WRITTEN):
                    stream.write(flat[start : start + _WRITTEN].data)
                    scratch.give_back(value)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; pickles are refused, and every promised size is compared with the file first.

    Raises:
        InputError: the file is missing, cut short, damaged, not an .npz, or holds something that is not a plain array.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()]
            if len(set(names)) != len(names):
                raise InputError("holds two arrays of the same name", path=path)
            entries = archive.infolist()
            return {entry.filename.removesuffix(".npy"): read_entry(archive, entry, size) for entry in entries}
    except FileNotFoundError:
        raise InputError("the file does not exist", path=path) from None
    except InputError as error:
        raise InputError(
            f"is not a sound .npz file: {error.found}",
            path=path,
            expected=error.expected or "an archive of plain arrays",
        ) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
    except (
        ValueError, EOFError, KeyError, TypeError, OverflowError, RuntimeError, NotImplementedError, SyntaxError,
        zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, tokenize.TokenError,
    ) as error:  # fmt: skip
        raise InputError(
            f"is not a sound .npz file ({error})", path=path, expected="an archive of plain arrays"
        ) from error


def read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, size: int) -> np.ndarray:
    """One array of the archive; ``size`` is that of the whole file."""
    if not entry.filename.endswith(".npy"):
        raise InputError(f"holds '{entry.filename[:60]}', which is not an array")
    if entry.compress_size > size or entry.file_size > DEFLATE_LIMIT * entry.compress_size + 1024:
        raise InputError(f"'{entry.filename}' promises {entry.file_size} bytes, more than {size} bytes can hold")
    with archive.open(entry) as stream:
        shape, fortran, dtype = read_header(stream)
        promised = math.prod(shape) * dtype.itemsize
        present = entry.file_size - stream.tell()
        if min(shape, default=0) < 0 or promised != present:
            raise InputError(f"'{entry.filename}' promises {promised} bytes of {shape} {dtype}, {present} are there")
        data = np.empty(promised, np.uint8)
        filled = 0
        # Reading one byte more than promised reaches the end, where the checksum is compared.
        while block := stream.read(_BLOCK):
            data[filled : filled + len(block)] = np.frombuffer(block, np.uint8)
            filled += len(block)
        if filled != promised:
            raise InputError(f"'{entry.filename}' ends after {filled} of {promised} bytes")
    if not promised:
        return np.empty(shape, dtype)
    array = data.view(dtype)
    array = array.reshape(shape[::-1]).T if fortran else array.reshape(shape)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise InputError(f"holds an array of npy version {version}", expected="version 1.0 or 2.0")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.kind not in "biufUS" or not dtype.itemsize:
        raise InputError(f"holds an array of type {dtype}", expected="plain numbers or text")
    return shape, fortran, dtype
