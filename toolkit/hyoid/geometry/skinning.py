# SPDX-License-Identifier: Apache-2.0
"""Shape evaluation, forward kinematics and linear blend skinning of many poses at once.

Weights and shapes are kept sparse, poses run along the fastest axis, and vertices go in blocks that stay in the cache:
the work is proportional to what really moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from hyoid.geometry import rotations

_BLOCK = 2048  # vertices, at 16 poses
_POSES = 16
_FULL = 0.2  # the share of weights above zero from which on a block with dense shapes keeps them all


def world_transforms(
    parents: np.ndarray, heads: np.ndarray, quaternions: np.ndarray, root: np.ndarray | None = None
) -> np.ndarray:
    """World transforms (poses, J, 4, 4) of joints whose axes are world-aligned at rest.

    Args:
        parents: (J,), -1 for a root, parents first. heads: (J, 3) or (poses, J, 3) rest positions.
        quaternions: (poses, J, 4) relative to the parent. root: (poses, 3) translation of the roots, or None.
    """
    poses, joints = quaternions.shape[:2]
    heads = np.broadcast_to(heads, (poses, joints, 3))
    local = rotations.to_matrix(quaternions)
    result = np.zeros((poses, joints, 4, 4), np.result_type(quaternions, heads))
    result[..., 3, 3] = 1
    for joint, parent in enumerate(np.asarray(parents).tolist()):
        if parent < 0:
            result[:, joint, :3, :3] = local[:, joint]
            result[:, joint, :3, 3] = heads[:, joint] if root is None else heads[:, joint] + root
            continue
        above = result[:, parent]
        result[:, joint, :3, :3] = above[:, :3, :3] @ local[:, joint]
        offset = (heads[:, joint] - heads[:, parent])[..., None]
        result[:, joint, :3, 3] = (above[:, :3, :3] @ offset)[..., 0] + above[:, :3, 3]
    return result


def skin_transforms(world: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """From rest to posed positions (poses, J, 3, 4): of world transforms (poses, J, 4, 4), rest heads (..., J, 3)."""
    linear = world[..., :3, :3]
    shift = world[..., :3, 3] - (linear @ heads[..., None])[..., 0]
    return np.concatenate([linear, shift[..., None]], -1)


def weight_matrix(weight_joints: np.ndarray, weights: np.ndarray, joints: int) -> sparse.csr_matrix:
    """Weights (V, k) of joints (V, k) as a sparse matrix (V, joints) float32."""
    count, most = weights.shape
    rows = np.repeat(np.arange(count), most)
    filled = weights.ravel() != 0
    entries = (weights.ravel()[filled].astype(np.float32), (rows[filled], weight_joints.ravel()[filled]))
    return sparse.csr_matrix(entries, shape=(count, joints))


@dataclass(frozen=True)
class _Block:
    vertices: slice
    weights: sparse.csr_matrix | np.ndarray
    joints: np.ndarray
    shapes: sparse.csr_matrix | np.ndarray | None


class Skin:
    """One mesh with its weights and shapes, prepared for any number of poses.

    Args:
        rest: (V, 3) metres. weights: (V, J) sparse, rows sum to 1.
        shapes: (3 V, K) offsets, or None; sparse, or dense where most of them move everything (identities).
        poses: how many go together. Many dense shapes are read once for all of them: more is faster then.
    """

    def __init__(
        self,
        rest: np.ndarray,
        weights: sparse.csr_matrix,
        shapes: sparse.csr_matrix | np.ndarray | None = None,
        poses: int = _POSES,
    ) -> None:
        self.rest = np.asarray(rest, np.float32)
        self._poses = poses
        self._blocks = []
        size = max(1, _BLOCK * _POSES // max(poses, _POSES))
        for start in range(0, len(self.rest), size):
            rows = slice(start, min(start + size, len(self.rest)))
            block = weights[rows].tocsc()
            joints = np.flatnonzero(np.diff(block.indptr))
            held = block[:, joints].tocsr().astype(np.float32)
            moved = shapes[3 * rows.start : 3 * rows.stop].astype(np.float32) if shapes is not None else None
            if isinstance(moved, np.ndarray):
                # x of all vertices, then y, then z: coordinates of all poses lie together, as do the mixed matrices.
                moved = np.ascontiguousarray(moved.reshape(-1, 3, moved.shape[1]).swapaxes(0, 1)).reshape(moved.shape)
                held = held.toarray() if held.nnz > _FULL * np.prod(held.shape) else held
            elif moved is not None and not moved.nnz:
                moved = None
            self._blocks.append(_Block(rows, held, joints, moved))

    def __call__(self, transforms: np.ndarray, shape_weights: np.ndarray | None = None) -> np.ndarray:
        """Posed vertices (poses, V, 3) float32.

        Args:
            transforms: (poses, J, 3, 4) from rest to posed. shape_weights: (poses, K), or None.
        """
        poses = len(transforms)
        result = np.empty((poses, len(self.rest), 3), np.float32)
        for start in range(0, poses, self._poses):
            chunk = slice(start, min(start + self._poses, poses))
            matrices = transforms[chunk].astype(np.float32).transpose(1, 2, 3, 0)
            weights = None if shape_weights is None else np.ascontiguousarray(shape_weights[chunk].T, np.float32)
            same = _same(weights)
            for block in self._blocks:
                for axis, posed in enumerate(self._pose(block, matrices, weights, same)):
                    result[chunk, block.vertices, axis] = posed.T
        return result

    def _pose(self, block: _Block, matrices: np.ndarray, shape_weights: np.ndarray | None, same: int) -> np.ndarray:
        """Posed vertices (3, n, poses); the first ``same`` weights are equal in all poses."""
        poses = matrices.shape[-1]
        rest = self.rest[block.vertices][..., None]
        if isinstance(block.shapes, np.ndarray) and shape_weights is not None:
            still = rest.swapaxes(0, 1)
            if same:
                still = still + (block.shapes[:, :same] @ shape_weights[:same, 0]).reshape(3, -1, 1)
            x, y, z = (block.shapes[:, same:] @ shape_weights[same:]).reshape(3, -1, poses) + still
        else:
            if block.shapes is not None and shape_weights is not None:
                rest = rest + (block.shapes @ shape_weights).reshape(*rest.shape[:2], poses)
            x, y, z = rest[:, 0], rest[:, 1], rest[:, 2]
        mixed = _mixed(block, matrices)
        posed = np.empty((3, len(rest), poses), np.float32)
        part = np.empty((len(rest), poses), np.float32)
        for out, (by_x, by_y, by_z, shift) in zip(posed, mixed, strict=True):
            np.multiply(by_x, x, out=out)
            out += np.multiply(by_y, y, out=part)
            out += np.multiply(by_z, z, out=part)
            out += shift
        return posed


def _same(shape_weights: np.ndarray | None) -> int:
    """How many of the first weights (K, poses) are equal in all poses: an animation shows one person."""
    if shape_weights is None or shape_weights.shape[1] < 2:
        return 0
    differs = (shape_weights != shape_weights[:, :1]).any(1)
    return int(differs.argmax()) if differs.any() else len(differs)


def _mixed(block: _Block, matrices: np.ndarray) -> np.ndarray:
    """The transforms (3, 4, n or 1, poses) of the block's vertices."""
    chosen = matrices[block.joints]
    if len(chosen) == 1:
        return chosen[0][:, :, None]
    if isinstance(block.weights, np.ndarray):
        return block.weights @ np.ascontiguousarray(chosen.transpose(1, 2, 0, 3))
    packed = np.ascontiguousarray(chosen).reshape(len(chosen), -1)
    return (block.weights @ packed).reshape(-1, 3, 4, chosen.shape[-1]).transpose(1, 2, 0, 3)
