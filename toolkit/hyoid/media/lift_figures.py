# SPDX-License-Identifier: Apache-2.0
"""What both halves of the picture of lifted people share: the record of a person, inks, outlines and lettering."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from hyoid.errors import InputError
from hyoid.geometry import human36m
from hyoid.media.heat_map import from_lightness, to_bytes

FINE = 3
"""Bodies and lines are drawn this many times as large and then reduced: Pillow's edges are hard."""
BACKGROUND = (23, 26, 31)
INK, FAINT = (222, 226, 231), (142, 149, 158)
LEFT_SIDE, RIGHT_SIDE, MIDDLE = 0, 1, 2
NOT_SEEN = "not seen"
_LONGEST = 60  # letters of a name or a title
_ARC = 9  # points of each rounded end

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Person:
    """Somebody in a take: what the detector saw and what was made of it, frame by frame.

    Attributes:
        name: shown above the head when there are several people.
        keypoints: (F, 17, 2) pixels of the footage, NaN where missing. confidence: (F, 17), 0..1.
        reprojected: (F, 17, 2) pixels, the cleaned joints as the camera sees them, NaN where they are not drawn.
        joints: (F, 17, 3) metres of the cleaned pose, world, +Y up, ground at y = 0; NaN where there is nobody.
        soles: (F, 2, 2, 3) metres, heel and toe (third to last axis: left, right foot), or None without feet.
        standing: (F, 2) bool, left and right foot. hidden: (F,) bool, frames that were filled in.
    """

    name: str
    keypoints: np.ndarray
    confidence: np.ndarray
    reprojected: np.ndarray | None
    joints: np.ndarray
    soles: np.ndarray | None
    standing: np.ndarray
    hidden: np.ndarray


def check(people: Sequence[Person]) -> int:
    """The number of frames that all people share.

    Raises:
        InputError: nobody, no frame, or an array of another shape.
    """
    if not people:
        raise InputError("there is nobody to draw", expected="at least one person")
    frames = len(people[0].joints)
    if frames < 1:
        raise InputError("the take has no frame", expected="at least one")
    shapes = {
        "keypoints": (17, 2), "confidence": (17,), "reprojected": (17, 2), "joints": (17, 3), "soles": (2, 2, 3),
        "standing": (2,), "hidden": (),
    }  # fmt: skip
    for person in people:
        for name, shape in shapes.items():
            array = getattr(person, name)
            if array is None and name in ("reprojected", "soles"):
                continue
            found = getattr(array, "shape", None)
            if found != (frames, *shape):
                raise InputError(
                    f"'{name}' of '{person.name}' has the shape {found}", expected=f"{(frames, *shape)}"
                )  # fmt: skip
    return frames


def side_colours() -> tuple[Colour, Colour]:
    """Ink of left and right limbs: blue and orange, which eyes of every kind tell apart."""
    left, right = to_bytes(from_lightness(np.array([0.68, 0.77]), np.array([0.14, 0.15]), np.array([248.0, 60.0])))
    return _colour(left), _colour(right)


def tints(count: int) -> list[Colour]:
    """Inks of trunks, names and paths: the first person's is neutral, none resembles those of the sides."""
    hues = np.array([150.0, 330.0, 105.0, 195.0, 300.0, 20.0])
    found = [_colour(to_bytes(from_lightness(np.array(0.86), np.array(0.012), np.array(250.0))))]
    for index in range(count - 1):
        lightness = (0.80, 0.70, 0.88)[index // len(hues) % 3]
        hue = hues[index % len(hues)] + 17.0 * (index // len(hues))
        found.append(_colour(to_bytes(from_lightness(np.array(lightness), np.array(0.13), np.array(hue)))))
    return found[:count]


def sides() -> np.ndarray:
    """(17,) int: :data:`LEFT_SIDE`, :data:`RIGHT_SIDE` or :data:`MIDDLE` of the bone that ends in each joint."""
    found = np.full(17, MIDDLE)
    found[list(human36m.LEFT)], found[list(human36m.RIGHT)] = LEFT_SIDE, RIGHT_SIDE
    return found


def mixed(colours: np.ndarray, other: Colour | np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """uint8 (..., 3): ``share`` of the other colour in these."""
    share = np.asarray(share, np.float64)[..., None]
    return (np.asarray(colours) * (1 - share) + np.asarray(other) * share + 0.5).astype(np.uint8)


def outlines(start: np.ndarray, stop: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Outlines (n, 18, 2) of tapered capsules.

    Args:
        start, stop: (n, 2) middles of the round ends. first, last: (n,) their radii, same unit.
    """
    along = stop - start
    length = np.hypot(along[:, 0], along[:, 1])
    turn = np.arctan2(along[:, 1], along[:, 0])
    # Where the straight edges touch the round ends.
    touch = np.arccos(np.clip((first - last) / np.maximum(length, 1e-9), -1, 1))
    sweep = np.linspace(0, 1, _ARC)
    behind = (turn + touch)[:, None] + sweep * (2 * np.pi - 2 * touch)[:, None]
    ahead = (turn - touch)[:, None] + sweep * (2 * touch)[:, None]
    angles = np.stack([behind, ahead], 1)
    radii = np.stack([first, last], 1)[..., None]
    middles = np.stack([start, stop], 1)[:, :, None]
    points = middles + np.stack([np.cos(angles) * radii, np.sin(angles) * radii], -1)
    return points.reshape(len(start), 2 * _ARC, 2)


def turned(points: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """``points @ axes.T`` without a matrix library, whose last bits differ from machine to machine."""
    return points[..., :1] * axes[:, 0] + points[..., 1:2] * axes[:, 1] + points[..., 2:] * axes[:, 2]


def box(points: np.ndarray, margin: float, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the part of a picture that holds the finite points (n, 2); None for no part."""
    known = points[np.isfinite(points).all(-1)]
    if not len(known):
        return None
    limits = np.array(size, float)
    low = np.clip(np.floor(known.min(0) - margin), 0, limits).astype(int)
    high = np.clip(np.ceil(known.max(0) + margin), 0, limits).astype(int)
    return (int(low[0]), int(low[1]), int(high[0]), int(high[1])) if (high > low).all() else None


def enlarged(image, part: tuple[int, int, int, int]):
    """A part of a picture, :data:`FINE` times as large: reduced again, what was not drawn on is as before."""
    from PIL import Image

    return image.resize(
        ((part[2] - part[0]) * FINE, (part[3] - part[1]) * FINE), Image.Resampling.NEAREST, box=part
    )  # fmt: skip


def plain(text: str) -> str:
    """Text that a line of the picture can hold: the built-in font knows the letters of ASCII, without accents."""
    parts = unicodedata.normalize("NFKD", text)
    text = "".join(part if " " <= part <= "~" else "?" for part in parts if not unicodedata.combining(part))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def write(
    draw, place: tuple[float, float], text: str, size: int, ink: Colour, anchor: str = "ls", *, edge: int = 0
) -> float:
    """Write a line and return its width in pixels; a dark ``edge`` of some pixels keeps it readable on footage."""
    font = _font(size)
    draw.text(
        (round(place[0]), round(place[1])),
        text,
        font=font,
        fill=ink,
        anchor=anchor,
        stroke_width=edge,
        stroke_fill=BACKGROUND,
    )
    return font.getlength(text)


@cache
def _font(size: int):
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _colour(values: np.ndarray) -> Colour:
    return int(values[0]), int(values[1]), int(values[2])
