# SPDX-License-Identifier: Apache-2.0
"""The colour pictures of an ``.obj``: what its ``.mtl`` files call ``map_Kd``, and materials painted with them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from hyoid.characters.character import Material
from hyoid.errors import InputError
from hyoid.formats import polygons

_LIBRARY = re.compile(rb"^[ \t]*mtllib[ \t]+(.*)$", re.MULTILINE)
_LARGEST = 1 << 20


def pictures_of(path: Path) -> dict[str, Path]:
    """The colour picture of each material of an ``.obj`` by the material's name.

    Libraries and pictures that are not there, or are neither PNG nor JPEG, are passed over: a mesh needs none.

    Raises:
        InputError: the ``.obj`` itself cannot be read.
    """
    found: dict[str, Path] = {}
    for rest in _LIBRARY.findall(polygons.file_bytes(path, "a Wavefront .obj file")):
        library = path.parent / rest.decode("utf-8", "replace").strip()
        try:
            if library.stat().st_size > _LARGEST:
                continue
            text = library.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            continue
        name = ""
        for line in text.splitlines():
            keyword, _, value = line.strip().partition(" ")
            if keyword == "newmtl":
                name = " ".join(value.split())
            elif keyword.lower() == "map_kd":
                place = _picture(library.parent, value.strip())
                if place is not None:
                    found[name] = place
    return found


def _picture(folder: Path, value: str) -> Path | None:
    """The file that a ``map_Kd`` names: all of it, or what follows its options."""
    for candidate in (value, value.split(" ")[-1]):
        place = folder / candidate.replace("\\", "/")
        try:
            return checked_picture(place)
        except (InputError, ValueError):
            continue
    return None


def checked_picture(path: Path) -> Path:
    """The absolute path of a picture that can be read.

    Raises:
        InputError: missing, damaged, or neither PNG nor JPEG.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            kind = image.format
            image.verify()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot be read as a picture ({error})", path=path, expected="PNG or JPEG") from None
    if kind not in ("PNG", "JPEG"):
        raise InputError(f"is a picture of type {kind}", path=path, expected="PNG or JPEG")
    return Path(path).resolve()


def painted(material: Material, picture: Path) -> Material:
    """The material in the colours of a picture."""
    from PIL import Image

    with Image.open(picture) as image:
        small = np.asarray(image.convert("RGB").resize((16, 16)), np.float64) / 255
    # The middle of the picture: atlases are often empty at their rims.
    linear = np.median(np.where(small <= 0.04045, small / 12.92, ((small + 0.055) / 1.055) ** 2.4)[4:12, 4:12], (0, 1))
    red, green, blue = (float(value) for value in linear)
    return replace(material, colour=(1.0, 1.0, 1.0, 1.0), colour_map=picture, plain=(red, green, blue, 1.0))
