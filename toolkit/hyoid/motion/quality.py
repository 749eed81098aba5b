# SPDX-License-Identifier: Apache-2.0
"""Figures that tell how clean a performance is, for the file beside it and for tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from hyoid.motion import cameras
from hyoid.motion.cameras import Camera

OVERLAP = 3
"""Frames before a piece of a clip without which its figures are not those of the whole."""


@dataclass(frozen=True)
class Quality:
    """Figures of one person's clip; NaN where there is nothing to measure.

    Attributes:
        skate: mm a frame that standing points slide along the ground. skate_worst: the same, the worst 1 %.
        penetration: mm, deepest point below the ground. penetrating: share of frames with a point below 1 mm.
        wrist_jerk: m/s^3, root mean square. reprojection: error as a share of body height in the picture.
        filled: share of frames in which nothing was seen. bone_variance: m^2, largest over the bones.
        switches: how often the person's track took over another one's detections.
    """

    skate: float
    skate_worst: float
    penetration: float
    penetrating: float
    wrist_jerk: float
    reprojection: float
    filled: float
    bone_variance: float
    switches: int = 0

    def table(self) -> dict[str, float | int | None]:
        """For JSON: numbers, None where there is nothing to measure."""
        return {name: None if np.isnan(value) else value for name, value in asdict(self).items()}


def skate(points: np.ndarray, standing: np.ndarray) -> np.ndarray:
    """(n,) mm that each standing point slides along the ground to the next frame in which it stands.

    Args:
        points: (F, ..., 3) metres, +Y up. standing: (F, ...) bool.
    """
    both = standing[:-1] & standing[1:]
    steps = np.diff(points, axis=0)[both]
    return 1000 * np.hypot(steps[:, 0], steps[:, 2])


def penetration(points: np.ndarray) -> np.ndarray:
    """(F,) mm by which the deepest of points (F, ..., 3) lies below y = 0."""
    return 1000 * np.maximum(-points[..., 1].reshape(len(points), -1).min(1), 0)


def jerk(points: np.ndarray, fps: float) -> float:
    """Root mean square of the third derivative, m/s^3, of points (F, ..., 3); NaN for fewer than 4 frames."""
    if len(points) < 4:
        return float("nan")
    return float(np.sqrt(_squared_jerks(points).mean())) * fps**3


def _squared_jerks(points: np.ndarray) -> np.ndarray:
    """(F - 3, ...) of points (F, ..., 3), in frames instead of seconds."""
    return (np.diff(points, 3, axis=0) ** 2).sum(-1)


def reprojection(
    camera: Camera, joints: np.ndarray, keypoints: np.ndarray, body_height: float, confidence: np.ndarray | None = None
) -> float:
    """Weighted root mean square distance in the picture as a share of body height there; NaN when nothing is seen.

    Args:
        joints: (F, n, 3) metres, world. keypoints: (F, n, 2) pixels, NaN where missing. confidence: (F, n), or None.
    """
    seen = cameras.to_camera(camera, joints)
    away = np.linalg.norm(cameras.project(camera, seen) - keypoints, axis=-1)
    size = camera.focal * body_height / seen[..., 2]
    trust = np.ones(away.shape) if confidence is None else np.asarray(confidence, np.float64)
    there = np.isfinite(away) & (trust > 0)
    if not there.any():
        return float("nan")
    return float(np.sqrt(np.average((away[there] / size[there]) ** 2, weights=trust[there])))


def measure(
    parts: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    fps: float,
    *,
    bone_variance: float = 0.0,
    seen: np.ndarray | None = None,
    reprojected: float = float("nan"),
    switches: int = 0,
) -> Quality:
    """All figures of a clip.

    Args:
        parts: the clip in pieces, or whole: soles (n, ..., 3) metres, world, points of the feet; which of them stand
            (n, ...) bool; and wrists (n, 2, 3) metres, world. Each but the first begins with the last :data:`OVERLAP`
            frames of the one before.
        bone_variance: of :func:`hyoid.motion.bones.variance`.
        seen: (F,) bool, or None. reprojected: of :func:`reprojection`.
    """
    slides, depths, jerks = [], [], []
    for number, (soles, standing, wrists) in enumerate(parts):
        known = OVERLAP if number else 0
        slides.append(skate(soles[max(known - 1, 0) :], standing[max(known - 1, 0) :]))
        depths.append(penetration(soles[known:]))
        jerks.append(_squared_jerks(wrists) if len(wrists) > 3 else np.zeros((0, 2)))
    sliding, depth, squares = (np.concatenate(kind) for kind in (slides, depths, jerks))
    return Quality(
        skate=float(sliding.mean()) if len(sliding) else float("nan"),
        skate_worst=float(np.quantile(sliding, 0.99)) if len(sliding) else float("nan"),
        penetration=float(depth.max(initial=0)),
        penetrating=float((depth > 1).mean()) if len(depth) else 0.0,
        wrist_jerk=float(np.sqrt(squares.mean())) * fps**3 if len(squares) else float("nan"),
        reprojection=reprojected,
        filled=0.0 if seen is None else float(1 - np.mean(seen)),
        bone_variance=bone_variance,
        switches=switches,
    )
