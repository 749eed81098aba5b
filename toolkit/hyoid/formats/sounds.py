# SPDX-License-Identifier: Apache-2.0
"""Where the sound and the character of a take lie: relative to the take's file, so that a folder with both can move or
be mounted elsewhere, and the same work in two folders gives the same bytes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path, PureWindowsPath

from hyoid.files import final_path
from hyoid.take import AudioReference


def portable(audio: AudioReference, file: Path) -> AudioReference:
    """The reference as it stands in ``file``: relative to its folder, absolute where they share no folder."""
    if not os.path.isabs(audio.path):
        return audio
    return replace(audio, path=_from_folder(audio.path, file))


def portable_character(name: str, file: Path) -> str:
    """A character's name (``hack:FOLDER``) as it stands in ``file``: with its path as :func:`portable` writes one.

    A path where nothing lies stays as it is.
    """
    source, place = _split(name)
    if not place or not os.path.exists(place):
        return name
    return source + _from_folder(os.path.abspath(place), file)


def located_character(name: str, file: Path) -> str:
    """The name that stands in ``file``, as it would be typed here: from the current folder where that holds it."""
    source, place = _split(name)
    found = os.path.normpath(final_path(Path(file)).parent.resolve() / place)
    if not place or os.path.isabs(place) or "\0" in place or not os.path.exists(found):
        return name
    here = Path.cwd()
    inside = len(here.parts) > 1 and Path(found).is_relative_to(here)
    return source + (os.path.relpath(found) if inside else found)


def _split(name: str) -> tuple[str, str]:
    """What stands before the path in a character's name (``hack:`` or nothing), and the path, empty if it has none."""
    source, colon, place = name.partition(":")
    if source in ("hack", "ict", "flame", "smplx") and colon:
        return f"{source}:", place
    return "", name if name.lower().endswith(".character.npz") else ""


def _from_folder(place: str, file: Path) -> str:
    """An absolute path from the folder of ``file``; unchanged where they share no folder."""
    folder, path = final_path(Path(file)).parent.resolve(), Path(place)
    if folder.drive != path.drive or os.path.commonpath([folder, path]) == path.anchor:
        return place
    return Path(os.path.relpath(path, folder)).as_posix()


def located(audio: AudioReference, file: Path) -> AudioReference:
    """The reference that stands in ``file``, with an absolute path; beside the file if the sound moved there."""
    folder = final_path(Path(file)).parent.resolve()
    place = os.path.normpath(folder / audio.path)
    beside = folder / PureWindowsPath(audio.path).name  # knows the separators of both worlds
    if not os.path.isfile(place) and os.path.isfile(beside):
        place = str(beside)
    return replace(audio, path=place)
