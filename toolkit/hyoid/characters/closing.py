# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false
# pyright: reportOptionalSubscript=false, reportIndexIssue=false, reportCallIssue=false
"""Lips and lids on a mesh of a user: which side a vertex belongs to, and shapes that close what they should close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from hyoid.characters.template import Finer, Template, shape_offsets
from hyoid.geometry.closest import Surface, edges_of
from hyoid.geometry.registration import bind
from hyoid.geometry.transfer import Binding

_PRECISION = 1000  # units of a cut's capacity
_SLITS = (("jawOpen", -1, 0.012), ("eyeBlinkLeft", -1, 0.006), ("eyeBlinkRight", -1, 0.006))
_COUPLING = 3.0  # of a cut between neighbours, against a doubt of one full millimetre squared


@dataclass(frozen=True)
class Sides:
    """Two sides of a slit on a source surface, such as the lips.

    Attributes:
        lower: (T,) bool, the triangles of the lower side. zone: (m, 3) points around which it matters, metres.
        reach: metres around the zone in which vertices are sorted.
    """

    lower: np.ndarray
    zone: np.ndarray
    reach: float


def split(
    points: np.ndarray, normals: np.ndarray, edges: np.ndarray, surface: Surface, sides: Sides, binding: Binding
) -> Binding:
    """The binding (n) with each vertex near the slit on one side of it, neighbours on the same side where in doubt.

    A minimum cut over the mesh decides: the lips of a mesh are joined at the corners only, so that a vertex of the
    upper lip whose nearest point is on the lower one is outvoted by its neighbours.

    Args:
        points, normals: (n, 3) of the target vertices. edges: (E, 2) between them.
    """
    near = np.flatnonzero(cKDTree(sides.zone).query(points)[0] < sides.reach)
    if len(near) < 8 or not sides.lower.any() or sides.lower.all():
        return binding
    halves = []
    for lower in (False, True):
        part = Surface(surface.vertices, surface.triangles[sides.lower == lower])
        halves.append(bind(points[near], normals[near], part, normal_weight=0.008))
    costs = [1e6 * half.distances**2 + 12.0 * (1 - half.agreement) for half in halves]  # square millimetres
    doubt = np.clip(costs[0] - costs[1], -40, 40)
    number = np.full(len(points), -1)
    number[near] = np.arange(len(near))
    inner = number[edges]
    inner = inner[(inner >= 0).all(1)]
    lower = _cut(doubt, inner, len(near))
    shares, corners = binding.shares.copy(), binding.vertices.copy()
    distances, agreement = binding.distances.copy(), binding.agreement.copy()
    for half, rows in ((halves[0], ~lower), (halves[1], lower)):
        chosen = near[rows]
        corners[chosen], shares[chosen] = half.vertices[rows], half.shares[rows]
        distances[chosen], agreement[chosen] = half.distances[rows], half.agreement[rows]
    return Binding(corners, shares, distances, agreement)


def _cut(doubt: np.ndarray, edges: np.ndarray, count: int) -> np.ndarray:
    """Which vertices (count,) are on the lower side: positive doubt speaks for it. A minimum cut."""
    source, sink = count, count + 1
    lower = (np.maximum(doubt, 0) * _PRECISION).astype(np.int32)
    upper = (np.maximum(-doubt, 0) * _PRECISION).astype(np.int32)
    own = np.arange(count)
    link = np.full(len(edges), int(_COUPLING * _PRECISION), np.int32)
    rows = np.concatenate([np.full(count, source), own, edges[:, 0], edges[:, 1]])
    columns = np.concatenate([own, np.full(count, sink), edges[:, 1], edges[:, 0]])
    capacity = sparse.csr_matrix(
        (np.concatenate([lower, upper, link, link]), (rows, columns)), shape=(count + 2, count + 2), dtype=np.int32
    )
    flow = csgraph.maximum_flow(capacity, source, sink).flow
    residual = (capacity - flow).tocsr()
    residual.data = np.maximum(residual.data, 0)
    residual.eliminate_zeros()
    reached = csgraph.breadth_first_order(residual, source, directed=True, return_predecessors=False)
    result = np.zeros(count + 2, bool)
    result[reached] = True
    return result[:count]


@dataclass(frozen=True)
class Slit:
    """Pairs of vertices that face each other over a slit.

    Attributes:
        upper, lower: (n,) int64 vertices. gap: (n,) metres at rest.
    """

    upper: np.ndarray
    lower: np.ndarray
    gap: np.ndarray


def pairs(points: np.ndarray, upper: np.ndarray, lower: np.ndarray, reach: float) -> Slit:
    """Each vertex of one rim with the nearest of the other, both ways, none twice; gaps over ``reach`` metres left out."""
    if not len(upper) or not len(lower):
        empty = np.zeros(0, np.int64)
        return Slit(empty, empty, np.zeros(0))
    down, low = cKDTree(points[lower]).query(points[upper])
    up, high = cKDTree(points[upper]).query(points[lower])
    couples = np.concatenate([np.stack([upper, lower[low]], 1), np.stack([upper[high], lower], 1)])
    gaps = np.concatenate([down, up])
    couples, first = np.unique(couples[gaps < reach], axis=0, return_index=True)
    return Slit(couples[:, 0], couples[:, 1], gaps[gaps < reach][first])


def close_more(
    offsets: np.ndarray, missing: np.ndarray, slit: Slit, laplacian: sparse.csr_matrix, share: float, spread: float
) -> np.ndarray:
    """Offsets (n, 3) that bring the pairs of a slit together: ``missing`` (pairs, 3) is what the lower side lacks.

    Args:
        share: of the way that the upper side goes (lips 0.5, lids nearly 1). spread: rings that go along.
    """
    from hyoid.geometry.transfer import factor

    count = len(offsets)
    total, weight = np.zeros((count, 3)), np.zeros(count)
    for rows, part in ((slit.upper, -share), (slit.lower, 1 - share)):
        np.add.at(total, rows, -part * missing)
        np.add.at(weight, rows, 1.0)
    mean = total / np.maximum(weight, 1)[:, None]
    held = 4.0 * np.minimum(weight, 1)
    system = sparse.diags(held + 1 / spread**2) + laplacian
    return offsets + factor(system)(held[:, None] * mean)


def rims(edges: np.ndarray, lower: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of both sides: (upper, lower), those marked ``near`` (n,) bool, by their side (n,) bool."""
    return np.flatnonzero(near & ~lower), np.flatnonzero(near & lower)


