# SPDX-License-Identifier: Apache-2.0
"""Pictures of a Blender scene, frame by frame, from a child process that opens the scene once."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.blender import pack, process
from hyoid.characters import gestures
from hyoid.characters.character import NeckLimits
from hyoid.errors import InputError
from hyoid.media.image_notes import without_times
from hyoid.report import SILENT, Report
from hyoid.take import Take

FILM = ".film.png"
"""The type of pictures for a film, as ``render_settings`` names it: 8 bits a colour, no alpha."""

_OPTIONAL = frozenset((*gestures.CURVES, gestures.TENSE, *(name for name, _ in gestures.COLLAR_BONES)))
"""What nobody misses on a character that does not have it."""
_MAGIC = (b"BLENDER", b"\x28\xb5\x2f\xfd", b"\x1f\x8b")  # plain, packed by Zstandard, by gzip in files before 3.0


@dataclass(frozen=True)
class Scene:
    """What a scene says of itself.

    Attributes:
        blender: the version that opened it. fps: frames a second. first, last: its range of frames. sounds: how many
            it holds. characters: each as ``performers.described`` has it.
        character: name of the armature that plays the take. engine, samples, width, height, device: how it is rendered;
            they are known only of a scene that is to be rendered.
    """

    blender: str
    fps: float
    first: int
    last: int
    sounds: int
    characters: list[dict[str, Any]] = field(default_factory=list)
    character: str | None = None
    engine: str = ""
    samples: int = 0
    width: int = 0
    height: int = 0
    device: str = ""


@dataclass(frozen=True)
class Plan:
    """Which frames of a scene to render.

    Attributes:
        frames: their numbers in the scene.
        start: the frame at which the take begins; a camera that is set up for want of one frames the head as it is
            there, whichever frames are rendered.
        take: what the chosen character plays, at the rate of the scene, or None.
    """

    frames: Sequence[int]
    start: int
    take: Take | None = None


@dataclass(frozen=True)
class Frame:
    """A rendered frame: its number in the scene, whole image files by type, the scene."""

    number: int
    pictures: dict[str, bytes]
    scene: Scene


def read_scene(path: Path) -> Scene:
    """What a scene says of itself; nothing is rendered.

    Raises:
        InputError: missing, no Blender scene, damaged, or of a newer Blender.
        MissingToolError: Blender is not there.
    """
    with tempfile.TemporaryDirectory(prefix="hyoid-") as name:
        found = None
        with contextlib.closing(_child(path, Path(name), {"task": "read scene"})) as told:
            for event in told:
                if event["event"] == "scene":
                    found = _scene(event)
    assert found is not None
    return found


def frames(
    path: Path,
    suffixes: Sequence[str],
    settings: dict[str, Any],
    plan: Callable[[Scene], Plan],
    report: Report = SILENT,
    *,
    has_take: bool = False,
    armature: str | None = None,
    camera: str | None = None,
) -> Generator[Frame, None, None]:
    """Render frames of a scene, one after the other; closing the generator ends Blender.

    Args:
        suffixes: types of image files that each frame is wanted in: ``.png``, ``.jpg``, ``.exr``, :data:`FILM`.
        settings: see ``render_settings.apply``.
        plan: what to render, decided when the scene is known.
        has_take: the plan will have one, so that there must be a character for it.
        armature: name of the armature object of the character; None where there is only one.
        camera: name of the camera; None takes the scene's.

    Raises:
        InputError, MissingToolError: see :func:`read_scene`; also a scene without a camera or character to frame.
        UsageError: a name that is not in the scene; an engine or a GPU that is not there.
    """
    job = {"task": "render", "suffixes": list(suffixes), "settings": settings, "has_take": has_take}
    job |= {"armature": armature, "camera": camera}
    with tempfile.TemporaryDirectory(prefix="hyoid-") as name:
        folder, scene = Path(name), None
        with contextlib.closing(_child(path, folder, job)) as told:
            for event in told:
                if event["event"] == "scene":
                    scene = _scene(event)
                    _write_plan(folder, plan(scene), scene, report)
                elif event["event"] == "frame":
                    assert scene is not None
                    yield Frame(event["frame"], _taken(event["files"]), scene)
                else:
                    process.pass_on(event, report)


def _child(path: Path, folder: Path, job: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
    """The events of a child that does a job on a scene."""
    _check(path)
    command, environment = process.blender_command()
    job = {**job, "path": str(path.resolve())}
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    environment["BLENDER_USER_RESOURCES"] = str(folder / "blender")
    return process.events(command, environment, folder, path)


def _check(path: Path) -> None:
    """Refuse what is no scene before Blender is started."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(8)
    except IsADirectoryError:
        raise InputError("is a folder", path=path, expected="a .blend file") from None
    except FileNotFoundError:
        raise InputError("does not exist", path=path, expected="a .blend file") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, expected="a .blend file") from None
    if not start.startswith(_MAGIC):
        raise InputError("is no Blender scene" if start else "is empty", path=path, expected="a .blend file")


