# SPDX-License-Identifier: Apache-2.0
"""Skin painted in 3D: colour, relief and roughness as functions of the place on the MakeHuman base mesh.

Painting in space instead of on the image leaves no seams between the charts of the atlas. All places below are metres
in the base mesh (+Y up, looks along +Z, eyes at y = 0.728), mirrored by |x|; colours are sRGB 0..1. The tone is the
lightest one of the bundled human: ``Material.colour`` darkens it (:func:`hyoid.characters.looks.skin_colour`).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import map_coordinates

from rigs.human.atlas import Texels, bump, cloud, image, mix, noise, step, tone, unstretch
from rigs.human.hairs import brow_cover

SKIN = (0.885, 0.720, 0.625)
BLOOD = (0.845, 0.525, 0.455)
LIP = (0.745, 0.462, 0.420)
HAIR = (0.128, 0.094, 0.076)
MASKS = ("lips", "eyelids", "ears", "inside-mouth", "aureolae", "fingernails", "toenails")

# Hairline: height over the angle from straight ahead (0) to the back (pi) about the axis x = 0, z = 0.05.
_HAIRLINE = PchipInterpolator(
    (0.0, 0.25, 0.55, 0.85, 1.02, 1.12, 1.28, 1.36, 1.46, 1.75, 1.95, 2.2, 2.6, np.pi),
    (0.806, 0.807, 0.808, 0.796, 0.778, 0.754, 0.728, 0.716, 0.732, 0.738, 0.690, 0.668, 0.655, 0.648),
)


@dataclass(frozen=True)
class Regions:
    """Soft masks (N,) 0..1 of the texels, and the places ``point`` (N, 3) with x mirrored to the left side."""

    point: np.ndarray
    masks: dict[str, np.ndarray]
    light: np.ndarray
    face: np.ndarray
    hair: np.ndarray
    hair_length: np.ndarray
    brow: np.ndarray
    brow_strands: np.ndarray
    lid_rim: np.ndarray
    waterline: np.ndarray
    lash_line: np.ndarray


def _mask(read: Callable[[str], bytes], name: str, uv: np.ndarray) -> np.ndarray:
    """A MakeHuman mask at points of its own atlas."""
    with Image.open(io.BytesIO(read(f"mpfb2/textures/mpfb_{name}.jpg"))) as picture:
        values = np.asarray(picture.convert("L"), dtype=np.float32) / 255.0
    height, width = values.shape
    places = np.stack([(1.0 - uv[:, 1]) * height - 0.5, uv[:, 0] * width - 0.5])
    return step(map_coordinates(values, places, order=1, mode="nearest"), 0.05, 0.95)


def regions(texels: Texels, read: Callable[[str], bytes]) -> Regions:
    """What every texel belongs to.

    texels: ``extra`` (N, 2) holds openness to light, and the rings of vertices between a texel and the edge of the
    eyelids' lining (0 there, 1 at the front edge of the lid). read: the bytes of a file of the MakeHuman data.
    """
    point = texels.position.copy()
    point[:, 0] = np.abs(point[:, 0])
    x, y, z = point.T
    found = {name: _mask(read, name, unstretch(texels.uv)) for name in MASKS}
    found["inside-mouth"] = np.maximum(found["inside-mouth"], is_lining(unstretch(texels.uv), y))
    inside = found["inside-mouth"]
    head = step(y, 0.60, 0.63) * (1 - inside)
    angle = np.arctan2(x, z - 0.05)
    ragged = 0.0016 * noise(texels.position, 0.006, 11) + 0.0006 * noise(texels.position, 0.0015, 12)
    above = y - _HAIRLINE(angle).astype(np.float32) + ragged
    ear = np.maximum(found["ears"], step(x, 0.0785, 0.0815) * step(y, 0.742, 0.737) * step(z, 0.028, 0.034))
    soft = np.where(angle < 1.5, 0.0085, 0.012)
    hair = np.clip((above + soft * 0.5) / (2 * soft), 0, 1) * head * (1 - ear)
    face = step(z, 0.06, 0.10) * step(y, 0.60, 0.63) * (1 - hair) * (1 - inside)
    lid = texels.extra[:, 1]
    strands, cover = brow_cover(texels.position)
    return Regions(
        point=point,
        masks=found,
        light=texels.extra[:, 0],
        face=face,
        hair=hair,
        hair_length=step(above, -0.004, 0.010 + 0.040 * step(angle, 0.9, 1.35)),
        brow=cover,
        brow_strands=strands,
        lid_rim=bump(lid - 1.35, 0.42) * (1 - inside),
        waterline=step(lid, 1.0, 0.7) * (1 - inside),
        lash_line=bump(lid - 1.0, 0.16) * (1 - inside),
    )


def is_lining(uv: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Whether points (N, 2) of the MakeHuman atlas lie in the two charts behind the eyelids.

    The chart of the back reaches into their corner, so ``height`` (N,) metres tells the two apart.
    """
    return (uv[:, 0] < 0.1535) & (uv[:, 1] > 0.53) & (uv[:, 1] < 0.65) & (height > 0.6)


