# SPDX-License-Identifier: Apache-2.0
"""A head mesh of a user, checked and cut into pieces: what can be used of it, which piece is the skin."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from hyoid.characters.character import Part
from hyoid.errors import InputError
from hyoid.geometry.closest import Surface, boundary_vertices, components, edges_of, triangle_areas, weld
from hyoid.geometry.mesh import Mesh
from hyoid.geometry.meshes import triangulate

FEWEST = 100  # vertices that can show a face
MOST = 2_000_000
_WELD = 1e-6  # metres, times the size of the mesh in metres: vertices nearer than this are one point


@dataclass(frozen=True)
class HeadMesh:
    """A checked mesh in metres.

    Attributes:
        vertices: (V, 3) float64. triangles: (T, 3), those with area, without vertices twice.
        number: (V,) int, welded points. piece: (V,) int, connected piece of each vertex, the skin is 0.
        skin: (n,) int64, vertices of the skin. core: (m,) int64, one of them for each point. twin: (n,) int64, the
            row in ``core`` of each. surface: the core alone; its normals look outward.
        flipped: whether the normals of the file looked inward. remarks: what was odd and was dealt with.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    number: np.ndarray
    piece: np.ndarray
    skin: np.ndarray
    core: np.ndarray
    twin: np.ndarray
    surface: Surface
    flipped: bool
    remarks: tuple[str, ...]


def check_mesh(mesh: Mesh, *, need_faces: bool = True) -> None:
    """Refuse what no head can be made of.

    Raises:
        InputError: numbers that are not finite (with the first index), faces that point nowhere, too little or too
            much, a mesh without extent.
    """
    vertices, faces = mesh.vertices, mesh.faces
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise InputError(f"vertices have the shape {vertices.shape}", expected="(V, 3)")
    finite = np.isfinite(vertices).all(1)
    if not finite.all():
        raise InputError(f"vertex {int(np.argmin(finite))} is not a finite number", hint="Repair the mesh first")
    if not FEWEST <= len(vertices) <= MOST:
        raise InputError(f"the mesh has {len(vertices)} vertices", expected=f"{FEWEST} to {MOST}")
    if need_faces and len(faces) == 0:
        raise InputError("the mesh has points and no faces", hint="A cloud of points can be fitted, but not rigged")
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        wrong = int(np.argmax(((faces < 0) | (faces >= len(vertices))).any(1)))
        raise InputError(f"face {wrong} names a vertex that is not there", expected=f"0 to {len(vertices) - 1}")
    if np.ptp(vertices, axis=0).max() <= 0:
        raise InputError("all vertices lie on one point")


def head_mesh(mesh: Mesh) -> HeadMesh:
    """Check a mesh, weld it for the calculation, find its skin.

    The skin is the piece with the largest surface, together with pieces that continue it over a shared rim.

    Raises:
        InputError: see :func:`check_mesh`; or no face has an area.
    """
    check_mesh(mesh)
    vertices = np.asarray(mesh.vertices, np.float64)
    size = float(np.ptp(vertices, axis=0).max())
    triangles = triangulate(np.asarray(mesh.faces, np.int64))
    number = _welded(vertices, triangles, _WELD * max(size, 1e-6))
    corners = number[triangles]
    real = (corners != np.roll(corners, 1, axis=1)).all(1)
    areas = triangle_areas(vertices, triangles)
    real &= areas > 1e-14 * size**2
    remarks = []
    quads = np.asarray(mesh.faces)
    lost = len(quads) + int((quads[:, 2] != quads[:, 3]).sum()) - int(real.sum())
    if lost:
        remarks.append(f"{lost} faces without area were passed over")
    triangles = triangles[real]
    if not len(triangles):
        raise InputError("no face of the mesh has an area")
    doubled = len(vertices) - int(number.max()) - 1
    if doubled:
        remarks.append(f"{doubled} vertices lie on others and move with them")
    _, used = edges_of(number[triangles])
    if (used > 2).any():
        remarks.append(f"{int((used > 2).sum())} edges have more than two faces")
    piece = components(triangles, number)
    skin_piece = int(np.argmax(np.bincount(piece[triangles[:, 0]], triangle_areas(vertices, triangles))))
    piece = np.where(piece == skin_piece, 0, np.where(piece < skin_piece, piece + 1, piece))
    own = triangles[piece[triangles[:, 0]] == 0]
    flip = _looks_inward(vertices, own)
    if flip:
        remarks.append("the faces look inward; they are taken as turned round")
        own = own[:, ::-1]
    skin = np.unique(own)
    # One vertex for each welded point, so that seams of the file are no rims.
    points, core, twin = np.unique(number[skin], return_index=True, return_inverse=True)
    row = np.full(int(number.max()) + 1, -1)
    row[points] = np.arange(len(points))
    surface = Surface(vertices[skin[core]], row[number[own]])
    return HeadMesh(
        vertices, triangles, number, piece, skin, skin[core], twin.reshape(-1), surface, flip, tuple(remarks)
    )


