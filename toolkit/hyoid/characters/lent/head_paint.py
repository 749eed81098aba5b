# SPDX-License-Identifier: Apache-2.0
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
"""Painted pictures for ICT-FaceKit's topology, which comes without any: skin with lips and brows, and lashes.

A texel knows the point of the face that it lies on, so colours are functions of places on the neutral head
(centimetres, as in the data). The same input gives the same picture. Pictures are kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from hyoid.characters.ict_data import LANDMARKS_68
from hyoid.errors import OutputError
from hyoid.files import cache_folder, part_file

SKIN_VERTICES, SKIN_FACES = 14_062, 14_034
_MOUTH_FACES, _EYE_FACES = slice(11_144, 13_226), slice(13_226, 14_034)
_SIZE = (2048, 1024)  # of the skin: face and back of the head side by side
_LASH_SIZE = 1024
_VERSION = 5
# Linear colours.
_SKIN = np.array([0.600, 0.345, 0.250])
_LIPS = np.array([0.430, 0.150, 0.130])
_MOUTH = np.array([0.270, 0.060, 0.050])
_RIM = np.array([0.520, 0.230, 0.190])
_HAIR = np.array([0.040, 0.024, 0.015])
# Where the hair begins: degrees from the front about the vertical, and height in centimetres.
_HAIRLINE = (
    (0.0, 9.9), (20.0, 9.8), (36.0, 8.8), (50.0, 7.4), (60.0, 6.2), (68.0, 3.6), (76.0, 0.6), (88.0, 0.6), (104.0, 0.8),
    (125.0, -1.6), (150.0, -3.6), (180.0, -4.2),
)  # fmt: skip
_log = logging.getLogger("hyoid")


def skin_map(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, face_uv: np.ndarray) -> Path | None:
    """The painted skin of a head with ICT's (and HACK's) first 14 062 vertices; None where no cache can be written.

    Args:
        vertices: (V, 3) the neutral, centimetres. faces, face_uv: (14034 or more, 4). uv: (U, 2) within 0..1: the face
            in the left half, the back of the head in the right.
    """
    key = hashlib.sha256(np.ascontiguousarray(uv, np.float32).tobytes())
    key.update(np.ascontiguousarray(face_uv[:SKIN_FACES], np.int32).tobytes())
    name = f"skin-{_VERSION}-{key.hexdigest()[:12]}.jpg"
    return _kept(name, lambda: _skin(vertices, faces[:SKIN_FACES], uv, face_uv[:SKIN_FACES]))


def lash_map() -> Path | None:
    """Hairs on ICT's twelve lash strips, with transparency; None where no cache can be written."""
    return _kept(f"lashes-{_VERSION}.png", _lashes)


def _kept(name: str, paint: Callable[[], np.ndarray]) -> Path | None:
    path = cache_folder() / "textures" / name
    if path.is_file() and path.stat().st_size:
        return path
    from PIL import Image

    try:
        with part_file(path) as part:
            image = Image.fromarray(paint())
            image.save(part, quality=92) if path.suffix == ".jpg" else image.save(part, optimize=True)
    except OutputError as error:
        _log.warning("the painted picture %s is not kept (%s); plain colours are used", name, error)
        return None
    return path


def _skin(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, face_uv: np.ndarray) -> np.ndarray:
    """(height, width, 3) uint8 sRGB."""
    points, region = _places(vertices, faces, uv, face_uv)
    marks = vertices[list(LANDMARKS_68)]
    colour = _SKIN * np.ones_like(points)
    colour *= 1 + 0.05 * _noise(points, 1.1, 1)[..., None] * [0.6, 1.0, 1.1] + 0.05 * _noise(points, 0.12, 2)[..., None]
    for centre, radius, strength in _flushes(marks):
        near = np.exp(-(((points - centre) / radius) ** 2).sum(-1))
        colour *= 1 - strength * near[..., None] * [0.10, 0.38, 0.36]
    for side in (slice(36, 42), slice(42, 48)):  # thin skin around the eyes
        eye = marks[side].mean(0)
        near = np.exp(-(((points - eye) / [2.4, 1.5, 2.5]) ** 2).sum(-1))
        colour *= 1 - near[..., None] * [0.16, 0.24, 0.18]
    lips = _lip_share(points, marks) * (0.9 + 0.1 * _noise(points, 0.10, 3))
    colour += lips[..., None] * (_LIPS - colour)
    colour[region == 1] = _MOUTH
    colour[region == 2] = _RIM
    hair = np.maximum(_brows(marks, uv, faces, face_uv), np.where(region == 0, _stubble(points), 0))
    colour += hair[..., None] * (_HAIR - colour)
    return _srgb(colour)


