# SPDX-License-Identifier: Apache-2.0
"""The file formats: bytes to records and back. This module knows them all by suffix and imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hyoid.errors import UsageError

if TYPE_CHECKING:
    from hyoid.take import Take


@dataclass(frozen=True)
class Format:
    """One file type.

    Attributes:
        suffix: with its dot, lower case. summary: what it is, a noun phrase.
        reads: a take can be read from it. writes: a take or a character can be written to it.
        carries: what of a take arrives (``curves``, ``joints``, ``root``, ``geometry``, ``audio``, ``events``,
            ``provenance``, ``points``).
    """

    suffix: str
    summary: str
    reads: bool
    writes: bool
    carries: tuple[str, ...]


FORMATS: dict[str, Format] = {
    entry.suffix: entry
    for entry in (
        Format(
            ".take.npz", "the take itself", True, True,
            ("curves", "joints", "root", "audio", "events", "provenance", "points"),
        ),
        Format(".csv", "curves as a table (plain, or Live Link Face)", True, True, ("curves",)),
        Format(".bvh", "skeleton motion as text", True, True, ("joints", "root")),
        Format(
            ".glb", "binary glTF", True, True, ("curves", "joints", "root", "geometry", "events", "provenance")
        ),
        Format(".usdc", "binary USD", False, True, ("curves", "joints", "root", "geometry", "audio", "provenance")),
        Format(".usda", "text USD", False, True, ("curves", "joints", "root", "geometry", "audio", "provenance")),
        Format(
            ".blend", "Blender scene", False, True,
            ("curves", "joints", "root", "geometry", "audio", "events", "provenance"),
        ),
        Format(".fbx", "FBX", False, True, ("curves", "joints", "root", "geometry")),
        Format(".abc", "Alembic point cache", False, True, ("geometry",)),
        Format(".character.npz", "a character as one file, for --character", False, True, ("geometry", "provenance")),
        Format(".mp4", "rendered preview with sound", False, True, ("audio",)),
        Format(".png", "rendered picture", False, True, ()),
    )
}  # fmt: skip
"""Every file type by suffix."""


def format_of(path: Path) -> Format:
    """The file type that a path's suffix names.

    Raises:
        UsageError: no type has this suffix; those that exist are listed.
    """
    name = Path(path).name.lower()
    for suffix, entry in FORMATS.items():
        if name.endswith(suffix):
            return entry
    raise UsageError(f"unknown file type '{Path(path).suffix}'", path=path, expected=f"one of {', '.join(FORMATS)}")


def read_take(path: Path) -> Take:
    """The take in a file of any type that holds one.

    Raises:
        UsageError: the suffix is unknown, or the type cannot be read back.
        InputError: the file is missing or damaged.
    """
    suffix = format_of(path).suffix
    if suffix == ".take.npz":
        from hyoid.formats import take_npz

        return take_npz.read(path)
    if suffix == ".bvh":
        from hyoid.formats import bvh

        return bvh.read(path)
    if suffix == ".csv":
        from hyoid.formats import curves_csv

        return curves_csv.read(path)
    if suffix == ".glb":
        from hyoid.formats import glb_take

        return glb_take.read(path)
    readable = ", ".join(entry.suffix for entry in FORMATS.values() if entry.reads)
    raise UsageError(f"a {suffix} cannot be read back as a take", path=path, expected=f"one of {readable}")
