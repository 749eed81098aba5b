# SPDX-License-Identifier: Apache-2.0
"""The published model folder as arrays: every quirk of its files is met here, and nowhere else.

NumPy only, so that characters can be built without torch. Lengths are centimetres, axes as in the files: +Y up, the
face looks along +Z, the character's left is +X.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import pickles
from hyoid.errors import InputError
from hyoid.files import sha256_of
from hyoid.formats import obj
from hyoid.geometry.mesh import Mesh
from hyoid.systems.hack import EXPRESSIONS, JOINTS

MESH = "000_generic_neutral_mesh_newuv.obj"
BONES, WEIGHTS, MAP, DIRECTION = "bones_neutral.json", "weight_map_smooth.npy", "Lc_mid.png", "ts_larynx.npy"
NEEDED = (MESH, BONES, WEIGHTS, MAP, DIRECTION)
IDENTITY, EXPRESSION, CORRECTIVE, BLENDSHAPES = "S.npy", "E.npy", "P.npy", "blendshape.npy"
OPTIONAL = (IDENTITY, EXPRESSION, CORRECTIVE, BLENDSHAPES)
_OUTSIDE = 2.0  # the sampling position of a vertex that no face names
_LARGEST_MAP = 4096


@dataclass(frozen=True)
class Space:
    """A linear space: ``mean + sum(coefficients[k] * modes[k])``; the modes carry their standard deviation.

    Attributes:
        mean: (...) float32. modes: (K, ...) float32, K may be 0.
    """

    mean: np.ndarray
    modes: np.ndarray

    def at(self, coefficients: np.ndarray, clip: int | None = None) -> np.ndarray:
        """The member (...) float32 at coefficients (k,), k up to K; ``clip`` keeps the first modes only."""
        count = len(coefficients) if clip is None else min(len(coefficients), clip)
        if len(coefficients) > len(self.modes):
            raise InputError(f"{len(coefficients)} coefficients", expected=f"at most {len(self.modes)}")
        chosen = np.asarray(coefficients[:count], np.float32)
        return self.mean + np.tensordot(chosen, self.modes[:count], 1)


@dataclass(frozen=True)
class Bones:
    """The chain of joints at rest.

    Attributes:
        names: (8,), c7t1 ... oc1. parents: (8,), -1 for the root.
        to_parent: (8, 4, 4) float32, from a bone's axes to those of its parent, without pose.
        to_model: (8, 4, 4) float64, from a bone's axes to those of the model. lengths: (8,) float64.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    to_parent: np.ndarray
    to_model: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True)
class Data:
    """What a model folder holds.

    Attributes:
        mesh: the template with the UVs of the larynx. weights: (8, V) float32, columns sum to 1.
        larynx_map: (rows, columns) float32, 0..1. larynx_direction: (3,) float32, centimetres at map value 1.
        larynx_position: (V, 2) float32, where each vertex samples the map, in -1..1 (x right, y down); 2 is outside.
        identity: vertices (V, 3), None without ``S.npy``: the template is the only person then.
        expressions: deltas (55, V, 3), from ``E.npy``, else from ``blendshape.npy``, else None: the face cannot move.
        correctives: (8, 3, 3, V, 3), None without ``P.npy``.
        blendshapes: (55, V, 3) float32 deltas of ``blendshape.npy``, None without it.
        digest: SHA-256 of all files read.
    """

    folder: Path
    mesh: Mesh
    bones: Bones
    weights: np.ndarray
    larynx_map: np.ndarray
    larynx_direction: np.ndarray
    larynx_position: np.ndarray
    identity: Space | None
    expressions: Space | None
    correctives: Space | None
    blendshapes: np.ndarray | None
    digest: str

    @property
    def template(self) -> np.ndarray:
        """(V, 3) float32, the mean person where identities are known."""
        return self.mesh.vertices.astype(np.float32) if self.identity is None else self.identity.mean


