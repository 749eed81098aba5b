# SPDX-License-Identifier: Apache-2.0
"""From footage to heads: pictures one by one, boxes, directions, and who is who over time."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import held, weights_store
from hyoid.errors import InputError, UsageError
from hyoid.files import sha256_of
from hyoid.geometry import head_angles
from hyoid.media import footage, images
from hyoid.motion import head_tracks, time_bases
from hyoid.motion import heads as records
from hyoid.motion.heads import Heads, HeadShot, Picture
from hyoid.report import Report
from hyoid.take import Source
from hyoid.verbs import headpose
from hyoid.verbs.headpose import Job

STILL, FOLDER, SEQUENCE, FILM = "picture", "folder", "sequence", "film"
_TOLD = 5  # failures that are told at once


@dataclass(frozen=True)
class Finder:
    """What finds heads in one picture (h, w, 3), with its number and name, and what it is made of."""

    find: Callable[[np.ndarray, int, str], Heads]
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Searched:
    """What was found in some pictures, one after the other: those of a chunk, or all.

    Attributes:
        pictures: in order. heads: in them, by their numbers in the whole, nobody followed yet.
        small: heads that were left out. sources: what found them. seconds: that it took, without reading weights.
    """

    pictures: tuple[Picture, ...]
    heads: Heads
    small: int
    sources: tuple[Source, ...]
    seconds: float = 0.0


def kind_of(job: Job) -> str:
    """Whether the footage is a picture, a folder, a sequence of pictures, or a film.

    Raises:
        InputError: it is not there, or nothing of these.
    """
    path = job.footage
    if path.is_dir():
        return FOLDER if job.fps is None else SEQUENCE
    if not path.exists():
        raise InputError("does not exist", path=path, expected="a picture, a folder of pictures, or a video")
    if images.is_picture(path):
        return STILL
    if footage.is_film(path):
        return FILM
    kinds = ", ".join((*images.SUFFIXES, *footage.SUFFIXES))
    raise InputError(f"is of the unknown type '{path.suffix}'", path=path, expected=f"a folder, or one of {kinds}")


def check_kind(job: Job) -> None:
    """Refuse options that do not fit the footage, before the work.

    Raises:
        UsageError: an output that this footage cannot give, or boxes for a system that finds its own.
        InputError: see :func:`kind_of`.
    """
    kind = kind_of(job)
    for path in job.output:
        suffix = headpose.suffix_of(path)
        if kind == FOLDER and (suffix == ".mp4" or suffix in headpose.TAKES):
            raise UsageError(
                f"a folder of pictures makes no {suffix}", path=path, expected=".json, .csv or .png",
                hint="Where the pictures are frames of one shot, give their rate: --fps 24",
            )  # fmt: skip
        if kind == STILL and suffix == ".mp4":
            raise UsageError("one picture makes no film", path=path, expected=".png")
    if job.system == "directmhp" and job.boxes is not None:
        raise UsageError("--boxes with --system directmhp, which finds its own", expected="--system semiuhpe")
    if job.system == "directmhp" and job.weights is not None and job.detector_weights is not None:
        raise UsageError("--weights and --detector-weights with --system directmhp", expected="one of them")


def search(job: Job, report: Report, first: int = 0, end: int | None = None) -> Searched:
    """The heads in the pictures ``[first, end)`` of the footage, each for itself; without an end in all that follow.

    Raises:
        InputError: footage or boxes that cannot be used. WeightsError: weights that are missing or not sound.
    """
    kind = kind_of(job)
    total = (_total(job, kind) if end is None else end) - first  # a folder without pictures is told before networks
    report.progress(0.0, "reading weights")
    finder = finder_of(job)
    begun = time.monotonic()
    pictures: list[Picture] = []
    parts: list[Heads] = []
    small, failed = 0, 0
    for number, (name, seconds, made) in enumerate(_pictures(job, kind, first, end), first):
        done = number - first
        report.progress(min(done / max(total, done + 1), 1.0), f"looking at {name}")
        try:
            picture = made()
            found = finder.find(picture, number, name)
        except InputError as error:
            if kind in (STILL, FILM):
                raise
            failed += 1
            if failed <= _TOLD:
                report.message(str(error), "warning")
            pictures.append(Picture(name, time=seconds, error=error.found))
            continue
        large = (found.boxes[:, 2:] - found.boxes[:, :2]).max(1, initial=0) >= job.smallest
        small += int((~large).sum())
        pictures.append(Picture(name, picture.shape[1], picture.shape[0], seconds))
        if large.any():
            parts.append(found[large])
    spent = time.monotonic() - begun
    return Searched(tuple(pictures), records.joined(parts), small, finder.sources, spent)


def followed(job: Job, searched: Sequence[Searched], report: Report) -> HeadShot:
    """All heads of the footage, followed where it has a course of time.

    Args:
        searched: in order of the pictures, together all of them, with the sources of the first.

    Raises:
        InputError: no picture could be used.
    """
    kind = kind_of(job)
    pictures = tuple(picture for part in searched for picture in part.pictures)
    if all(picture.error for picture in pictures):
        raise InputError(
            f"none of its {len(pictures)} pictures can be used: {pictures[0].name}: {pictures[0].error}",
            path=job.footage, expected="pictures",
        )  # fmt: skip
    heads = records.joined([part.heads for part in searched])
    fps = None
    if kind in (SEQUENCE, FILM):
        times = np.array([picture.time for picture in pictures], np.float64)
        fps = float(job.fps) if kind == SEQUENCE and job.fps else time_bases.mean_rate(times)
        report.progress(0.0, "following people")
        heads = head_tracks.follow(heads, times, longest_gap=job.longest_gap)
        heads = head_tracks.completed(heads, times, smoothing=job.smoothing, most_entropy=job.hide_unsure)
    else:
        heads = records.by_size(heads)
    facts = {
        "kind": kind, "footage": job.footage.name, "system": job.system,
        "small": sum(part.small for part in searched), "hide_unsure": job.hide_unsure,
    }  # fmt: skip
    own = Source("input", job.footage.name, _digest(job.footage), "LicenseRef-own")
    sources = (own, *searched[0].sources)
    return HeadShot(pictures, heads, fps, job.field_of_view, job.perspective, sources, facts)


def _total(job: Job, kind: str) -> int:
    """About how many pictures there are."""
    return footage.expected_frames(job.footage) if kind == FILM else len(paths_of(job))


def paths_of(job: Job) -> list[Path]:
    """The files of pictures; of a film there are none.

    Raises:
        InputError: see :func:`kind_of`; or a folder without pictures.
    """
    kind = kind_of(job)
    if kind == FILM:
        return []
    return [job.footage] if kind == STILL else images.listed(job.footage)


def _pictures(
    job: Job, kind: str, first: int, end: int | None
) -> Iterator[tuple[str, float | None, Callable[[], np.ndarray]]]:
    """Name, second, and how to get it, of each picture; of films one at a time."""
    if kind == FILM:
        for number, (seconds, picture) in enumerate(footage.frames(job.footage, first, end), first):
            yield f"frame {number}", seconds, lambda picture=picture: picture
        return
    paths = paths_of(job)
    stamps = time_bases.frame_times(len(paths), job.fps) if kind == SEQUENCE and job.fps else None
    for number, path in list(enumerate(paths))[first:end]:
        yield path.name, None if stamps is None else float(stamps[number]), lambda path=path: images.read(path)


def _digest(path: Path) -> str:
    from hyoid.verbs.lift_people import digest

    return digest(path)


# --- networks ---------------------------------------------------------------------------------------------------------


def finder_of(job: Job) -> Finder:
    """The system of a job with its weights.

    Raises:
        WeightsError: missing or not sound. InputError: boxes that cannot be used.
    """
    if job.system == "directmhp":
        detect, source = _detector(job, job.weights or job.detector_weights)

        def at_once(picture: np.ndarray, number: int, name: str) -> Heads:
            found = detect(picture)
            boxes, kept = _inside(found.boxes, picture)
            return _freed(job, picture, number, boxes, found.confidence[kept], found.rotations[kept])

        return Finder(at_once, (source,))
    from hyoid.systems.semiuhpe import checkpoint, infer

    path = weights_store.resolve(job.weights, "semiuhpe") if job.weights else checkpoint.find()
    boxes_of, sources = _boxes(job)
    estimator = held.load(infer.load, path, device=_device(job))

    def one_by_one(picture: np.ndarray, number: int, name: str) -> Heads:
        boxes, confidence = boxes_of(picture, number, name)
        if not len(boxes):
            return records.nobody()
        found = infer.estimate(estimator, picture, boxes, mirror=job.mirror)
        return _freed(job, picture, number, boxes, confidence, found.rotations, found.entropy)

    return Finder(one_by_one, (*sources, _source(path, estimator)))


def _detector(job: Job, given: Path | None) -> tuple[Callable[[np.ndarray], Any], Source]:
    from hyoid.systems.directmhp import checkpoint, infer

    path = weights_store.resolve(given, "directmhp") if given else checkpoint.find()
    detector = held.load(infer.load, path, device=_device(job))

    def detect(picture: np.ndarray) -> Any:
        return infer.detect(detector, picture, size=job.size, confidence=job.confidence, overlap=job.overlap)

    return detect, _source(path, detector)


def _boxes(job: Job) -> tuple[Callable[[np.ndarray, int, str], tuple[np.ndarray, np.ndarray]], tuple[Source, ...]]:
    """What gives boxes (n, 4) and confidence (n,) for a picture: a file, or the detector."""
    if job.boxes is not None:
        from hyoid.formats import head_boxes

        given = head_boxes.read(job.boxes)
        if kind_of(job) in (FOLDER, SEQUENCE):
            head_boxes.check_names(given, [path.name for path in paths_of(job)], job.boxes)

        def stated(picture: np.ndarray, number: int, name: str) -> tuple[np.ndarray, np.ndarray]:
            found = head_boxes.of_picture(given, number, name)
            boxes, kept = _inside(found[:, :4], picture)
            if not kept.all():
                raise InputError(
                    f"box {int(np.flatnonzero(~kept)[0])} of '{name}' lies outside the picture", path=job.boxes,
                    expected=f"left, top, right, bottom within {picture.shape[1]} x {picture.shape[0]} pixels",
                )  # fmt: skip
            trusted = found[:, 4] >= job.confidence
            return boxes[trusted], found[trusted, 4]

        return stated, (Source("input", job.boxes.name, sha256_of(job.boxes), "LicenseRef-own"),)
    detect, source = _detector(job, job.detector_weights)

    def detected(picture: np.ndarray, number: int, name: str) -> tuple[np.ndarray, np.ndarray]:
        found = detect(picture)
        boxes, kept = _inside(found.boxes, picture)
        return boxes, np.asarray(found.confidence)[kept]

    return detected, (source,)


def _inside(boxes: np.ndarray, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts (m, 4) float64 of boxes (n, 4) that lie in the picture, and which have one (n,) bool."""
    limits = np.array([picture.shape[1], picture.shape[0]] * 2, np.float64)
    inside = np.clip(np.asarray(boxes, np.float64).reshape(-1, 4), 0, limits)
    kept = (inside[:, 2:] > inside[:, :2]).all(1)
    return inside[kept], kept


def _freed(
    job: Job, picture: np.ndarray, number: int, boxes: np.ndarray, confidence: np.ndarray, apparent: np.ndarray,
    entropy: np.ndarray | None = None,
) -> Heads:  # fmt: skip
    """Heads with their directions freed from the perspective, where that is asked for."""
    apparent = np.asarray(apparent, np.float64).reshape(-1, 3, 3)
    rotations = apparent
    if job.perspective and len(boxes):
        height, width = picture.shape[:2]
        focal = head_angles.focal_length(width, height, job.field_of_view)
        rays = head_angles.rays((boxes[:, :2] + boxes[:, 2:]) / 2, focal, (width / 2, height / 2))
        rotations = head_angles.in_camera(apparent, rays)
    return records.of_picture(number, boxes, confidence, apparent, rotations, entropy)


def _source(path: Path, model: Any) -> Source:
    return Source("weights", path.name, sha256_of(path), weights_store.licence_of(model))


def _device(job: Job) -> str:
    """The torch device of a job: ``auto`` is a GPU where there is one."""
    if job.device != "auto":
        return job.device
    if importlib.util.find_spec("torch") is None:  # processors do without, through ONNX Runtime
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
