# SPDX-License-Identifier: Apache-2.0
"""One character as one file: ``.character.npz``, plain arrays, one JSON text and its textures (docs/formats.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import files
from hyoid.characters.character import Character, Corrective, Driver, Material, NeckLimits, Part, Shapes
from hyoid.errors import HyoidError, InputError
from hyoid.formats.character_checks import valid_character
from hyoid.formats.npz import read_npz, write_npz
from hyoid.take import Provenance, Source

FORMAT = "hyoid.character"
VERSION = 1
LARGEST_TEXTURE = 256 << 20
_NECK = ("flexion", "extension", "lateral", "axial", "coupling")
_FLOATS = ("vertices", "uv", "heads", "tails", "weights")
_WHOLE = ("faces", "face_uv", "parents", "weight_joints")
_MAPS = ("colour_map", "normal_map", "roughness_map")
_REQUIRED = (
    "format", "version", *_FLOATS, *_WHOLE, "shape_names", "shape_starts", "shape_vertices", "shape_offsets",
    "joint_names", "neck", "corrective_features", "document",
)  # fmt: skip
_MAGIC = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff"}
_NO_PROVENANCE = Provenance("", "")


def write(path: Path, character: Character, provenance: Provenance = _NO_PROVENANCE) -> None:
    """Write a character with its textures to ``path``; equal characters give equal bytes.

    Args:
        provenance: what made it, from which sources under which licences.

    Raises:
        InputError: the character is not sound, or a texture cannot be read; nothing is written then.
    """
    valid_character(character)
    textures: dict[str, bytes] = {}
    materials = [_material_record(material, textures) for material in character.materials.values()]
    document = {
        "name": character.name, "licence": character.licence, "digest": character.digest,
        "settings": {name: float(value) for name, value in sorted(character.settings.items())},
        "parts": [
            [part.name, part.material, part.vertices.start, part.vertices.stop, part.faces.start, part.faces.stop]
            for part in character.parts
        ],
        "drivers": [
            {"joint": it.joint, "curve": it.curve, "axis": list(map(float, it.axis)), "degrees": float(it.degrees)}
            for it in character.drivers
        ],
        "correctives": [[entry.shape, entry.joint] for entry in character.correctives],
        "landmarks": {name: int(vertex) for name, vertex in character.landmarks.items()},
        "materials": materials, "textures": list(textures), "provenance": asdict(provenance),
    }  # fmt: skip
    shapes, features = character.shapes, [entry.features for entry in character.correctives]
    arrays: dict[str, np.ndarray] = {"format": np.array(FORMAT), "version": np.array(VERSION, np.int64)}
    arrays |= {name: np.asarray(getattr(character, name), np.float32) for name in _FLOATS}
    arrays |= {name: np.asarray(getattr(character, name), np.int32) for name in _WHOLE}
    arrays |= {
        "shape_names": np.array(shapes.names, dtype=str),
        "shape_starts": np.asarray(shapes.starts, np.int64),
        "shape_vertices": np.asarray(shapes.vertices, np.int32),
        "shape_offsets": np.asarray(shapes.offsets, np.float32),
        "joint_names": np.array(character.joint_names, dtype=str),
        "neck": np.array([getattr(character.neck, name) for name in _NECK], np.float64),
        "corrective_features": np.array(features, np.float64).reshape(-1, 3, 3),
    }
    for number, data in enumerate(textures.values()):
        arrays[f"texture_{number}"] = np.frombuffer(data, np.uint8)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, default=str)
    arrays["document"] = np.frombuffer(text.encode(), np.uint8)
    write_npz(path, arrays)


def read(path: Path) -> Character:
    """The character in ``path``. Its textures are laid into the cache folder, because programs open them by path;
    where nothing can be written there, materials keep their plain colours.

    Raises:
        InputError: the file is missing, damaged, no character, of a newer version, or its parts do not fit together.
    """
    path = Path(path)
    return valid_character(read_unchecked(path)[0], path)


def read_unchecked(path: Path) -> tuple[Character, Provenance]:
    """The character and what made it, before the arrays are compared with one another (``hyoid check`` lists that).

    Raises:
        InputError: as :func:`read`, as far as the file itself is concerned.
    """
    path = Path(path)
    arrays = read_npz(path)
    if "format" not in arrays or arrays["format"].shape or str(arrays["format"][()]) != FORMAT:
        raise InputError("is an .npz file, but not a character", path=path, expected="a .character.npz of Hyoid")
    version = arrays.get("version", np.zeros(()))
    if version.shape or version.dtype.kind not in "iu" or int(version) < 1:
        raise InputError("has no version", path=path, expected=f"version {VERSION} or older")
    if int(version) > VERSION:
        raise InputError(
            f"is a character of version {int(version)}", path=path, expected=f"version {VERSION} or older",
            hint="Update hyoid",
        )  # fmt: skip
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise InputError(f"lacks {', '.join(missing)}", path=path, expected="a complete character")
    try:
        document = json.loads(arrays["document"].tobytes())
        return _character(arrays, document), _provenance(document["provenance"])
    except HyoidError as error:
        raise InputError(error.found, path=path, expected=error.expected) from error
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise InputError(f"its contents do not form a character ({error})", path=path) from error


def _character(arrays: Mapping[str, np.ndarray], document: Mapping[str, Any]) -> Character:
    kept = _textures(arrays, document["textures"])
    neck = _array(arrays, "neck", np.float64, (len(_NECK), 8))
    links = document["correctives"]
    features = _array(arrays, "corrective_features", np.float64, (len(links), 3, 3))
    materials = {}
    for record in document["materials"]:
        material = _material(record, kept)
        if material.name in materials:
            raise ValueError(f"two materials are named {material.name}")
        materials[material.name] = material
    return Character(
        name=_text(document["name"]), licence=_text(document["licence"]), digest=_text(document["digest"]),
        settings={_text(name): float(value) for name, value in document["settings"].items()},
        **{name: _array(arrays, name, np.float32, (None, None)) for name in _FLOATS},
        **{name: _array(arrays, name, np.int32, (None,) if name == "parents" else (None, None)) for name in _WHOLE},
        parts=tuple(_part(*record) for record in document["parts"]),
        shapes=Shapes(
            _texts(arrays, "shape_names"), _array(arrays, "shape_starts", np.int64, (None,)),
            _array(arrays, "shape_vertices", np.int32, (None,)), _array(arrays, "shape_offsets", np.float32, (None, 3)),
        ),
        joint_names=_texts(arrays, "joint_names"),
        drivers=tuple(
            Driver(_text(entry["joint"]), _text(entry["curve"]), _numbers(entry["axis"], 3), float(entry["degrees"]))
            for entry in document["drivers"]
        ),
        neck=NeckLimits(*neck),
        materials=materials,
        landmarks={_text(name): int(vertex) for name, vertex in document["landmarks"].items()},
        correctives=tuple(
            Corrective(_text(shape), _text(joint), matrix)
            for (shape, joint), matrix in zip(links, features, strict=True)
        ),
    )  # type: ignore[arg-type]  # fmt: skip


def _array(arrays: Mapping[str, np.ndarray], name: str, kind: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array of numbers of the right rank as ``kind``; whole numbers must fit."""
    array = arrays[name]
    whole = np.issubdtype(kind, np.integer)
    fits = len(shape) == array.ndim and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in ("iu" if whole else "f"):
        raise InputError(f"{name} is {array.dtype} of shape {array.shape}")
    if whole and array.size and max(-int(array.min()), int(array.max())) > np.iinfo(kind).max:
        raise InputError(f"{name} holds numbers that are too large")
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(array, kind)


