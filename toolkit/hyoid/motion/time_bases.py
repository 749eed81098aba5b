# SPDX-License-Identifier: Apache-2.0
"""Time stamps to frames of a scene: exact rates, variable frame rate, resampling, and gaps in what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from hyoid.errors import InputError
from hyoid.geometry import rotations as turns

SHORT_GAP = 0.3
"""Seconds up to which a gap is bridged; a longer one stays empty."""
_BROADCAST = 1001


def exact_rate(fps: float) -> Fraction:
    """The rate that is meant: 29.97 is 30000/1001, 23.976 is 24000/1001; whole rates stay.

    Raises:
        InputError: the rate is not a positive number up to 1000.
    """
    if not np.isfinite(fps) or not 0 < fps <= 1000:
        raise InputError(f"a frame rate of {fps:g}", expected="a number above 0 and up to 1000")
    broadcast = Fraction(round(fps * 1.001) * 1000, _BROADCAST)
    if abs(float(broadcast) - fps) < 0.006 and abs(fps - round(fps)) > 1e-6:
        return broadcast
    return Fraction(fps).limit_denominator(10_000)


def frame_times(frames: int, fps: float, start: float = 0.0) -> np.ndarray:
    """(frames,) float64 seconds of the frames of a steady rate."""
    rate = exact_rate(fps)
    return start + np.arange(frames) * rate.denominator / rate.numerator


def checked(times: np.ndarray) -> np.ndarray:
    """Time stamps (F,) as float64 seconds.

    Raises:
        InputError: they do not rise; the first such frame is named.
    """
    times = np.asarray(times, np.float64)
    if times.ndim != 1 or not len(times):
        raise InputError(f"time stamps of the shape {times.shape}", expected="one a frame")
    bad = np.flatnonzero(~np.isfinite(times))
    late = np.flatnonzero(np.diff(times) <= 0) + 1 if not len(bad) else bad
    if len(late):
        raise InputError(
            f"the time stamp of frame {late[0]} is {times[late[0]]:g} s", expected="finite seconds that rise",
            hint="Sort the frames by time and drop doubles",
        )  # fmt: skip
    return times


def covering(times: np.ndarray, fps: float) -> np.ndarray:
    """Seconds k / fps, counted from zero of the clock, that lie within time stamps (F,)."""
    times, rate = checked(times), exact_rate(fps)
    step = rate.denominator / rate.numerator
    first, last = int(np.ceil(times[0] / step - 1e-6)), int(np.floor(times[-1] / step + 1e-6))
    return np.arange(first, max(last, first) + 1) * step


def mean_rate(times: np.ndarray) -> float:
    """Frames a second of time stamps (F,), by the median step."""
    times = checked(times)
    return 1 / float(np.median(np.diff(times))) if len(times) > 1 else 30.0


def resample(times: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values (F, ...) at other seconds (K,): straight lines between frames, the end values beyond them."""
    times, values = checked(times), np.asarray(values, np.float64)
    before, share = _between(times, np.asarray(wanted, np.float64))
    share = share.reshape(-1, *(1,) * (values.ndim - 1))
    after = np.minimum(before + 1, len(times) - 1)
    return values[before] * (1 - share) + values[after] * share


