# SPDX-License-Identifier: Apache-2.0
"""What tells directions of heads in the bench: our networks, simple opponents, and how their answers become figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from hyoid.errors import MissingToolError
from hyoid.files import sha256_of
from hyoid.synthetic import head_scores

Estimate = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Of a picture and boxes (n, 4): rotations (n, 3, 3) and entropy (n,), NaN where a method tells none."""

THRESHOLD = 0.4
"""Confidence from which on a box counts as found."""
_LEAST = 0.001  # confidence of boxes that are asked for: precision and recall need the doubtful ones too


@dataclass(frozen=True)
class Heads:
    """What a detector found in a picture: boxes (n, 4), confidence (n,), rotations (n, 3, 3)."""

    boxes: np.ndarray
    confidence: np.ndarray
    rotations: np.ndarray

    def sure(self, threshold: float = THRESHOLD) -> Heads:
        """Those of at least this confidence."""
        rows = self.confidence >= threshold
        return Heads(self.boxes[rows], self.confidence[rows], self.rotations[rows])


@dataclass(frozen=True)
class Networks:
    """Our two networks as functions of pictures, and what their files say of themselves."""

    estimate: Estimate
    detect: Callable[[np.ndarray], Heads]
    facts: dict[str, Any]


@dataclass
class Answers:
    """Answers beside the truth, head by head, as they come."""

    found: list[np.ndarray]
    truth: list[np.ndarray]
    entropy: list[np.ndarray]

    @classmethod
    def none(cls) -> Answers:
        """Nothing yet."""
        return cls([np.zeros((0, 3, 3))], [np.zeros((0, 3, 3))], [np.zeros(0)])

    def add(self, found: np.ndarray, truth: np.ndarray, entropy: np.ndarray) -> None:
        """Some more heads: rotations (n, 3, 3) twice and entropy (n,)."""
        self.found.append(found)
        self.truth.append(truth)
        self.entropy.append(entropy)

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rotations (n, 3, 3) told and true, and entropy (n,)."""
        found, truth, entropy = (np.concatenate(rows) for rows in (self.found, self.truth, self.entropy))
        return found, truth, entropy

    def figures(self) -> dict[str, Any]:
        """Errors by region, and how the entropy tells them where there is one."""
        found, truth, entropy = self.joined()
        result = {name: plain(errors) for name, errors in head_scores.by_region(found, truth).items()}
        if len(entropy) > 1 and np.isfinite(entropy).all():
            away = head_scores.head_angles.geodesic(found, truth)
            result["calibration"] = plain(head_scores.calibration(entropy, away))
        return result


def ours() -> Networks:
    """The networks with the weights that come with Hyoid.

    Raises:
        WeightsError: they are not there. MissingToolError: torch is not installed.
    """
    try:
        from hyoid.systems.directmhp import checkpoint as detectors
        from hyoid.systems.directmhp import infer as detection
        from hyoid.systems.semiuhpe import checkpoint as estimators
        from hyoid.systems.semiuhpe import infer as estimation
    except ImportError as error:
        raise MissingToolError("torch is not installed", hint="Install it: pip install 'hyoid[train]'") from error
    paths = {"SemiUHPE": estimators.find(), "DirectMHP": detectors.find()}
    estimator, detector = estimation.load(paths["SemiUHPE"]), detection.load(paths["DirectMHP"])

    def estimate(image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        told = estimation.estimate(estimator, image, boxes, mirror=True)  # as the command does
        return told.rotations, told.entropy

    def detect(image: np.ndarray) -> Heads:
        told = detection.detect(detector, image, confidence=_LEAST)
        return Heads(told.boxes, told.confidence, told.rotations)

    facts = {name: {"weights": path.name, "sha256": sha256_of(path)} for name, path in paths.items()}
    return Networks(estimate, detect, facts)


def always(rotation: np.ndarray) -> Estimate:
    """Who says the same (3, 3) of every head."""

    def estimate(_image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.broadcast_to(rotation, (len(boxes), 3, 3)), np.full(len(boxes), np.nan)

    return estimate


def turned(images: Sequence[np.ndarray], boxes: np.ndarray, degrees: float) -> list[np.ndarray]:
    """Pictures turned clockwise about the middles of their boxes (n, 4); black where nothing is."""
    from PIL import Image

    found = []
    for image, box in zip(images, boxes, strict=True):
        middle = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2)
        # Pillow turns against the clock.
        whole = Image.fromarray(image).rotate(-degrees, Image.Resampling.BICUBIC, center=middle)
        found.append(np.asarray(whole))
    return found


def plain(record: Any) -> dict[str, Any]:
    """A record's numbers, rounded; None where there is none."""
    return {name: number(value) for name, value in asdict(record).items()}


def number(value: float) -> float | int | None:
    """A number for JSON: rounded, None for NaN."""
    if isinstance(value, int):
        return value
    return None if math.isnan(value) else round(float(value), 4)
