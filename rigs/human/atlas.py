# SPDX-License-Identifier: Apache-2.0
"""Where a point of the skin lies in the maps: the stretched MakeHuman atlas, its texels in 3D, and seamless noise.

The MakeHuman atlas spends most of its area on the body: an eye is 70 texels wide in a map of 2048. :func:`stretch`
moves area to the face by one monotone function of u and one of v, so it has an inverse and any MakeHuman skin can be
converted by resampling rows and columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

BODY = slice(0, 13380)
TONGUE = slice(13380, 13606)
_U = ((0.0, 0.32, 0.64, 0.76, 0.88, 1.0), (0.0, 0.2, 0.4, 0.51, 0.755, 1.0))
_V = (
    (0.0, 0.155, 0.31, 0.40, 0.483, 0.566, 0.656, 0.828, 1.0),
    (0.0, 0.095, 0.19, 0.285, 0.49, 0.695, 0.79, 0.895, 1.0),
)
_TONGUE_BOX = ((0.6215, 0.928), (0.6492, 0.9855))


def stretch(uv: np.ndarray) -> np.ndarray:
    """The place in our maps of points of the MakeHuman atlas: uv (n, 2) -> (n, 2), face enlarged 2.1 x 2.5 times."""
    uv = np.asarray(uv, dtype=np.float64)
    return np.stack([PchipInterpolator(*_U)(uv[..., 0]), PchipInterpolator(*_V)(uv[..., 1])], axis=-1)


def unstretch(uv: np.ndarray) -> np.ndarray:
    """The place in the MakeHuman atlas of points of our maps, the inverse of :func:`stretch` within 1e-6."""
    uv = np.asarray(uv, dtype=np.float64)
    grid = np.linspace(0.0, 1.0, 16385)
    columns = [np.interp(uv[..., axis], PchipInterpolator(*knots)(grid), grid) for axis, knots in enumerate((_U, _V))]
    return np.stack(columns, axis=-1)


def tongue(uv: np.ndarray) -> np.ndarray:
    """The place in the tongue map of points of the MakeHuman atlas: its little island blown up to the unit square."""
    low, high = (np.array(corner) for corner in _TONGUE_BOX)
    return (np.asarray(uv, dtype=np.float64) - low) / (high - low)


@dataclass(frozen=True)
class Texels:
    """The texels of a square map that some face covers, in rising order.

    Attributes:
        size: map width and height. index: (N,) flat index, row 0 on top.
        position: (N, 3) float32, metres. normal: (N, 3) float32, unit. uv: (N, 2) float32, as given with the faces.
        extra: (N, C) float32, what was given per vertex.
    """

    size: int
    index: np.ndarray
    position: np.ndarray
    normal: np.ndarray
    uv: np.ndarray
    extra: np.ndarray


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) of quads (F, 4), weighted by area; vertices without faces get zero."""
    diagonals = np.cross(vertices[faces[:, 2]] - vertices[faces[:, 0]], vertices[faces[:, 3]] - vertices[faces[:, 1]])
    normals = np.zeros_like(vertices)
    for corner in range(4):
        np.add.at(normals, faces[:, corner], diagonals)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def rasterise(
    size: int, uv: np.ndarray, face_uv: np.ndarray, faces: np.ndarray, vertices: np.ndarray, extra: np.ndarray
) -> Texels:
    """The texels under quads laid out by ``uv`` (in 0..1, v up), with position, normal and ``extra`` interpolated.

    vertices: (V, 3) metres. faces, face_uv: (F, 4). extra: (V, C).
    """
    owner = np.full(size * size, -1, dtype=np.int32)
    shares = np.zeros((size * size, 2), dtype=np.float32)
    triangles_uv = np.concatenate([face_uv[:, [0, 1, 2]], face_uv[:, [0, 2, 3]]])
    triangles = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
    points = np.stack([uv[:, 0] * size - 0.5, (1.0 - uv[:, 1]) * size - 0.5], axis=1)[triangles_uv]
    first = np.maximum(np.floor(points.min(axis=1)).astype(int), 0)
    last = np.minimum(np.ceil(points.max(axis=1)).astype(int), size - 1)
    for number, ((ax, ay), (bx, by), (cx, cy)) in enumerate(points):
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < 1e-12:
            continue
        x = np.arange(first[number, 0], last[number, 0] + 1)
        y = np.arange(first[number, 1], last[number, 1] + 1)[:, None]
        second = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area
        third = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area
        inside = (second >= -1e-9) & (third >= -1e-9) & (second + third <= 1 + 1e-9)
        flat = (y * size + x)[inside]
        owner[flat] = number
        shares[flat, 0], shares[flat, 1] = second[inside], third[inside]
    index = np.flatnonzero(owner >= 0)
    second, third = shares[index, :1], shares[index, 1:]
    weights = np.concatenate([1.0 - second - third, second, third], axis=1)

    def spread(values: np.ndarray, corners: np.ndarray) -> np.ndarray:
        found = values.astype(np.float32)[corners[owner[index]]]
        return np.einsum("nk,nkc->nc", weights, found).astype(np.float32)

    normal = spread(vertex_normals(vertices, faces), triangles)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    return Texels(size, index, spread(vertices, triangles), normal, spread(uv, triangles_uv), spread(extra, triangles))


