# SPDX-License-Identifier: Apache-2.0
"""Files of SemiUHPE: the published layout and ours, those that are nearly right, damaged or hostile."""

from __future__ import annotations

import os
import pickle
import zipfile

import numpy as np
import pytest
from hyoid.errors import WeightsError
from hyoid.systems.semiuhpe import checkpoint
from hyoid.systems.semiuhpe.config import BACKBONES, Config
from hyoid.systems.semiuhpe.plans import shapes_of

from tests.systems.semiuhpe_files import SMALL, drawn, write

torch = pytest.importorskip("torch")

MOBILE = Config("mobilenet")


@pytest.fixture(scope="module")
def model():
    return drawn(MOBILE)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_published_layout(tmp_path, model, prefix):
    found = checkpoint.load(write(tmp_path / "best.pth", model.parameters, prefix))
    assert found.config == MOBILE
    assert found.licence == "LicenseRef-SemiUHPE"
    assert len(found.digest) == 64
    assert list(found.parameters) == list(shapes_of(MOBILE))
    assert all(np.array_equal(found.parameters[name], array) for name, array in model.parameters.items())


def test_backbones_are_known_by_their_names(tmp_path):
    for backbone in BACKBONES:
        config = Config(backbone)
        names = dict.fromkeys(shapes_of(config), np.zeros(0))
        assert checkpoint._backbone(names, tmp_path) == backbone


def test_the_convention_of_networks_trained_on_300w_lp(tmp_path, model):
    path = write(tmp_path / "best.pth", model.parameters)
    assert checkpoint.load(path, "300w-lp").config == Config("mobilenet", convention="300w-lp")


@pytest.mark.parametrize("half", [False, True])
def test_our_own_files_tell_what_they_are(tmp_path, half):
    own = drawn()
    told = checkpoint.Model(SMALL, own.parameters, {"licence": "Apache-2.0", "quality": {"median": 4.5}})
    paths = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    for path in paths:
        checkpoint.save(path, told, half=half)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    found = checkpoint.load(paths[0])
    assert found.config == SMALL
    assert found.licence == "Apache-2.0"
    assert found.note["quality"] == {"median": 4.5}
    for name, array in own.parameters.items():
        np.testing.assert_allclose(found.parameters[name], array, rtol=1e-3 if half else 0, atol=1e-4 if half else 0)


def _changed(model, **changes):
    return {**model.parameters, **changes}


def test_one_error_tells_all_that_does_not_fit(tmp_path, model):
    parameters = _changed(model, more=np.zeros(2, "f4"))
    del parameters["classifier.7.bias"]
    parameters["classifier.7.weight"] = np.zeros((6, 64), "f4")
    with pytest.raises(WeightsError, match=r"1 missing: classifier\.7\.bias") as caught:
        checkpoint.load(write(tmp_path / "best.pth", parameters))
    assert "1 unexpected: more" in str(caught.value)
    assert "classifier.7.weight (6, 64), not (9, 64)" in str(caught.value)


def test_numbers_that_cannot_be(tmp_path, model):
    name = "features.0.1.running_var"
    for value, told in ((np.nan, "not finite"), (-1.0, "negative variances")):
        array = np.full(32, value, "f4")
        with pytest.raises(WeightsError, match=told):
            checkpoint.load(write(tmp_path / "best.pth", _changed(model, **{name: array})))


def test_other_networks_and_entries(tmp_path, model):
    with pytest.raises(WeightsError, match=r"no backbone of SemiUHPE but fc\.weight"):
        checkpoint.load(write(tmp_path / "best.pth", {"fc.weight": np.zeros((2, 2), "f4")}))
    with pytest.raises(WeightsError, match="no entry 'model_state_dict'"):
        checkpoint.load(write(tmp_path / "best.pth", model.parameters, entry="state_dict"))


def test_damaged_and_foreign_files(tmp_path, model):
    path = write(tmp_path / "best.pth", model.parameters)
    data = path.read_bytes()
    for content, told in (
        (data[: len(data) // 2], "not a sound checkpoint"), (b"", "neither a zip"), (b"PK\x03\x04", "not a sound"),
        (b"<!DOCTYPE html><html>403</html>", "web page"), (os.urandom(300), "neither a zip"),
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=told) as caught:
            checkpoint.load(path)
        assert caught.value.path == str(path)
        assert "DAD-" in str(caught.value)
    with pytest.raises(WeightsError, match="does not exist"):
        checkpoint.load(tmp_path / "none.pth")


def test_our_files_of_another_network(tmp_path):
    path = tmp_path / "own.safetensors"
    checkpoint.save(path, checkpoint.Model(Config("plain", 48, 0.5), drawn().parameters))
    with pytest.raises(WeightsError, match="of another shape"):
        checkpoint.load(path)


class _Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def test_a_file_never_runs(tmp_path):
    harm, path = tmp_path / "harm", tmp_path / "best.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("best/data.pkl", pickle.dumps({"model_state_dict": _Harm(str(harm))}, protocol=2))
    with pytest.raises(WeightsError, match="mkdir"):
        checkpoint.load(path)
    assert not harm.exists()
