# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Closest points on triangle meshes, connected pieces, welded duplicates: what registration stands on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

_SPACING = 1.5  # samples of large triangles lie this many median edges apart
_FINEST = 12  # parts that an edge of a huge triangle is cut into at most


@dataclass(frozen=True)
class Hits:
    """Closest points of a query.

    Attributes:
        triangles: (n,) int64 rows of the surface's triangles. barycentric: (n, 3) float64, sum 1.
        points: (n, 3) on the surface. distances: (n,) metres.
    """

    triangles: np.ndarray
    barycentric: np.ndarray
    points: np.ndarray
    distances: np.ndarray


def triangle_areas(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Areas (n,) of triangles (n, 3) over vertices (V, 3)."""
    return 0.5 * np.linalg.norm(triangle_vectors(vertices, triangles), axis=1)


def triangle_vectors(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Normals (n, 3) of triangles, twice their area long."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of length 1; zero stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def point_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit vertex normals (V, 3) float64, weighted by area; zero where no face meets."""
    area = triangle_vectors(vertices, triangles)
    total = np.zeros((len(vertices), 3))
    for corner in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(triangles[:, corner], area[:, axis], len(vertices))
    return unit(total)


class Surface:
    """A triangle mesh that answers which of its points are nearest, where wanted among those that face the same way.

    Args:
        vertices: (V, 3). triangles: (n, 3); those without area are passed over.
    """

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        self.vertices = np.asarray(vertices, np.float64)
        self.triangles = np.asarray(triangles)
        self.normals = point_normals(self.vertices, self.triangles)
        corners = self.vertices[self.triangles]
        vectors = triangle_vectors(self.vertices, self.triangles)
        self.triangle_normals = unit(vectors)
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1)
        used = np.linalg.norm(vectors, axis=1) > 0
        step = _SPACING * float(np.median(edges[used])) if used.any() else 1.0
        cuts = np.clip(np.ceil(edges / max(step, 1e-12)), 1, _FINEST).astype(int)
        owners, samples = [], []
        for cut in np.unique(cuts[used]):
            chosen = np.flatnonzero(used & (cuts == cut))
            grid = _centres(cut)
            samples.append(np.einsum("gc,tcx->tgx", grid, corners[chosen]).reshape(-1, 3))
            owners.append(np.repeat(chosen, len(grid)))
        self._owners = np.concatenate(owners) if owners else np.zeros(0, int)
        self._samples = np.concatenate(samples) if samples else np.zeros((0, 3))
        self._trees: dict[float, cKDTree] = {}

    def __len__(self) -> int:
        return len(self.triangles)

    def closest(
        self, points: np.ndarray, normals: np.ndarray | None = None, *, weight: float = 0.0, neighbours: int = 8
    ) -> Hits:
        """The nearest surface points of points (n, 3).

        With ``normals`` (n, 3) and a ``weight`` in metres, a point that faces otherwise counts as if it lay
        ``weight * |difference of unit normals|`` farther away: the two lips of a closed mouth stay apart.
        """
        points = np.asarray(points, np.float64)
        aware = normals is not None and weight > 0
        tree = self._tree(weight if aware else 0.0)
        query = np.concatenate([points, weight * normals], 1) if aware and normals is not None else points
        count = min(neighbours, len(self._owners))
        _, found = tree.query(query, count)
        candidates = self._owners[np.asarray(found).reshape(len(points), count)]
        best, barycentric = _nearest_of(points, self.vertices[self.triangles[candidates]])
        cost = ((best - points[:, None]) ** 2).sum(2)
        if aware and normals is not None:
            cost = cost + weight**2 * ((self.triangle_normals[candidates] - normals[:, None]) ** 2).sum(2)
        rows, chosen = np.arange(len(points)), cost.argmin(1)
        places = best[rows, chosen]
        return Hits(
            candidates[rows, chosen], barycentric[rows, chosen], places, np.linalg.norm(places - points, axis=1)
        )

    def smooth_normals(self, hits: Hits) -> np.ndarray:
        """Unit normals (n, 3) interpolated at the hits."""
        return unit((self.normals[self.triangles[hits.triangles]] * hits.barycentric[..., None]).sum(1))

    def _tree(self, weight: float) -> cKDTree:
        if weight not in self._trees:
            own = self._samples
            if weight:
                own = np.concatenate([own, weight * self.triangle_normals[self._owners]], 1)
            self._trees[weight] = cKDTree(own)
        return self._trees[weight]


