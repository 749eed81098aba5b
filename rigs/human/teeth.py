# SPDX-License-Identifier: Apache-2.0
"""Teeth: fourteen crowns and a gum ridge for each jaw, in place of the data's two bare strips of 68 vertices.

The crowns stand along the dental arch of the strip. Every vertex is a fixed affine combination of strip vertices near
it (least squares with weights that fall off: exact for every affine motion), so teeth follow phenotype and shapes.
Only quads, meant for one or two Catmull-Clark steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.interpolate import CubicSpline

from rigs.human.atlas import cloud, mix, step, tone
from rigs.human.hairs import grid_of, islands

STRIPS = {"upper": slice(15060, 15128), "lower": slice(14992, 15060)}

# Millimetres, from the middle outwards: width along the arch, height of the crown, depth at the neck and at the edge.
_SIZES = {
    "upper": (
        (8.6, 10.3, 6.6, 2.2), (6.9, 9.0, 6.0, 2.1), (7.7, 9.9, 7.4, 3.0), (7.1, 8.4, 8.6, 6.2),
        (7.0, 7.7, 8.8, 6.6), (10.2, 7.4, 10.6, 8.8), (9.6, 7.0, 10.4, 8.6),
    ),
    "lower": (
        (5.6, 8.6, 5.8, 1.9), (6.1, 8.8, 6.0, 2.0), (7.0, 9.8, 7.2, 2.8), (7.1, 8.4, 7.8, 5.8),
        (7.2, 7.8, 8.2, 6.4), (10.8, 7.3, 10.2, 8.6), (10.4, 7.0, 10.0, 8.4),
    ),
}  # fmt: skip
_SCALE = 1.06
_EDGE_SHIFT = {"upper": 0.0007, "lower": 0.0006}  # how far the edges pass the strip's own edge
_INSET = {"upper": 0.0004, "lower": 0.0026}  # how far the faces stand behind the strip: the uppers overlap the lowers
_RINGS = (-0.30, 0.10, 0.62, 1.0)  # heights on the crown, 0 at the gum and 1 at the edge
_WIDTHS = (0.74, 0.90, 1.13, 1.05)
_LABIAL = (-0.50, -0.20, 0.20, 0.50)
_SECTION = ((1.25, 0.35, 0.02), (0.62, 0.55, 0.18), (0.02, 0.50, 0.40), (0.0, -0.5, 0.45))


@dataclass(frozen=True)
class Jaw:
    """The teeth and gum of one jaw.

    Attributes:
        rows: (n, base vertices) each vertex as a combination of base vertices. faces: (m, 4), corners of ``uv`` too.
        uv: (n, 2) on :func:`colour`.
    """

    rows: sparse.csr_matrix
    faces: np.ndarray
    uv: np.ndarray


@dataclass(frozen=True)
class _Arch:
    """The arch as functions of the length along it from the middle (metres, left positive)."""

    edge: CubicSpline
    root: CubicSpline
    length: float
    down: float

    def frame(self, place: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Point on the edge line, unit tangent (to the left), outward normal and the way from gum to edge."""
        point = self.edge(place)
        tangent = self.edge(place, 1) * (1.0, 0.0, 1.0)
        tangent /= np.linalg.norm(tangent)
        way = point - self.root(place)
        way = np.array([0.0, self.down, 0.0]) * 0.75 + 0.25 * way / np.linalg.norm(way)
        way /= np.linalg.norm(way)
        outward = np.cross(tangent, (0.0, 1.0, 0.0))
        outward -= way * (outward @ way)
        outward /= np.linalg.norm(outward)
        return point, tangent, outward if outward[2] > 0 or abs(place) > 0.02 else -outward, way


def build(jaw: str, vertices: np.ndarray, faces: np.ndarray) -> Jaw:
    """The teeth of one jaw (``upper`` or ``lower``).

    vertices: (V, 3) base mesh, metres, +Y up. faces: (F, 4) its quads.
    """
    strip = STRIPS[jaw]
    arch = _arch(jaw, vertices, faces)
    points, quads, uv, start = [], [], [], 0
    for side in (1, -1):
        place = -0.0003  # the two in the middle touch
        for number, size in enumerate(_SIZES[jaw]):
            width, height, neck, edge = (value * _SCALE * 1e-3 for value in size)
            slot = number + 7 * (side < 0)
            p, u = _crown(arch, side * (place + width / 2), (width, height, neck, edge), slot, jaw)
            points.append(p)
            uv.append(u)
            quads.append(_crown_faces() + start)
            start += len(p)
            place += width
    p, q, u = _gum(arch, jaw)
    points.append(p)
    uv.append(u)
    quads.append(q + start)
    place = np.concatenate(points)
    corners = outward_faces(place, np.concatenate(quads))
    return Jaw(_bind(place, vertices, strip), corners, np.concatenate(uv))


