# SPDX-License-Identifier: Apache-2.0
"""BVH (Biovision hierarchy): skeleton, joint rotations and root motion as text; no face, no sound.

Written in metres (Blender's importer takes them 1:1 at its default scale), +Y up, with the rotation channels
Z X Y: ``R = Rz Rx Ry``, degrees. Angles run on past 180 degrees, so that a linear reader never spins back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hyoid import scratch
from hyoid.characters.character import Character
from hyoid.errors import InputError
from hyoid.formats.checks import FPS_LIMITS, finite, frame_rate, valid_take
from hyoid.formats.rows import nearest_rate, read_rows, text_lines, write_rows
from hyoid.geometry import rotations
from hyoid.take import Take

_LARGEST_HUMAN_METRES = 10.0
"""A skeleton that is larger than this cannot be in metres: its file is in centimetres, as most are."""
_MOST_JOINTS = 4096
_TIME_DIGITS = 9
_PIECE = 2048  # frames that are turned into angles at a time


@dataclass
class Skeleton:
    """The HIERARCHY of a BVH file.

    Attributes:
        names: (J,). parents: (J,), -1 for the root. offsets: (J, 3) from the parent, in the file's unit.
        channels: (J,) names of each joint's channels, in the order of the motion columns.
    """

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[list[float]] = field(default_factory=list)
    channels: list[list[str]] = field(default_factory=list)

    def positions(self) -> np.ndarray:
        """The joints at rest, (J, 3), in the file's unit."""
        points = np.array(self.offsets, float).reshape(-1, 3)
        for index, parent in enumerate(self.parents):
            if parent >= 0:
                points[index] += points[parent]
        return points


def write(path: Path, character: Character, take: Take | None = None, *, unit: str = "metres") -> None:
    """Write the skeleton and the motion of its joints; without a take, one frame at rest.

    Args:
        unit: ``metres``, or ``centimetres`` for programs that expect them (MotionBuilder, Maya).

    Raises:
        InputError: the take holds numbers that are not finite.
    """
    scale = {"metres": 1.0, "centimetres": 100.0}[unit]
    fps, frames = (30.0, 1) if take is None else (take.fps, take.frames)
    columns = scratch.empty((frames, 3 + 3 * len(character.joint_names)))
    for rows, values in _columns(character, take, scale):
        finite("the motion", values)
        columns[rows] = np.round(values, 6) + 0.0  # turns -0.0 into 0.0
        scratch.give_back(columns)
    with open(path, "w", encoding="utf-8", newline="\n") as stream:
        stream.write("HIERARCHY\n")
        stream.writelines(f"{line}\n" for line in _hierarchy(character, scale))
        stream.write(f"MOTION\nFrames: {frames}\nFrame Time: {1 / fps:.{_TIME_DIGITS}f}\n")
        write_rows(stream, columns, "%.6f", " ")


def _columns(character: Character, take: Take | None, scale: float) -> Iterator[tuple[slice, np.ndarray]]:
    """Places of the root and angles in degrees, (n, 3 + 3 J), of all frames in pieces."""
    order = np.array(_depth_first(character.parents.tolist()))
    if take is None:
        turns = rotations.identity(1, len(order))
        yield slice(0, 1), _row(character.heads[order[0]][None] * scale, _angles(turns))
        return
    valid_take(take)
    from hyoid.characters import performance  # needs SciPy, which reading does not

    last, gone = np.zeros((0, len(order), 3)), np.zeros(())
    for rows in scratch.pieces(take.frames, _PIECE):
        performed = performance.perform(character, take, rows.start, rows.stop)
        # Most joints of a take never move: one row of them is enough.
        turns = performed.rotations[:, order]
        moving = np.flatnonzero((turns != turns[:1]).any((0, 2)))
        angles = np.repeat(_angles(turns[:1]), len(turns), 0)
        angles[:, moving] = _angles(turns[:, moving])
        # Angles go on from piece to piece: whole turns that were gone through stay.
        even = np.unwrap(np.concatenate([last, angles]), axis=0)[len(last) :] + gone
        last, gone = angles[-1:], even[-1:] - angles[-1:]
        yield rows, _row((character.heads[order[0]] + performed.root) * scale, np.degrees(even))
        scratch.give_back(take.curves, take.rotations)


