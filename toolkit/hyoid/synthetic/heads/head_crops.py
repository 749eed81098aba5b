# SPDX-License-Identifier: Apache-2.0
"""Crops of heads with their directions: picture number i of a seed is always the same, however it is asked for."""

from __future__ import annotations

from functools import cache

import numpy as np

from hyoid.errors import UsageError
from hyoid.geometry import head_angles, rotations
from hyoid.geometry.head_angles import FLIP
from hyoid.synthetic.heads import hands, photograph, pose, styles
from hyoid.synthetic.heads.backgrounds import background
from hyoid.synthetic.heads.drawing import Drawn, Painter, Shown
from hyoid.synthetic.heads.person import Figure, figure
from hyoid.synthetic.heads.settings import Crops, Settings

SPACE = 1.885
"""Side of a crop over the size of its head: 1.45 times the crop that networks are evaluated on."""
_DEFAULTS = Settings()
_YAW = {
    "front": (0.0, head_angles.FRONT),
    "side": (head_angles.FRONT, head_angles.BACK),
    "back": (head_angles.BACK, 180.0),
}
"""Degrees to either side."""


def crops(seed: int, first: int, count: int, *, settings: Settings = _DEFAULTS) -> Crops:
    """Crops ``first`` to ``first + count`` of a seed; each depends on the seed, its number and the settings alone.

    Raises:
        UsageError: a negative number. MissingToolError: there is no OpenGL.
    """
    if seed < 0 or first < 0 or count < 0:
        raise UsageError(f"crops {first} to {first + count} of seed {seed}", expected="numbers from 0 up")
    made = [_crop(seed, number, settings) for number in range(first, first + count)]
    size = settings.size
    return Crops(
        np.array([crop[0] for crop in made], np.uint8).reshape(-1, size, size, 3),
        np.array([crop[1] for crop in made], np.float32).reshape(-1, 3, 3),
        np.array([crop[2] for crop in made], np.float32).reshape(-1, 4),
        np.array([crop[3] for crop in made], np.float32),
    )


@cache
def painter(width: int, height: int) -> Painter:
    """What draws pictures of a size; one for each size and process."""
    return Painter(width, height)


def _crop(seed: int, number: int, settings: Settings) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    random = np.random.default_rng([0xC0, seed, number])
    size = settings.size
    apparent = head_angles.matrices(_angles(random, settings, settings.region))
    look = styles.look(random, settings)
    head = apparent_to_person(random, apparent, look)
    # The middle of the picture may be off the axis of the camera, as in a cut from a wide picture.
    tilt = random.normal(0, 9, 2) if random.random() < 0.5 else np.zeros(2)
    ray = np.array([*np.tan(np.radians(tilt.clip(-25, 25))), 1.0])
    ray /= np.linalg.norm(ray)
    placed, bounds, focal, centre = _framed(random, head, head_angles.in_camera(apparent, ray), ray, size)
    shown = [placed]
    if random.random() < 0.2:
        shown.append(_neighbour(random, placed, settings))
    if random.random() < 0.07:
        shown.append(hands.hand(random, placed, 3))
    lit = photograph.lights(random, FLIP @ _upwards(placed), settings)
    drawn = painter(size, size).draw(shown, focal, centre, lit)
    back = background(random, size, size, settings)
    image = drawn.colour + (1 - drawn.cover[..., None]) * back
    hidden = np.zeros((size, size), bool)
    box = np.concatenate([bounds.min(0), bounds.max(0)])
    if random.random() < 0.14:
        hidden = photograph.in_front(random, image, box[None])
    visible = seen(placed, drawn, hidden, focal, centre)
    image = photograph.photograph(random, image, settings, size / SPACE)
    return image, apparent, box, visible


def _angles(random: np.random.Generator, settings: Settings, region: str | None = None) -> np.ndarray:
    """Pitch, yaw, roll in degrees, of heads seen from anywhere or a region; now and then far beyond what is usual."""
    wide = 2.2 if random.random() < 0.06 else 1.0
    pitch = float(np.clip(random.normal(0, settings.pitch * wide), -85, 85))
    yaw = random.uniform(-180, 180)
    if region is not None:
        low, high = _YAW[region]
        yaw = float(np.copysign(low + (high - low) * abs(yaw) / 180, yaw))
    return np.array([pitch, yaw, float(np.clip(random.normal(0, settings.roll * wide), -110, 110))])


