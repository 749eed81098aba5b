# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Time samples that are longer than memory: they wait in a file while USD writes a layer of short marks in their place.

USD keeps every sample of a layer in memory until it is exported. A mark is an array of one vector that no mesh has, and
tells which sample it stands for. In a binary layer ("crate") an array is the count and the numbers at some place of the
file, and a time sample is a word of 64 bits: that place, and above it the type. So the arrays are appended to the
exported file, and the words are changed to point there. In a text layer the marks are replaced as they pass.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

_MARK = -271828.25  # a float32, and short as a text
_HALF = 1 << 20  # numbers of samples are told by two floats that hold whole numbers exactly
_CRATE = b"PXR-USDC"
_VECTORS = 0x8018 << 48  # above the place: an array (bit 63) of the type 24, three floats
_TEXT = re.compile(rb"\[\(-271828\.25, (\d+), (\d+)\)\]")
_ALIGNED = 8  # as readers that map a file need it


class SampleError(Exception):
    """USD has not written the marks as expected: another version of its format."""


class Samples:
    """Samples of arrays of three floats, kept beside the file ``part`` until it is exported and filled."""

    def __init__(self, layer: Any, part: Path) -> None:
        self._layer = layer
        self._path = part.with_name("samples.raw")
        self._text = part.suffix.lower() == ".usda"
        self._spans: list[tuple[int, int]] = []  # where each sample waits: start and length
        self._numbers: dict[str, dict[float, int]] = {}  # of each attribute's samples, by time

    def __enter__(self) -> Self:
        self._waiting = open(self._path, "w+b")
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.close()
        self._path.unlink(missing_ok=True)

    def add(self, attribute: str, time: float, values: np.ndarray) -> None:
        """Set the value (n, 3) float32 of an attribute, by its path, at a time code."""
        from pxr import Vt

        number, array = len(self._spans), np.ascontiguousarray(values, np.float32)
        mark = np.array([[_MARK, *divmod(number, _HALF)]], np.float32)
        self._layer.SetTimeSample(attribute, time, Vt.Vec3fArray.FromNumpy(mark))
        if self._text:
            data = str(Vt.Vec3fArray.FromNumpy(array)).encode()
        else:
            data = struct.pack("<Q", len(array)) + array.astype("<f4").tobytes()
            data += bytes(-len(data) % _ALIGNED)
        self._spans.append((self._waiting.tell(), len(data)))
        self._waiting.write(data)
        self._numbers.setdefault(attribute, {})[time] = number

    def fill(self, part: Path) -> None:
        """Put the samples into the exported file.

        Raises:
            SampleError: the marks are not in it as expected.
        """
        if not self._spans:
            return
        self._waiting.flush()
        with open(part, "rb") as stream:
            binary = stream.read(len(_CRATE)) == _CRATE
        if binary == self._text:
            raise SampleError(f"USD wrote {part.name} in an unexpected form")
        (self._fill_crate if binary else self._fill_text)(part)

    def _fill_crate(self, part: Path) -> None:
        with open(part, "r+b") as stream:
            words = dict(self._words(stream))
            start = stream.seek(0, os.SEEK_END)
            start += -start % _ALIGNED
            stream.seek(start)
            self._waiting.seek(0)
            shutil.copyfileobj(self._waiting, stream, 1 << 20)
            for place, numbers in words.items():
                stream.seek(place)
                stream.write(struct.pack(f"<{len(numbers)}Q", *(_VECTORS | start + self._spans[n][0] for n in numbers)))

    def _words(self, stream: Any) -> Iterator[tuple[int, list[int]]]:
        """Where the words of each attribute's samples begin in the file, and the samples in the order of time."""
        head = struct.pack("<Qf", 1, _MARK)
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            places: dict[int, int] = {}
            place = data.find(head)
            while place >= 0:
                high, low = struct.unpack_from("<2f", data, place + len(head))
                places[int(high) * _HALF + int(low)] = place
                place = data.find(head, place + 1)
            for attribute, by_time in self._numbers.items():
                numbers = [number for _, number in sorted(by_time.items())]
                if any(number not in places for number in numbers):
                    raise SampleError(f"marks of {attribute} are missing in what USD wrote")
                words = struct.pack(f"<{len(numbers)}Q", *(_VECTORS | places[number] for number in numbers))
                found = data.find(words)
                if found < 0 or data.find(words, found + 1) >= 0:
                    raise SampleError(f"the samples of {attribute} are not where they are expected in what USD wrote")
                yield found, numbers

    def _fill_text(self, part: Path) -> None:
        marked = part.with_name("marked.usda")
        os.replace(part, marked)
        seen = 0
        with open(marked, "rb") as source, open(part, "wb") as target:
            for line in source:
                found = _TEXT.search(line)
                if found is None:
                    target.write(line)
                    continue
                start, length = self._spans[int(found[1]) * _HALF + int(found[2])]
                self._waiting.seek(start)
                target.write(line[: found.start()] + self._waiting.read(length) + line[found.end() :])
                seen += 1
        marked.unlink()
        if seen != sum(map(len, self._numbers.values())):
            raise SampleError(f"{seen} marks are in what USD wrote, not {len(self._spans)}")
