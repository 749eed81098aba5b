# SPDX-License-Identifier: Apache-2.0
"""What every reader checks before it hands a record on: shapes, finite numbers, names, in one place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hyoid import scratch
from hyoid.errors import InputError
from hyoid.take import Take

FPS_LIMITS = (1.0, 1000.0)
"""Frame rates outside are damage or a unit mix-up (a frame time in milliseconds), never a performance."""


def finite(name: str, array: np.ndarray, path: str | Path | None = None, *, axis: int = 0) -> None:
    """Refuse NaN and infinity, naming how many there are and the first index.

    Args:
        axis: along which a large array is looked through in pieces.

    Raises:
        InputError: at least one number is not finite.
    """
    # A sum is finite when all its terms are; only a bad or a huge one costs the exact search.
    with np.errstate(over="ignore", invalid="ignore"):
        if all(np.isfinite(np.sum(part)) for part in _parts(array, axis)):
            return
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        place = first[0] if len(first) == 1 else first
        raise InputError(
            f"{name} holds {int(bad.sum())} numbers that are not finite, the first at index {place}",
            path=path, expected="finite numbers",
        )  # fmt: skip


def _parts(array: np.ndarray, axis: int = 0) -> Iterator[np.ndarray]:
    """The array in pieces along an axis, each out of memory again before the next where it lies in a file."""
    if not array.ndim:
        yield array
        return
    along = np.moveaxis(array, axis, 0)
    for rows in scratch.pieces(len(along)):
        yield along[rows]
        scratch.give_back(array)


def shaped(name: str, array: np.ndarray, shape: tuple[int | None, ...], path: str | Path | None = None) -> None:
    """Refuse an array of another shape; None in ``shape`` stands for any length.

    Raises:
        InputError: the shape differs; both shapes are named.
    """
    if array.ndim != len(shape) or any(
        want is not None and have != want for have, want in zip(array.shape, shape, strict=True)
    ):
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise InputError(f"{name} has the shape {array.shape}", path=path, expected=wanted)


def frame_rate(fps: float, path: str | Path | None = None) -> None:
    """Refuse a frame rate that cannot be meant.

    Raises:
        InputError: it is not a number between 1 and 1000.
    """
    if not FPS_LIMITS[0] <= fps <= FPS_LIMITS[1]:
        raise InputError(f"the frame rate is {fps:g}", path=path, expected="1 to 1000 frames a second")


def _names(what: str, names: tuple[str, ...], path: str | Path | None) -> None:
    seen: set[str] = set()
    for name in names:
        if not name or name in seen:
            raise InputError(f"two {what} are named '{name}'" if name else f"a {what} has no name", path=path)
        seen.add(name)


def valid_take(take: Take, path: str | Path | None = None) -> Take:
    """The same take, if it is sound: shapes agree, numbers are finite, quaternions unit, keys rising, names unique.

    Raises:
        InputError: says which array, what was found and the first index.
    """
    frame_rate(take.fps, path)
    if not take.frames:
        raise InputError("has no frames", path=path, expected="at least one frame")
    _names("curves", take.curve_names, path)
    _names("joints", take.joint_names, path)
    frames, joints = take.frames, len(take.joint_names)
    arrays: list[tuple[str, np.ndarray, tuple[int | None, ...]]] = [
        ("curves", take.curves, (frames, len(take.curve_names))),
        ("rotations", take.rotations, (frames, joints, 4)),
        ("root", take.root, (frames, 3)),
        ("confidence", take.confidence, (frames,)),
    ]
    if take.points is not None:
        arrays.append(("points", take.points, (frames, None, 3)))
    for name, array, shape in arrays:
        shaped(name, array, shape, path)
        finite(name, array, path)
    first = 0
    for part in _parts(take.rotations):
        wrong = np.abs(np.einsum("tjc,tjc->tj", part, part) - 1) > 2e-3
        if wrong.any():
            frame, joint = (int(i) for i in np.argwhere(wrong)[0])
            found = part[frame, joint].tolist()
            raise InputError(
                f"the rotation of '{take.joint_names[joint]}' in frame {first + frame} is {found}",
                path=path, expected="unit quaternions w, x, y, z",
            )  # fmt: skip
        first += len(part)
    if take.confidence.min() < 0 or take.confidence.max() > 1:
        raise InputError("confidence leaves 0..1", path=path)
    for number, event in enumerate(take.events):
        if not (np.isfinite([event.start, event.end, event.strength]).all() and event.start <= event.end):
            raise InputError(
                f"event {number} ({event.kind} '{event.name}') lasts from {event.start} to {event.end}",
                path=path, expected="finite times, the start before the end",
            )  # fmt: skip
    _valid_keys(take, path)
    return take


def _valid_keys(take: Take, path: str | Path | None) -> None:
    widths: dict[str, tuple[int, ...]] = dict.fromkeys(take.curve_names, ())
    widths |= {f"{name}.rotation": (4,) for name in take.joint_names} | {"root": (3,)}
    for channel, keys in take.keys.items():
        if channel not in widths:
            raise InputError(f"keys belong to '{channel}'", path=path, expected="a curve, JOINT.rotation or root")
        shaped(f"key times of {channel}", keys.times, (None,), path)
        shaped(f"key values of {channel}", keys.values, (len(keys.times), *widths[channel]), path)
        finite(f"key times of {channel}", keys.times, path)
        finite(f"key values of {channel}", keys.values, path)
        if not len(keys.times) or (np.diff(keys.times) <= 0).any():
            raise InputError(
                f"the key times of '{channel}' do not rise", path=path, expected="rising times, at least one"
            )
