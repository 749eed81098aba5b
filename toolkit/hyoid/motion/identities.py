# SPDX-License-Identifier: Apache-2.0
"""Detections in single frames to people over time: who is who, who left, and names that stay."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from hyoid.errors import InputError
from hyoid.motion import bones
from hyoid.motion.joint_rotations import swing, unit

WORST = 2.5  # cost beyond which a detection is not the person
_WAITED = 0.5  # of the logarithm of the room that a track has after a while, added to its costs
_WAIT = 1.0  # seconds that a track waits for its person
_HITS, _TRIAL = 3, 5  # detections in that many frames make a track
_JOIN_SECONDS, _JOIN_SPEED, _JOIN_SHAPE = 2.0, 5.0, 1.5
_SHORTEST = 0.4  # seconds
_SAME_HEAD, _SAME_PELVIS = 0.15, 0.25  # metres
_SIZE, _SIZE_ROOM, _SIZE_SPEED = 0.8, 0.1, 0.6
"""Weight of a change of box height, its logarithm that is nothing, and how much more in a second."""
_SPEED = 4.0  # metres a second that a person may differ from the prediction
_ROOM = 0.25  # metres
DEPTH_NOISE = 0.08
"""Of the distance: how far off networks are along the ray."""
_UPRIGHT = np.array([
    [-1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, -1, 0], [0, -1, 0], [0, -1, 0], [0, -1, 0],
    [1, 0, 0], [0, 1, 0], [0, 1, 0], [-1, 0, 0], [0, 1, 0], [0, 1, 0],
], float)  # fmt: skip
_POSITION_GAIN, _VELOCITY_GAIN = 0.6, 0.15


@dataclass(frozen=True)
class Detections:
    """People found in the frames of a clip, in any order.

    Attributes:
        frames: (N,) int, rising or not. pelvis, head: (N, 3) metres, camera space or world. boxes: (N, 4) pixels: left,
            top, right, bottom. scores: (N,) 0..1. poses: (N, J, 4) unit quaternions, J may be 0. shapes: (N, S) in
            units of one standard deviation, S may be 0.
    """

    frames: np.ndarray
    pelvis: np.ndarray
    head: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    poses: np.ndarray
    shapes: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.frames)
        for what in ("pelvis", "head", "boxes", "scores", "poses", "shapes"):
            values = getattr(self, what)
            if len(values) != count or not np.isfinite(values).all():
                raise InputError(
                    f"'{what}' of the detections has {len(values)} rows or numbers that are not finite",
                    expected=f"{count} rows of finite numbers",
                )


@dataclass(frozen=True)
class Track:
    """One person: a name, and the detections (n,) that are this person, in order of time."""

    name: str
    detections: np.ndarray


@dataclass(frozen=True)
class Tracks:
    """Who was found.

    Attributes:
        people: the longest first, ``person_01``. dropped: tracks too short to be people. doubles: (n,) detections of a
            person who was already found in that frame. unused: (n,) detections that belong to nobody.
    """

    people: tuple[Track, ...]
    dropped: tuple[Track, ...]
    doubles: np.ndarray
    unused: np.ndarray


@dataclass
class _Live:
    """A track that is being built."""

    born: int
    members: list[int]
    position: np.ndarray
    velocity: np.ndarray
    shape: np.ndarray
    time: float
    known: bool = False
    hits: list[int] = field(default_factory=list)


def track(found: Detections, times: np.ndarray, *, depth_noise: float = DEPTH_NOISE) -> Tracks:
    """People over time.

    Args:
        times: (F,) seconds of the frames of the clip, rising.
        depth_noise: standard deviation of places along the ray from the camera as a share of the distance; 0 for places
            that are as good in depth, or told in the world.

    Raises:
        InputError: a detection lies in a frame that has no time.
    """
    times = np.asarray(times, np.float64)
    outside = np.flatnonzero((found.frames < 0) | (found.frames >= len(times)))
    if len(outside):
        raise InputError(f"detection {outside[0]} lies in frame {found.frames[outside[0]]}",
                         expected=f"frames 0 to {len(times) - 1}")  # fmt: skip
    doubles = same_person(found)
    kept = np.setdiff1d(np.arange(len(found.frames)), doubles)
    order = kept[np.argsort(found.frames[kept], kind="stable")]
    starts = np.searchsorted(found.frames[order], np.arange(len(times) + 1))
    live: list[_Live] = []
    done: list[_Live] = []
    for frame in range(len(times)):
        now = order[starts[frame] : starts[frame + 1]]
        live = _step(found, live, done, now, frame, times, depth_noise)
    done += [track for track in live if track.known]
    joined = _joined(found, done, times, depth_noise)
    return _named(found, joined, times, doubles, kept)


def bone_poses(joints: np.ndarray) -> np.ndarray:
    """``poses`` (N, 16, 4) of detections of which only joints (N, 17, 3) in camera space are known, one by one.

    Each bone's shortest turn from how it points in somebody who stands upright and faces the camera.
    """
    joints = bones.checked(joints)
    return swing(_UPRIGHT, unit(joints[:, 1:] - joints[:, bones.PARENTS[1:]]))


def same_person(found: Detections) -> np.ndarray:
    """(n,) detections whose head and pelvis are where those of a better one in the same frame are."""
    order = np.lexsort((np.arange(len(found.frames)), -found.scores, found.frames))
    starts = np.flatnonzero(np.diff(found.frames[order], prepend=np.iinfo(np.int64).min))
    doubles: list[int] = []
    for group in np.split(order, starts[1:]) if len(order) else []:
        kept: list[int] = []
        for one in group if len(group) > 1 else ():
            heads = np.linalg.norm(found.head[kept] - found.head[one], axis=-1)
            hips = np.linalg.norm(found.pelvis[kept] - found.pelvis[one], axis=-1)
            (doubles if ((heads < _SAME_HEAD) & (hips < _SAME_PELVIS)).any() else kept).append(int(one))
    return np.array(sorted(doubles), int)


def costs(
    found: Detections, tracks: list[_Live], now: np.ndarray, time: float, depth_noise: float = DEPTH_NOISE
) -> np.ndarray:
    """(tracks, detections): how little each detection is like each track's last one where it should be by now."""
    last = np.array([one.members[-1] for one in tracks])
    seconds = np.array([time - one.time for one in tracks])
    expected = np.stack([one.position + one.velocity * (time - one.time) for one in tracks])
    away = expected[:, None] - found.pelvis[now]
    reach = np.linalg.norm(expected, axis=-1)
    ray = expected / np.maximum(reach, 1e-9)[:, None]
    along = np.einsum("tni,ti->tn", away, ray)
    # What trembles along the ray counts as much as what does not across it.
    trust = _trust_along(reach, depth_noise)
    share = 1 - trust
    distance = np.linalg.norm(away - (share[:, None] * along)[..., None] * ray[:, None], axis=-1)
    result = distance / (_ROOM + _SPEED * seconds)[:, None]
    if found.poses.shape[1]:
        cosine = np.abs(np.einsum("tjq,njq->tnj", found.poses[last], found.poses[now]))
        result += 0.5 * (2 * np.arccos(np.clip(cosine, 0, 1))).mean(-1)
    # What places do not tell for their noise the size of a box does.
    result += 0.3 / np.sqrt(trust)[:, None] * (1 - overlap(found.boxes[last], found.boxes[now]))
    size = np.log(np.maximum(found.boxes[:, 3] - found.boxes[:, 1], 1.0))
    result += _SIZE * np.abs(size[last][:, None] - size[now]) / (_SIZE_ROOM + _SIZE_SPEED * seconds)[:, None]
    if found.shapes.shape[1]:
        shapes = np.stack([one.shape for one in tracks])
        result += 0.2 * np.linalg.norm(shapes[:, None] - found.shapes[now], axis=-1)
    return result


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, m) intersection over union of boxes (n, 4) and (m, 4)."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    inside = np.maximum(high - low, 0).prod(-1)
    sizes = [np.maximum(box[:, 2:] - box[:, :2], 0).prod(-1) for box in (a, b)]
    return inside / np.maximum(sizes[0][:, None] + sizes[1] - inside, 1e-9)


