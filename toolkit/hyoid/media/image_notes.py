# SPDX-License-Identifier: Apache-2.0
"""Notes in image files that tell how long a render took: taken out, so that equal pictures are equal files."""

from __future__ import annotations

import re
import struct

_TIME = re.compile(rb"cycles\..*_time")
"""What Cycles calls the times that it writes into every file, and that nothing switches off."""

_EXR_LONG, _EXR_PARTS = 8, 0x1000  # bytes of an offset; the flag of a file of several parts


def without_times(data: bytes, suffix: str) -> bytes:
    """An image file without notes of how long it took to render; pixels and all other notes stay as they are.

    Args:
        data: a whole file of the type ``suffix``: ``.png``, ``.jpg`` or ``.exr``, also of several layers.
    """
    if not _TIME.search(data):
        return data
    return {"png": _png, "jpg": _jpeg, "exr": _exr}[suffix.rpartition(".")[2]](data)


def _png(data: bytes) -> bytes:
    kept, place = [data[:8]], 8
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + length + 12
        if kind not in (b"tEXt", b"zTXt", b"iTXt") or not _TIME.match(data, place + 8, end):
            kept.append(data[place:end])
        place = end
    return b"".join(kept)


def _jpeg(data: bytes) -> bytes:
    kept, place = [data[:2]], 2
    while data[place + 1] != 0xDA:  # the picture itself begins
        marker, length = data[place + 1], struct.unpack_from(">H", data, place + 2)[0]
        end = place + 2 + length
        if marker != 0xFE or not _TIME.search(data, place, end):
            kept.append(data[place:end])
        place = end
    return b"".join([*kept, data[place:]])


def _exr(data: bytes) -> bytes:
    """Attributes of the headers are dropped; the offsets of the lines, which follow the headers, count from the start
    of the file and are moved."""
    kept, place = [data[:8]], 8
    several = struct.unpack_from("<I", data, 4)[0] & _EXR_PARTS
    while True:
        start = place
        if data[place] == 0:  # the end of a header, and after the last of several an empty one
            kept.append(b"\0")
            place += 1
            if not several or data[place] == 0:
                break
            continue
        name = data.index(b"\0", place)
        kind = data.index(b"\0", name + 1)
        place = kind + 5 + struct.unpack_from("<I", data, kind + 1)[0]
        if not _TIME.fullmatch(data, start, name):
            kept.append(data[start:place])
    if several:
        kept.append(b"\0")
        place += 1
    gone = place - sum(map(len, kept))
    first = struct.unpack_from("<Q", data, place)[0]
    offsets = struct.unpack_from(f"<{(first - place) // _EXR_LONG}Q", data, place)
    moved = struct.pack(f"<{len(offsets)}Q", *(offset - gone for offset in offsets))
    return b"".join([*kept, moved, data[first:]])
