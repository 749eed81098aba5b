# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""Training of DirectMHP: which anchors a head goes to, the losses (arXiv 2302.01110, section 3.3), and the steps.

The published form is the measure (:func:`losses`, angles as sigmoids). A network of ours tells a matrix instead, which
has no seam at the back of the head; what is made smaller is the mean squared distance of its nine numbers from the
true ones, so an unsure network shrinks instead of answering with a wrong direction.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hyoid import training
from hyoid.geometry import head_angles
from hyoid.report import SILENT, Report
from hyoid.systems.directmhp import network
from hyoid.systems.directmhp.augment import Augmentation, augmented
from hyoid.systems.directmhp.boxes import rotations_of
from hyoid.systems.directmhp.checkpoint import Model
from hyoid.systems.directmhp.config import BOX_FIELDS, Config, shapes_of

BALANCE = {3: (4.0, 1.0, 0.4), 4: (4.0, 1.0, 0.25, 0.06)}
RATIO = 4.0  # largest ratio of sides between a head and an anchor that it goes to
_SIDE = 640  # pixels of the picture that the published weights of the terms are for
_BUFFERS = ("running_mean", "running_var", "anchors", "anchor_grid")


@dataclass(frozen=True)
class Gains:
    """Weights of the terms; see :func:`gains_for`.

    Attributes:
        box, objectness, angle: of the terms.
        threshold: raw objectness above which a positive enters the angle term; None is all.
    """

    box: float
    objectness: float
    angle: float
    threshold: float | None = 0.4


@dataclass(frozen=True)
class Losses:
    """Scalars: each term times its weight, and their sum times the number of pictures, as published."""

    box: Tensor
    objectness: Tensor
    angle: Tensor
    total: Tensor


@dataclass(frozen=True)
class Matches:
    """Positives of a level in the published order.

    Attributes:
        picture, anchor, row, column: (n,) int64. box: (n, 4) centre from the cell's corner, width, height, in cells.
        rotation: (n, r) what the network shall tell. anchors: (n, 2) cells.
    """

    picture: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    box: Tensor
    rotation: Tensor
    anchors: Tensor


def gains_for(config: Config, size: int, *, angle: float = 0.1, threshold: float | None = 0.4) -> Gains:
    """The published weights for a number of levels and a side of the picture in pixels."""
    share = 3 / config.levels
    return Gains(0.05 * share, 0.7 * (size / _SIDE) ** 2 * share, angle * share, threshold)


def matches(targets: Tensor, anchors: Tensor, shape: tuple[int, int]) -> Matches:
    """Which cells and anchors of a level the heads go to: their own cell and the two nearest ones beside it.

    Args:
        targets: (n, 5 + r) picture, centre x, y, width, height as shares of the picture, rotation as the network tells
            it. anchors: (3, 2) cells. shape: rows and columns of the level.
    """
    rows, columns = shape
    scale = targets.new_tensor([columns, rows, columns, rows])
    each = targets[None].repeat(len(anchors), 1, 1)
    which = torch.arange(len(anchors), device=targets.device)[:, None].expand(each.shape[:2])
    boxes = each[..., 1:5] * scale
    ratios = boxes[..., 2:] / anchors[:, None]
    fits = torch.maximum(ratios, 1 / ratios).amax(-1) < RATIO
    each, which, boxes = each[fits], which[fits], boxes[fits]
    centre, size = boxes.split(2, -1)
    back = targets.new_tensor([columns, rows]) - centre
    near = torch.cat([(centre % 1 < 0.5) & (centre > 1), (back % 1 < 0.5) & (back > 1)], -1).T
    steps = targets.new_tensor([[0, 0], [0.5, 0], [0, 0.5], [-0.5, 0], [0, -0.5]])
    chosen = torch.cat([torch.ones_like(near[:1]), near])
    moved = (centre - steps[:, None])[chosen]
    each, which, centre, size = (value.expand(5, *value.shape)[chosen] for value in (each, which, centre, size))
    cell = moved.long()
    column, row = cell[:, 0].clamp(0, columns - 1), cell[:, 1].clamp(0, rows - 1)
    # As published, the offset is from the cell before it is held within the picture.
    box = torch.cat([centre - cell, size], -1)
    return Matches(each[:, 0].long(), which, row, column, box, each[:, 5:], anchors[which])


