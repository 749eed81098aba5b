# SPDX-License-Identifier: Apache-2.0
"""HACK in torch, and its parameters found again by descent: python examples/python/hack_forward.py HACK-Model

Needs torch (pip install 'hyoid[train]') and the folder that HACK's authors publish (docs/hack.md).
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from hyoid.systems.hack import infer

STEPS, ROUNDS = 200, 4
TAU = 0.05  # so that a unit of larynx travel weighs about as much as a radian


def main(folder: Path) -> None:
    """Turn the atlas and raise the larynx, then recover both from the vertices alone.

    On the published weights neighbouring joints share a turn: the surface is found to a fraction of a millimetre, the
    angles less exactly.
    """
    model = infer.load(folder)
    theta, tau = torch.zeros(1, 8, 3), torch.full((1, 1), 0.02)  # radians in bone axes; 0.02 is about 6.5 mm
    theta[0, 6, 1] = 0.4
    alpha, expression = torch.ones(1, 1), torch.zeros(1, 55)
    target = model(theta, tau, alpha, expression).detach()  # (1, V, 3) centimetres

    pose, travel = torch.zeros(1, 8, 3, requires_grad=True), torch.zeros(1, 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([pose, travel], max_iter=STEPS, history_size=30, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        error = (model(pose, TAU * travel, alpha, expression) - target).square().sum(-1).mean()
        error.backward()
        return error

    for _ in range(ROUNDS):  # a search that gives up on rounding begins anew where it ended
        optimiser.step(loss)
    with torch.inference_mode():
        distance = (model(pose, TAU * travel, alpha, expression) - target).norm(dim=-1).max()
        sys.stdout.write(
            f"{len(target[0])} vertices, within {10 * distance.item():.3f} mm;"
            f" atlas {pose[0, 6, 1].item():.3f} rad, tau {TAU * travel.item():.4f}\n"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
