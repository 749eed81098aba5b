# SPDX-License-Identifier: Apache-2.0
"""KTPFormer as the paper words it: kinematics block, trajectory block, then pairs of spatial and temporal attention.

Peng et al., "KTPFormer: Kinematics and Trajectory Prior Knowledge-Enhanced Transformer for 3D Human Pose Estimation",
CVPR 2024 (arXiv 2404.00658). Plain functions of parameters under their published names, the measure for
:mod:`hyoid.systems.ktpformer.fast` and what training differentiates: nothing is changed in place but the running
statistics of BatchNorm while training.

Shapes: B windows, F frames, J joints, C channels, H heads. Features are (B, F, J, C) between the blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hyoid.errors import InputError
from hyoid.systems.ktpformer.config import Config

Parameters = Mapping[str, Tensor]

EPS_PRIOR = 1e-5  # LayerNorm before the attention of the kinematics and trajectory blocks, and in the head
EPS = 1e-6  # every other LayerNorm
EPS_BATCH = 1e-5
_MOMENTUM = 0.1


@dataclass(frozen=True)
class Training:
    """How a forward differs in training.

    Attributes:
        drop_path: share of residual branches that the last pair leaves out; it rises evenly from 0 (paper: 0.1).
        generator: of the draws; None is torch's own.
    """

    drop_path: float = 0.1
    generator: torch.Generator | None = None


def forward(parameters: Parameters, config: Config, keypoints: Tensor, training: Training | None = None) -> Tensor:
    """3D joints (B, F, J, 3), metres, camera axes, about the root: the raw output of the network.

    Args:
        keypoints: (B, F, J, 2) in units of half the image's width, see ``infer.normalised``.

    Raises:
        InputError: another window length or joint count than the network's.
    """
    features = keypoints
    for _, stage in stages(parameters, config, keypoints, training):
        features = stage
    features = _layer_norm(parameters, "head.0", features, EPS_PRIOR)
    return _linear(parameters, "head.1", features)


def stages(
    parameters: Parameters, config: Config, keypoints: Tensor, training: Training | None = None
) -> Iterator[tuple[str, Tensor]]:
    """Each block's name and features (B, F, J, C) after it and the norm that all blocks of its kind share."""
    check(config, keypoints)
    rates = torch.linspace(0, training.drop_path if training else 0.0, config.depth + 1).tolist()
    x = _kinematics(parameters, config, keypoints, training)
    yield "kpattention", (x := _layer_norm(parameters, "Spatial_norm", x, EPS))
    x = _trajectory(parameters, config, x, training)
    yield "tpattention", (x := _layer_norm(parameters, "Temporal_norm", x, EPS))
    for pair in range(config.depth):
        drop = _Drop(rates[pair + 1], training.generator if training else None)
        x = _over_joints(x, lambda rows, n=pair, d=drop: _block(parameters, f"STEblocks.{n}", config, rows, d))
        yield f"STEblocks.{pair}", (x := _layer_norm(parameters, "Spatial_norm", x, EPS))
        x = _over_frames(x, lambda rows, n=pair, d=drop: _block(parameters, f"TTEblocks.{n}", config, rows, d))
        yield f"TTEblocks.{pair}", (x := _layer_norm(parameters, "Temporal_norm", x, EPS))


def check(config: Config, keypoints: Tensor) -> None:
    """Refuse keypoints of another shape than (B, F, J, 2).

    Raises:
        InputError: they are.
    """
    shape = (config.frames, config.joints, 2)
    if tuple(keypoints.shape[1:]) != shape:
        raise InputError(f"keypoints are {tuple(keypoints.shape)}", expected=f"(B, {', '.join(map(str, shape))})")


# --- prior knowledge: the topologies of body and time of the paper ---------------------------------------------------


def skeleton(parents: Sequence[int]) -> Tensor:
    """The topology (J, J) of the joints' tree, float32: neighbours share 1, the diagonal is 1."""
    adjacency = torch.zeros(len(parents), len(parents))
    for joint, parent in enumerate(parents):
        if parent >= 0:
            adjacency[joint, parent] = adjacency[parent, joint] = 1
    return _topology(adjacency)


def chain(frames: int) -> Tensor:
    """The topology (F, F) of consecutive frames, float32."""
    steps = torch.arange(frames)
    return _topology(((steps[:, None] - steps).abs() == 1).float())


def _topology(adjacency: Tensor) -> Tensor:
    shares = adjacency / adjacency.sum(1, keepdim=True).clamp(min=1)
    return shares + torch.eye(len(adjacency))


def learned_topology(parameters: Parameters, name: str, fixed: Tensor) -> Tensor:
    """The symmetric topology (n, n) of one graph convolution: the fixed one and what was learned on top."""
    total = fixed.to(parameters[f"{name}.adj2"]) + parameters[f"{name}.adj2"]
    return (total + total.T) / 2


def _graph_convolution(parameters: Parameters, name: str, fixed: Tensor, x: Tensor) -> Tensor:
    """(N, n, in) to (N, n, out): a node's own features and those of its neighbours have weights of their own."""
    topology = learned_topology(parameters, name, fixed)
    itself = torch.eye(len(topology), dtype=topology.dtype, device=topology.device)
    own, other = parameters[f"{name}.W"]
    modulation = parameters[f"{name}.M"]
    from_own = (topology * itself) @ (modulation * (x @ own))
    from_others = (topology * (1 - itself)) @ (modulation * (x @ other))
    return from_own + from_others + parameters[f"{name}.bias"]


