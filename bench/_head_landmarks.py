# SPDX-License-Identifier: Apache-2.0
"""A simple opponent for directions of heads: landmarks from gradients, then the pose of a mean head that fits them.

Histograms of gradients of the crop go through kernel ridge regression to the landmarks, those that are hidden too; the
pose is that of the mean landmarks of the training heads, by Gauss-Newton from a weak-perspective start. It is fitted in
the bench, on training renders. Landmarks are in a crop's own units: its centre is 0, its side 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE, CELL, BINS = 64, 8, 9
MARGIN = 1.3  # side of the crop in sides of the box
DISTANCE = 2.0  # metres between camera and head, for the perspective within a head
_RIDGE = 0.1
_ROUNDS = 12
_HUBER = 0.04  # sides of the crop


@dataclass(frozen=True)
class Opponent:
    """What was learned.

    Attributes:
        features: (n, F) float32 of the training heads. width: of the kernel. weights: (n, 2K). offset: (2K,).
        points: (K, 3) metres, mean landmarks in head axes, their mean at the origin.
    """

    features: np.ndarray
    width: float
    weights: np.ndarray
    offset: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Examples:
    """Training heads.

    Attributes:
        features: (n, F). landmarks: (n, K, 2) in the crop. points: (n, K, 3) metres, head axes, mean at the origin.
    """

    features: np.ndarray
    landmarks: np.ndarray
    points: np.ndarray


def examples(scenes: Iterable, names: tuple[str, ...], smallest: float = 32.0, visible: float = 0.6) -> Examples:
    """Heads of scenes that are large and free enough, with the landmarks of these names."""
    features, landmarks, points = [], [], []
    for scene in scenes:
        chosen = [scene.landmark_names.index(name) for name in names]
        for head in range(len(scene.boxes)):
            low, side = frame_of(scene.boxes[head])
            if scene.visible[head] < visible or side < smallest * MARGIN:
                continue
            features.append(gradients(cut(scene.image, scene.boxes[head])))
            landmarks.append((scene.landmarks[head, chosen] - low) / side - 0.5)
            own = scene.landmark_points[head, chosen].astype(np.float64) @ scene.rotations[head].astype(np.float64)
            points.append(own - own.mean(0))
    return Examples(np.array(features, np.float32), np.array(landmarks), np.array(points))


def fit(given: Examples) -> Opponent:
    """Kernel ridge regression with a Gaussian as wide as the median distance of the training heads."""
    target = given.landmarks.reshape(len(given.landmarks), -1)
    distances = _squares(given.features, given.features)
    width = float(np.median(distances[distances > 0]))
    kernel = np.exp(-distances / width) + _RIDGE * np.eye(len(target))
    offset = target.mean(0)
    return Opponent(given.features, width, np.linalg.solve(kernel, target - offset), offset, given.points.mean(0))


def rotations(opponent: Opponent, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3) of the heads in boxes (n, 4) of a picture, as seen along the ray of their centre."""
    if not len(boxes):
        return np.zeros((0, 3, 3))
    features = np.array([gradients(cut(image, box)) for box in boxes])
    return pose(opponent.points, found_landmarks(opponent, features))


def found_landmarks(opponent: Opponent, features: np.ndarray) -> np.ndarray:
    """Landmarks (n, K, 2) of features (n, F)."""
    kernel = np.exp(-_squares(features, opponent.features) / opponent.width)
    return (kernel @ opponent.weights + opponent.offset).reshape(len(features), -1, 2)


def frame_of(box: np.ndarray) -> tuple[np.ndarray, float]:
    """Upper left corner (2,) and side of the square crop around a box (4,)."""
    box = np.asarray(box, np.float64)
    side = MARGIN * float((box[2:] - box[:2]).mean())
    return (box[:2] + box[2:]) / 2 - side / 2, side


