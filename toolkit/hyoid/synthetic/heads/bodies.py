# SPDX-License-Identifier: Apache-2.0
"""Whole-body poses: a few built in (standing, walking, sitting, waving), or frames of packed motion capture."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from hyoid.errors import InputError
from hyoid.formats.npz import read_npz
from hyoid.geometry import rotations
from hyoid.synthetic.heads import bank
from hyoid.synthetic.motion_clips import TEST_SUBJECTS

_UP, _DOWN = np.array([0.0, 1, 0]), np.array([0.0, -1, 0])
_LEFT, _AHEAD = np.array([1.0, 0, 0]), np.array([0.0, 0, 1])
# A joint of the packed skeleton, the human's joint, the end of its bone and where that points in the packed T-pose.
_BONES = (
    ("pelvis", "root", None, None), ("spine1", "spine04", None, None), ("spine2", "spine03", None, None),
    ("spine3", "spine01", None, None),
    ("left_hip", "upperleg01.L", "lowerleg01.L", _DOWN), ("right_hip", "upperleg01.R", "lowerleg01.R", _DOWN),
    ("left_knee", "lowerleg01.L", "foot.L", _DOWN), ("right_knee", "lowerleg01.R", "foot.R", _DOWN),
    ("left_collar", "clavicle.L", None, None), ("right_collar", "clavicle.R", None, None),
    ("left_shoulder", "upperarm01.L", "lowerarm01.L", _LEFT), ("right_shoulder", "upperarm01.R", "lowerarm01.R",
    -_LEFT),
    ("left_elbow", "lowerarm01.L", "wrist.L", _LEFT), ("right_elbow", "lowerarm01.R", "wrist.R", -_LEFT),
)  # fmt: skip


def built_in(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Local rotations (4,) by joint name: standing, walking, sitting, or with an arm up."""
    kind = random.choice(4, p=[0.45, 0.2, 0.2, 0.15])
    aims: dict[str, np.ndarray] = {}
    for side, sign in (("L", 1.0), ("R", -1.0)):
        swing = random.normal(0, 0.12)
        upper = _DOWN + np.array([sign * random.uniform(0.08, 0.35), 0, swing])
        lower = _DOWN + np.array([sign * random.normal(0.05, 0.15), random.uniform(0, 0.5), random.uniform(0.1, 0.9)])
        if kind == 3 and random.random() < 0.7:
            upper = np.array([sign * random.uniform(0.3, 1), random.uniform(-0.3, 0.9), random.uniform(0, 0.9)])
            lower = np.array([sign * random.normal(0, 0.5), random.uniform(0.3, 1), random.uniform(-0.2, 0.6)])
        thigh = _DOWN + np.array([sign * random.uniform(0, 0.15), 0, random.normal(0, 0.05)])
        shin = _DOWN + np.array([sign * random.uniform(-0.05, 0.1), 0, random.normal(-0.03, 0.03)])
        if kind == 1:
            step = sign * random.uniform(0.15, 0.5)
            ahead = np.array([0, 0, step])
            thigh, shin, upper = thigh + ahead, shin + ahead - np.array([0, 0, 0.25]), upper - ahead
        if kind == 2:
            thigh = np.array([sign * random.uniform(0.05, 0.4), random.normal(-0.1, 0.1), 1.0])
            shin = _DOWN + np.array([0, 0, random.normal(0, 0.2)])
        aims |= {
            f"upperarm01.{side}": upper,
            f"lowerarm01.{side}": lower,
            f"upperleg01.{side}": thigh,
            f"lowerleg01.{side}": shin,
        }
    lean = rotations.from_rotation_vector(
        np.array([random.normal(0.03, 0.06), random.normal(0, 0.08), random.normal(0, 0.04)])
    )
    world = {"spine04": lean}
    ends = {joint: end for _, joint, end, _ in _BONES if end}
    for joint, aim in aims.items():
        world[joint] = _between(_rest_direction(joint, ends[joint]), aim)
        if "arm" in joint:
            world[joint] = rotations.multiply(_between(_UP, rotations.rotate(lean, _UP)), world[joint])
    return _local(world)


def captured(random: np.random.Generator, folder: Path, held_out: bool) -> dict[str, np.ndarray]:
    """Local rotations (4,) by joint name of a random frame, turned so that the trunk looks ahead.

    Raises:
        InputError: the folder holds no packed motion.
    """
    quaternions, names, parents, training = _clips(Path(folder))
    frames = np.flatnonzero(training != held_out)
    frame = int(frames[random.integers(len(frames))])
    local = quaternions[frame].astype(np.float64)
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    packed: list[np.ndarray] = []
    for joint, parent in enumerate(parents):
        packed.append(local[joint] if parent < 0 else rotations.multiply(packed[parent], local[joint]))
    ahead = rotations.rotate(packed[names.index("spine3")], _AHEAD)
    turn = rotations.from_rotation_vector(-np.arctan2(ahead[0], ahead[2]) * _UP)
    world = {}
    for source, joint, end, aim in _BONES:
        turned = rotations.multiply(turn, packed[names.index(source)])
        if end is not None and aim is not None:
            turned = rotations.multiply(turned, _between(_rest_direction(joint, end), aim))
        world[joint] = turned
    return _local(world)


@cache
def _clips(folder: Path) -> tuple[np.ndarray, list[str], list[int], np.ndarray]:
    """Rotations of all frames, joints, parents, and which frames are for training: other people are held out."""
    path = folder / "motion.npz"
    arrays = read_npz(path)
    if not {"quat", "joints", "parents", "start"} <= set(arrays):
        raise InputError("no packed motion", path=path, expected="arrays quat, joints, parents, start")
    import csv

    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        subjects = [row["subject"] for row in csv.DictReader(file)]
    start = arrays["start"].astype(np.int64)
    if len(subjects) != len(start) - 1:
        raise InputError(f"{len(subjects)} rows for {len(start) - 1} clips", path=folder / "index.csv")
    kept = np.repeat([subject not in TEST_SUBJECTS for subject in subjects], np.diff(start))
    return arrays["quat"], arrays["joints"].tolist(), arrays["parents"].tolist(), kept


def _rest_direction(joint: str, end: str) -> np.ndarray:
    human = bank.template()
    return (human.heads[human.joint(end)] - human.heads[human.joint(joint)]).astype(np.float64)


def _between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The least rotation (4,) that turns one direction to another."""
    a, b = first / np.linalg.norm(first), second / np.linalg.norm(second)
    axis = np.cross(a, b)
    sine = np.linalg.norm(axis)
    if sine < 1e-9:
        return rotations.identity() if a @ b > 0 else rotations.from_rotation_vector(np.pi * np.array([0.0, 0, 1]))
    return rotations.from_rotation_vector(axis / sine * np.arctan2(sine, a @ b))


def _local(world: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Local rotations from world ones of some joints; the others keep still against their parents."""
    human = bank.template()
    total: list[np.ndarray] = []
    local = {}
    for index, (name, parent) in enumerate(zip(human.joint_names, human.parents.tolist(), strict=True)):
        above = total[parent] if parent >= 0 else rotations.identity()
        total.append(world.get(name, above))
        if name in world:
            local[name] = rotations.multiply(rotations.inverse(above), total[index])
    return local
