# SPDX-License-Identifier: Apache-2.0
"""What was found, drawn over the pictures: boxes, axes, and beside each head a small one that is turned like it.

Drawn in software; nothing is kept but the picture in work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from hyoid.geometry import head_angles
from hyoid.media.lift_figures import plain, tints, write
from hyoid.motion.heads import Heads

LARGEST = 1920
"""Pixels of the larger side of an overlay; larger pictures are scaled down for it."""
AXES = ((235, 80, 70), (90, 200, 90), (80, 150, 255))
"""Ink of the head's axes: to the right of a frontal picture, up, and along the nose."""
UNSURE = (150, 150, 150)
_FINE = 2  # small heads are drawn so many times as large
_CELL = 0.014  # metres: corners of the small head that are nearer become one
_LIGHT = np.array([-0.35, -0.55, -0.76])  # towards the light, axes of the camera
_SKULL = ("oc1", "jaw", "eye.L", "eye.R")
_INSIDE = 0.28  # how bright the inside is, seen from below
_SMALLEST, _BIGGEST = 36, 220  # pixels of the small head
_TINTS = 24


@dataclass(frozen=True)
class LowHead:
    """A head of few triangles about its middle, metres, in head axes: x right, y chin, z back.

    Attributes:
        vertices: (V, 3) float64. triangles: (T, 3) int, turning clockwise as seen from outside in those axes.
    """

    vertices: np.ndarray
    triangles: np.ndarray


@cache
def low_head() -> LowHead:
    """The bundled human's head, without neck, with corners that lie near each other made one."""
    from hyoid import characters
    from hyoid.characters import neck

    character = characters.load("human", part="head")
    skull, throat = (
        np.where(np.isin(character.weight_joints, [character.joint(name) for name in names]), character.weights, 0)
        for names in (_SKULL, (*_SKULL, *neck.JOINTS))
    )
    part = character.parts[0]
    body = np.arange(len(character.vertices)) < part.vertices.stop
    chin = character.vertices[body & (skull.sum(1) > 0.5), 1].min()
    member = (throat.sum(1) > 0.5) & (character.vertices[:, 1] > chin)
    faces = character.faces[part.faces]
    faces = faces[member[faces].all(1)]
    triangles = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]]) if faces.shape[1] == 4 else faces
    points = character.vertices.astype(np.float64) @ head_angles.FLIP
    used = np.unique(triangles)
    low, high = points[used].min(0), points[used].max(0)
    cells = np.floor((points - low) / _CELL).astype(np.int64)
    cell = np.unique(cells[used], axis=0, return_inverse=True)[1]
    cell = cell.reshape(-1)
    count = np.bincount(cell)
    middles = np.stack([np.bincount(cell, points[used][:, axis]) for axis in range(3)], -1) / count[:, None]
    place = np.zeros(len(points), np.int64)
    place[used] = cell
    triangles = place[triangles]
    whole = (triangles != np.roll(triangles, 1, 1)).all(1)
    triangles = np.unique(_from_lowest(triangles[whole]), axis=0)
    return LowHead(middles - (low + high) / 2, triangles)


def _from_lowest(triangles: np.ndarray) -> np.ndarray:
    """The same triangles, each beginning at its lowest corner."""
    shift = triangles.argmin(1)
    return np.take_along_axis(triangles, (shift[:, None] + np.arange(3)) % 3, 1)


def scale_of(width: int, height: int) -> float:
    """How much an overlay is smaller than its picture: 1, or less so that no side passes :data:`LARGEST`."""
    return min(1.0, LARGEST / max(width, height))


def draw(
    picture: np.ndarray, heads: Heads, names: Mapping[int, str], *, hidden: np.ndarray | None = None, title: str = ""
) -> np.ndarray:
    """The picture, at most :data:`LARGEST` pixels wide and high, with all that was found on it.

    Args:
        picture: (h, w, 3) uint8 RGB. heads: those of this picture. names: of people by their numbers.
        hidden: (n,) heads whose direction is not to be trusted: their boxes are grey and without axes.
        title: a line in the corner.
    """
    from PIL import Image, ImageDraw

    height, width = picture.shape[:2]
    scale = scale_of(width, height)
    image = Image.fromarray(np.ascontiguousarray(picture))
    if scale < 1:
        image = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BOX)
    pencil = ImageDraw.Draw(image)
    colours, unit = tints(_TINTS), max(1.0, min(image.size) / 540)
    hidden = np.zeros(len(heads), bool) if hidden is None else hidden
    angles = head_angles.angles(heads.rotations)
    for row in np.argsort(np.prod(heads.boxes[:, 2:] - heads.boxes[:, :2], 1), kind="stable").tolist():
        head = heads[row]
        ink = UNSURE if hidden[row] else colours[int(head.ids) % _TINTS]
        box = head.boxes * scale
        _frame(pencil, box, ink, round(2 * unit), dashed=not bool(head.seen))
        size = round(np.clip(13 * unit, 10, 40))
        label = names.get(int(head.ids), "head")
        label += f" entropy {float(head.entropy):.1f}" if np.isfinite(head.entropy) else ""
        label += "" if head.seen else " not seen"
        below = "direction unsure"
        if not hidden[row]:
            _small_head(image, box, head.apparent, ink)
            _axes(pencil, box, head.apparent, unit)
            below = "pitch {:.0f} yaw {:.0f} roll {:.0f}".format(*(np.round(angles[row]) + 0.0))
        _lines(pencil, image.size, box, (label, below), size, ink)
    if title:
        size = round(np.clip(14 * unit, 11, 40))
        write(pencil, (6, image.height - 6), plain(title), size, (255, 255, 255), edge=max(1, round(unit)))
    return np.array(image)


