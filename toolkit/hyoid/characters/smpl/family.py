# SPDX-License-Identifier: Apache-2.0
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOptionalSubscript=false
"""Models of the SMPL family (FLAME, SMPL-X, SMPL-H, SMPL) as their files have them, and their exact evaluation.

A file is read without running anything of it (``hyoid.pickles``), every array is checked, and :func:`evaluate` gives
vertices and joints for shape, expression and pose: M. Loper et al., "SMPL: A Skinned Multi-Person Linear Model", 2015,
equations 2 to 10; T. Li et al., "Learning a model of facial shape and expression from 4D scans", 2017; G. Pavlakos et
al., "Expressive Body Capture", 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from hyoid import pickles
from hyoid.characters import Setting
from hyoid.errors import InputError
from hyoid.files import sha256_of
from hyoid.geometry import rotations
from hyoid.geometry.skinning import Skin, skin_transforms, world_transforms

IDENTITY_RANGE = 5.0  # standard deviations
_ENOUGH = 50  # expression coefficients
_TOGETHER = 64  # poses
_FINGERS = tuple(f"{finger}{i}" for finger in ("index", "middle", "pinky", "ring", "thumb") for i in (1, 2, 3))
_HANDS = tuple(f"{side}_{finger}" for side in ("left", "right") for finger in _FINGERS)
_BODY = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
JOINTS: dict[str, tuple[str, ...]] = {
    "FLAME": ("root", "neck", "jaw", "eye.L", "eye.R"),
    "SMPL-X": (*_BODY, "jaw", "eye.L", "eye.R", *_HANDS),
    "SMPL-H": (*_BODY, *_HANDS),
    "SMPL": (*_BODY, "left_hand", "right_hand"),
}
"""Joints in the order of the files; jaw and eyes have the names that every character of Hyoid gives them."""
_SIZES = {(5023, 5): "FLAME", (10475, 55): "SMPL-X", (6890, 52): "SMPL-H", (6890, 24): "SMPL"}
_OTHERS = {(778, 16): "a MANO hand"}
SOURCES = {"FLAME": "flame", "SMPL-X": "smplx", "SMPL-H": "smplx", "SMPL": "smplx"}
_NEEDED = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table")


@dataclass(frozen=True, eq=False)
class Model:
    """One model file. V vertices, J joints; metres, +Y up, looks along +Z, left is +X.

    Attributes:
        kind: a key of :data:`JOINTS`. digest: the SHA-256 of the file.
        template: (V, 3) float64. faces: (F, 3) int32.
        identity: (V, 3, n) float32, metres a standard deviation. expression: (V, 3, m) float32, m may be 0.
        pose: (V, 3, 9 * (J - 1)) float32, for R - I of every joint but the root, row by row.
        regressor: (J, V), joints from shaped vertices. weights: (V, J). parents: (J,) int32, -1 for the root.
        uv: (U, 2) float32 and face_uv: (F, 3) int32, or None where the file has no texture coordinates.
        hand_means: (2, 45) float64 rotation vectors, left and right, zeros where the file has none.
        hand_components: (2, n, 45) float64, n may be 0.
    """

    kind: str
    path: Path
    digest: str
    template: np.ndarray
    faces: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    pose: np.ndarray
    regressor: sparse.csr_matrix
    weights: sparse.csr_matrix
    parents: np.ndarray
    uv: np.ndarray | None
    face_uv: np.ndarray | None
    hand_means: np.ndarray
    hand_components: np.ndarray

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The joints in the order of the file."""
        return JOINTS[self.kind]


def find(path: Path, names: tuple[str, ...]) -> Path:
    """The model file of a path: itself, or the one file of a folder that has a name like those given.

    Raises:
        InputError: nothing is there, or the folder holds none or several of them.
    """
    path = Path(path)
    if not path.is_dir():
        if not path.exists():
            raise InputError("the file does not exist", path=path)
        return path
    found = [
        file
        for file in sorted(path.iterdir())
        if file.suffix.lower() in (".pkl", ".npz") and any(name in file.name.lower() for name in names)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"holds {', '.join(file.name for file in found)}", path=path, expected="the path of one of them"
        )
    files = [file.name for file in sorted(path.iterdir())[:6]]
    what = f"is a folder with {', '.join(files)}" if files else "is an empty folder"
    raise InputError(what, path=path, expected=f"a .pkl or .npz file called *{names[0]}*")


