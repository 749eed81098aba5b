# SPDX-License-Identifier: Apache-2.0
"""Pictures of any size to heads: boxes, how sure each is, and which way it looks; arrays in, arrays out.

On a processor the network runs through ONNX Runtime where that is installed, which is faster than torch, and through
torch otherwise; both give the same numbers to 1e-3. On a GPU it is torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import engines
from hyoid.engines import AUTO
from hyoid.errors import InputError, UsageError
from hyoid.systems.directmhp import boxes, checkpoint, onnx
from hyoid.systems.directmhp.checkpoint import Model
from hyoid.systems.directmhp.config import BOX_FIELDS, Config

CONFIDENCE, OVERLAP = 0.4, 0.45
_LARGEST_SIDE = 8192
_LEFT_TO_COARSE = 0.25  # side of heads over that of the picture, from which on a coarser look is asked too

Run = Callable[[np.ndarray], list[np.ndarray]]
"""Of padded pictures (B, H, W, 3) uint8: raw outputs (B, 3, rows, columns, fields) of the levels."""


@dataclass(frozen=True)
class Detector:
    """A model that is ready to run; see :func:`load` and :func:`ready`.

    Attributes:
        engine: ``onnxruntime`` or ``torch``.
    """

    model: Model
    engine: str
    run: Run

    @property
    def config(self) -> Config:
        """The sizes of the network."""
        return self.model.config


@dataclass(frozen=True)
class Heads:
    """The heads of a picture, the surest first.

    Attributes:
        boxes: (n, 4) float32 x1, y1, x2, y2 in pixels of the picture. confidence: (n,) float32, 0 to 1.
        rotations: (n, 3, 3) float64 head axes in the camera as seen along the ray of the box's centre, see
            :mod:`hyoid.geometry.head_angles`.
    """

    boxes: np.ndarray
    confidence: np.ndarray
    rotations: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)


def load(path: str | Path, *, device: str = "cpu", engine: str = AUTO) -> Detector:
    """The model of a file (see :func:`hyoid.systems.directmhp.checkpoint.load`), ready to find heads.

    Raises:
        WeightsError: the file is not a sound one. MissingToolError, UsageError: see :func:`ready`.
    """
    return ready(checkpoint.load(Path(path)), device=device, engine=engine)


def ready(model: Model, *, device: str = "cpu", engine: str = AUTO, threads: int | None = None) -> Detector:
    """A model in memory, ready to find heads.

    Args:
        device: as torch names it. engine: see :func:`hyoid.engines.choose`.
        threads: of ONNX Runtime; None is what OMP_NUM_THREADS says, or all cores.

    Raises:
        MissingToolError: what it needs is not installed. UsageError: an engine that is not known or not for the device.
    """
    chosen = engines.choose(engine, str(device), "DirectMHP")
    run = _in_torch(model, str(device)) if chosen == "torch" else _in_runtime(model, threads)
    return Detector(model, chosen, run)


def detect(
    detector: Detector, image: np.ndarray, *, size: int | None = None, confidence: float = CONFIDENCE,
    overlap: float = OVERLAP,
) -> Heads:  # fmt: skip
    """All heads of a picture (H, W, 3) uint8 RGB.

    Args:
        size: longer side in pixels that the picture is brought to; None is what the model knows best (ours looks at
            two sizes). Larger ones find smaller heads. confidence: heads less sure are left out; lower it where heads
            are missed.
        overlap: boxes that share more (intersection over union) are one head; raise it for crowds.

    Raises:
        InputError: not such a picture. UsageError: a number is out of its range.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"a picture is {image.shape} {image.dtype}", expected="(H, W, 3) uint8, RGB")
    sides = detector.model.sizes if size is None else (size,)
    if size is not None and not 1 <= size <= _LARGEST_SIDE:
        raise UsageError(f"a size of {size} pixels", expected=f"1 to {_LARGEST_SIDE}")
    for name, value in (("confidence", confidence), ("overlap", overlap)):
        if not 0 <= value <= 1:
            raise UsageError(f"{name} {value}", expected="0 to 1")
    found = [_searched(detector, image, side, confidence, overlap) for side in sides]
    for number in range(len(sides) - 1):  # the closer look knows smaller heads better
        share = (found[number][:, 2:4] - found[number][:, :2]).max(1) / max(image.shape[:2])
        found[number] = found[number][share >= _LEFT_TO_COARSE]
    rows = found[0] if len(found) == 1 else boxes.merged(np.concatenate(found), overlap)
    return Heads(rows[:, :4], rows[:, 4], boxes.rotations_of(rows[:, BOX_FIELDS:], detector.config.rotation))


def _searched(detector: Detector, image: np.ndarray, side: int, confidence: float, overlap: float) -> np.ndarray:
    """Heads (n, fields) of a picture at one size, boxes in pixels of the picture."""
    coarsest = detector.config.strides[-1]
    side = -(-side // coarsest) * coarsest
    padded, _ = boxes.letterbox(image, (side, side), coarsest, smooth=detector.model.smooth)
    outputs = [output[0] for output in detector.run(padded[None])]
    rows = boxes.decoded(outputs, detector.model.anchors, detector.config.strides, confidence)
    found = boxes.suppressed(rows, confidence, overlap)
    found[:, :4] = boxes.to_picture(found[:, :4], padded.shape, image.shape)
    return found


def _in_runtime(model: Model, threads: int | None) -> Run:
    session = engines.session(onnx.graph_of(model), threads)

    def run(pictures: np.ndarray) -> list[Any]:
        return list(session.run(None, {"pictures": pictures}))

    return run


def _in_torch(model: Model, device: str) -> Run:
    import torch

    from hyoid.systems.directmhp import network

    parameters = {name: engines.tensor(array, device) for name, array in onnx.folded(model.parameters).items()}

    def run(pictures: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            given = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float() / 255
            return [output.cpu().numpy() for output in network.forward(parameters, model.config, given)]

    return run
