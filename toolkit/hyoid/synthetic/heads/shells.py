# SPDX-License-Identifier: Apache-2.0
"""Surfaces around a skull: hair, hats and cloth on a grid of directions, tubes, rings and small solids.

All points are metres in the rest pose of an identity. A grid runs from the crown down (rows) and around (columns, first
the face, then the left ear); what falls hangs from where the head is widest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hyoid.synthetic.heads import bank

HAIR, CLOTH, HARD, LENS = 6, 7, 8, 9
_ABOUT = np.radians([0, 30, 50, 68, 80, 92, 112, 140, 180])
_FRONT, _BACK = slice(0, 4), slice(6, 9)


@dataclass(frozen=True)
class Piece:
    """A surface that a person wears.

    Attributes:
        points: (n, 3) rest of the identity. triangles: (m, 3). uv: (n, 2). edge: (n,) from 0 at the rim to 1 well
            inside.
        colour: (3,) linear. material: :data:`HAIR` and the like. style: what the shader needs (curls, pattern).
        trunk: (n,) share of the trunk in how a point moves, the rest is the head's. close: it counts for the head's
            box.
    """

    points: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    edge: np.ndarray
    colour: np.ndarray
    material: int
    style: float
    trunk: np.ndarray
    close: bool = True


@dataclass(frozen=True)
class Shell:
    """A grid around the head.

    Attributes:
        line: (9,) degrees from the crown down to the rim at 0, 30, 50, 68, 80, 92, 112, 140 and 180 degrees from
            the face.
        thick: metres at crown, front, sides and back. taper: degrees over which it thins out towards the rim.
        fall: metres that it hangs below the rim at the back and at the sides, 0 for none. flare: metres that it widens.
        over_ears: whether it covers them. bumps: share of the thickness that is uneven. bump_size: waves per radian.
        opening: half width and half height in degrees of a hole for the face, or None. part: degrees to one side.
    """

    line: np.ndarray
    thick: tuple[float, float, float, float]
    taper: float = 14.0
    fall: float = 0.0
    flare: float = 0.0
    over_ears: bool = False
    bumps: float = 0.2
    bump_size: float = 4.0
    opening: tuple[float, float] | None = None


def waves(random: np.random.Generator, points: np.ndarray, size: float, count: int = 14) -> np.ndarray:
    """A smooth random field (...) of about unit deviation on points (..., 3); ``size``: waves per unit, roughly."""
    frequency = random.standard_normal((count, 3)) * size
    phase = random.uniform(0, 2 * np.pi, count)
    return np.sin(points @ frequency.T + phase).sum(-1) * np.sqrt(2 / count)


def around(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Nine values on the half circle from face to back as a smooth function of the angle about the vertical."""

    def at(about: np.ndarray) -> np.ndarray:
        folded = np.abs((about + np.pi) % (2 * np.pi) - np.pi)
        return np.interp(folded, _ABOUT, values)

    return at


