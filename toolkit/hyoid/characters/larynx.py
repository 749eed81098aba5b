# SPDX-License-Identifier: Apache-2.0
"""The larynx: a field over the skin of the throat with a size and a height in millimetres, and its baked shapes.

The field is the relief of the thyroid cartilage: a keel with a steep notch above and a long slope below, and a fainter
cricoid under it. It slides over the skin; the skin below does not stretch (docs/neck.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hyoid.characters.arkit import LARYNX_SHAPES, SHAPE_MILLIMETRES
from hyoid.characters.character import Shapes

_HEIGHTS = (5.0, 10.0, 15.0, 20.0)  # millimetres that the baked shapes are fitted to


@dataclass(frozen=True)
class Larynx:
    """Where the larynx lies and how far it stands out.

    Attributes:
        centre: (3,) metres, the prominence on the skin at rest. up: (3,) unit, the way it slides.
        forward: (3,) unit, the way it stands out. scale: size of the neck, 1 = the default adult.
        amplitude: metres, height of the prominence at size 1.
    """

    centre: np.ndarray
    up: np.ndarray
    forward: np.ndarray
    scale: float
    amplitude: float


def from_identity(
    numbers: Mapping[str, float], settings: Mapping[str, float], vertices: np.ndarray, landmarks: Mapping[str, int]
) -> Larynx:
    """The larynx of one identity, from the landmarks ``throat``, ``larynx`` and ``jugular`` and the phenotype.

    Args:
        numbers: ``amplitude_male`` and ``amplitude_female``, millimetres.
        vertices: (V, 3) metres, without larynx. settings: the full phenotype.
    """
    top, centre, bottom = (vertices[landmarks[name]] for name in ("throat", "larynx", "jugular"))
    up = (top - bottom) * [0, 1, 1]
    length = float(np.linalg.norm(up))
    up = up / length
    forward = np.array([0.0, -up[2], up[1]])
    grown = float(np.interp(settings["age"], (1 / 3, 2 / 3), (0.0, 1.0)))
    own = numbers["amplitude_male"] + settings["gender"] * (numbers["amplitude_female"] - numbers["amplitude_male"])
    soft = float(np.interp(settings["weight"], (0.5, 1.0), (1.0, 0.35)))
    child = 0.25 * numbers["amplitude_female"]
    amplitude = 1e-3 * soft * (child + grown * (own - child))
    return Larynx(centre * [0, 1, 1], up, forward, length / 0.054, amplitude)


def field(larynx: Larynx, points: np.ndarray, height: float = 0.0, size: float = 1.0) -> np.ndarray:
    """Offsets (n, 3) metres of skin points (n, 3) for a larynx at ``height`` millimetres (up positive) and ``size``.

    A size of 1 is the character's own, 0 is none.
    """
    away = (points - larynx.centre - 1e-3 * height * larynx.up) / larynx.scale
    side = np.abs(away[:, 0])
    along = away @ larynx.up
    depth = away @ larynx.forward
    relief = _keel(side, along) + 0.16 * _bump(side, along + 0.025, 0.011, 0.0055)
    relief = relief * np.exp(-((np.maximum(np.abs(depth) - 0.012, 0) / 0.012) ** 2))
    return (size * larynx.amplitude * relief)[:, None] * larynx.forward


def near(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Whether points (n, 3) lie around the throat, where a larynx at any height may move them: (n,) bool."""
    return np.linalg.norm((points - centre) * [1, 0.6, 0.5], axis=1) < 0.05


def _keel(side: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Relief 0..1 of the thyroid cartilage: ``side`` from the midline, ``along`` upwards from its prominence."""
    profile = np.exp(-((along / np.where(along > 0, 0.0090, 0.0170)) ** 2))
    edge = 1 / np.cosh(side / 0.0070) ** 2
    laminae = np.exp(-((side / 0.0150) ** 2))
    return profile * (0.55 * edge + 0.45 * laminae)


def _bump(side: np.ndarray, along: np.ndarray, width: float, tall: float) -> np.ndarray:
    return np.exp(-((side / width) ** 2) - (along / tall) ** 2)


def _travel(larynx: Larynx, points: np.ndarray, sign: int) -> np.ndarray:
    """The one shape (n, 3) that comes nearest to the field at all heights when its weight is mm / 10.

    A shape that is exact at 10 mm grows a sharp knob at 20 and leaves a dent behind. This is the least squares fit with
    small heights counting more (by 1 / height), which comes down to a sum of differences over the sum of weights.
    """
    own = field(larynx, points)
    total = np.zeros_like(own)
    for height in _HEIGHTS:
        # A risen larynx hides under the hyoid bone: it stands out less.
        total += field(larynx, points, sign * height, 1 - 0.01 * height if sign > 0 else 1.0) - own
    return total * (SHAPE_MILLIMETRES / sum(_HEIGHTS))


def bake(larynx: Larynx, vertices: np.ndarray, rows: np.ndarray, shapes: Shapes) -> tuple[np.ndarray, Shapes]:
    """Rest vertices with the larynx, and the facial shapes followed by ``larynxUp``, ``larynxDown``, ``larynxSize``.

    Args:
        vertices: (V, 3) without larynx. rows: (n,) rising, the vertices of the throat.
    """
    points = vertices[rows]
    own = field(larynx, points)
    rest = vertices.copy()
    rest[rows] += own
    offsets = (_travel(larynx, points, 1), _travel(larynx, points, -1), own)
    starts, moved, values = list(shapes.starts), [shapes.vertices], [shapes.offsets]
    for offset in offsets:
        seen = np.linalg.norm(offset, axis=1) > 1e-7
        moved.append(rows[seen].astype(np.int32))
        values.append(offset[seen].astype(np.float32))
        starts.append(starts[-1] + int(seen.sum()))
    names = (*shapes.names, *LARYNX_SHAPES)
    return rest, Shapes(names, np.array(starts, np.int64), np.concatenate(moved), np.concatenate(values))
