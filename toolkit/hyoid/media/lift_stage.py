# SPDX-License-Identifier: Apache-2.0
"""People in space, seen by a camera that keeps still or follows: floor, shadows, contact marks, trails and bodies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hyoid.media.lift_figures import (
    BACKGROUND,
    FAINT,
    FINE,
    LEFT_SIDE,
    MIDDLE,
    NOT_SEEN,
    RIGHT_SIDE,
    Person,
    box,
    enlarged,
    mixed,
    outlines,
    plain,
    side_colours,
    tints,
    turned,
    write,
)  # fmt: skip

THREE_QUARTER, SIDE = (33.0, 14.0), (-90.0, 9.0)
"""Degrees around from the front, to the left of who is seen, and degrees from above."""
_WIDE = np.tan(np.radians(9.0))  # half the angle of view across the shorter side of the picture: a portrait lens
_FAR = 3.0  # metres that people cover before the camera follows them
_CALM = 0.6  # seconds, how slowly it follows
_MARGIN, _ABOVE = 1.10, 0.22  # room around, and metres above the heads for names
_TRAIL, _PATH = 0.8, 8.0  # seconds of the ankles' trails and of the path on the floor
_DOTS = 24  # points of a trail or path
_DISC = 0.085  # metres
_RING, _FILLED = 210, 190  # strength out of 255 of where a foot came down and where it stands
_LIGHT = (0.30, -0.22)  # the way of a shadow along x and z for a metre of height
_SHADOW, _BLUR = 165, 2.5  # depth out of 255, pixels
_OUTER = (0, 2, 3, 5, 6, 10, 12, 13, 15, 16)  # joints at the ends of the body and where it bends
_GLOW, _GRID = np.array([19.0, 21.0, 24.0]), (98, 106, 117)
_GHOST = 0.62  # how much of the background is in a body that was not seen
_USUAL = 0.48  # metres from pelvis to thorax, for which the radii are made
# Joints of both ends, radii there in metres, side, and how far from the first joint to the second the ends lie.
_BODY = (
    (0, 7, 0.088, 0.084, MIDDLE, 0.0, 1.0), (7, 8, 0.084, 0.100, MIDDLE, 0.0, 0.70),
    (1, 4, 0.085, 0.085, MIDDLE, 0.0, 1.0), (14, 11, 0.058, 0.058, MIDDLE, 0.0, 1.0),
    (1, 7, 0.085, 0.098, MIDDLE, 0.0, 1.0), (4, 7, 0.085, 0.098, MIDDLE, 0.0, 1.0),
    (14, 7, 0.058, 0.098, MIDDLE, 0.0, 1.0), (11, 7, 0.058, 0.098, MIDDLE, 0.0, 1.0),
    (8, 9, 0.046, 0.042, MIDDLE, 0.35, 1.0), (9, 10, 0.082, 0.088, MIDDLE, 0.1, 0.45),
    (1, 2, 0.078, 0.054, RIGHT_SIDE, 0.0, 1.0), (2, 3, 0.056, 0.036, RIGHT_SIDE, 0.0, 1.0),
    (4, 5, 0.078, 0.054, LEFT_SIDE, 0.0, 1.0), (5, 6, 0.056, 0.036, LEFT_SIDE, 0.0, 1.0),
    (11, 12, 0.050, 0.038, LEFT_SIDE, 0.0, 1.0), (12, 13, 0.040, 0.027, LEFT_SIDE, 0.0, 1.0),
    (14, 15, 0.050, 0.038, RIGHT_SIDE, 0.0, 1.0), (15, 16, 0.040, 0.027, RIGHT_SIDE, 0.0, 1.0),
    (12, 13, 0.036, 0.034, LEFT_SIDE, 1.08, 1.28), (15, 16, 0.036, 0.034, RIGHT_SIDE, 1.08, 1.28),
)  # fmt: skip
_TRUNK = 8
"""The first rows of the body are drawn as one shape, with the plates between these joints."""
_PLATES = np.array([[1, 4, 7], [14, 11, 7]])
_PLATE = 0.075  # metres, the radius by which plates are shifted as the capsules at their edges
_CORNERS = np.array([0] * 6 + [1] * 6 + [2] * 6)  # a plate as an outline of as many points as a capsule's
# The same for feet, whose ends are: left ankle, heel, toe, right ankle, heel, toe.
_FEET = (
    (0, 1, 0.040, 0.036, LEFT_SIDE), (1, 2, 0.034, 0.028, LEFT_SIDE), (0, 2, 0.036, 0.026, LEFT_SIDE),
    (3, 4, 0.040, 0.036, RIGHT_SIDE), (4, 5, 0.034, 0.028, RIGHT_SIDE), (3, 5, 0.036, 0.026, RIGHT_SIDE),
)  # fmt: skip
# Size of each layer of a body, its shift towards the light in radii, and how bright it is.
_LAYERS = ((1.0, 0.0, 0.58), (0.80, 0.13, 0.80), (0.56, 0.27, 0.97), (0.24, 0.42, 1.12))
_TOWARDS = (-0.55, -0.83)  # the light on the picture
_EDGE = 1.0  # pixels of the dark line around a body


@dataclass(frozen=True)
class View:
    """A camera: ``axes`` (3, 3) right, up, back as rows; ``middle`` (2,) metres along right and up from the focus.

    ``distance`` metres from the focus, ``focal`` pixels, ``size`` of its picture, ``radius`` metres of floor shown.
    """

    axes: np.ndarray
    middle: np.ndarray
    distance: float
    focal: float
    size: tuple[int, int]
    radius: float


def project(view: View, points: np.ndarray, focus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (..., 2) of points (..., 3) in the world, and the pixels (...) that a metre has there."""
    local = turned(points - focus, view.axes)
    scale = view.focal / np.maximum(view.distance - local[..., 2], 0.1)
    x = view.size[0] / 2 + (local[..., 0] - view.middle[0]) * scale
    y = view.size[1] / 2 - (local[..., 1] - view.middle[1]) * scale
    return np.stack([x, y], -1), scale


