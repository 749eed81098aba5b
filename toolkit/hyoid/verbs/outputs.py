# SPDX-License-Identifier: Apache-2.0
"""From a take (or a character at rest) to files: the suffix chooses the writer, a file appears whole or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from hyoid.characters.character import Character
from hyoid.errors import UsageError
from hyoid.files import check_writable, part_file, write_bytes
from hyoid.formats import format_of
from hyoid.report import SILENT, Report
from hyoid.take import Provenance, Take

# Rough cost of each output, so that the bar moves evenly.
_COST = {".mp4": 20.0, ".blend": 6.0, ".fbx": 8.0, ".abc": 10.0, ".usdc": 2.0, ".usda": 4.0, ".glb": 1.0, ".png": 2.0}
NEEDS_TAKE = (".take.npz", ".csv", ".mp4")


def check_outputs(outputs: Sequence[Path], *, has_take: bool = True) -> None:
    """Fail before the work starts when an output could not be written after it.

    Raises:
        UsageError: an unknown suffix, the same file twice, or an output that needs a take where there is none.
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
    for output in outputs:
        check_writable(output)


def export(
    character: Character | Callable[[], Character],
    take: Take | None,
    outputs: Sequence[Path],
    report: Report = SILENT,
    *,
    size: tuple[int, int] = (512, 512),
    view: str = "head",
    time: float | None = None,
    sheet: bool = False,
    keys: str = "dense",
) -> list[str]:
    """Write every output, each through a part file, and say what was written.

    Args:
        character: the character, or a function that loads it (called once, only if an output shows geometry).
        take: the performance; None writes the character at rest.
        outputs: target paths, checked before with :func:`check_outputs`.
        size, view: pictures: width and height in pixels, and the camera (see ``media/preview``).
        time: the second of a still picture; None lets the preview choose.
        sheet: a picture shows a contact sheet of telling moments.
        keys: ``dense`` or ``sparse`` animation keys in a .blend.

    Raises:
        OutputError, MissingToolError: see the writers.
    """
    loaded: list[Character] = []

    def geometry() -> Character:
        if not loaded:
            loaded.append(character() if callable(character) else character)
        return loaded[0]

    costs = [_COST.get(_suffix(output), 0.5) for output in outputs]
    done, total = 0.0, sum(costs)
    for output, cost in zip(outputs, costs, strict=True):
        stage = report.stage(done / total, (done + cost) / total)
        stage.progress(0.0, f"writing {output.name}")
        with part_file(output) as part:
            _write(part, geometry, take, stage, size=size, view=view, time=time, sheet=sheet, keys=keys)
        if take is not None and "provenance" not in format_of(output).carries:
            # These formats have no place for it: it lies beside them as NAME.json.
            write_sidecar(output, take.provenance)
        done += cost
    return [str(output) for output in outputs]


def _suffix(path: Path) -> str:
    return format_of(path).suffix


def write_sidecar(output: Path, provenance: Provenance) -> None:
    """Write NAME.json beside an output whose format cannot carry provenance."""
    text = json.dumps(asdict(provenance), indent=1, sort_keys=True, default=str)
    write_bytes(output.with_name(output.name + ".json"), text.encode() + b"\n")


def _write(
    part: Path,
    geometry: Callable[[], Character],
    take: Take | None,
    report: Report,
    *,
    size: tuple[int, int],
    view: str,
    time: float | None,
    sheet: bool,
    keys: str,
) -> None:
    suffix = _suffix(part)
    if suffix == ".take.npz":
        from hyoid.formats import take_npz

        assert take is not None
        take_npz.write(part, take)
    elif suffix == ".csv":
        from hyoid.formats import curves_csv

        assert take is not None
        curves_csv.write(part, take)
    elif suffix == ".bvh":
        from hyoid.formats import bvh

        bvh.write(part, geometry(), take)
    elif suffix == ".glb":
        from hyoid.formats import glb

        glb.write(part, geometry(), take)
    elif suffix in (".usdc", ".usda"):
        from hyoid.formats import usd

        usd.write(part, geometry(), take)
    elif suffix in (".blend", ".fbx", ".abc"):
        from hyoid import blender

        blender.write(part, geometry(), take, report, keys=keys)
    else:
        _write_picture(part, geometry(), take, report, size=size, view=view, time=time, sheet=sheet)


def _write_picture(
    part: Path,
    character: Character,
    take: Take | None,
    report: Report,
    *,
    size: tuple[int, int],
    view: str,
    time: float | None,
    sheet: bool,
) -> None:
    from hyoid.media import preview

    if _suffix(part) == ".mp4":
        assert take is not None
        preview.write_mp4(part, character, take, size=size, view=view, report=report)
    elif sheet and take is not None:
        preview.write_sheet(part, character, take, size=size)
    else:
        preview.write_png(part, character, take, time=time, size=size, view=view)