def losses(
    outputs: Sequence[Tensor], targets: Tensor, anchors: Tensor, gains: Gains, *, rotation: str = "angles",
    ignored: Tensor | None = None,
) -> Losses:  # fmt: skip
    """All terms of raw outputs (B, 3, rows, columns, fields) of the levels.

    Args:
        targets: (n, 5 + r), see :func:`matches`. anchors: (levels, 3, 2) cells. rotation: see ``config.ROTATIONS``.
        ignored: (m, 5) picture and x1, y1, x2, y2 as shares; cells with their centre in one teach no objectness
            unless a head goes to them.
    """
    box = objectness = angle = outputs[0].new_zeros(())
    for output, of_level, balance in zip(outputs, anchors, BALANCE[len(outputs)], strict=True):
        found = matches(targets, of_level, (output.shape[2], output.shape[3]))
        wanted = torch.zeros_like(output[..., 4])
        weight = None if ignored is None else _unless_ignored(output, ignored)
        if len(found.picture):
            place = (found.picture, found.anchor, found.row, found.column)
            own = output[place]
            near = ciou(_boxes(own, found.anchors), found.box)
            box = box + (1 - near).mean()
            wanted[place] = near.detach().clamp(min=0).to(wanted.dtype)
            if weight is not None:
                weight[place] = 1
            angle = angle + _rotation_loss(own, found.rotation, rotation, gains.threshold)
        objectness = objectness + balance * functional.binary_cross_entropy_with_logits(output[..., 4], wanted, weight)
    box, objectness, angle = box * gains.box, objectness * gains.objectness, angle * gains.angle
    return Losses(box, objectness, angle, (box + objectness + angle) * len(outputs[0]))


def ciou(first: Tensor, second: Tensor, eps: float = 1e-7) -> Tensor:
    """(n,) overlap of boxes (n, 4) centre, size, less the penalties for distance and proportion (Zheng et al. 2020)."""
    (one, one_size), (two, two_size) = first.split(2, -1), second.split(2, -1)
    low, high = (
        torch.maximum(one - one_size / 2, two - two_size / 2),
        torch.minimum(one + one_size / 2, two + two_size / 2),
    )
    common = (high - low).clamp(min=0).prod(-1)
    overlap = common / (one_size.prod(-1) + two_size.prod(-1) - common + eps)
    hull = torch.maximum(one + one_size / 2, two + two_size / 2) - torch.minimum(one - one_size / 2, two - two_size / 2)
    distance = (two - one).square().sum(-1) / (hull.square().sum(-1) + eps)
    angles = torch.atan(two_size[:, 0] / (two_size[:, 1] + eps)) - torch.atan(one_size[:, 0] / (one_size[:, 1] + eps))
    proportion = 4 / math.pi**2 * angles.square()
    with torch.no_grad():
        share = proportion / (proportion - overlap + 1 + eps)
    return overlap - distance - share * proportion


def targets_of(
    boxes: Sequence[np.ndarray], rotations: Sequence[np.ndarray], size: tuple[int, int], rotation: str
) -> np.ndarray:
    """(n, 5 + r) float32 targets of pictures of one size (height, width), see :func:`matches`.

    Args:
        boxes: of each picture (n, 4) pixels. rotations: (n, 3, 3). rotation: see ``config.ROTATIONS``; heads whose
            direction angles cannot tell (upside down) are left out.
    """
    rows = []
    for number, (own, turned) in enumerate(zip(boxes, rotations, strict=True)):
        own, turned = np.asarray(own, np.float64).reshape(-1, 4), np.asarray(turned, np.float64).reshape(-1, 3, 3)
        shares = own / [size[1], size[0], size[1], size[0]]
        centre = np.concatenate([(shares[:, :2] + shares[:, 2:]) / 2, shares[:, 2:] - shares[:, :2]], 1)
        told = turned.reshape(-1, 9)
        valid = (centre[:, 2:] > 0).all(1)
        if rotation == "angles":
            angles = head_angles.angles(turned)
            valid &= (np.abs(angles[:, [0, 2]]) < 90).all(1)
            told = angles / [180, 360, 180] + 0.5
        rows.append(np.concatenate([np.full((len(own), 1), number), centre, told], 1)[valid])
    return np.concatenate(rows).astype(np.float32)


