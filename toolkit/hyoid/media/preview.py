# SPDX-License-Identifier: Apache-2.0
"""Pictures and films of a performance, without a window: what an artist looks at before opening anything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hyoid.characters.character import Character
from hyoid.errors import UsageError
from hyoid.media import moments, video
from hyoid.media.renderer import Renderer, View, occlusion
from hyoid.report import SILENT, Report
from hyoid.take import Take

VIEWS = ("head", "front", "profile", "body")
SIZE = (512, 512)
LARGEST = 8192
_CHUNK = 8  # frames deformed at a time: memory stays small for any length
_OPEN = 0.5  # the jawOpen weight at which the inside of the mouth counts as lit


@dataclass(frozen=True)
class _Camera:
    """Angles of a preset: ``yaw`` to the character's left and ``pitch`` from above, degrees; ``degrees`` of view."""

    yaw: float
    pitch: float
    degrees: float


_CAMERAS = {
    "head": _Camera(24.0, 3.0, 20.0),
    "front": _Camera(0.0, 2.0, 20.0),
    "profile": _Camera(90.0, 0.0, 20.0),
    "body": _Camera(20.0, 6.0, 20.0),
}


def write_png(
    path: str | Path,
    character: Character,
    take: Take | None = None,
    *,
    time: float | None = None,
    size: tuple[int, int] = SIZE,
    view: str = "head",
) -> None:
    """Write one still picture.

    Args:
        take: the performance; None shows the character at rest.
        time: the second of the take; None chooses a telling one (the widest open mouth between blinks).
        size: width and height in pixels.
        view: one of :data:`VIEWS`.

    Raises:
        MissingToolError: there is no OpenGL on this machine.
        UsageError: an unknown view, a size out of range, or a time outside the take.
    """
    from PIL import Image

    Image.fromarray(render_still(character, take, time=time, size=size, view=view)).save(str(path), format="PNG")


def write_mp4(
    path: str | Path,
    character: Character,
    take: Take,
    *,
    size: tuple[int, int] = SIZE,
    view: str = "head",
    report: Report = SILENT,
) -> None:
    """Write the whole take as a film with its sound, if the take names a sound that is still where it was.

    Raises:
        MissingToolError: there is no OpenGL on this machine.
        UsageError: an unknown view or a size out of range.
    """
    sound = video.sound_of(take, report)

    def frames() -> Iterator[np.ndarray]:
        for index, picture in enumerate(render_frames(character, take, size=size, view=view)):
            yield picture
            report.progress((index + 1) / take.frames, f"rendering frame {index + 1} of {take.frames}")

    offset = take.audio.offset if take.audio else 0.0
    video.write(path, frames(), take.fps, sound, audio_offset=offset)


