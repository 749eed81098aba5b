# SPDX-License-Identifier: Apache-2.0
"""``hyoid rig fit ME.obj -o me.blend``: your own head, rigged: 52 shapes, eight-joint neck, larynx, your topology."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hyoid.errors import InputError, PartialError, UsageError
from hyoid.report import Report
from hyoid.verbs.job import CLI, Outputs, PictureOptions, output_field, positional

if TYPE_CHECKING:
    from hyoid.characters.character import Character, Material, Part
    from hyoid.geometry.mesh import Mesh
    from hyoid.take import Provenance

RESULT = "files"
SUFFIXES = (".character.npz", ".blend", ".glb", ".usdc", ".usda", ".fbx", ".abc", ".bvh", ".png")
LARGEST_ERROR = 3.0
"""Millimetres: with a median above this the result is written, and the exit code says that it needs a look (7)."""
_EYE_RADIUS = 0.0122  # metres, of an adult
_UNITS = {"m": "metre", "cm": "centimetre", "mm": "millimetre", "inch": "inch"}
_PLURALS = {"inch": "inches", "own": "units of its own"}
_UP = {"y": "+Y", "z": "+Z"}


class Job(PictureOptions):
    """A head that is to be rigged."""

    mesh: Path = Field(description="head mesh or scan: .obj, .ply, .stl or .glb", json_schema_extra=positional())
    output: Outputs = output_field("file to write; may be given several times")
    model: str = Field("human", description="character that is fitted, and that the rig is taken from")
    result: Literal["mesh", "model"] = Field(
        "mesh", description="mesh: your own mesh with its topology, rigged; model: the fitted character itself"
    )
    landmarks: Path | None = Field(
        None, description="picked places (JSON or text): names with a vertex or a point, or 68 points; seldom needed"
    )
    landmark: dict[str, str] = Field(
        {}, description="one picked place, NAME=VERTEX or NAME=X,Y,Z; may be given several times"
    )
    unit: Literal["auto", "m", "cm", "mm", "inch"] = Field("auto", description="unit of the mesh; auto finds it")
    up: Literal["auto", "y", "z"] = Field("auto", description="axis that points up in the mesh; auto finds it")
    name: str | None = Field(None, description="name of the character; without it that of the mesh")
    texture: Path | None = Field(
        None, description="picture for the skin (PNG or JPEG); without it that of the .obj's materials"
    )
    keep_order: bool = Field(
        False,
        description="keep the order of vertices even where pieces (eyes, teeth) are mixed in it and then share a look",
    )
    eyes: bool = Field(False, description="put the bundled human's eyes into a mesh that has none")
    part: Literal["full", "head"] = Field("head", description="of a fitted model: whole body, or head and shoulders")
    subdivision: int = Field(0, ge=0, le=2, description="levels of smoothing of the written mesh")
    settings_out: Path | None = Field(
        None, description="write the fitted identity here, as a job (TOML) for 'hyoid run' that builds it again"
    )
    report: Path | None = Field(
        None, description="write the fit and its quality here (JSON)", json_schema_extra={CLI: {"file": "write"}}
    )


def run(job: Job, report: Report) -> dict[str, Any]:
    """Find the head, fit a character to it, carry the rig over, write every output.

    Returns:
        ``outputs``; ``mesh``, ``placement``, ``fit`` and ``quality`` (plain numbers, millimetres); ``settings`` of the
        fitted character; ``warnings``; ``exit_code``: 7 when the surface is farther away than :data:`LARGEST_ERROR`.

    Raises:
        UsageError: an unknown character, type of file, or an output that holds a performance.
        InputError: the mesh cannot be read, holds no head, or is not what ``unit`` and ``up`` say.
        OutputError, MissingToolError: an output cannot be written.
    """
    from hyoid.threads import one_blas_thread

    with one_blas_thread():
        return _run(job, report)


def _run(job: Job, report: Report) -> dict[str, Any]:
    from dataclasses import asdict

    from hyoid import characters, files
    from hyoid.characters.fit import fitting
    from hyoid.formats.landmarks import picked
    from hyoid.formats.mesh_files import read_mesh
    from hyoid.verbs import outputs, rig
    from hyoid.verbs.job import OutputOptions

    begun = time.monotonic()
    _check_outputs(job)
    characters.settings_of(job.model)  # a wrong folder is told before the work
    report.progress(0.0, f"reading {job.mesh.name}")
    mesh = read_mesh(job.mesh)
    if job.result == "mesh" and not len(mesh.faces):
        hint = "Type --result model to fit a character to the points"
        raise InputError("has points and no faces", path=job.mesh, expected="a mesh that can be rigged", hint=hint)
    landmarks = picked(job.landmarks, job.landmark, mesh.vertices)
    with _about(job.mesh):
        found = fitting.fit(job.model, mesh, landmarks=landmarks, report=report.stage(0.05, 0.5))
        _as_said(job, found.placement.summary())
        source = characters.load(job.model, found.settings, part=job.part if job.result == "model" else "head")
        if job.result == "mesh":
            character, quality = _rigged(job, mesh, found, source, landmarks, report.stage(0.5, 0.85))
        else:
            character, quality = source, {}
    facts = _facts(job, mesh, found, quality)
    facts |= {"licence": character.licence, "commercial": rig.commercial(character)}
    provenance = _provenance(job, source, facts)
    if job.subdivision:
        from hyoid.characters.refine import refine

        character = refine(character, job.subdivision)
    pictures = OutputOptions.model_validate({"width": job.width, "height": job.height, "view": job.view})
    written = outputs.export(
        character, None, job.output, report.stage(0.85, 1.0), options=pictures, provenance=provenance
    )
    facts = {"outputs": written, "character": character.name, "seconds": round(time.monotonic() - begun, 2), **facts}
    for text in facts["warnings"]:
        report.message(text, "warning")
    if job.settings_out is not None:
        files.write_bytes(job.settings_out, _as_job(job, facts["settings"]).encode())
    if job.report is not None:
        record = {key: value for key, value in facts.items() if key != "seconds"} | {"provenance": asdict(provenance)}
        files.write_bytes(job.report, json.dumps(record, indent=1).encode() + b"\n")
    facts["outputs"] = [*written, *(str(path) for path in (job.settings_out, job.report) if path is not None)]
    return facts


def _check_outputs(job: Job) -> None:
    from hyoid.files import check_writable
    from hyoid.verbs import outputs

    outputs.check_outputs(job.output, has_take=False)
    taken = {path.resolve() for path in job.output}
    if job.mesh.resolve() in taken:
        raise UsageError("is the mesh itself", path=job.mesh, expected="another name, so that it is not lost")
    for path in (job.report, job.settings_out):
        if path is None:
            continue
        if path.resolve() in taken | {job.mesh.resolve()}:
            raise UsageError("is named twice", path=path, expected="a file of its own")
        taken.add(path.resolve())
        check_writable(path)


def _as_job(job: Job, settings: dict[str, float]) -> str:
    """A job file that builds the fitted character again."""
    output = f"{job.name or _stem(job.mesh)}.glb"
    lines = [
        'verb = "rig"', f"character = {json.dumps(job.model)}", f'part = "{job.part}"',
        f"output = [{json.dumps(output)}]", "", "[set]",
        *(f"{json.dumps(name)} = {float(value)!r}" for name, value in settings.items()),
    ]  # fmt: skip
    return "\n".join([*lines, ""])


@contextlib.contextmanager
def _about(path: Path) -> Iterator[None]:
    """Errors of the mathematics know no file: they are about the mesh."""
    try:
        yield
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(error.found, path=path, expected=error.expected, hint=error.hint) from error


def _as_said(job: Job, placement: dict[str, Any]) -> None:
    """Refuse a mesh that is not in the unit, or does not stand, as the job says.

    Raises:
        InputError: what was found instead.
    """
    if job.unit != "auto" and placement["unit"] != _UNITS[job.unit]:
        size = placement["head_size"]
        found = f"its head is one of {_units(placement['unit'])}, not of {_units(_UNITS[job.unit])}"
        if placement["unit"] == "own":
            found = f"its head is {size:.2g} times as large as a head in {_units(_UNITS[job.unit])}"
        raise InputError(found, path=job.mesh, hint="Leave --unit away, and it is scaled as needed")
    if job.up != "auto" and placement["up"] != _UP[job.up]:
        raise InputError(
            f"its head points to {placement['up']}", path=job.mesh, expected=_UP[job.up],
            hint="Leave --up away, and it is turned as needed; landmarks decide where the face is",
        )  # fmt: skip


def _units(name: str) -> str:
    return _PLURALS.get(name, f"{name}s")


def _rigged(
    job: Job, mesh: Mesh, found: Any, source: Character, landmarks: Any, report: Report
) -> tuple[Character, dict[str, Any]]:
    """The user's mesh as a character in metres, +Y up, with its own name, licence and pictures."""
    from dataclasses import replace

    from hyoid.characters.fit.mesh_order import by_piece
    from hyoid.characters.fit.placing import named_points
    from hyoid.characters.fit.transfer import rig_mesh

    placed = replace(mesh, vertices=found.placement.apply(mesh.vertices))
    picked = None
    if landmarks is not None:
        points = named_points(landmarks, mesh.vertices)
        picked = {name: found.placement.apply(point[None])[0] for name, point in points.items()}
    name = job.name or _stem(job.mesh)
    character, quality = rig_mesh(source, placed, name=name, landmarks=picked, report=report.stage(0.0, 0.5))
    if len(character.parts) == 1 and len(quality["pieces"]) > 1 and not job.keep_order:
        report.message("the pieces of the mesh were mixed: its vertices are put in order (--keep-order leaves them)")
        placed, _ = by_piece(placed)
        character, quality = rig_mesh(source, placed, name=name, landmarks=picked, report=report.stage(0.5, 1.0))
    character = replace(character, licence=licence_of(source), settings={}, digest="")
    character = _with_pictures(job, placed, character)
    if job.eyes and not _has_eyes(quality):
        character = _with_eyes(character, source, float(quality.get("scale", 1.0)))
    return character, quality


