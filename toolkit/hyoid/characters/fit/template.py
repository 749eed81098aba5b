# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""The skin of a rigged head as something that can be drawn onto another mesh, with all that it carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from hyoid.characters import arkit
from hyoid.characters.character import Character
from hyoid.characters.neck import JOINTS
from hyoid.errors import InputError
from hyoid.geometry.closest import Surface
from hyoid.geometry.meshes import catmull_clark, triangulate
from hyoid.geometry.registration import Cloud, Similarity, Step, icp, procrustes, register
from hyoid.geometry.skinning import weight_matrix
from hyoid.geometry.transfer import DeformationTransfer
from hyoid.report import SILENT, Report

_BUST = 0.16  # metres below the jugular notch that the template of a whole body keeps
_FINE: tuple[Step, ...] = (Step(4.0, 0.1, 0.010, 0.015, 2), Step(1.0, 0.04, 0.008, 0.012, 3))
_PINNED = 0.03  # metres: landmarks farther off than this after placing are refused


@dataclass(frozen=True)
class Template:
    """The skin of a character at one state of its registration.

    Attributes:
        source: the character. rows: (n,) int64, its vertices. rest: (n, 3) float64, metres, as the source has them.
        faces: (F, 4) int32 into the rows. placed: (n, 3), where they lie now, in the space of the mesh.
        head: (n,) 0..1, how much a vertex belongs to the head and not to neck and trunk. face: (n,) bool, the part of
            the head that the shapes move.
    """

    source: Character
    rows: np.ndarray
    rest: np.ndarray
    faces: np.ndarray
    placed: np.ndarray
    head: np.ndarray
    face: np.ndarray

    @property
    def triangles(self) -> np.ndarray:
        """(T, 3)."""
        return triangulate(self.faces)


def template_of(source: Character) -> Template:
    """The template of a character's skin, head to bust.

    Raises:
        InputError: the character has no skin with a neck (a shape library without the eight joints).
    """
    part = next((part for part in source.parts if part.material == "skin"), source.parts[0])
    if not set(JOINTS) <= set(source.joint_names):
        raise InputError(f"'{source.name}' has no eight-joint neck to give", expected="a character with c7t1 ... oc1")
    keep = np.zeros(len(source.vertices), bool)
    keep[part.vertices] = True
    low = source.landmarks.get("jugular")
    if low is not None:
        keep &= source.vertices[:, 1] > source.vertices[low, 1] - _BUST
    faces = source.faces[part.faces]
    faces = faces[keep[faces].all(1)]
    rows = np.unique(faces)
    number = np.full(len(keep), -1)
    number[rows] = np.arange(len(rows))
    rest = source.vertices[rows].astype(np.float64)
    top = {i for i, name in enumerate(source.joint_names) if name == "oc1" or _under(source, i, "oc1")}
    weights = weight_matrix(source.weight_joints, source.weights, len(source.joint_names))
    head = np.asarray(weights[rows][:, sorted(top)].sum(1)).ravel()
    moved = np.zeros(len(source.vertices))
    stop = source.shapes.starts[min(len(arkit.NAMES), len(source.shapes.names))]
    sizes = np.linalg.norm(source.shapes.offsets[:stop], axis=1)
    np.maximum.at(moved, source.shapes.vertices[:stop], sizes)
    face = (moved[rows] > 2e-4) & (head > 0.5)
    return Template(source, rows, rest, number[faces].astype(np.int32), rest, head, face)


def _under(character: Character, joint: int, name: str) -> bool:
    while joint >= 0:
        if character.joint_names[joint] == name:
            return True
        joint = int(character.parents[joint])
    return False


