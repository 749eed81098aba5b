# SPDX-License-Identifier: Apache-2.0
"""The film by which people judge a lift: what was seen at the left, what was made of it from two sides at the right.

Nothing is kept but the picture in work: a take of any length is drawn in the memory of one frame.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, repeat
from pathlib import Path

import numpy as np

from hyoid.errors import InputError, UsageError
from hyoid.files import part_file, write_bytes
from hyoid.geometry import human36m
from hyoid.media import video
from hyoid.media.lift_figures import (
    BACKGROUND,
    FAINT,
    FINE,
    INK,
    LEFT_SIDE,
    RIGHT_SIDE,
    Person,
    box,
    check,
    enlarged,
    outlines,
    plain,
    side_colours,
    sides,
    tints,
    write,
)  # fmt: skip
from hyoid.media.lift_stage import SIDE, THREE_QUARTER, Stage, facing, focus_path, frame_view, label
from hyoid.report import SILENT, Report

__all__ = ["SIZE", "Person", "frames", "still", "telling_frame", "write_mp4", "write_png"]

SIZE = (1280, 720)
SMALLEST, LARGEST = 320, 4096
_HEAD, _INFO = 46, 150  # pixels above and below the footage at the usual size
_GAP = 2
_NOTHING = (15, 17, 20)  # where there is no footage
_SPAN = 2.5  # seconds before and after, in the strip of contacts
_MOST_ROWS = 4  # people in that strip
_FAINTEST = 0.15  # strength of a point with no confidence
_EMPTY = (30, 34, 40)
_CLEAN = (255, 240, 130)


@dataclass(frozen=True)
class _Layout:
    """Rectangles in pixels: left, top, width, height of the footage and of both views; ``scale`` from its pixels."""

    column: int
    footage: tuple[int, int, int, int]
    scale: tuple[float, float]
    first: tuple[int, int, int, int]
    second: tuple[int, int, int, int]


def write_mp4(
    path: str | Path,
    people: Sequence[Person],
    fps: float | Fraction,
    *,
    width: int,
    height: int,
    footage: Iterable[np.ndarray] | None = None,
    title: str = "",
    size: tuple[int, int] = SIZE,
    report: Report = SILENT,
) -> None:
    """Write the film. Equal input gives equal bytes; the file appears when it is complete.

    Args:
        people: at least one; all have the same number of frames.
        fps: frames a second of people and footage.
        width, height: the pixels that the keypoints count in, those of the footage.
        footage: (h, w, 3) uint8 RGB pictures, taken one at a time; the last is held where they end early. None draws
            the keypoints on a dark ground.
        title: a line above the footage. size: width and height of the film in pixels.

    Raises:
        InputError: nobody or no frame, arrays that do not fit together, or a picture that is none.
        UsageError: a size out of range.
        OutputError: the file cannot be written.
    """
    count = check(people)
    pictures = frames(people, fps, width=width, height=height, footage=footage, title=title, size=size)

    def told() -> Iterator[np.ndarray]:
        for index, picture in enumerate(pictures):
            yield picture
            report.progress((index + 1) / count, f"drawing frame {index + 1} of {count}")

    with part_file(Path(path)) as part:
        video.write(part, told(), fps)


def write_png(
    path: str | Path,
    people: Sequence[Person],
    fps: float | Fraction,
    *,
    width: int,
    height: int,
    footage: Iterable[np.ndarray] | None = None,
    title: str = "",
    size: tuple[int, int] = SIZE,
    frame: int | None = None,
) -> None:
    """Write one picture of the film; arguments as for :func:`write_mp4`.

    Args:
        frame: its number; None chooses :func:`telling_frame`.

    Raises:
        InputError: as for :func:`write_mp4`.
        UsageError: a size out of range, or a frame outside the take.
        OutputError: the file cannot be written.
    """
    from PIL import Image

    picture = still(people, fps, width=width, height=height, footage=footage, title=title, size=size, frame=frame)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG")
    write_bytes(Path(path), stream.getvalue())


def still(
    people: Sequence[Person],
    fps: float | Fraction,
    *,
    width: int,
    height: int,
    footage: Iterable[np.ndarray] | None = None,
    title: str = "",
    size: tuple[int, int] = SIZE,
    frame: int | None = None,
) -> np.ndarray:
    """One picture of the film, (height, width, 3) uint8 RGB; arguments and errors as for :func:`write_png`."""
    count = check(people)
    frame = telling_frame(people) if frame is None else frame
    if not 0 <= frame < count:
        raise UsageError(f"frame {frame} lies outside the take", expected=f"0 to {count - 1}")
    film = _Film(people, fps, width, height, title, size)
    return np.asarray(film.draw(frame, next(islice(_held(footage), frame, None))))


def frames(
    people: Sequence[Person],
    fps: float | Fraction,
    *,
    width: int,
    height: int,
    footage: Iterable[np.ndarray] | None = None,
    title: str = "",
    size: tuple[int, int] = SIZE,
) -> Iterator[np.ndarray]:
    """The pictures of the film one after the other, (height, width, 3) uint8 RGB.

    Arguments and errors are those of :func:`write_mp4`.
    """
    count = check(people)
    film = _Film(people, fps, width, height, title, size)
    return (np.asarray(film.draw(index, picture)) for index, picture in zip(range(count), _held(footage), strict=False))


def telling_frame(people: Sequence[Person]) -> int:
    """The frame that tells most: many people, seen well, in their widest step, on a foot."""
    score = np.zeros(check(people))
    for person in people:
        step = np.hypot(*(person.joints[:, 6, ::2] - person.joints[:, 3, ::2]).T)
        reach = np.linalg.norm(person.joints[:, 13] - person.joints[:, 16], axis=-1)
        seen = np.isfinite(person.keypoints).all(-1).mean(-1) * ~np.asarray(person.hidden, bool)
        score += seen * (1 + np.nan_to_num(step + 0.3 * reach) + 0.5 * np.asarray(person.standing).any(-1))
    return int(np.argmax(np.round(score, 6)))


class _Film:
    """Draws frames: what stays the same is made once."""

    def __init__(
        self,
        people: Sequence[Person],
        fps: float | Fraction,
        width: int,
        height: int,
        title: str,
        size: tuple[int, int],
    ) -> None:
        if min(size) < SMALLEST or max(size) > LARGEST:
            raise UsageError(f"a picture of {size[0]}x{size[1]} pixels", expected=f"{SMALLEST} to {LARGEST} each way")
        if width < 1 or height < 1 or not np.isfinite(float(fps)) or fps <= 0:
            found = f"footage of {width}x{height} pixels at {float(fps):g} frames a second"
            raise InputError(found, expected="sizes and a rate above 0")
        self.people, self.fps, self.count = list(people), float(fps), len(people[0].joints)
        self.unit = size[1] / SIZE[1] if size[0] >= size[1] else size[0] / SIZE[1]
        path, front = focus_path(people, self.fps), facing(people)
        self.layout, views = _arranged(size, (width, height), self.unit, people, path, front)
        self.stages = [
            Stage(people, self.fps, path, view, name)
            for view, name in zip(views, ("three-quarter view", "from the side"), strict=True)
        ]
        self.tints, self.sides, self.colours = tints(len(people)), sides(), side_colours()
        self.size = size
        self.base = self._base(title)

    def draw(self, frame: int, picture: np.ndarray | None):
        """The picture of one frame, an RGB Pillow image."""
        image = self.base.copy()
        left, top, *_ = self.layout.footage
        image.paste(self._seen(frame, picture), (left, top))
        self._facts(image, frame)
        for stage, place in zip(self.stages, (self.layout.first, self.layout.second), strict=True):
            image.paste(stage.draw(frame), place[:2])
        return image

    def _size(self, points: float) -> int:
        return max(9, round(points * self.unit))

    def _base(self, title: str):
        """Title and legend."""
        from PIL import Image, ImageDraw

        image = Image.new("RGB", self.size, BACKGROUND)
        draw, unit = ImageDraw.Draw(image), self.unit
        draw.rectangle((self.layout.column, 0, *self.size), fill=_NOTHING)
        write(draw, (16 * unit, 30 * unit), plain(title) or "what was seen", self._size(18), INK)
        text, bottom = self._size(13), self.size[1] - 16 * unit
        left, right = self.colours
        x, row, swatch = 16 * unit, bottom - 20 * unit, 18 * unit
        for name, inks in (("left", [left]), ("right", [right]), ("detected", [left, right]), ("cleaned", [_CLEAN])):
            thick, y = (max(1, round(unit)) if inks == [_CLEAN] else max(3, round(4 * unit))), row - 0.36 * text
            for index, ink in enumerate(inks):
                draw.line((x + swatch * index / len(inks), y, x + swatch, y), fill=ink, width=thick)
            x += swatch + 7 * unit
            x += write(draw, (x, row), name, text, FAINT) + 20 * unit
        x, y, radius = 16 * unit, bottom - 0.36 * text, 4 * unit
        part = int(x) - 2, int(y - radius) - 2, int(x + swatch) + 3, int(y + radius) + 3
        fine = enlarged(image, part)
        for start, stop, kind in ((0.0, 0.75, "fill"), (0.25, 1.0, "outline")):
            ends = (
                x + start * swatch - part[0],
                y - radius - part[1],
                x + stop * swatch - part[0],
                y + radius - part[1],
            )
            ImageDraw.Draw(fine).ellipse([FINE * end for end in ends], **{kind: left}, width=FINE)
        image.paste(fine.reduce(FINE), part[:2])
        write(draw, (x + swatch + 7 * unit, bottom), "the foot stands; ring: where it came down", text, FAINT)
        return image

    def _seen(self, frame: int, picture: np.ndarray | None):
        """The footage with what the detector saw and where the cleaned joints lie."""
        from PIL import Image

        size = self.layout.footage[2:]
        if picture is None:
            image = Image.new("RGB", size, _NOTHING)
        else:
            if getattr(picture, "dtype", None) != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
                raise InputError(
                    f"picture {frame} of the footage is {getattr(picture, 'dtype', type(picture).__name__)} "
                    f"{np.shape(picture)}", expected="(height, width, 3) of uint8",
                )  # fmt: skip
            image = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)
        seen = [self._skeleton(person, frame, index) for index, person in enumerate(self.people)]
        clean = [self._cleaned(person, frame) for person in self.people]
        part = box(np.concatenate([*(s[0].reshape(-1, 2) for s in seen), *(c.reshape(-1, 2) for c in clean)]), 4, size)
        if part:
            fine = enlarged(image, part)
            hidden = [bool(person.hidden[frame]) for person in self.people]
            _paint(fine, np.array(part[:2]), seen, clean, hidden, self.unit)
            image.paste(fine.reduce(FINE), part[:2])
        self._names(image, frame)
        return image

    def _skeleton(self, person: Person, frame: int, index: int) -> tuple[np.ndarray, list[tuple[int, ...]]]:
        """Outlines (n, 18, 2) in pixels and inks of the limbs and joints that the detector saw."""
        points = self._near(person.keypoints[frame])
        sure = np.clip(np.nan_to_num(person.confidence[frame].astype(np.float64)), 0, 1)
        thick = _thickness(points, self.unit)
        children = np.arange(1, 17)
        parents = np.array(human36m.PARENTS[1:])
        starts = np.concatenate([points[parents], points])
        stops = np.concatenate([points[children], points])
        strength = np.concatenate([np.minimum(sure[parents], sure[children]), sure])
        radii = np.concatenate([np.full(16, thick), np.full(17, 1.35 * thick)])
        side = np.concatenate([self.sides[children], self.sides])
        known = np.isfinite(starts).all(-1) & np.isfinite(stops).all(-1)
        inks = np.array([*self.colours, self.tints[index]])[side]
        alpha = np.round(235 * (_FAINTEST + (1 - _FAINTEST) * strength)).astype(int)
        shapes = outlines(starts[known], stops[known], radii[known], radii[known])
        return shapes, [(*ink, a) for ink, a in zip(inks[known].tolist(), alpha[known].tolist(), strict=True)]

    def _cleaned(self, person: Person, frame: int) -> np.ndarray:
        """(n, 2, 2) pixels: the bones of the cleaned pose."""
        if person.reprojected is None:
            return np.zeros((0, 2, 2))
        points = self._near(person.reprojected[frame])
        bones = np.stack([points[list(human36m.PARENTS[1:])], points[1:]], 1)
        return bones[np.isfinite(bones).all((1, 2))]

    def _near(self, points: np.ndarray) -> np.ndarray:
        """Pixels (17, 2) of the film; NaN where they lie so far outside that only a mistake puts them there."""
        points = points.astype(np.float64) * self.layout.scale
        return np.where((np.abs(points) < 4 * max(self.size)).all(-1, keepdims=True), points, np.nan)

    def _names(self, image, frame: int) -> None:
        from PIL import ImageDraw

        draw, text = ImageDraw.Draw(image), self._size(13)
        for index, person in enumerate(self.people):
            words = label(person, bool(person.hidden[frame]), len(self.people))
            points = self._near(person.keypoints[frame])
            if not np.isfinite(points).all(-1).any() and person.reprojected is not None:
                points = self._near(person.reprojected[frame])
            points = points[np.isfinite(points).all(-1)]
            if words and len(points):
                top = points[np.argmin(points[:, 1])]
                write(
                    draw, (float(top[0]), float(top[1]) - 8 * self.unit), words, text, self.tints[index], "ms", edge=1
                )

    def _facts(self, image, frame: int) -> None:
        """Number and time of the frame, and the strip that tells when each foot stands."""
        from PIL import ImageDraw

        draw, unit = ImageDraw.Draw(image), self.unit
        _, top, _, tall = self.layout.footage
        y = top + tall + 30 * unit
        width = write(draw, (16 * unit, y), f"frame {frame} / {self.count - 1}", self._size(17), INK)
        write(draw, (34 * unit + width, y), f"{frame / self.fps:.2f} s", self._size(17), INK)
        place = (self.layout.column - 16 * unit, y)
        write(draw, place, f"{round(self.fps, 3):g} frames a second", self._size(13), FAINT, "rs")
        top, bottom = y + 14 * unit, self.size[1] - 74 * unit
        rows = int(np.clip((bottom - top) // (26 * unit), 0, min(len(self.people), _MOST_ROWS)))
        if rows:
            bar = round(min((bottom - top) / rows - 8 * unit, 44 * unit) / 2)
            pitch = 2 * bar + 8 * unit
            for row in range(rows):
                self._contacts(image, row, frame, round(top + row * pitch), bar)
            self._seconds(draw, frame, top + rows * pitch)

    def _contacts(self, image, row: int, frame: int, top: int, bar: int) -> None:
        """A strip of the seconds around this frame: bars where the left foot (above) and the right one stand."""
        from PIL import Image, ImageDraw

        person, (left, right) = self.people[row], self._strip()
        width, height = (right - left) * FINE, (2 * bar + 1) * FINE
        fine = Image.new("RGB", (width, height), _EMPTY)
        draw = ImageDraw.Draw(fine)
        around = int(_SPAN * self.fps) + 2
        low, high = max(0, frame - around), min(self.count, frame + around)

        def across(number: float) -> float:
            return (number - frame) / self.fps / (2 * _SPAN) * width + width / 2

        for side in (LEFT_SIDE, RIGHT_SIDE):
            rows = (side * (bar + 1) * FINE, (side * (bar + 1) + bar) * FINE - 1)
            draw.rectangle((across(low), rows[0], across(high), rows[1]), fill=(44, 49, 57))
            for start, stop in _runs(person.standing[low:high, side]):
                draw.rectangle((across(low + start), rows[0], across(low + stop), rows[1]), fill=self.colours[side])
        for start, stop in _runs(person.hidden[low:high]):
            part = round(across(low + start)), 0, max(round(across(low + stop)), 1), height
            faded = fine.crop(part)
            fine.paste(Image.blend(faded, Image.new("RGB", faded.size, _EMPTY), 0.7), part[:2])
        middle = width / 2 + 0.5 * width / (2 * _SPAN * self.fps)  # of this frame
        draw.rectangle((middle - FINE, 0, middle + FINE - 1, height), fill=INK)
        image.paste(fine.reduce(FINE), (left, top))
        if len(self.people) > 1:
            size = self._size(11)
            place = (left + 4, top + bar + 0.36 * size)
            write(ImageDraw.Draw(image), place, plain(person.name), size, self.tints[row], edge=1)

    def _seconds(self, draw, frame: int, top: float) -> None:
        """The seconds below the strip."""
        left, right = self._strip()
        now = (frame + 0.5) / self.fps
        for second in range(max(0, int(np.ceil(now - _SPAN))), int(now + _SPAN) + 1):
            x = (left + right) / 2 + (second - frame / self.fps) / (2 * _SPAN) * (right - left)
            if left + 10 < x < right - 10 and second <= self.count / self.fps:
                write(draw, (x, top + 9 * self.unit), f"{second} s", self._size(11), FAINT, "ms")

    def _strip(self) -> tuple[int, int]:
        """Left and right end in pixels."""
        return round(16 * self.unit), round(self.layout.column - 16 * self.unit)


def _arranged(
    size: tuple[int, int],
    footage: tuple[int, int],
    unit: float,
    people: Sequence[Person],
    path: np.ndarray,
    front: float,
) -> tuple[_Layout, list]:
    """Where everything lies, and both cameras: the views lie as people are drawn largest."""
    head, info = round(_HEAD * unit), round(_INFO * unit)
    room = size[1] - head - info
    column = int(np.clip(footage[0] / footage[1] * room, 0.34 * size[0], 0.55 * size[0]))
    scale = min(column / footage[0], room / footage[1])
    wide, tall = max(1, round(footage[0] * scale)), max(1, round(footage[1] * scale))
    place = ((column - wide) // 2, head, wide, tall)
    left, space = column + _GAP, size[0] - column - _GAP
    half = (size[1] - _GAP) // 2, (space - _GAP) // 2
    stacked = (left, 0, space, half[0]), (left, half[0] + _GAP, space, size[1] - half[0] - _GAP)
    beside = (left, 0, half[1], size[1]), (left + half[1] + _GAP, 0, space - half[1] - _GAP, size[1])
    best = None
    for places in (stacked, beside):
        views = [
            frame_view(people, path, angles, front, where[2:])
            for angles, where in zip((THREE_QUARTER, SIDE), places, strict=True)
        ]
        large = min(view.focal / view.distance for view in views)
        if best is None or large > 1.05 * best[0]:
            best = large, places, views
    assert best is not None
    return _Layout(column, place, (wide / footage[0], tall / footage[1]), *best[1]), best[2]


def _held(footage: Iterable[np.ndarray] | None) -> Iterator[np.ndarray | None]:
    """The pictures, and then the last one again and again; None where there is none."""
    last = None
    for last in () if footage is None else footage:
        yield last
    yield from repeat(last)


def _thickness(points: np.ndarray, unit: float) -> float:
    """Half the thickness of limbs in pixels: thinner on small people."""
    known = points[np.isfinite(points).all(-1)]
    tall = float(np.ptp(known[:, 1])) if len(known) else 0.0
    return float(np.clip(tall / 80, 0.9 * unit, 2.8 * unit))


def _paint(fine, corner: np.ndarray, seen: list, clean: list, hidden: list[bool], unit: float) -> None:
    """Draw skeletons onto an enlarged part of the footage whose upper left pixel is ``corner``."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(fine, "RGBA")
    for shapes, inks in seen:
        flat = ((shapes - corner) * FINE).reshape(len(shapes), 36).tolist()
        for points, ink in zip(flat, inks, strict=True):
            draw.polygon(points, fill=ink)
    for bones, gone in zip(clean, hidden, strict=True):
        flat, strength = ((bones - corner) * FINE).reshape(len(bones), 4).tolist(), 0.45 if gone else 1.0
        for ends in flat:
            draw.line(ends, fill=(*BACKGROUND, int(120 * strength)), width=round(2.4 * FINE * unit))
        for ends in flat:
            draw.line(ends, fill=(*_CLEAN, int(235 * strength)), width=max(FINE, round(FINE * unit)))


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and behind-last index of each stretch that is true."""
    padded = np.concatenate([[False], np.asarray(flags, bool), [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
