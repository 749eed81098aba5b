# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Teeth, gums, tongue and lashes of another character for a head that has none, with the shapes that move them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hyoid.characters import bundled
from hyoid.characters.character import Character, Part, Shapes, largest_weights

_TWIN = ("gums", "teeth_upper", "teeth_lower", "lashes")
_HUMAN = ("tongue", "teeth_upper", "teeth_lower")
_JAW = ("jawOpen", "jawForward", "jawLeft", "jawRight")
_MOUTH = slice(11_248, 13_294)  # the inside of the mouth on the shared skin
_NEAREST = 12


def from_twin(character: Character, donor: Character, neutral: np.ndarray, person: np.ndarray) -> Character:
    """The parts of a donor whose skin has the same vertices.

    What is hard follows the inside of the mouth as a whole; lashes follow the lids.

    Args:
        neutral, person: (V, 3) metres, the shared skin of the donor and of the character.
    """
    from scipy.spatial import cKDTree

    size, shift = _similarity(neutral[_MOUTH], person[_MOUTH])
    for name in _TWIN:
        part = next(part for part in donor.parts if part.name == name)
        points = donor.vertices[part.vertices].astype(np.float64)
        scale = np.full(len(points), size)
        if name == "lashes":
            distance, near = cKDTree(neutral).query(points, _NEAREST)
            weight = 1 / (distance + 1e-4) ** 2
            weight /= weight.sum(1, keepdims=True)
            before, after = neutral[near], person[near]
            spread = [np.linalg.norm(one - one.mean(1, keepdims=True), axis=2).sum(1) for one in (before, after)]
            scale = spread[1] / spread[0]
            moved = after + scale[:, None, None] * (points[:, None] - before)
            placed = (moved * weight[..., None]).sum(1)
        else:
            placed = size * points + shift
        character = _with(character, donor, part, placed, scale)
    return character


def from_human(character: Character) -> Character:
    """Teeth and tongue of the bundled human, placed between the lips; the jaw opens them as far as the chin goes."""
    donor = bundled.load({}, "head", 0)
    marks = ("nasion", "chin")
    own, other = (
        np.array([made.vertices[made.landmarks[name]] for name in marks], np.float64) for made in (character, donor)
    )
    size = float(np.linalg.norm(own[0] - own[1]) / np.linalg.norm(other[0] - other[1]))
    lips = [
        0.5 * (made.vertices[made.landmarks["lip_upper"]] + made.vertices[made.landmarks["lip_lower"]])
        for made in (character, donor)
    ]
    shift = (lips[0] - size * lips[1]) * [0, 1, 1]
    gains = {}
    for name in _JAW:
        ours = float(np.linalg.norm(character.offsets(name)[character.landmarks["menton"]]))
        theirs = float(np.linalg.norm(donor.offsets(name)[donor.landmarks["menton"]]))
        gains[name] = ours / (size * theirs) if theirs > 1e-4 else 1.0
    for name in _HUMAN:
        part = next(part for part in donor.parts if part.name == name)
        points = donor.vertices[part.vertices].astype(np.float64)
        character = _with(character, donor, part, size * points + shift, np.full(len(points), size), gains)
    return character


def _similarity(before: np.ndarray, after: np.ndarray) -> tuple[float, np.ndarray]:
    """Size and shift (3,) that bring points (n, 3) nearest to others without turning them."""
    middle, goal = before.mean(0), after.mean(0)
    centred = before - middle
    size = float((centred * (after - goal)).sum() / (centred**2).sum())
    return size, goal - size * middle


def _with(
    character: Character, donor: Character, part: Part, points: np.ndarray, scale: np.ndarray,
    gains: dict[str, float] | None = None,
) -> Character:  # fmt: skip
    """The character with one part of the donor behind its own, on joints of the same names (else on the skull).

    Args:
        points: (n, 3) metres, where the part lies. scale: (n,) of its offsets. gains: more of that, by shape.
    """
    count, quads, coordinates = len(character.vertices), len(character.faces), len(character.uv)
    used, face_uv = np.unique(donor.face_uv[part.faces], return_inverse=True)
    faces = donor.faces[part.faces] - part.vertices.start + count
    skull = character.joint("oc1")
    lower = ("teeth_lower", "tongue")
    wanted = ["jaw" if name.startswith(lower) else name for name in donor.joint_names]
    names = character.joint_names
    table = np.array([names.index(name) if name in names else skull for name in wanted], np.int32)
    # Several joints of the donor may become one, which no format allows to hold a vertex twice.
    held = np.zeros((len(points), len(names)))
    np.add.at(held, (np.arange(len(points))[:, None], table[donor.weight_joints[part.vertices]]),
              donor.weights[part.vertices])  # fmt: skip
    weight_joints, weights = largest_weights(held, character.weights.shape[1])
    new = Part(part.name, part.material, slice(count, count + len(points)), slice(quads, quads + len(faces)))
    return replace(
        character,
        vertices=np.concatenate([character.vertices, points.astype(np.float32)]),
        faces=np.concatenate([character.faces, faces.astype(np.int32)]),
        uv=np.concatenate([character.uv, donor.uv[used]]),
        face_uv=np.concatenate([character.face_uv, (face_uv.reshape(-1, 4) + coordinates).astype(np.int32)]),
        parts=(*character.parts, new),
        shapes=_extended(character.shapes, donor, part, count, scale, gains or {}),
        weight_joints=np.concatenate([character.weight_joints, weight_joints]),
        weights=np.concatenate([character.weights, weights]),
        materials={**character.materials, part.material: donor.materials[part.material]},
    )


def _extended(
    shapes: Shapes, donor: Character, part: Part, count: int, scale: np.ndarray, gains: dict[str, float]
) -> Shapes:
    """The shapes with the donor's offsets of the part's vertices, which are ``count`` and on."""
    starts, vertices, values = [0], [], []
    for index, name in enumerate(shapes.names):
        rows = slice(shapes.starts[index], shapes.starts[index + 1])
        moved = donor.offsets(name)[part.vertices] * scale[:, None] * gains.get(name, 1.0)
        chosen = np.flatnonzero(np.abs(moved).max(1) > 1e-7)
        vertices += [shapes.vertices[rows], (count + chosen).astype(np.int32)]
        values += [shapes.offsets[rows], moved[chosen].astype(np.float32)]
        starts.append(starts[-1] + rows.stop - rows.start + len(chosen))
    return Shapes(shapes.names, np.array(starts, np.int64), np.concatenate(vertices), np.concatenate(values))
