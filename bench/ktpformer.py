# SPDX-License-Identifier: Apache-2.0
"""KTPFormer forward of the released size (243 frames, 512 channels) beside plain torch modules with the same weights.

The peer (``_ktpformer_peer.py``) is what one would write down with ``nn.Module``; weights are drawn. ``ours`` must
agree with it first; ``rounded`` is ours with products in bfloat16, which agrees to its rounding: how far that moves
joints is told of our own weights and somebody who walks.
Times are the best of interleaved rounds for one window without its mirror image: those
of the processor for one thread, so that other programs count less, those of the clock for more. ``products`` are the
network's products with matrices that never change, ``attention`` those of queries, keys and values, both on what lies
ready and in the fastest form that torch has here, without norms, residuals or anything else: no forward that is built
on these takes less than their sum. Times of the clock count only where other programs leave the processor alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SUMMARY = "KTPFormer forward, 243 frames: ours beside plain torch modules with the same weights, 1 and 2 threads"
GOAL = 1.5  # times as fast as plain modules
QUIET = 0.75  # share of the threads' time that the processor gave, below which others used it too
TOLERANCE = 5e-5  # outputs have a standard deviation near 1
ROUNDED = 0.05  # the largest difference where products are in bfloat16


def weights(config: Any, seed: int = 0) -> dict[str, np.ndarray]:
    """Parameters of a network, drawn so that features keep their size."""
    from hyoid.systems.ktpformer.config import shapes_of

    random = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes_of(config).items():
        values = random.standard_normal(shape, np.float32)
        leaf = name.rsplit(".", 1)[1]
        if leaf in ("W", "weight") and len(shape) > 1:
            values /= np.sqrt(np.float32(shape[1]))
        elif leaf in ("M", "weight", "running_var"):
            values = np.abs(1 + 0.1 * values)
        else:
            values *= 0.05
        found[name] = values
    return found


def products(config: Any) -> Callable[[], None]:
    """All products with fixed matrices of one forward, on rows that lie ready, and nothing else."""
    import torch
    from hyoid.systems.ktpformer import fast

    c, rows = config.channels, config.frames * config.joints
    sizes = [(3 * c, c), (c, c), (2 * c, c), (c, 2 * c)] * (2 * config.depth + 2) + [(2 * c, c)] * 2
    random = torch.Generator().manual_seed(0)
    ready = {size: fast._product(torch.randn(size, generator=random), None, torch.float32) for size in set(sizes)}
    given = {width: torch.randn(rows, width, generator=random) for width in (c, 2 * c)}
    joints = torch.randn(config.frames, 2 * config.joints), torch.randn(config.joints * c, 2 * config.joints)
    frames = torch.randn(config.frames, config.frames), given[c].view(config.joints, config.frames, c)
    head = torch.randn(3, c, generator=random)

    def run_all() -> None:
        for size in sizes:
            fast._multiply(ready[size], given[size[1]])
        torch.nn.functional.linear(*joints)
        for _ in range(2):  # the graph convolutions of the frames
            torch.matmul(*frames)
        torch.nn.functional.linear(given[c], head)

    return run_all


def attention(config: Any) -> list[dict[str, Callable[[], Any]]]:
    """For the attention among joints and that among frames, the forms that torch has for the products of one block."""
    import torch

    heads, wide = config.heads, config.channels // config.heads
    found: list[dict[str, Callable[[], Any]]] = []
    for rows, length in ((config.frames, config.joints), (config.joints, config.frames)):
        query, key, value = torch.randn(3, rows * heads, length, wide).unbind()
        across, shares = key.mT.contiguous(), torch.rand(rows * heads, length, length)
        scores, gathered = torch.empty_like(shares), torch.empty_like(value)
        apart = [part.view(rows, heads, length, wide) for part in (query, key, value)]

        def two(given: tuple[Any, ...] = (query, across, scores, shares, value, gathered)) -> None:
            torch.bmm(*given[:2], out=given[2])
            torch.bmm(*given[3:5], out=given[5])

        def fused(given: list[Any] = apart) -> None:
            torch.nn.functional.scaled_dot_product_attention(*given)

        found.append({"bmm": two, "fused": fused})
    return found


def moved(frames: int = 600) -> dict[str, float]:
    """Millimetres by which products in bfloat16 move joints about the pelvis: our own weights, somebody who walks."""
    import lift_speed
    from hyoid.systems.ktpformer import checkpoint, infer

    points, camera = lift_speed.keypoints(frames)
    exact, rounded = (
        infer.lift(infer.load(checkpoint.find(), precision=name), points, *camera.size)
        for name in ("float32", "bfloat16")
    )
    apart = np.linalg.norm((exact - exact[:, :1]) - (rounded - rounded[:, :1]), axis=-1)
    return {"mean_mm": round(1000 * float(apart.mean()), 3), "most_mm": round(1000 * float(apart.max()), 3)}


def best(methods: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """The least milliseconds of each in interleaved rounds."""
    found = dict.fromkeys(methods, float("inf"))
    for _ in range(rounds):
        for name, method in methods.items():
            start = clock()
            method()
            found[name] = min(found[name], 1e3 * (clock() - start))
    return found


def timed(
    methods: dict[str, Callable[[], Any]],
    forms: list[dict[str, Callable[[], Any]]],
    blocks: int,
    rounds: int,
    clock: Callable[[], float],
) -> dict[str, Any]:
    """Milliseconds of each method and of the attention of all blocks (of each kind), ratios, and cores in use."""
    begun, used = time.perf_counter(), time.process_time()
    found = best(methods, rounds, clock)
    cores = (time.process_time() - used) / (time.perf_counter() - begun)
    fastest = [min((taken, name) for name, taken in best(kind, 5 * rounds, clock).items()) for kind in forms]
    found["attention"] = blocks * sum(taken for taken, _ in fastest)
    bound = found["products"] + found["attention"]
    return {
        **{f"{name}_ms": round(value, 1) for name, value in found.items()},
        "attention_forms": [name for _, name in fastest],
        "ratio": round(found["plain"] / found["ours"], 3),
        "ratio_rounded": round(found["plain"] / found["rounded"], 3),
        "ratio_of_products_alone": round(found["plain"] / bound, 3),
        "share_of_products": round(bound / found["ours"], 3),
        "cores": round(cores, 2),
    }


def run(frames: int = 243, rounds: int = 2, threads: tuple[int, ...] = (1, 2)) -> dict[str, Any]:
    """Best milliseconds of both, after their answers were found equal.

    Raises:
        MissingToolError: torch is not installed. HyoidError: the two do not agree.
    """
    from hyoid.errors import HyoidError, MissingToolError

    try:
        import torch
    except ImportError as error:
        raise MissingToolError("torch is not installed", hint="Install it: pip install 'hyoid[train]'") from error
    import _ktpformer_peer
    from hyoid.systems.ktpformer import fast
    from hyoid.systems.ktpformer.config import Config

    config = Config(frames=frames)
    parameters = {name: torch.from_numpy(array) for name, array in weights(config).items()}
    peer = _ktpformer_peer.Network(config).eval()
    peer.load_state_dict(parameters, strict=False)
    named = {name for name in peer.state_dict() if not name.endswith("num_batches_tracked")}
    assert named == set(parameters), "the peer has the published names"
    random = np.random.default_rng(1)
    keypoints = torch.from_numpy(random.normal(0, 0.3, (1, frames, config.joints, 2)).astype(np.float32))
    before = torch.get_num_threads()
    result: dict[str, Any] = {"frames": frames, "torch": torch.__version__}
    try:
        torch.set_num_threads(1)
        with torch.inference_mode():
            prepared = fast.prepare(parameters, config)
            expected = peer(keypoints)
            rounded = fast.prepare(parameters, config, "bfloat16")
            for name, network, most in (("", prepared, TOLERANCE), ("_rounded", rounded, ROUNDED)):
                error = float((fast.forward(network, keypoints) - expected).abs().max())
                if not error < most:
                    raise HyoidError(f"the two differ by {error:.2g}", expected=f"at most {most:g}")
                result[f"largest_difference{name}"] = error
            result |= {"standard_deviation": float(expected.std()), "moved": moved()}
            methods: dict[str, Callable[[], Any]] = {
                "plain": lambda: peer(keypoints), "ours": lambda: fast.forward(prepared, keypoints),
                "rounded": lambda: fast.forward(rounded, keypoints), "products": products(config),
            }  # fmt: skip
            for count in threads:
                torch.set_num_threads(count)
                result[f"threads_{count}"] = timed(
                    methods, attention(config), config.depth + 1, rounds,
                    time.process_time if count == 1 else time.perf_counter,
                )  # fmt: skip
    finally:
        torch.set_num_threads(before)
    return result


def show(result: dict[str, Any]) -> str:
    """Three lines for each number of threads: times, and whether the goal is reached, or within reach, of each kind."""
    lines = []
    for name, row in result.items():
        if not name.startswith("threads_"):
            continue
        limit, used = row["ratio_of_products_alone"], 100 * row["share_of_products"]
        within = "within reach" if limit >= GOAL else "out of reach on this machine"
        verdict = "reached" if row["ratio"] >= GOAL else f"missed, and {within}"
        threads = int(name.removeprefix("threads_"))
        if threads > 1 and row["cores"] < QUIET * threads:
            verdict = f"not judged, for other programs left only {row['cores']:.1f} cores"
        lines += [
            f"{threads} threads: plain {row['plain_ms']:.0f} ms, ours {row['ours_ms']:.0f} ms, "
            f"{row['ratio']:.2f} times as fast (goal {GOAL:g}: {verdict})",
            f"  products in bfloat16 {row['rounded_ms']:.0f} ms, {row['ratio_rounded']:.2f} times as fast "
            f"(goal {GOAL:g}: {'reached' if row['ratio_rounded'] >= GOAL else 'missed'})",
            f"  matrix products alone (fixed {row['products_ms']:.0f} ms, attention {row['attention_ms']:.0f} ms) "
            f"would be {limit:.2f} times as fast; they are {used:.0f} % of ours",
        ]
    exact, rounded = result["largest_difference"], result["largest_difference_rounded"]
    spread = result["standard_deviation"]
    told = (
        f"answers, of a standard deviation of {spread:.1f}, differ by {exact:.1e} at most, in bfloat16 by {rounded:.1e}"
    )
    return "\n".join([*lines, told])


if __name__ == "__main__":
    told = run()
    print(json.dumps(told, indent=1))
    print(show(told))