def _step(
    found: Detections,
    live: list[_Live],
    done: list[_Live],
    now: np.ndarray,
    frame: int,
    times: np.ndarray,
    depth_noise: float,
) -> list[_Live]:
    """The tracks after one more frame; those that ended go to ``done``."""
    time, free = times[frame], list(range(len(now)))
    if live and len(now):
        cost = costs(found, live, now, time, depth_noise)
        # Whoever was not seen for long may be anywhere: those who were come first.
        longer = [np.log((_ROOM + _SPEED * (time - one.time)) / _ROOM) for one in live]
        # A refused pair costs as much as any other refused one, so that it never decides between good ones.
        rows, columns = linear_sum_assignment(np.where(cost > WORST, 1e3, cost + _WAITED * np.array(longer)[:, None]))
        for row, column in zip(rows, columns, strict=True):
            if cost[row, column] <= WORST:
                _extend(live[row], found, int(now[column]), frame, time, depth_noise)
                free.remove(column)
    for column in free:
        one = int(now[column])
        live.append(_Live(frame, [one], found.pelvis[one].astype(float), np.zeros(3), found.shapes[one].astype(float),
                          time, hits=[frame]))  # fmt: skip
    staying = []
    for one in live:
        if one.known and time - one.time > _WAIT:
            done.append(one)
        elif one.known or one.hits[-1] > frame - _TRIAL:
            staying.append(one)
    return staying


