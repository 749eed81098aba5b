# SPDX-License-Identifier: Apache-2.0
"""Curves as a table: the plain one (time, frame, every curve) and the columns of Epic's Live Link Face app.

Numbers have a decimal point and cells a comma between them, whatever the locale. Live Link Face rows are a timecode,
the count 61, the 52 ARKit weights in Apple's order, and yaw, pitch, roll of the head and of each eye in radians: yaw
is positive to the character's left, pitch is positive down, roll is positive to its right shoulder; the head's
rotation is ``Ry(yaw) Rx(pitch) Rz(roll)``. Tables of OpenFace are read, too (:mod:`hyoid.formats.openface_csv`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from hyoid.characters import arkit, curve_names, facs, neck
from hyoid.characters.character import NeckLimits
from hyoid.errors import InputError
from hyoid.formats.checks import FPS_LIMITS, frame_rate, valid_take
from hyoid.formats.rows import nearest_rate, read_rows, text_lines, write_rows
from hyoid.geometry import rotations
from hyoid.take import Take

_SIDES = ("Left", "Right")
_EYE = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
_PAIRS = ("MouthSmile", "MouthFrown", "MouthDimple", "MouthStretch")
LIVE_LINK_SHAPES: tuple[str, ...] = (
    *(f"Eye{name}{side}" for side in _SIDES for name in _EYE),
    "JawForward", "JawRight", "JawLeft", "JawOpen",
    "MouthClose", "MouthFunnel", "MouthPucker", "MouthRight", "MouthLeft",
    *(f"{name}{side}" for name in _PAIRS for side in _SIDES),
    "MouthRollLower", "MouthRollUpper", "MouthShrugLower", "MouthShrugUpper",
    *(f"{name}{side}" for name in ("MouthPress", "MouthLowerDown", "MouthUpperUp") for side in _SIDES),
    "BrowDownLeft", "BrowDownRight", "BrowInnerUp", "BrowOuterUpLeft", "BrowOuterUpRight",
    "CheekPuff", "CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft", "NoseSneerRight", "TongueOut",
)  # fmt: skip
"""The 52 weights in Apple's order."""
LIVE_LINK_ANGLES: tuple[str, ...] = tuple(
    f"{what}{angle}" for what in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll")
)
LOOK_DEGREES = {"Up": 25.0, "Down": 30.0, "Out": 35.0, "In": 35.0}
"""How far an eye turns at weight 1 of its look shapes, when the take has no eye joints of its own."""
_TIMECODE = re.compile(r"(\d{1,3}):([0-5]?\d):([0-5]?\d)[:;](\d{1,3})(?:\.(\d{1,6}))?")
_DEFAULT_FPS = 30.0
_COUNTS = (24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 100.0, 120.0)
_LONGEST_GAP = 100
"""A recording that would grow by more than this factor is damaged, not short of a few frames."""


def write(path: Path, take: Take, *, convention: str = "plain") -> None:
    """Write the take's curves, one row a frame.

    Args:
        convention: ``plain`` keeps every curve (seven significant digits) but no joints; ``live_link`` keeps the 52
            ARKit weights and the rotation of head and eyes, in the columns of Live Link Face.

    Raises:
        InputError: the take holds numbers that are not finite.
    """
    valid_take(take)
    with open(path, "w", encoding="utf-8", newline="\n") as stream:
        if convention == "live_link":
            take = facs.expand(take)  # the app's columns know no action units, and ARKit's names alone
            named, _ = curve_names.to_arkit({name: take.curve(name) for name in take.curve_names})
            stream.write(",".join(("Timecode", "BlendShapeCount", *LIVE_LINK_SHAPES, *LIVE_LINK_ANGLES)) + "\n")
            zero = np.zeros(take.frames, np.float32)
            weights = np.stack([named.get(name[0].lower() + name[1:], zero) for name in LIVE_LINK_SHAPES], -1)
            columns = np.concatenate([weights, _angles(take)], -1).astype(float)
            heads = (f"{code},{columns.shape[1]}," for code in _timecodes(take))
            write_rows(stream, np.round(columns, 8) + 0.0, "%.8f", ",", heads)
        else:
            _check_names(take)
            stream.write(",".join(("time", "frame", *take.curve_names)) + "\n")
            heads = (f"{frame / take.fps:.9g},{frame}{',' * bool(take.curve_names)}" for frame in range(take.frames))
            write_rows(stream, take.curves.astype(float) + 0.0, "%.7g", ",", heads)


