# SPDX-License-Identifier: Apache-2.0
"""``hyoid rig human --set age=0.7 -o hero.blend``: a character at rest, with every shape, joint and limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hyoid.errors import UsageError
from hyoid.report import Report
from hyoid.verbs.job import OutputOptions, Outputs, PictureOptions, positional, short

if TYPE_CHECKING:
    from hyoid.take import Take

RESULT = "files"


class Job(PictureOptions):
    """A character to build."""

    character: str = Field("human", description="character to build", json_schema_extra=positional())
    output: Outputs = Field([], description="file to write; may be given several times", json_schema_extra=short("-o"))
    set: dict[str, float] = Field({}, description="identity setting; may be given several times (see --list)")
    part: Literal["full", "head"] = Field("full", description="whole body, or head, neck and shoulders")
    subdivision: int = Field(0, ge=0, le=2, description="levels of smoothing of the mesh (4 times the points each)")
    shape: dict[str, float] = Field(
        {},
        description="expression that it holds: an ARKit shape, larynxHeight (mm) or a preset (smile, blink)",
    )
    list: bool = Field(False, description="list every setting with its range, and write nothing")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Build the character and write it, or list its settings.

    Raises:
        UsageError: an unknown character or setting, or neither ``-o`` nor ``--list``.
        OutputError, MissingToolError: an output cannot be written.
    """
    from hyoid import characters
    from hyoid.verbs import outputs

    if job.list:
        return settings(job.character)
    if not job.output:
        raise UsageError("there is no output", expected="-o FILE", hint=f"Type 'hyoid rig {job.character} -o hero.glb'")
    outputs.check_outputs(job.output, has_take=bool(job.shape))
    take = held(job) if job.shape else None
    report.progress(0.0, "building the character")
    character = characters.load(job.character, job.set, part=job.part, subdivision=job.subdivision)
    options = OutputOptions.model_validate({"width": job.width, "height": job.height, "view": job.view})
    written = outputs.export(character, take, job.output, report.stage(0.2, 1.0), options=options)
    return {
        "outputs": written,
        "character": character.name,
        "licence": character.licence,
        "vertices": len(character.vertices),
        "faces": len(character.faces),
        "joints": len(character.joint_names),
        "shapes": len(character.shapes.names),
    }


def held(job: Job) -> Take:
    """A performance of one frame: the expression that the job asks for, presets resolved to their curves.

    Raises:
        UsageError: there is no such shape or preset.
    """
    import numpy as np

    from hyoid import __version__
    from hyoid.characters import arkit, bundled
    from hyoid.take import CharacterReference, Provenance, Take

    curves = np.zeros((1, len(arkit.CURVES)), np.float32)
    curves[0, arkit.CURVES.index("larynxSize")] = 1
    presets = bundled.presets()
    for name, value in job.shape.items():
        if name not in presets and name not in arkit.CURVES:
            known = ", ".join((*presets, *arkit.CURVES))
            raise UsageError(f"there is no shape '{name}'", expected=f"one of {known}")
        for curve, weight in presets.get(name, {name: 1.0}).items():
            curves[0, arkit.CURVES.index(curve)] = value * weight
    return Take(
        fps=30.0, curve_names=arkit.CURVES, curves=curves, joint_names=(), rotations=np.zeros((1, 0, 4), np.float32),
        root=np.zeros((1, 3), np.float32), confidence=np.ones(1, np.float32),
        character=CharacterReference(job.character, job.set, job.part),
        provenance=Provenance(__version__, "rig", {"shape": dict(job.shape)}),
    )  # fmt: skip


def settings(name: str) -> dict[str, Any]:
    """Every identity setting of a character: range and default.

    Raises:
        UsageError, InputError: there is no such character, or its data cannot be read.
    """
    from dataclasses import asdict

    from hyoid import characters

    return {"character": name, "settings": {key: asdict(entry) for key, entry in characters.settings_of(name).items()}}


def show(result: dict[str, Any]) -> str:
    """The list of settings in columns, or what was written."""
    if "settings" not in result:
        counts = ", ".join(f"{result[key]} {key}" for key in ("vertices", "faces", "joints", "shapes"))
        return "\n".join([*result["outputs"], f"{result['character']} ({result['licence']}): {counts}"])
    table = result["settings"]
    width = max(map(len, table))
    lines = [f"{len(table)} settings of '{result['character']}', to be used as --set NAME=VALUE", ""]
    lines += [
        f"{name:<{width}}  {entry['low']:6.2f} .. {entry['high']:4.2f}   default {entry['default']:g}"
        for name, entry in table.items()
    ]
    return "\n".join(lines)
