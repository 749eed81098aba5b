# SPDX-License-Identifier: Apache-2.0
"""The eye map and the tongue map.

Eye map (laid out by :mod:`rigs.human.eyes`): polar about the optical axis at uv (0.5, 0.5), +u towards the character's
left, +v up. The iris fills the circle of radius 0.25, the pupil 0.36 of that; the white spreads from there, evenly in
angle, to the back pole at radius 0.5.
"""

from __future__ import annotations

import numpy as np

from rigs.human.atlas import bump, cloud, mix, noise, step, tone

LIMBUS_DEGREES = 22.0
IRIS_RADIUS = 0.25  # in the map
PUPIL = 0.36  # of the iris
IRIS_TONES = {
    "hazel": ((0.43, 0.265, 0.115), (0.285, 0.225, 0.13), (0.065, 0.055, 0.045)),
    "brown": ((0.34, 0.185, 0.085), (0.235, 0.125, 0.065), (0.055, 0.04, 0.035)),
    "blue": ((0.56, 0.55, 0.47), (0.36, 0.46, 0.56), (0.10, 0.14, 0.20)),
}


def eye(size: int, iris: str = "hazel") -> np.ndarray:
    """Colour of the eyeball (size, size, 3) float32, sRGB 0..1; iris is one of ``IRIS_TONES``."""
    steps = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = (part.ravel() for part in np.meshgrid(steps, -steps))
    radius = np.hypot(x, y)
    share = radius / IRIS_RADIUS
    back = (radius - IRIS_RADIUS) / (0.5 - IRIS_RADIUS) * (180 - LIMBUS_DEGREES)
    angle = np.where(share < 1, share * LIMBUS_DEGREES, LIMBUS_DEGREES + back)
    turn = np.arctan2(y, x)
    sphere = np.stack([np.cos(turn) * np.sin(np.radians(angle)), np.sin(turn) * np.sin(np.radians(angle))], axis=1)
    place = np.concatenate([sphere, np.cos(np.radians(angle))[:, None]], axis=1).astype(np.float32)
    out = _sclera(place, angle)
    found = np.flatnonzero(share < 1.15)
    edge = step(share[found] + 0.012 * noise(place[found], 0.05, 303), 1.04, 0.955)
    out[found] = mix(out[found], _iris(place[found], share[found], turn[found], iris), edge)
    return np.clip(out, 0, 1).reshape(size, size, 3)


def _sclera(place: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """White of the eye: warm at the corners, faint veins, a grey-blue ring next to the iris."""
    out = np.tile(tone(0.845, 0.815, 0.790), (len(place), 1))
    out += (cloud(place, 0.12, 311) * 0.008)[:, None]
    sideways = np.abs(place[:, 0])
    out = mix(out, (0.86, 0.66, 0.60), 0.62 * step(angle, 34, 80) * (0.35 + 0.65 * step(sideways, 0.3, 0.85)))
    out = mix(out, (0.80, 0.52, 0.47), 0.8 * step(angle, 58, 95))
    bent = place + 0.05 * np.stack([cloud(place, 0.16, 321 + 4 * axis) for axis in range(3)], axis=1)
    for cell, width, strength, seed in ((0.30, 0.045, 0.40, 341), (0.16, 0.06, 0.26, 342), (0.09, 0.08, 0.14, 343)):
        vein = bump(noise(bent, cell, seed), width) * step(noise(place, 2.2 * cell, seed + 10), -0.5, 1.1)
        out = mix(
            out, (0.72, 0.25, 0.22), strength * vein * step(angle, 24, 52) * (0.3 + 0.7 * step(sideways, 0.15, 0.7))
        )
    out *= (1 - 0.38 * step(place[:, 1], 0.08, 0.50) - 0.16 * step(angle, 35, 75))[:, None]  # shade of lid and lashes
    return mix(out, (0.64, 0.62, 0.63), 0.50 * bump(angle - LIMBUS_DEGREES, 1.8))


def _iris(place: np.ndarray, radius: np.ndarray, turn: np.ndarray, name: str) -> np.ndarray:
    """Iris with fibres, a ragged collar, a dark limbal ring, and the pupil. radius: 1 at the edge of the iris."""
    inner, outer, ring = IRIS_TONES[name]
    share = np.clip((radius - PUPIL) / (1 - PUPIL), 0, 1)
    fibre = np.stack([np.cos(turn), np.sin(turn), 0.16 * share], axis=1)
    bent = fibre + 0.02 * np.stack([noise(fibre + share[:, None] * 0.3, 0.25, 351 + axis) for axis in range(3)], axis=1)
    strands = noise(bent, 0.06, 361) + 0.8 * noise(bent, 0.028, 362) + 0.5 * noise(bent, 0.014, 366)
    strands += 0.4 * noise(place, 0.03, 363)
    collar = 0.28 + 0.06 * noise(fibre, 0.2, 364)
    out = mix(np.tile(tone(*outer), (len(place), 1)), inner, step(share, collar + 0.26, collar - 0.12))
    out *= (1.0 + 0.24 * np.clip(strands, -1.7, 2.0))[:, None]
    out = mix(out, tone(*inner) * 1.25, 0.35 * bump(share - collar, 0.05) * step(strands, -0.5, 1))
    out *= (0.86 + 0.20 * share)[:, None]
    out = mix(out, ring, 0.85 * step(share, 0.68, 0.98))
    out *= (1 - 0.42 * step(place[:, 1], 0.02, 0.36))[:, None]
    edge = PUPIL + 0.008 * noise(fibre, 0.1, 365)
    out = mix(out, tone(*ring) * 0.6, 0.7 * step(radius, edge + 0.07, edge))
    return mix(out, (0.012, 0.010, 0.010), step(radius, edge + 0.012, edge - 0.012))


def tongue(size: int) -> np.ndarray:
    """Colour of the tongue (size, size, 3) float32, sRGB 0..1, in its own chart."""
    steps = (np.arange(size, dtype=np.float32) + 0.5) / size
    u, v = (part.ravel() for part in np.meshgrid(steps, 1 - steps))
    place = np.stack([u * 0.045, v * 0.09, np.zeros_like(u)], axis=1).astype(np.float32)
    out = np.tile(tone(0.735, 0.400, 0.385), (size * size, 1))
    out = mix(out, (0.82, 0.56, 0.53), 0.45 * step(cloud(place, 0.0022, 371, 2), 0.1, 1.3))
    out += (0.022 * cloud(place, 0.006, 375))[:, None]
    out = mix(out, (0.52, 0.22, 0.22), 0.45 * bump(u - 0.5 + 0.008 * noise(place, 0.01, 376), 0.016))
    return np.clip(out, 0, 1).reshape(size, size, 3)
