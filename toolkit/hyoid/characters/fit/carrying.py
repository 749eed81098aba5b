# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""The skin of a character on a mesh of the user: drawn onto it, and its shapes carried over by deformation transfer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from hyoid.characters.character import Character
from hyoid.characters.fit import closing
from hyoid.characters.fit.mesh_parts import HeadMesh
from hyoid.characters.fit.template import Finer, Template, carried_shapes, draw_onto, finer, put, template_of
from hyoid.errors import InputError
from hyoid.geometry.closest import Surface
from hyoid.geometry.mirror import Mirror, mirror_of, symmetric
from hyoid.geometry.registration import Similarity, bind
from hyoid.geometry.transfer import Binding, graph_laplacian, smooth
from hyoid.report import SILENT, Report

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
