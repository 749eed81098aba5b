# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns of one skeleton for another: by names, by products of joints, and across different rest poses. NumPy only.

All turns are relative to the rest pose in model axes (+Y up, the character looks along +Z): what turns a head to the
left turns every head to the left, however its bones lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..toolkit.geometry import rotations
from ..toolkit.take import Take
from . import guess_bones
from .guess_bones import JAW_CURVE, JOINTS, LOOK_LEFT, LOOK_RIGHT, NECK, SPINE

HIP_HEIGHT = 1.0
"""Metres from the floor to the root joint of the human."""
JAW_DEGREES = 20.0
"""How far a jaw bone opens at jawOpen 1."""

_LOOK_DEGREES = {
    "Up": ((-1, 0, 0), 20.0),
    "Down": ((1, 0, 0), 25.0),
    "Out": ((0, 1, 0), 30.0),
    "In": ((0, -1, 0), 30.0),
}
_ABSOLUTE = 0.5  # metres: a root that stays higher than this is a place in the room, not a way from its rest

# Where the limbs of the human's left side point at rest (its right side is the mirror image), unit vectors.
_HUMAN_REST: dict[str, tuple[float, float, float]] = {
    "upperarm01": (0.6618, -0.7493, 0.0233), "lowerarm01": (0.5065, -0.4991, 0.7031),
    "wrist": (0.4196, -0.4894, 0.7645),
    "upperleg01": (0.0788, -0.9939, 0.0772), "lowerleg01": (0.1043, -0.9928, -0.0585),
}  # fmt: skip
_T_REST: dict[str, tuple[float, float, float]] = {
    "upperarm01": (1, 0, 0), "lowerarm01": (1, 0, 0), "wrist": (1, 0, 0), "upperleg01": (0, -1, 0),
    "lowerleg01": (0, -1, 0),
}  # fmt: skip
NEXT = {"upperarm01": "lowerarm01", "lowerarm01": "wrist", "wrist": "finger3-1", "upperleg01": "lowerleg01",
        "lowerleg01": "foot"}  # fmt: skip
"""The joint at which the bone of a limb joint ends."""
_BACK = frozenset((*SPINE, *NECK))
_SPREAD = {"upperarm02": "upperarm01", "lowerarm02": "lowerarm01", "upperleg02": "upperleg01",
           "lowerleg02": "lowerleg01"}  # fmt: skip


_OWN = frozenset(name for name in JOINTS if name in NECK or any(letter.isdigit() for letter in name))
"""Names that no other skeleton has (``root``, ``jaw`` and ``foot.L`` are common)."""


def is_human(take: Take) -> bool:
    """Whether the joints of a take are named as the human's are (or it has none)."""
    names = set(take.joint_names)
    return names <= JOINTS or any(name in _OWN for name in names)


def is_limb(joint: str) -> bool:
    """Whether a joint of the human belongs to an arm or a leg."""
    return joint[:-2] in NEXT or joint[:-2] in _SPREAD or joint[:-2] == "foot"


def human_take(take: Take, *, align: bool = True) -> Take:
    """The same performance with the joints of the human, whatever skeleton it was recorded with.

    Names are guessed (Mixamo, motion capture, Rigify...). The turn of a back or neck bone is divided evenly among the
    joints that it stands for; that of a limb goes to the joint that bends, and half of its twist to the one below. A
    root that is a place in the room becomes a way from the rest, at the size of the human.

    Args:
        align: the skeleton is taken to rest in T pose: arms and legs point where they pointed, from the human's rest.
    """
    if is_human(take):
        return take
    roles, _, _ = guess_bones.find_roles(take.joint_names)
    turns: dict[str, np.ndarray] = {}
    for bone, joints in guess_bones.joints_of_roles(roles).items():
        whole = take.rotations[:, take.joint_names.index(bone)].astype(np.float64)
        if set(joints) <= _BACK:
            part = rotations.from_rotation_vector(rotations.to_rotation_vector(whole) / len(joints))
            turns.update(dict.fromkeys(joints, part))
        else:
            turns[next((joint for joint in joints if joint[:-2] in NEXT), _bending(joints))] = whole
    if align:
        _onto_human_rest(turns)
    _share_twist(turns)
    stacked = np.stack(list(turns.values()), 1) if turns else rotations.identity(take.frames, 0)
    return replace(
        take,
        joint_names=tuple(turns),
        rotations=rotations.continuous(stacked).astype(np.float32),
        root=_way(take.root),
        keys={name: keys for name, keys in take.keys.items() if name in take.curve_names},
    )


def _bending(joints: Sequence[str]) -> str:
    """The one of several joints that stand for one bone which bends: the finger, not the palm; the collar bone."""
    return joints[-1] if joints[0].startswith("metacarpal") else joints[0]


