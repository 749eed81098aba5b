# SPDX-License-Identifier: Apache-2.0
"""Archives of arrays are reproducible and never execute what they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.formats.npz import read_npz, write_npz

ARRAYS = {"a": np.arange(12, dtype=np.int16).reshape(3, 4), "scalar": np.float64(2.5), "names": np.array(["x", "yy"])}


def test_round_trip_keeps_types_shapes_and_values(tmp_path):
    write_npz(tmp_path / "a.npz", ARRAYS)
    back = read_npz(tmp_path / "a.npz")
    assert list(back) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert back[name].dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(back[name], array)


def test_equal_arrays_give_equal_bytes(tmp_path):
    write_npz(tmp_path / "a.npz", ARRAYS)
    write_npz(tmp_path / "b.npz", {name: np.array(array) for name, array in ARRAYS.items()})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", bad=np.array([{"x": 1}], dtype=object))
    with pytest.raises(InputError, match="not a sound"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("tenth", range(10))
def test_a_file_cut_short_is_refused(tmp_path, tenth):
    write_npz(tmp_path / "a.npz", ARRAYS)
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[: len(whole) * tenth // 10])
    with pytest.raises(InputError):
        read_npz(tmp_path / "b.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.npz: the file does not exist"):
        read_npz(tmp_path / "none.npz")
