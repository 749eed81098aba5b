# SPDX-License-Identifier: Apache-2.0
"""Sound in: any file that libsndfile or PyAV reads, streamed to 16 kHz mono; damaged files are told from good ones."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import HyoidError, InputError
from hyoid.files import sha256_of

RATE = 16_000
BLOCK_SECONDS = 0.5  # small, so that a damaged file gives what it holds
MINIMUM_SECONDS = 0.1
RATES = (8_000, 192_000)
SMALLEST_WAV = 444  # bytes: a header of 44 and 0.1 s of 4-bit samples at 8 kHz; less never goes to libsndfile
MOST_CHUNKS = 10_000
CANCELLED = 0.02  # a mix with less than this share of its channels' energy is an anti-phase pair, not a recording

_SNDFILE_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b"caff", b".snd", b"NIST", b"Crea")
_NEEDED = "a sound file (wav, flac, ogg, mp3, m4a) or a video with sound"
_REPAIR = "Use --repair to take what is there"


@dataclass(frozen=True)
class Recording:
    """A recording as speech analysis needs it.

    Attributes:
        path, sha256: the file that was read.
        samples: (n,) float32 at 16 kHz, mono, -1..1; a memory-mapped temporary file, valid inside :func:`recording`.
        cache: the raw float32 file behind ``samples``, for worker processes.
        rate, channels: of the file.
        notes: what was done to it, for people: down-mixed, resampled, repaired.
        repaired: what ``repair`` changed, empty when nothing.
        start: the second of the file at which ``samples`` begin. whole: the length of the file's sound in seconds.
    """

    path: Path
    sha256: str
    samples: np.ndarray
    cache: Path
    rate: int
    channels: int
    notes: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    start: float = 0.0
    whole: float = 0.0

    @property
    def seconds(self) -> float:
        """The length of ``samples``."""
        return len(self.samples) / RATE


@dataclass
class _Blocks:
    """An opened file: ``blocks`` yields (n, channels) float32; ``promised`` frames by its header, 0 if unsaid.

    ``seconds`` is its length by its header, as far as it says; containers round it.
    """

    rate: int
    channels: int
    promised: int
    blocks: Iterator[np.ndarray]
    lead: float = 0.0  # seconds of silence before the first sample (a sound track that starts late)
    seconds: float = 0.0


@contextmanager
def recording(
    path: str | Path, *, repair: bool = False, start: float = 0.0, end: float | None = None
) -> Iterator[Recording]:
    """Give the sound of a file as 16 kHz mono, in constant memory.

    Args:
        path: a sound file, or a video with a sound track.
        repair: take what a truncated file holds and put zeros where samples are not numbers, instead of refusing.
        start, end: give only this part, in seconds of the file; an ``end`` after the sound's is the sound's.

    Raises:
        InputError: missing, empty, a folder, not sound, no sound track, truncated, not-a-number samples, shorter than
            0.1 s, a part shorter than that, or a sample rate outside 8..192 kHz.
    """
    path = Path(path)
    _check_file(path)
    with tempfile.TemporaryDirectory(prefix="hyoid-") as folder:
        cache = Path(folder) / "mono.f32"
        rate, channels, notes, repaired = _convert(path, cache, repair, mix=True)
        if notes and notes[-1] == "cancelled":
            rate, channels, notes, repaired = _convert(path, cache, repair, mix=False)
        whole = cache.stat().st_size / 4 / RATE
        if start > 0 or (end is not None and end < whole):
            cache = _part(path, cache, start, whole if end is None else min(end, whole), whole)
        samples = np.memmap(cache, np.float32, "r")
        found = sha256_of(path)
        try:
            yield Recording(
                path, found, samples, cache, rate, channels, tuple(notes), tuple(repaired), max(start, 0.0), whole
            )
        finally:
            del samples


def stated_seconds(path: str | Path) -> float:
    """The length of a file's sound by its header, 0 where it says none: exact for wav, flac and the like.

    Raises:
        InputError: missing, empty, a folder, not sound, or no sound track.
    """
    path = Path(path)
    _check_file(path)
    _check_wav(path, repair=True)
    return _open(path).seconds


def _part(path: Path, cache: Path, start: float, end: float, whole: float) -> Path:
    """A raw file beside ``cache`` that holds the samples between two seconds of it."""
    first, last = round(max(start, 0.0) * RATE), round(end * RATE)
    if last - first < MINIMUM_SECONDS * RATE:
        between = f"between {start:g} and {end:g} s" if start < whole else f"from {start:g} s on"
        what = f"has no sound of {MINIMUM_SECONDS} s or more {between}"
        raise InputError(what, path=path, expected=f"a part of its {whole:.2f} s")
    target = cache.with_name("part.f32")
    with open(target, "wb") as stream:
        np.memmap(cache, np.float32, "r")[first:last].tofile(stream)
    return target


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError("is a folder", path=path, expected=_NEEDED)
    if not path.exists():
        raise InputError("no such file", path=path, expected=_NEEDED, hint="Check the spelling of the path")
    try:
        with open(path, "rb") as stream:
            head = stream.read(12)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, expected=_NEEDED) from error
    if not head:
        raise InputError("is empty (0 bytes)", path=path, expected=_NEEDED)


def _convert(path: Path, cache: Path, repair: bool, *, mix: bool) -> tuple[int, int, list[str], list[str]]:
    """Write the raw 16 kHz mono file; the last note is ``cancelled`` when mixing the channels destroyed the sound."""
    import soxr

    wav_promised = _check_wav(path, repair)
    source = _open(path)
    if not RATES[0] <= source.rate <= RATES[1]:
        expected = f"{RATES[0] // 1000} to {RATES[1] // 1000} kHz"
        raise InputError(
            f"has a sample rate of {source.rate} Hz", path=path, expected=expected, hint="Resample it first"
        )
    resampler = soxr.ResampleStream(source.rate, RATE, 1, dtype="float32", quality="HQ")
    notes, repaired = [], []
    found = broken = 0
    energy_mixed = energy_channels = 0.0
    with open(cache, "wb") as stream:
        stream.write(bytes(4 * round(source.lead * RATE)))
        for block in source.blocks:
            bad = ~np.isfinite(block)
            if bad.any():
                if not repair:
                    first = found + int(np.argmax(bad.any(1)))
                    where = f"sample {first} ({first / source.rate:.3f} s) is not a finite number"
                    hint = "Use --repair to put zeros there"
                    raise InputError(where, path=path, expected="finite samples", hint=hint)
                broken += int(bad.sum())
                block = np.where(bad, np.float32(0), block)
            mono = block.mean(1) if mix else block[:, 0]
            found += len(block)
            energy_mixed += float(np.square(mono, dtype=float).sum())
            energy_channels += float(np.square(block, dtype=float).mean(1).sum())
            stream.write(_bytes(resampler.resample_chunk(mono.astype(np.float32))))
        stream.write(_bytes(resampler.resample_chunk(np.zeros(0, np.float32), last=True)))
    promised = max(source.promised, wav_promised)
    if promised > found + 0.005 * source.rate:
        problem = f"is truncated: it promises {promised / source.rate:.2f} s and holds {found / source.rate:.2f} s"
        if not repair:
            raise InputError(problem, path=path, expected="the whole recording", hint=_REPAIR)
        repaired.append(problem)
    if found < MINIMUM_SECONDS * source.rate:
        raise _too_short(path, found / source.rate)
    if broken:
        repaired.append(f"{broken} samples that were not numbers were set to 0")
    if source.channels > 1:
        notes.append(
            f"{source.channels} channels mixed to one" if mix else "the channels cancel out: the first is used"
        )
    if source.rate != RATE:
        notes.append(f"resampled from {source.rate} to {RATE} Hz")
    if mix and source.channels > 1 and energy_mixed < CANCELLED * energy_channels:
        notes.append("cancelled")
    return source.rate, source.channels, notes, repaired


def _bytes(samples: np.ndarray) -> bytes:
    return np.ascontiguousarray(samples, np.float32).tobytes()


def _check_wav(path: Path, repair: bool) -> int:
    """Walk the chunks of a RIFF file without trusting them; the frames that its data chunk promises, else 0.

    Raises:
        InputError: the chunks are nonsense (such headers can hang libsndfile), or the data is shorter than promised.
    """
    size = path.stat().st_size
    with open(path, "rb") as stream:
        head = stream.read(12)
        if head[:4] == b"FORM":
            return _aiff_frames(stream.read(4096))
        if head[:4] not in (b"RIFF", b"RIFX") or head[8:12] != b"WAVE":
            return 0
        order = "<" if head[:4] == b"RIFF" else ">"
        place, rate, block = 12, 0, 0
        for _ in range(MOST_CHUNKS):
            if place + 8 > size:
                break
            stream.seek(place)
            name, length = struct.unpack(order + "4sI", stream.read(8))
            if name == b"fmt " and length >= 16:
                _, channels, rate, _, block, _ = struct.unpack(order + "HHIIHH", stream.read(16))
                if not channels or not rate or not block:
                    what = f"its header says {channels} channels at {rate} Hz in blocks of {block} bytes"
                    raise InputError(what, path=path, expected="a WAV header with sound in it")
                _check_rate(path, rate)
            if name == b"data":
                rest = size - place - 8
                if size < SMALLEST_WAV and block and length <= rest:
                    raise _too_short(path, rest / block / rate)
                if length in (0, 0xFFFFFFFF) or not block or length <= rest:
                    return 0  # complete, or written by a program that could not seek back
                if repair:
                    return length // block
                seconds, there = length // block / rate, rest // block / rate
                problem = f"is truncated: its header promises {seconds:.2f} s and the file holds {there:.2f} s"
                raise InputError(problem, path=path, expected="the whole recording", hint=_REPAIR)
            if place + 8 + length > size:
                label = name.decode("latin-1").strip()
                what = f"its chunk '{label}' of {length} bytes reaches past the end of the file ({size} bytes)"
                raise InputError(what, path=path, expected="an intact WAV file")
            place += 8 + length + length % 2
    raise InputError("is a WAV file without a data chunk", path=path, expected="sound in it")


def _aiff_frames(head: bytes) -> int:
    """The frames that the COMM chunk of an AIFF file promises; libsndfile tells only those that are there."""
    place = head.find(b"COMM")
    return struct.unpack(">I", head[place + 10 : place + 14])[0] if 0 <= place <= len(head) - 14 else 0


def _check_rate(path: Path, rate: int) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        expected = f"{RATES[0] // 1000} to {RATES[1] // 1000} kHz"
        raise InputError(f"has a sample rate of {rate} Hz", path=path, expected=expected, hint="Resample it first")


def _too_short(path: Path, seconds: float) -> InputError:
    return InputError(f"holds {seconds:.3f} s of sound", path=path, expected=f"at least {MINIMUM_SECONDS} s")


def _open(path: Path) -> _Blocks:
    """libsndfile for the formats whose lengths it knows exactly, PyAV for the others (mp3, mp4, m4a, mkv, ...).

    libsndfile looks for MPEG frames in anything and then prints what it does not find, so it is asked only by magic.
    """
    import soundfile

    with open(path, "rb") as head:
        magic = head.read(4)
    if magic not in _SNDFILE_MAGIC:
        return _open_av(path)
    try:
        stream = soundfile.SoundFile(str(path))
    except (soundfile.SoundFileError, RuntimeError):
        return _open_av(path)
    promised = 0 if stream.frames > 2**60 else int(stream.frames)
    blocks = _sndfile_blocks(path, stream)
    return _Blocks(stream.samplerate, stream.channels, promised, blocks, seconds=promised / stream.samplerate)


def _sndfile_blocks(path: Path, stream: Any) -> Iterator[np.ndarray]:
    import soundfile

    with stream:
        while True:
            try:
                block = stream.read(int(BLOCK_SECONDS * stream.samplerate), dtype="float32", always_2d=True)
            except (soundfile.SoundFileError, RuntimeError):
                return  # the caller compares what came with what the header promised
            if not len(block):
                return
            yield block


def _open_av(path: Path) -> _Blocks:
    import av
    from av.error import FFmpegError

    try:
        container = av.open(str(path), metadata_errors="replace")  # tags of any age
    except (FFmpegError, ValueError, OSError) as error:
        raise InputError(_describe(path), path=path, expected=_NEEDED) from error
    if not container.streams.audio:
        container.close()
        raise InputError("has no sound track", path=path, expected=_NEEDED)
    stream = container.streams.audio[0]
    decoder = stream.codec_context  # None where the codec is unknown
    rate = int(decoder.sample_rate or 0) if decoder else 0
    channels = int(decoder.channels or 0) if decoder else 0
    if not rate or not channels:
        container.close()
        raise InputError("has a sound track that cannot be decoded", path=path, expected=_NEEDED)
    promised = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    start = float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0
    # Containers round their durations; only a clear gap means that something is missing.
    frames = int((promised - 0.25) * rate) if promised > 1.0 else 0
    lead = start if 0.005 < start < 600 else 0.0
    seconds = promised + lead if promised else 0.0
    return _Blocks(rate, channels, max(frames, 0), _av_blocks(path, container), lead, seconds)


def _av_blocks(path: Path, container: Any) -> Iterator[np.ndarray]:
    import av
    from av.error import FFmpegError

    resampler = av.AudioResampler(format="fltp")
    with container:
        got = False
        try:
            for frame in container.decode(audio=0):
                for part in resampler.resample(frame):
                    got = True
                    yield np.ascontiguousarray(part.to_ndarray().T.astype(np.float32))
        except FFmpegError as error:
            if not got:
                raise InputError("has sound that cannot be decoded", path=path, expected=_NEEDED) from error
        except HyoidError:
            raise


def _describe(path: Path) -> str:
    """What a file that is no sound seems to be, from its first bytes."""
    with open(path, "rb") as stream:
        head = stream.read(256)
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "is a web page"
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself"
    text = all(byte in b"\t\n\r\f" or 32 <= byte < 127 or byte >= 128 for byte in head)
    return "is text, not sound" if text else "is not a sound file that can be read"
