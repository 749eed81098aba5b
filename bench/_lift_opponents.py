# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""What the lifters are compared with: simple networks for the same 17 joints, their training, and their files.

- ``SimpleBaseline`` (Martinez et al., ICCV 2017): one frame, all joints through wide layers.
- ``SemanticGraph`` (Zhao et al., CVPR 2019): one frame, graph convolutions; with the hop attention of HopFIR if wanted.
- ``TemporalConvolutions`` (in the manner of Pavllo et al., CVPR 2019): dilated convolutions over frames.

All take normalised images (B, F, 17, 2) float32 and give (B, F - 2 * margin, 17, 3) metres, camera space, with the
pelvis at the origin; ``margin`` frames at both ends serve as context only. :func:`lifted` lifts whole clips and
:func:`fit` trains as the lifters are trained; ``_fit_lift_opponents.py`` makes the files in ``lift_opponents``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hyoid import training, weights
from hyoid.errors import WeightsError
from hyoid.report import SILENT, Report
from hyoid.systems.hopfir import network
from hyoid.systems.hopfir.network import HUMAN36M
from torch import Tensor, nn

JOINTS = len(HUMAN36M.parents)
_FLIP = np.array([-1, 1, 1], np.float32)
FOLDER = Path(__file__).resolve().parent / "lift_opponents"
FORMAT, VERSION = "hyoid.lift_opponent", 1
_LARGEST = 64 << 20  # bytes of a file
_EXPECTED = "weights written by bench/_fit_lift_opponents.py"
_COUNTERS = ".num_batches_tracked"  # of batch normalisation; they count and do nothing else


class SimpleBaseline(nn.Module):
    """Each frame on its own: a wide layer, residual blocks of two, and an output layer."""

    margin = 0

    def __init__(self, width: int = 1024, blocks: int = 2, dropout: float = 0.25) -> None:
        super().__init__()
        self.first = _dense(2 * JOINTS, width, dropout)
        self.blocks = nn.ModuleList(
            nn.Sequential(_dense(width, width, dropout), _dense(width, width, dropout)) for _ in range(blocks)
        )
        self.last = nn.Linear(width, 3 * JOINTS)

    def forward(self, image: Tensor) -> Tensor:
        """See the module."""
        x = self.first(image.reshape(-1, 2 * JOINTS))
        for block in self.blocks:
            x = x + block(x)
        return _rooted(self.last(x).reshape(*image.shape[:-1], 3))


def _dense(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout))


class TemporalConvolutions(nn.Module):
    """Dilated convolutions over frames without padding: a frame sees ``margin`` frames to each side.

    Args:
        dilations: of the convolutions of three frames; the first widens the joints to ``channels``, each further one is
            followed by a convolution of one frame, with a residual around both.
    """

    def __init__(self, channels: int = 256, dilations: tuple[int, ...] = (1, 3, 9), dropout: float = 0.25) -> None:
        super().__init__()
        self.dilations, self.margin = dilations, sum(dilations)
        self.first = _convolution(2 * JOINTS, channels, 3, dilations[0], dropout)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                _convolution(channels, channels, 3, dilation, dropout),
                _convolution(channels, channels, 1, 1, dropout),
            )
            for dilation in dilations[1:]
        )
        self.last = nn.Conv1d(channels, 3 * JOINTS, 1)

    def forward(self, image: Tensor) -> Tensor:
        """See the module."""
        x = self.first(image.flatten(2).transpose(1, 2))
        for dilation, block in zip(self.dilations[1:], self.blocks, strict=True):
            x = x[..., dilation:-dilation] + block(x)
        return _rooted(self.last(x).transpose(1, 2).reshape(len(image), -1, JOINTS, 3))


def _convolution(inputs: int, outputs: int, frames: int, dilation: int, dropout: float) -> nn.Sequential:
    # The normalisation has a shift of its own.
    convolution = nn.Conv1d(inputs, outputs, frames, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout))


