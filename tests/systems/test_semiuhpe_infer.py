# SPDX-License-Identifier: Apache-2.0
"""Boxes to directions: crops at borders, defined answers where nothing is seen, engines that agree."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hyoid.engines import ENGINES
from hyoid.errors import InputError, MissingToolError, UsageError
from hyoid.systems.semiuhpe import checkpoint, infer, onnx_graph
from hyoid.systems.semiuhpe.config import Config

from tests.systems.semiuhpe_files import SMALL, drawn

PICTURE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=ENGINES)
def estimator(request):
    pytest.importorskip(request.param)
    return infer.ready(drawn(), engine=request.param, threads=1)


def test_rotations_entropies_and_what_they_come_from(estimator):
    boxes = np.array([[10, 10, 40, 45], [30.5, 5.2, 60.1, 50.9], [50, 20, 95, 70]])
    found = infer.estimate(estimator, PICTURE, boxes)
    assert [array.dtype for array in (found.rotations, found.entropy, found.parameters)] == [np.float32] * 3
    np.testing.assert_allclose(
        found.rotations @ found.rotations.swapaxes(1, 2), np.tile(np.eye(3), (3, 1, 1)), atol=1e-5
    )
    np.testing.assert_allclose(np.linalg.det(found.rotations), 1, atol=1e-5)
    assert (found.entropy < 0).all()
    assert np.abs(np.diff(found.parameters, axis=0)).max() > 1e-3  # the picture matters
    one_by_one = infer.estimate(estimator, PICTURE, boxes, batch=1)
    np.testing.assert_allclose(one_by_one.parameters, found.parameters, atol=1e-5)


def test_with_a_mirror_a_mirrored_picture_gives_mirrored_directions(estimator, monkeypatch):
    side = estimator.config.size
    monkeypatch.setattr(infer, "crop", lambda image, box, size: image)  # the published one loses a column on one side
    picture = np.random.default_rng(5).integers(0, 256, (side, side, 3), np.uint8)
    boxes = [[0, 0, side, side]]
    found, other = (
        infer.estimate(estimator, image, boxes, mirror=True).parameters[0]
        for image in (picture, np.ascontiguousarray(picture[:, ::-1]))
    )
    np.testing.assert_allclose(other, found * np.outer((-1, 1, 1), (-1, 1, 1)), atol=1e-5)
    plain = infer.estimate(estimator, picture, boxes).parameters[0]
    assert np.abs(plain - found).max() > 1e-3
    assert np.abs(plain - other).max() > 1e-3


def test_no_boxes(estimator):
    for empty in (np.zeros((0, 4)), []):
        found = infer.estimate(estimator, PICTURE, empty)
        assert (found.rotations.shape, found.entropy.shape) == ((0, 3, 3), (0,))


def test_of_a_box_outside_nothing_is_known(estimator):
    boxes = [[-50, 0, -10, 30], [0, 61, 20, 80], [10, 10, 40, 40]]
    found = infer.estimate(estimator, PICTURE, boxes)
    np.testing.assert_array_equal(found.rotations[:2], np.tile(np.eye(3, dtype="f4"), (2, 1, 1)))
    np.testing.assert_allclose(found.entropy[:2], 0, atol=1e-4)
    assert found.entropy[2] < 0


@pytest.mark.parametrize("box", [[20, 20, 21, 21], [20, 20, 20.1, 20.1], [79.5, 59.5, 80, 60], [-5, -5, 0.5, 0.5]])
def test_boxes_of_a_pixel(estimator, box):
    assert np.isfinite(infer.estimate(estimator, PICTURE, [box]).parameters).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 50, 3), (50, 1, 3)])
def test_pictures_of_a_pixel(estimator, shape):
    found = infer.estimate(estimator, np.full(shape, 200, np.uint8), [[0, 0, 1, 1], [-4, -4, 60, 60]])
    assert np.isfinite(found.parameters).all()


def test_what_makes_no_sense_is_refused(estimator):
    for boxes, told in (([[1, 1, 5, 5], [4, 4, 4, 9]], "box 1 is 4, 4, 4, 9"), ([[0, 0, np.nan, 4]], "box 0"),
                        ([1, 2, 3, 4], "boxes are")):  # fmt: skip
        with pytest.raises(InputError, match=told):
            infer.estimate(estimator, PICTURE, boxes)
    with pytest.raises(InputError, match="float64"):
        infer.estimate(estimator, PICTURE / 255, [[0, 0, 9, 9]])
    with pytest.raises(UsageError, match="batches of 0"):
        infer.estimate(estimator, PICTURE, [[0, 0, 9, 9]], batch=0)


def test_a_crop_is_the_box_and_a_third_more():
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[40:60, 30:50] = 255
    found = infer.crop(picture, np.array([30, 40, 50, 60]), 52)  # 26 pixels wide: two each
    assert found[8:44, 8:44].min() > 200
    assert found[:4].max() < 20
    assert found[:, -4:].max() < 20


def test_outside_the_picture_is_black():
    picture = np.full((60, 60, 3), 255, np.uint8)
    found = infer.crop(picture, np.array([-20, 10, 20, 50]), 64)
    assert found[:, :10].max() == 0
    assert found[16:48, 40:].min() > 200


@pytest.mark.parametrize("backbone", ["plain", "mobilenet", "resnet18"])
def test_engines_agree_and_the_export_says_what_it_is(tmp_path, backbone):
    onnx, runtime = (pytest.importorskip(name) for name in ("onnx", "onnxruntime"))
    model = drawn(Config(backbone, 64, 0.5 if backbone != "resnet18" else 1.0))
    infer.export(model, tmp_path / "model.onnx")
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    told = {entry.key: entry.value for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert f'"backbone": "{backbone}"' in told["hyoid.semiuhpe"]
    assert "LicenseRef-SemiUHPE" in told["hyoid.semiuhpe"]
    images = np.random.default_rng(1).standard_normal((3, 3, 64, 64)).astype("f4")
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    exported = session.run([onnx_graph.OUTPUT], {onnx_graph.INPUT: images})[0]
    np.testing.assert_allclose(infer.ready(model, engine="onnxruntime").run(images), exported, atol=1e-5)
    pytest.importorskip("torch")
    np.testing.assert_allclose(infer.ready(model, engine="torch").run(images), exported, atol=1e-3)


def test_neither_engine_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingToolError, match="SemiUHPE is evaluated with onnxruntime or torch"):
        infer.ready(drawn())
    with pytest.raises(UsageError, match="tensorrt"):
        infer.ready(drawn(), engine="tensorrt")
    with pytest.raises(UsageError, match="'onnxruntime' on 'cuda'"):
        infer.ready(drawn(), "cuda", engine="onnxruntime")


def test_torch_is_not_needed(tmp_path):
    pytest.importorskip("onnxruntime")
    checkpoint.save(tmp_path / "own.safetensors", drawn())
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from hyoid.systems.semiuhpe import infer\n"
        f"found = infer.load({str(tmp_path / 'own.safetensors')!r})\n"
        "told = infer.estimate(found, np.zeros((40, 40, 3), np.uint8), [[5, 5, 30, 30]])\n"
        "assert found.engine == 'onnxruntime' and told.rotations.shape == (1, 3, 3)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_network_in_the_other_convention_means_the_same_head():
    own = drawn()
    other = checkpoint.Model(Config(SMALL.backbone, SMALL.size, SMALL.width, "300w-lp"), own.parameters)
    found = [infer.estimate(infer.ready(model), PICTURE, [[10, 10, 40, 45]]) for model in (own, other)]
    flip = np.diag([1, -1, -1])
    raw = found[0].parameters[0] @ flip
    np.testing.assert_allclose(found[1].parameters[0], flip @ raw.T @ flip, atol=1e-5)
