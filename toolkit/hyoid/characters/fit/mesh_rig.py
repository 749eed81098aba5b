# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""From a template that lies on a mesh to a character: pieces, weights, joints, landmarks and materials."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from hyoid.characters.character import Character, Material, Part, largest_weights, packed_shapes
from hyoid.characters.fit.carrying import Carried
from hyoid.characters.fit.mesh_parts import HeadMesh, make_parts, parts_of
from hyoid.characters.fit.pieces import Anatomy, eyeball, kind_of, lower_share
from hyoid.characters.fit.template import warp
from hyoid.characters.lent.eyes import map_around
from hyoid.characters.lent.eyes import materials as eye_materials
from hyoid.characters.lent.plain_materials import PLAIN
from hyoid.characters.neck import JOINTS
from hyoid.geometry.mesh import Mesh
from hyoid.geometry.registration import procrustes
from hyoid.geometry.skinning import weight_matrix
from hyoid.geometry.transfer import graph_laplacian, smooth

_SMALLEST = 1e-5  # metres: offsets below are left out of a shape
_LEAST = 1e-3  # of a weight; smaller ones are what smoothing leaves
_WHITE = Material("eye", (0.80, 0.78, 0.75, 1.0), 0.15)
_HAIR = Material("hair", (0.05, 0.03, 0.02, 1.0), 0.6, double_sided=True)
_OTHER = Material("other", (0.30, 0.30, 0.32, 1.0), 0.7, double_sided=True)


def assemble(
    source: Character, mesh: Mesh, name: str, head: HeadMesh, carried: Carried
) -> tuple[Character, dict[int, str]]:
    """The character, and the kind of each piece of the mesh."""
    kinds, anatomy = kinds_of(source, mesh, head, carried)
    offsets = all_offsets(source, mesh, head, carried, kinds, anatomy)
    joint_points = _joints(source, head, carried, kinds, anatomy)
    weights = _weights(source, head, carried, kinds, anatomy)
    joints, values = largest_weights(weights, least=_LEAST)
    kept = _kept_joints(source, joints, values)
    places = np.full(len(source.joint_names) + 1, -1, np.int32)
    places[kept] = np.arange(len(kept))
    runs = parts_of(mesh, head.piece, kinds)
    parts = make_parts(runs)
    uv, face_uv = _uv(mesh)
    materials = _materials(parts)
    if not len(mesh.uv) and "eye" in materials:
        uv, face_uv = _looking(head, parts, uv, face_uv, source, joint_points[0])
        materials["eye"] = replace(eye_materials()["eye"], roughness=_WHITE.roughness)
    names = tuple(source.joint_names[i] for i in kept)
    character = Character(
        name=name, licence=source.licence, settings={}, vertices=head.vertices.astype(np.float32),
        faces=np.asarray(mesh.faces, np.int32), uv=uv, face_uv=face_uv, parts=parts,
        shapes=packed_shapes(source.shapes.names, offsets, _SMALLEST), joint_names=names,
        parents=places[source.parents[kept]].astype(np.int32), heads=joint_points[0][kept].astype(np.float32),
        tails=joint_points[1][kept].astype(np.float32), weight_joints=np.where(values > 0, places[joints], 0),
        weights=values, drivers=tuple(driver for driver in source.drivers if driver.joint in names),
        neck=source.neck, materials=materials, landmarks=landmarks_of(head, carried),
        correctives=tuple(entry for entry in source.correctives if entry.joint in names), digest=source.digest,
    )  # fmt: skip
    return character, kinds


def kinds_of(source: Character, mesh: Mesh, head: HeadMesh, carried: Carried) -> tuple[dict[int, str], Anatomy]:
    """What each connected piece of the mesh is, and where the inner parts of the head are in it."""
    anatomy = _anatomy(source, head, carried)
    words = _words(mesh, head)
    kinds = {0: "skin"}
    order = np.argsort(head.piece, kind="stable")
    cuts = np.searchsorted(head.piece[order], np.arange(int(head.piece.max()) + 2))
    used = np.zeros(len(head.vertices), bool)
    used[head.triangles] = True
    for piece in range(1, int(head.piece.max()) + 1):
        rows = order[cuts[piece] : cuts[piece + 1]]
        kinds[piece] = "other" if not used[rows[0]] else kind_of(head.vertices[rows], words.get(piece, ""), anatomy)
    return kinds, anatomy


