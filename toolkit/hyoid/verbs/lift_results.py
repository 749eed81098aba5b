# SPDX-License-Identifier: Apache-2.0
"""From lifted people to clean performances, takes and files."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hyoid import __version__, characters, scratch
from hyoid.characters import named_skeletons, neck, skeleton_roles
from hyoid.errors import UsageError
from hyoid.files import part_file
from hyoid.formats import format_of, lifted_npz
from hyoid.geometry import rotations as turns
from hyoid.motion import cameras, chain, contacts, foot_lock, skeletons, time_bases, trajectory
from hyoid.motion.cameras import Camera
from hyoid.motion.chain import Performance
from hyoid.motion.joint_rotations import Shares
from hyoid.motion.lifted import Lifted, Person
from hyoid.motion.skeletons import Pose, Skeleton
from hyoid.report import Report
from hyoid.take import CharacterReference, Event, Provenance, Take
from hyoid.verbs.lift import ALL, Job

if TYPE_CHECKING:
    from hyoid.characters.character import Character
    from hyoid.media import lift_preview

_PICTURES = (".mp4", ".png")
_MARGIN = 0.12  # around people, as a share of their box
_EYES = 1.5  # metres: a camera's height until the ground is found
_LOWEST = 0.3  # metres: the ground tells people's sizes only from above


@dataclass(frozen=True)
class Performer:
    """Who performs.

    Attributes:
        skeleton: its trunk, neck and limbs, which are all that moves. joints: (n,) their numbers among the character's.
    """

    character: Character
    reference: CharacterReference
    skeleton: Skeleton
    joints: np.ndarray

    @property
    def neck_shares(self) -> Shares | None:
        """How the eight joints of a neck share the turn of the head; None for other necks."""
        names = [self.skeleton.names[joint] for joint in self.skeleton.roles["neck"]]
        return functools.partial(neck.distribute, self.character.neck) if names == list(neck.JOINTS) else None


@dataclass(frozen=True)
class Clean:
    """One person, cleaned.

    Attributes:
        person: as lifted, at the frames of the result. performance: of the chain. pose: with feet as firmly planted as
            asked for, where it is to stand. shift: (3,) metres that this is away from below its camera.
    """

    person: Person
    performance: Performance
    pose: Pose
    shift: np.ndarray

    @property
    def camera(self) -> dict[str, Any]:
        """The camera that shows this person as the shot did; see :func:`camera_facts`."""
        return camera_facts(self.performance.camera, self.shift)


def performer(job: Job) -> Performer:
    """The character of a job.

    Raises:
        UsageError: an unknown name or setting, or a character that has no body.
    """
    name = job.character
    if job.skeleton != "human":
        if name != "human":
            raise UsageError(
                f"--skeleton {job.skeleton} with --character {name}", expected="one of them: --skeleton names the "
                "bones of the bundled human",
            )  # fmt: skip
        name = named_skeletons.character_name(job.skeleton)
    character = characters.load(name, job.set)
    roles = skeleton_roles.of_character(character).roles
    whole = Skeleton(character.joint_names, character.parents, character.heads.astype(np.float64), roles)
    return Performer(character, CharacterReference(name, job.set), *skeletons.of_body(whole))


def write(job: Job, lifted: Lifted, who: Performer, report: Report) -> dict[str, Any]:
    """Clean everybody and write every output; see ``lift.run``."""
    clip = at_rate(lifted, job.fps or lifted.fps)
    done = clean(job, clip, who, report.stage(0.0, 0.5))
    takes = [take_of(job, clip, who, one) for one in done]
    outputs = _write(job, lifted, clip, who, done, takes, report.stage(0.5, 1.0))
    for one in done:
        if one.performance.quality.filled > 0:
            share = 100 * one.performance.quality.filled
            report.message(f"{one.person.name} is not seen in {share:.1f} % of the frames")
    others = [entry["name"] for entry in lifted.facts.get("others", ())]
    if others and job.person != ALL:
        report.message(f"{len(others)} more found ({', '.join(others[:8])}): --person all, or one of them")
    return {
        "outputs": outputs,
        "people": [
            {
                "name": one.person.name, "seen_seconds": round(float(one.person.seen.sum()) / clip.fps, 3),
                "quality": one.performance.quality.table(),
            }
            for one in done
        ],
        "others": list(lifted.facts.get("others", ())), "layout": lifted.facts.get("layout", ""),
        "reason": lifted.facts.get("reason", ""), "camera": done[0].camera,
        "frames": len(clip.times), "fps": clip.fps, "seconds": len(clip.times) / clip.fps,
    }  # fmt: skip


# --- time -------------------------------------------------------------------------------------------------------------


def at_rate(lifted: Lifted, fps: float) -> Lifted:
    """The people at the frames of a steady rate; where that is what they have, as they are.

    Args:
        fps: frames a second; 29.97 is 30000/1001.
    """
    rate = time_bases.exact_rate(fps)
    steady = time_bases.frame_times(len(lifted.times), fps)
    if np.allclose(lifted.times, steady, atol=0.02 / fps, rtol=0):
        return replace(lifted, fps=float(rate), times=steady)
    wanted = time_bases.covering(lifted.times, fps)
    return replace(lifted, people=tuple(_resampled(one, lifted.times, wanted) for one in lifted.people),
                   times=wanted, fps=float(rate))  # fmt: skip


def _resampled(person: Person, times: np.ndarray, wanted: np.ndarray) -> Person:
    """The person at other seconds (K,)."""
    kinds = {name: getattr(person, name) for name in lifted_npz.SHAPES}
    made = {name: scratch.empty((len(wanted), *array.shape[1:]), array.dtype) for name, array in kinds.items()}
    for rows in scratch.pieces(len(wanted)):
        low, high = time_bases.around(times, wanted[rows])
        part = Person(person.name, **{name: array[low:high] for name, array in kinds.items()})
        for name, array in _at(part, times[low:high], wanted[rows]).items():
            made[name][rows] = array
        scratch.give_back(*kinds.values(), *made.values())
    return Person(person.name, **made)


def _at(person: Person, times: np.ndarray, wanted: np.ndarray) -> dict[str, np.ndarray]:
    there = np.isfinite(person.keypoints).all(-1)
    share = time_bases.resample(times, there.astype(float), wanted)
    points = time_bases.resample(times, np.nan_to_num(person.keypoints), wanted) / np.maximum(share, 1e-9)[..., None]
    nearest = time_bases.resample_nearest(times, person.keypoints, wanted)
    points = np.where(share[..., None] > 1 - 1e-9, points, nearest)  # next to a gap: the nearest frame's
    confidence = np.where(np.isfinite(points).all(-1), time_bases.resample(times, person.confidence, wanted), 0.0)
    return {
        "keypoints": points, "confidence": confidence,
        "seen": time_bases.resample_nearest(times, person.seen, wanted),
        "scores": time_bases.resample(times, person.scores, wanted),
        "joints": time_bases.resample(times, person.joints, wanted),
    }  # fmt: skip


# --- cleaning ---------------------------------------------------------------------------------------------------------


def clean(job: Job, clip: Lifted, who: Performer, report: Report) -> list[Clean]:
    """Everybody on one ground, where the camera above the first one sees them."""
    known = job.camera_height is not None
    camera = cameras.from_field_of_view(
        (clip.width, clip.height), np.radians(job.field_of_view),
        height=_EYES if job.camera_height is None else job.camera_height,
        pitch=np.radians(job.camera_pitch) if known else 0.0,
    )  # fmt: skip
    settings = chain.Settings(
        strength=job.smoothing, calm=job.smoothing > 0, lock=job.foot_lock > 0, find_ground=not known
    )
    count = len(clip.people)
    rounds = 2 if count > 1 and not known else 1
    placed = [_placed(person, camera) for person in clip.people]

    def cleaned(number: int, seen_by: Camera, how: chain.Settings, done: int) -> Performance:
        person = clip.people[number]
        report.progress(done / (count * rounds), f"cleaning {person.name}")
        joints, precision = placed[number]
        return chain.clean(
            who.skeleton, joints, seen_by, clip.fps, confidence=person.trust, precision=precision,
            neck_shares=who.neck_shares, settings=how,
        )  # fmt: skip

    found = [cleaned(number, camera, settings, number) for number in range(count)]
    if rounds == 2:
        common = chain.common_cameras(found, camera)
        how = replace(settings, find_ground=False)
        found = [cleaned(number, common[number], how, count + number) for number in range(count)]
    start = np.zeros(3)
    if job.place == "origin":
        frame = int(np.flatnonzero(clip.people[0].seen)[0])
        start[[0, 2]] = -found[0].joints[frame, 0, [0, 2]]
    shifts = [start + beside(found[0], one) for one in found]
    return [
        Clean(person, one, _firm(one, job.foot_lock, shift), shift)
        for person, one, shift in zip(clip.people, found, shifts, strict=True)
    ]


def beside(first: Performance, other: Performance) -> np.ndarray:
    """(3,) metres along the ground that bring somebody to where the camera above ``first`` sees them stand.

    Every performance is the one scene in the size that makes its person as large as the character. The heights of the
    cameras tell these sizes; a body cannot follow them, but its place can: the middle of its way is right, its feet
    stay planted.
    """
    own, wanted = other.camera.height, first.camera.height
    if min(own, wanted) < _LOWEST:
        return np.zeros(3)
    middle = np.median(other.joints[other.seen, 0], axis=0)
    scratch.give_back(other.joints)
    return (wanted / own - 1) * middle * [1.0, 0.0, 1.0]


def _placed(person: Person, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Joints (F, 17, 3) in camera space, NaN where the person was not seen, and how sure their place is (F, 3, 3)."""
    frames = len(person.seen)
    trust, joints = scratch.empty((frames, 17)), scratch.empty((frames, 17, 3))
    for rows in scratch.pieces(frames):
        trust[rows] = np.where(person.seen[rows, None], person.confidence[rows], 0.0)
        scratch.give_back(trust, person.confidence)
    path = trajectory.root_path(camera, person.joints, person.keypoints, trust)
    # A picture that fits to a hundredth of a pixel is one without a detector's noise, but not without all errors.
    error = max(float(np.nanmedian(path.error)), 0.5)
    for rows in scratch.pieces(frames):
        there = path.seen[rows, None, None]
        joints[rows] = np.where(there, person.joints[rows] + path.positions[rows, None], np.nan)
        path.precision[rows] /= error**2
        scratch.give_back(person.joints, joints, path.precision)
    return joints, path.precision


