# SPDX-License-Identifier: Apache-2.0
"""From heads to files: tables, drawings over the footage, and takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import __version__
from hyoid.errors import InputError, PartialError
from hyoid.files import part_file
from hyoid.geometry import head_angles
from hyoid.media import footage, head_overlay, images, video
from hyoid.motion import time_bases
from hyoid.motion.heads import HeadShot
from hyoid.report import Report
from hyoid.take import CharacterReference, Provenance
from hyoid.verbs import headpose, headpose_takes
from hyoid.verbs.headpose import ALL, TAKES, Job
from hyoid.verbs.headpose_search import FILM, FOLDER, STILL
from hyoid.verbs.headpose_takes import Performer

_TILES = 9  # frames in the sheet of a film
NOBODY = "no head was found"
_TRY = "Lower the threshold (--confidence), look closer (--size), or name the heads yourself (--boxes)"


def performer(job: Job) -> Performer | None:
    """The character of a job; None where no take is asked for.

    Raises:
        UsageError: an unknown name or setting. InputError: a character with another neck.
    """
    if not _takes(job):
        return None
    from hyoid import characters

    character = characters.load(job.character, job.set)
    if "oc1" not in character.joint_names:
        raise InputError(
            f"the character '{character.name}' has another neck", expected="the joints c7t1 to oc1 below its root",
            hint="Make the take for the bundled human and convert it to this character",
        )  # fmt: skip
    return Performer(character, CharacterReference(job.character, job.set), headpose_takes.middle_of(character))


def _takes(job: Job) -> list[Path]:
    return [path for path in job.output if headpose.suffix_of(path) in TAKES]


def write(job: Job, shot: HeadShot, who: Performer | None, report: Report) -> dict[str, Any]:
    """Write every output; see ``headpose.run``.

    Raises:
        InputError: takes are asked for and nobody is there; tables and drawings are written before.
        UsageError: no such person.
    """
    from hyoid.verbs.lift_people import selected

    names, takes = shot.names, _takes(job)
    chosen = [list(names)[row] for row in selected(list(names.values()), job.person)] if takes and names else []
    others = [path for path in job.output if path not in takes]
    parts, written = len(others) + len(takes) * max(len(chosen), 1), []
    for number, path in enumerate(others):
        written += _written(job, shot, path, report.stage(number / parts, (number + 1) / parts))
    notes = _notes(job, shot)
    for text in notes:
        report.message(text, "warning" if text.startswith(NOBODY) else "info")
    if takes and not chosen:
        raise InputError(NOBODY, path=job.footage, expected="a head to make a take of", hint=_TRY)
    if who is not None:
        written += _exported(job, shot, who, {number: names[number] for number in chosen}, len(others) / parts, report)
    failed = [{"name": picture.name, "error": picture.error} for picture in shot.pictures if picture.error]
    return {
        "outputs": written, "system": job.system, "pictures": len(shot.pictures), "heads": int(shot.heads.seen.sum()),
        "frames": shot.fps is not None, "fps": shot.fps, "people": _people(shot), "small": shot.facts["small"],
        "unsure": int((~headpose.sure(job, shot)).sum()), "notes": notes, "failed": failed,
        "exit_code": PartialError.exit_code if failed else 0,
    }  # fmt: skip


def _notes(job: Job, shot: HeadShot) -> list[str]:
    notes = []
    small, unsure = shot.facts["small"], int((~headpose.sure(job, shot)).sum())
    if not len(shot.heads):
        notes.append(f"{NOBODY}. {_TRY}")
    if small:
        notes.append(f"{small} heads are smaller than {job.smallest:g} pixels and left out (--smallest)")
    if unsure:
        notes.append(f"{unsure} directions are unsure and not followed (--hide-unsure)")
    if job.hide_unsure is not None and job.system == "directmhp":
        notes.append("directmhp tells no entropy: --hide-unsure hides nothing")
    return notes


def _people(shot: HeadShot) -> list[dict[str, Any]]:
    """Who was seen; of people in a single picture the angles too."""
    if shot.facts["kind"] == FOLDER:
        return []
    found = []
    angles = head_angles.angles(shot.heads.rotations)
    for number, name in shot.names.items():
        rows = np.flatnonzero((shot.heads.ids == number) & shot.heads.seen)
        one = [round(float(value), 2) + 0.0 for value in angles[rows[0]]] if shot.fps is None else None
        seconds = None if shot.fps is None else round(len(rows) / shot.fps, 3)
        found.append({"name": name, "seen_frames": len(rows), "seen_seconds": seconds, "angles": one})
    return found


def provenance(job: Job, shot: HeadShot) -> Provenance:
    """How tables and drawings came to be."""
    excluded = {"footage", "output", "weights", "detector_weights", "boxes", "device"}
    return Provenance(
        __version__, "headpose", {**job.model_dump(mode="json", exclude=excluded), **shot.facts}, shot.sources
    )


def _exported(
    job: Job, shot: HeadShot, who: Performer, people: dict[int, str], low: float, report: Report
) -> list[str]:
    from hyoid.verbs import outputs
    from hyoid.verbs.job import OutputOptions
    from hyoid.verbs.lift_results import named_for

    written, options = [], OutputOptions.model_validate({"keys": job.keys})
    for place, (number, name) in enumerate(people.items()):
        take = headpose_takes.take_of(job, shot, who, shot.heads[shot.heads.ids == number], name)
        hidden = float((take.confidence <= 0).mean())
        if hidden:
            report.message(f"{name} is not seen in {100 * hidden:.1f} % of the frames")
        named = [named_for(path, name) if job.person == ALL else path for path in _takes(job)]
        first, last = (low + (1 - low) * (place + end) / len(people) for end in (0, 1))
        written += outputs.export(who.character, take, named, report.stage(first, last), options=options)
    more = [name for number, name in shot.names.items() if number not in people]
    if more and job.person != ALL:
        report.message(f"{len(more)} more found ({', '.join(more[:8])}): --person all, or one of them")
    return written


def _written(job: Job, shot: HeadShot, path: Path, report: Report) -> list[str]:
    """One table or drawing; of a folder a drawing for each of its pictures."""
    from hyoid.verbs import outputs

    suffix = headpose.suffix_of(path)
    report.progress(0.0, f"writing {path.name}")
    if suffix == ".json":
        from hyoid.formats import heads_json

        heads_json.write(path, shot)
        return [str(path)]
    paths = [path]
    if suffix == ".csv":
        from hyoid.formats import heads_csv

        heads_csv.write(path, shot)
    elif suffix == ".mp4":
        _film(job, shot, path, report)
    elif shot.facts["kind"] == FOLDER:
        paths = _drawings(job, shot, path, report)
    elif shot.facts["kind"] == STILL:
        images.write_png(path, _drawn(job, shot, 0, images.read(job.footage)))
    else:
        _sheet(job, shot, path, report)
    for made in paths:
        outputs.write_sidecar(made, provenance(job, shot))
    return [str(made) for made in paths]


# --- drawings ---------------------------------------------------------------------------------------------------------


def _drawn(job: Job, shot: HeadShot, number: int, picture: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(shot.heads.picture == number)
    told = shot.pictures[number]
    title = told.name if told.time is None else f"{job.footage.name} {told.time:.2f} s"
    return head_overlay.draw(
        picture, shot.heads[rows], shot.names, hidden=~headpose.sure(job, shot)[rows] & shot.heads.seen[rows],
        title=title,
    )  # fmt: skip


def _drawings(job: Job, shot: HeadShot, path: Path, report: Report) -> list[Path]:
    """``OUT.NAME.png`` for each picture of a folder that could be read."""
    stems = [Path(picture.name).stem for picture in shot.pictures]
    made = []
    for number, picture in enumerate(shot.pictures):
        if picture.error:
            continue
        stem = stems[number] if stems.count(stems[number]) == 1 else picture.name
        target = path.with_name(f"{path.name[:-4]}.{stem}{path.name[-4:]}")
        images.write_png(target, _drawn(job, shot, number, images.read(job.footage / picture.name)))
        report.progress((number + 1) / len(stems), f"drawing {picture.name}")
        made.append(target)
    return made


def _frames(job: Job, shot: HeadShot, wanted: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Number and picture of frames in rising order, a film's decoded again one at a time; numbers may repeat."""
    held: tuple[int, np.ndarray] | None = None
    stream = enumerate(footage.frames(job.footage)) if shot.facts["kind"] == FILM else None
    for number in wanted:
        if stream is None:
            if held is None or held[0] != number:
                held = number, images.read(job.footage / shot.pictures[number].name)
        else:
            while held is None or held[0] < number:
                at, (_, picture) = next(stream)
                held = at, picture
        yield held


