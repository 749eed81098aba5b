# SPDX-License-Identifier: Apache-2.0
"""Whether a character record is sound: every index inside its array, every number finite, parents before children."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hyoid.characters import arkit
from hyoid.characters.character import Character
from hyoid.errors import InputError

WEIGHTS = 8
"""Influences a vertex."""
LARGEST = 1000.0
"""Metres from the origin; a point farther away is a mistake of units or damage."""
_ALPHAS = ("opaque", "mask", "blend")
_FIXED_SHAPES = (*arkit.NAMES, *arkit.LARYNX_SHAPES)


def valid_character(character: Character, path: str | Path | None = None) -> Character:
    """The same character, if it is sound.

    Raises:
        InputError: says what was found first.
    """
    for found in problems(character):
        raise InputError(found, path=path, expected="a sound character", hint="'hyoid check' lists every problem")
    return character


def problems(character: Character) -> Iterator[str]:
    """Everything that is wrong with a character, one clause each; nothing for a sound one."""
    wrong_size = list(_sizes(character))
    yield from wrong_size
    if wrong_size:
        return  # indices into arrays of other sizes mean nothing
    for find in (_mesh, _parts, _shapes, _skeleton, _weights, _followers, _materials):
        yield from find(character)


def _sizes(it: Character) -> Iterator[str]:
    vertices, faces, joints = len(it.vertices), len(it.faces), len(it.joint_names)
    moved = len(it.shapes.vertices)
    wanted = [
        ("vertices", it.vertices, (vertices, 3), "f"),
        ("faces", it.faces, (faces, 4), "i"),
        ("uv", it.uv, (len(it.uv), 2), "f"),
        ("face_uv", it.face_uv, (faces, 4), "i"),
        ("shape starts", it.shapes.starts, (len(it.shapes.names) + 1,), "i"),
        ("shape vertices", it.shapes.vertices, (moved,), "i"),
        ("shape offsets", it.shapes.offsets, (moved, 3), "f"),
        ("parents", it.parents, (joints,), "i"),
        ("joint heads", it.heads, (joints, 3), "f"),
        ("joint tails", it.tails, (joints, 3), "f"),
        ("weight joints", it.weight_joints, (vertices, WEIGHTS), "i"),
        ("weights", it.weights, (vertices, WEIGHTS), "f"),
        *(
            (f"neck {name}", getattr(it.neck, name), (8,), "f")
            for name in ("flexion", "extension", "lateral", "axial", "coupling")
        ),
        *((f"features of '{entry.shape}'", entry.features, (3, 3), "f") for entry in it.correctives),
    ]
    for name, array, shape, kind in wanted:
        if array.shape != shape:
            yield f"{name} has the shape {array.shape} instead of {shape}"
        elif array.dtype.kind != kind:
            yield f"{name} are of type {array.dtype}"
        elif kind == "f" and not np.isfinite(array).all():
            first = tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])
            yield f"{name} holds numbers that are not finite, the first at index {first}"
    for name, count in (
        ("vertices", vertices),
        ("faces", faces),
        ("joints", joints),
        ("texture coordinates", len(it.uv)),
    ):
        if not count:
            yield f"has no {name}"


def _outside(what: str, array: np.ndarray, count: int) -> Iterator[str]:
    """One clause when an index array leaves 0..count - 1."""
    wrong = (array < 0) | (array >= count)
    if wrong.any():
        first = np.argwhere(wrong)[0].tolist()
        yield f"{what} {', '.join(map(str, first))} names {int(array[wrong][0])}, and there are {count}"


def _mesh(it: Character) -> Iterator[str]:
    yield from _outside("face corner", it.faces, len(it.vertices))
    yield from _outside("texture corner", it.face_uv, len(it.uv))
    far = np.flatnonzero(np.abs(it.vertices).max(1) > LARGEST)
    if len(far):
        yield f"vertex {int(far[0])} is {float(np.abs(it.vertices[far[0]]).max()):.4g} m from the origin"


def _parts(it: Character) -> Iterator[str]:
    yield from _twice("parts", [part.name for part in it.parts])
    vertex = face = 0
    for part in it.parts:
        if (part.vertices.start, part.faces.start) != (vertex, face):
            yield f"part '{part.name}' does not begin where the part before it ends"
        vertex, face = part.vertices.stop, part.faces.stop
        if part.material not in it.materials:
            yield f"part '{part.name}' has the material '{part.material}', which is not there"
        if part.vertices.start > vertex or part.faces.start > face:
            yield f"part '{part.name}' ends before it begins"
            return
        used = it.faces[part.faces]
        if len(used) and (used.min() < part.vertices.start or used.max() >= part.vertices.stop):
            yield f"a face of part '{part.name}' uses vertices of another part"
    if (vertex, face) != (len(it.vertices), len(it.faces)):
        yield f"the parts end at vertex {vertex} and face {face} of {len(it.vertices)} and {len(it.faces)}"


def _shapes(it: Character) -> Iterator[str]:
    names, starts = it.shapes.names, it.shapes.starts
    yield from _twice("shapes", names)
    if names[: len(_FIXED_SHAPES)] != _FIXED_SHAPES:
        place = next(
            (n for n, pair in enumerate(zip(names, _FIXED_SHAPES, strict=False)) if len(set(pair)) > 1), len(names)
        )
        found = f"'{names[place]}'" if place < len(names) else "nothing"
        yield f"shape {place} is {found} instead of '{_FIXED_SHAPES[place]}'"
    if starts[0] != 0 or starts[-1] != len(it.shapes.vertices) or (np.diff(starts) < 0).any():
        yield f"the starts of the shapes do not rise from 0 to {len(it.shapes.vertices)}"
        return
    yield from _outside("shape vertex", it.shapes.vertices, len(it.vertices))
    falls = np.flatnonzero(np.diff(it.shapes.vertices.astype(np.int64)) <= 0) + 1
    inside = np.setdiff1d(falls, starts)
    if len(inside):
        shape = int(np.searchsorted(starts, inside[0], side="right")) - 1
        yield f"the vertices of shape '{names[shape]}' do not rise"


def _skeleton(it: Character) -> Iterator[str]:
    yield from _twice("joints", it.joint_names)
    late = np.flatnonzero((it.parents >= np.arange(len(it.parents))) | (it.parents < -1))
    if len(late):
        yield f"joint '{it.joint_names[late[0]]}' stands before its parent ({int(it.parents[late[0]])})"
    if it.parents[0] != -1:
        yield "the first joint has a parent"


def _weights(it: Character) -> Iterator[str]:
    yield from _outside("weight", it.weight_joints, len(it.joint_names))
    total = it.weights.sum(1)
    wrong = np.flatnonzero((np.abs(total - 1) > 1e-3) | (it.weights.min(1) < -1e-6))
    if len(wrong):
        first = int(wrong[0])
        yield f"the weights of {len(wrong)} vertices do not sum to 1, the first is vertex {first}: {total[first]:.4g}"


def _followers(it: Character) -> Iterator[str]:
    for driver in it.drivers:
        length = float(np.linalg.norm(driver.axis))
        if driver.joint not in it.joint_names:
            yield f"a driver turns joint '{driver.joint}', which is not there"
        if not (abs(length - 1) < 1e-3 and np.isfinite(driver.degrees)):
            yield f"the driver of '{driver.joint}' turns {driver.degrees:g} degrees about {driver.axis}"
    for entry in it.correctives:
        if entry.shape not in it.shapes.names:
            yield f"a corrective moves shape '{entry.shape}', which is not there"
        if entry.joint not in it.joint_names:
            yield f"a corrective follows joint '{entry.joint}', which is not there"
    for name, vertex in it.landmarks.items():
        if not 0 <= vertex < len(it.vertices):
            yield f"landmark '{name}' is vertex {vertex}, and there are {len(it.vertices)}"


def _materials(it: Character) -> Iterator[str]:
    for name, material in it.materials.items():
        values = [*material.colour, *material.plain, material.roughness, material.metallic, material.subsurface]
        if name != material.name:
            yield f"material '{material.name}' stands under the name '{name}'"
        if len(material.colour) != 4 or len(material.plain) != 4 or not np.isfinite(values).all():
            yield f"the numbers of material '{name}' make no sense"
        if material.alpha not in _ALPHAS:
            yield f"material '{name}' has the alpha '{material.alpha}', none of {', '.join(_ALPHAS)}"
    if not it.name.strip() or not it.licence.strip():
        yield "the character has no name or no licence"


def _twice(what: str, names: list[str] | tuple[str, ...]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if not name or name in seen:
            yield f"two {what} are named '{name}'" if name else f"one of the {what} has no name"
            return
        seen.add(name)
