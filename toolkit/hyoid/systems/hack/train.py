# SPDX-License-Identifier: Apache-2.0
# pyright: reportArgumentType=false
"""Pose correctives in HACK's form, fitted: sampled poses, a target that keeps volume, ridge regression, compression.

HACK adds ``sum_j,a,b (R_j - I)[a, b] * P[j, a, b]`` to the rest skin before linear blend skinning. Here P is found so
that the skinned result comes near a target which has two properties that blending lacks: every patch of skin keeps the
shape that it has at rest, turned by the rotation that the joints give it, and the neck keeps its volume. The joint at
the base of the neck drives nothing, as in HACK.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from hyoid.geometry import rotations
from hyoid.geometry.skinning import skin_transforms, world_transforms
from hyoid.geometry.volume import boundary_loops, closed_volume, turned_over, volume_gradient

JOINTS = 8
_DRIVING = range(1, JOINTS)
_BLOCK = 64  # poses at a time
_HOLD = 1.0  # how strongly skin that is partly trunk or head stays where blending puts it
_FREE = 1e-3  # the same for skin of the neck
_BULGE = 1.0  # how much more volume is made up where the skin is pressed together than where it is stretched
_ROUNDS = 4
_UNFOLDS = 14
_STEEP = 0.9  # the cosine between a triangle and its turned self from which on it is unfolded
_ANY_DIRECTION = np.sqrt(np.arange(2.0, 11.0))


@dataclass(frozen=True)
class NeckSkin:
    """The skin of a neck and its surroundings.

    Attributes:
        rest: (N, 3) float64, metres. triangles: (n, 3) int.
        weights: (N, 9): trunk and the eight joints, rows sum to 1; what hangs on the skull counts as the top joint.
        heads: (8, 3) metres, where the joints turn.
    """

    rest: np.ndarray
    triangles: np.ndarray
    weights: np.ndarray
    heads: np.ndarray

    @property
    def neck(self) -> np.ndarray:
        """Triangles (n, 3) of the neck itself: the seven lower joints hold more than half of every corner."""
        own = self.weights[:, 1:8].sum(1)
        return self.triangles[(own[self.triangles] > 0.5).all(1)]


def blended(skin: NeckSkin, joints: np.ndarray) -> np.ndarray:
    """The blended transforms (poses, N, 3, 4) of poses (poses, 8, 4)."""
    parents = np.arange(-1, JOINTS)
    heads = np.concatenate([skin.heads[:1], skin.heads])
    turns = np.concatenate([rotations.identity(len(joints), 1).astype(np.float64), joints], 1)
    moved = skin_transforms(world_transforms(parents, heads, turns), heads)
    return np.einsum("vj,pjab->pvab", skin.weights, moved)


def apply(transforms: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (N, 3) or (poses, N, 3) moved by transforms (poses, N, 3, 4)."""
    return (transforms[..., :3] @ points[..., None])[..., 0] + transforms[..., 3]