def _texts(arrays: Mapping[str, np.ndarray], name: str) -> tuple[str, ...]:
    array = arrays[name]
    if array.ndim != 1 or (array.dtype.kind != "U" and array.size):
        raise InputError(f"{name} is {array.dtype} of shape {array.shape}", expected="a row of texts")
    return tuple(str(text) for text in array.tolist())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _numbers(values: Any, count: int) -> Any:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != count:
        raise ValueError(f"{len(numbers)} numbers instead of {count}")
    return numbers


def _part(name: str, material: str, *limits: int) -> Part:
    if len(limits) != 4 or any(not isinstance(limit, int) or limit < 0 for limit in limits):
        raise ValueError(f"part {name} goes from {limits}")
    return Part(_text(name), _text(material), slice(*limits[:2]), slice(*limits[2:]))


def _material_record(material: Material, textures: dict[str, bytes]) -> dict[str, Any]:
    """A material as JSON values; its maps become indices into ``textures`` (SHA-256 and suffix -> bytes)."""
    record: dict[str, Any] = {
        "name": material.name, "colour": list(map(float, material.colour)), "plain": list(map(float, material.plain)),
        "roughness": float(material.roughness), "metallic": float(material.metallic), "alpha": material.alpha,
        "double_sided": bool(material.double_sided), "subsurface": float(material.subsurface),
    }  # fmt: skip
    for name in _MAPS:
        place = getattr(material, name)
        record[name] = None
        if place is not None:
            key, data = _texture_of(Path(place))
            textures.setdefault(key, data)
            record[name] = list(textures).index(key)
    return record


