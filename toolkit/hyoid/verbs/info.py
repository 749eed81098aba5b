# SPDX-License-Identifier: Apache-2.0
"""``hyoid info FILE``: what is inside, what it was made from, and whether it may be used commercially."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from hyoid.errors import InputError, TimeLimitError
from hyoid.report import Report
from hyoid.verbs.job import JobModel, positional

if TYPE_CHECKING:
    from hyoid.take import Source, Take

READER_SECONDS = 120.0
_PICTURES = (".png", ".jpg", ".jpeg")
_SCENES = (".blend", ".fbx", ".abc")
_MESHES = (".obj", ".ply", ".stl")
_USD = (".usdc", ".usda", ".usd", ".usdz")


class Job(JobModel):
    """A file to look into."""

    file: Path = Field(
        description="take, character, mesh (obj, ply, stl), bvh, csv, glb, usd, blend, fbx, abc, mp4, png, sound, "
        "keypoints (json, npz), .lifted.npz, or heads (json)",
        json_schema_extra=positional(),
    )
    events: bool = Field(default=False, description="also list every event of a take (phonemes, words, blinks)")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Look into one file.

    Returns:
        ``file``, ``type``, ``bytes``, ``sha256``, ``contents`` (by type), ``provenance`` (or None), and ``licence``:
        the verdict of :func:`hyoid.licences.verdict` with its ``sentence``; None for plain sound, pictures and meshes.

    Raises:
        InputError: the file is missing, empty, damaged or of no known type.
        MissingToolError: Blender is needed to look into this type and is not there.
    """
    from hyoid import licences
    from hyoid.files import sha256_of
    from hyoid.take import Source

    path = job.file
    if path.is_dir() or not path.exists():
        raise InputError("is a folder" if path.is_dir() else "does not exist", path=path, expected="a file")
    size = path.stat().st_size
    if not size:
        raise InputError("is empty", path=path)
    report.progress(0.1, f"reading {path.name}")
    kind, reader = _reader(path, job.events)
    contents = reader(path)
    provenance = contents.pop("provenance", None) or sidecar(path)
    sources = [_source(entry) for entry in (provenance or {}).get("sources", [])]
    licence = contents.pop("character_licence", None)
    if licence and not any(source.role == "character" and source.licence == licence for source in sources):
        sources.append(Source("character", str(contents.get("character") or ""), "", licence))
    verdict = None
    if sources or kind not in ("sound", "picture", "video", "csv", "bvh", "mesh", "keypoints"):
        verdict = licences.verdict(sources)
        verdict["sentence"] = licences.sentence(verdict)
    return {
        "file": str(path), "type": kind, "bytes": size, "sha256": sha256_of(path), "contents": contents,
        "provenance": provenance, "licence": verdict,
    }  # fmt: skip


def _reader(path: Path, events: bool) -> tuple[str, Callable[[Path], dict[str, Any]]]:
    """The type of a file and what looks into it."""
    from hyoid.media.footage import is_film

    name = path.name.lower()
    if name.endswith(".character.npz"):
        return "character", _character
    if name.endswith((".take.npz", ".bvh", ".csv")):
        return name.rsplit(".", 1)[1].replace("npz", "take"), lambda path: _take(path, events)
    if name.endswith(".lifted.npz"):
        return "lifted", _lifted
    if name.endswith(".json") and is_heads(path):
        return "heads", _heads
    if name.endswith((".npz", ".npy", ".json")):
        return "keypoints", _keypoints
    if name.endswith(".glb"):
        return "glb", _glb
    if name.endswith(_USD):
        return "usd", _usd
    if name.endswith(_SCENES):
        return name.rsplit(".", 1)[1], _scene
    if name.endswith(_MESHES):
        return "mesh", _mesh
    if name.endswith(_PICTURES):
        return "picture", _picture
    if is_film(path):
        return "video", _video
    return "sound", _sound


def take_facts(take: Take, *, events: bool = False) -> dict[str, Any]:
    """What a take holds, as JSON values."""
    import dataclasses

    moving = [name for name in take.curve_names if float(take.curve(name).std()) > 1e-4]
    counts: dict[str, int] = {}
    for event in take.events:
        counts[event.kind] = counts.get(event.kind, 0) + 1
    facts: dict[str, Any] = {
        "seconds": round(take.seconds, 6),
        "fps": take.fps,
        "frames": take.frames,
        "curves": len(take.curve_names),
        "moving_curves": moving,
        "joints": list(take.joint_names),
        "points": None if take.points is None else int(take.points.shape[1]),
        "events": counts,
        "sparse_keys": sum(len(keys.times) for keys in take.keys.values()),
        "confidence": round(float(take.confidence.mean()), 4),
        "mode": take.mode,
        "character": take.character.name,
        "character_settings": dict(take.character.settings),
        "audio": None if take.audio is None else dataclasses.asdict(take.audio),
    }
    if events:
        facts["event_list"] = [dataclasses.asdict(event) for event in take.events]
    if take.provenance.verb or take.provenance.sources:
        facts["provenance"] = json.loads(json.dumps(dataclasses.asdict(take.provenance), default=str))
    return facts