def _boxes(own: Tensor, anchors: Tensor) -> Tensor:
    told = own[:, :4].sigmoid() * 2
    return torch.cat([told[:, :2] - 0.5, told[:, 2:].square() * anchors], -1)


def _rotation_loss(own: Tensor, wanted: Tensor, rotation: str, threshold: float | None) -> Tensor:
    """Mean over positives that are sure enough: length of the error of the angles, or squared error of the matrix."""
    if threshold is not None:
        sure = own[:, 4] > threshold
        own, wanted = own[sure], wanted[sure]
    if not len(own):
        return own.new_zeros(())
    told = own[:, BOX_FIELDS:]
    if rotation == "angles":
        return (told.sigmoid() - wanted).norm(dim=-1).mean()
    return (told - wanted).square().sum(-1).mean()


def _unless_ignored(output: Tensor, ignored: Tensor) -> Tensor:
    """Weights (B, 3, rows, columns): 0 where the centre of the cell is in an ignored box."""
    weight = torch.ones_like(output[..., 4])
    rows, columns = output.shape[2:4]
    y = (torch.arange(rows, device=output.device) + 0.5) / rows
    x = (torch.arange(columns, device=output.device) + 0.5) / columns
    for picture, left, top, right, bottom in ignored.tolist():
        inside = ((y >= top) & (y <= bottom))[:, None] & ((x >= left) & (x <= right))
        weight[int(picture)] *= ~inside
    return weight


# --- training ---------------------------------------------------------------------------------------------------------

Batches = Callable[[int, int], tuple[Any, ...]]
"""Of the number of the step and how many pictures: pictures (B, S, S, 3) uint8, boxes (n, 4) pixels of each, rotations
(n, 3, 3) of each, and where there are any, boxes (m, 4) of each in which nothing is taught."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps, rate, decay, average: see ``training.Schedule``. pictures: of a step.
        box, objectness, angle: factors of the published weights. angle is for a matrix, whose squared error is up to 8.
        augmentation: what is changed in pictures; None is nothing.
        precision: of products, ``bfloat16`` or ``float32``. kept_every: steps after which ``state`` is written.
    """

    steps: int = 6000
    pictures: int = 16
    rate: float = 6e-3
    decay: float = 0.02
    average: float = 0.998
    box: float = 3.0
    objectness: float = 8.0
    angle: float = 0.4
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    precision: str = "float32"
    kept_every: int = 250
    seed: int = 0


