# SPDX-License-Identifier: Apache-2.0
"""Where a person is: the root path from pictures, depth smoothed along the ray, and a path that weighs all evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from hyoid import scratch
from hyoid.errors import InputError
from hyoid.motion.cameras import Camera
from hyoid.motion.smoothing import add_curvature, whittaker

ACCELERATIONS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Metres a second squared: how lively a body may be; each stretch of a clip gets the calmest that explains it."""
_STILL = 0.002
"""Metres a second that somebody drifts who stands still: calmer than all of the above."""
_SLOW = 0.15
"""Metres a second: who goes faster does not stand still, however uncertain the place is."""
_STIFFEST = 3e11  # 1 / m^2: above it float64 has no digits left for uncertain places
_HUBER = 2.0  # standard deviations up to which errors count in full
_ROUNDS = 3
_REFINED = 3
_HELD = (1e-15, 1e-14, 1e-13, 1e-12, 1e-10)  # shares of the largest pivot
_HOLD = 1e-6  # 1 / m^2: frames without any evidence are not free either
_NEAREST = 0.05  # metres
_EXPLAINED = np.array([[1.2], [1.5]])
"""Errors of places and of links, in standard deviations, up to which a path explains what was seen."""
_STILL_EXPLAINED = np.array([[1.6], [9.0]])
"""The same for standing still, which is likelier than any one way of moving slowly."""
_LOOSEST = np.array([[1.1], [1.5]])
"""Likewise, as a multiple of the errors of the liveliest path."""


@dataclass(frozen=True)
class RootPath:
    """A root path in camera space.

    Attributes:
        positions: (F, 3) metres, filled where there was nothing to see. seen: (F,) bool.
        error: (F,) root mean square reprojection error in pixels, NaN where nothing was seen.
        precision: (F, 3, 3) inverse covariance of each position for an error of one pixel; 0 where nothing was seen.
    """

    positions: np.ndarray
    seen: np.ndarray
    error: np.ndarray
    precision: np.ndarray


def root_path(
    camera: Camera, joints: np.ndarray, keypoints: np.ndarray, confidence: np.ndarray | None = None
) -> RootPath:
    """The translations that bring joints nearest to their keypoints in the picture, each frame on its own.

    Weighted least squares on the reprojection: a linear start, then Gauss-Newton with outliers held down.

    Args:
        joints: (F, n, 3) metres, camera axes, relative to the root. keypoints: (F, n, 2) pixels; NaN where missing.
        confidence: (F, n) 0..1, or None.

    Raises:
        InputError: shapes disagree, or fewer than two joints are seen in every frame.
    """
    joints, keypoints = np.asarray(joints, np.float64), np.asarray(keypoints, np.float64)
    if joints.ndim != 3 or joints.shape[2:] != (3,) or keypoints.shape != (*joints.shape[:2], 2):
        raise InputError(
            f"joints {joints.shape} and keypoints {keypoints.shape}", expected="(frames, n, 3) and (frames, n, 2)"
        )
    trust = np.ones(joints.shape[:2]) if confidence is None else np.asarray(confidence, np.float64)
    frames = len(joints)
    place, seen, pixels = np.zeros((frames, 3)), np.zeros(frames, bool), np.full(frames, np.nan)
    precision = scratch.empty((frames, 3, 3))
    for rows in scratch.pieces(frames):
        found = _places(camera, joints[rows], keypoints[rows], trust[rows])
        place[rows], seen[rows], pixels[rows], precision[rows] = found
        scratch.give_back(joints, keypoints, trust, precision)
    if np.isnan(pixels).all():
        raise InputError("no frame shows two joints", expected="keypoints with a confidence above 0")
    return RootPath(filled(place, seen), seen, np.where(seen, pixels, np.nan), precision)