def _taken(files: dict[str, str]) -> dict[str, bytes]:
    """The image files of a frame by type, taken out of the job's folder; times are no part of a picture."""
    pictures = {}
    for suffix, place in files.items():
        pictures[suffix] = without_times(Path(place).read_bytes(), suffix)
        Path(place).unlink()
    return pictures


def _scene(event: dict[str, Any]) -> Scene:
    return Scene(**{name: value for name, value in event.items() if name != "event"})


def _write_plan(folder: Path, plan: Plan, scene: Scene, report: Report) -> None:
    """Tell the child what to do: the arrays first, since it goes on as soon as the plan is there."""
    take = None
    if plan.take is not None:
        described = next(entry for entry in scene.characters if entry["name"] == scene.character)
        take, arrays = _packed(plan.take, described, report)
        pack.save_arrays(folder / "arrays.npz", arrays)
    record = {"frames": list(plan.frames), "start": plan.start, "take": take}
    part = folder / "plan.part"
    part.write_text(json.dumps(record), encoding="utf-8")
    part.replace(folder / "plan.json")


def _packed(take: Take, described: dict[str, Any], report: Report) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The channels of a take that a character of the scene has.

    Raises:
        InputError: it has none of them.
    """
    take = pack.with_gestures(take)
    neck = described["facts"].get("neck")
    limits = None if neck is None else NeckLimits(**{name: np.array(values, float) for name, values in neck.items()})
    performer = pack.Performer(
        tuple(described["shapes"]),
        frozenset(described["follows"]),
        tuple(described["joints"]),
        described["root"],
        limits,
    )
    packed, arrays = pack.channels(performer, take, "take", "dense", report)
    packed["joints"] = [name for name in take.joint_names if name in performer.joints]
    packed["root"] = performer.root
    missing = _missing(take, packed, performer)
    if not packed["channels"]:
        raise InputError(
            f"the take moves nothing that '{described['name']}' has",
            expected="curves and joints of that character",
            hint="Put it onto that character first: hyoid convert TAKE OUT.take.npz --character NAME",
        )
    if missing:
        names = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
        report.message(f"'{described['name']}' does not have {names}: these of the take are left out", "warning")
    return packed, arrays


def _missing(take: Take, packed: dict[str, Any], performer: pack.Performer) -> list[str]:
    """What moves in a take and not in the scene."""
    shown = {channel["target"] for channel in packed["channels"]} | set(pack.PROPERTY_CURVES)
    moving = [name for name in take.curve_names if np.abs(take.curve(name)).max(initial=0) > 1e-6]
    turning = np.abs(take.rotations - pack.IDENTITY).max(axis=(0, 2), initial=0) > 1e-6
    joints = [name for name, turns in zip(take.joint_names, turning, strict=True) if turns]
    return [name for name in (*moving, *joints) if name not in shown and name not in _OPTIONAL]
