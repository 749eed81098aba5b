# SPDX-License-Identifier: Apache-2.0
"""Files of KTPFormer: the published layout and ours, those that are nearly right, damaged or hostile."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hyoid.errors import WeightsError
from hyoid.systems.ktpformer import checkpoint
from hyoid.systems.ktpformer.config import shapes_of

from tests.systems.ktpformer_files import SMALL, drawn, write

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model():
    return checkpoint.Model(SMALL, drawn())


def test_the_published_layout(tmp_path, model):
    found = checkpoint.load(write(tmp_path / "model.bin", model.parameters), heads=4)
    assert found.config == SMALL
    assert found.licence == "LicenseRef-KTPFormer"
    assert len(found.digest) == 64
    assert list(found.parameters) == list(shapes_of(SMALL))
    assert all(np.array_equal(found.parameters[name], array) for name, array in model.parameters.items())
    assert checkpoint.load(tmp_path / "model.bin").config.heads == 8  # as published, no shape tells


def test_parameters_that_share_or_stride_a_storage(tmp_path, model):
    own = {f"module.{name}": torch.tensor(array) for name, array in model.parameters.items()}
    name = "module.STEblocks.0.attn.qkv.weight"
    own[name] = torch.nn.Parameter(own[name].T.contiguous().T)
    wide = torch.zeros(64)
    wide[16:48] = own["module.head.0.bias"]
    own["module.head.0.bias"] = wide[16:48]
    torch.save({"model_pos": own}, tmp_path / "model.bin")
    found = checkpoint.load(tmp_path / "model.bin", heads=4)
    assert all(np.array_equal(found.parameters[name], array) for name, array in model.parameters.items())


def test_a_wrong_prefix_is_not_a_random_network(tmp_path, model):
    with pytest.raises(WeightsError, match=r"does not begin with 'module\.'") as caught:
        checkpoint.load(write(tmp_path / "model.bin", model.parameters, prefix=""))
    assert caught.value.path == str(tmp_path / "model.bin")


def test_one_error_tells_all_that_does_not_fit(tmp_path, model):
    parameters = dict(model.parameters)
    del parameters["head.1.bias"]
    parameters["STEblocks.0.attn.extra"] = np.zeros(3, np.float32)
    parameters["Spatial_norm.weight"] = np.zeros(7, np.float32)
    with pytest.raises(WeightsError) as caught:
        checkpoint.load(write(tmp_path / "model.bin", parameters), heads=4)
    text = str(caught.value)
    assert "1 missing: head.1.bias; 1 unexpected: STEblocks.0.attn.extra; 1 of another shape: Spatial_norm" in text
    assert "(7,), not (32,)" in text


@pytest.mark.parametrize(("name", "change", "message"), [
    ("tpattention.attn.Temporal_pos_embed", None, "lacks 'tpattention"),
    ("kpattention.attn.Spatial_pos_embed", np.zeros((1, 15, 32), np.float32), "is for 15 joints"),
    ("head.0.bias", np.full(32, np.nan, np.float32), "'head.0.bias' holds numbers that are not finite"),
    ("head.0.bias", np.zeros(32, np.int64), "'head.0.bias' holds numbers that are not finite"),
    ("kpattention.attn.kpa.bn.running_var", np.full(32, -1, np.float32), "negative variances"),
])  # fmt: skip
def test_weights_that_are_not_of_this_network(tmp_path, model, name, change, message):
    parameters = {**model.parameters, name: change}
    parameters = {key: array for key, array in parameters.items() if array is not None}
    with pytest.raises(WeightsError, match=message):
        checkpoint.load(write(tmp_path / "model.bin", parameters), heads=4)


def test_heads_that_do_not_divide_the_channels(tmp_path, model):
    with pytest.raises(WeightsError, match="5 heads for 32 channels"):
        checkpoint.load(write(tmp_path / "model.bin", model.parameters), heads=5)


class Hostile:
    """What a pickle runs when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize("entry", ["optimizer", "model_pos", "another"])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, model, entry):
    trap = tmp_path / "trap"
    more: dict[str, Any] = {entry: {"module.a": Hostile(trap)}}
    path = write(tmp_path / "model.bin", model.parameters, **more)
    with pytest.raises(WeightsError, match=r"system', which is not data") as caught:
        checkpoint.load(path)
    assert "Nothing of the file was run" in str(caught.value)
    assert not trap.exists()


