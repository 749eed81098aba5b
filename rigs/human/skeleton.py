# SPDX-License-Identifier: Apache-2.0
"""The skeleton of the bundled human: MakeHuman's body and hands, eight cervical joints, jaw, eyes, teeth and tongue.

Joints are linear in the base vertices, so that they follow every identity. Skin weights of the neck come from a
harmonic height field on the skin and quadratic B-splines over it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from hyoid.geometry import harmonic
from scipy import sparse
from scipy.interpolate import CubicSpline

from rigs.human.makehuman import Base, end_vertices

NECK = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3", "c1c2", "oc1")
TONGUE = tuple(f"tongue0{i}" for i in range(5))
HEAD_JOINTS = ("jaw", "eye.L", "eye.R", "teeth_upper", "teeth_lower", *TONGUE)
OLD_NECK = ("neck01", "neck02", "neck03", "head")
JAW_BONES = ("jaw", "special04", "oris01", "oris02", "oris06.L", "oris07.L", "oris06.R", "oris07.R")
BODY = slice(0, 13380)
THROAT = 803  # front midline, half-way down the neck
TRUNK_DEFAULT = "spine01"
_HEAD_FULL, _NECK_NONE = 0.97, 0.03


def body_joints(rig: Mapping[str, dict]) -> list[str]:
    """The kept MakeHuman bones of body, hands and feet, parents first."""
    dropped = set(OLD_NECK)
    order: list[str] = []

    def visit(bone: str) -> None:
        if bone in dropped or bone.startswith("breast"):
            return
        order.append(bone)
        for child in sorted(name for name, rule in rig.items() if rule["parent"] == bone):
            visit(child)

    visit("root")
    return order


def joints(rig: Mapping[str, dict]) -> tuple[list[str], np.ndarray]:
    """Names (parents first) and parent indices (-1 for the root) of the whole skeleton."""
    body = body_joints(rig)
    parent = {name: rig[name]["parent"] for name in body}
    parent.update(zip(NECK, (TRUNK_DEFAULT, *NECK[:-1]), strict=True))
    parent.update({"jaw": "oc1", "eye.L": "oc1", "eye.R": "oc1", "teeth_upper": "oc1", "teeth_lower": "jaw"})
    parent.update(zip(TONGUE, ("jaw", *TONGUE[:-1]), strict=True))
    names = [*body, *NECK, *HEAD_JOINTS]
    return names, np.array([names.index(parent[name]) if parent[name] else -1 for name in names], np.int32)


def _mean_row(vertices: np.ndarray, count: int) -> np.ndarray:
    row = np.zeros(count)
    np.add.at(row, vertices, 1 / len(vertices))
    return row


def neck_rows(base: Base, rig: Mapping[str, dict], adult: np.ndarray) -> np.ndarray:
    """The eight cervical joints as rows (8, vertices) over the base mesh, found on the default adult.

    Each point of :func:`neck_points` is written in two directions that every person has: from the joint at the base of
    the neck to the one under the skull, and from the nape to the throat. So the joints follow neck length and girth.
    """
    count = len(adult)
    bottom, top = _mean_row(base.cubes["joint-neck"], count), _mean_row(base.cubes["joint-head"], count)
    midline = np.flatnonzero(np.abs(adult[BODY, 0]) < 1e-4)
    back = midline[adult[midline, 2] < (bottom @ adult)[2]]
    nape = back[np.argmin(np.abs(adult[back, 1] - 0.5 * ((bottom + top) @ adult)[1]))]
    through = _mean_row(np.array([THROAT]), count) - _mean_row(np.array([nape]), count)
    frame = np.stack([top - bottom, through])
    away = neck_points(base, rig, adult) - bottom @ adult
    shares = np.linalg.solve((frame @ adult)[:, 1:].T, away[:, 1:].T).T
    rows = bottom + shares @ frame
    return np.where(np.abs(rows) > 1e-9, rows, 0)  # what rounding leaves is no part of a joint


def neck_points(base: Base, rig: Mapping[str, dict], adult: np.ndarray) -> np.ndarray:
    """The eight joints (8, 3) of one adult: a cubic spline through MakeHuman's neck joints, cut at equal lengths.

    The first joint is moved 2 cm down and 0.8 cm back, to C7-T1.
    """
    knots = np.stack([adult[end_vertices(base, rig[name]["head"])].mean(0) for name in OLD_NECK]) * [0, 1, 1]
    knots[0] += [0, -0.020, -0.008]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    curve = CubicSpline(length, knots)
    fine = np.linspace(0, length[-1], 2001)
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve(fine), axis=0), axis=1))])
    return curve(np.interp(np.linspace(0, arc[-1], 8), arc, fine))


def joint_rows(
    base: Base, rig: Mapping[str, dict], names: list[str], adult: np.ndarray
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Heads and tails of all joints as sparse rows (joints, base vertices) over the base vertices."""
    count = len(adult)
    neck = neck_rows(base, rig, adult)
    crown = _mean_row(base.cubes["joint-head-2"], count)
    chin = _mean_row(np.array([991]), count)
    heads, tails = np.zeros((len(names), count)), np.zeros((len(names), count))
    for row, name in enumerate(names):
        if name in NECK:
            level = NECK.index(name)
            heads[row] = neck[level]
            tails[row] = neck[level + 1] if level < 7 else crown
        elif name == "jaw":
            heads[row], tails[row] = _mean_row(hinge(adult), count), chin
        elif name.startswith("teeth"):
            teeth = np.arange(15060, 15128) if name == "teeth_upper" else np.arange(14992, 15060)
            # Nine: one in the middle and four mirrored pairs, so that no pair is cut and the tail lies in the middle.
            front = teeth[np.argsort(adult[teeth, 2], kind="stable")[-9:]]
            heads[row], tails[row] = _mean_row(teeth, count), _mean_row(front, count)
        else:
            heads[row] = _mean_row(end_vertices(base, rig[name]["head"]), count)
            tails[row] = _mean_row(end_vertices(base, rig[name]["tail"]), count)
    return sparse.csr_matrix(heads), sparse.csr_matrix(tails)


