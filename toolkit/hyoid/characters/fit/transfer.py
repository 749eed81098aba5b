# SPDX-License-Identifier: Apache-2.0
"""The user's own head, rigged: shapes, eight-joint neck, weights and drivers of a character on another mesh.

The skin of the character is drawn onto the mesh, its shapes are carried over by deformation transfer, and every vertex
of the mesh takes what the surface under it has. Vertices, faces and their order stay as they came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hyoid.characters.character import Character
from hyoid.characters.fit import mesh_rig
from hyoid.characters.fit.carrying import carry
from hyoid.characters.fit.fitting import Fit, fit
from hyoid.characters.fit.mesh_parts import head_mesh
from hyoid.characters.fit.models import model_of
from hyoid.characters.fit.placing import named_points, points_of
from hyoid.characters.fit.quality import quality as measured
from hyoid.geometry.mesh import Mesh
from hyoid.report import SILENT, Report


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
    head = head_mesh(mesh)
    carried = carry(source, head, points_of(landmarks or {}, mesh.vertices), report.stage(0.0, 0.85))
    report.progress(0.85, "eyes, teeth and hair")
    character, kinds = mesh_rig.assemble(source, mesh, name, head, carried)
    report.progress(0.95, "measuring the shapes")
    return character, measured(character, source, head, carried, kinds)


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
    quads = np.concatenate([faces, faces[:, -1:]], 1) if faces.shape[1] == 3 else faces
    mesh = plain_mesh(vertices, quads)
    head = head_mesh(mesh)
    carried = carry(source, head, points_of(landmarks or {}, mesh.vertices), report)
    return source.shapes.names, mesh_rig.all_offsets(source, mesh, head, carried), mesh_rig.landmarks_of(head, carried)


def plain_mesh(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """A mesh without UVs and groups: vertices (V, 3), faces (F, 4)."""
    return Mesh(
        np.asarray(vertices, np.float64), np.asarray(faces, np.int32), np.zeros((0, 2), np.float32),
        np.zeros((0, 4), np.int32), np.zeros(len(faces), np.int32), ("mesh",),
    )  # fmt: skip
