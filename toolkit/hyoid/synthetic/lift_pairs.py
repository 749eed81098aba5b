# SPDX-License-Identifier: Apache-2.0
"""Pairs of 2D and 3D joints from motion capture: bodies of other sizes, cameras, and the errors of a detector.

B windows or clips, F frames, 17 joints of Human3.6M. The world has Y up; camera space is x right, y down, z away from
the camera, metres. Images are normalised as lifters want them: x from -1 (left) to 1 (right), y down in the same unit,
0 in the middle; a height of the picture reaches from -h/w to h/w.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from hyoid.errors import InputError
from hyoid.geometry.human36m import MIRRORED, PARENTS
from hyoid.synthetic.motion_clips import BONES, COMBINE, KINDS, Motion, frames_of

# Bodies.
BODY_SPREAD, BONE_SPREAD = 0.06, 0.05
SMALLEST, LARGEST = 0.85, 1.15

# Cameras, metres and radians; focal lengths in widths of the picture.
DISTANCE, TRAVEL_SHARE = (2.5, 6.0), 0.6
HEIGHT, LOOKS_AT, JITTER = (0.3, 2.2), (0.7, 1.1), 0.15
ROLL = np.radians(3.0)
FOCAL = (0.8, 1.6)
NEAREST = 0.8
WIDE = 9 / 16  # height by width of half of the training pictures
LONGEST = 400  # frames that one camera sees
_PATH = 48  # of these frames at most are looked at for how far the subject travels
_TRIES = 100

# Errors of a detector, in sides of the person's box (the larger one in a frame).
ERROR = 0.12
JOINT_ERROR = np.array(
    [0.107, 0.107, 0.087, 0.089, 0.107, 0.087, 0.089, 0.100, 0.080, 0.035, 0.035, 0.079, 0.072, 0.062, 0.079, 0.072,
     0.062], np.float32,
)  # fmt: skip
SLOW_SHARE, SLOW_MEMORY = 0.7, 0.8  # of the variance that lasts, and how much of it from frame to frame
JUMP_CHANCE, JUMP_SIZE, JUMP_FRAMES = 0.0015, 0.08, (3, 12)
SWAP_CHANCE, SWAP_FRAMES = 0.0008, (2, 8)
SWAPPED = (((1, 2, 3), (4, 5, 6)), ((11, 12, 13), (14, 15, 16)))  # limbs that are taken for each other

FASTEST = 1.25  # of a clip that is played at another speed; the slowest is the inverse

TEST_SEED = 999
TEST_NOISE = (0.0, 1.0, 2.0)
TEST_WIDTH = 1000  # pixels, of a square picture


@dataclass(frozen=True)
class Settings:
    """What varies in windows that are learned from, as shares of them in 0..1, and how strong the errors are.

    Attributes:
        mirror: windows whose left and right are exchanged. warp: windows at another speed. wide: pictures of 16:9.
        noise: of the detector, see :func:`detected`.
    """

    mirror: float = 0.5
    warp: float = 0.5
    wide: float = 0.5
    noise: float = 1.0


@dataclass(frozen=True)
class Cameras:
    """Pinhole cameras that do not move.

    Attributes:
        eye: (B, 3) metres. rotation: (B, 3, 3), rows are right, down and forward in the world.
        focal: (B,) in widths of the picture. aspect: (B,) height by width.
    """

    eye: np.ndarray
    rotation: np.ndarray
    focal: np.ndarray
    aspect: np.ndarray

    def see(self, points: np.ndarray) -> np.ndarray:
        """World points (B, 3, n) in camera space."""
        return self.rotation @ (points - self.eye[..., None])

    def of(self, rows: np.ndarray) -> Cameras:
        """The cameras of some rows."""
        return Cameras(self.eye[rows], self.rotation[rows], self.focal[rows], self.aspect[rows])


@dataclass(frozen=True)
class Clip:
    """A clip to be judged by: one body, one camera.

    Attributes:
        name, subject, fps: of the motion. width, height, focal: of the picture, pixels; its centre is the middle.
        keypoints: by strength of the errors, (F, 17, 2) float32 pixels. joints: (F, 17, 3) float32, camera space.
    """

    name: str
    subject: str
    fps: float
    width: int
    height: int
    focal: float
    keypoints: dict[float, np.ndarray]
    joints: np.ndarray


# --- parts ------------------------------------------------------------------------------------------------------------


def body_sizes(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bodies: (count, bones) float32 factors of the bones, equal left and right, and (count,) of the whole body.

    The factor of the root, by which the path is as much longer as the body is larger, is that of the whole body.
    """
    whole = np.clip(1 + BODY_SPREAD * _normal(random, count, 1), SMALLEST, LARGEST)
    own = np.clip(1 + BONE_SPREAD * _normal(random, count, KINDS.max() + 1), SMALLEST, LARGEST)
    own[:, 0] = 1
    return whole * own[:, KINDS], whole[:, 0]