def _centres(cut: int) -> np.ndarray:
    """Barycentric centres (m, 3) of the cut * cut small triangles of a triangle."""
    rows = []
    for i in range(cut):
        for j in range(cut - i):
            rows.append((i + 1 / 3, j + 1 / 3))
            if i + j < cut - 1:
                rows.append((i + 2 / 3, j + 2 / 3))
    first = np.array(rows) / cut
    return np.concatenate([first, 1 - first.sum(1, keepdims=True)], 1)


def _nearest_of(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest points (n, k, 3) and barycentrics (n, k, 3) of points (n, 3) on triangles (n, k, 3 corners, 3)."""
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    p = points[:, None]
    ab, ac, ap = b - a, c - a, p - a
    d11, d12, d22 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    e1, e2 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    determinant = d11 * d22 - d12**2
    safe = np.where(determinant > 1e-30, determinant, 1.0)
    v, w = (d22 * e1 - d12 * e2) / safe, (d11 * e2 - d12 * e1) / safe
    inside = (v >= 0) & (w >= 0) & (v + w <= 1) & (determinant > 1e-30)
    # The three edges, each as a share along it; the best of them where the foot of the normal lies outside.
    along_ab = np.clip(e1 / np.where(d11 > 0, d11, 1), 0, 1)
    along_ac = np.clip(e2 / np.where(d22 > 0, d22, 1), 0, 1)
    bc = c - b
    d33 = (bc * bc).sum(-1)
    along_bc = np.clip(((p - b) * bc).sum(-1) / np.where(d33 > 0, d33, 1), 0, 1)
    zero = np.zeros_like(v)
    options = np.stack(
        [
            np.stack([1 - v - w, v, w], -1),
            np.stack([1 - along_ab, along_ab, zero], -1),
            np.stack([1 - along_ac, zero, along_ac], -1),
            np.stack([zero, 1 - along_bc, along_bc], -1),
        ],
        2,
    )
    places = np.einsum("nkoc,nkcx->nkox", options, corners)
    far = ((places - p[:, :, None]) ** 2).sum(-1)
    far[..., 0] = np.where(inside, far[..., 0], np.inf)
    chosen = far.argmin(2)[..., None, None]
    return np.take_along_axis(places, chosen, 2)[:, :, 0], np.take_along_axis(options, chosen, 2)[:, :, 0]


def weld(vertices: np.ndarray, distance: float) -> np.ndarray:
    """For each vertex (V, 3) the number (V,) of its welded point, 0 upwards: those on one spot share a number.

    Args:
        distance: grid of the positions; two vertices in one cell of it are one.
    """
    cells = np.round(vertices / max(distance, 1e-12)).astype(np.int64)
    _, number = np.unique(cells, axis=0, return_inverse=True)
    return number.reshape(-1)


def components(triangles: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The connected piece (V,) int of each vertex, largest piece first; welded numbers (V,) count as connected.

    Vertices that no triangle uses are pieces of their own.
    """
    count = int(number.max()) + 1 if len(number) else 0
    pairs = number[triangles[:, [0, 1, 1, 2]].reshape(-1, 2)]
    graph = sparse.coo_matrix((np.ones(len(pairs), bool), pairs.T), shape=(count, count))
    _, labels = csgraph.connected_components(graph, directed=False)
    own = labels[number]
    sizes = np.bincount(own)
    rank = np.empty(len(sizes), int)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return rank[own]


def edges_of(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Undirected edges (E, 2), rising, and how many triangles use each (E,)."""
    pairs = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, counts = np.unique(pairs, axis=0, return_counts=True)
    return edges, counts


def boundary_vertices(triangles: np.ndarray, count: int) -> np.ndarray:
    """Whether each vertex (count,) lies on an open edge."""
    edges, used = edges_of(triangles)
    result = np.zeros(count, bool)
    result[edges[used == 1]] = True
    return result