def read(path: Path, *, fps: float | None = None, limits: NeckLimits | None = None) -> Take:
    """The take in a table of either convention; the header tells which.

    Args:
        fps: the frame rate; None takes it from the times (one row is at 30; timecodes that never reach a next second
            count at 60, as the app does). Timecodes with gaps are filled by interpolation.
        limits: how a Live Link head rotation is divided among the eight neck joints; None divides it evenly.

    Raises:
        InputError: the file is missing, no such table, or has a bad row; the line is named.
    """
    from hyoid.formats import openface_csv  # it builds on this module

    path = Path(path)
    lines = text_lines(path)
    header = [name.strip().strip('"') for name in lines[0].split(",")]
    low = [name.lower() for name in header]
    twice = sorted({name for name in low if low.count(name) > 1})
    if twice:
        raise InputError(f"has two columns named '{twice[0]}'", path=path, expected="a name of its own for each column")
    if low[:2] == ["timecode", "blendshapecount"]:
        return valid_take(_read_live_link(path, lines, low, fps, limits), path)
    if openface_csv.is_one(low):
        return valid_take(openface_csv.read(path, lines, low, fps, limits), path)
    if low[:1] == ["time"]:
        return valid_take(_read_plain(path, lines, header, fps), path)
    raise InputError(
        f"begins with '{lines[0][:60]}'", path=path,
        expected="a header 'time,frame,...', 'Timecode,BlendShapeCount,...' or OpenFace's, separated by commas",
    )  # fmt: skip


def _check_names(take: Take) -> None:
    for name in take.curve_names:
        if any(letter in name for letter in ',"\n\r') or name != name.strip():
            raise InputError(f"the curve name '{name}' cannot stand in a table", expected="no comma or quote")


def _read_plain(path: Path, lines: list[str], header: list[str], fps: float | None) -> Take:
    columns = read_rows(enumerate(_without_letters(lines[1:], header), 2), len(header), ",", path)
    if not len(columns):
        raise InputError("has a header, but no rows", path=path, expected="one row a frame")
    if fps is None:
        fps = _rate(columns[:, 0], path)
    first = 2 if [name.lower() for name in header[:2]] == ["time", "frame"] else 1
    return _take(fps, tuple(header[first:]), columns[:, first:], np.ones(len(columns), np.float32))


def _without_letters(lines: list[str], header: list[str]) -> list[str]:
    """The lines with the letters A to E in columns of action units as numbers."""
    units = [index for index, name in enumerate(header) if re.fullmatch(r"AU\d+[LR]?", name)]
    if not units:
        return lines
    graded = []
    for line in lines:
        cells = line.split(",")
        if len(cells) == len(header):
            for index in units:
                letter = cells[index].strip().upper()
                cells[index] = str(facs.INTENSITIES.get(letter, cells[index]))
        graded.append(",".join(cells))
    return graded


def _rate(times: np.ndarray, path: Path) -> float:
    """Frames a second from evenly spaced seconds."""
    if len(times) == 1:
        return _DEFAULT_FPS
    steps = np.diff(times)
    typical = (times[-1] - times[0]) / len(steps)
    uneven = np.abs(steps - typical) > max(0.01 * abs(typical), 2e-6)
    if uneven.any() or typical <= 0:
        row = int(uneven.argmax())
        raise InputError(
            f"line {row + 3}: the time goes from {times[row]:g} to {times[row + 1]:g} s",
            path=path, expected=f"even steps (of {typical:.4g} s here)", hint="Give the frame rate to ignore the times",
        )  # fmt: skip
    if not 1 / FPS_LIMITS[1] <= typical <= 1 / FPS_LIMITS[0]:
        raise InputError(f"a row lasts {typical:g} s", path=path, expected="seconds, 0.001 to 1 a row")
    return nearest_rate(1 / typical, max(1e-5, 2e-6 / (times[-1] - times[0])))


