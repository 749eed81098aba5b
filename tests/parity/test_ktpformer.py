# SPDX-License-Identifier: Apache-2.0
"""Our KTPFormer against the published code, on every reference case that is on disk.

Network cases refill every tensor from its key; they are written as a file of the published layout, so that what is
compared went through our own reader. Cases without tensors hold losses, metrics and the cutting into windows.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hyoid.geometry import joint_errors  # noqa: E402
from hyoid.systems.ktpformer import checkpoint, infer, network, train  # noqa: E402

from tests.parity.cases import ROOT, seeded  # noqa: E402

CASES = sorted(path.parent for path in (ROOT / "ktpformer").glob("*/case.json"))
NETWORKS = [case for case in CASES if json.loads((case / "case.json").read_text())["tensors"]]
OTHERS = [case for case in CASES if case not in NETWORKS]
TOLERANCE = 2e-5  # the cases allow 3e-4; outputs have a standard deviation of 1.3, the largest difference was 5e-6
STAGES = {"kpa": "kpattention", "tpa": "tpattention", "ste0": "STEblocks.0", "tte0": "TTEblocks.0"}

pytestmark = pytest.mark.skipif(not CASES, reason=f"no reference cases in {ROOT / 'ktpformer'}")


def _near(found: np.ndarray, expected: np.ndarray, tolerance: float = TOLERANCE) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda case: case.name)
def case(request, tmp_path_factory):
    """Model, inputs, outputs; the model comes out of a file as the published training writes it."""
    state, inputs, outputs, config = seeded().read_case(request.param)
    path = tmp_path_factory.mktemp("ktpformer") / "model_243_CPN_best_epoch.bin"
    tensors = {f"module.{name}": torch.from_numpy(array) for name, array in state.items()}
    torch.save({"epoch": 1, "random_state": np.random.RandomState(0), "model_pos": tensors}, path)
    model = checkpoint.load(path, config["num_heads"])
    expected = tuple(config[name] for name in ("num_frame", "embed_dim_ratio", "depth", "num_heads"))
    assert (model.config.frames, model.config.channels, model.config.depth, model.config.heads) == expected
    assert (model.config.left, model.config.right) == (tuple(config["joints_left"]), tuple(config["joints_right"]))
    assert model.config.parents == tuple(config["parents"])
    return model, inputs["keypoints_2d"], outputs


def test_plain_forward_and_features(case):
    model, keypoints, outputs = case
    parameters = {name: torch.tensor(array) for name, array in model.parameters.items()}
    with torch.inference_mode():
        given = torch.from_numpy(keypoints)
        _near(network.forward(parameters, model.config, given).numpy(), outputs["pred"])
        wanted = {name for sample, name in STAGES.items() if f"{sample}_sample" in outputs}
        found = {}
        for name, features in network.stages(parameters, model.config, given):
            if name in wanted:
                found[name] = features[:, :: max(1, model.config.frames // 9), ::4, ::32].numpy()
            if len(found) == len(wanted):
                break
    for sample, name in STAGES.items():
        if f"{sample}_sample" in outputs:
            _near(found[name], outputs[f"{sample}_sample"])


def test_fast_forward_and_mirror_averaging(case):
    model, keypoints, outputs = case
    lifter = infer.ready(model)
    _near(infer.lift_windows(lifter, keypoints, mirror=False), outputs["pred"])
    _near(infer.lift_windows(lifter, keypoints, mirror=True), outputs["pred_tta"])


@pytest.mark.parametrize("folder", OTHERS, ids=lambda case: case.name)
def test_losses_metrics_and_windows(folder):
    _, inputs, outputs, config = seeded().read_case(folder)
    predicted, target = inputs["pred"], inputs["target"]
    found = train.losses(
        torch.from_numpy(predicted), torch.from_numpy(target), tuple(config["joint_weights"]),
        consistency=config["temporal_consistency_weight"], velocity=config["velocity_weight"],
    )  # fmt: skip
    names = {"weighted_mpjpe": "position", "temporal_consistency": "consistency"}
    names |= {"velocity_train": "velocity", "total_loss": "total"}
    for name, own in names.items():
        assert float(getattr(found, own)) == pytest.approx(float(outputs[name]), abs=1e-6)
    # The evaluation joins windows in time, jumps between them included.
    rows = [joints.reshape(-1, *joints.shape[2:]) for joints in (predicted, target)]
    metrics = {"mpjpe": "mpjpe", "n_mpjpe": "n_mpjpe", "p_mpjpe": "p_mpjpe", "velocity_eval": "mpjve"}
    for name, own in metrics.items():
        assert getattr(joint_errors, own)(*rows).mean() == pytest.approx(float(outputs[name]), abs=1e-6)
    for name, expected in outputs.items():
        if name.startswith("window_frames_"):
            frames = int(name.rsplit("_", 1)[1])
            np.testing.assert_array_equal(infer.window_frames(frames, config["window"]), expected)
