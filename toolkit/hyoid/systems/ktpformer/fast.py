# SPDX-License-Identifier: Apache-2.0
"""KTPFormer arranged for speed: the numbers of :mod:`hyoid.systems.ktpformer.network` up to float32 rounding.

Nine tenths of the work are products of many rows with a matrix that never changes, so all that can be done to the
matrix is done once, in :func:`prepare`:

- scale and shift of a LayerNorm and of BatchNorm go into the matrix and the bias that follow or precede,
- the graph convolution of the joints is one matrix from all coordinates of a frame to all its features, that of the
  frames one product for both of its weights; the learned topologies are made symmetric once,
- on a processor matrices are kept in the order that oneDNN reads, where torch has it,
- products add the residual and apply GELU themselves.

In ``bfloat16`` the products with matrices that never change, and attention, are made of rounded numbers; residuals,
norms, and the sums of products stay float32. Processors with matrix units (AMX) and GPUs are several times as fast so.

Attention is torch's fused one. A block leaves its result in the order that the next one wants. Nothing can be
differentiated here. Shapes as in ``network``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hyoid.errors import UsageError
from hyoid.systems.ktpformer import network
from hyoid.systems.ktpformer.network import EPS, EPS_BATCH, EPS_PRIOR, Config, Parameters

PRECISIONS = ("float32", "bfloat16")
_CHUNK = 8192  # tokens that go through a block together on a processor: more are no faster and take memory


@dataclass(frozen=True)
class _Product:
    """A matrix (out, in), packed where oneDNN is there, and its bias (out,) if it has one."""

    weight: Tensor
    bias: Tensor | None
    packed: bool


@dataclass(frozen=True)
class _Trajectory:
    """A graph convolution over frames with its BatchNorm: ``relu(own * mixed + others @ (modulation * mixed'))``."""

    mixed: _Product  # (2 C, C): what a frame gives itself, and what it gives the others
    own: Tensor  # (F, C)
    modulation: Tensor  # (F, C)
    others: Tensor  # (F, F)
    bias: Tensor  # (C,)


@dataclass(frozen=True)
class _Block:
    """A transformer block; the norms before its products are folded into them."""

    qkv: _Product
    proj: _Product
    fc1: _Product
    fc2: _Product
    eps: float
    norm: tuple[Tensor, Tensor]  # the shared one after the block


@dataclass(frozen=True)
class Prepared:
    """A network ready to be run any number of times; see :func:`prepare`."""

    config: Config
    joints: tuple[Tensor, Tensor]  # (J * C, J * 2) and (J * C,)
    joint_places: Tensor  # (J, C)
    frames: tuple[_Trajectory, ...]
    frame_places: Tensor  # (F, C)
    blocks: tuple[_Block, ...]  # kinematics, trajectory, then pairs
    head: tuple[Tensor, Tensor]

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.joint_places.device


_Before = Callable[[Prepared, Tensor], Tensor]


def prepare(parameters: Parameters, config: Config, precision: str = "float32") -> Prepared:
    """The network of parameters, on their device.

    Args:
        precision: of products, one of ``PRECISIONS``.

    Raises:
        UsageError: another precision.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision '{precision}'", expected=" or ".join(PRECISIONS))
    kind = getattr(torch, precision)
    names = ["kpattention", "tpattention"]
    names += [f"{kind}blocks.{pair}" for pair in range(config.depth) for kind in ("STE", "TTE")]
    trajectory = "tpattention.attn.tpa"
    with torch.inference_mode():
        return Prepared(
            config,
            _joint_graph(parameters, "kpattention.attn.kpa", config),
            parameters["kpattention.attn.Spatial_pos_embed"][0].clone(),
            tuple(_frame_graph(parameters, f"{trajectory}.gconv{number}", config, kind) for number in (1, 2)),
            parameters["tpattention.attn.Temporal_pos_embed"][0].clone(),
            tuple(_make_block(parameters, name, kind) for name in names),
            _folded(parameters, "head.1", "head.0"),
        )


def forward(prepared: Prepared, keypoints: Tensor) -> Tensor:
    """As :func:`hyoid.systems.ktpformer.network.forward`: (B, F, J, 2) to (B, F, J, 3), without gradients.

    Raises:
        InputError: another window length or joint count than the network's.
    """
    network.check(prepared.config, keypoints)
    with torch.inference_mode():
        kinematics, trajectory, *pairs = prepared.blocks
        x = _apply(kinematics, prepared, keypoints, _from_joints)
        x = _apply(trajectory, prepared, x, _from_frames)
        for block in pairs:
            x = _apply(block, prepared, x)
        x = functional.layer_norm(x, x.shape[-1:], eps=EPS_PRIOR)
        return functional.linear(x, *prepared.head)


def _apply(block: _Block, prepared: Prepared, x: Tensor, before: _Before | None = None) -> Tensor:
    """A block on (B, rows, n, C), attention among n, and the norm after it: (B, n, rows, C), as the next block wants.

    Rows do not know each other, so large batches go through in pieces.
    """
    windows, rows, length = x.shape[:3]
    step = max(1, _CHUNK // (windows * length)) if x.device.type == "cpu" else rows
    result = x.new_empty(windows, length, rows, prepared.config.channels)
    for start in range(0, rows, step):
        part = x[:, start : start + step].flatten(0, 1)
        part = before(prepared, part) if before else part
        part = _transform(block, prepared.config.heads, part)
        result[:, :, start : start + step] = part.unflatten(0, (windows, -1)).transpose(1, 2)
    return result


def _transform(block: _Block, heads: int, x: Tensor) -> Tensor:
    """A block on (N, n, C)."""
    channels = x.shape[-1]
    flat = x.reshape(-1, channels)
    mixed = _multiply(block.qkv, functional.layer_norm(flat, (channels,), eps=block.eps))
    query, key, value = mixed.view(*x.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
    gathered = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(-1, channels)
    flat = _multiply(block.proj, gathered, added=flat)
    hidden = _multiply(block.fc1, functional.layer_norm(flat, (channels,), eps=EPS), activated=True)
    flat = _multiply(block.fc2, hidden, added=flat)
    return functional.layer_norm(flat, (channels,), *block.norm, EPS).view(x.shape)


def _from_joints(prepared: Prepared, keypoints: Tensor) -> Tensor:
    """The graph convolution over the joints of frames (N, J, 2), and the joints' places: (N, J, C)."""
    mixed = functional.linear(keypoints.flatten(1), *prepared.joints).relu_()
    return mixed.unflatten(1, (prepared.config.joints, -1)).add_(prepared.joint_places)


def _from_frames(prepared: Prepared, x: Tensor) -> Tensor:
    """The graph convolutions over the frames of joints (N, F, C), and the frames' places."""
    found = x
    for graph in prepared.frames:
        mixed = _multiply(graph.mixed, found.reshape(-1, found.shape[-1])).float().view(*found.shape[:2], -1)
        own, others = mixed.chunk(2, -1)
        found = graph.others @ (others * graph.modulation)
        found = found.addcmul_(own, graph.own).add_(graph.bias).relu_()
    return found.add_(x).add_(prepared.frame_places)


# --- what is folded into what -----------------------------------------------------------------------------------------


def _folded(parameters: Parameters, linear: str, norm: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a product that takes what its norm gives before its own scale and shift."""
    weight, bias = parameters[f"{linear}.weight"].double(), parameters[f"{linear}.bias"].double()
    scale, shift = parameters[f"{norm}.weight"].double(), parameters[f"{norm}.bias"].double()
    return (weight * scale).float(), (bias + weight @ shift).float()


def _make_block(parameters: Parameters, name: str, kind: torch.dtype) -> _Block:
    prior = name.endswith("attention")
    shared = "Spatial_norm" if name.startswith(("kp", "STE")) else "Temporal_norm"
    plain = [
        (parameters[f"{name}.{linear}.weight"], parameters[f"{name}.{linear}.bias"])
        for linear in ("attn.proj", "mlp.fc2")
    ]
    return _Block(
        _product(*_folded(parameters, f"{name}.attn.qkv", f"{name}.attn.norm1" if prior else f"{name}.norm1"), kind),
        _product(*plain[0], kind),
        _product(*_folded(parameters, f"{name}.mlp.fc1", f"{name}.norm2"), kind),
        _product(*plain[1], kind),
        EPS_PRIOR if prior else EPS,
        (parameters[f"{shared}.weight"].clone(), parameters[f"{shared}.bias"].clone()),
    )


def _batch_norm(parameters: Parameters, name: str) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) float64 of a BatchNorm, with the bias of the convolution before it."""
    leaf = {key: parameters[f"{name}.bn.{key}"].double() for key in ("weight", "bias", "running_mean", "running_var")}
    scale = leaf["weight"] / (leaf["running_var"] + EPS_BATCH).sqrt()
    bias = parameters[f"{name}.gconv.bias"].double()
    return scale, leaf["bias"] + scale * (bias - leaf["running_mean"])


def _graph(parameters: Parameters, name: str, fixed: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Diagonal (n,) and the rest (n, n) of a topology, modulation (n, C), scaled weights (2, in, C); float64."""
    wide = {f"{name}.gconv.{key}": parameters[f"{name}.gconv.{key}"].double() for key in ("adj2", "M", "W")}
    topology = network.learned_topology(wide, f"{name}.gconv", fixed)
    own = topology.diagonal().clone()
    scale, _ = _batch_norm(parameters, name)
    return own, topology - torch.diag(own), wide[f"{name}.gconv.M"], wide[f"{name}.gconv.W"] * scale


def _joint_graph(parameters: Parameters, name: str, config: Config) -> tuple[Tensor, Tensor]:
    own, others, modulation, weights = _graph(parameters, name, network.skeleton(config.parents))
    matrix = torch.einsum("nm,mc,ic->ncmi", others, modulation, weights[1])
    matrix = matrix + torch.einsum("nm,mc,ic->ncmi", torch.diag(own), modulation, weights[0])
    _, shift = _batch_norm(parameters, name)
    return matrix.reshape(config.joints * config.channels, -1).float(), shift.repeat(config.joints).float()


def _frame_graph(parameters: Parameters, name: str, config: Config, kind: torch.dtype) -> _Trajectory:
    own, others, modulation, weights = _graph(parameters, name, network.chain(config.frames))
    _, shift = _batch_norm(parameters, name)
    mixed = torch.cat([weights[0].T, weights[1].T]).float()
    return _Trajectory(
        _product(mixed, None, kind), (own[:, None] * modulation).float(), modulation.float(), others.float(),
        shift.float(),
    )  # fmt: skip


# --- products of many rows --------------------------------------------------------------------------------------------


def _product(weight: Tensor, bias: Tensor | None, kind: torch.dtype) -> _Product:
    weight, bias = weight.to(kind).contiguous(), None if bias is None else bias.to(kind)
    if weight.device.type == "cpu" and _packs(kind):
        return _Product(torch.ops.mkldnn._reorder_linear_weight(weight, _CHUNK), bias, True)
    return _Product(weight, bias, False)


def _multiply(product: _Product, x: Tensor, *, added: Tensor | None = None, activated: bool = False) -> Tensor:
    """``x @ weight.T + bias`` for rows (N, in), as a new tensor (N, out); plus a residual, or through GELU.

    In the precision of the weight, but with a residual in the residual's.
    """
    x = x.to(product.weight.dtype)
    if not product.packed:
        result = functional.linear(x, product.weight, product.bias)
        if activated:
            return functional.gelu(result)
        return result if added is None else result.to(added.dtype).add_(added)
    linear, arguments = torch.ops.mkldnn._linear_pointwise, (product.weight, product.bias)
    if added is None:
        return linear(x, *arguments, "gelu" if activated else "none", [], "none" if activated else "")
    # The library adds in the precision of its answer, which would round the residual.
    if x.dtype != added.dtype:
        return linear(x, *arguments, "none", [], "").to(added.dtype).add_(added)
    return linear.binary(x, added, *arguments, "add")


@functools.cache
def _packs(kind: torch.dtype) -> bool:
    """Whether torch can keep matrices in oneDNN's order; the operators are its compiler's, not promised to stay."""
    one = torch.ones(16, 16, dtype=kind)
    try:
        product = _Product(torch.ops.mkldnn._reorder_linear_weight(one, 16), None, True)
        exact = torch.equal(_multiply(product, one, added=one), 17 * one)
        return exact and torch.allclose(_multiply(product, one, activated=True), functional.gelu(16 * one))
    except (AttributeError, RuntimeError):
        return False