def _places(
    camera: Camera, joints: np.ndarray, keypoints: np.ndarray, trust: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Places, whether they are known, errors (NaN in frames that show fewer than two joints) and precision."""
    there = np.isfinite(keypoints).all(-1) & np.isfinite(joints).all(-1) & (trust > 0)
    trust = np.where(there, trust, 0.0)
    joints, keypoints = np.where(there[..., None], joints, 0.0), np.where(there[..., None], keypoints, 0.0)
    shown = there.sum(1) >= 2
    slopes = (keypoints - np.asarray(camera.centre)) / camera.focal
    place = _linear_start(joints, slopes, trust)
    seen = shown & (place[:, None, 2] + joints[..., 2] > _NEAREST).all(1)
    place[~seen] = [0.0, 0.0, 1e3]
    moments, errors = np.zeros((len(joints), 3, 3)), np.zeros_like(slopes)
    for last in (False,) * 5 + (True,):
        errors, jacobian = _reprojection(place, joints, slopes)
        size = np.linalg.norm(errors, axis=-1)
        scale = 1.4826 * _median(size, there)
        robust = trust / np.maximum(1, size / np.maximum(_HUBER * scale, 1e-9)[:, None])
        moments = np.einsum("fn,fnki,fnkj->fij", robust, jacobian, jacobian)
        if not last:
            force = np.einsum("fn,fnki,fnk->fi", robust, jacobian, errors)
            place = place + np.linalg.solve(moments + 1e-12 * np.eye(3), force[..., None])[..., 0]
            place[:, 2] = np.maximum(place[:, 2], _NEAREST)
    share = np.maximum(trust.sum(1), 1e-12)
    pixels = camera.focal * np.sqrt((trust * (errors**2).sum(-1)).sum(1) / share)
    moments[~seen] = 0
    return place, seen, np.where(shown, pixels, np.nan), moments * camera.focal**2


def _linear_start(joints: np.ndarray, slopes: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """(F, 3) from x + t_x = s_x (z + t_z) and the same for y: linear in the translation."""
    rows = np.zeros((*slopes.shape, 3))
    rows[..., 0, 0] = rows[..., 1, 1] = 1.0
    rows[..., 2] = -slopes
    wanted = slopes * joints[..., 2:] - joints[..., :2]
    moments = np.einsum("fn,fnki,fnkj->fij", trust, rows, rows)
    force = np.einsum("fn,fnki,fnk->fi", trust, rows, wanted)
    return np.linalg.solve(moments + 1e-9 * np.eye(3), force[..., None])[..., 0]


def _reprojection(place: np.ndarray, joints: np.ndarray, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors (F, n, 2) in units of the focal length, and how projections change with the place (F, n, 2, 3)."""
    points = joints + place[:, None]
    depth = np.maximum(points[..., 2:], _NEAREST)
    shown = points[..., :2] / depth
    jacobian = np.zeros((*shown.shape, 3))
    jacobian[..., 0, 0] = jacobian[..., 1, 1] = 1 / depth[..., 0]
    jacobian[..., 2] = -shown / depth
    return slopes - shown, jacobian


def _median(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(F,) median of values (F, n) that are there; 0 in frames without any."""
    count = there.sum(1)
    ordered = np.sort(np.where(there, values, np.inf), axis=1)
    middle = np.take_along_axis(ordered, np.maximum(count - 1, 0)[:, None] // 2, 1)[:, 0]
    return np.where(count > 0, middle, 0.0)


def filled(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Values (F, ...) with frames that were not seen on straight lines between those that were."""
    places = np.flatnonzero(seen)
    flat = np.asarray(values, np.float64).reshape(len(values), -1)
    columns = [np.interp(np.arange(len(values)), places, flat[places, k]) for k in range(flat.shape[1])]
    return np.stack(columns, -1).reshape(np.shape(values)) if columns else np.array(values)


def smooth_depth(
    positions: np.ndarray, fps: float, *, cutoff: float = 1.0, weights: np.ndarray | None = None
) -> np.ndarray:
    """A path (F, 3) in camera space with its logarithm of depth smoothed; every place stays on its ray.

    Args:
        cutoff: hertz. weights: (F,) trust, or None.

    Raises:
        InputError: a place is not in front of the camera; the first frame is named.
    """
    positions = np.asarray(positions, np.float64)
    behind = np.flatnonzero(~(positions[:, 2] > 0))
    if len(behind):
        raise InputError(f"frame {behind[0]} lies behind the camera", expected="depths above 0")
    depth = np.log(np.ascontiguousarray(positions[:, 2]))
    smooth = whittaker(depth, cutoff, fps, weights)
    # Single wild depths would drag the curve: those far off it count less in a second round.
    away = np.abs(depth - smooth)
    limit = _HUBER * 1.4826 * max(float(np.median(away)), 1e-9)
    trust = (1.0 if weights is None else np.asarray(weights)) / np.maximum(1, away / limit)
    return positions * np.exp(whittaker(depth, cutoff, fps, trust) - depth)[:, None]


def precision_along_rays(positions: np.ndarray, focal: float, pixels: float, depth: float) -> np.ndarray:
    """(F, 3, 3) inverse covariance of places (F, 3) in camera space.

    Args:
        pixels: standard deviation in the picture. depth: standard deviation of the depth, as a share of it.
    """
    distance = positions[:, 2:]
    ray = positions / np.linalg.norm(positions, axis=-1, keepdims=True)
    along = ray[:, :, None] * ray[:, None]
    across = 1 / np.maximum(pixels * distance[:, :, None] / focal, 1e-6) ** 2
    return along / np.maximum(depth * distance[:, :, None], 1e-6) ** 2 + (np.eye(3) - along) * across


def noise_along_rays(positions: np.ndarray, focal: float) -> tuple[float, float]:
    """Standard deviations of what trembles from frame to frame: pixels in the picture, and depth as a share of it."""
    if len(positions) < 8:
        return 1.0, 0.02
    # Of a copy: the logarithm of a view with gaps depends on where it lies in memory, in the last bit.
    depth = np.log(np.ascontiguousarray(positions[:, 2:]))
    values = np.concatenate([focal * positions[:, :2] / positions[:, 2:], depth], 1)
    # Third differences remove what a body does; white noise comes out sqrt(20) times as large.
    third = np.abs(np.diff(values, 3, axis=0))
    spread = 1.4826 * np.median(third, axis=0) / np.sqrt(20)
    return max(float(spread[:2].mean()), 0.05), max(float(spread[2]), 0.001)


@dataclass(frozen=True)
class Evidence:
    """What is known about a path of F frames, in any fixed axes; see :func:`fit_path`.

    Attributes:
        positions: (F, 3) metres as seen. precision: (F, 3, 3) inverse covariance, 0 where not seen.
        steps: (F - 1, k, 3) metres that each of k links says the path goes to the next frame.
        step_precision: (F - 1, k) 1 / m^2, 0 where a link says nothing.
        heights: (F, k) metres of y that each link says. height_precision: (F, k) 1 / m^2.
        falling: (F - 2,) 1 / m^2 on second differences against those of a fall, 0 where nobody flies; None is nobody.
        fall: metres a frame and frame, upwards, so below 0.
    """

    positions: np.ndarray
    precision: np.ndarray
    steps: np.ndarray
    step_precision: np.ndarray
    heights: np.ndarray
    height_precision: np.ndarray
    falling: np.ndarray | None = None
    fall: float = 0.0


def seen_only(positions: np.ndarray, precision: np.ndarray) -> Evidence:
    """Evidence without links."""
    frames = len(positions)
    none = np.zeros((frames, 0))
    return Evidence(positions, precision, np.zeros((max(frames - 1, 0), 0, 3)), none[1:], none, none)


def fit_path(evidence: Evidence, fps: float, accelerations: tuple[float, ...] = ACCELERATIONS) -> np.ndarray:
    """The calmest path (F, 3) that explains the evidence; single wild places and steps are held down.

    For each of ``accelerations`` (metres a second squared, rising) a path is solved; each stretch of about a second
    then gets the smallest one that leaves no more error than the noise.
    """
    frames = len(evidence.positions)
    if frames < 4:
        return np.array(evidence.positions, np.float64)
    window = min(2 * round(0.5 * fps) + 1, frames)
    stiffness = np.minimum((fps**2 / np.array([accelerations[0], *accelerations])) ** 2, _STIFFEST)
    drag = np.zeros(len(stiffness))
    drag[0] = (fps / _STILL) ** 2
    full = np.ones(frames)
    errors = np.stack([
        _local_errors(evidence, solve_path(evidence, one * full[2:], slow * full[1:]), window)
        for one, slow in zip(stiffness, drag, strict=True)
    ])  # fmt: skip
    limits = np.where(drag[:, None, None] > 0, _STILL_EXPLAINED, _EXPLAINED)
    explained = np.all(errors <= np.maximum(limits, _LOOSEST * errors[-1]), axis=1)
    # The calmest of which all livelier ones explain it too.
    chosen = np.minimum(len(stiffness) - np.cumprod(explained[:0:-1], axis=0).sum(0), len(stiffness) - 1)
    smooth = uniform_filter1d(np.log(stiffness)[chosen], window, mode="nearest")
    path = solve_path(evidence, np.exp(smooth)[1:-1])
    # Whoever walks along the ray is for a moment where somebody still would be: that alone is not standing still.
    speed = np.linalg.norm(uniform_filter1d(np.gradient(path, axis=0), window, axis=0, mode="nearest"), axis=-1) * fps
    stands = explained[0] & (speed < _SLOW)
    if not stands.any():
        return path
    smooth = uniform_filter1d(np.log(stiffness)[np.where(stands, 0, chosen)], window, mode="nearest")
    still = minimum_filter1d(np.where(stands, drag[0], 0.0), window, mode="nearest")
    return solve_path(evidence, np.exp(smooth)[1:-1], np.minimum(still[1:], still[:-1]))


def _local_errors(evidence: Evidence, path: np.ndarray, window: int) -> np.ndarray:
    """(2, F) how far a path is from the places, and links from closing, around each frame, in standard deviations."""
    # In three directions of which each has its own noise: a sway must not hide behind an uncertain depth.
    root = np.linalg.cholesky(evidence.precision + 1e-9 * np.eye(3))
    error = np.clip(np.einsum("fji,fj->fi", root, path - evidence.positions) ** 2, 0, 9)
    seen = evidence.precision.any((1, 2)).astype(float)
    # Running sums may round to a little less than nothing.
    mean = np.maximum(uniform_filter1d(error * seen[:, None], window, axis=0, mode="reflect").max(1), 0)
    places = np.sqrt(mean / np.maximum(uniform_filter1d(seen, window, mode="reflect"), 1e-3))
    # A foot that trembles in one place comes back: over many steps only a true slip adds up.
    slip = (np.diff(path, axis=0)[:, None] - evidence.steps) * np.sqrt(evidence.step_precision)[..., None]
    slip = np.pad(slip, ((0, 1), (0, 0), (0, 0)))
    total = uniform_filter1d(slip, window, axis=0, mode="constant") * window
    links = np.sqrt((total**2).sum(-1).max(1, initial=0) / 6)
    return np.stack([places, links])


def solve_path(evidence: Evidence, stiffness: np.ndarray, drag: np.ndarray | None = None) -> np.ndarray:
    """The path (F, 3) that is least far from all evidence and bends least, by banded least squares.

    Args:
        stiffness: (F - 2,) 1 / m^2 on second differences. drag: (F - 1,) 1 / m^2 on first ones, or None.
    """
    frames = len(evidence.positions)
    data, links = np.ones(frames), np.ones(evidence.step_precision.shape)
    drag = np.zeros(frames - 1) if drag is None else drag
    if evidence.falling is not None:  # whoever flies does not move as calmly as possible, but falls
        stiffness = np.where(evidence.falling > 0, 0.0, stiffness)
    path = np.array(evidence.positions, np.float64)
    for _ in range(_ROUNDS):
        weight, pull = evidence.precision * data[:, None, None], evidence.step_precision * links
        factor = _factor(_bands(evidence, weight, pull, stiffness, drag))
        for _ in range(_REFINED):
            # What is solved for is what is missing: stiff paths lose digits in the sums of the bands, not here.
            force = _force(evidence, weight, pull, stiffness, drag, path).ravel()
            path = path + cho_solve_banded((factor, True), force, check_finite=False).reshape(frames, 3)
        away = path - evidence.positions
        error = np.sqrt(np.maximum(np.einsum("fi,fij,fj->f", away, evidence.precision, away) / 3, 0))
        data = 1 / np.maximum(1, error / _HUBER)
        slip = np.linalg.norm(np.diff(path, axis=0)[:, None] - evidence.steps, axis=-1)
        links = 1 / np.maximum(1, slip * np.sqrt(evidence.step_precision) / _HUBER)
    return path


def _factor(bands: np.ndarray) -> np.ndarray:
    """The Cholesky factor of lower bands (7, n).

    Where nobody was seen for long only stiffness speaks, and rounding may leave a pivot below zero: then everything is
    held a little, in the last digits of the largest sums; solving for what is missing takes that back.
    """
    for share in (0.0, *_HELD):
        held = bands
        if share:
            held = bands.copy()
            held[0] += share * bands[0].max()
        try:
            return cholesky_banded(held, lower=True, check_finite=False)
        except LinAlgError:
            continue
    raise AssertionError("a sum of squares is positive")


def _bands(
    evidence: Evidence, weight: np.ndarray, pull: np.ndarray, stiffness: np.ndarray, drag: np.ndarray
) -> np.ndarray:
    """(7, 3 F) lower bands of the normal equations."""
    frames = len(weight)
    bands = np.zeros((7, 3 * frames))
    diagonal = bands.reshape(7, frames, 3)
    for column in range(3):
        for row in range(column, 3):
            diagonal[row - column, :, column] += weight[:, row, column]
    diagonal[0] += _HOLD
    diagonal[0, :, 1] += evidence.height_precision.sum(1)
    total = (pull.sum(1) + drag)[:, None]
    diagonal[0, :-1] += total
    diagonal[0, 1:] += total
    diagonal[3, :-1] -= total
    add_curvature(bands, stiffness if evidence.falling is None else stiffness + evidence.falling, 3)
    return bands


def _force(
    evidence: Evidence,
    weight: np.ndarray,
    pull: np.ndarray,
    stiffness: np.ndarray,
    drag: np.ndarray,
    path: np.ndarray,
) -> np.ndarray:
    """(F, 3) what pulls at a path: half the negative slope of all squares; differences first, so that it is exact."""
    away = evidence.positions - path
    force = np.einsum("fij,fj->fi", weight, away) + _HOLD * away
    force[:, 1] += (evidence.height_precision * (evidence.heights - path[:, 1:2])).sum(1)
    step = np.diff(path, axis=0)
    link = np.einsum("fk,fki->fi", pull, step[:, None] - evidence.steps) + drag[:, None] * step
    force[:-1] += link
    force[1:] -= link
    bend = stiffness[:, None] * np.diff(step, axis=0)
    if evidence.falling is not None:
        bend += evidence.falling[:, None] * (np.diff(step, axis=0) - [0.0, evidence.fall, 0.0])
    force[:-2] -= bend
    force[1:-1] += 2 * bend
    force[2:] -= bend
    return force
