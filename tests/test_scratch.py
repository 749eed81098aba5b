# SPDX-License-Identifier: Apache-2.0
"""Arrays that lie in a file: the same numbers, hardly any memory, nothing left behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid import scratch
from hyoid.formats import npz

LARGE = (300, scratch.LARGE // 8 // 100)


def _resident() -> float:
    """Megabytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_numbers_stay_when_memory_is_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    array = scratch.empty(LARGE)
    array[:] = np.arange(LARGE[0])[:, None]
    part = array[7:9]
    scratch.give_back(part)
    assert (array == np.arange(LARGE[0])[:, None]).all()
    part += 1
    scratch.give_back(array)
    assert array[8, 3] == 9
    assert not list(tmp_path.iterdir())  # it has no name that could be left behind


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_given_back():
    array = scratch.empty((20, scratch.LARGE // 8))
    before = _resident()
    array[:] = 1.0
    assert _resident() > before + 0.9 * array.nbytes / 1e6
    scratch.give_back(array)
    assert _resident() < before + 0.1 * array.nbytes / 1e6
    assert array[3, 3] == 1


def test_small_arrays_are_plain_ones():
    array = scratch.empty((10, 3), np.float32)
    assert array.dtype == np.float32
    assert array.base is None
    array[:] = 2
    scratch.give_back(array, array[2:])
    assert (array == 2).all()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room on the disk is taken another way here")
def test_a_full_disk_leaves_memory(monkeypatch):
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    array = scratch.empty(LARGE)
    assert array.base is None
    array[:] = 1
    scratch.give_back(array)
    assert (array == 1).all()


def test_pieces_are_all_frames_once():
    assert list(scratch.pieces(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(scratch.pieces(4, 2)) == [slice(0, 2), slice(2, 4)]
    assert list(scratch.pieces(0)) == [slice(0, 0)]


def test_a_file_of_such_an_array_is_that_of_a_plain_one(tmp_path):
    plain = np.random.default_rng(0).integers(0, 9, (1500, scratch.LARGE // 1000), np.int32)
    held = scratch.empty(plain.shape, plain.dtype)
    held[:] = plain
    for name, array in (("plain", plain), ("held", held)):
        npz.write_npz(tmp_path / f"{name}.npz", {"array": array, "none": np.zeros((0, 3)), "one": np.array(3.0)}, 1)
    assert (tmp_path / "plain.npz").read_bytes() == (tmp_path / "held.npz").read_bytes()
    found = npz.read_npz(tmp_path / "held.npz")
    assert np.array_equal(found["array"], plain)
    assert found["none"].shape == (0, 3)
    assert found["one"] == 3
