# SPDX-License-Identifier: Apache-2.0
"""Where the sound of a take lies: relative to the take's file, so that a folder with both can move or be mounted
elsewhere, and the same work in two folders gives the same bytes."""

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
    folder, sound = final_path(Path(file)).parent.resolve(), Path(audio.path)
    if folder.drive != sound.drive or os.path.commonpath([folder, sound]) == sound.anchor:
        return audio
    return replace(audio, path=Path(os.path.relpath(sound, folder)).as_posix())


def located(audio: AudioReference, file: Path) -> AudioReference:
    """The reference that stands in ``file``, with an absolute path; beside the file if the sound moved there."""
    folder = final_path(Path(file)).parent.resolve()
    place = os.path.normpath(folder / audio.path)
    beside = folder / PureWindowsPath(audio.path).name  # knows the separators of both worlds
    if not os.path.isfile(place) and os.path.isfile(beside):
        place = str(beside)
    return replace(audio, path=place)
