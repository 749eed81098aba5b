# SPDX-License-Identifier: Apache-2.0
"""Before and after the network: pictures to a size, raw outputs to boxes and rotations, one box a head; NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hyoid.geometry import head_angles
from hyoid.systems.directmhp.config import BOX_FIELDS

GREY = 114
LARGEST = 30_000  # candidates
MOST = 300  # heads of a picture


@dataclass(frozen=True)
class Placed:
    """How a picture lies in a padded one: ``gain`` padded pixels for each of its own, after ``left``, ``top`` pixels.

    Attributes:
        padding: of both sides of width and of height each, pixels before they are rounded.
    """

    gain: float
    left: int
    top: int
    padding: tuple[float, float]


def letterbox(
    picture: np.ndarray, shape: tuple[int, int], stride: int = 64, *, least: bool = True, enlarge: bool = True,
    smooth: bool = False,
) -> tuple[np.ndarray, Placed]:  # fmt: skip
    """The picture (H, W, 3) uint8 scaled into a shape (height, width) with grey around it, and how it lies there.

    Args:
        least: pad to multiples of the stride only, not to the whole shape. enlarge: small pictures grow. smooth:
            average where pictures shrink.
    """
    height, width = picture.shape[:2]
    gain = min(shape[0] / height, shape[1] / width)
    if not enlarge:
        gain = min(gain, 1.0)
    inner = max(1, round(height * gain)), max(1, round(width * gain))
    spare = [shape[0] - inner[0], shape[1] - inner[1]]
    if least:
        spare = [space % stride for space in spare]
    top, left = (round(space / 2 - 0.1) for space in spare)
    padded = np.full((inner[0] + spare[0], inner[1] + spare[1], 3), GREY, np.uint8)
    padded[top : top + inner[0], left : left + inner[1]] = (averaged if smooth else resized)(picture, inner)
    return padded, Placed(gain, left, top, (spare[1] / 2, spare[0] / 2))


def resized(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The picture (h, w, C) uint8 at another height and width: bilinear, half-pixel centres, no antialiasing.

    Only rows and columns that are needed are read, so large pictures cost what the result costs.
    """
    if picture.shape[:2] == tuple(shape):
        return picture
    (above, below, down), (before, after, across) = (
        _neighbours(old, new) for old, new in zip(picture.shape[:2], shape, strict=True)
    )
    across = across[None, :, None]
    rows = []
    for chosen in (above, below):
        line = np.take(picture, chosen, 0)
        first = np.take(line, before, 1).astype(np.float32)
        rows.append(first + (np.take(line, after, 1) - first) * across)
    found = rows[0] + (rows[1] - rows[0]) * down[:, None, None]
    return (found + 0.5).astype(np.uint8)


def averaged(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The picture (h, w, 3) uint8 at another height and width: bilinear, averaged where it shrinks."""
    from PIL import Image

    return np.asarray(
        Image.fromarray(picture).resize((shape[1], shape[0]), Image.Resampling.BILINEAR, reducing_gap=2.0)
    )


def merged(rows: np.ndarray, overlap: float) -> np.ndarray:
    """Rows (n, fields), x1 y1 x2 y2 and confidence first, without those that share more with a surer one; sorted."""
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    return rows[_greedy(rows[:, :4], overlap, MOST)]


def to_picture(boxes: np.ndarray, padded: Sequence[int], original: Sequence[int]) -> np.ndarray:
    """Boxes (n, 4) of the picture, clipped to it, of those in the padded one; shapes are (height, width, ...)."""
    gain = min(padded[0] / original[0], padded[1] / original[1])
    shift = np.array([(padded[1] - original[1] * gain) / 2, (padded[0] - original[0] * gain) / 2] * 2, np.float32)
    limit = np.array([original[1], original[0]] * 2, np.float32)
    return np.clip((np.asarray(boxes, np.float32) - shift) / np.float32(gain), 0, limit)


def decoded(
    outputs: Sequence[np.ndarray], anchors: np.ndarray, strides: Sequence[int], least: float | None = None
) -> np.ndarray:
    """(n, fields) float32 of one picture: centre, size in pixels, the rest after the sigmoid; levels in order.

    Numbers of a matrix (more than nine fields) stay raw.

    Args:
        outputs: raw (3, rows, columns, fields) of each level. anchors: (levels, 3, 2) pixels.
        least: only those whose objectness is larger; None is all.
    """
    found = []
    for output, of_level, stride in zip(outputs, anchors, strides, strict=True):
        rows, columns, fields = output.shape[1:]
        flat = output.reshape(-1, fields)
        place = np.arange(len(flat))
        if least is not None:
            place = np.flatnonzero(_sigmoid(flat[:, 4]) > least)
        own = flat[place].astype(np.float32)
        signed = BOX_FIELDS + 3 if fields == BOX_FIELDS + 3 else BOX_FIELDS
        own[:, :signed] = _sigmoid(own[:, :signed])
        cell = np.stack([place % columns, place // columns % rows], -1).astype(np.float32)
        own[:, :2] = (own[:, :2] * 2 - 0.5 + cell) * stride
        own[:, 2:4] = (own[:, 2:4] * 2) ** 2 * of_level.astype(np.float32)[place // (rows * columns)]
        found.append(own)
    return np.concatenate(found)


def suppressed(rows: np.ndarray, confidence: float, overlap: float, most: int = MOST) -> np.ndarray:
    """(n, fields) of decoded rows: x1, y1, x2, y2, confidence, class, then what followed; the surest first.

    A box that overlaps a surer one by more than ``overlap`` (intersection over union) is left out.
    """
    rows = rows[rows[:, 4] > confidence]
    sure = rows[:, 4] * rows[:, 5]
    kept = sure > confidence
    rows, sure = rows[kept], sure[kept]
    order = np.argsort(-sure, kind="stable")[:LARGEST]
    rows, sure = rows[order], sure[order]
    half = rows[:, 2:4] / 2
    corners = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1)
    places = _greedy(corners, overlap, most)
    lead = np.concatenate([corners, sure[:, None], np.zeros_like(sure)[:, None]], 1)
    return np.concatenate([lead, rows[:, BOX_FIELDS:]], 1)[places]


def rotations_of(told: np.ndarray, rotation: str) -> np.ndarray:
    """(n, 3, 3) rotations of what the network tells: angles (n, 3) after the sigmoid, or nine raw numbers (n, 9)."""
    if rotation == "angles":
        return head_angles.matrices((told.astype(np.float64) - 0.5) * [180, 360, 180])
    u, _, v = np.linalg.svd(told.astype(np.float64).reshape(-1, 3, 3))
    u[:, :, 2] *= np.sign(np.linalg.det(u @ v))[:, None]
    return u @ v


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n,) intersection over union of a box (4,) with others (n, 4)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.clip(high - low, 0, None).prod(1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - common
    return common / np.maximum(union, 1e-12)


def _greedy(corners: np.ndarray, overlap: float, most: int) -> list[int]:
    left, kept = np.arange(len(corners)), []
    while len(left) and len(kept) < most:
        kept.append(int(left[0]))
        left = left[1:][overlaps(corners[left[0]], corners[left[1:]]) <= overlap]
    return kept


def _neighbours(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each new pixel of a line the old ones at both sides, and the share of the second."""
    place = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
    first = np.floor(place).astype(np.int64)
    return first, np.minimum(first + 1, old - 1), (place - first).astype(np.float32)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -80, 80)))
