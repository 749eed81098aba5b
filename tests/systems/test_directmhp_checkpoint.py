# SPDX-License-Identifier: Apache-2.0
"""Files of DirectMHP: the published layout and ours, those that are nearly right, damaged or hostile."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hyoid import torch_zip
from hyoid.errors import InputError, WeightsError
from hyoid.systems.directmhp import checkpoint
from hyoid.systems.directmhp.config import SIZES, convolutions_of, shapes_of

from tests.systems.directmhp_files import OFFICIAL, SMALL, drawn, write

torch = pytest.importorskip("torch")
HEAD = "model.33"


@pytest.fixture(scope="module")
def model():
    return checkpoint.Model(OFFICIAL, drawn())


def same(found, expected) -> bool:
    return set(found) == set(expected) and all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(("size", "parameters", "entries"), [
    ("s6", 12_375_084, 472), ("m6", 35_478_348, 652), ("l6", 76_678_636, 832),
])  # fmt: skip
def test_published_sizes(size, parameters, entries):
    shapes = shapes_of(SIZES[size])
    counters = len(convolutions_of(SIZES[size]))
    trained = [shape for name, shape in shapes.items() if "running" not in name and "anchor" not in name]
    assert sum(int(np.prod(shape)) for shape in trained) == parameters
    assert len(shapes) + counters == entries


@pytest.mark.parametrize("entry", ["model", "ema"])
def test_the_published_layout(tmp_path, model, entry):
    found = checkpoint.load(write(tmp_path / "best.pt", model.parameters, entry=entry))
    assert found.config == OFFICIAL
    assert found.licence == "LicenseRef-DirectMHP"
    assert found.size == 1280
    assert len(found.digest) == 64
    assert same(found.parameters, model.parameters)
    assert not [name for name in sys.modules if name.split(".")[0] == "models"]


def test_half_precision_is_read_as_it_is(tmp_path, model):
    halved = {name: array.astype(np.float16) for name, array in model.parameters.items()}
    found = checkpoint.load(write(tmp_path / "best.pt", halved))
    assert same(found.parameters, {name: array.astype(np.float32) for name, array in halved.items()})
    assert found.parameters["model.0.conv.conv.weight"].dtype == np.float32


def test_averaged_weights_are_preferred(tmp_path, model):
    other = drawn(seed=1)
    path = write(tmp_path / "best.pt", model.parameters, entry="ema", model={"a": 1})
    assert same(checkpoint.load(path).parameters, model.parameters)
    assert not same(other, model.parameters)


def test_plain_entries_are_still_read(tmp_path):
    torch.save({"model_state_dict": {"a.weight": torch.ones(2, 3)}}, tmp_path / "plain.pth")
    found = torch_zip.read(tmp_path / "plain.pth", "model_state_dict")
    assert np.array_equal(found["a.weight"], np.ones((2, 3), np.float32))
    with pytest.raises(InputError, match="has no entry 'other' but model_state_dict"):
        torch_zip.read(tmp_path / "plain.pth", "other")
    with pytest.raises(WeightsError, match="has no network under 'ema or model' but model_state_dict"):
        checkpoint.load(tmp_path / "plain.pth")


@pytest.mark.parametrize(("name", "change", "message"), [
    (f"{HEAD}.anchors", None, "holds 0 tables of anchors"),
    (f"{HEAD}.anchors", np.ones((5, 3, 2), np.float32), "has 5 output levels"),
    (f"{HEAD}.anchors", np.ones((4, 3, 2), np.float32), "contradict each other"),
    (f"{HEAD}.anchors", -np.ones((4, 3, 2), np.float32), "below 0"),
    (f"{HEAD}.m.0.weight", np.zeros((255, 16, 1, 1), np.float32), "255 numbers a cell"),
    ("model.9.conv.weight", None, "lacks 'model.9.conv.weight'"),
    ("model.9.conv.weight", np.zeros((64, 48, 1, 1), np.float32), "1 of another shape: model.9.conv.weight"),
    ("model.3.bn.bias", None, "1 missing: model.3.bn.bias"),
    ("model.3.extra.bias", np.zeros(3, np.float32), "1 unexpected: model.3.extra.bias"),
    ("model.3.bn.bias", np.full(16, np.nan, np.float32), "'model.3.bn.bias' holds numbers that are not finite"),
    ("model.3.bn.running_var", np.full(16, -1, np.float32), "below 0"),
])  # fmt: skip
def test_weights_that_are_not_of_this_network(tmp_path, model, name, change, message):
    parameters = {key: array for key, array in {**model.parameters, name: change}.items() if array is not None}
    with pytest.raises(WeightsError, match=message) as caught:
        checkpoint.load(write(tmp_path / "best.pt", parameters))
    assert caught.value.path == str(tmp_path / "best.pt")
    assert "\n" not in str(caught.value)


class Hostile:
    """What a pickle runs when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize("entry", ["optimizer", "training_results"])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, model, entry):
    trap = tmp_path / "trap"
    more: dict[str, Any] = {entry: Hostile(trap)}
    path = write(tmp_path / "best.pt", model.parameters, **more)
    with pytest.raises(WeightsError, match=r"system', which is not data") as caught:
        checkpoint.load(path)
    assert "Nothing of the file was run" in str(caught.value)
    assert not trap.exists()


