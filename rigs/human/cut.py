# SPDX-License-Identifier: Apache-2.0
# pyright: reportReturnType=false
"""Cuts the body at the shoulders: a smooth bust edge, made by sliding vertices along their edges onto a curve."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def bust(vertices: np.ndarray, base_of_neck: np.ndarray) -> np.ndarray:
    """Positive inside the bust, negative outside: a rounded box under the neck. vertices: (n, 3) metres."""
    side = np.abs(vertices[:, 0]) / 0.185
    down = np.maximum(base_of_neck[1] - vertices[:, 1], 0) / np.where(vertices[:, 2] > 0.03, 0.155, 0.115)
    return 1 - (side**3 + down**3) ** (1 / 3)


def cut(
    inside: np.ndarray, faces: np.ndarray, uv: np.ndarray, face_uv: np.ndarray
) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Keep the part of a mesh where ``inside`` is positive.

    Args:
        inside: (V,) signed. faces: (F, 4) quads. uv: (U, 2). face_uv: (F, 4).

    Returns:
        rows: (v, V) stencil of the new vertices; kept: (v,) the old vertex of each; faces; uv; face_uv.
    """
    count = len(inside)
    edges = np.unique(np.sort(np.concatenate([faces[:, [i, (i + 1) % 4]] for i in range(4)]), axis=1), axis=0)
    crossing = edges[(inside[edges[:, 0]] > 0) != (inside[edges[:, 1]] > 0)]
    a, b = crossing.T
    share = inside[a] / (inside[a] - inside[b])
    # The nearer end of every crossing edge slides onto the curve; a vertex with several takes its shortest way.
    movers = np.where(share < 0.5, a, b)
    targets = np.where(share < 0.5, b, a)
    ways = np.where(share < 0.5, share, 1 - share)
    order = np.lexsort((targets, ways, movers))
    first = np.ones(len(order), bool)
    first[1:] = movers[order][1:] != movers[order][:-1]
    mover, target, way = movers[order][first], targets[order][first], ways[order][first]
    state = np.where(inside > 0, 1, -1)
    state[mover] = 0
    new_faces, new_uv = _keep(state[faces], faces, face_uv)
    slide = {int(m): (int(t), float(w)) for m, t, w in zip(mover, target, way, strict=True)}
    kept = np.unique(new_faces)
    rows = sparse.lil_matrix((len(kept), count))
    for row, vertex in enumerate(kept):
        other, part = slide.get(int(vertex), (int(vertex), 0.0))
        rows[row, other] += part
        rows[row, vertex] += 1 - part
    moved_uv = _slide_uv(uv, faces, face_uv, new_faces, new_uv, slide)
    used, renumbered = np.unique(new_uv, return_inverse=True)
    lookup = np.full(count, -1)
    lookup[kept] = np.arange(len(kept))
    return rows.tocsr(), kept, lookup[new_faces], moved_uv[used], renumbered.reshape(new_faces.shape)


def _keep(states: np.ndarray, faces: np.ndarray, face_uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole quads, and triangles where one corner of a quad was cut off."""
    out = (states < 0).sum(1)
    whole = (out == 0) & (states > 0).any(1)
    pieces, uv_pieces = [faces[whole]], [face_uv[whole]]
    for corner in range(4):
        chosen = (out == 1) & (states[:, corner] < 0) & (states > 0).any(1)
        ring = [(corner + 1) % 4, (corner + 2) % 4, (corner + 3) % 4, (corner + 3) % 4]
        pieces.append(faces[chosen][:, ring])
        uv_pieces.append(face_uv[chosen][:, ring])
    return np.concatenate(pieces), np.concatenate(uv_pieces)


def _slide_uv(uv, faces, face_uv, new_faces, new_uv, slide) -> np.ndarray:
    """UVs moved as their vertices were, along the same edge on the same side of a seam where there is one."""
    ends: dict[tuple[int, int], int] = {}
    for face, corner_uv in zip(faces.tolist(), face_uv.tolist(), strict=True):
        for corner in range(4):
            for step in (1, 3):
                ends[corner_uv[corner], face[(corner + step) % 4]] = corner_uv[(corner + step) % 4]
    result = uv.copy()
    for vertex, place in {(int(v), int(u)) for v, u in zip(new_faces.ravel(), new_uv.ravel(), strict=True)}:
        if vertex in slide:
            target, part = slide[vertex]
            if (place, target) in ends:
                result[place] = (1 - part) * uv[place] + part * uv[ends[place, target]]
    return result
