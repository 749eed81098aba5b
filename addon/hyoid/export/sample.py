# SPDX-License-Identifier: GPL-3.0-or-later
"""A take of what the scene shows of a character: the way back from Blender to every format and verb of Hyoid."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .. import toolkit
from ..characters import find
from ..takes import mapping_table, placed
from ..timeline import evaluate
from ..timeline.frames import scene_rate
from ..toolkit.blender import action_units, compat
from ..toolkit.blender.pack import to_blender
from ..toolkit.characters import arkit
from ..toolkit.characters.neck import JOINTS
from ..toolkit.errors import UsageError
from ..toolkit.files import sha256_of
from ..toolkit.geometry import rotations
from ..toolkit.take import AudioReference, CharacterReference, Event, Provenance, Source, Take

_LOOK_NOISE = 2e-4
"""Of a quaternion's vector; how exactly drivers in Blender turn the eyes."""

_STILL = 5e-6
"""Of a quaternion's vector; what Blender's single precision leaves of nothing."""


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
    curves = curves_of(shown.weights, find.facts_of(rig).own_shapes)
    joint_names, turned = _joints(rig, shown, curves)
    root = find.root_bone(rig.armature)
    way = shown.translation(root.name) if root else np.zeros((len(frames), 3))
    seconds = len(frames) / fps
    takes = takes_within(rig.armature, scene, first, seconds)
    return Take(
        fps=fps,
        curve_names=tuple(curves),
        curves=_columns(curves, len(frames)),
        joint_names=joint_names,
        rotations=turned,
        root=evaluate.from_blender(way).astype(np.float32),
        confidence=np.ones(len(frames), np.float32),
        events=events_on(rig.armature, scene, first, seconds),
        audio=sound_of(scene, first, seconds),
        character=_reference(rig),
        provenance=_provenance(takes),
        mode=next((entry.timing for entry in takes if entry.timing), ""),
    )


