# SPDX-License-Identifier: Apache-2.0
"""Lifted people as a file: ``.lifted.npz``, so that cleaning can be repeated without lifting again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import scratch
from hyoid.errors import InputError
from hyoid.formats.checks import finite, frame_rate, shaped
from hyoid.formats.npz import read_npz, write_npz
from hyoid.motion import time_bases
from hyoid.motion.lifted import Lifted, Person
from hyoid.take import Source

SUFFIX = ".lifted.npz"
FORMAT = "hyoid.lifted"
VERSION = 1
SHAPES: Mapping[str, tuple[int, ...]] = {
    "keypoints": (17, 2), "confidence": (17,), "seen": (), "scores": (), "joints": (17, 3)
}  # fmt: skip
"""Of a person in a frame, by the name of the array; see :class:`hyoid.motion.lifted.Person`."""
_REQUIRED = ("format", "version", "times", *SHAPES, "document")
_MOST_PIXELS = 1 << 17  # a side of a picture


def write(path: Path, lifted: Lifted) -> None:
    """Write everybody to ``path``; equal people give equal bytes. Joints are kept as float32."""
    text = json.dumps(document_of(lifted), ensure_ascii=False, allow_nan=False, sort_keys=True)
    arrays = {
        "format": np.array(FORMAT),
        "version": np.array(VERSION, np.int64),
        **arrays_of(lifted, np.float32),
        "document": np.frombuffer(text.encode(), np.uint8),
    }
    write_npz(path, arrays)


def arrays_of(lifted: Lifted, kind: Any = np.float64) -> dict[str, np.ndarray]:
    """What changes from frame to frame, by name: ``times`` (F,), the others of :data:`SHAPES` (people, F, ...).

    Args:
        kind: type of the numbers; times are float64, ``seen`` is bool.
    """
    frames = len(lifted.times)

    def stacked(name: str) -> np.ndarray:
        made = scratch.empty((len(lifted.people), frames, *SHAPES[name]), bool if name == "seen" else kind)
        for own, person in zip(made, lifted.people, strict=True):
            array = getattr(person, name)
            for rows in scratch.pieces(frames):
                own[rows] = array[rows]
                scratch.give_back(array, own)
        return made

    return {"times": lifted.times.astype(np.float64), **{name: stacked(name) for name in SHAPES}}


def document_of(lifted: Lifted) -> dict[str, Any]:
    """All that is no array, as JSON values."""
    return {
        "names": [person.name for person in lifted.people],
        "fps": lifted.fps,
        "size": [lifted.width, lifted.height],
        "sources": [asdict(source) for source in lifted.sources],
        "facts": dict(lifted.facts),
    }


def read(path: Path) -> Lifted:
    """The people in ``path``.

    Raises:
        InputError: missing, damaged, not such a file, of a newer version, or with numbers that make no sense.
    """
    arrays = read_npz(path)
    if "format" not in arrays or arrays["format"].shape or str(arrays["format"][()]) != FORMAT:
        raise InputError("is an .npz file, but holds no lifted people", path=path, expected=f"a {SUFFIX} of Hyoid")
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise InputError(f"lacks {', '.join(missing)}", path=path, expected=f"a complete {SUFFIX}")
    version = arrays["version"]
    if version.shape or version.dtype.kind not in "iu" or not 0 < version <= VERSION:
        raise InputError(f"is of version {version}", path=path, expected=f"version {VERSION}", hint="Update hyoid")
    try:
        document = json.loads(arrays["document"].tobytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"its contents do not form lifted people ({error})", path=path) from error
    return of_arrays(arrays, document, path)


def of_arrays(arrays: Mapping[str, np.ndarray], document: Any, path: Path) -> Lifted:
    """People from what :func:`arrays_of` and :func:`document_of` gave; ``path`` is where they were read, for errors.

    Raises:
        InputError: numbers that make no sense.
    """
    try:
        names = [str(name) for name in document["names"]]
        width, height = (int(side) for side in document["size"])
        fps = float(document["fps"])
        sources = tuple(
            Source(*(str(entry[field]) for field in ("role", "name", "sha256", "licence")))
            for entry in document["sources"]
        )
        facts = dict(document["facts"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"its contents do not form lifted people ({error})", path=path) from error
    if not 0 < width <= _MOST_PIXELS or not 0 < height <= _MOST_PIXELS:
        raise InputError(f"a picture of {width} x {height}", path=path, expected="its size in pixels")
    frame_rate(fps, path)
    _check(arrays, len(names), path)
    people = tuple(
        Person(
            name,
            **{
                field: arrays[field][row].astype(bool if field == "seen" else np.float64, copy=False)
                for field in SHAPES
            },
        )
        for row, name in enumerate(names)
    )
    return Lifted(people, arrays["times"].astype(np.float64), fps, width, height, sources, facts)


def _check(arrays: Mapping[str, np.ndarray], people: int, path: Path) -> None:
    times = arrays["times"]
    if times.ndim != 1 or times.dtype.kind != "f":
        raise InputError(f"'times' is {times.shape} {times.dtype}", path=path, expected="seconds, one a frame")
    try:
        time_bases.checked(times)
    except InputError as error:
        raise InputError(error.found, path=path, expected=error.expected) from None
    frames = len(times)
    if not people:
        raise InputError("holds nobody", path=path, expected="at least one person")
    for name, shape in SHAPES.items():
        shaped(name, arrays[name], (people, frames, *shape), path)
    for name in ("confidence", "scores", "joints"):
        finite(name, arrays[name], path, axis=1)
    if not arrays["seen"].any(1).all():
        raise InputError("somebody is seen in no frame", path=path, expected="people that were seen")
