# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""A character of any source fitted to a scan: identity, expression, head pose and place, by bounded Gauss-Newton.

Every round finds the point of the model nearest to each point of the scan, and solves for all unknowns at once: the
distances along the normals against how far settings usually stray. Robust weights leave out hair, collars and holes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hyoid.characters import arkit
from hyoid.characters.fit.mesh_parts import check_mesh
from hyoid.characters.fit.models import Knob, Model, model_of
from hyoid.characters.fit.placing import Placement, named_points, place
from hyoid.characters.fit.template import shape_offsets
from hyoid.characters.neck import JOINTS, distribute
from hyoid.errors import InputError
from hyoid.geometry import rotations
from hyoid.geometry.closest import Surface, boundary_vertices
from hyoid.geometry.mesh import Mesh
from hyoid.geometry.meshes import triangulate
from hyoid.geometry.registration import Similarity, sample_points
from hyoid.geometry.skinning import skin_transforms, weight_matrix, world_transforms
from hyoid.report import SILENT, Report

_POINTS = 5000  # of the scan that are fitted
_MEASURED = 20000  # of the scan that the result is measured on
_INDEPENDENT = 1500  # as much as neighbouring points, whose errors are alike, are worth together
_REACH = 0.025  # metres: points of the scan farther from the model are something else (shoulders, hair)
_SMILE = 0.25  # how far an expression usually strays from none
_NOD = 0.35  # radians, how far a head usually turns against its trunk
_TURN_STEP = 1e-3  # radians, of the finite difference of the neck
_ROUNDS = (("place", 4), ("shape", 8), ("all", 10))


@dataclass(frozen=True)
class Fit:
    """A character that matches a scan.

    Attributes:
        name, settings: for ``characters.load``; settings at their default are left out.
        expression: weights 0..1 by ARKit name, those that are not zero.
        head: (4,) quaternion of the head against the trunk; ``joints`` the same as eight joint rotations by name.
        placement: from the space of the scan to metres, standing where the character stands.
        vertices: (n, 3) float32 metres, the fitted skin with expression and pose; ``triangles`` (T, 3) of it.
        median_error, percentile_95: metres, from points of the scan that the model covers to the fitted skin.
        covered: share of the points that it covers. points: how many were measured. seconds: of the fit.
    """

    name: str
    settings: Mapping[str, float]
    expression: Mapping[str, float]
    head: np.ndarray
    joints: Mapping[str, np.ndarray]
    placement: Placement
    vertices: np.ndarray
    triangles: np.ndarray
    median_error: float
    percentile_95: float
    covered: float
    points: int
    seconds: float

    def summary(self) -> dict[str, Any]:
        """The same as plain values, millimetres and degrees."""
        return {
            "character": self.name,
            "settings": dict(self.settings),
            "expression": dict(self.expression),
            "head_degrees": np.degrees(rotations.to_rotation_vector(self.head)).round(2).tolist(),
            "placement": self.placement.summary(),
            "median_error_mm": 1000 * self.median_error,
            "percentile_95_mm": 1000 * self.percentile_95,
            "covered": self.covered,
            "points": self.points,
            "seconds": self.seconds,
        }


@dataclass
class _State:
    """Where the fit is."""

    settings: dict[str, float]
    expression: np.ndarray
    neck: np.ndarray
    move: Similarity


