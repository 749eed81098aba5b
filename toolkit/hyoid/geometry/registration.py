# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Bringing one surface onto another: similarity transforms, iterated closest points, smooth non-rigid registration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from hyoid.geometry.closest import Surface, boundary_vertices, point_normals, triangle_areas
from hyoid.geometry.transfer import Binding, factor, graph_laplacian


@dataclass(frozen=True)
class Similarity:
    """``scale * rotation @ p + translation``.

    Attributes:
        scale: positive. rotation: (3, 3). translation: (3,).
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) moved."""
        return self.scale * points @ self.rotation.T + self.translation

    def unapply(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) moved back."""
        return (points - self.translation) @ self.rotation / self.scale

    def after(self, first: Similarity) -> Similarity:
        """This one after ``first``."""
        return Similarity(
            self.scale * first.scale, self.rotation @ first.rotation, self.apply(first.translation[None])[0]
        )


IDENTITY = Similarity(1.0, np.eye(3), np.zeros(3))


def procrustes(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None, *, scaled: bool = True
) -> Similarity:
    """The similarity that takes points (n, 3) nearest to others (n, 3) in least squares; no mirroring.

    Args:
        weights: (n,), or None for equal ones. scaled: False keeps the scale at 1.
    """
    weights = np.ones(len(source)) if weights is None else weights
    total = max(float(weights.sum()), 1e-30)
    centre_source, centre_target = weights @ source / total, weights @ target / total
    away, wanted = source - centre_source, target - centre_target
    left, sizes, right = np.linalg.svd(wanted.T @ (weights[:, None] * away))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right)) or 1.0])
    rotation = (left * signs) @ right
    spread = float(weights @ (away**2).sum(1))
    scale = float((sizes * signs).sum() / spread) if scaled and spread > 0 else 1.0
    scale = max(scale, 1e-12)
    return Similarity(scale, rotation, centre_target - scale * rotation @ centre_source)


def sample_points(vertices: np.ndarray, triangles: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """``count`` points (count, 3) spread over a surface by area, or over the vertices where there is no surface.

    The same arguments give the same points.
    """
    random = np.random.default_rng(seed)
    if len(triangles) == 0:
        chosen = random.permutation(len(vertices))[:count]
        return vertices[np.sort(chosen)]
    areas = triangle_areas(vertices, triangles)
    total = np.cumsum(areas)
    # Evenly spaced shares of the area with a little noise: no clumps.
    places = (np.arange(count) + random.random(count)) / count * total[-1]
    chosen = np.minimum(np.searchsorted(total, places), len(triangles) - 1)
    u, v = random.random((2, count))
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    a, b, c = (vertices[triangles[chosen, i]] for i in range(3))
    return a + u[:, None] * (b - a) + v[:, None] * (c - a)


def turns(count: int) -> np.ndarray:
    """Rotation matrices (24 + count, 3, 3): the 24 of a cube, then ``count`` spread evenly over all rotations."""
    cube = []
    for x in range(3):
        for y in range(3):
            if x == y:
                continue
            for first in (1.0, -1.0):
                for second in (1.0, -1.0):
                    matrix = np.zeros((3, 3))
                    matrix[0, x], matrix[1, y] = first, second
                    matrix[2] = np.cross(matrix[0], matrix[1])
                    cube.append(matrix)
    cube.sort(key=lambda matrix: -np.trace(matrix))
    if not count:
        return np.array(cube)
    # Super-Fibonacci spirals: Alexa, "Super-Fibonacci Spirals: Fast, Low-Discrepancy Sampling of SO(3)", CVPR 2022.
    step = np.arange(count) + 0.5
    share = step / count
    first, second = np.sqrt(share), np.sqrt(1 - share)
    alpha, beta = 2 * np.pi * step / np.sqrt(2), 2 * np.pi * step / 1.533751168755204288118041
    quaternion = np.stack(
        [first * np.sin(alpha), first * np.cos(alpha), second * np.sin(beta), second * np.cos(beta)], -1
    )
    from hyoid.geometry.rotations import to_matrix

    return np.concatenate([np.array(cube), to_matrix(quaternion)])


@dataclass(frozen=True)
class Cloud:
    """Points of a surface that ICP can ask for neighbours: points (n, 3), normals (n, 3) and their tree."""

    points: np.ndarray
    normals: np.ndarray
    tree: cKDTree

    @classmethod
    def of(cls, points: np.ndarray, normals: np.ndarray) -> Cloud:
        """Build the tree."""
        return cls(points, normals, cKDTree(points))


def icp(
    source: np.ndarray,
    target: Cloud,
    start: Similarity,
    *,
    rounds: int,
    kept: float = 0.8,
    scaled: bool = False,
    scale_range: tuple[float, float] = (0.8, 1.25),
) -> tuple[Similarity, float]:
    """Trimmed point-to-plane ICP from a start: the similarity and the mean distance of the kept points, metres.

    Args:
        source: (n, 3) points to move. kept: share of the points, the nearest, that count.
        scaled: let the scale follow, within ``scale_range`` times that of the start.
    """
    found = start
    count = max(int(kept * len(source)), 6)
    low, high = (start.scale * limit for limit in scale_range)
    for _ in range(rounds):
        moved = found.apply(source)
        distances, nearest = target.tree.query(moved)
        rows = np.argpartition(distances, count - 1)[:count]
        step = _plane_step(moved[rows], target.points[nearest[rows]], target.normals[nearest[rows]], scaled)
        found = step.after(found)
        if not low <= found.scale <= high:
            centre = found.apply(source.mean(0)[None])[0]
            limited = float(np.clip(found.scale, low, high))
            found = Similarity(limited, found.rotation, centre - limited * found.rotation @ source.mean(0))
    distances, _ = target.tree.query(found.apply(source))
    return found, float(np.sort(distances)[:count].mean())


def _plane_step(points: np.ndarray, wanted: np.ndarray, normals: np.ndarray, scaled: bool) -> Similarity:
    """One linearised step of point-to-plane ICP with a little point-to-point so that flat parts stay put."""
    centre = points.mean(0)
    away, gap = points - centre, wanted - points
    size = np.sqrt((away**2).mean()) + 1e-12
    robust = 1 / (1 + (gap**2).sum(1) / (4 * np.median((gap**2).sum(1)) + 1e-18))
    columns = [np.cross(away / size, normals), normals]
    if scaled:
        columns.append((away * normals).sum(1, keepdims=True) / size)
    rows = np.concatenate(columns, 1)
    right = (gap * normals).sum(1)
    matrix = rows.T @ (robust[:, None] * rows)
    vector = rows.T @ (robust * right)
    # Point to point, a tenth as strong: three rows a point.
    eye = np.broadcast_to(np.eye(3), (len(points), 3, 3))
    skew = _skew(away / size).transpose(0, 2, 1)
    parts = [skew.transpose(0, 1, 2), eye]
    full = np.concatenate([*parts, (away / size)[..., None]] if scaled else parts, 2)
    matrix += 0.1 * np.einsum("nij,n,nik->jk", full, robust, full)
    vector += 0.1 * np.einsum("nij,n,ni->j", full, robust, gap)
    solution = np.linalg.solve(matrix + 1e-9 * np.trace(matrix) * np.eye(len(matrix)), vector)
    from hyoid.geometry.rotations import from_rotation_vector, to_matrix

    angle = solution[:3] / size
    length = np.linalg.norm(angle)
    if length > 0.5:
        angle *= 0.5 / length
    rotation = to_matrix(from_rotation_vector(angle))
    scale = float(np.clip(1 + solution[6] / size, 0.9, 1.1)) if scaled else 1.0
    return Similarity(scale, rotation, centre + solution[3:6] - scale * rotation @ centre)


def _skew(vectors: np.ndarray) -> np.ndarray:
    """(n, 3, 3) with ``_skew(v) @ w == cross(v, w)``."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)


