# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""The bundled human: identity, subdivision and cut, evaluated from ``rigs/human`` (CC0)."""

from __future__ import annotations

import difflib
import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hyoid.characters import larynx, looks
from hyoid.characters.character import Character, Corrective, Driver, Material, NeckLimits, Part, Shapes
from hyoid.errors import InputError, UsageError
from hyoid.files import data_folder
from hyoid.geometry.stencils import Stencil

if TYPE_CHECKING:
    from scipy import sparse

STEP = 1e-4  # metres: unit of the stored identity offsets
FINE_STEP = 5e-6  # metres: unit of the facial shapes
RACES = ("african", "asian", "caucasian")
AXES: dict[str, tuple[tuple[str, float], ...]] = {
    "gender": (("male", 0.0), ("female", 1.0)),
    "age": (("newborn", -1 / 3), ("baby", 0.0), ("child", 1 / 3), ("young", 2 / 3), ("old", 1.0)),
    "muscle": (("minmuscle", 0.0), ("averagemuscle", 0.5), ("maxmuscle", 1.0)),
    "weight": (("minweight", 0.0), ("averageweight", 0.5), ("maxweight", 1.0)),
    "height": (("minheight", 0.0), ("maxheight", 1.0)),
    "proportions": (("idealproportions", 0.0), ("uncommonproportions", 1.0)),
    "cupsize": (("mincup", 0.0), ("averagecup", 0.5), ("maxcup", 1.0)),
    "firmness": (("minfirmness", 0.0), ("averagefirmness", 0.5), ("maxfirmness", 1.0)),
}
_NEWBORN_SCALE = np.array([0.922, 0.75, 0.922], np.float32)  # what a newborn is of a baby: x, up, z


