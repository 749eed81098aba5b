# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture or film that an artist means: a file, a movie clip, or what is shown behind the camera."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..timeline.frames import scene_rate
from ..toolkit.errors import InputError, UsageError

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm")
FILMS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
_CHOOSE = "Choose a picture or a film"


@dataclass(frozen=True)
class Footage:
    """What heads are looked for in.

    Attributes:
        path: for the toolkit: a file, or the folder of a sequence of pictures. name: for the artist.
        start: frame of the scene at which it begins, None: the playhead. fps: of a sequence, else None.
        size: width and height in pixels, None where Blender does not tell. film: it runs. shown: Blender shows it.
    """

    path: Path
    name: str
    start: float | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None
    film: bool = False
    shown: bool = False


def chosen(context: Any) -> Footage:
    """What is chosen in the section.

    Raises:
        UsageError: nothing is, or it has no file. InputError: the file is not there.
    """
    scene, settings = context.scene, context.scene.hyoid_heads
    if settings.source == "CLIP":
        return _of_clip(scene, clip_of(context))
    if settings.source == "CAMERA":
        return _behind(scene)
    if not settings.footage.strip():
        raise UsageError("no picture or film is chosen", hint=_CHOOSE)
    path = _existing(settings.footage)
    return Footage(path, path.name, size=_size_of_file(path), film=_is_film(path))


def clip_of(context: Any) -> Any:
    """The movie clip that is meant: the chosen one, that of the scene, the only one of the file; None."""
    scene = context.scene
    clips = bpy.data.movieclips
    return scene.hyoid_heads.clip or scene.active_clip or (clips[0] if len(clips) == 1 else None)


def behind_camera(scene: Any) -> Any:
    """The first picture or film that the scene's camera shows behind the scene; None."""
    images = scene.camera.data.background_images if scene.camera and scene.camera.type == "CAMERA" else ()
    return next((one for one in images if (one.clip if one.source == "MOVIE_CLIP" else one.image)), None)


def _behind(scene: Any) -> Footage:
    found = behind_camera(scene)
    if found is None:
        hint = "Add one in the properties of the camera, or choose a file"
        raise UsageError("the camera of the scene shows no picture or film behind the scene", hint=hint)
    if found.source == "MOVIE_CLIP":
        return _of_clip(scene, found.clip)
    image, user = found.image, found.image_user
    if image.source not in ("FILE", "MOVIE", "SEQUENCE"):
        raise UsageError(f"'{image.name}' has no file", hint=_CHOOSE)
    runs = image.source != "FILE"
    start = user.frame_start - user.frame_offset if runs else None
    return _of_data(scene, image, image.source, start)


def _of_clip(scene: Any, clip: Any) -> Footage:
    if clip is None:
        raise UsageError("no movie clip is chosen", hint="Open one in the Movie Clip editor, or choose a file")
    return _of_data(scene, clip, clip.source, clip.frame_start - clip.frame_offset)


def _of_data(scene: Any, data: Any, source: str, start: float | None) -> Footage:
    """The footage of an image or movie clip of the file."""
    packed = getattr(data, "packed_file", None) is not None
    path = Path(os.path.abspath(bpy.path.abspath(data.filepath, library=data.library)))
    if packed and not path.is_file():
        raise UsageError(f"'{data.name}' is packed into the .blend", hint="Unpack it (File > External Data)")
    path = _existing(str(path))
    width, height = data.size
    size = (int(width), int(height)) if width and height else None
    if source == "SEQUENCE":
        first = _pictures(path.parent).index(path.name)
        return Footage(path.parent, data.name, (start or 0) - first, scene_rate(scene), size, True, True)
    film = _is_film(path)
    return Footage(path, data.name, start if film else None, size=size, film=film, shown=True)


def _pictures(folder: Path) -> list[str]:
    """Names of the pictures in a folder, in the order in which the toolkit takes them."""
    return sorted(entry.name for entry in folder.iterdir() if _is_picture(entry) and entry.is_file())


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")


def _is_film(path: Path) -> bool:
    return path.suffix.lower() in FILMS


def _existing(text: str) -> Path:
    path = Path(os.path.abspath(bpy.path.abspath(text.strip())))
    if not path.is_file():
        raise InputError("there is no such file", path=path, hint=_CHOOSE)
    if path.suffix.lower() not in (*PICTURES, *FILMS):
        kinds = ", ".join((*PICTURES, *FILMS))
        raise InputError(f"is of the unknown type '{path.suffix}'", path=path, expected=f"one of {kinds}")
    return path


def _size_of_file(path: Path) -> tuple[int, int] | None:
    """Width and height as Blender reads them; None where it cannot."""
    group = bpy.data.movieclips if _is_film(path) else bpy.data.images
    before = set(group)
    try:
        data = group.load(str(path), check_existing=True)
    except RuntimeError:
        return None
    width, height = data.size
    if data not in before:
        group.remove(data)
    return (int(width), int(height)) if width and height else None