def _firm(one: Performance, strength: float, shift: np.ndarray) -> Pose:
    """The pose between the one with free feet and the one with planted ones, moved by ``shift`` (3,)."""
    pose, free = one.pose, one.unlocked
    if not 0 < strength < 1:
        return Pose(pose.rotations, pose.root + shift)
    rotations = scratch.empty(pose.rotations.shape)
    for rows in scratch.pieces(len(rotations)):
        share = np.full(rotations[rows].shape[:-1], strength)
        rotations[rows] = turns.slerp(free.rotations[rows], pose.rotations[rows], share)
        scratch.give_back(free.rotations, pose.rotations, rotations)
    return Pose(rotations, free.root + strength * (pose.root - free.root) + shift)


# --- takes ------------------------------------------------------------------------------------------------------------


def take_of(job: Job, clip: Lifted, who: Performer, one: Clean) -> Take:
    """The take of one person: all joints, confidence 0 where nobody was seen, and an event for each such stretch."""
    frames = len(clip.times)
    hidden = one.performance.hidden
    events = tuple(
        Event("hidden", f"{one.person.name} not seen", start / clip.fps, stop / clip.fps)
        for start, stop in contacts.runs(hidden)
    )
    settings = job.model_dump(mode="json", exclude={"keypoints", "output", "footage", "weights", "detector", "device"})
    facts = {
        "person": one.person.name,
        "quality": one.performance.quality.table(),
        "camera": one.camera,
        **{name: clip.facts[name] for name in ("layout", "reason", "system") if name in clip.facts},
    }
    names = who.character.joint_names
    rotations = scratch.empty((frames, len(names), 4), np.float32)
    last = np.zeros((0, len(who.joints), 4))
    for rows in scratch.pieces(frames):
        moved = turns.normalise(one.pose.rotations[rows])
        moved = turns.continuous(np.concatenate([last, moved]))[len(last) :]
        rotations[rows] = turns.identity(1, len(names))
        rotations[rows, who.joints] = moved
        last = moved[-1:]
        scratch.give_back(one.pose.rotations, rotations)
    return Take(
        fps=clip.fps, curve_names=(), curves=np.zeros((frames, 0), np.float32), joint_names=names, rotations=rotations,
        root=one.pose.root.astype(np.float32), confidence=one.person.trust.astype(np.float32), events=events,
        character=who.reference, provenance=Provenance(__version__, "lift", {**settings, **facts}, clip.sources),
    )  # fmt: skip


