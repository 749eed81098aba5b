# SPDX-License-Identifier: Apache-2.0
"""Weights of SemiUHPE as a file: the published ``DAD-*-best.pth``, or ours.

The published file is a ``torch.save`` of a whole training; ``model_state_dict`` in it holds the student, which the
demos use. Which backbone it is shows in its names. Ours are safetensors with one JSON note: the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import torch_zip, weights
from hyoid.errors import InputError, UsageError, WeightsError
from hyoid.files import sha256_of
from hyoid.systems.semiuhpe import LICENCE
from hyoid.systems.semiuhpe.config import Config
from hyoid.systems.semiuhpe.plans import shapes_of

FORMAT = "hyoid.semiuhpe"
VERSION = 1
ENTRY = "model_state_dict"
PREFIX = "module."
EXPECTED = "SemiUHPE weights: an official DAD-*-best.pth, or a .safetensors of Hyoid"
_LARGEST = 2 << 30
_COUNTERS = ".num_batches_tracked"  # of BatchNorm; they count and do nothing else
_SHOWN = 3  # names in a message
_SIGNS = (
    ("layer0.rbr_dense.conv.weight", "repvgg"), ("features.init_block.conv.conv.weight", "effinet"),
    ("patch_embed.seq.0.c.weight", "tinyvit"), ("features.1.conv.0.0.weight", "mobilenet"),
    ("features.1.0.block.0.0.weight", "effinetv2"), ("layer1.0.conv3.weight", "resnet50"),
    ("layer1.0.conv2.weight", "resnet18"), ("stem.conv.weight", "plain"),
)  # fmt: skip
_HTML = (b"<htm", b"<HTM", b"<!do", b"<!DO")


@dataclass(frozen=True)
class Model:
    """A network with its numbers.

    Attributes:
        config: which one. parameters: float32 NumPy arrays under their published names, see ``plans.shapes_of``.
        note: what a file of ours says of itself (data, recipe, licence, measured quality). path, digest: of the file.
    """

    config: Config
    parameters: Mapping[str, np.ndarray]
    note: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    digest: str = ""

    @property
    def licence(self) -> str:
        """SPDX identifier of the weights; the published ones come from data with non-commercial terms."""
        return str(self.note.get("licence", LICENCE))


def find() -> Path:
    """The file of our own weights, which come with Hyoid.

    Raises:
        WeightsError: they are not there.
    """
    return weights.bundled("semiuhpe", "Install hyoid again, or train them: hyoid train semiuhpe -o FILE")


def load(path: str | Path, convention: str = "dad3dheads") -> Model:
    """The model in a file, published or ours.

    Args:
        convention: of the rotations that a published network answers, which no name tells: ``300w-lp`` for networks
            that the official code trained on 300W-LP. Ours say it themselves.

    Raises:
        WeightsError: missing, damaged, of another network, with numbers that are not finite, or not data alone.
        UsageError: no such convention.
    """
    path = Path(path)
    if not path.is_file():
        hint = "The official repository hnuzhy/SemiUHPE links its weights; docs/semiuhpe.md says more"
        raise WeightsError("the file does not exist", path=path, expected=EXPECTED, hint=hint)
    if path.stat().st_size > _LARGEST:
        raise WeightsError(f"{path.stat().st_size} bytes", path=path, expected=EXPECTED)
    with path.open("rb") as stream:
        start = stream.read(64).lstrip()[:4]
    if start in _HTML:
        hint = "Open the address in a browser and save the file itself"
        raise WeightsError("is a web page, not weights", path=path, expected=EXPECTED, hint=hint)
    note: dict[str, Any] = {}
    if start == b"PK\x03\x04":
        arrays = _official(path)
        config = Config(_backbone(arrays, path), convention=convention)
    else:
        unsound = "is neither a zip of torch.save nor a sound safetensors file"
        arrays, note = weights.read(path, FORMAT, VERSION, expected=EXPECTED, largest=_LARGEST, unsound=unsound)
        config = _config_of(note, path)
    weights.check_network(arrays, shapes_of(config), path, EXPECTED)
    parameters = {name: np.ascontiguousarray(arrays[name], np.float32) for name in shapes_of(config)}
    return Model(config, parameters, note, path, sha256_of(path))


def save(path: Path, model: Model, *, half: bool = False) -> None:
    """Write a model as a file of ours; equal models give equal bytes.

    Args:
        half: keep parameters as float16.

    Raises:
        OutputError: see :func:`hyoid.files.part_file`.
    """
    kind = np.float16 if half else np.float32
    arrays = {name: np.ascontiguousarray(array, kind) for name, array in sorted(model.parameters.items())}
    weights.write(path, arrays, {**model.note, "config": asdict(model.config)}, FORMAT, VERSION)


def _official(path: Path) -> dict[str, np.ndarray]:
    try:
        arrays = torch_zip.read(path, ENTRY)
    except InputError as error:
        raise WeightsError(error.found, path=path, expected=EXPECTED, hint=error.hint) from error
    named = {name.removeprefix(PREFIX): array for name, array in arrays.items()}
    if len(named) != len(arrays):
        raise WeightsError(f"some names are there with and without '{PREFIX}'", path=path, expected=EXPECTED)
    return {name: array for name, array in named.items() if not name.endswith(_COUNTERS)}


def _backbone(arrays: Mapping[str, np.ndarray], path: Path) -> str:
    for name, backbone in _SIGNS:
        if name in arrays:
            return backbone
    shown = ", ".join(list(arrays)[:_SHOWN]) or "nothing"
    found = f"holds no backbone of SemiUHPE but {shown} ({len(arrays)} arrays)"
    raise WeightsError(found, path=path, expected=EXPECTED)


def _config_of(note: Mapping[str, Any], path: Path) -> Config:
    told = note.get("config")
    try:
        if not isinstance(told, dict):
            raise TypeError("no config")
        return Config(**told)
    except (TypeError, UsageError) as error:
        raise WeightsError(f"its note tells no network ({error})", path=path, expected=EXPECTED) from None
