# SPDX-License-Identifier: Apache-2.0
"""Weights of KTPFormer as a file: the published ``model_243_*_best_epoch.bin``, or ours.

The published file is a ``torch.save`` of a whole training; ``model_pos`` in it holds the network under its names with
the prefix ``module.``. Its own loader takes what fits and leaves the rest random; here every name and shape must be
right. Our files are safetensors with one JSON note: the same names without the prefix.
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
from hyoid.geometry.human36m import LEFT, PARENTS, RIGHT
from hyoid.systems.ktpformer import LICENCE
from hyoid.systems.ktpformer.config import Config, shapes_of

FORMAT = "hyoid.ktpformer"
VERSION = 1
PREFIX = "module."
EXPECTED = "KTPFormer weights: an official model_243_*_best_epoch.bin, or a .safetensors of Hyoid"
_LARGEST = 1 << 30
_COUNTERS = ".num_batches_tracked"  # of BatchNorm; they count and do nothing else
_SHOWN = 3  # names in a message


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
        """SPDX identifier of the weights; the published ones have no licence file."""
        return str(self.note.get("licence", LICENCE))


def find() -> Path:
    """The file of our own weights, which come with Hyoid.

    Raises:
        WeightsError: they are not there.
    """
    return weights.bundled("ktpformer", "Install hyoid again, or train them: hyoid train ktpformer --data FOLDER")


def load(path: Path, heads: int | None = None) -> Model:
    """The model in a file, published or ours.

    Args:
        heads: of the attention, which no shape tells: None is what our note says, or 8, as published.

    Raises:
        WeightsError: missing, damaged, of another network, with numbers that are not finite, or not data alone.
    """
    path = Path(path)
    if not path.is_file():
        hint = "The official repository JihuaPeng/KTPFormer links its weights; docs/ktpformer.md says more"
        raise WeightsError("the file does not exist", path=path, expected=EXPECTED, hint=hint)
    if path.stat().st_size > _LARGEST:
        raise WeightsError(f"{path.stat().st_size} bytes", path=path, expected=EXPECTED)
    with path.open("rb") as stream:
        start = stream.read(4)
    note: dict[str, Any] = {}
    if start == b"PK\x03\x04":
        arrays = _official(path)
        config = _config_of(arrays, heads or Config.heads, (PARENTS, LEFT, RIGHT), path)
    else:
        arrays, note = _own(path)
        tree = tuple(tuple(int(joint) for joint in note[name]) for name in ("parents", "left", "right"))
        config = _config_of(arrays, heads or int(note["heads"]), tree, path)
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
    config = model.config
    tree = {"parents": config.parents, "left": config.left, "right": config.right}
    weights.write(path, arrays, {**model.note, "heads": config.heads, **tree}, FORMAT, VERSION)


def _official(path: Path) -> dict[str, np.ndarray]:
    try:
        arrays = torch_zip.read(path, "model_pos")
    except InputError as error:
        raise WeightsError(error.found, path=path, expected=EXPECTED, hint=error.hint) from error
    bare = [name for name in arrays if not name.startswith(PREFIX)]
    if bare:
        found = f"its name '{bare[0]}' does not begin with '{PREFIX}' ({len(bare)} of {len(arrays)} names)"
        raise WeightsError(found, path=path, expected=EXPECTED)
    named = {name.removeprefix(PREFIX): array for name, array in arrays.items()}
    return {name: array for name, array in named.items() if not name.endswith(_COUNTERS)}


def _own(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    unsound = "is neither a zip of torch.save nor a sound safetensors file"
    arrays, note = weights.read(path, FORMAT, VERSION, expected=EXPECTED, largest=_LARGEST, unsound=unsound)
    if not (isinstance(note.get("heads"), int) and _is_tree(note.get("parents"), note.get("left"), note.get("right"))):
        raise WeightsError("its note has no sound table of joints and heads", path=path, expected=EXPECTED)
    return arrays, note


def _is_tree(parents: Any, left: Any, right: Any) -> bool:
    """Whether lists are one of joints that name parents before them, and two of joints in pairs, each once."""
    tables = (parents, left, right)
    if not all(isinstance(table, list) and all(type(joint) is int for joint in table) for table in tables):
        return False
    rooted = bool(parents) and parents[0] == -1 and all(0 <= p < joint for joint, p in enumerate(parents[1:], 1))
    paired = len(left) == len(right) and len({*left, *right}) == 2 * len(left)
    return rooted and paired and all(0 <= joint < len(parents) for joint in (*left, *right))


def _config_of(arrays: Mapping[str, np.ndarray], heads: int, tree: tuple[Any, ...], path: Path) -> Config:
    """The sizes that the places of frames and joints and the number of pairs tell."""
    places = {}
    for name in ("tpattention.attn.Temporal_pos_embed", "kpattention.attn.Spatial_pos_embed"):
        array = arrays.get(name)
        if array is None or array.ndim != 3:
            found = f"lacks '{name}'" if array is None else f"'{name}' is {array.shape}"
            raise WeightsError(f"{found} ({len(arrays)} arrays)", path=path, expected=EXPECTED)
        places[name] = array.shape
    (_, frames, channels), (_, joints, _) = places.values()
    if joints != len(tree[0]):
        found = f"is for {joints} joints"
        raise WeightsError(found, path=path, expected=f"{len(tree[0])}: no other tree of joints is known")
    pairs = {name.split(".")[1] for name in arrays if name.startswith("STEblocks.")}
    if not 0 < heads <= channels or channels % heads:
        raise WeightsError(f"{heads} heads for {channels} channels", path=path, expected="a divisor")
    return Config(frames, channels, len(pairs), heads, *tree)
