# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""The rigid motion between two expressions, with the motions of skin that are known found beside it.

The difference of two aligned expressions is a small rigid motion, known motions in unknown amounts (normal about none,
as large as they usually are), and the rest. Two ways to see the rest:

- it is registration noise everywhere (``fit``, generalised least squares): the best linear answer where that is so, and
  misleading where a face moves as none did in training. How much stays unexplained tells the two apart (``share``);
- it is what the trust network says, skin by skin (``trusted_fit``): holds for faces that move as none did.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from hyoid.geometry import rotations

ROUNDS = 3
_SMOOTH, _WHITE, _WIDTH = 0.5, 0.1, 20.0  # millimetres, of registration noise on either side
FLOOR = 0.15
"""Millimetres: no mesh is known better than this."""
_TRUSTED, _SPREAD, _MOST = 48, 1.0, 0.9  # known motions; mm, the rest on trusted skin; quantile of weights: full trust
_HALF, _STEEP = 0.85, 6  # millimetres that are left unexplained at which the answer counts half; how sharply
_NEAR, _SMOOTHING = 24, 1e-6  # points between which a motion is told
_COARSE = 0.5  # distance of a point from its vertices, in distances of points, from which on it counts


class KnownMotions:
    """Everything that can be prepared for one set of points.

    Args:
        template: (K, 3) millimetres. motions: (M, K, 3) mm, directions in which skin moves, each as long as it usually
            is. mask: (K,), above 0 for points that are there.
    """

    def __init__(self, template: np.ndarray, motions: np.ndarray, mask: np.ndarray) -> None:
        self.used = mask > 0
        points = template[self.used].astype(np.float64)
        self.middle = points.mean(0)
        self.points = points - self.middle
        count = len(points)
        square = ((points[:, None] - points[None]) ** 2).sum(-1)
        noise = 2 * (_SMOOTH**2 / 3 * np.exp(-square / (4 * _WIDTH**2)) + _WHITE**2 * np.eye(count))
        table = np.concatenate([_rigid(self.points), motions[:, self.used].astype(np.float64)])
        whitened = np.linalg.solve(noise, table.transpose(1, 0, 2).reshape(count, -1))
        whitened = whitened.reshape(count, len(table), 3).transpose(1, 0, 2).reshape(len(table), -1)
        self.table = table.reshape(len(table), -1)
        self.trusted = np.concatenate([table[:6], _largest(table[6:], _TRUSTED)]).astype(np.float32)
        self.entries = np.tril_indices(len(self.trusted))
        self.products = (self.trusted[self.entries[0]] * self.trusted[self.entries[1]]).sum(-1).T.copy()
        normal = self.table @ whitened.T
        normal[6:, 6:] += np.eye(len(motions))
        self.solution = np.linalg.solve(normal, whitened)
        self.variance = np.linalg.inv(normal)[:6, :6]

    def fit(self, source: np.ndarray, target: np.ndarray) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        """Small motions, in their order, that bring pre-aligned source points (F, K, 3) onto target points, (F, K, 3)
        or (K, 3).

        Returns:
            Rotations (F, 3, 3) and translations (F, 3); and (F,) how much is left unexplained, root mean square mm.
        """
        own, other = (points[..., self.used, :].astype(np.float64) - self.middle for points in (source, target))
        steps = []
        for _ in range(ROUNDS):
            found = (other - own).reshape(len(own), -1) @ self.solution[:6].T
            rotation, shift = self._motion(found)
            own = own @ rotation.transpose(0, 2, 1) + found[:, None, 3:]
            steps.append((rotation, shift))
        left = (other - own).reshape(len(own), -1)
        left = left - (left @ self.solution.T) @ self.table
        return steps, np.sqrt((left**2).sum(1) / len(self.points))

    def trusted_fit(
        self, source: np.ndarray, target: np.ndarray, weights: np.ndarray, moved: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The small motion that brings source points (F, K, 3) onto target points of the same shape by least squares.

        Args:
            weights: (F, K), how far each point is trusted, of any size. moved: (F, K, 3) mm, how expression is thought
                to have moved the source already.

        Returns:
            Rotations (F, 3, 3) and translations (F, 3).
        """
        gap = (target - source + moved)[:, self.used].astype(np.float32)
        weights = weights[:, self.used]
        weights = weights / (_SPREAD**2 * np.quantile(weights, _MOST, axis=1, keepdims=True) + 1e-12)
        weights = weights.astype(np.float32)
        count = len(self.trusted)
        normal = np.zeros((len(gap), count, count))
        normal[:, self.entries[0], self.entries[1]] = weights @ self.products
        normal[:, self.entries[1], self.entries[0]] = normal[:, self.entries[0], self.entries[1]]
        normal[:, range(6, count), range(6, count)] += 1
        wanted = (weights[..., None] * gap).reshape(len(gap), -1) @ self.trusted.reshape(count, -1).T
        found = np.linalg.solve(normal, wanted[..., None].astype(np.float64))[:, :6, 0]
        return self._motion(found)

    def _motion(self, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rotations and translations of turns and shifts (F, 6) about the middle."""
        rotation = rotations.to_matrix(rotations.from_rotation_vector(found[:, :3]))
        return rotation, self.middle + found[:, 3:] - rotation @ self.middle

    def expected(self, unexplained: np.ndarray) -> np.ndarray:
        """(F,) millimetres, root mean square, by which the points are moved wrongly if what is left unexplained, (F,)
        millimetres, is noise.
        """
        jacobian = _rigid(self.points).reshape(6, -1)
        supposed = np.sqrt(np.einsum("in,ij,jn->", jacobian, self.variance, jacobian) / len(self.points))
        return supposed * np.maximum(unexplained, FLOOR) / np.sqrt(2 * (_SMOOTH**2 + 3 * _WHITE**2))


@functools.lru_cache(maxsize=8)
def _prepared(template: bytes, motions: bytes, mask: bytes) -> KnownMotions:
    points = np.frombuffer(template, np.float32).reshape(-1, 3)
    return KnownMotions(
        points, np.frombuffer(motions, np.float16).reshape(-1, len(points), 3), np.frombuffer(mask, np.uint8)
    )


def prepared(template: np.ndarray, motions: np.ndarray, mask: np.ndarray) -> KnownMotions:
    """The same for the same points, motions and mask, made once: targets of one topology share it."""
    return _prepared(
        template.astype(np.float32).tobytes(),
        motions.astype(np.float16).tobytes(),
        (mask > 0).astype(np.uint8).tobytes(),
    )


def shown(
    motions: np.ndarray, places: np.ndarray, vertices: np.ndarray, corners: np.ndarray, shares: np.ndarray,
    mask: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Known motions as a mesh shows them: where it is coarser than the points, a point moves as the mean of vertices
    that are away from it, so its motion is blurred.

    Args:
        motions: (M, K, 3), of the points themselves. places: (K, 3) where the points lie on the mesh, in any unit.
        vertices: (V, 3) of the mesh. corners: (K, n) which of them a point is read off, and shares (K, n) of them.
        mask: (K,), above 0 for points that are there.

    Returns:
        (M, K, 3) motions; those of points that lie closely between their vertices hardly change.
    """
    used = mask > 0
    corners, shares = corners[used], shares[used]
    spacing = float(np.median(cKDTree(places[used]).query(places[used], 2)[0][:, 1]))
    points, vertices = places[used] / max(spacing, 1e-12), vertices / max(spacing, 1e-12)
    near, row = np.unique(corners, return_inverse=True)
    own = motions[:, used].astype(np.float64)
    rows = np.repeat(np.arange(len(points)), shares.shape[1])
    mixed = csr_matrix((shares.ravel(), (rows, row.ravel())), (len(points), len(near)))
    table = own.transpose(1, 0, 2).reshape(len(points), -1)
    blurred = mixed @ (_between(points, vertices[near]) @ table)
    blurred = blurred.reshape(len(points), len(motions), 3).transpose(1, 0, 2)
    away = (shares * ((vertices[corners] - points[:, None]) ** 2).sum(-1)).sum(1)
    part = away**2 / (away**2 + _COARSE**4)  # what lies between known points is a guess: a fine mesh needs none
    found = motions.astype(np.float64)
    found[:, used] += part[:, None] * (blurred - own)
    return found.astype(motions.dtype)


def _between(points: np.ndarray, others: np.ndarray) -> csr_matrix:
    """(m, n) what each of points (n, 3) counts in a value at other ones (m, 3): radial basis functions, linear in the
    distance with a constant, through the nearest points. The little smoothing lets two points lie in one place.
    """
    count = min(_NEAR, len(points))
    distances, nearest = (values.reshape(len(others), count) for values in cKDTree(points).query(others, count))
    square = ((points[nearest][:, :, None] - points[nearest][:, None]) ** 2).sum(-1)
    system = np.ones((len(others), count + 1, count + 1))
    system[:, :count, :count] = _SMOOTHING * np.eye(count) - np.sqrt(square)
    system[:, count, count] = 0
    wanted = np.concatenate([-distances, np.ones((len(others), 1))], 1)
    weights = np.linalg.solve(system, wanted[..., None])[:, :count, 0]
    rows = np.repeat(np.arange(len(others)), count)
    return csr_matrix((weights.ravel(), (rows, nearest.ravel())), (len(others), len(points)))


def share(unexplained: np.ndarray, least: float) -> np.ndarray:
    """(F,) how far to follow the answer of ``fit``, ``least``..1, by what it leaves unexplained, millimetres."""
    return least + (1 - least) / (1 + (unexplained / _HALF) ** _STEEP)


def _largest(motions: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` motions that hold most of what motions (M, K, 3) do."""
    flat = motions.reshape(len(motions), -1)
    turns = np.linalg.eigh(flat @ flat.T)[1][:, -count:]
    return (turns.T @ flat).reshape(-1, *motions.shape[1:])


def _rigid(points: np.ndarray) -> np.ndarray:
    """(6, n, 3) how points (n, 3) move by a small turn about each axis and a shift along each."""
    turns = [np.cross(axis, points) for axis in np.eye(3)]
    shifts = [np.broadcast_to(axis, points.shape) for axis in np.eye(3)]
    return np.stack([*turns, *shifts])
