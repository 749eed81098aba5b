# SPDX-License-Identifier: Apache-2.0
"""The plane on which everybody in a scene stands, from the places where feet stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hyoid.errors import InputError

TILT = float(np.radians(10.0))
"""The plane's normal is at most this far from the given up direction."""
_SLOPE = np.tan(np.radians(2.5))  # how far off the given up direction usually is: decides what points cannot
_STEPS = 15  # places that err on their own, of however many points: those of one step err alike
_MOST = 3000  # points that vote
_HINT = "Give the camera's height and pitch, or switch the ground off"
_SIZES = 0.07  # how far people's sizes usually lie apart, as a share


@dataclass(frozen=True)
class Plane:
    """``normal @ p = offset``.

    Attributes:
        normal: (3,) unit, upwards. offset: metres. inliers: (N,) bool. error: metres, root mean square of inliers.
    """

    normal: np.ndarray
    offset: float
    inliers: np.ndarray
    error: float

    def heights(self, points: np.ndarray) -> np.ndarray:
        """(...) metres above the plane of points (..., 3)."""
        return points @ self.normal - self.offset


def fit_plane(
    points: np.ndarray, up: np.ndarray | None = None, *, tolerance: float = 0.03, rounds: int = 300, seed: int = 0
) -> Plane:
    """The plane with most points on it and few below it; the same points always give the same plane.

    Directions that the points leave open (all in one place, all along one line) stay across ``up``.

    Args:
        points: (N, 3) metres. up: (3,) roughly upwards, None for +Y. tolerance: metres from the plane that count as on
            it. rounds: random triples tried. seed: of the random numbers.

    Raises:
        InputError: no points, or numbers that are not finite.
    """
    points = np.asarray(points, np.float64).reshape(-1, 3)
    if not len(points) or not np.isfinite(points).all():
        raise InputError(
            "no places where a foot stood" if not len(points) else "a place is not finite",
            expected="finite contact points", hint=_HINT,
        )  # fmt: skip
    axes = _axes(np.array([0.0, 1.0, 0.0]) if up is None else np.asarray(up, np.float64))
    flat = points @ axes  # columns: along the ground, up, along the ground
    middle = np.median(flat, axis=0)
    flat = flat - middle
    slopes = _best_triple(flat, tolerance, rounds, np.random.default_rng(seed))
    for _ in range(5):
        inliers = np.abs(flat[:, 1] - _height(flat, slopes)) <= tolerance
        if not inliers.any():
            break
        slopes = _refined(flat[inliers], tolerance)
    away = flat[:, 1] - _height(flat, slopes)
    inliers = np.abs(away) <= tolerance
    normal = np.array([-slopes[0], 1.0, -slopes[1]])
    size = float(np.linalg.norm(normal))
    offset = (slopes[2] + normal @ middle) / size
    error = float(np.sqrt(np.mean((away[inliers] / size) ** 2))) if inliers.any() else float(np.abs(away).min())
    return Plane(axes @ (normal / size), float(offset), inliers, error)