def facing(people: Sequence[Person]) -> float:
    """Radians about +Y from +Z to where people look on the whole; 0, the footage's camera, if they do not agree."""
    total, count = np.zeros(2), 0
    for person in people:
        across = person.joints[:, 4] - person.joints[:, 1] + person.joints[:, 11] - person.joints[:, 14]
        ahead = np.stack([-across[:, 2], across[:, 0]], -1)  # x and z
        length = np.hypot(ahead[:, 0], ahead[:, 1])
        known = np.isfinite(length) & (length > 1e-6)
        total += (ahead[known] / length[known, None]).sum(0)
        count += int(known.sum())
    if np.hypot(*total) < 0.6 * max(count, 1):
        return 0.0
    return float(np.arctan2(total[0], total[1]))


def focus_path(people: Sequence[Person], fps: float) -> np.ndarray:
    """(F, 3) metres on the floor: where the camera is aimed; in one place unless people cover much ground."""
    frames = len(people[0].joints)
    total, count, low, high = np.zeros((frames, 2)), np.zeros(frames), np.full(2, np.inf), np.full(2, -np.inf)
    spread = 0.0
    for person in people:
        place = person.joints[:, 0, ::2].astype(np.float64)
        known = np.isfinite(place).all(-1)
        total[known] += place[known]
        count += known
        low = np.minimum(low, place[known].min(0, initial=np.inf))
        high = np.maximum(high, place[known].max(0, initial=-np.inf))
    path = np.zeros((frames, 3))
    if not np.isfinite(low).all():
        return path
    path[:, ::2] = (low + high) / 2
    seen = np.flatnonzero(count)
    middle = total[seen] / count[seen, None]
    for person in people:
        away = person.joints[seen, 0, ::2] - middle
        spread = max(spread, float(np.nanmax(np.abs(away), initial=0.0)))
    reach = float((high - low).max())
    # A crowd that fills the place anyway is shown whole.
    if reach <= _FAR or spread > 0.35 * reach:
        return path
    from scipy.ndimage import gaussian_filter1d

    for axis, column in ((0, 0), (2, 1)):
        path[:, axis] = gaussian_filter1d(np.interp(np.arange(frames), seen, middle[:, column]), _CALM * fps)
    return path