def _lines(pencil, picture: tuple[int, int], box: np.ndarray, lines: tuple[str, str], size: int, ink) -> None:
    """A line above a box and one below it, both above or both below where the picture ends."""
    x = float(np.clip(box[0], 2, max(picture[0] - 20, 2)))
    over, under = box[1] - 4, box[3] + size + 2
    if over < size:
        over, under = under, under + size + 2
    elif under > picture[1] - 2:
        over, under = over - size - 2, over
    for text, y in zip(lines, (over, under), strict=True):
        write(pencil, (x, float(y)), plain(text), size, ink, edge=max(1, size // 12))


def _frame(pencil, box: np.ndarray, ink, thick: int, *, dashed: bool) -> None:
    left, top, right, bottom = (float(value) for value in box)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    for (x, y), (end_x, end_y) in pairwise(corners):
        parts = max(2, round((abs(end_x - x) + abs(end_y - y)) / 12)) if dashed else 1
        for part in range(0, parts, 2):
            first, last = part / parts, (part + 1) / parts
            pencil.line(
                [(x + (end_x - x) * first, y + (end_y - y) * first), (x + (end_x - x) * last, y + (end_y - y) * last)],
                fill=ink, width=thick,
            )  # fmt: skip


def _axes(pencil, box: np.ndarray, rotation: np.ndarray, unit: float) -> None:
    """Right, up and nose from the middle of a box; those that point away are drawn first."""
    middle = (box[:2] + box[2:]) / 2
    reach = 0.55 * float(np.sqrt(np.prod(np.maximum(box[2:] - box[:2], 1))))
    ends = np.stack([rotation[:, 0], -rotation[:, 1], -rotation[:, 2]])
    for axis in np.argsort(-ends[:, 2], kind="stable").tolist():
        tip = middle + reach * ends[axis, :2]
        pencil.line([tuple(middle), tuple(tip)], fill=AXES[axis], width=max(2, round(2.5 * unit)))
        if axis == 2:
            dot = max(2.0, 3.5 * unit)
            pencil.ellipse([tip[0] - dot, tip[1] - dot, tip[0] + dot, tip[1] + dot], fill=AXES[axis])


def _small_head(image, box: np.ndarray, rotation: np.ndarray, ink) -> None:
    """A small head beside a box: at its right, or left where there is no room."""
    side = int(np.clip(0.8 * (box[3] - box[1]), _SMALLEST, _BIGGEST))
    x = box[2] + 2 if box[2] + 2 + side <= image.width else box[0] - 2 - side
    x, y = np.clip([x, box[1]], 0, np.maximum(np.array(image.size) - side, 0))
    drawn, mask = small_head(rotation, side, ink)
    image.paste(drawn, (round(x), round(y)), mask)


def small_head(rotation: np.ndarray, side: int, ink: tuple[int, int, int]):
    """A shaded head turned by ``rotation`` (3, 3), ``side`` pixels wide and high, as pictures: colours and coverage."""
    from PIL import Image, ImageDraw

    low = low_head()
    points = low.vertices @ np.asarray(rotation, np.float64).T
    wide = side * _FINE
    screen = (0.5 + points[:, :2] / 0.30) * wide
    corners = points[low.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    order = np.argsort(-corners[:, :, 2].mean(1), kind="stable")  # z is away from the camera
    light = 0.35 + 0.65 * np.maximum(normals @ (_LIGHT / np.linalg.norm(_LIGHT)), 0)
    light = np.where(normals[:, 2] < 0, light, _INSIDE)
    colours = np.clip(light[:, None] * np.asarray(ink), 0, 255).astype(int)
    drawn, mask = Image.new("RGB", (wide, wide), ink), Image.new("L", (wide, wide))
    pencil, cover = ImageDraw.Draw(drawn), ImageDraw.Draw(mask)
    for triangle in order.tolist():
        outline = [tuple(point) for point in screen[low.triangles[triangle]].tolist()]
        pencil.polygon(outline, fill=tuple(colours[triangle].tolist()))
        cover.polygon(outline, fill=255)
    size = (side, side)
    return drawn.resize(size, Image.Resampling.BOX), mask.resize(size, Image.Resampling.BOX)


def sheet(pictures: Iterable[np.ndarray], columns: int = 3, width: int = 640) -> np.ndarray:
    """Pictures of one or more sizes side by side, each ``width`` pixels wide, as one."""
    from PIL import Image

    tiles = []
    for picture in pictures:
        image = Image.fromarray(picture)
        tiles.append(image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.BOX))
    columns = min(columns, len(tiles))
    high = max(tile.height for tile in tiles)
    whole = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * high))
    for number, tile in enumerate(tiles):
        whole.paste(tile, (number % columns * width, number // columns * high))
    return np.array(whole)
