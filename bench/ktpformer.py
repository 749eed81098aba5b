# SPDX-License-Identifier: Apache-2.0
"""KTPFormer forward of the released size (243 frames, 512 channels) beside plain torch modules with the same weights.

The peer (``_ktpformer_peer.py``) is what one would write down with ``nn.Module``; weights are drawn.
Both answers must agree first. Times are the best of interleaved rounds for one window without its mirror image: those
of the processor for one thread, so that other programs count less, those of the clock for more. ``products`` are the
network's products with weights alone, in the fastest form that torch has here: no forward built on it takes less.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SUMMARY = "KTPFormer forward, 243 frames: ours beside plain torch modules with the same weights, 1 and 2 threads"
GOAL = 1.5  # times as fast as plain modules
TOLERANCE = 5e-5  # outputs have a standard deviation near 1


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
    """All matrix products with weights of one forward, on rows that lie ready, and nothing else."""
    import torch
    from hyoid.systems.ktpformer import fast

    c, rows = config.channels, config.frames * config.joints
    sizes = [(3 * c, c), (c, c), (2 * c, c), (c, 2 * c)] * (2 * config.depth + 2) + [(2 * c, c)] * 2
    random = torch.Generator().manual_seed(0)
    ready = {size: fast._product(torch.randn(size, generator=random), None) for size in set(sizes)}
    given = {width: torch.randn(rows, width, generator=random) for width in (c, 2 * c)}

    def run_all() -> None:
        for size in sizes:
            fast._multiply(ready[size], given[size[1]])

    return run_all


def best(methods: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """The least milliseconds of each in interleaved rounds."""
    found = dict.fromkeys(methods, float("inf"))
    for _ in range(rounds):
        for name, method in methods.items():
            start = clock()
            method()
            found[name] = min(found[name], 1e3 * (clock() - start))
    return found


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
            error = float((fast.forward(prepared, keypoints) - expected).abs().max())
            if not error < TOLERANCE:
                raise HyoidError(f"the two differ by {error:.2g}", expected=f"at most {TOLERANCE:g}")
            result |= {"largest_difference": error, "standard_deviation": float(expected.std())}
            methods: dict[str, Callable[[], Any]] = {
                "plain": lambda: peer(keypoints), "ours": lambda: fast.forward(prepared, keypoints),
                "products": products(config),
            }  # fmt: skip
            for count in threads:
                torch.set_num_threads(count)
                found = best(methods, rounds, time.process_time if count == 1 else time.perf_counter)
                result[f"threads_{count}"] = {
                    **{f"{name}_ms": round(value, 1) for name, value in found.items()},
                    "ratio": round(found["plain"] / found["ours"], 3),
                    "ratio_of_products_alone": round(found["plain"] / found["products"], 3),
                }
    finally:
        torch.set_num_threads(before)
    return result


def show(result: dict[str, Any]) -> str:
    """A line for each number of threads, and whether the goal is reached or can be."""
    lines = []
    for name, row in result.items():
        if not name.startswith("threads_"):
            continue
        limit = row["ratio_of_products_alone"]
        verdict = "reached" if row["ratio"] >= GOAL else f"missed; its matrix products alone would give {limit:.2f}"
        lines.append(
            f"{name.removeprefix('threads_')} threads: plain {row['plain_ms']:.0f} ms, ours {row['ours_ms']:.0f} ms, "
            f"{row['ratio']:.2f} times as fast (goal {GOAL:g}: {verdict})"
        )
    return "\n".join([*lines, f"answers differ by {result['largest_difference']:.1e} at most"])


if __name__ == "__main__":
    told = run()
    print(json.dumps(told, indent=1))
    print(show(told))