def read(path: Path, wanted: tuple[str, ...]) -> Model:
    """A model file, checked in every array; the last files that were read are kept.

    Args:
        wanted: the kinds (keys of :data:`JOINTS`) that the caller takes.

    Raises:
        InputError: the file cannot be read, an array is missing or wrong, or it is a model of another kind; said is
            which.
    """
    path = Path(path)
    try:
        state = path.stat()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
    return _read(path.resolve(), state.st_mtime_ns, state.st_size, wanted)


@lru_cache(maxsize=2)
def _read(path: Path, _time: int, _size: int, wanted: tuple[str, ...]) -> Model:
    arrays = pickles.read_archive(path) if path.suffix.lower() == ".npz" else pickles.read(path)
    if not isinstance(arrays, dict):
        raise InputError(f"holds a {type(arrays).__name__}", path=path, expected="a dict of arrays by name")
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        hint = f"It holds {', '.join(sorted(map(str, arrays))[:8])}" if arrays else ""
        raise InputError(f"lacks {', '.join(missing)}", path=path, expected=f"a model file of {_or(wanted)}", hint=hint)
    try:
        return _checked(arrays, path, wanted)
    except InputError as error:
        raise InputError(error.found, path=path, expected=error.expected, hint=error.hint) from error


def _checked(arrays: dict[str, Any], path: Path, wanted: tuple[str, ...]) -> Model:
    weights = _matrix(arrays["weights"], "weights")
    template = _numbers(arrays["v_template"], "v_template", (weights.shape[0], 3))
    vertices, joints = weights.shape
    kind = _kind(vertices, joints, wanted)
    regressor = _matrix(arrays["J_regressor"], "J_regressor")
    if regressor.shape != (joints, vertices):
        raise InputError(f"'J_regressor' is {_shape(regressor)}", expected=f"({joints}, {vertices})")
    shapes = _numbers(arrays["shapedirs"], "shapedirs", (vertices, 3, None), np.float32)
    identity, expression = _split(shapes, kind)
    pose = _numbers(arrays["posedirs"], "posedirs", (vertices, 3, 9 * (joints - 1)), np.float32)
    faces = _indices(arrays["f"], "f", vertices)
    uv, face_uv = _texture(arrays, len(faces))
    means, components = _hands(arrays)
    _check_weights(weights)
    return Model(
        kind, path, sha256_of(path), template, faces, identity, expression, pose, regressor, weights,
        _parents(arrays["kintree_table"], joints), uv, face_uv, means, components,
    )  # fmt: skip


def _check_weights(weights: sparse.csr_matrix) -> None:
    away = np.abs(np.asarray(weights.sum(1)).ravel() - 1)
    if weights.nnz and (weights.data.min() < -1e-6 or away.max() > 1e-3):
        vertex = int(away.argmax())
        found = (
            f"the weights of vertex {vertex} sum to {weights[vertex].sum():.4g}, the least is {weights.data.min():.4g}"
        )
        raise InputError(found, expected="weights from 0 to 1 that sum to 1")


def _kind(vertices: int, joints: int, wanted: tuple[str, ...]) -> str:
    kind = _SIZES.get((vertices, joints))
    if kind is None:
        what = _OTHERS.get((vertices, joints), f"a model with {vertices} vertices and {joints} joints")
        known = "; ".join(f"{name}: {v} and {j}" for (v, j), name in _SIZES.items() if name in wanted)
        raise InputError(f"is {what}", expected=f"vertices and joints of {known}")
    if kind not in wanted:
        article = "a" if kind == "FLAME" else "an"
        raise InputError(f"is {article} {kind} model", expected=_or(wanted), hint=f"Name it {SOURCES[kind]}:PATH")
    return kind