def _take(path: Path, events: bool) -> dict[str, Any]:
    from hyoid import formats

    facts = take_facts(formats.read_take(path), events=events)
    if not path.name.lower().endswith(".take.npz"):  # a table or a skeleton does not say who performs it
        facts |= {"character": None, "character_settings": {}}
    return facts


def _lifted(path: Path) -> dict[str, Any]:
    import dataclasses

    from hyoid.formats import lifted_npz

    found = lifted_npz.read(path)
    return {
        "seconds": round(float(found.times[-1] - found.times[0]) + 1 / found.fps, 6), "fps": round(found.fps, 6),
        "frames": len(found.times), "picture": f"{found.width} x {found.height}",
        "people": {person.name: f"seen in {int(person.seen.sum())} frames" for person in found.people},
        **{name: value for name, value in found.facts.items() if name != "others"},
        "provenance": {"verb": "lift", "version": "", "settings": {},
                       "sources": [dataclasses.asdict(source) for source in found.sources]},
    }  # fmt: skip


def is_heads(path: Path) -> bool:
    """Whether a JSON file holds heads, by its first lines."""
    from hyoid.formats import heads_json

    return heads_json.is_heads(path)


def _heads(path: Path) -> dict[str, Any]:
    import dataclasses

    from hyoid.formats import heads_json

    found = heads_json.read(path)
    failed = [picture.name for picture in found.pictures if picture.error]
    return {
        "pictures": len(found.pictures), "heads": int(found.heads.seen.sum()), "fps": found.fps,
        "people": {name: f"seen in {int(((found.heads.ids == number) & found.heads.seen).sum())} pictures"
                   for number, name in found.names.items()},
        "failed": failed, "field_of_view": found.field_of_view, "perspective": found.perspective,
        "system": found.facts.get("system", ""),
        "provenance": {"verb": "headpose", "version": "", "settings": {},
                       "sources": [dataclasses.asdict(source) for source in found.sources]},
    }  # fmt: skip


def _keypoints(path: Path) -> dict[str, Any]:
    import numpy as np

    from hyoid.formats import keypoints

    found = keypoints.read(path)
    most = int(np.bincount(found.frame).max()) if len(found.frame) else 0
    return {
        "source": found.source, "layout": found.layout.title, "reason": found.reason, "frames": found.frames,
        "first_frame": found.first, "detections": len(found.frame), "most_people_in_a_frame": most,
        "track_numbers": bool((found.ids >= 0).all()), "fps": found.fps,
        "picture": f"{found.width} x {found.height}" if found.width else "size not told: --size when lifting",
    }  # fmt: skip


def _character(path: Path) -> dict[str, Any]:
    import dataclasses

    from hyoid.characters import arkit
    from hyoid.formats import character_npz
    from hyoid.formats.character_checks import valid_character

    character, provenance = character_npz.read_unchecked(path)
    valid_character(character, path)
    own = character.shapes.names[len(arkit.NAMES) + len(arkit.LARYNX_SHAPES) :]
    followers = {entry.shape for entry in character.correctives}
    pictures = {
        place
        for material in character.materials.values()
        for place in (material.colour_map, material.normal_map, material.roughness_map)
        if place
    }
    return {
        "character": character.name,
        "character_licence": character.licence,
        "stated_licence": character.licence,
        "settings": dict(character.settings),
        "parts": {part.name: part.vertices.stop - part.vertices.start for part in character.parts},
        "vertices": len(character.vertices),
        "faces": len(character.faces),
        "shapes": len(character.shapes.names),
        "own_shapes": [name for name in own if name not in followers],
        "correctives": len(character.correctives),
        "joints": list(character.joint_names),
        "height": round(float(character.vertices[:, 1].max() - character.vertices[:, 1].min()), 4),
        "materials": list(character.materials),
        "pictures": len(pictures),
        "made_from_sha256": character.digest,
        "provenance": json.loads(json.dumps(dataclasses.asdict(provenance), default=str)),
    }


def _glb(path: Path) -> dict[str, Any]:
    from hyoid.formats import glb_read

    facts = glb_read.summary(glb_read.read(path))
    own = facts.pop("hyoid") or {}
    for key in ("provenance", "fps", "frames", "mode", "audio"):
        if own.get(key) is not None:
            facts[key] = own[key]
    if own.get("character"):
        facts["character"], facts["character_licence"] = own["character"].get("name", ""), facts["copyright"]
    return facts


def _usd(path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "hyoid.verbs.usd_facts", str(path.resolve())]
    facts = _child(command, None, path, "USD")
    own = facts.pop("custom", {}).get("hyoid", {})
    if own.get("provenance"):
        facts["provenance"] = json.loads(own["provenance"])
    if own.get("character"):
        facts["character"], facts["character_licence"] = own["character"], own.get("licence", "")
    if own.get("mode"):
        facts["mode"] = own["mode"]
    return facts