class _Archive:
    """The arrays of ``human.npz``, each read when it is asked for.

    Raises:
        InputError: when it is opened or asked: the file is not there, damaged, or lacks an array.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise InputError("the bundled human is not there", path=path, hint="Install hyoid again")
        with self._sound():
            self._members = np.load(path, allow_pickle=False)
            self.names = frozenset(self._members.files)

    def __getitem__(self, name: str) -> np.ndarray:
        with self._sound():
            return self._members[name]

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """Tell what a damaged archive makes NumPy say as what it is."""
        try:
            yield
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(
                f"the bundled human is damaged ({error})", path=self._path, hint="Install hyoid again"
            ) from error

    def matrix(self, name: str, columns: int) -> Stencil:
        """A sparse matrix that was stored as three arrays."""
        starts = self[f"{name}_indptr"].astype(np.int64)
        return Stencil(
            starts, self[f"{name}_indices"].astype(np.int32), self[f"{name}_data"].astype(np.float64), columns
        )


@dataclass(frozen=True)
class _Targets:
    """Packed sparse targets over the base vertices; ``steps`` (n, 3) in units of :data:`STEP` or :data:`FINE_STEP`."""

    names: tuple[str, ...]
    starts: np.ndarray
    vertices: np.ndarray
    steps: np.ndarray

    def add(self, name: str, weight: float, result: np.ndarray) -> None:
        """Add ``weight`` of one target to ``result`` (B, 3), in steps."""
        index = self.names.index(name)
        rows = slice(self.starts[index], self.starts[index + 1])
        result[self.vertices[rows]] += weight * self.steps[rows]


@dataclass(frozen=True)
class _Topology:
    """One part of the character at one level: everything that no identity changes."""

    stencil: Stencil
    faces: np.ndarray
    uv: np.ndarray
    face_uv: np.ndarray
    parts: tuple[Part, ...]
    weight_joints: np.ndarray
    weights: np.ndarray
    shapes: Shapes
    own: Shapes
    correctives: Shapes
    landmarks: Mapping[str, int]
    larynx_rows: np.ndarray


@cache
def _folder() -> Path:
    return data_folder("rigs") / "human"


@cache
def _rig() -> dict[str, Any]:
    copy = _folder() / "rig.json"  # the add-on carries this form: Blender before 4.1 has no reader of TOML
    if copy.is_file():
        return json.loads(copy.read_text(encoding="utf-8"))
    import tomllib

    return tomllib.loads((_folder() / "rig.toml").read_text(encoding="utf-8"))


@cache
def _archive() -> _Archive:
    return _Archive(_folder() / "human.npz")


@cache
def _targets(prefix: str) -> _Targets:
    archive = _archive()
    starts = archive[f"{prefix}_starts"]
    gaps = archive[f"{prefix}_gaps"].astype(np.int64)
    total = np.cumsum(gaps)
    before = np.concatenate([[0], total])[starts[:-1]]
    vertices = total - np.repeat(before, np.diff(starts))
    steps = archive[f"{prefix}_steps"].T.astype(np.float32)
    return _Targets(tuple(archive[f"{prefix}_names"].tolist()), starts, vertices, steps)


def setting_names() -> tuple[str, ...]:
    """Every identity setting: phenotype axes and races first, then the local shapes by label."""
    labels = dict.fromkeys(name[:-1] for name in _targets("local").names)
    return (*AXES, *RACES, *labels)


def setting_range(name: str) -> tuple[float, float]:
    """The lowest and highest value of a setting."""
    if name in _rig()["ranges"]:
        low, high = _rig()["ranges"][name]
        return float(low), float(high)
    return (0.0, 1.0) if name in AXES or name in RACES else (-1.0, 1.0)


def defaults() -> dict[str, float]:
    """The phenotype when nothing is set."""
    return {name: float(value) for name, value in _rig()["defaults"].items()}


def presets() -> dict[str, dict[str, float]]:
    """Named sets of curve weights that look right together."""
    return {name: dict(curves) for name, curves in _rig()["preset"].items()}


def check_settings(settings: Mapping[str, float]) -> dict[str, float]:
    """The settings as floats.

    Raises:
        UsageError: an unknown name, or a value that is not a number or out of range.
    """
    known = setting_names()
    checked = {}
    for name, value in settings.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 5, 0.5)
            hint = f"Did you mean {', '.join(near)}" if near else "The labels are listed by 'hyoid rig --list'"
            axes = ", ".join((*AXES, *RACES))
            raise UsageError(f"unknown setting '{name}'", expected=f"{axes} or a local shape", hint=hint)
        low, high = setting_range(name)
        if not (isinstance(value, int | float) and math.isfinite(value) and low - 1e-9 <= value <= high + 1e-9):
            raise UsageError(f"setting '{name}' is {value}", expected=f"a number from {low:g} to {high:g}")
        checked[name] = float(value)
    return checked


def identity(settings: Mapping[str, float]) -> np.ndarray:
    """The base vertices (B, 3) float64, metres, of an identity; settings that are not given keep their default."""
    archive = _archive()
    values = defaults() | dict(settings)
    words = _words(values)
    base = archive["base"].astype(np.float64)
    steps = np.zeros(base.shape[::-1], np.float64)
    newborn = 0.0
    for path in sorted(name for name in archive.names if name.startswith("macrodetails/")):
        names = path.rsplit("/", 1)[1].removeprefix("universal-").split("-")
        weight = math.prod(words[name] for name in names)
        baby = "baby" in names and "/proportions/" not in path
        small = math.prod(words["newborn" if name == "baby" else name] for name in names) if baby else 0.0
        if weight or small:
            target = np.cumsum(archive[path], axis=1, dtype=np.int16)
            steps += weight * target
            steps += small * _NEWBORN_SCALE[:, None] * target
            newborn += small
    moved = steps.T
    breasts = _targets("breast")
    for name in breasts.names:
        weight = math.prod(words[word] for word in name.split("-"))
        if weight:
            breasts.add(name, weight, moved)
    local = _targets("local")
    for name, share in _rig()["weight_in_face"].items():
        values[name] = values.get(name, 0.0) + share * (2 * values["weight"] - 1)
    for name, value in values.items():
        if name not in AXES and name not in RACES and value:
            local.add(f"{name}{'+' if value > 0 else '-'}", abs(value), moved)
    return base + STEP * moved + newborn * (_NEWBORN_SCALE - 1) / 3 * base


def _words(values: Mapping[str, float]) -> dict[str, float]:
    """The weight of each word of target names: hat functions on the anchors of an axis; races are shares."""
    words = {}
    for axis, anchors in AXES.items():
        places = [place for _, place in anchors]
        for index, (word, _) in enumerate(anchors):
            words[word] = float(np.interp(values[axis], places, np.eye(len(places))[index]))
    shares = np.array([values[race] for race in RACES])
    words.update(zip(RACES, shares / shares.sum() if shares.sum() > 0 else np.full(3, 1 / 3), strict=True))
    return words


def load(settings: Mapping[str, float], part: str, subdivision: int) -> Character:
    """The bundled human at one identity; see :func:`hyoid.characters.load`."""
    checked = check_settings(settings)
    archive, rig = _archive(), _rig()
    base = identity(checked)
    closed = _targets("rest")
    base[closed.vertices] += FINE_STEP * closed.steps
    floor = base[_floor_rows(), 1].min()
    base[:, 1] -= floor
    topology = _topology(part, subdivision)
    vertices = topology.stencil @ base
    heads, tails = (archive.matrix(name, len(base)) @ base for name in ("heads", "tails"))
    throat = larynx.from_identity(rig["larynx"], defaults() | checked, vertices, topology.landmarks)
    rows = topology.larynx_rows
    rest, shapes = larynx.bake(throat, vertices, rows, topology.shapes)
    names, parents = archive["joint_names"].tolist(), archive["joint_parents"]
    shapes = _with_own(shapes, topology, base, heads, names)
    materials = looks.tinted(_materials(rig), defaults() | checked)
    kept = _used_joints(parents, topology) if part == "head" else np.arange(len(parents))
    places = np.full(len(parents) + 1, -1, np.int32)  # the last row answers for the parent -1
    places[kept] = np.arange(len(kept))
    return Character(
        name="human", licence=rig["licence"], settings=checked, vertices=rest.astype(np.float32),
        faces=topology.faces, uv=topology.uv, face_uv=topology.face_uv, parts=topology.parts, shapes=shapes,
        joint_names=tuple(np.array(names)[kept].tolist()), parents=places[parents[kept]],
        heads=heads[kept].astype(np.float32), tails=tails[kept].astype(np.float32),
        weight_joints=places[topology.weight_joints], weights=topology.weights, drivers=_drivers(rig),
        neck=neck_limits(), materials=materials, landmarks=topology.landmarks,
        correctives=_correctives(),
    )  # fmt: skip


def _used_joints(parents: np.ndarray, topology: _Topology) -> np.ndarray:
    """The joints of a part: those that hold a vertex, and their ancestors.

    A bust with the bones of legs and hands in the air below it would only confuse.
    """
    used = np.zeros(len(parents), bool)
    used[np.unique(topology.weight_joints[topology.weights > 0])] = True
    for joint in reversed(range(len(parents))):  # parents stand before their children
        if used[joint] and parents[joint] >= 0:
            used[parents[joint]] = True
    return np.flatnonzero(used)


def neck_limits() -> NeckLimits:
    """Range of motion and coupling of the eight joints, the same for every character that has no table of its own."""
    values = _rig()["neck"]
    return NeckLimits(
        **{name: np.array(values[name], float) for name in ("flexion", "extension", "lateral", "axial", "coupling")}
    )


@cache
def _floor_rows() -> np.ndarray:
    """Base vertices that can touch the floor: those of the body."""
    archive = _archive()
    stop = archive["part_vertices"][1]
    return np.unique(archive.matrix("stencil", len(archive["base"])).head(stop).columns)


def _drivers(rig: Mapping[str, Any]) -> tuple[Driver, ...]:
    return tuple(
        Driver(joint, f"{entry['curve']}{side.capitalize()}", tuple(entry["axis"]), float(entry[side]))
        for entry in rig["driver"]
        for joint, side in (("eye.L", "left"), ("eye.R", "right"))
    )


def _materials(rig: Mapping[str, Any]) -> dict[str, Material]:
    materials = {}
    for name, entry in rig["material"].items():
        values = dict(entry)
        maps = {}
        for key in ("colour_map", "normal_map", "roughness_map"):
            file = _folder() / values.pop(key) if key in values else None
            maps[key] = file if file is not None and file.is_file() else None
        plain = tuple(values.pop("plain", (1.0, 1.0, 1.0, 1.0)))
        values["colour"] = tuple(values.get("colour", (1.0, 1.0, 1.0, 1.0)))
        if maps["colour_map"] is None and "plain" in entry:
            values["colour"], plain = (*plain[:3], 1.0), (1.0, 1.0, 1.0, 1.0)
        values["plain"] = plain
        materials[name] = Material(name, **values, **maps)
    return materials


@cache
def _topology(part: str, subdivision: int) -> _Topology:
    archive = _archive()
    prefix = "" if part == "full" else "head_"
    columns = len(archive["base"])
    stencil = archive.matrix(f"{prefix}stencil", columns)
    weights = archive.matrix(f"{prefix}weights", len(archive["joint_names"]))
    faces, face_uv = (archive[f"{prefix}{name}"].astype(np.int32) for name in ("faces", "face_uv"))
    uv = archive[f"{prefix}uv"].astype(np.float64)
    starts = [archive[f"{prefix}part_{name}"].tolist() for name in ("vertices", "faces")]
    names = zip(archive["part_names"].tolist(), archive["part_materials"].tolist(), strict=True)
    parts = tuple(
        Part(name, material, *(slice(start[index], start[index + 1]) for start in starts))
        for index, (name, material) in enumerate(names)
    )
    if subdivision:
        from hyoid.characters import refine

        refined = refine.topology(parts, faces, face_uv, uv, subdivision)
        parts, faces, face_uv, uv = refined.parts, refined.faces, refined.face_uv, refined.uv
        stencil, weights = (_product(refined.matrix, matrix) for matrix in (stencil, weights))
    joints, values = _prune(weights)
    landmarks = {name: int(v) for name, v in zip(archive["landmark_names"], archive[f"{prefix}landmarks"], strict=True)}
    neutral = stencil.head(parts[0].vertices.stop) @ archive["base"]
    throat = neutral[landmarks["larynx"]]
    near = larynx.near(neutral, throat)
    return _Topology(
        stencil, faces, uv.astype(np.float32), face_uv, parts, joints, values, _shapes("face", stencil),
        _shapes("own", stencil), _shapes("corrective", stencil), landmarks, np.flatnonzero(near),
    )  # fmt: skip


def _product(finer: sparse.csr_matrix, matrix: Stencil) -> Stencil:
    from scipy import sparse

    shape = (len(matrix), matrix.count)
    result = (finer @ sparse.csr_matrix((matrix.values, matrix.columns, matrix.starts), shape=shape)).tocsr()
    result.sum_duplicates()
    return Stencil(result.indptr.astype(np.int64), result.indices, result.data, matrix.count)


def _prune(weights: Stencil, most: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """The ``most`` largest weights of each row, largest first, summing to 1: joints (V, 8) int32, weights float32."""
    counts = np.diff(weights.starts)
    rows = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((weights.columns, -weights.values, rows))
    place = np.arange(len(order)) - np.repeat(weights.starts[:-1], counts)
    keep = place < most
    joints, values = np.zeros((len(counts), most), np.int32), np.zeros((len(counts), most))
    joints[rows[keep], place[keep]] = weights.columns[order][keep]
    values[rows[keep], place[keep]] = weights.values[order][keep]
    values /= values.sum(1, keepdims=True)
    joints[values == 0] = 0
    return joints, values.astype(np.float32)


def _shapes(prefix: str, stencil: Stencil) -> Shapes:
    """A group of stored shapes on the vertices of a stencil."""
    targets = _targets(prefix)
    starts, vertices, values = [0], [], []
    offsets = np.zeros((stencil.count, 3))
    for index in range(len(targets.names)):
        entries = slice(targets.starts[index], targets.starts[index + 1])
        moved = targets.vertices[entries]
        offsets[moved] = FINE_STEP * targets.steps[entries].astype(np.float64)
        rows = stencil.touched(moved)
        vertices.append(rows.astype(np.int32))
        values.append((stencil.take(rows) @ offsets).astype(np.float32))
        starts.append(starts[-1] + len(rows))
        offsets[moved] = 0
    return Shapes(targets.names, np.array(starts), np.concatenate(vertices), np.concatenate(values))


def corrective_need(points: np.ndarray, triangles: np.ndarray, heads: np.ndarray) -> float:
    """How far the skin of a neck has to move to make up for the volume that bending costs; only ratios mean something.

    A bend changes the volume by the section times the way from the joints to its middle; the skin spreads that over its
    area.

    Args:
        points: (n, 3) metres. triangles: (m, 3) of the neck. heads: (8, 3) its joints.
    """
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    middle = area @ (a + b + c) / (3 * area.sum())
    chain = heads[-1] - heads[0]
    axis = chain / np.linalg.norm(chain)
    away = middle - heads[0] - ((middle - heads[0]) @ axis) * axis
    out = 0.5 * (a + b) - heads[0]  # the mean distance of the skin from the chain: half of a round section's radius
    radius = area @ np.linalg.norm(out - (out @ axis)[:, None] * axis, axis=1) / area.sum()
    return float(away[2] * radius / np.linalg.norm(chain))


def _with_own(shapes: Shapes, topology: _Topology, base: np.ndarray, heads: np.ndarray, names: list[str]) -> Shapes:
    """All shapes of a person; those that follow the neck are as large as its proportions ask."""
    archive, own, correctives = _archive(), topology.own, topology.correctives
    chain = heads[[names.index(joint) for joint in _rig()["neck"]["joints"]]]
    need = corrective_need(base, archive["corrective_triangles"].astype(np.int64), chain)
    scale = np.float32(max(need, 0.0) / archive["corrective_need"])
    starts = [shapes.starts]
    for more in (own, correctives):
        starts.append(starts[-1][-1] + more.starts[1:])
    return Shapes(
        (*shapes.names, *own.names, *correctives.names),
        np.concatenate(starts),
        np.concatenate([shapes.vertices, own.vertices, correctives.vertices]),
        np.concatenate([shapes.offsets, own.offsets, scale * correctives.offsets]),
    )


@cache
def _correctives() -> tuple[Corrective, ...]:
    archive = _archive()
    entries = zip(
        _targets("corrective").names, archive["corrective_joints"].tolist(), archive["corrective_features"], strict=True
    )
    return tuple(Corrective(shape, joint, features.astype(np.float64)) for shape, joint, features in entries)
