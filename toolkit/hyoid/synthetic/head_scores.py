# SPDX-License-Identifier: Apache-2.0
"""How well heads are found and their directions told: the errors of the field, as plain functions on arrays.

Boxes (n, 4) are x1, y1, x2, y2 in pixels. Rotations (n, 3, 3) and angles (n, 3), pitch, yaw, roll in degrees, are those
of ``geometry.head_angles``. A front is a head whose yaw is less than 60 degrees from the camera, a back is more than
120 away, a side is between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hyoid.geometry import head_angles

REGIONS = ("front", "side", "back")
SMALLEST = 24.0
"""Pixels of the shorter side of a box from which on a head counts as one to be found."""
_LEVELS = np.linspace(0, 1, 101)  # recalls at which COCO reads the precision


@dataclass(frozen=True)
class Errors:
    """Degrees, of some heads; NaN where there are none.

    Attributes:
        heads: how many. pitch, yaw, roll: mean absolute errors. mean, median: of the angle between the rotations.
    """

    heads: int
    pitch: float
    yaw: float
    roll: float
    mean: float
    median: float


@dataclass(frozen=True)
class Found:
    """The heads of one picture: what a detector found and what is there.

    Attributes:
        boxes: (n, 4). confidence: (n,) 0..1. truth: (m, 4) boxes.
        counted: (m,) bool, heads that must be found; the others may be found or not. None is all.
    """

    boxes: np.ndarray
    confidence: np.ndarray
    truth: np.ndarray
    counted: np.ndarray | None = None

    @property
    def must(self) -> np.ndarray:
        """(m,) bool: heads that must be found."""
        return np.ones(len(self.truth), bool) if self.counted is None else np.asarray(self.counted, bool)


@dataclass(frozen=True)
class Detection:
    """How a detector does on pictures.

    Attributes:
        average_precision: area under precision over recall at IoU 0.5. recall: share of the heads that were found at
            the threshold. heads: that had to be found. false_boxes: a picture, at the threshold.
    """

    average_precision: float
    recall: float
    heads: int
    false_boxes: float


@dataclass(frozen=True)
class Calibration:
    """Whether the entropy tells good answers from bad ones; degrees.

    Attributes:
        certain, others: median errors of the most certain heads and of the rest.
        correlation: of the ranks of entropy and error, -1..1. area: under the curve of :func:`risk_coverage`.
    """

    certain: float
    others: float
    correlation: float
    area: float


# --- directions -------------------------------------------------------------------------------------------------------


def angle_errors(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Absolute differences (..., 3) of angles in degrees, the short way round.

    Only yaw can be more than half a turn apart where heads are not upside down, as in the published metric.
    """
    away = np.abs(np.asarray(found, np.float64) - np.asarray(truth, np.float64)) % 360
    return np.minimum(away, 360 - away)


def errors(found: np.ndarray, truth: np.ndarray) -> Errors:
    """The errors of rotations (n, 3, 3)."""
    found, truth = (np.asarray(rotations, np.float64).reshape(-1, 3, 3) for rotations in (found, truth))
    if not len(truth):
        return Errors(0, *[float("nan")] * 5)
    pitch, yaw, roll = angle_errors(head_angles.angles(found), head_angles.angles(truth)).mean(0)
    between = head_angles.geodesic(found, truth)
    return Errors(len(truth), float(pitch), float(yaw), float(roll), float(between.mean()), float(np.median(between)))


def by_region(found: np.ndarray, truth: np.ndarray) -> dict[str, Errors]:
    """The errors of ``all`` rotations (n, 3, 3) and of those of each region."""
    parts = {name: errors(found[rows], truth[rows]) for name, rows in head_angles.regions(truth).items()}
    return {"all": errors(found, truth), **parts}


