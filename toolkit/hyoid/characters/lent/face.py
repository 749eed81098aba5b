# SPDX-License-Identifier: Apache-2.0
"""The bundled human's 52 ARKit shapes on the skin of a head that has none of its own, kept in the cache folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hyoid import files
from hyoid.characters import arkit, bundled
from hyoid.errors import InputError, OutputError
from hyoid.formats.npz import read_npz, write_npz

_VERSION = 1  # of what lies in the cache


def shapes(vertices: np.ndarray, faces: np.ndarray, landmarks: Mapping[str, int]) -> np.ndarray | None:
    """Offsets (52, V, 3) float32, metres, of the ARKit shapes on a head; None where the mesh is like no head.

    The human is drawn onto the head and its shapes go over by deformation transfer: some ten seconds, once.

    Args:
        vertices: (V, 3) metres, +Y up, looking along +Z. faces: (F, 3) or (F, 4).
        landmarks: vertices by the names of the human's landmarks.
    """
    parts = (np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32))
    human = bundled.load({}, "head", 0)
    told = " ".join(f"{name}={landmarks[name]}" for name in sorted(landmarks)).encode()
    content = (told, *(part.tobytes() for part in (*parts, human.vertices, human.shapes.offsets)))
    digest = hashlib.sha256(b"".join(content)).hexdigest()
    place = files.cache_folder() / "faces" / f"{digest}-{_VERSION}.npz"
    if (found := _cached(place, len(vertices))) is None:
        found = _carried(digest, *parts, landmarks)
    if found is None:
        return None
    if not place.is_file():
        try:
            with files.part_file(place) as part:
                write_npz(part, {"shapes": found}, 1)
        except OutputError:
            pass  # a cache that cannot be written costs the time again, nothing else
    return found


def _cached(place: Path, count: int) -> np.ndarray | None:
    if not place.is_file():
        return None
    try:
        found = read_npz(place)["shapes"]
    except (InputError, KeyError):
        return None  # left by something else: it is made again
    return found if found.shape == (len(arkit.NAMES), count, 3) else None


_KEPT: dict[str, np.ndarray | None] = {}


def _carried(
    digest: str, vertices: np.ndarray, faces: np.ndarray, landmarks: Mapping[str, int]
) -> np.ndarray | None:  # fmt: skip
    from hyoid.characters.fit.transfer import shapes_onto

    if digest not in _KEPT:
        try:
            names, offsets, _ = shapes_onto(bundled.load({}, "head", 0), vertices, faces, landmarks=landmarks)
            found = np.stack([offsets[names.index(name)] for name in arkit.NAMES]).astype(np.float32)
        except InputError:
            found = None
        _KEPT.clear()
        _KEPT[digest] = found
    return _KEPT[digest]
