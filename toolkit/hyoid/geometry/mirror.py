# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Meshes with a left and a right that are alike: the mirror plane and each vertex's partner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from hyoid.geometry.closest import unit


@dataclass(frozen=True)
class Mirror:
    """A plane ``normal . p = offset`` and the partner of each vertex on its other side.

    Attributes:
        normal: (3,) unit. offset: metres. partner: (V,) int64; vertices of the middle are their own.
    """

    normal: np.ndarray
    offset: float
    partner: np.ndarray

    def reflect(self, vectors: np.ndarray) -> np.ndarray:
        """Directions (..., 3) as the mirror shows them."""
        return vectors - 2 * (vectors @ self.normal)[..., None] * self.normal


def mirror_of(vertices: np.ndarray, side: np.ndarray, tolerance: float) -> Mirror | None:
    """The mirror of a mesh (V, 3), or None where fewer than 98 of 100 vertices have a partner.

    Args:
        side: (3,) roughly the direction of the left, through the middle of the vertices.
        tolerance: metres between a vertex and where the mirror shows its partner.
    """
    normal = unit(np.asarray(side, np.float64))
    low, high = (vertices @ normal).min(), (vertices @ normal).max()
    offset = float(low + high) / 2
    tree = cKDTree(vertices)
    for _ in range(15):
        shown = vertices - 2 * ((vertices @ normal) - offset)[:, None] * normal
        distances, partner = tree.query(shown)
        far = np.abs(vertices @ normal - offset) > 0.1 * (high - low)
        near = far & (distances <= max(float(np.quantile(distances, 0.7)), tolerance))
        if not near.any():
            return None
        apart = vertices[near] - vertices[partner[near]]
        towards = apart * np.sign(apart @ normal)[:, None]
        normal = unit(towards.sum(0))
        offset = float(np.mean((vertices[near] + vertices[partner[near]]) @ normal)) / 2
    shown = vertices - 2 * ((vertices @ normal) - offset)[:, None] * normal
    distances, partner = tree.query(shown)
    mutual = (partner[partner] == np.arange(len(vertices))) & (distances < tolerance)
    if mutual.mean() < 0.98:
        return None
    partner = np.where(mutual, partner, np.arange(len(vertices)))
    return Mirror(normal, offset, partner)


def symmetric(fields: np.ndarray, names: tuple[str, ...], mirror: Mirror, paired: np.ndarray) -> np.ndarray:
    """Vector fields (K, V, 3) alike on both sides: ``...Left`` with the mirrored ``...Right``, others with themselves.

    ``jawLeft`` and ``jawRight`` are each other's mirror too. Vertices without a partner (``paired`` (V,) False) stay.
    """
    number = {name: index for index, name in enumerate(names)}
    result = fields.copy()
    for index, name in enumerate(names):
        other = index
        for word, opposite in (("Left", "Right"), ("Right", "Left")):
            if name.endswith(word):
                other = number.get(name.removesuffix(word) + opposite, -1)
        if other < 0:
            continue
        mean = 0.5 * (fields[index] + mirror.reflect(fields[other][mirror.partner]))
        result[index, paired] = mean[paired]
    return result