def draw_cameras(random: np.random.Generator, centre: np.ndarray, travel: np.ndarray, aspect: np.ndarray) -> Cameras:
    """Cameras around a subject.

    Args:
        centre: (B, 2) x and z of the middle of its way. travel: (B,) how far it goes, metres. aspect: (B,).
    """
    count = len(centre)
    azimuth = random.uniform(0, 2 * np.pi, count)
    away = random.uniform(*DISTANCE, count) + TRAVEL_SHARE * travel
    height = random.uniform(*HEIGHT, count)
    eye = np.stack([centre[:, 0] + away * np.sin(azimuth), height, centre[:, 1] + away * np.cos(azimuth)], -1)
    aim = np.stack([centre[:, 0], random.uniform(*LOOKS_AT, count), centre[:, 1]], -1)
    rotation = _looking(aim + JITTER * _normal(random, count, 3) - eye, random.uniform(-ROLL, ROLL, count))
    focal = random.uniform(*FOCAL, count)
    return Cameras(*(array.astype(np.float32) for array in (eye, rotation, focal, aspect)))


def _looking(forward: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """(B, 3, 3) rotations from the world to cameras that look along ``forward`` (B, 3), turned by ``roll`` (B,)."""
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll)[:, None], np.sin(roll)[:, None]
    return np.stack([cos * right + sin * down, cos * down - sin * right, forward], 1)


