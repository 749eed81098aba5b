# SPDX-License-Identifier: Apache-2.0
"""The bundled human's neck at its full range: with its correctives, without them, and as one joint.

``python bench/neck.py`` prints JSON. The neck is the skin that the seven joints below the skull hold by more than half,
closed at both cuts; poses are a grid over the whole range (nod, turn and tilt together, an ellipsoid of the ranges) and
random ones that the fit has not seen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hyoid import characters
from hyoid.blender import neck_control
from hyoid.characters import neck, performance
from hyoid.characters.character import Character
from hyoid.geometry import rotations
from hyoid.geometry.meshes import triangulate
from hyoid.geometry.volume import boundary_loops, closed_volume, turned_over
from hyoid.take import Take

SUMMARY = "the neck at its full range: volume, folds and distance to the fitted target, beside a neck of one joint"
FULL = {"flexion": (60, 0, 0), "extension": (-72, 0, 0), "turn": (0, 75, 0), "tilt": (0, 0, -45)}
"""Degrees: bend, turn, tilt about X, Y, Z."""
GRID, RANDOM, SEED = 9, 200, 77
_CHUNK = 32


def weights_of(character: Character) -> np.ndarray:
    """(V, joints) dense skin weights."""
    held = np.zeros((len(character.vertices), len(character.joint_names)))
    np.put_along_axis(held, character.weight_joints.astype(np.int64), character.weights, 1)
    return held


def one_joint(character: Character) -> Character:
    """The same skin on a neck of one joint half-way up, as simple rigs have it; the skin goes over evenly.

    The first joint of the neck turns all of it; the others stay as they are.
    """
    chain = [character.joint(name) for name in neck.JOINTS]
    trunk = int(character.parents[chain[0]])
    held = weights_of(character)
    share = (np.arange(7) + 1) / 8
    levels = held[:, chain[:7]]
    held[:, chain[:7]] = 0
    held[:, chain[0]] = levels @ share
    held[:, trunk] += levels @ (1 - share)
    most = character.weights.shape[1]
    joints = np.argsort(-held, axis=1)[:, :most]
    heads = character.heads.copy()
    heads[chain] = 0.5 * (character.heads[chain[0]] + character.heads[chain[7]])
    return replace(
        character, heads=heads, correctives=(), weight_joints=joints.astype(np.int32),
        weights=np.take_along_axis(held, joints, 1).astype(np.float32),
    )  # fmt: skip


def shared(character: Character, head: np.ndarray, single: bool) -> np.ndarray:
    """Neck poses (n, 8, 4) of head rotations (n, 4): eight joints, or one."""
    if not single:
        return neck.distribute(character.neck, head)
    joints = rotations.identity(len(head), 8).astype(np.float64)
    joints[:, 0] = head
    return joints


class Neck:
    """The neck of a character, and what is measured on it; ``like`` tells which skin is the neck if it does not."""

    def __init__(self, character: Character, like: Character | None = None) -> None:
        self.character = character
        body = character.parts[0]
        chain = [character.joint(name) for name in neck.JOINTS]
        own = weights_of(like or character)[:, chain[:7]].sum(1)
        triangles = triangulate(character.faces[body.faces])
        self.triangles = triangles[(own[triangles] > 0.5).all(1)]
        self.loops = boundary_loops(self.triangles)
        self.moving = triangles[(own[triangles] > 0.01).any(1)]
        self.rows = np.unique(self.moving)
        self.local = np.searchsorted(self.rows, self.moving)
        self.held = weights_of(character)[self.rows]
        self.volume = float(closed_volume(character.vertices.astype(np.float64), self.triangles, self.loops))

    def measure(self, joints: np.ndarray, corrected: bool) -> dict[str, Any]:
        """Volume change (poses,), folded triangles (poses,) and posed skin of the neck for poses (poses, 8, 4)."""
        volumes, folds, points = [], [], []
        for start in range(0, len(joints), _CHUNK):
            posed, turns = self.pose(joints[start : start + _CHUNK], corrected)
            volumes.append(closed_volume(posed, self.triangles, self.loops) / self.volume - 1)
            rest = self.character.vertices[self.rows].astype(np.float64)
            folds.append((turned_over(rest, posed[:, self.rows], self.local, turns) < 0).sum(1))
            points.append(posed[:, self.rows].astype(np.float32))
        return {"volume": np.concatenate(volumes), "folds": np.concatenate(folds), "skin": np.concatenate(points)}

    def pose(self, joints: np.ndarray, corrected: bool) -> tuple[np.ndarray, np.ndarray]:
        """Posed vertices (poses, V, 3) float64 and the blended turns (poses, rows, 3, 3) of the neck's vertices."""
        count = len(joints)
        take = Take(
            fps=30.0, curve_names=(), curves=np.zeros((count, 0), np.float32), joint_names=neck.JOINTS,
            rotations=joints.astype(np.float32), root=np.zeros((count, 3), np.float32),
            confidence=np.ones(count, np.float32),
        )  # fmt: skip
        done = performance.perform(self.character, take)
        if not corrected:
            done.shape_weights[:] = 0
        world = performance.joint_transforms(self.character, done)[:, :, :3, :3]
        turns = np.einsum("vj,pjab->pvab", self.held, world, optimize=True)
        return performance.deform(self.character, done).astype(np.float64), turns


