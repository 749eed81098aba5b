# SPDX-License-Identifier: Apache-2.0
"""Shape keys that follow the turn of a bone: whoever poses the neck, by keys, the handle or a constraint, gets them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .rig import drive

_TO_BLENDER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Takes vectors of the character (+Y up) to Blender's axes."""

_SMALL = 1e-7
"""A factor of a formula that moves nothing anybody could see."""


def add(armature: Any, body: Any, correctives: list[dict[str, Any]]) -> None:
    """Drive the body's keys of the correctives by the turns of their bones, as they are after all constraints.

    The weight ``sum(features * (R - I))`` is a polynomial of the quaternion that turns the bone from its rest pose, so
    it needs no Python. The keys of other parts follow the body's, see ``rig.drive_shapes``.

    Args:
        correctives: ``shape``, ``joint`` and ``features`` (3, 3) in the character's axes, see ``pack.record``.
    """
    keys = body.data.shape_keys.key_blocks if body.data.shape_keys else {}
    for corrective in correctives:
        bone = armature.data.bones.get(corrective["joint"])
        if bone is None or corrective["shape"] not in keys:
            continue
        # R = A L A^T with A the axes of the resting bone as the character sees them, and L the local rotation.
        axes = _TO_BLENDER.T @ np.array(bone.matrix_local.to_3x3(), np.float64)
        turned = {axis: (armature, bone.name, f"ROT_{axis.upper()}") for axis in "wxyz"}
        formula = polynomial(axes.T @ np.array(corrective["features"], np.float64) @ axes)
        drive(keys[corrective["shape"]], "value", formula, **{a: turned[a] for a in "wxyz" if a in formula})


def polynomial(features: np.ndarray) -> str:
    """``sum(features * (R - I))`` as text, for the rotation matrix R of the unit quaternion w, x, y, z.

    Args:
        features: (3, 3) float64.
    """
    f = features
    groups = {
        "x": {"x": -2 * (f[1, 1] + f[2, 2]), "y": 2 * (f[0, 1] + f[1, 0]), "z": 2 * (f[0, 2] + f[2, 0]),
              "w": 2 * (f[2, 1] - f[1, 2])},
        "y": {"y": -2 * (f[0, 0] + f[2, 2]), "z": 2 * (f[1, 2] + f[2, 1]), "w": 2 * (f[0, 2] - f[2, 0])},
        "z": {"z": -2 * (f[0, 0] + f[1, 1]), "w": 2 * (f[1, 0] - f[0, 1])},
    }  # fmt: skip
    terms = []
    for axis, factors in groups.items():
        inner = "".join(f"{value:+.7g}*{other}" for other, value in factors.items() if abs(value) > _SMALL)
        if inner:
            terms.append(f"{axis}*({inner.removeprefix('+')})")
    return "+".join(terms) or "0"
