# SPDX-License-Identifier: Apache-2.0
"""Sequences in a binary glTF: the base mesh and its morph targets are the frames. The file is in memory as a whole.

Where an animation shows the targets one after another, each at its full weight and all of them once, the frames are its
keys. Elsewhere frame 0 is the base mesh, and every target by its name is one more frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError
from hyoid.formats import glb_mesh, glb_read, polygons, rows
from hyoid.formats.glb_accessors import Accessors
from hyoid.formats.glb_read import Glb
from hyoid.formats.mesh_sequence import MeshSequence

LARGEST = 2 << 30
"""Bytes of a file that is read."""
_TRIANGLES = 4
_SAME = 1e-4
_BASE = -1


@dataclass(frozen=True)
class Piece:
    """Positions that one node shows: some primitives of a mesh that share their accessors.

    Attributes:
        node, mesh: their numbers. primitives: numbers in the mesh. base: accessor of the positions.
        targets: accessor of each target's offsets, None where it moves nothing here.
        names: of the targets. count: vertices. transform: (4, 4) to the scene.
    """

    node: int
    mesh: int
    primitives: tuple[int, ...]
    base: int
    targets: tuple[int | None, ...]
    names: tuple[str, ...]
    count: int
    transform: np.ndarray


@dataclass(frozen=True)
class Layout:
    """How the frames lie in a file.

    Attributes:
        glb: the file. pieces: in the order in which their vertices follow one another.
        choices: (frames, pieces) int, the target of each piece in each frame, -1 for the base.
        names: one a frame. fps: of the animation that shows the targets, else None.
    """

    glb: Glb
    pieces: tuple[Piece, ...]
    choices: np.ndarray
    names: tuple[str, ...]
    fps: float | None


def open_file(path: Path) -> MeshSequence:
    """The sequence in a .glb, node transforms applied; vertices as they lie in the file, seams still split.

    Raises:
        InputError: missing, damaged, compressed, without meshes, larger than :data:`LARGEST`, or animated in a way that
            does not go with frames.
    """
    found = layout(path)
    accessors = Accessors(found.glb, path)
    faces = _faces(found, accessors, path)

    def read(start: int, stop: int) -> Iterator[np.ndarray]:
        with structure(path):
            still = [base(piece, accessors) for piece in found.pieces]
            for choice in found.choices[start:stop]:
                parts = [
                    placed(moved(piece, rest, target, accessors), piece.transform)
                    for piece, rest, target in zip(found.pieces, still, choice.tolist(), strict=True)
                ]
                yield np.concatenate(parts)

    vertices = sum(piece.count for piece in found.pieces)
    polygons.check_counts(vertices, len(faces), path)
    return MeshSequence(path, "glb", found.names, vertices, faces, found.fps, "Y", 1.0, (path,), read)


def layout(path: Path) -> Layout:
    """Where the frames of a .glb are.

    Raises:
        InputError: see :func:`open_file`.
    """
    if path.stat().st_size > LARGEST:
        hint = "Morph targets are read as a whole: use .npz, USD or Alembic for long sequences"
        raise InputError(
            f"{path.stat().st_size} bytes", path=path, expected=f"at most {LARGEST >> 30} GiB of glTF", hint=hint
        )
    glb = glb_read.read(path)
    used = [name for name in glb_mesh.COMPRESSED if name in glb.document.get("extensionsUsed", [])]
    if used:
        raise InputError(f"is compressed ({used[0]})", path=path, hint="Export it without compression")
    with structure(path):
        pieces = _pieces(glb.document, Accessors(glb, path), path)
        if not pieces:
            raise InputError("holds no meshes", path=path, expected="a mesh")
        stepped = _stepped(glb.document, pieces, Accessors(glb, path), path)
        name = str(glb.document["meshes"][pieces[0].mesh].get("name") or "basis")
        if stepped is not None:
            choices, fps = stepped
            first = next(number for number, piece in enumerate(pieces) if piece.targets)
            names = [name if target == _BASE else pieces[first].names[target] for target in choices[:, first].tolist()]
            return Layout(glb, pieces, choices, tuple(names), fps)
        targets = list(dict.fromkeys(target for piece in pieces for target in piece.names))
        choices = np.full((1 + len(targets), len(pieces)), _BASE)
        for number, piece in enumerate(pieces):
            for index, target in enumerate(piece.names):
                choices[1 + targets.index(target), number] = index
        return Layout(glb, pieces, choices, (name, *targets), None)


@contextmanager
def structure(path: Path) -> Iterator[None]:
    """Turn what damaged JSON raises into an error that names the file."""
    try:
        yield
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(f"its structure is damaged ({error})", path=path, expected="a whole .glb") from error


def base(piece: Piece, accessors: Accessors) -> np.ndarray:
    """The resting positions of a piece in its own space, (count, 3) float64."""
    return accessors.get(piece.base)


def moved(piece: Piece, rest: np.ndarray, target: int, accessors: Accessors) -> np.ndarray:
    """The positions of a piece under one of its targets, -1 for none."""
    index = None if target == _BASE else piece.targets[target]
    if index is None:
        return rest
    offsets = accessors.get(index)
    if offsets.shape != rest.shape:
        raise InputError(
            f"target '{piece.names[target]}' has {len(offsets)} vertices", path=accessors.path, expected=f"{len(rest)}"
        )
    return rest + offsets


def placed(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Positions in the scene."""
    if np.array_equal(transform, np.eye(4)):
        return points
    return points @ transform[:3, :3].T + transform[:3, 3]