def resample_rotations(times: np.ndarray, quaternions: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Rotations (F, ..., 4) at other seconds (K,) by slerp."""
    times, quaternions = checked(times), turns.normalise(np.asarray(quaternions, np.float64))
    before, share = _between(times, np.asarray(wanted, np.float64))
    after = np.minimum(before + 1, len(times) - 1)
    share = np.broadcast_to(share.reshape(-1, *(1,) * (quaternions.ndim - 2)), (len(share), *quaternions.shape[1:-1]))
    return turns.continuous(turns.slerp(quaternions[before], quaternions[after], share))


def resample_nearest(times: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values (F, ...) of the nearest frame: for flags and names."""
    before, share = _between(checked(times), np.asarray(wanted, np.float64))
    return np.asarray(values)[np.minimum(before + (share >= 0.5), len(times) - 1)]


def around(times: np.ndarray, wanted: np.ndarray) -> tuple[int, int]:
    """First frame and end of those of times (F,) between which all wanted seconds (K,) lie, both rising.

    What :func:`resample` takes from this stretch alone is what it takes from all of them.
    """
    before, _ = _between(checked(times), np.asarray(wanted, np.float64))
    return int(before[0]), min(int(before[-1]) + 2, len(times))


def _between(times: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(times) == 1:
        return np.zeros(len(wanted), int), np.zeros(len(wanted))
    before = np.clip(np.searchsorted(times, wanted, side="right") - 1, 0, len(times) - 2)
    return before, np.clip((wanted - times[before]) / (times[before + 1] - times[before]), 0, 1)


def scene_frames(seconds: np.ndarray, fps: float, first: float = 1.0) -> np.ndarray:
    """Frame numbers, with fractions, of seconds in a scene whose frame ``first`` is second 0."""
    rate = exact_rate(fps)
    return first + np.asarray(seconds, np.float64) * rate.numerator / rate.denominator


@dataclass(frozen=True)
class Gaps:
    """What to do with frames that were not seen.

    Attributes:
        bridged: (F,) True where a short gap is filled. hidden: (F,) True in longer gaps and before and after everything
            that was seen. longer: first and last hidden frame of each long gap between seen frames.
    """

    bridged: np.ndarray
    hidden: np.ndarray
    longer: tuple[tuple[int, int], ...]


def gaps(times: np.ndarray, seen: np.ndarray, longest: float = SHORT_GAP) -> Gaps:
    """Gaps up to ``longest`` seconds are bridged, others hidden; seconds are those without a seen frame."""
    times, seen = checked(times), np.asarray(seen, bool)
    places = np.flatnonzero(seen)
    bridged, hidden, longer = np.zeros(len(seen), bool), ~seen, []
    for before, after in pairwise(places):
        if after - before < 2:
            continue
        # A gap of n frames lasts n frames: from one frame after the last seen one to the next seen one.
        if times[after] - times[before + 1] <= longest + 1e-9:
            bridged[before + 1 : after] = True
        else:
            longer.append((int(before) + 1, int(after) - 1))
    return Gaps(bridged, hidden & ~bridged, tuple(longer))


def fill(times: np.ndarray, values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Values (F, ...) with unseen frames on a cubic through the seen ones; beyond them the end values.

    Over gaps that are too long to be bridged the values stay between those on either side.
    """
    times, seen = checked(times), np.asarray(seen, bool)
    values = np.array(values, np.float64)
    places = np.flatnonzero(seen)
    if not len(places):
        raise InputError("no frame was seen", expected="at least one")
    if len(places) < 4:
        values[~seen] = resample(times[places], values[places], times[~seen])
        return values
    inside = ~seen & (np.arange(len(seen)) > places[0]) & (np.arange(len(seen)) < places[-1])
    long = inside & gaps(times, seen).hidden
    short = inside & ~long
    values[short] = CubicSpline(times[places], values[places], bc_type="natural")(times[short])
    if long.any():
        values[long] = PchipInterpolator(times[places], values[places])(times[long])
    values[: places[0]], values[places[-1] + 1 :] = values[places[0]], values[places[-1]]
    return values


def fill_rotations(times: np.ndarray, quaternions: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Rotations (F, ..., 4) with unseen frames by slerp between the seen ones; beyond them the end values."""
    times, places = checked(times), np.flatnonzero(seen)
    if not len(places):
        raise InputError("no frame was seen", expected="at least one")
    result = np.array(quaternions, np.float64)
    missing = ~np.asarray(seen, bool)
    result[missing] = resample_rotations(times[places], result[places], times[missing]) if missing.any() else 0
    return turns.continuous(result)
