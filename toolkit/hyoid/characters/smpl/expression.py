# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""ARKit's 52 shapes on a model of the SMPL family: carried from the bundled human, then told in the model's expression.

The bundled human is drawn onto the model's mean head, its shapes go over by deformation transfer, and a linear map from
ARKit weights to the model's own expression coefficients and its jaw is fitted to them. This takes some seconds and is
kept in the cache folder by the digest of the model file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from hyoid import files
from hyoid.characters import arkit
from hyoid.characters.character import Character
from hyoid.characters.smpl.family import Model
from hyoid.errors import InputError, OutputError
from hyoid.formats.npz import read_npz, write_npz
from hyoid.geometry import rotations
from hyoid.geometry.mesh import Mesh
from hyoid.report import SILENT, Report

_VERSION = 1  # of what lies in the cache
_COST = 2e-5  # metres everywhere: what one standard deviation of an expression may cost
_JAW: dict[str, tuple[tuple[float, float, float], float]] = {
    "jawOpen": ((1.0, 0.0, 0.0), 35.0),
    "jawLeft": ((0.0, 1.0, 0.0), 15.0),
    "jawRight": ((0.0, -1.0, 0.0), 15.0),
}
"""Shapes that the jaw joint takes part in: axis and the most degrees."""
_LEAST_TURN = 0.01  # radians, that a jaw is turned for
_SEEN = 1e-4  # metres: what counts as moved
_NECK_ENDS = ("c7t1", "oc1")


@dataclass(frozen=True)
class ArkitMap:
    """From weights of the 52 ARKit shapes to expression coefficients and the jaw: ``weights @ coefficients``.

    Attributes:
        coefficients: (52, m) float64, standard deviations at weight 1. jaw: (52, 3) rotation vectors, radians.
        residual: (52,) millimetres, root mean square over the vertices that the carried shape moves; ``size`` (52,) is
            that of the carried shape itself.
    """

    coefficients: np.ndarray
    jaw: np.ndarray
    residual: np.ndarray
    size: np.ndarray


@dataclass(frozen=True)
class Carried:
    """What the bundled human gives a model: on its mean shape, without its bones.

    Attributes:
        shapes: (52, V, 3) float32, metres. landmarks: vertex by name.
        neck: (2, V) float64, rows that give C7-T1 and O-C1 from the vertices of any identity.
        error: millimetres, how far the human's skin lies off the model's, median.
    """

    shapes: np.ndarray
    landmarks: dict[str, int]
    neck: np.ndarray
    error: float


def quads(faces: np.ndarray) -> np.ndarray:
    """Triangles (F, 3) as quads (F, 4) int32 that repeat their last corner."""
    return np.concatenate([faces, faces[:, 2:]], 1).astype(np.int32)


@lru_cache(maxsize=2)
def carried(model: Model, report: Report = SILENT) -> Carried:
    """The human's shapes, landmarks and neck on the mean shape of a model; from the cache where it has them.

    Raises:
        InputError: the mean shape has no head that could be recognised.
    """
    place = files.cache_folder() / "smpl" / f"{model.digest}-{_VERSION}.npz"
    found = _cached(place, len(model.template))
    if found is None:
        found = _carry(model, report)
        names = np.array(sorted(found.landmarks))
        try:
            with files.part_file(place) as part:
                rows = np.array([found.landmarks[name] for name in names], np.int64)
                content = {"shapes": found.shapes.astype(np.float32), "names": names, "vertices": rows}
                write_npz(part, content | {"neck": found.neck, "error": np.array(found.error)}, 1)
        except OutputError:
            pass  # a cache that cannot be written costs the time again, nothing else
    return found


def _cached(place: Path, count: int) -> Carried | None:
    if not place.is_file():
        return None
    try:
        content = read_npz(place)
        landmarks = {str(name): int(v) for name, v in zip(content["names"], content["vertices"], strict=True)}
        result = Carried(content["shapes"], landmarks, content["neck"], float(content["error"]))
    except (InputError, KeyError, ValueError, TypeError):
        return None  # left by something else: it is made again
    return result if result.shapes.shape == (len(arkit.NAMES), count, 3) else None


def _carry(model: Model, report: Report) -> Carried:
    from hyoid.characters import bundled
    from hyoid.characters.fit.transfer import rig_mesh

    human = bundled.load({}, "full", 0)
    faces = quads(model.faces)
    empty = np.zeros((0, 2), np.float32)
    mesh = Mesh(model.template, faces, empty, np.zeros((0, 4), np.int32), np.zeros(len(faces), np.int32), ("model",))
    try:
        rigged, quality = rig_mesh(human, mesh, name=model.path.stem, report=report)
    except InputError as error:
        raise InputError(
            f"its mean head is not like a head: {error.found}", path=model.path, hint=error.hint
        ) from error
    assert len(rigged.vertices) == len(model.template), "the rigged mesh keeps its vertices"
    shapes = rigged.shapes
    dense = np.zeros((len(arkit.NAMES), len(model.template), 3), np.float32)
    for row, name in enumerate(arkit.NAMES):
        index = shapes.names.index(name)
        entries = slice(int(shapes.starts[index]), int(shapes.starts[index + 1]))
        dense[row, shapes.vertices[entries]] = shapes.offsets[entries]
    neck = np.stack([row_of(model.template, rigged.heads[rigged.joint(name)]) for name in _NECK_ENDS])
    return Carried(dense, dict(rigged.landmarks), neck, _error(rigged, quality))


