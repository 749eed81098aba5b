# SPDX-License-Identifier: Apache-2.0
"""Weights of our own as a file: safetensors with one JSON note. There are no published ones.

Arrays: the parameters of the network (see ``network.trust_shapes`` and ``regress_shapes``), ``face.rows`` (K,) which
vertices of the bundled human's skin the points are, ``face.template`` (K, 3) where they lie on it, millimetres, and
``face.core`` (K,) 1 for the points of the face itself, without scalp and ears, on which errors are told, and
``face.motion`` (K,) the most that a shape moves them, millimetres, and ``face.known`` (M, K, 3) the motions of the
shapes that were learned from (see ``known.py``), none for the regressor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import weights
from hyoid.errors import WeightsError
from hyoid.files import data_folder, sha256_of
from hyoid.systems.facestab import network

FORMAT = "hyoid.facestab"
VERSION = 2
NAMES = {"facestab": "facestab", "regressor": "regressor"}
"""The weights that come with Hyoid, by method."""
_LARGEST = 64 << 20
_FORMS = {"trust": network.TrustConfig, "regress": network.RegressConfig}


@dataclass(frozen=True)
class Face:
    """The canonical points.

    Attributes:
        rows: (K,) int32, rows of ``characters.fit.face_points.human_template``.
        template: (K, 3) float32 millimetres, on the bundled human. core: (K,) bool, points of the face itself.
        motion: (K,) float32 millimetres, the most that a shape moves each.
        known: (M, K, 3) millimetres, directions in which skin moves, each as long as it usually is; M may be 0.
    """

    rows: np.ndarray
    template: np.ndarray
    core: np.ndarray
    motion: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class Model:
    """A trained network with all that it needs.

    Attributes:
        form: ``trust`` or ``regress``. config: its sizes. parameters: float32 NumPy arrays.
        gather, spread: patches of the trust network, made from the template; empty for the regressor.
        note: data, seed, licence, measured quality, and ``error_scale``, which turns what the weights say of the
            error into millimetres. path, digest: of the file.
    """

    form: str
    config: Any
    parameters: Mapping[str, np.ndarray]
    face: Face
    gather: np.ndarray
    spread: np.ndarray
    note: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    digest: str = ""

    @property
    def licence(self) -> str:
        """SPDX identifier of the weights."""
        return str(self.note.get("licence", ""))


def make(form: str, config: Any, parameters: Mapping[str, np.ndarray], face: Face, note: Mapping[str, Any]) -> Model:
    """A model of parameters that are in memory."""
    empty = np.zeros((0, 0), np.float32)
    gather, spread = network.patches(face.template, config) if form == "trust" else (empty, empty)
    return Model(form, config, parameters, face, gather, spread, note)


def shapes_of(form: str, config: Any, points: int) -> dict[str, tuple[int, ...]]:
    """The parameters of a form and their shapes."""
    return (network.trust_shapes if form == "trust" else network.regress_shapes)(config, points)


def find(name: str) -> Path:
    """The file of weights that come with Hyoid.

    Raises:
        WeightsError: they are not there.
    """
    path = data_folder("models") / "facestab" / f"{name}.safetensors"
    if not path.is_file():
        raise WeightsError(
            "the weights are not there", path=path, hint="Install hyoid again, or train them: hyoid train facestab"
        )
    return path


def load(path: Path) -> Model:
    """The model in a file.

    Raises:
        WeightsError: missing, damaged, of another network, of another version, or with numbers that are not finite.
    """
    path = Path(path)
    expected = "weights written by 'hyoid train facestab'"
    arrays, note = weights.read(path, FORMAT, VERSION, expected=expected, largest=_LARGEST)
    if note.get("form") not in _FORMS:
        raise WeightsError(f"holds {len(arrays)} arrays of another network", path=path, expected=expected)
    try:
        config = _FORMS[note["form"]](**note["config"])
        own = {name: arrays.pop(f"face.{name}") for name in ("rows", "template", "core", "motion", "known")}
        face = Face(own["rows"], own["template"], own["core"].astype(bool), own["motion"], own["known"])
    except (KeyError, TypeError) as error:
        raise WeightsError(f"lacks {error}", path=path, expected=expected) from None
    _check(arrays, shapes_of(note["form"], config, len(face.rows)), face, path)
    parameters = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    made = make(note["form"], config, parameters, face, note)
    return Model(**{**vars(made), "path": path, "digest": sha256_of(path)})


def _check(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], face: Face, path: Path) -> None:
    weights.check_names(arrays, shapes, path)
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise WeightsError(f"'{name}' is {arrays[name].shape}", path=path, expected=str(shape))
    per_point = face.core.shape == face.motion.shape == face.rows.shape
    if face.known.ndim != 3 or face.known.shape[1:] != face.template.shape:
        raise WeightsError(f"its known motions are {face.known.shape}", path=path, expected="(M, K, 3)")
    if face.template.shape != (len(face.rows), 3) or not per_point:
        raise WeightsError(f"its template is {face.template.shape}", path=path, expected=f"({len(face.rows)}, 3)")
    own = {f"face.{name}": getattr(face, name) for name in ("template", "motion", "known")}
    for name, array in {**arrays, **own}.items():
        if not np.isfinite(array).all():
            raise WeightsError(f"'{name}' holds numbers that are not finite", path=path, expected="finite numbers")


def save(path: Path, model: Model) -> None:
    """Write a model; equal models give equal bytes. Parameters are kept in half precision.

    Raises:
        OutputError: see :func:`hyoid.files.part_file`.
    """
    arrays = {name: np.ascontiguousarray(array, np.float16) for name, array in sorted(model.parameters.items())}
    arrays |= {
        "face.rows": np.ascontiguousarray(model.face.rows, np.int32),
        "face.template": np.ascontiguousarray(model.face.template, np.float32),
        "face.core": np.ascontiguousarray(model.face.core, np.uint8),
        "face.motion": np.ascontiguousarray(model.face.motion, np.float32),
        "face.known": np.ascontiguousarray(model.face.known, np.float16),
    }
    note = {**model.note, "form": model.form, "config": asdict(model.config)}
    weights.write(path, arrays, note, FORMAT, VERSION)
