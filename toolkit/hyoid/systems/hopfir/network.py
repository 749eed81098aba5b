# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""One picture's 2D joints to 3D joints: attention between rings of neighbours, and limbs that are refined as a whole.

In the spirit of HopFIR (ICCV 2023, arXiv 2302.14581); sizes and details are ours. Each block has the paper's two parts:

- ``hop_block`` (hop-wise GraphFormer): every joint attends to all joints' rings of neighbours, for each distance in
  bones apart; then two semantic graph convolutions (Zhao et al., CVPR 2019) in place of a feed-forward layer,
- ``refine_limbs`` (intragroup joint refinement): the three joints of each arm and leg are corrected together.

Everything is plain functions of parameters by name, on torch tensors. B pictures, N = 17 joints, C channels, K hops.
Images are normalised: x from -1 (left) to 1 (right), y down in the same unit, 0 in the middle (:func:`normalised`).
Results are metres in camera space (x right, y down, z away from the camera), with the pelvis at the origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hyoid.geometry import human36m

if TYPE_CHECKING:
    from torch import Tensor

Parameters = Mapping[str, Any]
"""Torch tensors by name, see :func:`shapes`."""

_EPSILON = 1e-5  # of layer norms
_NEVER = -9e15  # logarithm of the weight between joints that no bone connects
_GAIN = 1.414  # of the first weights of graph convolutions
_TABLE = 0.02  # spread of the first joint table
_BONE_SHARE = 0.1  # of errors of bone lengths in the loss