def _trust_along(reach: np.ndarray, depth_noise: float) -> np.ndarray:
    """(...) how much what is seen along the ray counts against what is seen across it, ``reach`` metres away."""
    return _ROOM / (_ROOM + 2 * depth_noise * reach)


def _extend(one: _Live, found: Detections, detection: int, frame: int, time: float, depth_noise: float) -> None:
    seconds = max(time - one.time, 1e-6)
    expected = one.position + one.velocity * seconds
    away = found.pelvis[detection] - expected
    # Noise along the ray must not become a speed: there the place follows less, and the speed less still.
    reach = float(np.linalg.norm(expected))
    ray = expected / max(reach, 1e-9)
    along, trust = (away @ ray) * ray, _trust_along(np.array(reach), depth_noise)
    turned = away - along + trust**2 * along
    away = away - along + trust * along
    # A long gap tells more about where somebody is than the old velocity does.
    gain = 1 - (1 - _POSITION_GAIN) ** max(seconds * 30, 1)
    one.position = expected + gain * away
    one.velocity = one.velocity + _VELOCITY_GAIN / max(seconds, 1 / 30) * turned * min(seconds * 30, 1)
    speed = float(np.linalg.norm(one.velocity))
    if speed > _JOIN_SPEED:
        one.velocity *= _JOIN_SPEED / speed
    one.shape = one.shape + (found.shapes[detection] - one.shape) / (len(one.members) + 1)
    one.time = time
    one.members.append(detection)
    one.hits = [hit for hit in one.hits if hit > frame - _TRIAL] + [frame]
    one.known = one.known or len(one.hits) >= _HITS


def _joined(found: Detections, parts: list[_Live], times: np.ndarray, depth_noise: float) -> list[list[int]]:
    """Members of tracks after fragments of one person are put together, the nearest pairs first."""
    chains = {index: list(part.members) for index, part in enumerate(parts)}
    pairs = []
    for i, a in enumerate(parts):
        for j, b in enumerate(parts):
            end, start = times[found.frames[a.members[-1]]], times[found.frames[b.members[0]]]
            if i == j or not 0 < start - end < _JOIN_SECONDS:
                continue
            reach = float(np.linalg.norm(a.position))
            way = float(np.linalg.norm(found.pelvis[b.members[0]] - a.position)) - 2 * depth_noise * reach
            apart = float(np.linalg.norm(a.shape - b.shape)) if len(a.shape) else 0.0
            # Noise of one place is no speed: the room of a prediction is taken off.
            if max(way - _ROOM, 0) / (start - end) < _JOIN_SPEED and apart < _JOIN_SHAPE:
                pairs.append((way + apart + (start - end), i, j))
    after: dict[int, int] = {}
    before: set[int] = set()
    for _, i, j in sorted(pairs):
        if i not in after and j not in before:
            after[i] = j
            before.add(j)
    result = []
    for first in chains:
        if first in before:
            continue
        members, at = list(chains[first]), first
        while at in after:
            at = after[at]
            members += chains[at]
        result.append(members)
    return result


def _named(
    found: Detections, chains: list[list[int]], times: np.ndarray, doubles: np.ndarray, kept: np.ndarray
) -> Tracks:
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / 30
    people, dropped = [], []
    # The longest is the first; of two equal ones the one that came first.
    for members in sorted(chains, key=lambda members: (-len(members), members[0])):
        seen = found.frames[members]
        seconds = times[seen[-1]] - times[seen[0]] + step
        (people if seconds >= _SHORTEST else dropped).append(np.array(members))
    named = tuple(Track(f"person_{n:02d}", members) for n, members in enumerate(people, 1))
    short = tuple(Track(f"dropped_{n:02d}", members) for n, members in enumerate(dropped, 1))
    used = np.concatenate([np.zeros(0, int), *(one.detections for one in (*named, *short))])
    return Tracks(named, short, doubles, np.setdiff1d(kept, used))