def hinge(adult: np.ndarray) -> np.ndarray:
    """Skin vertices just in front of both ears, whose mean is the axis of the jaw (at the condyles)."""
    eye = adult[14598:14742].mean(0)
    wanted = np.array([0.070, eye[1] - 0.028, eye[2] - 0.085])
    skin = adult[BODY]
    left = np.argsort(np.linalg.norm(skin - wanted, axis=1), kind="stable")[:6]
    right = np.argsort(np.linalg.norm(skin - wanted * [-1, 1, 1], axis=1), kind="stable")[:6]
    return np.concatenate([left, right])


def merge_bones(rig: Mapping[str, dict], kept: list[str]) -> dict[str, str]:
    """For every MakeHuman bone outside neck and head: the kept bone that takes its weights."""
    target = {}
    for bone in rig:
        name: str | None = bone
        while name is not None and name not in kept:
            name = rig[name]["parent"]
        target[bone] = name or TRUNK_DEFAULT
    return target


def subtree(rig: Mapping[str, dict], top: str) -> set[str]:
    """A bone and everything below it."""
    found = {top}
    while True:
        more = {name for name, rule in rig.items() if rule["parent"] in found} - found
        if not more:
            return found
        found |= more


def skin_weights(
    base: Base, rig: Mapping[str, dict], names: list[str], adult: np.ndarray, bones: tuple[str, ...], raw: np.ndarray
) -> np.ndarray:
    """Weights (base vertices, joints) float64 of skin, eyes, tongue, teeth and lashes over our joints; rows sum to 1.

    Args:
        bones: MakeHuman bones in the column order of ``raw`` (base vertices, bones).
    """
    column = {name: i for i, name in enumerate(names)}
    weights = np.zeros((len(adult), len(names)))
    merged = merge_bones(rig, body_joints(rig))
    head_bones = subtree(rig, "head")
    neck_bones = subtree(rig, "neck01")
    head_share = raw[:, [bones.index(b) for b in bones if b in head_bones]].sum(1)
    neck_share = raw[:, [bones.index(b) for b in bones if b in neck_bones]].sum(1)
    jaw_share = raw[:, [bones.index(b) for b in JAW_BONES]].sum(1)
    faces = base.faces[base.groups == "body"]
    level = harmonic.level_field(faces, adult[BODY], head_share[BODY] > _HEAD_FULL, neck_share[BODY] < _NECK_NONE)
    spline = harmonic.spline_weights(level)
    trunk = np.zeros((len(level), len(names)))
    for i, bone in enumerate(bones):
        if bone not in neck_bones:
            trunk[:, column[merged[bone]]] += raw[BODY, i]
    trunk[:, column[TRUNK_DEFAULT]] += np.where(level > 0, 0.02, 0)
    trunk /= np.maximum(trunk.sum(1, keepdims=True), 1e-12)
    weights[BODY] = trunk * spline[:, :1]
    for i, name in enumerate(NECK):
        weights[BODY, column[name]] += spline[:, i + 1]
    jaw = np.divide(jaw_share, head_share, out=np.zeros_like(jaw_share), where=head_share > 0)[BODY]
    jaw = np.minimum(jaw, 1) * weights[BODY, column["oc1"]]
    weights[BODY, column["jaw"]] += jaw
    weights[BODY, column["oc1"]] -= jaw
    for bone in TONGUE:
        weights[13380:13606, column[bone]] += raw[13380:13606, bones.index(bone)]
    for side in ("L", "R"):
        for number, onto in (("05", "01"), ("06", "02"), ("07", "03")):
            weights[13380:13606, column[f"tongue{onto}"]] += raw[13380:13606, bones.index(f"tongue{number}.{side}")]
    left = 1 - weights[13380:13606].sum(1)
    weights[13380:13606, column["tongue00"]] += np.maximum(left, 0)
    for rows, name in (
        (slice(14598, 14670), "eye.L"), (slice(14670, 14742), "eye.R"), (slice(14742, 14992), "oc1"),
        (slice(14992, 15060), "teeth_lower"), (slice(15060, 15128), "teeth_upper"),
    ):  # fmt: skip
        weights[rows] = 0
        weights[rows, column[name]] = 1
    return weights
