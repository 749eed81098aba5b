# SPDX-License-Identifier: Apache-2.0
"""The neck's anatomy as short formulas that Blender evaluates without Python: ``neck.distribute`` for drivers.

``distribute`` looks for the demand (bend, turn, tilt) whose shares multiply to the wanted head rotation. Drivers cannot
search, so that demand, and what the top joint adds to its share, are polynomials of the head's rotation vector, fitted
here to ``distribute`` itself. Soft limits and coupling are then evaluated as they stand. docs/blender.md says how
close that comes; tests/addon/test_characters.py measures it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from hyoid.characters import neck
from hyoid.characters.character import NeckLimits
from hyoid.geometry import rotations

# As in characters/neck.py.
_KNEE, _ROOM, _UPPER_SHARE, _UPPER = 0.85, 0.27, 0.71, slice(6, 8)
_DEGREE = 4
_REWEIGHTS = 3  # rounds that bring the largest error down at the cost of the mean
_LONGEST = 255  # characters of a driver's expression in Blender
MARGIN_DEGREES, MARGIN = 1.0, 0.06
"""What the limits leave to each side of the range: degrees, and a part of the range."""


def formulas(limits: NeckLimits) -> dict[str, Any]:
    """Formulas from the wanted head rotation to the rotation vectors of the eight joints.

    Returns:
        ``steps``: list of ``[name, expression]`` in the order of evaluation, from ``ask_x``, ``ask_y``, ``ask_z`` (the
        head's rotation vector in radians: nod, turn, tilt to the right); an expression uses names of earlier steps.
        ``joints``: by joint three expressions of steps: its rotation vector in radians.
    """
    return _formulas(_key(limits))


def box(limits: NeckLimits) -> dict[str, list[list[float]]]:
    """By joint the lowest and highest XYZ Euler angles, radians, ``[[x, x], [y, y], [z, z]]``, with a margin.

    They hold every pose that ``distribute`` gives for a head within the range of the neck.
    """
    return _box(_key(limits))


def beyond(
    limits: dict[str, list[list[float]]], joint_names: tuple[str, ...], turns: np.ndarray
) -> dict[str, tuple[int, str, float, float]]:
    """What a take (frames, joints, 4) does beyond a :func:`box`.

    By joint: the worst frame, what the joint does there (``nods``, ``turns`` or ``tilts``), and the angle and its limit
    in degrees.
    """
    found = {}
    for index, name in enumerate(joint_names):
        if name not in limits or not len(turns):
            continue
        angles, sides = np.degrees(euler(turns[:, index].astype(np.float64))), np.degrees(limits[name])
        excess = np.maximum(angles - sides[:, 1], sides[:, 0] - angles)
        frame, axis = np.unravel_index(excess.argmax(), excess.shape)
        if excess[frame, axis] > 1e-3:
            angle = float(angles[frame, axis])
            found[name] = (int(frame), ("nods", "turns", "tilts")[axis], angle, float(sides[axis, int(angle > 0)]))
    return found


def euler(quaternion: np.ndarray) -> np.ndarray:
    """XYZ Euler angles (..., 3) in radians, as Blender defines them, of unit quaternions (..., 4)."""
    matrix = rotations.to_matrix(quaternion)
    return np.stack(
        [
            np.arctan2(matrix[..., 2, 1], matrix[..., 2, 2]),
            np.arcsin(np.clip(-matrix[..., 2, 0], -1, 1)),
            np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0]),
        ],
        -1,
    )


def ranges(limits: NeckLimits) -> np.ndarray:
    """Highest and lowest rotation vector of the head, (2, 3) radians: bend, turn, tilt."""
    flexion, extension, lateral, axial = (
        float(np.radians(values).sum()) for values in (limits.flexion, limits.extension, limits.lateral, limits.axial)
    )
    return np.array([[flexion, axial, lateral], [-extension, -axial, -lateral]])


def heads(limits: NeckLimits, count: int) -> np.ndarray:
    """Rotation vectors (n, 3) of heads within the range: those of a grid of ``count`` a side inside the ellipsoid."""
    line = np.linspace(-1, 1, count)
    grid = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    inside = grid[(grid**2).sum(1) <= 1 + 1e-9]
    high, low = ranges(limits)
    return inside * np.where(inside > 0, high, -low)


def _key(limits: NeckLimits) -> tuple[tuple[float, ...], ...]:
    columns = (limits.flexion, limits.extension, limits.lateral, limits.axial, limits.coupling)
    return tuple(tuple(float(value) for value in column) for column in columns)


@lru_cache(maxsize=4)
def _box(key: tuple[tuple[float, ...], ...]) -> dict[str, list[list[float]]]:
    limits = NeckLimits(*map(np.array, key))
    angles = euler(neck.distribute(limits, rotations.from_rotation_vector(heads(limits, 13))))
    low, high = angles.min(0), angles.max(0)
    margin = np.radians(MARGIN_DEGREES) + MARGIN * (high - low)
    sides = np.stack([low - margin, high + margin], -1)
    return {name: np.round(sides[index], 6).tolist() for index, name in enumerate(neck.JOINTS)}


@lru_cache(maxsize=4)
def _formulas(key: tuple[tuple[float, ...], ...]) -> dict[str, Any]:
    limits = NeckLimits(*map(np.array, key))
    flexion, extension, lateral, axial = (
        np.radians(values) for values in (limits.flexion, limits.extension, limits.lateral, limits.axial)
    )
    high, low = ranges(limits)
    upper, lower = axial[_UPPER].sum(), axial.sum() - axial[_UPPER].sum()
    coupled = _coupled(limits)
    demand, top = _fit(limits)
    nod = f"max(ask_x/{high[0]:.5f},ask_x/{low[0]:.5f})"
    steps = [
        ["reach", f"max(1,sqrt(pow({nod},2)+pow(ask_y/{high[1]:.5f},2)+pow(ask_z/{high[2]:.5f},2)))"],
        *([axis, f"ask_{axis}/reach"] for axis in "xyz"),
        ["turn", f"ask_y+{demand['y']}"],
        ["upper", _soft(f"(turn*{_UPPER_SHARE / upper:.5f})")],
        ["lower", _soft(f"((turn-upper*{upper:.5f})/{lower:.5f})")],
        # What the other joints have to make up for: extension in a turn, the skull that goes back, tilts.
        ["lean", f"ask_x+upper*upper*{neck.EXTENSION.sum():.5f}"],
        ["end", f"min(max((lean/{high[0]:.5f}-{neck.REVERSAL_FROM})/{1 - neck.REVERSAL_FROM:.5f},0),1)"],
        ["reversal", f"end*end*(3-2*end)*{neck.REVERSAL:.6f}"],
        ["bend", f"lean+reversal+{demand['x']}"],
        ["side", f"ask_z+upper*{coupled[1]:.5f}+lower*{coupled[0]:.5f}"],
        ["tilt", f"side+{demand['z']}"],
        ["bends", _soft(f"(max(bend,0)/{high[0]:.5f}+min(bend,0)/{-low[0]:.5f})")],
        ["back", f"min(max((bends-{neck.REVERSAL_FROM})/{1 - neck.REVERSAL_FROM:.5f},0),1)"],
        ["tilts", _soft(f"(tilt/{high[2]:.5f})")],
        *([f"top_{axis}", top[axis]] for axis in "xyz"),
    ]
    joints = {}
    for index, name in enumerate(neck.JOINTS):
        turning = "upper" if index >= _UPPER.start else "lower"
        vector = [
            f"max(bends,0)*{flexion[index]:.6f}+min(bends,0)*{extension[index]:.6f}"
            f"-upper*upper*{neck.EXTENSION[index]:.6f}".replace("--", "+"),
            f"{turning}*{axial[index]:.6f}",
            f"tilts*{lateral[index]:.6f}-{turning}*{limits.coupling[index] * axial[index]:.6f}".replace("--", "+"),
        ]
        if index == len(neck.JOINTS) - 1:
            vector[0] += f"-back*back*(3-2*back)*{neck.REVERSAL:.6f}"
            vector = [f"{formula}+top_{axis}" for formula, axis in zip(vector, "xyz", strict=True)]
        joints[name] = vector
    assert all(len(text) <= _LONGEST for _, text in steps), [len(text) for _, text in steps]
    return {"steps": steps, "joints": joints}


def _soft(share: str) -> str:
    """The share up to the knee, then a smooth approach to knee + room: tanh written with exp."""
    steep = 2 / _ROOM
    above, below = f"exp({steep:.4f}*max({share}-{_KNEE},0))", f"exp({steep:.4f}*max(-{share}-{_KNEE},0))"
    return f"min(max({share},-{_KNEE}),{_KNEE})+{2 * _ROOM}*(1/({below}+1)-1/({above}+1))"


def _fit(limits: NeckLimits) -> tuple[dict[str, str], dict[str, str]]:
    """Polynomials of x, y, z: what the demand adds to the head's rotation vector, and the top joint to its share."""
    wanted = heads(limits, 15)
    vectors = rotations.to_rotation_vector(neck.distribute(limits, rotations.from_rotation_vector(wanted)))
    found = _demand_of(limits, vectors)
    weight = 1 / ((wanted**2).sum(1) + 0.1)  # small rotations are common and must come out nearly right
    demand, fitted, coupled = {}, wanted.copy(), _coupled(limits)
    for column, axis in ((1, "y"), (0, "x"), (2, "z")):
        if axis == "x":
            turns, upper = neck._turns(fitted[:, 1:2], np.radians(limits.axial))
            fitted[:, :1] += neck.EXTENSION.sum() * upper**2
            end = (fitted[:, 0] / ranges(limits)[0, 0] - neck.REVERSAL_FROM) / (1 - neck.REVERSAL_FROM)
            fitted[:, 0] += neck.REVERSAL * neck._step(end)
        if axis == "z":
            lower = turns[:, :1] / np.radians(limits.axial[0])
            fitted[:, 2:] += upper * coupled[1] + lower * coupled[0]
        rest = found[:, column] - fitted[:, column]
        demand[axis], values = _polynomial(wanted, rest, weight, odd=column > 0)
        fitted[:, column] += values
    rest = vectors[:, 7] - neck.shares(limits, fitted)[:, 7]
    top = {a: _polynomial(wanted, rest[:, c], weight, odd=c > 0)[0] for c, a in enumerate("xyz")}
    return demand, top


def _coupled(limits: NeckLimits) -> tuple[float, float]:
    """By how much a full turn of the lower six joints, and of the upper two, tilts the neck, radians."""
    tilts = limits.coupling * np.radians(limits.axial)
    return float(tilts[: _UPPER.start].sum()), float(tilts[_UPPER].sum())


def _demand_of(limits: NeckLimits, vectors: np.ndarray) -> np.ndarray:
    """The demand (n, 3) radians that gave the rotation vectors (n, 8, 3) of the joints, read off the lower ones."""
    high, low = ranges(limits)
    flexion, extension, lateral, axial = (
        np.radians(values) for values in (limits.flexion, limits.extension, limits.lateral, limits.axial)
    )
    best = [int(values[:6].argmax()) for values in (flexion, extension, lateral, axial)]
    used = vectors[:, 6, 1:2] / axial[6]
    bends = vectors[:, :6, 0] + neck.EXTENSION[:6] * used**2
    bend = bends[:, best[0]] / flexion[best[0]], bends[:, best[1]] / extension[best[1]]
    bend = np.where(bends[:, 0] > 0, _unsoft(bend[0]) * high[0], _unsoft(bend[1]) * -low[0])
    upper, lower = axial[_UPPER].sum(), axial[: _UPPER.start].sum()
    turn = upper * vectors[:, 6, 1] / axial[6] + lower * _unsoft(vectors[:, best[3], 1] / axial[best[3]])
    side = best[2]
    tilt = (vectors[:, side, 2] + limits.coupling[side] * vectors[:, side, 1]) / lateral[side]
    return np.stack([bend, turn, _unsoft(tilt) * high[2]], -1)


def _unsoft(value: np.ndarray) -> np.ndarray:
    size = np.abs(value)
    over = np.clip((size - _KNEE) / _ROOM, 0, 0.999)
    return np.sign(value) * np.where(size < _KNEE, size, _KNEE + _ROOM * np.arctanh(over))


def _polynomial(points: np.ndarray, values: np.ndarray, weight: np.ndarray, odd: bool) -> tuple[str, np.ndarray]:
    """A polynomial as text, and its values. ``odd``: it changes sign when y and z do, as the mirror image asks."""
    # A nod alone is shared as it is: nothing has to be added to it.
    powers = [power for power in _powers(odd) if any(power[1:])]
    basis = np.stack([np.prod(points ** np.array(power), 1) for power in powers], 1)
    factors = np.zeros(len(powers))
    for _ in range(_REWEIGHTS):
        root = np.sqrt(weight)
        factors = np.linalg.lstsq(basis * root[:, None], values * root, rcond=None)[0]
        error = np.abs(values - basis @ factors)
        weight = weight * (error + 0.2 * error.max() + 1e-12)
    factors = factors.round(4)
    return _nested(powers, factors), basis @ factors


def _powers(odd: bool) -> Iterator[tuple[int, int, int]]:
    for y in range(_DEGREE + 1):
        for z in range(_DEGREE + 1 - y):
            if (y + z) % 2 == odd:
                for x in range(0 if y + z else 1, _DEGREE + 1 - y - z):
                    yield x, y, z


def _nested(powers: list[tuple[int, int, int]], factors: np.ndarray) -> str:
    """A polynomial as short text, nested in x: ``y*(a+x*(b+x*c))+...``."""
    found = dict(zip(powers, factors.tolist(), strict=True))
    groups = []
    for y, z in dict.fromkeys(power[1:] for power in powers):
        inner = ""
        for x in range(_DEGREE, -1, -1):
            value = found.get((x, y, z))
            if value is None and x > 0 and not inner:
                continue
            number = f"{value or 0.0:.4f}".rstrip("0").rstrip(".").replace("0.", ".", 1) if value else ""
            inner = f"{number}+x*({inner})" if inner and number else f"x*({inner})" if inner else number or "0"
        groups.append("*".join([*"y" * y, *"z" * z, f"({inner})"]))
    return "+".join(groups).replace("+-", "-")
