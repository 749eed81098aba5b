# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""What training makes small: each is a tensor (B,) of parameters A (B, 3, 3), with gradients by A.

None needs a gradient through the singular vectors but the published cross entropy: the derivative of log c is known
(:func:`hyoid.systems.semiuhpe.distribution.mean`), and of ``s1 + s2 + s3`` it is the mode.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hyoid.systems.semiuhpe import distribution

OVER = 1.025
"""Published factor of the normaliser in the supervised loss: keeps predictions from becoming too sure."""
_LEAST = 1e-8


class _LogNormaliser(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parameters: Tensor) -> Tensor:
        u, s, v = distribution.proper_svd(parameters.detach().double().cpu().numpy())
        gradient = distribution.log_normaliser_gradient(s)
        mean = (u * gradient[..., None, :]) @ v.swapaxes(-1, -2)
        ctx.save_for_backward(parameters.new_tensor(mean))
        return parameters.new_tensor(distribution.log_normaliser(s))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (mean,) = ctx.saved_tensors
        return gradients[0][..., None, None] * mean


def log_normaliser(parameters: Tensor) -> Tensor:
    """log c (B,) of the matrix Fisher distribution; backwards it gives the expected matrix."""
    return _LogNormaliser.apply(parameters)  # pyright: ignore[reportReturnType]


def negative_log_likelihood(parameters: Tensor, rotations: Tensor, over: float = OVER) -> Tensor:
    """``-tr(A^T R) + over * log c`` (B,) of true rotations (B, 3, 3)."""
    return over * log_normaliser(parameters) - (parameters * rotations).sum((-1, -2))


def cross_entropy(teacher: Tensor, student: Tensor) -> Tensor:
    """Exact cross entropy (B,) of the student under the teacher, which gets no gradient."""
    mean = student.new_tensor(distribution.mean(teacher.detach().double().cpu().numpy()))
    return log_normaliser(student) - (student * mean).sum((-1, -2))


def cross_entropy_published(teacher: Tensor, student: Tensor) -> Tensor:
    """The cross entropy (B,) of the published code, whose quaternion form has an index pair the wrong way round.

    It differs from the exact one by up to 0.1 where teacher and student disagree; for reproducing the paper. Gradients
    go through the singular vectors of the student, so two equal singular values give none that is finite.
    """
    s1, axes1 = _bingham(teacher.detach())
    s2, axes2 = _bingham(student)
    g = teacher.new_tensor(distribution.log_normaliser_gradient(s1.double().cpu().numpy()))
    moments = (1 + 2 * g - g.sum(-1, keepdim=True)) / 4
    exponents = -2 * (s2.sum(-1, keepdim=True) - s2)
    # Squares of products of quaternions, by the traces of the rotations that they are.
    dots = (1 + torch.einsum("bipq,bjpq->bij", axes1, axes2)) / 4
    base = dots[:, 0, 1:]  # of the teacher's mode with the student's axes
    turned = dots[:, 1:, 1:]  # [i, j]: teacher's i with the student's j; the exact form wants them swapped
    inner = base + ((turned - base[..., None]) * moments[:, None, :]).sum(-1)
    return log_normaliser(student) - s2.sum(-1) - (exponents * inner).sum(-1)


def laplace(parameters: Tensor, rotations: Tensor) -> Tensor:
    """Negative log likelihood (B,) of the rotation Laplace distribution, its normaliser by a grid of 4608 rotations."""
    mode = parameters.new_tensor(distribution.mode(parameters.detach().double().cpu().numpy()))
    total = (parameters * mode).sum((-1, -2))
    grid = parameters.new_tensor(distribution.uniform_grid())
    g = (total - (parameters * rotations).sum((-1, -2))).clamp(min=_LEAST).sqrt()
    over = (total[:, None] - parameters.flatten(1) @ grid.flatten(1).T).clamp(min=_LEAST).sqrt()
    log_factor = torch.logsumexp(-over - over.log(), -1) - float(torch.tensor(len(grid)).log())
    return g + g.log() + log_factor


def _proper_svd(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    u, s, vt = torch.linalg.svd(parameters)
    v = vt.transpose(-1, -2)
    ones = torch.ones_like(s[..., :2])
    signs = [torch.cat([ones, torch.linalg.det(m.detach()).sign()[..., None]], -1) for m in (u, v)]
    return u * signs[0][..., None, :], s * signs[0] * signs[1], v * signs[1][..., None, :]


def _bingham(parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Proper singular values (B, 3), and the axes (B, 4, 3, 3) of the distribution as rotations, the mode first."""
    u, s, v = _proper_svd(parameters)
    flips = [torch.ones(3), *(2 * torch.eye(3) - 1)]
    return s, torch.stack([(u * flip.to(u)) @ v.transpose(-1, -2) for flip in flips], 1)
