# SPDX-License-Identifier: Apache-2.0
"""Large arrays that lie in a file on the disk while a program works on them piece by piece.

What is being worked on takes memory; :func:`give_back` frees it, and the numbers stay. The file has no name and is gone
with the array, however the program ends. It lies where ``TMPDIR`` says.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

LARGE = 1 << 22
"""Bytes from which on an array lies in a file: below, memory is nothing to save."""
FRAMES = 8192
"""Of a clip that are worked on at a time, where each frame is work of its own."""


def empty(shape: tuple[int, ...], kind: Any = np.float64) -> np.ndarray:
    """An array whose numbers are not set yet, in a file where it is large; in memory where the disk has no room."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    if size < LARGE:
        return np.empty(shape, kind)
    try:
        with tempfile.TemporaryFile(prefix="hyoid-") as file:
            # Room is taken now: a full disk would end the program when a page is written, without an error.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.asarray(np.memmap(file, kind, "r+", shape=shape))
    except OSError:
        return np.empty(shape, kind)


def give_back(*arrays: np.ndarray) -> None:
    """Free the memory of arrays of :func:`empty`, or of views of them; they are read from the file when asked for."""
    for array in arrays:
        held: Any = array
        while held is not None and not isinstance(held, mmap.mmap):
            held = getattr(held, "base", None)
        if held is not None and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows, which does so by itself
            held.madvise(mmap.MADV_DONTNEED)


def pieces(frames: int, size: int | None = None) -> Iterator[slice]:
    """The frames of a clip in pieces of at most ``size`` (:data:`FRAMES`); one of nothing where there are none."""
    size = size or FRAMES
    for first in range(0, max(frames, 1), size):
        yield slice(first, min(first + size, frames))
