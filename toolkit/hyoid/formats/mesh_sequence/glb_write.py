# SPDX-License-Identifier: Apache-2.0
"""Sequences into a binary glTF: changed positions in a copy of the source, or one new mesh with a target a frame."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import hyoid
from hyoid.errors import InputError, UsageError
from hyoid.files import part_file
from hyoid.formats import glb_read
from hyoid.formats.glb_accessors import Accessors
from hyoid.formats.gltf_buffer import INDEX_DATA, VERTEX_DATA, Buffer
from hyoid.formats.mesh_sequence import MeshSequence
from hyoid.formats.mesh_sequence.glb_targets import Layout, Piece, base, layout, structure
from hyoid.geometry import meshes

LARGEST = 512 << 20
"""Bytes of positions and weights of a new file; they are in memory together."""
_FLOAT = 5126
_TURNS = 1e-7
_ELSEWHERE = "Write .npz, .usdc or a folder instead"


def write(
    path: Path, source: MeshSequence, frames: Iterator[np.ndarray], fps: float | None, rotations: np.ndarray | None
) -> None:
    """Write frames to a .glb: patched into a copy where the source is one, else as a base mesh and its targets.

    Raises:
        UsageError: too large, or a source whose targets cannot hold these frames.
        InputError: the source is damaged. OutputError: it cannot be written.
    """
    if source.kind == "glb":
        held = [points.astype(np.float32) for points in frames]
        with structure(source.path):
            found = layout(source.path)
            _check_room(found, source.path)
            patch = _Patch(found, source.path)
            patch.fill(held, rotations)
        with part_file(path) as part:
            patch.write(part)
        return
    size = len(source.names) * (12 * source.vertices + 4 * len(source.names))
    if size > LARGEST:
        raise UsageError(
            f"{len(source.names)} frames of {source.vertices} vertices need {size >> 20} MiB of morph targets",
            path=path, expected=f"at most {LARGEST >> 20} MiB in a .glb", hint=_ELSEWHERE,
        )  # fmt: skip
    with part_file(path) as part:
        _new(part, source, frames, fps)


def _new(path: Path, source: MeshSequence, frames: Iterator[np.ndarray], fps: float | None) -> None:
    buffer, count = Buffer(), len(source.names)
    rest = next(frames).astype("<f4")
    primitive: dict[str, Any] = {"attributes": {"POSITION": buffer.accessor(rest, VERTEX_DATA, bounds=True)}}
    if len(source.faces):
        corners = meshes.triangulate(source.faces).reshape(-1)
        kind = np.uint16 if source.vertices < 1 << 16 else np.uint32  # the largest index of a type means a break
        primitive["indices"] = buffer.accessor(corners.astype(kind), INDEX_DATA)
    else:
        primitive["mode"] = 0
    targets = [
        {"POSITION": buffer.accessor((points - rest).astype("<f4"), VERTEX_DATA, bounds=True)} for points in frames
    ]
    mesh: dict[str, Any] = {"name": source.names[0], "primitives": [primitive]}
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"Hyoid {hyoid.__version__}"},
        "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [_node(source)], "meshes": [mesh],
    }  # fmt: skip
    if targets:
        primitive["targets"] = targets
        mesh |= {"weights": [0.0] * len(targets), "extras": {"targetNames": list(source.names[1:])}}
        if fps:
            times = (np.arange(count) / fps).astype("<f4")
            weights = np.eye(count, dtype="<f4")[:, 1:].reshape(-1)
            sampler = {"input": buffer.accessor(times, bounds=True), "output": buffer.accessor(weights)}
            channel = {"sampler": 0, "target": {"node": 0, "path": "weights"}}
            document["animations"] = [{"name": "sequence", "samplers": [sampler], "channels": [channel]}]
    buffer.write(path, document)


def _node(source: MeshSequence) -> dict[str, Any]:
    """glTF is +Y up and in metres: where the source says that it is not, the node makes up for it."""
    node: dict[str, Any] = {"name": source.path.stem, "mesh": 0}
    if source.up == "Z":
        node["rotation"] = [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]
    if source.metres not in (None, 1.0):
        node["scale"] = [source.metres] * 3
    return node


def _check_room(found: Layout, path: Path) -> None:
    """Refuse where two frames would have to lie in one place.

    Raises:
        UsageError: a mesh is shown twice, or lacks a target that another mesh has.
    """
    shown = Counter(piece.mesh for piece in {(piece.node, piece.mesh): piece for piece in found.pieces}.values())
    for mesh, times in shown.items():
        if times > 1:
            raise UsageError(
                f"shows mesh {mesh} {times} times", path=path, expected="each mesh once, to be changed in place",
                hint=_ELSEWHERE,
            )  # fmt: skip
    for number, piece in enumerate(found.pieces):
        choices = found.choices[:, number].tolist()
        twice = next((frame for frame, choice in enumerate(choices) if choice in choices[:frame]), None)
        lacking = [target for target in choices if target >= 0 and piece.targets[target] is None]
        if twice is not None or lacking:
            name = found.names[twice] if twice is not None else piece.names[lacking[0]]
            raise UsageError(
                f"mesh {piece.mesh} has no positions of its own for '{name}'", path=path,
                expected="every target in every mesh, to be changed in place", hint=_ELSEWHERE,
            )  # fmt: skip


class _Patch:
    """A copy of a file whose positions are replaced: in place where an accessor is plain and used once, else anew."""

    def __init__(self, found: Layout, path: Path) -> None:
        self.found, self.accessors = found, Accessors(found.glb, path)
        self.document: dict[str, Any] = json.loads(json.dumps(found.glb.document))
        self.binary = bytearray(found.glb.binary)
        self.uses = _uses(self.document)
        self.shared = _sharing(self.document)

    def fill(self, frames: Sequence[np.ndarray], rotations: np.ndarray | None) -> None:
        """Take in every frame, (vertices, 3) each."""
        first = 0
        for number, piece in enumerate(self.found.pieces):
            choices = self.found.choices[:, number].tolist()
            rows = slice(first, first + piece.count)
            first += piece.count
            local = [_into(points[rows], piece, self.accessors.path) for points in frames]
            if -1 in choices:
                rest = local[choices.index(-1)].astype("<f4")
                self._put(piece, "POSITION", None, rest)
            else:  # no frame shows the base: it stays, and the targets go on from it
                rest = base(piece, self.accessors).astype("<f4")
            for points, target in zip(local, choices, strict=True):
                if target >= 0:
                    self._put(piece, "POSITION", target, (points - rest).astype("<f4"))
            if rotations is not None and np.abs(rotations - np.eye(3)).max() > _TURNS:
                self._turn(piece, number, rotations)

    def _turn(self, piece: Piece, number: int, rotations: np.ndarray) -> None:
        """Normals and tangents of a piece: those at rest, and under each target from them."""
        left, _, right = np.linalg.svd(piece.transform[:3, :3])
        own = left @ right  # the node's turn without its scale
        turns = own.T @ rotations @ own
        choices = self.found.choices[:, number].tolist()
        rest_turn = turns[choices.index(-1)] if -1 in choices else np.eye(3)
        primitives = self.found.glb.document["meshes"][piece.mesh]["primitives"]
        for name in ("NORMAL", "TANGENT"):
            for index in dict.fromkeys(primitives[p]["attributes"].get(name) for p in piece.primitives):
                if index is None:
                    continue
                old = self.accessors.get(index)
                rest = old.copy()
                rest[:, :3] = old[:, :3] @ rest_turn.T
                rest = rest.astype("<f4")
                users = [p for p in piece.primitives if primitives[p]["attributes"].get(name) == index]
                for frame, target in enumerate(choices):
                    if target >= 0:
                        self._turn_target(piece, users, (name, target), old, rest, turns[frame])
                self._put(piece, name, None, rest, users)

    def _turn_target(
        self, piece: Piece, users: list[int], slot: tuple[str, int], old: np.ndarray, rest: np.ndarray, turn: np.ndarray
    ) -> None:
        primitives, (name, target) = self.found.glb.document["meshes"][piece.mesh]["primitives"], slot
        for index in dict.fromkeys(primitives[p]["targets"][target].get(name) for p in users):
            shown = old[:, :3] if index is None else old[:, :3] + self.accessors.get(index)
            same = [p for p in users if primitives[p]["targets"][target].get(name) == index]
            self._put(piece, name, target, (shown @ turn.T - rest[:, :3]).astype("<f4"), same)

    def _put(
        self, piece: Piece, name: str, target: int | None, values: np.ndarray, users: list[int] | None = None
    ) -> None:
        """Store the values of an attribute, at rest or of a target, for the primitives ``users`` of a piece."""
        primitives = self.document["meshes"][piece.mesh]["primitives"]
        slots = [
            primitives[p]["attributes"] if target is None else primitives[p]["targets"][target]
            for p in (piece.primitives if users is None else users)
        ]
        index: int = slots[0].get(name, -1)
        accessors = self.document["accessors"]
        alone = self.uses[index] == len(slots)
        record: dict[str, Any] = {"componentType": _FLOAT, "count": len(values)}
        record["type"] = "VEC4" if values.shape[1] == 4 else "VEC3"
        if name == "POSITION":
            record |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
        if alone and self._in_place(index, values):
            accessors[index] |= record
            return
        if not alone:
            index = len(accessors)
            accessors.append(record)
            for slot in slots:
                slot[name] = index
        else:
            accessors[index] = record
        record["bufferView"] = self._append(values)

    def _in_place(self, index: int, values: np.ndarray) -> bool:
        """Overwrite an accessor's own bytes, where it has plain floats that no other accessor shares."""
        record = self.document["accessors"][index]
        kind = "VEC4" if values.shape[1] == 4 else "VEC3"
        plain = record["componentType"] == _FLOAT and record["type"] == kind and "sparse" not in record
        if not plain or record.get("bufferView") is None or index in self.shared:
            return False
        view = self.document["bufferViews"][record["bufferView"]]
        start = view.get("byteOffset", 0) + record.get("byteOffset", 0)
        step = view.get("byteStride", 4 * values.shape[1])
        np.ndarray(values.shape, "<f4", self.binary, start, (step, 4))[:] = values
        return True

    def _append(self, values: np.ndarray) -> int:
        self.binary += b"\0" * (-len(self.binary) % 4)
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": values.nbytes, "target": VERTEX_DATA}
        self.document["bufferViews"].append(view)
        self.binary += values.tobytes()
        return len(self.document["bufferViews"]) - 1

    def write(self, path: Path) -> None:
        """Write the .glb."""
        self.binary += b"\0" * (-len(self.binary) % 4)
        buffer = (self.document.get("buffers") or [{}])[0]
        self.document["buffers"] = [buffer | {"byteLength": len(self.binary)}]
        text = json.dumps(self.document, ensure_ascii=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        with open(path, "wb") as stream:
            stream.write(struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(self.binary)))
            stream.write(struct.pack("<I4s", len(text), b"JSON") + text)
            stream.write(struct.pack("<I4s", len(self.binary), b"BIN\0"))
            stream.write(self.binary)


