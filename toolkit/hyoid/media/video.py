# SPDX-License-Identifier: Apache-2.0
"""Video files: H.264 and AAC in MP4 through PyAV, the same bytes for the same pictures, no outside program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError, MissingToolError
from hyoid.files import sha256_of
from hyoid.report import Report
from hyoid.take import Take

AUDIO_RATE = 48000
AUDIO_BLOCK = 1024
"""Samples in one AAC frame."""


@dataclass(frozen=True)
class VideoFacts:
    """What a video holds: ``frames``, exact ``fps``, ``width`` and ``height`` in pixels, ``seconds``, ``has_audio``."""

    frames: int
    fps: Fraction
    width: int
    height: int
    seconds: float
    has_audio: bool


def frame_rate(fps: float | Fraction) -> Fraction:
    """The exact rate that is meant: 29.97 is 30000/1001, 23.976 is 24000/1001, 25 is 25."""
    if isinstance(fps, Fraction):
        return fps
    if abs(fps - round(fps)) < 1e-6:
        return Fraction(round(fps))
    broadcast = Fraction(round(fps * 1.001) * 1000, 1001)
    if abs(float(broadcast) - fps) < 6e-3:
        return broadcast
    return Fraction(fps).limit_denominator(1001)


def write(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: float | Fraction,
    audio_path: str | Path | None = None,
    *,
    audio_offset: float = 0.0,
) -> int:
    """Write an MP4 that plays everywhere (H.264 4:2:0, index in front) and return the number of frames.

    The sound is cut or padded with silence to the length of the pictures. Odd sizes grow by one repeated row or column,
    because 4:2:0 needs even ones. One encoder thread and no time stamp: equal input gives equal bytes.

    Args:
        frames: (height, width, 3) uint8 RGB pictures, all of one size; consumed one at a time.
        audio_path: any file that FFmpeg reads; its first audio stream is used, at most two channels.
        audio_offset: the second of the video at which the sound starts; negative skips the sound's beginning.

    Raises:
        InputError: there are no frames, their size changes, or the sound cannot be read.
        MissingToolError: this PyAV was built without the H.264 or AAC encoder.
        OSError: the file cannot be written.
    """
    import av
    import av.error

    rate = frame_rate(fps)
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise InputError("there is no frame to write", path=path, expected="at least one picture")
    if audio_path is not None:
        # The muxer wants to know the streams before the first picture.
        channels = min(_audio_channels(audio_path), 2)
    try:
        with av.open(
            str(path), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}
        ) as container:
            picture_stream = _video_stream(container, rate, _even(first))
            sound = None
            if audio_path is not None:
                sound_stream = _audio_stream(container, channels)
                sound = _SoundFeed(container, sound_stream, _audio_blocks(audio_path, channels, audio_offset))
            count = 0
            for picture in _chain(first, iterator):
                if picture.shape != first.shape:
                    raise InputError(
                        f"frame {count} is {picture.shape[1]}x{picture.shape[0]}", path=path,
                        expected=f"{first.shape[1]}x{first.shape[0]} as in frame 0",
                    )  # fmt: skip
                frame: Any = av.VideoFrame.from_ndarray(_even(picture), format="rgb24")
                frame = frame.reformat(
                    format="yuv420p", src_colorspace="ITU709", dst_colorspace="ITU709", dst_color_range="MPEG"
                )
                frame.pts, frame.time_base = count, 1 / rate
                container.mux(picture_stream.encode(frame))
                count += 1
                if sound:
                    sound.feed(int(count * AUDIO_RATE / rate), last=False)
            container.mux(picture_stream.encode(None))
            if sound:
                sound.feed(round(count * AUDIO_RATE / rate), last=True)
    except av.error.EncoderNotFoundError as error:
        raise MissingToolError(
            "this PyAV has no H.264 or AAC encoder", expected="the wheel from PyPI",
            hint="Run: pip install --force-reinstall --only-binary :all: av",
        ) from error  # fmt: skip
    return count


def sound_of(take: Take, report: Report) -> str | None:
    """The sound file of a take; None, and a warning where it names one, when it is gone or has changed."""
    if take.audio is None:
        return None
    try:
        if sha256_of(Path(take.audio.path)) == take.audio.sha256:
            return take.audio.path
        problem = "has changed since the take was made"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    report.message(f"{take.audio.path}: {problem}; the film stays silent", "warning")
    return None


def probe(path: str | Path) -> VideoFacts:
    """What a video holds, by decoding its packets' headers only.

    Raises:
        InputError: the file is missing, no video, or holds no picture.
    """
    import av
    import av.error

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise InputError("holds no picture stream", path=path, expected="a video")
            stream = container.streams.video[0]
            frames = sum(1 for packet in container.demux(stream) if packet.size)
            fps = Fraction(stream.average_rate or stream.guessed_rate or 0)
            width, height = stream.codec_context.width, stream.codec_context.height
            has_audio = bool(container.streams.audio)
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(f"cannot be read as video ({error.strerror or error})", path=path) from error
    if not frames or not fps:
        raise InputError("holds no pictures", path=path, expected="a video", hint="The file may be cut off")
    return VideoFacts(frames, fps, width, height, float(frames / fps), has_audio)


def frame_times(path: str | Path) -> np.ndarray:
    """(frames,) float64 seconds at which the pictures of a video are shown, rising: phones record no steady rate.

    Raises:
        InputError: the file is missing, no video, or holds no picture.
    """
    import av
    import av.error

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise InputError("holds no picture stream", path=path, expected="a video")
            stream = container.streams.video[0]
            step = stream.time_base or Fraction(1)
            stamps = [packet.pts for packet in container.demux(stream) if packet.size and packet.pts is not None]
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(f"cannot be read as video ({error.strerror or error})", path=path) from error
    if not stamps:
        raise InputError("holds no pictures", path=path, expected="a video", hint="The file may be cut off")
    # Packets come in the order of decoding, pictures in that of their time stamps.
    return np.unique(np.array(stamps, np.float64)) * float(step)


def read(path: str | Path) -> Iterator[np.ndarray]:
    """The pictures of a video one after the other, (height, width, 3) uint8 RGB.

    Raises:
        InputError: the file is missing or broken.
    """
    import av
    import av.error

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(f"cannot be read as video ({error.strerror or error})", path=path) from error


def _chain(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest


def _even(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(picture)


def _video_stream(container: Any, rate: Fraction, picture: np.ndarray) -> Any:
    # Time stamps are never exact for 30000/1001 in milliseconds, so the stream counts in frames.
    stream = container.add_stream("libx264", rate=rate)
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.time_base = 1 / rate
    # With macroblock-tree rate control the bytes differ from run to run (seen with x264 core 165 in PyAV 18.1).
    stream.options = {"crf": "17", "preset": "fast", "x264-params": "mbtree=0"}
    context = stream.codec_context
    context.thread_count = 1
    context.gop_size = max(1, round(2 * rate))
    context.flags |= 1 << 23  # AV_CODEC_FLAG_BITEXACT
    context.color_range, context.color_primaries, context.color_trc, context.colorspace = 1, 1, 1, 1  # BT.709, limited
    return stream


def _audio_stream(container: Any, channels: int) -> Any:
    stream = container.add_stream("aac", rate=AUDIO_RATE, layout="mono" if channels == 1 else "stereo")
    stream.bit_rate = 96000 * channels
    stream.codec_context.thread_count = 1
    stream.codec_context.flags |= 1 << 23
    return stream


class _SoundFeed:
    """Encodes sound up to a given sample, so that the muxer can interleave it with the pictures."""

    def __init__(self, container: Any, stream: Any, blocks: Iterator[np.ndarray]) -> None:
        self.container, self.stream, self.blocks, self.done = container, stream, blocks, 0

    def feed(self, until: int, *, last: bool) -> None:
        while self.done + AUDIO_BLOCK <= until:
            self._encode(next(self.blocks))
        if last:
            if until > self.done:
                self._encode(next(self.blocks)[:, : until - self.done])
            self.container.mux(self.stream.encode(None))

    def _encode(self, block: np.ndarray) -> None:
        import av

        layout = "mono" if len(block) == 1 else "stereo"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, self.done, Fraction(1, AUDIO_RATE)
        self.done += block.shape[1]
        self.container.mux(self.stream.encode(frame))


def _audio_channels(path: str | Path) -> int:
    import av
    import av.error

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.audio:
                raise InputError("holds no sound", path=path, expected="an audio file")
            return max(1, container.streams.audio[0].codec_context.channels)
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(f"cannot be read as sound ({error.strerror or error})", path=path) from error


def _audio_blocks(path: str | Path, channels: int, offset: float) -> Iterator[np.ndarray]:
    """Endless (channels, 1024) float32 blocks at 48 kHz: the sound, shifted by ``offset`` seconds, then silence."""
    shift = round(offset * AUDIO_RATE)
    rest, skip = np.zeros((channels, max(shift, 0)), np.float32), max(-shift, 0)
    for piece in _decoded(path, channels):
        if skip:
            used = min(skip, piece.shape[1])
            piece, skip = piece[:, used:], skip - used
        rest = np.concatenate([rest, piece], 1)
        whole = rest.shape[1] // AUDIO_BLOCK
        for index in range(whole):
            yield rest[:, index * AUDIO_BLOCK : (index + 1) * AUDIO_BLOCK]
        rest = rest[:, whole * AUDIO_BLOCK :]
    yield np.pad(rest, ((0, 0), (0, AUDIO_BLOCK - rest.shape[1])))
    while True:
        yield np.zeros((channels, AUDIO_BLOCK), np.float32)


def _decoded(path: str | Path, channels: int) -> Iterator[np.ndarray]:
    import av
    import av.error

    resampler = av.AudioResampler(format="fltp", layout="mono" if channels == 1 else "stereo", rate=AUDIO_RATE)
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            for frame in container.decode(audio=0):
                frame.pts = None
                for out in resampler.resample(frame):
                    yield out.to_ndarray()
            for out in resampler.resample(None):
                yield out.to_ndarray()
    except av.error.InvalidDataError:
        return  # a file that is cut off: what was decoded stays, the rest is silence
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(f"cannot be read as sound ({error.strerror or error})", path=path) from error
