# SPDX-License-Identifier: Apache-2.0
"""``hyoid doctor``: what this machine has, what is missing, and the next command to type.

Nothing is believed that was not tried: pictures are rendered, a film is encoded, Blender is started, the GPU computes.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field

from hyoid.errors import HyoidError
from hyoid.report import Report
from hyoid.verbs.job import JobModel

OK, MISSING, BROKEN, OPTIONAL = "ok", "missing", "broken", "optional"
CHILD_SECONDS = 90.0
_LIBRARIES = (
    "numpy", "scipy", "pydantic", "rich", "soundfile", "soxr", "av", "pocketsphinx", "pillow", "PyOpenGL",
    "usd-core", "safetensors", "threadpoolctl",
)  # fmt: skip
_MODULES = {"pillow": "PIL", "PyOpenGL": "OpenGL", "usd-core": "pxr"}
_SPACE = 2 << 30

# What each child process does; it prints one line when it could.
_GL = """
import numpy
from hyoid.media import gl
context = gl.context()
target = gl.Target(16, 16)
target.bind()
from OpenGL import GL
GL.glClearColor(0.2, 0.6, 1.0, 1.0)
GL.glClear(GL.GL_COLOR_BUFFER_BIT)
picture = target.read()
assert picture.shape == (16, 16, 3) and abs(picture.mean(axis=(0, 1)) - [51, 153, 255]).max() < 2, picture[0, 0]
for names in (("surface.vert", "surface.frag"), ("backdrop.vert", "backdrop.frag")):
    gl.Program(*names)
print(f"OpenGL {context.version.split()[0]}, {context.renderer}")
"""
_TORCH = """
import importlib.util
if importlib.util.find_spec("torch") is None:
    print("none needed: nothing that is installed here uses one")
    raise SystemExit
import torch
if not torch.cuda.is_available():
    print("none: everything runs on the processor")
else:
    a = torch.ones(64, 64, device="cuda")
    assert float((a @ a).sum()) == 64.0 ** 3
    print(f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}")
"""
_USD = """
from pxr import Usd, UsdGeom
stage = Usd.Stage.CreateInMemory()
UsdGeom.Xform.Define(stage, "/a")
assert "def Xform" in stage.GetRootLayer().ExportToString()
print("USD " + ".".join(map(str, Usd.GetVersion())))
"""


class Job(JobModel):
    """What to look at."""

    quick: bool = Field(False, description="do not start Blender, the GPU or the renderer: versions and files only")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Try everything and say what works.

    Returns:
        ``checks``: one entry each with ``name``, ``state`` (``ok``, ``missing``, ``broken``, ``optional`` = missing but
        not needed), ``found``, ``next`` (the command to type, empty when fine), ``core`` (talk cannot do without);
        ``exit_code``: 0 when every core check is ok, else 6.
    """
    steps: list[tuple[str, Callable[[], list[dict[str, Any]]]]] = [
        ("libraries", _libraries),
        ("bundled data", _bundled),
        ("models", lambda: _models(job.quick)),
        ("weights", lambda: _weights(job.quick)),
        ("folders", _folders),
        ("films", lambda: [_film()]),
    ]
    if not job.quick:
        steps += [
            ("pictures", lambda: [_pictures()]),
            ("USD", lambda: [_child("USD", _USD, "pip install usd-core", core=False)]),
            ("Blender", lambda: [_blender()]),
            ("GPU", lambda: [_gpu()]),
        ]
    checks: list[dict[str, Any]] = []
    for index, (what, step) in enumerate(steps):
        report.progress(index / len(steps), f"looking at {what}")
        checks += step()
    failed = any(check["core"] and check["state"] != OK for check in checks)
    return {"checks": checks, "exit_code": 6 if failed else 0}


def _entry(name: str, state: str, found: str, next_command: str = "", *, core: bool = True) -> dict[str, Any]:
    return {"name": name, "state": state, "found": found, "next": next_command, "core": core}