def fit(
    name: str,
    mesh: Mesh,
    *,
    landmarks: Mapping[str, Any] | np.ndarray | None = None,
    settings: Mapping[str, float] | None = None,
    identity: bool = True,
    expression: bool = True,
    pose: bool = True,
    report: Report = SILENT,
) -> Fit:
    """Fit a character to a head scan, a mesh of another topology, or a cloud of points.

    Args:
        name: of the character, as for ``characters.load``.
        mesh: in any unit and axes; without faces it is a cloud of points.
        landmarks: names of the bundled human's landmarks with vertex numbers or points (3,), or (68, 3) in iBUG order.
        settings: identity settings that are known and stay.
        identity, expression, pose: what may be fitted; the place is always.

    Raises:
        UsageError, InputError: as ``characters.load``; the mesh cannot be used, or nothing in it looks like a head.
    """
    started = time.monotonic()
    check_mesh(mesh, need_faces=False)
    triangles = triangulate(np.asarray(mesh.faces, np.int64)) if len(mesh.faces) else np.zeros((0, 3), np.int64)
    points = np.asarray(mesh.vertices, np.float64)
    named = named_points(landmarks, points) if landmarks is not None else None
    placement = place(points, triangles, landmarks=named, report=report.stage(0.0, 0.35))
    report.progress(0.35, "loading the character")
    model = model_of(name)
    placement = replace(placement, move=_standing(model).after(placement.move))
    sample = sample_points(points, triangles, _POINTS)
    own = characters_check(name, settings)
    state = _State(own, np.zeros(len(_expressions(model))), np.zeros(3), placement.move)
    free = [key for key in model.knobs if key not in own] if identity else []
    done, total = 0, sum(rounds for _, rounds in _ROUNDS)
    for stage, rounds in _ROUNDS:
        for number in range(rounds):
            report.progress(0.4 + 0.55 * done / total, "fitting the head")
            done += 1
            knobs = free if stage != "place" else [key for key in free if model.name != "human" or key in _FIRST]
            faces = expression and stage == "all"
            _round(model, state, sample, knobs, faces, pose and stage != "place", number)
    return _result(model, state, placement, points, triangles, started)


_FIRST = ("gender", "age", "weight", "muscle", "height")


def characters_check(name: str, settings: Mapping[str, float] | None) -> dict[str, float]:
    """The given settings as floats.

    Raises:
        UsageError: an unknown setting or value.
    """
    from hyoid import characters

    return characters.check_settings(name, settings or {})


def _standing(model: Model) -> Similarity:
    """From where the bundled head stands to where this character does: by the joint under the skull."""
    human = model_of("human").neutral
    own = model.neutral
    move = own.heads[own.joint("oc1")] - human.heads[human.joint("oc1")]
    return Similarity(1.0, np.eye(3), move.astype(np.float64))


def _expressions(model: Model) -> list[int]:
    """The shapes of the model that a scan may show: the 52 without the tongue and the looks of the eyes."""
    names = model.neutral.shapes.names
    return [i for i, name in enumerate(names) if name in arkit.NAMES and name != "tongueOut" and "Look" not in name]


def _shape_basis(model: Model) -> np.ndarray:
    """(n, 3, shapes) float32."""
    if not hasattr(model, "expression_basis"):
        basis = np.stack([shape_offsets(model.template, index) for index in _expressions(model)], -1)
        model.expression_basis = basis.astype(np.float32)
    return model.expression_basis


@dataclass(frozen=True)
class _Posed:
    """The model at a state: rest with expression, posed skin (n, 3), and the linear part of each vertex's motion."""

    rest: np.ndarray
    vertices: np.ndarray
    linear: np.ndarray