def _split(shapes: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Identity and expression, which lie behind each other: 300 + 100, or 10 + 10 in the small files."""
    count = shapes.shape[2]
    if kind in ("SMPL", "SMPL-H"):
        return shapes, shapes[:, :, :0]
    if count >= 400:
        return shapes[:, :, :300], shapes[:, :, 300:400]
    if count == 20:
        return shapes[:, :, :10], shapes[:, :, 10:]
    raise InputError(
        f"'shapedirs' has {count} shapes", expected="400 (300 of identity, 100 of expression) or 20 (10, 10)"
    )


def _texture(arrays: dict[str, Any], faces: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    if "vt" not in arrays or "ft" not in arrays:
        return None, None
    uv = _numbers(arrays["vt"], "vt", (None, 2), np.float32)
    face_uv = _indices(arrays["ft"], "ft", len(uv))
    if len(face_uv) != faces:
        raise InputError(f"'ft' has {len(face_uv)} faces, 'f' has {faces}", expected="as many in both")
    return uv, face_uv


def _hands(arrays: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Mean hands (2, 45) and their components (2, n, 45), left first; zeros and n = 0 where there are none."""
    if "hands_meanl" not in arrays or "hands_meanr" not in arrays:
        return np.zeros((2, 45)), np.zeros((2, 0, 45))
    means = [_numbers(np.ravel(arrays[f"hands_mean{side}"]), f"hands_mean{side}", (45,)) for side in "lr"]
    names = [f"hands_components{side}" for side in "lr"]
    if any(name not in arrays for name in names):
        return np.stack(means), np.zeros((2, 0, 45))
    return np.stack(means), np.stack([_numbers(arrays[name], name, (45, 45)) for name in names])


def _parents(table: Any, joints: int) -> np.ndarray:
    table = _plain(table, "kintree_table")
    if table.ndim != 2 or table.shape[1] != joints or table.dtype.kind not in "iuf":
        raise InputError(f"'kintree_table' is {_shape(table)}", expected=f"(2, {joints}) whole numbers")
    parents = table[0].astype(np.int64)
    parents[0] = -1  # the files write it as 2 ** 32 - 1
    wrong = np.flatnonzero((parents[1:] < 0) | (parents[1:] >= np.arange(1, joints))) + 1
    if len(wrong):
        joint = int(wrong[0])
        found = f"'kintree_table' hangs joint {joint} on joint {int(table[0][joint])}, which makes no tree"
        raise InputError(found, expected="parents before their children")
    return parents.astype(np.int32)


def _plain(value: Any, name: str) -> np.ndarray:
    if sparse.issparse(value):
        value = value.toarray()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise InputError(f"'{name}' is {type(value).__name__}", expected="an array of numbers")
    return value


def _numbers(value: Any, name: str, shape: tuple[int | None, ...], kind: Any = np.float64) -> np.ndarray:
    array = _plain(value, name)
    if array.ndim != len(shape) or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
        words = ", ".join("any" if side is None else str(side) for side in shape)
        raise InputError(f"'{name}' is {_shape(array)}", expected=f"({words})")
    result = np.ascontiguousarray(array, kind)
    if not np.isfinite(result).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        raise InputError(f"'{name}' holds a value that is not a number, first at {place}", expected="finite numbers")
    return result


def _indices(value: Any, name: str, count: int) -> np.ndarray:
    array = _plain(value, name)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"'{name}' is {_shape(array)}", expected="(faces, 3)")
    if len(array) and (array.min() < 0 or array.max() >= count):
        raise InputError(f"'{name}' points at {int(array.max())}", expected=f"indices from 0 to {count - 1}")
    return array.astype(np.int32)


def _matrix(value: Any, name: str) -> sparse.csr_matrix:
    """A sparse or dense array as a sparse matrix of float64."""
    matrix = value.tocsr().astype(np.float64) if sparse.issparse(value) else None
    if matrix is None:
        array = _plain(value, name)
        if array.ndim != 2:
            raise InputError(f"'{name}' is {_shape(array)}", expected="a table")
        matrix = sparse.csr_matrix(array.astype(np.float64))
    if not np.isfinite(matrix.data).all():
        raise InputError(f"'{name}' holds a value that is not a number", expected="finite numbers")
    matrix.eliminate_zeros()
    return matrix


def _shape(array: Any) -> str:
    return "(" + ", ".join(map(str, array.shape)) + ")"


