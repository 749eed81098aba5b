# SPDX-License-Identifier: Apache-2.0
# pyright: reportArgumentType=false
"""Posing many frames: ours against whole calls of smplx.lbs and of the anny package, equal outputs first, one thread.

``python bench/skinning.py`` prints JSON. The anny package builds its head model first: about a minute.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from hyoid import characters
from hyoid.characters import bundled, performance
from hyoid.errors import MissingToolError
from hyoid.geometry import rotations, skinning
from scipy import sparse

SUMMARY = "posing many frames, one thread: whole calls of smplx.lbs and of anny's forward beside ours"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
BATCH = 64
TOLERANCE = 2e-6  # metres: float32 on both sides


def compare(peer: Callable[[], np.ndarray], ours: Callable[[], np.ndarray], repeats: int, batch: int = BATCH) -> dict:
    """Check that both give the same, then time them in turns, by the processor's clock."""
    difference = float(np.abs(peer() - ours()).max())
    if difference > TOLERANCE:
        raise SystemExit(f"outputs differ by {difference} m; expected at most {TOLERANCE}")
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for run, kept in zip((peer, ours), times, strict=True):
            start = time.process_time()
            run()
            kept.append(time.process_time() - start)
    peer_time, our_time = (1e3 * statistics.median(kept) / batch for kept in times)
    return {
        "peer_ms_per_frame": round(peer_time, 3),
        "ours_ms_per_frame": round(our_time, 3),
        "ratio": round(peer_time / our_time, 2),
        "largest_difference_m": difference,
        "fastest_and_slowest_ms": [[round(1e3 * f(kept) / batch, 3) for f in (min, max)] for kept in times],
    }


def against_smplx(part: str, repeats: int) -> dict:
    """The bundled human: all its shapes and linear blend skinning of a batch, with smplx.lbs as the peer.

    The peer is one whole call of ``smplx.lbs.lbs``. The correctives of this character are among its shapes; the call
    cannot leave its own out, so it gets zeros, and that product is part of its cost as in every use of it.
    """
    import torch
    from smplx.lbs import lbs

    torch.set_num_threads(1)
    human = characters.load("human", part=part)
    count, joints = len(human.vertices), len(human.joint_names)
    random = np.random.default_rng(1)
    vectors = random.normal(0, 0.15, (BATCH, joints, 3)).astype(np.float32)
    shape_weights = random.random((BATCH, len(human.shapes.names))).astype(np.float32) * 0.5
    shapes = performance.shape_matrix(human.shapes, count).toarray().reshape(count, 3, -1)
    weights = skinning.weight_matrix(human.weight_joints, human.weights, joints).toarray()
    # lbs wants its joints from the moved mesh; ours stay where the person has them. An extra vertex for each joint,
    # which no shape moves, carries them through its regressor.
    rest = np.concatenate([human.vertices, human.heads])
    shapes = np.concatenate([shapes, np.zeros((joints, 3, shapes.shape[2]), np.float32)])
    weights = np.concatenate([weights, np.eye(joints, dtype=np.float32)])
    regressor = torch.eye(len(rest))[count:].contiguous()
    correctives = torch.zeros((joints - 1) * 9, 3 * len(rest))
    betas, pose, template, basis, mixing = (
        torch.from_numpy(array) for array in (shape_weights, vectors, rest[None], shapes, weights)
    )
    parents = torch.from_numpy(human.parents.astype(np.int64))

    def peer() -> np.ndarray:
        with torch.inference_mode():
            posed, _ = lbs(betas, pose, template, basis, correctives, regressor, parents, mixing)
            return posed[:, :count].numpy()

    def ours() -> np.ndarray:
        turns = rotations.from_rotation_vector(vectors).astype(np.float32)
        done = performance.Performance(shape_weights, turns, np.zeros((BATCH, 3), np.float32))
        return performance.deform(human, done)

    return {"vertices": count, "joints": joints, "shapes": len(human.shapes.names)} | compare(peer, ours, repeats)