def _take(fps: float, names: tuple[str, ...], curves: np.ndarray, confidence: np.ndarray) -> Take:
    frames = len(curves)
    return Take(
        fps=fps, curve_names=names, curves=curves.astype(np.float32), joint_names=(),
        rotations=np.zeros((frames, 0, 4), np.float32), root=np.zeros((frames, 3), np.float32), confidence=confidence,
    )  # fmt: skip


def _read_live_link(
    path: Path, lines: list[str], header: list[str], fps: float | None, limits: NeckLimits | None
) -> Take:
    shapes = {name.lower(): name[0].lower() + name[1:] for name in LIVE_LINK_SHAPES}
    missing = [name for name in shapes if name not in header]
    if missing:
        raise InputError(f"lacks the columns {', '.join(shapes[name] for name in missing[:5])}", path=path)
    codes, kept, confidence = _split_timecodes(path, lines, len(header))
    columns = read_rows(iter(kept), len(header) - 2, ",", path)
    lost = np.cumsum(confidence) - 1
    if lost[0] < 0:
        raise InputError("its first row holds no face", path=path, expected="a table that starts with a tracked face")
    # A row without a face holds the last one, with confidence 0.
    columns = columns[lost]
    counted = _timecode_rate(codes)
    columns, confidence = _even(path, codes, counted, columns, confidence.astype(np.float32))
    fps = counted if fps is None else fps
    frame_rate(fps, path)
    place = {name: index for index, name in enumerate(header[2:])}
    curves = np.stack([columns[:, place[name.lower()]] for name in arkit.NAMES], -1)
    take = _take(fps, arkit.NAMES, curves, confidence)
    angles = [place.get(name) for name in ("headyaw", "headpitch", "headroll")]
    if None in angles:
        return take
    head = _from_angles(columns[:, [index for index in angles if index is not None]])
    return replace(take, joint_names=neck.JOINTS, rotations=divided(head, limits))


def _split_timecodes(
    path: Path, lines: list[str], width: int
) -> tuple[list[tuple[int, int, float]], list[tuple[int, str]], np.ndarray]:
    """Timecodes as (line, whole seconds, frames), the number cells of tracked rows, and which rows are tracked."""
    codes, kept, tracked = [], [], []
    for number, text in enumerate(lines[1:], 2):
        if not text.strip():
            continue
        code, _, rest = text.partition(",")
        match = _TIMECODE.fullmatch(code.strip())
        if match is None:
            raise InputError(f"line {number}: the timecode is '{code[:30]}'", path=path, expected="HH:MM:SS:FF.fff")
        hours, minutes, seconds, frames, fraction = match.groups()
        whole = 3600 * int(hours) + 60 * int(minutes) + int(seconds)
        codes.append((number, whole, int(frames) + float(f"0.{fraction or 0}")))
        count, _, cells = rest.partition(",")
        # The app writes the count 0 and no weights while it sees no face.
        tracked.append(count.strip() != "0")
        if tracked[-1]:
            if not cells.strip(' ,"'):
                raise InputError(f"line {number} has no values", path=path, expected=f"{width} cells")
            kept.append((number, cells))
    if not codes:
        raise InputError("has a header, but no rows", path=path, expected="one row a frame")
    return codes, kept, np.array(tracked)


def _timecode_rate(codes: list[tuple[int, int, float]]) -> float:
    """The rate at which frames count within a second: the usual one above the largest frame number."""
    top = max(frames for _, _, frames in codes)
    if codes[-1][1] == codes[0][1]:
        return max(60.0, float(np.ceil(top + 0.5)))
    return next((rate for rate in _COUNTS if top < rate), float(np.ceil(top + 0.5)))


