# SPDX-License-Identifier: Apache-2.0
"""People as a lifter leaves them: what was seen of them in the picture, and their poses in camera axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hyoid import scratch
from hyoid.take import Source


@dataclass(frozen=True)
class Person:
    """One person's clip; F frames, the 17 joints of :data:`hyoid.geometry.human36m.NAMES`.

    Attributes:
        name: ``person_01`` is who is seen longest. keypoints: (F, 17, 2) float64 pixels, NaN where missing.
        confidence: (F, 17) 0..1, 0 where missing. seen: (F,) bool. scores: (F,) of the detector, 0..1.
        joints: (F, 17, 3) metres, camera axes (x right, y down, z away), the pelvis at the origin; finite in every
            frame, guesses where the person was not seen.
    """

    name: str
    keypoints: np.ndarray
    confidence: np.ndarray
    seen: np.ndarray
    scores: np.ndarray
    joints: np.ndarray

    @property
    def trust(self) -> np.ndarray:
        """(F,) 0..1: the mean confidence of the joints, 0 where the person was not seen."""
        trust = np.zeros(len(self.seen))
        for rows in scratch.pieces(len(trust)):
            trust[rows] = np.where(self.seen[rows], self.confidence[rows].mean(1), 0.0)
            scratch.give_back(self.confidence)
        return trust


@dataclass(frozen=True)
class Lifted:
    """Everybody in a clip.

    Attributes:
        people: the longest seen first. times: (F,) float64 seconds of the frames, rising. fps: of them, on average.
        width, height: of the picture, pixels. sources: what the poses came from. facts: how they were found: layout,
            reason, system, and how many tracks were too short.
    """

    people: tuple[Person, ...]
    times: np.ndarray
    fps: float
    width: int
    height: int
    sources: tuple[Source, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
