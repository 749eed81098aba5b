# SPDX-License-Identifier: Apache-2.0
"""SMPL-X, SMPL-H and SMPL bodies (``.npz`` or ``.pkl``) that the user brings, as characters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hyoid.characters import Setting
from hyoid.characters.character import Character
from hyoid.characters.smpl import family, record
from hyoid.characters.smpl.expression import ArkitMap
from hyoid.characters.smpl.expression import arkit_map as _arkit_map
from hyoid.characters.smpl.family import Model

KINDS = ("SMPL-X", "SMPL-H", "SMPL")
LICENCE = "LicenseRef-SMPL-X"
_NAMES = ("smplx", "smplh", "smpl", "model")


def read(path: Path) -> Model:
    """The model of a file, or of the one file of the family in a folder.

    Raises:
        InputError: see :func:`hyoid.characters.smpl.family.read`.
    """
    return family.read(family.find(path, _NAMES), KINDS)


def load(path: Path, settings: Mapping[str, float]) -> Character:
    """A body as a character; see :func:`hyoid.characters.smpl.record.build`.

    Raises:
        InputError: the file cannot be used.
    """
    return record.build(read(path), settings, LICENCE)


def settings(path: Path) -> dict[str, Setting]:
    """``identity000`` ... as many as the file has, in standard deviations, ``nativeNeck``, ``nativeExpression``."""
    return family.settings(read(path))


def arkit_map(path: Path) -> ArkitMap | None:
    """From ARKit weights to the file's expression coefficients and jaw; None where it has no expression."""
    return _arkit_map(read(path))
