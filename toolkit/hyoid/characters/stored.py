# SPDX-License-Identifier: Apache-2.0
"""Characters that Hyoid wrote: ``.character.npz``, one identity each, so there is nothing to set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hyoid.characters.character import Character

if TYPE_CHECKING:
    from hyoid.characters import Setting


def load(path: Path, settings: Mapping[str, float]) -> Character:
    """The character in a file; its digest is that of the file, so that a take says exactly what it was shown on.

    Raises:
        InputError: see :func:`hyoid.formats.character_npz.read`.
    """
    assert not settings, "a stored character has no settings"
    from hyoid.files import sha256_of
    from hyoid.formats import character_npz

    character = character_npz.read(path)
    return replace(character, digest=sha256_of(path))


def settings(path: Path) -> dict[str, Setting]:
    """No settings: the file holds one identity.

    Raises:
        InputError: there is no such file.
    """
    from hyoid.errors import InputError

    if not path.is_file():
        raise InputError("the file does not exist", path=path, expected="a .character.npz")
    return {}
