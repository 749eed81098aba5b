# SPDX-License-Identifier: Apache-2.0
"""Weights of our own as files: safetensors with one JSON note, which says of which network and version they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import WeightsError
from hyoid.files import write_bytes

UNSOUND = "is not a sound safetensors file"


def read(
    path: Path, form: str, version: int, *, expected: str, largest: int, unsound: str = UNSOUND
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the note of a file of ours.

    Args:
        form: ``format`` in the note, one for each network. expected: what should be there, for errors.
        largest: bytes of the file. unsound: what is said of other files.

    Raises:
        WeightsError: missing, too large, damaged, or of another network or version.
    """
    if not path.is_file():
        raise WeightsError("the file does not exist", path=path, expected=expected)
    if path.stat().st_size > largest:
        raise WeightsError(f"{path.stat().st_size} bytes", path=path, expected=expected)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as archive:
            note = json.loads((archive.metadata() or {}).get("hyoid", "{}"))
            arrays = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118  it is no mapping
    except (SafetensorError, OSError, ValueError, TypeError, RecursionError) as error:
        raise WeightsError(f"{unsound} ({error})", path=path, expected=expected) from None
    if not isinstance(note, dict) or note.get("format") != form:
        raise WeightsError(f"holds {len(arrays)} arrays of another network", path=path, expected=expected)
    if note.get("version") != version:
        raise WeightsError(f"is of version {note.get('version')}", path=path, expected=f"version {version}")
    return arrays, note


def write(path: Path, arrays: Mapping[str, np.ndarray], note: Mapping[str, Any], form: str, version: int) -> None:
    """Write a file of ours; equal arrays and notes give equal bytes.

    Raises:
        OutputError: see :func:`hyoid.files.part_file`.
    """
    from safetensors.numpy import save

    told = json.dumps({**note, "format": form, "version": version}, sort_keys=True)
    write_bytes(path, save(dict(arrays), metadata={"hyoid": told}))


def check_names(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Refuse arrays that are not those of the shapes, by name.

    Raises:
        WeightsError: some are missing, or others are there.
    """
    missing, foreign = sorted(set(shapes) - set(arrays)), sorted(set(arrays) - set(shapes))
    if missing or foreign:
        what = f"lacks '{missing[0]}'" if missing else f"holds '{foreign[0]}', which this network has not"
        raise WeightsError(
            f"{what} ({len(missing)} missing, {len(foreign)} too many)", path=path, expected="one network"
        )
