# SPDX-License-Identifier: Apache-2.0
"""When feet stand: thresholds on height and speed with hysteresis, a probability for people to look at, and flight."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import minimum_filter1d

GRAVITY = 9.81
_FLIGHT_SECONDS = 0.15
_STRIDE_SECONDS = 0.15  # before and after a frame: the slowest of a step of a run lies within
_FALLING = (0.45, 1.6)  # of gravity, downwards: the acceleration of a pelvis whose body flies


@dataclass(frozen=True)
class Thresholds:
    """When a point of the foot comes to stand, and when it stops.

    Attributes:
        height: metres above the ground below which it may come to stand. speed: metres a second, likewise.
        height_out, speed_out: beyond one of them it stands no more. seconds: shorter contacts are none.
        rolling, passing: of the speed at which the body travels. The foot of a runner stands so shortly, and rolls so
            fast, that what is measured of it never gets slow: one that is slower than ``passing``, and hardly faster
            (``rolling``) than at its slowest, may come to stand too.
    """

    height: float = 0.06
    speed: float = 0.25
    height_out: float = 0.09
    speed_out: float = 0.45
    seconds: float = 0.1
    rolling: float = 0.25
    passing: float = 0.7

    def widened(self, height_noise: float, speed_noise: float) -> Thresholds:
        """Thresholds for points that tremble by standard deviations in metres and metres a second."""
        return replace(
            self, height=self.height + height_noise, speed=self.speed + speed_noise,
            height_out=self.height_out + height_noise, speed_out=self.speed_out + speed_noise,
        )  # fmt: skip


@dataclass(frozen=True)
class Contacts:
    """Standing points over time: ``standing`` (F, ...) bool, ``probability`` (F, ...) 0..1."""

    standing: np.ndarray
    probability: np.ndarray


def speeds(points: np.ndarray, fps: float) -> np.ndarray:
    """(F, ...) metres a second of points (F, ..., 3), by central differences."""
    if len(points) < 2:
        return np.zeros(points.shape[:-1])
    return np.linalg.norm(np.gradient(points, axis=0), axis=-1) * fps


def detect(
    heights: np.ndarray,
    speed: np.ndarray,
    fps: float,
    thresholds: Thresholds | None = None,
    travel: np.ndarray | None = None,
) -> Contacts:
    """Which points stand in which frames.

    Args:
        heights: (F, ...) metres above where the point is when it stands. speed: (F, ...) metres a second.
        travel: (F,) metres a second of the body along the ground, or None for one that stays where it is.
    """
    limits = Thresholds() if thresholds is None else thresholds
    heights, speed = np.asarray(heights, np.float64), np.asarray(speed, np.float64)
    slow = _slow(speed, np.zeros(len(speed)) if travel is None else travel, fps, limits)
    between = limits.speed_out - limits.speed
    come = (heights < limits.height) & (speed < slow)
    go = (heights > limits.height_out) | (speed > slow + between)
    standing = _latched(come, go)
    shortest = max(3, round(limits.seconds * fps))
    if shortest > 1:
        standing = without_short(standing, shortest)
    height_middle = (limits.height + limits.height_out) / 2
    # Four of the widths between coming and going are certain on either side.
    height_share = _logistic((height_middle - heights) * 4 / (limits.height_out - limits.height))
    speed_share = _logistic((slow + between / 2 - speed) * 4 / between)
    return Contacts(standing, height_share * speed_share)


def _slow(speed: np.ndarray, travel: np.ndarray, fps: float, limits: Thresholds) -> np.ndarray:
    """(F, ...) metres a second below which a point with ``speed`` (F, ...) may come to stand."""
    travel = np.asarray(travel, np.float64).reshape(-1, *(1,) * (speed.ndim - 1))
    slowest = minimum_filter1d(speed, 2 * round(_STRIDE_SECONDS * fps) + 1, axis=0, mode="nearest")
    return np.maximum(limits.speed, np.minimum(limits.passing * travel, slowest + limits.rolling * travel))


def calm_speed(speed: np.ndarray) -> float:
    """Metres a second at which feet that stand seem to move, as noise makes them: half of the time, the slower foot.

    Args:
        speed: (F, k) metres a second of the points of both feet; at most times one of them stands.
    """
    return float(np.median(np.min(speed, axis=1))) if len(speed) else 0.0


def _logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -60, 60)))


def _latched(come: np.ndarray, go: np.ndarray) -> np.ndarray:
    """State (F, ...) that turns on where ``come``, off where ``go``, and otherwise stays; it starts off."""
    frames = np.arange(len(come)).reshape(-1, *(1,) * (come.ndim - 1))
    last_on = np.maximum.accumulate(np.where(come, frames, -1), axis=0)
    last_off = np.maximum.accumulate(np.where(go, frames, -1), axis=0)
    return last_on > last_off


def runs(mask: np.ndarray) -> np.ndarray:
    """(n, 2) first frame and the frame after the last of each stretch of True in a mask (F,)."""
    edges = np.diff(np.concatenate([[0], np.asarray(mask, np.int8), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], -1)


def without_short(standing: np.ndarray, frames: int) -> np.ndarray:
    """The mask (F, ...) without stretches of fewer than ``frames`` frames."""
    flat = np.array(standing).reshape(len(standing), -1)
    for column in range(flat.shape[1]):
        for start, stop in runs(flat[:, column]):
            if stop - start < frames:
                flat[start:stop, column] = False
    return flat.reshape(standing.shape)


def without_gaps(standing: np.ndarray, frames: int) -> np.ndarray:
    """The mask (F, ...) with gaps of fewer than ``frames`` frames between two contacts closed."""
    flat = np.array(standing).reshape(len(standing), -1)
    for column in range(flat.shape[1]):
        for start, stop in runs(~flat[:, column]):
            if start > 0 and stop < len(flat) and stop - start < frames:
                flat[start:stop, column] = True
    return flat.reshape(standing.shape)


def airborne(standing: np.ndarray, pelvis_height: np.ndarray, fps: float) -> np.ndarray:
    """(F,) True while the body flies: no point stands for more than 0.15 s and the pelvis falls freely.

    Args:
        standing: (F, ...) bool. pelvis_height: (F,) metres.
    """
    nothing = np.logical_not(np.any(np.asarray(standing).reshape(len(standing), -1), axis=1))
    result = np.zeros(len(nothing), bool)
    for start, stop in runs(nothing):
        if (stop - start) / fps <= _FLIGHT_SECONDS or stop - start < 4:
            continue
        seconds = np.arange(stop - start) / fps
        fall = -2 * np.polyfit(seconds, pelvis_height[start:stop], 2)[0] / GRAVITY
        result[start:stop] = _FALLING[0] < fall < _FALLING[1]
    return result
