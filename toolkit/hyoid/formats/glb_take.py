# SPDX-License-Identifier: Apache-2.0
"""The animation in a binary glTF, ours or anybody's, as a take: morph weights, joint rotations, the way of the root.

Rotations become turns against the rest pose in axes that are world-aligned at rest, as a take holds them; the rest pose
is the bind pose of the skin. What our own writer notes in the extras (rate, events, sound, provenance, drivers of the
eyes, enlarged larynx targets) is read back, so that a take that went through a ``.glb`` plays as before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.characters.arkit import SHAPE_MILLIMETRES
from hyoid.errors import InputError
from hyoid.formats import glb_read, sounds
from hyoid.formats.checks import FPS_LIMITS, finite, valid_take
from hyoid.formats.glb_accessors import Accessors
from hyoid.formats.glb_skeleton import TURNED, Track, read_nodes, read_skeleton
from hyoid.formats.rows import nearest_rate
from hyoid.geometry import rotations
from hyoid.take import AudioReference, CharacterReference, Event, Provenance, Source, Take

SPARSE = 1 / 14
"""Seconds; keys that lie farther apart are an animator's, not one a frame: their spacing is no frame rate."""
DEFAULT_FPS = 30.0
_MOST_FRAMES = 5_000_000
_MOST_NUMBERS = 1 << 29


