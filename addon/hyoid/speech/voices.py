# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the voice of a talk lies: a file, or the visible part of a sound strip, packed or not; and its words."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..timeline.frames import scene_rate
from ..toolkit.blender import compat
from ..toolkit.errors import InputError, UsageError
from . import fields

_SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".mp4", ".mkv", ".mov", ".opus")


@dataclass(frozen=True)
class Voice:
    """A recording: its file, the name of the sound data-block or "", the part to use, and its frame in the scene.

    ``start`` and ``end`` are seconds of the file (``end`` None: to its end); ``frame`` is where the part begins in
    the scene, None where that is for the settings to say.
    """

    path: str
    sound: str = ""
    start: float = 0.0
    end: float | None = None
    frame: float | None = None


def of_file(path: str) -> Voice:
    """The voice in a sound file.

    Raises:
        UsageError: no file is named. InputError: there is none of that name.
    """
    if not path.strip():
        raise UsageError("No recording is chosen", hint="Pick a sound file in the Talk section")
    place = os.path.abspath(bpy.path.abspath(path))
    if not os.path.isfile(place):
        raise InputError("is a folder" if os.path.isdir(place) else "no such file", path=Path(place))
    return Voice(place)


def _sound_strips(scene: bpy.types.Scene) -> list[Any]:
    return [strip for strip in compat.strips(scene) if strip.type == "SOUND" and strip.sound]


def strip_of(context: bpy.types.Context) -> bpy.types.AnyType | None:
    """The sound strip to talk from: the active one, else the first selected, else the only one of the scene."""
    found = _sound_strips(context.scene)
    editor = context.scene.sequence_editor
    active = editor.active_strip if editor else None
    chosen = [strip for strip in found if strip.select]
    if active is not None and any(strip == active and strip.select for strip in found):
        return active
    if chosen:
        return chosen[0]
    return found[0] if len(found) == 1 else None


def of_strip(scene: bpy.types.Scene, strip: bpy.types.AnyType, folder: Path) -> Voice:
    """The voice in a sound strip: only what is visible of it.

    Args:
        folder: where a packed sound is written to.

    Raises:
        UsageError: the strip plays at another speed. InputError: its file is missing.
    """
    if compat.is_retimed(strip):
        hint = "Reset its speed, or render the sound to a file and use that"
        raise UsageError(f"The strip '{strip.name}' plays faster or slower than its recording", hint=hint)
    rate = scene_rate(scene)
    start = (strip.frame_final_start - strip.frame_start) / rate - compat.sound_offset(strip)
    end = start + strip.frame_final_duration / rate
    if end <= 0:
        raise UsageError(f"The strip '{strip.name}' shows nothing of its recording")
    early = max(-start, 0.0)  # the strip was pulled out beyond the start of its sound
    path = file_of(strip.sound, folder)
    # The last frame often reaches over the end of the sound by less than a frame: the toolkit cuts it there.
    return Voice(path, strip.sound.name, max(start, 0.0), end, strip.frame_final_start + early * rate)


def file_of(sound: bpy.types.Sound, folder: Path) -> str:
    """The file of a sound: its own, or for a packed sound one that is written into a folder, named by its contents.

    Raises:
        InputError: the sound is neither packed nor where its path says.
    """
    place = os.path.abspath(bpy.path.abspath(sound.filepath, library=sound.library))
    if sound.packed_file is None:
        if not os.path.isfile(place):
            hint = "Find the file with File > External Data > Find Missing Files"
            raise InputError("the recording of the strip is not there", path=Path(place), hint=hint)
        return place
    data = sound.packed_file.data
    suffix = Path(place).suffix.lower()
    name = Path(bpy.path.clean_name(Path(place).stem) or "voice").name[:40]
    target = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}{suffix if suffix in _SOUNDS else '.wav'}"
    if not target.is_file() or target.stat().st_size != len(data):
        folder.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        part.write_bytes(data)
        part.replace(target)
    return str(target)


def is_on_timeline(scene: bpy.types.Scene, path: str, start: float) -> bool:
    """Whether a strip plays a file from a frame on, within a frame."""
    for strip in _sound_strips(scene):
        place = os.path.abspath(bpy.path.abspath(strip.sound.filepath))
        if place == os.path.abspath(path) and abs(strip.frame_start - start) < 1:
            return True
    return False


def words_of(settings: fields.HyoidTalkSettings) -> str | None:
    """The transcript that the settings name, as text; None to have the words recognised.

    Raises:
        UsageError: nothing is written where the words should be. InputError: the file cannot be read as text.
    """
    if settings.transcript == "NONE":
        return None
    if settings.transcript == "FILE":
        place = Path(os.path.abspath(bpy.path.abspath(settings.text_file)))
        if not settings.text_file.strip() or not place.is_file():
            raise InputError("no such text file", path=place, hint="Pick the file with the words")
        try:
            text = place.read_text(encoding="utf-8-sig")
        except (UnicodeDecodeError, OSError) as error:
            raise InputError("cannot be read as text", path=place, expected="a UTF-8 text file") from error
    elif settings.transcript == "BLOCK":
        text = settings.text_block.as_string() if settings.text_block else ""
    else:
        text = settings.text
    if not text.strip():
        raise UsageError("The transcript is empty", hint="Write the words that are said, or choose None")
    return text
