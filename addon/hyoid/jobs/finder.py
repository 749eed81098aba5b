# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the toolkit lives, whether it is Hyoid and new enough, and the environment it runs in. Needs no Blender."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .process import Child, JobError

PROTOCOL = 1
SECONDS_TO_ANSWER = 60.0
INSTALL = "make install"
_BIN = "Scripts" if os.name == "nt" else "bin"
_EXE = ".exe" if os.name == "nt" else ""
_OF_BLENDER = ("PYTHON", "BLENDER_", "__PYVENV", "LD_PRELOAD")
_LIBRARY_PATHS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH")


def locate(configured: str, environ: Mapping[str, str], blend_folder: Path | None = None) -> list[str]:
    """The words that run the toolkit.

    Args:
        configured: path from the preferences: the program, a virtual environment, or a Python; "" searches.
        environ: the environment variables (``HYOID_TOOLKIT``, ``PATH``, ``VIRTUAL_ENV``).
        blend_folder: where the .blend file lies. A toolkit found there is proposed, never run unasked: a file from
            somebody else must not bring its own programs.

    Raises:
        JobError: nothing is there; the text says what to do.
    """
    if configured.strip():
        return _resolve(Path(os.path.expanduser(configured.strip())), "the preferences")
    if environ.get("HYOID_TOOLKIT"):
        return _resolve(Path(environ["HYOID_TOOLKIT"]), "the variable HYOID_TOOLKIT")
    for program in _places(environ):
        if _runs(program):
            return [str(program)]
    beside = _beside(blend_folder)
    if beside:
        raise JobError(f"There is a Hyoid toolkit in {beside}. To use it, choose it as Toolkit in the preferences")
    raise JobError(
        f"The Hyoid toolkit is not installed, or not found. Type {INSTALL} in the folder of Hyoid, then choose "
        "that folder in the preferences of the add-on. Characters, import, neck and export work without it"
    )


def _resolve(path: Path, where: str) -> list[str]:
    """The words for a program, a virtual environment or a Python that somebody chose."""
    if path.is_dir():
        for folder in (path, path / _BIN, path / ".venv" / _BIN, path / "venv" / _BIN):
            if _runs(folder / f"hyoid{_EXE}"):
                return [str(folder / f"hyoid{_EXE}")]
        raise JobError(
            f"{path} is a folder without a Hyoid toolkit. Choose the folder of a virtual environment that has it, or "
            f"type {INSTALL} in the folder of Hyoid and choose that"
        )
    if not path.exists():
        raise JobError(f"There is no {path} (toolkit path in {where}). Choose the Hyoid program or its folder")
    if not _runs(path):
        raise JobError(f"{path} is not a program (toolkit path in {where}). Choose the Hyoid program or its folder")
    if path.stem.lower().startswith("python"):
        return [str(path), "-m", "hyoid"]
    return [str(path)]


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    name = f"hyoid{_EXE}"
    on_path = shutil.which("hyoid", path=environ.get("PATH", ""))
    if on_path:
        yield Path(on_path)
    if environ.get("VIRTUAL_ENV"):
        yield Path(environ["VIRTUAL_ENV"]) / _BIN / name
    home = Path(environ.get("USERPROFILE") or environ.get("HOME") or Path.home())
    yield home / ".local" / "bin" / name
    for folder in ("hyoid", "Hyoid"):
        yield home / folder / ".venv" / _BIN / name
    for root in (environ.get("APPDATA"), environ.get("LOCALAPPDATA")):
        if root:
            yield from sorted(Path(root).glob(f"Python/Python3*/Scripts/{name}"), reverse=True)
            yield from sorted(Path(root).glob(f"Programs/Python/Python3*/Scripts/{name}"), reverse=True)
    for folder in ("/opt/homebrew/bin", "/usr/local/bin"):  # a Blender started from a desktop has a short PATH
        yield Path(folder) / name


def _beside(folder: Path | None) -> Path | None:
    for place in (folder, *folder.parents[:3]) if folder else ():
        for name in (".venv", "venv"):
            if _runs(place / name / _BIN / f"hyoid{_EXE}"):
                return place / name
    return None


def _runs(path: Path) -> bool:
    try:
        return path.is_file() and os.access(path, os.X_OK)
    except OSError:
        return False