def read(path: Path, *, fps: float | None = None, animation: int | str | None = None) -> Take:
    """The take in ``path``.

    Args:
        fps: frames a second of the take; by default the rate that the file was written with, as far as its keys tell.
        animation: which one, by number or name, where the file has several; by default the first, and with it those
            that move nothing that another one moves (Blender writes face and skeleton apart).

    Raises:
        InputError: missing, damaged, no glb, without animation, or with numbers that make no sense.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("the file does not exist", path=path)
    glb = glb_read.read(path)
    try:
        take = _take(glb, path, fps, animation)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"its contents do not form an animation ({type(error).__name__}: {error})", path=path
        ) from error
    return valid_take(take, path)


def _take(glb: glb_read.Glb, path: Path, fps: float | None, animation: int | str | None) -> Take:
    document = glb.document
    nodes = read_nodes(document, path)
    tracks: dict[tuple[int, str], Track] = {}
    for record in _chosen(document, animation, path):
        more = _tracks(document, record, Accessors(glb, path), path)
        tracks |= {} if tracks.keys() & more.keys() else more
    if not tracks:
        raise InputError("its animation moves nothing", path=path, expected="weights, rotations or translations")
    notes = _notes(document)
    rate, moments = _moments(tracks, notes, fps, path)
    weighed = sum(track.values.shape[1] for (_, kind), track in tracks.items() if kind == "weights")
    if len(moments) * (weighed + 4 * len(nodes.names)) > _MOST_NUMBERS:
        raise InputError(f"would become {len(moments)} frames", path=path, expected="a shorter or slower take")
    curves = _curves(document, tracks, moments, path)
    _restore_larynx(curves, document, notes)
    names, turns, root = read_skeleton(document, nodes, tracks, moments, Accessors(glb, path))
    names, turns = _without_drivers(names, turns, curves, notes)
    for name in _correctives(notes):
        curves.pop(name, None)
    frames = len(moments)
    stacked = np.stack(list(curves.values()), -1) if curves else np.zeros((frames, 0))
    return Take(
        fps=rate,
        curve_names=tuple(curves),
        curves=stacked.astype(np.float32),
        joint_names=tuple(names),
        rotations=rotations.continuous(turns).astype(np.float32),
        root=root.astype(np.float32),
        confidence=np.ones(frames, np.float32),
        **_origin(notes, path),
    )


def _chosen(document: Mapping[str, Any], wanted: int | str | None, path: Path) -> list[Mapping[str, Any]]:
    animations = document.get("animations", [])
    if not animations:
        raise InputError("holds no animation", path=path, expected="a .glb that was exported with its animation")
    if wanted is None:
        return animations
    if isinstance(wanted, int):
        if not 0 <= wanted < len(animations):
            raise InputError(f"has {len(animations)} animations", path=path, expected=f"at least {wanted + 1}")
        return [animations[wanted]]
    for record in animations:
        if record.get("name") == wanted:
            return [record]
    names = ", ".join(f"'{record.get('name', '')}'" for record in animations[:8])
    raise InputError(f"has no animation '{wanted}'", path=path, expected=f"one of {names}")


def _notes(document: Mapping[str, Any]) -> dict[str, Any]:
    """What our writer left in ``asset.extras.hyoid``."""
    extras = document.get("asset", {}).get("extras")
    notes = extras.get("hyoid") if isinstance(extras, dict) else None
    return notes if isinstance(notes, dict) else {}


# --- nodes and tracks -------------------------------------------------------------------------------------------------


_WIDTHS = {"translation": 3, "rotation": 4, "scale": 3}


def _tracks(
    document: Mapping[str, Any], record: Mapping[str, Any], accessors: Accessors, path: Path
) -> dict[tuple[int, str], Track]:
    """(node, property) -> its track."""
    found: dict[tuple[int, str], Track] = {}
    nodes, samplers = document.get("nodes", []), record.get("samplers", [])
    for number, channel in enumerate(record.get("channels", [])):
        target = channel["target"]
        node, kind = target.get("node"), target["path"]
        if node is None or kind not in ("translation", "rotation", "scale", "weights"):
            continue  # an extension points elsewhere
        if not 0 <= node < len(nodes):
            raise InputError(f"channel {number} moves node {node}, and there are {len(nodes)}", path=path)
        sampler = samplers[channel["sampler"]]
        times = accessors.get(sampler["input"]).reshape(-1)
        finite(f"the key times of channel {number}", times, path)
        if not len(times) or (np.diff(times) <= 0).any():
            raise InputError(f"the key times of channel {number} do not rise", path=path)
        cubic = sampler.get("interpolation") == "CUBICSPLINE"
        values = accessors.get(sampler["output"])
        finite(f"the keys of channel {number}", values, path)
        rows = len(times) * (3 if cubic else 1)
        width = _WIDTHS.get(kind) or len(_target_names(document, node))
        if not width:
            continue
        if values.size != rows * width:
            raise InputError(
                f"channel {number} ({kind} of '{nodes[node].get('name', node)}') has {values.size} numbers",
                path=path, expected=f"{len(times)} keys of {width}",
            )  # fmt: skip
        values = values.reshape(len(times), -1, width)
        if kind == "rotation":
            values = values[:, :, [3, 0, 1, 2]]
        tangents = values[:, [0, 2]] if cubic else None
        values = values[:, 1 if cubic else 0]
        if kind == "rotation":
            values = rotations.normalise(values)
        step = sampler.get("interpolation") == "STEP"
        found[node, kind] = Track(times, values, tangents, step, kind == "rotation")
    return found


def _moments(
    tracks: Mapping[tuple[int, str], Track], notes: Mapping[str, Any], fps: float | None, path: Path
) -> tuple[float, np.ndarray]:
    """Frame rate, and the seconds of the file that the frames of the take show."""
    first = min(float(track.times[0]) for track in tracks.values())
    last = max(float(track.times[-1]) for track in tracks.values())
    own = notes.get("fps")
    if isinstance(own, (int, float)) and FPS_LIMITS[0] <= own <= FPS_LIMITS[1]:
        first, rate = 0.0, float(own)
    else:
        rate = _spacing(tracks)
    wanted = rate if fps is None else fps
    if not FPS_LIMITS[0] <= wanted <= FPS_LIMITS[1]:
        raise InputError(f"the frame rate is {wanted:g}", path=path, expected="1 to 1000 frames a second")
    frames = math.floor((last - first) * wanted + 0.05) + 1  # times are float32, which is coarse after hours
    own_frames = notes.get("frames")
    if isinstance(own_frames, int) and wanted == rate and own_frames >= frames:
        frames = own_frames
    if not 1 <= frames <= _MOST_FRAMES:
        raise InputError(f"lasts {last - first:g} s", path=path, expected=f"at most {_MOST_FRAMES} frames")
    return wanted, first + np.arange(frames) / wanted


def _spacing(tracks: Mapping[tuple[int, str], Track]) -> float:
    """The frame rate that most keys follow; :data:`DEFAULT_FPS` where keys are sparse."""
    gaps = [np.diff(track.times) for track in tracks.values() if len(track.times) > 1]
    if not gaps:
        return DEFAULT_FPS
    common = float(np.median(np.concatenate(gaps)))
    if common > SPARSE or not FPS_LIMITS[0] <= 1 / common <= FPS_LIMITS[1]:
        return DEFAULT_FPS
    # Times are float32: half a millisecond off is still the rate that was meant.
    return nearest_rate(1 / common, 2e-3)


# --- curves -----------------------------------------------------------------------------------------------------------


def _target_names(document: Mapping[str, Any], node: int) -> list[str]:
    """The names of the morph targets of a node's mesh."""
    mesh = document["nodes"][node].get("mesh")
    return [] if mesh is None else _mesh_targets(document, mesh)


def _mesh_targets(document: Mapping[str, Any], mesh: int) -> list[str]:
    record = document["meshes"][mesh]
    count = max((len(part.get("targets", [])) for part in record.get("primitives", [])), default=0)
    extras = record.get("extras")
    names = extras.get("targetNames") if isinstance(extras, dict) else None
    if not isinstance(names, list) or len(names) != count:
        title = record.get("name") or f"mesh{mesh}"
        names = [f"{title}.{index}" for index in range(count)]
    return [str(name) or f"target{index}" for index, name in enumerate(names)]