def _libraries() -> list[dict[str, Any]]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    checks = [_entry("Python", OK if good else BROKEN, version, "" if good else "install Python 3.11 or newer")]
    for name in _LIBRARIES:
        install = f"pip install '{name}'"
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            checks.append(_entry(name, MISSING, "not installed", install))
            continue
        there = importlib.util.find_spec(_MODULES.get(name, name)) is not None
        again = f"pip install --force-reinstall '{name}'"
        checks.append(_entry(name, OK if there else BROKEN, version, "" if there else again))
    return checks


def _bundled() -> list[dict[str, Any]]:
    checks = []
    try:
        from hyoid import characters

        human = characters.load("human", {}, part="head")
        found = f"{len(human.vertices)} points, {len(human.shapes.names)} shapes, {len(human.joint_names)} joints"
        checks.append(_entry("bundled human", OK, found))
        maps = [m for material in human.materials.values() for m in (material.colour_map, material.normal_map) if m]
        lost = [path for path in maps if not path.is_file()]
        if lost:
            checks.append(_entry("textures", BROKEN, f"{lost[0]} is not there", "make install"))
    except HyoidError as error:
        checks.append(_entry("bundled human", BROKEN, str(error), "make install"))
    from hyoid.files import data_folder

    try:
        folder = data_folder("models")
        weights = sorted(f"{path.parent.name}/{path.stem}" for path in folder.glob("*/*.safetensors"))
        checks.append(_entry("own weights", OK, ", ".join(weights) or "none", core=False))
    except HyoidError as error:
        checks.append(_entry("own weights", MISSING, str(error), "make install", core=False))
    return checks


def _models(quick: bool) -> list[dict[str, Any]]:
    """The models that a user brought and named in the environment: can they be read?"""
    from hyoid import characters

    checks = []
    for source, what in characters.SOURCES.items():
        if source == "human":
            continue
        variable = f"HYOID_{source.upper()}"
        name, place = f"model '{source}'", os.environ.get(variable, "")
        advice = f"export {variable}=/path/to/it"
        if not place:
            checks.append(_entry(name, OPTIONAL, f"{variable} is not set ({what})", advice, core=False))
            continue
        try:
            settings = len(characters.settings_of(source))
            found = f"{place}: {settings} settings"
            if not quick:
                character = characters.load(source)
                found += f", {len(character.vertices)} points, {len(character.shapes.names)} shapes"
                found += f", {character.licence}"
            checks.append(_entry(name, OK, found, core=False))
        except HyoidError as error:
            checks.append(_entry(name, BROKEN, str(error), advice, core=False))
    return checks


def _weights(quick: bool) -> list[dict[str, Any]]:
    """Weights that a user has added: are they there, and still what they were?"""
    from hyoid import weights_store

    checks = []
    for entry in weights_store.entries():
        problem = ("" if entry.path.is_file() else "the file is gone") if quick else weights_store.verify(entry)
        found = problem or f"{entry.path}: {entry.licence or 'no licence stated'}"
        advice = f"hyoid weights add {entry.name} --replace" if problem else ""
        checks.append(_entry(f"weights '{entry.name}'", BROKEN if problem else OK, found, advice, core=False))
    for path in weights_store.damaged():
        checks.append(_entry(f"weights '{path.name}'", BROKEN, "its record cannot be read", "rm it, add the file again",
                             core=False))  # fmt: skip
    return checks


def _folders() -> list[dict[str, Any]]:
    checks = []
    for name, folder in (("temporary folder", Path(tempfile.gettempdir())), ("this folder", Path.cwd())):
        try:
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".hyoid-") as stream:
                stream.write(b"x" * 4096)
            free = shutil.disk_usage(folder).free
            state, found = OK, f"{folder}, {free / 2**30:.1f} GB free"
            advice = "" if free > _SPACE else f"free some space: df -h {folder}"
            checks.append(_entry(name, state if not advice else BROKEN, found, advice, core=name != "this folder"))
        except OSError as error:
            advice = "export TMPDIR=/a/folder/you/may/write" if name != "this folder" else "cd to a writable folder"
            checks.append(_entry(name, BROKEN, f"{folder}: {error.strerror}", advice, core=name != "this folder"))
    return checks


