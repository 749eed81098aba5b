# SPDX-License-Identifier: Apache-2.0
"""Noise out of motion: outliers, Savitzky-Golay on rotations, penalised smoothing, and One-Euro for live use."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import uniform_filter1d

from hyoid.errors import InputError
from hyoid.geometry import rotations as turns

OUTLIER_SPEED = 25.0
"""Radians a second: faster than this against both neighbours is no motion of a body."""
WINDOW = 9  # frames at 30 fps
EXTREMITY_WINDOW = 5
_ORDER = 2
_FAST = 5.0  # hertz: bodies do little above it
_CUTOFFS = (0.5, 1.0, 1.7, 2.5, 3.5, 5.0)  # hertz
_ANY = 10.0  # hertz, where none of them fits and there is hardly any noise
_NOISY = np.radians(4.0)
_STRETCH = 8.0  # seconds
_SLACK = (1.4, 3.3)  # of the variance that noise would lose: over the clip, and around any one frame


def window_frames(window: int, fps: float) -> int:
    """A window that is told for 30 fps, in frames at ``fps``: odd, at least 3."""
    return max(2 * round((window - 1) / 2 * fps / 30.0) + 1, 3)


def outliers(quaternions: np.ndarray, fps: float, limit: float = OUTLIER_SPEED) -> np.ndarray:
    """(F, ...) True where a rotation turns faster than ``limit`` radians a second against both its neighbours.

    Args:
        quaternions: (F, ..., 4) unit.
    """
    steps = turns.multiply(turns.inverse(quaternions[:-1]), quaternions[1:])
    fast = np.linalg.norm(turns.to_rotation_vector(steps), axis=-1) * fps > limit
    result = np.zeros(quaternions.shape[:-1], bool)
    result[1:-1] = fast[:-1] & fast[1:]
    if len(quaternions) > 2:
        # A jump at an end has one neighbour only; it counts when the frame after it agrees with the next.
        result[0], result[-1] = fast[0] & ~fast[1], fast[-1] & ~fast[-2]
    return result


def without_outliers(quaternions: np.ndarray, fps: float, limit: float = OUTLIER_SPEED) -> np.ndarray:
    """The rotations (F, J, 4) with outliers bridged by slerp between the frames around them."""
    result = np.array(quaternions, np.float64)
    for joint in range(result.shape[1]):  # one after the other: a long clip of all of them takes much memory
        bad = outliers(result[:, joint], fps, limit)
        good = np.flatnonzero(~bad)
        if bad.any() and len(good):
            result[:, joint] = _between(result[good, joint], good, np.arange(len(result)))
    return result


def _between(quaternions: np.ndarray, places: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(places, wanted), 0, len(places) - 1)
    before = np.maximum(after - (places[after] > wanted), 0)
    gap = np.maximum(places[after] - places[before], 1)
    share = np.clip((wanted - places[before]) / gap, 0, 1)
    return turns.slerp(quaternions[before], quaternions[after], share)


def _local_fit(frames: int, half: int, segments: np.ndarray) -> np.ndarray:
    """(F, 2 half + 1) weights of neighbours in a local quadratic that never leaves a frame's segment."""
    offsets = np.arange(-half, half + 1)
    places = np.arange(frames)[:, None] + offsets
    inside = (places >= 0) & (places < frames)
    inside &= segments[np.clip(places, 0, frames - 1)] == segments[:, None]
    basis = (offsets / max(half, 1))[:, None] ** np.arange(_ORDER + 1)
    moments = np.einsum("fk,ki,kj->fij", inside, basis, basis)
    # Short stretches hold less than a parabola: a little stiffness makes them lines or constants.
    moments[:, range(1, _ORDER + 1), range(1, _ORDER + 1)] += 1e-3
    first = np.linalg.solve(moments, np.broadcast_to(np.eye(_ORDER + 1)[:, :1], (frames, _ORDER + 1, 1)))[..., 0]
    weights = inside * (first @ basis.T)
    return weights / weights.sum(1, keepdims=True)


