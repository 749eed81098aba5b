# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Fields and deformations from one surface to another: binding, deformation transfer, smoothing over a graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from hyoid.geometry.closest import edges_of, triangle_vectors, unit


@dataclass(frozen=True)
class Binding:
    """For each target vertex a point of the source surface.

    Attributes:
        vertices: (V, 3) int64, source vertices. shares: (V, 3) float64, sum 1.
        distances: (V,) metres. agreement: (V,) cosine of the two normals.
    """

    vertices: np.ndarray
    shares: np.ndarray
    distances: np.ndarray
    agreement: np.ndarray

    def carry(self, values: np.ndarray) -> np.ndarray:
        """Values (source, ...) at the bound points, (V, ...)."""
        shares = self.shares.reshape(*self.shares.shape, *[1] * (values.ndim - 1))
        return (values[self.vertices] * shares).sum(1)

    def matrix(self, count: int) -> sparse.csr_matrix:
        """The same as a sparse matrix (V, count)."""
        rows = np.repeat(np.arange(len(self.vertices)), 3)
        return sparse.csr_matrix((self.shares.ravel(), (rows, self.vertices.ravel())), (len(self.vertices), count))


def factor(matrix: sparse.spmatrix):
    """A solver of a symmetric positive definite sparse system: ``factor(A)(b)`` is ``A^-1 b``."""
    return splu(
        matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    ).solve


def graph_laplacian(vertices: np.ndarray, triangles: np.ndarray) -> sparse.csr_matrix:
    """The Laplacian (V, V) of the edges with weights 1 / length, scaled so that a mean edge has weight 1."""
    edges, _ = edges_of(triangles)
    edges = edges[edges[:, 0] != edges[:, 1]]
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    mean = float(length.mean()) if len(length) else 1.0
    pull = mean / np.maximum(length, 0.05 * mean)
    count = len(vertices)
    adjacency = sparse.coo_matrix((pull, (edges[:, 0], edges[:, 1])), shape=(count, count))
    adjacency = (adjacency + adjacency.T).tocsr()
    return (sparse.diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency).tocsr()


def smooth(
    values: np.ndarray, laplacian: sparse.csr_matrix, amount: float, hold: np.ndarray | None = None
) -> np.ndarray:
    """Values (V, k) smoothed by one implicit step: ``(H + amount L)^-1 H values``; ``hold`` (V,) is H's diagonal."""
    hold = np.ones(len(values)) if hold is None else hold
    diagonal = sparse.diags(hold + 1e-9)
    return factor(diagonal + amount * laplacian)(diagonal @ np.ascontiguousarray(values, np.float64))


class Frames:
    """Triangle frames of one mesh, prepared to turn vertex positions into deformation gradients and back.

    The deformation gradient of a triangle is the 3 x 3 matrix that maps its rest edges and normal to the deformed ones
    (Sumner and Popovic, "Deformation Transfer for Triangle Meshes", 2004). Normals are scaled to the root of the area.
    """

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        self.vertices, self.triangles = np.asarray(vertices, np.float64), triangles
        basis = self.edges(self.vertices)
        areas = np.linalg.norm(triangle_vectors(self.vertices, triangles), axis=1)
        self.areas = areas
        good = areas > 1e-12
        basis[~good] = np.eye(3)
        self.inverse = np.linalg.inv(basis)
        self.inverse[~good] = 0

    def edges(self, vertices: np.ndarray) -> np.ndarray:
        """(T, 3, 3) matrices whose columns are two edges and the normal."""
        a, b, c = (vertices[self.triangles[:, i]] for i in range(3))
        normal = np.cross(b - a, c - a)
        length = np.sqrt(np.linalg.norm(normal, axis=1, keepdims=True))
        scaled = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
        return np.stack([b - a, c - a, scaled], -1)

    def gradients(self, vertices: np.ndarray) -> np.ndarray:
        """Deformation gradients (T, 3, 3) of deformed vertices (V, 3)."""
        return self.edges(vertices) @ self.inverse

    def operator(self) -> sparse.csr_matrix:
        """The tangential gradient (3 T, V): rows 3 t to 3 t + 2 are the derivatives of a vertex field along x, y, z."""
        first, second = self.inverse[:, 0], self.inverse[:, 1]  # (T, 3): shares of the two edge differences
        values = np.stack([-(first + second), first, second], -1)  # (T, xyz, corner)
        count = len(self.triangles)
        rows = np.repeat(np.arange(3 * count), 3)
        columns = np.repeat(self.triangles, 3, axis=0).ravel()
        return sparse.csr_matrix((values.ravel(), (rows, columns)), shape=(3 * count, len(self.vertices)))


