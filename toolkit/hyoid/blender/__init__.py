# SPDX-License-Identifier: Apache-2.0
"""What needs Blender: ``.blend``, ``.fbx`` and ``.abc`` files, made by a child process: bpy never enters ours."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hyoid.blender import pack
from hyoid.characters.character import Character
from hyoid.errors import UsageError
from hyoid.files import final_path
from hyoid.formats.checks import finite, valid_take
from hyoid.report import SILENT, Report
from hyoid.take import Take

FORMATS = (".blend", ".fbx", ".abc")
AUDIO = ("pack", "link", "none")
KEYS = ("dense", "sparse")


def write(
    path: Path,
    character: Character,
    take: Take | None = None,
    report: Report = SILENT,
    *,
    keys: str = "dense",
    audio: str = "pack",
    subdivide: bool = True,
    name: str | None = None,
) -> None:
    """Write a character, with a take or at rest, to a ``.blend``, ``.fbx`` or ``.abc`` file through Blender.

    Args:
        path: where to write; the suffix chooses the format.
        keys: ``dense`` (a key on every frame) or ``sparse`` (the take's editable keys where it has them).
        audio: ``pack`` the sound into the .blend, ``link`` to its file, or ``none``.
        subdivide: give the meshes of a .blend a Subdivision Surface modifier (viewport 0, render 1).
        name: the name of the actions; the file name without its suffix when None.

    Raises:
        UsageError: an unknown suffix or option.
        InputError: the character or the take holds numbers that are not finite.
        MissingToolError: bpy is not installed, or HYOID_BLENDER names something that is not Blender.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"cannot write '{path.suffix}' through Blender", path=path, expected=" or ".join(FORMATS))
    _check_choice("keys", keys, KEYS)
    _check_choice("audio", audio, AUDIO)
    if take is not None:
        valid_take(take, path)
    for array in ("vertices", "uv", "weights", "heads", "tails"):
        finite(f"the character's {array}", getattr(character, array), path)
    finite("the character's shapes", character.shapes.offsets, path)
    from hyoid.blender import process  # the add-on carries this package, but never starts a Blender

    command, environment = process.blender_command()
    options = {"keys": keys, "audio": audio, "subdivide": subdivide}
    with tempfile.TemporaryDirectory(prefix="hyoid-") as folder:
        report.progress(0.0, "packing the scene")
        job, arrays = pack.pack(path.resolve(), character, take, name or path.stem, options, report)
        pack.save_arrays(Path(folder) / "arrays.npz", arrays)
        (Path(folder) / "job.json").write_text(json.dumps(job), encoding="utf-8")
        environment["BLENDER_USER_RESOURCES"] = str(Path(folder) / "blender")
        process.run(command, environment, Path(folder), final_path(path), report.stage(0.1, 1.0))


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"unknown {option} '{value}'", expected=" or ".join(choices))
