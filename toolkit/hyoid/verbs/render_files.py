# SPDX-License-Identifier: Apache-2.0
"""The files of a render: patterns of pictures, stills, films, and what they were made from."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyoid.errors import UsageError
from hyoid.report import Report

if TYPE_CHECKING:
    import numpy as np

    from hyoid.verbs.render import Job

_EXAMPLE = "a pattern such as shot.####.png (also .jpg, .exr), shot.png, or shot.mp4"


def suffix_of(path: Path) -> str:
    """The type of an output."""
    return path.suffix.lower().replace(".jpeg", ".jpg")


def is_still(path: Path) -> bool:
    """Whether an output is one picture."""
    return suffix_of(path) != ".mp4" and "#" not in path.name


def suffixes(job: Job) -> list[str]:
    """The types of image files in which frames are wanted; films are made of pictures of a type of their own."""
    from hyoid.blender.render import FILM

    found = [FILM if suffix_of(path) == ".mp4" else suffix_of(path) for path in job.output]
    return list(dict.fromkeys(found))


def check(job: Job) -> None:
    """Refuse outputs that could not be written.

    Raises:
        UsageError: an unknown suffix, a pattern that cannot be, the same file twice, an input, transparency in files
            that have none. OutputError: a folder that cannot be written.
    """
    from hyoid.files import check_writable
    from hyoid.verbs.outputs import sidecar_of
    from hyoid.verbs.render import SUFFIXES

    given = {path.resolve() for path in (job.scene, job.take, job.audio) if path is not None}
    seen: set[Path] = set()
    for path in job.output:
        if suffix_of(path) not in SUFFIXES:
            raise UsageError(f"unknown file type '{path.suffix}'", path=path, expected=_EXAMPLE)
        groups = len(re.findall("#+", path.name))
        if groups > 1 or (groups and suffix_of(path) == ".mp4") or "#" in path.suffix:
            found = "a film is one file" if suffix_of(path) == ".mp4" else "has hashes in several places"
            raise UsageError(found, path=path, expected=_EXAMPLE)
        if path.resolve() in given:
            raise UsageError("is an input", path=path, expected="another name, so that it is not lost")
        if path.resolve() in seen:
            raise UsageError("is named twice as an output", path=path)
        seen.add(path.resolve())
    if job.transparent and not any(suffix_of(path) in (".png", ".exr") for path in job.output):
        raise UsageError("--transparent needs files that can be", expected="an output .png or .exr")
    if job.audio is not None and not job.audio.is_file():
        raise UsageError("does not exist", path=job.audio, expected="a sound file")
    for path in job.output:
        check_writable(path)
        check_writable(sidecar_of(path))


def place(job: Job, facts: dict[str, Any], number: int, pictures: dict[str, bytes]) -> None:
    """Write the pictures of a frame to where the outputs want them.

    Args:
        pictures: whole image files by type.

    Raises:
        OutputError: see ``files.part_file``.
    """
    from hyoid.files import numbered, write_bytes

    still = facts["first"] if job.frame is None else job.frame
    for path in job.output:
        if suffix_of(path) != ".mp4" and (not is_still(path) or number == still):
            write_bytes(numbered(path, number), pictures[suffix_of(path)])


def decoded(data: bytes) -> np.ndarray:
    """A picture for a film from its file, (height, width, 3) uint8 RGB."""
    import numpy as np
    from PIL import Image

    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def finish(
    job: Job, facts: dict[str, Any], pictures: Callable[[], Iterator[np.ndarray]], report: Report
) -> dict[str, Any]:
    """Write the films and what everything was made from; the result of the verb.

    Args:
        facts: see ``render_shot.facts``.
        pictures: gives the pictures of the film from the first on, (height, width, 3) uint8 RGB.

    Raises:
        InputError: the sound cannot be read. OutputError: see ``files.part_file``.
    """
    from hyoid import __version__
    from hyoid.files import part_file
    from hyoid.media import video
    from hyoid.take import Provenance, Source
    from hyoid.verbs.outputs import write_sidecar

    films = [path for path in job.output if suffix_of(path) == ".mp4"]
    sound, offset = _sound(job, facts, report) if films else (None, 0.0)
    for number, path in enumerate(films):
        report.progress(number / len(films), f"writing {path.name}")
        with part_file(path) as part:
            video.write(part, pictures(), facts["fps"], sound, audio_offset=offset)
    told = {name: value for name, value in facts.items() if name not in ("sources", "start")}
    sources = tuple(Source(**entry) for entry in facts["sources"])
    for path in job.output:
        write_sidecar(path, Provenance(__version__, "render", told, sources))
    report.progress(1.0, "done")
    return {"outputs": [str(path) for path in job.output], "frames": facts["last"] - facts["first"] + 1, **told}


def _sound(job: Job, facts: dict[str, Any], report: Report) -> tuple[Path | str | None, float]:
    """The sound of a film, and the second of the film at which it starts: before it, where the film starts later."""
    from hyoid.media import video
    from hyoid.verbs import render_shot

    late = (facts["first"] - facts["start"]) / facts["fps"]
    if job.audio is not None:
        return job.audio, -late
    take = render_shot.take_of(job)
    if take is None or take.audio is None:
        return None, 0.0
    return video.sound_of(take, report), take.audio.offset - late
