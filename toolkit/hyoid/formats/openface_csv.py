# SPDX-License-Identifier: Apache-2.0
"""OpenFace's tables as takes: action units, head pose and gaze of one face, frame by frame.

``AU01_r`` ... are intensities 0..5, ``AU28_c`` is there or not; ``pose_Rx, pose_Ry, pose_Rz`` turn the head in radians,
``Rx Ry Rz`` in the axes of the camera (x to the right, y down, z away from it); ``gaze_angle_x, gaze_angle_y`` are
positive to the right of the picture and down. The character faces the camera: its left is the picture's right.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hyoid.characters import facs, neck
from hyoid.characters.character import NeckLimits
from hyoid.errors import InputError
from hyoid.formats.checks import frame_rate
from hyoid.formats.curves_csv import LOOK_DEGREES, divided
from hyoid.formats.rows import nearest_rate, read_rows
from hyoid.geometry import rotations
from hyoid.take import Take

_FULL = 5.0
"""The intensity that OpenFace calls the highest."""
_PRESENT = facs.INTENSITIES["C"]
"""What a unit is worth of which the table says only that it is there."""
_POSE = ("pose_rx", "pose_ry", "pose_rz")
_GAZE = ("gaze_angle_x", "gaze_angle_y")
_UNIT = re.compile(r"au(\d\d)_([rc])")
_TIME_STEP = 0.002  # seconds: time stamps are rounded to a thousandth
_LONGEST_GAP = 100


def is_one(header: list[str]) -> bool:
    """Whether lower-case column names are those of OpenFace."""
    return "timestamp" in header and any(name in header for name in ("au01_r", "au01_c", *_POSE, *_GAZE))


def read(path: Path, lines: list[str], header: list[str], fps: float | None, limits: NeckLimits | None) -> Take:
    """The face of a table; of several faces the one that is seen most often.

    Rows without a face hold the last one, with confidence 0; frames that are missing are interpolated.

    Args:
        lines: of the file, the header first. header: its names in lower case. fps, limits: see
            :func:`hyoid.formats.curves_csv.read`.

    Raises:
        InputError: a bad row (its line is named), or no row with a face.
    """
    columns = read_rows(enumerate(lines[1:], 2), len(header), ",", path)
    place = {name: index for index, name in enumerate(header)}
    if not len(columns):
        raise InputError("has a header, but no rows", path=path, expected="one row a frame")
    if "face_id" in place:
        ids, counts = np.unique(columns[:, place["face_id"]], return_counts=True)
        columns = columns[columns[:, place["face_id"]] == ids[counts.argmax()]]
    frames = columns[:, place["frame"]] if "frame" in place else np.arange(len(columns), dtype=float)
    if (np.diff(frames) <= 0).any():
        row = int((np.diff(frames) <= 0).argmax())
        found = f"frame {frames[row + 1]:g} follows frame {frames[row]:g}"
        raise InputError(found, path=path, expected="rising frame numbers")
    rate = _rate(columns[:, place["timestamp"]], frames) if fps is None else fps
    frame_rate(rate, path)
    values, confidence = _held(columns, place, path)
    names, curves, head = _meaning(values, place)
    span = frames[-1] - frames[0] + 1
    if span > _LONGEST_GAP * len(frames):
        raise InputError(f"its {len(frames)} rows lie on {span:g} frames", path=path, expected="no long gaps")
    grid = np.arange(round(span)) + frames[0]
    even = [np.interp(grid, frames, column) for column in curves]
    after = np.clip(np.searchsorted(frames, grid), 1, max(len(frames) - 1, 1))
    if head is not None and len(grid) > len(frames):
        before = after - 1
        head = rotations.slerp(head[before], head[after], (grid - frames[before]) / (frames[after] - frames[before]))
    seen = confidence[np.searchsorted(frames, grid + 1e-6, side="right") - 1]
    count = len(grid)
    return Take(
        fps=rate, curve_names=names, curves=np.stack([np.zeros(count), *even], -1)[:, 1:].astype(np.float32),
        joint_names=() if head is None else neck.JOINTS,
        rotations=np.zeros((count, 0, 4), np.float32) if head is None else divided(head, limits),
        root=np.zeros((count, 3), np.float32), confidence=seen.astype(np.float32),
    )  # fmt: skip


def _rate(times: np.ndarray, frames: np.ndarray) -> float:
    """Frames a second; pictures without a time count at 30."""
    seconds = float(times[-1] - times[0])
    if len(times) == 1 or seconds <= 0:
        return 30.0
    return nearest_rate((frames[-1] - frames[0]) / seconds, max(1e-5, _TIME_STEP / seconds))


def _held(columns: np.ndarray, place: dict[str, int], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The rows with those that hold no face replaced by the last that does, and the confidence of each, 0..1."""
    tracked = columns[:, place["success"]] > 0.5 if "success" in place else np.ones(len(columns), bool)
    if not tracked.any():
        raise InputError("no row holds a face", path=path, expected="success 1 in at least one row")
    last = np.maximum.accumulate(np.where(tracked, np.arange(len(columns)), -1))
    last[last < 0] = int(tracked.argmax())
    sure = columns[:, place["confidence"]] if "confidence" in place else tracked.astype(float)
    return columns[last], np.clip(np.where(tracked, sure, 0), 0, 1)


def _meaning(values: np.ndarray, place: dict[str, int]) -> tuple[tuple[str, ...], list[np.ndarray], np.ndarray | None]:
    """Curve names, curves, and the rotation of the head (rows, 4) or None."""
    units: dict[str, np.ndarray] = {}
    for name, index in place.items():
        match = _UNIT.fullmatch(name)
        unit = facs.unit(f"AU{match[1]}") if match else None
        if match is None or unit is None or (match[2] == "c" and f"au{match[1]}_r" in place):
            continue
        scale = 1 / _FULL if match[2] == "r" else _PRESENT
        units[unit] = np.clip(scale * values[:, index], 0, 1)
    head = None
    if all(name in place for name in _POSE):
        x, y, z = (values[:, place[name]] for name in _POSE)
        # Half a turn about x takes the camera's axes to the character's: y and z change their signs.
        parts = [rotations.about(np.eye(3)[axis], angle) for axis, angle in ((0, x), (1, -y), (2, -z))]
        head = rotations.multiply(rotations.multiply(parts[0], parts[1]), parts[2])
    gaze: dict[str, np.ndarray] = {}
    if all(name in place for name in _GAZE):
        across, down = (np.clip(values[:, place[name]], -1.5, 1.5) for name in _GAZE)
        way = np.stack([np.tan(across), -np.tan(down), np.ones_like(down)], -1)
        gaze = _looks(way if head is None else rotations.rotate(rotations.inverse(head), way))
    found = units | gaze
    return tuple(found), list(found.values()), head


def _looks(way: np.ndarray) -> dict[str, np.ndarray]:
    """ARKit's looks of both eyes for a direction (rows, 3) in the axes of the head."""
    left = np.degrees(np.arctan2(way[:, 0], way[:, 2]))
    up = np.degrees(np.arctan2(way[:, 1], np.linalg.norm(way[:, [0, 2]], axis=1)))
    turns = {"Up": (up, up), "Down": (-up, -up), "Out": (left, -left), "In": (-left, left)}
    return {
        f"eyeLook{name}{side}": np.clip(angle / LOOK_DEGREES[name], 0, 1)
        for name, both in turns.items()
        for side, angle in zip(("Left", "Right"), both, strict=True)
    }
