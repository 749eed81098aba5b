# SPDX-License-Identifier: Apache-2.0
"""Small DirectMHP networks, toy pictures of heads, and files as the published training writes them."""

from __future__ import annotations

import sys
import types

import numpy as np
from hyoid.geometry import head_angles
from hyoid.systems.directmhp.config import Config, shapes_of, sized

SMALL = sized(0.0625, 0.33, 3, "matrix", (((12, 12), (18, 18), (26, 26)), ((36, 36), (48, 48), (60, 60)),
                                          ((80, 80), (100, 100), (120, 120))))  # fmt: skip
OFFICIAL = sized(0.0625, 0.33)


def drawn(config: Config = OFFICIAL, seed: int = 0) -> dict[str, np.ndarray]:
    """Parameters at which every part of the network matters."""
    random = np.random.default_rng(seed)
    found = {}
    pixels = np.asarray(config.anchors, np.float32)
    for name, shape in shapes_of(config).items():
        leaf = name.rpartition(".")[2]
        if leaf == "anchors":
            array = pixels / np.asarray(config.strides)[:, None, None]
        elif leaf == "anchor_grid":
            array = pixels.reshape(shape)
        elif leaf == "running_var" or (leaf == "weight" and len(shape) == 1):
            array = np.abs(1 + 0.1 * random.standard_normal(shape))
        elif len(shape) == 1:
            array = 0.1 * random.standard_normal(shape)
        else:
            array = random.standard_normal(shape) * 1.6 / np.sqrt(np.prod(shape[1:]))
        found[name] = np.ascontiguousarray(array, np.float32)
    return found


def toy(step: int, count: int, size: int = 96) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Pictures with a disc each on dark noise; where its light spot lies and its colour tell which way it looks."""
    random = np.random.default_rng([7, step])
    pictures = random.integers(0, 60, (count, size, size, 3)).astype(np.uint8)
    boxes, rotations = [], []
    y, x = np.mgrid[:size, :size] + 0.5
    for picture in pictures:
        radius = random.uniform(0.12, 0.25) * size
        centre = random.uniform(radius, size - radius, 2)
        turned = head_angles.matrices(np.array([random.uniform(-40, 40), random.uniform(-180, 180), 0]))
        nose = -turned[:, 2]
        disc = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2
        spot = centre + 0.6 * radius * nose[:2]
        picture[disc] = (200, 120, 60) if nose[2] < 0 else (60, 120, 200)
        picture[disc & ((x - spot[0]) ** 2 + (y - spot[1]) ** 2 < (0.35 * radius) ** 2)] = 255
        boxes.append(np.array([[*(centre - radius), *(centre + radius)]], np.float32))
        rotations.append(turned[None])
    return pictures, boxes, rotations


_CLASSES = {
    "models.yolo": ("Model", "Detect"),
    "models.common": ("Focus", "Conv", "C3", "Bottleneck", "SPP", "Concat"),
}


def write(path, parameters, *, entry: str = "model", counters: bool = True, **more):
    """A file as the published training writes it: the whole network as an object of the published classes' names.

    The classes made here hold parameters and do nothing; the reader sees their names alone.
    """
    import torch

    made = {}
    for place, names in _CLASSES.items():
        for name in names:
            made[name] = type(name, (torch.nn.Module,), {"__module__": place})
    root = made["Model"]()
    for name, array in parameters.items():
        module, *way, leaf = [root, *name.split(".")]
        for number, step in enumerate(way):
            if step not in module._modules:
                module.add_module(step, _kind(way[: number + 1], made)())
            module = module._modules[step]
        value = torch.from_numpy(np.array(array))
        if leaf in ("running_mean", "running_var", "anchors", "anchor_grid"):
            module.register_buffer(leaf, value)
        else:
            module.register_parameter(leaf, torch.nn.Parameter(value, requires_grad=False))
        if leaf == "running_var" and counters:
            module.register_buffer("num_batches_tracked", torch.tensor(7))
    for module in root.modules():
        module.__dict__.pop("_forward_pre_hooks_with_kwargs", None)
    content = {
        "epoch": -1, "best_fitness": np.array([0.5]), "training_results": None, "model": None, "ema": None,
        "updates": None, "optimizer": None, "wandb_id": None, entry: root, **more,
    }  # fmt: skip
    modules = {place: types.ModuleType(place) for place in ("models", *_CLASSES)}
    for place, names in _CLASSES.items():
        for name in names:
            setattr(modules[place], name, made[name])
    kept = {place: sys.modules.get(place) for place in modules}
    sys.modules.update(modules)
    try:
        torch.save(content, path)
    finally:
        for place, module in kept.items():
            if module is None:
                del sys.modules[place]
            else:
                sys.modules[place] = module
    return path


def _kind(way: list[str], made):
    """The class of a part by its place."""
    import torch

    if way[-1] == "bn":
        return torch.nn.Identity
    return torch.nn.Sequential if len(way) == 1 or way[-1] == "m" else made["Conv"]
