# SPDX-License-Identifier: Apache-2.0
"""The losses of KTPFormer on windows of root-relative joints (B, F, J, 3), metres.

The published training scales the gradient by the loss itself (as if its square were minimised); these are the losses
alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hyoid.geometry.human36m import LOSS_WEIGHTS

CONSISTENCY, VELOCITY = 0.5, 2.0


@dataclass(frozen=True)
class Losses:
    """Scalars: each term as it is, and their weighted sum."""

    position: Tensor
    consistency: Tensor
    velocity: Tensor
    total: Tensor


def losses(
    predicted: Tensor, target: Tensor, joint_weights: tuple[float, ...] = LOSS_WEIGHTS, *,
    consistency: float = CONSISTENCY, velocity: float = VELOCITY,
) -> Losses:  # fmt: skip
    """All terms of predicted and target joints (B, F, J, 3).

    Args:
        joint_weights: (J,). consistency, velocity: weights of these terms in the sum.
    """
    weights = predicted.new_tensor(joint_weights)
    terms = (
        weighted_position(predicted, target, weights), temporal_consistency(predicted, weights),
        velocity_error(predicted, target),
    )  # fmt: skip
    return Losses(*terms, terms[0] + consistency * terms[1] + velocity * terms[2])


def weighted_position(predicted: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean distance of the joints, each times its weight (J,)."""
    return (weights * (predicted - target).norm(dim=-1)).mean()


def temporal_consistency(predicted: Tensor, weights: Tensor) -> Tensor:
    """Mean square of the prediction's own steps, times the joints' weights (J,): less is smoother."""
    return (weights[:, None] * predicted.diff(dim=1).square()).mean()


def velocity_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean error of the joints' steps from frame to frame within windows."""
    return (predicted.diff(dim=1) - target.diff(dim=1)).norm(dim=-1).mean()
