# SPDX-License-Identifier: Apache-2.0
"""Moving people whose every joint and every standing foot is known: made up, or from packed motion capture.

F frames, 17 joints of Human3.6M, metres, +Y up, the ground is y = 0.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from hyoid.errors import InputError
from hyoid.formats.npz import read_npz
from hyoid.geometry import rotations
from hyoid.motion.skeletons import Skeleton

THIGH, SHIN, ANKLE = 0.44, 0.44, 0.08  # metres; the ankle's height above the sole
GRAVITY = 9.81
_SMPL_ROLES = {
    "hips": (0,), "spine": (3, 6, 9), "neck": (12, 15),
    "thigh.L": (1,), "shin.L": (4,), "foot.L": (7,), "toe.L": (10,), "thigh.R": (2,), "shin.R": (5,), "foot.R": (8,),
    "toe.R": (11,), "collar.L": (13,), "arm.L": (16,), "forearm.L": (18,), "hand.L": (20,), "collar.R": (14,),
    "arm.R": (17,), "forearm.R": (19,), "hand.R": (21,),
}  # fmt: skip
_SMPL_PARENTS = np.array([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19])


@dataclass(frozen=True)
class Truth:
    """A clip in the world.

    Attributes:
        joints: (F, 17, 3) metres, on the ground y = 0. standing: (F, 2) bool, left foot first. still: nothing moves.
    """

    skeleton: Skeleton
    joints: np.ndarray
    standing: np.ndarray
    fps: float
    still: bool = False


def skeleton(toes: bool = True) -> Skeleton:
    """22 joints in a T pose whose legs are those of :func:`walk`, standing on y = 0."""
    hip = ANKLE + THIGH + SHIN
    left = {
        1: (0.09, hip, 0), 4: (0.09, ANKLE + SHIN, 0), 7: (0.09, ANKLE, 0), 10: (0.09, 0.02, 0.13),
        13: (0.06, hip + 0.42, 0), 16: (0.18, hip + 0.44, 0), 18: (0.46, hip + 0.44, 0), 20: (0.71, hip + 0.44, 0),
    }  # fmt: skip
    rest = np.zeros((22, 3))
    for joint, place in left.items():
        rest[joint] = place
        rest[joint + 1] = np.array(place) * [-1, 1, 1]
    for joint, up in {0: 0.0, 3: 0.1, 6: 0.22, 9: 0.35, 12: 0.48, 15: 0.58}.items():
        rest[joint] = (0, hip + up, 0)
    names = tuple(f"joint{n:02d}" for n in range(22))
    return Skeleton(names, _SMPL_PARENTS, rest, {k: v for k, v in _SMPL_ROLES.items() if toes or "toe" not in k})


def _knee(hip: np.ndarray, ankle: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The knee between hip and ankle, to the front."""
    away = ankle - hip
    reach = np.linalg.norm(away, axis=-1, keepdims=True)
    assert (reach < THIGH + SHIN).all()
    along = away / reach
    out = ahead - (ahead * along).sum(-1, keepdims=True) * along
    out /= np.linalg.norm(out, axis=-1, keepdims=True)
    half = (THIGH**2 + reach**2 - SHIN**2) / (2 * reach)
    return hip + half * along + np.sqrt(np.maximum(THIGH**2 - half**2, 0)) * out


def _body(pelvis: np.ndarray, ankles: np.ndarray, yaw: np.ndarray, swing: np.ndarray) -> np.ndarray:
    """Joints (F, 17, 3) of pelvis (F, 3), ankles (F, 2, 3) left first, heading (F,) and the arms' swing (F,)."""
    frames = len(pelvis)
    turn = rotations.about((0.0, 1.0, 0.0), yaw)

    def at(x: float, y: float, z: float | np.ndarray) -> np.ndarray:
        local = np.stack(np.broadcast_arrays(np.full(frames, x), np.full(frames, y), z), -1)
        return pelvis + rotations.rotate(turn, local)

    ahead = rotations.rotate(turn, np.array([0.0, 0.0, 1.0]))
    joints = np.empty((frames, 17, 3))
    joints[:, 0] = pelvis
    for side, start, x in ((1, 1, -0.09), (0, 4, 0.09)):
        joints[:, start] = at(x, 0, 0)
        joints[:, start + 1] = _knee(joints[:, start], ankles[:, side], ahead)
        joints[:, start + 2] = ankles[:, side]
    joints[:, 7], joints[:, 8] = at(0, 0.16, 0), at(0, 0.48, 0)
    joints[:, 9], joints[:, 10] = at(0, 0.58, 0), at(0, 0.70, 0)
    for sign, start in ((1, 11), (-1, 14)):
        angle = sign * swing
        joints[:, start] = at(sign * 0.18, 0.44, 0)
        joints[:, start + 1] = _at_angle(at, sign, angle)
        joints[:, start + 2] = joints[:, start + 1] + rotations.rotate(
            turn, np.stack([np.zeros(frames), -0.25 * np.cos(angle + 0.6), 0.25 * np.sin(angle + 0.6)], -1)
        )
    return joints