@dataclass(frozen=True)
class Step:
    """One stretch of a registration.

    Attributes:
        stiffness: against bending, falling from step to step. membrane: against stretching.
        reach: metres; a partner farther away does not count. normal_weight: metres, see ``Surface.closest``.
        rounds: closest point searches.
    """

    stiffness: float
    membrane: float
    reach: float
    normal_weight: float
    rounds: int


COARSE_TO_FINE: tuple[Step, ...] = (
    Step(300.0, 3.0, 0.060, 0.060, 4),
    Step(60.0, 1.0, 0.040, 0.050, 4),
    Step(12.0, 0.3, 0.025, 0.040, 4),
    Step(3.0, 0.1, 0.015, 0.030, 4),
    Step(0.8, 0.03, 0.010, 0.020, 4),
)


def register(
    source: np.ndarray,
    triangles: np.ndarray,
    target: Surface,
    *,
    steps: Sequence[Step] = COARSE_TO_FINE,
    weights: np.ndarray | None = None,
    pins: tuple[np.ndarray, np.ndarray] | None = None,
    start: np.ndarray | None = None,
    progress: Callable[[float, str], None] = lambda fraction, what: None,
) -> np.ndarray:
    """Source vertices (V, 3) drawn onto a target surface, smoothly, with the source's own triangles.

    Partners are nearest points that face the same way; those beyond reach, on the rim of a hole, or facing away do not
    count, so holes and missing parts are bridged by the stiffness.

    Args:
        source: (V, 3) metres, roughly in place. triangles: (T, 3).
        weights: (V,) how much each source vertex wants a partner, or None for 1.
        pins: vertex numbers (n,) and where they belong (n, 3), held at all stages.
        start: (V, 3) where to begin, or None for ``source``; smoothness is measured against ``source``.
        progress: is told the share that is done, 0..1, and what is being done.
    """
    source = np.asarray(source, np.float64)
    count = len(source)
    laplacian = graph_laplacian(source, triangles)
    bending = (laplacian.T @ laplacian).tocsr()
    weights = np.ones(count) if weights is None else weights
    rim = boundary_vertices(target.triangles, len(target.vertices))
    moved = source.copy() if start is None else np.asarray(start, np.float64).copy()
    total, done = sum(step.rounds for step in steps), 0
    for step in steps:
        for _ in range(step.rounds):
            progress(done / total, "fitting the surface")
            done += 1
            normals = point_normals(moved, triangles)
            hits = target.closest(moved, normals, weight=step.normal_weight)
            facing = (target.smooth_normals(hits) * normals).sum(1)
            share = weights * np.clip((facing - 0.2) / 0.4, 0, 1) * np.clip(1.5 - hits.distances / step.reach, 0, 1)
            share[_on_rim(hits.triangles, hits.barycentric, target, rim)] = 0
            # Along the surface the partner is uncertain: it pulls fully across it and a little along it.
            gap = hits.points - moved
            across = (gap * normals).sum(1, keepdims=True) * normals
            wanted = moved + across + 0.35 * (gap - across) - source
            diagonal = share + 1e-7
            right = share[:, None] * wanted
            if pins is not None:
                diagonal[pins[0]] += 20.0
                right[pins[0]] += 20.0 * (pins[1] - source[pins[0]])
            system = sparse.diags(diagonal) + step.stiffness * bending + step.membrane * laplacian
            moved = source + factor(system)(right)
    return moved


def _on_rim(triangles: np.ndarray, barycentric: np.ndarray, target: Surface, rim: np.ndarray) -> np.ndarray:
    """Whether each hit (n,) lies on an open edge of the target: both corners that carry it are on the rim."""
    corners = rim[target.triangles[triangles]]
    return (barycentric * corners).sum(1) > 0.999


def bind(points: np.ndarray, normals: np.ndarray, surface: Surface, *, normal_weight: float = 0.01) -> Binding:
    """The nearest points of a surface that face the same way as each of the points (n, 3)."""
    hits = surface.closest(points, normals, weight=normal_weight, neighbours=16)
    agreement = (surface.smooth_normals(hits) * normals).sum(1)
    return Binding(surface.triangles[hits.triangles], hits.barycentric, hits.distances, agreement)