def train(
    batches: Batches, config: Config, recipe: Recipe, *, note: dict[str, Any] | None = None, state: Path | None = None,
    device: str = "cpu", report: Report = SILENT, start: Model | None = None,
) -> Model:  # fmt: skip
    """A trained model; the same arguments give the same one on the same machine.

    The error that the progress tells is the mean angle in degrees between true directions and those of the positives.

    Args:
        note: what the model says of itself beside the recipe. state: file that holds an unfinished training.
        start: a model of the same sizes to go on from; None begins anew.

    Raises:
        InputError: ``state`` belongs to another training.
    """
    begun = initial(config, recipe.seed) if start is None else dict(start.parameters)
    schedule = training.Schedule(
        recipe.steps, recipe.rate, recipe.decay, average=recipe.average, clip=10.0, kept_every=recipe.kept_every
    )
    anchors = torch.tensor(begun[f"{config.head}.anchors"], device=device)

    def loss_of(parameters: Mapping[str, Tensor], step: int) -> tuple[Tensor, _Error]:
        given = batches(step, recipe.pictures)
        if recipe.augmentation is not None:
            given = augmented(*given, seed=(recipe.seed, step), how=recipe.augmentation)
        pictures, boxes, rotations, *more = given
        size = (pictures.shape[1], pictures.shape[2])
        x = torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2) / 255
        targets = torch.from_numpy(targets_of(boxes, rotations, size, config.rotation)).to(device)
        ignored = torch.from_numpy(_shares(more[0], size)).to(device) if more and any(map(len, more[0])) else None
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            outputs = network.forward(parameters, config, x, training=True)
        outputs = [output.float() for output in outputs]
        gains = gains_for(config, max(size), threshold=None)
        gains = Gains(gains.box * recipe.box, gains.objectness * recipe.objectness, gains.angle * recipe.angle, None)
        found = losses(outputs, targets, anchors, gains, rotation=config.rotation, ignored=ignored)
        return found.total / len(pictures), _Error(outputs, targets, anchors, config.rotation)

    key = json.dumps([asdict(recipe), asdict(config), note], sort_keys=True)
    buffers = frozenset(name for name in begun if name.endswith(_BUFFERS))
    arrays = training.optimise(
        begun, loss_of, schedule, seed=recipe.seed, buffers=buffers, key=key, state=state, device=device,
        unit="degrees", report=report,
    )  # fmt: skip
    told = {**(note or {}), "recipe": asdict(recipe), "pictures_seen": recipe.steps * recipe.pictures}
    return Model(config, arrays, told)


def initial(config: Config, seed: int) -> dict[str, np.ndarray]:
    """Parameters to begin with, float32; objectness starts at about eight heads a picture, as published."""
    random = np.random.default_rng(seed)
    head, found = config.head, {}
    pixels = np.asarray(config.anchors, np.float64)
    for name, shape in shapes_of(config).items():
        leaf = name.rpartition(".")[2]
        if leaf == "anchors":
            array = pixels / np.asarray(config.strides)[:, None, None]
        elif leaf == "anchor_grid":
            array = pixels.reshape(shape)
        elif leaf == "running_var" or (leaf == "weight" and len(shape) == 1):
            array = np.ones(shape)
        elif leaf == "bias" and name.startswith(f"{head}.m."):
            array = _head_bias(config, int(name.split(".")[3]))
        elif leaf in ("bias", "running_mean"):
            array = np.zeros(shape)
        else:
            array = random.standard_normal(shape) * np.sqrt(1 / np.prod(shape[1:]))
            array *= 0.1 if name.startswith(f"{head}.m.") else 1.3  # a SiLU passes on about 0.6 of the spread
        found[name] = np.ascontiguousarray(array, np.float32)
    return found


def _head_bias(config: Config, level: int) -> np.ndarray:
    each = np.zeros((3, config.fields))
    each[:, 4] = np.log(8 / (_SIDE / config.strides[level]) ** 2)
    each[:, 5] = np.log(0.6 / (1 - 0.99))
    return each.ravel()


def _shares(boxes: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """(m, 5) float32: picture and box as shares."""
    scale = np.array([size[1], size[0], size[1], size[0]])
    rows = [
        np.concatenate([np.full((len(own), 1), number), np.asarray(own).reshape(-1, 4) / scale], 1)
        for number, own in enumerate(boxes)
    ]
    return np.concatenate(rows).astype(np.float32)


@dataclass(frozen=True)
class _Error:
    """Mean degrees between true and told directions of the positives, found when it is asked for."""

    outputs: Sequence[Tensor]
    targets: Tensor
    anchors: Tensor
    rotation: str

    def __float__(self) -> float:
        told, wanted = [], []
        for output, of_level in zip(self.outputs, self.anchors, strict=True):
            found = matches(self.targets, of_level, (output.shape[2], output.shape[3]))
            told.append(output.detach()[found.picture, found.anchor, found.row, found.column][:, BOX_FIELDS:])
            wanted.append(found.rotation)
        own, true = torch.cat(told), torch.cat(wanted).cpu().numpy()
        if not len(own):
            return 0.0
        own = (own.sigmoid() if self.rotation == "angles" else own).cpu().numpy()
        return float(head_angles.geodesic(rotations_of(true, self.rotation), rotations_of(own, self.rotation)).mean())
