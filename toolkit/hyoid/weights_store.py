# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that users bring: which official files exist, which are kept here, and how they are found by name.

A file is taken when the strict reader of its system has read all of it; nothing in it is executed. Files lie under
``$HYOID_WEIGHTS``, else in the user's data folder, in one folder a system, with a record (JSON) of hash and licence.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hyoid.errors import HyoidError, InputError, UsageError, WeightsError
from hyoid.files import data_folder, part_file, sha256_of, write_bytes

_WINDOWS = os.name == "nt"
_RECORD = ".weights.json"


@dataclass(frozen=True)
class Official:
    """A published file: its name, where its authors offer it, and under which terms (SPDX or our name for a text)."""

    name: str
    where: str
    licence: str


@dataclass(frozen=True)
class System:
    """A network that reads weights.

    Attributes:
        name: of the system. verb: what uses it. official: published files; none where its authors offer none.
        note: what to know about them. own: names of files that come with Hyoid.
    """

    name: str
    verb: str
    official: tuple[Official, ...]
    note: str
    own: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A file that is kept: system, name, SHA-256, bytes, licence."""

    system: str
    name: str
    sha256: str
    bytes: int
    licence: str

    @property
    def path(self) -> Path:
        """Where it lies."""
        return folder() / self.system / self.name


def _files(names: Sequence[str], where: str, licence: str) -> tuple[Official, ...]:
    return tuple(Official(name, where, licence) for name in names)


SYSTEMS: dict[str, System] = {
    entry.name: entry
    for entry in (
        System(
            "directmhp", "headpose",
            _files(
                ("agora_m_1280_e300_t40_lw010_best.pt", "agora_s_1280_e300_t40_lw010_best.pt",
                 "cmu_m_1280_e200_t40_lw010_best.pt", "cmu_s_1280_e200_t40_lw010_best.pt",
                 "300wlp_m_512_e50_finetune_best.pt", "300wlp_s_512_e50_finetune_best.pt"),
                "https://huggingface.co/HoyerChou/DirectMHP", "MIT (its training data are for research only)",
            ),
            "agora_m for crowds, 300wlp_m for single faces; the card says MIT, the training sets allow research only",
            ("directmhp.safetensors",),
        ),
        System(
            "semiuhpe", "headpose",
            _files(
                ("DAD-WildHead-EffNetV2-S-best.pth", "DAD-COCOHead-EffNetV2-S-best.pth",
                 "DAD-COCOHead-RepVGG-best.pth", "DAD-COCOHead-ResNet50-best.pth"),
                "https://huggingface.co/HoyerChou/SemiUHPE", "Apache-2.0 (its training data are non-commercial)",
            ),
            "DAD-WildHead-EffNetV2-S is the best; the card says Apache-2.0, DAD-3DHeads is non-commercial",
            ("semiuhpe.safetensors",),
        ),
        System(
            "ktpformer", "lift",
            _files(
                ("model_243_CPN_best_epoch.bin", "model_243_GT_best_epoch.bin"),
                "https://github.com/JihuaPeng/KTPFormer", "LicenseRef-KTPFormer",
            ),
            "the repository has no licence file: ask its authors", ("ktpformer.safetensors",),
        ),
        System("hopfir", "lift", (), "its authors publish no weights", ("hopfir.safetensors",)),
        System("facestab", "stabilize", (), "its authors publish no weights",
               ("facestab.safetensors", "human.safetensors", "regressor.safetensors")),
    )
}  # fmt: skip
"""Every system that reads weights, by name."""


def folder() -> Path:
    """Where weights are kept: ``$HYOID_WEIGHTS``, else the user's data folder; it may not exist."""
    own = os.environ.get("HYOID_WEIGHTS")
    if own:
        return Path(own)
    if _WINDOWS:
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "hyoid" / "weights"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "hyoid" / "weights"


def system_of(name: str) -> System:
    """A system by its name.

    Raises:
        UsageError: there is none.
    """
    if name not in SYSTEMS:
        raise UsageError(f"'{name}' is not a system that reads weights", expected=f"one of {', '.join(SYSTEMS)}")
    return SYSTEMS[name]


def shipped(system: System) -> list[Path]:
    """The files of a system that came with Hyoid and are there."""
    try:
        home = data_folder("models") / system.name
    except InputError:
        return []
    return [home / name for name in system.own if (home / name).is_file()]