def child_environment(environ: Mapping[str, str], blender_folder: Path | None = None) -> dict[str, str]:
    """The environment of the toolkit: without what Blender, its start script or its package set for itself.

    Args:
        environ: of Blender.
        blender_folder: where Blender's program lies; entries of library paths inside it are left out.
    """
    kept = {key: value for key, value in environ.items() if not key.upper().startswith(_OF_BLENDER)}
    homes = [str(folder) for folder in (blender_folder, environ.get("SNAP"), environ.get("APPDIR")) if folder]
    for key in _LIBRARY_PATHS:
        if key in kept:
            own = [entry for entry in kept[key].split(os.pathsep) if entry and not entry.startswith(tuple(homes))]
            kept[key] = os.pathsep.join(own)
            if not own:
                del kept[key]
    return kept | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def key(words: Sequence[str]) -> str:
    """What tells one installed toolkit from another, or from itself after an update."""
    try:
        facts = os.stat(words[0])
        return f"{'|'.join(words)}|{facts.st_mtime_ns}|{facts.st_size}"
    except OSError:
        return "|".join(words)


def ask(child: Child) -> dict[str, Any]:
    """Ask the toolkit what it can do; runs in the child's thread.

    Returns:
        the answer of ``hyoid schema``.

    Raises:
        JobError: it is not Hyoid, too old, too new, or does not start.
    """
    answer = child.run(["schema", "--json"], SECONDS_TO_ANSWER)
    update = update_command(child.words)
    if answer.result is None:
        if child.cancelled:
            raise JobError("cancelled")
        if answer.failure is not None and answer.failure.get("exit_code") == 2:
            raise JobError(f"The toolkit at {child.words[0]} is too old for this add-on. Update it: {update}")
        raise JobError(answer.explain(child.words))
    schema = answer.result
    version = str(schema.get("version", "unknown"))
    protocol = schema.get("protocol")
    if not isinstance(protocol, int) or not isinstance(schema.get("verbs"), dict):
        raise JobError(f"{child.words[0]} does not answer like Hyoid. Is the path in the preferences right?")
    if protocol < PROTOCOL:
        raise JobError(
            f"The toolkit ({version}) is too old for this add-on: it speaks protocol {protocol}, and {PROTOCOL} is "
            f"needed. Update it: {update}"
        )
    if protocol > PROTOCOL:
        raise JobError(f"The toolkit ({version}) is newer than this add-on understands. Update the add-on")
    return schema


def update_command(words: Sequence[str]) -> str:
    """What to do to update a toolkit: by the checkout that it stands in, if it does."""
    for folder in list(Path(words[0]).parents)[:4]:
        if (folder / "Makefile").is_file() and (folder / "toolkit" / "hyoid").is_dir():
            return f"bring {folder} up to date and type {INSTALL} there"
    return f"bring the folder of Hyoid up to date and type {INSTALL} there"


class Known:
    """Answers of toolkits that were asked before, kept in a file so that the next session need not ask."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._answers: dict[str, dict[str, Any]] | None = None

    def get(self, words: Sequence[str]) -> dict[str, Any] | None:
        """The schema of a toolkit that was asked since it was last changed."""
        return self._all().get(key(words))

    def put(self, words: Sequence[str], schema: dict[str, Any]) -> None:
        """Remember an answer; only the latest few are kept."""
        answers = {name: value for name, value in self._all().items() if not name.startswith("|".join(words) + "|")}
        answers[key(words)] = schema
        self._answers = dict(list(answers.items())[-4:])
        if self.path is None:
            return
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(self._answers), encoding="utf-8")
            os.replace(part, self.path)
        except OSError as error:
            sys.stderr.write(f"hyoid: {self.path} cannot be kept: {error}\n")

    def newest(self) -> dict[str, Any] | None:
        """The answer that came last."""
        answers = list(self._all().values())
        return answers[-1] if answers else None

    def _all(self) -> dict[str, dict[str, Any]]:
        if self._answers is None:
            self._answers = {}
            try:
                read = json.loads(self.path.read_text(encoding="utf-8")) if self.path and self.path.is_file() else {}
            except (OSError, ValueError):
                read = {}  # asked again next time
            if isinstance(read, dict):
                self._answers = {name: value for name, value in read.items() if isinstance(value, dict)}
        return self._answers