def archive(path, content, storages=None, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("archive/data.pkl", content if isinstance(content, bytes) else pickle.dumps(content, 2))
        for name, data in (storages or {}).items():
            file.writestr(f"archive/data/{name}", data)
    return path


def promised(count: int, shape: str, stride: str) -> bytes:
    """A saved dict with one tensor, by hand (protocol 0): ``count`` numbers in storage 0."""
    return (
        b"(S'model_pos'\n(S'module.a'\nctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\n"
        b"S'cpu'\nI%d\ntQI0\n%s%sI00\nNtRdd." % (count, shape.encode(), stride.encode())
    )


@pytest.mark.parametrize(("content", "storages", "message"), [
    (promised(4, "(I2\nI2\nt", "(I2\nI1\nt"), {"0": bytes(16)}, "lacks 'tpattention"),  # sound, another network
    (promised(4, "(I2\nI3\nt", "(I3\nI1\nt"), {"0": bytes(16)}, "larger than its storage"),
    (promised(4, "(I1099511627775\nt", "(I0\nt"), {"0": bytes(16)}, "larger than its storage"),
    (promised(4, "(I2\nI2\nt", "(I-2\nI1\nt"), {"0": bytes(16)}, "promises a tensor"),
    (promised(1 << 36, "(I1\nt", "(I1\nt"), {"0": bytes(16)}, "16 are there"),
    (promised(4, "(I2\nt", "(I1\nt"), {}, "none are there"),
    ({"state_dict": {}}, {}, "has no entry 'model_pos' but state_dict"),
    ([1, 2], {}, "has no entry 'model_pos' but list"),
    ({"model_pos": {"module.a": 3}}, {}, "'module.a' is no tensor"),
    (b"garbage", {}, "is not"),
])  # fmt: skip
def test_damaged_archives(tmp_path, content, storages, message):
    with pytest.raises(WeightsError, match=message):
        checkpoint.load(archive(tmp_path / "model.bin", content, storages))


def test_an_archive_that_unpacks_to_more_than_it_holds(tmp_path):
    path = archive(tmp_path / "model.bin", bytes(1 << 20), method=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="promises more bytes"):
        checkpoint.load(path)


def test_every_truncation_is_one_clear_error(tmp_path, model):
    data = write(tmp_path / "model.bin", model.parameters).read_bytes()
    path = tmp_path / "cut.bin"
    for part in np.linspace(0, 0.999, 25):
        path.write_bytes(data[: int(part * len(data))])
        with pytest.raises(WeightsError):
            checkpoint.load(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match="JihuaPeng/KTPFormer"):
        checkpoint.load(tmp_path / "no.bin")


def test_a_file_of_ours_goes_round(tmp_path, model):
    noted = replace(model, note={"licence": "CC0-1.0", "seed": 3})
    checkpoint.save(tmp_path / "one.safetensors", noted)
    found = checkpoint.load(tmp_path / "one.safetensors")
    assert found.config == SMALL
    assert found.licence == "CC0-1.0"
    assert all(np.array_equal(found.parameters[name], array) for name, array in model.parameters.items())
    checkpoint.save(tmp_path / "two.safetensors", found)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    checkpoint.save(tmp_path / "half.safetensors", noted, half=True)
    halved = checkpoint.load(tmp_path / "half.safetensors")
    assert all(np.array_equal(halved.parameters[n], a.astype(np.float16)) for n, a in model.parameters.items())


def test_files_of_another_kind(tmp_path, model):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="1 arrays of another network"):
        checkpoint.load(tmp_path / "other.safetensors")
    (tmp_path / "text.bin").write_text("not weights")
    with pytest.raises(WeightsError, match="neither a zip of"):
        checkpoint.load(tmp_path / "text.bin")
    tree = (-1, *range(16))
    cyclic = replace(model, config=replace(SMALL, parents=(1, *tree[1:])))
    checkpoint.save(tmp_path / "cyclic.safetensors", cyclic)
    with pytest.raises(WeightsError, match="no sound table of joints"):
        checkpoint.load(tmp_path / "cyclic.safetensors")


def test_reading_weights_needs_no_torch(tmp_path, model):
    path = write(tmp_path / "model.bin", model.parameters)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from hyoid.systems.ktpformer import checkpoint, infer\n"
        f"print(checkpoint.load(Path({str(path)!r}), 4).config.frames)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "9"
