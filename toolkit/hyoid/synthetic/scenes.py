# SPDX-License-Identifier: Apache-2.0
"""Whole clips of one to three people before one camera, with known truth and the errors of networks.

F frames, P people, N detections, 17 joints of Human3.6M. The world is that of :mod:`hyoid.motion.cameras`: +Y up, the
camera above its origin, looking along -Z.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np
from scipy.spatial.transform import Rotation

from hyoid.errors import InputError
from hyoid.geometry import rotations
from hyoid.motion import bones, cameras
from hyoid.motion.cameras import Camera
from hyoid.motion.identities import Detections, bone_poses
from hyoid.synthetic import lift_pairs, people
from hyoid.synthetic.people import Truth

PIXELS, DEPTH, DEGREES, MISSED, DOUBLED = 3.0, 0.08, 12.0, 0.05, 0.01
"""What networks err by: pelvis in the picture, share of depth, turn of each bone, frames without, and doubles."""
FPS = 30.0
SECONDS = 10.0
_SIZE = (1280, 720)
_DOUBLE = 0.03  # metres between doubles, each axis
_COVERED = 0.7  # of a box: then the person behind is not found
_TRIES = 100
_JUMP = 0.4  # metres


@dataclass(frozen=True)
class Scene:
    """People before a camera.

    Attributes:
        name: of the clip. camera: as it stands. people: all with F frames, in the world. there: (P, F) bool, where
            somebody can be found: in the picture, not hidden.
        jump: metres by which the pelvis rises above standing.
    """

    name: str
    camera: Camera
    people: tuple[Truth, ...]
    there: np.ndarray
    jump: float = 0.0


@dataclass(frozen=True)
class Found:
    """What a network finds in a scene: ``joints`` (N, 17, 3) in camera space and ``who`` (N,), -1 for doubles."""

    detections: Detections
    joints: np.ndarray
    who: np.ndarray


def noisy(
    joints: np.ndarray, of: Camera, seed: int | np.random.Generator, *, pixels: float = PIXELS, depth: float = DEPTH,
    degrees: float = DEGREES, missed: float = MISSED,
) -> np.ndarray:  # fmt: skip
    """Joints (F, 17, 3) in camera space as a network would see them; NaN in missed frames.

    The pelvis is off by pixels and a share of depth, each bone by a turn of ``degrees`` (root mean square), correlated
    over three frames.
    """
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


def found(scene: Scene, seed: int) -> Found:
    """What a network finds: every person in most frames, now and then twice, nobody who is covered by somebody else."""
    random = np.random.default_rng([seed, crc32(scene.name.encode())])
    true = np.stack([cameras.to_camera(scene.camera, one.joints) for one in scene.people])
    seen = np.stack([noisy(one, scene.camera, random) for one in true])
    pictures = cameras.project(scene.camera, true)
    boxes = np.concatenate([pictures.min(2), pictures.max(2)], -1) + random.normal(size=(*true.shape[:2], 4)) * PIXELS
    there = scene.there & ~_covered(boxes, true[:, :, 0, 2]) & np.isfinite(seen).all((2, 3))
    who, frame = np.nonzero(there)
    twice = np.flatnonzero(random.random(len(who)) < DOUBLED)
    rows = np.concatenate([np.arange(len(who)), twice])
    shift = np.zeros((len(rows), 3))
    shift[len(who) :] = random.normal(size=(len(twice), 3)) * _DOUBLE
    joints = seen[who, frame][rows] + shift[:, None]
    truth = np.where(np.arange(len(rows)) < len(who), who[rows], -1)
    scores = np.where(truth < 0, 0.7, 0.9)
    order = random.permutation(len(rows))
    detections = Detections(
        frame[rows][order], joints[order, 0], joints[order, 10], boxes[who, frame][rows][order], scores[order],
        bone_poses(joints[order]), np.zeros((len(rows), 0)),
    )  # fmt: skip
    return Found(detections, joints[order], truth[order])


def _covered(boxes: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(P, F) True where the box (P, F, 4) of somebody nearer covers most of a person's own."""
    result = np.zeros(depth.shape, bool)
    size = np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1)
    for one in range(len(boxes)):
        for other in range(len(boxes)):
            low, high = np.maximum(boxes[one], boxes[other])[:, :2], np.minimum(boxes[one], boxes[other])[:, 2:]
            shared = np.maximum(high - low, 0).prod(-1)
            result[one] |= (depth[other] < depth[one]) & (shared > _COVERED * size[one])
    return result


# --- the camera -------------------------------------------------------------------------------------------------------