def _arch(jaw: str, vertices: np.ndarray, faces: np.ndarray) -> _Arch:
    """The arch of the data's strip, made symmetric."""
    strip = STRIPS[jaw]
    grid = grid_of(faces[((faces >= strip.start) & (faces < strip.stop)).all(axis=1)])
    grid = grid.T if grid.shape[0] > grid.shape[1] else grid
    down = -1.0 if jaw == "upper" else 1.0
    if vertices[grid[0], 1].mean() * down > vertices[grid[-1], 1].mean() * down:
        grid = grid[::-1]
    lines = vertices[grid]
    lines = lines if lines[0, 0, 0] < lines[0, -1, 0] else lines[:, ::-1]
    lines = (lines + lines[:, ::-1] * (-1.0, 1.0, 1.0)) / 2
    edge, root = lines[2], lines[0]
    flat = np.linalg.norm(np.diff(edge, axis=0)[:, [0, 2]], axis=1)
    along = np.concatenate([[0.0], np.cumsum(flat)])
    along -= along[len(along) // 2]
    return _Arch(CubicSpline(along, edge), CubicSpline(along, root), float(along[-1]), down)


def _crown(arch: _Arch, place: float, size: tuple[float, float, float, float], slot: int, jaw: str):
    """One crown: rings of eight points (four on the outer face, four on the inner), (32, 3), and their uv."""
    width, height, neck, edge = size
    point, tangent, outward, way = arch.frame(place)
    side = 1.0 if place > 0 else -1.0
    point = point + way * _EDGE_SHIFT[jaw] - outward * _INSET[jaw]
    points, uv = [], []
    molar = slot % 7 > 4
    for ring, (level, share) in enumerate(zip(_RINGS, _WIDTHS, strict=True)):
        depth = np.interp(level, (0.0, 0.35, 1.0), (neck * 0.92, neck, edge))
        lean = -0.10 * neck * (1 - max(level, 0.0)) ** 2 + 0.35 * max(0.0, -level) * -neck
        belly = 0.05 * neck * np.sin(np.pi * np.clip(level, 0, 1))
        tip = way * (level - 1) * height
        for across in _LABIAL:
            out = lean + belly - (0.16 if not molar else 0.10) * width * (abs(across) > 0.3)
            drop = _edge_drop(slot % 7, across * side, height) if ring == 3 else 0.0
            points.append(point + tip + tangent * across * width * share + outward * out - way * drop)
            uv.append(((slot + 0.5 + 0.94 * across) / 14, 0.5 + 0.42 * np.clip(level, 0, 1)))
        for across in _LABIAL[::-1]:
            inner = lean - depth + 0.12 * width * (abs(across) > 0.3)
            drop = _edge_drop(slot % 7, across * side, height) if ring == 3 else 0.0
            points.append(point + tip + tangent * across * width * share * 0.86 + outward * inner - way * drop)
            uv.append(((slot + 0.5 + 0.94 * across) / 14, 0.5 + 0.46 * np.clip(level, 0, 1)))
    return np.array(points), np.array(uv)


def _edge_drop(kind: int, across: float, height: float) -> float:
    """How far the edge stays back at a corner: incisors round off outwards, canines have a tip."""
    if kind == 2:
        return 0.13 * height * (abs(across) > 0.3)
    outer = 0.085 if kind == 1 else 0.05
    return (
        height * (outer if across > 0.3 else 0.015 if across < -0.3 else 0.0)
        if kind < 2
        else 0.06 * height * (abs(across) > 0.3)
    )


def _crown_faces() -> np.ndarray:
    ring = np.arange(8)
    walls = [
        np.stack([r * 8 + ring, r * 8 + (ring + 1) % 8, r * 8 + 8 + (ring + 1) % 8, r * 8 + 8 + ring], 1)
        for r in range(3)
    ]
    cap = np.array([[24 + k, 25 + k, 30 - k, 31 - k] for k in range(3)])
    return np.concatenate([*walls, cap])


def _gum(arch: _Arch, jaw: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gum: a ridge whose margin rises between the teeth. Points (n, 3), quads (m, 4), uv (n, 2)."""
    stations = []
    for side in (-1, 1):
        place = 0.0
        for number, (width, height, neck, _) in enumerate(_SIZES[jaw]):
            for share, papilla in ((0.5, 0.0), (1.0, 0.30)):
                stations.append((side * (place + share * width), height, neck, papilla * (1.0 if number < 6 else 0.2)))
            place += width
    stations.append((0.0, _SIZES[jaw][0][1], _SIZES[jaw][0][2], 0.30))
    stations.sort()
    points, uv = [], []
    last = len(_SECTION) - 1
    for number, (place, height, neck, papilla) in enumerate(stations):
        height, neck = height * _SCALE * 1e-3, neck * _SCALE * 1e-3
        point, _, outward, way = arch.frame(place * _SCALE * 1e-3)
        point = point + way * (_EDGE_SHIFT[jaw] - height) - outward * (_INSET[jaw] + 0.45 * neck)
        u = number / (len(stations) - 1)
        section = [(*row, 1.0) for row in _SECTION[:last]] + [(*_SECTION[last][:1], 0.0, _SECTION[last][2], 0.0)]
        section += [(*row, -1.0) for row in _SECTION[last - 1 :: -1]]
        for back, wide, v, face in section:
            thick = wide * neck * 1.10 * (0.80 if papilla and v > 0.3 else 1.0)
            rise = papilla * height * step(np.array(v), 0.15, 0.42) * (1.0 if v < 0.44 else 0.9)
            points.append(point + outward * face * thick - way * (back * 0.0080 - float(rise) - 0.0004))
            uv.append((u, v))
    rows, count = len(stations), 2 * last + 1
    index = np.arange(rows * count).reshape(rows, count)
    quads = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1).reshape(-1, 4)
    return np.array(points), quads, np.array(uv)


def outward_faces(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces with every connected piece turned so that its normals point away from its middle."""
    result = []
    for piece in islands(faces):
        corners = points[piece] - points[np.unique(piece)].mean(axis=0)
        normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
        result.append(piece if np.einsum("fc,fc->", normal, corners.mean(axis=1)) > 0 else piece[:, ::-1])
    return np.concatenate(result)


def _bind(points: np.ndarray, vertices: np.ndarray, strip: slice) -> sparse.csr_matrix:
    """Each point as an affine combination of strip vertices, the nearer the heavier."""
    known = vertices[strip]
    rows, columns, weights = [], [], []
    for row, point in enumerate(points):
        gap = np.linalg.norm(known - point, axis=1)
        near = np.argsort(gap, kind="stable")[:20]
        trust = np.exp(-((gap[near] / (0.35 * gap[near[-1]] + 0.004)) ** 2)) + 1e-4
        system = np.concatenate([np.ones((1, len(near))), (known[near] - point).T * 100])
        scaled = system * trust
        solved = scaled.T @ np.linalg.solve(scaled @ system.T, np.array([1.0, 0.0, 0.0, 0.0]))
        rows += [row] * len(near)
        columns += (near + strip.start).tolist()
        weights += solved.tolist()
    return sparse.csr_matrix((weights, (rows, columns)), shape=(len(points), len(vertices)))


def colour(size: int) -> np.ndarray:
    """Colour of teeth (upper half: fourteen crowns side by side) and gums (lower half), (size, size, 3) sRGB 0..1."""
    steps = (np.arange(size, dtype=np.float32) + 0.5) / size
    u, v = (part.ravel() for part in np.meshgrid(steps, 1 - steps))
    slot = np.floor(u * 14)
    across = np.abs(u * 14 - slot - 0.5) / 0.47
    level = np.clip((v - 0.5) / 0.42, 0, 1)
    place = np.stack([u * 0.14, v * 0.02, np.zeros_like(u)], axis=1).astype(np.float32)
    enamel = np.tile(tone(0.865, 0.825, 0.745), (len(u), 1))
    enamel = mix(enamel, (0.79, 0.69, 0.54), 0.8 * step(level, 0.42, 0.0))
    enamel = mix(enamel, (0.83, 0.82, 0.79), 0.6 * step(level, 0.72, 0.98))
    enamel = mix(enamel, (0.82, 0.74, 0.60), 0.35 * (slot % 7 == 2))
    enamel = mix(enamel, (0.56, 0.43, 0.33), 0.60 * step(across, 0.80, 1.0))
    enamel = mix(enamel, (0.60, 0.38, 0.33), 0.55 * step(level, 0.07, 0.0))
    enamel += (0.012 * cloud(place, 0.003, 401))[:, None]
    gum = np.tile(tone(0.770, 0.455, 0.440), (len(u), 1))
    gum = mix(gum, (0.83, 0.57, 0.54), 0.6 * step(v, 0.20, 0.40))
    gum = mix(gum, (0.60, 0.26, 0.26), 0.8 * step(v, 0.22, 0.04))
    gum += (0.02 * cloud(place, 0.0025, 405))[:, None]
    out = np.where((v > 0.475)[:, None], enamel, gum)
    return np.clip(out, 0, 1).astype(np.float32).reshape(size, size, 3)