def image(texels: Texels, values: np.ndarray) -> np.ndarray:
    """A map (size, size, C) float32 from values (N, C); texels that no face covers repeat the nearest covered one."""
    flat = np.zeros((texels.size * texels.size, values.shape[1]), dtype=np.float32)
    flat[texels.index] = values
    empty = np.ones(texels.size * texels.size, dtype=bool)
    empty[texels.index] = False
    nearest = np.zeros((2, texels.size, texels.size), dtype=np.int32)
    distance_transform_edt(
        empty.reshape(texels.size, texels.size), return_distances=False, return_indices=True, indices=nearest
    )
    return flat.reshape(texels.size, texels.size, -1)[nearest[0], nearest[1]]


_VOLUMES: dict[int, np.ndarray] = {}


def noise(points: np.ndarray, cell: float | tuple[float, float, float], seed: int) -> np.ndarray:
    """Smooth noise (N,) float32, mean 0 and deviation about 1, with features of ``cell`` metres, at points (N, 3).

    It is a function of space, so it has no seams where charts of the atlas meet. It repeats after 96 cells.
    """
    if seed not in _VOLUMES:
        white = np.random.default_rng(seed).standard_normal((96, 96, 96)).astype(np.float32)
        smooth = gaussian_filter(white, 0.7, mode="wrap")
        _VOLUMES[seed] = smooth / smooth.std()
    places = points / np.asarray(cell, dtype=np.float32) + np.float32(1000.37)
    return map_coordinates(_VOLUMES[seed], places.T, order=1, mode="grid-wrap")


def cloud(points: np.ndarray, cell: float, seed: int, octaves: int = 3) -> np.ndarray:
    """Fractal noise (N,) float32, standard deviation about 1: ``octaves`` of :func:`noise`, each half the size."""
    total = np.zeros(len(points), dtype=np.float32)
    norm = 0.0
    for octave in range(octaves):
        total += noise(points, cell / 2**octave, seed + octave) * 0.5**octave
        norm += 0.25**octave
    return total / np.float32(np.sqrt(norm))


def tone(red: float, green: float, blue: float) -> np.ndarray:
    """A colour, or one factor a channel, as (3,) float32."""
    return np.array([red, green, blue], dtype=np.float32)


def bump(distance: np.ndarray, radius: float) -> np.ndarray:
    """A soft round spot: 1 at distance 0, 0.6 at ``radius``, near 0 beyond 3 radii."""
    return np.exp(-0.5 * (distance / radius) ** 2)


def step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """A smooth step from 0 at ``low`` to 1 at ``high`` (either may be the larger)."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def mix(colour: np.ndarray, other: tuple[float, float, float] | np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Colours (N, 3) moved towards ``other`` by ``amount`` (N,) in 0..1."""
    return colour + (np.asarray(other, dtype=np.float32) - colour) * amount[:, None].astype(np.float32)