def put(
    template: Template, target: Surface, landmarks: Mapping[str, np.ndarray] | None = None, *, scaled: bool = True
) -> tuple[Similarity, float]:
    """The similarity that lays the template on a head that already looks along +Z with +Y up, and the error in metres.

    Several heights are tried (hair, hats and long necks), the best trimmed fit of the face wins.
    """
    used = np.unique(target.triangles)
    points = target.vertices[used]
    cloud = Cloud.of(points, target.normals[used])
    named = _common(template, landmarks)
    if len(named) >= 3:
        start = procrustes(template.rest[[row for row, _ in named]], np.stack([p for _, p in named]), scaled=scaled)
        starts = [start]
    else:
        starts = _starts(template, points)
    skull = template.head > 0.5
    outer = skull & (template.rest[:, 2] > np.quantile(template.rest[skull, 2], 0.05))
    chosen = np.flatnonzero(outer)
    # Inner surfaces (mouth, nostrils) never lie on the outside of another mesh: the trimming takes them out.
    sample = template.rest[chosen[:: max(len(chosen) // 900, 1)]]
    results = [icp(sample, cloud, start, rounds=12, kept=0.7, scaled=scaled) for start in starts]
    order = np.argsort([error / found.scale for found, error in results], kind="stable")[:2]
    face = template.rest[template.face][:: max(int(template.face.sum()) // 900, 1)]
    finals = [
        icp(face, cloud, results[i][0], rounds=25, kept=0.75, scaled=scaled, scale_range=(0.9, 1.1)) for i in order
    ]
    return min(finals, key=lambda entry: entry[1] / entry[0].scale)


def _common(template: Template, landmarks: Mapping[str, np.ndarray] | None) -> list[tuple[int, np.ndarray]]:
    number = {int(row): i for i, row in enumerate(template.rows)}
    own = template.source.landmarks
    return [
        (number[own[name]], np.asarray(place, np.float64))
        for name, place in (landmarks or {}).items()
        if name in own and own[name] in number
    ]


def _starts(template: Template, points: np.ndarray) -> list[Similarity]:
    """Placements by the top of the head, at a few heights and sizes."""
    skull = template.rest[template.head > 0.5]
    size = np.ptp(skull[:, 1])
    starts = []
    for scale in (1.0, 0.85, 1.18):
        top = points[:, 1].max()
        for lower in (0.0, 0.12, 0.24):
            high = points[points[:, 1] > top - (lower + 1) * scale * size]
            centre = (high.min(0) + high.max(0)) / 2
            own = (skull.min(0) + skull.max(0)) / 2
            height = top - lower * scale * size - scale * skull[:, 1].max()
            move = np.array([centre[0] - scale * own[0], height, centre[2] - scale * own[2]])
            starts.append(Similarity(scale, np.eye(3), move))
    return starts


def draw_onto(
    template: Template,
    target: Surface,
    placing: Similarity,
    landmarks: Mapping[str, np.ndarray] | None = None,
    report: Report = SILENT,
) -> Template:
    """The template with ``placed`` on the target surface.

    Raises:
        InputError: a landmark lies far from where the placed head has it.
    """
    start = placing.apply(template.rest)
    pins = None
    named = _common(template, landmarks)
    if named:
        rows, places = np.array([row for row, _ in named]), np.stack([place for _, place in named])
        far = np.linalg.norm(start[rows] - places, axis=1)
        if far.max() > _PINNED * max(placing.scale, 0.5) * 2:
            name = [key for key in landmarks or {} if key in template.source.landmarks][int(far.argmax())]
            raise InputError(
                f"the landmark '{name}' lies {1000 * far.max():.0f} mm from where the head has it",
                hint="Pick it again, left is the character's own left",
            )
        pins = rows, places
    weights = np.where(template.head > 0.5, 1.0, 0.6)
    placed = register(start, template.triangles, target, weights=weights, pins=pins, progress=report.progress)
    return replace(template, placed=placed)


@dataclass(frozen=True)
class Finer:
    """The template one Catmull-Clark level finer, drawn onto the target again.

    Attributes:
        stencil: (m, n) from the template's rows to the finer ones. vertices: (m, 3). triangles: (T, 3).
    """

    stencil: sparse.csr_matrix
    vertices: np.ndarray
    triangles: np.ndarray


def finer(template: Template, target: Surface, report: Report = SILENT) -> Finer:
    """One level finer: a smooth surface between the rows, so that nothing that is carried shows the coarse faces."""
    stencil, faces = catmull_clark(template.faces, len(template.rows))
    triangles = triangulate(faces)
    smooth = stencil @ template.placed
    near = np.clip(stencil @ np.where(template.head > 0.3, 1.0, 0.5), 0, 1)
    moved = register(smooth, triangles, target, steps=_FINE, weights=near, progress=report.progress)
    return Finer(stencil.tocsr(), moved, triangles)


def shape_offsets(template: Template, index: int) -> np.ndarray:
    """Offsets (n, 3) float64 of one shape of the source on the template's rows."""
    return template.source.offsets(template.source.shapes.names[index])[template.rows]


def carried_shapes(template: Template, report: Report = SILENT) -> np.ndarray:
    """Every shape of the source on the placed template: (shapes, n, 3) float64, by deformation transfer."""
    transfer = DeformationTransfer(template.rest, template.placed, template.triangles, tie=0.3)
    names = template.source.shapes.names
    result = np.zeros((len(names), len(template.rows), 3))
    for index in range(len(names)):
        report.progress(index / len(names), "carrying the shapes over")
        offsets = shape_offsets(template, index)
        moved = np.linalg.norm(offsets, axis=1) > 1e-6
        if moved.any():
            result[index] = transfer(offsets)
            # Far from what the source moves nothing may drift.
            result[index] *= _reach(template, moved)[:, None]
    return result


def _reach(template: Template, moved: np.ndarray) -> np.ndarray:
    """1 on moved vertices (n,), falling to 0 within a few rings around them."""
    level = moved.astype(np.float64)
    corners = template.triangles
    for _ in range(2):
        wide = level.copy()
        np.maximum.at(wide, corners.ravel(), 0.5 * level[corners].max(1).repeat(3))
        level = wide
    return level


def warp(template: Template, placing: Similarity, points: np.ndarray, spread: float = 0.025) -> np.ndarray:
    """Points (m, 3) inside the source's head taken along with its skin: eyes, teeth, joints.

    Each follows the similarity that fits the skin around it best.

    Args:
        spread: metres in the source, how far the skin around a point counts (more where none is near).
    """
    tree = cKDTree(template.rest)
    result = np.empty_like(points, dtype=np.float64)
    count = min(400, len(template.rest))
    distances, nearest = tree.query(points, count)
    wide = np.maximum(spread, distances[:, min(60, count - 1)])
    weights = np.exp(-((distances / wide[:, None]) ** 2)) + 1e-6
    start = placing.apply(points)
    # The displacement after the rigid placing, weighted; scale comes in by the spread of the neighbours.
    for row in range(len(points)):
        rows, share = nearest[row], weights[row]
        local = procrustes(template.rest[rows], template.placed[rows], share)
        limited = float(np.clip(local.scale, 0.75 * placing.scale, 1.33 * placing.scale))
        away = (points[row] - share @ template.rest[rows] / share.sum()) * limited
        result[row] = share @ template.placed[rows] / share.sum() + local.rotation @ away
        if not np.isfinite(result[row]).all():
            result[row] = start[row]
    return result
