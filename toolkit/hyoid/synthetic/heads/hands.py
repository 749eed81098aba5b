# SPDX-License-Identifier: Apache-2.0
"""Hands and forearms in front of a face, of another person or of one's own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from hyoid.geometry import rotations
from hyoid.geometry.head_angles import FLIP
from hyoid.synthetic.heads import bank, person, pose
from hyoid.synthetic.heads.drawing import Shown

_HAND = ("wrist.L", "metacarpal", "finger", "lowerarm")


@cache
def _rows() -> tuple[np.ndarray, np.ndarray]:
    """Drawn vertices of a left hand with its forearm, and triangles (m, 3) of them."""
    shared, human = bank.layout(True), bank.template()
    names = np.array(human.joint_names)
    main = names[np.asarray(shared.weights.argmax(1)).ravel()]
    chosen = np.array([name.endswith(".L") and name.startswith(_HAND) for name in main])[shared.source]
    triangles = shared.drawn[chosen[shared.drawn].all(1)]
    rows, local = np.unique(triangles, return_inverse=True)
    return rows, local.reshape(-1, 3).astype(np.uint32)


@cache
def _adult(held_out: bool) -> bank.Identity:
    number = 0
    while bank.identity(number, held_out, True).child:
        number += 1
    return bank.identity(number, held_out, True)


def hand(random: np.random.Generator, shown: Shown, number: int) -> Shown:
    """A hand before the head of a figure: it comes from below or from a side, its fingers more or less bent."""
    shared, human = bank.layout(True), bank.template()
    someone = _adult(shown.figure.look.held_out)
    at = {name: someone.joints[human.joint(name)] for name in ("wrist.L", "finger3-1.L", "finger2-1.L", "finger5-1.L")}
    along = at["finger3-1.L"] - at["wrist.L"]
    along /= np.linalg.norm(along)
    across = at["finger2-1.L"] - at["finger5-1.L"]
    palm = np.cross(across, along)
    palm /= np.linalg.norm(palm)
    axis = np.cross(palm, along)
    bend = random.uniform(0, 1.1)
    joints = {
        name: rotations.from_rotation_vector(axis * bend * random.uniform(0.6, 1.2))
        for name in human.joint_names
        if name.startswith("finger") and name.endswith(".L") and not name.startswith("finger1")
    }
    _, skin = pose.transforms(someone, joints, rotations.identity())
    posed = person.skinned(someone.vertices, shared.weights, skin)
    rows, triangles = _rows()
    source = shared.source[rows]
    vertices = np.zeros((len(rows), person.WIDTH), np.float32)
    vertices[:, 0:3], vertices[:, 3:6] = posed[source], person.mesh_normals(posed, shared)[source]
    vertices[:, 6:8], vertices[:, 8:11] = shared.uv[rows], shared.template[source]
    vertices[:, 14], vertices[:, 15] = 0.9, -1.0
    sleeve = np.linalg.norm(someone.vertices[source] - at["wrist.L"], axis=1) - random.uniform(0.02, 0.25)
    vertices[:, 15] = np.where(((someone.vertices[source] - at["wrist.L"]) @ along) < 0, sleeve, -1)
    made = replace(
        shown.figure,
        vertices=vertices,
        triangles=triangles,
        runs=((0, 0, len(triangles)),),
        look=replace(shown.figure.look, garment=0),
        centre=at["finger3-1.L"],
    )
    turn = _aimed(random, along, palm)
    middle = shown.rotation @ shown.figure.centre + shown.shift
    near = 1 - random.uniform(0.11, 0.2) / max(float(-middle[2]), 0.4)
    place = middle * near + np.array([*random.normal(0, 0.06, 2), 0.0])
    return Shown(made, turn, place - turn @ made.centre, number)


def _aimed(random: np.random.Generator, along: np.ndarray, palm: np.ndarray) -> np.ndarray:
    """A rotation (3, 3) that points the fingers up or to a side in the picture, turned about their own direction."""
    angle = random.normal(0, 0.8)
    fingers = np.array([np.sin(angle), np.cos(angle), random.normal(0, 0.25)])
    fingers /= np.linalg.norm(fingers)
    facing = FLIP[2] * random.choice([-1.0, 1.0]) + random.normal(0, 0.4, 3)
    facing -= (facing @ fingers) * fingers
    facing /= np.linalg.norm(facing)
    to = np.stack([fingers, facing, np.cross(fingers, facing)], 1)
    return to @ np.stack([along, palm, np.cross(along, palm)], 1).T
