# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Where the head is in a scan or mesh: its unit, its axes, its place, from the bare geometry or from landmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from hyoid.characters.fit.template import Template, template_of
from hyoid.errors import InputError
from hyoid.geometry.closest import Surface
from hyoid.geometry.registration import Cloud, Similarity, icp, procrustes, sample_points, turns
from hyoid.report import SILENT, Report

UNITS: dict[str, float] = {"metre": 1.0, "centimetre": 0.01, "millimetre": 0.001, "decimetre": 0.1, "inch": 0.0254}
"""Metres in a unit, the more usual first."""
IBUG: dict[str, int] = {
    "nasion": 27, "nose_tip": 30, "lip_upper_outer": 51, "lip_lower_outer": 57, "lip_upper": 62, "lip_lower": 66,
}  # fmt: skip
"""Which of the 68 points of the iBUG convention lies on which landmark."""
_SIZES = (0.10, 2.6)  # metres: the longest side of a mask of a child's face, of a tall person
_KNOWN = 1.30  # factor: a head this far from an adult's size may still be in the unit
_MISS = 0.0060  # metres at the size of a head: a face that fits worse is none
_GOOD = 0.0030  # the same: nothing better needs to be looked for
_DRIFT = 0.008  # metres that ICP may move landmarks
_SAME_WAY = 0.75  # cosine between the normals of the face and of what it lies on
_KEPT, _KEPT_OF_HALF = 0.75, 0.45  # share of the head's points that must have a partner
_SAMPLES = 4000
_TURNS = 200  # directions beside the 24 of a cube
_LEVELS = ((4, 80, 60), (6, 24, 120), (8, 6, 250))  # rounds, how many go on, points of skull and face each


@dataclass(frozen=True)
class Placement:
    """From the space of a file to metres, +Y up, looking along +Z, standing where the bundled head stands.

    Attributes:
        move: the similarity. unit: what a unit of the file is, ``own`` where it is none of :data:`UNITS`.
        error: metres at an adult's size, of the face of the bundled head from the geometry. size: of the head against
            the bundled adult's.
    """

    move: Similarity
    unit: str
    error: float
    size: float

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) of the file in metres."""
        return self.move.apply(np.asarray(points, np.float64))

    def unapply(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) in metres as the file has them."""
        return self.move.unapply(np.asarray(points, np.float64))

    def summary(self) -> dict[str, Any]:
        """The same as plain values: unit, metres a unit, where up and front are in the file, size of the head."""
        up, front = self.move.rotation[1], self.move.rotation[2]
        return {
            "unit": self.unit,
            "metres_per_unit": self.move.scale,
            "up": axis_name(up),
            "front": axis_name(front),
            "head_size": self.size,
            "error_mm": 1000 * self.error,
        }


def axis_name(direction: np.ndarray) -> str:
    """``+Y`` for a direction (3,) within 20 degrees of an axis, otherwise its components."""
    axis = int(np.abs(direction).argmax())
    if abs(direction[axis]) > np.cos(np.radians(20)) * np.linalg.norm(direction):
        return f"{'+' if direction[axis] > 0 else '-'}{'XYZ'[axis]}"
    return " ".join(f"{value:.2f}" for value in direction)


def guess_units(vertices: np.ndarray) -> tuple[str, ...]:
    """Units in which points (n, 3) would be as large as a face to a whole body, the more usual first; maybe none."""
    low, high = np.quantile(vertices, [0.002, 0.998], axis=0)
    longest = float((high - low).max())
    return tuple(name for name, metres in UNITS.items() if _SIZES[0] <= longest * metres <= _SIZES[1])


@cache
def _human() -> Template:
    from hyoid import characters

    return template_of(characters.load("human", part="head"))


