# SPDX-License-Identifier: Apache-2.0
"""How ``hyoid render`` falls into chunks: a part holds the image files of its frames, as Blender wrote them.

Chunks equal the whole where they are rendered by the same Blender on machines of one kind: processors and GPUs differ
in the last bits. Simulations in the scene have to be baked: a chunk begins in the middle of them.
"""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyoid.blender.render import FILM
from hyoid.errors import InputError
from hyoid.farm.splits import Extent
from hyoid.files import part_file
from hyoid.report import Report
from hyoid.verbs import render_files, render_shot

if TYPE_CHECKING:
    import numpy as np

    from hyoid.verbs.render import Job

_FACTS = "facts.json"
_USUAL = 10  # frames take seconds or minutes each, the start of Blender takes seconds
_HINT = "Render its frames again"


def extent(job: Job) -> Extent:
    """How many frames there are; Blender opens the scene, but renders nothing.

    Where the job tells the first and the last frame nothing is opened: the take may still have to be made.

    Raises:
        UsageError, InputError, MissingToolError: see ``render.run``.
    """
    from hyoid.blender import render

    render_files.check(job)
    moves = not all(render_files.is_still(path) for path in job.output)
    if moves and job.frame is None and job.first is not None and job.last is not None and job.first <= job.last:
        return Extent(job.last - job.first + 1, usual=_USUAL)
    first, last = render_shot.extent(job, render.read_scene(job.scene), render_shot.take_of(job))
    return Extent(last - first + 1, usual=_USUAL)


def work(job: Job, first: int, end: int, target: Path, report: Report) -> dict[str, Any]:
    """Render frames ``first`` to ``end``, counted from 0, into the part ``target``.

    Raises:
        UsageError, InputError, OutputError, MissingToolError: see ``render.run``.
    """
    count, facts = 0, {}
    with (
        part_file(target) as part,
        zipfile.ZipFile(part, "w") as archive,
        contextlib.closing(render_shot.rendered(job, report, first, end)) as frames,
    ):
        for frame in frames:
            if not facts:
                facts = render_shot.facts(job, frame.scene)
                _add(archive, _FACTS, json.dumps(facts, sort_keys=True).encode())
            for suffix, picture in frame.pictures.items():
                _add(archive, f"{frame.number}{suffix}", picture)
            count += 1
    return {"frames": count}


def finish(job: Job, parts: Sequence[Path], report: Report) -> dict[str, Any]:
    """Put the pictures of all parts, in order, into their places, and make the films of them.

    Raises:
        InputError: a part is damaged, of another scene, or missing. OutputError: see ``render.run``.
    """
    render_files.check(job)
    facts = _facts(parts)
    wanted, count = render_files.suffixes(job), facts["last"] - facts["first"] + 1
    plain = [suffix for suffix in wanted if suffix != FILM]
    for number, pictures in _pictures(parts, plain, facts) if plain else ():
        report.progress(0.7 * (number - facts["first"]) / count, f"writing frame {number}")
        render_files.place(job, facts, number, pictures)

    def film() -> Iterator[np.ndarray]:
        for _, pictures in _pictures(parts, [FILM], facts):
            yield render_files.decoded(pictures[FILM])

    return render_files.finish(job, facts, film, report.stage(0.7, 1.0))


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name), data)  # the same date for all; pictures are packed already


def _facts(parts: Sequence[Path]) -> dict[str, Any]:
    """What all parts say of the render.

    Raises:
        InputError: there is none, or they are of different scenes, settings or machines.
    """
    found: dict[str, Any] = {}
    for path in parts:
        with _opened(path) as archive:
            told = json.loads(archive.read(_FACTS))
        found = found or told
        # Machines of a farm may differ in their GPUs; in anything else they must not.
        differing = [name for name in found if name != "device" and told.get(name) != found[name]]
        if differing:
            what = differing[0]
            raise InputError(
                f"was rendered with {what} {told.get(what)}", path=path, expected=f"{found[what]} as {parts[0].name}",
                hint=_HINT,
            )  # fmt: skip
    if not found:
        raise InputError("there is no part", expected="the parts of a render")
    return found


def _pictures(
    parts: Sequence[Path], suffixes: list[str], facts: dict[str, Any]
) -> Iterator[tuple[int, dict[str, bytes]]]:
    """The frames of all parts, by rising number, with their image files by type.

    Raises:
        InputError: a frame is in none of the parts.
    """
    expected = facts["first"]
    for path in parts:
        with _opened(path) as archive:
            names = set(archive.namelist())
            while f"{expected}{suffixes[0]}" in names:
                yield expected, {suffix: archive.read(f"{expected}{suffix}") for suffix in suffixes}
                expected += 1
    if expected <= facts["last"]:
        raise InputError(f"frame {expected} is in none of the {len(parts)} parts", path=parts[0], hint=_HINT)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"is no whole part of a render ({error})", path=path, hint=_HINT) from None
