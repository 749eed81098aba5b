# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false
# pyright: reportOptionalSubscript=false, reportIndexIssue=false, reportCallIssue=false
"""The user's own head, rigged: shapes, eight-joint neck, weights and drivers of a character on another mesh.

The skin of the character is drawn onto the mesh, its shapes are carried over by deformation transfer, and every vertex
of the mesh takes what the surface under it has. Vertices, faces and their order stay as they came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from hyoid.characters.character import Character
from hyoid.characters.fit import closing
from hyoid.characters.fit.mesh_parts import HeadMesh, head_mesh
from hyoid.characters.fit.models import model_of
from hyoid.characters.fit.template import Finer, Template, carried_shapes, draw_onto, finer, put, template_of
from hyoid.errors import InputError
from hyoid.geometry.closest import Surface
from hyoid.geometry.mesh import Mesh
from hyoid.geometry.mirror import Mirror, mirror_of, symmetric
from hyoid.geometry.registration import Similarity, bind
from hyoid.geometry.transfer import Binding, graph_laplacian, smooth
from hyoid.report import SILENT, Report

if TYPE_CHECKING:
    from hyoid.characters.fit.fitting import Fit

_SMOOTHING = 0.6  # of the carried offsets over the edges of the mesh
_ALIKE = 3e-4  # metres: a mesh whose halves differ by less is symmetric, and so are its shapes
_LOST = 0.008  # metres, times the scale: a head whose face lies farther from the template's is none
_BOUND = (0.012, 0.03)  # metres: skin nearer to the template than the first follows it fully, beyond the second not


@dataclass(frozen=True)
class Carried:
    """A template on a mesh, and what the skin of the mesh has from it.

    Attributes:
        template: drawn onto the mesh. placing: from the source to the mesh. fine: one level finer.
        binding: of ``head.core`` to the fine surface. rows: the same as a matrix (core, template rows).
        offsets: (K, core, 3) float64, shapes. near: (core,) 0..1, how far the template reaches. error: metres, of
            the rigid placing. mirror: of the core, or None where left and right differ.
        meetings: lids and lips of the source that close on each other.
    """

    template: Template
    placing: Similarity
    fine: Finer
    binding: Binding
    rows: sparse.csr_matrix
    offsets: np.ndarray
    near: np.ndarray
    error: float
    mirror: Mirror | None
    meetings: list[closing.Meeting]


def rig_mesh(
    source: Character,
    mesh: Mesh,
    *,
    name: str = "mesh",
    landmarks: Mapping[str, Sequence[float] | int] | None = None,
    report: Report = SILENT,
) -> tuple[Character, dict[str, Any]]:
    """The mesh as a character: every shape, joint, driver and corrective of ``source`` on the user's own topology.

    Separate pieces are recognised by where they lie: eyeballs turn with their joints, upper teeth stay with the head,
    lower teeth and tongue follow the jaw, hair is rigid, lashes and the rest follow the nearest skin. What the mesh
    does not have is not invented.

    Args:
        source: the character to take the rig from, near the mesh in shape where possible (see ``rig_head``).
        mesh: metres, +Y up, looking along +Z, at any place and of any size near a head's.
        landmarks: places on the mesh by the names in ``source.landmarks``: a vertex number or a point in metres.

    Returns:
        The character, and its quality: errors in millimetres and checks of the shapes (see ``fit.quality``).

    Raises:
        InputError: the mesh has no usable head, or a landmark is far off.
    """
    from hyoid.characters.fit import mesh_rig
    from hyoid.characters.fit.quality import quality

    head = head_mesh(mesh)
    carried = carry(source, head, places_of(mesh, landmarks), report.stage(0.0, 0.85))
    report.progress(0.85, "eyes, teeth and hair")
    character, kinds = mesh_rig.assemble(source, mesh, name, head, carried)
    report.progress(0.95, "measuring the shapes")
    return character, quality(character, source, head, carried, kinds)


def rig_head(
    mesh: Mesh,
    *,
    source: str = "human",
    name: str = "mesh",
    landmarks: Mapping[str, Any] | np.ndarray | None = None,
    report: Report = SILENT,
) -> tuple[Character, dict[str, Any], Fit]:
    """A head mesh of any unit, axes and topology as a character: found, fitted, rigged.

    The nearest identity of ``source`` is fitted to it first, so that lips, lids and ears lie on their like before the
    rig is carried over.

    Args:
        mesh: as it came from a file.
        source: name of a character, as for ``characters.load``.
        landmarks: names of the bundled human's landmarks with vertex numbers or points (3,) in the space of the mesh,
            or (68, 3) in iBUG order; None finds the head by itself.

    Returns:
        The character in metres, +Y up, looking along +Z; its quality; the fit, with the placement of the mesh.

    Raises:
        UsageError, InputError: as ``fitting.fit`` and :func:`rig_mesh`.
    """
    from hyoid.characters.fit.fitting import fit
    from hyoid.characters.fit.placing import named_points

    fitted = fit(source, mesh, landmarks=landmarks, expression=False, pose=False, report=report.stage(0.0, 0.5))
    places = named_points(landmarks, mesh.vertices) if landmarks is not None else {}
    placed = replace(mesh, vertices=fitted.placement.apply(mesh.vertices))
    moved = {key: fitted.placement.apply(point[None])[0].tolist() for key, point in places.items()}
    rig = model_of(source).character(fitted.settings)
    known = {key: point for key, point in moved.items() if key in rig.landmarks}
    character, quality = rig_mesh(rig, placed, name=name, landmarks=known, report=report.stage(0.5, 1.0))
    quality = {"placement": fitted.placement.summary(), "fit_median_error_mm": 1000 * fitted.median_error} | quality
    return character, quality, fitted


def shapes_onto(
    source: Character,
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    landmarks: Mapping[str, Sequence[float] | int] | None = None,
    report: Report = SILENT,
) -> tuple[tuple[str, ...], np.ndarray, dict[str, int]]:
    """The shapes of a character on another head: for models that bring a topology and no ARKit shapes.

    Args:
        vertices: (V, 3) metres, +Y up, looking along +Z. faces: (F, 3) or (F, 4).

    Returns:
        names: of the K shapes, those of ``source``; offsets: (K, V, 3) float32 on skin, teeth, tongue and lashes;
        landmarks: vertices by name.

    Raises:
        InputError: see :func:`rig_mesh`.
    """
    from hyoid.characters.fit import mesh_rig

    quads = np.concatenate([faces, faces[:, -1:]], 1) if faces.shape[1] == 3 else faces
    mesh = plain_mesh(vertices, quads)
    head = head_mesh(mesh)
    carried = carry(source, head, places_of(mesh, landmarks), report)
    return source.shapes.names, mesh_rig.all_offsets(source, mesh, head, carried), mesh_rig.landmarks_of(head, carried)


def plain_mesh(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """A mesh without UVs and groups: vertices (V, 3), faces (F, 4)."""
    return Mesh(
        np.asarray(vertices, np.float64), np.asarray(faces, np.int32), np.zeros((0, 2), np.float32),
        np.zeros((0, 4), np.int32), np.zeros(len(faces), np.int32), ("mesh",),
    )  # fmt: skip


def places_of(mesh: Mesh, landmarks: Mapping[str, Sequence[float] | int] | None) -> dict[str, np.ndarray]:
    """Landmarks as points (3,) in the space of the mesh.

    Raises:
        InputError: a vertex that is not there, or a place that is no point.
    """
    places = {}
    for name, place in (landmarks or {}).items():
        if isinstance(place, int | np.integer):
            if not 0 <= place < len(mesh.vertices):
                raise InputError(f"landmark '{name}' names vertex {place}", expected=f"0 to {len(mesh.vertices) - 1}")
            places[name] = np.asarray(mesh.vertices[int(place)], np.float64)
            continue
        point = np.asarray(place, np.float64)
        if point.shape != (3,) or not np.isfinite(point).all():
            raise InputError(f"landmark '{name}' is {place}", expected="a vertex number or three coordinates")
        places[name] = point
    return places


def carry(source: Character, head: HeadMesh, landmarks: Mapping[str, np.ndarray], report: Report = SILENT) -> Carried:
    """The skin of ``source`` drawn onto the mesh and its shapes on the skin of the mesh.

    Raises:
        InputError: nothing like a head is there.
    """
    template = template_of(source)
    report.progress(0.0, "finding the head")
    placing, error = put(template, head.surface, landmarks)
    if error > _LOST * placing.scale:
        raise InputError(
            f"no head was found: the best place for a face misses by {1000 * error:.0f} mm",
            expected="a head in metres, +Y up, looking along +Z",
            hint="Take a mesh whose face is open to see, or give landmarks (--landmark nose_tip=...)",
        )
    template = draw_onto(template, head.surface, placing, landmarks, report.stage(0.05, 0.4))
    fine = finer(template, head.surface, report.stage(0.4, 0.65))
    on_template = carried_shapes(template, report.stage(0.65, 0.9))
    points, normals = head.surface.vertices, head.surface.normals
    surface = Surface(fine.vertices, fine.triangles)
    binding = bind(points, normals, surface, normal_weight=0.010)
    edges = closing.mesh_edges(head.surface.triangles)
    for sides in closing.slits(template, fine):
        binding = closing.split(points, normals, edges, surface, sides, binding)
    rows = (binding.matrix(len(fine.vertices)) @ fine.stencil).tocsr()
    laplacian = graph_laplacian(points, head.surface.triangles)
    low, high = (limit * placing.scale for limit in _BOUND)
    near = np.clip((high - binding.distances) / (high - low), 0, 1)
    flat = np.concatenate([rows @ shape for shape in on_template], 1)
    flat = smooth(flat, laplacian, _SMOOTHING * _finer_by(template, points, edges)) * near[:, None]
    offsets = np.stack(np.split(flat, len(on_template), axis=1))
    report.progress(0.92, "lips and lids")
    meetings = closing.meetings(template)
    offsets = closing.closed(template, meetings, on_template, offsets, points, laplacian, placing.scale)
    mirror = mirror_of(points, np.array([1.0, 0.0, 0.0]), _ALIKE * placing.scale)
    if mirror is not None:
        paired = (mirror.partner != np.arange(len(points))) | (np.abs(points @ mirror.normal - mirror.offset) < 1e-4)
        offsets = symmetric(offsets, source.shapes.names, mirror, paired)
    return Carried(template, placing, fine, binding, rows, offsets, near, float(error), mirror, meetings)


def _finer_by(template: Template, points: np.ndarray, edges: np.ndarray) -> float:
    """How much finer the face of the mesh is than the template's, in area: what is carried is smoothed by as much."""

    def typical(vertices: np.ndarray, pairs: np.ndarray) -> float:
        return float(np.median(np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)))

    own = closing.mesh_edges(template.triangles)
    low, high = (limit(template.placed[template.face], axis=0) for limit in (np.min, np.max))
    inside = ((points > low) & (points < high)).all(1)[edges].all(1)
    if not inside.any():
        return 1.0
    ratio = typical(template.placed, own[template.face[own].all(1)]) / typical(points, edges[inside])
    return float(np.clip(ratio**2 - 1, 0.05, 20))
