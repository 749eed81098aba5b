# SPDX-License-Identifier: Apache-2.0
"""Our SemiUHPE against the published code, on every reference case that is on disk.

Network cases refill every tensor from its key; they are written as a file of the published layout, so that what is
compared went through our own reader.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hyoid.engines import ENGINES  # noqa: E402
from hyoid.geometry import head_angles  # noqa: E402
from hyoid.systems.semiuhpe import checkpoint, conventions, distribution, infer, losses, network  # noqa: E402

from tests.parity.cases import ROOT, seeded  # noqa: E402

CASES = sorted(path.parent for path in (ROOT / "semiuhpe").glob("*/case.json"))
TOLERANCE = 1e-3  # of the cases; relative to the largest number of an array
TAPS = 5e-5  # what float32 leaves: the largest seen was 4e-6

pytestmark = pytest.mark.skipif(not CASES, reason=f"no reference cases in {ROOT / 'semiuhpe'}")


def _of_kind(start: str) -> list:
    """Cases by what they hold: networks have tensors, the others are told by an array."""
    found = []
    for case in CASES:
        told = json.loads((case / "case.json").read_text())
        with np.load(case / "arrays.npz") as arrays:
            names = set(arrays.files)
        kinds = {"network": bool(told["tensors"]), "distribution": "out.log_normaliser" in names}
        kinds |= {"angles": "out.rotated_dad" in names, "crop": "in.box0" in names}
        if kinds[start]:
            found.append(case)
    return found


def _near(found, expected: np.ndarray, tolerance: float) -> None:
    found = np.asarray(found)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(1e-6, np.abs(expected).max()))


def _degrees(found: np.ndarray, expected: np.ndarray) -> None:
    between = (found - expected + 180) % 360 - 180
    assert np.abs(between).max() < TOLERANCE


def _sampled(features: np.ndarray) -> np.ndarray:
    steps = {4: (8, 7, 7), 3: (7, 8)}.get(features.ndim)
    if steps is None:
        return features[:, ::8]
    cuts = [slice(None, None, max(1, side // step)) for side, step in zip(features.shape[1:], steps, strict=True)]
    return features[(slice(None), *cuts)]


@pytest.fixture(scope="module", params=_of_kind("network"), ids=lambda case: case.name)
def case(request, tmp_path_factory):
    state, inputs, outputs, config = seeded().read_case(request.param)
    path = tmp_path_factory.mktemp("semiuhpe") / "DAD-COCOHead-best.pth"
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    tensors["bn.num_batches_tracked"] = torch.tensor(7)
    torch.save({"clock": {"epoch": 1, "minibatch": 2, "iteration": 3}, "model_state_dict": tensors}, path)
    model = checkpoint.load(path)
    assert model.config.backbone == config["network"]
    return model, np.moveaxis(inputs["image"], 1, -1), outputs


def test_the_plain_network(case):
    model, crops, outputs = case
    parameters = {name: torch.tensor(array) for name, array in model.parameters.items()}
    with torch.inference_mode():
        images = network.normalised(torch.from_numpy(crops))
        stages = dict(network.stages(parameters, model.config, images))
        feature = network.feature(parameters, model.config, images)
        found = network.head(parameters, model.config, feature).numpy()
    taps = {name.removeprefix("tap."): array for name, array in outputs.items() if name.startswith("tap.")}
    assert len(taps) >= 3
    for name, expected in taps.items():
        features = feature if name == "norm_head" else stages[name]
        _near(_sampled(features.numpy()), expected, TAPS)
    _near(feature.numpy()[:, ::8], outputs["feature"], TAPS)
    _near(found.reshape(-1, 9), outputs["params"], TAPS)
    u, s, v = distribution.proper_svd(found)
    _near(u @ v.swapaxes(-1, -2), outputs["rotation"], TOLERANCE)
    _near(distribution.entropy(s), outputs["entropy"], TOLERANCE)
    _degrees(conventions.dad_angles(distribution.mode(found)), outputs["pitch_yaw_roll"])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_folded_network(case, engine):
    pytest.importorskip(engine)
    model, crops, outputs = case
    estimator = infer.ready(model, engine=engine, threads=1)
    found = estimator.run(infer.normalised(crops))
    _near(found.reshape(-1, 9), outputs["params"], TOLERANCE)
    told = infer.directions(conventions.to_common(found))
    _near(told.rotations @ head_angles.FLIP, outputs["rotation"], TOLERANCE)


@pytest.mark.parametrize("folder", _of_kind("distribution"), ids=lambda case: case.name)
def test_the_distribution_and_the_losses(folder):
    _, inputs, outputs, config = seeded().read_case(folder)
    assert config["quadrature_nodes"] == distribution.NODES
    first, second = (inputs[name].reshape(-1, 3, 3) for name in ("params", "params2"))
    target = inputs["target"]
    _, s, _ = distribution.proper_svd(first)
    distinct = np.ptp(s, axis=-1) > 1e-4  # of the isotropic matrix the mode is any frame's, and the reference took none
    _near(distribution.mode(first), outputs["mode"], TOLERANCE)
    _near(s, outputs["proper_singular_values"], TOLERANCE)
    _near(distribution.log_normaliser(s), outputs["log_normaliser"], TOLERANCE)
    _near(distribution.log_normaliser_gradient(s), outputs["log_normaliser_grad"], TOLERANCE)
    _near(distribution.entropy(s), outputs["entropy"], TOLERANCE)
    _near(distribution.log_density(first, target), outputs["log_density"], TOLERANCE)
    one, two = (torch.tensor(array).double() for array in (first, second))
    truth = torch.tensor(target).double()
    found, gradient = _with_gradient(lambda a: losses.negative_log_likelihood(a, truth, config["overreg"]), one)
    _near(found, outputs["nll"], TOLERANCE)
    _near(gradient[distinct], outputs["nll_grad"][distinct], TOLERANCE)
    found, gradient = _with_gradient(lambda a: losses.cross_entropy_published(one, a), two)
    _near(found, outputs["cross_entropy"], TOLERANCE)
    _near(gradient, outputs["cross_entropy_grad"], TOLERANCE)
    assert len(distribution.uniform_grid()) == config["laplace_grid"]
    _near(losses.laplace(one, truth).numpy(), outputs["laplace_nll"], TOLERANCE)
    cosine = ((distribution.mode(first) * target).sum((-1, -2)) - 1) / 2
    inner = np.abs(cosine) < 1 - 1e-4  # beyond, the reference extends the arc cosine by a line
    angles = head_angles.geodesic(distribution.mode(first), target)
    np.testing.assert_allclose(angles[inner], outputs["angle"][inner], atol=TOLERANCE * 180)
    between = np.eye(3) - distribution.mode(first) @ target.swapaxes(-1, -2)
    _near(np.linalg.norm(between, axis=(-1, -2)), outputs["frobenius"], TOLERANCE)


def _with_gradient(loss, parameters) -> tuple[np.ndarray, np.ndarray]:
    given = parameters.clone().requires_grad_()
    found = loss(given)
    found.sum().backward()
    return found.detach().numpy(), given.grad.numpy().reshape(-1, 9)


@pytest.mark.parametrize("folder", _of_kind("angles"), ids=lambda case: case.name)
def test_angles_in_both_conventions(folder):
    _, inputs, outputs, _ = seeded().read_case(folder)
    _degrees(conventions.dad_angles(inputs["rotations"]), outputs["dad"])
    _degrees(conventions.wlp_angles(inputs["rotations"]), outputs["wlp_front"])
    _degrees(conventions.wlp_angles(inputs["rotations"], full=True), outputs["wlp_full"])
    _near(conventions.wlp_matrices(inputs["euler"]), outputs["wlp_matrices"], 1e-6)
    _near(conventions.dad_from_wlp(outputs["wlp_matrices"]), outputs["dad_matrices"], 1e-6)
    _near(conventions.to_common(outputs["dad_matrices"]), head_angles.matrices(inputs["euler"]).astype("f4"), 1e-6)
    turns = conventions.picture_turn(np.radians(inputs["image_rotation"]))
    _near(turns @ inputs["params"], outputs["rotated_dad"], 1e-5)
    _near(conventions.turned_wlp(inputs["params"], turns), outputs["rotated_wlp"], 1e-5)


@pytest.mark.parametrize("folder", _of_kind("crop"), ids=lambda case: case.name)
def test_crops(folder):
    _, inputs, outputs, config = seeded().read_case(folder)
    assert config["margin"] == 0.15
    for number in range(sum(name.startswith("box") for name in inputs)):
        x, y, width, height = inputs[f"box{number}"]
        box = np.array([x, y, x + width, y + height])
        found = infer.crop(inputs[f"image{number}"], box, config["size"])[::4, ::4]
        assert np.abs(found.astype(int) - outputs[f"crop{number}"]).max() <= 1