def _share_twist(turns: dict[str, np.ndarray]) -> None:
    """Give half of each limb's twist about its own length to the joint in its middle."""
    for lower, upper in _SPREAD.items():
        for side, sign in (("L", 1.0), ("R", -1.0)):
            whole = turns.get(f"{upper}.{side}")
            if whole is None:
                continue
            along = np.array(_HUMAN_REST[upper]) * [sign, 1, 1]
            along /= np.linalg.norm(along)
            whole = np.where(whole[:, :1] < 0, -whole, whole)
            # The part of a turn about an axis is its quaternion with the rest of the vector left out.
            twist = rotations.normalise(np.concatenate([whole[:, :1], (whole[:, 1:] @ along)[:, None] * along], -1))
            half = rotations.from_rotation_vector(rotations.to_rotation_vector(twist) / 2)
            turns[f"{lower}.{side}"] = half
            turns[f"{upper}.{side}"] = rotations.multiply(whole, rotations.inverse(half))


def _way(root: np.ndarray) -> np.ndarray:
    """A root path (frames, 3) as a way from the rest of the human, metres."""
    height = float(root[0, 1]) if len(root) else 0.0
    if np.median(root[:, 1]) < _ABSOLUTE or height < _ABSOLUTE:
        return root
    return (root * (HIP_HEIGHT / height) - np.array([0, HIP_HEIGHT, 0])).astype(np.float32)


def _onto_human_rest(turns: dict[str, np.ndarray]) -> None:
    """Change turns from a T pose, in place, into turns from the human's rest, for arms, hands, legs and feet."""
    for side, sign in (("L", 1.0), ("R", -1.0)):
        for chain, ends in (
            (("upperarm01", "lowerarm01", "wrist"), ("finger", "metacarpal")),
            (("upperleg01", "lowerleg01"), ()),
        ):
            before = rotations.IDENTITY.astype(np.float64)
            for joint in chain:
                if f"{joint}.{side}" in turns:
                    own = rest_turn(joint, sign, _HUMAN_REST[joint], _T_REST)
                    turn = rotations.multiply(turns[f"{joint}.{side}"], own)
                    turns[f"{joint}.{side}"] = rotations.multiply(rotations.inverse(before), turn)
                    before = own
            foot = f"foot.{side}"
            if not ends and foot in turns:
                turns[foot] = rotations.multiply(rotations.inverse(before), turns[foot])
            for name in turns:
                if ends and name.startswith(ends) and name.endswith(side):
                    turns[name] = rotations.multiply(rotations.inverse(before), rotations.multiply(turns[name], before))


def rest_turn(
    joint: str,
    sign: float,
    direction: Sequence[float] | np.ndarray,
    wanted: Mapping[str, Sequence[float]] | None = None,
) -> np.ndarray:
    """The smallest turn (4,) that points a limb bone as another rest pose does.

    Args:
        joint: of the left side, without ``.L``. sign: 1 for the left, -1 for the right side.
        direction: (3,) where the bone points now: of the left side if ``wanted`` is given, else as it is.
        wanted: directions of the left side by joint; the human's by default.
    """
    mirror = np.array([sign, 1, 1], float)
    now = np.asarray(direction, float) * (mirror if wanted is not None else 1)
    goal = np.asarray((wanted or _HUMAN_REST)[joint], float) * mirror
    return between(now, goal)


def between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The smallest rotation (4,) float64 that turns one direction (3,) into another."""
    first, second = (vector / max(float(np.linalg.norm(vector)), 1e-12) for vector in (first, second))
    across = np.cross(first, second)
    sine, cosine = float(np.linalg.norm(across)), float(first @ second)
    if sine < 1e-9:
        if cosine > 0:
            return rotations.IDENTITY.astype(np.float64)
        axis = np.cross(first, [1.0, 0, 0] if abs(first[0]) < 0.9 else [0, 1.0, 0])
        return np.concatenate([[0.0], axis / np.linalg.norm(axis)])
    return rotations.from_rotation_vector(across / sine * np.arctan2(sine, cosine))


def turns_of(take: Take) -> dict[str, np.ndarray]:
    """Source -> (frames, 4) float64 turns: the joints of a take, and what its face curves ask of jaw and eyes."""
    result = {name: take.rotations[:, index].astype(np.float64) for index, name in enumerate(take.joint_names)}
    if JAW_CURVE in take.curve_names:
        angles = np.radians(JAW_DEGREES) * take.curve(JAW_CURVE).astype(np.float64)
        result[JAW_CURVE] = rotations.about(np.array([1.0, 0, 0]), angles)
    for source, side, sign in ((LOOK_LEFT, "Left", 1.0), (LOOK_RIGHT, "Right", -1.0)):
        curves = {way: f"eyeLook{way}{side}" for way in _LOOK_DEGREES}
        if not set(curves.values()) & set(take.curve_names):
            continue
        vector = np.zeros((take.frames, 3))
        for way, (axis, degrees) in _LOOK_DEGREES.items():
            outward = np.array([1, sign, sign]) * axis
            vector += np.radians(degrees) * take.curve(curves[way]).astype(np.float64)[:, None] * outward
        result[source] = rotations.from_rotation_vector(vector)
    return result


def product(turns: Mapping[str, np.ndarray], sources: Sequence[str]) -> np.ndarray | None:
    """The turns of several sources one after the other, (frames, 4); None if none of them is there."""
    result = None
    for source in sources:
        if source in turns:
            result = turns[source] if result is None else rotations.multiply(result, turns[source])
    return result
