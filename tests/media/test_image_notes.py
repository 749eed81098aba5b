# SPDX-License-Identifier: Apache-2.0
"""Times of a render are taken out of image files; what is left is the same picture, and equal for equal pictures."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hyoid.media.image_notes import without_times
from PIL import Image
from PIL.PngImagePlugin import PngInfo

PICTURE = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)


def png(notes):
    info = PngInfo()
    for name, text in notes.items():
        info.add_text(name, text)
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


def jpeg(comment):
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "JPEG", comment=comment)
    return stream.getvalue()


def exr(*headers):
    """The frame of an OpenEXR file: headers, offsets of three lines each, and the lines, which name themselves."""
    several = len(headers) > 1
    body = b"".join(
        b"".join(f"{name}\0string\0".encode() + struct.pack("<I", len(text)) + text.encode()
                 for name, text in header.items()) + b"\0"
        for header in headers
    ) + (b"\0" if several else b"")  # fmt: skip
    count = 3 * len(headers)
    start = 8 + len(body) + 8 * count
    lines = [f"line{number:04d}".encode() for number in range(count)]
    offsets = struct.pack(f"<{count}Q", *(start + 8 * number for number in range(count)))
    return struct.pack("<II", 20000630, 0x1002 if several else 2) + body + offsets + b"".join(lines)


def test_a_png_keeps_its_other_notes():
    plain = {"Frame": "7", "cycles.ViewLayer.samples": "4"}
    timed = png({"cycles.ViewLayer.render_time": "00:00.77", **plain, "cycles.ViewLayer.total_time": "01:00:00.12"})
    assert without_times(timed, ".png") == png(plain)
    assert without_times(timed, ".film.png") == png(plain)


def test_a_jpeg_keeps_its_picture():
    timed = jpeg(b"Blender:cycles.ViewLayer.total_time:00:00.83")
    found = without_times(timed, ".jpg")
    assert found == jpeg(None)
    assert (np.asarray(Image.open(io.BytesIO(found))) == np.asarray(Image.open(io.BytesIO(timed)))).all()


@pytest.mark.parametrize("headers", [1, 2])
def test_the_lines_of_an_exr_are_found_where_they_now_are(headers):
    plain = {"channels": "R", "cycles.a.samples": "4"}
    times = {"cycles.a.render_time": "00:01.00", "cycles.a.total_time": "10:00:01.00"}
    timed = exr(*[times | plain] * headers)
    found = without_times(timed, ".exr")
    assert found == exr(*[plain] * headers)


def test_files_without_times_stay_as_they_are():
    for suffix, data in ((".png", png({})), (".jpg", jpeg(None)), (".exr", exr({"channels": "R"}))):
        assert without_times(data, suffix) is data
