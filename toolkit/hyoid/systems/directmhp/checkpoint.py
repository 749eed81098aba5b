# SPDX-License-Identifier: Apache-2.0
"""Weights of DirectMHP as a file: the published ``*_best.pt``, or ours.

The published file is a ``torch.save`` of a whole network object, whose classes are not needed here: its tensors are
read and nothing of it is run. Every name and shape must be right. Our files are safetensors with one JSON note and the
same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import torch_zip, weights
from hyoid.errors import InputError, WeightsError
from hyoid.files import sha256_of
from hyoid.systems.directmhp import LICENCE
from hyoid.systems.directmhp.config import BOX_FIELDS, FIRST_STRIDE, ROTATIONS, Config, shapes_of

FORMAT = "hyoid.directmhp"
VERSION = 1
EXPECTED = "DirectMHP weights: an official *_best.pt, or a .safetensors of Hyoid"
_LARGEST = 2 << 30
_COUNTERS = ".num_batches_tracked"  # of BatchNorm; they count and do nothing else
_SHOWN = 3  # names in a message
_SIZE = 1280  # pixels, what most published files were trained with
_PAGE = (b"<!do", b"<htm", b"<HTM", b"<!DO", b"<?xm", b"\n<!d", b"\n\n<!")


@dataclass(frozen=True)
class Model:
    """A network with its numbers.

    Attributes:
        config: its sizes. parameters: float32 NumPy arrays under their published names, see ``config.shapes_of``.
        note: what a file of ours says of itself (data, seed, licence, measured quality). path, digest: of the file.
    """

    config: Config
    parameters: Mapping[str, np.ndarray]
    note: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    digest: str = ""

    @property
    def licence(self) -> str:
        """SPDX identifier of the weights; the published ones come from sets for research only."""
        return str(self.note.get("licence", LICENCE))

    @property
    def size(self) -> int:
        """Side in pixels of the pictures that it knows best."""
        return int(self.note.get("size", _SIZE))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides at which a picture is searched: networks of ours, which are small, look twice, for small heads too."""
        return (self.size, 2 * self.size) if self.smooth else (self.size,)

    @property
    def smooth(self) -> bool:
        """Whether pictures are averaged where they shrink; the published networks take single pixels."""
        return self.config.rotation == "matrix"

    @property
    def anchors(self) -> np.ndarray:
        """(levels, 3, 2) float32 width and height in pixels."""
        return self.parameters[f"{self.config.head}.anchor_grid"].reshape(self.config.levels, 3, 2)


def find() -> Path:
    """The file of our own weights, which come with Hyoid.

    Raises:
        WeightsError: they are not there.
    """
    return weights.bundled("directmhp", "Install hyoid again, or train them")


def load(path: Path) -> Model:
    """The model in a file, published or ours.

    Raises:
        WeightsError: missing, damaged, of another network, with numbers that are not finite, or not data alone.
    """
    path = Path(path)
    if not path.is_file():
        hint = "The official weights are at huggingface.co/HoyerChou/DirectMHP"
        raise WeightsError("the file does not exist", path=path, expected=EXPECTED, hint=hint)
    if path.stat().st_size > _LARGEST:
        raise WeightsError(f"{path.stat().st_size} bytes", path=path, expected=EXPECTED)
    with path.open("rb") as stream:
        start = stream.read(4)
    if start in _PAGE:
        hint = "Download the file itself, not the page that shows it"
        raise WeightsError("is a web page", path=path, expected=EXPECTED, hint=hint)
    note: dict[str, Any] = {}
    if start == b"PK\x03\x04":
        arrays = _official(path)
    else:
        unsound = "is neither a zip of torch.save nor a sound safetensors file"
        arrays, note = weights.read(path, FORMAT, VERSION, expected=EXPECTED, largest=_LARGEST, unsound=unsound)
        if not _is_size(note.get("size", _SIZE)):
            raise WeightsError(f"its note tells the size {note['size']!r}", path=path, expected="pixels")
    config = _config_of(arrays, path)
    _check(arrays, config, path)
    parameters = {name: np.ascontiguousarray(arrays[name], np.float32) for name in shapes_of(config)}
    return Model(config, parameters, note, path, sha256_of(path))