def _curves(
    document: Mapping[str, Any], tracks: Mapping[tuple[int, str], Track], moments: np.ndarray, path: Path
) -> dict[str, np.ndarray]:
    """Name -> (frames,) of all morph targets; meshes that share a name share the curve.

    Where meshes disagree the one with the most targets is right: the face, not the teeth.
    """
    owners = [index for index, record in enumerate(document.get("nodes", [])) if record.get("mesh") is not None]
    names = {node: _target_names(document, node) for node in owners}
    curves: dict[str, np.ndarray] = {}
    for node in sorted(owners, key=lambda node: ((node, "weights") not in tracks, -len(names[node]))):
        track = tracks.get((node, "weights"))
        if track is not None:
            values = track.at(moments)
        else:
            rest = document["nodes"][node].get("weights")
            rest = rest or document["meshes"][document["nodes"][node]["mesh"]].get("weights")
            rest = np.array(rest if rest and len(rest) == len(names[node]) else [0.0] * len(names[node]), float)
            finite("the weights at rest", rest, path)
            values = np.broadcast_to(rest, (len(moments), len(rest)))
        scales = _scales(document, document["nodes"][node]["mesh"])
        for name, column in zip(names[node], values.T, strict=True):
            curves.setdefault(name, column * scales.get(name, 1.0))
    return curves


def _scales(document: Mapping[str, Any], mesh: int) -> dict[str, float]:
    """By how much our writer enlarged targets of a mesh."""
    extras = document["meshes"][mesh].get("extras")
    ours = extras.get("hyoid") if isinstance(extras, dict) else None
    scales = ours.get("targetScale") if isinstance(ours, dict) else None
    if not isinstance(scales, dict):
        return {}
    return {name: float(value) for name, value in scales.items() if math.isfinite(float(value))}


def _restore_larynx(curves: dict[str, np.ndarray], document: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
    """Our larynx targets as the curves that they came from: height in millimetres, size with 1 for the own."""
    if not notes:
        return
    up, down, size = (curves.pop(name, None) for name in ("larynxUp", "larynxDown", "larynxSize"))
    if up is not None or down is not None:
        height = (0 if up is None else np.maximum(up, 0)) - (0 if down is None else np.maximum(down, 0))
        curves["larynxHeight"] = SHAPE_MILLIMETRES * np.asarray(height)
    if size is not None:
        curves["larynxSize"] = 1 + size


def _correctives(notes: Mapping[str, Any]) -> list[str]:
    """Names of the shapes that follow joints, as our writer noted them."""
    character = notes.get("character")
    names = character.get("correctives") if isinstance(character, dict) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _without_drivers(
    names: list[str], turns: np.ndarray, curves: Mapping[str, np.ndarray], notes: Mapping[str, Any]
) -> tuple[list[str], np.ndarray]:
    """Names and turns without what curves added to joints (the gaze of the eyes), as our writer noted it."""
    character = notes.get("character")
    drivers = character.get("drivers") if isinstance(character, dict) else None
    if not isinstance(drivers, list):
        return names, turns
    vectors: dict[str, np.ndarray] = {}
    for driver in drivers:
        joint, curve = driver["joint"], driver["curve"]
        if joint in names and curve in curves:
            axis = np.array(driver["axis"], float).reshape(3)
            finite("a driver's axis", axis)
            angle = np.radians(float(driver["degrees"])) * curves[curve][:, None]
            vectors[joint] = vectors.get(joint, 0) + angle * axis
    kept = []
    for index, name in enumerate(names):
        if name in vectors:
            driven = rotations.from_rotation_vector(vectors[name])
            turns[:, index] = rotations.multiply(turns[:, index], rotations.inverse(driven))
        if name not in vectors or np.abs(np.abs(turns[:, index]) - rotations.IDENTITY).max() > 10 * TURNED:
            kept.append(index)
    return [names[index] for index in kept], turns[:, kept]


# --- where it comes from ----------------------------------------------------------------------------------------------


def _origin(notes: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Events, sound, character, provenance and timing as our writer noted them."""
    if "events" not in notes:
        return {}
    character, made, audio = notes.get("character") or {}, notes.get("provenance") or {}, notes.get("audio")
    events = tuple(
        Event(str(row["kind"]), str(row["name"]), float(row["start"]), float(row["end"]), float(row["strength"]))
        for row in notes["events"]
    )
    sources = tuple(
        Source(*(str(row[name]) for name in ("role", "name", "sha256", "licence"))) for row in made.get("sources", ())
    )
    return {
        "events": events,
        "audio": None if audio is None else _audio(audio, path),
        "character": CharacterReference(
            str(character.get("name", "human")), dict(character.get("settings", {})), str(character.get("part", "full"))
        ),
        "provenance": Provenance(
            str(made.get("version", "")), str(made.get("verb", "")), dict(made.get("settings", {})), sources
        ),
        "mode": str(notes.get("mode", "")),
    }


def _audio(record: Mapping[str, Any], path: Path) -> AudioReference:
    seconds, offset = float(record["seconds"]), float(record["offset"])
    if not (math.isfinite(seconds) and math.isfinite(offset)) or seconds < 0 or "\0" in str(record["path"]):
        raise ValueError("the sound is not described rightly")
    # Only the name of the file travels in a .glb: the sound is looked for beside it.
    return sounds.located(AudioReference(str(record["path"]), str(record["sha256"]), seconds, offset), path)
