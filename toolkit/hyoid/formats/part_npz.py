# SPDX-License-Identifier: Apache-2.0
"""What a chunk of frames gives, as a file: plain arrays and one JSON text, for ``finish`` of the same verb.

A part says which frames it holds and what it was made with. Parts come from other machines: whoever joins them takes
nothing on trust, and parts that do not belong together are refused by name. Equal contents give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError, UsageError
from hyoid.files import part_file
from hyoid.formats.checks import shaped
from hyoid.formats.npz import read_npz, write_npz
from hyoid.take import Source

FORMAT = "hyoid.part"
VERSION = 1
AGAIN = "Work on its frames again"
_HEAD = ("format", "version", "frames", "document")

Layout = Mapping[str, tuple[str, tuple[int | str, ...]]]
"""Arrays by name: type as NumPy writes it (``<f8``) and shape, in which equal words are equal lengths."""


@dataclass(frozen=True)
class Part:
    """Frames ``[first, end)`` of a verb's work.

    Attributes:
        path: of the file. made: JSON values that are the same in all parts of one job: settings, sources.
        told: JSON values of this part. arrays: by name.
    """

    path: Path
    first: int
    end: int
    made: dict[str, Any]
    told: dict[str, Any]
    arrays: dict[str, np.ndarray]


def check_chunk(first: int, end: int, frames: int) -> None:
    """Refuse a chunk that is none of a whole of ``frames`` frames.

    Raises:
        UsageError: it is empty, or goes beyond the end.
    """
    if not 0 <= first < end <= frames:
        raise UsageError(f"a chunk of the frames {first} to {end}", expected=f"a stretch of the {frames} frames")


def write(
    target: Path, verb: str, first: int, end: int, made: Mapping[str, Any], told: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
) -> None:  # fmt: skip
    """Write what was found in the frames ``[first, end)``; see :class:`Part`.

    Raises:
        OutputError: see :func:`hyoid.files.part_file`.
    """
    text = json.dumps({"verb": verb, "made": made, "told": told}, allow_nan=False, sort_keys=True)
    head = {
        "format": np.array(FORMAT), "version": np.array(VERSION, np.int64),
        "frames": np.array([first, end], np.int64), "document": np.frombuffer(text.encode(), np.uint8),
    }  # fmt: skip
    with part_file(target) as part:
        write_npz(part, {**head, **arrays}, level=1)


def read(path: Path, verb: str, layout: Layout) -> Part:
    """The part in a file.

    Raises:
        InputError: missing, damaged, no part of this verb, or with other arrays than ``layout`` says.
    """
    arrays = read_npz(path)
    head = {name: arrays.pop(name) for name in _HEAD if name in arrays}
    if "format" not in head or head["format"].shape or str(head["format"][()]) != FORMAT:
        raise InputError("is an .npz file, but no part", path=path, expected=f"a part of '{verb}'", hint=AGAIN)
    if set(head) != set(_HEAD) or set(arrays) != set(layout):
        odd = sorted({*head, *arrays} ^ {*_HEAD, *layout})
        raise InputError(f"lacks or adds {', '.join(odd)[:80]}", path=path, expected="a complete part", hint=AGAIN)
    if head["version"].shape or head["version"] != VERSION:
        raise InputError(f"is a part of version {head['version']}", path=path, expected=f"{VERSION}", hint=AGAIN)
    try:
        document = json.loads(head["document"].tobytes())
        own, made, told = str(document["verb"]), dict(document["made"]), dict(document["told"])
        first, end = (int(number) for number in head["frames"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise InputError(f"is a damaged part ({error})", path=path, expected="a whole one", hint=AGAIN) from error
    if own != verb:
        raise InputError(f"is a part of '{own[:40]}'", path=path, expected=f"one of '{verb}'")
    lengths: dict[str, int] = {}
    for name, (kind, shape) in layout.items():
        _check(name, arrays[name], kind, shape, lengths, path)
    return Part(path, first, end, made, told, arrays)


def _check(
    name: str, array: np.ndarray, kind: str, shape: tuple[int | str, ...], lengths: dict[str, int], path: Path
) -> None:
    if array.dtype != np.dtype(kind):
        raise InputError(f"'{name}' is of the type {array.dtype}", path=path, expected=kind, hint=AGAIN)
    wanted = tuple(lengths.get(side) if isinstance(side, str) else side for side in shape)
    shaped(f"'{name}'", array, wanted, path)
    lengths |= {side: length for side, length in zip(shape, array.shape, strict=True) if isinstance(side, str)}


def read_each(
    paths: Sequence[Path], verb: str, layout: Layout, frames: int, made: Mapping[str, Any]
) -> Iterator[Part]:  # fmt: skip
    """The parts of one job, in order, one at a time; together they are the whole of ``frames`` frames.

    Args:
        made: what they must have been made with, as far as it is known without them.

    Raises:
        InputError: see :func:`read`; frames are missing or double, or parts were made with other settings.
    """
    at, wanted = 0, {}
    for path in paths:
        part = read(Path(path), verb, layout)
        if part.first != at or not at < part.end <= frames:
            raise InputError(
                f"holds the frames {part.first} to {part.end}", path=part.path,
                expected=f"the part that begins with frame {at} of {frames}",
            )  # fmt: skip
        wanted = wanted if at else {**part.made, **made}
        odd = [name for name in {**wanted, **part.made} if part.made.get(name) != wanted.get(name)]
        if odd:
            raise InputError(
                f"was made with other {odd[0]}", path=part.path, expected="parts of this job",
                hint="Use the same files, weights and settings on every machine",
            )  # fmt: skip
        yield part
        at = part.end
    if at != frames:
        raise InputError(f"the parts end with frame {at}", expected=f"parts of all {frames} frames", hint=AGAIN)


def damaged(part: Part, found: str, expected: str = "a whole part") -> InputError:
    """The error of a part that holds what it cannot."""
    return InputError(found, path=part.path, expected=expected, hint=AGAIN)


def sources_as_json(sources: Sequence[Source]) -> list[dict[str, str]]:
    """What touched a result, for ``made``."""
    return [asdict(source) for source in sources]


def sources_of(part: Part) -> tuple[Source, ...]:
    """What touched a result, from ``made``.

    Raises:
        InputError: they are damaged.
    """
    try:
        return tuple(
            Source(*(str(entry[name]) for name in ("role", "name", "sha256", "licence")))
            for entry in part.made["sources"]
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"its sources are damaged ({error})", path=part.path, hint=AGAIN) from error
