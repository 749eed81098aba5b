# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Pictures of a mesh coloured by a value in millimetres, drawn with NumPy alone: no OpenGL, the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.spatial import cKDTree

from hyoid.errors import UsageError
from hyoid.geometry.meshes import triangulate

SIZE = (400, 400)
SMALLEST, LARGEST = 64, 4096
BACKGROUND = (27, 30, 35)
_YAW_PITCH = {"front": (0.0, 2.0), "three-quarter": (38.0, 6.0), "profile": (90.0, 0.0)}
VIEWS = tuple(_YAW_PITCH)
_DISTANCE = 7.0  # of the camera, in half heights of the picture: a portrait lens
_SUPERSAMPLE = 2
_CHUNK = 1 << 19  # candidate pixels tested at a time
_UNKNOWN = 0.22  # linear grey of points without a value
# Towards the lights in the camera's frame, and how much each gives; the rest is light from everywhere.
_KEY, _FILL, _AMBIENT = np.array([-0.40, 0.52, 0.75]), np.array([0.75, -0.10, 0.65]), 0.30
_KEY_SHARE, _FILL_SHARE = 0.70, 0.20


@dataclass(frozen=True)
class Framing:
    """What a picture shows: ``centre`` (3,) metres in the middle, ``reach`` metres to the nearer edges."""

    centre: np.ndarray
    reach: float


