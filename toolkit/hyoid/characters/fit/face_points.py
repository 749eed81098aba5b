# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Canonical points of the face on a mesh of any topology: found once, kept by topology, then read off every frame.

The points lie on the skin of the bundled human. Its skin is laid and drawn onto the user's mesh, and each point becomes
a place in one of the user's triangles; what the mesh lacks is masked out.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from hyoid import characters
from hyoid.characters.fit.mesh_parts import check_mesh, head_mesh
from hyoid.characters.fit.placing import UNITS, Placement, named_points, place
from hyoid.characters.fit.template import Template, draw_onto, put, template_of
from hyoid.errors import InputError, OutputError
from hyoid.files import cache_folder, part_file
from hyoid.formats.npz import read_npz, write_npz
from hyoid.geometry.closest import Surface, boundary_vertices
from hyoid.geometry.mesh import Mesh
from hyoid.geometry.meshes import triangulate
from hyoid.geometry.registration import Similarity, bind, procrustes
from hyoid.report import SILENT, Report

FEWEST = 60
"""Points that must have a place before a face counts as found."""
_VERSION = 1
_FAR = 0.0045  # metres at an adult's size: a point whose skin lies farther away has no place
_FACING = 0.3  # cosine between the normals of the point and of its place
_SAME_UNIT = 1.30  # factor: a head this far from an adult's size may still be in the unit


@dataclass(frozen=True)
class FacePoints:
    """Where each of K canonical points lies on a mesh.

    Attributes:
        vertices: (K, n) int32, vertices of the mesh. shares: (K, n) float64, sum 1.
        mask: (K,) float64, 1 where the mesh has the point, 0 where it does not.
        distances: (K,) float32 metres, how far the drawn skin lay from the mesh (the error of the map).
    """

    vertices: np.ndarray
    shares: np.ndarray
    mask: np.ndarray
    distances: np.ndarray

    def of(self, vertices: np.ndarray) -> np.ndarray:
        """The points (..., K, 3) of vertices (..., V, 3)."""
        return np.einsum("...knc,kn->...kc", vertices[..., self.vertices, :], self.shares)


def human_template() -> Template:
    """The skin of the bundled human, whose vertices canonical points name."""
    return template_of(characters.load("human", part="head"))


def find(
    mesh: Mesh, rows: np.ndarray, *, landmarks: Mapping[str, Any] | np.ndarray | None = None, report: Report = SILENT
) -> FacePoints:
    """The canonical points on a mesh, from the cache where this topology was mapped before.

    Args:
        mesh: the target, in any unit and axes; without faces it is a cloud of points.
        rows: (K,) rows of :func:`human_template` that are the canonical points.
        landmarks: as for ``fitting.fit``; they decide where the face is.

    Raises:
        InputError: nothing in the mesh looks like a head, or too few points have a place.
    """
    check_mesh(mesh, need_faces=False)
    template = human_template()
    key = _key(mesh, rows, landmarks) if len(mesh.faces) else None
    kept = _cached(key, len(mesh.vertices)) if key else None
    if kept is not None:
        return kept
    named = named_points(landmarks, mesh.vertices) if landmarks is not None else None
    found = _map(mesh, rows, template, named, report)
    if int(found.mask.sum()) < FEWEST:
        raise InputError(
            f"{int(found.mask.sum())} of {len(rows)} points of a face were found on it",
            expected=f"{FEWEST} or more: the skin between brows and mouth",
            hint="Give landmarks (--landmark nose_tip=...), or cut away what is not the face",
        )
    if key:
        _keep(key, found)
    return found


def placement_of(
    found: FacePoints, template: np.ndarray, vertices: np.ndarray, metres: float | None = None
) -> Placement:
    """Where a mesh stands whose points are known: from its space to metres, +Y up, looking along +Z.

    Args:
        template: (K, 3) metres, the points on the bundled human. vertices: (V, 3) of the mesh.
        metres: in a unit of the mesh, or None to take the unit in which the head is nearest to an adult's size.
    """
    used = found.mask > 0
    own, wanted = found.of(np.asarray(vertices, np.float64))[used], template[used]
    move = procrustes(own, wanted)
    fitted = move.scale
    if metres is None:
        off, nearest = min((abs(np.log(fitted / value)), value) for value in UNITS.values())
        metres = nearest if off < np.log(_SAME_UNIT) else fitted
    unit = next((name for name, value in UNITS.items() if value == metres), "own")
    move = Similarity(metres, move.rotation, wanted.mean(0) - metres * move.rotation @ own.mean(0))
    error = float(np.median(np.linalg.norm(move.apply(own) - wanted, axis=1)))
    return Placement(move, unit, error, metres / fitted)


