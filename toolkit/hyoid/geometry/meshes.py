# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportReturnType=false
"""Quad meshes as arrays: normals, triangles, glTF wedges, Catmull-Clark stencils.

Faces are (F, 4) vertex indices; a triangle repeats its last index. Normals point to the side from which corners run
counter-clockwise.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse


def triangulate(faces: np.ndarray) -> np.ndarray:
    """Triangles of quads, split along corners 0-2: (F, 4) -> (n, 3), same type; degenerate halves are left out."""
    triangles = np.stack([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]], 1).reshape(-1, 3)
    real = (triangles != np.roll(triangles, 1, axis=1)).all(1)
    return triangles[real]


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit vertex normals, weighted by area; zero where no face meets.

    Args:
        vertices: (..., V, 3). faces: (F, 4) quads or (F, 3) triangles.
    """
    return NormalPlan(faces, vertices.shape[-2])(vertices)


class NormalPlan:
    """Vertex normals of many poses of one mesh: the topology is turned into one sparse sum, made once."""

    def __init__(self, faces: np.ndarray, count: int) -> None:
        self._corners = np.asarray(faces)
        rows, columns = self._corners.T.ravel(), np.tile(np.arange(len(faces)), self._corners.shape[1])
        pairs = np.unique(np.stack([rows, columns], 1), axis=0)
        ones = np.ones(len(pairs), np.float32)
        self._sum = sparse.csr_matrix((ones, pairs.T), shape=(count, len(faces)))

    def __call__(self, vertices: np.ndarray) -> np.ndarray:
        """Unit normals (..., V, 3) float32 of vertices (..., V, 3)."""
        flat = np.asarray(vertices, np.float32).reshape(-1, *vertices.shape[-2:])
        result = np.empty_like(flat)
        a, b, c = self._corners[:, 0], self._corners[:, 1], self._corners[:, 2]
        d = self._corners[:, -1]
        for pose, normals in zip(flat, result, strict=True):
            # The cross product of the diagonals is twice the area vector, also where a corner is repeated.
            area = np.cross(pose[c] - pose[a], pose[d] - pose[b] if self._corners.shape[1] == 4 else pose[c] - pose[b])
            total = self._sum @ area
            length = np.linalg.norm(total, axis=1, keepdims=True)
            np.divide(total, length, out=normals, where=length > 0)
            normals[length[:, 0] == 0] = 0
        return result.reshape(vertices.shape)