def camera_facts(camera: Camera, shift: np.ndarray) -> dict[str, Any]:
    """The camera that reproduces the shot, for programs: metres, degrees, pixels; it looks along -Z."""
    return {
        "location": [round(float(value), 6) for value in (shift[0], camera.height, shift[2])],
        "pitch_degrees": round(float(np.degrees(camera.pitch)), 4),
        "roll_degrees": round(float(np.degrees(camera.roll)), 4),
        "field_of_view_degrees": round(float(np.degrees(cameras.field_of_view(camera))), 4),
        "size": list(camera.size),
    }


# --- files ------------------------------------------------------------------------------------------------------------


def _write(
    job: Job, lifted: Lifted, clip: Lifted, who: Performer, done: list[Clean], takes: list[Take], report: Report
) -> list[str]:
    from hyoid.verbs import outputs
    from hyoid.verbs.job import OutputOptions

    written: list[str] = []
    raw = [path for path in job.output if path.name.lower().endswith(lifted_npz.SUFFIX)]
    films = [path for path in job.output if path not in raw and format_of(path).suffix in _PICTURES]
    others = [path for path in job.output if path not in raw and path not in films]
    options = OutputOptions.model_validate({"keys": job.keys})
    parts = len(takes) * bool(others) + len(films)
    for path in raw:
        with part_file(path) as part:
            lifted_npz.write(part, lifted)
        written.append(str(path))
    for number, (one, take) in enumerate(zip(done, takes, strict=True)):
        if not others:
            break
        named = [named_for(path, one.person.name) if job.person == ALL else path for path in others]
        stage = report.stage(number / parts, (number + 1) / parts)
        written += outputs.export(who.character, take, named, stage, options=options)
    for number, path in enumerate(films, parts - len(films)):
        _draw(job, lifted, clip, who, done, path, report.stage(number / parts, (number + 1) / parts))
        written.append(str(path))
        outputs.write_sidecar(path, takes[0].provenance)
    return written