def _at_angle(at, sign: int, angle: np.ndarray) -> np.ndarray:
    shoulder = at(sign * 0.18, 0.44, 0)
    down = at(sign * 0.18, 0.44 - 0.28, 0) - shoulder
    front = at(sign * 0.18, 0.44, 0.28) - shoulder
    return shoulder + np.cos(angle)[:, None] * down + np.sin(angle)[:, None] * front


def walk(seconds: float = 6.0, fps: float = 30.0, speed: float = 1.0, heading: float = 0.0, turn: float = 0.0) -> Truth:
    """A walk from the origin: each foot stands for 0.6 of a cycle in one place and swings for the rest.

    Args:
        speed: metres a second. heading: radians, 0 looks along +Z. turn: radians to the left for each metre.
    """
    times = np.arange(round(seconds * fps)) / fps
    cycle, stance = 1.05, 0.6
    ankles, standing = np.empty((len(times), 2, 3)), np.empty((len(times), 2), bool)
    for side in (0, 1):
        phase = times / cycle + 0.5 * side
        number, part = np.floor(phase), phase % 1.0
        standing[:, side] = part < stance
        step = np.clip((part - stance) / (1 - stance), 0, 1)
        smooth = step**3 * (10 - 15 * step + 6 * step**2)
        # In the middle of its stance the foot is below the hips.
        planted = (number - 0.5 * side + stance / 2) * cycle * speed
        ankles[:, side, 0] = 0.09 if side == 0 else -0.09
        ankles[:, side, 1] = ANKLE + 0.14 * np.sin(np.pi * step) ** 2
        ankles[:, side, 2] = planted + smooth * cycle * speed
    pelvis = np.stack([
        0.02 * np.sin(2 * np.pi * times / cycle), 0.87 + 0.015 * np.cos(4 * np.pi * times / cycle), speed * times,
    ], -1)  # fmt: skip
    swing = 0.4 * np.sin(2 * np.pi * times / cycle)
    joints = _body(_bent(pelvis, turn), _bent(ankles, turn), turn * speed * times, swing)
    turned = rotations.about((0.0, 1.0, 0.0), np.array(heading))
    return Truth(skeleton(), rotations.rotate(turned, joints), standing, fps)


def _bent(points: np.ndarray, turn: float) -> np.ndarray:
    """Points (..., 3) beside a way along +Z where they are when the way turns to the left."""
    if turn == 0:
        return points
    angle, beside = turn * points[..., 2], points[..., 0]
    ahead, across = np.sin(angle) / turn - beside * np.sin(angle), (1 - np.cos(angle)) / turn + beside * np.cos(angle)
    return np.stack([across, points[..., 1], ahead], -1)


def still(seconds: float = 8.0, fps: float = 30.0) -> Truth:
    """Somebody who stands."""
    frames = round(seconds * fps)
    pelvis = np.tile([0.0, 0.9, 0.0], (frames, 1))
    ankles = np.tile([[0.1, ANKLE, 0.03], [-0.1, ANKLE, -0.03]], (frames, 1, 1))
    zeros = np.zeros(frames)
    return Truth(skeleton(), _body(pelvis, ankles, zeros, zeros), np.ones((frames, 2), bool), fps, still=True)


def jump(height: float = 0.4, fps: float = 30.0) -> Truth:
    """Standing, squatting, a jump on the spot whose pelvis rises by ``height`` above standing, and landing."""
    takeoff = np.sqrt(2 * GRAVITY * height)
    flight = 2 * takeoff / GRAVITY
    stand, squat, push = 1.0, 0.5, 0.2
    times = np.arange(round((2 * stand + 2 * squat + 2 * push + flight) * fps)) / fps
    mid = times[-1] / 2
    t = np.abs(times - mid)  # symmetric: landing is the take-off backwards
    up = 0.92
    low = up - takeoff * push / 2
    pelvis = np.full(len(times), up)
    fly = t <= flight / 2
    pelvis[fly] = up + height - 0.5 * GRAVITY * t[fly] ** 2
    push_part = (t > flight / 2) & (t <= flight / 2 + push)
    s = (t[push_part] - flight / 2) / push  # 0 at take-off, 1 at the bottom
    pelvis[push_part] = up - takeoff * push * (s - s**2 / 2)
    squat_part = (t > flight / 2 + push) & (t <= flight / 2 + push + squat)
    s = (t[squat_part] - flight / 2 - push) / squat
    pelvis[squat_part] = low + (up - low) * (3 * s**2 - 2 * s**3)
    lift = np.where(fly, np.maximum(pelvis - up, 0), 0)
    ankles = np.zeros((len(times), 2, 3))
    ankles[:, :, 0] = [0.1, -0.1]
    ankles[:, :, 1] = ANKLE + lift[:, None]
    place = np.stack([np.zeros(len(times)), pelvis, np.zeros(len(times))], -1)
    zeros = np.zeros(len(times))
    return Truth(skeleton(), _body(place, ankles, zeros, zeros), np.repeat(~fly[:, None], 2, 1), fps)