def write_sheet(path: str | Path, character: Character, take: Take, *, size: tuple[int, int] = SIZE) -> None:
    """Write a contact sheet of telling moments: rest, closed lips, wide and rounded vowels, turned head, swallow.

    Each tile has ``size``; a caption tells the moment and its second.

    Raises:
        MissingToolError: there is no OpenGL on this machine.
    """
    from PIL import Image

    chosen = moments.find(take)
    columns = 3 if len(chosen) > 2 else len(chosen)
    rows = -(-len(chosen) // columns)
    sheet = Image.new("RGB", (columns * size[0], rows * size[1]))
    with _Stage(character, size, "head", still=True) as stage:
        for index, moment in enumerate(chosen):
            tile = Image.fromarray(stage.picture(take, moment.frame))
            _caption(tile, moment.title)
            sheet.paste(tile, (index % columns * size[0], index // columns * size[1]))
    sheet.save(str(path), format="PNG")


def render_still(
    character: Character,
    take: Take | None = None,
    *,
    time: float | None = None,
    shapes: Mapping[str, float] | None = None,
    size: tuple[int, int] = SIZE,
    view: str = "head",
) -> np.ndarray:
    """One picture, (height, width, 3) uint8 RGB, averaged from nine samples each.

    Args:
        take, time: see :func:`write_png`.
        shapes: weights by shape name to show instead of a take.

    Raises:
        MissingToolError, UsageError: see :func:`write_png`.
    """
    frame = None
    if take is not None:
        if time is not None and not 0 <= time <= take.seconds:
            raise UsageError(f"time {time:g} s lies outside the take", expected=f"0 to {take.seconds:.3f} s")
        frame = moments.telling_frame(take) if time is None else min(round(time * take.fps), take.frames - 1)
    with _Stage(character, size, view, still=True) as stage:
        return stage.picture(take, frame, shapes)


def render_frames(
    character: Character, take: Take, *, size: tuple[int, int] = SIZE, view: str = "head"
) -> Iterator[np.ndarray]:
    """Every frame of a take, (height, width, 3) uint8 RGB, one after the other in constant memory.

    Raises:
        MissingToolError, UsageError: see :func:`write_png`.
    """
    from hyoid.characters.performance import deform, perform

    with _Stage(character, size, view) as stage:
        for start in range(0, take.frames, _CHUNK):
            stop = min(start + _CHUNK, take.frames)
            performance = perform(character, take, start, stop)
            points = deform(character, performance) if take.points is None else take.points[start:stop]
            for vertices in points:
                yield stage.draw(vertices)


class _Stage:
    """A renderer with its camera and the light that the character's own shape leaves over."""

    def __init__(self, character: Character, size: tuple[int, int], view: str, *, still: bool = False) -> None:
        if view not in VIEWS:
            raise UsageError(f"unknown view '{view}'", expected=f"one of {', '.join(VIEWS)}")
        if min(size) < 16 or max(size) > LARGEST:
            raise UsageError(f"a picture of {size[0]}x{size[1]} pixels", expected=f"16 to {LARGEST} each way")
        self.character = character
        self.view, focus = camera(character, view, size[0] / size[1])
        # A still may take its time: finer surface, more samples a pixel.
        options = {"supersample": 3.0, "budget": 150_000} if still and 3 * max(size) <= LARGEST else {}
        self.renderer = Renderer(character, *size, focus, **options)
        poses = [character.vertices, self._shaped({"jawOpen": _OPEN})]
        self._gaps = self._gap(poses[0]), self._gap(poses[1])
        self.renderer.set_occlusion(*occlusion(character, poses, focus))

    def __enter__(self) -> _Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.renderer.close()

    def draw(self, vertices: np.ndarray) -> np.ndarray:
        # Light reaches the teeth between the lips, whatever parts them.
        closed, wide = self._gaps
        mouth = float(np.clip((self._gap(vertices) - closed) / max(wide - closed, 1e-6), 0, 1)) ** 0.7
        return self.renderer.draw(vertices, self.view, mouth=mouth)

    def _gap(self, vertices: np.ndarray) -> float:
        """The distance between the lips, metres."""
        marks = self.character.landmarks
        return float(np.linalg.norm(vertices[marks["lip_upper"]] - vertices[marks["lip_lower"]]))

    def picture(self, take: Take | None, frame: int | None, shapes: Mapping[str, float] | None = None) -> np.ndarray:
        if take is None or frame is None:
            return self.draw(self._shaped(shapes or {}))
        from hyoid.characters.performance import deform, perform

        vertices = deform(self.character, perform(self.character, take, frame, frame + 1))[0]
        return self.draw(vertices)

    def _shaped(self, weights: Mapping[str, float]) -> np.ndarray:
        """(V, 3) float32: the character at rest with some shapes."""
        vertices, shapes = self.character.vertices.copy(), self.character.shapes
        for name, weight in weights.items():
            if name not in shapes.names:
                raise UsageError(f"'{self.character.name}' has no shape '{name}'")
            rows = slice(*shapes.starts[shapes.names.index(name) :][:2])
            vertices[shapes.vertices[rows]] += weight * shapes.offsets[rows]
        return vertices


def camera(character: Character, view: str, aspect: float) -> tuple[View, tuple[np.ndarray, float]]:
    """A camera preset for this character, and the ball (centre, radius in metres) that it shows."""
    preset = _CAMERAS[view]
    low, high = _bounds(character, view)
    centre = (low + high) / 2
    yaw, pitch = np.radians(preset.yaw), np.radians(preset.pitch)
    direction = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    half = (high - low) / 2
    # The silhouette's half width seen from the yaw; the half height decides unless the picture is narrow.
    half_width = abs(np.cos(yaw)) * half[0] + abs(np.sin(yaw)) * half[2]
    reach = max(half[1], half_width / aspect) * 1.06
    distance = reach / np.tan(np.radians(preset.degrees) / 2) + half[2]
    return View(centre + distance * direction, centre, preset.degrees), (centre, float(np.linalg.norm(half)) * 1.2)


def _bounds(character: Character, view: str) -> tuple[np.ndarray, np.ndarray]:
    """The box to show: the whole character, or head and neck with the upper edge of the shoulders."""
    vertices = character.vertices.astype(np.float64)
    if view == "body" or "oc1" not in character.joint_names:
        return vertices.min(0), vertices.max(0)
    skull = _below(character, character.joint("oc1"))
    share = np.where(skull[character.weight_joints], character.weights, 0).sum(1)
    head = vertices[share > 0.6]
    low, high = head.min(0), head.max(0)
    low[1] = character.heads[character.joint("c7t1"), 1]
    return low, high


def _below(character: Character, joint: int) -> np.ndarray:
    """(J,) bool: the joint and everything that hangs on it."""
    inside = np.zeros(len(character.joint_names), bool)
    inside[joint] = True
    for index, parent in enumerate(character.parents):
        if parent >= 0 and inside[parent]:
            inside[index] = True
    return inside


def _caption(tile, text: str) -> None:
    from PIL import ImageDraw, ImageFont

    height = max(11, tile.height // 28)
    font = ImageFont.load_default(height)
    ImageDraw.Draw(tile).text((height, height), text, font=font, fill=(205, 210, 216))
