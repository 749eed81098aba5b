# SPDX-License-Identifier: Apache-2.0
"""The bundled human's joints in a T pose: arms straight out, palms down, fingers straight, legs straight down."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hyoid.characters.character import Character
from hyoid.geometry import rotations


@dataclass(frozen=True)
class Pose:
    """The joints of the human before and after.

    Attributes:
        names, parents: (J,), those of the human. turns: (J, 3, 3) rotations in the world, from the human's own rest.
        from_heads: (J, 3) metres, the human's own. heads, tails: (J, 3) metres, in the T pose.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    turns: np.ndarray
    from_heads: np.ndarray
    heads: np.ndarray
    tails: np.ndarray

    def back(self, joints: tuple[str, ...]) -> np.ndarray:
        """(n, 3, 4) what takes each of some joints from the T pose to the human's own rest."""
        linear = self.turns.swapaxes(1, 2)
        shift = self.from_heads - (linear @ self.heads[..., None])[..., 0]
        return np.concatenate([linear, shift[..., None]], -1)[[self.names.index(joint) for joint in joints]]


def of(human: Character) -> Pose:
    """The T pose of the whole human at any identity; the pelvis, the trunk and the head stay where they are."""
    names, heads, tails = human.joint_names, human.heads.astype(float), human.tails.astype(float)
    start = dict(zip(names, heads, strict=True))
    end = dict(zip(names, tails, strict=True))
    turns: dict[str, np.ndarray] = {}
    for side in "LR":
        turns |= _leg(start, side) | _arm(start, end, side)
    world = np.empty((len(names), 3, 3))
    places, tips = heads.copy(), tails.copy()
    for joint, (name, parent) in enumerate(zip(names, human.parents.tolist(), strict=True)):
        above = world[parent] if parent >= 0 else np.eye(3)
        world[joint] = turns.get(name, above)
        if parent >= 0:
            places[joint] = places[parent] + above @ (heads[joint] - heads[parent])
        tips[joint] = places[joint] + world[joint] @ (tails[joint] - heads[joint])
    return Pose(names, tuple(human.parents.tolist()), world, heads, places, tips)


def _leg(start: dict[str, np.ndarray], side: str) -> dict[str, np.ndarray]:
    """Thigh and shin straight down as seen from the front, as they are from the side; the foot stays flat."""
    result = {}
    chain = [f"{joint}.{side}" for joint in ("upperleg01", "lowerleg01", "foot")]
    for upper, lower in pairwise(chain):
        along = start[lower] - start[upper]
        result[upper] = _swing(along, along * [0.0, 1.0, 1.0])
    return result | {chain[-1]: np.eye(3)}


def _arm(start: dict[str, np.ndarray], end: dict[str, np.ndarray], side: str) -> dict[str, np.ndarray]:
    """The arm straight out; the elbow bends forwards, the palm looks down, the thumb stays as it is on the hand."""
    shoulder, elbow, wrist, knuckle, index, little = (
        start[f"{joint}.{side}"]
        for joint in ("upperarm01", "lowerarm01", "wrist", "finger3-1", "finger2-1", "finger5-1")
    )
    out = np.array([1.0 if side == "L" else -1.0, 0.0, 0.0])
    hinge, forwards = np.cross(elbow - shoulder, wrist - elbow), np.array([0.0, 0.0, 1.0])
    across = np.cross(out, forwards)
    hand = _frame(out, -forwards) @ _frame(knuckle - wrist, little - index).T
    result = {
        f"upperarm01.{side}": _frame(out, across) @ _frame(elbow - shoulder, hinge).T,
        f"lowerarm01.{side}": _frame(out, across) @ _frame(wrist - elbow, hinge).T,
        f"wrist.{side}": hand,
    }
    for finger in range(2, 6):
        bones = [f"finger{finger}-{bone}.{side}" for bone in (1, 2, 3)]
        along = hand @ (end[bones[-1]] - start[bones[0]]) * [1.0, 0.0, 1.0]
        target = along / np.linalg.norm(along) + out  # half as far apart as they are
        for bone in bones:
            result[bone] = _swing(hand @ (end[bone] - start[bone]), target) @ hand
    return result


def _swing(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(3, 3) the shortest turn from one direction to another."""
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    return rotations.to_matrix(rotations.normalise(np.array([1 + start @ end, *np.cross(start, end)])))


def _frame(along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """(3, 3) columns: a direction, what is nearest to another at right angles to it, and their normal."""
    x = along / np.linalg.norm(along)
    y = across - (across @ x) * x
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], -1)
