# SPDX-License-Identifier: Apache-2.0
"""The triangles of a ``.glb`` at rest: node transforms applied, vertices that texture seams split made one again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError
from hyoid.formats import glb_read, polygons
from hyoid.formats.checks import finite
from hyoid.formats.glb_accessors import Accessors
from hyoid.geometry.mesh import Mesh

COMPRESSED = ("KHR_draco_mesh_compression", "EXT_meshopt_compression")
_DEEPEST = 500
_TRIANGLES = 4


def read(path: Path) -> Mesh:
    """Every triangle mesh of the file, one group for each material (or mesh, where materials have no names).

    Vertices at exactly the same place become one; they keep the order in which they first appear.

    Raises:
        InputError: damaged, compressed, without triangles, or numbers that are not finite.
    """
    glb = glb_read.read(path)
    document = glb.document
    used = [name for name in COMPRESSED if name in document.get("extensionsUsed", [])]
    if used:
        raise InputError(f"is compressed ({used[0]})", path=path, hint="Export it without compression")
    try:
        pieces = _pieces(document, Accessors(glb, path), path)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise InputError(f"its structure is damaged ({error})", path=path, expected="a whole .glb") from None
    if not pieces:
        raise InputError("holds no triangles", path=path, expected="a mesh")
    corners = np.concatenate([points for points, _, _, _ in pieces])
    finite("vertices", corners, path)
    starts = np.cumsum([0, *(len(points) for points, _, _, _ in pieces)])
    raw = np.concatenate([faces + start for (_, faces, _, _), start in zip(pieces, starts, strict=False)])
    uv = np.concatenate([coordinates for _, _, coordinates, _ in pieces]).astype(np.float32)
    finite("texture coordinates", uv, path)
    names = list(dict.fromkeys(name for _, _, _, name in pieces))
    groups = np.concatenate([np.full(len(faces), names.index(name)) for _, faces, _, name in pieces])
    vertices, index = polygons.welded(corners)
    flat = raw.reshape(-1)
    slots, owner = polygons.cut(np.full(len(raw), 3), index[flat])
    polygons.check_counts(len(vertices), len(slots), path)
    return Mesh(
        vertices, index[flat][slots].astype(np.int32), uv, flat[slots].astype(np.int32),
        groups[owner].astype(np.int32), tuple(names),
    )  # fmt: skip


def _pieces(
    document: dict[str, Any], accessors: Accessors, path: Path
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, str]]:
    """Points (n, 3), triangles (m, 3), texture coordinates (n, 2) and group of every primitive, in scene space."""
    found = []
    for number, transform in placed_meshes(document):
        mesh = document["meshes"][number]
        for primitive in mesh["primitives"]:
            if primitive.get("mode", _TRIANGLES) != _TRIANGLES:
                continue
            points = accessors.get(primitive["attributes"]["POSITION"])
            if points.shape[1] != 3:
                raise InputError(f"positions of mesh {number} have {points.shape[1]} numbers", path=path)
            points = points @ transform[:3, :3].T + transform[:3, 3]
            order = accessors.get(primitive["indices"])[:, 0] if "indices" in primitive else np.arange(len(points))
            order = order.astype(np.int64)
            if len(order) and not 0 <= order.min() <= order.max() < len(points):
                raise InputError(f"mesh {number} names vertex {order.max()} of {len(points)}", path=path)
            faces = order[: len(order) // 3 * 3].reshape(-1, 3)
            uv = np.zeros((len(points), 2))
            if "TEXCOORD_0" in primitive["attributes"]:
                uv = accessors.get(primitive["attributes"]["TEXCOORD_0"])[:, :2] * [1, -1] + [0, 1]
                if uv.shape != (len(points), 2):
                    raise InputError(f"mesh {number} has {len(uv)} texture coordinates", path=path)
            material = primitive.get("material")
            name = "" if material is None else str(document["materials"][material].get("name", ""))
            found.append((points, faces, uv, name or str(mesh.get("name", ""))))
    return [piece for piece in found if len(piece[1])]


def placed_meshes(document: dict[str, Any]) -> list[tuple[int, np.ndarray]]:
    """Each mesh that a node shows, with its transform to the scene; a skinned mesh stands where its vertices say."""
    nodes, found = document.get("nodes", []), []
    children = {child for node in nodes for child in node.get("children", [])}
    roots = [(number, np.eye(4), 0) for number in range(len(nodes)) if number not in children]
    while roots:
        number, transform, depth = roots.pop()
        if depth > _DEEPEST or not 0 <= number < len(nodes):
            raise ValueError("the nodes form no tree")
        node = nodes[number]
        own = transform @ _transform(node)
        if "mesh" in node:
            found.append((node["mesh"], np.eye(4) if "skin" in node else own))
        roots += [(child, own, depth + 1) for child in node.get("children", [])]
        if len(found) + len(roots) > 100 * (len(nodes) + 1):
            raise ValueError("the nodes form no tree")
    return sorted(found, key=lambda item: item[0])


def _transform(node: dict[str, Any]) -> np.ndarray:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    from hyoid.geometry import rotations

    x, y, z, w = (float(value) for value in node.get("rotation", (0, 0, 0, 1)))
    matrix = np.eye(4)
    matrix[:3, :3] = rotations.to_matrix(np.array([w, x, y, z])) * np.array(node.get("scale", (1, 1, 1)), np.float64)
    matrix[:3, 3] = np.array(node.get("translation", (0, 0, 0)), np.float64)
    return matrix