def travel_of(path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle (B, 2) and the diagonal (B,), metres, of the box around ways (B, 2, n) on the ground."""
    low, high = path.min(2), path.max(2)
    return (low + high) / 2, np.linalg.norm(high - low, axis=-1)


def filmed(
    random: np.random.Generator, world: np.ndarray, path: np.ndarray, aspect: np.ndarray
) -> tuple[np.ndarray, np.ndarray, Cameras]:
    """Subjects before cameras that see all of them.

    Args:
        world: (B, 3, F * 17) joints, metres. path: (B, 2, n) x and z of where they go. aspect: (B,) of the pictures.

    Returns:
        Camera-space joints (B, 3, F * 17), images (B, 2, F * 17), and the cameras. Cameras that come too near are drawn
        again; where a joint leaves the picture the focal length is reduced until it lies on the border.

    Raises:
        InputError: no camera far enough was found, the motion is not that of a human.
    """
    centre, travel = travel_of(path)
    cameras = draw_cameras(random, centre, travel, aspect)
    seen = cameras.see(world)
    for _ in range(_TRIES):
        near = np.flatnonzero(seen[:, 2].min(1) < NEAREST)
        if not len(near):
            break
        again = draw_cameras(random, centre[near], travel[near], aspect[near])
        for old, new in zip((cameras.eye, cameras.rotation, cameras.focal), _arrays(again), strict=True):
            old[near] = new
        seen[near] = again.see(world[near])
    else:
        raise InputError(
            f"the subject reaches within {NEAREST} m of every camera that was tried",
            expected="motion of a human in metres", hint="Leave the clip out",
        )  # fmt: skip
    image = 2 * cameras.focal[:, None, None] * seen[:, :2] / seen[:, 2:]
    extent = np.abs(image).max(2)
    border = np.stack([np.ones_like(cameras.aspect), cameras.aspect], -1)
    fit = np.minimum(1, (border / np.maximum(extent, 1e-6)).min(1))
    image *= fit[:, None, None]
    return seen, image, replace(cameras, focal=cameras.focal * fit)


def _arrays(cameras: Cameras) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return cameras.eye, cameras.rotation, cameras.focal


# --- the detector -----------------------------------------------------------------------------------------------------


def detected(random: np.random.Generator, image: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Joints as a detector finds them: errors that last and ones that do not, jumps, and limbs taken for each other.

    Args:
        image: (B, F, 17, 2) float32 in any unit, left unchanged. strength: by which errors and jumps are multiplied;
            the same draws for every strength, and at 0 no limbs are exchanged.

    Returns:
        (B, F, 17, 2) float32.
    """
    count, frames = image.shape[:2]
    unit = _lasting(random, frames, count)
    unit *= np.float32(ERROR) * JOINT_ERROR[:, None]
    _add_jumps(random, unit)
    swaps = _swaps(random, frames, count)
    if not strength:
        return image.copy()
    joints = np.ascontiguousarray(np.moveaxis(image, 2, 0))  # many small reductions are slow
    side = (joints.max(0) - joints.min(0)).max(-1)
    found = unit.swapaxes(0, 1) * (np.float32(strength) * side)[..., None, None]
    found += image
    for (one, other), swapped in zip(SWAPPED, swaps, strict=True):
        rows, times = np.nonzero(swapped)
        if len(rows):
            both = found[rows[:, None], times[:, None], [*one, *other]]
            found[rows[:, None], times[:, None], [*other, *one]] = both
    return found


def _lasting(random: np.random.Generator, frames: int, count: int) -> np.ndarray:
    """(F, B, 17, 2) float32 of variance 1: a share of it an autoregressive process of first order, the rest white."""
    shape = (count, len(JOINT_ERROR), 2)
    slow = _normal(random, frames, *shape)
    fresh = np.float32(np.sqrt(1 - SLOW_MEMORY**2))
    slow[1:] *= fresh
    held = np.empty(shape, np.float32)
    for frame in range(1, frames):
        np.multiply(slow[frame - 1], np.float32(SLOW_MEMORY), out=held)
        slow[frame] += held
    slow *= np.float32(np.sqrt(SLOW_SHARE))
    white = _normal(random, frames, *shape)
    white *= np.float32(np.sqrt(1 - SLOW_SHARE))
    slow += white
    return slow


def _add_jumps(random: np.random.Generator, unit: np.ndarray) -> None:
    frames, count, joints = unit.shape[:3]
    start, lasts, row, joint = _events(random, frames, count, joints, JUMP_CHANCE, JUMP_FRAMES)
    jump = np.float32(JUMP_SIZE) * _normal(random, len(start), 2)
    for later in range(JUMP_FRAMES[1]):
        now = (later < lasts) & (start + later >= 0) & (start + later < frames)
        np.add.at(unit, (start[now] + later, row[now], joint[now]), jump[now])


def _swaps(random: np.random.Generator, frames: int, count: int) -> np.ndarray:
    """(pairs, B, F) bool: where the two limbs of a pair are exchanged."""
    found = np.zeros((len(SWAPPED), count, frames), bool)
    start, lasts, row, pair = _events(random, frames, count, len(SWAPPED), SWAP_CHANCE, SWAP_FRAMES)
    for later in range(SWAP_FRAMES[1]):
        now = (later < lasts) & (start + later >= 0) & (start + later < frames)
        found[pair[now], row[now], start[now] + later] = True
    return found


def _events(
    random: np.random.Generator, frames: int, count: int, lanes: int, chance: float, lasting: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """First frames, durations, rows and lanes of events; some began before the window, so that it has no calm start."""
    before = lasting[1] - 1
    number = random.binomial((frames + before) * count * lanes, chance)
    start = random.integers(-before, frames, number)
    lasts = random.integers(lasting[0], lasting[1] + 1, number)
    return start, lasts, random.integers(count, size=number), random.integers(lanes, size=number)


# --- windows to learn from --------------------------------------------------------------------------------------------


class Windows:
    """A stream of windows; the same arguments give the same stream.

    Clips are drawn by their number of frames. One that is shorter than a window is held at its end, in the picture too,
    as it is when a short clip is lifted.

    Args:
        clips: indices of the motion. frames: F, of a window.

    Raises:
        InputError: no clips.
    """

    def __init__(
        self, motion: Motion, clips: np.ndarray, frames: int, seed: int, settings: Settings | None = None
    ) -> None:
        self.motion, self.frames, self.settings = motion, frames, settings or Settings()
        self.clips = np.asarray(clips, np.int64)
        if not len(self.clips) or frames < 1:
            raise InputError(f"{len(self.clips)} clips for windows of {frames} frames", expected="at least one of each")
        self.seed, self.random = seed, np.random.default_rng(seed)
        self._ends = np.cumsum(frames_of(motion, self.clips))

    def at(self, step: int) -> Windows:
        """The stream of one step of a training: it follows from the seed and the step, whatever was drawn before.

        Streams of several steps share nothing that changes, so they may be drawn from in threads.
        """
        own = copy.copy(self)
        own.random = np.random.default_rng([self.seed, step])
        return own

    def batch(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """``count`` windows: images (count, F, 17, 2) with errors, and joints (count, F, 17, 3), both float32.

        Joints are metres in camera space, the pelvis of each frame at the origin.
        """
        random, settings = self.random, self.settings
        clip = self.clips[np.searchsorted(self._ends, random.integers(self._ends[-1], size=count), "right")]
        times, last = self._times(clip)
        bones = self._bones(clip, times)
        factors, whole = body_sizes(random, count)
        bones *= factors[:, None, None]
        path = whole[:, None, None] * self._path(clip, times)
        world = bones @ COMBINE.T
        turned = np.flatnonzero(random.random(count) < settings.mirror)
        world[turned] = bones[turned] @ COMBINE[list(MIRRORED)].T
        world[turned, 0] *= -1
        path[turned, 0] *= -1
        aspect = np.where(random.random(count) < settings.wide, WIDE, 1.0).astype(np.float32)
        seen, image, _ = filmed(random, world.reshape(count, 3, -1), path, aspect)
        joints, image = (
            np.ascontiguousarray(array.reshape(count, -1, self.frames, len(PARENTS)).transpose(0, 2, 3, 1))
            for array in (seen, image)
        )
        joints -= joints[:, :, :1]
        return _held(detected(random, image, settings.noise), last), joints

    def _times(self, clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, F) float64, the frames of the clips that windows show, and (B,) the last one that its clip still has."""
        random = self.random
        lengths = frames_of(self.motion, clip)
        speed = np.exp(np.log(FASTEST) * random.uniform(-1, 1, len(clip)))
        speed[(random.random(len(clip)) >= self.settings.warp) | (self.frames == 1)] = 1
        room = np.floor(np.maximum(lengths - 1 - speed * (self.frames - 1), 0))
        first = np.floor(random.random(len(clip)) * (room + 1))
        times = first[:, None] + speed[:, None] * np.arange(self.frames)
        inside = times <= lengths[:, None] - 1
        return np.minimum(times, lengths[:, None] - 1), inside.sum(1) - 1

    def _bones(self, clip: np.ndarray, times: np.ndarray) -> np.ndarray:
        """(B, 3, F, bones) at these times of the clips; between frames bones turn and keep their lengths."""
        motion = self.motion
        floor = times.astype(np.int64)
        rows = motion.start[clip][:, None] + floor
        found = np.empty((len(clip), 3, self.frames, len(BONES)), np.float32)
        for axis in range(3):
            found[:, axis] = motion.bones[axis][rows]
        between = np.flatnonzero((times != floor).any(1))
        if not len(between):
            return found
        share = (times - floor)[between][..., None].astype(np.float32)
        later = np.minimum(rows[between] + 1, motion.start[clip[between] + 1][:, None] - 1)
        mixed = found[between]
        for axis in range(3):
            mixed[:, axis] += share * (motion.bones[axis][later] - mixed[:, axis])
        size = np.sqrt((mixed[..., 1:] ** 2).sum(1))
        kept = motion.lengths[clip[between], None, 1:]
        mixed[..., 1:] *= (kept / np.maximum(size, 1e-6))[:, None]
        found[between] = mixed
        return found

    def _path(self, clip: np.ndarray, times: np.ndarray) -> np.ndarray:
        """(B, 2, n) metres: x and z of the way while one camera stands: up to LONGEST frames around a window."""
        motion = self.motion
        lengths = frames_of(motion, clip)
        seen = np.minimum(lengths, LONGEST)
        low = np.maximum(np.ceil(times[:, -1]) - seen + 1, 0)
        high = np.maximum(np.minimum(times[:, 0], lengths - seen), low)
        first = low + np.floor(self.random.random(len(clip)) * (np.floor(high) - low + 1))
        ways = np.linspace(0, 1, _PATH)
        rows = (first[:, None] + ways * (seen[:, None] - 1)).astype(np.int64) + motion.start[clip][:, None]
        return np.stack([motion.bones[axis, :, 0][rows] for axis in (0, 2)], 1)


def _held(image: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Images (B, F, 17, 2) in which all frames after ``last`` (B,) are as that one."""
    for row in np.flatnonzero(last < image.shape[1] - 1):
        image[row, last[row] + 1 :] = image[row, last[row]]
    return image


# --- clips to be judged by --------------------------------------------------------------------------------------------


def held_out(motion: Motion, clips: np.ndarray, seed: int = TEST_SEED) -> list[Clip]:
    """Whole clips before one camera each, in square pictures, with errors of each strength of :data:`TEST_NOISE`.

    A clip is drawn by the seed and its name alone: it stays the same when others come or go.
    """
    found = []
    for clip in np.asarray(clips, np.int64).tolist():
        key = [seed, crc32(motion.names[clip].encode())]
        random = np.random.default_rng(key)
        frames = int(frames_of(motion, [clip])[0])
        factors, whole = body_sizes(random, 1)
        bones = motion.bones[:, motion.start[clip] : motion.start[clip + 1]]
        world = (bones @ (factors * COMBINE).T).reshape(1, 3, -1)
        path = whole[0] * bones[None, ::2, :, 0]
        seen, image, cameras = filmed(random, world, path, np.ones(1, np.float32))
        joints, image = (
            np.ascontiguousarray(array.reshape(-1, frames, len(PARENTS)).transpose(1, 2, 0))
            for array in (seen[0], image[0])
        )
        half = np.float32(TEST_WIDTH / 2)
        keypoints = {
            strength: half * (detected(np.random.default_rng([*key, 1]), image[None], strength)[0] + 1)
            for strength in TEST_NOISE
        }
        focal = float(cameras.focal[0]) * TEST_WIDTH
        who = motion.names[clip], motion.subjects[clip], motion.fps
        found.append(Clip(*who, TEST_WIDTH, TEST_WIDTH, focal, keypoints, joints))
    return found


def mean_pose(motion: Motion, clips: np.ndarray, seed: int, windows: int = 4096) -> np.ndarray:
    """(17, 3) float32 metres, camera space, the pelvis at the origin: the pose that is best without any picture."""
    return Windows(motion, clips, 1, seed).batch(windows)[1].mean((0, 1))


def _normal(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.standard_normal(shape, np.float32)
