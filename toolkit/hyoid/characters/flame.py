# SPDX-License-Identifier: Apache-2.0
"""FLAME heads (2019, 2020 and 2023 files, ``.pkl`` or ``.npz``) that the user brings, as characters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hyoid.characters import Setting
from hyoid.characters.character import Character
from hyoid.characters.smpl import family, record
from hyoid.characters.smpl.expression import ArkitMap
from hyoid.characters.smpl.expression import arkit_map as _arkit_map
from hyoid.characters.smpl.family import Model

KINDS = ("FLAME",)
_NAMES = ("flame", "generic_model", "female_model", "male_model")


def read(path: Path) -> Model:
    """The model of a file, or of the one FLAME file in a folder.

    Raises:
        InputError: see :func:`hyoid.characters.smpl.family.read`.
    """
    return family.read(family.find(path, _NAMES), KINDS)


def load(path: Path, settings: Mapping[str, float]) -> Character:
    """A FLAME head as a character; see :func:`hyoid.characters.smpl.record.build`.

    Raises:
        InputError: the file cannot be used.
    """
    model = read(path)
    return record.build(model, settings, licence(model))


def settings(path: Path) -> dict[str, Setting]:
    """``identity000`` to ``identity299`` in standard deviations, ``nativeNeck``, ``nativeExpression``."""
    return family.settings(read(path))


def arkit_map(path: Path) -> ArkitMap | None:
    """From ARKit weights to the file's expression coefficients and jaw, with what it leaves over."""
    return _arkit_map(read(path))


def licence(model: Model) -> str:
    """The terms of the file: 2023's where its name says so, else those of 2020."""
    return "LicenseRef-FLAME-2023" if "2023" in model.path.name else "LicenseRef-FLAME-2020"
