# SPDX-License-Identifier: Apache-2.0
"""Editing of takes: another frame rate, a piece of one, several in a row. Times decide, never frame numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hyoid.errors import UsageError
from hyoid.formats.checks import frame_rate
from hyoid.geometry import rotations
from hyoid.take import AudioReference, Event, Keys, Provenance, Take
from hyoid.take_keys import expand_keys, key_values, reduce_keys

__all__ = ["cut", "expand_keys", "join", "key_values", "reduce_keys", "resample", "slerp"]

_BLOCK = 1024
NEUTRAL = {"larynxSize": 1.0}
"""The rest value of the curves that do not rest at zero."""


def resample(take: Take, fps: float) -> Take:
    """The same performance at another frame rate; the same take when the rate is the same.

    Curves, root and points are interpolated linearly, rotations on the shortest arc. Events and keys stay: they are in
    seconds. Frame 0 stays at second 0, and the length is kept to the nearest frame.

    Raises:
        InputError: the rate is not between 1 and 1000.
    """
    frame_rate(fps)
    if fps == take.fps:
        return take
    count = max(1, round(take.frames * fps / take.fps))
    # Frame i of the result lies at i / fps seconds: between two frames of the source, or after its last.
    place = np.minimum(np.arange(count) * (take.fps / fps), take.frames - 1)
    nearest = np.round(place)
    place = np.where(np.abs(place - nearest) < 1e-9 * take.frames, nearest, place)
    low = place.astype(np.int64)
    high = np.minimum(low + 1, take.frames - 1)
    share = (place - low).astype(np.float32)
    return replace(
        take,
        fps=fps,
        curves=_mixed(take.curves, low, high, share),
        rotations=slerp(take.rotations[low], take.rotations[high], share[:, None]),
        root=_mixed(take.root, low, high, share),
        confidence=_mixed(take.confidence, low, high, share),
        points=None if take.points is None else _mixed(take.points, low, high, share),
    )


def _mixed(array: np.ndarray, low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    """``array[low]`` moved by ``share`` towards ``array[high]``, in blocks of frames."""
    result = np.empty((len(low), *array.shape[1:]), np.float32)
    for start in range(0, len(low), _BLOCK):
        block = slice(start, start + _BLOCK)
        first, second = array[low[block]], array[high[block]]
        weight = share[block].reshape(-1, *[1] * (array.ndim - 1))
        result[block] = first + (second - first) * weight
    return result


def slerp(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Rotations between two, on the shortest arc.

    Args:
        first, second: (..., 4) unit quaternions. share: (...), 0 gives the first (bit for bit), 1 the second.

    Returns:
        (..., 4) float32 unit quaternions, on the side of the sphere where ``first`` lies.
    """
    mixed = rotations.slerp(first.astype(np.float64), second.astype(np.float64), share)
    exact = np.broadcast_to(np.asarray(share) == 0, mixed.shape[:-1])[..., None]
    return np.where(exact, first, rotations.normalise(mixed)).astype(np.float32)


def cut(take: Take, start: float, stop: float) -> Take:
    """The piece of a take between two seconds, rounded to whole frames; it begins at second 0.

    Events are shifted and trimmed, sparse keys get new end keys, the sound keeps its place (its offset may turn
    negative).

    Raises:
        UsageError: the piece holds no frame of the take.
    """
    first, last = max(round(start * take.fps), 0), min(round(stop * take.fps), take.frames)
    if not first < last:
        raise UsageError(
            f"the piece from {start:g} to {stop:g} s holds no frame", expected=f"seconds between 0 and {take.seconds:g}"
        )
    shift, length = first / take.fps, (last - first) / take.fps
    events = (
        replace(event, start=max(event.start - shift, 0.0), end=min(event.end - shift, length))
        for event in take.events
        if event.end > shift and event.start < shift + length
    )
    audio = None if take.audio is None else replace(take.audio, offset=take.audio.offset - shift)
    return replace(
        take,
        curves=take.curves[first:last],
        rotations=take.rotations[first:last],
        root=take.root[first:last],
        confidence=take.confidence[first:last],
        points=None if take.points is None else take.points[first:last],
        events=tuple(events),
        audio=audio,
        keys={name: _cut_keys(keys, shift, (last - 1 - first) / take.fps) for name, keys in take.keys.items()},
    )


def _cut_keys(keys: Keys, shift: float, length: float) -> Keys:
    """The keys within, and new ones at both ends where the curve goes on."""
    times = keys.times - shift
    inside = (times > 0) & (times < length)
    ends = [0.0] if length <= 0 else [0.0, length]
    ends = [end for end in ends if times[0] <= end <= times[-1]] or ends[:1]
    new = np.unique(np.concatenate([times[inside], ends]))
    return Keys(new, key_values(Keys(times, keys.values), new))


