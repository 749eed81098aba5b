# SPDX-License-Identifier: Apache-2.0
"""Rotations as unit quaternions (..., 4) in the order w, x, y, z: plain functions, any leading dimensions.

The product ``multiply(a, b)`` turns by ``b`` first, then by ``a``. Angles are radians. float32 in gives float32 out.
"""

from __future__ import annotations

import numpy as np

IDENTITY = np.array([1.0, 0.0, 0.0, 0.0], np.float32)


def identity(*shape: int) -> np.ndarray:
    """Identity quaternions (*shape, 4) float32."""
    return np.broadcast_to(IDENTITY, (*shape, 4)).copy()


def normalise(quaternion: np.ndarray) -> np.ndarray:
    """Unit quaternions of the same directions; zero becomes the identity."""
    quaternion = np.asarray(quaternion)
    length = np.linalg.norm(quaternion, axis=-1, keepdims=True)
    result = quaternion / np.where(length > 0, length, 1)
    result[~(length[..., 0] > 0)] = IDENTITY
    return result


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation that turns by ``b``, then by ``a``: (..., 4) and (..., 4), broadcast."""
    aw, ax, ay, az = np.moveaxis(np.asarray(a), -1, 0)
    bw, bx, by, bz = np.moveaxis(np.asarray(b), -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


def inverse(quaternion: np.ndarray) -> np.ndarray:
    """The opposite rotations of unit quaternions (..., 4)."""
    quaternion = np.asarray(quaternion)
    return quaternion * np.array([1, -1, -1, -1], quaternion.dtype)


def rotate(quaternion: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 3) turned by unit quaternions (..., 4), broadcast."""
    w, xyz = quaternion[..., :1], quaternion[..., 1:]
    across = 2 * np.cross(xyz, points)
    return points + w * across + np.cross(xyz, across)


def from_rotation_vector(vector: np.ndarray) -> np.ndarray:
    """Quaternions of rotation vectors (..., 3): axis times angle in radians."""
    vector = np.asarray(vector)
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    # sinc keeps the limit at zero exact: np.sinc(x) is sin(pi x) / (pi x).
    return np.concatenate([np.cos(angle / 2), 0.5 * np.sinc(angle / (2 * np.pi)) * vector], -1)


def to_rotation_vector(quaternion: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3), radians, at most pi long, of unit quaternions (..., 4)."""
    quaternion = np.asarray(quaternion)
    positive = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    length = np.linalg.norm(positive[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(length, positive[..., :1])
    scale = np.where(length > 1e-12, angle / np.where(length > 1e-12, length, 1), 2.0)
    return scale.astype(quaternion.dtype) * positive[..., 1:]


def about(axis: tuple[float, float, float] | np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Quaternions of turns by ``angle`` (...) radians about one unit axis (3,)."""
    half = np.asarray(angle)[..., None] / 2
    return np.concatenate([np.cos(half), np.sin(half) * np.asarray(axis, half.dtype)], -1)


def to_matrix(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4)."""
    w, x, y, z = np.moveaxis(np.asarray(quaternion), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def from_matrix(matrix: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4), w not negative, of rotation matrices (..., 3, 3)."""
    m = np.asarray(matrix)
    diagonal = [m[..., i, i] for i in range(3)]
    # Four times the square of each component; the largest gives the others without cancellation.
    x, y, z = diagonal
    squares = np.stack([1 + x + y + z, 1 + x - y - z, 1 - x + y - z, 1 - x - y + z], -1)
    best = squares.argmax(-1)
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    s = squares
    table = np.stack(
        [
            np.stack([s[..., 0], a, b, c], -1),
            np.stack([a, s[..., 1], d, e], -1),
            np.stack([b, d, s[..., 2], f], -1),
            np.stack([c, e, f, s[..., 3]], -1),
        ],
        -2,
    )
    chosen = np.take_along_axis(table, best[..., None, None], -2)[..., 0, :]
    result = normalise(chosen)
    return np.where(result[..., :1] < 0, -result, result)


def slerp(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Rotations ``share`` (...) of the shorter way from ``a`` to ``b`` (..., 4)."""
    step = to_rotation_vector(multiply(inverse(a), b))
    return multiply(a, from_rotation_vector(np.asarray(share)[..., None] * step))


def continuous(quaternion: np.ndarray) -> np.ndarray:
    """The same rotations (frames, ..., 4) with signs chosen so that no frame jumps to the opposite sign."""
    result = np.array(quaternion)
    dots = np.einsum("...i,...i->...", result[1:], result[:-1])
    result[1:] *= np.cumprod(np.where(dots < 0, -1, 1), axis=0, dtype=np.int8)[..., None]
    return result


def in_axes(quaternion: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """The same rotations (..., 4) told in other axes, the columns of ``axes`` (3, 3): M^-1 R M for the matrix M."""
    return np.concatenate([quaternion[..., :1], quaternion[..., 1:] @ axes], -1)