def apparent_to_person(random: np.random.Generator, apparent: np.ndarray, look: styles.Look) -> Figure:
    """A figure whose head is turned against its trunk in a way that suits how the camera sees it."""
    pitch, _, roll = head_angles.angles(apparent)
    neck = (np.clip(0.5 * pitch + random.normal(0, 9), -38, 40), np.clip(random.normal(0, 24), -62, 62),
            np.clip(0.4 * roll + random.normal(0, 6), -28, 28))  # fmt: skip
    joints = pose.bust(random, pose.against_trunk(*neck), pose.hanging(random))
    return figure(look, joints, rotations.identity(), pose.expression(random))


def _framed(random: np.random.Generator, person: Figure, rotation: np.ndarray, ray: np.ndarray, size: int) -> tuple[
    Shown, np.ndarray, float, tuple[float, float]
]:  # fmt: skip
    """The person before a camera so that the middle of its head's box is the middle of the picture."""
    distance = float(np.exp(random.uniform(np.log(0.45), np.log(8.0)))) * max(person.size / 0.235, 0.8)
    turn = FLIP @ rotation @ FLIP @ person.head.T  # of the model, camera frame with y up
    shift = FLIP @ (ray * distance) - turn @ person.centre
    # The ray goes through the middle of the box: a few steps of moving the head there.
    for _ in range(3):
        points = (person.bounds @ turn.T + shift) @ FLIP
        flat = points[:, :2] / points[:, 2:]
        low, high = flat.min(0), flat.max(0)
        off = ray[:2] / ray[2] - (low + high) / 2
        shift = shift + FLIP @ np.array([*(off * distance * ray[2]), 0.0])
    points = (person.bounds @ turn.T + shift) @ FLIP
    flat = points[:, :2] / points[:, 2:]
    focal = size / SPACE / float((flat.max(0) - flat.min(0)).mean())
    middle = ray[:2] / ray[2] * focal
    centre = (size / 2 - middle[0], size / 2 - middle[1])
    return Shown(person, turn, shift, 1), flat * focal + centre, focal, centre


def _upwards(placed: Shown) -> np.ndarray:
    """Up in the world, as the trunk has it, leaning towards the camera's up; camera axes."""
    up = 0.5 * placed.rotation @ [0.0, 1.0, 0.0] + [0.0, 0.6, 0.0]
    return FLIP @ (up / np.linalg.norm(up))


def _neighbour(random: np.random.Generator, placed: Shown, settings: Settings) -> Shown:
    """Another person, mostly behind or beside, sometimes in front."""
    look = styles.look(random, settings)
    apparent = head_angles.matrices(_angles(random, settings))
    other = apparent_to_person(random, apparent, look)
    turn = FLIP @ apparent @ FLIP @ other.head.T
    middle = placed.rotation @ placed.figure.centre + placed.shift
    side = random.choice([-1.0, 1.0]) * random.uniform(0.8, 1.6) * 0.23
    depth = (
        random.uniform(0.1, 1.2) if random.random() < 0.75 else -random.uniform(0.0, 0.25) * min(1.0, float(-middle[2]))
    )
    away = np.array([side, random.uniform(-0.25, 0.12), 0.0]) * (middle[2] - depth) / middle[2]
    shift = middle * (middle[2] - depth) / middle[2] + away - turn @ other.centre
    return Shown(other, turn, shift, 2)


def seen(one: Shown, drawn: Drawn, hidden: np.ndarray, focal: float, centre: tuple[float, float]) -> float:
    """Share of the near side of a head that is in the picture and not behind something else."""
    points = one.figure.near @ one.rotation.T + one.shift
    facing = ((one.figure.out @ one.rotation.T) * -points).sum(1) > 0
    points = points[facing] @ FLIP
    if not len(points):
        return 0.0
    pixels = np.floor(points[:, :2] / points[:, 2:] * focal + centre).astype(int)
    height, width = drawn.number.shape
    inside = ((pixels >= 0) & (pixels < [width, height])).all(1)
    x, y = pixels[inside].T
    return float((((drawn.number[y, x] == one.number) | (drawn.number[y, x] == 0)) & ~hidden[y, x]).sum() / len(points))
