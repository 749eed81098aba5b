# SPDX-License-Identifier: Apache-2.0
"""Heads out of pictures: what comes before and after the network, its engines, its ONNX file."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hyoid.errors import InputError, MissingToolError, UsageError
from hyoid.geometry import head_angles
from hyoid.systems.directmhp import boxes, checkpoint, infer, onnx, scores
from hyoid.systems.directmhp.config import SIZES, layers_of, sized

from tests.systems.directmhp_files import OFFICIAL, SMALL, drawn


@pytest.fixture(scope="module", params=[OFFICIAL, SMALL], ids=["angles", "matrix"])
def model(request):
    return checkpoint.Model(request.param, drawn(request.param), {"size": 128})


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (70, 110, 3)).astype(np.uint8)


def test_three_levels_have_the_same_layers_without_the_coarsest():
    kinds = [layer.kind for layer in layers_of(SMALL)]
    assert kinds.count("spp") == 1
    assert SMALL.strides == (8, 16, 32)
    assert SMALL.head == "model.24"
    assert OFFICIAL.head == "model.33"
    assert sized(1, 1) == SIZES["l6"]
    assert (SIZES["n6"].fields, SIZES["m6"].fields) == (15, 9)


def test_engines_agree(model, picture):
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    chosen = [infer.ready(model, engine=engine) for engine in ("torch", "onnxruntime")]
    padded = boxes.letterbox(picture, (128, 128), model.config.strides[-1])[0]
    for one, other in zip(*(detector.run(padded[None]) for detector in chosen), strict=True):
        assert one.shape[4] == model.config.fields
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-3)
    found = [infer.detect(detector, picture, confidence=0.2) for detector in chosen]
    assert len(found[0]) == len(found[1]) > 0
    np.testing.assert_allclose(found[0].boxes, found[1].boxes, atol=0.1)


def test_heads_have_the_promised_form(model, picture):
    pytest.importorskip("onnxruntime")
    detector = infer.ready(model, threads=1)
    heads = infer.detect(detector, picture, confidence=0.1)
    assert 0 < len(heads) <= boxes.MOST
    assert (heads.boxes.dtype, heads.confidence.dtype) == (np.float32, np.float32)
    assert heads.boxes.min() >= 0
    assert (heads.boxes <= [110, 70, 110, 70]).all()
    assert (np.diff(heads.confidence) <= 0).all()
    assert heads.confidence.min() > 0.1
    between = heads.rotations @ heads.rotations.swapaxes(1, 2)
    np.testing.assert_allclose(between, np.broadcast_to(np.eye(3), between.shape), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(heads.rotations), 1, atol=1e-9)
    again = infer.detect(detector, picture, confidence=0.1)
    assert np.array_equal(heads.boxes, again.boxes)
    none = infer.detect(detector, picture, confidence=1.0)
    assert (none.boxes.shape, none.confidence.shape, none.rotations.shape) == ((0, 4), (0,), (0, 3, 3))
    assert none.boxes.dtype == np.float32


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3, 2), (3000, 5000), (9000, 40)])
def test_pictures_of_any_size(model, shape):
    pytest.importorskip("onnxruntime")
    detector = infer.ready(model, threads=1)
    heads = infer.detect(detector, np.full((*shape, 3), 90, np.uint8), size=64, confidence=0.3)
    assert (heads.boxes <= [shape[1], shape[0]] * 2).all()
    assert np.isfinite(heads.rotations).all()


def test_a_view_of_a_picture_is_the_picture(model, picture):
    pytest.importorskip("onnxruntime")
    detector = infer.ready(model, threads=1)
    mirrored = picture[:, ::-1]
    one, other = (infer.detect(detector, given, confidence=0.1) for given in (mirrored, mirrored.copy()))
    assert np.array_equal(one.boxes, other.boxes)


@pytest.mark.parametrize(("given", "options", "error", "message"), [
    (np.zeros((4, 4), np.uint8), {}, InputError, "a picture is"),
    (np.zeros((4, 4, 4), np.uint8), {}, InputError, "a picture is"),
    (np.zeros((0, 4, 3), np.uint8), {}, InputError, "a picture is"),
    (np.zeros((4, 4, 3), np.float32), {}, InputError, "float32"),
    (np.zeros((4, 4, 3), np.uint8), {"size": 0}, UsageError, "a size of 0"),
    (np.zeros((4, 4, 3), np.uint8), {"size": 100_000}, UsageError, "a size of 100000"),
    (np.zeros((4, 4, 3), np.uint8), {"confidence": 1.5}, UsageError, "confidence 1.5"),
    (np.zeros((4, 4, 3), np.uint8), {"overlap": -1}, UsageError, "overlap -1"),
])  # fmt: skip
def test_wrong_arguments(given, options, error, message):
    detector = infer.Detector(checkpoint.Model(SMALL, drawn(SMALL)), "torch", lambda pictures: [])
    with pytest.raises(error, match=message):
        infer.detect(detector, given, **options)


def test_engines_that_are_not_there(monkeypatch):
    model = checkpoint.Model(SMALL, drawn(SMALL))
    with pytest.raises(UsageError, match="engine 'fast'"):
        infer.ready(model, engine="fast")
    with pytest.raises(UsageError, match="'onnxruntime' on 'cuda'"):
        infer.ready(model, engine="onnxruntime", device="cuda")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingToolError, match="with onnxruntime, which is not installed"):
        infer.ready(model, engine="onnxruntime")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingToolError, match="DirectMHP is evaluated with onnxruntime or torch"):
        infer.ready(model)


def test_the_exported_file(tmp_path, model):
    package, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    onnx.export(model, tmp_path / "heads.onnx", 128)
    package.checker.check_model(package.load(tmp_path / "heads.onnx"), full_check=True)
    session = runtime.InferenceSession(tmp_path / "heads.onnx", providers=["CPUExecutionProvider"])
    given = np.random.default_rng(1).integers(0, 256, (1, 128, 128, 3)).astype(np.uint8)
    found = session.run(None, {"pictures": given})
    assert [tuple(output.shape) for output in session.get_outputs()] == [array.shape for array in found]
    torch = pytest.importorskip("torch")
    from hyoid.systems.directmhp import network

    parameters = {name: torch.tensor(array) for name, array in model.parameters.items()}
    plain = network.forward(parameters, model.config, torch.from_numpy(given).permute(0, 3, 1, 2) / 255)
    for one, other in zip(found, plain, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=1e-3)
    onnx.export(model, tmp_path / "again.onnx", 128)
    assert (tmp_path / "heads.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
    with pytest.raises(UsageError, match="a side of 100 pixels"):
        onnx.graph_of(model, 100)


def test_resizing_keeps_a_ramp_and_reads_only_what_it_needs():
    ramp = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], 3, 2).repeat(64, 0)
    smaller = boxes.resized(ramp, (16, 64))
    assert np.abs(smaller[0, :, 0].astype(int) - (np.arange(64) * 4 + 1.5)).max() <= 1
    assert boxes.resized(ramp, (64, 256)) is ramp
    larger = boxes.resized(ramp, (64, 1024))
    assert (np.diff(larger[0, :, 0].astype(int)) >= 0).all()


def test_matrices_are_brought_to_rotations():
    turned = head_angles.matrices(np.array([[10, 170, 5], [0, 0, 0], [-60, -90, 80.0]]))
    noisy = 0.3 * turned + 0.01 * np.random.default_rng(0).standard_normal(turned.shape)
    assert head_angles.geodesic(boxes.rotations_of(noisy.reshape(-1, 9), "matrix"), turned).max() < 6
    mirrored = boxes.rotations_of(np.diag([1, 1, -0.1]).reshape(1, 9), "matrix")
    assert np.linalg.det(mirrored[0]) == pytest.approx(1)
    shares = np.array([[0.5, 1.0, 0.5], [0.5, 0.0, 0.5]])
    both = boxes.rotations_of(shares, "angles")
    np.testing.assert_allclose(both[0], both[1], atol=1e-12)  # the seam: both are seen from behind


def test_scores_without_any_match():
    truth = np.array([[0, 0, 0, 10, 10, 0, 0, 0.0]])
    found = scores.angle_errors(truth, np.zeros((0, 9)))
    assert (found.count, found.matched) == (1, 0)
    assert np.isnan(found.all).all()