def _has_eyes(quality: dict[str, Any]) -> bool:
    return any(kind in quality.get("pieces", {}) for kind in ("eye_left", "eye_right"))


def _with_eyes(character: Character, source: Character, scale: float) -> Character:
    """The character with the bundled human's eyes, behind everything that it had."""
    import numpy as np

    from hyoid.characters.lent import eyes

    joints = [source.joint(name) for name in ("eye.L", "eye.R")]
    radius = _EYE_RADIUS
    for part in source.parts:
        if part.name == "eye_left":
            radius = float(np.median(np.linalg.norm(source.vertices[part.vertices] - source.heads[joints[0]], axis=1)))
    centres = np.stack([character.heads[character.joint(name)] for name in ("eye.L", "eye.R")])
    return eyes.add(character, eyes.Placement(centres, radius * scale))


def licence_of(source: Character) -> str:
    """The licence of a user's mesh with the rig of a character: that of the character where it forbids or asks."""
    from hyoid import licences

    free = licences.terms(source.licence).commercial == licences.YES
    return "LicenseRef-own" if free else source.licence


def _stem(path: Path) -> str:
    """A name that every program takes: letters, digits and single underscores."""
    letters = "".join(letter if letter.isalnum() else "_" for letter in path.stem)
    return "_".join(filter(None, letters.split("_"))) or "head"