def frame_view(
    people: Sequence[Person], path: np.ndarray, angles: tuple[float, float], front: float, size: tuple[int, int]
) -> View:
    """The camera that keeps everybody in the picture all the time.

    Args:
        path: (F, 3) of :func:`focus_path`. angles: :data:`THREE_QUARTER` or :data:`SIDE`. front: of :func:`facing`.
        size: width and height of the picture in pixels.
    """
    yaw, pitch = front + np.radians(angles[0]), np.radians(angles[1])
    back = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.array([np.cos(yaw), 0.0, -np.sin(yaw)])
    axes = np.stack([right, np.cross(back, right), back])
    low, high, floor = np.full(3, np.inf), np.full(3, -np.inf), 0.0
    for local in _outer(people, path, axes):
        low, high = np.minimum(low, local.min(0)), np.maximum(high, local.max(0))
        floor = max(floor, float(np.hypot(local[:, 0], local[:, 2]).max()))
    if not np.isfinite(low).all():
        low, high = np.array([-1.0, 0.0, -1.0]), np.array([1.0, 1.8, 1.0])
    low, high = low - np.array([0.15, 0.12, 0.0]), high + np.array([0.15, _ABOVE, 0.0])
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, [0.5, 0.6, 0.0])
    focal = min(size) / 2 / _WIDE
    across = _MARGIN * 2 * focal / np.array(size)
    distance = float((half[:2] * across).max())
    for local in _outer(people, path, axes):
        # What is nearer than the focus looks larger.
        away = np.abs(local[:, :2] - middle[:2]) + np.array([0.15, 0.17])
        distance = max(distance, float(((away * across).max(1) + local[:, 2]).max()))
    radius = min(1.35 * max(floor, float(half[:2].max())) + 1.6, 0.9 * distance)
    return View(axes, middle[:2], distance, float(focal), size, radius)


def _outer(people: Sequence[Person], path: np.ndarray, axes: np.ndarray) -> Iterator[np.ndarray]:
    """Where the joints at the ends of the body are along the axes of a camera: (n, 3) metres from the focus."""
    for person in people:
        for joint in _OUTER:
            away = person.joints[:, joint] - path
            known = away[np.isfinite(away).all(-1)]
            if len(known):
                yield turned(known, axes)