def _texture_of(place: Path) -> tuple[str, bytes]:
    try:
        data = place.read_bytes()
    except OSError as error:
        raise InputError(f"a texture cannot be read: {error.strerror}", path=place) from None
    return f"{hashlib.sha256(data).hexdigest()}{_suffix(data, place.name)}", data


def _suffix(data: bytes, name: str) -> str:
    """The suffix that the contents of a picture deserve.

    Raises:
        InputError: neither a PNG nor a JPEG.
    """
    for suffix, magic in _MAGIC.items():
        if data.startswith(magic):
            return suffix
    raise InputError(f"texture {name} is neither PNG nor JPEG")


def _material(record: Mapping[str, Any], kept: list[Path | None]) -> Material:
    maps: dict[str, Path | None] = {}
    for name in _MAPS:
        number = record[name]
        if number is not None and not (isinstance(number, int) and 0 <= number < len(kept)):
            raise ValueError(f"{name} is texture {number} of {len(kept)}")
        maps[name] = None if number is None else kept[number]
    material = Material(
        name=_text(record["name"]), colour=_numbers(record["colour"], 4), plain=_numbers(record["plain"], 4),
        roughness=float(record["roughness"]), metallic=float(record["metallic"]), alpha=_text(record["alpha"]),
        double_sided=bool(record["double_sided"]), subsurface=float(record["subsurface"]), **maps,
    )  # fmt: skip
    if record["colour_map"] is not None and maps["colour_map"] is None:
        colour: Any = tuple(own * plain for own, plain in zip(material.colour, material.plain, strict=True))
        material = replace(material, colour=colour, plain=(1.0, 1.0, 1.0, 1.0))
    return material


def _textures(arrays: Mapping[str, np.ndarray], names: Any) -> list[Path | None]:
    """Where each embedded picture lies now, None where the cache folder cannot be written.

    A picture's name in the cache is the SHA-256 of its bytes, worked out here: a file cannot choose where it lands.
    """
    if not isinstance(names, list) or len(names) > 1000:
        raise ValueError("the list of textures makes no sense")
    places: list[Path | None] = []
    for number in range(len(names)):
        array = arrays.get(f"texture_{number}")
        if array is None or array.dtype != np.uint8 or array.ndim != 1 or array.nbytes > LARGEST_TEXTURE:
            raise InputError(f"texture {number} is missing or no picture")
        data = array.tobytes()
        suffix = _suffix(data, str(number))
        places.append(_kept(data, hashlib.sha256(data).hexdigest() + suffix))
    return places


def _kept(data: bytes, name: str) -> Path | None:
    place = files.cache_folder() / "textures" / name
    try:
        if not (place.is_file() and place.read_bytes() == data):
            files.write_bytes(place, data)
    except (OSError, HyoidError):
        return None
    return place.resolve()


def _provenance(record: Mapping[str, Any]) -> Provenance:
    sources = tuple(
        Source(*(_text(source[field]) for field in ("role", "name", "sha256", "licence")))
        for source in record["sources"]
    )
    return Provenance(_text(record["version"]), _text(record["verb"]), dict(record["settings"]), sources)