def named_for(path: Path, name: str) -> Path:
    """``walk.person_01.bvh`` for ``walk.bvh``."""
    suffix = format_of(path).suffix
    return path.with_name(f"{path.name[: -len(suffix)]}.{name}{path.name[-len(suffix) :]}")


def _draw(
    job: Job, lifted: Lifted, clip: Lifted, who: Performer, done: list[Clean], path: Path, report: Report
) -> None:
    """The film, or a still of its most telling moment: what was seen beside what was made of it."""
    from hyoid.media import lift_preview

    people, footage = [_shown(one, who.skeleton) for one in done], _footage(job, lifted, clip)
    size = clip.width, clip.height
    if footage is None:
        people, size = _cut_out(people, size)
    about: Mapping[str, Any] = {
        "width": size[0], "height": size[1], "title": job.keypoints.name, "footage": footage
    }  # fmt: skip
    if format_of(path).suffix == ".mp4":
        lift_preview.write_mp4(path, people, time_bases.exact_rate(clip.fps), report=report, **about)
    else:
        lift_preview.write_png(path, people, time_bases.exact_rate(clip.fps), **about)


def _shown(one: Clean, skeleton: Skeleton) -> lift_preview.Person:
    from hyoid.media import lift_preview

    joints = chain.joints_of(skeleton, one.pose)
    at_camera = cameras.to_camera(one.performance.camera, joints - one.shift)
    return lift_preview.Person(
        one.person.name, one.person.keypoints, one.person.confidence,
        cameras.project(one.performance.camera, at_camera), joints, foot_lock.soles(skeleton, one.pose),
        one.performance.standing, one.performance.hidden,
    )  # fmt: skip


def _cut_out(people: list[lift_preview.Person], size: tuple[int, int]) -> tuple[list[Any], tuple[int, int]]:
    """The people in the part of the picture that they ever fill, for without footage there is nothing else to see."""
    points = np.concatenate([person.keypoints.reshape(-1, 2) for person in people])
    low, high = np.nanmin(points, 0), np.nanmax(points, 0)
    margin = _MARGIN * float((high - low).max()) + 1
    low, high = np.maximum(low - margin, 0), np.minimum(high + margin, size)
    wide, tall = (int(np.ceil(side)) for side in np.maximum(high - low, 16))
    cut = [
        replace(
            person, keypoints=person.keypoints - low,
            reprojected=None if person.reprojected is None else person.reprojected - low,
        )
        for person in people
    ]  # fmt: skip
    return cut, (wide, tall)


def _footage(job: Job, lifted: Lifted, clip: Lifted) -> Iterator[np.ndarray] | None:
    """The picture of each frame of the result, the one that is nearest in time."""
    from hyoid.media import video
    from hyoid.media.footage import is_film

    film = job.footage or (job.keypoints if is_film(job.keypoints) else None)
    if film is None:
        return None
    nearest = time_bases.resample_nearest(lifted.times, np.arange(len(lifted.times)), clip.times).tolist()

    def pictures() -> Iterator[np.ndarray]:
        number, picture = -1, None
        film_pictures = video.read(film)
        for wanted in nearest:
            while number < wanted:
                following = next(film_pictures, None)
                if following is None:
                    return  # the preview holds the last one
                number, picture = number + 1, following
            assert picture is not None
            yield picture

    return pictures()
