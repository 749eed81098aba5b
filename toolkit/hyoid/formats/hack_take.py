# SPDX-License-Identifier: Apache-2.0
"""HACK's recordings as takes: ``theta_list.npy`` and its neighbours, as the model's publication has them.

``theta_list`` (frames, 8, 3) rotation vectors of the cervical joints in their own bone axes, ``tau_list`` height and
``alpha_list`` size of the larynx, ``bsw_list`` 55 expression weights. The bone axes come from ``bones_neutral.json`` in
the folder ``model`` beside the recording's.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hyoid import pickles
from hyoid.characters import curve_names, neck
from hyoid.errors import InputError
from hyoid.files import sha256_of
from hyoid.formats.checks import finite, frame_rate, shaped, valid_take
from hyoid.geometry import rotations
from hyoid.take import CharacterReference, Provenance, Source, Take

FPS = 30.0
"""The recordings do not state their frame rate; this is taken."""
MILLIMETRES = 326.0
"""How far the larynx travels for one unit of tau, in HACK's own head."""
LICENCE = "LicenseRef-HACK"
_THETA = "theta_list.npy"
_OTHERS = {"tau": (None, 1), "alpha": (None, 1), "bsw": (None, len(curve_names.HACK))}


def is_one(path: Path) -> bool:
    """Whether a path looks like such a recording: one of its files, or the folder that holds them."""
    path = Path(path)
    return path.name.endswith("_list.npy") or (path.is_dir() and (path / _THETA).is_file())


def read(path: Path, *, fps: float | None = None) -> Take:
    """The recording in a folder, or beside one of its files.

    Args:
        fps: frames a second; None takes 30.

    Raises:
        InputError: a file is missing, has another shape or numbers that are not finite, or the bones are not there.
    """
    folder = (path if path.is_dir() else path.parent).absolute()
    fps = FPS if fps is None else fps
    frame_rate(fps, path)
    theta = _numbers(folder / _THETA, (None, len(neck.JOINTS), 3))
    frames = len(theta)
    if not frames:
        raise InputError("has no frames", path=folder / _THETA, expected="at least one frame")
    columns: dict[str, np.ndarray] = {}
    for name, shape in _OTHERS.items():
        file = folder / f"{name}_list.npy"
        if not file.is_file():
            continue
        values = _numbers(file, shape)
        if len(values) < frames:
            raise InputError(f"has {len(values)} frames", path=file, expected=f"the {frames} of {_THETA} or more")
        columns[name] = values[:frames]  # the published weights go on after the neck has ended
    zero = np.zeros((frames, 1))
    face = columns.get("bsw", np.zeros((frames, len(curve_names.HACK))))
    larynx = [MILLIMETRES * columns.get("tau", zero), columns.get("alpha", zero + 1)]
    axes = _axes(folder)
    turns = rotations.from_rotation_vector(theta.astype(float))
    turns = np.stack([rotations.in_axes(turns[:, joint], axes[joint].T) for joint in range(len(axes))], 1)
    sources = tuple(
        Source("input", f"{name}_list.npy", sha256_of(folder / f"{name}_list.npy"), LICENCE)
        for name in ("theta", *columns)
    )
    take = Take(
        fps=fps, curve_names=(*curve_names.HACK, "larynxHeight", "larynxSize"),
        curves=np.concatenate([face, *larynx], 1).astype(np.float32), joint_names=neck.JOINTS,
        rotations=rotations.continuous(rotations.normalise(turns)).astype(np.float32),
        root=np.zeros((frames, 3), np.float32), confidence=np.ones(frames, np.float32),
        character=CharacterReference(f"hack:{folder.parent}"),
        provenance=Provenance(_version(), "convert", {}, sources),
    )  # fmt: skip
    return valid_take(take, path)


def _version() -> str:
    from hyoid import __version__

    return __version__


def _numbers(path: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    array = pickles.read(path)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise InputError(f"holds {kind}", path=path, expected="an array of numbers")
    shaped("the array", array, shape, path)
    finite("the array", array, path)
    return array.astype(np.float64)


def _axes(folder: Path) -> np.ndarray:
    """The axes of each bone at rest as columns, (8, 3, 3), in model axes."""
    places = [folder.parent / "model" / "bones_neutral.json", folder / "bones_neutral.json"]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InputError(
            "the axes of its joints are not there", path=places[0], expected="HACK's bones_neutral.json",
            hint="Keep the folder data beside the folder model",
        )  # fmt: skip
    try:
        bones = json.loads(path.read_text(encoding="utf-8"))
        local = np.array([bones[name]["matrix"] for name in neck.JOINTS], float)
    except (ValueError, TypeError, KeyError, RecursionError, OSError) as error:
        raise InputError(f"is no table of bones ({error!r:.60})", path=path, expected="matrix of each joint") from error
    shaped("the table of matrices", local, (len(neck.JOINTS), 3, 3), path)
    finite("the table of matrices", local, path)
    if np.abs(local @ np.swapaxes(local, 1, 2) - np.eye(3)).max() > 1e-3:
        raise InputError("its matrices are no rotations", path=path)
    world = [local[0]]
    for matrix in local[1:]:
        world.append(world[-1] @ matrix)
    return np.stack(world)
