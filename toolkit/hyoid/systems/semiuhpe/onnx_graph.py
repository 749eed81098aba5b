# SPDX-License-Identifier: Apache-2.0
"""A network as an ONNX model: folded, crops of any number, float32 in and out; needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from hyoid import onnx_file
from hyoid.onnx_file import Graph
from hyoid.systems.semiuhpe.checkpoint import Model
from hyoid.systems.semiuhpe.config import Config
from hyoid.systems.semiuhpe.fold import folded
from hyoid.systems.semiuhpe.plans import POOLED, TINYVIT, Block, Convolution, Plan, offsets, plan_of

INPUT, OUTPUT = "images", "parameters"
_EPS = 1e-5
_OPSET = 20  # the first with Gelu

Arrays = Mapping[str, np.ndarray]


def model_bytes(model: Model) -> bytes:
    """An ONNX model: ``images`` (n, 3, S, S) as ``network.normalised`` gives them, ``parameters`` (n, 3, 3) in the
    network's own convention; its metadata hold the config and the licence as JSON."""
    config, graph = model.config, Graph()
    plan, arrays = plan_of(config), folded(model.parameters, config)
    if config.backbone == "tinyvit":
        x = _tinyvit(graph, arrays, plan)
    else:
        x = INPUT
        for block in plan.blocks:
            x = _block(graph, arrays, plan, config, block, x)
            if block.stage == POOLED:
                x = graph.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        x = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])])
    for place in (1, 4, 7):
        names = [graph.constant(arrays[f"{plan.head}.{place}.{leaf}"]) for leaf in ("weight", "bias")]
        x = graph.add("Gemm", [x, *names], transB=1)
        x = _active(graph, "relu6", x) if place < 7 else x
    graph.add("Reshape", [x, graph.constant(np.array([-1, 3, 3]))], OUTPUT)
    note = json.dumps({"config": asdict(config), "licence": model.licence}, sort_keys=True)
    inputs, outputs = {INPUT: ("crops", 3, config.size, config.size)}, {OUTPUT: ("crops", 3, 3)}
    metadata = {"hyoid.semiuhpe": note}
    return onnx_file.model_bytes(graph, "semiuhpe", inputs, outputs, opset=_OPSET, metadata=metadata)


def _convolve(graph: Graph, arrays: Arrays, c: Convolution, x: str) -> str:
    names = [graph.constant(arrays[f"{c.name}.{leaf}"], f"{c.name}.{leaf}") for leaf in ("weight", "bias")]
    attributes = {"kernel_shape": [c.kernel] * 2, "strides": [c.stride] * 2, "group": c.groups}
    if c.same:
        return graph.add("Conv", [x, *names], auto_pad="SAME_UPPER", **attributes)
    return graph.add("Conv", [x, *names], pads=[c.kernel // 2] * 4, **attributes)


def _active(graph: Graph, activation: str, x: str) -> str:
    if activation == "silu":
        return graph.add("Mul", [x, graph.add("Sigmoid", [x])])
    if activation == "relu6":
        return graph.add("Clip", [x, graph.constant(np.float32(0)), graph.constant(np.float32(6))])
    return graph.add({"relu": "Relu", "gelu": "Gelu"}[activation], [x])


def _block(graph: Graph, arrays: Arrays, plan: Plan, config: Config, block: Block, x: str) -> str:
    came = x
    for c in block.convolutions:
        if block.gate and c is block.convolutions[-1]:
            x = _gated(graph, arrays, plan, block, x)
        x = _convolve(graph, arrays, c, x)
        x = _active(graph, plan.activation, x) if c.active else x
    if config.backbone == "repvgg":  # folded: the 3x3 branch is all
        return _active(graph, "relu", x)
    if block.shortcut is not None:
        came = _convolve(graph, arrays, block.shortcut, came)
    if not block.residual:
        return x
    x = graph.add("Add", [x, came])
    return _active(graph, "relu", x) if plan.activation == "relu" else x


def _gated(graph: Graph, arrays: Arrays, plan: Plan, block: Block, x: str) -> str:
    down, up = block.gate
    gate = _active(graph, plan.activation, _convolve(graph, arrays, down, graph.add("GlobalAveragePool", [x])))
    return graph.add("Mul", [x, graph.add("Sigmoid", [_convolve(graph, arrays, up, gate)])])


# --- TinyViT: tokens are (n, H, W, C) in attention, pictures (n, C, H, W) in convolutions -----------------------------


def _tinyvit(graph: Graph, arrays: Arrays, plan: Plan) -> str:
    blocks = {block.stage: block for block in plan.blocks}
    x, side = _row(graph, arrays, blocks["patch_embed"], INPUT), 56
    for stage, (width, count, heads, window) in enumerate(TINYVIT):
        for index in range(count):
            name = f"layers.{stage}.blocks.{index}"
            if stage:
                tokens = _attention(graph, arrays, f"{name}.attn", x, width, heads, window, side)
                x = graph.add("Add", [x, graph.add("Transpose", [tokens], perm=[0, 3, 1, 2])])
                x = _convolve(graph, arrays, blocks[name].convolutions[0], x)
                x = _mlp(graph, arrays, f"{name}.mlp", x)
            else:
                x = graph.add("Gelu", [graph.add("Add", [x, _row(graph, arrays, blocks[name], x)])])
        if stage < len(TINYVIT) - 1:
            x, side = _row(graph, arrays, blocks[f"layers.{stage}.downsample"], x), side // 2
    x = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])])
    return _norm(graph, arrays, "norm_head", x)