def _spot(point: np.ndarray, place: tuple[float, float, float], radius: float) -> np.ndarray:
    return bump(np.linalg.norm(point - np.asarray(place, dtype=np.float32), axis=1), radius)


# Moles on face, neck and chest: x, y and radius in millimetres, not mirrored.
_MOLES = (
    (52, 711, 0.75),
    (-47, 671, 0.85),
    (-21, 640, 0.55),
    (34, 596, 0.95),
    (-52, 540, 0.9),
    (12, 470, 1.1),
    (61, 452, 0.8),
)


def _moles(texels: Texels) -> np.ndarray:
    """A few small moles on the front of face, neck and chest."""
    x, y, _ = texels.position.T
    total = np.zeros(len(x), dtype=np.float32)
    for across, up, radius in _MOLES:
        flat = np.hypot(x - across * 1e-3, y - up * 1e-3)
        spot = step(flat, 1.6e-3 * radius, 0.5e-3 * radius) * (texels.normal[:, 2] > 0.2)
        total = np.maximum(total, spot * (texels.position[:, 2] > 0.04))
    return total


def colour(texels: Texels, r: Regions) -> np.ndarray:
    """Skin colour (N, 3) float32, sRGB 0..1."""
    p, point = texels.position, r.point
    _, y, z = point.T
    out = np.tile(tone(*SKIN), (len(p), 1))
    warm = cloud(p, 0.035, 21) * 0.5 + cloud(p, 0.011, 25) * 0.6
    out += warm[:, None] * tone(-0.004, -0.013, -0.012)
    out += (cloud(p, 0.0026, 31, 2) * 0.011)[:, None] * tone(1.0, 1.05, 1.05)
    red = 0.42 * _spot(point, (0.046, 0.698, 0.118), 0.017)
    red += 0.42 * _spot(point, (0.0, 0.692, 0.165), 0.010) + 0.30 * _spot(point, (0.0165, 0.690, 0.15), 0.006)
    red += 0.14 * _spot(point, (0.0, 0.632, 0.148), 0.013) + 0.55 * r.masks["ears"] * step(z, 0.03, 0.06)
    red += 0.10 * step(y, 0.585, 0.50) * step(y, 0.35, 0.47) * step(z, 0.0, 0.09)
    out = mix(out, BLOOD, np.clip(red * (1 + 0.22 * cloud(p, 0.006, 41)), 0, 1))
    out = mix(out, (0.905, 0.755, 0.630), 0.35 * _spot(point, (0.0, 0.782, 0.15), 0.026))
    out = mix(out, (0.800, 0.675, 0.610), 0.30 * r.face * step(y, 0.668, 0.640) * step(z, 0.07, 0.11))
    out = _eyes(out, r)
    freckles = step(noise(p, 0.0011, 51), 1.2, 2.2) * r.face * bump(y - 0.705, 0.022)
    out = mix(out, (0.70, 0.47, 0.35), 0.22 * freckles * step(cloud(p, 0.02, 52), -0.8, 1.0))
    out = mix(out, (0.40, 0.25, 0.18), 0.58 * _moles(texels))
    pores = np.maximum(noise(p, 0.00042, 101) - 0.5, 0.0) * r.face
    out -= (0.014 * pores)[:, None] * tone(0.8, 1.0, 1.0)
    out = _lips(out, p, r)
    out = mix(out, (0.70, 0.44, 0.39), 0.75 * r.masks["aureolae"])
    nails = np.maximum(r.masks["fingernails"], r.masks["toenails"])
    out = mix(out, (0.90, 0.70, 0.655), 0.8 * nails)
    shade = np.clip(r.light, 0, 1)
    out *= (0.76 + 0.24 * shade)[:, None] ** tone(0.75, 1.15, 1.2)
    out = mix(out, (0.16, 0.06, 0.05), 0.9 * _spot(point, (0.0098, 0.6885, 0.1535), 0.0026))
    out = mix(out, (0.30, 0.13, 0.10), 0.8 * _spot(point, (0.071, 0.7085, 0.054), 0.0028))
    return np.clip(_hair(out, p, r), 0.0, 1.0)


