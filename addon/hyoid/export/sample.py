# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""A take of what the scene shows of a character: the way back from Blender to every format and verb of Hyoid."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

import bpy
import numpy as np

from .. import toolkit
from ..toolkit.blender import compat
from ..toolkit.characters import arkit
from ..toolkit.characters.neck import JOINTS
from ..toolkit.errors import UsageError
from ..toolkit.geometry import rotations
from ..toolkit.take import AudioReference, CharacterReference, Event, Provenance, Source, Take
from . import evaluate

_STILL = 1e-6


def take_of(
    rig: Any,
    scene: Any,
    first: float,
    last: float,
    fps: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Take:
    """What the scene shows of a character from frame ``first`` to ``last`` (both shown), as a take.

    Constraints, drivers, controls, NLA and limits are in it. Eyes follow their ``eyeLook`` curves, as in every take:
    what their drivers do is left out of the eyes' own rotation. Nothing in the scene changes.

    Args:
        rig: the character, see ``characters.find``.
        fps: frames a second of the take; None takes the scene's.

    Raises:
        UsageError: the last frame lies before the first, or the character's armature or body is gone.
    """
    if rig.armature is None or rig.body is None:
        raise UsageError("the character has lost its armature or its body", hint="Create the character again")
    frames, fps = frames_of(scene, first, last, fps)
    shown = evaluate.evaluate(scene, rig.armature, rig.body.data.shape_keys, frames, progress=progress)
    curves = curves_of(shown.weights)
    joint_names, turned = _joints(rig, shown, curves)
    root = next((bone.name for bone in rig.armature.pose.bones if bone.parent is None), None)
    way = shown.translation(root) if root else np.zeros((len(frames), 3))
    first_second = first / scene_rate(scene)
    return Take(
        fps=fps,
        curve_names=tuple(curves),
        curves=_columns(curves, len(frames)),
        joint_names=joint_names,
        rotations=turned,
        root=to_take(way).astype(np.float32),
        confidence=np.ones(len(frames), np.float32),
        events=stored_events(rig.armature, scene, first_second, len(frames) / fps),
        audio=sound_of(scene, first, len(frames) / fps),
        character=_reference(rig),
        provenance=_provenance(rig),
        mode=_stored(rig.armature, "hyoid_provenance").get("mode", ""),
    )


def scene_rate(scene: Any) -> float:
    """Frames a second of a scene (30 / 1.001 is 29.97)."""
    return scene.render.fps / scene.render.fps_base


def frames_of(scene: Any, first: float, last: float, fps: float | None) -> tuple[np.ndarray, float]:
    """The scene frames of a take's frames, and its frame rate.

    Raises:
        UsageError: nothing lies between the two.
    """
    if last < first:
        raise UsageError(f"the range ends at frame {last:g}, before it begins at {first:g}", hint="Swap the two frames")
    rate = scene_rate(scene)
    fps = rate if fps is None else fps
    count = int((last - first) * fps / rate + 1e-6) + 1
    return first + np.arange(count) * (rate / fps), fps


def to_take(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3), or vector parts of quaternions (..., 4), from +Z up to +Y up: (x, y, z) -> (x, z, -y)."""
    turned = np.array(vectors)
    turned[..., -2], turned[..., -1] = vectors[..., -1], -vectors[..., -2]
    return turned


def curves_of(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Curves of a take from the values of shape keys: ARKit weights, the larynx in millimetres and as a size.

    The key ``jaw`` opens the jaw on top of ``jawOpen`` with the same offsets, so the two add up.
    """
    curves = {name: weights[name] for name in arkit.NAMES if name in weights}
    if "jaw" in weights and "jawOpen" in curves:
        curves["jawOpen"] = curves["jawOpen"] + weights["jaw"]
    if "larynxUp" in weights:
        down = weights.get("larynxDown", 0.0)
        curves["larynxHeight"] = arkit.SHAPE_MILLIMETRES * (weights["larynxUp"] - down)
    if "larynxSize" in weights:
        curves["larynxSize"] = 1.0 + weights["larynxSize"]
    return curves


def _columns(curves: dict[str, np.ndarray], frames: int) -> np.ndarray:
    if not curves:
        return np.zeros((frames, 0), np.float32)
    return np.stack(list(curves.values()), -1).astype(np.float32)


def _joints(rig: Any, shown: evaluate.Evaluated, curves: dict[str, np.ndarray]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and rotations (n, J, 4) float32 of the neck's joints and of every other joint that is not at rest."""
    from ..characters import find

    record = find.record_of(rig)
    names, turned = [], []
    for name in record.joint_names:
        if name not in shown.bones:
            continue
        own = to_take(shown.rotation(name))
        looks = [driver for driver in record.drivers if driver.joint == name and driver.curve in curves]
        if looks:
            vector = sum(
                np.radians(driver.degrees) * curves[driver.curve].astype(np.float64)[:, None] * np.array(driver.axis)
                for driver in looks
            )
            own = rotations.multiply(own, rotations.inverse(rotations.from_rotation_vector(vector)))
        if name in JOINTS or np.abs(own[:, 1:]).max(initial=0) > _STILL:
            names.append(name)
            turned.append(rotations.continuous(rotations.normalise(own)))
    if not names:
        return (), np.zeros((len(shown.frames), 0, 4), np.float32)
    return tuple(names), np.stack(turned, 1).astype(np.float32)


def _stored(armature: Any, name: str) -> dict[str, Any]:
    """A JSON record that an import left on the armature; empty when there is none or it was edited to nonsense."""
    try:
        record = json.loads(armature.get(name, "{}"))
    except (TypeError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _reference(rig: Any) -> CharacterReference:
    record = _stored(rig.armature, "hyoid_character")
    return CharacterReference(record.get("name", "human"), record.get("settings", {}), record.get("part", "full"))


def _provenance(rig: Any) -> Provenance:
    """Where the performance came from, as the import stored it; else that it was made in Blender."""
    stored = _stored(rig.armature, "hyoid_provenance")
    if not stored:
        settings = {"blender": bpy.app.version_string}
        return Provenance(toolkit.__version__, "blender", settings, ())
    sources = tuple(
        Source(*(str(source.get(field, "")) for field in ("role", "name", "sha256", "licence")))
        for source in stored.get("sources", ())
        if isinstance(source, dict)
    )
    settings = stored.get("settings", {})
    return Provenance(
        str(stored.get("version", "")), str(stored.get("verb", "")), settings if isinstance(settings, dict) else {},
        sources,
    )  # fmt: skip


def stored_events(armature: Any, scene: Any, first_second: float, seconds: float) -> tuple[Event, ...]:
    """Events (phonemes, blinks...) that an import stored, as seconds from the first frame, cut to the range."""
    record = _stored(armature, "hyoid_events")
    shift = float(record.get("start", 0.0)) - first_second
    events = []
    for entry in record.get("events", ()):
        start, end = float(entry["start"]) + shift, float(entry["end"]) + shift
        if end > 0 and start < seconds:
            kind, name, strength = str(entry["kind"]), str(entry["name"]), float(entry.get("strength", 1.0))
            events.append(Event(kind, name, max(start, 0.0), min(end, seconds), strength))
    return tuple(events)


def sound_of(scene: Any, first: float, seconds: float) -> AudioReference | None:
    """The first sound on the timeline that is heard within the range and lies in a file."""
    rate = scene_rate(scene)
    for strip in compat.sound_strips(scene):
        start = (strip.frame_start - first) / rate
        heard_from, heard_to = (strip.frame_final_start - first) / rate, (strip.frame_final_end - first) / rate
        path = os.path.normpath(bpy.path.abspath(strip.sound.filepath)) if strip.sound else ""
        if strip.mute or heard_to <= 0 or heard_from >= seconds or not os.path.isfile(path):
            continue
        return AudioReference(path, _sha256(path), strip.frame_duration / rate, start)
    return None


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
