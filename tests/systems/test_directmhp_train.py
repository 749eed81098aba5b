# SPDX-License-Identifier: Apache-2.0
"""Training of DirectMHP: targets, losses, augmentation, and that a small network learns, again and after a stop."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.geometry import head_angles
from hyoid.report import Report
from hyoid.systems.directmhp import checkpoint, infer
from hyoid.systems.directmhp.augment import Augmentation, augmented
from hyoid.systems.directmhp.config import SIZES

from tests.systems.directmhp_files import SMALL, drawn, toy

torch = pytest.importorskip("torch")

from hyoid.systems.directmhp import network, train  # noqa: E402

STILL = Augmentation(flip=0, scale=(1, 1), shift=0, hue=0, saturation=0, value=0)


def test_targets_of_both_kinds():
    turned = head_angles.matrices(np.array([[30, 120, -10], [0, 0, 120.0]]))
    boxes = [np.array([[10, 20, 30, 60], [0, 0, 8, 8.0]]), np.zeros((0, 4))]
    found = train.targets_of(boxes, [turned, np.zeros((0, 3, 3))], (100, 200), "angles")
    np.testing.assert_allclose(found, [[0, 0.1, 0.4, 0.1, 0.4, 30 / 180 + 0.5, 120 / 360 + 0.5, -10 / 180 + 0.5]], 1e-5)
    found = train.targets_of(boxes, [turned, np.zeros((0, 3, 3))], (100, 200), "matrix")
    assert found.shape == (2, 14)
    np.testing.assert_allclose(found[:, 5:].reshape(-1, 3, 3), turned, atol=1e-6)
    assert train.targets_of([boxes[1]], [np.zeros((0, 3, 3))], (8, 8), "matrix").shape == (0, 14)


def test_perfect_outputs_have_no_loss_but_objectness():
    boxes, turned = [np.array([[32, 32, 52, 54.0]])], [head_angles.matrices(np.array([[5, 175, 3.0]]))]
    targets = torch.from_numpy(train.targets_of(boxes, turned, (96, 96), "matrix"))
    anchors = torch.tensor(SMALL.anchors) / torch.tensor(SMALL.strides)[:, None, None]
    outputs = []
    for of_level, stride in zip(anchors, SMALL.strides, strict=True):
        output = torch.full((1, 3, 96 // stride, 96 // stride, 15), -9.0)
        found = train.matches(targets, of_level, (96 // stride, 96 // stride))
        place = (found.picture, found.anchor, found.row, found.column)
        told = torch.cat([(found.box[:, :2] + 0.5) / 2, (found.box[:, 2:] / found.anchors).sqrt() / 2], 1)
        output[place] = torch.cat([told.logit(), torch.full((len(told), 2), 9.0), found.rotation], 1)
        outputs.append(output)
    gains = train.gains_for(SMALL, 96, threshold=None)
    losses = train.losses(outputs, targets, anchors, gains, rotation="matrix")
    assert losses.box.item() == pytest.approx(0, abs=1e-5)
    assert losses.angle.item() == pytest.approx(0, abs=1e-5)
    assert losses.objectness.item() < 1e-3
    empty = train.losses(outputs, targets[:0], anchors, gains, rotation="matrix")
    assert empty.box.item() == empty.angle.item() == 0
    assert empty.objectness.item() > 10 * losses.objectness.item()
    ignored = torch.tensor([[0, 0.2, 0.2, 0.7, 0.7]])
    spared = train.losses(outputs, targets[:0], anchors, gains, rotation="matrix", ignored=ignored)
    assert spared.objectness.item() < 1e-3


def test_norms_follow_the_batch_only_in_training():
    parameters = {name: torch.tensor(array) for name, array in drawn(SMALL).items()}
    before = {name: value.clone() for name, value in parameters.items()}
    given = torch.rand(2, 3, 64, 96)
    network.forward(parameters, SMALL, given)
    assert all(torch.equal(parameters[name], before[name]) for name in parameters)
    network.forward(parameters, SMALL, given, training=True)
    changed = {name.rpartition(".")[2] for name in parameters if not torch.equal(parameters[name], before[name])}
    assert changed == {"running_mean", "running_var"}
    with pytest.raises(InputError, match="multiples of 32"):
        network.forward(parameters, SMALL, given[..., :90])


def test_a_mirrored_picture_has_mirrored_labels():
    pictures, boxes, turned = toy(0, 3)
    flipped = augmented(pictures, boxes, turned, seed=1, how=Augmentation(1, (1, 1), 0, 0, 0, 0))
    assert np.array_equal(flipped[0], pictures[:, :, ::-1])
    for own, other, one, two in zip(boxes, flipped[1], turned, flipped[2], strict=True):
        np.testing.assert_allclose(other, [[96, 0, 96, 0]] + own[:, [2, 1, 0, 3]] * [-1, 1, -1, 1], atol=1e-4)
        np.testing.assert_allclose(head_angles.angles(two), head_angles.angles(one) * [1, -1, -1], atol=1e-9)
    same = augmented(pictures, boxes, turned, seed=1, how=STILL)
    assert np.array_equal(same[0], pictures)
    assert np.array_equal(np.stack(same[1]), np.stack(boxes))


def test_scaled_pictures_carry_their_boxes():
    picture = np.zeros((1, 96, 96, 3), np.uint8)
    picture[0, 40:60, 30:50] = 255
    box, turned = [np.array([[30, 40, 50, 60.0]])], [np.eye(3)[None]]
    for seed in range(8):
        how = Augmentation(0.5, (0.7, 1.4), 0.1, 0, 0, 0)
        found, boxes, _, ignored = augmented(picture, box, turned, seed=seed, how=how)
        y, x = np.nonzero(found[0, ..., 0] == 255)
        np.testing.assert_allclose(boxes[0], [[x.min(), y.min(), x.max() + 1, y.max() + 1]], atol=1.6)
        assert ignored[0].shape == (0, 4)
        again = augmented(picture, box, turned, seed=seed, how=how)
        assert np.array_equal(found, again[0])
    gone = augmented(picture, [np.array([[-30, 0, 10, 40.0]])], turned, [np.array([[1, 2, 3, 4.0]])], seed=0, how=STILL)
    assert len(gone[1][0]) == len(gone[2][0]) == 0
    np.testing.assert_allclose(gone[3][0], [[1, 2, 3, 4], [0, 0, 10, 40]])


def test_training_goes_on_where_it_was_stopped(tmp_path):
    recipe = train.Recipe(steps=7, pictures=2, kept_every=3)
    seen = []

    def batches(step, count):
        seen.append(step)
        if stopped and step == 5:
            raise KeyboardInterrupt
        return toy(step, count, 64)

    stopped = False
    whole = train.train(batches, SMALL, recipe, note={"licence": "CC0-1.0"})
    stopped = True
    with pytest.raises(KeyboardInterrupt):
        train.train(batches, SMALL, recipe, note={"licence": "CC0-1.0"}, state=tmp_path / "state")
    stopped, seen[:] = False, []
    resumed = train.train(batches, SMALL, recipe, note={"licence": "CC0-1.0"}, state=tmp_path / "state")
    assert seen == [3, 4, 5, 6]
    assert all(np.array_equal(resumed.parameters[name], array) for name, array in whole.parameters.items())
    assert resumed.note["pictures_seen"] == 14
    with pytest.raises(InputError, match="another training"):
        train.train(batches, SMALL, recipe, note={"licence": "MIT"}, state=tmp_path / "state")


@pytest.mark.slow
def test_a_small_network_learns_to_find_discs_and_their_direction():
    told = []
    recipe = train.Recipe(steps=250, pictures=12, rate=8e-3, average=0.97, augmentation=None)
    report = Report(lambda event: told.append(event["what"]))
    model = train.train(toy, SMALL, recipe, report=report)
    assert told[-1].endswith(" degrees")
    detector = infer.ready(checkpoint.Model(model.config, model.parameters, {"size": 96}))
    pictures, boxes, turned = toy(10**6, 40)
    found = [infer.detect(detector, picture, size=96, confidence=0.3) for picture in pictures]
    errors = [
        head_angles.geodesic(heads.rotations[0], own[0]) for heads, own in zip(found, turned, strict=True) if len(heads)
    ]
    near = [np.abs(heads.boxes[0] - own[0]).max() < 8 for heads, own in zip(found, boxes, strict=True) if len(heads)]
    assert len(errors) >= 34
    assert np.mean(near) > 0.8
    assert np.median(errors) < 45  # chance is 127


def test_first_parameters_expect_few_heads():
    first = train.initial(SIZES["n5"], 0)
    bias = first["model.24.m.1.bias"].reshape(3, 15)
    np.testing.assert_allclose(bias[:, 4], np.log(8 / 40**2), rtol=1e-5)
    np.testing.assert_allclose(bias[:, 5], np.log(60), rtol=1e-5)
    parameters = {name: torch.tensor(array) for name, array in first.items()}
    outputs = network.forward(parameters, SIZES["n5"], torch.rand(2, 3, 64, 64), training=True)
    assert all(0.003 < output[..., 6:].std().item() < 3 for output in outputs)