def _into(world: np.ndarray, piece: Piece, path: Path) -> np.ndarray:
    """Scene positions in the space of a piece's node."""
    if np.array_equal(piece.transform, np.eye(4)):
        return world
    if abs(np.linalg.det(piece.transform[:3, :3])) < 1e-30:
        raise InputError(f"node {piece.node} is scaled to nothing", path=path, expected="a transform to be undone")
    return (world - piece.transform[:3, 3]) @ np.linalg.inv(piece.transform[:3, :3]).T


def _uses(document: dict[str, Any]) -> Counter[int]:
    """How many places name each accessor."""
    used: Counter[int] = Counter()
    for mesh in document.get("meshes", []):
        for primitive in mesh["primitives"]:
            used.update(primitive["attributes"].values())
            used.update(index for target in primitive.get("targets", []) for index in target.values())
            if "indices" in primitive:
                used[primitive["indices"]] += 1
    for skin in document.get("skins", []):
        used[skin.get("inverseBindMatrices", -1)] += 1
    for animation in document.get("animations", []):
        for sampler in animation["samplers"]:
            used.update((sampler["input"], sampler["output"]))
    return used


def _sharing(document: dict[str, Any]) -> set[int]:
    """Accessors whose bytes overlap those of another one: interleaved, or stored once for several."""
    views = document.get("bufferViews", [])
    spans = []
    for index, record in enumerate(document.get("accessors", [])):
        if record.get("bufferView") is None:
            continue
        view = views[record["bufferView"]]
        start = view.get("byteOffset", 0) + record.get("byteOffset", 0)
        size = glb_read.COMPONENT_BYTES[record["componentType"]] * glb_read.WIDTHS[record["type"]]
        spans.append((start, start + (view.get("byteStride") or size) * (record["count"] - 1) + size, index))
    shared: set[int] = set()
    end, owner = -1, -1
    for start, stop, index in sorted(spans):
        if start < end:
            shared |= {owner, index}
        if stop > end:
            end, owner = stop, index
    return shared
