# SPDX-License-Identifier: Apache-2.0
"""Pictures from files as (height, width, 3) uint8 RGB: turned as the camera says, any mode, none too large."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from hyoid.errors import InputError
from hyoid.files import part_file

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm")
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
MOST_PIXELS = 100_000_000
"""Pixels of a picture that is read: a third of a gigabyte."""
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")


def is_picture(path: Path) -> bool:
    """Whether a path names a picture by its suffix."""
    return path.suffix.lower() in SUFFIXES


def read(path: str | Path, *, most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """The picture in a file, upright, (height, width, 3) uint8 RGB.

    The orientation that a camera notes (EXIF) is applied. Transparent pixels lie on black; grey, palettes and CMYK
    become RGB; of 16 bits the upper 8 are kept. Of several pages or frames it is the first.

    Args:
        most_pixels: larger pictures are refused before they are decoded.

    Raises:
        InputError: missing, no picture of a known type, damaged, or too large.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    if not path.is_file():
        raise InputError("is a folder" if path.is_dir() else "does not exist", path=path, expected="a picture")
    try:
        with warnings.catch_warnings():
            # The limit is ours, and it is an error, not a warning; odd notes in a file are no news either.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                if width * height > most_pixels:
                    raise InputError(
                        f"is {width} x {height} pixels", path=path, expected=f"at most {most_pixels / 1e6:g} million",
                        hint="Scale it down first",
                    )  # fmt: skip
                image.load()
                upright = ImageOps.exif_transpose(image)
                return _rgb(upright if upright is not None else image)
    except UnidentifiedImageError:
        kinds = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise InputError("is no picture that can be read", path=path, expected=f"one of {kinds}") from None
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(
            "has far too many pixels", path=path, expected=f"at most {most_pixels / 1e6:g} million",
            hint="Scale it down first",
        ) from None  # fmt: skip
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, EOFError, OverflowError) as error:
        # What Pillow's readers raise over damaged files differs by type.
        raise InputError(f"is damaged ({error})", path=path, expected="a whole picture") from None


def _rgb(image) -> np.ndarray:
    """An opened picture of any mode as uint8 RGB."""
    from PIL import Image

    if image.mode in _DEEP or image.mode == "I":
        values = np.asarray(image).astype(np.int64)
        top = values.max(initial=0)
        grey = np.clip(values >> 8 if top > 255 else values, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, -1)
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image), nan=0.0, posinf=0.0, neginf=0.0)
        scale = 255.0 if values.max(initial=0) <= 1 else 1.0
        return np.repeat(np.clip(values * scale + 0.5, 0, 255).astype(np.uint8)[..., None], 3, -1)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.array(image.convert("RGB"))


def write_png(path: str | Path, picture: np.ndarray) -> None:
    """Write a picture (height, width, 3) uint8 RGB; equal pictures give equal bytes.

    Raises:
        OutputError: see :func:`hyoid.files.part_file`.
    """
    from PIL import Image

    with part_file(Path(path)) as part:
        Image.fromarray(np.ascontiguousarray(picture)).save(part, format="PNG")


def listed(folder: Path) -> list[Path]:
    """The pictures in a folder by name; hidden files are no pictures.

    Raises:
        InputError: there is none.
    """
    found = sorted(path for path in folder.iterdir() if is_picture(path) and not path.name.startswith("."))
    found = [path for path in found if path.is_file()]
    if not found:
        raise InputError("holds no picture", path=folder, expected=f"files such as {', '.join(SUFFIXES[:4])}")
    return found
