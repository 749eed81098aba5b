# SPDX-License-Identifier: Apache-2.0
"""The detector of DirectMHP as published (arXiv 2302.01110, section 3): YOLOv5-P6 with one head for boxes and angles.

Plain functions of parameters under their published names. With the norms folded into the convolutions
(:func:`folded`) the same functions run faster. Nothing is changed in place but the running statistics of BatchNorm
while training. Features are (B, C, H, W).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from hyoid.errors import InputError
from hyoid.systems.directmhp.config import Config, Layer, layers_of

Parameters = Mapping[str, Tensor]

EPS = 1e-3
MOMENTUM = 0.03


def forward(parameters: Parameters, config: Config, pictures: Tensor, *, training: bool = False) -> list[Tensor]:
    """Raw outputs of the levels, each (B, 3, rows, columns, fields), finest first.

    Args:
        pictures: (B, 3, H, W) 0 to 1, RGB; sides are multiples of the largest stride. training: norms take the
            statistics of the batch and update the running ones.

    Raises:
        InputError: pictures of another shape.
    """
    outputs: list[Tensor] = []
    for _, features in stages(parameters, config, pictures, training=training):
        outputs = features if isinstance(features, list) else outputs
    return outputs


def stages(
    parameters: Parameters, config: Config, pictures: Tensor, *, training: bool = False
) -> Iterator[tuple[int, Tensor | list[Tensor]]]:
    """Each layer's number and what it gives: features, or for the last one the list of :func:`forward`."""
    coarsest = config.strides[-1]
    if pictures.ndim != 4 or pictures.shape[1] != 3 or any(side % coarsest or not side for side in pictures.shape[2:]):
        raise InputError(
            f"pictures are {tuple(pictures.shape)}", expected=f"(B, 3, H, W), sides multiples of {coarsest}"
        )
    layers = layers_of(config)
    needed = {number for layer in layers for number in layer.others}
    kept: dict[int, Tensor] = {}
    x = pictures
    for number, layer in enumerate(layers):
        name = f"model.{number}"
        if layer.kind == "detect":
            yield number, [_detect(parameters, f"{name}.m.{i}", config, kept[n]) for i, n in enumerate(layer.others)]
            return
        x = _layer(parameters, name, layer, x, kept, training)
        if number in needed:
            kept[number] = x
        yield number, x


def folded(parameters: Parameters) -> dict[str, Tensor]:
    """Parameters with every BatchNorm in its convolution, which gets a bias; other names stay."""
    found = {}
    for name, value in parameters.items():
        if name.endswith(".conv.weight"):
            place = name.removesuffix(".conv.weight")
            gamma, beta, mean, variance = (
                parameters[f"{place}.bn.{leaf}"].double() for leaf in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gamma / torch.sqrt(variance + EPS)
            found[name] = (value.double() * scale[:, None, None, None]).to(value.dtype)
            found[f"{place}.conv.bias"] = (beta - mean * scale).to(value.dtype)
        elif ".bn." not in name:
            found[name] = value
    return found


def focus(pictures: Tensor) -> Tensor:
    """(B, 12, H / 2, W / 2): the four pictures of every second pixel, in the published order."""
    even, odd = pictures[..., ::2, :], pictures[..., 1::2, :]
    return torch.cat([even[..., ::2], odd[..., ::2], even[..., 1::2], odd[..., 1::2]], 1)


def _layer(p: Parameters, name: str, layer: Layer, x: Tensor, kept: Mapping[int, Tensor], training: bool) -> Tensor:
    if layer.kind == "focus":
        return _convolution(p, f"{name}.conv", focus(x), training)
    if layer.kind == "conv":
        return _convolution(p, name, x, training, layer.stride)
    if layer.kind == "c3":
        inner = _convolution(p, f"{name}.cv1", x, training)
        for repeat in range(layer.repeats):
            branch = _convolution(p, f"{name}.m.{repeat}.cv1", inner, training)
            branch = _convolution(p, f"{name}.m.{repeat}.cv2", branch, training)
            inner = inner + branch if layer.shortcut else branch
        beside = _convolution(p, f"{name}.cv2", x, training)
        return _convolution(p, f"{name}.cv3", torch.cat([inner, beside], 1), training)
    if layer.kind == "spp":
        pooled = [_convolution(p, f"{name}.cv1", x, training)]
        for _ in range(3):  # a maximum over 3 of one over 3 is one over 5, and so on
            pooled.append(functional.max_pool2d(pooled[-1], 3, 1, 1))
        return _convolution(p, f"{name}.cv2", torch.cat(pooled, 1), training)
    if layer.kind == "up":
        return functional.interpolate(x, scale_factor=2, mode="nearest")
    return torch.cat([x, kept[layer.others[0]]], 1)


def _convolution(p: Parameters, name: str, x: Tensor, training: bool, stride: int = 1) -> Tensor:
    weight, bias = p[f"{name}.conv.weight"], p.get(f"{name}.conv.bias")
    x = functional.conv2d(x, weight, bias, stride, weight.shape[-1] // 2)
    if bias is None:
        mean, variance, gamma, beta = (
            p[f"{name}.bn.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        x = functional.batch_norm(x, mean, variance, gamma, beta, training, MOMENTUM, EPS)
    return functional.silu(x, inplace=True)


def _detect(p: Parameters, name: str, config: Config, x: Tensor) -> Tensor:
    found = functional.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"])
    return found.unflatten(1, (3, config.fields)).permute(0, 1, 3, 4, 2).contiguous()