def grid(
    person: bank.Identity, shell: Shell, random: np.random.Generator, rows: int = 20, columns: int = 56
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points (rows, columns + 1, 3), edge and trunk share (rows, columns + 1), uv of a shell; the seam is doubled."""
    about = np.linspace(0, 2 * np.pi, columns + 1)
    rim = np.radians(around(shell.line)(about))
    rim = rim + np.radians(2.0) * waves(random, np.stack([np.sin(about), np.cos(about), 0 * about], -1), 3.0)
    wide = np.radians(100.0)  # from here hair hangs
    falls = shell.fall > 0
    share = np.linspace(0.01, 1, rows if not falls else rows - 8)[:, None]
    last = np.where(falls, np.minimum(rim, np.where(rim > np.radians(84), wide, rim)), rim)
    polar = share**0.85 * last[None]
    around_all = np.broadcast_to(about, polar.shape)
    unit = np.stack([np.sin(polar) * np.sin(around_all), np.cos(polar), np.sin(polar) * np.cos(around_all)], -1)
    front = np.clip(np.cos(around_all), 0, 1) * np.sin(polar)
    back = np.clip(-np.cos(around_all), 0, 1) * np.sin(polar)
    side = np.abs(np.sin(around_all)) * np.sin(polar)
    crown = np.cos(polar).clip(0)
    parts = np.stack([crown, front, side, back], -1) ** 2
    thick = (parts * np.array(shell.thick)).sum(-1) / parts.sum(-1).clip(1e-6)
    below = np.degrees(rim[None] - polar)
    rising = np.clip(below / max(shell.taper, 1e-3), 0, 1)
    uneven = waves(random, unit, shell.bump_size) * shell.bumps
    uneven[:, -1] = uneven[:, 0]
    radius, outer = (_at(values, polar, around_all) for values in (person.skull, person.outer))
    hangs = falls & (rim > np.radians(84))
    thin = np.where(hangs[None], 1.0, 0.12 + 0.88 * np.sqrt(rising))
    grown = radius + thick * (1 + uneven) * thin
    if shell.over_ears:
        grown = np.maximum(grown, outer + 0.003 + 0.002 * uneven)
    points = person.centre + unit * grown[..., None]
    edge = np.clip(below / 12, 0, 1)
    trunk = np.zeros(edge.shape)
    if falls:
        points, edge, trunk = _hang(person, shell, points, hangs, uneven[-1], trunk)
    edge[:, -1] = edge[:, 0]
    points[:, -1] = points[:, 0]
    if shell.opening is not None:
        edge = np.minimum(edge, _around_face(person, points, shell.opening))
    uv = np.stack(np.broadcast_arrays(about[None] / (2 * np.pi), np.linspace(0, 1, len(points))[:, None]), -1)
    return points, edge, trunk, uv


def _hang(
    person: bank.Identity, shell: Shell, points: np.ndarray, hangs: np.ndarray, uneven: np.ndarray, trunk: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eight more rows that hang down from the last one where ``hangs``; elsewhere they stay at the rim."""
    end = points[-1]
    steps = np.linspace(0, 1, 9)[1:, None, None]
    length = shell.fall * (1 + 0.12 * uneven)[None, :, None]
    flat = (end - person.centre) * [1.0, 0.0, 1.0]
    out = flat / np.linalg.norm(flat, axis=-1, keepdims=True).clip(1e-6)
    ease = steps**1.3
    inward = -0.10 * np.sin(np.pi * np.minimum(steps * 1.2, 1)) * np.linalg.norm(flat, axis=-1)[None, :, None]
    more = end + np.where(
        hangs[None, :, None], out * (shell.flare * ease * steps + inward) - length * steps * [0, 1, 0], 0.0
    )
    down = (person.centre[1] - 0.45 * person.size - more[..., 1]) / 0.12
    lower = np.where(hangs[None], np.clip(down, 0, 1), 0)
    rim = np.clip((1 - steps[..., 0]) * 5, 0, 1) * hangs
    upper = np.where(hangs[None], 1.0, np.linspace(1, 0, len(points))[:, None] * 2).clip(0, 1)
    return np.concatenate([points, more]), np.concatenate([upper, rim]), np.concatenate([trunk, lower])


def _around_face(person: bank.Identity, points: np.ndarray, opening: tuple[float, float]) -> np.ndarray:
    """0 at the rim of a hole around the face, 1 well outside, negative within."""
    offset = points - person.centre
    offset = offset / np.linalg.norm(offset, axis=-1, keepdims=True).clip(1e-9)
    across = np.degrees(np.arctan2(offset[..., 0], offset[..., 2]))
    up = np.degrees(np.arcsin(offset[..., 1].clip(-1, 1)))
    inside = np.hypot(across / opening[0], (up + 22) / opening[1])
    return np.clip((inside - 1) * 3, -1, 1)


def _at(radii: np.ndarray, polar: np.ndarray, about: np.ndarray) -> np.ndarray:
    """Radii at angles, bilinear."""
    first, _ = bank.directions()
    row = np.clip((polar - first[0]) / (first[1] - first[0]), 0, bank.ROWS - 1.001)
    column = (about / (2 * np.pi) * bank.COLUMNS) % bank.COLUMNS
    r, c = row.astype(int), column.astype(int)
    c = np.minimum(c, bank.COLUMNS - 1)
    a, b = row - r, column - c
    n = (c + 1) % bank.COLUMNS
    return (1 - a) * ((1 - b) * radii[r, c] + b * radii[r, n]) + a * ((1 - b) * radii[r + 1, c] + b * radii[r + 1, n])


def grid_triangles(rows: int, columns: int) -> np.ndarray:
    """Triangles (m, 3) of a grid of vertices, row by row."""
    at = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def sheet(
    points: np.ndarray,
    colour: np.ndarray,
    material: int,
    *,
    style: float = 0.0,
    trunk: float | np.ndarray = 0.0,
    edge: float | np.ndarray = 1.0,
    uv: np.ndarray | None = None,
    close: bool = True,
) -> Piece:
    """A piece of a grid of points (rows, columns, 3)."""
    rows, columns = points.shape[:2]
    if uv is None:
        u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
        uv = np.stack([u, v], -1)
    fill = [np.broadcast_to(value, (rows, columns)).ravel() for value in (edge, trunk)]
    return Piece(
        points.reshape(-1, 3),
        grid_triangles(rows, columns),
        uv.reshape(-1, 2),
        fill[0],
        np.asarray(colour, float),
        material,
        style,
        fill[1],
        close,
    )


def tube(path: np.ndarray, radii: np.ndarray, flatten: float = 1.0, sides: int = 9) -> np.ndarray:
    """A grid (n, sides + 1, 3) around a path (n, 3) of radii (n,); ``flatten`` scales one axis of the section."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True).clip(1e-9)
    helper = np.array([1.0, 0.2, 0.1])
    side = np.cross(along, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True).clip(1e-9)
    other = np.cross(along, side)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.cos(angle)[None, :, None] * side[:, None] + flatten * np.sin(angle)[None, :, None] * other[:, None]
    return path[:, None] + radii[:, None, None] * ring


def ball(centre: np.ndarray, radii: np.ndarray | float, rows: int = 10, columns: int = 16) -> np.ndarray:
    """A grid (rows, columns + 1, 3) of an ellipsoid."""
    polar, about = np.meshgrid(
        np.linspace(0.01, np.pi - 0.01, rows), np.linspace(0, 2 * np.pi, columns + 1), indexing="ij"
    )
    unit = np.stack([np.sin(polar) * np.sin(about), np.cos(polar), np.sin(polar) * np.cos(about)], -1)
    return centre + unit * radii
