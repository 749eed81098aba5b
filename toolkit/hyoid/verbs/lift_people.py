# SPDX-License-Identifier: Apache-2.0
"""From a detector's keypoints to lifted people: who is who over time, joints that are missing, and the networks."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hyoid import held, scratch, weights_store
from hyoid.errors import InputError, UsageError
from hyoid.files import sha256_of
from hyoid.formats import keypoints as keypoint_files
from hyoid.formats.keypoints import Keypoints
from hyoid.formats.part_npz import check_chunk
from hyoid.media.footage import is_film
from hyoid.motion import cameras, gap_filling, identities, time_bases, trajectory
from hyoid.motion.lifted import Lifted, Person
from hyoid.report import Report
from hyoid.take import Source

if TYPE_CHECKING:
    from hyoid.verbs.lift import Job

DEFAULT_FPS = 30.0
OFFICIAL_FPS = 50.0
"""Frames a second of Human3.6M, which the published weights of KTPFormer have learned from."""
_NEAR = 1.3  # a network takes clips up to so much faster or slower than those it has learned from
_FEWEST = 5  # joints without which a person does not count as seen
_SMALL = 128  # channels
_NAMED = 8
SETTINGS = (
    "system", "layout", "size", "source_fps", "confidence", "person", "field_of_view", "precision", "people",
)  # fmt: skip
"""What of a job has a say in how people are lifted; the rest is for what follows."""


@dataclass(frozen=True)
class Clip:
    """Detections of a clip with all that has to be known about its pictures.

    Attributes:
        points: (N, 17, 2) pixels, NaN where missing. confidence: (N, 17). frame, scores, ids: (N,).
        times: (F,) seconds from the first frame. fps: mean. size: of the picture.
    """

    points: np.ndarray
    confidence: np.ndarray
    frame: np.ndarray
    scores: np.ndarray
    ids: np.ndarray
    times: np.ndarray
    fps: float
    size: tuple[int, int]


@dataclass(frozen=True)
class Track:
    """One person's detections, rows of a clip in order of time."""

    name: str
    rows: np.ndarray
    id: int | None = None


@dataclass(frozen=True)
class Shot:
    """Everybody who was asked for, followed through a clip and not lifted yet.

    Attributes:
        times, fps, size: see :class:`Clip`. people: without joints. filled: of each (F, 17, 2) keypoints, with guesses
            where they are missing. facts: how they were found, see :class:`Lifted`.
    """

    times: np.ndarray
    fps: float
    size: tuple[int, int]
    people: tuple[Person, ...]
    filled: tuple[np.ndarray, ...]
    facts: dict[str, Any]


@dataclass(frozen=True)
class _Asked:
    """A job as far as it says who is to be lifted: equal where contents and settings are."""

    contents: str
    settings: str
    job: Job = field(compare=False)
    report: Report = field(compare=False)


def lift(job: Job, report: Report, chunk: tuple[int, int] | None = None) -> Lifted:
    """Everybody who was asked for, lifted.

    Args:
        chunk: first frame and end of those that are wanted; None is all. They have the numbers of the whole.

    Raises:
        InputError: keypoints that cannot be used. UsageError: no such person or frames, or weights of another system.
        WeightsError: weights that are missing or not sound. MissingToolError: torch or the detector is not installed.
    """
    try:
        contents = digest(job.keypoints)
    except OSError:
        contents = ""  # the reader says what is wrong
    asked = _Asked(contents, job.model_dump_json(include={*SETTINGS, "device"}), job, report)
    # Who is who takes all frames: a worker that lifts several chunks of a clip finds it out once.
    shot = held.load(_followed, asked, job.footage, job.detector)
    first, end = chunk or (0, len(shot.times))
    check_chunk(first, end, len(shot.times))
    system, sources = _system(job)
    made = []
    with _threads(system.channels):
        for number in range(len(shot.people)):
            low, high = (0.45 + 0.55 * (number + more) / len(shot.people) for more in (0, 1))
            made.append(_lifted(shot, number, system, (first, end), report.stage(low, high)))
    own = Source("input", job.keypoints.name, contents, "LicenseRef-own")
    return Lifted(tuple(made), shot.times[first:end], shot.fps, *shot.size, (own, *sources), shot.facts)