class Target:
    """Shapes of the neck that keep their detail and their volume."""

    def __init__(self, skin: NeckSkin) -> None:
        self.skin = skin
        edges = np.concatenate([skin.triangles[:, [0, 1]], skin.triangles[:, [1, 2]], skin.triangles[:, [2, 0]]])
        edges = np.unique(np.sort(edges, 1), axis=0)
        pull = 1 / np.linalg.norm(skin.rest[edges[:, 0]] - skin.rest[edges[:, 1]], axis=1)
        count = len(skin.rest)
        near = sparse.coo_matrix((pull, edges.T), shape=(count, count)).tocsr()
        near = near + near.T
        total = np.asarray(near.sum(1)).ravel()
        self._laplacian = (sparse.identity(count) - sparse.diags(1 / total) @ near).tocsr()
        rigid = np.maximum(skin.weights[:, 0], skin.weights[:, 8])
        # The triangles around each vertex, one vertex after the other.
        corners = np.argsort(skin.triangles.ravel(), kind="stable")
        self._around = corners // 3
        self._first = np.searchsorted(skin.triangles.ravel()[corners], np.arange(count))
        self._hold = _FREE + _HOLD * rigid**2 + 1e3 * (rigid > 0.999)
        matrix = self._laplacian.T @ self._laplacian + sparse.diags(self._hold)
        self._solve = splu(matrix.tocsc()).solve
        self.neck = skin.neck
        self.loops = boundary_loops(self.neck)
        self._rest_volume = float(closed_volume(skin.rest, self.neck, self.loops))
        self._rest_area = self._areas(skin.rest[None])[0]

    def __call__(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Target positions (poses, N, 3) and blended transforms (poses, N, 3, 4) of poses (poses, 8, 4)."""
        transforms = blended(self.skin, joints)
        points = apply(transforms, self.skin.rest)
        for _ in range(_UNFOLDS):
            points = self._unfolded(points, transforms)
        missing = self._rest_volume - closed_volume(points, self.neck, self.loops)
        # Skin that is pressed together bulges, skin that is stretched is drawn in.
        stretch = np.log(np.maximum(self._areas(points), 1e-12) / self._rest_area)
        share = np.exp(np.clip(-np.sign(missing)[:, None] * _BULGE * stretch, -1.5, 1.5))
        for _ in range(_ROUNDS):
            slope = volume_gradient(points, self.neck, self.loops)
            bulge = self._solved(share[..., None] * slope)
            missing = self._rest_volume - closed_volume(points, self.neck, self.loops)
            points = points + (missing / np.einsum("pva,pva->p", slope, bulge))[:, None, None] * bulge
        return points, transforms

    def _unfolded(self, points: np.ndarray, transforms: np.ndarray) -> np.ndarray:
        """Points whose triangles stand steeply against their turn, and those around them, moved between neighbours."""
        steep = turned_over(self.skin.rest, points, self.skin.triangles, transforms[..., :3])
        fold = np.clip((_STEEP - steep) / _STEEP, 0, 1)
        share = np.maximum.reduceat(fold[:, self._around], self._first, axis=1)
        near = sparse.identity(points.shape[1]) - self._laplacian
        for _ in range(3):
            share = np.maximum(share, 0.8 * (near @ share.T).T)
        share = share * (self._hold < 100)
        for _ in range(3):
            points = points + 0.5 * share[..., None] * (self._each(near, points) - points)
        return points

    def _each(self, matrix: sparse.csr_matrix, points: np.ndarray) -> np.ndarray:
        return (matrix @ _columns(points)).reshape(points.shape[1], -1, 3).transpose(1, 0, 2)

    def _areas(self, points: np.ndarray) -> np.ndarray:
        """(poses, N): the area around each vertex, smoothed."""
        a, b, c = (points[:, self.skin.triangles[:, corner]] for corner in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=-1) / 6
        total = np.zeros(points.shape[:2])
        for corner in range(3):
            for row, values in zip(total, area, strict=True):
                row += np.bincount(self.skin.triangles[:, corner], values, minlength=points.shape[1])
        smooth = sparse.identity(points.shape[1]) - 0.5 * self._laplacian
        for _ in range(8):
            total = (smooth @ total.T).T
        return total

    def _solved(self, wanted: np.ndarray) -> np.ndarray:
        return self._solve(_columns(wanted)).reshape(wanted.shape[1], -1, 3).transpose(1, 0, 2)


def _columns(points: np.ndarray) -> np.ndarray:
    """(poses, N, 3) as (N, poses * 3)."""
    return np.ascontiguousarray(points.transpose(1, 0, 2)).reshape(points.shape[1], -1)


def features(joints: np.ndarray) -> np.ndarray:
    """HACK's pose features (poses, 7 * 9) of poses (poses, 8, 4): R - I of every joint but the lowest."""
    return (rotations.to_matrix(joints[:, 1:]) - np.eye(3)).reshape(len(joints), -1)


def offsets(target: Target, joints: np.ndarray, mirror: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What has to be added to the rest skin so that blending gives the target.

    Args:
        joints: (poses, 8, 4). mirror: (N,) the vertex on the other side of each; then every pose comes twice, the
            second time mirrored.

    Returns:
        Features (poses, 63) and offsets (poses, N, 3).
    """
    count = len(target.skin.rest)
    moved = np.empty((len(joints), count, 3), np.float32)
    for start in range(0, len(joints), _BLOCK):
        points, transforms = target(joints[start : start + _BLOCK])
        away = points - apply(transforms, target.skin.rest)
        moved[start : start + _BLOCK] = np.linalg.solve(transforms[..., :3], away[..., None])[..., 0]
    found = features(joints)
    if mirror is None:
        return found, moved
    other = features(joints * np.array([1, 1, -1, -1]))
    return np.concatenate([found, other]), np.concatenate([moved, moved[:, mirror] * np.float32([-1, 1, 1])])


def ridge(found: np.ndarray, moved: np.ndarray, strength: float = 1e-4) -> np.ndarray:
    """Pose correctives P (8, 3, 3, N, 3) from features (poses, 63) and offsets (poses, N, 3).

    ``strength`` is the penalty beside the mean square of a feature.
    """
    flat = moved.reshape(len(moved), -1)
    square = found.T @ found / len(found)
    penalty = strength * np.trace(square) / len(square)
    fitted = np.linalg.solve(square + penalty * np.eye(len(square)), found.T @ flat / len(found))
    result = np.zeros((JOINTS, 3, 3, moved.shape[1], 3))
    result[1:] = fitted.reshape(JOINTS - 1, 3, 3, -1, 3)
    return result


@dataclass(frozen=True)
class Shape:
    """One shape (N, 3) whose weight is ``sum(features * (R - I))`` of joint number ``joint`` (0 to 7)."""

    joint: int
    features: np.ndarray
    offsets: np.ndarray


def compress(
    correctives: np.ndarray, found: np.ndarray, moved: np.ndarray, most: int = 4, total: int = 24
) -> list[Shape]:
    """The ``total`` shapes, at most ``most`` a joint, that keep most of what ``correctives`` do over the samples.

    The nine maps of a joint are combined by what the sampled poses use of them (a singular value decomposition of the
    maps times the root of the features' covariance); the kept combinations are then fitted to the offsets again. Each
    feature vector is scaled so that the largest weight over the samples is 1.

    Args:
        correctives: P (8, 3, 3, N, 3). found: (poses, 63). moved: (poses, N, 3).
    """
    candidates = []
    for joint in _DRIVING:
        own = found[:, 9 * (joint - 1) : 9 * joint]
        values, vectors = np.linalg.eigh(own.T @ own / len(own))
        root = vectors * np.sqrt(np.maximum(values, 1e-14))
        _, singular, right = np.linalg.svd((root.T @ correctives[joint].reshape(9, -1)).T, full_matrices=False)
        back = vectors / np.sqrt(np.maximum(values, 1e-14))
        for rank in range(most):
            candidates.append((singular[rank], joint, back @ right[rank]))
    chosen = sorted(sorted(candidates, key=lambda entry: -entry[0])[:total], key=lambda entry: entry[1])
    columns = []
    directions = []
    for _, joint, direction in chosen:
        weight = found[:, 9 * (joint - 1) : 9 * joint] @ direction
        # A sign that does not hang on the last digits of the decomposition.
        scale = np.abs(weight).max() * (1 if direction @ _ANY_DIRECTION > 0 else -1)
        columns.append(weight / scale)
        directions.append(direction / scale)
    basis = np.stack(columns, 1)
    square = basis.T @ basis / len(basis)
    penalty = 1e-4 * np.trace(square) / len(square)
    fitted = np.linalg.solve(
        square + penalty * np.eye(len(square)), basis.T @ moved.reshape(len(moved), -1) / len(moved)
    )
    return [
        Shape(joint, direction.reshape(3, 3), shape.reshape(-1, 3))
        for (_, joint, _), direction, shape in zip(chosen, directions, fitted, strict=True)
    ]
