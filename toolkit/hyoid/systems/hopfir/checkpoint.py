# SPDX-License-Identifier: Apache-2.0
"""Weights of our own as a file: safetensors with one JSON note. There are no published ones.

Arrays: the parameters of ``network.shapes``, float16 or float32. The note tells the sizes, and the skeleton and the
normalisation that the weights were trained with: they answer for no other. Masks of the graph are never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hyoid import weights
from hyoid.errors import WeightsError
from hyoid.files import sha256_of
from hyoid.systems.hopfir import network
from hyoid.systems.hopfir.network import HUMAN36M, Config

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "hyoid.hopfir"
VERSION = 1
NORMALISATION = "x * 2 / width - 1, y * 2 / width - height / width"
_LARGEST = 64 << 20  # bytes of a file
_MOST_CHANNELS, _MOST_BLOCKS, _MOST_HOPS = 1024, 32, 16
_SIZES = {"C": "channels", "n": "blocks", "K": "hops", "heads": "heads"}
_EXPECTED = "weights of Hyoid's own HopFIR (hyoid.systems.hopfir.checkpoint.save)"


@dataclass(frozen=True)
class Model:
    """A trained network.

    Attributes:
        config: its sizes. parameters: float32 NumPy arrays, see ``network.shapes``.
        note: data, seed, licence, measured quality. path, digest: of the file.
    """

    config: Config
    parameters: Mapping[str, np.ndarray]
    note: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    digest: str = ""

    @property
    def licence(self) -> str:
        """SPDX identifier of the weights."""
        return str(self.note.get("licence", ""))

    def tensors(self, device: Any = "cpu") -> dict[str, Tensor]:
        """The parameters as torch tensors, float32."""
        import torch

        return {name: torch.tensor(array, device=device) for name, array in self.parameters.items()}


def find() -> Path:
    """The file of weights that come with Hyoid.

    Raises:
        WeightsError: they are not there.
    """
    return weights.bundled("hopfir", "Install hyoid again, or train them: hyoid train hopfir --data FOLDER")


def load(path: Path) -> Model:
    """The model in a file.

    Raises:
        WeightsError: missing, damaged, of another network, version, skeleton or normalisation, or with numbers that
            are not finite.
    """
    path = Path(path)
    arrays, note = weights.read(path, FORMAT, VERSION, expected=_EXPECTED, largest=_LARGEST)
    for name, value in _skeleton_note().items():
        if note.get(name) != value:
            raise WeightsError(
                f"its '{name}' are others: {str(note.get(name))[:80]}", path=path, expected=str(value)[:200],
                hint="Weights answer only for the joints that they were trained with",
            )  # fmt: skip
    config = _config(note, path)
    _check(arrays, network.shapes(config), path)
    parameters = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    return Model(config, parameters, note, path, sha256_of(path))


def save(path: Path, model: Model, *, half: bool = True) -> None:
    """Write a model; equal models give equal bytes.

    Args:
        half: keep the parameters in half precision.

    Raises:
        OutputError: see :func:`hyoid.files.part_file`.
    """
    kind = np.float16 if half else np.float32
    arrays = {name: np.ascontiguousarray(array, kind) for name, array in sorted(model.parameters.items())}
    sizes = {letter: getattr(model.config, name) for letter, name in _SIZES.items()}
    note = {**model.note, **_skeleton_note(), **sizes, "refine": model.config.refine}
    weights.write(path, arrays, note, FORMAT, VERSION)


def _skeleton_note() -> dict[str, Any]:
    limbs = {"legs": HUMAN36M.legs, "arms": HUMAN36M.arms}
    return {
        "joints": list(HUMAN36M.names),
        "parents": list(HUMAN36M.parents),
        "groups": {name: [list(limb) for limb in pair] for name, pair in limbs.items()},
        "input_normalisation": NORMALISATION,
    }


def _config(note: Mapping[str, Any], path: Path) -> Config:
    sizes: dict[str, Any] = {name: note.get(letter) for letter, name in _SIZES.items()}
    sound = all(type(value) is int for value in sizes.values()) and type(note.get("refine")) is bool
    if sound:
        config = Config(**sizes, refine=note["refine"])
        if (
            0 < config.channels <= _MOST_CHANNELS
            and 0 < config.blocks <= _MOST_BLOCKS
            and 0 <= config.hops <= _MOST_HOPS
            and config.heads > 0
            and config.channels % config.heads == 0
        ):
            return config
    raise WeightsError(f"its sizes are {sizes}", path=path, expected="C, n, K and heads, where heads divide C")


def _check(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    weights.check_names(arrays, shapes, path)
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype not in (np.float16, np.float32):
            raise WeightsError(f"'{name}' is {array.shape} {array.dtype}", path=path, expected=f"{shape} of floats")
        if not np.isfinite(array).all():
            raise WeightsError(f"'{name}' holds numbers that are not finite", path=path, expected="finite numbers")
