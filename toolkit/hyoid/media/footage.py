# SPDX-License-Identifier: Apache-2.0
"""Frames of a film with the seconds at which they are shown, upright, one at a time in the memory of one frame."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError

SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
MOST_PIXELS = 64_000_000
_KEYS_BEFORE = 2  # key frames before a frame that decoding starts from: some encoders refer to before the last one
_REORDERED = 64  # packets after a frame that may still be shown before it, by far


def is_film(path: Path) -> bool:
    """Whether a path names a film by its suffix."""
    return path.suffix.lower() in SUFFIXES


def frames(path: str | Path, first: int = 0, end: int | None = None) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds from the film's first frame, and (height, width, 3) uint8 RGB pictures turned as the container says.

    Seconds are those of the container and always rise; a frame without one comes a step of the mean rate later.

    Args:
        first, end: of the frames that are wanted, without an end to the last one. Those before are jumped over as far
            as the container tells where, else decoded; numbers, seconds and pictures are those of the whole either way.

    Raises:
        InputError: the file is missing, no video, broken, or holds no picture.
    """
    start = (yield from _sought(path, first, end)) if first else 0
    if start is not None:
        yield from _decoded(path, start, end)


def _decoded(path: str | Path, first: int, end: int | None) -> Iterator[tuple[float, np.ndarray]]:
    """Frames of a film that is decoded from its beginning."""
    import av
    import av.error

    count, opening, last, step = 0, None, -1.0, 1 / 30
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = _stream(container, path)
            step = 1 / float(stream.average_rate or stream.guessed_rate or 30)
            for frame in container.decode(stream):
                if end is not None and count >= end:
                    return
                stamp = frame.time
                opening = stamp if opening is None and stamp is not None else opening
                now = last + step if stamp is None or opening is None else float(stamp - opening)
                if count == 0:
                    now = 0.0
                elif now <= last:
                    now = last + step
                if count >= first:
                    yield now, _upright(frame)
                count, last = count + 1, now
    except (av.error.FFmpegError, OSError) as error:
        where = f" after frame {count - 1}" if count else ""
        raise InputError(f"cannot be read as video{where} ({error.strerror or error})", path=path) from error
    if not count:
        raise InputError("holds no pictures", path=path, expected="a video", hint="The file may be cut off")


def _sought(path: str | Path, first: int, end: int | None) -> Generator[tuple[float, np.ndarray], None, int | None]:
    """Frames from ``first`` on by a jump; gives back the number of the next frame, None where none is left.

    Packets tell which frame is which without being decoded. A frame that is not the expected one ends the jump: then
    only decoding from the beginning tells its number.
    """
    import av
    import av.error

    number = first
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            opening = next(container.decode(_stream(container, path)))
        with av.open(str(path), metadata_errors="replace") as container:
            stream = _stream(container, path)
            stamps, keys = _stamps(container.demux(stream), end)
            told = len(stamps) > first and (opening.pts, opening.time_base) == (stamps[0], stream.time_base)
            before = [key for key in keys if key <= stamps[first]] if told else []
            if len(before) < _KEYS_BEFORE + 1:
                return first
            container.seek(before[-_KEYS_BEFORE], stream=stream)
            for frame in container.decode(stream):
                if frame.is_corrupt or frame.pts is None:
                    return number
                if number == first and frame.pts < stamps[first]:
                    continue
                if frame.pts != stamps[number]:
                    return number
                yield float(frame.time - opening.time), _upright(frame)
                number += 1
                if number == len(stamps):
                    return None
    except (av.error.FFmpegError, OSError, StopIteration):
        pass  # what is wrong is told by decoding from the beginning
    return number


def _stamps(packets: Iterable[Any], end: int | None) -> tuple[list[int], list[int]]:
    """Rising time stamps of the frames before ``end`` and of the key frames; nothing where packets do not tell."""
    stamps, keys = [], []
    for packet in packets:
        if packet.dts is None and packet.pts is None and not packet.size:
            continue  # the last one, which empties the decoder
        if packet.pts is None or packet.is_corrupt:
            return [], []
        if not packet.is_discard:
            stamps.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
        if end is not None and len(stamps) >= end + _REORDERED:
            break
    if len(set(stamps)) < len(stamps):
        return [], []
    return sorted(stamps)[:end], sorted(keys)


def stated_frames(path: str | Path) -> int:
    """How many frames a film has by what its container says, else by its packets: nothing is decoded.

    A damaged film may hold some more or fewer.

    Raises:
        InputError: the file is missing or no video.
    """
    return _asked(path, lambda container, stream: stream.frames or _shown(container.demux(stream)))


def _shown(packets: Iterable[Any]) -> int:
    return sum(packet.size > 0 and not packet.is_discard for packet in packets)


def expected_frames(path: str | Path) -> int:
    """About how many frames a film has, by its head alone; 0 where it does not say. For progress only.

    Raises:
        InputError: the file is missing or no video.
    """

    def expected(container: Any, stream: Any) -> int:
        if stream.frames:
            return int(stream.frames)
        return round((container.duration or 0) / 1_000_000 * float(Fraction(stream.average_rate or 0)))

    return _asked(path, expected)


def _asked(path: str | Path, question: Callable[[Any, Any], int]) -> int:
    """What a film's container and stream of pictures answer."""
    import av
    import av.error

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            return question(container, _stream(container, path))
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(f"cannot be read as video ({error.strerror or error})", path=path) from error


def _stream(container: Any, path: str | Path) -> Any:
    if not container.streams.video:
        raise InputError("holds no picture stream", path=path, expected="a video")
    stream = container.streams.video[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MOST_PIXELS:
        raise InputError(f"has frames of {width} x {height} pixels", path=path, expected="at most 64 million")
    return stream


def _upright(frame) -> np.ndarray:
    picture = frame.to_ndarray(format="rgb24")
    # Counter-clockwise degrees in steps of 90; phones film on their side.
    quarters = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, quarters)) if quarters else picture