def _graph_layer(parameters: Parameters, name: str, fixed: Tensor, x: Tensor, training: Training | None) -> Tensor:
    """Graph convolution, BatchNorm over channels, ReLU: (N, n, out)."""
    x = _graph_convolution(parameters, f"{name}.gconv", fixed, x)
    mean, variance, weight, bias = (
        parameters[f"{name}.bn.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")
    )
    flat = functional.batch_norm(
        x.flatten(0, 1), mean, variance, weight, bias, training is not None, _MOMENTUM, EPS_BATCH
    )
    return flat.view_as(x).relu()


def _kinematics(parameters: Parameters, config: Config, keypoints: Tensor, training: Training | None) -> Tensor:
    """Kinematics prior attention: the tree of joints, then attention over the joints of a frame."""

    def of_frames(rows: Tensor) -> Tensor:  # (B * F, J, 2)
        x = _graph_layer(parameters, "kpattention.attn.kpa", skeleton(config.parents), rows, training)
        return _prior_block(parameters, "kpattention", "Spatial_pos_embed", config, x)

    return _over_joints(keypoints, of_frames)


def _trajectory(parameters: Parameters, config: Config, x: Tensor, training: Training | None) -> Tensor:
    """Trajectory prior attention: the chain of frames, then attention over the frames of a joint."""

    def of_joints(rows: Tensor) -> Tensor:  # (B * J, F, C)
        fixed, name = chain(config.frames), "tpattention.attn.tpa"
        x = _graph_layer(parameters, f"{name}.gconv1", fixed, rows, training)
        x = rows + _graph_layer(parameters, f"{name}.gconv2", fixed, x, training)
        return _prior_block(parameters, "tpattention", "Temporal_pos_embed", config, x)

    return _over_frames(x, of_joints)


# --- attention --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Drop:
    """Stochastic depth: a residual branch of a row (N, n, C) is left out with probability ``rate``, others grow."""

    rate: float = 0.0
    generator: torch.Generator | None = None

    def __call__(self, branch: Tensor) -> Tensor:
        if not self.rate:
            return branch
        draws = torch.rand(len(branch), 1, 1, generator=self.generator, device=branch.device, dtype=branch.dtype)
        return branch * (draws >= self.rate) / (1 - self.rate)


def _prior_block(parameters: Parameters, name: str, places: str, config: Config, x: Tensor) -> Tensor:
    """The attention and MLP of a prior block on (N, n, C). Its drop path is 0 in the paper's schedule."""
    x = x + parameters[f"{name}.attn.{places}"]
    x = x + _attention(parameters, f"{name}.attn", config, _layer_norm(parameters, f"{name}.attn.norm1", x, EPS_PRIOR))
    return x + _mlp(parameters, f"{name}.mlp", _layer_norm(parameters, f"{name}.norm2", x, EPS))


def _block(parameters: Parameters, name: str, config: Config, x: Tensor, drop: _Drop) -> Tensor:
    """A transformer block with its norms first, on (N, n, C)."""
    x = x + drop(_attention(parameters, f"{name}.attn", config, _layer_norm(parameters, f"{name}.norm1", x, EPS)))
    return x + drop(_mlp(parameters, f"{name}.mlp", _layer_norm(parameters, f"{name}.norm2", x, EPS)))


def _attention(parameters: Parameters, name: str, config: Config, x: Tensor) -> Tensor:
    """Attention of n tokens to each other, (N, n, C)."""
    mixed = _linear(parameters, f"{name}.qkv", x)
    # (N, n, 3, H, C / H) -> three of (N, H, n, C / H)
    if x.shape[1] == 1:  # a single token attends to itself
        return _linear(parameters, f"{name}.proj", mixed[..., -x.shape[-1] :])
    query, key, value = mixed.unflatten(-1, (3, config.heads, -1)).permute(2, 0, 3, 1, 4)
    scores = (query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5
    gathered = scores.softmax(-1) @ value
    return _linear(parameters, f"{name}.proj", gathered.transpose(1, 2).flatten(2))


def _mlp(parameters: Parameters, name: str, x: Tensor) -> Tensor:
    hidden = functional.gelu(_linear(parameters, f"{name}.fc1", x))
    return _linear(parameters, f"{name}.fc2", hidden)


def _linear(parameters: Parameters, name: str, x: Tensor) -> Tensor:
    return functional.linear(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])


def _layer_norm(parameters: Parameters, name: str, x: Tensor, eps: float) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], parameters[f"{name}.weight"], parameters[f"{name}.bias"], eps)


def _over_joints(x: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
    """``work`` on (B * F, J, c): every frame is a row of joints."""
    return work(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def _over_frames(x: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
    """``work`` on (B * J, F, c): every joint is a row of frames."""
    windows, frames, joints = x.shape[:3]
    rows = work(x.transpose(1, 2).reshape(windows * joints, frames, -1))
    return rows.view(windows, joints, frames, -1).transpose(1, 2)