def _welded(vertices: np.ndarray, triangles: np.ndarray, distance: float) -> np.ndarray:
    """Welded numbers (V,), 0 upwards: only vertices on rims are welded.

    A file that splits vertices at its UV seams, or a soup of triangles, has rims there; a lash that is stuck onto the
    middle of a lid has not, and stays a piece of its own.
    """
    number = weld(vertices, distance)
    rim = boundary_vertices(triangles, len(vertices))
    number = np.where(rim, number, int(number.max()) + 1 + np.arange(len(vertices)))
    return np.unique(number, return_inverse=True)[1].reshape(-1)


def _looks_inward(vertices: np.ndarray, triangles: np.ndarray) -> bool:
    """Whether the faces see the middle: the sign of the volume that they enclose with the centre."""
    centre = vertices[np.unique(triangles)].mean(0)
    a, b, c = (vertices[triangles[:, i]] - centre for i in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) < 0


def parts_of(mesh: Mesh, piece: np.ndarray, kinds: dict[int, str]) -> list[tuple[str, slice, slice]]:
    """Contiguous runs of vertices and faces by kind, in the order of the mesh: kind, vertices, faces.

    Pieces whose rows interleave become one part of the kind that has more vertices: nothing is put in another order.
    """
    count = len(mesh.vertices)
    used = np.zeros(count, bool)
    used[mesh.faces] = True
    codes = {kind: i for i, kind in enumerate(dict.fromkeys(kinds.values()))}
    table = np.array([codes[kinds[i]] for i in range(int(piece.max()) + 1)])
    vertex_kind = table[piece]
    # A vertex that no face uses goes with the one before it.
    last = np.maximum.accumulate(np.where(used, np.arange(count), 0))
    vertex_kind = vertex_kind[last]
    face_kind = vertex_kind[mesh.faces[:, 0]]
    vertex_runs, face_runs = _runs(vertex_kind), _runs(face_kind)
    names = list(codes)
    if [vertex_kind[r.start] for r in vertex_runs] == [face_kind[r.start] for r in face_runs]:
        consistent = all(
            (mesh.faces[f] >= v.start).all() and (mesh.faces[f] < v.stop).all()
            for v, f in zip(vertex_runs, face_runs, strict=True)
        )
        if consistent:
            return [(names[vertex_kind[v.start]], v, f) for v, f in zip(vertex_runs, face_runs, strict=True)]
    main = names[int(np.argmax(np.bincount(vertex_kind)))]
    return [(main, slice(0, count), slice(0, len(mesh.faces)))]


def _runs(values: np.ndarray) -> list[slice]:
    cuts = np.flatnonzero(np.diff(values)) + 1
    ends = [0, *cuts.tolist(), len(values)]
    return [slice(a, b) for a, b in itertools.pairwise(ends)]


def make_parts(runs: list[tuple[str, slice, slice]]) -> tuple[Part, ...]:
    """Parts with names of their own: ``teeth_upper``, ``teeth_upper_2``..."""
    seen: dict[str, int] = {}
    parts = []
    for kind, vertices, faces in runs:
        seen[kind] = seen.get(kind, 0) + 1
        label = {"skin": "body", "mouth": "tongue"}.get(kind, kind)
        parts.append(Part(label if seen[kind] == 1 else f"{label}_{seen[kind]}", material_of(kind), vertices, faces))
    return tuple(parts)


def material_of(kind: str) -> str:
    """The name of the material of a kind of piece."""
    return {
        "eye_left": "eye", "eye_right": "eye", "teeth_upper": "teeth", "teeth_lower": "teeth", "mouth": "tongue",
    }.get(kind, kind)  # fmt: skip