def join(takes: Sequence[Take], fade: float = 0.0) -> Take:
    """One take after the other, at the frame rate of the first.

    Curves and joints that only some takes have rest in the others. Sparse keys are dropped (reduce again after
    joining); a sound is kept when all takes that have one share it in the same place; sources of all takes are kept.

    Args:
        fade: seconds in which the end of one take blends into the start of the next; both overlap by it.

    Raises:
        UsageError: no takes, a fade longer than a take, or point caches that do not match.
    """
    if not takes:
        raise UsageError("there is nothing to join", expected="at least one take")
    parts = [resample(take, takes[0].fps) for take in takes]
    fps, overlap = parts[0].fps, round(fade * parts[0].fps)
    if overlap < 0 or any(part.frames < 2 * overlap for part in parts[1:-1]) or min(p.frames for p in parts) < overlap:
        raise UsageError(f"a cross-fade of {fade:g} s does not fit", expected="less than half of the shortest take")
    if len({None if part.points is None else part.points.shape[1] for part in parts}) > 1:
        raise UsageError("the takes have different point caches", expected="the same vertices in all, or none")
    curve_names = tuple(dict.fromkeys(name for part in parts for name in part.curve_names))
    joint_names = tuple(dict.fromkeys(name for part in parts for name in part.joint_names))
    starts = np.cumsum([0, *(part.frames - overlap for part in parts[:-1])])
    frames = int(starts[-1]) + parts[-1].frames
    joined = {
        "curves": np.empty((frames, len(curve_names)), np.float32),
        "rotations": np.empty((frames, len(joint_names), 4), np.float32),
        "root": np.empty((frames, 3), np.float32),
        "confidence": np.empty(frames, np.float32),
    }
    if parts[0].points is not None:
        joined["points"] = np.empty((frames, *parts[0].points.shape[1:]), np.float32)
    ramp = np.arange(1, overlap + 1, dtype=np.float32) / (overlap + 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    for index, (start, part) in enumerate(zip(starts.tolist(), parts, strict=True)):
        arrays = {"curves": _curves(part, curve_names), "rotations": _rotations(part, joint_names)}
        arrays |= {name: getattr(part, name) for name in joined if name not in arrays}
        shared = overlap if index else 0
        for name, whole in joined.items():
            blend, new = slice(start, start + shared), arrays[name]
            if shared and name == "rotations":
                whole[blend] = slerp(whole[blend], new[:shared], ramp[:, None])
            elif shared:
                weight = ramp.reshape(-1, *[1] * (new.ndim - 1))
                whole[blend] += (new[:shared] - whole[blend]) * weight
            whole[start + shared : start + part.frames] = new[shared:]
    offsets = [start / fps for start in starts.tolist()]
    return replace(
        parts[0],
        curve_names=curve_names,
        joint_names=joint_names,
        **joined,
        events=_joined_events(parts, offsets),
        keys={},
        audio=_joined_audio(parts, offsets),
        provenance=_joined_provenance(parts),
        mode="; ".join(dict.fromkeys(part.mode for part in parts if part.mode)),
    )


def _curves(take: Take, names: tuple[str, ...]) -> np.ndarray:
    columns = [
        take.curve(name) if name in take.curve_names else np.full(take.frames, NEUTRAL.get(name, 0.0), np.float32)
        for name in names
    ]
    return np.stack(columns, -1) if columns else np.empty((take.frames, 0), np.float32)


def _rotations(take: Take, names: tuple[str, ...]) -> np.ndarray:
    result = np.zeros((take.frames, len(names), 4), np.float32)
    result[..., 0] = 1
    for index, name in enumerate(names):
        if name in take.joint_names:
            result[:, index] = take.rotations[:, take.joint_names.index(name)]
    return result


def _joined_events(parts: Sequence[Take], offsets: Sequence[float]) -> tuple[Event, ...]:
    events = [
        replace(event, start=event.start + offset, end=event.end + offset)
        for part, offset in zip(parts, offsets, strict=True)
        for event in part.events
    ]
    return tuple(sorted(events, key=lambda event: event.start))


def _joined_audio(parts: Sequence[Take], offsets: Sequence[float]) -> AudioReference | None:
    placed = [
        replace(part.audio, offset=part.audio.offset + offset)
        for part, offset in zip(parts, offsets, strict=True)
        if part.audio is not None
    ]
    same = {(audio.sha256, round(audio.offset * parts[0].fps)) for audio in placed}
    return placed[0] if len(same) == 1 else None


def _joined_provenance(parts: Sequence[Take]) -> Provenance:
    sources = dict.fromkeys(source for part in parts for source in part.provenance.sources)
    made = [{"verb": part.provenance.verb, "settings": dict(part.provenance.settings)} for part in parts]
    return Provenance(parts[0].provenance.version, "join", {"takes": made}, tuple(sources))