def place(
    vertices: np.ndarray,
    triangles: np.ndarray,
    *,
    landmarks: Mapping[str, np.ndarray] | None = None,
    report: Report = SILENT,
) -> Placement:
    """Find the head in a mesh or a cloud of points of unknown unit, axes and place.

    The bundled neutral head is laid onto the geometry from some hundred directions and sizes by trimmed ICP; with three
    or more landmarks they decide, and ICP refines. The same input gives the same answer.

    Args:
        vertices: (V, 3). triangles: (T, 3), or (0, 3) for a cloud of points.
        landmarks: points (3,) in the space of the vertices, by the names of the bundled human's landmarks.

    Raises:
        InputError: nothing in it looks like a head.
    """
    template = _human()
    cloud = _cloud(vertices, triangles)
    if landmarks and len(pairs := _pairs(template, landmarks)) >= 3:
        best = _by_landmarks(pairs, cloud)
    else:
        best = _look(vertices, triangles, cloud, report)
    model_to_file, error = best
    relative = error / model_to_file.scale
    if relative > _MISS:
        miss = (
            f"the best place for a face misses by {1000 * relative:.0f} mm" if np.isfinite(relative) else "no surface"
        )
        raise InputError(
            f"nothing in it looks like a head: {miss}",
            expected="a head scan or head mesh",
            hint="Cut away what is not the head, or give landmarks (--landmark nose_tip=...)",
        )
    return _placement(model_to_file, relative, vertices)


def _by_landmarks(pairs: list[tuple[np.ndarray, np.ndarray]], cloud: Cloud) -> tuple[Similarity, float]:
    """Where the landmarks put the head, refined by what lies near it; how far the landmarks miss."""
    own, places = (np.stack(side) for side in zip(*pairs, strict=True))
    start = procrustes(own, places)
    found, _ = icp(_probes()[1], cloud, start, rounds=15, kept=0.35)
    drift = np.linalg.norm(found.apply(own) - start.apply(own), axis=1).max() / start.scale
    found = found if drift < _DRIFT else start
    # People differ, and so do places that are picked by hand: half of the miss is theirs.
    return found, 0.5 * float(np.median(np.linalg.norm(found.apply(own) - places, axis=1)))


def _look(vertices: np.ndarray, triangles: np.ndarray, cloud: Cloud, report: Report) -> tuple[Similarity, float]:
    """The whole head in a known unit; else half of one (a scan from the side); else in a unit of its own."""
    units = [1 / UNITS[unit] for unit in guess_units(vertices)]
    longest = float(np.ptp(cloud.points, axis=0).max())
    own = [longest / size for size in (0.24, 0.40, 1.7)]
    found: list[tuple[Similarity, float]] = []
    for scales, kept in ((units, _KEPT), (units, _KEPT_OF_HALF), (own, _KEPT)):
        if scales:
            found.append(_finish(vertices, triangles, _search(cloud, scales, kept, report)))
        if found and found[-1][1] < _GOOD * found[-1][0].scale:
            return found[-1]
    return min(found, key=lambda entry: entry[1] / entry[0].scale)


def _finish(vertices: np.ndarray, triangles: np.ndarray, found: Similarity) -> tuple[Similarity, float]:
    """Refined on the points around the head alone, and the median distance of the face from the surface there."""
    probes = _probes()[1]
    centre = found.apply(probes.mean(0)[None])[0]
    near = np.linalg.norm(vertices - centre, axis=1) < 0.30 * found.scale
    own = triangles[near[triangles].all(1)] if len(triangles) else triangles
    if len(triangles) and len(own) > 50:
        cloud = _cloud(vertices, own, 4 * _SAMPLES)
    else:
        cloud = _cloud(vertices[near] if near.sum() > 100 else vertices, np.zeros((0, 3), int), 4 * _SAMPLES)
    found, _ = icp(probes, cloud, found, rounds=20, kept=0.7, scaled=True, scale_range=(0.9, 1.1))
    moved = found.apply(probes)
    distances, nearest = cloud.tree.query(moved)
    across = np.abs(((moved - cloud.points[nearest]) * cloud.normals[nearest]).sum(1))
    facing = np.abs((_probes()[2] @ found.rotation.T * cloud.normals[nearest]).sum(1))
    if np.median(facing) < _SAME_WAY:  # a cloud without a surface lets everything fit
        return found, np.inf
    # A point far to the side of its partner is not measured by the plane of that partner.
    return found, float(np.quantile(np.maximum(across, 0.5 * distances - 0.002 * found.scale), 0.6))