def _row(graph: Graph, arrays: Arrays, block: Block, x: str) -> str:
    for number, c in enumerate(block.convolutions):
        x = _convolve(graph, arrays, c, graph.add("Gelu", [x]) if number else x)
    return x


def _norm(graph: Graph, arrays: Arrays, name: str, x: str) -> str:
    names = [graph.constant(arrays[f"{name}.{leaf}"]) for leaf in ("weight", "bias")]
    return graph.add("LayerNormalization", [x, *names], axis=-1, epsilon=_EPS)


def _linear(graph: Graph, arrays: Arrays, name: str, x: str) -> str:
    found = graph.add("MatMul", [x, graph.constant(arrays[f"{name}.weight"].T)])
    return graph.add("Add", [found, graph.constant(arrays[f"{name}.bias"])])


def _mlp(graph: Graph, arrays: Arrays, name: str, x: str) -> str:
    tokens = graph.add("Transpose", [x], perm=[0, 2, 3, 1])
    hidden = _linear(graph, arrays, f"{name}.fc1", _norm(graph, arrays, f"{name}.norm", tokens))
    tokens = graph.add("Add", [tokens, _linear(graph, arrays, f"{name}.fc2", graph.add("Gelu", [hidden]))])
    return graph.add("Transpose", [tokens], perm=[0, 3, 1, 2])


def _attention(
    graph: Graph, arrays: Arrays, name: str, x: str, width: int, heads: int, window: int, side: int
) -> str:  # fmt: skip
    def reshaped(x: str, *shape: int) -> str:
        return graph.add("Reshape", [x, graph.constant(np.array(shape))])

    count, wide = side // window, width // heads
    tokens = reshaped(graph.add("Transpose", [x], perm=[0, 2, 3, 1]), -1, count, window, count, window, width)
    tokens = reshaped(graph.add("Transpose", [tokens], perm=[0, 1, 3, 2, 4, 5]), -1, window**2, width)
    parts = _linear(graph, arrays, f"{name}.qkv", _norm(graph, arrays, f"{name}.norm", tokens))
    parts = graph.add("Transpose", [reshaped(parts, -1, window**2, heads, 3, wide)], perm=[3, 0, 2, 1, 4])
    query, key, value = (
        graph.add("Gather", [parts, graph.constant(np.array(number))], axis=0) for number in range(3)
    )  # fmt: skip
    query = graph.add("Mul", [query, graph.constant(np.float32(wide**-0.5))])
    products = graph.add("MatMul", [query, graph.add("Transpose", [key], perm=[0, 1, 3, 2])])
    bias = arrays[f"{name}.attention_biases"][:, offsets(window)]
    weights = graph.add("Softmax", [graph.add("Add", [products, graph.constant(bias)])], axis=-1)
    found = graph.add("Transpose", [graph.add("MatMul", [weights, value])], perm=[0, 2, 1, 3])
    found = _linear(graph, arrays, f"{name}.proj", reshaped(found, -1, window**2, width))
    found = reshaped(found, -1, count, count, window, window, width)
    return reshaped(graph.add("Transpose", [found], perm=[0, 1, 3, 2, 4, 5]), -1, side, side, width)