def fit_parallel(
    groups: Sequence[np.ndarray], up: np.ndarray, *, tolerance: float = 0.03
) -> tuple[np.ndarray, np.ndarray]:
    """Normal (3,) and offsets (n,) of the planes of n people, each in an own unit: parallel, heights nearly alike.

    The unit of somebody is the size of their body, which a picture does not tell: a child's ground seems far below the
    camera. Heights that differ by more than sizes usually do hardly draw at one another.

    Args:
        groups: for each, points (N, 3) from the camera, metres; of somebody without any the usual height is taken.
        up: (3,) roughly upwards. tolerance: metres from a plane that count in full.

    Raises:
        InputError: no points at all.
    """
    axes, count = _axes(np.asarray(up, np.float64)), len(groups)
    flat = np.concatenate([np.zeros((0, 3)), *groups]) @ axes
    if not len(flat):
        raise InputError("no places where a foot stood", expected="contact points", hint=_HINT)
    sizes = np.array([len(group) for group in groups])
    person = np.repeat(np.arange(count), sizes)
    basis = np.concatenate([flat[:, [0, 2]], np.eye(count + 1)[person]], 1)  # two slopes, heights, the usual height
    links = np.concatenate([np.zeros((count, 2)), np.eye(count), -np.ones((count, 1))], 1)
    own = np.array([np.median(flat[person == one, 1]) if sizes[one] else np.nan for one in range(count)])
    usual = float(np.nanmedian(own))
    found = np.r_[0.0, 0.0, np.where(np.isnan(own), usual, own), usual]
    share = np.minimum(1.0, _STEPS / np.maximum(sizes, 1))[person] / tolerance**2
    for _ in range(20):
        weight = share / np.maximum(1, np.abs(flat[:, 1] - basis @ found) / tolerance)
        spread = max(_SIZES * abs(found[-1]), tolerance)
        link = 1 / (spread**2 + (links @ found) ** 2)
        moments = (basis.T * weight) @ basis + (links.T * link) @ links
        moments[[0, 1], [0, 1]] += 1 / _SLOPE**2
        found = np.linalg.solve(moments, (basis.T * weight) @ flat[:, 1])
        found[:2] /= max(1.0, float(np.hypot(*found[:2])) / np.tan(TILT))
    normal = np.array([-found[0], 1.0, -found[1]])
    size = float(np.linalg.norm(normal))
    return axes @ (normal / size), found[2:-1] / size


def _axes(up: np.ndarray) -> np.ndarray:
    """(3, 3) columns: two along the ground, ``up`` in the middle."""
    up = up / np.linalg.norm(up)
    other = np.array([1.0, 0.0, 0.0]) if abs(up[0]) < 0.8 else np.array([0.0, 0.0, 1.0])
    across = np.cross(other, up)
    across /= np.linalg.norm(across)
    return np.stack([np.cross(up, across), up, across], -1)


def _height(flat: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    return flat[:, 0] * slopes[0] + flat[:, 2] * slopes[1] + slopes[2]


def _best_triple(flat: np.ndarray, tolerance: float, rounds: int, random: np.random.Generator) -> np.ndarray:
    """(3,) slopes and height of the plane through three points that most others support."""
    voters = flat[:: max(1, len(flat) // _MOST)]
    # Level planes at the heights of the points: right when the points lie on one line.
    level = np.quantile(flat[:, 1], np.linspace(0, 1, 25))
    candidates: list[np.ndarray] = [np.stack([np.zeros(25), np.zeros(25), level], -1)]
    if len(flat) >= 3:
        triples = flat[random.integers(0, len(flat), (rounds, 3))]
        systems = np.stack([triples[..., 0], triples[..., 2], np.ones(triples.shape[:2])], -1)
        solvable = np.abs(np.linalg.det(systems)) > 1e-3
        found = np.linalg.solve(systems[solvable], triples[solvable, :, 1, None])[..., 0]
        candidates.append(found[np.hypot(found[:, 0], found[:, 1]) <= np.tan(TILT)])
    slopes = np.concatenate(candidates)
    away = voters[:, 1] - (slopes[:, :1] * voters[:, 0] + slopes[:, 1:2] * voters[:, 2] + slopes[:, 2:])
    on = np.maximum(1 - (away / tolerance) ** 2, 0).sum(1)
    # Feet may be above the ground, never below it.
    return slopes[np.argmax(on - 0.5 * (away < -tolerance).sum(1))]


def _refined(flat: np.ndarray, tolerance: float) -> np.ndarray:
    """Least squares with a prior on the slopes, within :data:`TILT`."""
    basis = np.stack([flat[:, 0], flat[:, 2], np.ones(len(flat))], -1)
    weight = min(1.0, _STEPS / len(flat)) / tolerance**2
    moments = weight * basis.T @ basis
    moments[[0, 1], [0, 1]] += 1 / _SLOPE**2
    slopes = np.linalg.solve(moments, weight * basis.T @ flat[:, 1])
    steep = np.hypot(slopes[0], slopes[1]) / np.tan(TILT)
    if steep > 1:
        slopes[:2] /= steep
        slopes[2] = np.median(flat[:, 1] - basis[:, :2] @ slopes[:2])
    return slopes
