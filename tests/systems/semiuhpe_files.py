# SPDX-License-Identifier: Apache-2.0
"""Small networks of SemiUHPE, files of them, and pictures of a head that is five spots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hyoid.geometry import head_angles
from hyoid.systems.semiuhpe.checkpoint import Model
from hyoid.systems.semiuhpe.config import Config
from hyoid.systems.semiuhpe.plans import shapes_of

SMALL = Config("plain", 48, 0.25)


def drawn(config: Config = SMALL, seed: int = 0) -> Model:
    """A network in which every part matters."""
    random = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes_of(config).items():
        values = random.standard_normal(shape)
        leaf = name.rsplit(".", 1)[1]
        if leaf == "running_var":
            values = np.abs(1 + 0.1 * values)
        elif len(shape) > 1:
            values = values / np.sqrt(np.prod(shape[1:]))
        else:
            values = (leaf == "weight") + 0.1 * values
        found[name] = values.astype(np.float32)
    return Model(config, found)


def write(path: Path, parameters, prefix: str = "", entry: str = "model_state_dict", **more) -> Path:
    """A file as the published training writes it, with all that it keeps beside the weights."""
    import torch

    named = {prefix + name: torch.tensor(array) for name, array in parameters.items()}
    named[f"{prefix}bn1.num_batches_tracked"] = torch.tensor(7)
    layer = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.ones(2)).sum().backward()
    optimiser.step()
    torch.save({
        "clock": {"epoch": 1, "minibatch": 2, "iteration": 3}, entry: named, "model_state_dict_ema": named,
        "optimizer_state_dict": optimiser.state_dict(), **more,
    }, path)  # fmt: skip
    return path


def spots(rotations: np.ndarray, size: int = 60, reach: float = 0.22) -> np.ndarray:
    """(n, size, size, 3) uint8: spots where the ends of the axes of heads (n, 3, 3) lie, the nearest ones in front."""
    y, x = np.mgrid[:size, :size] + 0.5
    pictures = np.full((len(rotations), size, size, 3), 90, np.uint8)
    colours = ((220, 60, 60), (60, 220, 60), (60, 60, 220), (250, 250, 60), (20, 20, 20))
    for picture, rotation in zip(pictures, rotations, strict=True):
        right, down, back = rotation.T
        ends = [(right, 0), (-right, 1), (down, 2), (-back, 3), (back, 4)]
        for end, colour in sorted(ends, key=lambda pair: -pair[0][2]):
            column, row = size / 2 + end[:2] * size * reach
            picture[(x - column) ** 2 + (y - row) ** 2 < (size / 12) ** 2] = colours[colour]
    return pictures


def heads(count: int, seed: int = 0) -> np.ndarray:
    """Rotations (count, 3, 3) of heads that look about."""
    angles = np.random.default_rng(seed).uniform(-1, 1, (count, 3)) * [30, 70, 20]
    return head_angles.matrices(angles)
