# SPDX-License-Identifier: Apache-2.0
"""``headpose`` in chunks: heads are found picture by picture, people are followed when all are there.

What a chunk does is what takes the time: decoding, finding and directing heads (of a film of 1920 x 1080 about 8 ms a
frame for the pictures and 60 to 270 ms for the networks, on one core). Who is who and smoothing look at all frames,
for a millisecond of each where there are three people, and drawings decode and encode the film once more: that and
all writing is left to ``finish``. One picture is one chunk.

Frames of a film are counted by what its container says. One that holds more gives them to the last chunk, one that
holds fewer leaves the last chunks empty.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError
from hyoid.farm.splits import Extent
from hyoid.formats import part_npz
from hyoid.formats.checks import finite
from hyoid.formats.part_npz import Part
from hyoid.media import footage
from hyoid.motion.heads import Heads, Picture
from hyoid.report import Report
from hyoid.verbs import headpose, headpose_search
from hyoid.verbs.headpose import Job
from hyoid.verbs.headpose_search import FILM, SEQUENCE, Searched

USUAL = 500
"""Pictures that take a core about a minute, or two in a crowd."""
_SETTINGS = {"system", "confidence", "overlap", "smallest", "size", "field_of_view", "perspective", "fps", "mirror"}
_LAYOUT = {
    "sizes": ("<i8", ("pictures", 2)), "times": ("<f8", ("pictures",)), "picture": ("<i8", ("heads",)),
    "boxes": ("<f8", ("heads", 4)), "confidence": ("<f8", ("heads",)), "apparent": ("<f8", ("heads", 3, 3)),
    "rotations": ("<f8", ("heads", 3, 3)), "entropy": ("<f8", ("heads",)),
}  # fmt: skip
_FOUND = ("picture", "boxes", "confidence", "apparent", "rotations", "entropy")


def extent(job: Job) -> Extent:
    """How many pictures or frames there are; each stands for itself.

    Raises:
        UsageError, InputError: footage that cannot be used, options that do not fit it.
    """
    headpose_search.check_kind(job)
    film = headpose_search.kind_of(job) == FILM
    return Extent(footage.stated_frames(job.footage) if film else len(headpose_search.paths_of(job)), usual=USUAL)


def work(job: Job, first: int, end: int, target: Path, report: Report) -> dict[str, Any]:
    """Find the heads of the pictures ``[first, end)`` and write them to ``target``.

    Returns:
        ``failed``: pictures that could not be used, by number, and why; ``heads``: how many were found.

    Raises:
        UsageError: there are no such pictures. InputError, WeightsError, OutputError: see ``headpose.run``.
    """
    from hyoid.threads import one_blas_thread

    frames = extent(job).frames
    part_npz.check_chunk(first, end, frames)
    last = headpose_search.kind_of(job) == FILM and end == frames
    with one_blas_thread():
        found = headpose_search.search(job, report, first, None if last else end)
    arrays: dict[str, np.ndarray] = {
        "sizes": np.array([(picture.width, picture.height) for picture in found.pictures], "<i8").reshape(-1, 2),
        "times": np.array([np.nan if one.time is None else one.time for one in found.pictures], "<f8"),
    }
    arrays |= {name: np.asarray(getattr(found.heads, name), _LAYOUT[name][0]) for name in _FOUND}
    told = {
        "names": [picture.name for picture in found.pictures], "errors": [picture.error for picture in found.pictures],
        "small": found.small,
    }  # fmt: skip
    made = {**_made(job), "sources": part_npz.sources_as_json(found.sources)}
    part_npz.write(target, "headpose", first, end, made, told, arrays)
    failed = [
        {"frame": number, "error": f"{picture.name}: {picture.error}"}
        for number, picture in enumerate(found.pictures, first)
        if picture.error
    ]
    return {"failed": failed, "heads": len(found.heads)}


def finish(job: Job, parts: Sequence[Path], report: Report) -> dict[str, Any]:
    """Follow people through all parts and write every output; the result is that of ``headpose.run``.

    Raises:
        UsageError, OutputError: see ``headpose.run``. InputError: also parts that are damaged, of other pictures or
            settings, or not all.
    """
    from hyoid.threads import one_blas_thread

    begun = time.monotonic()
    who = headpose.prepared(job)
    read = list(part_npz.read_each(parts, "headpose", _LAYOUT, extent(job).frames, _made(job)))
    searched = [_searched(part) for part in read]
    _check_pictures(job, read, searched)
    with one_blas_thread():
        return headpose.finished(job, searched, who, report, begun)


def _made(job: Job) -> dict[str, Any]:
    """What all parts of a job have in common, as far as the job tells it."""
    size = job.footage.stat().st_size if job.footage.is_file() else 0
    return {"settings": job.model_dump(mode="json", include=_SETTINGS), "footage": [job.footage.name, size]}


def _searched(part: Part) -> Searched:
    """What a part holds.

    Raises:
        InputError: it makes no sense.
    """
    arrays, told = part.arrays, part.told
    count = len(arrays["sizes"])
    names, errors = _texts(part, "names", count), _texts(part, "errors", count)
    small = told.get("small")
    if not isinstance(small, int) or small < 0:
        raise part_npz.damaged(part, f"tells of {str(small)[:40]} small heads")
    rows, limit = arrays["picture"], part.first + count
    if len(rows) and not (part.first <= rows[0] and rows[-1] < limit and (np.diff(rows) >= 0).all()):
        raise part_npz.damaged(part, "has heads in other pictures than its own")
    if not np.array_equal((arrays["sizes"] <= 0).any(1), np.array([bool(text) for text in errors], bool)):
        raise part_npz.damaged(part, "has pictures without a size")
    for name in ("boxes", "confidence", "apparent", "rotations"):
        finite(f"'{name}'", arrays[name], part.path)
    pictures = tuple(
        Picture(name, width, height, None if np.isnan(seconds) else seconds, error)
        for name, (width, height), seconds, error in zip(
            names, arrays["sizes"].tolist(), arrays["times"].tolist(), errors, strict=True
        )
    )
    nobody = np.zeros(len(rows), int)
    heads = Heads(**{name: arrays[name] for name in _FOUND}, ids=nobody, seen=nobody == 0)
    return Searched(pictures, heads, small, part_npz.sources_of(part))


def _texts(part: Part, name: str, count: int) -> list[str]:
    found = part.told.get(name)
    if not isinstance(found, list) or len(found) != count or not all(isinstance(text, str) for text in found):
        raise part_npz.damaged(part, f"does not hold the {name} of its {count} pictures")
    return found


def _check_pictures(job: Job, parts: Sequence[Part], searched: Sequence[Searched]) -> None:
    """Refuse parts that hold other pictures than the footage has.

    Raises:
        InputError: a part has other pictures, or frames whose seconds do not follow each other.
    """
    kind = headpose_search.kind_of(job)
    names = [path.name for path in headpose_search.paths_of(job)]
    before = -1.0
    for number, (part, found) in enumerate(zip(parts, searched, strict=True)):
        own = [picture.name for picture in found.pictures]
        last = not any(later.pictures for later in searched[number + 1 :])
        if kind != FILM and own != names[part.first : part.end]:
            raise part_npz.damaged(part, "holds other pictures than the footage", "the pictures that are there now")
        if kind == FILM and len(own) != part.end - part.first and not last:
            raise part_npz.damaged(part, f"holds {len(own)} frames", f"{part.end - part.first}")
        for picture in found.pictures if kind in (FILM, SEQUENCE) else ():
            if picture.time is None or not before < picture.time < np.inf:
                raise InputError(
                    f"{picture.name} is not later than the one before it", path=part.path, expected="rising seconds",
                    hint="The film is damaged, so that its frames have no sure number: do it whole",
                )  # fmt: skip
            before = picture.time
    if not searched or not searched[0].pictures:
        raise part_npz.damaged(parts[0], "holds no pictures")
