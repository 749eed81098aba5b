# SPDX-License-Identifier: Apache-2.0
"""Brow hairs on the skin, and alpha cards of strands for brows and lashes."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.interpolate import PchipInterpolator

from rigs.human.atlas import tone

# The brow seen from the front: x from nose to temple -> height of its lower and upper edge (metres, base mesh).
_BROW_X = (0.0105, 0.014, 0.022, 0.032, 0.041, 0.049, 0.0545)
_LOWER = PchipInterpolator(_BROW_X, (0.7425, 0.7418, 0.7435, 0.7470, 0.7490, 0.7465, 0.7425))
_UPPER = PchipInterpolator(_BROW_X, (0.7475, 0.7500, 0.7520, 0.7538, 0.7540, 0.7495, 0.7430))


def brow_cover(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brow strands and undertone, (N,) and (N,) 0..1, at skin points (N, 3) of the base mesh."""
    strands = np.zeros(len(position), dtype=np.float32)
    cover = np.zeros(len(position), dtype=np.float32)
    for side, seed in ((1.0, 201), (-1.0, 202)):
        x, y = position[:, 0] * side, position[:, 1]
        near = np.flatnonzero((x > 0.006) & (x < 0.060) & (y > 0.735) & (y < 0.762) & (position[:, 2] > 0.09))
        x, y = x[near], y[near]
        low, high = _LOWER(np.clip(x, _BROW_X[0], _BROW_X[-1])), _UPPER(np.clip(x, _BROW_X[0], _BROW_X[-1]))
        middle, half = (low + high) / 2, np.maximum((high - low) / 2, 4e-4)
        across = np.exp(-((((y - middle) / (half * 1.05)) ** 2) ** 1.5))
        ends = np.clip((x - 0.0085) / 0.006, 0, 1) * np.clip((0.0575 - x) / 0.006, 0, 1)
        cover[near] = across * ends
        found = np.zeros(len(near), dtype=np.float32)
        for (ax, ay), (bx, by), width, strength in _brow_strokes(seed):
            box = np.flatnonzero(
                (x > min(ax, bx) - 6e-4)
                & (x < max(ax, bx) + 6e-4)
                & (y > min(ay, by) - 6e-4)
                & (y < max(ay, by) + 6e-4)
            )
            along_x, along_y = bx - ax, by - ay
            share = ((x[box] - ax) * along_x + (y[box] - ay) * along_y) / (along_x**2 + along_y**2)
            share = np.clip(share, 0, 1)
            gap = np.hypot(x[box] - ax - share * along_x, y[box] - ay - share * along_y)
            ink = strength * np.exp(-((gap / (width * (1.15 - 0.75 * share))) ** 2))
            found[box] = 1 - (1 - found[box]) * (1 - ink)
        strands[near] = found
    return strands, cover


def _brow_strokes(seed: int) -> list[tuple[tuple[float, float], tuple[float, float], float, float]]:
    """Hairs of one brow as (root, tip, width, strength): upright at the nose, lying outwards at the temple."""
    random = np.random.default_rng(seed)
    strokes = []
    for _ in range(520):
        x = 0.0108 + 0.0425 * random.beta(1.05, 1.25)
        share = random.beta(1.4, 1.4)
        low, high = float(_LOWER(x)), float(_UPPER(x))
        y = low + share * (high - low)
        along = (x - 0.0105) / 0.044
        lean = np.radians(np.interp(along, (0, 0.12, 0.35, 0.7, 1.0), (82, 62, 38, 12, -28)))
        lean += np.radians(np.interp(share, (0, 1), (14, -30)) * np.interp(along, (0, 0.5), (0.4, 1)))
        lean += random.normal(0, 0.13)
        length = random.uniform(0.0042, 0.0072) * np.interp(along, (0, 0.2, 1.0), (0.75, 1.0, 0.8))
        fade = np.interp(along, (0, 0.16, 0.9, 1), (0.45, 1, 1, 0.7))
        tip = (x + length * np.cos(lean), y + length * np.sin(lean))
        strokes.append(((x, y), tip, random.uniform(0.00010, 0.00016), random.uniform(0.45, 0.9) * fade))
    return strokes


