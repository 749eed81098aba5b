# SPDX-License-Identifier: Apache-2.0
"""Which layout a file has: as its reader was told, as the file says, as its form implies, by count, or by geometry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hyoid.errors import InputError, UsageError
from hyoid.formats.keypoints import layouts
from hyoid.formats.keypoints.layouts import Layout

_ENOUGH = 9
"""Joints that a detection must have to be asked which layout it fits."""
_AGREEMENT = 0.6
"""The share of detections below which geometry does not decide."""
_MOST = 4096
"""Detections that are looked at."""
_LOOKS = {
    "coco17": "point 0 lies at the head among the points 1 to 4",
    "human36m17": "point 0 lies at the pelvis between the points 1 and 4",
    "body25": "point 8 lies at the pelvis between the points 9 and 12",
    "vitpose25": "point 14 lies at the pelvis between the points 12 and 13",
}


@dataclass(frozen=True)
class Statement:
    """What a file itself says about its layout.

    Attributes:
        layout: None when it says nothing that is understood. reason: a clause, ``the file names its joints``.
    """

    layout: Layout | None
    reason: str


def asked_for(name: str) -> Layout:
    """The layout of a name that a user gave.

    Raises:
        UsageError: there is none of that name; those that exist are listed.
    """
    found = layouts.by_name(name)
    if found is None:
        raise UsageError(f"no layout is named '{name[:60]}'", expected=f"one of {', '.join(layouts.LAYOUTS)}")
    return found


def choose(
    path: Path, points: np.ndarray, confidence: np.ndarray, asked: str | None, stated: Statement | None
) -> tuple[Layout, str]:
    """The layout of the points, and why.

    Args:
        points: (N, K, 2), any unit, NaN where missing. confidence: (N, K), 0 where missing.
        asked: a layout's name from the user, which decides. stated: what the file says, which is next.

    Raises:
        UsageError: no layout has the name that was asked for.
        InputError: the count of joints is another, or no layout's, or geometry does not decide.
    """
    count = points.shape[1]
    if asked is not None:
        layout = asked_for(asked)
        _same_count(layout, count, path, "was asked for")
        return layout, f"{layout.title}, as asked for"
    if stated is not None and stated.layout is not None:
        _same_count(stated.layout, count, path, "is what the file states")
        return stated.layout, f"{count} joints: {stated.layout.title}, because {stated.reason}"
    candidates = layouts.with_count(count)
    if not candidates:
        raise InputError(
            f"has {count} joints a person, and no known layout has", path=path, expected=layouts.known(),
            hint=_nearest(count),
        )  # fmt: skip
    if len(candidates) == 1:
        return candidates[0], f"{count} joints: {candidates[0].title}, because no other layout has that count"
    return _by_geometry(candidates, points, confidence, path)


def _same_count(layout: Layout, count: int, path: Path, why: str) -> None:
    if layout.count != count:
        fitting = " or ".join(one.name for one in layouts.with_count(count))
        raise InputError(
            f"has {count} joints a person, but {layout.name}, which {why}, has {layout.count}", path=path,
            hint=f"{count} joints are those of {fitting}" if fitting else f"Known layouts: {layouts.known()}",
        )  # fmt: skip


def _nearest(count: int) -> str:
    if count in layouts.ELSEWHERE:
        return layouts.ELSEWHERE[count]
    nearest = min(layouts.LAYOUTS.values(), key=lambda layout: abs(layout.count - count))
    more = "more" if count > nearest.count else "fewer"
    return f"The nearest count is that of {nearest.name}: the file has {abs(count - nearest.count)} {more}"


def _by_geometry(
    candidates: list[Layout], points: np.ndarray, confidence: np.ndarray, path: Path
) -> tuple[Layout, str]:
    """Of layouts with equally many joints the one under which the bones are short."""
    count = points.shape[1]
    whole = np.flatnonzero((confidence > 0).sum(1) >= _ENOUGH)
    whole = whole[:: max(len(whole) // _MOST, 1)]
    lengths = np.stack([_bone_length(layout, points[whole], confidence[whole]) for layout in candidates])
    votes = np.isfinite(lengths).all(0)
    if not votes.any():
        first = candidates[0]
        return first, f"{count} joints: {first.title}, the usual one; no detection is whole enough to tell"
    shares = np.bincount(lengths[:, votes].argmin(0), minlength=len(candidates)) / votes.sum()
    best = int(shares.argmax())
    if shares[best] < _AGREEMENT:
        found = ", ".join(f"{layout.name} in {share:.0%}" for layout, share in zip(candidates, shares, strict=True))
        raise InputError(
            f"its {count} joints look like {found} of {votes.sum()} detections", path=path,
            expected="one layout throughout", hint="Say which layout it is",
        )  # fmt: skip
    layout = candidates[best]
    share = f"{100 * shares[best]:.0f} % of {votes.sum()} detections"
    return layout, f"{count} joints: {layout.title}, because {_LOOKS[layout.name]} in {share}"


def _bone_length(layout: Layout, points: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """(n,) the mean length of the bones whose ends are there, NaN with fewer than four."""
    place = {name: index for index, name in enumerate(layout.joints)}
    pairs = np.array([(place[a], place[b]) for a, b in layouts.BONES if a in place and b in place])
    there = (confidence[:, pairs] > 0).all(-1)
    lengths = np.linalg.norm(points[:, pairs[:, 0]] - points[:, pairs[:, 1]], axis=-1)
    total = np.where(there, lengths, 0).sum(1)
    return np.where(there.sum(1) >= 4, total / np.maximum(there.sum(1), 1), np.nan)
