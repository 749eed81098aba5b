# SPDX-License-Identifier: Apache-2.0
# pyright: reportArgumentType=false
"""FLAME and SMPL-X evaluated by Hyoid and by ``smplx.lbs.lbs``: equal outputs first, one thread, batch 1 and 64.

``python bench/smpl_family.py`` prints JSON. The tests' builder makes the files, in the published layout; their pose
shapes are made dense, and every joint is turned, so that nothing can be left out. An animation shows one person: the
identity, given in every row to both, is the same in all; ``people`` has another in each row. Times are the processor's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hyoid.errors import MissingToolError

SUMMARY = "FLAME and SMPL-X bodies, one thread: smplx.lbs beside ours, batch 1 and 64"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
TOLERANCE = 1e-5  # metres: float32 on both sides, joints 1.5 m from the root
COEFFICIENTS = {"FLAME": (100, 50), "SMPL-X": (10, 10)}  # of identity and expression, as they are mostly used
REPEATS = {1: 40, 64: 8}


def compare(kind: str, batch: int, people: bool = False) -> dict:
    """Check that both give the same vertices and joints, then time them in turns; ``people``: another in each row."""
    import torch
    from hyoid.characters.smpl import family
    from smplx.lbs import lbs

    from tests.characters import smpl_files

    torch.set_num_threads(1)
    shapes = 400 if kind == "FLAME" else 20
    content = smpl_files.arrays(kind, shapes)
    random = np.random.default_rng(3)
    content["posedirs"] = content["posedirs"] + random.normal(0, 1e-4, content["posedirs"].shape)
    with tempfile.TemporaryDirectory() as folder:
        model = family.read(smpl_files.write_npz(Path(folder) / "model.npz", content), (kind,))
    count, expressions = COEFFICIENTS[kind]
    betas, expression, pose = (
        random.normal(0, sigma, size).astype(np.float32)
        for sigma, size in ((1, (batch, count)), (0.3, (batch, expressions)), (0.3, (batch, len(model.parents), 3)))
    )
    if not people:
        betas[:] = betas[:1]
    basis = np.concatenate([model.identity[:, :, :count], model.expression[:, :, :expressions]], 2)
    arrays = (model.template[None], basis, model.pose.reshape(-1, model.pose.shape[2]).T, model.regressor.toarray())
    template, basis, correctives, regressor = (torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in arrays)
    parents = torch.from_numpy(model.parents.astype(np.int64))
    weights = torch.from_numpy(model.weights.toarray().astype(np.float32))
    coefficients = torch.from_numpy(np.concatenate([betas, expression], 1))
    vectors = torch.from_numpy(pose.reshape(batch, -1))

    def peer() -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            found = lbs(coefficients, vectors, template, basis, correctives, regressor, parents, weights)
            return found[0].numpy(), found[1].numpy()

    def ours() -> tuple[np.ndarray, np.ndarray]:
        return family.evaluate(model, betas, expression, pose)

    difference = max(float(np.abs(a - b).max()) for a, b in zip(peer(), ours(), strict=True))
    if difference > TOLERANCE:
        raise SystemExit(f"{kind}: outputs differ by {difference} m; expected at most {TOLERANCE}")
    return _times(peer, ours, batch) | {"largest_difference_m": difference}


def _times(peer: Callable, ours: Callable, batch: int) -> dict:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS[batch]):
        for run_one, kept in zip((peer, ours), times, strict=True):
            start = time.process_time()
            run_one()
            kept.append(time.process_time() - start)
    peer_time, our_time = (1e3 * statistics.median(kept) for kept in times)
    return {
        "peer_ms": round(peer_time, 3),
        "ours_ms": round(our_time, 3),
        "ratio": round(peer_time / our_time, 2),
        "fastest_and_slowest_ms": [[round(1e3 * f(kept), 3) for f in (min, max)] for kept in times],
    }


def run() -> dict:
    """Both models at both batch sizes, in a process with one thread.

    Raises:
        MissingToolError: the peer is not installed.
    """
    missing = [name for name in ("smplx", "torch") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingToolError(f"{' and '.join(missing)} is not installed", hint="The 'dev' extra brings it")
    root = Path(__file__).resolve().parents[1]
    path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    # The libraries read the number of threads when they load.
    done = subprocess.run(
        [sys.executable, __file__], env={**os.environ, **ONE_THREAD, "PYTHONPATH": path}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"bench/smpl_family.py failed: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def main() -> int:
    """Run the comparisons and print them as JSON."""
    argparse.ArgumentParser(description=SUMMARY).parse_args()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        print(json.dumps(run(), indent=1))
        return 0
    result: dict = {"threads": 1}
    for kind in COEFFICIENTS:
        result[kind] = {f"batch_{batch}": compare(kind, batch) for batch in REPEATS}
        result[kind]["batch_64_people"] = compare(kind, 64, people=True)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
