# SPDX-License-Identifier: Apache-2.0
"""Frames of a film with the seconds at which they are shown, upright, one at a time in the memory of one frame."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from hyoid.errors import InputError

SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
MOST_PIXELS = 64_000_000


def is_film(path: Path) -> bool:
    """Whether a path names a film by its suffix."""
    return path.suffix.lower() in SUFFIXES


def frames(path: str | Path) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds from the first frame, and (height, width, 3) uint8 RGB pictures turned as the container says.

    Seconds are those of the container and always rise; a frame without one comes a step of the mean rate later.

    Raises:
        InputError: the file is missing, no video, broken, or holds no picture.
    """
    import av
    import av.error

    count, first, last, step = 0, None, -1.0, 1 / 30
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise InputError("holds no picture stream", path=path, expected="a video")
            stream = container.streams.video[0]
            if stream.codec_context.width * stream.codec_context.height > MOST_PIXELS:
                size = f"{stream.codec_context.width} x {stream.codec_context.height}"
                raise InputError(f"has frames of {size} pixels", path=path, expected="at most 64 million")
            step = 1 / float(stream.average_rate or stream.guessed_rate or 30)
            for frame in container.decode(stream):
                stamp = frame.time
                first = stamp if first is None and stamp is not None else first
                now = last + step if stamp is None or first is None else float(stamp - first)
                if count == 0:
                    now = 0.0
                elif now <= last:
                    now = last + step
                yield now, _upright(frame)
                count, last = count + 1, now
    except (av.error.FFmpegError, OSError) as error:
        where = f" after frame {count - 1}" if count else ""
        raise InputError(f"cannot be read as video{where} ({error.strerror or error})", path=path) from error
    if not count:
        raise InputError("holds no pictures", path=path, expected="a video", hint="The file may be cut off")


def expected_frames(path: str | Path) -> int:
    """About how many frames a film has, by its head alone; 0 where it does not say. For progress only.

    Raises:
        InputError: the file is missing or no video.
    """
    import av
    import av.error

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise InputError("holds no picture stream", path=path, expected="a video")
            stream = container.streams.video[0]
            if stream.frames:
                return int(stream.frames)
            length = (container.duration or 0) / 1_000_000
            return round(length * float(Fraction(stream.average_rate or 0)))
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(f"cannot be read as video ({error.strerror or error})", path=path) from error


def _upright(frame) -> np.ndarray:
    picture = frame.to_ndarray(format="rgb24")
    # Counter-clockwise degrees in steps of 90; phones film on their side.
    quarters = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, quarters)) if quarters else picture
