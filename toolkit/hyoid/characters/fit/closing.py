# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false
"""Lips and lids on a mesh of a user: which side a vertex belongs to, and shapes that close what they should close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from hyoid.characters.fit.template import Finer, Template, shape_offsets
from hyoid.geometry.closest import Surface, edges_of
from hyoid.geometry.registration import bind
from hyoid.geometry.transfer import Binding, factor

_CLOSE_ENOUGH = 3e-4  # metres that a rim may miss
_SPREAD = 3.0  # rings of vertices that a correction of a rim reaches
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


@dataclass(frozen=True)
class Meeting:
    """What of a source touches under some shapes: pairs of template rows.

    Attributes:
        upper, lower: (n,) rows. gap: (n,) metres left between them along ``way`` in the source. way: (3,) unit, from
            the lower side to the upper. shapes: that close together; the last is the one to correct.
        share: of a correction that the upper side takes.
    """

    upper: np.ndarray
    lower: np.ndarray
    gap: np.ndarray
    way: np.ndarray
    shapes: tuple[str, ...]
    share: float


def meetings(template: Template) -> list[Meeting]:
    """The lids under a blink, and the lips under an open jaw that ``mouthClose`` closes."""
    names = template.source.shapes.names
    found = []
    for side in ("Left", "Right"):
        if f"eyeBlink{side}" in names:
            moved = shape_offsets(template, names.index(f"eyeBlink{side}"))
            found.append(_meeting(template, moved, moved, (f"eyeBlink{side}",), 0.95))
    if "mouthClose" in names and "jawOpen" in names:
        jaw = shape_offsets(template, names.index("jawOpen"))
        both = jaw + shape_offsets(template, names.index("mouthClose"))
        found.append(_meeting(template, -jaw, both, ("jawOpen", "mouthClose"), 0.5))
    return [meeting for meeting in found if meeting is not None]


def _meeting(
    template: Template, sides: np.ndarray, moved: np.ndarray, shapes: tuple[str, ...], share: float
) -> Meeting | None:
    """Pairs of rows that face each other over the slit once ``moved`` (n, 3) is applied.

    Args:
        sides: (n, 3) offsets that tell the sides: what they move down is the upper side where they are a blink, what
            they leave is the upper side where they are the reverse of an open jaw.
    """
    down = -sides[:, 1] / max(float(np.abs(sides[:, 1]).max()), 1e-9)
    lids = share > 0.5
    upper = np.flatnonzero(down > 0.6 if lids else (down > -0.15) & template.face)
    lower = np.flatnonzero((np.abs(down) < 0.25) & template.face if lids else down < -0.45)
    if not len(upper) or not len(lower):
        return None
    after, before = template.rest + moved, template.rest
    distances, nearest = cKDTree(after[lower]).query(after[upper])
    apart = np.linalg.norm(before[upper] - before[lower[nearest]], axis=1)
    # Lids that meet were apart before; lips that meet were together before the jaw opened.
    chosen = distances < 0.0025
    chosen &= (apart > 0.003) if lids else (apart < 0.003)
    if chosen.sum() < 3:
        return None
    top, bottom = upper[chosen], lower[nearest[chosen]]
    way = -sides[top].mean(0) if lids else (sides[bottom] - sides[top]).mean(0)
    way = way / np.linalg.norm(way)
    return Meeting(top, bottom, (after[top] - after[bottom]) @ way, way, shapes, share)


def closed(
    template: Template, found_meetings: list[Meeting], on_template: np.ndarray, offsets: np.ndarray,
    points: np.ndarray, laplacian: sparse.csr_matrix, scale: float,
) -> np.ndarray:  # fmt: skip
    """The shapes (K, m, 3) with lips and lids that come as near to each other as the source's do.

    Args:
        on_template: (K, n, 3), the shapes on the template that lies on the mesh. points: (m, 3) of the mesh.
        laplacian: (m, m) over its edges. scale: of the mesh against the source.
    """
    names = template.source.shapes.names
    tree = cKDTree(points)
    result = offsets.copy()
    for meeting in found_meetings:
        ends = [template.placed[rows] for rows in (meeting.upper, meeting.lower)]
        first = names.index(meeting.shapes[0])
        upper, lower = (
            _same_side(tree, places, on_template[first][rows], offsets[first], scale)
            for places, rows in zip(ends, (meeting.upper, meeting.lower), strict=True)
        )
        near = (upper >= 0) & (lower >= 0)
        if near.sum() < 3:
            continue
        upper, lower = upper[near], lower[near]
        shapes = [names.index(shape) for shape in meeting.shapes]
        way = meeting.way
        rest = (ends[0][near] - ends[1][near]) @ way
        moved = sum(result[index] for index in shapes)
        missing = rest + (moved[upper] - moved[lower]) @ way - scale * meeting.gap[near]
        missing = np.sign(missing) * np.clip(np.abs(missing) - _CLOSE_ENOUGH * scale, 0, 0.004 * scale)
        result[shapes[-1]] = _push(result[shapes[-1]], missing, way, upper, lower, laplacian, meeting.share)
    return result


def _same_side(tree: cKDTree, places: np.ndarray, wanted: np.ndarray, offsets: np.ndarray, scale: float) -> np.ndarray:
    """The nearest vertex (n,) of the mesh that moves like the place (n, 3) does, so on its side of the slit, or -1."""
    distances, nearest = tree.query(places, 8)
    alike = np.linalg.norm(offsets[nearest] - wanted[:, None], axis=2)
    usual = max(float(np.linalg.norm(wanted, axis=1).max()), 0.002 * scale)
    good = (alike < 0.3 * usual) & (distances < 0.006 * scale)
    found = nearest[np.arange(len(places)), np.where(good, distances, np.inf).argmin(1)]
    return np.where(good.any(1), found, -1)


def _push(
    offsets: np.ndarray, missing: np.ndarray, way: np.ndarray, upper: np.ndarray, lower: np.ndarray,
    laplacian: sparse.csr_matrix, share: float,
) -> np.ndarray:  # fmt: skip
    """Offsets (m, 3) with ``missing`` (pairs,) metres taken up along ``way``, falling off over a few rings."""
    count = len(offsets)
    total, weight = np.zeros(count), np.zeros(count)
    for rows, part in ((upper, -share), (lower, 1 - share)):
        np.add.at(total, rows, part * missing)
        np.add.at(weight, rows, 1.0)
    held = 3.0 * np.minimum(weight, 1)
    push = factor(sparse.diags(held + 1 / _SPREAD**2) + laplacian)(held * total / np.maximum(weight, 1))
    return offsets + push[:, None] * way