def _scene(path: Path) -> dict[str, Any]:
    from hyoid.blender import facts as script
    from hyoid.blender import process

    command, environment = process.blender_command()
    own = Path(script.__file__).resolve()
    command = [str(own) if part == str(process.CHILD) else part for part in command]
    return _child([*command, str(path.resolve())], environment, path, "Blender", prefix=script.PREFIX)


def _child(
    command: list[str], environment: dict[str, str] | None, path: Path, program: str, *, prefix: str = ""
) -> dict[str, Any]:
    """The JSON that a child process prints about a file; a child that dies is a damaged file, not our end."""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=READER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise TimeLimitError(f"{program} did not read it within {READER_SECONDS:g} s", path=path) from None
    lines = [line for line in done.stdout.decode(errors="replace").splitlines() if line.startswith(prefix or "{")]
    if not lines:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{program} ended with code {done.returncode} while reading it ({last})", path=path)
    facts = json.loads(lines[-1][len(prefix) :])
    if "error" in facts:
        raise InputError(f"cannot be read: {facts['error']}", path=path)
    return facts


def _mesh(path: Path) -> dict[str, Any]:
    import numpy as np

    from hyoid.characters.fit.placing import guess_units
    from hyoid.formats.mesh_files import read_mesh
    from hyoid.geometry.closest import edges_of
    from hyoid.geometry.meshes import triangulate

    mesh = read_mesh(path)
    triangles = int((mesh.faces[:, 2] == mesh.faces[:, 3]).sum())
    _, used = edges_of(triangulate(mesh.faces)) if len(mesh.faces) else (None, np.zeros(0))
    return {
        "vertices": len(mesh.vertices),
        "quads": len(mesh.faces) - triangles,
        "triangles": triangles,
        "size": np.ptp(mesh.vertices, axis=0).round(6).tolist(),
        "unit_may_be": list(guess_units(mesh.vertices)),
        "texture_coordinates": len(mesh.uv),
        "groups": [name for name in mesh.group_names if name],
        "open_edges": int((used == 1).sum()),
        "edges_of_more_than_two_faces": int((used > 2).sum()),
        "next": f"hyoid rig fit {path.name} -o {path.stem}.blend",
    }


def _picture(path: Path) -> dict[str, Any]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return {"width": image.width, "height": image.height, "mode": image.mode}
    except (OSError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot be read as a picture ({error})", path=path) from None


def _video(path: Path) -> dict[str, Any]:
    from hyoid.media import video

    facts = video.probe(path)
    return {
        "seconds": round(facts.seconds, 6), "fps": float(facts.fps), "frames": facts.frames, "width": facts.width,
        "height": facts.height, "sound": facts.has_audio,
    }  # fmt: skip


def _sound(path: Path) -> dict[str, Any]:
    from hyoid.media import audio

    with audio.recording(path, repair=True) as recording:
        return {
            "seconds": round(recording.seconds, 6), "rate": recording.rate, "channels": recording.channels,
            "damage": list(recording.repaired),
        }  # fmt: skip


def sidecar(path: Path) -> dict[str, Any] | None:
    """The provenance that lies beside an output whose format cannot carry it; frames of a sequence share one."""
    pattern = re.sub(r"(?<=\D)\d+(?=\D*$)", lambda digits: "#" * len(digits[0]), path.stem) + path.suffix
    for name in dict.fromkeys((path.name, pattern)):
        try:
            record = json.loads(path.with_name(f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and "sources" in record:
            return record
    return None


def _source(entry: dict[str, Any]) -> Source:
    from hyoid.take import Source

    return Source(*(str(entry.get(key, "")) for key in ("role", "name", "sha256", "licence")))


def show(result: dict[str, Any]) -> str:
    """The facts for people: one a line, long lists counted, then the sources and the verdict."""
    lines = [f"{result['file']}: {result['type']}, {result['bytes']:,} bytes"]
    for key, value in result["contents"].items():
        if key == "event_list":
            lines += [f"  {e['start']:9.3f} {e['end']:9.3f}  {e['kind']:<8} {e['name']}" for e in value]
        elif value not in (None, "", [], {}):
            lines.append(f"  {key.replace('_', ' ')}: {_short(value)}")
    provenance = result["provenance"]
    if provenance:
        lines.append(f"  made by: hyoid {provenance.get('verb', '')} {provenance.get('version', '')}")
        lines += [
            f"    {entry['role']}: {entry['name']} ({entry['licence'] or 'no stated licence'})"
            for entry in provenance.get("sources", [])
        ]
    if result["licence"]:
        lines.append(result["licence"]["sentence"])
    return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        items = [f"{key} {_short(item)}" for key, item in value.items()]
        return ", ".join(items[:12]) + (f" and {len(items) - 12} more" if len(items) > 12 else "")
    if isinstance(value, list):
        if len(value) <= 6:
            return ", ".join(map(_short, value))
        return f"{len(value)} ({', '.join(map(_short, value[:4]))}, ...)"
    return f"{value:g}" if isinstance(value, float) else str(value)
