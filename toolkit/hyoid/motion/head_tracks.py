# SPDX-License-Identifier: Apache-2.0
"""Heads in frames to people over time: who is who through short occlusions, steady directions, and gaps that are told.

A head is followed by where it is going, how large it is and where it looks. Directions are smoothed on the rotations
themselves, each frame by how sure it is; a single wild one is not followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from hyoid.geometry import head_angles
from hyoid.geometry import rotations as turns
from hyoid.motion.head_smoothing import BOX_CUTOFF, between, smooth_rotations, smooth_values
from hyoid.motion.heads import Heads, joined
from hyoid.motion.identities import overlap

LONGEST_GAP = 1.0
"""Seconds that a head may be out of sight and keep its name."""
_WORST = 1.6  # cost beyond which a box is not the head
_TURN, _TURN_SPEED = 60.0, 200.0  # degrees that cost 1, and degrees a second that are nothing unusual
_REACH, _SPREAD = 0.9, 1.2  # sizes of a box that cost 1, and how many more a second out of sight
_SIZE = 0.5  # of the logarithm of the size that costs 1
_GAIN, _LAST = 0.5, 0.35  # of the velocity; seconds after which a prediction stands still
_SHORTEST = 0.1  # seconds


@dataclass
class _Live:
    """A track that is being built; positions and sizes are the logarithm of one, pixels of the other."""

    rows: list[int]
    centre: np.ndarray
    velocity: np.ndarray
    size: float
    time: float


def follow(heads: Heads, times: np.ndarray, *, longest_gap: float = LONGEST_GAP) -> Heads:
    """The heads with numbers in ``ids``: 1 is who is seen longest, 0 who is seen for less than a moment.

    Args:
        heads: as found, in order of their pictures. times: (F,) seconds of the pictures, rising.
        longest_gap: seconds that a head may be out of sight and still be the same.
    """
    times = np.asarray(times, np.float64)
    live: list[_Live] = []
    done: list[_Live] = []
    for picture in np.unique(heads.picture).tolist():
        rows, now = np.flatnonzero(heads.picture == picture), float(times[picture])
        done += [track for track in live if now - track.time > longest_gap + 1e-9]
        live = [track for track in live if now - track.time <= longest_gap + 1e-9]
        taken = _matched(heads, live, rows, now)
        for row in rows.tolist():
            if row in taken:
                _extend(live[taken[row]], heads, row, now)
            else:
                centre, size = _place(heads.boxes[row])
                live.append(_Live([row], centre, np.zeros(2), size, now))
    return replace(heads, ids=_numbers(heads, [*done, *live], times))


def _place(box: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (2,) and size of a box in pixels."""
    return (box[:2] + box[2:]) / 2, float(np.sqrt(max(np.prod(box[2:] - box[:2]), 1e-6)))


def _matched(heads: Heads, live: Sequence[_Live], rows: np.ndarray, now: float) -> dict[int, int]:
    """Row of a head to the track that it continues."""
    if not live or not len(rows):
        return {}
    costs = np.stack([_costs(heads, track, rows, now) for track in live])
    pairs = zip(*linear_sum_assignment(np.minimum(costs, 10 * _WORST)), strict=True)
    return {int(rows[head]): int(track) for track, head in pairs if costs[track, head] < _WORST}


def _costs(heads: Heads, track: _Live, rows: np.ndarray, now: float) -> np.ndarray:
    """(n,) how unlikely heads continue a track."""
    away = now - track.time
    last = track.rows[-1]
    shift = track.velocity * min(away, _LAST)
    places = [_place(heads.boxes[row]) for row in rows]
    sizes = np.array([size for _, size in places])
    offset = np.linalg.norm(np.stack([centre for centre, _ in places]) - track.centre - shift, axis=-1)
    mean = np.sqrt(sizes * track.size)
    far = offset / mean / (_REACH + _SPREAD * away)
    grown = np.abs(np.log(sizes / track.size)) / (_SIZE + 0.5 * away)
    turned = head_angles.geodesic(heads.apparent[last], heads.apparent[rows])
    turned = np.maximum(turned - _TURN_SPEED * min(away, 0.5), 0) / _TURN
    apart = 1 - overlap(heads.boxes[last][None] + np.tile(shift, 2), heads.boxes[rows])[0]
    # Beyond reach nothing else helps. The direction counts less than place and size together, for it may be wrong.
    return np.where(far > 2, np.inf, 0.6 * far + 0.8 * grown + 0.5 * np.minimum(turned, 2) + 0.2 * apart)


def _extend(track: _Live, heads: Heads, row: int, now: float) -> None:
    centre, size = _place(heads.boxes[row])
    step = max(now - track.time, 1e-6)
    track.velocity = track.velocity + _GAIN * ((centre - track.centre) / step - track.velocity)
    track.centre, track.size, track.time = centre, size, now
    track.rows.append(row)


def _numbers(heads: Heads, tracks: list[_Live], times: np.ndarray) -> np.ndarray:
    """(N,) the longest seen is 1; of equals the larger one."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    fewest = min(max(2, int(np.ceil(_SHORTEST / max(step, 1e-6)))), max(1, len(times) // 2))
    tracks = [track for track in tracks if len(track.rows) >= fewest]
    tracks.sort(key=lambda track: (-len(track.rows), -track.size, track.rows[0]))
    numbers = np.zeros(len(heads), int)
    for number, track in enumerate(tracks, 1):
        numbers[track.rows] = number
    return numbers


# --- one person over time ---------------------------------------------------------------------------------------------


def completed(heads: Heads, times: np.ndarray, *, smoothing: float = 1.0, most_entropy: float | None = None) -> Heads:
    """People in every frame between their first and last: smooth, and with ``seen`` False where nobody was found.

    Gaps are bridged by slerp between what is on either side; heads without a number stay as they are.

    Args:
        heads: with numbers, from :func:`follow`. times: (F,) seconds. smoothing: 0 keeps every tremble, to 1.
        most_entropy: directions that are less sure are not followed: they lie between those before and after.
    """
    parts = [heads[heads.ids == 0]]
    parts += [
        _whole(heads[heads.ids == number], times, smoothing, most_entropy)
        for number in np.unique(heads.ids)
        if number > 0
    ]
    return joined(parts)


def _whole(person: Heads, times: np.ndarray, smoothing: float, most_entropy: float | None) -> Heads:
    there = times[person.picture]
    frames = np.arange(person.picture[0], person.picture[-1] + 1)
    found = np.isin(frames, person.picture)
    sure = np.ones(len(person), bool) if most_entropy is None else ~(person.entropy > most_entropy)
    sure = sure if sure.any() else ~sure
    trust = person.trust()[sure]
    made = {}
    for name in ("apparent", "rotations"):
        steady = smooth_rotations(
            turns.from_matrix(getattr(person, name)[sure]), there[sure], trust, strength=smoothing
        )
        made[name] = turns.to_matrix(turns.normalise(between(there[sure], steady, times[frames])))
    boxes = smooth_values(person.boxes, there, person.confidence, BOX_CUTOFF, strength=smoothing)
    boxes = np.stack([np.interp(times[frames], there, column) for column in boxes.T], -1)
    confidence, entropy = np.zeros(len(frames)), np.full(len(frames), np.nan)
    confidence[found], entropy[found] = person.confidence, person.entropy
    return Heads(frames, boxes, confidence, made["apparent"], made["rotations"], entropy,
                 np.full(len(frames), person.ids[0]), found)  # fmt: skip