def _or(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


# ---------------------------------------------------------------------------------------------------- evaluation


@dataclass(frozen=True, eq=False)
class _Plan:
    """What :func:`evaluate` needs of a model for so many coefficients: all linear parts side by side."""

    skin: Skin
    joints: np.ndarray
    joint_shapes: np.ndarray


@lru_cache(maxsize=4)
def _plan(model: Model, betas: int, expressions: int) -> _Plan:
    vertices = len(model.template)
    shapes = np.concatenate([model.identity[:, :, :betas], model.expression[:, :, :expressions]], 2)
    basis = np.concatenate([shapes, model.pose], 2).reshape(3 * vertices, -1)
    skin = Skin(model.template, model.weights.astype(np.float32), basis, _TOGETHER)
    count = shapes.shape[2]
    moved = model.regressor @ shapes.reshape(vertices, 3 * count).astype(np.float64)
    return _Plan(skin, model.regressor @ model.template, moved.reshape(len(model.parents), 3, count))


def evaluate(
    model: Model,
    betas: np.ndarray | None = None,
    expression: np.ndarray | None = None,
    pose: np.ndarray | None = None,
    translation: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints of a model as its authors define them.

    Args:
        betas: (batch, up to n) identity, standard deviations; what is not given is 0. expression: (batch, up to m).
        pose: (batch, J, 3) rotation vectors, radians, relative to the parent, in model axes; hands in full
            (:func:`hand_pose`). translation: (batch, 3) metres.
        A batch of 1 goes with any other.

    Returns:
        vertices (batch, V, 3) float32 and joints (batch, J, 3) float32, metres.

    Raises:
        ValueError: an array has another shape, or the batches differ.
    """
    joints = len(model.parents)
    given = (betas, expression, pose, translation)
    batch = max((len(array) for array in given if array is not None), default=1)
    betas = _rows(betas, batch, model.identity.shape[2], "betas")
    expression = _rows(expression, batch, model.expression.shape[2], "expression")
    pose = np.zeros((1, joints, 3)) if pose is None else np.asarray(pose, np.float64)
    if pose.size != len(pose) * joints * 3 or len(pose) not in (1, batch):
        raise ValueError(f"pose is {pose.shape}; expected ({batch}, {joints}, 3)")
    turns = np.broadcast_to(rotations.from_rotation_vector(pose.reshape(-1, joints, 3)), (batch, joints, 4))
    plan = _plan(model, betas.shape[1], expression.shape[1])
    coefficients = np.concatenate([betas, expression], 1)
    heads = plan.joints + np.einsum("jck,bk->bjc", plan.joint_shapes, coefficients)
    root = None if translation is None else np.broadcast_to(np.asarray(translation, np.float64), (batch, 3))
    world = world_transforms(model.parents, heads, turns, root)
    features = (rotations.to_matrix(turns[:, 1:]) - np.eye(3)).reshape(batch, -1)
    vertices = plan.skin(skin_transforms(world, heads), np.concatenate([coefficients, features], 1))
    return vertices, world[..., :3, 3].astype(np.float32)


def _rows(values: np.ndarray | None, batch: int, most: int, name: str) -> np.ndarray:
    if values is None:
        return np.zeros((batch, 0))
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or values.shape[1] > most or len(values) not in (1, batch):
        raise ValueError(f"{name} is {values.shape}; expected ({batch}, at most {most})")
    return np.broadcast_to(values, (batch, values.shape[1]))


def hand_pose(model: Model, left: np.ndarray, right: np.ndarray, flat_mean: bool = False) -> np.ndarray:
    """Rotation vectors (batch, 30, 3) of both hands from coefficients of the file's components.

    Args:
        left, right: (batch, n) coefficients; fewer than the file has leave the rest out.
        flat_mean: start from the flat hand instead of the file's mean (the ``flat_hand_mean`` of other tools). A wrong
            choice stretches or curls every finger.
    """
    hands = []
    for side, values in enumerate((left, right)):
        values = np.asarray(values, np.float64)
        mean = 0.0 if flat_mean else model.hand_means[side]
        hands.append((mean + values @ model.hand_components[side][: values.shape[1]]).reshape(len(values), 15, 3))
    return np.concatenate(hands, 1)


def settings(model: Model) -> dict[str, Setting]:
    """Identity shapes in standard deviations, and whether the file's own neck and expression are kept."""
    result = {f"identity{i:03d}": Setting(-IDENTITY_RANGE, IDENTITY_RANGE, 0.0) for i in range(model.identity.shape[2])}
    result["nativeNeck"] = Setting(0.0, 1.0, 0.0)
    if model.expression.shape[2]:
        result["nativeExpression"] = Setting(0.0, 1.0, own_expression(model))
    return result


def own_expression(model: Model) -> float:
    """1 where the file has expressions enough to tell ARKit's shapes in them; ten principal ones cannot."""
    return float(model.expression.shape[2] >= _ENOUGH)


def betas_of(model: Model, values: dict[str, float]) -> np.ndarray:
    """Identity coefficients (1, n) of settings by name."""
    result = np.zeros((1, model.identity.shape[2]))
    for name, value in values.items():
        if name.startswith("identity"):
            result[0, int(name.removeprefix("identity"))] = value
    return result
