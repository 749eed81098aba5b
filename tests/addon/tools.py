# SPDX-License-Identifier: Apache-2.0
"""What the tests of the add-on share: the Blenders at hand, the built zip, and scripts that run inside them."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSIDE = Path(__file__).with_name("inside.py")
SCRIPTS = Path(__file__).with_name("scripts")
VERSIONS = ("3.4", "4.2", "4.4", "4.5", "5.0")
NEWEST = "5.0"


def build():
    """The module that builds the zip."""
    spec = importlib.util.spec_from_file_location("hyoid_addon_build", ROOT / "addon" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def kept() -> Path:
    """A folder for what one process of tests makes once; it goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="hyoid-addon-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def built_zip() -> Path:
    """The zip, built once a process from what lies in the checkout."""
    return build().build(kept() / "zip")


def command_of(version: str) -> tuple[list[str], dict[str, str]]:
    """How a Python script is run by the Blender of a version: words before the script, and the environment."""
    environment = dict(os.environ)
    if version == "3.4":
        program = shutil.which("blender")
        if program is None:
            absent("the distribution's Blender is not installed: apt-get install blender python3-numpy")
        found = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        if "Blender 3.4" not in found:
            pytest.skip(f"{program} is not Blender 3.4, which Debian 12 has, but {found.splitlines()[:1]}")
        words = [program, "-b", "--factory-startup", "--python-exit-code", "3", "--python"]
        environment.pop("PYTHONPATH", None)
        return words, environment
    if version == "4.2":
        if importlib.util.find_spec("bpy") is None:
            absent('bpy is not installed: pip install "bpy>=4.2.23,<4.3"')
        environment["PYTHONPATH"] = ""
    else:
        folder = ROOT / ".tools" / f"bpy-{version}"
        if not (folder / "bpy").is_dir():
            absent(f"bpy {version} is not in {folder}: make tools")
        environment["PYTHONPATH"] = str(folder)
    return [sys.executable], environment


def absent(reason: str) -> None:
    """Skip a test whose judge is missing; fail where all judges must be there (HYOID_REQUIRE_JUDGES)."""
    if os.environ.get("HYOID_REQUIRE_JUDGES"):
        pytest.fail(reason)
    pytest.skip(reason)


def run(
    version: str, script: str, folder: Path, *, timeout: float = 120, env: dict[str, str] | None = None,
    install: bool = True, anew: bool = False, **args,
):  # fmt: skip
    """Install the zip in a Blender with empty settings and call ``main(addon, args)`` of ``scripts/SCRIPT.py``.

    Without ``install`` the Blender stays bare, and the script gets None for the add-on. Unless it is to be installed
    ``anew``, a Blender finds the files that the first of its version installed, and switches the add-on on.
    """
    words, environment = command_of(version)
    work = folder / f"blender-{version}"
    installed = kept() / f"installed-{version}"
    first = install and not anew and not work.exists()
    there = first and installed.is_dir()
    if there:
        shutil.copytree(installed, work, copy_function=os.link)
    work.mkdir(parents=True, exist_ok=True)
    answer = work / "answer.json"
    answer.unlink(missing_ok=True)
    keep = first and not there
    job = {
        "zip": str(built_zip()) if install else "", "there": there, "keep": str(installed) if keep else "",
        "script": str(SCRIPTS / f"{script}.py"), "args": args,
    }  # fmt: skip
    (work / "job.json").write_text(json.dumps(job), encoding="utf-8")
    places = {"BLENDER_USER_RESOURCES": "resources", "BLENDER_USER_SCRIPTS": "scripts", "BLENDER_USER_CONFIG": "config"}
    for variable, name in places.items():
        (work / name).mkdir(exist_ok=True)
        environment[variable] = str(work / name)
    if version != "3.4":
        environment.pop("BLENDER_USER_SCRIPTS")
        environment.pop("BLENDER_USER_CONFIG")
    done = subprocess.run(
        [*words, str(INSIDE), "--", str(work)], env=environment | (env or {}), capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip
    assert answer.is_file(), (done.stdout + done.stderr)[-3000:]
    return json.loads(answer.read_text(encoding="utf-8"))