def find(path: Path) -> Path:
    """The folder with the model's files: ``path`` itself, or ``model`` in it (a clone of the repository).

    Raises:
        InputError: neither is one.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("the folder does not exist", path=path, expected="a HACK model folder")
    for folder in (path, path / "model"):
        if (folder / BONES).is_file() or sum((folder / name).is_file() for name in NEEDED) > 1:
            return folder
    hint = None
    if (path / "vertex_indices.json").is_file() or (path / "FaceXModel").is_dir():
        hint = f"This looks like ICT-FaceKit: name it ict:{path}"
    expected = f"a HACK repository or its 'model' folder, with {', '.join(NEEDED)}"
    raise InputError("is not a HACK model folder", path=path, expected=expected, hint=hint)


def read(path: Path) -> Data:
    """Everything in a model folder (or in the repository around it).

    Raises:
        InputError: files are missing or damaged, shapes do not fit together, numbers are not finite, or a pickle
            holds more than data.
    """
    folder = find(path)
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise InputError(f"lacks {', '.join(missing)}", path=folder, expected="all small files of HACK")
    mesh = obj.read(folder / MESH)
    count = len(mesh.vertices)
    direction = _array(folder / DIRECTION, (3,))
    blendshapes = _optional(folder / BLENDSHAPES, (len(EXPRESSIONS) + 1, count, 3))
    if blendshapes is not None:
        blendshapes = blendshapes[1:] - blendshapes[:1]
    expressions = _space(folder / EXPRESSION, (len(EXPRESSIONS), count, 3))
    if expressions is None and blendshapes is not None:
        expressions = Space(blendshapes, np.zeros((0, *blendshapes.shape), np.float32))
    return Data(
        folder, mesh, _bones(folder / BONES), _weights(folder / WEIGHTS, count), _map(folder / MAP), direction,
        _positions(mesh, folder / MESH), _space(folder / IDENTITY, (count, 3)), expressions,
        _space(folder / CORRECTIVE, (JOINTS, 3, 3, count, 3)), blendshapes, _digest(folder),
    )  # fmt: skip


def bare(data: Data) -> Data:
    """The model without its learned spaces, as the official class is when nothing is passed to it."""
    own = data.blendshapes
    expressions = None if own is None else Space(own, np.zeros((0, *own.shape), np.float32))
    return replace(data, identity=None, expressions=expressions, correctives=None)


def personal(data: Data, expression: np.ndarray | None = None, corrective: np.ndarray | None = None) -> Data:
    """The model with the expressions and pose correctives of one person: coefficients (k,) of their spaces.

    Raises:
        InputError: the folder has no such space or fewer modes.
    """
    spaces = {"expressions": (data.expressions, expression), "correctives": (data.correctives, corrective)}
    changed = {}
    for name, (space, coefficients) in spaces.items():
        if coefficients is None:
            continue
        if space is None:
            raise InputError(f"has no {name} to personalise", path=data.folder)
        changed[name] = Space(space.at(coefficients), space.modes[:0])
    return replace(data, **changed)


def larynx(data: Data, tau: float) -> np.ndarray:
    """Offsets (V, 3) float64, centimetres, of a larynx of size 1 at a travel of ``tau``, added at rest."""
    rows, columns = data.larynx_map.shape
    place = data.larynx_position.astype(np.float64)
    x = np.clip((place[:, 0] + 1) / 2 * (columns - 1), 0, columns - 1)
    y = np.clip((place[:, 1] + 2 * tau + 1) / 2 * (rows - 1), 0, rows - 1)
    left, top = np.minimum(x.astype(int), columns - 2), np.minimum(y.astype(int), rows - 2)
    right, down = x - left, y - top
    upper = (1 - right) * data.larynx_map[top, left] + right * data.larynx_map[top, left + 1]
    lower = (1 - right) * data.larynx_map[top + 1, left] + right * data.larynx_map[top + 1, left + 1]
    return ((1 - down) * upper + down * lower)[:, None] * data.larynx_direction


def identities(path: Path) -> int:
    """How many identity modes a folder has, without reading the rest of it.

    Raises:
        InputError: as :func:`read`.
    """
    file = find(path) / IDENTITY
    if not file.is_file():
        return 0
    modes = _entry(pickles.read(file), "VT_std", file)
    return len(modes) if modes.ndim == 3 else 0


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (*NEEDED, *OPTIONAL):
        if (folder / name).is_file():
            digest.update(f"{name} {sha256_of(folder / name)}\n".encode())
    return digest.hexdigest()


def _checked(array: Any, shape: tuple[int | None, ...], path: Path, what: str) -> np.ndarray:
    """The array as float32, after its shape (None: any length) and numbers were looked at."""
    label = "x".join("K" if side is None else str(side) for side in shape)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise InputError(f"{what} is not an array of numbers", path=path, expected=label)
    fits = array.ndim == len(shape) and all(s is None or s == n for s, n in zip(shape, array.shape, strict=True))
    if not fits:
        raise InputError(f"{what} is {'x'.join(map(str, array.shape))}", path=path, expected=label)
    result = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(result).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        raise InputError(f"{what} holds {result[first]} at index {first}", path=path, expected="finite numbers")
    return result


def _array(path: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    return _checked(pickles.read(path), shape, path, "the array")


def _optional(path: Path, shape: tuple[int | None, ...]) -> np.ndarray | None:
    return _array(path, shape) if path.is_file() else None


def _entry(content: Any, name: str, path: Path) -> np.ndarray:
    if not (isinstance(content, dict) and isinstance(content.get(name), np.ndarray)):
        raise InputError(f"has no array '{name}'", path=path, expected="a dict with 'mean' and 'VT_std'")
    return content[name]


def _space(path: Path, shape: tuple[int, ...]) -> Space | None:
    if not path.is_file():
        return None
    content = pickles.read(path)
    mean = _checked(_entry(content, "mean", path), shape, path, "'mean'")
    return Space(mean, _checked(_entry(content, "VT_std", path), (None, *shape), path, "'VT_std'"))


def _weights(path: Path, count: int) -> np.ndarray:
    """The file's columns sum to anything between 0.4 and 1.5; they are divided by their sums, in float32."""
    weights = _array(path, (JOINTS, count))
    total = weights.sum(0)
    bad = np.flatnonzero((total <= 0) | (weights < 0).any(0))
    if len(bad):
        raise InputError(f"the weights of vertex {bad[0]} are not positive", path=path, expected="a sum above 0")
    return weights / total