def against_anny(repeats: int) -> dict:
    """The anny package's own forward of its head model, and the same work by our formulas on its arrays.

    Each row has a person of its own (eight phenotype axes), weights of the 52 facial shapes and turns of all bones, and
    both sides go from these numbers to posed vertices.
    """
    import torch
    from anny import Anny  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)
    model = Anny(rig="makehuman-head", topology="head", facial_actions="all", skinning_method="lbs").to(torch.float32)
    ours = AnnyHead(model)
    result: dict[str, Any] = {
        "vertices": len(ours.skin.rest), "joints": len(model.bone_labels), "shapes": len(model.facial_action_labels),
        "identity_shapes": ours.head_shapes.shape[0] - len(model.facial_action_labels),
    }  # fmt: skip
    for batch in (BATCH, 1):
        random = np.random.default_rng(2)
        person = random.random((batch, len(model.phenotype_labels))).astype(np.float32)
        faces = random.random((batch, len(model.facial_action_labels))).astype(np.float32) * 0.5
        vectors = random.normal(0, 0.1, (batch, len(model.bone_labels), 3)).astype(np.float32)
        pose = torch.eye(4).repeat(batch, len(model.bone_labels), 1, 1)
        pose[..., :3, :3] = torch.from_numpy(rotations.to_matrix(rotations.from_rotation_vector(vectors)))
        arguments = {
            "pose_parameters": pose,
            "phenotype_kwargs": torch.from_numpy(person),
            "facial_actions": torch.from_numpy(faces),
        }

        def peer(arguments=arguments) -> np.ndarray:
            with torch.inference_mode():
                return model(**arguments)["vertices"].numpy()

        def our(person=person, faces=faces, vectors=vectors) -> np.ndarray:
            return ours(person, faces, vectors)

        result[f"batch_{batch}"] = compare(peer, our, repeats * (1 if batch > 1 else 8), batch)
    return result


class AnnyHead:
    """Our formulas on the arrays of an anny model: phenotype, shapes, joints, skinning."""

    def __init__(self, model: Any) -> None:
        from anny.models.model_data import PHENOTYPE_VARIATIONS  # pyright: ignore[reportMissingImports]

        words = [word for group in PHENOTYPE_VARIATIONS.values() for word in group]
        self.axes = list(model.phenotype_labels)
        self.words = words
        mask = model.stacked_phenotype_blend_shapes_mask.numpy() > 0
        most = int(mask.sum(1).max())
        # The words of each target, filled up with a word that always counts 1.
        self.factors = np.array([[*np.flatnonzero(row), *[len(words)] * (most - row.sum())] for row in mask])
        self.combinations = sparse.csr_matrix(model.phenotype_blendshape_projection.numpy())
        shapes = model.blendshapes.numpy()
        table = np.ascontiguousarray(shapes.reshape(len(shapes), -1).T)
        dense = np.zeros((shapes.shape[1], len(model.bone_labels)))
        indices, weights = model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy()
        np.add.at(dense, (np.arange(len(dense))[:, None], indices), weights)
        self.skin = skinning.Skin(model.template_vertices.numpy(), sparse.csr_matrix(dense), table)
        self.heads = model.template_bone_heads.numpy()
        self.head_shapes = model.bone_heads_blendshapes.numpy().reshape(len(shapes), -1)
        self.parents = np.asarray(model.bone_parents)

    def __call__(self, person: np.ndarray, faces: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """Posed vertices (B, V, 3) of persons (B, axes), facial weights (B, 52) and turns (B, J, 3)."""
        batch = len(person)
        found: dict[str, np.ndarray] = {}
        values = dict(zip(self.axes, person.T, strict=True))
        for axis, anchors in bundled.AXES.items():
            places = [place for _, place in anchors]
            value = values.get(axis, np.full(batch, 0.5))
            found |= {word: np.interp(value, places, np.eye(len(places))[i]) for i, (word, _) in enumerate(anchors)}
        races = np.stack([values.get(race, np.full(batch, 0.5)) for race in bundled.RACES])
        found |= dict(zip(bundled.RACES, races / races.sum(0), strict=True))
        table = np.stack([*(found[word] for word in self.words), np.ones(batch)]).astype(np.float32)
        shares = table[self.factors[:, 0]]
        for column in self.factors.T[1:]:
            shares *= table[column]
        weights = np.concatenate([(self.combinations.T @ shares).T, faces], axis=1)
        heads = self.heads + (weights @ self.head_shapes).reshape(batch, -1, 3)
        turns = rotations.from_rotation_vector(vectors)
        # The package's root pose is absolute: without a translation its head lies at the origin.
        world = skinning.world_transforms(self.parents, heads, turns, -heads[:, 0])
        return self.skin(skinning.skin_transforms(world, heads), weights)


def run() -> dict[str, Any]:
    """All comparisons, in a process of its own with one thread.

    Raises:
        MissingToolError: anny or smplx is not installed.
        RuntimeError: a comparison failed, or the outputs differ.
    """
    for name in ("anny", "safetensors", "smplx", "torch", "yaml"):  # anny imports two of them
        if importlib.util.find_spec(name) is None:
            raise MissingToolError(f"{name} is not installed", hint="The dev extra brings it")
    # The libraries read the number of threads when they load.
    done = subprocess.run(
        [sys.executable, __file__], env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"bench/skinning.py failed: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def main() -> int:
    """Run the comparisons and print them as JSON."""
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        print(json.dumps(run(), indent=1))
        return 0
    result = {
        "batch": BATCH,
        "threads": 1,
        "smplx_head": against_smplx("head", arguments.repeats),
        "anny_head": against_anny(arguments.repeats),
    }
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
