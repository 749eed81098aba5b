# SPDX-License-Identifier: Apache-2.0
"""hyoid headpose with the networks themselves, weights drawn and not learned: it writes what they answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hyoid import weights_store
from hyoid.cli import run_command
from PIL import Image

pytest.importorskip("torch")
detector = pytest.importorskip("hyoid.systems.directmhp.infer")
estimator = pytest.importorskip("hyoid.systems.semiuhpe.infer")


@pytest.fixture
def weights(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """Small networks with drawn weights, kept as "small_boxes" and "small_looks"."""
    from hyoid.systems.directmhp import checkpoint as boxes
    from hyoid.systems.directmhp import config as box_config
    from hyoid.systems.directmhp import train as box_train
    from hyoid.systems.semiuhpe import checkpoint as looks
    from hyoid.systems.semiuhpe import config as look_config
    from hyoid.systems.semiuhpe import train as look_train

    monkeypatch.setenv("HYOID_WEIGHTS", str(tmp_path / "kept"))
    first, second = box_config.sized(0.0625, 0.33), look_config.Config("plain", 64, 0.5)
    one, other = tmp_path / "small_boxes.safetensors", tmp_path / "small_looks.safetensors"
    boxes.save(one, boxes.Model(first, box_train.initial(first, 0), {"licence": "CC0-1.0"}))
    looks.save(other, looks.Model(second, look_train.initial(second, 0), {"licence": "CC0-1.0"}))
    assert weights_store.add(one).system == "directmhp"
    assert weights_store.add(other).system == "semiuhpe"
    return one, other


@pytest.fixture
def picture(tmp_path) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((256, 192)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def heads_of(path: Path, *words: str) -> list[dict]:
    code = run_command(["headpose", str(path), "-o", str(path.with_suffix(".json")), "--no-perspective", *words])
    assert code == 0
    return json.loads(path.with_suffix(".json").read_text())["pictures"][0]["heads"]


def test_boxes_and_directions_are_those_of_the_networks(weights, picture):
    found = heads_of(picture, "--weights", "small_looks", "--detector-weights", "small_boxes", "--confidence", "0.001",
                     "--size", "256", "--smallest", "1")  # fmt: skip
    image = np.array(Image.open(picture).convert("RGB"))
    boxes = detector.detect(detector.load(weights[0]), image, size=256, confidence=0.001).boxes.astype(np.float64)
    assert len(found) == len(boxes)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    wanted = boxes[np.argsort(-areas, kind="stable")]
    np.testing.assert_allclose([head["box"] for head in found], wanted, atol=0.02)
    if len(found):
        told = estimator.estimate(estimator.load(weights[1]), image, wanted, mirror=True)
        np.testing.assert_allclose([head["rotation"] for head in found], told.rotations, atol=1e-3)
        np.testing.assert_allclose([head["entropy"] for head in found], told.entropy, atol=1e-3)


def test_without_the_mirror_directions_are_as_published(weights, picture):
    boxes = [[20, 30, 90, 120]]
    (picture.parent / "boxes.json").write_text(json.dumps(boxes))
    found = [
        heads_of(picture, "--weights", "small_looks", "--boxes", str(picture.parent / "boxes.json"), *words)[0]
        for words in ((), ("--no-mirror",))
    ]
    image, ready = np.array(Image.open(picture).convert("RGB")), estimator.load(weights[1])
    for head, mirror in zip(found, (True, False), strict=True):
        told = estimator.estimate(ready, image, boxes, mirror=mirror)
        np.testing.assert_allclose(head["rotation"], told.rotations[0], atol=1e-3)
    assert np.abs(np.subtract(found[0]["rotation"], found[1]["rotation"])).max() > 1e-2


def test_given_boxes_get_directions(weights, picture):
    (picture.parent / "boxes.json").write_text("[[20, 30, 90, 120], [150, 40, 151, 41]]")
    found = heads_of(picture, "--weights", "small_looks", "--boxes", str(picture.parent / "boxes.json"), "--smallest",
                     "1")  # fmt: skip
    assert len(found) == 2
    for head in found:
        np.testing.assert_allclose(np.linalg.det(head["rotation"]), 1, atol=1e-4)
        assert head["entropy"] <= 1e-3


def test_weights_of_the_other_network_are_refused(weights, picture, capsys):
    words = ["--weights", str(weights[0]), "--detector-weights", str(weights[0])]
    assert run_command(["headpose", str(picture), "-o", str(picture.with_suffix(".json")), *words]) == 4
    assert "small_boxes" in capsys.readouterr().err