def _placement(model_to_file: Similarity, error: float, vertices: np.ndarray) -> Placement:
    """The inverse of where the model lies, with the scale of the unit that it is nearest to."""
    metres = 1 / model_to_file.scale
    fits = [(abs(np.log(metres / value)), name) for name, value in UNITS.items()]
    off, unit = min(fits)
    size = 1.0
    rotation = model_to_file.rotation.T
    if off < np.log(_KNOWN):
        size, metres = UNITS[unit] / metres, UNITS[unit]
    else:
        unit = "own"
    # Scaled about the middle of the head, so that the head stays where the bundled one is.
    centre_model = _human().rest[_human().face].mean(0)
    centre_file = model_to_file.apply(centre_model[None])[0]
    return Placement(Similarity(metres, rotation, centre_model - metres * rotation @ centre_file), unit, error, size)


def _pairs(template: Template, landmarks: Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    number = {int(row): i for i, row in enumerate(template.rows)}
    known = template.source.landmarks
    return [
        (template.rest[number[known[name]]], np.asarray(place, np.float64))
        for name, place in landmarks.items()
        if name in known and known[name] in number
    ]


def named_points(points: Mapping[str, Any] | Sequence[Any] | np.ndarray, vertices: np.ndarray) -> dict[str, np.ndarray]:
    """Landmarks of a user by name as points (3,): from names with vertex numbers or points, or 68 points in iBUG order.

    Raises:
        InputError: not 68 points, a vertex that is not there, a name that no head has.
    """
    if not isinstance(points, Mapping):
        table = np.asarray(points, np.float64)
        if table.shape != (68, 3) or not np.isfinite(table).all():
            raise InputError(f"the landmarks are an array of shape {table.shape}", expected="(68, 3), iBUG order")
        return {name: table[row] for name, row in IBUG.items()}
    known = _human().source.landmarks
    for name in points:
        if name not in known:
            raise InputError(f"there is no landmark '{name}'", expected=", ".join(known))
    return points_of(points, vertices)


def points_of(landmarks: Mapping[str, Any], vertices: np.ndarray) -> dict[str, np.ndarray]:
    """Landmarks by name as points (3,), each given as the number of a vertex or as a point.

    Raises:
        InputError: a vertex that is not there, or a place that is no point.
    """
    places = {}
    for name, place in landmarks.items():
        if isinstance(place, int | np.integer):
            if not 0 <= place < len(vertices):
                raise InputError(f"landmark '{name}' names vertex {place}", expected=f"0 to {len(vertices) - 1}")
            places[name] = np.asarray(vertices[int(place)], np.float64)
            continue
        point = np.asarray(place, np.float64)
        if point.shape != (3,) or not np.isfinite(point).all():
            raise InputError(f"landmark '{name}' is {place}", expected="a vertex number or three coordinates")
        places[name] = point
    return places


def _cloud(vertices: np.ndarray, triangles: np.ndarray, count: int = _SAMPLES) -> Cloud:
    """Evenly spread points with normals (of either sign where there are no faces)."""
    if len(triangles):
        points = sample_points(vertices, triangles, count)
        surface = Surface(vertices, triangles)
        return Cloud.of(points, surface.triangle_normals[surface.closest(points, neighbours=4).triangles])
    points = sample_points(vertices, triangles, count)
    return Cloud.of(points, cloud_normals(points))


def cloud_normals(points: np.ndarray, neighbours: int = 16) -> np.ndarray:
    """Normals (n, 3) of a cloud of points, of either sign: the thin direction of the points around each."""
    _, nearest = cKDTree(points).query(points, min(neighbours, len(points)))
    around = points[nearest] - points[nearest].mean(1, keepdims=True)
    return np.linalg.eigh(np.einsum("nki,nkj->nij", around, around))[1][:, :, 0]


@cache
def _probes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the bundled head that a scan can see: some (n, 3) evenly over the head, more (m, 3) of the face.

    Also the normals (m, 3) of those of the face.
    """
    template = _human()
    surface = Surface(template.rest, template.triangles)
    # 8 mm outside of an inner wall (mouth, nostrils, sockets) another wall is near.
    outside = surface.closest(template.rest + 0.008 * surface.normals).distances > 0.006
    skull = np.flatnonzero((template.head > 0.5) & outside)
    face = np.flatnonzero(template.face & outside & (template.head > 0.9))
    rows = _spread(template.rest[face], face, 700)
    return template.rest[_spread(template.rest[skull], skull, 500)], template.rest[rows], surface.normals[rows]


def _spread(points: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """``count`` of the rows, far from each other."""
    if len(rows) <= count:
        return rows
    chosen = [int(points[:, 2].argmax())]
    distances = np.full(len(points), np.inf)
    while len(chosen) < count:
        distances = np.minimum(distances, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distances.argmax()))
    return rows[chosen]


def _search(cloud: Cloud, scales: list[float], kept: float, report: Report) -> Similarity:
    """Many starts with few points and rounds; the better third again with more, and again; the best."""
    skull, face, _ = _probes()
    extent = _human().rest[_human().head > 0.5]
    starts = [
        _start(extent, cloud.points, rotation, scale) for scale in scales for rotation in turns(_TURNS)
    ]  # fmt: skip
    for level, (rounds, most, count) in enumerate(_LEVELS):
        probes = np.concatenate([skull[:count], face[:count]])
        results = []
        for index, start in enumerate(starts):
            if index % 32 == 0:
                report.progress((level + index / len(starts)) / len(_LEVELS) * 0.8, "looking for the head")
            found, error = icp(probes, cloud, start, rounds=rounds, kept=kept, scaled=level > 0)
            results.append((error / found.scale, index, found))
        results.sort(key=lambda entry: entry[:2])
        starts = [found for _, _, found in results[:most]]
    report.progress(0.85, "looking for the head")
    return _refine(cloud, starts, kept)


def _start(extent: np.ndarray, points: np.ndarray, rotation: np.ndarray, scale: float) -> Similarity:
    """The head upright in the turned frame, its crown at the top of the points: right for heads, busts and bodies."""
    own = points @ rotation  # as the model would see them
    top = np.quantile(own[:, 1], 0.998)
    slab = own[own[:, 1] > top - scale * np.ptp(extent[:, 1])]
    middle = (slab.min(0) + slab.max(0)) / 2
    model = scale * (extent.min(0) + extent.max(0)) / 2
    move = np.array([middle[0] - model[0], top - scale * extent[:, 1].max(), middle[2] - model[2]])
    return Similarity(scale, rotation, rotation @ move)


def _refine(cloud: Cloud, starts: list[Similarity], kept: float) -> Similarity:
    """The best of the starts after ICP with the scale free, judged by the face."""
    skull, face, _ = _probes()
    both = np.concatenate([skull, face])
    results = []
    for start in starts:
        found, _ = icp(both, cloud, start, rounds=10, kept=kept, scaled=True, scale_range=(0.75, 1.33))
        found, error = icp(face, cloud, found, rounds=10, kept=kept, scaled=True, scale_range=(0.85, 1.18))
        results.append((error / found.scale, len(results), found))
    return min(results, key=lambda entry: entry[:2])[2]
