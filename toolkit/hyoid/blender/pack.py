# SPDX-License-Identifier: Apache-2.0
"""A character and a take as plain arrays and JSON in Blender's axes (+Z up, the character looks along -Y)."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.blender import neck_control
from hyoid.characters import arkit, facs, gestures
from hyoid.characters.character import Character, NeckLimits
from hyoid.characters.lighter import lighter, with_small_weights
from hyoid.errors import OutputError
from hyoid.report import Report
from hyoid.take import Take

PROPERTY_CURVES = {"larynxHeight": "larynx_height", "larynxSize": "larynx_size"}
"""Curves that animate a custom property of the armature; drivers carry them to the shape keys."""

_SLIDER = 10.0
"""Where Blender's sliders of shape keys end."""

IDENTITY = np.array([1, 0, 0, 0], np.float32)


def to_blender(points: np.ndarray) -> np.ndarray:
    """Vectors (..., 3), or the vectors of quaternions (..., 4), turned from +Y up to +Z up: (x, y, z) -> (x, -z, y)."""
    turned = np.array(points, np.float32)
    turned[..., -2], turned[..., -1] = -points[..., -1], points[..., -2]
    return turned


def pack(
    path: Path, character: Character, take: Take | None, name: str, options: dict[str, Any], report: Report
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The job for the child process: a JSON-able record and the arrays that it speaks of."""
    described, arrays = record(character)
    job = {
        "path": str(path),
        "format": path.suffix.lower(),
        "options": options,
        "character": described,
        "take": None,
    }
    if take is not None:
        take = with_gestures(take)
        if job["format"] != ".blend":  # other programs have no controls of action units
            take = facs.expand(take, character.shapes.names)
        job["take"], take_arrays = channels(performer_of(character), take, name, options["keys"], report)
        arrays |= take_arrays
    return job, arrays


def record(character: Character) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A character as a JSON-able record and the arrays that it speaks of, in Blender's axes.

    Arrays: ``vertices`` (V, 3), ``faces`` (F, 4), ``uv`` (U, 2), ``face_uv`` (F, 4), ``heads`` and ``tails`` (J, 3),
    ``parents`` (J,), ``weight_joints`` and ``weights`` (V, 8), ``shape_starts``, ``shape_vertices``, ``shape_offsets``.
    Correctives are as few and as large as files need, see ``characters.lighter``.
    """
    character = with_small_weights(lighter(character), _SLIDER)
    arrays = {
        "vertices": to_blender(character.vertices),
        "faces": character.faces,
        "uv": character.uv,
        "face_uv": character.face_uv,
        "heads": to_blender(character.heads),
        "tails": to_blender(character.tails),
        "parents": character.parents,
        "weight_joints": character.weight_joints,
        "weights": character.weights,
        "shape_starts": character.shapes.starts,
        "shape_vertices": character.shapes.vertices,
        "shape_offsets": to_blender(character.shapes.offsets),
    }
    return _described(character), arrays


def _described(character: Character) -> dict[str, Any]:
    """All of a character that is not an array, as JSON has it."""
    follows = {corrective.shape for corrective in character.correctives}
    fixed = {*arkit.NAMES, *arkit.LARYNX_SHAPES, *follows}
    return {
        "name": character.name,
        "source": character.name,
        "licence": character.licence,
        "settings": {key: float(value) for key, value in character.settings.items()},
        "part": "full" if any(name.startswith("upperleg") for name in character.joint_names) else "head",
        "parts": [
            {
                "name": part.name,
                "material": part.material,
                "vertices": [part.vertices.start, part.vertices.stop],
                "faces": [part.faces.start, part.faces.stop],
            }
            for part in character.parts
        ],
        "joints": list(character.joint_names),
        "shapes": list(character.shapes.names),
        "own_shapes": [name for name in character.shapes.names if name not in fixed],
        "shape_millimetres": arkit.SHAPE_MILLIMETRES,
        "drivers": [
            {
                "joint": driver.joint,
                "curve": driver.curve,
                "axis": [float(value) for value in driver.axis],
                "degrees": float(driver.degrees),
            }
            for driver in character.drivers
        ],
        "correctives": [
            {
                "shape": corrective.shape,
                "joint": corrective.joint,
                "features": np.asarray(corrective.features, np.float64).tolist(),
            }
            for corrective in character.correctives
        ],
        **_neck(character.neck),
        "materials": {key: _material(value) for key, value in character.materials.items()},
        "landmarks": {key: int(value) for key, value in character.landmarks.items()},
    }


def _neck(limits: NeckLimits) -> dict[str, Any]:
    """The limits of the neck, the ranges of the head's handle in degrees, and the formulas of its drivers."""
    return {
        "neck": {
            name: [float(value) for value in getattr(limits, name)]
            for name in ("flexion", "extension", "lateral", "axial", "coupling")
        },
        "neck_ranges": {
            "head_turn": float(limits.axial.sum()),
            "head_nod": float(max(limits.flexion.sum(), limits.extension.sum())),
            "head_tilt": float(limits.lateral.sum()),
        },
        "neck_control": neck_control.formulas(limits),
        "neck_box": neck_control.box(limits),
    }


def action_units(shapes: Collection[str]) -> dict[str, dict[str, Any]]:
    """By action unit that a face with these shapes can show its ``title`` and the ``weights`` of shapes at its most."""
    found = {}
    for name in facs.RECIPES:
        weights = facs.recipe(name, tuple(shapes))
        if weights.keys() & set(shapes):
            side = {"L": ", left side", "R": ", right side"}.get(name[-1], "")
            title = f"{facs.NAMES[name.rstrip('LR')].capitalize()}{side}"
            found[name] = {"title": title, "weights": weights}
    return found


def with_gestures(take: Take) -> Take:
    """The take with swallow, breath and effort written out as what they move, see ``characters.gestures``."""
    baked = gestures.baked(take)
    if gestures.TENSE in baked.curve_names and gestures.TENSE not in take.curve_names and "effort" in take.keys:
        baked = replace(baked, keys={**baked.keys, gestures.TENSE: take.keys["effort"]})
    return baked


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Save arrays as an .npz file that ``numpy.load`` reads without pickles.

    Raises:
        OutputError: the temporary folder is full.
    """
    try:
        np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
    except (OSError, zipfile.LargeZipFile) as error:
        raise OutputError(
            f"temporary data cannot be written: {error.strerror if isinstance(error, OSError) else error}",
            path=path,
            hint="Set TMPDIR to a folder with more space",
        ) from error


def _material(material: Any) -> dict[str, Any]:
    return {
        "colour": [float(value) for value in material.colour],
        "shown": [float(colour * plain) for colour, plain in zip(material.colour, material.plain, strict=True)],
        "roughness": float(material.roughness),
        "metallic": float(material.metallic),
        "alpha": material.alpha,
        "double_sided": material.double_sided,
        "subsurface": float(material.subsurface),
        "maps": {
            kind: None if path is None else str(Path(path).resolve())
            for kind, path in (
                ("colour", material.colour_map),
                ("normal", material.normal_map),
                ("roughness", material.roughness_map),
            )
        },
    }


@dataclass(frozen=True)
class Performer:
    """What of a take a character can show.

    Attributes:
        shapes: names of its shapes. follows: those that joints or properties move: they have no channels.
        joints: names of its joints. root: the one that carries it.
        neck: its limits, None where they are not known.
    """

    shapes: tuple[str, ...]
    follows: frozenset[str]
    joints: tuple[str, ...]
    root: str
    neck: NeckLimits | None


def performer_of(character: Character) -> Performer:
    """What of a take a character can show."""
    return Performer(
        character.shapes.names,
        frozenset(corrective.shape for corrective in character.correctives),
        character.joint_names,
        character.joint_names[int(np.flatnonzero(character.parents < 0)[0])],
        character.neck,
    )


def channels(
    performer: Performer, take: Take, name: str, keys: str, report: Report
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The channels of a take that a character has: shape weights, properties, joint rotations and the root.

    Args:
        name: of the actions. keys: ``sparse`` takes the take's editable keys where it has them.

    Returns:
        A JSON-able record, and the arrays that it speaks of: ``frames_0`` (n,) and ``values_0`` (n,) or (n, k) are
        those of the first of its ``channels``.
    """
    arrays: dict[str, np.ndarray] = {}
    found: list[dict[str, Any]] = []

    def add(kind: str, target: str, dense: np.ndarray, channel: str) -> None:
        sparse = take.keys.get(channel) if keys == "sparse" else None
        if sparse is None:
            frames, values = np.arange(take.frames, dtype=np.float32), dense
        else:
            frames, values = (sparse.times * take.fps).astype(np.float32), sparse.values
            if kind in ("rotation", "root"):
                values = to_blender(values)
        index = len(found)
        arrays[f"frames_{index}"], arrays[f"values_{index}"] = frames, np.asarray(values, np.float32)
        found.append({"kind": kind, "target": target, "linear": True})

    units = _units(performer.shapes, take)
    for curve in take.curve_names:
        if curve in PROPERTY_CURVES:
            add("property", PROPERTY_CURVES[curve], take.curve(curve), curve)
        elif facs.unit(curve) in units:
            add("property", str(facs.unit(curve)), take.curve(curve), curve)
        elif curve in performer.shapes and curve not in performer.follows:
            add("shape", curve, take.curve(curve), curve)
    turned = to_blender(take.rotations)
    for index, joint in enumerate(take.joint_names):
        if joint in performer.joints and np.abs(turned[:, index] - IDENTITY).max(initial=0) > 1e-7:
            add("rotation", joint, turned[:, index], f"{joint}.rotation")
    if np.abs(take.root).max(initial=0) > 1e-7:
        add("root", performer.root, to_blender(take.root), "root")
    job = {
        "name": name,
        "fps": float(take.fps),
        "frames": take.frames,
        "channels": found,
        "action_units": units,
        "events": [{"kind": event.kind, "name": event.name, "start": event.start} for event in take.events],
        "audio": _audio(take, report),
        "within_limits": _within(performer.neck, take),
        "provenance": json.dumps(_provenance(take), sort_keys=True),
    }
    return job, arrays


def _within(limits: NeckLimits | None, take: Take) -> bool:
    if limits is None:
        return True
    return not neck_control.beyond(neck_control.box(limits), take.joint_names, take.rotations)


def _units(shapes: tuple[str, ...], take: Take) -> dict[str, dict[str, Any]]:
    """The action units for which a file gets controls: every one that the face can show, if the take moves any."""
    found = action_units(shapes)
    return found if any(facs.unit(name) in found and take.curve(name).any() for name in take.curve_names) else {}


def _audio(take: Take, report: Report) -> dict[str, Any] | None:
    if take.audio is None:
        return None
    path = Path(take.audio.path).absolute()
    if not os.path.isfile(path):
        report.message(f"{path}: the sound of the take is not there; the file is written without it", "warning")
        return None
    return {"path": str(path), "offset": float(take.audio.offset), "seconds": float(take.audio.seconds)}


def _provenance(take: Take) -> dict[str, Any]:
    origin = take.provenance
    return {
        "version": origin.version,
        "verb": origin.verb,
        "settings": dict(origin.settings),
        "sources": [{"role": s.role, "name": s.name, "sha256": s.sha256, "licence": s.licence} for s in origin.sources],
        "mode": take.mode,
    }
