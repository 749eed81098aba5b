# SPDX-License-Identifier: Apache-2.0
"""Speed of stabilisation: inference alone, and whole commands beside a loop of SciPy with the same robust settings."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _facestab_data import MILLIMETRES, SKIN, performance
from hyoid.characters import ict_data
from hyoid.characters.fit import face_points
from hyoid.characters.fit.transfer import plain_mesh
from hyoid.systems.facestab import checkpoint, infer

FRAMES, ROUNDS = 1500, 3

PEER = '''
"""Reads frames, aligns each with Rotation.align_vectors under Geman-McClure weights, writes them."""
import sys
import numpy as np
from scipy.spatial.transform import Rotation

given, written, places, unit = sys.argv[1], sys.argv[2], np.load(sys.argv[3]), float(sys.argv[4])
vertices = np.load(given)
corners, shares, target = places["vertices"], places["shares"], places["target"]
wanted = unit * np.einsum("knc,kn->kc", target[corners], shares)
out, turns = np.empty_like(vertices), []
for number, frame in enumerate(vertices):
    frame = frame.astype(np.float64)
    points = unit * np.einsum("knc,kn->kc", frame[corners], shares)
    weights, scale = np.ones(len(points)), None
    for round in range(51):
        own, other = weights @ points / weights.sum(), weights @ wanted / weights.sum()
        turn, _ = Rotation.align_vectors(wanted - other, points - own, weights=weights)
        residual = np.linalg.norm(turn.apply(points - own) + other - wanted, axis=1)
        scale = 3 * np.median(residual) if scale is None else scale
        scale = max(0.9 * scale, 1.0)
        weights = (scale**2 / (scale**2 + residual**2)) ** 2
    matrix = turn.as_matrix()
    out[number] = frame @ matrix.T + (other - matrix @ own) / unit
    turns.append(matrix)
np.save(written, out)
'''


def speed(weights: checkpoint.Model, model: ict_data.Model, points: Any) -> dict[str, Any]:
    """Frames a second in batches, and seconds of whole commands with equal outputs (``--method irls``)."""
    random = np.random.default_rng(1)
    template = weights.face.template.astype(np.float64)
    frames = template + random.normal(0, 1, (2048, *template.shape))
    infer.stabilise(frames[:128], template, model=weights)
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        infer.stabilise(frames, template, model=weights)
        times.append(time.perf_counter() - begun)
    result: dict[str, Any] = {
        "inference": {"points": len(template), "frames a second": round(len(frames) / min(times)), "goal": 500}
    }
    return result | {"whole command": commands(model, weights.face.rows)}


def commands(model: ict_data.Model, rows: np.ndarray) -> dict[str, Any]:
    """The command with each method, and the loop: from a file of frames to a file of frames."""
    made = performance(model, 100, 3)
    vertices = np.concatenate([made.source] * (FRAMES // 100)) / np.float32(MILLIMETRES)
    target = made.target[0] / np.float32(MILLIMETRES)
    faces = model.faces[(model.faces < SKIN.stop).all(1)].astype(np.int32)
    before = os.environ.get("HYOID_CACHE")
    with tempfile.TemporaryDirectory(prefix="hyoid-bench-") as name:
        folder = Path(name)
        np.savez(folder / "frames.npz", vertices=vertices, faces=faces, fps=np.array(30.0))
        np.save(folder / "frames.npy", vertices)
        np.savez(folder / "target.npz", vertices=target[None], faces=faces)
        os.environ["HYOID_CACHE"] = str(folder / "cache")  # the commands read the map that is made here
        begun = time.perf_counter()
        found = face_points.find(plain_mesh(target, faces), rows)
        mapped = time.perf_counter() - begun
        used = found.mask > 0
        np.savez(folder / "points.npz", vertices=found.vertices[used], shares=found.shares[used], target=target)
        (folder / "peer.py").write_text(PEER)
        words = [sys.executable, "-m", "hyoid", "stabilize", "frames.npz", "--target", "target.npz", "-o"]
        runs = {
            "irls": [*words, "irls.npz", "--method", "irls"], "facestab": [*words, "facestab.npz"],
            "scipy loop": [sys.executable, "peer.py", "frames.npy", "peer.npy", "points.npz", str(MILLIMETRES)],
        }  # fmt: skip
        seconds = {}
        for label, command in runs.items():
            taken = []
            for _ in range(1 if label == "scipy loop" else ROUNDS):
                begun = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True, capture_output=True)
                taken.append(time.perf_counter() - begun)
            seconds[label] = round(min(taken), 2)
        ours, peer = np.load(folder / "irls.npz")["vertices"], np.load(folder / "peer.npy")
        gap = float(np.abs(ours.astype(float) - peer).max() * MILLIMETRES)
    os.environ.pop("HYOID_CACHE")
    if before is not None:
        os.environ["HYOID_CACHE"] = before
    loop = seconds["scipy loop"]
    return {
        "frames": FRAMES, "vertices": int(vertices.shape[1]), "seconds": seconds,
        "seconds to map a new topology, once": round(mapped, 1),
        "largest difference irls - scipy, mm": gap,
        "irls is faster by": round(loop / seconds["irls"], 1),
        "facestab is faster by": round(loop / seconds["facestab"], 1), "goal": 5.0,
    }  # fmt: skip
