# SPDX-License-Identifier: Apache-2.0
"""Weights of our own as files: safetensors with one JSON note, which says of which network and version they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import WeightsError
from hyoid.files import data_folder, write_bytes

_SHOWN = 3  # names in a message
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


def check_shapes(
    arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], path: Path, expected: str
) -> None:
    """Refuse arrays that are not those of the shapes: one error that tells all that is wrong with names and shapes.

    Raises:
        WeightsError: some are missing, others are there, or some are of another shape.
    """
    wrong = {
        "missing": sorted(set(shapes) - set(arrays)),
        "unexpected": sorted(set(arrays) - set(shapes)),
        "of another shape": [
            f"{name} {arrays[name].shape}, not {shape}"
            for name, shape in shapes.items()
            if name in arrays and arrays[name].shape != shape
        ],
    }
    told = [
        f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
        for what, names in wrong.items()
        if names
    ]
    if told:
        raise WeightsError("; ".join(told), path=path, expected=expected)


def check_finite(name: str, array: np.ndarray, path: Path) -> None:
    """Refuse an array that does not hold finite floats.

    Raises:
        WeightsError: it does not.
    """
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise WeightsError(f"'{name}' holds numbers that are not finite", path=path, expected="finite numbers")


def check_network(
    arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], path: Path, expected: str
) -> None:
    """Refuse arrays that are no network of these names and shapes, with finite numbers and variances of 0 or more.

    Raises:
        WeightsError: see :func:`check_shapes`; numbers that are not finite; negative variances.
    """
    check_shapes(arrays, shapes, path, expected)
    for name in shapes:
        check_finite(name, arrays[name], path)
        if name.endswith("running_var") and (arrays[name] < 0).any():
            raise WeightsError(f"'{name}' holds negative variances", path=path, expected="0 or more")


def bundled(system: str, hint: str) -> Path:
    """The file of our own weights of a system, which come with Hyoid.

    Args:
        hint: what to do where they are not there.

    Raises:
        WeightsError: they are not there.
    """
    path = data_folder("models") / system / f"{system}.safetensors"
    if not path.is_file():
        raise WeightsError("the weights are not there", path=path, hint=hint)
    return path
