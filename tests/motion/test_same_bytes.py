# SPDX-License-Identifier: Apache-2.0
"""Equal input gives equal bytes on one machine, and nearly equal input nearly equal results."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid.motion import cameras, chain, joint_rotations, trajectory
from hyoid.motion.chain import Performance

from tests.motion import walks

ROOT = Path(__file__).resolve().parents[2]
TRUTH = walks.walk(seconds=20, speed=0.3)


def _joints() -> np.ndarray:
    return walks.noisy(walks.seen(TRUTH, walks.camera()), walks.camera(), 5)


def _cleaned(joints: np.ndarray) -> Performance:
    unknown = cameras.from_field_of_view((1280, 720), np.radians(55))
    return chain.clean(TRUTH.skeleton, joints, unknown, 30.0, landmarks=walks.landmarks(TRUTH.skeleton))


def digest() -> str:
    """Of everything that the chain makes of one clip."""
    done = _cleaned(_joints())
    arrays = (done.pose.rotations, done.pose.root, done.unlocked.rotations, done.joints, done.probability)
    return hashlib.sha256(b"".join(np.ascontiguousarray(one).tobytes() for one in arrays)).hexdigest()


@pytest.mark.parametrize("threads", ["1", "2"])
def test_processes_with_other_numbers_of_threads_make_the_same_bytes(threads):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, threads)
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "toolkit"), str(ROOT)])
    command = [sys.executable, "-c", "from tests.motion import test_same_bytes as t; print(t.digest())"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest()


def test_it_does_not_matter_where_arrays_lie_in_memory():
    joints = _joints()
    wanted = _cleaned(joints)
    random = np.random.default_rng(0)
    for offset in (8, 24, 40):
        # Holes of all sizes, so that results land in other places than before.
        blocks = [bytearray(int(size)) for size in random.integers(1, 60_000, 400)]
        del blocks[::2]
        room = np.empty(joints.nbytes + 64, np.uint8)
        moved = room[offset : offset + joints.nbytes].view(np.float64).reshape(joints.shape)
        moved[:] = joints
        found = _cleaned(moved)
        np.testing.assert_array_equal(found.pose.rotations, wanted.pose.rotations)
        np.testing.assert_array_equal(found.pose.root, wanted.pose.root)


def test_angles_of_columns_do_not_depend_on_what_lies_behind_them():
    values = np.random.default_rng(1).normal(size=(400, 3))
    np.testing.assert_array_equal(
        joint_rotations.direction(values[:, 2], values[:, 0]),
        np.arctan2(values[:, 2].copy(), values[:, 0].copy()),
    )


def test_the_last_bit_of_the_input_changes_no_more_than_the_last_bits_of_the_result():
    joints = _joints()
    wanted = _cleaned(joints)
    found = _cleaned(joints * (1 + 1e-15 * np.random.default_rng(2).normal(size=joints.shape)))
    # Ten thousand times the rounding of a number of size 1; it was a hundred million times before.
    np.testing.assert_allclose(found.pose.rotations, wanted.pose.rotations, atol=1e-11)
    np.testing.assert_allclose(found.pose.root, wanted.pose.root, atol=1e-11)


def test_the_stiffest_path_is_a_straight_line_to_many_digits():
    frames = 600
    line = np.linspace([0.0, 1.0, -9.0], [3.0, 1.1, -4.0], frames)
    noise = np.random.default_rng(3).normal(size=frames) * [[0.0], [0.0], [1.0]]
    precision = np.tile(np.eye(3) * 4.0, (frames, 1, 1))
    seen = trajectory.seen_only(line + 0.01 * noise.T, precision)
    path = trajectory.solve_path(seen, np.full(frames - 2, 3e11))
    # What is left over pulls as much this way as that, and has no lean: the conditions of the best line.
    left = (seen.positions - path) * 4.0
    assert np.abs(left.sum(0)).max() < 1e-6
    assert np.abs((left * np.linspace(-1, 1, frames)[:, None]).sum(0)).max() < 1e-6