def test_modules_that_contain_themselves_end(tmp_path):
    outer = torch.nn.Sequential(torch.nn.Identity())
    outer._modules["0"]._modules["1"] = outer
    torch.save({"model": outer}, tmp_path / "best.pt")
    with pytest.raises(WeightsError, match="nested more than"):
        checkpoint.load(tmp_path / "best.pt")


def test_modules_that_hold_a_part_twice_end(tmp_path):
    part = torch.nn.Sequential()
    for _ in range(40):
        outer = torch.nn.Sequential()
        outer._modules.update({"0": part, "1": part})
        part = outer
    torch.save({"model": part}, tmp_path / "best.pt")
    with pytest.raises(WeightsError, match="holds more than 50000 modules"):
        checkpoint.load(tmp_path / "best.pt")


def test_every_truncation_is_one_clear_error(tmp_path, model):
    data = write(tmp_path / "best.pt", model.parameters).read_bytes()
    path = tmp_path / "cut.pt"
    for part in np.linspace(0, 0.999, 12):
        path.write_bytes(data[: int(part * len(data))])
        with pytest.raises(WeightsError):
            checkpoint.load(path)


def test_files_of_another_kind(tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(WeightsError, match="HoyerChou/DirectMHP"):
        checkpoint.load(tmp_path / "no.pt")
    (tmp_path / "page.pt").write_text("<!DOCTYPE html><html><body>Sign in</body></html>")
    with pytest.raises(WeightsError, match=r"is a web page; .*Download the file itself"):
        checkpoint.load(tmp_path / "page.pt")
    (tmp_path / "text.pt").write_text("not weights")
    with pytest.raises(WeightsError, match="neither a zip of"):
        checkpoint.load(tmp_path / "text.pt")
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="1 arrays of another network"):
        checkpoint.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("config", [SMALL, OFFICIAL], ids=["matrix", "angles"])
def test_a_file_of_ours_goes_round(tmp_path, config):
    noted = checkpoint.Model(config, drawn(config), {"licence": "CC0-1.0", "size": 320})
    checkpoint.save(tmp_path / "one.safetensors", noted)
    found = checkpoint.load(tmp_path / "one.safetensors")
    assert found.config == config
    assert (found.licence, found.size) == ("CC0-1.0", 320)
    assert same(found.parameters, noted.parameters)
    assert found.note["config"]["rotation"] == config.rotation
    assert np.shape(found.note["config"]["anchors"]) == (config.levels, 3, 2)
    checkpoint.save(tmp_path / "two.safetensors", found)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    checkpoint.save(tmp_path / "half.safetensors", noted, half=True)
    halved = checkpoint.load(tmp_path / "half.safetensors").parameters
    assert np.array_equal(halved["model.1.bn.running_var"], noted.parameters["model.1.bn.running_var"])
    assert np.array_equal(halved["model.1.conv.weight"], noted.parameters["model.1.conv.weight"].astype(np.float16))
    assert (tmp_path / "half.safetensors").stat().st_size < 0.7 * (tmp_path / "one.safetensors").stat().st_size
    checkpoint.save(tmp_path / "odd.safetensors", replace(noted, note={"size": "large"}))
    with pytest.raises(WeightsError, match="tells the size 'large'"):
        checkpoint.load(tmp_path / "odd.safetensors")


def test_reading_weights_needs_no_torch(tmp_path, model):
    path = write(tmp_path / "best.pt", model.parameters)
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['onnx'] = None\n"
        "import numpy as np\n"
        "from hyoid.systems.directmhp import infer\n"
        f"found = infer.load({str(path)!r})\n"
        "print(found.engine, len(infer.detect(found, np.zeros((40, 60, 3), np.uint8), size=64)) >= 0)"
    )
    pytest.importorskip("onnxruntime")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["onnxruntime", "True"]