def _followed(asked: _Asked, *_: Path | None) -> Shot:
    """The people of a job; other files that it names are arguments only so that they are found anew when changed."""
    job, report = asked.job, asked.report
    found = detected(job, report.stage(0.0, 0.4)) if is_film(job.keypoints) else read(job, report.stage(0.0, 0.2))
    clip = clip_of(job, found, report)
    report.progress(0.4, "following people")
    tracks, dropped = follow(job, clip)
    wanted = [tracks[row] for row in selected([track.name for track in tracks], job.person)]
    people = tuple(whole(clip, track) for track in wanted)
    for person in people:
        _warn_of_guesses(person, report)
    facts = {
        "layout": found.layout.name, "reason": found.reason, "source": found.source, "first_frame": found.first,
        "system": job.system, "too_short": dropped,
        "others": [_told(track, clip) for track in tracks if track not in wanted],
    }  # fmt: skip
    filled = tuple(_without_gaps(clip.times, person) for person in people)
    return Shot(clip.times, clip.fps, clip.size, people, filled, facts)


def _without_gaps(times: np.ndarray, person: Person) -> np.ndarray:
    filled = scratch.empty(person.keypoints.shape)
    filled[:] = gap_filling.over_time(times, person.keypoints)
    scratch.give_back(filled, person.keypoints, person.confidence)
    return filled


def read(job: Job, report: Report) -> Keypoints:
    """The keypoints of a job."""
    report.progress(0.0, f"reading {job.keypoints.name}")
    size = picture_size(job.size)
    if size is None and job.footage is not None:
        from hyoid.media import video

        facts = video.probe(job.footage)
        size = facts.width, facts.height
    found = keypoint_files.read(job.keypoints, layout=job.layout, size=size)
    report.message(f"{found.source}: {found.reason}")
    return found


def detected(job: Job, report: Report) -> Keypoints:
    """Keypoints of a video, by a detector that the user has installed."""
    from hyoid.media import pose_detector

    return pose_detector.detect(job.keypoints, job.detector, people=job.people, report=report)


def picture_size(text: str | None) -> tuple[int, int] | None:
    """Width and height of ``1920x1080``.

    Raises:
        UsageError: a side without pixels.
    """
    if text is None:
        return None
    width, height = (int(side) for side in re.split(r"[xX*]", text.strip()))
    if not width or not height:
        raise UsageError(f"--size {text}", expected="pixels, like 1920x1080")
    return width, height


def clip_of(job: Job, found: Keypoints, report: Report) -> Clip:
    """Detections as the seventeen joints, with times and the size of the picture.

    Raises:
        InputError: the size of the picture is not known, or no joint is trusted enough.
    """
    if found.width is None or found.height is None:
        raise InputError(
            "does not say how large the pictures are", path=job.keypoints, expected="their width and height",
            hint="Give their size (--size 1920x1080) or the video (--footage FILE)",
        )  # fmt: skip
    count, kept = len(found.points), []
    points, confidence = scratch.empty((count, 17, 2)), scratch.empty((count, 17))
    for rows in scratch.pieces(count):
        places, sure = keypoint_files.to_human36m(found.layout, found.points[rows], found.confidence[rows])
        sure = np.where(sure >= max(job.confidence, 1e-9), sure, 0.0)
        seen = (sure > 0).sum(1) >= _FEWEST
        own = slice(sum(map(len, kept)), sum(map(len, kept)) + int(seen.sum()))
        points[own], confidence[own] = np.where(sure[..., None] > 0, places, np.nan)[seen], sure[seen]
        kept.append(rows.start + np.flatnonzero(seen))
        scratch.give_back(points, confidence)
    there = np.concatenate(kept)
    if not len(there):
        raise InputError(
            f"no person has {_FEWEST} joints with a confidence of {job.confidence:g} or more", path=job.keypoints,
            expected="people in the picture", hint="Lower --confidence if the detector is that unsure",
        )  # fmt: skip
    times, fps = times_of(job, found, report)
    return Clip(
        points[: len(there)], confidence[: len(there)], found.frame[there], found.scores[there], found.ids[there],
        times, fps, (found.width, found.height),
    )  # fmt: skip


