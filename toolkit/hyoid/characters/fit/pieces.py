# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""What the separate pieces of a head mesh are: skin, eyeballs, teeth, tongue, lashes, hair, clothes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

KINDS = ("skin", "eye_left", "eye_right", "teeth_upper", "teeth_lower", "mouth", "lashes", "hair", "other")
_WORDS: dict[str, tuple[str, ...]] = {
    "hair": ("hair", "scalp", "beard", "ponytail", "wig"),
    "lashes": ("lash", "eyebrow", "brow"),
    "other": ("cloth", "shirt", "collar", "jacket", "glasses", "hat"),
}
_ROUND = 0.45  # of an eye's radius: how far the distances of its points from the centre may spread


@dataclass(frozen=True)
class Anatomy:
    """Where the inner parts of the head lie, in the space of the mesh.

    Attributes:
        eyes: side (``L``, ``R``) -> centre (3,) metres. radius: metres. upper, lower, tongue: (n, 3) points of teeth
            and tongue, possibly empty. chin: height of the chin. skin: (m, 3) points of the skin.
    """

    eyes: Mapping[str, np.ndarray]
    radius: float
    upper: np.ndarray
    lower: np.ndarray
    tongue: np.ndarray
    chin: float
    skin: np.ndarray


def kind_of(points: np.ndarray, names: str, anatomy: Anatomy) -> str:
    """The kind of one piece, an entry of :data:`KINDS` other than ``skin``.

    Args:
        points: (n, 3) metres. names: the words of its groups in the file, lower case; they only break ties.
    """
    for side, kind in (("L", "eye_left"), ("R", "eye_right")):
        if side in anatomy.eyes and _is_eye(points, anatomy.eyes[side], anatomy.radius):
            return kind
    if len(anatomy.upper) and (mouth := _in_mouth(points, anatomy)):
        return mouth
    size = float(np.ptp(points, axis=0).max())
    for kind, words in _WORDS.items():
        if any(word in names for word in words):
            return kind
    distance = float(np.median(cKDTree(anatomy.skin).query(points)[0]))
    if any(_near_eye(points, centre, anatomy.radius) for centre in anatomy.eyes.values()):
        return "lashes"
    if distance < 0.010 and size < 0.09:
        return "lashes"
    if points[:, 1].mean() > anatomy.chin:
        return "hair"
    return "other"


def _is_eye(points: np.ndarray, centre: np.ndarray, radius: float) -> bool:
    """A ball around the centre of an eye, or a round cap of one (iris, cornea)."""
    away = points - centre
    distances = np.linalg.norm(away, axis=1)
    if np.median(distances) > 1.5 * radius or distances.max() > 2.2 * radius:
        return False
    size = np.ptp(points, axis=0)
    middle = (points.min(0) + points.max(0)) / 2
    if np.linalg.norm((middle - centre)[:2]) > 0.6 * radius:
        return False
    is_round = abs(size[0] - size[1]) < _ROUND * max(size[0], size[1])
    return bool(is_round and size.max() > 0.25 * radius)


def _near_eye(points: np.ndarray, centre: np.ndarray, radius: float) -> bool:
    return bool(np.linalg.norm(points - centre, axis=1).max() < 3.0 * radius)


def _in_mouth(points: np.ndarray, anatomy: Anatomy) -> str:
    """``teeth_upper``, ``teeth_lower``, ``mouth`` (gums and tongue in one) or nothing."""
    clouds = {"upper": anatomy.upper, "lower": anatomy.lower, "tongue": anatomy.tongue}
    distances = {name: cKDTree(cloud).query(points)[0] for name, cloud in clouds.items() if len(cloud)}
    nearest = np.min(list(distances.values()), axis=0)
    box = np.concatenate([cloud for cloud in clouds.values() if len(cloud)])
    inside = ((points > box.min(0) - 0.012) & (points < box.max(0) + 0.010)).all(1)
    if np.median(nearest) > 0.010 or inside.mean() < 0.6:
        return ""
    share = lower_share(points, anatomy)
    size = np.ptp(points, axis=0)
    if size[1] < 0.030 and share.mean() < 0.3 and np.median(distances["upper"]) < 0.008:
        return "teeth_upper"
    own = distances["lower"] if len(anatomy.lower) else nearest
    if size[1] < 0.030 and share.mean() > 0.7 and np.median(own) < 0.008 and not _is_tongue(distances):
        return "teeth_lower"
    return "mouth"


def _is_tongue(distances: Mapping[str, np.ndarray]) -> bool:
    if "tongue" not in distances or "lower" not in distances:
        return False
    return bool(np.median(distances["tongue"]) < 0.7 * np.median(distances["lower"]))


def lower_share(points: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """How much each point of the mouth (n, 3) goes with the lower jaw, 0..1, by which teeth are nearer."""
    upper = cKDTree(anatomy.upper).query(points)[0]
    low = np.concatenate([anatomy.lower, anatomy.tongue]) if len(anatomy.tongue) else anatomy.lower
    if not len(low):
        return np.zeros(len(points))
    lower = cKDTree(low).query(points)[0]
    return np.clip(0.5 + (upper - lower) / 0.006, 0, 1)


def eyeball(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius of the sphere that fits points (n, 3) best, ten per cent of strays left out."""
    rows = np.arange(len(points))
    centre, radius = points.mean(0), 0.0
    for _ in range(4):
        chosen = points[rows]
        matrix = np.concatenate([2 * chosen, np.ones((len(chosen), 1))], 1)
        solution = np.linalg.lstsq(matrix, (chosen**2).sum(1), rcond=None)[0]
        centre = solution[:3]
        radius = float(np.sqrt(max(solution[3] + centre @ centre, 1e-12)))
        error = np.abs(np.linalg.norm(points - centre, axis=1) - radius)
        rows = np.flatnonzero(error <= np.quantile(error, 0.9))
    return centre, radius
