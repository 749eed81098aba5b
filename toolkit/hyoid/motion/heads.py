# SPDX-License-Identifier: Apache-2.0
"""Heads that were found in pictures or in the frames of a film: the record that tracking, files and drawings share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from hyoid.errors import InputError
from hyoid.take import Source

SURE = -5.3
"""Entropy of a direction that its authors call sure; 0 knows nothing."""


@dataclass(frozen=True)
class Heads:
    """Heads of many pictures, one a row, in order of the pictures.

    Attributes:
        picture: (N,) int, the number of the picture.
        boxes: (N, 4) float64 pixels: left, top, right, bottom. confidence: (N,) 0..1 of the box.
        apparent: (N, 3, 3) rotations as seen along the ray of the box's centre (``geometry.head_angles``).
        rotations: (N, 3, 3) in the axes of the camera; equal to ``apparent`` where no perspective is taken out.
        entropy: (N,) of the direction, NaN where the system tells none.
        ids: (N,) int, who it is, 1 for the first; 0 for nobody who stays.
        seen: (N,) False in gaps, where box and direction lie between those before and after.
    """

    picture: np.ndarray
    boxes: np.ndarray
    confidence: np.ndarray
    apparent: np.ndarray
    rotations: np.ndarray
    entropy: np.ndarray
    ids: np.ndarray
    seen: np.ndarray

    def __len__(self) -> int:
        return len(self.picture)

    def __getitem__(self, rows: Any) -> Heads:
        """The heads of some rows."""
        return Heads(**{entry.name: getattr(self, entry.name)[rows] for entry in fields(self)})

    def trust(self) -> np.ndarray:
        """(N,) how much each direction counts beside others, above 0: confidence, and precision from the entropy.

        The entropy of a narrow matrix Fisher density falls by 3/2 of the logarithm of its concentration.
        """
        precision = np.exp(-(np.nan_to_num(self.entropy, nan=SURE) - SURE) / 1.5)
        return np.maximum(self.confidence, 1e-3) * np.clip(precision, 0.03, 8.0)


@dataclass(frozen=True)
class Picture:
    """One picture or frame: its name, size in pixels, second (None for pictures without time), and what failed."""

    name: str
    width: int = 0
    height: int = 0
    time: float | None = None
    error: str = ""


@dataclass(frozen=True)
class HeadShot:
    """All that was found.

    Attributes:
        pictures: in order. heads: in them. fps: frames a second, None for pictures that are no sequence.
        field_of_view: degrees across the larger side. perspective: whether ``rotations`` are freed from it.
        sources: what touched the result. facts: further ones, JSON values.
    """

    pictures: tuple[Picture, ...]
    heads: Heads
    fps: float | None
    field_of_view: float
    perspective: bool
    sources: tuple[Source, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> dict[int, str]:
        """Names of the people by their numbers: ``person_01``."""
        return {int(number): f"person_{number:02d}" for number in np.unique(self.heads.ids) if number > 0}


def nobody() -> Heads:
    """No head."""
    return Heads(
        np.zeros(0, int), np.zeros((0, 4)), np.zeros(0), np.zeros((0, 3, 3)), np.zeros((0, 3, 3)), np.zeros(0),
        np.zeros(0, int), np.zeros(0, bool),
    )  # fmt: skip


def joined(parts: list[Heads]) -> Heads:
    """Heads one after the other, in order of their pictures; of one picture by number, those without one last."""
    if not parts:
        return nobody()
    found = Heads(**{
        entry.name: np.concatenate([getattr(part, entry.name) for part in parts]) for entry in fields(Heads)
    })  # fmt: skip
    return found[np.lexsort((np.where(found.ids > 0, found.ids, 1 << 30), found.picture))]


def of_picture(
    number: int, boxes: np.ndarray, confidence: np.ndarray, apparent: np.ndarray, rotations: np.ndarray,
    entropy: np.ndarray | None = None,
) -> Heads:  # fmt: skip
    """The heads (n) of one picture, not yet named.

    Raises:
        InputError: arrays disagree or hold numbers that are not finite.
    """
    count = len(boxes)
    entropy = np.full(count, np.nan) if entropy is None else np.asarray(entropy, np.float64)
    found = Heads(
        np.full(count, number), np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(confidence, np.float64),
        np.asarray(apparent, np.float64), np.asarray(rotations, np.float64), entropy, np.zeros(count, int),
        np.ones(count, bool),
    )  # fmt: skip
    for what, shape in (("boxes", (4,)), ("confidence", ()), ("apparent", (3, 3)), ("rotations", (3, 3))):
        values = getattr(found, what)
        if values.shape != (count, *shape) or not np.isfinite(values).all():
            raise InputError(
                f"'{what}' of the heads has the shape {values.shape} or numbers that are not finite",
                expected=f"finite numbers of the shape {(count, *shape)}",
            )  # fmt: skip
    return found


def by_size(heads: Heads) -> Heads:
    """The heads of each picture on its own, numbered by the size of their boxes, the largest first."""
    numbers = np.zeros(len(heads), int)
    areas = np.prod(heads.boxes[:, 2:] - heads.boxes[:, :2], 1)
    for picture in np.unique(heads.picture):
        rows = np.flatnonzero(heads.picture == picture)
        numbers[rows[np.argsort(-areas[rows], kind="stable")]] = np.arange(1, len(rows) + 1)
    return joined([replace(heads, ids=numbers)])
