# SPDX-License-Identifier: Apache-2.0
"""The two-part eye: an inner surface (sclera, recessed iris, pupil) and a clear cornea that bulges over it.

Both are given in the unit frame of one eyeball (centre at the origin, optical axis +z, radius 1) and are bound to six
vertices of the data's own eyeball, so that they follow every identity linearly.

Maps: the optical axis is at uv (0.5, 0.5); the limbus (edge of the iris) is the circle of radius 0.25 around it, the
iris fills it, and the sclera spreads from there to the back pole at radius 0.5, evenly in angle.
"""

from __future__ import annotations

import numpy as np

LIMBUS = np.radians(22.0)
PUPIL = 0.36  # of the iris radius
SEGMENTS = 32
_SCLERA_DEGREES = (152.0, 124.0, 100.0, 80.0, 64.0, 51.0, 41.0, 33.0, 27.0, 23.6, 22.0)
_IRIS = ((0.975, 0.012), (0.93, 0.045), (0.75, 0.058), (0.55, 0.07), (PUPIL, 0.08), (PUPIL * 0.55, 0.083))
_CORNEA = (1.22, 1.06, 0.9, 0.72, 0.5, 0.25)  # of the limbus angle
CORNEA_BULGE = 0.035


def _rings(points: np.ndarray, map_radius: np.ndarray, pole: np.ndarray | None, first_pole: np.ndarray | None):
    """Quads around rings (rings, segments, 3); poles are closed with quads that span two segments."""
    count, segments = points.shape[:2]
    angle = 2 * np.pi * np.arange(segments) / segments
    uv = 0.5 + map_radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    vertices, uvs, faces = [points.reshape(-1, 3)], [uv.reshape(-1, 2)], []
    right = (np.arange(segments) + 1) % segments
    for ring in range(count - 1):
        a, b = ring * segments, (ring + 1) * segments
        faces.append(np.stack([a + np.arange(segments), a + right, b + right, b + np.arange(segments)], 1))
    total = count * segments
    even = np.arange(0, segments, 2)
    if pole is not None:
        ring = (count - 1) * segments
        faces.append(
            np.stack([np.full(len(even), total), ring + even, ring + even + 1, ring + (even + 2) % segments], 1)
        )
        vertices.append(pole[None])
        uvs.append(np.full((1, 2), 0.5))
        total += 1
    face_uv = np.concatenate(faces)
    if first_pole is not None:
        # The back pole is a circle in the map: each of its quads gets its own corner, so nothing is smeared across.
        faces.append(np.stack([np.full(len(even), total), (even + 2) % segments, even + 1, even], 1))
        middle = angle[even] + np.pi / segments
        back = 0.5 + 0.5 * np.stack([np.cos(middle), np.sin(middle)], -1)
        own = np.stack([sum(map(len, uvs)) + np.arange(len(even)), (even + 2) % segments, even + 1, even], 1)
        face_uv = np.concatenate([face_uv, own])
        vertices.append(first_pole[None])
        uvs.append(back)
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(uvs), face_uv


def inner() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sclera, iris and pupil: vertices (n, 3) in the unit frame, faces (m, 4), uv (k, 2), face_uv (m, 4)."""
    turn = 2 * np.pi * np.arange(SEGMENTS) / SEGMENTS
    circle = np.stack([np.cos(turn), np.sin(turn)], -1)
    rings, radii = [], []
    for degrees in _SCLERA_DEGREES:
        theta = np.radians(degrees)
        rings.append(np.concatenate([np.sin(theta) * circle, np.full((SEGMENTS, 1), np.cos(theta))], 1))
        radii.append(0.25 + 0.25 * (theta - LIMBUS) / (np.pi - LIMBUS))
    edge_radius, edge_height = np.sin(LIMBUS), np.cos(LIMBUS)
    for share, depth in _IRIS:
        rings.append(np.concatenate([share * edge_radius * circle, np.full((SEGMENTS, 1), edge_height - depth)], 1))
        radii.append(0.25 * share)
    pupil = np.array([0.0, 0.0, edge_height - _IRIS[-1][1]])
    return _rings(np.stack(rings), np.array(radii), pupil, np.array([0.0, 0.0, -1.0]))


def cornea() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The clear shell: flush with the sclera outside the limbus, bulging by ``CORNEA_BULGE`` radii on the axis."""
    turn = 2 * np.pi * np.arange(SEGMENTS) / SEGMENTS
    circle = np.stack([np.cos(turn), np.sin(turn)], -1)
    rings = []
    for share in _CORNEA:
        theta = LIMBUS * share
        radius = 1.002 + CORNEA_BULGE * max(0.0, 1 - share**2) ** 1.5 - 0.006 * max(0.0, share - 1) / 0.22
        rings.append(radius * np.concatenate([np.sin(theta) * circle, np.full((SEGMENTS, 1), np.cos(theta))], 1))
    apex = np.array([0.0, 0.0, 1.002 + CORNEA_BULGE])
    return _rings(np.stack(rings), 0.25 * np.array(_CORNEA), apex, None)


def bind(points: np.ndarray, ball: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights that place unit-frame points by vertices of the data's eyeball, linearly.

    Args:
        points: (n, 3) unit frame. ball: (m, 3) the eyeball's vertices at the identity in which it is a sphere.

    Returns:
        chosen: (6,) rows of ``ball`` (its extremes along the axes); weights: (n, 6), rows sum to 1.
    """
    centre = 0.5 * (ball.min(0) + ball.max(0))
    radius = 0.5 * (ball[:, 2].max() - ball[:, 2].min())
    unit = (ball - centre) / radius
    directions = np.concatenate([np.eye(3), -np.eye(3)])
    chosen = np.array([int(np.argmax(unit @ direction)) for direction in directions])
    system = np.concatenate([np.ones((1, 6)), unit[chosen].T])
    wanted = np.concatenate([np.ones((1, len(points))), points.T])
    return chosen, (np.linalg.pinv(system) @ wanted).T
