# SPDX-License-Identifier: Apache-2.0
"""Two networks that find the rigid motion between two expressions of one face.

``regress`` is the form of the paper (Bednarik et al., "Learning to Stabilize Faces", Computer Graphics Forum 2024,
arXiv 2411.15074): one extractor for both point sets, target first, and a regressor. Its widths are ours, the paper does
not give them. ``trust`` is our own variant: it never sees the identity nor says where the face goes, but how far each
patch of skin is to be trusted, and how the untrusted ones have moved; a weighted least squares fit does the rest.

Everything is plain functions of parameters by name, and runs on NumPy arrays (float32, nothing to install) and on torch
tensors (for training) alike. Points are millimetres in the canonical frame: B faces, K points, P patches, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Parameters = Mapping[str, Any]
"""Arrays by name, all NumPy or all torch."""

SLOPE = 0.1
ROTATION_UNIT, TRANSLATION_UNIT = 0.1, 2.0  # keep the raw outputs of the regressor near unit size (mm)
POINT_UNIT = 10.0  # millimetres


@dataclass(frozen=True)
class TrustConfig:
    """Sizes of the trust network.

    Attributes:
        patches: patches of skin that are judged together. channels: numbers kept for each. hidden: width of the mixing
            between patches. blocks: mixing blocks. width: millimetres, the Gaussian that gathers points into patches.
        known: share, 0..1, of a fit beside the network's own in which motions of skin that are known are found along
            with the head's.
        habit: share of another fit in what comes of these, by what skin usually does (see :func:`habitual_fit`): the
            more, the fewer artists' shapes were learned from.
        linear: share, at least, in the whole answer of the fit that takes all else for noise (see ``known.py``); where
            that explains everything it is the answer.
        fits: weighted fits after the judgement.
    """

    patches: int = 128
    channels: int = 48
    hidden: int = 128
    blocks: int = 3
    known: float = 0.8
    habit: float = 0.2
    linear: float = 0.2
    width: float = 9.0
    fits: int = 4


@dataclass(frozen=True)
class RegressConfig:
    """Sizes of the regressor: ``hidden`` of both stacks, ``features`` of the extractor."""

    hidden: int = 512
    features: int = 256


FEATURES = 10  # of a patch, see _patch_features
_OUTPUTS = 5  # for a point: its weight, the narrowness of the kernel, how it has moved
_LARGEST_LOG, _LARGEST_SCALE = 8.0, 3.0
_HABIT = 0.5  # millimetres of usual motion at which a point counts half


def trust_shapes(config: TrustConfig, points: int) -> dict[str, tuple[int, ...]]:
    """The parameters of the trust network and their shapes."""
    c, p = config.channels, config.patches
    shapes: dict[str, tuple[int, ...]] = {"input.weight": (c, FEATURES), "input.bias": (c,), "place": (p, c)}
    for block in range(config.blocks):
        shapes |= {
            f"blocks.{block}.across.0.weight": (config.hidden, p), f"blocks.{block}.across.0.bias": (config.hidden,),
            f"blocks.{block}.across.1.weight": (p, config.hidden), f"blocks.{block}.across.1.bias": (p,),
            f"blocks.{block}.within.0.weight": (2 * c, c), f"blocks.{block}.within.0.bias": (2 * c,),
            f"blocks.{block}.within.1.weight": (c, 2 * c), f"blocks.{block}.within.1.bias": (c,),
        }  # fmt: skip
    return shapes | {"output.weight": (_OUTPUTS, c), "output.bias": (_OUTPUTS,), "point_bias": (points,)}


def regress_shapes(config: RegressConfig, points: int) -> dict[str, tuple[int, ...]]:
    """The parameters of the paper's form and their shapes."""
    h, f = config.hidden, config.features
    widths = {"extractor": (3 * points, h, h, f), "regressor": (2 * f, h, h, 9)}
    shapes: dict[str, tuple[int, ...]] = {}
    for stack, sizes in widths.items():
        for layer in range(3):
            shapes[f"{stack}.{layer}.weight"] = (sizes[layer + 1], sizes[layer])
            shapes[f"{stack}.{layer}.bias"] = (sizes[layer + 1],)
    return shapes