def _pieces(document: dict[str, Any], accessors: Accessors, path: Path) -> tuple[Piece, ...]:
    found = []
    for node, number, transform in _placed_nodes(document):
        mesh = document["meshes"][number]
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, primitive in enumerate(mesh["primitives"]):
            targets = tuple(target.get("POSITION") for target in primitive.get("targets", []))
            groups.setdefault((primitive["attributes"]["POSITION"], targets), []).append(index)
        for (position, targets), primitives in groups.items():
            count = accessors.get(position).shape
            if len(count) != 2 or count[1] != 3:
                raise InputError(f"positions of mesh {number} have {count[1]} numbers", path=path, expected="3")
            names = _target_names(mesh, len(targets))
            found.append(Piece(node, number, tuple(primitives), position, targets, names, count[0], transform))
    return tuple(found)


def _placed_nodes(document: dict[str, Any]) -> list[tuple[int, int, np.ndarray]]:
    """Node, mesh and transform of each node that shows a mesh, by mesh; skinned meshes stand where their vertices say.

    ``glb_mesh`` walks the same tree, but does not tell which node it came by.
    """
    nodes: list[dict[str, Any]] = document.get("nodes", [])
    marked = document | {"nodes": [node | {"mesh": number} if "mesh" in node else node
                                   for number, node in enumerate(nodes)]}  # fmt: skip
    placed = glb_mesh.placed_meshes(marked)
    return sorted(((node, nodes[node]["mesh"], matrix) for node, matrix in placed), key=lambda entry: entry[:2][::-1])


def _target_names(mesh: dict[str, Any], count: int) -> tuple[str, ...]:
    given = (mesh.get("extras") or {}).get("targetNames") or []
    names: dict[str, None] = {}
    for index in range(count):
        name = str(given[index]) if index < len(given) and given[index] else f"target {index}"
        unused, again = name, 1
        while unused in names:
            again += 1
            unused = f"{name} {again}"
        names[unused] = None
    return tuple(names)


def _faces(found: Layout, accessors: Accessors, path: Path) -> np.ndarray:
    faces, first = [np.zeros((0, 4), np.int32)], 0
    with structure(path):
        for piece in found.pieces:
            mesh = found.glb.document["meshes"][piece.mesh]
            for number in piece.primitives:
                primitive = mesh["primitives"][number]
                if primitive.get("mode", _TRIANGLES) != _TRIANGLES:
                    continue
                order = accessors.get(primitive["indices"])[:, 0] if "indices" in primitive else np.arange(piece.count)
                corners = order.astype(np.int64)[: len(order) // 3 * 3].reshape(-1, 3)
                if len(corners) and not 0 <= corners.min() <= corners.max() < piece.count:
                    raise InputError(f"mesh {piece.mesh} names vertex {corners.max()} of {piece.count}", path=path)
                faces.append((corners[:, [0, 1, 2, 2]] + first).astype(np.int32))
            first += piece.count
    return np.concatenate(faces)


def _stepped(
    document: dict[str, Any], pieces: tuple[Piece, ...], accessors: Accessors, path: Path
) -> tuple[np.ndarray, float | None] | None:
    """(frames, pieces) choices and fps of the first animation that shows every target alone and once; None without."""
    wanted = {piece.node for piece in pieces if piece.targets}
    for animation in document.get("animations", []) if wanted else []:
        channels = {
            channel["target"]["node"]: animation["samplers"][channel["sampler"]]
            for channel in animation["channels"]
            if channel["target"].get("path") == "weights" and channel["target"].get("node") in wanted
        }
        if set(channels) != wanted or any(
            sampler.get("interpolation", "LINEAR") not in ("LINEAR", "STEP") for sampler in channels.values()
        ):
            continue
        times = [accessors.get(sampler["input"])[:, 0] for sampler in channels.values()]
        if any(not np.array_equal(other, times[0]) for other in times[1:]) or not len(times[0]):
            continue
        columns = []
        for piece in pieces:
            weights = accessors.get(channels[piece.node]["output"])[:, 0] if piece.targets else np.zeros(0)
            columns.append(_choices(weights, len(times[0]), len(piece.targets)))
        if any(column is None for column in columns):
            continue
        _refuse_moving_nodes(document, animation, pieces, path)
        steps = np.diff(times[0])
        if (steps <= 0).any() or not np.isfinite(times[0]).all():
            raise InputError("its animation's times do not rise", path=path, expected="rising times")
        fps = rows.nearest_rate(float(1 / np.median(steps)), _SAME) if len(steps) else None
        return np.stack(columns, 1), fps  # type: ignore[arg-type]
    return None


def _choices(weights: np.ndarray, keys: int, targets: int) -> np.ndarray | None:
    """The target that is alone at each key, -1 where none is; None where weights mix, or a target has not one key."""
    if not targets:
        return np.full(keys, _BASE)
    if len(weights) != keys * targets:
        return None
    table = weights.reshape(keys, targets)
    full, none = np.abs(table - 1) < _SAME, np.abs(table) < _SAME
    if not (full | none).all() or (full.sum(1) > 1).any() or (full.sum(0) != 1).any() or (~full.any(1)).sum() > 1:
        return None
    return np.where(full.any(1), full.argmax(1), _BASE)


def _refuse_moving_nodes(
    document: dict[str, Any], animation: dict[str, Any], pieces: tuple[Piece, ...], path: Path
) -> None:
    above = {child: number for number, node in enumerate(document["nodes"]) for child in node.get("children", [])}
    held: set[int] = set()
    for piece in pieces:
        node: int | None = piece.node
        while node is not None and node not in held:
            held.add(node)
            node = above.get(node)
    for channel in animation["channels"]:
        target = channel["target"]
        if target.get("path") in ("translation", "rotation", "scale") and target.get("node") in held:
            raise InputError(
                "moves the node of its mesh while it shows the targets", path=path, expected="one or the other",
                hint="Bake the motion into the targets, or export as USD or Alembic",
            )  # fmt: skip