class _GraphLayer(nn.Module):
    """A semantic graph convolution; with ``active``, batch normalisation and ReLU after it."""

    near: Tensor

    def __init__(self, inputs: int, outputs: int, active: bool = True) -> None:
        super().__init__()
        self.W0, self.W1 = (nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs), 1.414)) for _ in "01")
        self.e = nn.Parameter(torch.ones(JOINTS, JOINTS))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.norm = nn.BatchNorm1d(outputs) if active else None
        self.register_buffer("near", torch.from_numpy(network.distances(HUMAN36M.parents) <= 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        own = {f"own.{name}": value for name, value in self.named_parameters(recurse=False)}
        y = network.semantic_convolution(own, "own", self.near, x)
        return y if self.norm is None else self.norm(y.transpose(1, 2)).transpose(1, 2).relu()


class _HopAttention(nn.Module):
    """The hop attention of HopFIR with a norm before it, added to the features."""

    masks: Tensor

    def __init__(self, channels: int, hops: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.hop = nn.ModuleList(nn.Linear(channels, 2 * channels) for _ in range(hops + 1))
        self.mix = nn.Linear((hops + 1) * channels, channels)
        masks = torch.from_numpy(network.hop_masks(HUMAN36M.parents, hops))
        self.register_buffer("masks", masks, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        own = {f"own.{name}": value for name, value in self.named_parameters()}
        return x + network.hop_attention(own, "own", self.heads, self.masks, self.norm(x))


class SemanticGraph(nn.Module):
    """Each frame on its own: residual blocks of two graph convolutions each.

    Args:
        hops: with hop attention over so many hops before each block; None without.
    """

    margin = 0

    def __init__(self, channels: int = 128, blocks: int = 4, hops: int | None = None, heads: int = 4) -> None:
        super().__init__()
        self.first = _GraphLayer(2, channels)
        self.attention = nn.ModuleList(
            nn.Identity() if hops is None else _HopAttention(channels, hops, heads) for _ in range(blocks)
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(_GraphLayer(channels, channels), _GraphLayer(channels, channels)) for _ in range(blocks)
        )
        self.last = _GraphLayer(channels, 3, active=False)

    def forward(self, image: Tensor) -> Tensor:
        """See the module."""
        x = self.first(image.reshape(-1, JOINTS, 2))
        for attention, block in zip(self.attention, self.blocks, strict=True):
            x = attention(x)
            x = x + block(x)
        return _rooted(self.last(x).reshape(*image.shape[:-1], 3))


def _rooted(points: Tensor) -> Tensor:
    return points - points[..., HUMAN36M.root, None, :]


def size_of(model: nn.Module) -> int:
    """How many parameters a network has."""
    return sum(value.numel() for value in model.parameters())


def lifted(model: Any, image: np.ndarray) -> np.ndarray:
    """A clip (F, 17, 2) lifted to (F, 17, 3) metres: the mean of the clip and of its mirror image.

    The first and the last frame are repeated where a network wants frames beyond them.
    """
    padded = np.concatenate([image[:1].repeat(model.margin, 0), image, image[-1:].repeat(model.margin, 0)])
    other = list(HUMAN36M.mirror)
    mirrored = (padded * _FLIP[:2])[:, other]
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.inference_mode():
        found = model(torch.from_numpy(np.stack([padded, mirrored]).astype(np.float32)).to(device)).cpu().numpy()
    model.train(training)
    return 0.5 * (found[0] + (found[1] * _FLIP)[:, other])


# --- training and files -----------------------------------------------------------------------------------------------

Draw = Callable[[int, int], tuple[np.ndarray, np.ndarray]]
"""Of the number of a step and how many windows: images (B, F, 17, 2) and joints (B, F, 17, 3)."""


def fit(
    model: Any, draw: Draw, steps: int, windows: int, *, rate: float = 1e-3, decay: float = 0.01, seed: int = 0,
    precision: str = "float32", key: dict[str, Any] | None = None, state: Path | None = None, report: Report = SILENT,
) -> Any:  # fmt: skip
    """The network, trained as ours are: their schedule and averaged parameters, and HopFIR's loss for all of them.

    Args:
        draw: windows longer than twice the margin. windows: of a step. rate, decay: of AdamW. key: what else tells this
            training from others. state: file that holds an unfinished training.
    """
    start = {name: value.detach().numpy().copy() for name, value in _stored(model).items()}
    buffers = frozenset(name for name, _ in model.named_buffers())

    def loss_of(parameters: Any, step: int) -> tuple[Tensor, Tensor]:
        image, truth = (torch.from_numpy(array) for array in draw(step, windows))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            found = torch.func.functional_call(model, dict(parameters), (image,))
        found, truth = found.float(), truth[:, model.margin : truth.shape[1] - model.margin]
        error = (found.detach() - truth).norm(dim=-1).mean() * 1000
        return network.loss(found, truth), error

    told = json.dumps([type(model).__name__, windows, rate, decay, seed, precision, steps, key], sort_keys=True)
    model.train()
    schedule = training.Schedule(steps, rate, decay)
    arrays = training.optimise(
        start, loss_of, schedule, seed=seed, buffers=buffers, key=told, state=state, report=report
    )
    return _filled(model, arrays)


def _stored(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and running statistics."""
    return {name: value for name, value in model.state_dict().items() if not name.endswith(_COUNTERS)}


def _filled(model: Any, arrays: dict[str, np.ndarray]) -> Any:
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=False)
    return model.eval()


def built(name: str, sizes: dict[str, Any], seed: int = 0) -> Any:
    """A network by its name, ``simple`` or ``tcn``; the seed draws its first parameters."""
    torch.manual_seed(seed)
    if name == "simple":
        return SimpleBaseline(**sizes)
    return TemporalConvolutions(**{**sizes, "dilations": tuple(sizes["dilations"])})


def save(path: Path, name: str, sizes: dict[str, Any], model: nn.Module, note: dict[str, Any]) -> None:
    """Write a network in half precision."""
    arrays = {each: value.detach().numpy().astype(np.float16) for each, value in _stored(model).items()}
    weights.write(path, arrays, {**note, "name": name, "sizes": sizes}, FORMAT, VERSION)


def load(path: Path) -> tuple[Any, dict[str, Any]]:
    """The network in a file, ready to lift, and its note.

    Raises:
        WeightsError: the file is missing, damaged, or of another network.
    """
    arrays, note = weights.read(path, FORMAT, VERSION, expected=_EXPECTED, largest=_LARGEST)
    if note.get("name") not in ("simple", "tcn"):
        raise WeightsError(f"is of a network '{note.get('name')}'", path=path, expected="simple or tcn")
    model = built(note["name"], note["sizes"])
    shapes = {name: tuple(value.shape) for name, value in _stored(model).items()}
    weights.check_names(arrays, shapes, path)
    for name, array in arrays.items():
        if array.shape != shapes[name] or not np.isfinite(array).all():
            raise WeightsError(f"'{name}' is {array.shape} or not finite", path=path, expected=f"{shapes[name]}")
    return _filled(model, {name: array.astype(np.float32) for name, array in arrays.items()}), note


def save_pose(path: Path, pose: np.ndarray, note: dict[str, Any]) -> None:
    """Write a mean pose (17, 3), metres."""
    weights.write(path, {"pose": pose.astype(np.float32)}, {**note, "name": "mean_pose"}, FORMAT, VERSION)


def load_pose(path: Path) -> np.ndarray:
    """(17, 3) float32 metres: the mean pose of the people that were learned from.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    arrays, _ = weights.read(path, FORMAT, VERSION, expected=_EXPECTED, largest=_LARGEST)
    weights.check_names(arrays, {"pose": (JOINTS, 3)}, path)
    if arrays["pose"].shape != (JOINTS, 3) or not np.isfinite(arrays["pose"]).all():
        raise WeightsError(f"its pose is {arrays['pose'].shape}", path=path, expected=f"({JOINTS}, 3), finite")
    return arrays["pose"]
