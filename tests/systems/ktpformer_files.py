# SPDX-License-Identifier: Apache-2.0
"""Small KTPFormer networks, and files of them as the published training writes them."""

from __future__ import annotations

import numpy as np
from hyoid.systems.ktpformer.config import Config, shapes_of

SMALL = Config(frames=9, channels=32, depth=2, heads=4)


def drawn(config: Config = SMALL, seed: int = 0) -> dict[str, np.ndarray]:
    """Parameters at which every part of the network matters."""
    random = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes_of(config).items():
        values = random.normal(0, 1, shape)
        leaf = name.rsplit(".", 1)[1]
        if leaf == "running_var":
            values = np.abs(1 + 0.1 * values)
        elif leaf == "M" or (leaf == "weight" and len(shape) == 1):
            values = 1 + 0.1 * values
        elif leaf in ("W", "weight"):
            values = values / np.sqrt(shape[1])
        else:
            values = 0.1 * values
        found[name] = values.astype(np.float32)
    return found


def tensors(parameters, dtype=None):
    """Parameters as tensors, float32 where no type is given."""
    import torch

    return {name: torch.tensor(array, dtype=dtype or torch.float32) for name, array in parameters.items()}


def write(path, parameters, prefix: str = "module.", **more):
    """A file as the published training writes it, with all that it keeps beside the weights."""
    import torch

    named = {prefix + name: torch.tensor(array) for name, array in parameters.items()}
    named[f"{prefix}kpattention.attn.kpa.bn.num_batches_tracked"] = torch.tensor(7)
    layer = torch.nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(2)).sum().backward()
    optimiser.step()
    torch.save({
        "epoch": 3, "lr": np.float64(1e-5), "random_state": np.random.RandomState(1),
        "optimizer": optimiser.state_dict(), "model_pos": named, **more,
    }, path)  # fmt: skip
    return path
