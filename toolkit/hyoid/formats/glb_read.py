# SPDX-License-Identifier: Apache-2.0
"""What is inside a ``.glb``, and whether its structure holds: chunks, JSON, accessors against the bytes."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError

_JSON, _BINARY = 0x4E4F534A, 0x004E4942
COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_LARGEST_JSON = 256 << 20


@dataclass(frozen=True)
class Glb:
    """An opened file: the glTF ``document`` and the bytes of its binary chunk."""

    document: dict[str, Any]
    binary: bytes


def read(path: Path) -> Glb:
    """The JSON and the binary chunk of a ``.glb``; the file is never trusted further than its size.

    Raises:
        InputError: missing, no glb, truncated, or its JSON is damaged.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as stream:
            head = stream.read(12)
            if len(head) < 12 or head[:4] != b"glTF":
                raise InputError("is not a binary glTF file", path=path, expected="a .glb that begins with 'glTF'")
            version, promised = struct.unpack("<II", head[4:])
            if version != 2:
                raise InputError(f"is glTF version {version}", path=path, expected="version 2")
            if promised != size:
                word = "truncated" if promised > size else "followed by foreign bytes"
                raise InputError(f"is {word}: {size} bytes", path=path, expected=f"{promised} bytes as its header says")
            document, binary = None, b""
            while chunk := stream.read(8):
                if len(chunk) < 8:
                    raise InputError("ends inside a chunk header", path=path)
                length, kind = struct.unpack("<II", chunk)
                if length > size - stream.tell() or (kind == _JSON and length > _LARGEST_JSON):
                    raise InputError(f"a chunk of {length} bytes does not fit", path=path, expected="a whole file")
                data = stream.read(length)
                if kind == _JSON:
                    document = json.loads(data)
                elif kind == _BINARY:
                    binary = data
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"its JSON is damaged ({error})", path=path, expected="a whole .glb") from None
    if not isinstance(document, dict):
        raise InputError("has no JSON", path=path, expected="a whole .glb")
    return Glb(document, binary)


def summary(glb: Glb) -> dict[str, Any]:
    """Meshes, shapes, joints, animation and our own notes, as far as the file has them."""
    document = glb.document
    shapes: dict[str, None] = {}
    meshes = {}
    for mesh in document.get("meshes", []):
        points = [_count(document, part.get("attributes", {}).get("POSITION")) for part in mesh.get("primitives", [])]
        meshes[mesh.get("name", "")] = sum(points)
        shapes.update(dict.fromkeys((mesh.get("extras") or {}).get("targetNames", [])))
    nodes = document.get("nodes", [])
    joints = [nodes[index].get("name", "") for skin in document.get("skins", []) for index in skin.get("joints", [])]
    seconds = 0.0
    for animation in document.get("animations", []):
        for sampler in animation.get("samplers", []):
            accessor = document.get("accessors", [])[sampler["input"]]
            seconds = max([seconds, *map(float, accessor.get("max", []))])
    asset = document.get("asset", {})
    return {
        "generator": asset.get("generator", ""),
        "copyright": asset.get("copyright", ""),
        "meshes": meshes,
        "shapes": list(shapes),
        "joints": joints,
        "materials": len(document.get("materials", [])),
        "images": len(document.get("images", [])),
        "animations": len(document.get("animations", [])),
        "animation_seconds": seconds,
        "hyoid": (asset.get("extras") or {}).get("hyoid", {}),
    }


def _count(document: dict[str, Any], accessor: int | None) -> int:
    return 0 if accessor is None else int(document.get("accessors", [])[accessor].get("count", 0))


def problems(glb: Glb) -> list[str]:
    """What is structurally wrong: references outside their arrays, data outside the file, numbers that are not finite.

    The Khronos validator looks at much more; this needs no other program and finds damaged files.
    """
    found: list[str] = []
    document = glb.document
    accessors, views = document.get("accessors", []), document.get("bufferViews", [])
    for index, view in enumerate(views):
        end = view.get("byteOffset", 0) + view.get("byteLength", 0)
        if view.get("buffer", 0) == 0 and end > len(glb.binary):
            found.append(f"buffer view {index} ends at byte {end} of {len(glb.binary)}")
    for index, accessor in enumerate(accessors):
        found += _accessor_problems(glb, index, accessor)
    for number, mesh in enumerate(document.get("meshes", [])):
        for part in mesh.get("primitives", []):
            used = [*part.get("attributes", {}).values(), part.get("indices")]
            used += [item for target in part.get("targets", []) for item in target.values()]
            wrong = [item for item in used if item is not None and not 0 <= item < len(accessors)]
            if wrong:
                found.append(f"mesh {number} names accessor {wrong[0]}, and there are {len(accessors)}")
        named = (mesh.get("extras") or {}).get("targetNames")
        targets = {len(part.get("targets", [])) for part in mesh.get("primitives", [])}
        if named is not None and targets != {len(named)}:
            found.append(f"mesh {number} has {len(named)} target names for {sorted(targets)} targets")
    count = len(document.get("nodes", []))
    for number, skin in enumerate(document.get("skins", [])):
        if any(not 0 <= joint < count for joint in skin.get("joints", [])):
            found.append(f"skin {number} names a node that is not there")
    for number, animation in enumerate(document.get("animations", [])):
        samplers = animation.get("samplers", [])
        for channel in animation.get("channels", []):
            if not 0 <= channel.get("sampler", -1) < len(samplers):
                found.append(f"animation {number} has a channel without its sampler")
            if not 0 <= channel.get("target", {}).get("node", 0) < count:
                found.append(f"animation {number} moves a node that is not there")
    return found


def _accessor_problems(glb: Glb, index: int, accessor: dict[str, Any]) -> list[str]:
    views = glb.document.get("bufferViews", [])
    size, width = COMPONENT_BYTES.get(accessor.get("componentType", 0)), WIDTHS.get(accessor.get("type", ""))
    if size is None or width is None:
        return [f"accessor {index} has no known type"]
    place = accessor.get("bufferView")
    if place is None:
        return []  # all zero, or sparse
    if not 0 <= place < len(views):
        return [f"accessor {index} names buffer view {place}, and there are {len(views)}"]
    view, count = views[place], int(accessor.get("count", 0))
    step = view.get("byteStride", size * width)
    start = accessor.get("byteOffset", 0)
    if count and start + step * (count - 1) + size * width > view.get("byteLength", 0):
        return [f"accessor {index} needs more bytes than its buffer view has"]
    first = view.get("byteOffset", 0) + start
    if accessor["componentType"] == 5126 and step == size * width and view.get("buffer", 0) == 0:
        piece = glb.binary[first : first + count * step]
        values = np.frombuffer(piece, "<f4", len(piece) // 4)
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            return [f"accessor {index} holds {len(wrong)} numbers that are not finite, the first at {wrong[0]}"]
    return []