def _eyes(out: np.ndarray, r: Regions) -> np.ndarray:
    """Socket, lids, lid rims and waterline."""
    x, y, _ = r.point.T
    outside = 1 - r.masks["inside-mouth"]
    socket = bump(np.hypot((x - 0.031) / 1.45, y - 0.7300), 0.0105) * outside * r.face
    out = mix(out, (0.735, 0.530, 0.455), 0.38 * socket)
    hollow = bump(np.hypot((x - 0.0235) / 1.5, y - 0.7195), 0.0042) + 0.9 * bump(
        np.hypot(x - 0.0155, y - 0.731), 0.0048
    )
    out = mix(out, (0.640, 0.455, 0.435), 0.20 * np.clip(hollow, 0, 1) * outside * r.face)
    crease = bump(y - (0.7385 - 20.0 * (x - 0.032) ** 2), 0.0011) * step(x, 0.015, 0.021) * step(x, 0.052, 0.045)
    out = mix(out, (0.52, 0.33, 0.27), 0.42 * crease * r.face)
    upper = 0.30 + 0.70 * step(y, 0.7265, 0.7305)
    out = mix(out, (0.56, 0.35, 0.30), 0.55 * r.lid_rim * (0.5 + 0.5 * upper))
    corner = bump(np.hypot(x - 0.0185, y - 0.7275), 0.0017) * outside * r.face
    out = mix(out, (0.78, 0.46, 0.42), 0.35 * corner)
    out = mix(out, (0.77, 0.50, 0.46), 0.85 * r.waterline)
    return mix(out, (0.16, 0.095, 0.075), 0.80 * r.lash_line * upper)


def _lips(out: np.ndarray, p: np.ndarray, r: Regions) -> np.ndarray:
    """Lips with soft border, vertical lines and a darker wet line; the inside of the mouth."""
    x, y, z = r.point.T
    lips = r.masks["lips"]
    lines = noise(p, (0.0009, 0.008, 0.008), 71) + 0.6 * noise(p, (0.0005, 0.005, 0.005), 72)
    body = np.tile(tone(*LIP), (len(p), 1))
    body = mix(body, (0.790, 0.520, 0.470), 0.7 * bump(np.hypot(x / 1.9, y - 0.6545), 0.0036))
    body = mix(body, (0.50, 0.245, 0.225), 0.75 * bump(y - 0.6605, 0.0016) * step(x, 0.034, 0.02))
    body += (lines * 0.015 + 0.012 * cloud(p, 0.004, 73))[:, None]
    border = np.exp(-(((lips - 0.35) / 0.22) ** 2)) * (1 - lips)
    out = mix(out, (0.93, 0.76, 0.67), 0.35 * border)
    out = mix(out, body, 0.80 * step(lips, 0.12, 1.0) * step(noise(p, 0.0025, 74), -6.0, 1.5))
    inside = r.masks["inside-mouth"]
    deep = step(z, 0.135, 0.09)[:, None]
    wet = tone(0.62, 0.27, 0.255) * (1 - deep) + tone(0.33, 0.10, 0.095) * deep
    return mix(out, wet + (0.03 * cloud(p, 0.003, 75))[:, None], inside)


def _hair(out: np.ndarray, p: np.ndarray, r: Regions) -> np.ndarray:
    """Brows and a short crop on the scalp: a soft undertone with strands on top."""
    strands = 0.5 + 0.5 * np.tanh(1.1 * hair_relief(p))
    clumps = noise(p, (0.0009, 0.0014, 0.0022), 86) + 0.5 * noise(p, (0.0005, 0.0008, 0.0012), 87)
    density = r.hair * (0.30 + 0.70 * r.hair_length)
    out = mix(out, (0.285, 0.212, 0.180), 0.86 * density)
    cover = step(strands + 0.05 * clumps, 0.85 - density, 1.65 - density)
    hair = np.tile(tone(*HAIR), (len(p), 1)) * (0.62 + 0.75 * strands + 0.13 * clumps)[:, None]
    out = mix(out, hair, 0.92 * cover * step(r.hair, 0.0, 0.3))
    out = mix(out, (0.46, 0.325, 0.26), 0.42 * r.brow)
    return mix(out, (0.205, 0.145, 0.112), 0.42 * r.brow_strands)


