# SPDX-License-Identifier: Apache-2.0
"""Boxes of heads in a picture to directions: arrays in, arrays out.

The network runs in ONNX Runtime where that is installed and the device is a processor, where it is the faster one, and
else in torch; neither is needed for the other. Before, BatchNorm becomes part of the convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hyoid import engines
from hyoid.engines import AUTO
from hyoid.errors import InputError, UsageError
from hyoid.files import write_bytes
from hyoid.systems.semiuhpe import checkpoint, conventions, distribution, fold, onnx_graph
from hyoid.systems.semiuhpe.checkpoint import Model
from hyoid.systems.semiuhpe.config import MEAN, SPREAD, Config

_MARGIN = 0.15  # of the box on each side


@dataclass(frozen=True)
class Estimator:
    """A model that is ready to run; see :func:`load` and :func:`ready`.

    Attributes:
        engine: what runs it. run: images (n, 3, S, S) float32 to parameters (n, 3, 3), the network's own convention.
    """

    model: Model
    engine: str
    run: Callable[[np.ndarray], np.ndarray]

    @property
    def config(self) -> Config:
        """Which network."""
        return self.model.config


@dataclass(frozen=True)
class Directions:
    """Of n heads, common convention of ``hyoid.geometry.head_angles``, as seen along the ray to the box's middle.

    Attributes:
        rotations: (n, 3, 3) float32. entropy: (n,) float32: 0 knows nothing, -5.3 is called sure, -7 is very sure.
        parameters: (n, 3, 3) float32, of the matrix Fisher distribution of each rotation.
    """

    rotations: np.ndarray
    entropy: np.ndarray
    parameters: np.ndarray


def load(path: str | Path, device: str = "cpu", *, engine: str = AUTO, threads: int | None = None) -> Estimator:
    """The model of a file (see :func:`hyoid.systems.semiuhpe.checkpoint.load`), ready to run.

    Args:
        device: of torch. engine, threads: see :func:`ready`.

    Raises:
        WeightsError: the file is not a sound one. MissingToolError, UsageError: see :func:`ready`.
    """
    return ready(checkpoint.load(path), device, engine=engine, threads=threads)


def ready(model: Model, device: str = "cpu", *, engine: str = AUTO, threads: int | None = None) -> Estimator:
    """A model in memory, ready to run.

    Args:
        device: of torch. engine: see :func:`hyoid.engines.choose`.
        threads: of ONNX Runtime; None is what OMP_NUM_THREADS says, or all cores. Those of torch are its own setting.

    Raises:
        MissingToolError: what it needs is not installed. UsageError: an engine that is not known or not for the device.
    """
    chosen = engines.choose(engine, str(device), "SemiUHPE")
    run = _in_torch(model, str(device)) if chosen == "torch" else _in_runtime(model, threads)
    return Estimator(model, chosen, run)


def estimate(
    estimator: Estimator, image: np.ndarray, boxes: np.ndarray, *, batch: int = 16, mirror: bool = False
) -> Directions:
    """The directions of the heads in boxes of a picture.

    A box of a part of a pixel is taken as one pixel. What lies outside the picture is black to the network; of a box
    wholly outside nothing is known: its parameters are 0, its rotation is the identity and its entropy 0.

    Args:
        image: (H, W, 3) uint8 RGB. boxes: (n, 4) x1, y1, x2, y2 in pixels, any number, also none. batch: crops that run
            together. mirror: take the mean of the parameters of each crop and of its mirror image: a little less error
            for twice the work; the published evaluation does not.

    Raises:
        InputError: the picture or a box is none; the box is named. UsageError: the batch is none.
    """
    image, boxes = _picture(image), _checked(boxes)
    if batch < 1:
        raise UsageError(f"batches of {batch} crops", expected="1 or more")
    height, width = image.shape[:2]
    seen = (boxes[:, 2] > 0) & (boxes[:, 3] > 0) & (boxes[:, 0] < width) & (boxes[:, 1] < height)
    parameters = np.zeros((len(boxes), 3, 3), np.float32)
    rows, size = seen.nonzero()[0], estimator.config.size
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        crops = np.stack([crop(image, boxes[row], size) for row in part])
        parameters[part] = _told(estimator, normalised(crops), mirror)
    return directions(parameters)


def _told(estimator: Estimator, images: np.ndarray, mirror: bool) -> np.ndarray:
    """Parameters (n, 3, 3) of images (n, 3, S, S), common convention."""
    if mirror:
        images = np.concatenate([images, images[..., ::-1]])
    found = conventions.to_common(estimator.run(images), estimator.config.convention)
    if not mirror:
        return found
    straight, mirrored = np.split(found, 2)
    return (straight + conventions.MIRROR @ mirrored @ conventions.MIRROR) / 2


def directions(parameters: np.ndarray) -> Directions:
    """Rotations and entropies of parameters (n, 3, 3), common convention."""
    u, s, v = distribution.proper_svd(parameters)
    rotations = u @ np.swapaxes(v, -1, -2)
    rotations[(s == 0).all(-1)] = np.eye(3)
    kinds = (rotations, distribution.entropy(s), parameters)
    return Directions(*(np.asarray(array, np.float32) for array in kinds))


def crop(image: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """What the network sees of a head: (size, size, 3) uint8, as the published evaluation cuts it.

    The box grows to a square of 1.3 times its mean side, is cut off at the picture's border, and its shorter side grows
    again, black outside. The evaluation leaves out the last row and column of the picture, and cuts off fractions of
    pixels at every step, so the piece may lack a pixel to a square; it is stretched by that.

    Args:
        image: (H, W, 3) uint8 RGB. box: (4,) x1, y1, x2, y2 in pixels.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = (float(number) for number in box)
    half = (0.5 + _MARGIN) * (right - left + bottom - top) / 2
    middle = ((left + right) / 2, (top + bottom) / 2)
    sides = []
    for centre, length in zip(middle, (width, height), strict=True):
        begin = int(min(max(0.0, centre - half), length - 1))
        sides.append([begin, max(int(max(0.0, min(length - 1, centre + half))), begin + 1)])
    (x1, x2), (y1, y2) = sides
    more = abs((x2 - x1) - (y2 - y1)) // 2
    if x2 - x1 < y2 - y1:
        x1, x2 = x1 - more, x2 + more
    else:
        y1, y2 = y1 - more, y2 + more
    piece = np.zeros((y2 - y1, x2 - x1, 3), np.uint8)
    rows = slice(max(0, y1), max(1, min(height - 1, y2)))
    columns = slice(max(0, x1), max(1, min(width - 1, x2)))
    part = image[rows, columns]
    piece[rows.start - y1 :, columns.start - x1 :][: part.shape[0], : part.shape[1]] = part
    return np.asarray(Image.fromarray(piece).resize((size, size), Image.Resampling.BICUBIC))


