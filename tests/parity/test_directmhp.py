# SPDX-License-Identifier: Apache-2.0
"""Our DirectMHP against the published code, on every reference case that is on disk.

What a case pins is told by its arrays. Networks refill every tensor from its key and go through a file of the published
layout, so that what is compared went through our own reader.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hyoid.geometry import head_angles
from hyoid.systems.directmhp import boxes, checkpoint, infer, scores

from tests.parity.cases import ROOT, seeded
from tests.systems.directmhp_files import write

torch = pytest.importorskip("torch")

from hyoid.systems.directmhp import network, train  # noqa: E402

CASES = sorted(path.parent for path in (ROOT / "directmhp").glob("*/case.json"))
pytestmark = pytest.mark.skipif(not CASES, reason=f"no reference cases in {ROOT / 'directmhp'}")


def holding(*names: str) -> list:
    """Cases whose archive holds an array of each name."""
    found = []
    for case in CASES:
        with np.load(case / "arrays.npz") as archive:
            if all(name in archive.files for name in names):
                found.append(pytest.param(case, id=case.name))
    return found


def read(folder):
    return seeded().read_case(folder)


def near(found, expected, tolerance: float) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.fixture(scope="module", params=holding("in.image", "out.raw0"))
def case(request, tmp_path_factory):
    """Model, inputs, outputs and config; the model comes out of a published file, or of one of that layout."""
    state, inputs, outputs, config = read(request.param)
    path = tmp_path_factory.mktemp("directmhp") / "best.pt"
    if config.get("half_rounded"):
        state = {key: value if "anchor" in key else value.astype(np.float16) for key, value in state.items()}
    if "checkpoint" in inputs:
        path.write_bytes(inputs["checkpoint"].tobytes())
    else:
        write(path, state)
    model = checkpoint.load(path)
    assert set(model.parameters) == {key for key in state if not key.endswith("num_batches_tracked")}
    for key, array in model.parameters.items():
        if "anchor" not in key or "checkpoint" not in inputs:
            assert np.array_equal(array, state[key].astype(np.float32)), key
        else:  # the file may round them to float16
            assert np.allclose(array, state[key], rtol=1e-3), key
    return model, inputs, outputs, config


def raw_of(outputs):
    return [outputs[f"raw{level}"] for level in range(sum(name.startswith("raw") for name in outputs))]


def test_layers_and_raw_outputs(case):
    model, inputs, outputs, _ = case
    parameters = {name: torch.tensor(array) for name, array in model.parameters.items()}
    given = torch.from_numpy(inputs["image"]).float() / 255
    for chosen in (parameters, network.folded(parameters)):
        with torch.inference_mode():
            for number, features in network.stages(chosen, model.config, given):
                if not isinstance(features, list) and f"tap{number}" in outputs:
                    step = max(1, features.shape[1] // 8)
                    near(features[:, ::step, ::2, ::2].numpy(), outputs[f"tap{number}"], 2e-3)
        assert isinstance(features, list)
        assert len(features) == len(raw_of(outputs))
        for found, expected in zip(features, raw_of(outputs), strict=True):
            near(found.numpy(), expected, 2e-3)


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_detections(case, engine):
    pytest.importorskip(engine)
    model, inputs, outputs, config = case
    detector = infer.ready(model, engine=engine)
    found = detector.run(np.ascontiguousarray(inputs["image"].transpose(0, 2, 3, 1)))
    for own, expected in zip(found, raw_of(outputs), strict=True):
        near(own, expected, 2e-3)
    rows = boxes.decoded([own[0] for own in found], model.anchors, model.config.strides)
    near(rows[:, :4], outputs["decoded"][0, :, :4], 0.1)
    near(rows[:, 4:], outputs["decoded"][0, :, 4:], 1e-3)
    heads = boxes.suppressed(rows, config["conf_thres"], config["iou_thres"])
    near(heads[:, :4], outputs["detections"][:, :4], 0.1)
    near(heads[:, 4:], outputs["detections"][:, 4:], 1e-3)
    sure = boxes.decoded([own[0] for own in found], model.anchors, model.config.strides, config["conf_thres"])
    assert np.array_equal(boxes.suppressed(sure, config["conf_thres"], config["iou_thres"]), heads)


@pytest.mark.parametrize("folder", holding("in.image0", "out.ratio_pad0"))
def test_letterbox_and_its_inverse(folder):
    _, inputs, outputs, config = read(folder)
    for number, how in enumerate(config["cases"]):
        picture = inputs[f"image{number}"]
        padded, placed = boxes.letterbox(
            picture, tuple(how["new_shape"]), how["stride"], least=how["auto"], enlarge=how["scaleup"]
        )
        near(padded.astype(int), outputs[f"image{number}"].astype(int), 1)
        near(np.array([placed.gain, placed.gain, *placed.padding]), outputs[f"ratio_pad{number}"], 1e-5)
        back = boxes.to_picture(inputs[f"boxes{number}"], padded.shape, picture.shape)
        near(back, outputs[f"boxes{number}"], 1e-3)


@pytest.mark.parametrize("folder", holding("in.decoded", "out.set0_image0"))
def test_suppression(folder):
    _, inputs, outputs, config = read(folder)
    for number, how in enumerate(config["sets"]):
        for picture, rows in enumerate(inputs["decoded"]):
            found = boxes.suppressed(rows, how["conf_thres"], how["iou_thres"], how["max_det"])
            near(found, outputs[f"set{number}_image{picture}"], 1e-5)


@pytest.mark.parametrize("folder", holding("in.pred0", "in.targets", "out.items"))
def test_assignment_losses_and_gradients(folder):
    _, inputs, outputs, config = read(folder)
    levels = len(inputs["anchors"])
    predicted = [torch.from_numpy(inputs[f"pred{level}"]).requires_grad_() for level in range(levels)]
    targets = torch.from_numpy(np.delete(inputs["targets"], 1, axis=1))
    anchors = torch.from_numpy(inputs["anchors"])
    for level, output in enumerate(predicted):
        found = train.matches(targets, anchors[level], (output.shape[2], output.shape[3]))
        places = torch.stack([found.picture, found.anchor, found.row, found.column], 1)
        assert np.array_equal(places.numpy(), outputs[f"match{level}"])
        for name, own in {"box": found.box, "angles": found.rotation, "anchor": found.anchors}.items():
            near(own.numpy(), outputs[f"match_{name}{level}"], 1e-5)
    gains = config["hyp"]
    expected = train.Gains(gains["box"], gains["obj"], gains["mse"], config["mse_conf_thre"])
    found = train.losses(predicted, targets, anchors, expected)
    terms = [found.box.item(), found.objectness.item(), 0.0, found.angle.item()]
    near(np.array(terms), outputs["items"], 1e-4)
    assert found.total.item() == pytest.approx(float(outputs["loss"][0]), abs=1e-4)
    found.total.backward()
    for level, output in enumerate(predicted):
        assert output.grad is not None
        gradient = output.grad.numpy()
        near(np.abs(gradient).sum((0, 1, 2, 3)), outputs[f"grad_by_channel{level}"], 1e-4)
        near(gradient[:, :, ::4, ::4], outputs[f"grad_sample{level}"], 1e-6)
    mine = train.gains_for(checkpoint.Config(), config["image_size"])
    assert (mine.box, mine.objectness, mine.angle) == pytest.approx((gains["box"], gains["obj"], gains["mse"]))


@pytest.mark.parametrize("folder", holding("in.labels", "out.matrices", "out.axes"))
def test_angles_and_matrices(folder):
    _, inputs, outputs, _ = read(folder)
    turned = head_angles.matrices(inputs["labels"])
    near(turned, outputs["matrices"], 1e-5)
    near((turned * [1, 1, -1])[:, :2].swapaxes(1, 2), outputs["axes"], 1e-5)
    told = head_angles.angles(inputs["rotations"])
    valid = (np.abs(told[:, [0, 2]]) < 90).all(1)
    assert np.array_equal(valid, outputs["valid"])
    between = (told[valid] - outputs["labels"][valid] + 180) % 360 - 180  # -180 and 180 are one yaw
    near(between, np.zeros_like(between), 1e-3)


@pytest.mark.parametrize("folder", holding("in.truth", "in.predictions", "out.counts"))
def test_errors_of_matched_heads(folder):
    _, inputs, outputs, config = read(folder)
    truth, predictions = (inputs[name].astype(np.float64) for name in ("truth", "predictions"))
    for rows in (truth, predictions):
        rows[:, 3:5] += rows[:, 1:3]  # width and height to the other corner
    found = scores.angle_errors(
        truth, predictions, confidence=config["score_threshold"], overlap=config["iou_threshold"]
    )
    counts = np.array([found.count, found.matched, found.backs, found.fronts])
    assert np.array_equal(counts, outputs["counts"])
    for name, own in {"": found.all, "_back": found.back, "_front": found.front}.items():
        near(own, outputs[f"pitch_yaw_roll{name}"], 1e-3)


def test_every_case_is_of_a_known_kind():
    kinds = ("out.raw0", "out.ratio_pad0", "out.set0_image0", "out.items", "out.axes", "out.counts")
    known = {param.values[0] for kind in kinds for param in holding(kind)}
    assert known == set(CASES)
    assert all(json.loads((case / "case.json").read_text())["note"] for case in CASES)