def sit(seconds: float = 10.0, fps: float = 30.0) -> Truth:
    """Somebody who stands, sits down on a chair, and gets up again."""
    times = np.arange(round(seconds * fps)) / fps
    share = np.interp(times / seconds, [0.2, 0.32, 0.65, 0.77], [0.0, 1.0, 1.0, 0.0])
    down = share * share * (3 - 2 * share)
    zeros = np.zeros(len(times))
    pelvis = np.stack([zeros, 0.9 - 0.4 * down, -0.38 * down], -1)
    ankles = np.tile([[0.1, ANKLE, 0.0], [-0.1, ANKLE, 0.0]], (len(times), 1, 1))
    return Truth(skeleton(), _body(pelvis, ankles, zeros, 0.5 * down), np.ones((len(times), 2), bool), fps)


def recorded(folder: Path, name: str) -> Truth:
    """A clip of a packed folder (:mod:`hyoid.synthetic.motion_clips`) by its name, on the ground.

    Raises:
        InputError: the folder lacks a file or has no clip of this name.
    """
    names, data = _packed(Path(folder))
    if name not in names:
        raise InputError(f"has no clip '{name}'", path=folder, expected=f"one of {len(names)} clips such as {names[0]}")
    clip = names.index(name)
    rows = slice(data["start"][clip], data["start"][clip + 1])
    quaternions = rotations.normalise(data["quat"][rows].astype(float))
    offsets, parents = data["offsets"][clip].astype(float), data["parents"]
    places, world, rest = np.empty((*quaternions.shape[:2], 3)), quaternions.copy(), np.zeros((22, 3))
    places[:, 0] = data["root"][rows]
    for joint in range(1, 22):
        parent = parents[joint]
        world[:, joint] = rotations.multiply(world[:, parent], quaternions[:, joint])
        places[:, joint] = places[:, parent] + rotations.rotate(world[:, parent], offsets[joint])
        rest[joint] = rest[parent] + offsets[joint]
    ground = np.quantile(places[:, [10, 11], 1], 0.05) - 0.02
    places[..., 1] -= ground
    rest[:, 1] -= rest[[10, 11], 1].min() - 0.02
    names = tuple(str(name) for name in data["joints"])
    # A foot of which neither ankle nor toes move stands.
    feet = places[:, [7, 8]]
    speed = np.linalg.norm(np.gradient(feet, axis=0), axis=-1) * 30
    toes = np.linalg.norm(np.gradient(places[:, [10, 11]], axis=0), axis=-1) * 30
    low = np.quantile(feet[..., 1], 0.1)
    standing = (speed < 0.4) & (toes < 0.4) & (feet[..., 1] < low + 0.06)
    return Truth(Skeleton(names, parents, rest, _SMPL_ROLES), seventeen(places), standing, 30.0)


@lru_cache(maxsize=1)
def _packed(folder: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    data = read_npz(folder / "motion.npz")
    with open(folder / "index.csv", encoding="utf-8", newline="") as stream:
        return [row["name"] for row in csv.DictReader(stream)], data


def seventeen(places: np.ndarray) -> np.ndarray:
    """Joints (F, 17, 3) of the 22 places (F, 22, 3) of a body."""
    result = places[:, [0, 2, 5, 8, 1, 4, 7, 6, 12, 15, 15, 16, 18, 20, 17, 19, 21]].copy()
    result[:, 0] = places[:, 1:3].mean(1)
    result[:, 7] = places[:, [3, 6]].mean(1)
    up = places[:, 15] - places[:, 12]
    result[:, 10] += 0.12 * up / np.linalg.norm(up, axis=-1, keepdims=True)
    return result


def landmarks(of: Skeleton) -> np.ndarray:
    """(17, 3) where those joints are at rest."""
    return seventeen(of.rest[None])[0]