def _map(
    mesh: Mesh, rows: np.ndarray, template: Template, named: dict[str, np.ndarray] | None, report: Report
) -> FacePoints:
    vertices = np.asarray(mesh.vertices, np.float64)
    if not len(mesh.faces):
        placement = place(vertices, np.zeros((0, 3), np.int64), landmarks=named, report=report.stage(0, 0.6))
        return _on_cloud(placement, vertices, rows, template)
    head = head_mesh(mesh)
    triangles = triangulate(np.asarray(mesh.faces, np.int64))
    placement = place(vertices, triangles, landmarks=named, report=report.stage(0, 0.5))
    surface = Surface(placement.apply(head.surface.vertices), head.surface.triangles)
    marks = None
    if named:
        marks = {name: placement.apply(point[None])[0] for name, point in named.items()}
    placing, _ = put(template, surface, marks)
    drawn = draw_onto(template, surface, placing, marks, report.stage(0.5, 1.0))
    normals = Surface(drawn.placed, drawn.triangles).normals
    binding = bind(drawn.placed[rows], normals[rows], surface)
    rim = boundary_vertices(surface.triangles, len(surface.vertices))[binding.vertices]
    inside = (binding.shares * rim).sum(1) < 0.999
    near = binding.distances < _FAR * placing.scale
    mask = near & (binding.agreement > _FACING) & inside
    corners = head.core[binding.vertices].astype(np.int32)
    return FacePoints(corners, binding.shares, mask.astype(np.float64), binding.distances.astype(np.float32))


def _on_cloud(placement: Placement, vertices: np.ndarray, rows: np.ndarray, template: Template) -> FacePoints:
    """Places between the three points of a cloud that lie nearest; the cloud is as fine as it is."""
    points = placement.apply(vertices)
    size = max(placement.size, 0.5)
    distances, nearest = cKDTree(points).query(size * template.rest[rows] + (1 - size) * template.rest[rows].mean(0), 3)
    spacing = float(np.median(cKDTree(points).query(points, 2)[0][:, 1]))
    weights = 1 / np.maximum(distances, 0.25 * spacing) ** 2
    shares = weights / weights.sum(1, keepdims=True)
    mask = distances[:, 0] < max(2.0 * spacing, 0.01 * size)
    return FacePoints(nearest.astype(np.int32), shares, mask.astype(np.float64), distances[:, 0].astype(np.float32))


def _key(mesh: Mesh, rows: np.ndarray, landmarks: Any) -> str:
    """What a map is kept under: the faces, the points, the picked places; not where the vertices lie."""
    digest = hashlib.sha256(f"face points {_VERSION} {len(mesh.vertices)} {landmarks!r}".encode())
    digest.update(np.ascontiguousarray(mesh.faces, np.int32).tobytes())
    digest.update(np.ascontiguousarray(rows, np.int32).tobytes())
    return digest.hexdigest()[:32]


def _cached(key: str, count: int) -> FacePoints | None:
    path = cache_folder() / "face_points" / f"{key}.npz"
    if not path.is_file():
        return None
    try:
        arrays = read_npz(path)
        found = FacePoints(arrays["vertices"], arrays["shares"], arrays["mask"], arrays["distances"])
    except (InputError, KeyError):
        return None  # damaged: it is made again
    return found if found.vertices.size and found.vertices.max() < count else None


def _keep(key: str, found: FacePoints) -> None:
    path = cache_folder() / "face_points" / f"{key}.npz"
    # Farms mount caches read-only: then the next job looks again.
    with contextlib.suppress(OutputError), part_file(path) as part:
        write_npz(part, vars(found))
