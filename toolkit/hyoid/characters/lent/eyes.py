# SPDX-License-Identifier: Apache-2.0
"""The two-part eye of the bundled human, and how any head gets a pair of them.

The inner surface (sclera, recessed iris, pupil) and the clear cornea that bulges over it are given in the unit frame of
one eyeball: centre at the origin, optical axis +Z, radius 1.

Maps: the optical axis is at uv (0.5, 0.5); the limbus (edge of the iris) is the circle of radius 0.25 around it, the
iris fills it, and the sclera spreads from there to the back pole at radius 0.5, evenly in angle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hyoid.characters.character import Character, Driver, Material, Part
from hyoid.files import data_folder

LIMBUS = np.radians(22.0)
PUPIL = 0.36  # of the iris radius
SEGMENTS = 32
CORNEA_BULGE = 0.035
SIDES = (("left", "eye.L"), ("right", "eye.R"))
_SCLERA_DEGREES = (152.0, 124.0, 100.0, 80.0, 64.0, 51.0, 41.0, 33.0, 27.0, 23.6, 22.0)
_IRIS = ((0.975, 0.012), (0.93, 0.045), (0.75, 0.058), (0.55, 0.07), (PUPIL, 0.08), (PUPIL * 0.55, 0.083))
_CORNEA = (1.22, 1.06, 0.9, 0.72, 0.5, 0.25)  # of the limbus angle

Surface = Callable[[float], float]
"""The radius of the outer surface (1 = the eyeball's) at an angle (radians) from the optical axis."""


def ball(theta: float) -> float:
    """The surface of the bundled human's eye: a sphere with a cornea that rises by ``CORNEA_BULGE``."""
    return 1 + CORNEA_BULGE * max(0.0, 1 - (theta / LIMBUS) ** 2) ** 1.5


def _rings(points: np.ndarray, map_radius: np.ndarray, pole: np.ndarray | None, first_pole: np.ndarray | None):
    """Quads around rings (rings, segments, 3); poles are closed with quads that span two segments."""
    count, segments = points.shape[:2]
    angle = 2 * np.pi * np.arange(segments) / segments
    uv = 0.5 + map_radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    vertices, uvs, faces = [points.reshape(-1, 3)], [uv.reshape(-1, 2)], []
    right = (np.arange(segments) + 1) % segments
    for ring in range(count - 1):
        a, b = ring * segments, (ring + 1) * segments
        faces.append(np.stack([a + np.arange(segments), a + right, b + right, b + np.arange(segments)], 1))
    total = count * segments
    even = np.arange(0, segments, 2)
    if pole is not None:
        ring = (count - 1) * segments
        faces.append(
            np.stack([np.full(len(even), total), ring + even, ring + even + 1, ring + (even + 2) % segments], 1)
        )
        vertices.append(pole[None])
        uvs.append(np.full((1, 2), 0.5))
        total += 1
    face_uv = np.concatenate(faces)
    if first_pole is not None:
        # The back pole is a circle in the map: each of its quads gets its own corner, so nothing is smeared across.
        faces.append(np.stack([np.full(len(even), total), (even + 2) % segments, even + 1, even], 1))
        middle = angle[even] + np.pi / segments
        back = 0.5 + 0.5 * np.stack([np.cos(middle), np.sin(middle)], -1)
        own = np.stack([sum(map(len, uvs)) + np.arange(len(even)), (even + 2) % segments, even + 1, even], 1)
        face_uv = np.concatenate([face_uv, own])
        vertices.append(first_pole[None])
        uvs.append(back)
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(uvs), face_uv


def inner(surface: Surface = ball) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sclera, iris and pupil: vertices (n, 3) in the unit frame, faces (m, 4), uv (k, 2), face_uv (m, 4)."""
    turn = 2 * np.pi * np.arange(SEGMENTS) / SEGMENTS
    circle = np.stack([np.cos(turn), np.sin(turn)], -1)
    rings, radii = [], []
    for degrees in _SCLERA_DEGREES:
        theta = np.radians(degrees)
        ring = np.concatenate([np.sin(theta) * circle, np.full((SEGMENTS, 1), np.cos(theta))], 1)
        rings.append(surface(theta) * ring)
        radii.append(0.25 + 0.25 * (theta - LIMBUS) / (np.pi - LIMBUS))
    edge_radius, edge_height = surface(LIMBUS) * np.sin(LIMBUS), surface(LIMBUS) * np.cos(LIMBUS)
    for share, depth in _IRIS:
        rings.append(np.concatenate([share * edge_radius * circle, np.full((SEGMENTS, 1), edge_height - depth)], 1))
        radii.append(0.25 * share)
    pupil = np.array([0.0, 0.0, edge_height - _IRIS[-1][1]])
    return _rings(np.stack(rings), np.array(radii), pupil, np.array([0.0, 0.0, -surface(np.pi)]))


def cornea(surface: Surface = ball) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The clear shell over the iris, flush with the sclera outside the limbus; the arrays of :func:`inner`."""
    turn = 2 * np.pi * np.arange(SEGMENTS) / SEGMENTS
    circle = np.stack([np.cos(turn), np.sin(turn)], -1)
    rings = []
    for share in _CORNEA:
        theta = LIMBUS * share
        radius = 0.002 + surface(theta) - 0.006 * max(0.0, share - 1) / 0.22
        rings.append(radius * np.concatenate([np.sin(theta) * circle, np.full((SEGMENTS, 1), np.cos(theta))], 1))
    apex = np.array([0.0, 0.0, 0.002 + surface(0.0)])
    return _rings(np.stack(rings), 0.25 * np.array(_CORNEA), apex, None)


def map_around(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Coordinates (n, 2) on the eye map for points (n, 3) of any eyeball that looks along +Z from ``centre`` (3,)."""
    away = points - centre
    flat = np.linalg.norm(away[:, :2], axis=1)
    angle = np.arctan2(flat, away[:, 2])
    outside = 0.25 + 0.25 * (angle - LIMBUS) / (np.pi - LIMBUS)
    radius = np.where(angle < LIMBUS, 0.25 * np.sin(angle) / np.sin(LIMBUS), outside)
    return 0.5 + radius[:, None] * away[:, :2] / np.maximum(flat, 1e-9)[:, None]


def materials() -> dict[str, Material]:
    """The materials ``eye`` and ``cornea`` of the bundled human, with its painted iris."""
    colour = data_folder("rigs") / "human" / "textures" / "eye_colour.jpg"
    white = (0.8, 0.78, 0.75, 1.0)
    eye = Material("eye", (1.0, 1.0, 1.0, 1.0), 0.35, colour_map=colour, plain=white)
    if not colour.is_file():
        eye = Material("eye", white, 0.35)
    # A brighter diffuse would lie over the iris like fog.
    return {"eye": eye, "cornea": Material("cornea", (0.0, 0.0, 0.0, 0.08), 0.03, alpha="blend")}


def drivers(up: float = 25.0, down: float = 30.0, side: float = 30.0) -> tuple[Driver, ...]:
    """The eyes follow the eyeLook curves; degrees at curve value 1."""
    turns = (
        ("Up", (1.0, 0.0, 0.0), -up, -up),
        ("Down", (1.0, 0.0, 0.0), down, down),
        ("Out", (0.0, 1.0, 0.0), side, -side),
        ("In", (0.0, 1.0, 0.0), -side, side),
    )
    return tuple(
        Driver(joint, f"eyeLook{way}{name.capitalize()}", axis, degrees)
        for way, axis, left, right in turns
        for (name, joint), degrees in zip(SIDES, (left, right), strict=True)
    )


@dataclass(frozen=True)
class Placement:
    """Where a pair of eyes sits.

    Attributes:
        centres: (2, 3) metres, the character's left eye first. radius: of the eyeball, metres.
        surface: the outer surface; lids that were modelled over another eye want that eye's.
        turn: degrees by which the optical axes point outwards at rest.
    """

    centres: np.ndarray
    radius: float
    surface: Surface = ball
    turn: float = 0.0


def add(character: Character, placement: Placement, parent: str = "oc1") -> Character:
    """The character with four more parts (``eye_left``, ``eye_right``, ``cornea_left``, ``cornea_right``).

    Joints ``eye.L`` and ``eye.R`` are made under ``parent`` where they are missing and put at the centres; their
    drivers are replaced by :func:`drivers`. Shapes and landmarks stay as they are.
    """
    result = _with_joints(character, placement, parent)
    pieces = [(name, make(placement.surface)) for name, make in (("eye", inner), ("cornea", cornea))]
    for material, (points, faces, uv, face_uv) in pieces:
        for index, (side, joint) in enumerate(SIDES):
            turned = points @ _outwards(placement.turn * (1 if side == "left" else -1)).T
            place = placement.centres[index] + placement.radius * turned
            result = with_part(result, f"{material}_{side}", material, place, faces, uv, face_uv, joint)
    kept = tuple(driver for driver in result.drivers if driver.joint not in dict(SIDES).values())
    return replace(result, drivers=(*kept, *drivers()), materials={**result.materials, **materials()})


def _outwards(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])


def _with_joints(character: Character, placement: Placement, parent: str) -> Character:
    names, parents = list(character.joint_names), character.parents.tolist()
    heads, tails = character.heads.copy(), character.tails.copy()
    for (_, joint), centre in zip(SIDES, placement.centres, strict=True):
        front = centre + placement.radius * np.array([0.0, 0.0, 1.0])
        if joint in names:
            heads[names.index(joint)], tails[names.index(joint)] = centre, front
        else:
            parents.append(names.index(parent))
            names.append(joint)
            heads = np.concatenate([heads, np.asarray(centre, np.float32)[None]])
            tails = np.concatenate([tails, np.asarray(front, np.float32)[None]])
    return replace(
        character, joint_names=tuple(names), parents=np.array(parents, np.int32), heads=heads, tails=tails
    )  # fmt: skip


def with_part(
    character: Character, name: str, material: str, points: np.ndarray, faces: np.ndarray, uv: np.ndarray,
    face_uv: np.ndarray, joint: str,
) -> Character:  # fmt: skip
    """The character with one more part behind the others, rigid to a joint."""
    count, quads, coordinates = len(character.vertices), len(character.faces), len(character.uv)
    joints = np.zeros((len(points), character.weight_joints.shape[1]), np.int32)
    weights = np.zeros(joints.shape, np.float32)
    joints[:, 0], weights[:, 0] = character.joint(joint), 1
    part = Part(name, material, slice(count, count + len(points)), slice(quads, quads + len(faces)))
    return replace(
        character,
        vertices=np.concatenate([character.vertices, points.astype(np.float32)]),
        faces=np.concatenate([character.faces, (faces + count).astype(np.int32)]),
        uv=np.concatenate([character.uv, uv.astype(np.float32)]),
        face_uv=np.concatenate([character.face_uv, (face_uv + coordinates).astype(np.int32)]),
        parts=(*character.parts, part),
        weight_joints=np.concatenate([character.weight_joints, joints]),
        weights=np.concatenate([character.weights, weights]),
    )
