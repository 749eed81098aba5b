# SPDX-License-Identifier: Apache-2.0
"""Binary glTF (.glb), written directly: skinned meshes with named morph targets, textures, skeleton and one animation.

One mesh per part, all at the scene's root beside the armature, as the specification asks of skinned meshes. Every mesh
carries only the shapes that move it; the face carries all 52 ARKit shapes first, whether they move it or not.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

import hyoid
from hyoid.characters import arkit, neck, performance
from hyoid.characters.character import Character, Material, Part
from hyoid.characters.lighter import both_signs, lighter
from hyoid.characters.performance import Performance
from hyoid.errors import InputError
from hyoid.formats.checks import finite, valid_take
from hyoid.formats.gltf_buffer import INDEX_DATA, VERTEX_DATA, Buffer
from hyoid.formats.gltf_mesh import Surface, Wedges, moved_normals, spread, surface, tangents, wedges
from hyoid.geometry import rotations
from hyoid.take import Take

_MOVES = 1e-6
"""A rotation component or a weight that never leaves its rest by more than this is not animated."""
_MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


def write(path: Path, character: Character, take: Take | None = None, *, morph_normals: bool = True) -> None:
    """Write a character, and its performance if there is one, to ``path``; equal input gives equal bytes.

    Args:
        take: the performance; None writes the character at rest.
        morph_normals: store how normals turn under each shape: right shading for about a third more bytes.

    Raises:
        InputError: the character or the take holds numbers that are not finite, or a texture cannot be read.
        OutputError: the file would pass the 4 GiB that a .glb can hold.
    """
    if take is not None:
        valid_take(take)
    for name in ("vertices", "uv", "weights", "heads"):
        finite(f"the character's {name}", getattr(character, name))
    finite("the character's shapes", character.shapes.offsets)
    character = lighter(character)
    performed = None if take is None else performance.perform(character, take)
    if performed is not None:
        character, performed = both_signs(character, performed)
    scales = _scales(character, performed)
    buffer = Buffer()
    parts = [part for part in character.parts if part.faces.stop > part.faces.start]
    names = list(dict.fromkeys(part.material for part in parts))
    used = [character.materials[name] for name in names]
    materials, textures = _materials(used)
    carried = _carried_shapes(character, parts)
    meshes = []
    for part, shapes in zip(parts, carried, strict=True):
        index = names.index(part.material)
        split, still = wedges(character, part), surface(character, part)
        primitive = _primitive(buffer, character, part, split, still, normal_map=used[index].normal_map is not None)
        mesh: dict[str, Any] = {"name": part.name, "primitives": [primitive | {"material": index}]}
        if len(shapes):
            moves = [_shape_rows(character, part, shape, scales[shape]) for shape in shapes.tolist()]
            mesh["primitives"][0]["targets"] = _targets(buffer, split, still, moves, morph_normals)
            mesh["extras"] = _target_names(character, shapes, scales)
        meshes.append(mesh)
    skin = _skin(buffer, character)
    joints = len(character.joint_names)
    nodes = _nodes(character) + [{"name": part.name, "mesh": index, "skin": 0} for index, part in enumerate(parts)]
    document: dict[str, Any] = {
        "asset": _asset(character, take),
        "scene": 0,
        "scenes": [{"name": character.name, "nodes": [0, *range(1 + joints, len(nodes))]}],
        "nodes": nodes,
        "meshes": meshes,
        "skins": [skin],
        "materials": materials,
    }
    if textures:
        document |= _embedded(buffer, textures)
    if take is not None and performed is not None:
        performed = replace(performed, shape_weights=performed.shape_weights / scales)
        animation = _animation(buffer, character, take, performed, carried)
        # glTF knows no empty animation: a character without a neck that keeps still has none.
        document |= {"animations": [animation]} if animation["channels"] else {}
    buffer.write(path, document)


def _asset(character: Character, take: Take | None) -> dict[str, Any]:
    """Core glTF has no place for sound, events and provenance: they travel in the extras."""
    identity: dict[str, Any] = {"name": character.name, "settings": dict(character.settings)}
    extras: dict[str, Any] = {"character": identity}
    if take is not None:
        # The file shows joints with what curves add to them; a reader has to know, or it would add it twice.
        identity |= {"part": take.character.part, "drivers": [asdict(driver) for driver in character.drivers]}
        if character.correctives:  # their weights follow the joints: a reader makes no curves of them
            identity["correctives"] = [corrective.shape for corrective in character.correctives]
        extras |= {
            "fps": take.fps,
            "frames": take.frames,
            "mode": take.mode,
            "audio": None if take.audio is None else asdict(take.audio) | {"path": Path(take.audio.path).name},
            "events": [asdict(event) for event in take.events],
            "provenance": asdict(take.provenance),
        }
    return {
        "version": "2.0",
        "generator": f"Hyoid {hyoid.__version__}",
        "copyright": character.licence,
        "extras": {"hyoid": extras},
    }


def _nodes(character: Character) -> list[dict[str, Any]]:
    """Node 0 holds the skeleton (importers make an armature of it), nodes 1 to J are the joints."""
    nodes: list[dict[str, Any]] = [{"name": f"{character.name}_rig"}]
    nodes += [{"name": name} for name in character.joint_names]
    for index, parent in enumerate(character.parents.tolist()):
        offset = character.heads[index] - (character.heads[parent] if parent >= 0 else 0)
        nodes[1 + index]["translation"] = offset.tolist()
        nodes[1 + parent].setdefault("children", []).append(1 + index)
    return nodes


def _skin(buffer: Buffer, character: Character) -> dict[str, Any]:
    inverse = np.tile(np.eye(4, dtype=np.float32), (len(character.heads), 1, 1))
    # glTF matrices are column-major, so the translation is the last row here.
    inverse[:, 3, :3] = -character.heads
    joints = list(range(1, 1 + len(character.joint_names)))
    return {"name": character.name, "skeleton": 0, "joints": joints, "inverseBindMatrices": buffer.accessor(inverse)}


def _carried_shapes(character: Character, parts: list[Part]) -> list[np.ndarray]:
    """For each part the shapes that it carries, rising: those that move it, and all 52 ARKit ones on the face."""
    shapes = character.shapes
    owner = np.repeat(np.arange(len(shapes.names)), np.diff(shapes.starts))
    moving = np.abs(shapes.offsets).max(1, initial=0) > 0
    carried = []
    for part in parts:
        inside = (shapes.vertices >= part.vertices.start) & (shapes.vertices < part.vertices.stop) & moving
        carried.append(np.unique(owner[inside]))
    known = min(len(arkit.NAMES), len(shapes.names))
    if shapes.names[:known] == arkit.NAMES:
        face = max(range(len(parts)), key=lambda index: np.count_nonzero(carried[index] < known))
        carried[face] = np.union1d(np.arange(known), carried[face])
    return carried


def _scales(character: Character, performed: Performance | None) -> np.ndarray:
    """By how much each shape is enlarged in the file, (shapes,) float32, so that its weights stay within 0..1.

    A swallow lifts the larynx by two of its shapes, and most programs, Blender's importer too, stop a weight at 1. The
    ARKit shapes are never enlarged.
    """
    scales = np.ones(len(character.shapes.names), np.float32)
    if performed is not None:
        own = np.array([name not in arkit.NAMES for name in character.shapes.names], bool)
        scales[own] = np.maximum(performed.shape_weights.max(0)[own], 1)
    return scales


def _primitive(
    buffer: Buffer, character: Character, part: Part, split: Wedges, still: Surface, *, normal_map: bool
) -> dict[str, Any]:
    """The geometry of a part at rest."""
    uv = character.uv[split.uv]
    local = split.vertices - part.vertices.start
    positions, normals = still.positions[local], still.normals[local]
    attributes = {
        "POSITION": buffer.accessor(positions, VERTEX_DATA, bounds=True),
        "NORMAL": buffer.accessor(normals, VERTEX_DATA),
        "TEXCOORD_0": buffer.accessor(np.stack([uv[:, 0], 1 - uv[:, 1]], -1).astype(np.float32), VERTEX_DATA),
    } | _influences(buffer, character, split)
    if normal_map:
        attributes["TANGENT"] = buffer.accessor(tangents(positions, normals, uv, split.triangles), VERTEX_DATA)
    index_type = np.uint16 if len(split.vertices) < 0xFFFF else np.uint32
    indices = buffer.accessor(split.triangles.astype(index_type).reshape(-1), INDEX_DATA)
    return {"attributes": attributes, "indices": indices}


def _targets(
    buffer: Buffer, split: Wedges, still: Surface, moves: list[tuple[np.ndarray, np.ndarray]], morph_normals: bool
) -> list[dict[str, int]]:
    """Morph targets; ``moves`` are (part vertices, offsets) of each shape."""
    count = len(split.vertices)
    targets = [
        {"POSITION": index} for index in buffer.sparse(count, [spread(split, *move) for move in moves], bounds=True)
    ]
    if morph_normals:
        turns = [spread(split, *moved_normals(still, *move)) for move in moves]
        for target, index in zip(targets, buffer.sparse(count, turns), strict=True):
            target["NORMAL"] = index
    return targets


def _target_names(character: Character, shapes: np.ndarray, scales: np.ndarray) -> dict[str, Any]:
    names = [character.shapes.names[shape] for shape in shapes.tolist()]
    enlarged = {name: float(scale) for name, scale in zip(names, scales[shapes], strict=True) if scale > 1}
    return {"targetNames": names} | ({"hyoid": {"targetScale": enlarged}} if enlarged else {})


def _shape_rows(character: Character, part: Part, shape: int, scale: np.float32) -> tuple[np.ndarray, np.ndarray]:
    """The part's vertices (counted from its first) that a shape moves, and by how much."""
    shapes = character.shapes
    start, stop = shapes.starts[shape : shape + 2]
    low, high = start + np.searchsorted(shapes.vertices[start:stop], [part.vertices.start, part.vertices.stop])
    return shapes.vertices[low:high].astype(np.int64) - part.vertices.start, shapes.offsets[low:high] * scale