def wedges(faces: np.ndarray, face_uv: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split vertices where the UVs have a seam, as glTF wants.

    Returns:
        vertex: (n,) int32, the vertex of each wedge; uv: (n,) int32, its UV row; faces: (F, 4) int32 into the wedges.
        Wedges are sorted by vertex, then UV.
    """
    pairs = np.stack([faces.ravel(), face_uv.ravel()], 1).astype(np.int64)
    unique, inverse = np.unique(pairs[:, 0] << 32 | pairs[:, 1], return_inverse=True)
    return (
        (unique >> 32).astype(np.int32),
        (unique & 0xFFFFFFFF).astype(np.int32),
        inverse.reshape(faces.shape).astype(np.int32),
    )


def _half_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per corner the undirected edge to the next corner (-1: the empty edge of a triangle), and the edges (E, 2)."""
    start, end = faces, np.roll(faces, -1, axis=1)
    key = np.minimum(start, end).astype(np.int64) << 32 | np.maximum(start, end)
    unique, inverse = np.unique(key, return_inverse=True)
    edges = np.stack([unique >> 32, unique & 0xFFFFFFFF], 1)
    real = edges[:, 0] != edges[:, 1]
    renumbered = np.where(real, np.cumsum(real) - 1, -1)
    return renumbered[inverse.reshape(faces.shape)], edges[real]


def _children(faces: np.ndarray, edge: np.ndarray, vertex_count: int, edge_count: int) -> np.ndarray:
    """The quads of one refinement step: one per corner, (corner, edge point, face point, previous edge point)."""
    face_point = np.broadcast_to(vertex_count + edge_count + np.arange(len(faces))[:, None], faces.shape)
    before = np.roll(edge, 1, axis=1)
    # In a triangle (last corner repeated) the edge from corner 2 to 3 is empty: corner 2 goes on to corner 0.
    triangle = edge[:, 2] < 0
    forward = edge.copy()
    forward[triangle, 2] = edge[triangle, 3]
    quads = np.stack([faces, vertex_count + forward, face_point, vertex_count + before], -1)
    keep = np.ones(faces.shape, bool)
    keep[triangle, 3] = False
    return quads[keep]


def _face_average(faces: np.ndarray, count: int) -> sparse.csr_matrix:
    triangle = faces[:, 2] == faces[:, 3]
    share = np.where(triangle[:, None], [[1 / 3, 1 / 3, 1 / 3, 0]], 0.25)
    rows = np.repeat(np.arange(len(faces)), 4)
    return sparse.csr_matrix((share.ravel(), (rows, faces.ravel())), shape=(len(faces), count))


def refine_linear(faces: np.ndarray, count: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """One step of midpoint refinement (for UVs): stencil (n, count) float64 and faces, ordered as Catmull-Clark's."""
    edge, edges = _half_edges(faces)
    rows = np.repeat(np.arange(len(edges)), 2)
    middle = sparse.csr_matrix((np.full(len(rows), 0.5), (rows, edges.ravel())), shape=(len(edges), count))
    stencil = sparse.vstack([sparse.identity(count), middle, _face_average(faces, count)], format="csr")
    return stencil, _children(faces, edge, count, len(edges)).astype(np.int32)


def catmull_clark(faces: np.ndarray, count: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """One Catmull-Clark step as a matrix, to be applied to positions, offsets and weights alike.

    Boundary edges follow the cubic B-spline curve rule; corners where several boundaries meet stay.

    Args:
        faces: (F, 4). count: number of vertices.

    Returns:
        stencil: (count + edges + F, count) float64, rows sum to 1; faces: (4 F or less, 4) int32.
    """
    edge, edges = _half_edges(faces)
    edge_count = len(edges)
    face_average = _face_average(faces, count)
    corner_face, corner_slot = np.nonzero(edge >= 0)
    corner_edge = edge[corner_face, corner_slot]
    faces_of_edge = np.bincount(corner_edge, minlength=edge_count)
    inner = faces_of_edge == 2
    ends = np.repeat(np.arange(edge_count), 2)
    middle = sparse.csr_matrix((np.full(len(ends), 0.5), (ends, edges.ravel())), shape=(edge_count, count))
    ones = np.ones(len(corner_edge))
    edge_faces = sparse.csr_matrix((ones, (corner_edge, corner_face)), shape=(edge_count, len(faces)))
    smooth_edge = 0.5 * middle + 0.25 * (edge_faces @ face_average)
    edge_points = sparse.diags(inner.astype(float)) @ smooth_edge + sparse.diags((~inner).astype(float)) @ middle

    def incidence(which: np.ndarray) -> sparse.csr_matrix:
        pairs = edges[which]
        rows, columns = pairs.T.ravel(), np.tile(np.nonzero(which)[0], 2)
        return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, edge_count))

    at_vertex = _face_average(faces, count).T.tocsr()
    at_vertex.data[:] = 1
    valence = np.asarray(at_vertex.sum(1)).ravel()
    around, border = incidence(inner), incidence(~inner)
    border_count = np.asarray(border.sum(1)).ravel()
    n = np.maximum(valence, 1)
    interior = (
        sparse.diags(1 / n**2) @ at_vertex @ face_average
        + sparse.diags(2 / n**2) @ around @ middle
        + sparse.diags((n - 3) / n)
    )
    curve = sparse.diags(np.full(count, 0.5)) + 0.25 * (border @ middle)
    is_inner = (border_count == 0) & (valence >= 3)
    is_curve = border_count == 2
    fixed = ~(is_inner | is_curve)
    vertex_points = (
        sparse.diags(is_inner.astype(float)) @ interior
        + sparse.diags(is_curve.astype(float)) @ curve
        + sparse.diags(fixed.astype(float))
    )
    stencil = sparse.vstack([vertex_points, edge_points, face_average], format="csr")
    stencil.eliminate_zeros()
    return stencil, _children(faces, edge, count, edge_count).astype(np.int32)