def _words(mesh: Mesh, head: HeadMesh) -> dict[int, str]:
    """The names of the groups that each piece has faces in, lower case."""
    if not len(mesh.groups):
        return {}
    pairs = np.unique(np.stack([head.piece[mesh.faces[:, 0]], mesh.groups], 1), axis=0)
    words: dict[int, str] = {}
    for piece, group in pairs.tolist():
        words[piece] = f"{words.get(piece, '')} {mesh.group_names[group].lower()}"
    return words


def _anatomy(source: Character, head: HeadMesh, carried: Carried) -> Anatomy:
    eyes, radius = {}, 0.0125 * carried.placing.scale
    for side in ("L", "R"):
        if f"eye.{side}" in source.joint_names:
            at = source.heads[source.joint(f"eye.{side}")].astype(np.float64)
            eyes[side] = warp(carried.template, carried.placing, at[None])[0]
            balls = _part_points(source, f"eye_{'left' if side == 'L' else 'right'}")
            if len(balls):
                radius = carried.placing.scale * float(np.median(np.linalg.norm(balls - at, axis=1)))
    inner = {}
    for name in ("teeth_upper", "teeth_lower", "tongue"):
        points = _part_points(source, name)
        points = points[:: max(len(points) // 150, 1)]
        inner[name] = warp(carried.template, carried.placing, points) if len(points) else points
    chin = source.landmarks.get("menton", source.landmarks.get("chin", source.landmarks.get("lip_lower", 0)))
    low = warp(carried.template, carried.placing, source.vertices[chin][None].astype(np.float64))[0, 1]
    return Anatomy(
        eyes, radius, inner["teeth_upper"], inner["teeth_lower"], inner["tongue"], float(low), head.surface.vertices
    )


def _part_points(source: Character, name: str) -> np.ndarray:
    for part in source.parts:
        if part.name == name:
            return source.vertices[part.vertices].astype(np.float64)
    return np.zeros((0, 3))


def _rows_of(head: HeadMesh, kinds: dict[int, str], *wanted: str) -> np.ndarray:
    table = np.array([kinds[i] in wanted for i in range(int(head.piece.max()) + 1)])
    return np.flatnonzero(table[head.piece])


def all_offsets(
    source: Character, mesh: Mesh, head: HeadMesh, carried: Carried, kinds: dict[int, str] | None = None,
    anatomy: Anatomy | None = None,
) -> np.ndarray:  # fmt: skip
    """Offsets (K, V, 3) float32 of every shape on every vertex of the mesh."""
    if kinds is None or anatomy is None:
        kinds, anatomy = kinds_of(source, mesh, head, carried)
    offsets = np.zeros((len(source.shapes.names), len(head.vertices), 3), np.float32)
    offsets[:, head.skin] = carried.offsets[:, head.twin]
    lower = _rows_of(head, kinds, "mouth", "teeth_lower")
    if len(lower):
        share = _jaw_share(head, kinds, anatomy, lower)
        for index in range(len(offsets)):
            moved = _rigid_of(source, "teeth_lower", index, carried)
            if moved is not None:
                offsets[index, lower] = share[:, None] * (moved.apply(head.vertices[lower]) - head.vertices[lower])
    tongue = _rows_of(head, kinds, "mouth")
    if len(tongue):
        _tongue(source, head, carried, anatomy, tongue, offsets)
    follow = _rows_of(head, kinds, "lashes", "other")
    if len(follow):
        moved = np.concatenate(list(carried.offsets[:, _nearest_skin(head, follow)]), 1)
        # A lash is stiffer than the skin around its root.
        moved = smooth(moved, _piece_laplacian(head, follow), 8.0)
        offsets[:, follow] = np.stack(np.split(moved, len(offsets), axis=1))
    return offsets


def _nearest_skin(head: HeadMesh, rows: np.ndarray) -> np.ndarray:
    """For each vertex the row of ``head.core`` that it follows: the nearest skin of its piece's own neighbourhood."""
    return cKDTree(head.surface.vertices).query(head.vertices[rows])[1]


def _jaw_share(head: HeadMesh, kinds: dict[int, str], anatomy: Anatomy, rows: np.ndarray) -> np.ndarray:
    """How much each vertex of the mouth follows the jaw (n,); smooth over gums that join both rows of teeth."""
    share = lower_share(head.vertices[rows], anatomy)
    share = np.clip(smooth(share[:, None], _piece_laplacian(head, rows), 3.0)[:, 0], 0, 1)
    share[np.isin(rows, _rows_of(head, kinds, "teeth_lower"))] = 1.0
    return share


def _piece_laplacian(head: HeadMesh, rows: np.ndarray):
    """The Laplacian over some of the vertices (n, n)."""
    number = np.full(len(head.vertices), -1)
    number[rows] = np.arange(len(rows))
    triangles = number[head.triangles]
    return graph_laplacian(head.vertices[rows], triangles[(triangles >= 0).all(1)])


def _rigid_of(source: Character, part: str, index: int, carried: Carried):
    """The rigid motion of a part of the source under one shape, in the space of the mesh; None where it is still."""
    entry = next((piece for piece in source.parts if piece.name == part), None)
    if entry is None:
        return None
    shapes = source.shapes
    span = slice(shapes.starts[index], shapes.starts[index + 1])
    inside = (shapes.vertices[span] >= entry.vertices.start) & (shapes.vertices[span] < entry.vertices.stop)
    if not inside.any():
        return None
    rest = source.vertices[entry.vertices].astype(np.float64)
    moved = rest.copy()
    moved[shapes.vertices[span][inside] - entry.vertices.start] += shapes.offsets[span][inside]
    if np.linalg.norm(moved - rest, axis=1).max() < 1e-4:
        return None
    at = carried.placing.apply
    return procrustes(at(rest), at(moved), scaled=False)


def _tongue(
    source: Character, head: HeadMesh, carried: Carried, anatomy: Anatomy, rows: np.ndarray, offsets: np.ndarray
) -> None:
    """What only the tongue does (tongueOut): offsets of the nearest tongue of the source, beyond those of the jaw."""
    entry = next((piece for piece in source.parts if piece.name == "tongue"), None)
    if entry is None or not len(anatomy.tongue) or "tongueOut" not in source.shapes.names:
        return
    index = source.shapes.names.index("tongueOut")
    rest = source.vertices[entry.vertices].astype(np.float64)
    full = np.zeros((len(source.vertices), 3))
    span = slice(source.shapes.starts[index], source.shapes.starts[index + 1])
    full[source.shapes.vertices[span]] = source.shapes.offsets[span]
    own = full[entry.vertices] * carried.placing.scale
    step = max(len(rest) // 150, 1)
    distances, nearest = cKDTree(anatomy.tongue).query(head.vertices[rows], 4)
    weights = 1 / (distances + 1e-4)
    weights /= weights.sum(1, keepdims=True)
    moved = (own[::step][nearest] * weights[..., None]).sum(1)
    near = np.clip(1.5 - distances[:, 0] / 0.006, 0, 1)
    offsets[index, rows] = (near[:, None] * moved).astype(np.float32)


def _weights(
    source: Character, head: HeadMesh, carried: Carried, kinds: dict[int, str], anatomy: Anatomy
) -> np.ndarray:
    """Weights (V, J) float32 over the joints of the source."""
    matrix = weight_matrix(source.weight_joints, source.weights, len(source.joint_names))
    own = np.asarray((carried.rows @ matrix[carried.template.rows]).todense(), np.float64)
    laplacian = graph_laplacian(head.surface.vertices, head.surface.triangles)
    own = np.maximum(smooth(own, laplacian, 1.0), 0)
    result = np.zeros((len(head.vertices), len(source.joint_names)), np.float32)
    result[head.skin] = own[head.twin]
    rigid = {"eye_left": "eye.L", "eye_right": "eye.R", "hair": "oc1", "teeth_upper": "oc1", "lashes": "oc1"}
    for kind, joint in rigid.items():
        result[_rows_of(head, kinds, kind)] = np.eye(len(source.joint_names))[source.joint(joint)]
    jaw = source.joint("jaw") if "jaw" in source.joint_names else source.joint("oc1")
    mouth = _rows_of(head, kinds, "mouth", "teeth_lower")
    if len(mouth):
        share = _jaw_share(head, kinds, anatomy, mouth)
        result[mouth] = 0
        result[mouth, source.joint("oc1")] = 1 - share
        result[mouth, jaw] += share
    other = _rows_of(head, kinds, "other")
    if len(other):
        result[other] = own[_nearest_skin(head, other)]
    total = result.sum(1, keepdims=True)
    empty = total[:, 0] <= 1e-6
    result[empty] = np.eye(len(source.joint_names))[source.joint("oc1")]
    return result / np.where(empty[:, None], 1, total)


def _kept_joints(source: Character, joints: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Joints that hold a vertex, the neck, jaw and eyes, and everything above them."""
    used = np.zeros(len(source.joint_names), bool)
    used[np.unique(joints[values > 0])] = True
    for name in (*JOINTS, "jaw", "eye.L", "eye.R"):
        if name in source.joint_names:
            used[source.joint(name)] = True
    for joint in reversed(range(len(used))):
        if used[joint] and source.parents[joint] >= 0:
            used[source.parents[joint]] = True
    return np.flatnonzero(used)


def _joints(
    source: Character, head: HeadMesh, carried: Carried, kinds: dict[int, str], anatomy: Anatomy
) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails (J, 3): those of the source taken along with the skin around them; eyes at their balls."""
    own = warp(carried.template, carried.placing, source.heads.astype(np.float64), 0.05)
    ends = warp(carried.template, carried.placing, source.tails.astype(np.float64), 0.05)
    for side, kind in (("L", "eye_left"), ("R", "eye_right")):
        name = f"eye.{side}"
        if name not in source.joint_names:
            continue
        joint = source.joint(name)
        length = float(np.linalg.norm(source.tails[joint] - source.heads[joint])) * carried.placing.scale
        own[joint] = anatomy.eyes[side]
        rows = _rows_of(head, kinds, kind)
        if len(rows):
            ball = _ball_rows(head, rows)
            own[joint] = eyeball(head.vertices[ball])[0]
        ends[joint] = own[joint] + [0, 0, length]
    return own, ends


def _ball_rows(head: HeadMesh, rows: np.ndarray) -> np.ndarray:
    """The vertices of the largest round piece among those of one eye: the ball itself, not iris or cornea."""
    pieces, counts = np.unique(head.piece[rows], return_counts=True)
    depth = [np.ptp(head.vertices[rows[head.piece[rows] == piece], 2]) for piece in pieces]
    return rows[head.piece[rows] == pieces[int(np.argmax(np.round(depth, 4) + 1e-9 * counts))]]


def landmarks_of(head: HeadMesh, carried: Carried) -> dict[str, int]:
    """The landmarks of the source as vertices of the mesh: those bound nearest to them."""
    template = carried.template
    number = {int(row): i for i, row in enumerate(template.rows)}
    result = {}
    tree = cKDTree(head.surface.vertices)
    smooth_template = carried.fine.vertices[: len(template.rows)]
    for name, vertex in template.source.landmarks.items():
        if vertex in number:
            _, near = tree.query(smooth_template[number[vertex]], min(12, len(head.core)))
            share = np.asarray(carried.rows[near, number[vertex]].todense()).ravel()
            best = int(near[int(np.argmax(share))]) if share.max() > 0.2 else int(near[0])
            result[name] = int(head.core[best])
    return result


def _uv(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """The UVs of the mesh, or where it has none the view from the front, one corner a vertex."""
    if len(mesh.uv) and len(mesh.face_uv) == len(mesh.faces):
        return np.asarray(mesh.uv, np.float32), np.asarray(mesh.face_uv, np.int32)
    flat = np.asarray(mesh.vertices, np.float64)[:, :2]
    flat = (flat - flat.min(0)) / max(float(np.ptp(flat, axis=0).max()), 1e-9)
    return flat.astype(np.float32), np.asarray(mesh.faces, np.int32)


def _looking(
    head: HeadMesh, parts: tuple[Part, ...], uv: np.ndarray, face_uv: np.ndarray, source: Character, heads: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The UVs with those of eyeballs on the bundled human's eye map, one a vertex, so that they are not blind.

    Args:
        heads: (J, 3) of the source's joints on the mesh; the eyes' lie in their balls.
    """
    face_uv = face_uv.copy()
    for part in parts:
        if part.material != "eye":
            continue
        centre = heads[source.joint("eye.L" if part.name.startswith("eye_left") else "eye.R")]
        face_uv[part.faces] += len(uv) - part.vertices.start
        uv = np.concatenate([uv, map_around(head.vertices[part.vertices], centre)])
    return uv.astype(np.float32), face_uv


def _materials(parts: tuple[Part, ...]) -> dict[str, Material]:
    own = {"eye": _WHITE, "hair": _HAIR, "other": _OTHER}
    return {part.material: own.get(part.material) or PLAIN[part.material] for part in parts}