def read(path: Path, system: str) -> Any:
    """The model in a file, by the system's own strict reader.

    Raises:
        WeightsError: no sound weights of this system, or the system is not part of this installation.
    """
    module = f"hyoid.systems.{system}.checkpoint"
    try:
        checkpoint = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and module.startswith(error.name):
            raise WeightsError(f"this installation has no system '{system}'", path=path) from None
        raise
    return checkpoint.load(path)


def licence_of(model: Any) -> str:
    """The licence that a model, or what holds one, states; empty where it states none."""
    for holder in (model, getattr(model, "model", None)):
        stated = getattr(holder, "licence", "")
        if stated:
            return str(stated)
    return ""


def entries() -> list[Entry]:
    """What is kept, by system and name; records that are damaged are left out (:func:`verify` tells of them)."""
    return [entry for entry, _ in _records() if entry is not None]


def _records() -> list[tuple[Entry | None, Path]]:
    found = []
    for path in sorted(folder().glob(f"*/*{_RECORD}")):
        name = path.name.removesuffix(_RECORD)
        try:
            entry = Entry(**json.loads(path.read_text(encoding="utf-8")))
            sound = all(isinstance(getattr(entry, key), str) for key in ("system", "name", "sha256", "licence"))
            whole = sound and isinstance(entry.bytes, int) and (entry.system, entry.name) == (path.parent.name, name)
        except (OSError, ValueError, TypeError, RecursionError):
            entry, whole = None, False
        found.append((entry if whole else None, path))
    return found


def add(path: Path, system: str | None = None, *, replace: bool = False) -> Entry:
    """Keep a checkpoint: recognised by reading it, copied whole or not at all.

    Args:
        system: take it for this one only; None tries all of them. replace: another file of that name is replaced.

    Raises:
        InputError: there is no such file. WeightsError: no system reads it, with the reason of each.
        UsageError: an unknown system, or a name that another file has. OutputError: it cannot be copied.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("is a folder" if path.is_dir() else "does not exist", path=path, expected="a checkpoint")
    names = [system_of(system).name] if system else list(SYSTEMS)
    reasons: dict[str, str] = {}
    model = None
    for name in names:
        try:
            model, system = read(path, name), name
            break
        except HyoidError as error:
            reasons[name] = error.found
    if model is None or system is None:
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise WeightsError(
            f"no system reads it ({told})", path=path, expected="an official checkpoint, or weights of Hyoid",
            hint="hyoid weights list names the files that are known",
        )  # fmt: skip
    digest = sha256_of(path)
    entry = Entry(system, path.name, digest, path.stat().st_size, licence_of(model))
    for known in entries():
        if known.name == entry.name and (known.system, known.sha256) != (system, digest) and not replace:
            raise UsageError(
                f"another file of that name is kept for {known.system}", path=path,
                expected="another name", hint="Rename the file, or add it with --replace",
            )  # fmt: skip
    if path.resolve() != entry.path.resolve():
        with part_file(entry.path) as part:
            shutil.copyfile(path, part)
            if sha256_of(part) != digest:
                raise InputError("changed while it was copied", path=path, hint="Add it again")
    record = json.dumps(asdict(entry), indent=1, sort_keys=True) + "\n"
    write_bytes(entry.path.with_name(entry.name + _RECORD), record.encode())
    return entry


def verify(entry: Entry) -> str:
    """What is wrong with a file that is kept, empty when nothing is: it is hashed and read again."""
    if not entry.path.is_file():
        return "the file is gone"
    if sha256_of(entry.path) != entry.sha256:
        return "the file has changed since it was added"
    try:
        read(entry.path, entry.system)
    except HyoidError as error:
        return error.found
    return ""


def damaged() -> list[Path]:
    """Records that cannot be read."""
    return [path for entry, path in _records() if entry is None]


def is_kept(given: Path) -> bool:
    """Whether a name, with or without its suffix, is one that weights are kept under."""
    return any(given.name in (entry.name, Path(entry.name).stem) for entry in entries())


def resolve(given: Path, system: str) -> Path:
    """The file that is meant: a path that exists, else what is kept under that name for a system.

    The name may be without its suffix. A path that is neither comes back, for the system's reader to refuse.

    Raises:
        WeightsError: a bare name that nothing is kept under.
    """
    if given.exists():
        return given
    kept = [entry for entry in entries() if entry.system == system]
    for entry in kept:
        if given.name in (entry.name, Path(entry.name).stem):
            return entry.path
    if given.parent == Path() and not given.suffix:
        names = ", ".join(entry.name for entry in kept) or "nothing yet"
        raise WeightsError(
            f"no weights '{given}' are kept for {system}", expected=f"a file, or one of: {names}",
            hint="hyoid weights add FILE",
        )  # fmt: skip
    return given