def _readable(shot: HeadShot) -> np.ndarray:
    """(F,) for each frame the number of the nearest one that could be read."""
    good = np.flatnonzero([not picture.error for picture in shot.pictures]).astype(np.float64)
    return time_bases.resample_nearest(good, good, np.arange(len(shot.pictures))).astype(int)


def _film(job: Job, shot: HeadShot, path: Path, report: Report) -> None:
    """The footage with what was found, each frame of the result with the picture that is nearest in time."""
    clock = np.array([picture.time for picture in shot.pictures], np.float64)
    rate = time_bases.exact_rate(job.fps or shot.fps or headpose_takes.STILL_FPS)
    steady = time_bases.covering(clock, float(rate))
    numbers = _readable(shot)[time_bases.resample_nearest(clock, np.arange(len(clock)), steady)].tolist()

    def told() -> Iterator[np.ndarray]:
        for count, (number, picture) in enumerate(_frames(job, shot, numbers), 1):
            yield _drawn(job, shot, number, picture)
            report.progress(count / len(numbers), f"drawing frame {count} of {len(numbers)}")

    with part_file(path) as part:
        video.write(part, told(), rate)


def _sheet(job: Job, shot: HeadShot, path: Path, report: Report) -> None:
    """Frames of a film side by side, spread over those that show a head."""
    told = np.unique(shot.heads.picture[shot.heads.seen])
    told = told if len(told) else np.arange(len(shot.pictures))
    chosen = told[np.unique(np.linspace(0, len(told) - 1, min(_TILES, len(told))).round().astype(int))]
    chosen = np.unique(_readable(shot)[chosen]).tolist()
    tiles = []
    for count, (number, picture) in enumerate(_frames(job, shot, chosen), 1):
        tiles.append(_drawn(job, shot, number, picture))
        report.progress(count / len(chosen), f"drawing frame {number}")
    images.write_png(path, head_overlay.sheet(tiles))