@dataclass(frozen=True)
class Skeleton:
    """Joints and how they belong together.

    Attributes:
        names: (N,). parents: (N,), -1 for the one root.
        legs, arms: the two limbs of each kind, from root to tip; left and right in any order.
        loss_weights: (N,) how much each joint counts in training: outer ones more.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    legs: tuple[tuple[int, ...], tuple[int, ...]]
    arms: tuple[tuple[int, ...], tuple[int, ...]]
    loss_weights: tuple[float, ...]

    @cached_property
    def root(self) -> int:
        """The joint without a parent."""
        return self.parents.index(-1)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """(N,) the joint on the other side of the body."""
        other = list(range(len(self.parents)))
        for one, two in (self.legs, self.arms):
            for left, right in zip(one, two, strict=True):
                other[left], other[right] = right, left
        return tuple(other)


HUMAN36M = Skeleton(human36m.NAMES, human36m.PARENTS, human36m.LEGS, human36m.ARMS, human36m.LOSS_WEIGHTS)
"""The 17 joints of Human3.6M, in the order of the field."""


@dataclass(frozen=True)
class Config:
    """Sizes of the network.

    Attributes:
        channels: C. blocks: of attention and refinement. hops: K, rings of neighbours up to this many bones apart.
        heads: of the attention. refine: whether limbs are refined.
    """

    channels: int = 96
    blocks: int = 4
    hops: int = 3
    heads: int = 4
    refine: bool = True


# --- the skeleton as a graph -----------------------------------------------------------------------------------------


def distances(parents: tuple[int, ...]) -> np.ndarray:
    """(N, N) int64: how many bones lie between two joints."""
    count = len(parents)
    found = np.full((count, count), count, np.int64)
    np.fill_diagonal(found, 0)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            found[joint, parent] = found[parent, joint] = 1
    for middle in range(count):
        found = np.minimum(found, found[:, middle, None] + found[None, middle])
    return found


def hop_masks(parents: tuple[int, ...], hops: int) -> np.ndarray:
    """(hops + 1, N, N) float32: for each distance the mean over the joints that far away; zeros where none is."""
    apart = distances(parents)
    rings = (apart == np.arange(hops + 1)[:, None, None]).astype(np.float32)
    return rings / np.maximum(rings.sum(-1, keepdims=True), 1)


@lru_cache(maxsize=16)
def _on_device(parents: tuple[int, ...], hops: int, dtype: Any, device: Any) -> tuple[Tensor, Tensor]:
    """The masks (K + 1, N, N), and (N, N) whether two joints are neighbours or the same, as tensors."""
    import torch

    masks = torch.from_numpy(hop_masks(parents, hops)).to(device=device, dtype=dtype)
    return masks, torch.from_numpy(distances(parents) <= 1).to(device)


# --- parameters -------------------------------------------------------------------------------------------------------


def shapes(config: Config, skeleton: Skeleton = HUMAN36M) -> dict[str, tuple[int, ...]]:
    """The parameters and their shapes; linear weights are (out, in), those of graph convolutions (in, out)."""
    c, joints = config.channels, len(skeleton.parents)
    found: dict[str, tuple[int, ...]] = {**_linear_shapes("embed", 2, c), "joint_table": (joints, c)}
    for block in range(config.blocks):
        name = f"blocks.{block}.hgf"
        found |= _norm_shapes(f"{name}.norm1", c) | _linear_shapes(f"{name}.query", c, c)
        for hop in range(config.hops + 1):
            found |= _linear_shapes(f"{name}.hop.{hop}", c, 2 * c)
        found |= _linear_shapes(f"{name}.mix", (config.hops + 1) * c, c) | _norm_shapes(f"{name}.norm2", c)
        found |= _graph_shapes(f"{name}.gcn1", c, 2 * c, joints) | _graph_shapes(f"{name}.gcn2", 2 * c, c, joints)
        if config.refine:
            name = f"blocks.{block}.ijr"
            found |= _norm_shapes(f"{name}.norm", c)
            for limb in ("leg", "arm"):
                found |= _linear_shapes(f"{name}.{limb}.0", 3 * c, 2 * c) | _linear_shapes(
                    f"{name}.{limb}.2", 2 * c, 3 * c
                )
    return found | _norm_shapes("norm", c) | _graph_shapes("head", c, 3, joints)


def _linear_shapes(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm_shapes(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def _graph_shapes(name: str, inputs: int, outputs: int, joints: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.W0": (inputs, outputs), f"{name}.W1": (inputs, outputs), f"{name}.e": (joints, joints),
        f"{name}.bias": (outputs,),
    }  # fmt: skip


def initial(config: Config, seed: int, skeleton: Skeleton = HUMAN36M) -> dict[str, np.ndarray]:
    """Parameters to begin with, float32; the same seed gives the same."""
    random = np.random.default_rng(seed)
    wanted = shapes(config, skeleton)
    found: dict[str, np.ndarray] = {}
    for name, shape in wanted.items():
        owner, _, kind = name.rpartition(".")
        if name == "joint_table":
            array = _TABLE * random.standard_normal(shape)
        elif kind == "e" or (kind == "weight" and len(shape) == 1):
            array = np.ones(shape)
        elif kind in ("W0", "W1"):
            spread = _GAIN * np.sqrt(6 / sum(shape))
            array = random.uniform(-spread, spread, shape)
        else:
            weight = wanted.get(f"{owner}.weight", ())
            spread = 1 / np.sqrt(weight[1]) if len(weight) == 2 else 0.0
            array = random.uniform(-spread, spread, shape)
        found[name] = array.astype(np.float32)
    return found


# --- the network ------------------------------------------------------------------------------------------------------


def normalised(pixels: Any, width: float, height: float) -> Any:
    """Pixels (..., 2) as the network wants them: x * 2 / width - 1 and y * 2 / width - height / width."""
    shift = np.array([1.0, height / width])
    if not isinstance(pixels, np.ndarray):
        return pixels * (2 / width) - pixels.new_tensor(shift)
    return pixels * (2 / width) - shift.astype(pixels.dtype)


def lift(parameters: Parameters, config: Config, image: Tensor, *, skeleton: Skeleton = HUMAN36M) -> Tensor:
    """The mean of what the network says of a picture and of its mirror image, as it is used.

    Args:
        image: (..., N, 2) float32, normalised.

    Returns:
        (..., N, 3) metres, camera space, the pelvis at the origin.
    """
    other = list(skeleton.mirror)
    plain = forward(parameters, config, image, skeleton=skeleton)
    turned = forward(parameters, config, _negative_x(image)[..., other, :], skeleton=skeleton)
    return 0.5 * (plain + _negative_x(turned)[..., other, :])


def _negative_x(points: Tensor) -> Tensor:
    import torch

    return torch.cat([-points[..., :1], points[..., 1:]], -1)


def forward(
    parameters: Parameters, config: Config, image: Tensor, *, skeleton: Skeleton = HUMAN36M, dropout: float = 0.0
) -> Tensor:
    """What the network says of pictures.

    Args:
        image: (..., N, 2), normalised. dropout: share of what the parts of a block add that is left out in training.

    Returns:
        (..., N, 3) metres, camera space, the pelvis at the origin.
    """
    x = _linear(parameters, "embed", image.reshape(-1, *image.shape[-2:])) + parameters["joint_table"]
    masks, near = _on_device(skeleton.parents, config.hops, x.dtype, x.device)
    for block in range(config.blocks):
        x = hop_block(parameters, f"blocks.{block}.hgf", config.heads, masks, near, x, dropout)
        if config.refine:
            x = refine_limbs(parameters, f"blocks.{block}.ijr", skeleton, x, dropout)
    y = semantic_convolution(parameters, "head", near, _norm(parameters, "norm", x))
    y = y - y[:, skeleton.root, None]
    return y.reshape(*image.shape[:-1], 3)


def hop_block(
    parameters: Parameters, name: str, heads: int, masks: Tensor, near: Tensor, x: Tensor, dropout: float = 0.0
) -> Tensor:
    """Attention to rings of neighbours, then graph convolutions, each added to the features x (B, N, C).

    Args:
        masks: (K + 1, N, N), see :func:`hop_masks`. near: (N, N) bool, neighbours and the joint itself.
    """
    x = x + _dropped(hop_attention(parameters, name, heads, masks, _norm(parameters, f"{name}.norm1", x)), dropout)
    y = semantic_convolution(parameters, f"{name}.gcn1", near, _norm(parameters, f"{name}.norm2", x))
    return x + _dropped(semantic_convolution(parameters, f"{name}.gcn2", near, _gelu(y)), dropout)


def hop_attention(parameters: Parameters, name: str, heads: int, masks: Tensor, y: Tensor) -> Tensor:
    """(B, N, C): for each hop every joint of y (B, N, C) attends to the rings of all joints; the answers are mixed."""
    import torch

    hops, (batch, joints, channels) = len(masks), y.shape
    query = _linear(parameters, f"{name}.query", y)
    tokens = hop_tokens(masks, y).reshape(hops, batch * joints, channels)
    weight = torch.stack([parameters[f"{name}.hop.{hop}.weight"] for hop in range(hops)])
    bias = torch.stack([parameters[f"{name}.hop.{hop}.bias"] for hop in range(hops)])
    both = torch.baddbmm(bias[:, None], tokens, weight.transpose(1, 2))  # (K + 1, B N, 2 C)
    both = both.reshape(hops * batch, joints, 2, heads, channels // heads).permute(2, 0, 3, 1, 4)
    query = query.reshape(batch, joints, heads, -1).transpose(1, 2)
    keys, values = both.unflatten(1, (hops, batch))
    # Torch's fused attention is many times slower on so few joints when it is differentiated.
    shares = ((query * query.shape[-1] ** -0.5) @ keys.transpose(-1, -2)).softmax(-1)
    found = (shares @ values).permute(1, 3, 0, 2, 4)
    return _linear(parameters, f"{name}.mix", found.reshape(batch, joints, hops * channels))


def hop_tokens(masks: Tensor, y: Tensor) -> Tensor:
    """(K + 1, B, N, C): for each hop the mean of y (B, N, C) over each joint's ring."""
    return masks[:, None] @ y[None]