def _pose(model: Model, rest: np.ndarray, neck: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posed vertices (n, 3) and the linear parts (n, 3, 3) of their motion for a head turned by a rotation vector."""
    character = model.neutral
    turns = rotations.identity(1, len(character.joint_names)).astype(np.float64)
    joints = distribute(character.neck, rotations.from_rotation_vector(neck))
    for index, joint in enumerate(JOINTS):
        turns[0, character.joint(joint)] = joints[index]
    heads = character.heads.astype(np.float64)
    moves = skin_transforms(world_transforms(character.parents, heads, turns), heads)[0]
    if not hasattr(model, "row_weights"):
        matrix = weight_matrix(character.weight_joints, character.weights, len(character.joint_names))
        model.row_weights = matrix[model.template.rows].astype(np.float64)
    mixed = (model.row_weights @ moves.reshape(len(moves), 12)).reshape(-1, 3, 4)
    return np.einsum("nij,nj->ni", mixed[..., :3], rest) + mixed[..., 3], mixed[..., :3]


def _posed(model: Model, state: _State) -> _Posed:
    rest = model.rest(state.settings) + _shape_basis(model) @ state.expression
    vertices, linear = _pose(model, rest, state.neck)
    return _Posed(rest, vertices, linear)


def _round(
    model: Model, state: _State, sample: np.ndarray, knobs: list[str], faces: bool, pose: bool, number: int
) -> None:
    """One Gauss-Newton round, in place."""
    posed = _posed(model, state)
    triangles = model.template.triangles
    surface = Surface(posed.vertices, triangles)
    points = state.move.apply(sample)
    hits = surface.closest(points)
    normals = surface.smooth_normals(hits)
    gap = ((points - hits.points) * normals).sum(1)
    weights = _robust(model, hits, gap)
    if (weights > 0).sum() < 60:
        hint = "Cut away what is no head, or give landmarks (--landmark nose_tip=...)"
        raise InputError("too little of the scan lies on the head", hint=hint)
    corners, shares = triangles[hits.triangles], hits.barycentric
    columns, strays, lows, highs, values = [], [], [], [], []
    if knobs:
        slopes = np.einsum("nij,njk->nik", posed.linear.astype(np.float32), model.slopes(knobs, state.settings))
        columns.append(_along(slopes, corners, shares, normals))
        _limits(model, knobs, state, strays, lows, highs, values)
    if faces:
        slopes = np.einsum("nij,njk->nik", posed.linear.astype(np.float32), _shape_basis(model))
        columns.append(_along(slopes, corners, shares, normals))
        count = slopes.shape[-1]
        strays += [_SMILE] * count
        lows += [0.0] * count
        highs += [1.0] * count
        values += state.expression.tolist()
    if pose:
        bends = np.stack(
            [(_pose(model, posed.rest, state.neck + step)[0] - posed.vertices) / _TURN_STEP
             for step in _TURN_STEP * np.eye(3)], -1,
        )  # fmt: skip
        columns.append(_along(bends, corners, shares, normals))
        strays += [_NOD] * 3
        lows += [-1.2] * 3
        highs += [1.2] * 3
        values += state.neck.tolist()
    centre = points.mean(0)
    # The scan moves against the model: its motion enters with the other sign.
    columns.append(-np.concatenate([np.cross(points - centre, normals) / 0.1, normals], 1))
    step = _solve(np.concatenate(columns, 1), gap, weights, strays, lows, highs, values)
    _advance(state, step, knobs, faces, pose, centre)


def _along(slopes: np.ndarray, corners: np.ndarray, shares: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """How far each hit moves along its normal (m, k) when vertices move by slopes (n, 3, k)."""
    moved = sum(shares[:, i, None, None] * slopes[corners[:, i]] for i in range(3))
    return np.einsum("nik,ni->nk", moved, normals)


def _robust(model: Model, hits: Any, gap: np.ndarray) -> np.ndarray:
    """Weights (m,) of the points: Tukey's biweight over the distance, none at the rim of the model."""
    if not hasattr(model, "rim"):
        model.rim = boundary_vertices(model.template.triangles, len(model.template.rows))
    corners = model.rim[model.template.triangles[hits.triangles]]
    inner = (hits.barycentric * corners).sum(1) < 0.5
    near = inner & (hits.distances < _REACH)
    if not near.any():
        return np.zeros(len(gap))
    spread = 1.4826 * float(np.median(np.abs(gap[near])))
    reach = np.clip(4.5 * spread, 0.003, _REACH)
    weights = np.clip(1 - (hits.distances / reach) ** 2, 0, 1) ** 2
    return np.where(near, weights, 0)


def _limits(model: Model, knobs: list[str], state: _State, strays: list, lows: list, highs: list, values: list) -> None:
    for key in knobs:
        knob: Knob = model.knobs[key]
        strays.append(knob.stray)
        # The prior pulls to the default: everything is told relative to it.
        lows.append(knob.setting.low - knob.setting.default)
        highs.append(knob.setting.high - knob.setting.default)
        values.append(state.settings.get(key, knob.setting.default) - knob.setting.default)


def _solve(
    columns: np.ndarray, gap: np.ndarray, weights: np.ndarray, strays: list[float], lows: list[float],
    highs: list[float], values: list[float],
) -> np.ndarray:  # fmt: skip
    """The step of all unknowns: least squares with priors, within bounds; the six of the place are free."""
    count = columns.shape[1]
    used = weights > 0
    noise = max(1.4826 * float(np.median(np.abs(gap[used]))), 2e-4)
    strength = min(_INDEPENDENT / max(float(weights.sum()), 1.0), 1.0) / noise**2
    matrix = strength * columns.T @ (weights[:, None] * columns)
    vector = strength * columns.T @ (weights * gap)
    inner = count - 6
    now = np.array(values)
    prior = 1 / np.array(strays) ** 2 if inner else np.zeros(0)
    matrix[np.arange(inner), np.arange(inner)] += prior
    vector[:inner] -= prior * now
    matrix[np.arange(count), np.arange(count)] += 1e-6 * np.diag(matrix).mean() * (np.arange(count) >= inner)
    low, high = np.array(lows) - now, np.array(highs) - now
    step = np.zeros(count)
    fixed = np.zeros(count, bool)
    for _ in range(8):
        free = ~fixed
        right = vector[free] - matrix[np.ix_(free, fixed)] @ step[fixed]
        step[free] = np.linalg.solve(matrix[np.ix_(free, free)], right)
        over = np.zeros(count, bool)
        over[:inner] = (step[:inner] < low - 1e-9) | (step[:inner] > high + 1e-9)
        over &= free
        if not over.any():
            break
        step[:inner] = np.clip(step[:inner], low, high)
        fixed |= over
    step[:inner] = np.clip(step[:inner], low, high)
    return step


def _advance(state: _State, step: np.ndarray, knobs: list[str], faces: bool, pose: bool, centre: np.ndarray) -> None:
    at = 0
    for key in knobs:
        state.settings[key] = state.settings.get(key, _default(key)) + float(step[at])
        at += 1
    if faces:
        state.expression = state.expression + step[at : at + len(state.expression)]
        at += len(state.expression)
    if pose:
        state.neck = state.neck + step[at : at + 3]
        at += 3
    turn, shift = step[at : at + 3] / 0.1, step[at + 3 : at + 6]
    rotation = rotations.to_matrix(rotations.from_rotation_vector(turn))
    state.move = Similarity(1.0, rotation, centre + shift - rotation @ centre).after(state.move)


def _default(key: str) -> float:
    from hyoid.characters import bundled

    return bundled.defaults().get(key, 0.0)


def _result(
    model: Model, state: _State, placement: Placement, points: np.ndarray, triangles: np.ndarray, started: float
) -> Fit:
    settings = {key: round(value, 4) for key, value in state.settings.items() if abs(value - _default(key)) > 5e-4}
    state.settings = settings
    posed = _posed(model, state)
    surface = Surface(posed.vertices, model.template.triangles)
    measured = state.move.apply(sample_points(points, triangles, _MEASURED))
    hits = surface.closest(measured)
    corners = model.rim[model.template.triangles[hits.triangles]]
    covered = (hits.distances < _REACH) & ((hits.barycentric * corners).sum(1) < 0.999)
    head = rotations.from_rotation_vector(state.neck)
    lift = model.lift(settings)
    move = Similarity(1.0, np.eye(3), lift).after(state.move)
    joints = distribute(model.neutral.neck, head)
    names = [model.neutral.shapes.names[index] for index in _expressions(model)]
    return Fit(
        name=model.name, settings=settings,
        expression={key: round(float(v), 4) for key, v in zip(names, state.expression, strict=True) if v > 0.005},
        head=head, joints={joint: joints[i] for i, joint in enumerate(JOINTS)},
        placement=replace(placement, move=move), vertices=(posed.vertices + lift).astype(np.float32),
        triangles=model.template.triangles, median_error=float(np.median(hits.distances[covered])),
        percentile_95=float(np.quantile(hits.distances[covered], 0.95)), covered=float(covered.mean()),
        points=len(measured), seconds=time.monotonic() - started,
    )  # fmt: skip