def _places(
    vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, face_uv: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The point (height, width, 3) that each texel shows, and its region: 0 skin, 1 mouth, 2 eye socket."""
    width, height = _SIZE
    points, region = np.zeros((height, width, 3)), np.full((height, width), -1, np.int8)
    kind = np.zeros(len(faces), np.int8)
    kind[_MOUTH_FACES], kind[_EYE_FACES] = 1, 2
    corners = uv[face_uv] * [width, height]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max(1)
    steps = np.clip(np.ceil(1.5 * longest), 2, 64).astype(int)
    for count in np.unique(steps):
        chosen = steps == count
        share = (np.arange(count) + 0.5) / count
        a, b = (axis.ravel()[:, None] for axis in np.meshgrid(share, share, indexing="ij"))
        mix = np.concatenate([(1 - a) * (1 - b), a * (1 - b), a * b, (1 - a) * b], axis=1)
        place = np.einsum("sc,fcx->fsx", mix, corners[chosen])
        column = np.clip(place[..., 0].astype(int), 0, width - 1)
        row = np.clip((height - place[..., 1]).astype(int), 0, height - 1)
        points[row, column] = np.einsum("sc,fcx->fsx", mix, vertices[faces[chosen]])
        region[row, column] = kind[chosen][:, None]
    index = ndimage.distance_transform_edt(region < 0, return_distances=False, return_indices=True)
    return points[tuple(index)], region[tuple(index)]


def _flushes(marks: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Where blood shows: centre, radii (3,) and strength 0..1 of cheeks, nose, chin and ears."""
    found = [(marks[30], np.array([1.5, 1.3, 2.0]), 0.55), (marks[8] + [0, 0.9, 0.3], np.array([2.0, 1.2, 2.0]), 0.30)]
    for side, eye in ((1, 46), (-1, 41)):
        found.append((marks[eye] + [0.7 * side, -2.6, 0.4], np.array([2.4, 1.7, 2.6]), 0.50))
        found.append((np.array([7.9 * side, 2.2, 0.4]), np.array([1.6, 3.6, 2.2]), 0.50))
    return found


def _lip_share(points: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """0..1: inside the outline of the lips (points 48-59), seen from the front, softly."""
    outline = _closed_curve(marks[48:60, :2])
    inside, distance = _outline(points[..., :2], outline, reach=1.0)
    signed = np.where(inside, distance, -distance)
    share = np.clip(0.5 + signed / 0.22, 0, 1)
    front = np.clip((points[..., 2] - (marks[48, 2] - 1.2)) / 0.6, 0, 1)
    return share * share * (3 - 2 * share) * front


def _closed_curve(corners: np.ndarray) -> np.ndarray:
    """A smooth closed line (n, 2) through points (m, 2)."""
    from scipy.interpolate import CubicSpline

    count = len(corners)
    curve = CubicSpline(np.arange(count + 1), np.concatenate([corners, corners[:1]]), bc_type="periodic")
    return curve(np.linspace(0, count, 8 * count, endpoint=False))


def _outline(places: np.ndarray, outline: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Whether places (..., 2) lie inside a closed line (n, 2), and their distance from it, ``reach`` at most."""
    from scipy.spatial import cKDTree

    low, high = outline.min(0) - reach, outline.max(0) + reach
    near = ((places > low) & (places < high)).all(-1)
    inside, distance = np.zeros(places.shape[:-1], bool), np.full(places.shape[:-1], reach)
    flat = places[near]
    distance[near] = np.minimum(cKDTree(outline).query(flat)[0], reach)
    crossings = np.zeros(len(flat), int)
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        spans = (start[1] > flat[:, 1]) != (end[1] > flat[:, 1])
        at = start[0] + (flat[:, 1] - start[1]) * (end[0] - start[0]) / (end[1] - start[1] or 1e-12)
        crossings += spans & (flat[:, 0] < at)
    inside[near] = crossings % 2 == 1
    return inside, distance


def _brows(marks: np.ndarray, uv: np.ndarray, faces: np.ndarray, face_uv: np.ndarray) -> np.ndarray:
    """(height, width) 0..1: how much hair of the brows covers each texel."""
    from PIL import Image, ImageDraw

    width, height = _SIZE
    scale = 4
    sheet = Image.new("L", (width * scale // 2, height * scale))  # the half of the face
    draw = ImageDraw.Draw(sheet)
    random = np.random.default_rng(7)
    of_vertex = np.zeros((faces.max() + 1, 2))
    of_vertex[faces] = uv[face_uv]
    texel = of_vertex[list(LANDMARKS_68)] * [width * scale, -height * scale] + [0, height * scale]
    unit = float(np.linalg.norm(texel[27] - texel[30]) / np.linalg.norm(marks[27] - marks[30]))
    for line in (texel[17:22], texel[26:21:-1]):  # from the temple to the nose
        for stroke in _brow_strokes(line, unit, random):
            draw.line([tuple(point) for point in stroke], fill=int(random.integers(150, 235)), width=3)
    full = np.zeros((height, width))
    small = sheet.resize((width // 2, height), Image.Resampling.BOX)
    full[:, : width // 2] = np.asarray(small) / 255
    return np.clip(1.5 * ndimage.gaussian_filter(full, 0.6) + 0.5 * ndimage.gaussian_filter(full, 4), 0, 0.94)


def _stubble(points: np.ndarray) -> np.ndarray:
    """(height, width) 0..1: hair cut short on the scalp, thinner towards its edge, none on the ears."""
    turn = np.degrees(np.arctan2(np.abs(points[..., 0]), points[..., 2]))  # 0 in front, 180 at the back
    edge = np.interp(turn, *np.array(_HAIRLINE).T) + 0.25 * _noise(points, 0.35, 4)
    inside = np.clip((points[..., 1] - edge) / 2.0, 0, 1)
    inside = inside * inside * (3 - 2 * inside)
    height, width = points.shape[:2]
    row, column = np.mgrid[0:height, 0:width]
    across = np.minimum(column, width // 2 - column) / (width // 2)  # from the outer edges of the face's half
    ears = np.clip((0.125 - across) / 0.01, 0, 1) * (column < width // 2) * _within(row / height, 0.305, 0.565, 0.015)
    grain = np.random.default_rng(5).random((height, width))
    return inside * (1 - ears) * (0.42 + 0.40 * ndimage.gaussian_filter(grain, 0.7))


def _within(values: np.ndarray, low: float, high: float, soft: float) -> np.ndarray:
    return np.clip((values - low) / soft, 0, 1) * np.clip((high - values) / soft, 0, 1)


def _brow_strokes(line: np.ndarray, unit: float, random: np.random.Generator) -> list[np.ndarray]:
    """Hairs of one brow, each (3, 2) texels; fewer at both ends.

    Args:
        line: (5, 2) texels from the temple to the nose. unit: texels of one centimetre.
    """
    from scipy.interpolate import CubicSpline

    curve = CubicSpline(np.linspace(0, 1, len(line)), line)
    strokes = []
    for place in np.sort(0.03 + 0.99 * random.beta(1.25, 1.35, 400)):
        along = curve(place, 1)
        outward = -along / np.linalg.norm(along)  # towards the temple
        down = np.array([0.0, 1.0])
        thick = np.interp(place, [0, 0.35, 0.8, 1.0], [0.10, 0.42, 0.52, 0.40]) * unit
        root = curve(place) + down * thick * random.uniform(0.0, 1.0)
        rise = np.interp(place, [0, 0.5, 0.85, 1.0], [-0.25, 0.25, 0.9, 2.2]) + random.normal(0, 0.15)
        way = outward - down * rise
        way /= np.linalg.norm(way)
        length = unit * random.uniform(0.35, 0.62) * np.interp(place, [0, 0.3, 1], [0.7, 1.0, 0.8])
        bent = way + 0.35 * outward
        bent /= np.linalg.norm(bent)
        strokes.append(np.stack([root, root + 0.5 * length * way, root + 0.5 * length * (way + bent)]))
    return strokes


def _lashes() -> np.ndarray:
    """(1024, 1024, 4) uint8: each of the twelve strips has its roots at the upper edge."""
    from PIL import Image, ImageDraw

    scale = 3
    sheet = Image.new("L", (scale * _LASH_SIZE, scale * _LASH_SIZE))
    draw = ImageDraw.Draw(sheet)
    random = np.random.default_rng(11)
    for row in range(6):
        top = (0.0125 + row / 6.0) * scale * _LASH_SIZE
        for left in (0.012, 0.510):
            for _ in range(26):
                x = (left + 0.478 * random.uniform(0.02, 0.98)) * scale * _LASH_SIZE
                length = 0.139 * scale * _LASH_SIZE * random.uniform(0.45, 0.92)
                lean = random.normal(0, 0.16) * length
                share = np.linspace(0, 1, 9)
                path = np.stack([x + lean * share**2, top + length * share], -1)
                for start, end, at in zip(path[:-1], path[1:], share, strict=False):
                    draw.line([tuple(start), tuple(end)], fill=235, width=max(1, round(scale * 2.6 * (1 - 0.8 * at))))
    alpha = np.asarray(sheet.resize((_LASH_SIZE, _LASH_SIZE), Image.Resampling.BOX))
    colour = np.broadcast_to(_srgb(_HAIR * 0.6), (*alpha.shape, 3))
    return np.concatenate([colour, alpha[..., None]], -1)


def _noise(points: np.ndarray, size: float, seed: int) -> np.ndarray:
    """Smooth noise of unit variance over space, with lumps of about ``size``."""
    lattice = np.random.default_rng(seed).normal(size=(32, 32, 32))
    place = np.moveaxis(points / size, -1, 0) % 32
    return ndimage.map_coordinates(lattice, place.reshape(3, -1), order=1, mode="grid-wrap").reshape(points.shape[:-1])


def _srgb(linear: np.ndarray) -> np.ndarray:
    value = np.clip(linear, 0, 1)
    curved = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)
    return np.round(255 * curved).astype(np.uint8)