def _influences(buffer: Buffer, character: Character, split: Wedges) -> dict[str, int]:
    """JOINTS_n and WEIGHTS_n, four influences each; the second set only where a vertex of the part needs it."""
    weights = character.weights[split.vertices].astype(np.float64)
    joints = np.where(weights > 0, character.weight_joints[split.vertices], 0)
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    joint_type = np.uint8 if len(character.joint_names) <= 256 else np.uint16
    attributes = {}
    for number in range(2 if (weights[:, 4:] > 0).any() else 1):
        columns = slice(4 * number, 4 * number + 4)
        attributes[f"JOINTS_{number}"] = buffer.accessor(joints[:, columns].astype(joint_type), VERTEX_DATA)
        attributes[f"WEIGHTS_{number}"] = buffer.accessor(weights[:, columns], VERTEX_DATA)
    return attributes


def _materials(used: list[Material]) -> tuple[list[dict[str, Any]], list[Path]]:
    """The material records, and the texture files that they refer to by number."""
    textures: list[Path] = []

    def texture(path: Path) -> dict[str, int]:
        if path not in textures:
            textures.append(path)
        return {"index": textures.index(path)}

    records = []
    for material in used:
        surface_record: dict[str, Any] = {
            "baseColorFactor": [float(value) for value in material.colour],
            "metallicFactor": float(material.metallic),
            "roughnessFactor": float(material.roughness),
        }
        record: dict[str, Any] = {"name": material.name, "pbrMetallicRoughness": surface_record}
        if material.colour_map is not None:
            surface_record["baseColorTexture"] = texture(material.colour_map)
        if material.roughness_map is not None:
            # The blue channel would be metalness; a factor of 0 switches it off.
            surface_record |= {"metallicRoughnessTexture": texture(material.roughness_map), "roughnessFactor": 1.0}
        if material.normal_map is not None:
            record["normalTexture"] = texture(material.normal_map)
        if material.alpha != "opaque":
            record["alphaMode"] = material.alpha.upper()
        if material.double_sided:
            record["doubleSided"] = True
        if material.subsurface:
            record["extras"] = {"subsurface": float(material.subsurface)}
        records.append(record)
    return records, textures


