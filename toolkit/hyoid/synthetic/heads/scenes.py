# SPDX-License-Identifier: Apache-2.0
"""Whole pictures with several people and all that is true of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hyoid.errors import UsageError
from hyoid.geometry import head_angles, rotations
from hyoid.geometry.head_angles import FLIP
from hyoid.synthetic.heads import bank, bodies, photograph, pose, styles
from hyoid.synthetic.heads.backgrounds import background
from hyoid.synthetic.heads.drawing import Shown
from hyoid.synthetic.heads.head_crops import painter, seen
from hyoid.synthetic.heads.person import LANDMARKS, Figure, figure
from hyoid.synthetic.heads.settings import Camera, Scene, Settings

_DEFAULTS = Settings()
_HEAD = 0.22  # metres, mean of the sides of a head's box
_MOST_OVERLAP = 0.45
_TRIES = 12
_PATIENCE = 40
_LARGEST = 0.62  # side of a head over the smaller side of the picture
_NEAREST = 0.5  # distance of anything of a person over that of its head


@dataclass(frozen=True)
class _View:
    """A camera above the floor: its height in metres and its rotation (3, 3), world to camera frame with y up."""

    camera: Camera
    height: float
    turn: np.ndarray


def scene(seed: int, number: int, *, settings: Settings = _DEFAULTS) -> Scene:
    """Picture ``number`` of a seed: people who stand, walk, sit; it depends on the seed, the number and the settings.

    Raises:
        UsageError: a negative number. InputError: ``settings.motion`` holds no packed motion. MissingToolError:
            there is
            no OpenGL.
    """
    if seed < 0 or number < 0:
        raise UsageError(f"scene {number} of seed {seed}", expected="numbers from 0 up")
    random = np.random.default_rng([0x5C, seed, number])
    view = _view(random, settings)
    shown = _people(random, view, settings)
    camera = view.camera
    lit = photograph.lights(random, view.turn @ [0.0, 1.0, 0.0], settings)
    drawn = painter(camera.width, camera.height).draw(shown, camera.focal, camera.centre, lit, depth=True)
    assert drawn.depth is not None
    image = drawn.colour + (1 - drawn.cover[..., None]) * background(random, camera.width, camera.height, settings)
    boxes = np.array([_box(one, camera) for one in shown])
    hidden = np.zeros((camera.height, camera.width), bool)
    behind = random.random(len(boxes)) < 0.1
    if behind.any():
        hidden = photograph.in_front(random, image, boxes[behind])
    typical = float(np.median(boxes[:, 2:] - boxes[:, :2]))
    image = photograph.photograph(random, image, settings, max(typical, 60.0))
    marks = np.stack([_in_camera(one, one.figure.landmarks) for one in shown])
    heads = np.stack([FLIP @ one.rotation @ one.figure.head @ FLIP for one in shown])
    rays = head_angles.rays((boxes[:, :2] + boxes[:, 2:]) / 2, camera.focal, camera.centre)
    return Scene(
        image, boxes.astype(np.float32), heads.astype(np.float32), head_angles.apparent(heads, rays).astype(np.float32),
        np.array([seen(one, drawn, hidden, camera.focal, camera.centre) for one in shown], np.float32),
        camera.project(marks).astype(np.float32), marks.astype(np.float32), LANDMARKS,
        np.stack([_in_camera(one, one.figure.joints) for one in shown]).astype(np.float32), bank.joint_names(),
        np.where(hidden, np.float32(0), drawn.depth), np.where(hidden, -1, drawn.number.astype(np.int16) -
        1).astype(np.int16),
        camera,
    )  # fmt: skip


def _in_camera(one: Shown, points: np.ndarray) -> np.ndarray:
    return (points @ one.rotation.T + one.shift) @ FLIP


def _box(one: Shown, camera: Camera) -> np.ndarray:
    pixels = camera.project(_in_camera(one, one.figure.bounds))
    return np.concatenate([pixels.min(0), pixels.max(0)])


def _view(random: np.random.Generator, settings: Settings) -> _View:
    width, height = settings.width, settings.height
    wide = (30, 75) if settings.domain == "usual" else (55, 100)
    focal = head_angles.focal_length(width, height, float(random.uniform(*wide)))
    down = float(np.clip(random.normal(6, 10), -15, 40))
    tilt = float(random.normal(0, 2.5))
    quaternion = rotations.multiply(
        rotations.from_rotation_vector(np.radians([0.0, 0, tilt])),
        rotations.from_rotation_vector(np.radians([down, 0.0, 0])),
    )
    camera = Camera(width, height, focal, (width / 2, height / 2))
    above = float(np.clip(random.normal(1.5, 0.35), 0.4, 3.5) + 0.035 * max(down - 8, 0))
    return _View(camera, above, rotations.to_matrix(quaternion))


def _people(random: np.random.Generator, view: _View, settings: Settings) -> list[Shown]:
    """People in the picture, nearest first, whose heads do not hide each other much."""
    most = random.integers(settings.people[0], settings.people[1] + 1)
    largest = max(min(settings.heads[1], _LARGEST * min(settings.width, settings.height)), settings.heads[0])
    low, high = np.log(settings.heads[0]), np.log(largest)
    middle, spread = random.uniform(low, high), random.uniform(0.1, 0.6)
    room = settings.width * settings.height / (6 * float(np.exp(middle)) ** 2)
    most = max(settings.people[0], min(int(most), int(room)))
    found: list[Shown] = []
    boxes: list[np.ndarray] = []
    for attempt in range(3 * most + _PATIENCE):
        if len(found) == most or (found and attempt >= 3 * most):
            break
        size = float(np.exp(np.clip(random.normal(middle, spread), low, high)))
        # What comes much nearer to the camera than the head would fill the picture; at the very end that is taken too.
        nearest = _NEAREST if attempt < 3 * most + _PATIENCE - 1 else -np.inf
        one = _placed(random, view, settings, size, boxes, nearest)
        if one is not None:
            found.append(one)
            boxes.append(_box(one, view.camera))
    depth = [-float((one.rotation @ one.figure.centre + one.shift)[2]) for one in found]
    order = np.argsort(depth, kind="stable").tolist()
    return [replace(found[index], number=place + 1) for place, index in enumerate(order)]


def _placed(
    random: np.random.Generator, view: _View, settings: Settings, size: float, boxes: list[np.ndarray], nearest: float
) -> Shown | None:
    """A person with a head of ``size`` pixels, on the floor if its head is then in the picture, where there is room."""
    camera = view.camera
    turned = rotations.from_rotation_vector(np.array([0.0, random.uniform(-np.pi, np.pi), 0.0]))
    person = _figure(random, settings, turned)
    distance = camera.focal * _HEAD * (person.size / 0.235) / size
    lowest = float(person.joints[:, 1].min()) - 0.03
    lying = (
        rotations.to_matrix(rotations.from_rotation_vector(random.normal(0, 0.7, 3)))
        if random.random() < 0.06
        else np.eye(3)
    )
    turn = view.turn @ lying
    margin = max(0.05 * camera.width, 0.25 * size)
    for attempt in range(_TRIES):
        x = random.uniform(margin, camera.width - margin)
        # Where the head is if the feet are on the floor; else anywhere.
        over = view.turn.T @ np.array([(x - camera.centre[0]) / camera.focal, 0, -1.0]) * distance
        over[1] = (person.centre[1] - lowest) - view.height
        at = view.turn @ over
        at = at * (distance / -at[2]) if at[2] < -0.2 else np.array([0.0, 0, -distance])
        y = camera.centre[1] - camera.focal * at[1] / -at[2]
        if attempt > 7 or not 0.05 * camera.height < y < 0.8 * camera.height or settings.domain == "shifted":
            y = random.uniform(0.1, 0.75) * camera.height
        at = distance * np.array([(x - camera.centre[0]) / camera.focal, -(y - camera.centre[1]) / camera.focal, -1.0])
        one = Shown(person, turn, at - turn @ person.centre, 1)
        if -(person.vertices[:, :3] @ turn.T + one.shift)[:, 2].max() < nearest * distance:
            continue
        box = _box(one, camera)
        if all(_overlap(box, other) < _MOST_OVERLAP for other in boxes):
            return one
    return None


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Share of the smaller box that the other covers."""
    inner = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    areas = [float(np.prod(box[2:] - box[:2])) for box in (first, second)]
    return float(np.prod(inner.clip(0))) / max(min(areas), 1e-9)


def _figure(random: np.random.Generator, settings: Settings, turned: np.ndarray) -> Figure:
    look = styles.look(random, settings)
    body = bodies.built_in(random)
    if settings.motion is not None and random.random() < 0.7:
        body = bodies.captured(random, settings.motion, settings.held_out)
    neck = (
        np.clip(random.normal(-4, 16), -45, 42),
        np.clip(random.normal(0, 26), -68, 68),
        np.clip(random.normal(0, 9), -30, 30),
    )
    arms = pose.bust(random, pose.against_trunk(*neck), (0.0, 0.0))
    joints = {name: value for name, value in arms.items() if not name.startswith(("upperarm", "clavicle"))} | body
    return figure(look, joints, turned, pose.expression(random), full=True)
