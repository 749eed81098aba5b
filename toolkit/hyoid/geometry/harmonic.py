# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""A smooth height over any mesh between two of its regions, and spline weights along that height."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.interpolate import BSpline
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

_SHORTEST = 1e-6  # of the mean edge: doubled vertices pull hard, but not without end


def edges_of(faces: np.ndarray) -> np.ndarray:
    """The undirected edges (n, 2) of quads (F, 4) or triangles (F, 3), each once; repeated corners have none."""
    corners = faces.shape[1]
    edges = np.concatenate([faces[:, [i, (i + 1) % corners]] for i in range(corners)])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    return edges[edges[:, 0] != edges[:, 1]]


def level_field(faces: np.ndarray, vertices: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """A height on the surface, 0 at ``bottom`` to 1 at ``top`` and harmonic between the two: no bumps of its own.

    The graph Laplacian with inverse edge lengths is solved once. Components without either region (eyeballs, teeth,
    single vertices) are rigid: each takes the height of the vertex that lies nearest to its middle.

    Args:
        faces: (F, 4) quads, a triangle repeats its last corner, or (F, 3). vertices: (V, 3) any unit.
        top, bottom: (V,) bool; where both hold, ``top`` wins.

    Returns:
        (V,) float64.

    Raises:
        ValueError: a region is empty, so that there is nothing to rise from or to.
    """
    if not top.any() or not bottom.any():
        raise ValueError("a height field needs a region at each end")
    count = len(vertices)
    edges = edges_of(faces)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    pull = 1 / np.maximum(length, _SHORTEST * length.mean())
    adjacency = sparse.coo_matrix((pull, edges.T), shape=(count, count))
    adjacency = (adjacency + adjacency.T).tocsr()
    laplacian = sparse.diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency
    fixed = top | bottom
    level = np.where(top, 1.0, 0.0)
    component = connected_components(adjacency, directed=False)[1]
    reached = np.isin(component, component[fixed])
    free, known = np.flatnonzero(~fixed & reached), np.flatnonzero(fixed)
    if len(free):
        level[free] = spsolve(laplacian[free][:, free].tocsc(), -laplacian[free][:, known] @ level[known])
    _settle(level, vertices, component, reached)
    return level


def _settle(level: np.ndarray, vertices: np.ndarray, component: np.ndarray, reached: np.ndarray) -> None:
    """Give every component that was not ``reached`` one height, in place."""
    if reached.all():
        return
    from scipy.spatial import cKDTree

    places = np.flatnonzero(reached)
    _, names = np.unique(component[~reached], return_inverse=True)
    sizes = np.bincount(names)
    middles = np.stack([np.bincount(names, vertices[~reached, axis]) / sizes for axis in range(3)], 1)
    nearest = cKDTree(vertices[places]).query(middles)[1]
    level[~reached] = level[places[nearest]][names]


def spline_weights(level: np.ndarray, count: int = 9) -> np.ndarray:
    """``count`` clamped quadratic B-splines (n, count) over heights (n,) 0..1; rows sum to 1."""
    knots = np.concatenate([[0, 0], np.linspace(0, 1, count - 1), [1, 1]])
    basis = BSpline.design_matrix(np.clip(level, 0, 1), knots, 2).toarray()
    return np.where(basis < 1e-12, 0, basis)