def hair_relief(p: np.ndarray) -> np.ndarray:
    """Noise (N,) of cropped hair: short strands that lie back and down on the scalp."""
    return noise(p, (0.00022, 0.0004, 0.0006), 81) + 0.8 * noise(p, 0.00017, 82)


def relief(texels: Texels, r: Regions) -> np.ndarray:
    """Height (N,) float32 in metres above the mesh: pores, fine lines, lip lines, strands of hair."""
    p, point = texels.position, r.point
    x, y, z = point.T
    plain = (1 - r.hair) * (1 - r.masks["inside-mouth"]) * (1 - r.masks["lips"])
    pores = -np.maximum(noise(p, 0.00042, 101) - 0.25, 0.0)
    lines = -np.abs(noise(p, 0.0009, 102)) * 0.6 + 0.5 * noise(p, 0.0006, 103)
    oily = 0.45 + 0.25 * bump(np.hypot(x / 1.6, y - 0.70), 0.022) * r.face + 0.25 * r.face
    out = plain * (pores * 25e-6 * oily + lines * 9e-6)
    wobble = 0.0012 * noise(p, 0.012, 104)
    centre = step(x, 0.045, 0.02) * step(z, 0.10, 0.13)
    for height, depth in ((0.7705, 50e-6), (0.7815, 70e-6), (0.7925, 45e-6)):
        out -= depth * bump(y - height - 0.03 * x + wobble, 0.0009) * centre
    feet = (
        sum(bump((y - 0.7285) - slope * (x - 0.045) + 0.3 * wobble, 0.0006) for slope in (0.45, 0.1, -0.3, -0.6))
        * step(x, 0.047, 0.051)
        * step(x, 0.062, 0.054)
        * r.face
    )
    out -= 60e-6 * feet
    under = bump(y - (0.7190 + 14.0 * (x - 0.031) ** 2) + 0.2 * wobble, 0.0007) * step(x, 0.016, 0.022)
    out -= 60e-6 * under * step(x, 0.045, 0.038) * r.face
    neck = step(y, 0.60, 0.59) * step(y, 0.55, 0.56) * step(z, 0.0, 0.05)
    for height in (0.5935, 0.574):
        out -= 110e-6 * bump(y - height + 1.6 * wobble - 0.25 * x, 0.0011) * neck
    lip_lines = noise(p, (0.0009, 0.008, 0.008), 71) + 0.6 * noise(p, (0.0005, 0.005, 0.005), 72)
    out += 42e-6 * lip_lines * r.masks["lips"]
    out += 45e-6 * hair_relief(p) * r.hair + 50e-6 * r.brow_strands
    return out.astype(np.float32)


def normal_map(texels: Texels, height: np.ndarray) -> np.ndarray:
    """Tangent-space normals (size, size, 3) float32 0..1, +Y up, of a height (N,) in metres."""
    surface = image(texels, texels.position)
    relief_map = image(texels, height[:, None])[..., 0]
    slopes = []
    for axis in (1, 0):
        run = np.linalg.norm(np.gradient(surface, axis=axis), axis=-1)
        slopes.append(np.gradient(relief_map, axis=axis) / np.clip(run, 5e-5, None))
    normal = np.stack([-slopes[0], slopes[1], np.ones_like(relief_map)], axis=-1)
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True) * 0.5 + 0.5


def roughness(texels: Texels, r: Regions) -> np.ndarray:
    """Roughness (N,) float32 0..1: oilier forehead and nose, wet lips and lid rims, dull hair."""
    p = texels.position
    x, y, _ = r.point.T
    out = np.full(len(p), 0.60, dtype=np.float32)
    zone = bump(np.hypot(x / 1.5, y - 0.70), 0.016) + 0.8 * bump(np.hypot(x / 2.2, y - 0.78), 0.016)
    out -= 0.13 * np.clip(zone, 0, 1) * r.face
    out += 0.035 * cloud(p, 0.003, 111) + 0.02 * noise(p, 0.00042, 101)
    for amount, value in (
        (r.masks["lips"], 0.43),
        (r.masks["inside-mouth"], 0.28),
        (np.maximum(r.masks["fingernails"], r.masks["toenails"]), 0.32),
        (r.waterline, 0.22),
        (r.hair, 0.90),
        (r.brow, 0.75),
    ):
        out += (value - out) * amount
    return np.clip(out, 0.05, 1.0)