def _even(
    path: Path, codes: list[tuple[int, int, float]], rate: float, columns: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rows at even steps: a busy phone drops frames, and a curve must not drift from its sound."""
    frames = np.array([whole * rate + count for _, whole, count in codes])
    steps = np.diff(frames)
    if (steps <= 0).any():
        number = codes[int((steps <= 0).argmax()) + 1][0]
        raise InputError(f"line {number}: the timecode does not rise", path=path, expected="rising timecodes")
    frames -= frames[0]
    if np.abs(steps - 1).max(initial=0) < 0.5 and abs(frames[-1] - len(steps)) < 0.5:
        return columns, confidence
    count = round(frames[-1]) + 1
    if count > _LONGEST_GAP * len(frames):
        raise InputError(
            f"its {len(frames)} rows lie on {count} frames", path=path, expected="a recording without long gaps"
        )
    grid = np.arange(count)
    even = np.stack([np.interp(grid, frames, column) for column in columns.T], -1)
    return even, confidence[np.searchsorted(frames, grid + 1e-6, side="right") - 1]


def _timecodes(take: Take) -> list[str]:
    """HH:MM:SS:FF.fff, non-drop, counted at the nearest whole rate."""
    rate = max(round(take.fps), 1)
    return [
        f"{frame // rate // 3600:02d}:{frame // rate // 60 % 60:02d}:{frame // rate % 60:02d}:{frame % rate:02d}.000"
        for frame in range(take.frames)
    ]


def _angles(take: Take) -> np.ndarray:
    """Yaw, pitch, roll of head, left and right eye, (frames, 9) radians."""
    head = rotations.identity(take.frames).astype(float)
    for name in neck.JOINTS:
        if name in take.joint_names:
            head = rotations.multiply(head, take.rotations[:, take.joint_names.index(name)].astype(float))
    result = [_to_angles(head)]
    for joint, side, outward in (("eye.L", "Left", 1), ("eye.R", "Right", -1)):
        if joint in take.joint_names:
            result.append(_to_angles(take.rotations[:, take.joint_names.index(joint)].astype(float)))
            continue
        look = {name: take.curve(f"eyeLook{name}{side}") * degrees for name, degrees in LOOK_DEGREES.items()}
        yaw, pitch = outward * (look["Out"] - look["In"]), look["Down"] - look["Up"]
        result.append(np.radians(np.stack([yaw, pitch, 0 * yaw], -1)))
    return np.concatenate(result, -1)


def _to_angles(quaternions: np.ndarray) -> np.ndarray:
    """Yaw, pitch, roll (frames, 3) radians of ``Ry(yaw) Rx(pitch) Rz(roll)``."""
    w, x, y, z = quaternions.T
    pitch = np.arcsin(np.clip(2 * (w * x - y * z), -1, 1))
    yaw = np.arctan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y))
    roll = np.arctan2(2 * (x * y + w * z), 1 - 2 * (x * x + z * z))
    return np.unwrap(np.stack([yaw, pitch, roll], -1), axis=0)


def _from_angles(angles: np.ndarray) -> np.ndarray:
    yaw, pitch, roll = (rotations.about(np.eye(3)[axis], angles[:, i]) for i, axis in enumerate((1, 0, 2)))
    return rotations.multiply(rotations.multiply(yaw, pitch), roll)


def divided(head: np.ndarray, limits: NeckLimits | None) -> np.ndarray:
    """Rotations of the eight neck joints, (frames, 8, 4) float32, whose product is the head's rotation."""
    if limits is not None:
        return neck.distribute(limits, head).astype(np.float32)
    # An eighth of the angle about the same axis, eight times.
    eighth = rotations.from_rotation_vector(rotations.to_rotation_vector(head) / 8)
    return np.repeat(eighth[:, None], 8, axis=1).astype(np.float32)