def filmed(random: np.random.Generator, together: list[Truth], there: np.ndarray) -> tuple[Camera, list[Truth]]:
    """A camera that stands still and sees all people (P) wherever they are ``there`` (P, F), and the people before it.

    It is drawn as those of :mod:`hyoid.synthetic.lift_pairs` are.

    Raises:
        InputError: every camera that was tried is too near to somebody.
    """
    ways = np.concatenate([one.joints[seen, 0] for one, seen in zip(together, there, strict=True)])
    low, high = ways.min(0), ways.max(0)
    for _ in range(_TRIES):
        turn = rotations.about((0.0, 1.0, 0.0), np.array(random.uniform(0, 2 * np.pi)))
        away = random.uniform(*lift_pairs.DISTANCE) + lift_pairs.TRAVEL_SHARE * float(np.hypot(*(high - low)[[0, 2]]))
        height = random.uniform(*lift_pairs.HEIGHT)
        aim = random.uniform(*lift_pairs.LOOKS_AT) + lift_pairs.JITTER * random.normal()
        pitch, roll = np.arctan2(height - aim, away), random.uniform(-lift_pairs.ROLL, lift_pairs.ROLL)
        focal = random.uniform(*lift_pairs.FOCAL) * _SIZE[0]
        camera = Camera(focal, (_SIZE[0] / 2, _SIZE[1] / 2), _SIZE, height, float(pitch), float(roll))
        middle = (low + high) / 2 * [1, 0, 1]
        moved = [
            replace(one, joints=rotations.rotate(turn, one.joints - middle) - [0.0, 0.0, away]) for one in together
        ]
        seen = [cameras.to_camera(camera, one.joints)[yes] for one, yes in zip(moved, there, strict=True)]
        if min(float(one[..., 2].min()) for one in seen) > lift_pairs.NEAREST:
            picture = np.concatenate([cameras.project(camera, one).reshape(-1, 2) for one in seen])
            reach = (np.abs(picture - camera.centre) / camera.centre).max()
            return replace(camera, focal=float(focal / max(reach, 1.0))), moved
    raise InputError("no camera is far enough from everybody", expected="people in metres")


# --- the clips --------------------------------------------------------------------------------------------------------

_RECORDED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("walk", ("06_01",)),
    ("run", ("09_06",)),
    ("dance", ("05_02",)),
    ("three people", ("35_29", "16_31", "49_01")),
    ("basketball, turns", ("06_10",)),
    ("navigate", ("09_12",)),
    ("balance", ("49_18",)),
    ("pirouette", ("05_11",)),
    ("two walks", ("16_15", "35_15")),
    ("dance, leaps", ("05_17",)),
    ("dribble and dance", ("06_11", "05_04")),
    ("two dances", ("05_07", "05_18")),
)
"""Clips of people whom no network of ours has seen."""


def made_up(seed: int) -> list[Scene]:
    """The scenes that need no data: still, a jump, a crossing, a gap, an exit, a turn, a chair, three people."""
    frames = round(SECONDS * FPS)
    all_there = np.ones((3, frames), bool)
    gap, exit_ = all_there[:1].copy(), all_there[:1].copy()
    gap[0, 140:176] = False  # 1.2 s behind a pillar
    exit_[0, 120:165] = False  # 1.5 s outside of the picture
    circle = people.walk(SECONDS, speed=0.9, turn=0.55)
    crossing = [_moved(people.walk(SECONDS, speed=0.6, heading=heading), *place)
                for heading, place in ((np.pi / 2, (-3.0, 0.0)), (-np.pi / 2, (3.0, 0.9)))]  # fmt: skip
    jump = people.jump(_JUMP)
    parts = [
        ("still", [people.still(SECONDS)], all_there[:1]),
        ("jump", [jump], np.ones((1, len(jump.joints)), bool)),
        ("crossing", crossing, all_there[:2]),
        ("gap", [people.walk(SECONDS, speed=0.5)], gap),
        ("exit", [people.walk(SECONDS, speed=0.8, turn=-0.6)], exit_),
        ("turn", [circle], all_there[:1]),
        ("chair", [people.sit(SECONDS)], all_there[:1]),
        ("bystander", [*crossing, _moved(people.still(SECONDS), 0.5, -1.2)], all_there),
    ]  # fmt: skip
    return [_scene(name, together, there, seed) for name, together, there in parts]


def recorded(data: Path, seed: int) -> list[Scene]:
    """The scenes of motion capture; several people stand beside each other, each as long as the clip lasts.

    Raises:
        InputError: the folder lacks a file or a clip.
    """
    return [_recorded(Path(data), name, clips, seed) for name, clips in _RECORDED]


def _recorded(data: Path, name: str, clips: tuple[str, ...], seed: int) -> Scene:
    longest = round(SECONDS * FPS)
    parts = [people.recorded(data, clip) for clip in clips]
    frames = max(min(len(one.joints), longest) for one in parts)
    there = np.zeros((len(parts), frames), bool)
    together, edge = [], 0.0
    for number, one in enumerate(parts):
        rows = np.minimum(np.arange(frames), min(len(one.joints), longest) - 1)
        there[number, : len(one.joints)] = True
        joints = one.joints[rows]
        low, high = joints[:, 0].min(0), joints[:, 0].max(0)
        # Side by side, with room for arms between their ways.
        shift = np.array([edge - low[0], 0.0, -(low[2] + high[2]) / 2])
        edge += float(high[0] - low[0]) + 1.2
        together.append(replace(one, joints=joints + shift, standing=one.standing[rows]))
    return _scene(name, together, there, seed)


def _moved(one: Truth, x: float, z: float) -> Truth:
    return replace(one, joints=one.joints + np.array([x, 0.0, z]))


def _scene(name: str, together: list[Truth], there: np.ndarray, seed: int) -> Scene:
    camera, before = filmed(np.random.default_rng([seed, 1, crc32(name.encode())]), together, there)
    return Scene(name, camera, tuple(before), there, _JUMP if name == "jump" else 0.0)
