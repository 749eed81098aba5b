# SPDX-License-Identifier: Apache-2.0
"""The shape of a tense neck: the strands of the sternocleidomastoid, bands of the platysma, and the hollows between."""

from __future__ import annotations

import numpy as np
from hyoid.geometry.meshes import vertex_normals

from rigs.human import skeleton

JUGULAR, MENTON = 1522, 991  # body vertices on the midline: the notch over the breastbone, the lowest point of the chin
STRAND, STRAND_WIDTH = 0.0065, 0.0100  # metres: how far a muscle stands out, how wide it is
BAND, BAND_WIDTH = 0.0016, 0.0080
FURROW = 0.35  # of a strand's height
HOLLOW = 0.0026  # metres that the skin sinks in over the collar bone and in the notch


def tense(adult: np.ndarray, faces: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Offsets (vertices, 3) metres of the shape ``neckTense`` over the base mesh of one adult.

    Args:
        adult: (vertices, 3) metres. faces: quads of the body. heads: (8, 3) joints of the neck.
    """
    skin = adult[skeleton.BODY]
    normals = vertex_normals(skin, faces)
    ear = adult[skeleton.hinge(adult)].mean(0)  # midway between the jaw's condyles
    mastoid = ear + np.array([0.055, -0.022, -0.032])
    notch = skin[JUGULAR]
    sternal, collar = notch + np.array([0.012, 0.004, -0.002]), notch + np.array([0.047, 0.012, -0.008])
    out = np.zeros(len(skin))
    for side in (1.0, -1.0):
        place = _unrolled(skin * [side, 1, 1], heads)
        strand = _ridge(place, _unrolled(np.stack([mastoid, sternal]), heads), STRAND_WIDTH)
        # The part that goes to the collar bone leaves the other half-way down and is flatter.
        middle = 0.45 * mastoid + 0.55 * sternal
        other = _ridge(place, _unrolled(np.stack([middle, collar]), heads), STRAND_WIDTH)
        out += STRAND * np.where(np.abs(strand) > 0.6 * np.abs(other), strand, 0.6 * other)
        jaw, chest = skin[MENTON] + np.array([0.028, 0.0, -0.018]), notch + np.array([0.036, -0.015, 0.004])
        out += BAND * _ridge(place, _unrolled(np.stack([jaw, chest]), heads), BAND_WIDTH)
        gap = notch + np.array([0.030, 0.016, -0.006])
        out -= HOLLOW * np.exp(-(np.linalg.norm((skin * [side, 1, 1] - gap) / [0.011, 0.012, 0.03], axis=1) ** 2))
    out -= HOLLOW * np.exp(-(np.linalg.norm((skin - notch - [0, 0.006, 0]) / [0.009, 0.011, 0.03], axis=1) ** 2))
    front = np.clip((normals[:, 2] + 0.55) / 0.5, 0, 1)  # nothing on the nape
    result = np.zeros_like(adult)
    result[skeleton.BODY] = (out * front)[:, None] * normals
    return result


def _unrolled(points: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Points (n, 3) as (arc around the neck from its front, height, radius), metres."""
    height = points[:, 1]
    axis = np.interp(height, heads[:, 1], heads[:, 2] + 0.012)
    depth = points[:, 2] - axis
    radius = np.hypot(points[:, 0], depth)
    return np.stack([radius * np.arctan2(points[:, 0], depth), height, radius], -1)


def _ridge(place: np.ndarray, ends: np.ndarray, width: float) -> np.ndarray:
    """0..1 on the unrolled skin: a rounded strand between two ends (upper, lower) that fades at both."""
    (upper, lower) = ends
    share = (place[:, 1] - lower[1]) / (upper[1] - lower[1])
    # Straight on the unrolled neck, in angles: the radius changes on the way.
    angle = np.interp(share, (0, 1), (lower[0] / lower[2], upper[0] / upper[2]))
    away = place[:, 0] - angle * place[:, 2]
    steep = (upper[0] - lower[0]) / (upper[1] - lower[1])
    away = away / np.hypot(1, steep)
    fade = np.clip((share + 0.02) / 0.10, 0, 1) * np.clip((1.0 - share) / 0.25, 0, 1)
    # A furrow on both sides lets the strand be seen.
    relief = np.exp(-((away / width) ** 2)) - FURROW * np.exp(-(((np.abs(away) - 2.0 * width) / width) ** 2))
    return relief * fade * fade * (3 - 2 * fade)
