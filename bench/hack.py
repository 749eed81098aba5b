# SPDX-License-Identifier: Apache-2.0
"""HACK forward beside a straightforward dense implementation in torch, one thread, a synthetic folder of full size.

The synthetic model is the hardest case: every vertex follows all eight joints, every map and shape moves everything.
The peer is the formula as it stands in the paper: one einsum or product a term, in the same torch. An animation shows
one person, so the identity, given with every call, is the same in every row; ``new_identity`` is another each call, and
``rows_of_their_own`` another in every row as well. Times are the processor's, so that other programs do not count.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

SUMMARY = "HACK forward: ours beside a dense torch implementation, batch 1 and 64 (goals: not slower, 2 x)"
VERTICES, MODES = 14062, 200
TOLERANCE = 2e-5  # centimetres
ROUNDS = {1: 31, 64: 5}
GOALS = {1: 1.0, 64: 2.0}


def synthetic(seed: int = 0):
    """Data of a folder of the published size, all numbers drawn."""
    from hyoid.geometry.mesh import Mesh
    from hyoid.systems.hack import EXPRESSIONS
    from hyoid.systems.hack.checkpoint import Bones, Data, Space

    random = np.random.default_rng(seed)

    def normal(*shape: int, scale: float) -> np.ndarray:
        return random.standard_normal(shape, np.float32) * np.float32(scale)

    template = normal(VERTICES, 3, scale=6.0)
    no_faces = np.zeros((0, 4), np.int32)
    mesh = Mesh(template.astype(float), no_faces, np.zeros((0, 2), np.float32), no_faces, no_faces[:, 0], ())
    to_parent = np.tile(np.eye(4, dtype=np.float32), (8, 1, 1))
    to_parent[:, 1, 3] = (-12.0, *[1.6] * 7)
    to_model = to_parent.astype(float)
    for joint in range(1, 8):
        to_model[joint] = to_model[joint - 1] @ to_model[joint]
    bones = Bones(tuple("abcdefgh"), tuple(range(-1, 7)), to_parent, to_model, np.full(8, 1.6))
    weights = np.abs(normal(8, VERTICES, scale=1.0))
    y, x = np.mgrid[:256, :256]
    larynx_map = np.exp(-(((x - 127) / 12) ** 2) - ((y - 180) / 14) ** 2).astype(np.float32)
    larynx_map[larynx_map < 0.01] = 0
    identity = Space(template, normal(MODES, VERTICES, 3, scale=0.02))
    expressions = Space(normal(len(EXPRESSIONS), VERTICES, 3, scale=0.05), np.zeros((0, 55, VERTICES, 3), np.float32))
    maps = normal(8, 3, 3, VERTICES, 3, scale=0.08)
    correctives = Space(maps, np.zeros((0, *maps.shape), np.float32))
    positions = random.uniform(-0.9, 0.9, (VERTICES, 2)).astype(np.float32)
    return Data(
        Path("synthetic"), mesh, bones, weights / weights.sum(0), larynx_map,
        np.array([0, -0.45, 0.89], np.float32), positions, identity, expressions, correctives, None, "",
    )  # fmt: skip


def dense(data: Any):
    """The peer: a function of (theta, tau, alpha, expression, beta)."""
    import torch
    from hyoid.systems.hack.network import rotation_matrices
    from torch.nn import functional

    tensor = torch.from_numpy
    mean, modes = tensor(data.identity.mean), tensor(data.identity.modes)
    expressions, maps = tensor(data.expressions.mean), tensor(data.correctives.mean)
    weights, larynx, direction = tensor(data.weights), tensor(data.larynx_map), tensor(data.larynx_direction)
    grid, to_parent = tensor(data.larynx_position), tensor(data.bones.to_parent)
    from_model = torch.linalg.inv(tensor(data.bones.to_model)).float()

    def forward(theta, tau, alpha, expression, beta):
        batch = len(theta)
        rotation = rotation_matrices(theta)
        features = rotation - torch.eye(3)
        features[:, 0] = 0
        rest = mean + torch.einsum("bk,kvc->bvc", beta, modes)
        rest = rest + torch.einsum("bk,kvc->bvc", expression, expressions)
        rest = rest + torch.einsum("bjmn,jmnvc->bvc", features, maps)
        places = grid + functional.pad(2 * tau, (1, 0))[:, None]
        height = functional.grid_sample(
            larynx.expand(batch, 1, -1, -1), places[:, None], padding_mode="border", align_corners=True
        )
        rest = rest + (alpha[:, :, None] * height[:, 0, 0, :, None]) * direction
        turn = torch.eye(4).repeat(batch, 8, 1, 1)
        turn[:, :, :3, :3] = rotation
        local = to_parent @ turn
        world = [local[:, 0]]
        for joint in range(1, 8):
            world.append(world[-1] @ local[:, joint])
        blended = torch.einsum("bjrc,jv->bvrc", torch.stack(world, 1) @ from_model, weights)
        return (blended @ functional.pad(rest, (0, 1), value=1.0)[..., None])[..., :3, 0]

    return forward


def inputs(batch: int, seed: int = 1) -> list[Any]:
    """theta, tau, alpha, expression, beta of a batch; the identity is the same in every row."""
    import torch

    random = np.random.default_rng(seed)
    rows = {"theta": random.normal(0, 0.1, (batch, 8, 3)), "tau": random.uniform(-0.02, 0.03, (batch, 1))}
    rows |= {"alpha": random.uniform(0, 1.5, (batch, 1)), "expression": random.uniform(0, 1, (batch, 55))}
    rows["beta"] = np.repeat(random.normal(0, 1, (1, MODES)), batch, axis=0)
    return [torch.from_numpy(value.astype(np.float32)) for value in rows.values()]


def timed(methods: dict[str, Any], given: list[Any], rounds: int, change: bool) -> dict[str, float]:
    """Median milliseconds of the processor over interleaved calls; ``change``: another identity in every round."""
    times: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(rounds):
        own = [*given[:-1], given[-1] * (1.01 + 0.01 * number if change else 1)]
        for name, method in methods.items():
            start = time.process_time()
            method(*own)
            times[name].append(1e3 * (time.process_time() - start))
    ours, peer = (statistics.median(times[name]) for name in ("ours", "dense"))
    return {"ours_ms": ours, "dense_ms": peer, "ratio": peer / ours}


def run() -> dict[str, Any]:
    """Medians of interleaved rounds, after the vertices were found equal.

    Raises:
        MissingToolError: torch is not installed. HyoidError: the two do not agree.
    """
    from hyoid.errors import HyoidError, MissingToolError

    try:
        import torch
    except ImportError as error:
        raise MissingToolError("torch is not installed", hint="Install it: pip install 'hyoid[train]'") from error
    from hyoid.systems.hack.network import Hack

    data = synthetic()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    result: dict[str, Any] = {"vertices": VERTICES, "threads": 1, "torch": torch.__version__}
    try:
        with torch.inference_mode():
            methods = {"ours": Hack(data), "dense": dense(data)}
            for batch, rounds in ROUNDS.items():
                given = inputs(batch)
                error = float((methods["ours"](*given) - methods["dense"](*given)).abs().max())
                if not error < TOLERANCE:
                    raise HyoidError(f"the two differ by {error:.2g} cm", expected=f"at most {TOLERANCE:g} cm")
                result[f"batch_{batch}"] = {
                    **timed(methods, given, rounds, False), "goal": GOALS[batch], "largest_difference_cm": error,
                    "new_identity": timed(methods, given, rounds, True),
                }  # fmt: skip
                if batch > 1:
                    given[-1] = given[-1] * torch.linspace(0.5, 1.5, batch)[:, None]
                    result[f"batch_{batch}"]["rows_of_their_own"] = timed(methods, given, rounds, True)
    finally:
        torch.set_num_threads(before)
    return result


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
