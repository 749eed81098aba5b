# SPDX-License-Identifier: Apache-2.0
"""From a take (or a character at rest) to files: the suffix chooses the writer, a file appears whole or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from hyoid import __version__
from hyoid.characters.character import Character
from hyoid.errors import UsageError
from hyoid.files import check_writable, data_folder, part_file, sha256_of, write_bytes
from hyoid.formats import format_of
from hyoid.report import SILENT, Report
from hyoid.take import Provenance, Source, Take
from hyoid.verbs.job import OutputOptions

# Rough cost of each output, so that the bar moves evenly.
_COST = {".mp4": 20.0, ".blend": 6.0, ".fbx": 8.0, ".abc": 10.0, ".usdc": 2.0, ".usda": 4.0, ".glb": 1.0, ".png": 2.0}
NEEDS_TAKE = (".take.npz", ".csv", ".mp4")
CHARACTER = ".character.npz"


def check_outputs(outputs: Sequence[Path], *, has_take: bool = True, recording: Path | None = None) -> None:
    """Fail before the work starts when an output could not be written after it.

    Args:
        recording: the file that the sound comes from, which no output may replace.

    Raises:
        UsageError: an unknown suffix, the same file twice, an output that needs a take where there is none, or one
            that would replace the recording.
        OutputError: a folder that cannot be written.
    """
    seen: set[Path] = set()
    for output in outputs:
        suffix = _suffix(output)
        if not has_take and suffix in NEEDS_TAKE:
            raise UsageError(f"a {suffix} holds a performance, and there is none", path=output)
        if output.resolve() in seen:
            raise UsageError("is named twice as an output", path=output)
        seen.add(output.resolve())
        if recording is not None and output.resolve() == recording.resolve():
            raise UsageError("is the recording itself", path=output, expected="another name, so that it is not lost")
    for output in outputs:
        check_writable(output)
        if _needs_sidecar(output):
            check_writable(sidecar_of(output))


def export(
    character: Character | Callable[[], Character],
    take: Take | None,
    outputs: Sequence[Path],
    report: Report = SILENT,
    *,
    options: OutputOptions | None = None,
    time: float | None = None,
    sheet: bool = False,
    provenance: Provenance | None = None,
) -> list[str]:
    """Write every output, each through a part file, and say what was written.

    Args:
        character: the character, or a function that loads it (called once, only if an output shows geometry).
        take: the performance; None writes the character at rest.
        outputs: target paths, checked before with :func:`check_outputs`.
        options: how pictures look, which keys a .blend has, which columns a .csv; None takes the defaults.
        time: the second of a still picture; None lets the preview choose.
        sheet: a picture shows a contact sheet of telling moments.
        provenance: what made the character, for outputs without a performance; None says that it was loaded.

    Raises:
        OutputError, MissingToolError: see the writers.
    """
    options = options or OutputOptions.model_validate({})
    shown = character
    if any(_shows_character(output) for output in outputs):
        shown = character() if callable(character) else character
        take = take and with_character(take, shown)
    if take is not None and options.keys == "sparse" and not take.keys:
        from hyoid.take_keys import reduce_keys

        take = reduce_keys(take)
    costs = [_COST.get(_suffix(output), 0.5) for output in outputs]
    done, total = 0.0, sum(costs)
    for output, cost in zip(outputs, costs, strict=True):
        stage = report.stage(done / total, (done + cost) / total)
        stage.progress(0.0, f"writing {output.name}")
        with part_file(output) as part:
            if isinstance(shown, Character) and _suffix(output) == CHARACTER:
                from hyoid.formats import character_npz

                character_npz.write(part, shown, provenance or made_of(shown))
            elif isinstance(shown, Character) and _shows_character(output):
                _write_character(part, shown, take, stage, options, time, sheet)
            elif take is not None:
                _write_take(part, take, options)
        if _needs_sidecar(output):
            rest = provenance or (made_of(shown) if isinstance(shown, Character) else Provenance(__version__, ""))
            write_sidecar(output, rest if take is None else take.provenance)
        done += cost
    return [str(output) for output in outputs]


def _suffix(path: Path) -> str:
    return format_of(path).suffix


def _needs_sidecar(output: Path) -> bool:
    """Whether provenance lies beside the output as NAME.json, because its format has no place for it."""
    return "provenance" not in format_of(output).carries


def sidecar_of(output: Path) -> Path:
    """Where the provenance of an output lies whose format has no place for it."""
    return output.with_name(output.name + ".json")


def write_sidecar(output: Path, provenance: Provenance) -> None:
    """Write NAME.json beside an output whose format cannot carry provenance."""
    text = json.dumps(asdict(provenance), indent=1, sort_keys=True, default=str)
    write_bytes(sidecar_of(output), text.encode() + b"\n")


def with_character(take: Take, character: Character) -> Take:
    """The take with the character that shows it among its sources, so that an export states that licence too."""
    entry = source_of(character)
    others = tuple(known for known in take.provenance.sources if known.role != "character")
    return replace(take, provenance=replace(take.provenance, sources=(*others, entry)))


def source_of(character: Character) -> Source:
    """A character as an entry of provenance."""
    digest = character.digest
    if not digest:
        data = data_folder("rigs") / character.name / f"{character.name}.npz"
        digest = sha256_of(data) if data.is_file() else ""
    return Source("character", character.name, digest, character.licence)


def made_of(character: Character) -> Provenance:
    """The provenance of a character that was loaded and not changed."""
    return Provenance(__version__, "rig", {"set": dict(character.settings)}, (source_of(character),))


def _shows_character(path: Path) -> bool:
    return _suffix(path) not in (".take.npz", ".csv")


def _write_take(part: Path, take: Take, options: OutputOptions) -> None:
    if _suffix(part) == ".csv":
        from hyoid.formats import curves_csv

        curves_csv.write(part, take, convention=options.table)
    else:
        from hyoid.formats import take_npz

        take_npz.write(part, take)


def _write_character(
    part: Path,
    character: Character,
    take: Take | None,
    report: Report,
    options: OutputOptions,
    time: float | None,
    sheet: bool,
) -> None:
    suffix, size = _suffix(part), (options.width, options.height)
    if suffix == ".bvh":
        from hyoid.formats import bvh

        bvh.write(part, character, take)
    elif suffix == ".glb":
        from hyoid.formats import glb

        glb.write(part, character, take)
    elif suffix in (".usdc", ".usda"):
        from hyoid.formats import usd

        usd.write(part, character, take)
    elif suffix in (".blend", ".fbx", ".abc"):
        from hyoid import blender

        blender.write(part, character, take, report, keys=options.keys)
    else:
        from hyoid.media import preview

        if suffix == ".mp4" and take is not None:
            preview.write_mp4(part, character, take, size=size, view=options.view, report=report)
        elif sheet and take is not None:
            preview.write_sheet(part, character, take, size=size)
        else:
            preview.write_png(part, character, take, time=time, size=size, view=options.view)