def nose_errors(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Degrees (...) between the directions (..., 3) of noses, whatever the roll of the heads."""
    first, second = np.asarray(found, np.float64), np.asarray(truth, np.float64)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second), axis=-1), (first * second).sum(-1)))


def noses(angles: np.ndarray, *, eye: bool = False) -> np.ndarray:
    """Unit directions (..., 3) of noses, camera axes, of angles (..., 3) in degrees; the roll may be NaN.

    Args:
        eye: the angles are those of :func:`eye_angles`, else those of ``geometry.head_angles``.
    """
    level = np.array(angles, np.float64)
    level[..., 2] = 0
    if not eye:
        return -head_angles.matrices(level)[..., :, 2]
    pitch, yaw = np.radians(level[..., 0]), np.radians(level[..., 1])
    return np.stack([-np.sin(yaw) * np.cos(pitch), -np.sin(pitch), -np.cos(yaw) * np.cos(pitch)], -1)


def eye_angles(rotations: np.ndarray) -> np.ndarray:
    """Pitch, yaw, roll (..., 3) in degrees as one tells them by eye, of rotations (..., 3, 3).

    Yaw is where the nose points as seen from above, in (-180, 180]; pitch is how far it points up, from behind too;
    roll is the turn about it. ``rotation = Ry(yaw) Rx(-pitch) Rz(roll)``: where the head is turned to the side, these
    are other numbers than those of ``geometry.head_angles``, whose pitch is about the camera's axis.
    """
    r = np.asarray(rotations, np.float64)
    pitch, yaw = np.arcsin(np.clip(r[..., 1, 2], -1, 1)), np.arctan2(r[..., 0, 2], r[..., 2, 2])
    right = np.stack([np.cos(yaw), np.zeros_like(yaw), -np.sin(yaw)], -1)  # of the head without roll
    chin = np.cross(r[..., :, 2], right)
    roll = np.arctan2((chin * r[..., :, 0]).sum(-1), (right * r[..., :, 0]).sum(-1))
    return np.degrees(np.stack([pitch, yaw, roll], -1))


def turn_errors(before: np.ndarray, after: np.ndarray, degrees: np.ndarray | float) -> np.ndarray:
    """Degrees (n,) by which answers to pictures turned clockwise miss the turned answers to the pictures as they were.

    It needs no truth: a network that always says the same fails it.

    Args:
        before, after: (n, 3, 3) rotations. degrees: of each turn, clockwise as seen.
    """
    roll = np.broadcast_to(np.asarray(degrees, np.float64), before.shape[:-2])
    turns = head_angles.matrices(np.stack([np.zeros_like(roll), np.zeros_like(roll), roll], -1))
    return head_angles.geodesic(turns @ before, after)


# --- certainty --------------------------------------------------------------------------------------------------------


def calibration(entropy: np.ndarray, error: np.ndarray, share: float = 0.2) -> Calibration:
    """How the error (n,) of the share with the least entropy (n,) stands to that of the others; NaN below two heads."""
    entropy, error = np.asarray(entropy, np.float64), np.asarray(error, np.float64)
    if len(error) < 2:
        return Calibration(*[float("nan")] * 4)
    order = np.argsort(entropy, kind="stable")
    count = min(max(round(share * len(order)), 1), len(order) - 1)
    certain, others = float(np.median(error[order[:count]])), float(np.median(error[order[count:]]))
    ranks = np.stack([np.argsort(np.argsort(values, kind="stable")).astype(float) for values in (entropy, error)])
    coverage, risk = risk_coverage(entropy, error)
    area = float(np.sum((risk[1:] + risk[:-1]) / 2 * np.diff(coverage)) / (coverage[-1] - coverage[0]))
    return Calibration(certain, others, float(np.corrcoef(ranks)[0, 1]), area)


def risk_coverage(entropy: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares (n,) of heads that are answered, and the mean error (n,) of these: the surest first."""
    ordered = np.asarray(error, np.float64)[np.argsort(entropy, kind="stable")]
    count = np.arange(1, len(ordered) + 1)
    return count / max(len(ordered), 1), np.cumsum(ordered) / count


# --- boxes ------------------------------------------------------------------------------------------------------------


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union (n, m) of boxes (n, 4) and (m, 4); 0 where both are empty."""
    a, b = (np.asarray(boxes, np.float64).reshape(-1, 4) for boxes in (first, second))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(-1)
    whole = _areas(a)[:, None] + _areas(b)[None] - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def match(
    boxes: np.ndarray, confidence: np.ndarray, truth: np.ndarray, threshold: float = 0.7, overlap: float = 0.5
) -> np.ndarray:
    """For each true head (m,) the row of the box whose direction is judged, -1 where there is none.

    As published for many heads in a picture (DirectMHP, evaluation): of the boxes of at least this confidence the one
    that overlaps most, if it does by more than ``overlap``. Two heads may have the same box.
    """
    shares = np.where(np.asarray(confidence)[:, None] >= threshold, overlaps(boxes, truth), -1.0)
    if not shares.size:
        return np.full(len(truth), -1)
    best = shares.argmax(0)
    return np.where(shares.max(0) > overlap, best, -1)


def assign(found: Found, overlap: float = 0.5) -> np.ndarray:
    """For each box (n,) the true head that is its own, -1 where there is none.

    The most confident box chooses first, the head that it overlaps most of those that are left and of those that must
    be found before the others, by at least ``overlap``: the rule of COCO.
    """
    shares, must = overlaps(found.boxes, found.truth), found.must
    taken = np.zeros(len(found.truth), bool)
    heads = np.full(len(found.boxes), -1)
    for row in np.argsort(-np.asarray(found.confidence), kind="stable"):
        for group in (must, ~must):
            free = np.where(group & ~taken, shares[row], -1.0)
            if free.size and free.max() >= overlap:
                heads[row] = int(free.argmax())
                taken[heads[row]] = True
                break
    return heads


def average_precision(pictures: Sequence[Found], overlap: float = 0.5) -> float:
    """Mean over 101 recalls of the best precision from there on, as COCO has it; NaN where no head must be found."""
    total = sum(int(picture.must.sum()) for picture in pictures)
    if not total:
        return float("nan")
    confidence, right = [np.zeros(0)], [np.zeros(0, bool)]
    for picture in pictures:
        heads = assign(picture, overlap)
        judged = (heads < 0) | _at(picture.must, heads)  # what lies on a head that need not be found does not count
        confidence.append(np.asarray(picture.confidence, np.float64)[judged])
        right.append(heads[judged] >= 0)
    order = np.argsort(-np.concatenate(confidence), kind="stable")
    hits = np.cumsum(np.concatenate(right)[order])
    if not len(hits):
        return 0.0
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / total, _LEVELS, side="left")
    return float(np.append(envelope, 0.0)[places].mean())


def detection(pictures: Sequence[Found], threshold: float = 0.4, smallest: float = SMALLEST) -> Detection:
    """How a detector does: average precision of all heads, recall of those larger than ``smallest`` pixels.

    Args:
        threshold: confidence from which on a box counts for the recall and for false boxes. smallest: the shorter side.
    """
    heads = hits = wrong = 0
    for picture in pictures:
        keep = np.asarray(picture.confidence) >= threshold
        kept = Found(picture.boxes[keep], picture.confidence[keep], picture.truth, picture.counted)
        own = assign(kept)
        large = picture.must & (_shorter(picture.truth) > smallest)
        heads += int(large.sum())
        hits += int(large[own[own >= 0]].sum())
        wrong += int((own < 0).sum())
    recall = hits / heads if heads else float("nan")
    return Detection(average_precision(pictures), recall, heads, wrong / len(pictures) if pictures else float("nan"))


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(-1)


def _shorter(boxes: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return (boxes[:, 2:] - boxes[:, :2]).min(-1)


def _at(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Of each row the value, False for rows of -1."""
    return np.append(values, False)[rows]