def _film() -> dict[str, Any]:
    """Encode a tiny film with sound-free H.264: no outside program takes part."""
    import numpy as np

    from hyoid.media import video

    try:
        with tempfile.TemporaryDirectory(prefix="hyoid-") as folder:
            path = Path(folder) / "a.mp4"
            video.write(path, (np.full((16, 16, 3), 40 * index, np.uint8) for index in range(4)), 25)
            facts = video.probe(path)
        good = facts.frames == 4
        return _entry("films (H.264)", OK if good else BROKEN, f"{facts.frames} of 4 frames", core=False)
    except (HyoidError, OSError) as error:
        return _entry("films (H.264)", BROKEN, str(error), "pip install --force-reinstall av", core=False)


def _pictures() -> dict[str, Any]:
    from hyoid.media.gl import APT_LINE

    return _child("pictures (OpenGL)", _GL, APT_LINE, core=False)


def _gpu() -> dict[str, Any]:
    check = _child("GPU", _TORCH, "nvidia-smi", core=False)
    if check["state"] == OK and check["found"].startswith("none"):
        check |= {"state": OPTIONAL}
    return check


def _blender() -> dict[str, Any]:
    """Start the Blender that exports would use and ask its version."""
    from hyoid.blender import process

    install = 'pip install "bpy>=4.2.23,<4.3"'
    name = "Blender" if "HYOID_BLENDER" not in os.environ else "Blender (HYOID_BLENDER)"
    if sys.version_info[:2] != (3, 11) and "HYOID_BLENDER" not in os.environ:
        install = "export HYOID_BLENDER=/path/to/blender"
    try:
        command, environment = process.blender_command()
    except HyoidError as error:
        return _entry(name, OPTIONAL, error.found, install, core=False)
    with tempfile.TemporaryDirectory(prefix="hyoid-") as folder:
        script = Path(folder) / "version.py"
        script.write_text("import bpy\nprint('hyoid-version', bpy.app.version_string)\n")
        command = [str(script) if part == str(process.CHILD) else part for part in command]
        environment |= {"BLENDER_USER_RESOURCES": folder}
        code, out, error = _run(command, environment)
    versions = [line.split()[1] for line in out.splitlines() if line.startswith("hyoid-version")]
    if code == 0 and versions:
        return _entry(name, OK, versions[0], core=False)
    last = (error.strip().splitlines() or [f"ended with code {code}"])[-1]
    if "cannot open shared object file" in last:
        install = "apt-get install -y libxi6 libxxf86vm1 libxfixes3 libxrender1 libgl1 libsm6 libxkbcommon0"
    return _entry(name, BROKEN, last, install, core=False)


def _child(name: str, script: str, advice: str, *, core: bool) -> dict[str, Any]:
    """Run a script in a process of its own: a driver that crashes takes only that one with it."""
    code, out, error = _run([sys.executable, "-c", script], dict(os.environ))
    if code == 0:
        return _entry(name, OK, (out.strip().splitlines() or [""])[-1], core=core)
    last = (error.strip().splitlines() or [f"ended with code {code}"])[-1]
    return _entry(name, BROKEN, last, advice, core=core)


def _run(command: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=CHILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"no answer within {CHILD_SECONDS:g} s"
    except OSError as error:
        return 1, "", str(error)
    return done.returncode, done.stdout, done.stderr


def show(result: dict[str, Any]) -> str:
    """A table for people; plain text when it goes to a file."""
    import io

    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "type next"):
        table.add_column(heading, overflow="fold")
    colours = {OK: "green", OPTIONAL: "dim", MISSING: "red", BROKEN: "red"}
    for check in result["checks"]:
        colour = colours[check["state"]]
        table.add_row(f"[{colour}]{check['state']}[/]", check["name"], check["found"], check["next"])
    stream = io.StringIO()
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((110, 40)).columns
    Console(file=stream, force_terminal=terminal, width=width, markup=True, highlight=False).print(table)
    good = (
        "Hyoid works here."
        if result["exit_code"] == 0
        else "Hyoid does not work here yet: do what stands on the right."
    )
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + f"\n{good}"