def segments_of(edges: np.ndarray) -> np.ndarray:
    """(F,) a number for each stretch of frames in which a state (F,) does not change."""
    edges = np.asarray(edges)
    return np.concatenate([[0], np.cumsum(edges[1:] != edges[:-1])]) if len(edges) else np.zeros(0, int)


def savitzky_golay(
    quaternions: np.ndarray,
    fps: float,
    *,
    window: int = WINDOW,
    strength: float = 1.0,
    segments: np.ndarray | None = None,
) -> np.ndarray:
    """Rotations smoothed by a local quadratic in the logarithm about a running mean; nothing lags.

    Args:
        quaternions: (F, ..., 4) unit.
        window: frames at 30 fps; scaled with ``fps``.
        strength: 0 (as it was) to 1.
        segments: (F,) numbers of stretches that a window never leaves (:func:`segments_of` contacts), or None.

    Returns:
        (F, ..., 4) float64 unit quaternions with continuous signs.
    """
    source = turns.continuous(turns.normalise(np.asarray(quaternions, np.float64)))
    frames = len(source)
    if frames < 3 or strength <= 0:
        return source
    half = min(window_frames(window, fps) // 2, frames - 1)
    segments = np.zeros(frames, int) if segments is None else np.asarray(segments)
    weights = _local_fit(frames, half, segments)
    places = np.clip(np.arange(frames)[:, None] + np.arange(-half, half + 1), 0, frames - 1)
    same = (weights != 0).astype(float)
    spread = (slice(None), *(None,) * (source.ndim - 1))
    mean = sum(same[:, k][spread] * source[places[:, k]] for k in range(2 * half + 1))
    mean = turns.normalise(np.asarray(mean))
    back = turns.inverse(mean)
    fitted = np.zeros((*source.shape[:-1], 3))
    for k in range(2 * half + 1):
        fitted += weights[:, k][spread] * turns.to_rotation_vector(turns.multiply(back, source[places[:, k]]))
    smooth = turns.multiply(mean, turns.from_rotation_vector(fitted))
    if strength < 1:
        smooth = turns.slerp(source, smooth, np.full(smooth.shape[:-1], strength))
    return turns.continuous(turns.normalise(smooth))


def whittaker(values: np.ndarray, cutoff: float, fps: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Values (F, ...) smoothed by penalised second differences; half of a wave of ``cutoff`` hertz passes.

    Args:
        weights: (F,) trust of each frame, 0 for frames that are to be filled; None for equal.

    Raises:
        InputError: no frame has any weight.
    """
    values = np.asarray(values, np.float64)
    frames = len(values)
    if frames < 3:
        return values.copy()
    trust = np.ones(frames) if weights is None else np.asarray(weights, np.float64)
    if not trust.max(initial=0) > 0:
        raise InputError("no frame has a weight", expected="at least one frame that can be trusted")
    solved = _penalised(values.reshape(frames, -1), np.full(frames - 2, _stiffness(cutoff, fps)), trust)
    return solved.reshape(values.shape)


def _stiffness(cutoff: float | np.ndarray, fps: float) -> np.ndarray:
    step = 2 - 2 * np.cos(2 * np.pi * np.minimum(cutoff / fps, 0.5))
    return 1 / np.maximum(step, 1e-9) ** 2


def _penalised(values: np.ndarray, stiffness: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Values (F, k) with second differences held down by ``stiffness`` (F - 2,)."""
    bands = np.zeros((3, len(values)))
    bands[0] = trust + 1e-9 * trust.max()
    add_curvature(bands, stiffness, 1)
    return solveh_banded(bands, trust[:, None] * values, lower=True)


def calmed(quaternions: np.ndarray, fps: float, known: np.ndarray | None = None) -> np.ndarray:
    """Rotations (F, J, 4) freed from the noise of networks, as far as each joint has any; clean ones hardly change.

    The noise of a joint is told by what it does faster than 5 Hz, taken to be correlated over a tenth of a second. Each
    stretch of some seconds is then smoothed as much as it can be before more than that noise goes, in the stretch and
    around any of its frames.

    Args:
        known: (F,) bool, frames that tell the noise; others are smoothed like those around them. None for all.
    """
    source = turns.continuous(turns.normalise(np.asarray(quaternions, np.float64)))
    frames = len(source)
    if frames < fps / 2 or frames < 8:
        return source
    moving = np.flatnonzero(np.ptp(source, axis=0).max(-1) > 1e-6)
    if not len(moving):
        return source
    told = np.arange(frames) if known is None else np.flatnonzero(known)
    if len(told) < 8:  # all is a guess, and calm
        return source
    for joint in moving:  # one after the other: a long clip of all of them takes much memory
        values = source[:, joint]
        stiffness = _stiffness(_cutoffs(values, fps, told)[1:-1], fps)
        source[:, joint] = turns.normalise(_penalised(values, stiffness, np.ones(frames)))
    return turns.continuous(source)


def _cutoffs(values: np.ndarray, fps: float, known: np.ndarray) -> np.ndarray:
    """(F,) hertz for rotations (F, 4) of which the frames ``known`` (n,) tell the noise."""
    window = min(2 * round(0.4 * fps) + 1, len(known))
    edges = np.linspace(0, len(known), max(1, round(len(known) / (_STRETCH * fps))) + 1).round().astype(int)
    # A gap that was filled is calm: counted in, it would make noise out of nothing but motion.
    fast = _gone(values, _FAST, fps)[known]
    # Real motion that is fast comes in single bursts: they do not make noise out of the rest.
    stretches = (fast[start:stop] for start, stop in pairwise(edges))
    power = np.stack([np.minimum(here, 9 * np.median(here, axis=0)).mean(0) for here in stretches])
    # An axis about which a joint hardly trembles, as a hinge does not, is judged with a little of the others' noise.
    power = (power + 0.1 * power.sum(-1, keepdims=True)) / _removed(_FAST, fps) + 1e-12
    chosen = np.where(power.sum(-1) > _NOISY**2, _FAST, _ANY)
    for cutoff in _CUTOFFS[::-1]:
        gone = _gone(values, cutoff, fps)[known]
        around = uniform_filter1d(gone, window, axis=0, mode="reflect")
        expected = power * _removed(cutoff, fps)
        mean = np.add.reduceat(gone, edges[:-1], axis=0) / np.diff(edges)[:, None]
        most = np.maximum.reduceat(around, edges[:-1], axis=0)
        # About each axis on its own: much noise about one must not hide motion about another.
        fits = (mean <= _SLACK[0] * expected).all(-1) & (most.sum(-1) <= _SLACK[1] * expected.sum(-1))
        chosen[fits] = cutoff
    middles = np.interp((edges[:-1] + edges[1:]) / 2, np.arange(len(known)), known)
    return np.exp(np.interp(np.arange(len(values)), middles, np.log(chosen)))


def _gone(values: np.ndarray, cutoff: float, fps: float) -> np.ndarray:
    """(F, 3) squared radians about each axis of a joint that a cut-off takes out of its rotations (F, 4)."""
    smooth = turns.normalise(whittaker(values, cutoff, fps))
    return (2 * turns.multiply(turns.inverse(smooth), values)[..., 1:]) ** 2


def _removed(cutoff: float, fps: float) -> float:
    """The share of the power of noise that is correlated over a tenth of a second that a cut-off takes away."""
    frequencies = np.linspace(0, min(fps / 2, 15), 200)
    density = (1 + 2 * np.cos(2 * np.pi * frequencies / 30.0)) ** 2
    wave = 2 - 2 * np.cos(2 * np.pi * frequencies / fps)
    passed = 1 / (1 + _stiffness(cutoff, fps) * wave**2)
    return float((density * (1 - passed) ** 2).sum() / density.sum())


def add_curvature(bands: np.ndarray, stiffness: np.ndarray, channels: int) -> None:
    """Adds ``stiffness[f] |x[f] - 2 x[f+1] + x[f+2]|^2`` to the lower bands of a symmetric matrix, in place.

    Args:
        bands: (2 channels + 1 or more, F channels) as of ``solveh_banded(lower=True)``, channels of a frame together.
        stiffness: (F - 2,).
    """
    weight = np.repeat(stiffness, channels)
    count = len(weight)
    for start, factor in ((0, 1.0), (1, 4.0), (2, 1.0)):
        bands[0, start * channels : start * channels + count] += factor * weight
    bands[channels, :count] -= 2 * weight
    bands[channels, channels : channels + count] -= 2 * weight
    bands[2 * channels, :count] += weight


@dataclass(frozen=True)
class OneEuro:
    """A low-pass for live use whose cut-off rises with speed: calm when still, quick when moving.

    Attributes:
        minimum: hertz, cut-off at rest. beta: hertz per unit a second. derivative: hertz, cut-off of the speed.
    """

    minimum: float = 3.0
    beta: float = 0.7
    derivative: float = 1.0


POSE, CAMERA, SHAPE = OneEuro(3.0), OneEuro(1.6), OneEuro(0.6)


@dataclass(frozen=True)
class OneEuroState:
    """What the filter remembers: its last value and its last speed, both of the shape of the values."""

    value: np.ndarray
    speed: np.ndarray


def _gain(cutoff: np.ndarray | float, seconds: float) -> np.ndarray | float:
    turn = 2 * np.pi * cutoff * seconds
    return turn / (turn + 1)


def one_euro_step(
    settings: OneEuro, state: OneEuroState | None, value: np.ndarray, seconds: float
) -> tuple[np.ndarray, OneEuroState]:
    """The filtered value and the next state, ``seconds`` after the last value; None starts."""
    value = np.asarray(value, np.float64)
    if state is None:
        return value, OneEuroState(value, np.zeros_like(value))
    share = _gain(settings.derivative, seconds)
    speed = state.speed + share * ((value - state.value) / seconds - state.speed)
    share = _gain(settings.minimum + settings.beta * np.abs(speed), seconds)
    filtered = state.value + share * (value - state.value)
    return filtered, OneEuroState(filtered, speed)


def one_euro(values: np.ndarray, times: np.ndarray, settings: OneEuro = POSE) -> np.ndarray:
    """Values (F, ...) as a live filter gives them at ``times`` (F,) seconds."""
    result = np.empty(np.shape(values))
    state = None
    for frame, value in enumerate(values):
        seconds = float(times[frame] - times[frame - 1]) if frame else 0.0
        result[frame], state = one_euro_step(settings, state, value, max(seconds, 1e-6))
    return result


def one_euro_rotations(quaternions: np.ndarray, times: np.ndarray, settings: OneEuro = POSE) -> np.ndarray:
    """Rotations (F, ..., 4) as a live filter gives them: the step from the last result is what is filtered."""
    source = turns.normalise(np.asarray(quaternions, np.float64))
    result = np.empty_like(source)
    result[:1] = source[:1]
    speed = np.zeros((*source.shape[1:-1], 1))
    for frame in range(1, len(source)):
        seconds = max(float(times[frame] - times[frame - 1]), 1e-6)
        step = turns.to_rotation_vector(turns.multiply(turns.inverse(result[frame - 1]), source[frame]))
        size = np.linalg.norm(step, axis=-1, keepdims=True)
        speed = speed + _gain(settings.derivative, seconds) * (size / seconds - speed)
        share = _gain(settings.minimum + settings.beta * speed, seconds)
        result[frame] = turns.multiply(result[frame - 1], turns.from_rotation_vector(share * step))
    return turns.continuous(turns.normalise(result))


def jitter(quaternions: np.ndarray, fps: float) -> float:
    """Root mean square of the angular acceleration, radians a second squared, of rotations (F, ..., 4)."""
    if len(quaternions) < 3:
        return 0.0
    steps = turns.to_rotation_vector(turns.multiply(turns.inverse(quaternions[:-1]), quaternions[1:]))
    return float(np.sqrt((np.diff(steps, axis=0) ** 2).sum(-1).mean())) * fps**2