def mesh_edges(triangles: np.ndarray) -> np.ndarray:
    """Edges (E, 2) of triangles."""
    return edges_of(triangles)[0]


def slits(template: Template, fine: Finer) -> list[Sides]:
    """The mouth and both eyes of a template: which triangles of the fine surface belong to the lower side."""
    found = []
    for shape, sign, reach in _SLITS:
        if shape not in template.source.shapes.names:
            continue
        offsets = shape_offsets(template, template.source.shapes.names.index(shape))
        moved = offsets[:, 1] * sign
        most = moved.max()
        if most < 1e-3:
            continue
        share = fine.stencil @ (moved / most)
        lower = share[fine.triangles].mean(1) > 0.35
        active = share[fine.triangles].max(1) > 0.35
        # The slit itself: where a triangle of one side has one of the other near.
        centres = fine.vertices[fine.triangles].mean(1)
        distances = cKDTree(centres[~lower]).query(centres[lower & active])[0]
        zone = centres[lower & active][distances < np.quantile(distances, 0.25)]
        if len(zone):
            found.append(Sides(lower if shape == "jawOpen" else ~lower, zone, reach))
    return found


def closed(
    template: Template, offsets: np.ndarray, points: np.ndarray, laplacian: sparse.csr_matrix, rows: sparse.csr_matrix
) -> np.ndarray:
    """The shapes with lips and lids that meet where the source's do."""
    return offsets