class DeformationTransfer:
    """Carries deformations of a source rest mesh to another rest mesh of the same topology.

    Args:
        source, target: (V, 3) rest positions, metres. triangles: (T, 3).
        tie: how strongly a target vertex keeps to the carried offset where the gradients leave it free.
    """

    def __init__(self, source: np.ndarray, target: np.ndarray, triangles: np.ndarray, tie: float = 0.02) -> None:
        self.source, self.target = Frames(source, triangles), Frames(target, triangles)
        # What registration did to each triangle: its rotation turns offsets, its stretch scales them.
        self.turned = _vertex_maps(self.source, self.target)
        self._back = np.linalg.inv(self.turned.triangle)
        gradient = self.target.operator()
        weights = sparse.diags(np.repeat(self.target.areas, 3))
        self._right = (gradient.T @ weights).tocsr()
        mass = np.zeros(len(target))
        for corner in range(3):
            mass += np.bincount(triangles[:, corner], self.target.areas / 3, len(target))
        edge = float(np.median(np.sqrt(self.target.areas[self.target.areas > 0])))
        self._tie = tie * np.maximum(mass, 1e-3 * np.median(mass)) / (10 * edge) ** 2
        self._solve = factor((self._right @ gradient + sparse.diags(self._tie)).tocsc())

    def __call__(self, offsets: np.ndarray, still: np.ndarray | None = None) -> np.ndarray:
        """Offsets (V, 3) on the target of offsets (V, 3) on the source."""
        wanted = self.source.gradients(self.source.vertices + offsets) - np.eye(3)
        maps = self.turned.triangle
        wanted = maps @ wanted @ self._back
        wanted[self.source.areas <= 1e-12] = 0
        # Row 3 t + i of the operator is the derivative along i; the gradient's column i holds it.
        carried = np.einsum("vij,vj->vi", self.turned.vertex, offsets)
        right = self._right @ wanted.transpose(0, 2, 1).reshape(-1, 3) + self._tie[:, None] * carried
        return self._solve(np.ascontiguousarray(right))


@dataclass(frozen=True)
class _Maps:
    triangle: np.ndarray
    vertex: np.ndarray


def _vertex_maps(source: Frames, target: Frames) -> _Maps:
    """Linear maps (T, 3, 3) and (V, 3, 3) from directions on the source to directions on the target: turn and size.

    Each is a rotation times one scale, averaged over the vertices around, so that noise of the registration dies out.
    """
    linear = target.edges(target.vertices) @ source.inverse
    weights = source.areas + 1e-15
    linear[source.areas <= 1e-12] = np.eye(3)
    count = len(source.vertices)
    corners = source.triangles

    def to_vertices(values: np.ndarray) -> np.ndarray:
        flat = (weights[:, None] * values.reshape(len(values), 9)).repeat(3, axis=0)
        total = np.stack([np.bincount(corners.ravel(), flat[:, i], count) for i in range(9)], -1)
        share = np.bincount(corners.ravel(), weights.repeat(3), count)
        return (total / np.maximum(share, 1e-30)[:, None]).reshape(-1, 3, 3)

    for _ in range(3):
        at_vertex = to_vertices(linear)
        linear = at_vertex[corners].mean(1)
    unused = np.bincount(corners.ravel(), minlength=count) == 0
    at_vertex[unused] = np.eye(3)
    return _Maps(_similar(linear), _similar(at_vertex))


def _similar(linear: np.ndarray) -> np.ndarray:
    """The nearest rotation of each matrix (n, 3, 3), times its mean stretch."""
    left, sizes, right = np.linalg.svd(linear)
    flip = np.linalg.det(left @ right) < 0
    left[flip, :, 2] *= -1
    return np.clip(sizes.mean(1), 0.3, 3.0)[:, None, None] * (left @ right)


def flipped(vertices: np.ndarray, triangles: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Whether each triangle (T,) faces more than 100 degrees away from its rest normal in deformed vertices."""
    before, after = unit(triangle_vectors(rest, triangles)), unit(triangle_vectors(vertices, triangles))
    return (before * after).sum(1) < -0.17
