# SPDX-License-Identifier: Apache-2.0
"""People with known truth for tests: a skeleton, a walk, a jump, recorded walks, the noise of networks."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hyoid.geometry import rotations
from hyoid.motion import cameras
from hyoid.motion.cameras import Camera
from hyoid.motion.skeletons import Skeleton
from scipy.spatial.transform import Rotation

MOCAP = Path(os.environ.get("HYOID_MOCAP", Path(__file__).resolve().parents[3] / "shared" / "data" / "mocap"))
THIGH, SHIN, ANKLE = 0.44, 0.44, 0.08  # metres; the ankle's height above the sole
_SMPL_ROLES = {
    "hips": (0,), "spine": (3, 6, 9), "neck": (12, 15),
    "thigh.L": (1,), "shin.L": (4,), "foot.L": (7,), "toe.L": (10,), "thigh.R": (2,), "shin.R": (5,), "foot.R": (8,),
    "toe.R": (11,), "collar.L": (13,), "arm.L": (16,), "forearm.L": (18,), "hand.L": (20,), "collar.R": (14,),
    "arm.R": (17,), "forearm.R": (19,), "hand.R": (21,),
}  # fmt: skip
_SMPL_PARENTS = np.array([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19])


@dataclass(frozen=True)
class Truth:
    """A clip in the world: joints (F, 17, 3) metres on the ground y = 0, standing feet (F, 2), left first."""

    skeleton: Skeleton
    joints: np.ndarray
    standing: np.ndarray
    fps: float


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


def walk(seconds: float = 6.0, fps: float = 30.0, speed: float = 1.0, heading: float = 0.0) -> Truth:
    """A straight walk: each foot stands for 0.6 of a cycle in one place and swings for the rest."""
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
    joints = _body(pelvis, ankles, np.zeros(len(times)), 0.4 * np.sin(2 * np.pi * times / cycle))
    turn = rotations.about((0.0, 1.0, 0.0), np.array(heading))
    return Truth(skeleton(), rotations.rotate(turn, joints), standing, fps)


def still(seconds: float = 8.0, fps: float = 30.0) -> Truth:
    """Somebody who stands."""
    frames = round(seconds * fps)
    pelvis = np.tile([0.0, 0.9, 0.0], (frames, 1))
    ankles = np.tile([[0.1, ANKLE, 0.03], [-0.1, ANKLE, -0.03]], (frames, 1, 1))
    zeros = np.zeros(frames)
    return Truth(skeleton(), _body(pelvis, ankles, zeros, zeros), np.ones((frames, 2), bool), fps)


def jump(height: float = 0.4, fps: float = 30.0) -> Truth:
    """Standing, squatting, a jump on the spot whose pelvis rises by ``height`` above standing, and landing."""
    takeoff = np.sqrt(2 * 9.81 * height)
    flight = 2 * takeoff / 9.81
    stand, squat, push = 1.0, 0.5, 0.2
    times = np.arange(round((2 * stand + 2 * squat + 2 * push + flight) * fps)) / fps
    mid = times[-1] / 2
    t = np.abs(times - mid)  # symmetric: landing is the take-off backwards
    up = 0.92
    low = up - takeoff * push / 2 * 1.0
    pelvis = np.full(len(times), up)
    fly = t <= flight / 2
    pelvis[fly] = up + height - 0.5 * 9.81 * t[fly] ** 2
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


def recorded(name: str) -> Truth:
    """A clip of the recorded motion by its name, on the ground."""
    with open(MOCAP / "index.csv", encoding="utf-8", newline="") as stream:
        clip = next(int(row["clip"]) for row in csv.DictReader(stream) if row["name"] == name)
    data = np.load(MOCAP / "motion.npz")
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
    feet = places[:, [7, 8]]
    speed = np.linalg.norm(np.gradient(feet, axis=0), axis=-1) * 30
    toes = np.linalg.norm(np.gradient(places[:, [10, 11]], axis=0), axis=-1) * 30
    low = np.quantile(feet[..., 1], 0.1)
    standing = (speed < 0.4) & (toes < 0.4) & (feet[..., 1] < low + 0.06)
    return Truth(Skeleton(names, parents, rest, _SMPL_ROLES), seventeen(places), standing, 30.0)


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


def camera(height: float = 1.5, pitch: float = 0.06) -> Camera:
    """A landscape camera with a 55 degree lens."""
    return cameras.from_field_of_view((1280, 720), np.radians(55), height=height, pitch=pitch)


def seen(truth: Truth, of: Camera, distance: float = 5.0) -> np.ndarray:
    """Joints (F, 17, 3) in camera space of somebody whose way is centred ``distance`` metres in front of the camera."""
    middle = (truth.joints[:, 0].min(0) + truth.joints[:, 0].max(0)) / 2
    return cameras.to_camera(of, truth.joints - [middle[0], 0, middle[2] + distance])


def noisy(
    joints: np.ndarray, of: Camera, seed: int, *, pixels: float = 3.0, depth: float = 0.08, degrees: float = 12.0,
    missed: float = 0.05,
) -> np.ndarray:  # fmt: skip
    """Joints in camera space as a network would see them; NaN in missed frames.

    The pelvis is off by pixels and a share of depth, each bone by a turn of ``degrees`` (root mean square), correlated
    over three frames.
    """
    from hyoid.motion import bones

    random = np.random.default_rng(seed)
    frames = len(joints)
    white = random.normal(size=(frames + 2, 17, 3))
    turns = np.radians(degrees) / np.sqrt(3) * (white[:-2] + white[1:-1] + white[2:]) / np.sqrt(3)
    turned = Rotation.from_rotvec(turns.reshape(-1, 3))
    parents = np.maximum(bones.PARENTS, 0)
    vectors = turned.apply((joints - joints[:, parents]).reshape(-1, 3)).reshape(joints.shape)
    result = np.empty_like(joints)
    ray = joints[:, 0] / joints[:, 0, 2:]
    ray[:, :2] += random.normal(size=(frames, 2)) * pixels / of.focal
    result[:, 0] = ray * joints[:, 0, 2:] * np.exp(depth * random.normal(size=(frames, 1)))
    for joint in range(1, 17):
        result[:, joint] = result[:, bones.PARENTS[joint]] + vectors[:, joint]
    result[random.random(frames) < missed] = np.nan
    return result