def initial(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Parameters to begin with, float32: both networks begin by changing nothing that the pre-alignment did."""
    random = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        last = name in ("output.weight", "regressor.2.weight")
        spread = 1e-3 if last else 0.02 if name.endswith((".across.1.weight", ".within.1.weight")) else None
        if name == "place":
            spread = 0.3
        if spread is None:
            spread = 0.0 if name.endswith("bias") else float(1 / np.sqrt(shape[-1]))
            found[name] = random.uniform(-spread, spread, shape).astype(np.float32)
        else:
            found[name] = (spread * random.standard_normal(shape)).astype(np.float32)
    return found


def patches(template: np.ndarray, config: TrustConfig) -> tuple[np.ndarray, np.ndarray]:
    """How points gather into patches and take from them again: (P, K) and (K, P) float32, from the template alone.

    Args:
        template: (K, 3) millimetres. The patches' middles are spread over it, the first at the tip of the nose.
    """
    centres = farthest(template, config.patches, int(template[:, 2].argmax()))
    square = ((template[:, None] - template[None, centres]) ** 2).sum(-1)
    near = np.exp(-square / (2 * config.width**2))
    gather = np.where(near > 0.01, near, 0.0).T
    return gather.astype(np.float32), (near / near.sum(1, keepdims=True)).astype(np.float32)


def farthest(points: np.ndarray, count: int, first: int) -> np.ndarray:
    """``count`` rows of points (n, 3), each farthest from those before it."""
    chosen, square = [first], np.full(len(points), np.inf)
    while len(chosen) < count:
        square = np.minimum(square, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(square.argmax()))
    return np.array(chosen)


# --- the paper's form -----------------------------------------------------------------------------------------------


def regress(parameters: Parameters, template: Any, source: Any, target: Any, mask: Any) -> tuple[Any, Any]:
    """The motion from pre-aligned source to target: rotations (B, 3, 3) and translations (B, 3) mm.

    Args:
        template: (K, 3). source, target: (B, K, 3). mask: (B, K) 0..1; what is missing counts as the template.
    """
    features = [
        _stack(parameters, "extractor", (mask[..., None] * (points - template) / POINT_UNIT).reshape(len(points), -1))
        for points in (target, source)
    ]
    library = _library(source)
    output = _stack(parameters, "regressor", library.concatenate(features, -1))
    first = output[:, :3] * ROTATION_UNIT + _row(source, (1.0, 0.0, 0.0))
    second = output[:, 3:6] * ROTATION_UNIT + _row(source, (0.0, 1.0, 0.0))
    rotation = _gram_schmidt(first, second)
    middle = template.mean(0)
    return rotation, middle + TRANSLATION_UNIT * output[:, 6:] - (rotation @ middle[:, None])[..., 0]


def _stack(parameters: Parameters, name: str, values: Any) -> Any:
    for layer in range(3):
        values = _linear(parameters, f"{name}.{layer}", values)
        values = _leaky(values) if layer < 2 else values
    return values


def _gram_schmidt(first: Any, second: Any) -> Any:
    """Rotations (B, 3, 3) whose rows are the two vectors (B, 3), made orthonormal, and their cross product."""
    library = _library(first)
    first = first / library.sqrt((first * first).sum(-1))[:, None]
    second = second - (first * second).sum(-1)[:, None] * first
    second = second / library.sqrt((second * second).sum(-1))[:, None]
    return library.stack([first, second, _cross(first, second)], 1)


# --- before the trust network: robust alignment -----------------------------------------------------------------------


def pre_align(source: Any, target: Any, mask: Any, rounds: int) -> tuple[tuple[Any, Any], Any]:
    """The motion that brings source points (B, K, 3), aligned by least squares, closer with the kernel of Geman and
    McClure: rotations (B, 3, 3) and translations (B, 3), float64; and the source after it.

    The scale falls evenly (in its logarithm) from three times the median residual to a millimetre, which it reaches
    after half of the rounds. Squared residuals and all that a step needs are linear in products of coordinates, which
    are made once: a round is one product with that table each way.
    """
    library = _library(source)
    middle = (mask[:, None] @ source) / mask.sum(-1)[:, None, None]
    own, away = source - middle, target - source
    square = _squared(away)
    products = [(own[..., None] * other[..., None, :]).reshape(*own.shape[:2], 9) for other in (own, away)]
    table = library.concatenate([0 * own[..., :1] + 1, own, away, *products, square[..., None]], -1)
    coarse = (3 * _median(square, mask) ** 0.5).clip(1.0, None)
    rotation, shift = _wide(0 * own[:, :3]) + _identity(_wide(own)), _wide(0 * own[:, 0])
    for number in range(1, rounds + 1):
        scale = (coarse ** max(2 - 4 * number / rounds, 0.0))[:, None]
        weights = mask * (scale / (scale + square)) ** 2 + 1e-6 * mask
        turn, move = _table_step(_wide((weights[:, None] @ table)[:, 0]), rotation, shift)
        rotation, shift = turn @ rotation, (turn @ shift[..., None])[..., 0] + move
        factors = _alike(_square_factors(rotation, shift), source)
        square = (table @ factors[..., None])[..., 0].clip(0, None)
    centre = _wide(middle)[:, 0]
    shift = shift + centre - (rotation @ centre[..., None])[..., 0]
    moved = source @ _alike(rotation, source).swapaxes(1, 2) + _alike(shift, source)[:, None]
    return (rotation, shift), moved


def _table_step(sums: Any, rotation: Any, shift: Any) -> tuple[Any, Any]:
    """The step of :func:`small_step` for points that were moved by ``rotation`` and ``shift`` already.

    Args:
        sums: (B, 26), over points: weight times 1, s (3), d (3), s s^T (9), s d^T (9), |d|^2; d from source to target.
    """
    total = sums[:, :1, None]
    own, away = sums[:, 1:4, None] / total, sums[:, 4:7, None] / total
    second, mixed = (sums[:, i : i + 9].reshape(-1, 3, 3) / total for i in (7, 16))
    turned = rotation - _identity(rotation)
    moved, back = shift[..., None], turned.swapaxes(1, 2)
    # Means and products of R s + t and of what is left, d - (R - 1) s - t.
    middle, gap = rotation @ own + moved, away - turned @ own - moved
    across = rotation @ own @ moved.swapaxes(1, 2)
    inner = rotation @ second @ rotation.swapaxes(1, 2) + across + across.swapaxes(1, 2) + moved @ moved.swapaxes(1, 2)
    outer = rotation @ (mixed - second @ back) - across + moved @ gap.swapaxes(1, 2)
    inner, outer = inner - middle @ middle.swapaxes(1, 2), outer - middle @ gap.swapaxes(1, 2)
    turn = _rotation(_solve_inertia(inner, _torque(outer)))
    return turn, (middle + gap - turn @ middle)[..., 0]


def _square_factors(rotation: Any, shift: Any) -> Any:
    """(B, 26) what the columns of the table count in the squared residual after a motion."""
    turned = rotation - _identity(rotation)
    squared = (turned.swapaxes(1, 2) @ turned).reshape(-1, 9)
    lever = 2 * (shift[:, None] @ turned)[:, 0]
    length = (shift * shift).sum(-1)[:, None]
    parts = [length, lever, -2 * shift, squared, -2 * turned.swapaxes(1, 2).reshape(-1, 9), 0 * length + 1]
    return _library(rotation).concatenate(parts, -1)


def _median(values: Any, mask: Any) -> Any:
    """(B,) the middle one of the values (B, K) whose mask is above 0."""
    last = (mask <= 0) * 1e12
    if isinstance(values, np.ndarray):
        order = np.sort(values + last.astype(values.dtype), axis=-1)
        middle = np.maximum((mask > 0).sum(-1) - 1, 0) // 2
        return np.take_along_axis(order, middle[:, None], -1)[:, 0]
    order = (values + last).sort(-1).values
    middle = ((mask > 0).sum(-1) - 1).clip(0, None) // 2
    return order.gather(-1, middle[:, None])[:, 0]


# --- the trust network ----------------------------------------------------------------------------------------------


def trust(
    parameters: Parameters, config: TrustConfig, gather: Any, spread: Any, source: Any, target: Any, mask: Any
) -> tuple[Any, Any, Any]:
    """How far each point is trusted, how large a residual of it is, and how it has moved by expression.

    Args:
        gather, spread: see :func:`patches`. source, target: (B, K, 3), pre-aligned. mask: (B, K) 0..1.

    Returns:
        Logarithms of weights (B, K); logarithms of inverse squared scales (B, K) of the robust kernel, which is wide
        where all is noisy and narrow where all is clean; displacements (B, K, 3) mm of the source.
    """
    values = _linear(parameters, "input", _patch_features(gather, source, target, mask)) + parameters["place"]
    for block in range(config.blocks):
        across = _leaky(_across(parameters, f"blocks.{block}.across.0", values))
        values = values + _across(parameters, f"blocks.{block}.across.1", across)
        within = _leaky(_linear(parameters, f"blocks.{block}.within.0", values))
        values = values + _linear(parameters, f"blocks.{block}.within.1", within)
    output = _shared(spread, _linear(parameters, "output", _leaky(values)))
    logarithm = (output[..., 0] + parameters["point_bias"]).clip(-_LARGEST_LOG, _LARGEST_LOG)
    narrow = output[..., 1].clip(-_LARGEST_SCALE, _LARGEST_SCALE)
    # Skin that lies where it did has not moved: a frame that is the target itself stays exactly where it is.
    away = source - target
    distance = _library(source).sqrt(_squared(away) + 1e-12)
    moved = 2.0 * output[..., 2:] * (distance / (distance + 0.5))[..., None]
    return logarithm, narrow, moved


def _patch_features(gather: Any, source: Any, target: Any, mask: Any) -> Any:
    """(B, P, FEATURES): mean motion, its direction, size and unevenness, and how much of the patch is there.

    Only the difference of the two expressions enters: who it is would not carry over to other people.
    """
    library = _library(source)
    moved = source - target
    square = _squared(moved)[..., None]
    direction = moved / (1 + library.sqrt(square + 1e-9))
    table = library.concatenate([moved / 4, direction, 0.5 * _exactly("log1p", square), (square / 16).clip(0, 20)], -1)
    present = mask @ gather.T
    share = (present / gather.sum(1)).clip(0, 1)
    table = _shared(gather, table * mask[..., None]) / present.clip(1e-3, None)[..., None]
    mean = table[..., :3]
    uneven = (table[..., 7:8] - (mean * mean).sum(-1)[..., None]).clip(0, None)
    features = [table[..., :7], library.sqrt(uneven + 1e-4), _exactly("log1p", table[..., 7:8]), share[..., None]]
    return library.concatenate(features, -1) * (share > 0.02)[..., None]


def trusting_fit(
    parameters: Parameters, config: TrustConfig, gather: Any, spread: Any, source: Any, target: Any, mask: Any
) -> tuple[list[tuple[Any, Any]], Any, Any, Any]:
    """The small motions, in their order, that bring pre-aligned source points (B, K, 3) onto their targets.

    Returns:
        A list of rotations (B, 3, 3) and translations (B, 3); the source after them; the last weights (B, K);
        and how expression has moved the source, (B, K, 3) mm.
    """
    logarithm, narrow, moved = trust(parameters, config, gather, spread, source, target, mask)
    own, narrow = mask * _exactly("exp", logarithm), _exactly("exp", narrow)
    still, weights = source - moved, mask
    steps: list[tuple[Any, Any]] = []
    for _ in range(config.fits):
        away = still - target
        weights = own / (1 + narrow * _squared(away)) ** 2 + 1e-6 * mask
        rotation, translation = small_step(still, target, weights)
        still = still @ rotation.swapaxes(1, 2) + translation[:, None]
        steps.append((rotation, translation))
    for rotation, translation in steps:
        source = source @ rotation.swapaxes(1, 2) + translation[:, None]
    return steps, source, weights, moved


def habitual_fit(source: Any, target: Any, mask: Any, motion: Any, rounds: int) -> tuple[Any, Any]:
    """The motion that brings pre-aligned source points onto their targets by habit: points count by how little they
    usually move, and by how little they have moved here.

    Args:
        motion: (K,) millimetres, the most that a shape moves each point.
    """
    return pre_align(source, target, mask / (1 + (motion / _HABIT) ** 2), rounds)[0]


def small_step(source: Any, target: Any, weights: Any) -> tuple[Any, Any]:
    """One Gauss-Newton step of weighted Procrustes: rotations (B, 3, 3) and translations (B, 3).

    Near its end, where pre-aligned faces are, a step is Procrustes itself; it has a smooth derivative everywhere.
    """
    share = (weights / weights.sum(-1)[:, None])[:, None]
    middle, wanted = share @ source, share @ target
    arm = source - middle
    gap = (target - wanted) - arm
    weighted = arm.swapaxes(1, 2) * share
    second, moment = weighted @ arm, weighted @ gap
    rotation = _rotation(_solve_inertia(second, _torque(moment)))
    return rotation, wanted[:, 0] - (rotation @ middle.swapaxes(1, 2))[..., 0]


def _torque(moment: Any) -> Any:
    """(B, 3) from moments (B, 3, 3) of arms and what is left."""
    return _library(moment).stack(
        [moment[:, 1, 2] - moment[:, 2, 1], moment[:, 2, 0] - moment[:, 0, 2], moment[:, 0, 1] - moment[:, 1, 0]], -1
    )


def _solve_inertia(second: Any, torque: Any) -> Any:
    """Rotation vectors (B, 3) from second moments (B, 3, 3): ``(trace I - M) w = torque``, by cofactors."""
    xx, yy, zz = (second[:, i, i] for i in range(3))
    a, b, c = yy + zz + 1e-3, xx + zz + 1e-3, xx + yy + 1e-3
    d, e, f = -second[:, 0, 1], -second[:, 0, 2], -second[:, 1, 2]
    first, other, third = b * c - f * f, e * f - d * c, d * f - b * e
    rows = (
        (first, other, third), (other, a * c - e * e, d * e - a * f), (third, d * e - a * f, a * b - d * d),
    )  # fmt: skip
    determinant = a * first + d * other + e * third
    x, y, z = (torque[:, i] for i in range(3))
    return _library(second).stack([row[0] * x + row[1] * y + row[2] * z for row in rows], -1) / determinant[:, None]


def _rotation(vector: Any) -> Any:
    """Rotation matrices (B, 3, 3) of rotation vectors (B, 3), radians (Rodrigues)."""
    library = _library(vector)
    square = (vector * vector).sum(-1)[:, None, None]
    angle = library.sqrt(square + 1e-12)
    x, y, z = (vector[:, i] for i in range(3))
    zero = 0 * x
    skew = library.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    turned = _exactly("sin", angle) / angle * skew + (1 - _exactly("cos", angle)) / (square + 1e-12) * (skew @ skew)
    return turned + _identity(vector)


# --- what NumPy and torch call differently ---------------------------------------------------------------------------


def _library(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return np
    import torch

    return torch


def _exactly(name: str, values: Any) -> Any:
    """A function by name that is not exactly rounded: NumPy's float32 ones may differ in the last digit between runs.

    The last digit of float64 is lost again on the way back to float32.
    """
    if isinstance(values, np.ndarray):
        return getattr(np, name)(values.astype(np.float64)).astype(values.dtype)
    return getattr(_library(values), name)(values)


def _wide(values: Any) -> Any:
    return values.astype(np.float64) if isinstance(values, np.ndarray) else values.double()


def _alike(values: Any, like: Any) -> Any:
    return values.astype(like.dtype) if isinstance(values, np.ndarray) else values.to(like.dtype)


def _identity(like: Any) -> Any:
    return np.eye(3, dtype=like.dtype) if isinstance(like, np.ndarray) else _library(like).eye(3, dtype=like.dtype)


def _row(like: Any, values: tuple[float, float, float]) -> Any:
    return np.array(values, like.dtype) if isinstance(like, np.ndarray) else like.new_tensor(values)


def _cross(a: Any, b: Any) -> Any:
    ax, ay, az = (a[:, i] for i in range(3))
    bx, by, bz = (b[:, i] for i in range(3))
    return _library(a).stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


def _linear(parameters: Parameters, name: str, values: Any) -> Any:
    return values @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]


def _shared(matrix: Any, values: Any) -> Any:
    """One matrix (n, m) times values (B, m, c) as one product: many small ones take longer."""
    count, _, channels = values.shape
    flat = matrix @ values.swapaxes(0, 1).reshape(matrix.shape[1], -1)
    return flat.reshape(-1, count, channels).swapaxes(0, 1)


def _squared(values: Any) -> Any:
    """(B, K) squared lengths of vectors (B, K, 3)."""
    if isinstance(values, np.ndarray):
        return np.einsum("bkc,bkc->bk", values, values)
    return (values * values).sum(-1)


def _across(parameters: Parameters, name: str, values: Any) -> Any:
    """As :func:`_linear`, over the second to last axis."""
    return parameters[f"{name}.weight"] @ values + parameters[f"{name}.bias"][:, None]


def _leaky(values: Any) -> Any:
    return SLOPE * values + (1 - SLOPE) * values.clip(0, None)