def _row(places: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    return np.concatenate([places, degrees.reshape(len(degrees), -1)], 1)


def read(path: Path, *, unit: str = "auto") -> Take:
    """The motion of a BVH file as a take without curves; positions become metres.

    Any order of rotation channels is read. Position channels of joints other than the root (stretch) are left out:
    a take has none.

    Args:
        unit: ``metres``, ``centimetres``, or ``auto``: a skeleton larger than 10 units is in centimetres.

    Raises:
        InputError: the file is missing, damaged or no BVH; the line is named.
    """
    path = Path(path)
    lines = enumerate(text_lines(path), 1)
    skeleton = _read_hierarchy(lines, path)
    frames, fps = _read_motion_header(lines, path)
    width = sum(map(len, skeleton.channels))
    columns = read_rows(lines, width, None, path)
    if len(columns) != frames:
        raise InputError(
            f"has {len(columns)} frames", path=path, expected=f"the {frames} that its header promises",
            hint="The file may be cut short",
        )  # fmt: skip
    rest = skeleton.positions()
    if unit == "auto":
        unit = "centimetres" if np.ptp(rest, axis=0).max(initial=0) > _LARGEST_HUMAN_METRES else "metres"
    scale = {"metres": 1.0, "centimetres": 0.01}[unit]
    turns, root = _motion(skeleton, columns)
    take = Take(
        fps=fps,
        curve_names=(),
        curves=np.zeros((frames, 0), np.float32),
        joint_names=tuple(skeleton.names),
        rotations=turns,
        root=(root * scale).astype(np.float32),
        confidence=np.ones(frames, np.float32),
    )
    return valid_take(take, path)


def _depth_first(parents: list[int]) -> list[int]:
    """Joint indices in the order in which a nested text names them."""
    children: dict[int, list[int]] = {}
    for index, parent in enumerate(parents):
        children.setdefault(parent, []).append(index)
    order, waiting = [], children[-1][::-1]
    while waiting:
        order.append(waiting.pop())
        waiting += children.get(order[-1], [])[::-1]
    return order


def _hierarchy(character: Character, scale: float) -> Iterator[str]:
    parents = character.parents.tolist()
    if parents.count(-1) != 1:
        raise InputError(
            f"the character has {parents.count(-1)} root joints", expected="one, as BVH holds one skeleton"
        )
    depths: list[int] = []
    order = _depth_first(parents)
    depth_of = {}
    for index in order:
        depth_of[index] = depth_of[parents[index]] + 1 if parents[index] >= 0 else 0
    leaves = set(order) - set(parents)
    for index in order:
        depth, parent = depth_of[index], parents[index]
        while depths and depths[-1] >= depth:
            yield "\t" * depths.pop() + "}"
        tab = "\t" * depth
        offset = (character.heads[index] - (character.heads[parent] if parent >= 0 else 0)) * scale
        name = "_".join(character.joint_names[index].split())
        yield f"{tab}{'JOINT' if depth else 'ROOT'} {name}"
        yield tab + "{"
        yield f"{tab}\tOFFSET {_triple(offset)}"
        position = "" if depth else "Xposition Yposition Zposition "
        yield f"{tab}\tCHANNELS {3 if depth else 6} {position}Zrotation Xrotation Yrotation"
        depths.append(depth)
        if index in leaves:
            end = (character.tails[index] - character.heads[index]) * scale
            yield from (f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET {_triple(end)}", f"{tab}\t}}")
    while depths:
        yield "\t" * depths.pop() + "}"


def _triple(vector: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in np.round(vector.astype(float), 6) + 0.0)


def _angles(quaternions: np.ndarray) -> np.ndarray:
    """Angles (frames, J, 3) in radians about Z, X, Y with ``R = Rz Rx Ry``, each within half a turn."""
    m = np.moveaxis(rotations.to_matrix(rotations.normalise(quaternions.astype(float))), (-2, -1), (0, 1))
    z = np.arctan2(-m[0, 1], m[1, 1])
    # The other angles are those of Rz(-z) R. Near a quarter turn about X, where z is noise, they still fit it exactly.
    cosine, sine = np.cos(z), np.sin(z)
    x = np.arctan2(m[2, 1], cosine * m[1, 1] - sine * m[0, 1])
    y = np.arctan2(cosine * m[0, 2] + sine * m[1, 2], cosine * m[0, 0] + sine * m[1, 0])
    return np.stack([z, x, y], -1)


