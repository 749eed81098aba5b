# SPDX-License-Identifier: Apache-2.0
"""Eight cervical joints for a head that has fewer or none: their places and skin weights from two points and two masks.

The joints lie on a gently lordotic curve from C7-T1 to O-C1 at equal lengths. Weights follow a harmonic height on the
skin through quadratic B-splines, as those of the bundled human do (docs/neck.md).
"""

from __future__ import annotations

import numpy as np

from hyoid.characters.neck import JOINTS
from hyoid.errors import InputError
from hyoid.geometry import harmonic

LORDOSIS = 0.065  # how far the curve leads its chord, of the chord's length
EASE = 1.2  # above 1, the height levels off towards the head: the upper joints, which turn most, share more skin
_WHOLE = 0.97  # the weight from which a vertex counts as wholly of the head or of the trunk
LEAST = 1e-4  # of a weight; smaller ones cost space and move nothing
_FINE = 501  # points of the curve while lengths are measured


def insert(
    vertices: np.ndarray,
    faces: np.ndarray,
    base: np.ndarray,
    top: np.ndarray,
    head: np.ndarray,
    trunk: np.ndarray,
    lordosis: float = LORDOSIS,
    ease: float = EASE,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places and weights of the joints ``c7t1`` ... ``oc1`` on any mesh.

    Pieces without a head or trunk of their own (eyeballs, teeth, single vertices) move rigidly with what is near them.

    Args:
        vertices: (V, 3), +Y up, +Z forward, any unit. faces: (F, 4), a triangle repeats its last corner, or (F, 3).
        base: (3,) C7-T1. top: (3,) O-C1, under the skull. head, trunk: (V,) masks, or weights 0..1, of what moves
            wholly with the skull and of what no cervical joint moves; the neck lies between.
        lordosis: how far the curve leads its chord, of the chord's length. ease: see :data:`EASE`.

    Returns:
        heads (8, 3), tails (8, 3) float64, and weights (V, 9) float64, rows sum to 1: the trunk first, ``oc1`` last.
        A caller shares the first column among its joints of the trunk and the last one among skull, jaw and eyes.

    Raises:
        InputError: no vertex belongs to the head, or none to the trunk.
    """
    heads = curve(base, top, lordosis)
    masks = _mask(head), _mask(trunk)
    for mask, name in zip(masks, ("head", "trunk"), strict=True):
        if not mask.any():
            raise InputError(f"no vertex of the mesh belongs to the {name}", expected="a mesh of head, neck and bust")
    above = np.asarray(heads[-1], np.float64).copy()
    above[1] = max(vertices[masks[0], 1].max(), above[1] + 1e-3 * np.linalg.norm(heads[-1] - heads[0]))
    tails = np.concatenate([heads[1:], above[None]])
    return heads, tails, harmonic.spline_weights(levels(vertices, faces, *masks, ease), len(JOINTS) + 1)


def levels(
    vertices: np.ndarray, faces: np.ndarray, head: np.ndarray, trunk: np.ndarray, ease: float = EASE
) -> np.ndarray:
    """The height (V,) of every vertex between trunk (0) and head (1); see :func:`insert` for the arguments."""
    found = harmonic.level_field(np.asarray(faces), np.asarray(vertices, np.float64), _mask(head), _mask(trunk))
    return 1 - (1 - np.clip(found, 0, 1)) ** ease


def curve(base: np.ndarray, top: np.ndarray, lordosis: float = LORDOSIS) -> np.ndarray:
    """Eight points (8, 3) from ``base`` to ``top`` (3,) at equal lengths along an arc that bulges forward (+Z)."""
    base, top = np.asarray(base, np.float64), np.asarray(top, np.float64)
    chord = top - base
    length = np.linalg.norm(chord)
    along = chord / length
    forward = np.array([0.0, 0.0, 1.0]) - along[2] * along
    forward /= np.linalg.norm(forward)
    share = np.linspace(0, 1, _FINE)[:, None]
    points = base + share * chord + 4 * lordosis * length * share * (1 - share) * forward
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    wanted = np.linspace(0, arc[-1], len(JOINTS))
    heads = np.stack([np.interp(wanted, arc, points[:, axis]) for axis in range(3)], 1)
    heads[0], heads[-1] = base, top
    return heads


def masks_between(vertices: np.ndarray, head: np.ndarray, trunk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks (V,) bool of head and trunk for meshes without weights: what lies above one slope and below another.

    Args:
        vertices: (V, 3). head: (2, 3) a point on the skin in front (the corner between chin and neck) and one at the
            back (the nape under the skull); everything above the line through both is head. trunk: (2, 3) the jugular
            notch and the root of the nape; everything below is trunk.
    """
    above, below = (vertices[:, 1] - _slope(line, vertices[:, 2]) for line in (head, trunk))
    return above >= 0, below <= 0


def _slope(line: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Heights at depths (z) on the line through two points (2, 3), level in front of the first and behind the last."""
    front, back = np.asarray(line, np.float64)
    return np.interp(depth, [back[2], front[2]], [back[1], front[1]])


def _mask(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return values if values.dtype == bool else values > _WHOLE