def times_of(job: Job, found: Keypoints, report: Report) -> tuple[np.ndarray, float]:
    """Seconds (F,) from the first frame, and frames a second."""
    film = job.footage or (job.keypoints if is_film(job.keypoints) else None)
    if job.source_fps is not None:
        return time_bases.frame_times(found.frames, job.source_fps), job.source_fps
    if found.times is not None:
        times = time_bases.checked(found.times)
        return times - times[0], time_bases.mean_rate(times)
    if found.fps is None and film is not None:
        from hyoid.media import video

        stamps = video.frame_times(film)
        if len(stamps) >= found.frames:
            stamps = stamps[: found.frames] - stamps[0]
            return stamps, time_bases.mean_rate(stamps)
        text = f"{film.name} has {len(stamps)} frames, the keypoints {found.frames}: its rate is taken, not its times"
        report.message(text, "warning")
        rate = time_bases.mean_rate(stamps)
        return time_bases.frame_times(found.frames, rate), rate
    if found.fps is None and found.frames > 1:
        report.message(f"the keypoints tell no frame rate: {DEFAULT_FPS:g} is taken (--source-fps)", "warning")
    fps = found.fps or DEFAULT_FPS
    return time_bases.frame_times(found.frames, fps), fps


# --- who is who -------------------------------------------------------------------------------------------------------


def follow(job: Job, clip: Clip) -> tuple[tuple[Track, ...], int]:
    """People over time, the longest seen first, and how many tracks were too short to be people.

    Where every detection has a number of the detector, that is who it is; otherwise people are told apart by place,
    size and prediction (:mod:`hyoid.motion.identities`).
    """
    if (clip.ids >= 0).all():
        return _by_number(clip), 0
    if len(np.unique(clip.frame)) == len(clip.frame) and _is_one(clip):
        return (Track("person_01", np.argsort(clip.frame, kind="stable")),), 0
    places = _places(job, clip)
    if len(clip.times) == 1:
        order = np.argsort(-clip.scores, kind="stable")
        return tuple(Track(f"person_{n:02d}", order[n - 1 : n]) for n in range(1, len(order) + 1)), 0
    found = identities.track(places, clip.times)
    people = found.people or found.dropped  # a clip of a few frames has nobody who is seen for long
    if not people:
        raise InputError("nobody is seen in two frames that follow each other", expected="people over time")
    tracks = tuple(Track(f"person_{n:02d}", one.detections) for n, one in enumerate(people, 1))
    return tracks, len(found.dropped) if found.people else 0


def _by_number(clip: Clip) -> tuple[Track, ...]:
    tracks = []
    for number in np.unique(clip.ids).tolist():
        rows = np.flatnonzero(clip.ids == number)
        order = rows[np.lexsort((-clip.scores[rows], clip.frame[rows]))]
        first = np.unique(clip.frame[order], return_index=True)[1]  # of two in one frame the surer one
        tracks.append((number, order[first]))
    tracks.sort(key=lambda pair: (-len(pair[1]), pair[0]))
    return tuple(Track(f"person_{n:02d}", rows, number) for n, (number, rows) in enumerate(tracks, 1))


def _is_one(clip: Clip) -> bool:
    """Whether detections, one a frame at most, never leap: farther than a person's own size within a second."""
    order = np.argsort(clip.frame, kind="stable")
    middle, side = np.zeros((len(order), 2)), np.zeros(len(order))
    for rows in scratch.pieces(len(order)):
        points = clip.points[order[rows]]
        middle[rows] = np.nanmedian(points, 1)
        side[rows] = np.maximum((np.nanmax(points, 1) - np.nanmin(points, 1)).max(1), 1.0)
        scratch.give_back(clip.points)
    leap = np.linalg.norm(np.diff(middle, axis=0), axis=-1) / side[:-1]
    gap = np.diff(clip.times[clip.frame[order]])
    return bool((leap < 0.5 + 2.0 * np.minimum(gap, 2.0)).all())


def _places(job: Job, clip: Clip) -> identities.Detections:
    """Where detections are in space: each one lifted on its own and put where its picture is."""
    from hyoid.systems.hopfir import checkpoint
    from hyoid.systems.hopfir import infer as single

    complete = gap_filling.complete(clip.points)
    lifter = held.load(single.load, checkpoint.find(), device=device_of(job))
    with _threads(lifter.model.config.channels):
        joints = single.lift(lifter, complete, *clip.size, mirror=False)
    camera = cameras.from_field_of_view(clip.size, np.radians(job.field_of_view))
    path = trajectory.root_path(camera, joints, clip.points, clip.confidence)
    low, high = np.nanmin(clip.points, 1), np.nanmax(clip.points, 1)
    return identities.Detections(
        clip.frame, path.positions, path.positions + joints[:, 10], np.concatenate([low, high], -1), clip.scores,
        identities.bone_poses(joints), np.zeros((len(joints), 0)),
    )  # fmt: skip