class Stage:
    """Draws the frames of a take from one camera."""

    def __init__(self, people: Sequence[Person], fps: float, path: np.ndarray, view: View, title: str) -> None:
        self.people, self.fps, self.path, self.view, self.title = people, fps, path, view, title
        self.still = bool((path == path[0]).all())
        self.tints = tints(len(people))
        self.scales = np.array([_body_scale(person) for person in people])
        self.begun = [_begun(person.standing) for person in people]
        fade, bare = _floor(view)
        lit = np.flatnonzero(np.asarray(fade).any(1))
        self._top = int(lit[0]) if len(lit) else view.size[1] - 1  # the floor begins here
        self._fade, self._bare = fade.crop((0, self._top, *view.size)), self._named(bare)
        self._floor = self._with_grid(path[0]) if self.still else None
        self._tables()

    def draw(self, frame: int):
        """The picture of one frame, an RGB Pillow image."""
        focus = self.path[frame]
        image = self._floor.copy() if self._floor else self._with_grid(focus)
        hidden = np.array([bool(person.hidden[frame]) for person in self.people])
        joints = np.stack([person.joints[frame] for person in self.people]).astype(np.float64)
        capsules = self._capsules(frame, joints)
        self._shadow(image, focus, *(part[~hidden] for part in capsules))
        layers, near = self._bodies(focus, joints, *capsules)
        inks = np.where(hidden[:, None, None], mixed(self._inks, BACKGROUND, _GHOST), self._inks)
        lines, marks = self._trails(frame, focus), self._marks(frame, focus)
        drawn = [layers[0].reshape(-1, 2), *(points for points, _ in (*lines, *marks))]
        part = box(np.concatenate(drawn), 3, self.view.size)
        if part:
            fine = enlarged(image, part)
            _paint(fine, np.array(part[:2]), lines, marks)
            _paint_bodies(fine, np.array(part[:2]), layers, inks, near)
            image.paste(fine.reduce(FINE), part[:2])
        self._letter(image, frame, focus, hidden)
        return image

    def _tables(self) -> None:
        """What does not change from frame to frame: ends, radii and inks of the capsules."""
        parts = np.array(_BODY)
        self._ends = parts[:, :2].astype(int)
        self._shares = parts[:, 5:, None]
        feet = np.array(_FEET)
        self._foot_ends = feet[:, :2].astype(int)
        radii = np.concatenate([parts[:, 2:4], feet[:, 2:4]])
        self._radii = radii[None] * self.scales[:, None, None]
        sides = np.concatenate([parts[:, 4], feet[:, 4]]).astype(int)
        left, right = side_colours()
        sides = np.concatenate([sides, np.full(len(_PLATES), MIDDLE)])
        self._inks = np.stack([np.array([left, right, tint], np.uint8)[sides] for tint in self.tints])

    def _capsules(self, frame: int, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Ends (P, n, 3) in metres and radii (P, n) of all capsules of all people, NaN where there is none."""
        a, b = joints[:, self._ends[:, 0]], joints[:, self._ends[:, 1]]
        points = np.full((len(joints), 2, 3, 3), np.nan)
        for index, person in enumerate(self.people):
            if person.soles is not None:
                points[index, :, 1:] = person.soles[frame]
        points[:, 0, 0], points[:, 1, 0] = joints[:, 6], joints[:, 3]
        points[:, :, 1:, 1] += (0.032 * self.scales)[:, None, None]  # capsules lie on the floor, not in it
        points = points.reshape(len(joints), 6, 3)
        starts = np.concatenate([a + (b - a) * self._shares[:, 0], points[:, self._foot_ends[:, 0]]], 1)
        stops = np.concatenate([a + (b - a) * self._shares[:, 1], points[:, self._foot_ends[:, 1]]], 1)
        return starts, stops, self._radii[..., 0], self._radii[..., 1]

    def _bodies(
        self,
        focus: np.ndarray,
        joints: np.ndarray,
        starts: np.ndarray,
        stops: np.ndarray,
        first: np.ndarray,
        last: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Outlines (layers, P, n, 18, 2) in pixels, the dark edge first, and how near each is to the camera (P, n).

        The plates of the trunk are the last. What there is not is NaN.
        """
        a, near_a = project(self.view, starts, focus)
        b, near_b = project(self.view, stops, focus)
        corners, near = project(self.view, joints[:, _PLATES], focus)
        radii = np.stack([np.maximum(first * near_a, 0.6), np.maximum(last * near_b, 0.6)])
        thick = _PLATE * self.scales[:, None, None] * near
        found = []
        for size, shift, extra in ((1.0, 0.0, _EDGE), *((size, shift, 0.0) for size, shift, _ in _LAYERS)):
            ends = np.stack([a, b]) + (radii * shift)[..., None] * np.array(_TOWARDS)
            round_ends = radii * size + extra
            capsules = outlines(
                ends[0].reshape(-1, 2), ends[1].reshape(-1, 2), round_ends[0].ravel(), round_ends[1].ravel()
            )
            plates = (corners + (thick * shift)[..., None] * np.array(_TOWARDS))[:, :, _CORNERS]
            found.append(np.concatenate([capsules.reshape(*a.shape[:2], -1, 2), plates], 1))
        return np.stack(found), np.concatenate([(near_a + near_b) / 2, near.mean(-1)], 1)

    def _shadow(
        self, image, focus: np.ndarray, starts: np.ndarray, stops: np.ndarray, first: np.ndarray, last: np.ndarray
    ) -> None:
        from PIL import Image, ImageDraw, ImageFilter

        known = np.isfinite(starts).all(-1) & np.isfinite(stops).all(-1)
        if not known.any():
            return
        starts, stops, first, last = starts[known], stops[known], first[known], last[known]
        ends = []
        for points in (starts, stops):
            height = np.maximum(points[:, 1:2], 0)
            ends.append(points[:, ::2] + height * np.array(_LIGHT))
        flat = outlines(ends[0], ends[1], 0.9 * first, 0.9 * last)
        ground = np.stack([flat[..., 0], np.zeros(flat.shape[:2]), flat[..., 1]], -1)
        pixels, _ = project(self.view, ground, focus)
        part = box(pixels.reshape(-1, 2), 3 * _BLUR, self.view.size)
        if part is None:
            return
        mask = Image.new("L", (part[2] - part[0], part[3] - part[1]))
        draw = ImageDraw.Draw(mask)
        for points in (pixels - part[:2]).reshape(len(pixels), -1).tolist():
            draw.polygon(points, fill=_SHADOW)
        image.paste((8, 9, 11), part[:2], mask.filter(ImageFilter.GaussianBlur(_BLUR)))

    def _trails(self, frame: int, focus: np.ndarray) -> list[tuple[np.ndarray, tuple[int, int, int]]]:
        """Fading lines, pixels (n, 2) and ink: the way of each pelvis on the floor, and of the ankles."""
        found = []
        inks = side_colours()
        for person, tint in zip(self.people, self.tints, strict=True):
            for joint, seconds, ink in ((0, _PATH, tint), (6, _TRAIL, inks[0]), (3, _TRAIL, inks[1])):
                chosen = _past(frame, round(seconds * self.fps))
                points = person.joints[chosen, joint].astype(np.float64)
                if joint == 0:
                    points = points * [1, 0, 1]
                if len(points) > 1:
                    found.append((project(self.view, points, focus)[0], ink))
        return found

    def _marks(self, frame: int, focus: np.ndarray) -> list[tuple[np.ndarray, tuple[int, ...]]]:
        """Outlines (n, 2) in pixels and ink: a disc under each standing foot, and a ring where it came down."""
        found = []
        inks = side_colours()
        for person, begun, scale in zip(self.people, self.begun, self.scales, strict=True):
            for side in (LEFT_SIDE, RIGHT_SIDE):
                if not person.standing[frame, side]:
                    continue
                for when, radius, strength in ((int(begun[frame, side]), 1.25, _RING), (frame, 1.0, _FILLED)):
                    place = _sole(person, when, side)[None]
                    if np.isfinite(place).all():
                        size = np.array([_DISC * radius * scale])
                        flat = outlines(place - [[0.0, 1e-6]], place, size, size)[0]
                        ground = np.stack([flat[:, 0], np.zeros(len(flat)), flat[:, 1]], -1)
                        ink = mixed(np.array(inks[side]), BACKGROUND, _GHOST * bool(person.hidden[frame])).tolist()
                        found.append((project(self.view, ground, focus)[0], (*ink, strength)))
        return found

    def _with_grid(self, focus: np.ndarray):
        """The floor with a line for each metre, that fades into the distance."""
        from PIL import Image, ImageChops, ImageDraw

        width, height = self.view.size
        mask = Image.new("L", (width * FINE, (height - self._top) * FINE))
        draw = ImageDraw.Draw(mask)
        radius = self.view.radius
        step = 1.0 if radius < 16 else 5.0 if radius < 80 else 50.0 * np.ceil(radius / 800)
        halves = 2 if radius < 6 else 1
        for axis in (0, 2):
            numbers = np.arange(np.ceil((focus[axis] - radius) * halves / step),
                                np.floor((focus[axis] + radius) * halves / step) + 1)  # fmt: skip
            # The fine lines first: the metres lie on top.
            for number in sorted(numbers.tolist(), key=lambda n: n % halves == 0):
                place = number * step / halves
                reach = np.sqrt(max(radius**2 - (place - focus[axis]) ** 2, 0))
                ends = np.zeros((2, 3))
                ends[:, axis], ends[:, 2 - axis] = place, focus[2 - axis] + np.array([-reach, reach])
                pixels, _ = project(self.view, ends, focus)
                draw.line(
                    ((pixels - [0, self._top]) * FINE).ravel().tolist(),
                    fill=255 if number % halves == 0 else 70,
                    width=FINE,
                )
        image = self._bare.copy()
        image.paste(_GRID, (0, self._top), ImageChops.multiply(mask.reduce(FINE), self._fade))
        return image

    def _named(self, image):
        from PIL import ImageDraw

        size = max(11, min(15, self.view.size[1] // 26))
        write(ImageDraw.Draw(image), (12, 10 + size), self.title, size, FAINT)
        return image

    def _letter(self, image, frame: int, focus: np.ndarray, hidden: np.ndarray) -> None:
        from PIL import ImageDraw

        draw, size = ImageDraw.Draw(image), max(11, min(15, self.view.size[1] // 26))
        for index, person in enumerate(self.people):
            head = person.joints[frame, [10]].astype(np.float64) + np.array([0, 0.13, 0])
            text = label(person, bool(hidden[index]), len(self.people))
            if text and np.isfinite(head).all():
                place, _ = project(self.view, head, focus)
                ink = tuple(mixed(np.array(self.tints[index]), BACKGROUND, 0.35 * hidden[index]).tolist())
                write(draw, (float(place[0, 0]), float(place[0, 1])), text, size, ink, "ms", edge=1)


def label(person: Person, hidden: bool, count: int) -> str:
    """What stands above a head: the name where it is needed, and that nobody saw this."""
    return ", ".join(filter(None, (plain(person.name) if count > 1 else "", NOT_SEEN if hidden else "")))


def _paint(fine, corner: np.ndarray, lines: list, marks: list) -> None:
    """Draw trails and marks onto an enlarged part of the picture whose upper left pixel is ``corner``."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(fine, "RGBA")
    for points, ink in lines:
        at = (points - corner) * FINE
        known = np.isfinite(at).all(-1)
        for index in np.flatnonzero(known[1:] & known[:-1]).tolist():
            strength = int(150 * ((index + 1) / len(at)) ** 1.3) + 12
            draw.line(at[index : index + 2].ravel().tolist(), fill=(*ink, strength), width=round(1.6 * FINE))
    for points, ink in marks:
        at = (points - corner) * FINE
        if ink[3] == _RING:
            draw.line([*at.ravel().tolist(), *at[:2].ravel().tolist()], fill=ink, width=round(1.4 * FINE))
        else:
            draw.polygon(at.ravel().tolist(), fill=ink)


def _paint_bodies(fine, corner: np.ndarray, layers: np.ndarray, colours: np.ndarray, near: np.ndarray) -> None:
    """Draw bodies, far parts first.

    Args:
        layers: (layers, P, n, 18, 2). colours: (P, n, 3). near: (P, n).
    """
    from PIL import ImageDraw

    draw = ImageDraw.Draw(fine)
    known = np.isfinite(layers[0]).all((-1, -2))
    count = known.shape[1]
    trunk = np.arange(count) < _TRUNK
    trunk[-len(_PLATES) :] = True
    shades = [np.full_like(colours, 12), *(_lit(colours, bright) for *_, bright in _LAYERS)]
    inks = [[tuple(colour) for colour in shade.reshape(-1, 3).tolist()] for shade in shades]
    flat = ((layers - corner) * FINE).reshape(len(layers), known.size, -1).tolist()
    numbers = np.arange(known.size).reshape(known.shape)
    groups = [[number] for number in numbers[known & ~trunk].tolist()]
    groups += [row[there & trunk].tolist() for row, there in zip(numbers, known, strict=True)]
    depth = near.ravel().tolist()
    for group in sorted(filter(None, groups), key=lambda group: sum(depth[n] for n in group) / len(group)):
        # A plate as bright as the light on a round limb would look like a mirror.
        for layer, ink in list(zip(flat, inks, strict=True))[: -1 if group[0] % count < _TRUNK else None]:
            for number in group:
                draw.polygon(layer[number], fill=ink[number])


def _lit(colours: np.ndarray, bright: float) -> np.ndarray:
    if bright <= 1:
        return mixed(colours, (8, 10, 16), 1 - bright)
    return mixed(colours, (255, 255, 255), 2.5 * (bright - 1))


def _floor(view: View):
    """How far grid lines are seen (an L image), and the floor without them: a glow around the focus."""
    from PIL import Image

    width, height = view.size
    x = (np.arange(width) + 0.5 - width / 2) / view.focal
    y = -(np.arange(height) + 0.5 - height / 2) / view.focal
    directions = x[None, :, None] * view.axes[0] + y[:, None, None] * view.axes[1] - view.axes[2]
    camera = view.middle[0] * view.axes[0] + view.middle[1] * view.axes[1] + view.distance * view.axes[2]
    down = directions[..., 1] < -1e-6
    reach = np.where(down, -camera[1] / np.where(down, directions[..., 1], -1.0), 0.0)
    away = np.hypot(camera[0] + reach * directions[..., 0], camera[2] + reach * directions[..., 2]) / view.radius
    share = np.clip(1 - away, 0, 1) * (down & (reach > 0))
    share = share * share * (3 - 2 * share)
    bare = np.array(BACKGROUND) + share[..., None] * _GLOW
    return Image.fromarray((share * 255).astype(np.uint8)), Image.fromarray((bare + 0.5).astype(np.uint8))


def _past(frame: int, length: int) -> np.ndarray:
    """Frames up to this one, few for any length; between them the same ones in each frame, so that lines lie still."""
    step = max(1, -(-length // _DOTS))
    first = max(0, frame - length)
    return np.append(np.arange(-(-first // step) * step, frame, step), frame)


def _sole(person: Person, frame: int, side: int) -> np.ndarray:
    """(2,) x and z of the middle of a foot."""
    if person.soles is not None and np.isfinite(person.soles[frame, side]).all():
        return person.soles[frame, side].astype(np.float64).mean(0)[::2]
    return person.joints[frame, (6, 3)[side], ::2].astype(np.float64)


def _begun(standing: np.ndarray) -> np.ndarray:
    """(F, 2) int: the frame in which a foot came down, where it stands."""
    standing = np.asarray(standing, bool)
    before = np.concatenate([np.zeros((1, 2), bool), standing[:-1]])
    frames = np.arange(len(standing))[:, None]
    return np.maximum.accumulate(np.where(standing & ~before, frames, 0), 0)


def _body_scale(person: Person) -> float:
    """How large somebody is against a usual adult, by the trunk."""
    trunk = person.joints[:, 8] - person.joints[:, 0]
    length = np.sqrt(np.square(trunk).sum(-1))
    length = length[np.isfinite(length)]
    return float(np.clip(np.median(length) / _USUAL, 0.3, 2.5)) if len(length) else 1.0
