# SPDX-License-Identifier: Apache-2.0
"""Stretches of a film: the same pictures and seconds as in the whole, without decoding all that comes before."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.media import footage

FRAMES = 48


def film(path: Path, codec: str = "libx264", *, stamps: list[int] | None = None, **options: str) -> Path:
    """A film of moving noise with a key frame every 8 frames."""
    base = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 8
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.roll(base, number, 1))
            frame.pts, frame.time_base = (number if stamps is None else stamps[number]), Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


UNEVEN = [number + (number // 5) for number in range(FRAMES)]
KINDS = {
    "closed.mp4": {"options": {"bf": "3", "x264-params": "scenecut=0"}},
    "open.mkv": {"options": {"bf": "3", "x264-params": "open-gop=1:scenecut=0"}},
    "refresh.mp4": {"options": {"x264-params": "intra-refresh=1:scenecut=0"}},
    "uneven.mp4": {"stamps": UNEVEN, "options": {"x264-params": "scenecut=0"}},
    "no_stamps.avi": {"codec": "mpeg4"},
    "broadcast.ts": {"codec": "mpeg2video", "options": {"bf": "2"}},
}


@pytest.mark.parametrize("name", KINDS)
def test_a_stretch_is_that_of_the_whole(tmp_path, name):
    """Open groups of pictures, frames that are refreshed bit by bit, uneven steps, containers without time stamps."""
    about = dict(KINDS[name])
    path = film(tmp_path / name, about.pop("codec", "libx264"), stamps=about.get("stamps"), **about.get("options", {}))
    whole = list(footage.frames(path))
    assert len(whole) == FRAMES == footage.stated_frames(path)
    for first, end in ((0, 5), (5, 6), (23, 31), (24, 25), (40, None), (47, 48), (30, 90)):
        part = list(footage.frames(path, first, end))
        assert len(part) == len(whole[first:end])
        for (seconds, picture), (wanted, other) in zip(part, whole[first:end], strict=True):
            assert seconds == wanted  # to the last bit
            assert np.array_equal(picture, other)
    assert list(footage.frames(path, FRAMES, FRAMES + 3)) == []


def test_what_comes_before_is_jumped_over(tmp_path, monkeypatch):
    path = film(tmp_path / "a.mp4", bf="2")
    wanted = [seconds for seconds, _ in footage.frames(path)][40:44]

    def never(path, first, end):
        raise AssertionError("decoded from the beginning")

    turned = []
    monkeypatch.setattr(footage, "_decoded", never)
    monkeypatch.setattr(footage, "_upright", lambda frame: turned.append(frame))
    assert [seconds for seconds, _ in footage.frames(path, 40, 44)] == wanted
    assert len(turned) == 4  # nothing else became a picture


def test_a_film_that_breaks_is_told_in_every_stretch_after(tmp_path):
    path = film(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for first in (0, 40):
        with pytest.raises(InputError, match="cannot be read as video"):
            list(footage.frames(path, first))