def selected(names: Sequence[str], person: str) -> list[int]:
    """Which of the people called ``person_01`` and so on were asked for.

    Raises:
        UsageError: nobody has that name.
    """
    if person == "all":
        return list(range(len(names)))
    wanted = names[0] if person == "main" else f"person_{int(person):02d}" if person.isdigit() else person
    if wanted not in names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        known = f"all, main, {', '.join(names[:_NAMED])}{more}"
        raise UsageError(f"there is no person '{person}'", expected=known)
    return [list(names).index(wanted)]


def chosen(lifted: Lifted, person: str) -> Lifted:
    """Lifted people without those who were not asked for.

    Raises:
        UsageError: nobody has that name.
    """
    rows = selected([one.name for one in lifted.people], person)
    return replace(lifted, people=tuple(lifted.people[row] for row in rows))


def _told(track: Track, clip: Clip) -> dict[str, Any]:
    seconds = len(track.rows) / max(clip.fps, 1e-9)
    first, last = (float(clip.times[clip.frame[track.rows[end]]]) for end in (0, -1))
    told = {"name": track.name, "seen_seconds": round(seconds, 3), "first": round(first, 3), "last": round(last, 3)}
    return told if track.id is None else {**told, "id": track.id}


def whole(clip: Clip, track: Track) -> Person:
    """A person in all frames of the clip; joints are not there yet."""
    frames = len(clip.times)
    points, confidence = scratch.empty((frames, 17, 2)), scratch.empty((frames, 17))
    points[:], confidence[:] = np.nan, 0
    seen, scores = np.zeros(frames, bool), np.zeros(frames)
    at = clip.frame[track.rows]
    for rows in scratch.pieces(len(at)):
        own = track.rows[rows]
        points[at[rows]], confidence[at[rows]] = clip.points[own], clip.confidence[own]
        scratch.give_back(points, confidence, clip.points, clip.confidence)
    seen[at], scores[at] = True, clip.scores[track.rows]
    return Person(track.name, points, confidence, seen, scores, np.broadcast_to(0.0, (frames, 17, 3)))


def _warn_of_guesses(person: Person, report: Report) -> None:
    from hyoid.geometry.human36m import NAMES

    share = (person.confidence[person.seen] > 0).mean(0)
    rare = [f"{name} ({100 * part:.0f} %)" for name, part in zip(NAMES, share, strict=True) if part < 0.2]
    if rare:
        report.message(f"{person.name}: seldom seen, so a guess: {', '.join(rare)}", "warning")


# --- lifting ----------------------------------------------------------------------------------------------------------


_Read = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class _System:
    """A network that is ready.

    Attributes:
        lift: its function of what reads keypoints (end - start, 17, 2) of frames start to end, how many frames there
            are, the first one and the end that are wanted of them, size and report. fps: its frame rate, None where it
            sees no time. channels: of the network.
    """

    lift: Callable[[_Read, int, int, int, tuple[int, int], Report], np.ndarray]
    fps: float | None
    channels: int


def device_of(job: Job) -> str:
    """The torch device of a job: ``auto`` is a GPU where there is one."""
    if job.device != "auto":
        return job.device
    from hyoid.training import torch_or_error

    return "cuda" if torch_or_error().cuda.is_available() else "cpu"


