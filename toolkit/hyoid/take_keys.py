# SPDX-License-Identifier: Apache-2.0
"""Sparse keys beside dense curves: what an artist edits, reduced from every frame and expanded back to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hyoid import scratch
from hyoid.errors import UsageError
from hyoid.geometry.rotations import continuous
from hyoid.take import Event, Keys, Take

_CLOSURES = frozenset(("M", "B", "P", "EM", "F", "V"))
"""Phones in which lips meet, or lip and teeth."""
_MILLIMETRE_CURVES = frozenset(("larynxHeight",))
_LONG = 64
_GROUP, _PIECE = 8, 8192
"""Channels and frames that are reduced together: bound the memory for long takes."""


def key_values(keys: Keys, times: np.ndarray) -> np.ndarray:
    """What sparse keys say at given seconds: linear between keys, held before the first and after the last.

    Quaternions are interpolated by component and normalised, as animation curves of 3D programs do.

    Args:
        times: (n,) float64, rising.

    Returns:
        (n,) or (n, 3) or (n, 4) float32.
    """
    values = np.asarray(keys.values, np.float64)
    if values.ndim == 1:
        return np.interp(times, keys.times, values).astype(np.float32)
    if values.shape[1] == 4:
        values = continuous(values)
    mixed = np.stack([np.interp(times, keys.times, column) for column in values.T], -1)
    if values.shape[1] == 4:
        mixed /= np.linalg.norm(mixed, axis=-1, keepdims=True)
    return mixed.astype(np.float32)


def expand_keys(take: Take) -> Take:
    """The take with its dense curves, rotations and root made from its sparse keys, where it has keys.

    This is how an edited key becomes a frame: change ``take.keys``, then expand.
    """
    times = np.arange(take.frames) / take.fps
    curves, rotations, root = take.curves.copy(), take.rotations.copy(), take.root
    for channel, keys in take.keys.items():
        dense = key_values(keys, times)
        if channel == "root":
            root = dense
        elif channel in take.curve_names:
            curves[:, take.curve_names.index(channel)] = dense
        else:
            rotations[:, take.joint_names.index(channel.removesuffix(".rotation"))] = dense
    return replace(take, curves=curves, rotations=rotations, root=root)


def reduce_keys(
    take: Take,
    tolerance: float = 0.01,
    *,
    millimetres: float = 0.2,
    degrees: float = 0.05,
    metres: float = 0.0005,
) -> Take:
    """The take with sparse keys for every channel, from which each frame can be rebuilt within a tolerance.

    Keys lie on frames and hold their exact values. Closures stay exact: where lips meet, an eye blinks or the larynx
    swallows (see the take's events), the extreme frame of each curve concerned is always a key. The dense arrays stay.

    Args:
        tolerance: for curves of 0..1. millimetres: for ``larynxHeight``. degrees: for rotations. metres: for
            the root. The eight neck joints add up, so the head may be off by eight times ``degrees`` at worst.

    Raises:
        UsageError: a tolerance is not above zero.
    """
    if not min(tolerance, millimetres, degrees, metres) > 0:
        raise UsageError("a tolerance for keys is not above zero", expected="a positive number")
    if not take.frames:
        return take
    groups = _groups(take, tolerance, millimetres, np.radians(degrees), metres)
    forced = _forced(take)
    found: dict[str, list[_Piece]] = {name: [] for group in groups for name in group.channels}
    for start in range(0, max(take.frames - 1, 1), _PIECE):
        # Neighbouring pieces share a frame, which is a key of both.
        stop = min(start + _PIECE + 1, take.frames)
        for group in groups:
            # (channels, frames, components)
            samples = group.samples(take, slice(start, stop))
            hard = np.zeros(samples.shape[:2], bool) if group.curves is None else forced[group.curves, start:stop]
            chosen = chosen_keys(samples, group.limit, hard)
            chosen[:, 0] &= start == 0
            for channel, values, own in zip(group.channels, samples, chosen, strict=True):
                frames = np.flatnonzero(own)
                kept = (start + frames).astype(np.int32), values[frames].astype(np.float32)
                found[channel].append((*kept, bool((values == values[:1]).all())))
        scratch.give_back(take.curves, take.rotations, take.root)
    return replace(take, keys=_joined(found, take.fps))


_Piece = tuple[np.ndarray, np.ndarray, bool]
"""Frames and values of keys, and whether the channel stays as it is in all frames of the piece."""


def _joined(found: dict[str, list[_Piece]], fps: float) -> dict[str, Keys]:
    """The keys of all channels, which lie in a file where they are many; ``found`` is emptied meanwhile."""
    counts = [
        1 if all(still for *_, still in pieces) else sum(len(frames) for frames, *_ in pieces)
        for pieces in found.values()
    ]
    widths = [pieces[0][1].shape[1] for pieces in found.values()]
    times = scratch.empty((sum(counts),))
    values = scratch.empty((sum(count * width for count, width in zip(counts, widths, strict=True)),), np.float32)
    keys: dict[str, Keys] = {}
    first = place = 0
    for channel, count, width in zip(list(found), counts, widths, strict=True):
        pieces = found.pop(channel)
        own, ours = times[first : first + count], values[place : place + count * width].reshape(count, width)
        own[:] = np.concatenate([frames for frames, *_ in pieces])[:count] / fps
        ours[:] = np.concatenate([numbers for _, numbers, _ in pieces])[:count]
        keys[channel] = Keys(own, ours[:, 0] if width == 1 else ours)
        first, place = first + count, place + count * width
        scratch.give_back(times, values)
    return keys


@dataclass
class _Group:
    """Channels of one kind that are reduced together.

    Attributes:
        limit: (channels,) greatest distance. curves, joints: their columns in the take; of the root neither.
        last: (joints, 4) rotations at the end of the piece before, whose signs go on.
    """

    channels: list[str]
    limit: np.ndarray
    curves: slice | None = None
    joints: slice | None = None
    last: np.ndarray | None = None

    def samples(self, take: Take, rows: slice) -> np.ndarray:
        """(channels, frames, components) of some frames; pieces are asked for in order."""
        if self.curves is not None:
            return take.curves[rows, self.curves].T[..., None]
        if self.joints is None:
            return take.root[None, rows]
        turns = continuous(take.rotations[rows, self.joints])
        if self.last is not None:
            turns *= np.where((turns[0] * self.last).sum(-1, keepdims=True) < 0, -1, 1).astype(turns.dtype)
        self.last = turns[-1].copy()
        return turns.transpose(1, 0, 2)


def _groups(take: Take, tolerance: float, millimetres: float, radians: float, metres: float) -> list[_Group]:
    groups = []
    for start in range(0, len(take.curve_names), _GROUP):
        names = list(take.curve_names[start : start + _GROUP])
        limit = np.array([millimetres if name in _MILLIMETRE_CURVES else tolerance for name in names])
        groups.append(_Group(names, limit, curves=slice(start, start + len(names))))
    for start in range(0, len(take.joint_names), _GROUP // 2):
        names = [f"{name}.rotation" for name in take.joint_names[start : start + _GROUP // 2]]
        # Two unit quaternions whose rotations differ by an angle lie 2 sin(angle / 4) apart.
        limit = np.full(len(names), 2 * np.sin(radians / 4))
        groups.append(_Group(names, limit, joints=slice(start, start + len(names))))
    return [*groups, _Group(["root"], np.array([metres]))]


def _forced(take: Take) -> np.ndarray:
    """(curves, frames) bool: frames that must stay keys."""
    forced = np.zeros((len(take.curve_names), take.frames), bool)
    groups = {
        kind: np.array([_concerns(kind, name) for name in take.curve_names], bool)
        for kind in ("phone", "blink", "swallow")
    }
    for event in take.events:
        if not _is_hard(event):
            continue
        first = min(max(int(np.ceil(event.start * take.fps - 1e-6)), 0), take.frames - 1)
        last = max(min(int(event.end * take.fps + 1e-6), take.frames - 1), first)
        rows = np.flatnonzero(groups[event.kind])
        piece = take.curves[first : last + 1][:, rows]
        if piece.size:
            forced[rows, first + piece.argmax(0)] = True
            forced[rows, first + piece.argmin(0)] = True
    return forced


def closing_frames(curve: str, values: np.ndarray, times: np.ndarray, events: Sequence[Event]) -> list[int]:
    """Samples of a curve that a reduction must keep: its extremes where lips meet, an eye blinks, the larynx swallows.

    Args:
        curve: its name. values: (n,). times: (n,) seconds, rising.
    """
    found: list[int] = []
    for event in events:
        if _is_hard(event) and _concerns(event.kind, curve):
            first, last = np.searchsorted(times, [event.start - 1e-6, event.end + 1e-6])
            if last > first:
                found += [int(first + values[first:last].argmax()), int(first + values[first:last].argmin())]
    return found


def _is_hard(event: Event) -> bool:
    return event.kind in ("blink", "swallow") or (event.kind == "phone" and event.name.upper() in _CLOSURES)


def _concerns(kind: str, curve: str) -> bool:
    prefixes = {"phone": ("mouth", "jaw"), "blink": ("eyeBlink",), "swallow": ("swallow", "larynx")}
    return curve.startswith(prefixes[kind])


def chosen_keys(
    samples: np.ndarray, limit: np.ndarray, forced: np.ndarray, times: np.ndarray | None = None
) -> np.ndarray:
    """Which samples become keys, (channels, frames) bool, so that straight lines between keys stay within a limit.

    Ramer, Douglas and Peucker's division, all channels and all pieces at once: each piece whose worst frame lies
    further than the limit from the chord is divided there.

    Args:
        samples: (channels, frames, components); of four components they are unit quaternions.
        limit: (channels,) greatest distance. forced: (channels, frames) bool, keys in any case.
        times: (channels, frames), rising, when each sample is; None where they are evenly spaced.
    """
    frames, components = samples.shape[1:]
    chosen = forced.copy()
    chosen[:, [0, -1]] = True
    flat = np.ascontiguousarray(samples, np.float64).reshape(-1, components)
    moments = None if times is None else np.ascontiguousarray(times, np.float64).reshape(-1)
    # Pieces between neighbouring keys, as rows of ``flat``; a channel's last key and the next one's first are no piece.
    keys = np.flatnonzero(chosen)
    low, high = keys[:-1], keys[1:]
    inner = (high - low > 1) & (low // frames == high // frames)
    low, high = low[inner], high[inner]
    while len(low):
        count = high - low - 1
        starts = np.cumsum(count) - count
        piece = np.repeat(np.arange(len(low)), count)
        row = np.arange(len(piece)) - starts[piece] + low[piece] + 1
        if moments is None:
            share = ((row - low[piece]) / (high - low)[piece])[:, None]
        else:
            share = ((moments[row] - moments[low[piece]]) / (moments[high] - moments[low])[piece])[:, None]
        chord = flat[low][piece] * (1 - share) + flat[high][piece] * share
        if components == 4:
            # Half-way between the two signs of one rotation there is no chord: such a piece is divided.
            chord /= np.maximum(np.linalg.norm(chord, axis=-1, keepdims=True), 1e-12)
        away = np.abs(flat[row] - chord)[:, 0] if components == 1 else np.linalg.norm(flat[row] - chord, axis=-1)
        split = np.maximum.reduceat(away, starts) > limit[low // frames]
        # A long piece is divided within its middle half: else a beat that repeats for an hour would be taken off one
        # by one from its start.
        length = (high - low)[piece]
        aside = (length > _LONG) & (np.abs(2 * (row - low[piece]) - length) > length // 2)
        away[aside] = -1
        candidates = np.flatnonzero(away == np.maximum.reduceat(away, starts)[piece])
        first = candidates[np.searchsorted(candidates, starts)]
        middle = row[first][split]
        chosen.reshape(-1)[middle] = True
        low, high = np.concatenate([low[split], middle]), np.concatenate([middle, high[split]])
        inner = high - low > 1
        low, high = low[inner], high[inner]
    return chosen
