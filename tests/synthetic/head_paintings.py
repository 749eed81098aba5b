# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for renders of heads, made in no time: discs whose colours tell their direction."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from hyoid.geometry import head_angles
from hyoid.synthetic.heads import Crops, Scene, Settings


def crops(seed: int, first: int, count: int, *, settings: Settings) -> Crops:
    """Discs in grey."""
    size, images, rotations = settings.size, [], []
    for number in range(first, first + count):
        random = np.random.default_rng([seed, number, settings.held_out, settings.domain == "shifted"])
        angles = random.uniform(-60, 60, 3)
        image = np.full((size, size, 3), 128, np.uint8)
        _paint(image, np.array([0.25, 0.25, 0.75, 0.75]) * size, angles)
        images.append(image)
        rotations.append(head_angles.matrices(angles))
    boxes = np.tile(np.array([0.25, 0.25, 0.75, 0.75], np.float32) * size, (count, 1))
    return Crops(np.stack(images), np.stack(rotations).astype(np.float32), boxes, np.ones(count, np.float32))


def scene(seed: int, number: int, *, settings: Settings) -> Scene:
    """One or two discs in grey, the second one hidden."""
    random = np.random.default_rng([seed, number, settings.held_out, settings.domain == "shifted"])
    image = np.full((settings.height, settings.width, 3), 128, np.uint8)
    heads = 1 + number % 2
    angles = random.uniform(-60, 60, (heads, 3))
    corners = random.uniform(0, 0.5, (heads, 2)) * settings.width
    boxes = np.concatenate([corners, corners + 0.3 * settings.width], 1).astype(np.float32)
    for box, own in zip(boxes, angles, strict=True):
        _paint(image, box, own)
    rotations = head_angles.matrices(angles).astype(np.float32)
    known = {
        "image": image, "boxes": boxes, "rotations": rotations, "apparent": rotations,
        "visible": np.array([1.0, 0.1][:heads], np.float32),
    }  # fmt: skip
    return Scene(**{field.name: known.get(field.name) for field in fields(Scene)})  # type: ignore[arg-type]


def _paint(image: np.ndarray, box: np.ndarray, angles: np.ndarray) -> None:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    inside = ((x - box[[0, 2]].mean()) ** 2 + (y - box[[1, 3]].mean()) ** 2) < (box[2] - box[0]) ** 2 / 4
    image[inside] = (128 + angles).astype(np.uint8)
