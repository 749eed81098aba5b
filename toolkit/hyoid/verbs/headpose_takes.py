# SPDX-License-Identifier: Apache-2.0
"""From one person's head over time to a take: the neck turns joint by joint, the body stands where the head was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hyoid import __version__
from hyoid.characters import head_motion
from hyoid.characters.character import Character
from hyoid.geometry import head_angles
from hyoid.geometry import rotations as turns
from hyoid.geometry.registration import Similarity
from hyoid.geometry.rigid import Rigid
from hyoid.motion import contacts, head_smoothing, time_bases
from hyoid.motion.heads import Heads, HeadShot
from hyoid.take import CharacterReference, Event, Provenance, Take
from hyoid.verbs.headpose import Job

STILL_FPS = 30.0
_COMFORT = 45.0  # degrees that a head turns before the body turns with it
_BODY_CUTOFF = 0.3  # hertz


@dataclass(frozen=True)
class Performer:
    """Who performs: the character, how it was asked for, and the middle of its head at rest (3,), metres."""

    character: Character
    reference: CharacterReference
    middle: np.ndarray


def middle_of(character: Character) -> np.ndarray:
    """The middle (3,) of the box around what the skull moves, metres.

    Raises:
        InputError: the character has another neck.
    """
    joint = character.joint(head_motion.SKULL)
    below = {joint}
    for number, parent in enumerate(character.parents.tolist()):
        if parent in below:
            below.add(number)
    weights = np.where(np.isin(character.weight_joints, list(below)), character.weights, 0).sum(1)
    points = character.vertices[weights > 0.5]
    if not len(points):
        return character.heads[joint].astype(np.float64)
    return (points.min(0).astype(np.float64) + points.max(0)) / 2


def take_of(job: Job, shot: HeadShot, who: Performer, person: Heads, name: str) -> Take:
    """The take of one person who is in every frame from the first to the last that was seen.

    Frames in which the head was not seen have confidence 0, and each stretch of them an event ``hidden``.

    Args:
        person: one person's rows, from ``head_tracks.completed``, or one row of a picture.
    """
    fps, times, there = _times(job, shot, person)
    rotation = head_smoothing.between(there, turns.continuous(turns.from_matrix(person.rotations)), times)
    rotation = head_angles.FLIP @ turns.to_matrix(turns.normalise(rotation)) @ head_angles.FLIP
    places = places_of(job, shot, person, there)
    place = np.stack([np.interp(times, there, column) for column in places.T], -1)
    sure = person.seen if job.hide_unsure is None else person.seen & ~(person.entropy > job.hide_unsure)
    inside = (times >= there[0] - 0.5 / fps) & (times <= there[-1] + 0.5 / fps)
    seen = inside & time_bases.resample_nearest(there, sure, times)
    confidence = np.where(seen, np.interp(times, there, person.confidence), 0.0)
    shift = np.zeros(3)
    middle = place + np.array([0.0, who.middle[1], 0.0])
    if job.place == "origin":
        shift[[0, 2]] = who.middle[[0, 2]] - middle[0, [0, 2]]
    settings = job.model_dump(
        mode="json", exclude={"footage", "output", "weights", "detector_weights", "boxes", "device"}
    )
    facts = {"person": name, "camera": camera_facts(shot, who, shift), **shot.facts}
    provenance = Provenance(__version__, "headpose", {**settings, **facts}, shot.sources)
    take = _performed(who, rotation, middle + shift, times, fps, confidence, provenance)
    events = tuple(
        Event("hidden", f"{name} not seen", start / fps, stop / fps) for start, stop in contacts.runs(confidence <= 0)
    )
    return replace(take, events=events)


def _times(job: Job, shot: HeadShot, person: Heads) -> tuple[float, np.ndarray, np.ndarray]:
    """Frames a second, seconds of the take's frames, and seconds of the person's rows."""
    if shot.fps is None:
        return float(job.fps or STILL_FPS), np.zeros(1), np.zeros(len(person))
    clock = np.array([picture.time for picture in shot.pictures], np.float64)
    fps = float(time_bases.exact_rate(job.fps or shot.fps))
    steady = time_bases.frame_times(len(clock), fps)
    if not np.allclose(clock, steady, atol=0.02 / fps, rtol=0):
        steady = time_bases.covering(clock, fps)
    return fps, steady, clock[person.picture]


def places_of(job: Job, shot: HeadShot, person: Heads, times: np.ndarray) -> np.ndarray:
    """Middles of a head (n, 3) metres, camera at the origin, x right, y up, looking along -z.

    The larger side of a box is as long as a head is high; how far away that is changes slowly.
    """
    centre = (person.boxes[:, :2] + person.boxes[:, 2:]) / 2
    larger = np.maximum((person.boxes[:, 2:] - person.boxes[:, :2]).max(1), 1e-3)
    found = []
    for row, number in enumerate(person.picture.tolist()):
        picture = shot.pictures[number]
        if not picture.width:  # a frame that could not be read, between two that could
            picture = next(other for other in shot.pictures if other.width)
        focal = head_angles.focal_length(picture.width, picture.height, shot.field_of_view)
        away = focal * job.head_height / larger[row]
        ray = (centre[row] - np.array([picture.width, picture.height]) / 2) / focal
        found.append([ray[0], -ray[1], np.log(away)])
    values = np.array(found)
    values[:, 2:] = head_smoothing.smooth_values(
        values[:, 2:], times, np.maximum(person.confidence, 1e-3), head_smoothing.DEPTH_CUTOFF, strength=job.smoothing
    )
    away = np.exp(values[:, 2])
    return np.stack([values[:, 0] * away, values[:, 1] * away, -away], -1)


def _performed(
    who: Performer, rotation: np.ndarray, middle: np.ndarray, times: np.ndarray, fps: float, confidence: np.ndarray,
    provenance: Provenance,
) -> Take:  # fmt: skip
    """The take whose skull has the rotations (F, 3, 3) about its middle (F, 3): the body turns only when it has to."""
    body = turns.about((0.0, 1.0, 0.0), body_turn(rotation, times))
    back = turns.to_matrix(turns.inverse(body))
    skull = back @ rotation
    moved = (back @ middle[..., None])[..., 0] - skull @ who.middle
    take = head_motion.to_take(
        Rigid(skull, moved), Similarity(1.0, np.eye(3), np.zeros(3)), fps, who.character, who.reference,
        confidence=confidence, provenance=provenance,
    )  # fmt: skip
    rotations = take.rotations.astype(np.float64)
    rotations[:, 0] = turns.multiply(body, rotations[:, 0])
    joint = who.character.joint(take.joint_names[0])
    rest = who.character.heads[joint].astype(np.float64)
    root = turns.rotate(body, take.root + rest) - rest
    rotations = turns.continuous(turns.normalise(rotations))
    return replace(take, rotations=rotations.astype(np.float32), root=root.astype(np.float32))


def body_turn(rotation: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Radians (F,) that the body turns about the vertical: slowly, and only by what is more than a neck likes."""
    nose = rotation[:, :, 2]
    heading = np.unwrap(np.arctan2(nose[:, 0], nose[:, 2]))
    heading -= 2 * np.pi * np.round(np.median(heading) / (2 * np.pi))
    level = np.hypot(nose[:, 0], nose[:, 2])  # straight up or down there is no heading
    limit = np.radians(_COMFORT)
    over = heading - np.clip(heading, -limit, limit)
    return head_smoothing.smooth_values(over[:, None], times, np.maximum(level, 1e-3), _BODY_CUTOFF)[:, 0]


def camera_facts(shot: HeadShot, who: Performer, shift: np.ndarray) -> dict[str, Any]:
    """The camera that reproduces the shot, for programs: metres, degrees, pixels; it looks along -Z."""
    picture = next(picture for picture in shot.pictures if picture.width)
    return {
        "location": [round(float(value), 6) for value in (shift[0], who.middle[1], shift[2])],
        "pitch_degrees": 0.0, "roll_degrees": 0.0, "field_of_view_degrees": shot.field_of_view,
        "size": [picture.width, picture.height],
    }  # fmt: skip