def unseen(character: Character, border: bool = False) -> np.ndarray:
    """Head rotations (n, 4) anywhere in the range, or on its ``border``, that no fit has used."""
    random = np.random.default_rng(SEED)
    direction = random.normal(size=(RANDOM, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    inside = direction if border else direction * random.uniform(0, 1, (RANDOM, 1)) ** (1 / 3)
    high, low = neck_control.ranges(character.neck)
    return rotations.from_rotation_vector(inside * np.where(inside > 0, high, -low))


def compare(settings: Mapping[str, float], part: str = "head", subdivision: int = 0) -> dict[str, Any]:
    """The three necks of one person over the grid, the random poses and the single motions at full range."""
    character = characters.load("human", settings, part=part, subdivision=subdivision)
    own, single = Neck(character), Neck(one_joint(character), character)
    grid = rotations.from_rotation_vector(neck_control.heads(character.neck, GRID))
    heads = np.concatenate([grid, unseen(character)])
    motions = rotations.from_rotation_vector(np.radians(np.array(list(FULL.values()), float)))
    result: dict[str, Any] = {"poses": len(heads)}
    for name, body, corrected in (
        ("eight joints, correctives", own, True),
        ("eight joints", own, False),
        ("one joint", single, False),
    ):
        found = body.measure(shared(character, heads, body is single), corrected)
        full = body.measure(shared(character, motions, body is single), corrected)
        edge = body.measure(shared(character, unseen(character, border=True), body is single), corrected)
        result[name] = {
            "largest_volume_change_percent": round(100 * float(np.abs(found["volume"]).max()), 2),
            "mean_volume_change_percent": round(100 * float(np.abs(found["volume"]).mean()), 2),
            "folded_triangles": int(found["folds"].sum()),
            "poses_with_folds": int((found["folds"] > 0).sum()),
            "on_the_border": {
                "poses": RANDOM,
                "largest_volume_change_percent": round(100 * float(np.abs(edge["volume"]).max()), 2),
                "folded_triangles": int(edge["folds"].sum()),
                "poses_with_folds": int((edge["folds"] > 0).sum()),
            },
            "volume_change_percent_at": {
                motion: round(100 * float(change), 2) for motion, change in zip(FULL, full["volume"], strict=True)
            },
        }
    return result


def against_target() -> dict[str, Any] | None:
    """Millimetres between the skin and the target that it was fitted to, over unseen poses; None outside a checkout."""
    root = Path(__file__).resolve().parents[1]
    if not (root / "rigs" / "human" / "correctives.py").is_file():
        return None
    if str(root) not in sys.path:
        sys.path.append(str(root))
    from hyoid.systems.hack import train

    from rigs.human import correctives

    character = characters.load("human", part="head")
    body = character.parts[0]
    held = weights_of(character)
    skin, rows = correctives.neck_skin(
        character.vertices[body.vertices].astype(np.float64), character.faces[body.faces], held[body.vertices],
        list(character.joint_names), character.heads.astype(np.float64),
    )  # fmt: skip
    joints = neck.distribute(character.neck, unseen(character)[:60])
    wanted, _ = train.Target(skin)(joints)
    measured = Neck(character)
    away = []
    for corrected in (True, False):
        posed, _ = measured.pose(joints, corrected)
        away.append(1e3 * np.linalg.norm(posed[:, rows] - wanted, axis=-1))
    with_shapes, without = away
    return {
        "rms_mm": round(float(np.sqrt((with_shapes**2).mean())), 3),
        "rms_of_the_worst_pose_mm": round(float(np.sqrt((with_shapes**2).mean(1)).max()), 3),
        "without_correctives_rms_mm": round(float(np.sqrt((without**2).mean())), 3),
        "without_correctives_largest_mm": round(float(without.max()), 2),
    }


def run() -> dict[str, Any]:
    """The measures for the default adult, and for other people."""
    return {
        "default": compare({}),
        "subdivided": compare({}, subdivision=1),
        "muscular": compare({"gender": 0.0, "muscle": 1.0}),
        "heavy_woman": compare({"gender": 1.0, "weight": 0.9}),
        "heavy_man": compare({"gender": 0.0, "weight": 1.0}),
        "old": compare({"age": 1.0}),
        "child": compare({"age": 0.25}),
        "distance_to_target": against_target(),
    }


def main() -> int:
    """Print the measures as JSON."""
    argparse.ArgumentParser(description=SUMMARY).parse_args()
    print(json.dumps(run(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
