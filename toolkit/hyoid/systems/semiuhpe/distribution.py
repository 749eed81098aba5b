# SPDX-License-Identifier: Apache-2.0
"""The matrix Fisher distribution of rotations that nine numbers A (..., 3, 3) stand for; needs no torch.

Its density is ``exp(tr(A^T R)) / c`` where a uniform one is 1 (Mohlin et al. 2020; Lee 2018). With the proper singular
value decomposition ``A = U diag(s) V^T``, U and V rotations and s1 >= s2 >= |s3|, the most likely rotation is ``U V^T``
and c depends on s alone. Everything is float64; the quadrature has the published 512 nodes.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.special import i0e

NODES = 512
SURE = -5.3
"""Entropy below which the paper calls a prediction sure."""
_OTHERS = ((1, 2), (0, 2), (0, 1))


def proper_svd(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U (..., 3, 3), proper singular values (..., 3) and V (..., 3, 3): both matrices are rotations."""
    u, s, vt = np.linalg.svd(np.asarray(parameters, np.float64))
    v = np.swapaxes(vt, -1, -2)
    signs = [np.where(np.linalg.det(matrix) < 0, -1.0, 1.0) for matrix in (u, v)]
    u, s, v = u.copy(), s.copy(), v.copy()
    u[..., 2] *= signs[0][..., None]
    v[..., 2] *= signs[1][..., None]
    s[..., 2] *= signs[0] * signs[1]
    return u, s, v


def mode(parameters: np.ndarray) -> np.ndarray:
    """The most likely rotations (..., 3, 3)."""
    u, _, v = proper_svd(parameters)
    return u @ np.swapaxes(v, -1, -2)


def log_normaliser(s: np.ndarray) -> np.ndarray:
    """log c (...) of proper singular values (..., 3)."""
    s = np.asarray(s, np.float64)
    nodes, weights = _nodes()
    # At u = 1 the factors of the integrand are exp(s1+s2+s3') apart from what is taken out here.
    integral = _integrand(s[..., 0], s[..., 1], s[..., 2], nodes) @ weights
    return s.sum(-1) + np.log(0.5 * integral)


def log_normaliser_gradient(s: np.ndarray) -> np.ndarray:
    """d log c / ds (..., 3): the means of the diagonal of ``U^T R V``.

    All three are divided by the same integral, as published, so that entropies are the published ones; where one
    singular value is much larger than the nodes resolve (97, 70, -8), that costs up to 0.012.
    """
    s = np.asarray(s, np.float64)
    nodes, weights = _nodes()
    means = [
        _integrand(s[..., axis], s[..., larger], s[..., smaller], nodes) @ (weights * nodes)
        for axis, (larger, smaller) in enumerate(_OTHERS)
    ]
    return np.stack(means, -1) / (_integrand(s[..., 0], s[..., 1], s[..., 2], nodes) @ weights)[..., None]


def entropy(s: np.ndarray) -> np.ndarray:
    """Differential entropy (...) of proper singular values (..., 3): 0 is uniform, less is surer."""
    return log_normaliser(s) - (np.asarray(s, np.float64) * log_normaliser_gradient(s)).sum(-1)


def log_density(parameters: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Log density (...) of rotations (..., 3, 3), broadcast; uniform = 0."""
    product = np.asarray(parameters, np.float64) * np.asarray(rotations, np.float64)
    return product.sum((-1, -2)) - log_normaliser(proper_svd(parameters)[1])


def mean(parameters: np.ndarray) -> np.ndarray:
    """Expected matrices (..., 3, 3), ``U diag(g) V^T``: also the derivative of log c by the parameters."""
    u, s, v = proper_svd(parameters)
    return (u * log_normaliser_gradient(s)[..., None, :]) @ np.swapaxes(v, -1, -2)


def cross_entropy(teacher: np.ndarray, student: np.ndarray) -> np.ndarray:
    """Exact cross entropy (...) of students (..., 3, 3) under teachers (..., 3, 3)."""
    return log_normaliser(proper_svd(student)[1]) - (np.asarray(student, np.float64) * mean(teacher)).sum((-1, -2))


@cache
def uniform_grid(sides: int = 4, twists: int = 24) -> np.ndarray:
    """Rotations (12 sides^2 twists, 3, 3) float64, spread evenly: HEALPix centres times twists about the axis."""
    t, p = (angle[:, None] for angle in _healpix(sides))
    w = 2 * np.pi * np.arange(twists) / twists
    grid = _about_x(p) @ _about_y(t) @ _about_x(w)[None]
    grid = grid.reshape(-1, 3, 3)
    grid.setflags(write=False)
    return grid


def _integrand(first: np.ndarray, second: np.ndarray, third: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    first, second, third = first[..., None], second[..., None], third[..., None]
    bessel = i0e(0.5 * (second - third) * (1 - nodes)) * i0e(0.5 * (second + third) * (1 + nodes))
    return bessel * np.exp((first + third) * (nodes - 1))


@cache
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the trapezoid rule on [-1, 1]."""
    nodes = np.linspace(-1, 1, NODES)
    weights = np.full(NODES, nodes[1] - nodes[0])
    weights[[0, -1]] *= 0.5
    return nodes, weights


def _healpix(sides: int) -> tuple[np.ndarray, np.ndarray]:
    """Polar angles and azimuths of the centres of a HEALPix grid in ring order (Gorski et al. 2005)."""
    heights, azimuths = [], []
    for ring in range(1, 4 * sides):
        cap = min(ring, 4 * sides - ring)
        if cap < sides:
            count, shift = 4 * cap, 0.5
            height = 1 - cap * cap / (3 * sides * sides)
            height = height if ring < 2 * sides else -height
        else:
            count, shift = 4 * sides, 0.5 * ((ring - sides + 1) % 2)
            height = 4 / 3 - 2 * ring / (3 * sides)
        azimuths.append(2 * np.pi * (np.arange(count) + shift) / count)
        heights.append(np.full(count, height))
    return np.arccos(np.concatenate(heights)), np.concatenate(azimuths)


def _about_x(angle: np.ndarray) -> np.ndarray:
    c, s, o, i = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([np.stack([i, o, o], -1), np.stack([o, c, -s], -1), np.stack([o, s, c], -1)], -2)


def _about_y(angle: np.ndarray) -> np.ndarray:
    c, s, o, i = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([np.stack([c, o, s], -1), np.stack([o, i, o], -1), np.stack([-s, o, c], -1)], -2)