def _with_pictures(job: Job, mesh: Mesh, character: Character) -> Character:
    """The character in the colours of the user: ``--texture`` on the skin, else what the materials of an .obj name.

    Raises:
        InputError: ``--texture`` is no picture, or the mesh has no texture coordinates.
    """
    from dataclasses import replace

    from hyoid.characters.character import Material
    from hyoid.formats import mtl

    if job.texture is not None:
        if not len(mesh.uv):
            raise InputError("has no texture coordinates", path=job.mesh, hint="Leave --texture away")
        skin = character.parts[0].material
        painted = mtl.painted(character.materials[skin], mtl.checked_picture(job.texture))
        return replace(character, materials={**character.materials, skin: painted})
    pictures = mtl.pictures_of(job.mesh) if job.mesh.suffix.lower() == ".obj" and len(mesh.uv) else {}
    looks = [_look(mesh, part, pictures) for part in character.parts]
    materials, parts = {}, []
    for part, look in zip(character.parts, looks, strict=True):
        plain = character.materials[part.material]
        material = plain if look is None else look if isinstance(look, Material) else mtl.painted(plain, look)
        name, number = material.name, 1
        while name in materials and replace(materials[name], name=material.name) != material:
            number += 1
            name = f"{material.name}_{number}"
        materials[name] = replace(material, name=name)
        parts.append(replace(part, material=name))
    return replace(character, parts=tuple(parts), materials=materials)


def _look(mesh: Mesh, part: Part, pictures: dict[str, Path]) -> Path | Material | None:
    """The picture of the material that most faces of a part have, clear glass for a cornea, or None."""
    import numpy as np

    groups = mesh.groups[part.faces]
    if not len(groups):
        return None
    group = mesh.group_names[int(np.bincount(groups).argmax())]
    if part.material == "eye" and "cornea" in group.lower():
        from hyoid.characters.lent import eyes

        return eyes.materials()["cornea"]
    return pictures.get(group.rsplit("/", 1)[-1])


