# SPDX-License-Identifier: Apache-2.0
"""Heads in frames to people over time: who is who through short occlusions, steady directions, and gaps that are told.

A head is followed by where it is going, how large it is and where it looks. Directions are smoothed on the rotations
themselves, each frame by how sure it is; a single wild one is not followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solveh_banded
from scipy.optimize import linear_sum_assignment

from hyoid.geometry import head_angles
from hyoid.geometry import rotations as turns
from hyoid.motion.heads import Heads, joined

LONGEST_GAP = 1.0
"""Seconds that a head may be out of sight and keep its name."""
ROTATION_CUTOFF, BOX_CUTOFF = 2.5, 2.5
"""Hertz at which half of a wave passes, at full strength: nods and shakes of heads are slower."""
_WORST = 1.6  # cost beyond which a box is not the head
_TURN, _TURN_SPEED = 60.0, 360.0  # degrees that cost 1, and degrees a second that are nothing unusual
_REACH, _SPREAD = 0.9, 1.2  # sizes of a box that cost 1, and how many more a second out of sight
_SIZE = 0.5  # of the logarithm of the size that costs 1
_GAIN, _LAST = 0.5, 0.35  # of the velocity; seconds after which a prediction stands still
_SHORTEST = 0.1  # seconds
_WILD = 12.0  # degrees off the neighbours from which a direction counts less
_FAR, _AROUND = 75.0, 0.2  # degrees off what most within so many seconds agree on that no head can be
_ROUNDS = 4


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


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union (n, m) of boxes (n, 4) and (m, 4)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), -1)
    areas = [np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), -1) for boxes in (first, second)]
    return common / np.maximum(areas[0][:, None] + areas[1][None] - common, 1e-9)


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
    # Beyond reach nothing else helps; the direction is the weakest witness, for it may be wrong.
    return np.where(far > 2, np.inf, 0.6 * far + 0.4 * grown + 0.2 * np.minimum(turned, 2) + 0.4 * apart)


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


def between(times: np.ndarray, quaternions: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Rotations (n, 4) at other seconds (K,) by slerp; beyond the ends the end ones."""
    if len(times) == 1:
        return np.repeat(quaternions, len(wanted), 0)
    before = np.clip(np.searchsorted(times, wanted, side="right") - 1, 0, len(times) - 2)
    share = np.clip((wanted - times[before]) / (times[before + 1] - times[before]), 0, 1)
    return turns.continuous(turns.slerp(quaternions[before], quaternions[before + 1], share))


def smooth_rotations(
    quaternions: np.ndarray, times: np.ndarray, trust: np.ndarray, *, cutoff: float = ROTATION_CUTOFF,
    strength: float = 1.0,
) -> np.ndarray:  # fmt: skip
    """Rotations (n, 4) float64 smoothed over time as rotations, with continuous signs.

    Penalised second differences in the tangent at the running estimate; directions far from it count less (Cauchy), so
    that one that is turned about by mistake bends nothing.

    Args:
        quaternions: (n, 4) unit. times: (n,) seconds, rising, any steps. trust: (n,) above 0.
        cutoff: hertz of which half passes at full strength. strength: 0 keeps all, to 1.
    """
    source = turns.normalise(np.asarray(quaternions, np.float64))
    if len(source) < 3 or strength <= 0:
        return turns.continuous(source)
    tame = _tame(source, times)
    places = np.flatnonzero(tame)
    # A wild direction must not turn the signs of all that follow.
    source = between(times[places], turns.continuous(source[places]), times)
    weight = np.where(tame, np.asarray(trust, np.float64), 1e-4 * np.min(trust))
    smooth = turns.normalise(smooth_values(source, times, weight, cutoff))
    for _ in range(_ROUNDS):
        off = turns.to_rotation_vector(turns.multiply(turns.inverse(smooth), source))
        angle = np.degrees(np.linalg.norm(off, axis=-1))
        robust = weight / (1 + np.square(angle / _WILD))
        step = smooth_values(off, times, robust, cutoff)
        smooth = turns.normalise(turns.multiply(smooth, turns.from_rotation_vector(step)))
    if strength < 1:
        smooth = turns.slerp(source, smooth, np.full(len(source), strength))
    return turns.continuous(turns.normalise(smooth))


def _tame(source: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(n,) False for rotations that are far from what most around them agree on."""
    step = max(float(np.median(np.diff(times))), 1e-6)
    half = int(np.clip(np.ceil(_AROUND / step), 2, 12))
    places = np.clip(np.arange(len(source))[:, None] + np.arange(-half, half + 1), 0, len(source) - 1)
    around = source[places]
    apart = np.degrees(2 * np.arccos(np.clip(np.abs(around @ around.transpose(0, 2, 1)), 0, 1)))
    middle = around[np.arange(len(source)), apart.sum(-1).argmin(-1)]
    away = np.degrees(2 * np.arccos(np.clip(np.abs((middle * source).sum(-1)), 0, 1)))
    tame = away < _FAR
    return tame if tame.sum() >= 3 else np.ones(len(source), bool)


def smooth_values(
    values: np.ndarray, times: np.ndarray, trust: np.ndarray, cutoff: float, *, strength: float = 1.0
) -> np.ndarray:
    """Values (n, k) smoothed by penalised second derivatives over uneven times (n,), each by its trust (n,)."""
    values, times = np.asarray(values, np.float64), np.asarray(times, np.float64)
    if len(values) < 3 or strength <= 0:
        return values.copy()
    steps = np.maximum(np.diff(times), 1e-6)
    span = np.concatenate([[steps[0]], (steps[1:] + steps[:-1]) / 2, [steps[-1]]])
    weight = np.asarray(trust, np.float64)
    # Neither many frames a second nor much trust in all of them make the whole stiffer or softer.
    weight = np.maximum(weight / np.mean(weight), 1e-6) * np.minimum(span, 1 / cutoff)
    stiff = 1 / (2 * np.pi * cutoff) ** 4
    before, after = steps[:-1], steps[1:]
    curve = 2 / (before + after)
    rows = np.stack([curve / before, -curve * (1 / before + 1 / after), curve / after])
    rows *= np.sqrt(stiff * (before + after) / 2)
    bands = np.zeros((3, len(values)))
    bands[0] = weight
    for shift in range(3):
        for first in range(3 - shift):
            bands[shift, first : len(values) - 2 + first] += rows[first] * rows[first + shift]
    solved = solveh_banded(bands, weight[:, None] * values, lower=True)
    return values + strength * (solved - values)
