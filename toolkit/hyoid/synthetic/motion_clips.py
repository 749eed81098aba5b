# SPDX-License-Identifier: Apache-2.0
"""Packed motion capture as bones that can be made longer or shorter, and as the 17 joints of Human3.6M.

A packed folder holds ``motion.npz`` (``root`` (n, 3) metres, ``quat`` (n, 22, 4) local rotations w x y z of the 22
joints of SMPL relative to a T-pose, ``offsets`` (clips, 22, 3), ``start`` (clips + 1), ``fps``, ``joints``,
``parents``) and ``index.csv`` with a row for each clip. The world has Y up and its floor at 0.

Joint positions are sums of bones, so a body of other proportions needs no forward kinematics: the world-space bones of
all frames are made once, and :data:`COMBINE` adds them up.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hyoid.errors import InputError
from hyoid.formats.npz import read_npz
from hyoid.geometry import rotations
from hyoid.geometry.human36m import NAMES

HEAD_TOP = 0.12
"""Metres from the joint of the head to its top, along the neck: motion capture has neither nose nor top of the head."""

_BODY = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
_BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
_UNUSED = ("left_foot", "right_foot")
BONES = ("root", *(name for name in _BODY[1:] if name not in _UNUSED), "head_top")
"""What positions are sums of: where the pelvis is, the bones that end in these joints, and the top of the head."""

# A joint of the 17 is the mean of these.
_SOURCES = (
    ("left_hip", "right_hip"), ("right_hip",), ("right_knee",), ("right_ankle",), ("left_hip",), ("left_knee",),
    ("left_ankle",), ("spine1", "spine2"), ("neck",), ("head",), ("head_top",), ("left_shoulder",), ("left_elbow",),
    ("left_wrist",), ("right_shoulder",), ("right_elbow",), ("right_wrist",),
)  # fmt: skip

TEST_SUBJECTS = ("5", "6", "9", "16", "35", "49")
VALIDATION_SUBJECTS = ("10", "38", "39")
CMU, _UNKNOWN = "CMU", "unknown"
_COLUMNS = ("clip", "name", "dataset", "licence", "subject", "description", "frames")
_LARGEST_OFFSET = 2.0  # metres


def _combine() -> np.ndarray:
    chains = {"root": ["root"], "pelvis": ["root"]}
    for name, parent in zip(_BODY[1:], _BODY_PARENTS[1:], strict=True):
        chains[name] = [*chains[_BODY[parent]], name]
    chains["head_top"] = [*chains["head"], "head_top"]
    found = np.zeros((len(NAMES), len(BONES)), np.float32)
    for row, sources in enumerate(_SOURCES):
        for source in sources:
            for bone in chains[source]:
                found[row, BONES.index(bone)] += 1 / len(sources)
    return found


def _kinds() -> np.ndarray:
    names = [bone.removeprefix("left_").removeprefix("right_") for bone in BONES]
    order = list(dict.fromkeys(names))
    return np.array([order.index(name) for name in names])


COMBINE = _combine()
"""(17, bones) float32: how often each bone counts in each joint."""
KINDS = _kinds()
"""(bones,) int: equal for the left and right bone of a pair, 0 for the root."""


@dataclass(frozen=True)
class Motion:
    """Clips of packed motion.

    Attributes:
        names, subjects, datasets, licences, descriptions: (clips,) what each clip is and may be used for.
        start: (clips + 1,) int64, clip i is the frames ``start[i]`` to ``start[i + 1]``. fps: of all.
        bones: (3, frames, bones) float32 metres, world space, Y up, see :data:`BONES`.
        lengths: (clips, bones) float32 metres; 0 for the root.
    """

    names: tuple[str, ...]
    subjects: tuple[str, ...]
    datasets: tuple[str, ...]
    licences: tuple[str, ...]
    descriptions: tuple[str, ...]
    start: np.ndarray
    fps: float
    bones: np.ndarray
    lengths: np.ndarray

    def joints(self, clip: int) -> np.ndarray:
        """(frames, 17, 3) float32 metres, world space: a clip as it was captured."""
        bones = self.bones[:, self.start[clip] : self.start[clip + 1]]
        return np.ascontiguousarray((bones @ COMBINE.T).transpose(1, 2, 0))


@dataclass(frozen=True)
class Split:
    """Clips, int64 indices: no subject is in two of them."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(motion: Motion, *, unidentified: bool = False) -> Split:
    """Clips to learn from, to choose by and to be judged by, parted by subject.

    Args:
        unidentified: learn also from clips of the CMU database whose subject is not known. They may show one of the
            people to be judged by, so they are left out otherwise.
    """
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for clip, (dataset, subject) in enumerate(zip(motion.datasets, motion.subjects, strict=True)):
        if dataset == CMU and subject == _UNKNOWN and not unidentified:
            continue
        known = dataset == CMU
        part = 2 if known and subject in TEST_SUBJECTS else 1 if known and subject in VALIDATION_SUBJECTS else 0
        parts[part].append(clip)
    return Split(*(np.array(part, np.int64) for part in parts))


