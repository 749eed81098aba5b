# SPDX-License-Identifier: Apache-2.0
"""Fewer correctives for files: per joint as few as keep every vertex where it was, whatever the joint does.

A body model has nine correctives a joint, one for each number of its rotation matrix (SMPL-X: 486 shapes). What they do
together is a linear map from those nine numbers to offsets; a few singular vectors of that map do nearly the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hyoid.characters.character import Character, Corrective, Shapes

if TYPE_CHECKING:  # it needs SciPy, which the Python inside Blender does not have
    from hyoid.characters.performance import Performance

TOLERANCE = 5e-5
"""Metres: how far any vertex may be off, at any rotation of any one joint."""

_LARGEST_TURN = 2 * np.sqrt(2)
"""The Frobenius norm of R - I for a half turn; no rotation has a larger one."""

_NOTHING = 1e-4
"""A weight that moves nothing that can be seen."""

_FEW = 6
"""A joint with no more correctives than this is left as it is."""

_TURN = np.sqrt(2)
"""The same norm for a turn of 60 degrees: farther than any joint of a neck goes."""


def lighter(character: Character, tolerance: float = TOLERANCE) -> Character:
    """The character with fewer correctives that do the same to within ``tolerance`` metres, by joint.

    Shapes that no corrective moves keep their places; the correctives' shapes follow in the order of their joints.
    A character whose joints have few correctives each is given back itself.
    """
    by_joint: dict[str, list[Corrective]] = {}
    for corrective in character.correctives:
        by_joint.setdefault(corrective.joint, []).append(corrective)
    if all(len(entries) <= _FEW for entries in by_joint.values()):
        return character
    shapes = character.shapes
    index = {name: row for row, name in enumerate(shapes.names)}
    gone = {entry.shape for entry in character.correctives}
    names = [name for name in shapes.names if name not in gone]
    rows = [slice(int(shapes.starts[index[n]]), int(shapes.starts[index[n] + 1])) for n in names]
    pieces = [(shapes.vertices[row], shapes.offsets[row]) for row in rows]
    correctives = []
    for joint, entries in by_joint.items():
        if len(entries) <= _FEW:
            found = [(e.features, shapes.vertices[r], shapes.offsets[r]) for e, r in _with_rows(shapes, index, entries)]
        else:
            found = _reduced(shapes, index, entries, tolerance)
        for number, (features, vertices, offsets) in enumerate(found):
            name = f"corrective_{joint}_{number}"
            names.append(name)
            pieces.append((vertices, offsets))
            correctives.append(Corrective(name, joint, features))
    starts = np.concatenate([[0], np.cumsum([len(vertices) for vertices, _ in pieces])]).astype(np.int64)
    made = Shapes(
        tuple(names), starts,
        np.concatenate([vertices for vertices, _ in pieces]).astype(np.int32),
        np.concatenate([offsets for _, offsets in pieces]).astype(np.float32),
    )  # fmt: skip
    return replace(character, shapes=made, correctives=tuple(correctives))


def with_small_weights(character: Character, largest: float) -> Character:
    """The character with correctives whose weights stay within ``largest`` while a joint turns by up to 60 degrees.

    For programs whose sliders end somewhere: shapes are enlarged, and weighed less by as much. By how much depends on
    the features alone, so it is the same for every identity.
    """
    shapes, offsets = character.shapes, None
    correctives = []
    for entry in character.correctives:
        factor = float(np.linalg.norm(entry.features)) * _TURN / largest
        if factor > 1:
            offsets = shapes.offsets.copy() if offsets is None else offsets
            at = shapes.names.index(entry.shape)
            offsets[int(shapes.starts[at]) : int(shapes.starts[at + 1])] *= np.float32(factor)
            entry = replace(entry, features=np.asarray(entry.features) / factor)
        correctives.append(entry)
    if offsets is None:
        return character
    return replace(character, shapes=replace(shapes, offsets=offsets), correctives=tuple(correctives))


def _with_rows(shapes: Shapes, index: dict[str, int], entries: list[Corrective]) -> list[tuple[Corrective, slice]]:
    return [
        (entry, slice(int(shapes.starts[index[entry.shape]]), int(shapes.starts[index[entry.shape] + 1])))
        for entry in entries
    ]


def _reduced(
    shapes: Shapes, index: dict[str, int], entries: list[Corrective], tolerance: float
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Features (3, 3), vertices (n,) and offsets (n, 3) of the shapes that stand for all correctives of one joint."""
    rows = [row for _, row in _with_rows(shapes, index, entries)]
    touched = np.unique(np.concatenate([shapes.vertices[row] for row in rows]))
    if not len(touched):
        return []
    moves = np.zeros((9, len(touched), 3))  # what each number of R - I does to the vertices
    for entry, row in zip(entries, rows, strict=True):
        at = np.searchsorted(touched, shapes.vertices[row])
        moves[:, at] += np.asarray(entry.features, np.float64).reshape(9, 1, 1) * shapes.offsets[row]
    u, sizes, directions = np.linalg.svd(moves.reshape(9, -1), full_matrices=False)
    fields = (sizes[:, None] * directions).reshape(-1, len(touched), 3)
    # A vertex is off by at most the norm of what is left out there, times the norm of R - I. Half of what is allowed
    # goes to the directions that are left out, half to vertices that hardly move in those that stay.
    left = np.sqrt(np.cumsum((fields[::-1] ** 2).sum(-1), axis=0))[::-1] * _LARGEST_TURN
    kept = int((left.max(1) > tolerance / 2).sum())
    found = []
    for number in range(kept):
        length = np.linalg.norm(fields[number], axis=-1)
        moved = length * _LARGEST_TURN > tolerance / 2 / np.sqrt(kept)
        found.append((u[:, number].reshape(3, 3), touched[moved], fields[number][moved].astype(np.float32)))
    return found


def both_signs(character: Character, performed: Performance) -> tuple[Character, Performance]:
    """The same performance with weights of correctives that are never below zero.

    Most readers of glTF stop weights at zero. Each corrective that goes below gets a second shape, its opposite, for
    these frames (``NAME_minus``).
    """
    shapes, weights = character.shapes, performed.shape_weights
    rows = [shapes.names.index(entry.shape) for entry in character.correctives]
    lowest = weights.min(0, initial=0)
    below = [row for row in rows if lowest[row] < -_NOTHING]
    if not below:
        return character, performed
    pieces = [slice(int(shapes.starts[row]), int(shapes.starts[row + 1])) for row in below]
    opposite = np.maximum(-weights[:, below], 0)
    kept = weights.copy()
    kept[:, rows] = np.maximum(kept[:, rows], 0)
    names = tuple(f"{shapes.names[row]}_minus" for row in below)
    sizes = np.cumsum([piece.stop - piece.start for piece in pieces])
    made = Shapes(
        (*shapes.names, *names), np.concatenate([shapes.starts, shapes.starts[-1] + sizes]),
        np.concatenate([shapes.vertices, *(shapes.vertices[piece] for piece in pieces)]),
        np.concatenate([shapes.offsets, *(-shapes.offsets[piece] for piece in pieces)]),
    )  # fmt: skip
    entries = [entry for entry in character.correctives if shapes.names.index(entry.shape) in below]
    more = tuple(Corrective(f"{entry.shape}_minus", entry.joint, -entry.features) for entry in entries)
    return (
        replace(character, shapes=made, correctives=(*character.correctives, *more)),
        replace(performed, shape_weights=np.concatenate([kept, opposite], axis=1)),
    )
