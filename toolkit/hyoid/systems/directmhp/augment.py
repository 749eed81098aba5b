# SPDX-License-Identifier: Apache-2.0
"""Changes of training pictures that keep their labels right, drawn from a seed alone; arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyoid.systems.directmhp.boxes import GREY

_MIRROR = np.diag([-1.0, 1.0, 1.0])
_SEEN = 0.4  # share of a box that must stay in the picture; others are ignored


@dataclass(frozen=True)
class Augmentation:
    """How much is changed.

    Attributes:
        flip: share of pictures that are mirrored. scale: smallest and largest size factor. shift: share of the side.
        hue, saturation, value: largest change, the first of the circle and the others as factors about 1.
    """

    flip: float = 0.5
    scale: tuple[float, float] = (0.7, 1.4)
    shift: float = 0.1
    hue: float = 0.015
    saturation: float = 0.5
    value: float = 0.4


def augmented(
    pictures: np.ndarray, boxes: Sequence[np.ndarray], rotations: Sequence[np.ndarray],
    ignored: Sequence[np.ndarray] | None = None, *, seed: Any, how: Augmentation,
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray], list[np.ndarray]]:  # fmt: skip
    """Pictures (B, H, W, 3) uint8, boxes (n, 4), rotations (n, 3, 3) and ignored boxes (m, 4) of each, changed.

    Heads of which less than half is left in the picture become ignored boxes. Directions are those along the ray of the
    head, so moving it in the picture does not change them; a mirrored head has its yaw and roll the other way round.
    """
    found: tuple[list[Any], list[Any], list[Any], list[Any]] = ([], [], [], [])
    height, width = pictures.shape[1:3]
    limit = np.array([width, height, width, height], np.float32)
    for number, picture in enumerate(pictures):
        random = np.random.default_rng([*np.atleast_1d(seed), number])
        factor = np.exp(random.uniform(*np.log(how.scale)))
        moved = random.uniform(-how.shift, how.shift, 2) * (width, height) + (1 - factor) / 2 * np.array(
            [width, height]
        )
        mirrored = random.random() < how.flip
        given = np.asarray(boxes[number], np.float32).reshape(-1, 4)
        turned = np.asarray(rotations[number]).reshape(-1, 3, 3)
        passed = np.asarray(ignored[number] if ignored is not None else [], np.float32).reshape(-1, 4)
        picture = _moved(picture, factor, moved)
        given, passed = (own * factor + np.tile(moved, 2) for own in (given, passed))
        if mirrored:
            picture, turned = picture[:, ::-1], _MIRROR @ turned @ _MIRROR
            given, passed = ([width, 0, width, 0] + own[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] for own in (given, passed))
        inside, passed = (np.clip(own, 0, limit).astype(np.float32) for own in (given, passed))
        share = _area(inside) / np.maximum(_area(given), 1e-9)
        clear = (share > _SEEN) & (inside[:, 2:] - inside[:, :2] > 2).all(1)
        passed = np.concatenate([passed, inside[~clear]])
        results = (_coloured(picture, random, how), inside[clear], turned[clear], passed[_area(passed) > 0])
        for results_of, result in zip(found, results, strict=True):
            results_of.append(result)
    return np.stack(found[0]), *found[1:]


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1)


def _moved(picture: np.ndarray, factor: float, moved: np.ndarray) -> np.ndarray:
    """The picture scaled, then moved by pixels (x, y); grey where nothing comes to lie."""
    height, width = picture.shape[:2]
    (left, x), (top, y) = (_sources(side, factor, shift) for side, shift in ((width, moved[0]), (height, moved[1])))
    found = np.full_like(picture, GREY)
    rows, columns = slice(top, top + len(y)), slice(left, left + len(x))
    if factor < 1:  # a mean of two by two keeps a smaller picture from flickering
        x1, y1 = np.minimum(x + 1, width - 1), np.minimum(y + 1, height - 1)
        wide = picture.astype(np.uint16)
        lines = wide[y] + wide[y1]
        found[rows, columns] = (lines[:, x] + lines[:, x1] + 2) >> 2
    else:
        found[rows, columns] = picture[y[:, None], x]
    return found


def _sources(side: int, factor: float, shift: float) -> tuple[int, np.ndarray]:
    """The first pixel of a line that gets something, and which pixel each takes from there on."""
    place = np.floor((np.arange(side) + 0.5 - shift) / factor).astype(np.int64)
    inside = np.flatnonzero((place >= 0) & (place < side))
    return (int(inside[0]), place[inside]) if len(inside) else (0, place[:0])


def _coloured(picture: np.ndarray, random: np.random.Generator, how: Augmentation) -> np.ndarray:
    """Hue turned, saturation and value scaled, by one matrix about the grey axis."""
    angle = 2 * np.pi * random.uniform(-how.hue, how.hue)
    saturation = 1 + random.uniform(-how.saturation, how.saturation)
    value = 1 + random.uniform(-how.value, how.value)
    grey = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * cross
    matrix = (value * (grey + saturation * turn)).astype(np.float32)
    changed = picture.astype(np.float32) @ matrix.T
    return np.clip(changed + 0.5, 0, 255).astype(np.uint8)
