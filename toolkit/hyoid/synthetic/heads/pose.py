# SPDX-License-Identifier: Apache-2.0
"""How people hold their heads, arms and faces."""

from __future__ import annotations

from functools import cache

import numpy as np

from hyoid.characters import neck
from hyoid.characters.character import NeckLimits
from hyoid.geometry import rotations, skinning
from hyoid.synthetic import expressions
from hyoid.synthetic.heads import bank

_ARM_DOWN = 40.0  # degrees from the rest pose to arms that hang


@cache
def _groups() -> dict[str, list[int]]:
    names = [name for name in bank.layout(False).shapes if not name.startswith("eyeLook")]
    return expressions.groups(names)


def expression(random: np.random.Generator) -> dict[str, float]:
    """Curve weights of a random expression: often calm, sometimes smiling or speaking, sometimes anything."""
    names = [name for name in bank.layout(False).shapes if not name.startswith("eyeLook")]
    kind = random.random()
    curves: dict[str, float] = {}
    if kind < 0.3:
        smile = random.uniform(0.2, 1)
        for side in ("Left", "Right"):
            curves[f"mouthSmile{side}"] = smile
            curves[f"cheekSquint{side}"] = 0.5 * smile
            curves[f"mouthUpperUp{side}"] = 0.35 * smile * random.random()
        curves["jawOpen"] = float(random.choice([0.0, random.uniform(0.05, 0.35)]))
    elif kind < 0.5:
        curves = {"jawOpen": random.uniform(0.05, 0.6), "mouthFunnel": random.uniform(0, 0.5)}
    elif kind < 0.7:
        weights = expressions.sample(random, _groups(), len(names))
        curves = {names[index]: float(0.8 * weights[index]) for index in np.flatnonzero(weights)}
    blink = random.random()
    lid = float(random.uniform(0.7, 1) if blink < 0.06 else random.uniform(0, 0.35))
    for side in ("Left", "Right"):
        curves[f"eyeBlink{side}"] = max(curves.get(f"eyeBlink{side}", 0.0), lid)
    curves.pop("tongueOut", None)
    return {name: float(value) for name, value in curves.items()}


def bust(random: np.random.Generator, head: np.ndarray, lowered: tuple[float, float]) -> dict[str, np.ndarray]:
    """Local joint rotations as quaternions w x y z by name: a head against the trunk, shoulders, arms and gaze.

    head: (4,) rotation of the head against the trunk, model axes. lowered: degrees that the left and right arm go down.
    """
    limits = bank.template().neck
    joints = dict(zip(neck.JOINTS, _shared(limits, head), strict=True))
    for side, sign, angle in (("L", -1.0, lowered[0]), ("R", 1.0, lowered[1])):
        joints[f"upperarm01.{side}"] = _turn([0.0, 0.0, sign], angle)
        joints[f"clavicle.{side}"] = _turn([0.0, 0.0, -sign], random.normal(0, 3))
    up, across = random.normal(0, 8), random.normal(0, 14)
    for side in ("L", "R"):
        joints[f"eye.{side}"] = rotations.multiply(_turn([1.0, 0.0, 0.0], up), _turn([0.0, 1.0, 0.0], across))
    return joints


def _shared(limits: NeckLimits, head: np.ndarray) -> np.ndarray:
    """Joint rotations (8, 4) whose product is ``head``: one round of :func:`hyoid.characters.neck.distribute`."""
    joints = rotations.from_rotation_vector(neck.shares(limits, rotations.to_rotation_vector(head)))
    joints[7] = rotations.multiply(rotations.inverse(neck.collapse(joints[:7])), head)
    return joints


def hanging(random: np.random.Generator) -> tuple[float, float]:
    """Degrees by which the two arms go down from the rest pose."""
    both = _ARM_DOWN + random.normal(-4, 10)
    return float(both + random.normal(0, 6)), float(both + random.normal(0, 6))


def against_trunk(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """The rotation (4,) of a head that looks up, to its own left, and tilts to its own left by so many degrees."""
    turned = rotations.multiply(_turn([0.0, 1.0, 0.0], yaw), _turn([1.0, 0.0, 0.0], -pitch))
    return rotations.multiply(turned, _turn([0.0, 0.0, 1.0], -roll))


def transforms(person: bank.Identity, joints: dict[str, np.ndarray], root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World (J, 4, 4) and skinning transforms (J, 3, 4) of local rotations by name and a root rotation (4,)."""
    human = bank.template()
    quaternions = np.tile([1.0, 0.0, 0.0, 0.0], (1, len(human.joint_names), 1))
    for name, value in joints.items():
        quaternions[0, human.joint(name)] = value
    quaternions[0, 0] = rotations.multiply(root, quaternions[0, 0])
    world = skinning.world_transforms(human.parents, person.joints, quaternions)
    return world[0], skinning.skin_transforms(world, person.joints)[0]


def _turn(axis: list[float], degrees: float) -> np.ndarray:
    return rotations.from_rotation_vector(np.radians(degrees) * np.array(axis))
