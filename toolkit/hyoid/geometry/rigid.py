# SPDX-License-Identifier: Apache-2.0
"""Rigid motions, one a frame: ``rotation @ p + translation``. Lengths are in whatever unit the points have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rigid:
    """A rigid motion for each of F frames.

    Attributes:
        rotations: (F, 3, 3) float64, determinant 1. translations: (F, 3) float64.
    """

    rotations: np.ndarray
    translations: np.ndarray

    def __len__(self) -> int:
        return len(self.rotations)

    def __getitem__(self, frames: slice | np.ndarray) -> Rigid:
        """The motions of some frames."""
        return Rigid(self.rotations[frames], self.translations[frames])

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points (F, n, 3), or (n, 3) for all frames, moved: (F, n, 3)."""
        return points @ self.rotations.transpose(0, 2, 1) + self.translations[:, None]

    def inverse(self) -> Rigid:
        """The way back."""
        back = self.rotations.transpose(0, 2, 1)
        return Rigid(back, -(back @ self.translations[..., None])[..., 0])

    def after(self, first: Rigid) -> Rigid:
        """This one after ``first``, frame by frame; where one of them has a single frame, it stands for all."""
        turned = (self.rotations @ first.translations[..., None])[..., 0]
        return Rigid(self.rotations @ first.rotations, turned + self.translations)

    def degrees(self) -> np.ndarray:
        """(F,) how far each frame turns."""
        # The skew part tells small angles that the arc cosine of the trace would lose.
        skew = self.rotations - self.rotations.transpose(0, 2, 1)
        sine = np.sqrt(skew[:, 2, 1] ** 2 + skew[:, 0, 2] ** 2 + skew[:, 1, 0] ** 2) / 2
        cosine = (np.trace(self.rotations, axis1=1, axis2=2) - 1) / 2
        return np.degrees(np.arctan2(sine, cosine))


def identity(frames: int = 1) -> Rigid:
    """No motion."""
    return Rigid(np.broadcast_to(np.eye(3), (frames, 3, 3)).copy(), np.zeros((frames, 3)))


def concatenate(motions: list[Rigid]) -> Rigid:
    """Stretches of frames one after the other."""
    return Rigid(
        np.concatenate([motion.rotations for motion in motions]),
        np.concatenate([motion.translations for motion in motions]),
    )


def align(source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None) -> Rigid:
    """The rigid motions that take source points nearest to target points in weighted least squares; no mirroring.

    Kabsch's solution in float64, all frames at once.

    Args:
        source: (F, n, 3). target: (F, n, 3), or (n, 3) for all frames. weights: (F, n) or (n,), or None for equal ones.
    """
    source = np.asarray(source, np.float64)
    target = np.broadcast_to(np.asarray(target, np.float64), source.shape)
    weights = np.broadcast_to(1.0 if weights is None else np.asarray(weights, np.float64), source.shape[:2])
    share = (weights / np.maximum(weights.sum(1, keepdims=True), 1e-300))[:, None]
    centre_source, centre_target = (share @ source)[:, 0], (share @ target)[:, 0]
    away = (source - centre_source[:, None]) * share.transpose(0, 2, 1)
    return Rigid(*nearest(away.transpose(0, 2, 1) @ (target - centre_target[:, None]), centre_source, centre_target))


def nearest(moment: np.ndarray, centre_source: np.ndarray, centre_target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (F, 3, 3) and translations (F, 3) of weighted moments, the last step of :func:`align`.

    Args:
        moment: (F, 3, 3) mean of source times target about their centres, rows the source's coordinates.
        centre_source, centre_target: (F, 3).
    """
    left, _, right = np.linalg.svd(moment)
    signs = np.ones(moment.shape[:2])
    signs[:, 2] = np.where(np.linalg.det(left @ right) < 0, -1.0, 1.0)
    rotations = right.transpose(0, 2, 1) @ (signs[..., None] * left.transpose(0, 2, 1))
    return rotations, centre_target - (rotations @ centre_source[..., None])[..., 0]


def orthonormal(rotations: np.ndarray) -> np.ndarray:
    """The rotation matrices (F, 3, 3) nearest to matrices that nearly are."""
    left, _, right = np.linalg.svd(rotations)
    return left @ right


def smooth(motion: Rigid, seconds: float, fps: float, centre: np.ndarray) -> Rigid:
    """The motions with their jitter taken out: a local quadratic fit (Savitzky-Golay) over a window of ``seconds``.

    Quaternions are fitted with continuous signs and made unit again, translations as the path of ``centre``. Nods and
    turns slower than the window keep their height and their time; the window is centred, so nothing lags.

    Args:
        seconds: length of the window; one that spans fewer than 5 frames changes nothing.
        centre: (3,) a point of the source in the middle of the head: its path is what is smoothed.
    """
    from scipy.signal import savgol_filter

    from hyoid.geometry import rotations as turns

    window = min(2 * round(0.5 * seconds * fps) + 1, len(motion) - 1 + len(motion) % 2)
    if window < 5:
        return motion
    quaternions = turns.continuous(turns.from_matrix(motion.rotations))
    rotations = turns.to_matrix(turns.normalise(np.asarray(savgol_filter(quaternions, window, 2, axis=0))))
    path = np.asarray(savgol_filter(motion.apply(centre[None])[:, 0], window, 2, axis=0))
    return Rigid(rotations, path - rotations @ centre)