def cut(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The crop (SIDE, SIDE) float32, grey, of a picture (H, W, 3) uint8; black beyond the border."""
    (x, y), side = frame_of(box)
    low, high = np.floor([x, y]).astype(int), np.ceil([x + side, y + side]).astype(int)
    inner = Image.fromarray(image).crop((int(low[0]), int(low[1]), int(high[0]), int(high[1]))).convert("L")
    within = (x - low[0], y - low[1], x - low[0] + side, y - low[1] + side)
    return np.asarray(inner.resize((SIDE, SIDE), Image.Resampling.BILINEAR, within), np.float32)


def gradients(grey: np.ndarray) -> np.ndarray:
    """Histograms (F,) of the directions of gradients in cells, normed in blocks of two by two cells."""
    down, right = np.gradient(np.sqrt(grey))
    size = np.hypot(down, right)
    place = (np.arctan2(down, right) % np.pi) / np.pi * BINS
    first = np.floor(place).astype(int)
    share = place - first
    cells = SIDE // CELL
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    cell = (row // CELL * cells + column // CELL) * BINS
    histogram = np.zeros(cells * cells * BINS)
    for bins, weight in ((first, 1 - share), (first + 1, share)):
        histogram += np.bincount(cell + (bins % BINS).ravel(), (size * weight).ravel(), len(histogram))
    grid = histogram.reshape(cells, cells, BINS)
    blocks = np.concatenate([grid[:-1, :-1], grid[:-1, 1:], grid[1:, :-1], grid[1:, 1:]], -1)
    blocks /= np.linalg.norm(blocks, axis=-1, keepdims=True) + 1.0
    clipped = np.minimum(blocks, 0.2)
    return (clipped / (np.linalg.norm(clipped, axis=-1, keepdims=True) + 1e-2)).ravel().astype(np.float32)


def pose(points: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3) that take points (K, 3), metres, head axes, to landmarks (n, K, 2) of some scale and place.

    A weak perspective gives the start in closed form; Gauss-Newton with Huber's weights then also counts that near
    points are larger, for a head at DISTANCE.
    """
    moved = landmarks - landmarks.mean(1, keepdims=True)
    affine = np.swapaxes(np.linalg.pinv(points) @ moved, -1, -2)  # (n, 2, 3)
    u, s, v = np.linalg.svd(affine, full_matrices=False)
    rows = u @ v
    rotation = np.concatenate([rows, np.cross(rows[:, :1], rows[:, 1:])], 1)
    scale, shift = s.mean(-1), landmarks.mean(1)
    for _ in range(_ROUNDS):
        rotation, scale, shift = _step(points, landmarks, rotation, scale, shift)
    return rotation


def _step(
    points: np.ndarray, landmarks: np.ndarray, rotation: np.ndarray, scale: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One step of Gauss-Newton in the turn, the logarithm of the scale and the place."""
    turned = points @ np.swapaxes(rotation, -1, -2)  # (n, K, 3)
    near = 1 / (1 + turned[..., 2] / DISTANCE)
    flat = turned[..., :2] * near[..., None]
    residual = landmarks - (scale[:, None, None] * flat + shift[:, None])
    # d(point) / d(turn) = -[point]x, d(flat) / d(point) by the quotient rule
    count, number = turned.shape[:2]
    x, y, z, zero = *np.moveaxis(turned, -1, 0), np.zeros((count, number))
    cross = np.stack([
        np.stack([zero, z, -y], -1), np.stack([-z, zero, x], -1), np.stack([y, -x, zero], -1),
    ], -2)  # fmt: skip
    by_turn = cross[..., :2, :] * near[..., None, None]
    by_turn -= (flat * near[..., None] / DISTANCE)[..., None] * cross[..., 2:, :]
    jacobian = np.concatenate([
        scale[:, None, None, None] * by_turn, (scale[:, None, None] * flat)[..., None],
        np.broadcast_to(np.eye(2), (count, number, 2, 2)),
    ], -1)  # fmt: skip
    length = np.linalg.norm(residual, axis=-1)
    weight = np.minimum(1, _HUBER / np.maximum(length, 1e-9))[..., None, None]
    normal = (np.swapaxes(jacobian, -1, -2) @ (weight * jacobian)).sum(1) + 1e-9 * np.eye(6)
    right = (np.swapaxes(jacobian, -1, -2) @ (weight * residual[..., None])).sum(1)
    change = np.linalg.solve(normal, right)[..., 0]
    return _turns(change[:, :3]) @ rotation, scale * np.exp(np.clip(change[:, 3], -0.5, 0.5)), shift + change[:, 4:]


def _turns(vectors: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3) about axes (n, 3) by their length in radians, at most one radian."""
    angle = np.linalg.norm(vectors, axis=-1)[:, None, None]
    axis = vectors / np.maximum(angle[:, 0], 1e-12)
    angle = np.minimum(angle, 1.0)
    x, y, z = axis.T
    zero = np.zeros_like(x)
    skew = np.stack([np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], -2)
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew


def _squares(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first, second = first.astype(np.float64), second.astype(np.float64)
    whole = (first**2).sum(-1)[:, None] + (second**2).sum(-1)[None] - 2 * first @ second.T
    return np.maximum(whole, 0)