def _embedded(buffer: Buffer, paths: list[Path]) -> dict[str, Any]:
    """Images as they are on disk, one sampler, one texture each."""
    images = []
    for path in paths:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"the texture cannot be read: {error.strerror or error}", path=path) from error
        kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)
        if kind is None:
            raise InputError("is not a texture that glTF can hold", path=path, expected="a PNG or JPEG image")
        view = buffer.view(np.frombuffer(data, np.uint8))
        images.append({"name": Path(path).stem, "mimeType": kind, "bufferView": view})
    return {
        "images": images,
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 10497, "wrapT": 10497}],
        "textures": [{"sampler": 0, "source": index} for index in range(len(images))],
    }


def _animation(
    buffer: Buffer, character: Character, take: Take, performed: Performance, carried: list[np.ndarray]
) -> dict[str, Any]:
    """Joint rotations, root translation and the weights of each mesh, linear, one key a frame.

    What never moves gets one key, what never leaves its rest gets none; the eight cervical joints are always there.
    """
    times = (np.arange(take.frames) / take.fps).astype(np.float32)
    inputs: dict[int, int] = {}
    samplers: list[dict[str, Any]] = []
    channels: list[dict[str, Any]] = []

    def channel(node: int, target: str, values: np.ndarray) -> None:
        if take.frames > 1 and np.ptp(values, axis=0).max() <= _MOVES:
            values = values[:1]
        if len(values) not in inputs:
            inputs[len(values)] = buffer.accessor(times[: len(values)], bounds=True)
        # Weights are one flat list; the other kinds have a row a key.
        output = buffer.accessor(values.reshape(-1) if target == "weights" else values)
        samplers.append({"input": inputs[len(values)], "output": output})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": target}})

    rest = np.array([1, 0, 0, 0], np.float32)
    for index, name in enumerate(character.joint_names):
        turns = rotations.continuous(rotations.normalise(performed.rotations[:, index]))
        if name in neck.JOINTS or np.abs(np.abs(turns) - rest).max() > _MOVES:
            channel(1 + index, "rotation", turns[:, [1, 2, 3, 0]])
    root = int(np.flatnonzero(character.parents < 0)[0])
    if np.abs(performed.root).max() > _MOVES:
        channel(1 + root, "translation", (character.heads[root] + performed.root).astype(np.float32))
    first_mesh = 1 + len(character.joint_names)
    for index, shapes in enumerate(carried):
        weights = performed.shape_weights[:, shapes]
        if np.abs(weights).max(initial=0) > _MOVES:
            channel(first_mesh + index, "weights", weights.astype(np.float32))
    name = take.provenance.verb or "take"
    return {"name": name, "samplers": samplers, "channels": channels}