def _map(path: Path) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if max(image.size) > _LARGEST_MAP:
                raise InputError(f"is {image.width} x {image.height}", path=path, expected="a map of 256 x 256")
            grey = np.asarray(image if image.mode == "L" else image.convert("L"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"is not a readable picture ({error})", path=path, expected="a grey PNG") from error
    if min(grey.shape) < 2:
        raise InputError(f"is {grey.shape[1]} x {grey.shape[0]}", path=path, expected="a map of 256 x 256")
    return (grey / 255).astype(np.float32)


def _positions(mesh: Mesh, path: Path) -> np.ndarray:
    """The first corner in the file that names a vertex gives its UV; v runs up in the file and down in the map."""
    if not len(mesh.face_uv):
        raise InputError("has no texture coordinates", path=path, expected="the UVs of the larynx map")
    vertices, first = np.unique(mesh.faces.ravel(), return_index=True)
    positions = np.full((len(mesh.vertices), 2), _OUTSIDE, np.float32)
    uv = mesh.uv[mesh.face_uv.ravel()[first]].astype(np.float64)
    positions[vertices] = np.stack([2 * uv[:, 0] - 1, 2 * (1 - uv[:, 1]) - 1], -1)
    return positions


def _bones(path: Path) -> Bones:
    """The order of the dictionary is that of the joints; a head is given from the parent's tail, a root's as it is."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        names = tuple(table)
        entries = [table[name] for name in names]
        matrices = np.array([entry["matrix"] for entry in entries], np.float64)
        heads = np.array([entry["head"] for entry in entries], np.float64)
        lengths = np.array([entry["length"] for entry in entries], np.float64)
        parents = tuple(-1 if entry["parent"] is None else names.index(entry["parent"]) for entry in entries)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise InputError(
            f"is not a sound table of bones ({error})", path=path, expected="matrix, head, length and parent of a bone"
        ) from error
    fits = (matrices.shape, heads.shape, lengths.shape) == ((JOINTS, 3, 3), (JOINTS, 3), (JOINTS,))
    finite = fits and all(np.isfinite(array).all() for array in (matrices, heads, lengths))
    ordered = all(parent < index for index, parent in enumerate(parents))
    if not (finite and ordered and (np.abs(np.linalg.det(matrices)) > 1e-6).all()):
        raise InputError(
            f"is not a sound table of bones ({len(names)} entries)",
            path=path, expected=f"{JOINTS} bones with finite matrices, parents first",
        )  # fmt: skip
    to_parent = np.tile(np.eye(4), (JOINTS, 1, 1))
    to_parent[:, :3, :3], to_parent[:, :3, 3] = matrices, heads
    for index, parent in enumerate(parents):
        to_parent[index, 1, 3] += lengths[parent] if parent >= 0 else 0.0
    to_parent = to_parent.astype(np.float32)
    to_model = to_parent.astype(np.float64)
    for index, parent in enumerate(parents):
        if parent >= 0:
            to_model[index] = to_model[parent] @ to_model[index]
    return Bones(names, parents, to_parent, to_model, lengths)