def render(
    vertices: np.ndarray,
    faces: np.ndarray,
    values: np.ndarray,
    *,
    limits: tuple[float, float],
    size: tuple[int, int] = SIZE,
    view: str = "front",
    framing: Framing | None = None,
    unit: str = "mm",
    background: tuple[int, int, int] = BACKGROUND,
) -> np.ndarray:
    """A shaded picture with its colour scale at the right, (height, width, 3) uint8 RGB.

    Args:
        vertices: (N, 3) metres, +Y up, +Z front. faces: (n, 4) or (n, 3).
        values: (N,) millimetres, grey where NaN. limits: the values of the ends of the scale.
        size: width and height in pixels. view: one of :data:`VIEWS`.
        framing: what to show; None shows the points that have values.

    Raises:
        UsageError: an unknown view or a size out of range.
    """
    from PIL import Image

    width, height = size
    _check(size, view)
    strip = max(44, width // 9)
    shown = picture(vertices, faces, values, limits=limits, size=(width - strip, height), view=view, framing=framing)
    image = Image.new("RGB", size, background)
    image.paste(Image.fromarray(shown), (0, 0), Image.fromarray(shown[..., 3]))
    _draw_scale(image, limits, unit, width - strip)
    return np.asarray(image)


def picture(
    vertices: np.ndarray,
    faces: np.ndarray,
    values: np.ndarray,
    *,
    limits: tuple[float, float],
    size: tuple[int, int] = SIZE,
    view: str = "front",
    framing: Framing | None = None,
) -> np.ndarray:
    """The same without scale and background, (height, width, 4) uint8 RGBA, straight alpha.

    Raises:
        UsageError: an unknown view or a size out of range.
    """
    _check(size, view)
    vertices, values = np.asarray(vertices, np.float64), np.asarray(values, np.float64)
    triangles = triangulate(np.asarray(faces)) if np.shape(faces)[1] == 4 else np.asarray(faces)
    framing = framing or frame(vertices, view, values, aspect=size[0] / size[1])
    wide, high = size[0] * _SUPERSAMPLE, size[1] * _SUPERSAMPLE
    points = _to_screen(vertices, view, framing, wide, high)
    seen, corner_weights, pixels = _rasterise(points, triangles, wide, high)
    colour = _shade(points, vertices, triangles, values, limits, view, seen, corner_weights)
    fine = np.zeros((high * wide, 4))
    fine[pixels, :3], fine[pixels, 3] = colour, 1.0
    blocks = fine.reshape(size[1], _SUPERSAMPLE, size[0], _SUPERSAMPLE, 4).mean((1, 3))
    alpha = blocks[..., 3:]
    straight = np.divide(blocks[..., :3], alpha, out=np.zeros_like(blocks[..., :3]), where=alpha > 0)
    return _round(np.concatenate([_encode(straight), alpha], -1))


def frame(
    vertices: np.ndarray, view: str = "front", values: np.ndarray | None = None, *, aspect: float = 1.0
) -> Framing:
    """What a picture must show to hold the points that have values (all points, where none has).

    Args:
        vertices: (N, 3). values: (N,), NaN where a point does not count. aspect: width / height of the picture.

    Raises:
        UsageError: an unknown view.
    """
    _check((SMALLEST, SMALLEST), view)
    known = np.ones(len(vertices), bool) if values is None else np.isfinite(values)
    points = np.asarray(vertices, np.float64)[known if known.any() else slice(None)]
    axes = _camera(view)
    turned = _turn(points, axes)
    low, high = turned.min(0), turned.max(0)
    half = (high - low) / 2
    # Perspective magnifies what is nearer than the middle.
    reach = 1.05 * max(half[1], half[0] / aspect, 1e-6) * (1 + half[2] / max(half[1], half[0], 1e-6) / _DISTANCE)
    return Framing(_turn((low + high) / 2, axes.T), float(reach))


def colours(shares: np.ndarray) -> np.ndarray:
    """The colour map: linear RGB (..., 3) of shares 0..1 (...); equal steps look equally far, and always lighter."""
    table = _table()
    place = np.clip(np.nan_to_num(shares), 0, 1) * (len(table) - 1)
    return np.stack([np.interp(place, np.arange(len(table)), table[:, channel]) for channel in range(3)], -1)


def colour_bytes(shares: np.ndarray) -> np.ndarray:
    """The colour map as uint8 sRGB (..., 3)."""
    return to_bytes(colours(np.asarray(shares, np.float64)))


def to_bytes(linear: np.ndarray) -> np.ndarray:
    """uint8 sRGB of linear RGB, any shape."""
    return _round(_encode(linear))


def from_lightness(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """Linear RGB (..., 3) of OKLab lightness 0..1, chroma and hue in degrees, cut to what a screen can show."""
    angle = np.radians(hue)
    a, b = chroma * np.cos(angle), chroma * np.sin(angle)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short
    return np.clip(np.stack([red, green, blue], -1), 0, 1)


def carry(points: np.ndarray, values: np.ndarray, vertices: np.ndarray, reach: float) -> np.ndarray:
    """Values of some points on every vertex: (N,), NaN where no point lies within ``reach``.

    Args:
        points: (K, 3). values: (K,). vertices: (N, 3), same unit. reach: how far a point speaks for its surroundings.
    """
    count = min(4, len(points))
    distances, nearest = cKDTree(points).query(vertices, count)
    distances, nearest = distances.reshape(-1, count), nearest.reshape(-1, count)
    weights = 1 / (distances**2 + (0.05 * reach) ** 2)
    blended = (weights * np.asarray(values, np.float64)[nearest]).sum(1) / weights.sum(1)
    return np.where(distances[:, 0] <= reach, blended, np.nan)


def nice_top(values: np.ndarray, share: float = 0.98, least: float = 0.1) -> float:
    """A round upper end of a scale (1, 1.5, 2, 3, 5 or 7 times a power of ten) that holds ``share`` of the values."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    top = max(float(np.quantile(known, share)) if len(known) else 0.0, least)
    decade = 10.0 ** np.floor(np.log10(top) + 1e-9)
    return float(next(step * decade for step in (1, 1.5, 2, 3, 5, 7, 10) if step * decade >= top * (1 - 1e-6)))


@cache
def _table(count: int = 256) -> np.ndarray:
    """(count, 3) linear RGB: a path from blue over violet and red to yellow, walked at even speed."""
    way = np.linspace(0, 1, 2049)
    lightness, chroma, hue = 0.42 + 0.47 * way, 0.13 + 0.028 * np.sin(np.pi * way**0.6), 262 + 197 * way
    spot = np.stack([lightness, chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))], -1)
    walked = np.concatenate([[0], np.cumsum(np.sqrt(np.square(np.diff(spot, axis=0)).sum(1)))])
    even = np.interp(np.linspace(0, walked[-1], count), walked, way)
    pick = [np.interp(even, way, column) for column in (lightness, chroma, hue)]
    return from_lightness(*pick)


def _check(size: tuple[int, int], view: str) -> None:
    if view not in VIEWS:
        raise UsageError(f"unknown view '{view}'", expected=f"one of {', '.join(VIEWS)}")
    if min(size) < SMALLEST or max(size) > LARGEST:
        raise UsageError(f"a picture of {size[0]}x{size[1]} pixels", expected=f"{SMALLEST} to {LARGEST} each way")


def _camera(view: str) -> np.ndarray:
    """(3, 3): right, up and towards the viewer, as rows; the viewer stands on the character's left of the front."""
    yaw, pitch = np.radians(_YAW_PITCH[view])
    back = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.array([np.cos(yaw), 0.0, -np.sin(yaw)])
    return np.stack([right, np.cross(back, right), back])


def _turn(points: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """``points @ axes.T`` without a matrix library, whose last bits differ from machine to machine."""
    return sum(points[..., i : i + 1] * axes[:, i] for i in range(3))  # pyright: ignore[reportReturnType]


def _to_screen(vertices: np.ndarray, view: str, framing: Framing, wide: int, high: int) -> np.ndarray:
    """(N, 3): x to the right and y down in pixels; the third grows towards the viewer and is straight on the screen."""
    local = _turn(vertices - framing.centre, _camera(view)) / framing.reach
    # A point at the camera or behind it (a stray vertex) would turn the picture over.
    nearness = 1 / np.maximum(_DISTANCE - local[:, 2], 0.5)
    scale = high / 2 * _DISTANCE * nearness
    return np.stack([wide / 2 + local[:, 0] * scale, high / 2 - local[:, 1] * scale, nearness], -1)


def _rasterise(
    points: np.ndarray, triangles: np.ndarray, wide: int, high: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is nearest in each covered pixel: triangle (p,), weights of its corners (p, 3), pixel number (p,)."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    across, along = b - a, c - a
    area = across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0]
    low, high_corner = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    first = np.clip(np.ceil(low[:, :2] - 0.5), 0, [wide, high]).astype(np.int64)
    last = np.clip(np.floor(high_corner[:, :2] - 0.5), -1, [wide - 1, high - 1]).astype(np.int64)
    columns, rows = (np.maximum(last - first + 1, 0)).T
    kept = np.flatnonzero((columns * rows > 0) & (np.abs(area) > 1e-12))
    safe = np.where(np.abs(area) > 1e-12, area, 1.0)
    # Corner weights of b and c and the depth are straight functions of the pixel: value at a, slope in x, slope in y.
    slopes = np.stack([along[:, 1], -along[:, 0], -across[:, 1], across[:, 0]], -1) / safe[:, None]
    nearest = np.full(wide * high, -np.inf)
    owner = np.full(wide * high, -1, np.int64)
    ends = np.cumsum((columns * rows)[kept])
    start = 0
    while start < len(kept):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CHUNK, side="right")))
        chosen = kept[start:stop]
        count = (columns * rows)[chosen]
        which = np.repeat(chosen, count)
        place = (np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)).astype(np.int32)
        row = place // columns.astype(np.int32)[which]
        x = first[which, 0] + (place - row * columns[which])
        y = first[which, 1] + row
        u, v = _corner_weights(x, y, a[which], slopes[which])
        inside = np.flatnonzero((u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9))
        which, u, v = which[inside], u[inside], v[inside]
        pixel = y[inside] * wide + x[inside]
        depth = a[which, 2] + u * across[which, 2] + v * along[which, 2]
        np.maximum.at(nearest, pixel, depth)
        front = depth == nearest[pixel]
        owner[pixel[front]] = which[front]
        start = stop
    pixels = np.flatnonzero(owner >= 0)
    seen = owner[pixels]
    u, v = _corner_weights(pixels % wide, pixels // wide, a[seen], slopes[seen])
    return seen, np.stack([1 - u - v, u, v], -1), pixels


def _corner_weights(x: np.ndarray, y: np.ndarray, a: np.ndarray, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dx, dy = x + 0.5 - a[:, 0], y + 0.5 - a[:, 1]
    return dx * slopes[:, 0] + dy * slopes[:, 1], dx * slopes[:, 2] + dy * slopes[:, 3]


def _shade(
    points: np.ndarray,
    vertices: np.ndarray,
    triangles: np.ndarray,
    values: np.ndarray,
    limits: tuple[float, float],
    view: str,
    seen: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """(p, 3) linear RGB of the covered pixels."""
    corners = triangles[seen]
    known = np.isfinite(values)
    share = np.where(known, (np.nan_to_num(values) - limits[0]) / max(limits[1] - limits[0], 1e-12), 0.0)
    has = (weights * known[corners]).sum(1)
    shares = (weights * share[corners]).sum(1) / np.maximum(has, 1e-9)
    base = np.where(has[:, None] > 0.5, colours(shares), _UNKNOWN)
    normals = _turn(_normals(vertices, triangles), _camera(view))
    smooth = (weights[..., None] * normals[corners]).sum(1)
    smooth /= np.maximum(np.sqrt(np.square(smooth).sum(1, keepdims=True)), 1e-9)
    smooth = np.where(smooth[:, 2:] < 0, -smooth, smooth)  # the inside of an open mesh is lit as well
    light = np.full(len(seen), _AMBIENT)
    for direction, part in ((_KEY, _KEY_SHARE), (_FILL, _FILL_SHARE)):
        towards = direction / np.sqrt(np.square(direction).sum())
        light += part * np.maximum((smooth * towards).sum(1), 0)
    return np.minimum(base * light[:, None], 1.0)


def _normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(N, 3) float64 unit vertex normals, weighted by area."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    area = np.cross(b - a, c - a)
    flat = triangles.T.ravel()
    total = np.stack([np.bincount(flat, np.tile(area[:, axis], 3), len(vertices)) for axis in range(3)], -1)
    return total / np.maximum(np.sqrt(np.square(total).sum(1, keepdims=True)), 1e-30)


def _encode(linear: np.ndarray) -> np.ndarray:
    """sRGB 0..1 of linear light 0..1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def _round(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _draw_scale(image, limits: tuple[float, float], unit: str, left: int) -> None:
    from PIL import Image, ImageDraw, ImageFont

    height = image.height
    text = max(10, min(height // 26, (image.width - left) // 4))
    font, draw = ImageFont.load_default(text), ImageDraw.Draw(image)
    top, bottom, bar = round(0.16 * height), round(0.9 * height), max(8, text * 3 // 4)
    ramp = colour_bytes(np.linspace(1, 0, bottom - top))
    image.paste(Image.fromarray(np.repeat(ramp[:, None], bar, 1)), (left, top))
    light = sum(image.getpixel((image.width - 1, 0))) > 384
    ink = (40, 44, 50) if light else (205, 210, 216)
    draw.text((left, top - 2 * text), unit, font=font, fill=ink)
    for share in (0.0, 0.5, 1.0):
        value, y = limits[0] + share * (limits[1] - limits[0]), bottom - 1 + share * (top - bottom)
        draw.text((left + bar + text // 3, y), f"{value:.3g}", font=font, fill=ink, anchor="lm")
