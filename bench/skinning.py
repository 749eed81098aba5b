# SPDX-License-Identifier: Apache-2.0
# pyright: reportArgumentType=false
"""Posing many frames: ours against smplx.lbs and against the anny package, equal outputs first, one thread.

``python bench/skinning.py [--repeats 5] [--anny]`` prints JSON. The anny part builds that package's head model (about a
minute and a cache of some hundred megabytes on the first run), so it has to be asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from hyoid import characters
from hyoid.characters import performance
from hyoid.geometry import rotations, skinning

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
BATCH = 64
TOLERANCE = 1e-5  # metres: float32 on both sides


def compare(peer: Callable[[], np.ndarray], ours: Callable[[], np.ndarray], repeats: int) -> dict:
    """Check that both give the same, then time them in turns."""
    difference = float(np.abs(peer() - ours()).max())
    if difference > TOLERANCE:
        raise SystemExit(f"outputs differ by {difference} m; expected at most {TOLERANCE}")
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for run, kept in zip((peer, ours), times, strict=True):
            start = time.perf_counter()
            run()
            kept.append(time.perf_counter() - start)
    peer_time, our_time = (1e3 * statistics.median(kept) / BATCH for kept in times)
    return {
        "peer_ms_per_frame": round(peer_time, 3),
        "ours_ms_per_frame": round(our_time, 3),
        "ratio": round(peer_time / our_time, 2),
        "largest_difference_m": difference,
        "spread": [[round(1e3 * t / BATCH, 3) for t in kept] for kept in times],
    }


def against_smplx(part: str, repeats: int) -> dict:
    """The bundled human: 55 shapes and linear blend skinning of a batch, with smplx.lbs as the peer.

    smplx.lbs takes shapes as ``shapedirs``; its pose correctives are given no columns to move (zeros), so the same
    mesh comes out; that product is part of its cost, as in every use of it.
    """
    import torch
    from smplx.lbs import batch_rigid_transform, batch_rodrigues, blend_shapes

    torch.set_num_threads(1)
    human = characters.load("human", part=part)
    count, joints = len(human.vertices), len(human.joint_names)
    random = np.random.default_rng(1)
    vectors = random.normal(0, 0.15, (BATCH, joints, 3)).astype(np.float32)
    shape_weights = random.random((BATCH, len(human.shapes.names))).astype(np.float32) * 0.5
    dense = performance.shape_matrix(human.shapes, count).toarray().reshape(count, 3, -1)
    table = torch.from_numpy(dense)
    weights = torch.from_numpy(
        skinning.weight_matrix(human.weight_joints, human.weights, joints).toarray()[None].repeat(BATCH, 0)
    )
    rest, heads = torch.from_numpy(human.vertices), torch.from_numpy(human.heads)
    parents = torch.from_numpy(human.parents.astype(np.int64))

    def peer() -> np.ndarray:
        # The steps of smplx.lbs.lbs without its pose correctives and joint regressor, which this character has not:
        # a favour to the peer.
        shaped = rest[None] + blend_shapes(torch.from_numpy(shape_weights), table)
        turns = batch_rodrigues(torch.from_numpy(vectors.reshape(-1, 3))).view(BATCH, -1, 3, 3)
        _, transforms = batch_rigid_transform(turns, heads[None].repeat(BATCH, 1, 1), parents)
        blended = torch.matmul(weights, transforms.view(BATCH, joints, 16)).view(BATCH, -1, 4, 4)
        ones = torch.ones(BATCH, count, 1)
        posed = torch.matmul(blended, torch.cat([shaped, ones], 2).unsqueeze(-1))
        return posed[:, :, :3, 0].numpy()

    def ours() -> np.ndarray:
        turns = rotations.from_rotation_vector(vectors).astype(np.float32)
        done = performance.Performance(shape_weights, turns, np.zeros((BATCH, 3), np.float32))
        return performance.deform(human, done)

    return {"vertices": count, "joints": joints, "shapes": len(human.shapes.names)} | compare(peer, ours, repeats)


def against_anny(repeats: int) -> dict:
    """The anny package's own head model with its 52 shapes, posed by the package and by our skinning of its arrays."""
    import torch
    from anny import Anny  # pyright: ignore[reportMissingImports]
    from scipy import sparse

    torch.set_num_threads(1)
    model = Anny(rig="makehuman-head", topology="head", facial_actions="all", skinning_method="lbs").to(torch.float32)
    labels = list(model.bone_labels)
    random = np.random.default_rng(2)
    faces = {
        name: torch.from_numpy(random.random(BATCH).astype(np.float32) * 0.5) for name in model.facial_action_labels
    }
    vectors = random.normal(0, 0.1, (BATCH, len(labels), 3)).astype(np.float32)
    pose = torch.eye(4).repeat(BATCH, len(labels), 1, 1)
    pose[..., :3, :3] = torch.from_numpy(rotations.to_matrix(rotations.from_rotation_vector(vectors)))
    person = {"gender": torch.full((BATCH,), 0.3), "age": torch.full((BATCH,), 0.7)}

    def official() -> dict:
        with torch.no_grad():
            return model(pose_parameters=pose, phenotype_kwargs=person, facial_actions=faces)

    first = official()
    # Rest vertices are linear in the facial weights: the package's own arrays, read through its own answers.
    rest, bone = first["rest_vertices"].numpy(), first["rest_bone_poses"].numpy().astype(np.float64)
    with torch.no_grad():
        still = model(pose_parameters=None, phenotype_kwargs=person, facial_actions={})["rest_vertices"][0].numpy()
    columns = np.stack([values.numpy() for values in faces.values()], 1)
    offsets = []
    for name in faces:
        one = {other: torch.zeros(1) for other in faces} | {name: torch.ones(1)}
        with torch.no_grad():
            single = model(phenotype_kwargs={k: v[:1] for k, v in person.items()}, facial_actions=one)
        offsets.append((single["rest_vertices"][0].numpy() - still).ravel())
    table = np.stack(offsets, 1)
    table[np.abs(table) < 1e-7] = 0
    skin = skinning.Skin(still, sparse.csr_matrix(_official_weights(model, len(still))), sparse.csr_matrix(table))

    def ours() -> np.ndarray:
        # Transforms come from the package's answer: kinematics differ by convention and are a small part of the time.
        return skin(transforms, columns)

    transforms = (first["bone_poses"].numpy().astype(np.float64) @ np.linalg.inv(bone))[:, :, :3]
    assert np.abs(still + (columns @ table.T).reshape(rest.shape) - rest).max() < TOLERANCE
    result = compare(lambda: official()["vertices"].numpy(), ours, repeats)
    return {"vertices": len(still), "joints": len(labels), "shapes": len(faces)} | result


def _official_weights(model, count: int) -> np.ndarray:
    dense = np.zeros((count, len(model.bone_labels)))
    indices, weights = model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy()
    np.add.at(dense, (np.arange(count)[:, None], indices), weights)
    return dense


def main() -> int:
    """Run the comparisons and print them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--anny", action="store_true", help="also against the anny package")
    arguments = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        # The libraries read these when they load: start again with them set.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    result = {
        "batch": BATCH,
        "threads": 1,
        "smplx_head": against_smplx("head", arguments.repeats),
        "smplx_full": against_smplx("full", arguments.repeats),
    }
    if arguments.anny:
        result["anny_head"] = against_anny(arguments.repeats)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
