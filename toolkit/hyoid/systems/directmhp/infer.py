# SPDX-License-Identifier: Apache-2.0
"""Pictures of any size to heads: boxes, how sure each is, and which way it looks; arrays in, arrays out.

On a processor the network runs through ONNX Runtime where that is installed, which is faster than torch, and through
torch otherwise; both give the same numbers to 1e-3. On a GPU it is torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError, MissingToolError, UsageError
from hyoid.systems.directmhp import boxes, checkpoint, onnx
from hyoid.systems.directmhp.checkpoint import Model
from hyoid.systems.directmhp.config import BOX_FIELDS, Config

ENGINES = ("auto", "onnxruntime", "torch")
CONFIDENCE, OVERLAP = 0.4, 0.45
_LARGEST_SIDE = 8192

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


def load(path: str | Path, *, device: str = "cpu", engine: str = "auto") -> Detector:
    """The model of a file (see :func:`hyoid.systems.directmhp.checkpoint.load`), ready to find heads.

    Raises:
        WeightsError: the file is not a sound one. MissingToolError, UsageError: see :func:`ready`.
    """
    return ready(checkpoint.load(Path(path)), device=device, engine=engine)


def ready(model: Model, *, device: str = "cpu", engine: str = "auto", threads: int | None = None) -> Detector:
    """A model in memory, ready to find heads.

    Args:
        device: as torch names it. engine: one of :data:`ENGINES`; ``auto`` is ONNX Runtime on a processor where it is
            installed, and torch otherwise. threads: of ONNX Runtime; None is what OMP_NUM_THREADS says, or all cores.

    Raises:
        MissingToolError: what it needs is not installed. UsageError: an engine that is not known or not for the device.
    """
    if engine not in ENGINES:
        raise UsageError(f"engine '{engine}'", expected=" or ".join(ENGINES))
    on_processor = str(device) == "cpu"
    if engine == "onnxruntime" and not on_processor:
        raise UsageError(f"engine 'onnxruntime' on '{device}'", expected="the device cpu, or engine 'torch'")
    if on_processor and engine != "torch":
        run = _through_onnxruntime(model, threads)
        if run is not None:
            return Detector(model, "onnxruntime", run)
    run = None if engine == "onnxruntime" else _through_torch(model, str(device))
    if run is None:
        tool = "torch or onnxruntime" if engine == "auto" else engine
        raise MissingToolError(
            f"DirectMHP is evaluated with {tool}, which is not installed", hint="Install it: pip install onnxruntime"
        )
    return Detector(model, "torch", run)


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


def _through_onnxruntime(model: Model, threads: int | None) -> Run | None:
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    told = os.environ.get("OMP_NUM_THREADS", "")
    # It does not look at this variable, which the rest of the toolkit obeys.
    options.intra_op_num_threads = threads or (int(told) if told.isdecimal() else 0)
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        onnx.graph_of(model), options, providers=["CPUExecutionProvider"],
        # Apart, sigmoid and product keep the blocked layout of the convolutions around them, which is faster.
        disabled_optimizers=["QuickGeluFusion"],
    )  # fmt: skip

    def run(pictures: np.ndarray) -> list[Any]:
        return list(session.run(None, {"pictures": pictures}))

    return run


def _through_torch(model: Model, device: str) -> Run | None:
    try:
        import torch

        from hyoid.systems.directmhp import network
    except ImportError:
        return None
    parameters = {
        name: value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
        for name, array in onnx.folded(model.parameters).items()
        for value in [torch.tensor(array, device=device)]
    }

    def run(pictures: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            given = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float() / 255
            return [output.cpu().numpy() for output in network.forward(parameters, model.config, given)]

    return run