def _system(job: Job) -> tuple[_System, tuple[Source, ...]]:
    if job.system == "hopfir":
        from hyoid.systems.hopfir import infer as single

        lifter = held.load(single.load, weights_of(job), device=device_of(job))

        def of_pictures(
            read: _Read, frames: int, first: int, end: int, size: tuple[int, int], report: Report
        ) -> np.ndarray:
            start, stop = single.needed(first, end, frames)
            return single.lift(lifter, read(start, stop), *size, report=report)[first - start : end - start]

        return _System(of_pictures, None, lifter.model.config.channels), (_weights_source(lifter.model),)
    from hyoid.systems.ktpformer import infer as temporal

    lifter = held.load(temporal.load, weights_of(job), device=device_of(job), precision=job.precision)

    def of_clips(read: _Read, frames: int, first: int, end: int, size: tuple[int, int], report: Report) -> np.ndarray:
        start, stop = temporal.needed(first, end, frames, lifter.config.frames)
        return temporal.lift(lifter, read(start, stop), *size, report=report)[first - start : end - start]

    return _System(of_clips, network_fps(lifter.model.note), lifter.config.channels), (_weights_source(lifter.model),)


def network_fps(note: Mapping[str, Any]) -> float:
    """Frames a second that a KTPFormer has learned from, by the note of its file; the published ones have none."""
    return float(note.get("fps", DEFAULT_FPS)) if note else OFFICIAL_FPS


def weights_of(job: Job) -> Path:
    """The weights that a job names, a file or a name of ``hyoid weights list``; without one our own."""
    if job.weights is not None:
        return weights_store.resolve(job.weights, job.system)
    if job.system == "hopfir":
        from hyoid.systems.hopfir import checkpoint as single

        return single.find()
    from hyoid.systems.ktpformer import checkpoint as temporal

    return temporal.find()


@contextlib.contextmanager
def _threads(channels: int) -> Iterator[None]:
    """One thread for a small network: more wait for each other longer than they work, above all on a busy machine."""
    import torch

    before = torch.get_num_threads()
    if channels <= _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _weights_source(model: Any) -> Source:
    return Source("weights", model.path.name, model.digest, model.licence)


def _lifted(shot: Shot, number: int, system: _System, chunk: tuple[int, int], report: Report) -> Person:
    """The frames of a chunk of a person, with joints, the pelvis of each frame at the origin."""
    first, end = chunk
    joints = scratch.empty((end - first, 17, 3))
    for rows in scratch.pieces(end - first):
        stage = report.stage(rows.start / (end - first), rows.stop / (end - first))
        found = _joints(shot, shot.filled[number], system, first + rows.start, first + rows.stop, stage)
        joints[rows] = found - found[:, :1]
        scratch.give_back(shot.filled[number], joints)
    person = shot.people[number]
    cut = {name: getattr(person, name)[first:end] for name in ("keypoints", "confidence", "seen", "scores")}
    return Person(person.name, joints=joints, **cut)


def _joints(
    shot: Shot, points: np.ndarray, system: _System, first: int, end: int, report: Report
) -> np.ndarray:  # fmt: skip
    """(end - first, 17, 3) float64 joints as the network tells them, the same however a clip is cut."""
    rate = resampled_rate(shot.times, shot.fps, system.fps)
    if rate is None:
        found = system.lift(lambda start, stop: points[start:stop], len(points), first, end, shot.size, report)
        return found.astype(np.float64)
    # Windows lie on the network's own frames, counted from the beginning of the clip: chunks are cut between them.
    times = shot.times[first:end]
    steady = np.arange(int(np.floor(shot.times[-1] * rate + 1e-9)) + 2) / rate
    low, high = time_bases.around(steady, times)

    def resampled(start: int, stop: int) -> np.ndarray:
        there = slice(*time_bases.around(shot.times, steady[start:stop]))
        return time_bases.resample(shot.times[there], points[there], steady[start:stop])

    joints = system.lift(resampled, len(steady), low, high, shot.size, report)
    return time_bases.resample(steady[low:high], joints, times)


def resampled_rate(times: np.ndarray, fps: float, wanted: float | None) -> float | None:
    """Frames a second at which a network sees a clip; None where it sees the frames that there are.

    Args:
        times: (F,) seconds. fps: of the clip. wanted: of the network, None where it sees no time.
    """
    if wanted is None or len(times) < 2:
        return None
    if not 1 / _NEAR <= fps / wanted <= _NEAR:
        return float(wanted)
    uneven = len(times) > 2 and np.ptp(np.diff(times)) > 0.2 * np.diff(times).mean()
    return float(fps) if uneven else None


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files."""
    if path.is_file():
        return sha256_of(path)
    total = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.is_file():
            total.update(f"{file.name}\0{sha256_of(file)}\n".encode())
    return total.hexdigest()
