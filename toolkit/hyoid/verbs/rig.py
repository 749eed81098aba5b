# SPDX-License-Identifier: Apache-2.0
"""``hyoid rig human --set age=0.7 -o hero.blend``: a character at rest, with every shape, joint and limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from hyoid.errors import UsageError
from hyoid.report import Report
from hyoid.verbs.job import OutputOptions, Outputs, PictureOptions, positional, short

if TYPE_CHECKING:
    from hyoid.characters.character import Character
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
        description="expression that it holds: an ARKit shape, one of its own, larynxHeight (mm), a preset (smile,"
        " blink, happiness, anger) or an action unit (AU12=C)",
    )
    list: bool = Field(False, description="list every setting with its range, and write nothing")

    @field_validator("shape", mode="before")
    @classmethod
    def _letters(cls, value: Any) -> Any:
        """Intensities of action units may be letters, A to E."""
        from hyoid.characters.facs import INTENSITIES

        if not isinstance(value, dict):
            return value
        found = {}
        for name, item in value.items():
            if str(name).upper().startswith("AU") and isinstance(item, str):
                item = INTENSITIES.get(item.upper(), item)
                if isinstance(item, str) and item.isalpha() and len(item) == 1:
                    raise UsageError(f"--shape {name} is '{item}'", expected="a number, or a letter from A to E")
            found[name] = item
        return found


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
    report.progress(0.0, "building the character")
    character = characters.load(job.character, job.set, part=job.part, subdivision=job.subdivision)
    take = held(job, character) if job.shape else None
    options = OutputOptions.model_validate({"width": job.width, "height": job.height, "view": job.view})
    written = outputs.export(character, take, job.output, report.stage(0.2, 1.0), options=options)
    return {
        "outputs": written,
        "character": character.name,
        "licence": character.licence,
        "commercial": commercial(character),
        "vertices": len(character.vertices),
        "faces": len(character.faces),
        "joints": len(character.joint_names),
        "shapes": len(character.shapes.names),
        **expression(job.character),
    }


def expression(name: str) -> dict[str, Any]:
    """How well the 52 shapes can be told in the expression of a model that has its own; empty for other characters."""
    from hyoid import characters

    if characters.parse(name)[0] not in ("flame", "smplx"):
        return {}
    from hyoid.characters.smpl import expression_map

    try:
        found = expression_map.of_name(name)
    except UsageError:
        return {}  # SMPL and SMPL-H have no expression
    worst = sorted(found.residuals, key=lambda key: -found.residuals[key])[:5]
    rounded = {key: round(found.residuals[key], 2) for key in worst}
    counts = {"coefficients": len(found.names), "residual_mm": round(found.residual_mm, 3), "worst_mm": rounded}
    return {"expression": counts}


def commercial(character: Character) -> str:
    """Whether what is made of a character may be used commercially, as one line; empty when it plainly may."""
    from hyoid import licences
    from hyoid.take import Source

    verdict = licences.verdict([Source("character", character.name, character.digest, character.licence)])
    free = verdict["commercial"] == licences.YES and not verdict["duties"]
    return "" if free else licences.sentence(verdict)


def held(job: Job, character: Character) -> Take:
    """A performance of one frame: the expression that the job asks for, presets resolved to their curves.

    Raises:
        UsageError: the character has no such shape, and there is no such preset or action unit.
    """
    import difflib

    import numpy as np

    from hyoid import __version__
    from hyoid.characters import arkit, bundled, facs
    from hyoid.take import CharacterReference, Provenance, Take

    presets = bundled.presets() | facs.EMOTIONS
    followers = {entry.shape for entry in character.correctives}
    shapes = [name for name in character.shapes.names if name not in (*arkit.LARYNX_SHAPES, *followers)]
    known = list(dict.fromkeys((*presets, *arkit.CURVES, *shapes)))
    values: dict[str, float] = {"larynxSize": 1.0}
    for name, value in job.shape.items():
        unit = facs.unit(name)
        if unit is not None:
            facs.recipe(unit)  # one that cannot be shown is told
        elif name not in known:
            near = difflib.get_close_matches(name, known, 5, 0.5)
            hint = f"Did you mean {', '.join(near)}" if near else f"Presets are {', '.join(presets)}"
            expected = "an ARKit shape (jawOpen), a shape of the character, a preset (smile) or an action unit (AU12)"
            raise UsageError(f"there is no shape '{name}'", expected=expected, hint=hint)
        curves = presets.get(name, {unit or name: 1.0})
        values |= {curve: values.get(curve, 0.0) * (curve != "larynxSize") + value * curves[curve] for curve in curves}
    names = tuple(dict.fromkeys((*arkit.CURVES, *values)))
    return Take(
        fps=30.0, curve_names=names, curves=np.array([[values.get(name, 0.0) for name in names]], np.float32),
        joint_names=(), rotations=np.zeros((1, 0, 4), np.float32),
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
        lines = [*result["outputs"], f"{result['character']} ({result['licence']}): {counts}", result["commercial"]]
        if "expression" in result:
            fit = result["expression"]
            worst = ", ".join(f"{name} {value} mm" for name, value in fit["worst_mm"].items())
            lines.insert(-1, f"in {fit['coefficients']} expression coefficients: {fit['residual_mm']} mm off ({worst})")
        return "\n".join(filter(None, lines))
    table = result["settings"]
    if not table:
        return f"'{result['character']}' has none: it is one identity"
    width = max(map(len, table))
    lines = [f"{len(table)} settings of '{result['character']}', to be used as --set NAME=VALUE", ""]
    lines += [
        f"{name:<{width}}  {entry['low']:6.2f} .. {entry['high']:4.2f}   default {entry['default']:g}"
        for name, entry in table.items()
    ]
    return "\n".join(lines)