def normalised(crops: np.ndarray) -> np.ndarray:
    """Images (n, 3, S, S) float32 of crops (n, S, S, 3) uint8."""
    mean, spread = (255 * np.array(values, np.float32) for values in (MEAN, SPREAD))
    return np.ascontiguousarray(np.moveaxis((crops.astype(np.float32) - mean) / spread, -1, 1))


def export(model: Model | Estimator, path: str | Path) -> None:
    """Write the network as an ONNX file, see :func:`hyoid.systems.semiuhpe.onnx_graph.model_bytes`.

    Raises:
        OutputError: see :func:`hyoid.files.part_file`.
    """
    write_bytes(Path(path), onnx_graph.model_bytes(model.model if isinstance(model, Estimator) else model))


def _in_runtime(model: Model, threads: int | None) -> Callable[[np.ndarray], np.ndarray]:
    session = engines.session(onnx_graph.model_bytes(model), threads)
    return lambda images: session.run([onnx_graph.OUTPUT], {onnx_graph.INPUT: images})[0]


def _in_torch(model: Model, device: str) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    from hyoid.systems.semiuhpe import network

    folded = fold.folded(model.parameters, model.config)
    parameters = {name: engines.tensor(array, device) for name, array in folded.items()}

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network.forward(parameters, model.config, engines.tensor(images, device)).cpu().numpy()

    return run


def _picture(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(f"the picture is {image.shape} {image.dtype}", expected="(height, width, 3) uint8")
    return image


def _checked(boxes: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes, np.float64)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"boxes are {boxes.shape}", expected="(heads, 4): x1, y1, x2, y2")
    sound = np.isfinite(boxes).all(-1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if not sound.all():
        number = int(np.argmin(sound))
        found = f"box {number} is {', '.join(f'{side:g}' for side in boxes[number])}"
        raise InputError(found, expected="finite x1, y1, x2, y2 with x1 < x2 and y1 < y2")
    return boxes