def take_of_mesh(
    obj: Any,
    scene: Any,
    first: float,
    last: float,
    fps: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Take:
    """What the scene shows of a mesh with a shape map, as a take of curves.

    Lines of the map that give one shape key to one curve are read backwards; lines that mix several cannot be.

    Raises:
        UsageError: no line can be read backwards, or the range is empty.
    """
    rows = reversible(obj)
    if not rows:
        raise UsageError(
            f"no line of the shape map of '{obj.name}' gives one shape key to one curve",
            hint="Guess the map under Import, or select a Hyoid character",
        )
    frames, fps = frames_of(scene, first, last, fps)
    weights = evaluate.evaluate(scene, None, obj.data.shape_keys, frames, progress=progress).weights
    curves = {source: weights[target] / factor + (source == "larynxSize") for source, target, factor in rows}
    count, seconds = len(frames), len(frames) / fps
    takes = takes_within(obj, scene, first, seconds)
    return Take(
        fps=fps,
        curve_names=tuple(curves),
        curves=_columns(curves, count),
        joint_names=(),
        rotations=rotations.identity(count, 0),
        root=np.zeros((count, 3), np.float32),
        confidence=np.ones(count, np.float32),
        events=events_on(obj, scene, first, seconds),
        audio=sound_of(scene, first, seconds),
        provenance=_provenance(takes),
        mode=next((entry.timing for entry in takes if entry.timing), ""),
    )


def reversible(obj: Any) -> list[tuple[str, str, float]]:
    """Lines of a mesh's shape map that can be read backwards: curve, shape key, factor."""
    keys = getattr(obj.data, "shape_keys", None)
    if obj.type != "MESH" or keys is None:
        return []
    rows = mapping_table.shape_rows(obj)
    sources, targets = Counter(row.source for row in rows), Counter(row.target for row in rows)
    return [
        (row.source, row.target, row.factor)
        for row in rows
        if row.source in arkit.CURVES and sources[row.source] == targets[row.target] == 1
        and row.target in keys.key_blocks and abs(row.factor) > 1e-6
    ]  # fmt: skip


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


def curves_of(weights: dict[str, np.ndarray], own: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Curves of a take from the values of shape keys: ARKit weights, the larynx in millimetres and as a size, and
    shapes of the character's own.

    The key ``jaw`` opens the jaw on top of ``jawOpen`` with the same offsets, so the two add up, and so does what
    action units add.
    """
    added = {action_units.base_of(key): values for key, values in weights.items() if action_units.base_of(key)}
    curves = {name: weights[name] + added.get(name, 0) for name in (*arkit.NAMES, *own) if name in weights}
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
    record = find.facts_of(rig)
    names, turned = [], []
    for name in record.joint_names:
        if name not in shown.bones:
            continue
        own = evaluate.from_blender(without_looks(shown.rotation(name), name, record, curves))
        if name in JOINTS or np.abs(own[:, 1:]).max(initial=0) > _STILL:
            names.append(name)
            turned.append(rotations.continuous(rotations.normalise(own)))
    if not names:
        return (), np.zeros((len(shown.frames), 0, 4), np.float32)
    return tuple(names), np.stack(turned, 1).astype(np.float32)


def without_looks(turned: np.ndarray, joint: str, record: Any, curves: dict[str, np.ndarray]) -> np.ndarray:
    """Rotations (n, 4) of a joint in the armature's axes without what its drivers add (eyes follow ``eyeLook...``)."""
    looks = [driver for driver in record.drivers if driver.joint == joint and driver.curve in curves]
    if not looks:
        return turned
    vector = np.zeros((len(turned), 3))
    for driver in looks:
        angles = np.radians(driver.degrees) * curves[driver.curve].astype(np.float64)
        vector += angles[:, None] * to_blender(np.array(driver.axis))
    own = rotations.multiply(turned, rotations.inverse(rotations.from_rotation_vector(vector)))
    if np.abs(own[:, 1:]).max(initial=0) < _LOOK_NOISE:
        return np.broadcast_to(np.array([1.0, 0, 0, 0]), own.shape)
    return own


def _reference(rig: Any) -> CharacterReference:
    mark = find.identity(rig.armature)
    return CharacterReference(mark.get("character", "human"), mark.get("settings", {}), mark.get("part", "full"))


def takes_within(target: Any, scene: Any, first: float, seconds: float) -> list[Any]:
    """The takes that were put on an object and fill a part of a range of the scene, the latest first."""
    last = first + seconds * scene_rate(scene)
    found = [entry for entry in placed.takes_on(target) if entry.frames[0] < last and entry.frames[1] >= first]
    return found[::-1]


def events_on(target: Any, scene: Any, first: float, seconds: float) -> tuple[Event, ...]:
    """Phones, words, blinks of the takes on an object, in seconds from frame ``first``.

    Where takes overlap the latest counts.
    """
    events: list[Event] = []
    taken: list[tuple[float, float]] = []
    for entry in takes_within(target, scene, first, seconds):
        for event in entry.events:
            middle = entry.start + entry.rate * (event.start + event.end) / 2
            start, end = (
                (entry.start + entry.rate * second - first) / scene_rate(scene) for second in (event.start, event.end)
            )
            covered = any(low <= middle <= high for low, high in taken)
            used = entry.frames[0] <= middle <= entry.frames[1] + 1
            if used and not covered and end > 0 and start < seconds:
                events.append(replace(event, start=max(start, 0.0), end=min(end, seconds)))
        taken.append(entry.frames)
    return tuple(sorted(events, key=lambda event: (event.start, event.end)))


def _provenance(takes: list[Any]) -> Provenance:
    """Where the performance came from: what every take in it says, the latest first; else that Blender made it."""
    origins = [entry.provenance for entry in takes if entry.provenance.get("verb") or entry.provenance.get("sources")]
    if not origins:
        return Provenance(toolkit.__version__, "blender", {"blender": bpy.app.version_string}, ())
    sources: dict[Source, None] = {}
    for origin in origins:
        for source in origin.get("sources", ()):
            sources[Source(*(str(source.get(field, "")) for field in ("role", "name", "sha256", "licence")))] = None
    latest = origins[0]
    return Provenance(
        str(latest.get("version", "")), str(latest.get("verb", "")), dict(latest.get("settings", {})), tuple(sources)
    )  # fmt: skip


def sound_of(scene: Any, first: float, seconds: float) -> AudioReference | None:
    """The first sound on the timeline that is heard within the range, at its own speed, and lies in a file."""
    rate = scene_rate(scene)
    for strip in compat.strips(scene):
        if strip.type != "SOUND" or compat.is_retimed(strip):
            continue
        start = (strip.frame_start - first) / rate + compat.sound_offset(strip)
        heard_from, heard_to = (strip.frame_final_start - first) / rate, (strip.frame_final_end - first) / rate
        path = os.path.normpath(bpy.path.abspath(strip.sound.filepath)) if strip.sound else ""
        if strip.mute or heard_to <= 0 or heard_from >= seconds or not os.path.isfile(path):
            continue
        return AudioReference(path, sha256_of(Path(path)), strip.frame_duration / rate, start)
    return None