_BROW_BOX = ((0.006, 0.060), (0.735, 0.762))  # the card in x and y


def brow_card(width: int = 512) -> np.ndarray:
    """One brow as strands on a transparent card (width / 2, width, 4) float32: u from nose to temple, v upwards."""
    (left, right), (bottom, top) = _BROW_BOX
    random = np.random.default_rng(211)
    strokes = []
    for root, tip, thick, strength in _brow_strokes(203):
        start = np.array([(root[0] - left) / (right - left), (root[1] - bottom) / (top - bottom)])
        end = np.array([(tip[0] - left) / (right - left), (tip[1] - bottom) / (top - bottom)])
        reach = end - start
        bend = np.array([reach[1], -reach[0] * 2]) * 0.10 * random.uniform(-0.2, 1.0)
        strokes.append((start, reach, bend, 0.8 * thick / (right - left), strength))
    return _card(width, width // 2, strokes, (0.170, 0.120, 0.092))


def brow_strips(vertices: np.ndarray, faces: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """Two strips that carry :func:`brow_card` just above the skin: rows (n, V), faces (m, 4), uv (n, 2).

    Each point lies on a triangle of the skin, pushed off it by a fixed share of the eyeball's size: all linear in the
    base vertices, so that the strips follow every identity and shape. vertices: (V, 3) metres, faces: (F, 4).
    """
    (left, right), (bottom, top) = _BROW_BOX
    across = np.linspace(0.0075, 0.0585, 13)
    inside = np.clip(across, _BROW_X[0], _BROW_X[-1])
    low, high = _LOWER(inside) - 0.0028, _UPPER(inside) + 0.0048
    up = low[:, None] + np.linspace(0, 1, 5) * (high - low)[:, None]
    flat = np.stack([np.broadcast_to(across[:, None], up.shape), up], axis=-1).reshape(-1, 2)
    index = np.arange(len(flat)).reshape(up.shape)
    quads = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1).reshape(-1, 4)
    uv = (flat - (left, bottom)) / (right - left, top - bottom)
    rows, corners = [], []
    for side, ball in ((1.0, slice(14598, 14670)), (-1.0, slice(14670, 14742))):
        rows.append(_on_skin(flat * (side, 1.0), vertices, faces, ball))
        corners.append((quads if side > 0 else quads[:, ::-1]) + len(flat) * (side < 0))
    return sparse.csr_matrix(sparse.vstack(rows)), np.concatenate(corners), np.concatenate([uv, uv])


def _on_skin(flat: np.ndarray, vertices: np.ndarray, faces: np.ndarray, ball: slice) -> sparse.csr_matrix:
    """Rows (n, V) that place points, given by x and y (n, 2), in front of the face."""
    skin = faces[(faces < 13380).all(axis=1) & (vertices[faces, 2] > 0.07).all(axis=1)]
    triangles = np.concatenate([skin[:, [0, 1, 2]], skin[:, [0, 2, 3]]])
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    area = np.cross((b - a)[:, :2], (c - a)[:, :2])
    triangles, a, b, c, area = (values[area > 1e-10] for values in (triangles, a, b, c, area))
    eye = vertices[ball]
    front, back, outer, inner = (
        ball.start + int(np.argmax(eye @ np.array(way, dtype=float)))
        for way in ((0, 0, 1), (0, 0, -1), (np.sign(flat[0, 0]), 0, 0), (-np.sign(flat[0, 0]), 0, 0))
    )
    size = vertices[front, 2] - vertices[back, 2]
    entries: list[tuple[int, int, float]] = []
    for row, point in enumerate(flat):
        second = np.cross(point - a[:, :2], (c - a)[:, :2]) / area
        third = np.cross((b - a)[:, :2], point - a[:, :2]) / area
        hit = np.flatnonzero((second >= -1e-9) & (third >= -1e-9) & (second + third <= 1 + 1e-9))
        found = hit[np.argmax(a[hit, 2])]
        normal = np.cross(b[found] - a[found], c[found] - a[found])
        lift = normal / np.linalg.norm(normal) * 0.0009 / size
        shares = (1 - second[found] - third[found], second[found], third[found])
        entries += [(row, int(vertex), float(share)) for vertex, share in zip(triangles[found], shares, strict=True)]
        sideways = float(abs(lift[0]))
        entries += [(row, front, float(lift[2])), (row, back, -float(lift[2]))]
        entries += [(row, outer, sideways), (row, inner, -sideways)]
    row, column, share = zip(*entries, strict=True)
    return sparse.csr_matrix((share, (row, column)), shape=(len(flat), len(vertices)))


def lash_card(width: int = 1024) -> np.ndarray:
    """Lashes as strands on a transparent card (width / 4, width, 4) float32, u from nose to temple.

    The upper lid's lie in the upper half (v 0.5 at the root, 1 at the tips), the lower lid's in the lower half.
    """
    random = np.random.default_rng(221)
    strokes = []
    for low, count, reach, strength in ((0.5, 150, 0.49, 1.0), (0.0, 84, 0.42, 0.8)):
        for number in range(count):
            u = (number + random.uniform(-0.8, 0.8) + 0.5) / count
            u += random.choice((-1, 1)) * 0.003 * random.random()
            size = np.interp(u, (0, 0.12, 0.5, 0.85, 1), (0.45, 0.70, 0.95, 1.0, 0.85)) * random.uniform(0.62, 1.0)
            lean = np.interp(u, (0, 0.35, 1), (-0.035, 0.0, 0.045)) + random.normal(0, 0.008)
            tip = np.array([lean, reach * size])
            bend = np.array([-0.35 * lean + random.normal(0, 0.004), 0.0])
            width_here = random.uniform(0.0019, 0.0029)
            strokes.append((np.array([u, low + 0.004]), tip, bend, width_here, strength * random.uniform(0.8, 1)))
    card = _card(width, width // 4, strokes, (0.055, 0.042, 0.038))
    half = card.shape[0] // 2
    for rows in (slice(0, half), slice(half, None)):
        height = np.linspace(1, 0, half)[:, None]
        card[rows, :, 3] = np.maximum(card[rows, :, 3], 0.85 * np.clip(1 - height / 0.16, 0, 1))
        card[rows, :, 3] *= np.clip((1 - height) / 0.03, 0, 1)
    return card


def _card(width: int, height: int, strokes: list, colour: tuple[float, float, float]) -> np.ndarray:
    """Strokes (root, reach, bend, width, strength), in uv, drawn as tapering curves on a transparent card."""
    alpha = np.zeros((height, width), dtype=np.float32)
    shades = np.zeros((height, width), dtype=np.float32)
    for number, (root, reach, bend, thick, strength) in enumerate(strokes):
        share = np.linspace(0, 1, 72)[:, None]
        path = root + reach * share + bend * (4 * share * (1 - share))
        pixels = path * (width, -height) + (-0.5, height - 0.5)
        radius = np.maximum(thick * width * (1.1 - 0.95 * share[:, 0]), 0.42)
        fade = (
            strength
            * np.clip(thick * width * (1.15 - share[:, 0]) / 0.42, 0, 1)
            * np.clip((1 - share[:, 0]) / 0.15, 0.25, 1)
        )
        low = np.maximum(np.floor(pixels.min(axis=0) - 3).astype(int), 0)
        high = np.minimum(np.ceil(pixels.max(axis=0) + 3).astype(int), (width - 1, height - 1))
        if (high < low).any():
            continue
        x = np.arange(low[0], high[0] + 1)[:, None, None]
        y = np.arange(low[1], high[1] + 1)[:, None]
        gap = np.hypot(x - pixels[:, 0], y - pixels[:, 1])
        ink = (np.clip(radius + 0.5 - gap, 0, 1) * fade).max(axis=-1).T
        box = (slice(low[1], high[1] + 1), slice(low[0], high[0] + 1))
        shades[box] = np.where(ink > 0.2, 0.8 + 0.4 * ((number * 0.618) % 1.0), shades[box])
        alpha[box] = 1 - (1 - alpha[box]) * (1 - ink)
    shade = np.where(shades > 0, shades, 1.0)[..., None] * tone(*colour)
    return np.concatenate([shade, alpha[..., None]], axis=-1).astype(np.float32)


LASHES = slice(14742, 14992)


def lash_uv(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Places on :func:`lash_card` of MakeHuman's lash vertices: (250, 2), vertex 14742 first.

    vertices: (V, 3) metres and faces: (F, 4) of the base mesh. Every strip is a grid of quads from root to tip.
    """
    out = np.zeros((LASHES.stop - LASHES.start, 2))
    own = faces[((faces >= LASHES.start) & (faces < LASHES.stop)).all(axis=1)]
    for strip in islands(own):
        grid = grid_of(strip)
        eye = np.array([np.sign(vertices[grid[0, 0], 0]) * 0.0308, 0.7284, 0.1245])
        if grid.shape[0] > grid.shape[1]:
            grid = grid.T
        away = np.linalg.norm(vertices[grid] - eye, axis=2).mean(axis=1)
        if away[0] > away[-1]:
            grid = grid[::-1]
        if abs(vertices[grid[0, 0], 0]) > abs(vertices[grid[0, -1], 0]):
            grid = grid[:, ::-1]
        place = vertices[grid]
        along = np.linalg.norm(np.diff(place, axis=1), axis=2).mean(axis=0)
        across = np.linalg.norm(np.diff(place, axis=0), axis=2).mean(axis=1)
        u = np.concatenate([[0], np.cumsum(along)]) / along.sum()
        v = np.concatenate([[0], np.cumsum(across)]) / across.sum()
        upper = grid.size == 65
        out[grid - LASHES.start, 0] = 0.01 + 0.98 * u
        out[grid - LASHES.start, 1] = (0.5 if upper else 0.0) + 0.495 * v[:, None]
    return out


def islands(faces: np.ndarray) -> list[np.ndarray]:
    """Faces (F, 4) as lists of connected faces."""
    label = np.arange(faces.max() + 1)
    while True:
        lowest = label[faces].min(axis=1)
        before = label.copy()
        np.minimum.at(label, faces.ravel(), np.repeat(lowest, 4))
        if (before == label).all():
            break
    owner = label[faces[:, 0]]
    return [faces[owner == name] for name in np.unique(owner)]


def grid_of(faces: np.ndarray) -> np.ndarray:
    """Vertex indices (rows, columns) of quads (F, 4) that form one rectangular grid."""
    sides = {}
    for quad in faces.tolist():
        for corner in range(4):
            sides.setdefault(quad[corner], []).append((quad[(corner + 1) % 4], quad[corner - 1], quad[corner - 2]))
    corner = min(vertex for vertex, around in sides.items() if len(around) == 1)

    def walk(start: int, towards: int) -> list[int]:
        line = [start, towards]
        while True:
            near = {other for a, b, _ in sides[line[-1]] for other in (a, b)}
            faces_shared = {d for a, b, d in sides[line[-1]] if line[-2] in (a, b)}
            faces_shared |= {a if b == line[-2] else b for a, b, _ in sides[line[-1]] if line[-2] in (a, b)}
            ahead = near - faces_shared - {line[-2]}
            border = [n for n in ahead if n not in line]
            if not border:
                return line
            line.append(border[0])

    right, up, _ = sides[corner][0]
    first, column = walk(corner, right), walk(corner, up)
    rows = [first]
    for start in column[1:]:
        below = rows[-1]
        row = [start]
        for place in range(1, len(first)):
            for a, b, d in sides[below[place - 1]]:
                if {a, b} == {below[place], row[-1]}:
                    row.append(d)
        rows.append(row)
    return np.array(rows)