def _facts(job: Job, mesh: Mesh, found: Any, quality: dict[str, Any]) -> dict[str, Any]:
    """Everything that is said of the fit, as JSON values."""
    placement, fit = found.placement.summary(), found.summary()
    settings = {name: round(value, 4) for name, value in found.settings.items()}
    median = float(quality.get("median_error_mm", fit["median_error_mm"]))
    warnings = [*quality.get("remarks", []), *_cautions(job, quality)]
    if placement["unit"] == "own":
        warnings.append("its size is that of no head in metres, centimetres, millimetres or inches: it was scaled")
    if median > LARGEST_ERROR:
        warnings.append(
            f"the surface is {median:.1f} mm away in the middle: look at the result, or give landmarks (--landmark)"
        )
    return {
        "mesh": {"file": str(job.mesh), "vertices": len(mesh.vertices), "faces": len(mesh.faces)},
        "model": job.model, "result": job.result, "placement": placement, "fit": fit, "quality": quality,
        "median_error_mm": round(median, 3), "settings": settings, "warnings": warnings,
        "exit_code": PartialError.exit_code if median > LARGEST_ERROR else 0,
    }  # fmt: skip


def _cautions(job: Job, quality: dict[str, Any]) -> list[str]:
    """What a mesh lacks and what a check of the shapes did not pass, each as a sentence with what to do."""
    found, checks = [], quality.get("checks", {})
    closed = [name.removeprefix("lids_") for name, check in checks.items() if check.get("note") == "closed at rest"]
    if closed:
        found.append(f"no eyelid slit ({' and '.join(closed)}): a blink shows nothing; open the lids in the mesh")
    elif quality and not _has_eyes(quality) and not job.eyes:
        found.append("no eyeballs (--eyes puts the bundled ones in)")
    if checks.get("lips", {}).get("note"):
        found.append("no mouth opening: the lips cannot part; cut the mouth open between them")
    texts = {
        "lids_left": "a blink leaves {value:.0%} of the left eye open",
        "lids_right": "a blink leaves {value:.0%} of the right eye open",
        "lips": "mouthClose leaves {value:.0%} of the open mouth open",
        "jaw": "jawOpen opens the lips {value:.2f} times as far as the model's",
        "symmetry": "left and right shapes differ by {value:.1f} mm on a symmetric mesh",
        "teeth": "shapes move the upper teeth by {value:.1f} mm",
        "flipped": "{shape} turns {value:.0%} of its faces over",
    }
    for name, check in checks.items():
        if check["result"] != "pass" and not check.get("note"):
            text = texts.get(name, f"{name} is {{value:.3g}}, the limit is {{limit:.3g}}")
            found.append(f"{text.format(**{'shape': '', **check})}: look at it")
    return found


def _provenance(job: Job, source: Character, facts: dict[str, Any]) -> Provenance:
    from hyoid import __version__
    from hyoid.files import sha256_of
    from hyoid.take import Provenance, Source
    from hyoid.verbs import outputs

    settings = {
        "model": job.model, "result": job.result, "settings": facts["settings"], "placement": facts["placement"],
        "median_error_mm": facts["median_error_mm"],
    }  # fmt: skip
    mesh = Source("input", job.mesh.name, sha256_of(job.mesh), "")
    return Provenance(__version__, "rig fit", settings, (mesh, outputs.source_of(source)))


def show(result: dict[str, Any]) -> str:
    """What was found, how well it fits, what to look at, and the files."""
    mesh, place = result["mesh"], result["placement"]
    lines = [
        f"{mesh['file']}: {mesh['vertices']} vertices, {mesh['faces']} faces, in {_units(place['unit'])}, "
        f"{place['up']} up, looking along {place['front']}{_turned(place)}",
        f"{result['model']} fits within {result['median_error_mm']:.2f} mm"
        f" (95 %: {_percentile(result):.2f} mm), {result['seconds']:.0f} s",
    ]
    lines += [f"  {name}: {text}" for name, text in _checks(result["quality"])]
    settings = [f"--set {name}={value:g}" for name, value in result["settings"].items()]
    if settings:
        shown = " ".join(settings[:8]) + (f" ... ({len(settings)} in all)" if len(settings) > 8 else "")
        lines.append(f"identity: {shown}")
    return "\n".join(filter(None, [*lines, result["commercial"], *result["outputs"]]))


def _turned(place: dict[str, Any]) -> str:
    changed = [] if place["unit"] == "metre" else ["scaled to metres"]
    if (place["up"], place["front"]) != ("+Y", "+Z"):
        changed.append("turned to +Y up, +Z forward")
    return f": {' and '.join(changed)}" if changed else ""


def _percentile(result: dict[str, Any]) -> float:
    return float(result["quality"].get("percentile_95_mm", result["fit"].get("percentile_95_mm", 0.0)))


def _checks(quality: dict[str, Any]) -> list[tuple[str, str]]:
    """What the checks of the shapes say, one line."""
    checks = quality.get("checks", {})
    if not checks:
        return []
    words = [f"{name.replace('_', ' ')} {check['result']}" for name, check in checks.items()]
    return [("shapes", ", ".join(words))]