def _error(rigged: Character, quality: dict) -> float:
    value = quality.get("median_error_mm", quality.get("error_mm", 0.0))
    return float(value) if isinstance(value, int | float) else 0.0


def row_of(vertices: np.ndarray, point: np.ndarray) -> np.ndarray:
    """A row (V,) of few weights, sum 1, that gives the point from the vertices, also when they move."""
    near = np.argsort(np.linalg.norm(vertices - point, axis=1))[:80]
    system = np.concatenate([(vertices[near] - point).T, np.full((1, len(near)), 0.1)])
    row = np.zeros(len(vertices))
    row[near] = np.linalg.lstsq(system, np.array([0, 0, 0, 0.1]), rcond=None)[0]
    return row


@lru_cache(maxsize=2)
def arkit_map(model: Model) -> ArkitMap | None:
    """The map from ARKit weights to the model's own expression and jaw, with what it leaves over; None without any.

    Least squares over all vertices but the eyeballs' (they turn with their joints), with a small cost on large
    coefficients. For ``jawOpen``, ``jawLeft`` and ``jawRight`` the angle of the jaw joint is fitted, too.
    """
    count = model.expression.shape[2]
    if not count:
        return None
    targets = carried(model).shapes.astype(np.float64)
    skin = ~eyeballs(model)
    basis = model.expression[skin].reshape(-1, count).astype(np.float64)
    normal = basis.T @ basis + skin.sum() * _COST**2 * np.eye(count)
    solver = np.linalg.solve(normal, basis.T)
    coefficients, jaw = np.zeros((len(targets), count)), np.zeros((len(targets), 3))
    residual, size = np.zeros(len(targets)), np.zeros(len(targets))
    for row, name in enumerate(arkit.NAMES):
        wanted = targets[row]

        def left(angle: float, axis: np.ndarray | None, wanted: np.ndarray = wanted) -> tuple[np.ndarray, np.ndarray]:
            needed = wanted if axis is None else without_jaw(model, wanted, angle * axis)
            flat = needed[skin].ravel()
            found = solver @ flat
            return found, flat - basis @ found

        axis = None
        angle = 0.0
        if name in _JAW:
            axis, most = np.array(_JAW[name][0]), np.radians(_JAW[name][1])
            cost = lambda value, left=left, axis=axis: float(np.sum(left(value, axis)[1] ** 2))  # noqa: E731
            angle = float(minimize_scalar(cost, bounds=(0.0, most), method="bounded", options={"xatol": 1e-4}).x)
            angle = angle if angle > _LEAST_TURN else 0.0
            jaw[row] = angle * axis
        coefficients[row], over = left(angle, axis)
        moved = np.linalg.norm(wanted[skin], axis=1) > _SEEN
        if moved.any():
            residual[row] = _millimetres(over.reshape(-1, 3)[moved])
            size[row] = _millimetres(wanted[skin][moved])
    return ArkitMap(coefficients, jaw, residual, size)


def _millimetres(offsets: np.ndarray) -> float:
    return float(1e3 * np.sqrt(np.mean(np.sum(offsets**2, 1))))


def eyeballs(model: Model) -> np.ndarray:
    """The vertices (V,) bool that turn with an eye joint."""
    columns = [column for column, name in enumerate(model.joint_names) if name.startswith("eye.")]
    return np.asarray(model.weights[:, columns].sum(1)).ravel() > 0.5


def without_jaw(model: Model, wanted: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The offsets (V, 3) before skinning that, with the jaw turned by a rotation vector (3,), move the mean as wanted.

    wanted: (V, 3) metres, the whole motion.
    """
    joint = model.joint_names.index("jaw")
    matrix = rotations.to_matrix(rotations.from_rotation_vector(turn)) - np.eye(3)
    head = (model.regressor @ model.template)[joint]
    weight = np.asarray(model.weights[:, joint].todense()).ravel()
    mixed = np.eye(3) + weight[:, None, None] * matrix
    corrective = model.pose[:, :, 9 * (joint - 1) : 9 * joint] @ matrix.ravel()
    goal = model.template + wanted - head
    return np.linalg.solve(mixed, goal[..., None])[..., 0] + head - model.template - corrective