def load(folder: Path) -> Motion:
    """The clips of a packed folder.

    Raises:
        InputError: a file is missing or damaged, has other joints, numbers that are not finite, or the two files do not
            belong together.
    """
    folder = Path(folder)
    path = folder / "motion.npz"
    arrays = read_npz(path)
    _check(arrays, path)
    rows = _index(folder / "index.csv", np.diff(arrays["start"]))
    column = {name: tuple(row[name] for row in rows) for name in _COLUMNS}
    bones, lengths = _bones(arrays)
    return Motion(
        column["name"], column["subject"], column["dataset"], column["licence"], column["description"],
        arrays["start"].astype(np.int64), float(arrays["fps"]), bones, lengths,
    )  # fmt: skip


def _check(arrays: dict[str, np.ndarray], path: Path) -> None:
    wanted = ("root", "quat", "offsets", "start", "fps", "joints", "parents")
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise InputError(f"lacks '{missing[0]}'", path=path, expected=f"the arrays {', '.join(wanted)}")
    joints = tuple(str(name) for name in arrays["joints"].tolist())
    if joints != _BODY or tuple(arrays["parents"].tolist()) != _BODY_PARENTS:
        raise InputError(
            f"its {len(joints)} joints are others", path=path, expected=f"the 22 of SMPL, {', '.join(_BODY[:4])}, ..."
        )
    frames, start = len(arrays["root"]), arrays["start"]
    if start.ndim != 1 or start.dtype.kind not in "iu" or len(start) < 2:
        raise InputError(f"'start' is {start.shape} {start.dtype}", path=path, expected="a row of whole numbers")
    shapes = {"root": (frames, 3), "quat": (frames, len(_BODY), 4), "offsets": (len(start) - 1, len(_BODY), 3)}
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype.kind != "f":
            raise InputError(f"'{name}' is {array.shape} {array.dtype}", path=path, expected=f"{shape} of floats")
        wrong = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(1))
        if len(wrong):
            raise InputError(f"'{name}' is not finite in row {wrong[0]}", path=path, expected="finite numbers")
    if start[0] != 0 or start[-1] != frames or (np.diff(start.astype(np.int64)) < 1).any():
        raise InputError(f"'start' goes from {start[0]} to {start[-1]}", path=path, expected=f"0 rising to {frames}")
    if np.abs(arrays["offsets"]).max() > _LARGEST_OFFSET:
        raise InputError("'offsets' has a bone longer than two metres", path=path, expected="metres")
    if arrays["fps"].size != 1 or not 1 <= float(arrays["fps"]) <= 1000:
        raise InputError(f"'fps' is {arrays['fps']}", path=path, expected="frames a second")


def _index(path: Path, frames: np.ndarray) -> list[dict[str, str]]:
    """The rows of the index, in the order of the clips."""
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except FileNotFoundError:
        raise InputError("the file does not exist", path=path, expected="the index of motion.npz") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot be read ({error})", path=path, expected="a table in UTF-8") from None
    if len(rows) != len(frames):
        raise InputError(f"has {len(rows)} rows", path=path, expected=f"{len(frames)}, as motion.npz has clips")
    for number, (row, count) in enumerate(zip(rows, frames.tolist(), strict=True)):
        missing = [name for name in _COLUMNS if row.get(name) is None]
        if missing:
            raise InputError(f"row {number + 1} lacks '{missing[0]}'", path=path, expected=", ".join(_COLUMNS))
        if row["clip"] != str(number) or row["frames"] != str(count):
            found = f"row {number + 1} is clip {row['clip']} of {row['frames']} frames"
            raise InputError(found, path=path, expected=f"clip {number} of {count} frames, as in motion.npz")
    return rows


def _bones(arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """World-space bones (3, frames, bones) of all frames and their lengths (clips, bones), metres."""
    start = arrays["start"].astype(np.int64)
    clip = np.repeat(np.arange(len(start) - 1), np.diff(start))
    local = rotations.normalise(arrays["quat"].astype(np.float32))
    offsets = arrays["offsets"].astype(np.float32)
    world: list[np.ndarray] = [local[:, 0]]
    for joint, parent in enumerate(_BODY_PARENTS[1:], 1):
        world.append(rotations.multiply(world[parent], local[:, joint]))
    found = np.zeros((3, len(clip), len(BONES)), np.float32)
    lengths = np.zeros((len(offsets), len(BONES)), np.float32)
    found[:, :, 0] = arrays["root"].T
    for column, name in enumerate(BONES[1:], 1):
        joint = _BODY.index("head" if name == "head_top" else name)
        offset = offsets[:, joint]
        if name == "head_top":
            offset = HEAD_TOP * offset / np.maximum(np.linalg.norm(offset, axis=-1, keepdims=True), 1e-6)
        found[:, :, column] = rotations.rotate(world[_BODY_PARENTS[joint]], offset[clip]).T
        lengths[:, column] = np.linalg.norm(offset, axis=-1)
    return found, lengths


def frames_of(motion: Motion, clips: Sequence[int] | np.ndarray) -> np.ndarray:
    """(len(clips),) int64: how many frames each clip has."""
    return np.diff(motion.start)[np.asarray(clips, np.int64)]