def save(path: Path, model: Model, *, half: bool = False) -> None:
    """Write a model as a file of ours; equal models give equal bytes.

    Args:
        half: keep the weights of convolutions as float16.

    Raises:
        OutputError: see :func:`hyoid.files.part_file`.
    """
    arrays = {
        name: np.ascontiguousarray(
            array, np.float16 if half and name.endswith("weight") and array.ndim == 4 else np.float32
        )
        for name, array in sorted(model.parameters.items())
    }
    config = model.config
    sizes = {"channels": list(config.channels), "short": config.short, "long": config.long}
    told = {**sizes, "rotation": config.rotation, "anchors": model.anchors.tolist()}
    weights.write(path, arrays, {**model.note, "config": told}, FORMAT, VERSION)


def _official(path: Path) -> dict[str, np.ndarray]:
    try:
        arrays = torch_zip.read_network(path, ("ema", "model"), ("models.",))
    except InputError as error:
        raise WeightsError(error.found, path=path, expected=EXPECTED, hint=error.hint) from error
    return {name: array for name, array in arrays.items() if not name.endswith(_COUNTERS)}


def _is_size(size: Any) -> bool:
    return type(size) is int and 0 < size <= 1 << 14


def _config_of(arrays: Mapping[str, np.ndarray], path: Path) -> Config:
    """The sizes that shapes tell."""

    def shape(name: str, dimensions: int) -> tuple[int, ...]:
        array = arrays.get(name)
        if array is None or array.ndim != dimensions or not array.size:
            found = f"lacks '{name}'" if array is None else f"'{name}' is {array.shape}"
            raise WeightsError(f"{found} ({len(arrays)} arrays)", path=path, expected=EXPECTED)
        return array.shape

    heads = [name.removesuffix(".anchors") for name in arrays if name.endswith(".anchors")]
    if len(heads) != 1:
        raise WeightsError(
            f"holds {len(heads)} tables of anchors in {len(arrays)} arrays", path=path, expected=EXPECTED
        )
    levels = shape(f"{heads[0]}.anchors", 3)[0]
    if levels not in (3, 4):
        raise WeightsError(f"has {levels} output levels", path=path, expected=EXPECTED)
    leaving = shape(f"{heads[0]}.m.0.weight", 4)[0]
    kinds = [name for name, count in ROTATIONS.items() if 3 * (BOX_FIELDS + count) == leaving]
    if not kinds:
        found = f"its last layer gives {leaving} numbers a cell, not those of heads with directions"
        raise WeightsError(found, path=path, expected=EXPECTED)
    first = shape("model.0.conv.conv.weight", 4)[0]
    stages = tuple(shape(f"model.{2 * stage + 1}.conv.weight", 4)[0] for stage in range(levels + 1))
    short, long = (_blocks(arrays, layer) for layer in (2, 4))
    cells = np.asarray(arrays[f"{heads[0]}.anchors"], np.float64)
    pixels = (
        cells * (FIRST_STRIDE << np.arange(levels))[:, None, None] if cells.shape[1:] == (3, 2) else np.ones((1, 3, 2))
    )
    anchors = tuple(tuple((float(w), float(h)) for w, h in level) for level in pixels)
    return Config((first, *stages), short, long, kinds[0], anchors)


def _blocks(arrays: Mapping[str, np.ndarray], layer: int) -> int:
    start = f"model.{layer}.m."
    return len({name.split(".")[3] for name in arrays if name.startswith(start)})


def _check(arrays: Mapping[str, np.ndarray], config: Config, path: Path) -> None:
    """One error that tells all that is wrong with names and shapes, then one with numbers."""
    shapes = shapes_of(config)
    weights.check_shapes(arrays, shapes, path, EXPECTED)
    for name in shapes:
        array = arrays[name]
        weights.check_finite(name, array, path)
        if (name.endswith("running_var") and (array < 0).any()) or ("anchor" in name and (array <= 0).any()):
            raise WeightsError(f"'{name}' holds numbers below 0", path=path, expected="variances and sizes")
    cells, grid = (np.asarray(arrays[f"{config.head}.{leaf}"], np.float64) for leaf in ("anchors", "anchor_grid"))
    pixels = cells * np.asarray(config.strides)[:, None, None]
    if not np.allclose(pixels, grid.reshape(pixels.shape), rtol=0.02):
        raise WeightsError("its two tables of anchors contradict each other", path=path, expected=EXPECTED)
