# SPDX-License-Identifier: Apache-2.0
"""Contact sheets: many pictures in one, with the truth drawn in when asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

_COLOURS = ((230, 40, 40), (40, 200, 60), (60, 110, 255))


def drawn_axes(image: np.ndarray, rotations: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """A copy of a picture (H, W, 3) uint8 with boxes and axes of heads: red x, green to the chin, blue out of the
    nose."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for rotation, box in zip(rotations, boxes, strict=True):
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        reach = 0.3 * (box[2] - box[0] + box[3] - box[1])
        draw.rectangle([float(v) for v in box], outline=(255, 255, 0))
        for axis, sign, colour in zip(range(3), (1, 1, -1), _COLOURS, strict=True):
            end = middle + sign * reach * rotation[:2, axis]
            draw.line([*middle, *end], fill=colour, width=2)
    return np.asarray(picture)


def contact_sheet(path: Path | str, images: np.ndarray, columns: int = 10, quality: int = 85) -> None:
    """Write pictures (n, H, W, 3) uint8, row by row, as one picture; the suffix of the path chooses the format."""
    count, height, width = images.shape[:3]
    rows = -(-count // columns)
    whole = np.full((rows * height, columns * width, 3), 32, np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        whole[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    Image.fromarray(whole).save(path, quality=quality)  # formats without a quality pass it over