def _read_hierarchy(lines: Iterator[tuple[int, str]], path: Path) -> Skeleton:
    """Read up to and with the line MOTION."""
    skeleton = Skeleton()
    open_joints: list[int] = []  # -1 marks an End Site
    pending: int | None = None
    number, started = 0, False

    def fail(found: str, expected: str) -> InputError:
        return InputError(f"line {number}: {found}", path=path, expected=expected)

    for number, text in lines:
        words = text.split()
        if not words:
            continue
        key = words[0].upper()
        if not started:
            if key != "HIERARCHY":
                raise fail(f"begins with '{words[0][:30]}'", "a BVH file, which begins with HIERARCHY")
            started = True
        elif key in ("ROOT", "JOINT"):
            if pending is not None or (key == "ROOT") == bool(open_joints) or (open_joints and open_joints[-1] < 0):
                raise fail(f"{key} in a wrong place", "one ROOT, and each JOINT inside another joint's braces")
            if key == "ROOT" and skeleton.names:
                raise fail(
                    "a second ROOT",
                    "one skeleton",
                )
            name = " ".join(words[1:])
            if not name or name in skeleton.names:
                raise fail(f"the joint name '{name}' is missing or used twice", "a name of its own for each joint")
            if len(skeleton.names) == _MOST_JOINTS:
                raise fail(f"more than {_MOST_JOINTS} joints", "a skeleton")
            skeleton.names.append(name)
            skeleton.parents.append(open_joints[-1] if open_joints else -1)
            skeleton.offsets.append([0.0, 0.0, 0.0])
            skeleton.channels.append([])
            pending = len(skeleton.names) - 1
        elif key == "END":
            pending = -1
        elif key == "{":
            if pending is None:
                raise fail("a brace opens, but no joint was named", "ROOT, JOINT or End Site before it")
            open_joints.append(pending)
            pending = None
        elif key == "}":
            if not open_joints:
                raise fail("a brace closes, but none is open", "balanced braces")
            open_joints.pop()
        elif key == "OFFSET" and open_joints:
            offset = _offset(words, number, path)
            if open_joints[-1] >= 0:
                skeleton.offsets[open_joints[-1]] = offset
        elif key == "CHANNELS" and open_joints and open_joints[-1] >= 0:
            skeleton.channels[open_joints[-1]] = _channels(words, number, path)
        elif key == "MOTION":
            if open_joints or not skeleton.names:
                raise fail("MOTION before the skeleton is complete", "balanced braces and at least one joint")
            return skeleton
        else:
            raise fail(
                f"'{text.strip()[:40]}' is not understood", "ROOT, JOINT, End Site, OFFSET, CHANNELS, braces or MOTION"
            )
    raise InputError(f"ends in line {number}, before MOTION", path=path, expected="a whole BVH file")


def _offset(words: list[str], number: int, path: Path) -> list[float]:
    return read_rows(iter([(number, " ".join(words[1:]) or "?")]), 3, None, path)[0].tolist()


def _channels(words: list[str], number: int, path: Path) -> list[str]:
    names = [word.capitalize() for word in words[2:]]
    known = {f"{axis}{kind}" for axis in "XYZ" for kind in ("position", "rotation")}
    turns = [name for name in names if name.endswith("rotation")]
    if words[1:2] != [str(len(names))] or not known.issuperset(names) or len(set(names)) != len(names):
        raise InputError(
            f"line {number}: '{' '.join(words)[:80]}' is not understood",
            path=path, expected="CHANNELS, their number, and names like Xposition or Zrotation",
        )  # fmt: skip
    if len(turns) not in (0, 3):
        raise InputError(f"line {number}: {len(turns)} rotation channels", path=path, expected="three or none")
    return names


def _read_motion_header(lines: Iterator[tuple[int, str]], path: Path) -> tuple[int, float]:
    """Frames and frames a second from the two lines after MOTION."""
    found: dict[str, tuple[int, str]] = {}
    for number, text in lines:
        if not text.strip():
            continue
        key, _, value = text.partition(":")
        found[" ".join(key.lower().split())] = (number, value.strip())
        if len(found) == 2:
            break
    missing = [name for name in ("frames", "frame time") if name not in found]
    if missing:
        raise InputError(f"lacks the line '{missing[0].title()}:' after MOTION", path=path)
    number, text = found["frames"]
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise InputError(f"line {number}: promises '{text[:30]}' frames", path=path, expected="a whole number above 0")
    frames = int(text)
    number, text = found["frame time"]
    seconds = float(read_rows(iter([(number, text or "?")]), 1, None, path)[0, 0])
    if not 1 / FPS_LIMITS[1] <= seconds <= 1 / FPS_LIMITS[0]:
        raise InputError(f"line {number}: a frame lasts {seconds:g} s", path=path, expected="0.001 to 1 second")
    # The text is rounded or cut: 0.0333 means 30 frames a second.
    digits = len(text.lower().partition("e")[0].partition(".")[2])
    fps = nearest_rate(1 / seconds, max(1e-6, 10.0**-digits / seconds))
    frame_rate(fps, path)
    return frames, fps


def _motion(skeleton: Skeleton, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (frames, J, 4) float32 and the root's way from its rest (frames, 3), in the file's unit."""
    turns = rotations.identity(len(columns), len(skeleton.names))
    root = np.zeros((len(columns), 3))
    starts = np.cumsum([0, *(len(channels) for channels in skeleton.channels)])
    for index, channels in enumerate(skeleton.channels):
        quaternion = None
        for column, channel in enumerate(channels, starts[index]):
            axis = "XYZ".index(channel[0])
            if channel.endswith("rotation"):
                # Angles far beyond a turn lose nothing: 720 degrees is the period of a quaternion.
                turn = rotations.about(np.eye(3)[axis], np.radians(columns[:, column] % 720))
                quaternion = turn if quaternion is None else rotations.multiply(quaternion, turn)
            elif index == 0:
                root[:, axis] = columns[:, column] - skeleton.offsets[0][axis]
        if quaternion is not None:
            turns[:, index] = quaternion
    return rotations.continuous(turns), root