def semantic_convolution(parameters: Parameters, name: str, near: Tensor, x: Tensor) -> Tensor:
    """Semantic graph convolution (Zhao et al., CVPR 2019, equation 2, one set of edge weights for all channels).

    Args:
        near: (N, N) bool. x: (B, N, in).

    Returns:
        (B, N, out): each joint's own features and its neighbours', through a matrix each, by learned shares.
    """
    shares = parameters[f"{name}.e"].masked_fill(~near, _NEVER).softmax(-1)
    own = shares.diagonal()[:, None]
    others = shares - shares.diagonal().diag()
    w0, w1 = parameters[f"{name}.W0"], parameters[f"{name}.W1"]
    # The sum over neighbours and the matrix commute; the narrower side is cheaper to sum.
    across = (others @ x) @ w1 if w1.shape[0] <= w1.shape[1] else others @ (x @ w1)
    return own * (x @ w0) + across + parameters[f"{name}.bias"]


def refine_limbs(parameters: Parameters, name: str, skeleton: Skeleton, x: Tensor, dropout: float = 0.0) -> Tensor:
    """Corrections of the joints of each limb from all of its joints, added to x (B, N, C); the torso stays as it is.

    Both legs share their parameters, and so do both arms.
    """
    import torch

    y = _norm(parameters, f"{name}.norm", x)
    added, rows = [], []
    for kind, limbs in (("leg", skeleton.legs), ("arm", skeleton.arms)):
        joints = [joint for limb in limbs for joint in limb]
        z = y[:, joints].reshape(len(y), len(limbs), -1)
        z = _linear(parameters, f"{name}.{kind}.2", _gelu(_linear(parameters, f"{name}.{kind}.0", z)))
        added.append(z.reshape(len(y), len(joints), -1))
        rows += joints
    return x.index_add(1, torch.tensor(rows, device=x.device), _dropped(torch.cat(added, 1), dropout).to(x.dtype))


def loss(found: Tensor, truth: Tensor, skeleton: Skeleton = HUMAN36M) -> Tensor:
    """Mean distance of joints, outer ones counting more, and a share of the mean error of bone lengths; metres.

    Args:
        found, truth: (..., N, 3), the pelvis at the origin.
    """
    weights = found.new_tensor(skeleton.loss_weights)
    away = (found - truth).norm(dim=-1) @ (weights / weights.sum())
    children = [joint for joint, parent in enumerate(skeleton.parents) if parent >= 0]
    above = [skeleton.parents[joint] for joint in children]
    lengths = [(points[..., children, :] - points[..., above, :]).norm(dim=-1) for points in (found, truth)]
    return away.mean() + _BONE_SHARE * (lengths[0] - lengths[1]).abs().mean()


def _linear(parameters: Parameters, name: str, values: Tensor) -> Tensor:
    from torch.nn.functional import linear

    return linear(values, parameters[f"{name}.weight"], parameters[f"{name}.bias"])


def _norm(parameters: Parameters, name: str, values: Tensor) -> Tensor:
    from torch.nn.functional import layer_norm

    return layer_norm(values, values.shape[-1:], parameters[f"{name}.weight"], parameters[f"{name}.bias"], _EPSILON)


def _gelu(values: Tensor) -> Tensor:
    from torch.nn.functional import gelu

    return gelu(values)


def _dropped(values: Tensor, share: float) -> Tensor:
    from torch.nn.functional import dropout

    return dropout(values, share) if share else values
