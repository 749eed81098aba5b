# SPDX-License-Identifier: Apache-2.0
"""Training of FaceStab: it learns, it can be stopped, and the same seed gives the same weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hyoid.cli import run_command
from hyoid.errors import InputError
from hyoid.synthetic import expressions, face_pairs
from hyoid.systems.facestab import checkpoint, infer, network, robust, train

from tests.systems.test_facestab import SMALL, face

pytest.importorskip("torch")
POINTS = 200
NETWORK = replace(SMALL, habit=0.0)  # the answer is the network's alone


class Cheeks:
    """Pairs in which the lower half of a face moves and the upper half is skull."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.template = face(POINTS).template
        self.push = self._push()

    def _push(self) -> np.ndarray:
        return 8 * self.random.standard_normal(3)

    def refresh(self) -> None:
        self.push = self._push()

    def batch(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        low = np.clip(-self.template[:, 1] / 40, 0, 1)
        amount = self.random.uniform(-1, 1, (count, 1, 1))
        noise = self.random.normal(0, 0.1, (count, POINTS, 3))
        source = self.template + amount * (low[:, None] * self.push) + noise
        target = np.broadcast_to(self.template, source.shape)
        return target.astype(np.float32), source.astype(np.float32), np.ones((count, POINTS), np.float32)


def trained(steps: int = 240, state: Path | None = None, seed: int = 0, report=None) -> checkpoint.Model:
    recipe = train.Recipe(steps=steps, batch=16, rate=5e-3, seed=seed)
    own = replace(face(POINTS), known=np.zeros((0, POINTS, 3), np.float32))
    more = {} if report is None else {"report": report}
    return train.train(
        [Cheeks(1)], [Cheeks(2)], own, recipe, config=NETWORK, state=state, threads=1, **more
    )  # fmt: skip


def error(model: checkpoint.Model | None) -> float:
    stream, total = Cheeks(3), 0.0
    target, source, _ = stream.batch(64)
    method = "irls" if model is None else "facestab"
    found = infer.stabilise(source, target[0], method=method, model=model)
    total = np.linalg.norm(found.motion.apply(source) - source, axis=-1).mean()
    return float(total)


@pytest.fixture(scope="module")
def learned() -> checkpoint.Model:
    return trained()


def test_it_learns_which_skin_is_skull(learned):
    assert error(learned) < 0.6 * error(None)
    assert learned.note["validation_mm"] < 0.5
    target, source, _ = Cheeks(5).batch(8)
    trust = infer.stabilise(source, target[0], model=learned).trust.mean(0)
    upper = learned.face.template[:, 1] > 10
    assert trust[upper].mean() > 2 * trust[~upper].mean()


def test_the_expected_error_is_in_millimetres(learned):
    target, source, _ = Cheeks(6).batch(64)
    found = infer.stabilise(source, target[0], model=learned)
    actual = np.linalg.norm(found.motion.apply(source) - source, axis=-1).mean()
    assert 0.5 < found.expected_error.mean() / actual < 2


class StopError(Exception):
    """The power goes."""


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path):
    from hyoid.report import Report

    whole = trained(360)
    state = tmp_path / "state.safetensors"

    def emit(event: dict) -> None:
        if event["event"] == "progress" and event["fraction"] > 0.75:
            raise StopError

    with pytest.raises(StopError):
        trained(360, state, report=Report(emit))
    assert state.is_file()
    again = trained(360, state)
    for name, array in whole.parameters.items():
        assert np.array_equal(array, again.parameters[name]), name


def test_a_state_of_another_training_is_refused(tmp_path):
    state = tmp_path / "state.safetensors"
    trained(300, state)
    with pytest.raises(InputError, match="another training"):
        trained(360, state)
    state.write_bytes(b"<html>")
    with pytest.raises(InputError, match="damaged"):
        trained(300, state)


# --- the made-up people -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs() -> face_pairs.Pairs:
    from hyoid.characters.fit import face_points

    template = face_points.human_template()
    rows = checkpoint.load(checkpoint.find("human")).face.rows
    faces = face_pairs.human_faces(template, rows, 4, 1)
    return face_pairs.Pairs(faces, 1000 * template.rest[rows], 3)


def test_made_up_pairs_lie_in_the_frame_of_their_skull(pairs):
    """Robust alignment finds hardly a motion; plain alignment follows the expressions."""
    target, source, mask = (array.astype(np.float64) for array in pairs.batch(24))
    assert target.shape == source.shape == (24, 1024, 3)
    assert set(np.unique(mask)) <= {0.0, 1.0}
    assert mask.sum(1).min() > 100
    away = [np.linalg.norm(m(source, target).apply(source) - source, axis=-1).mean() for m in _ALIGNERS]
    assert away[0] < 0.8 < away[1]


_ALIGNERS = (robust.geman_mcclure, robust.procrustes)


def test_people_differ_and_keep_the_size_of_a_head(pairs):
    people = pairs._people(16)
    spread = np.linalg.norm(people - people.mean(0), axis=-1).mean()
    assert 2 < spread < 15  # millimetres
    assert np.abs(people.mean(1) - pairs.template.mean(0)).max() < 1e-2


def test_equal_seeds_give_equal_pairs(pairs):
    one, other = (face_pairs.Pairs(pairs.faces, pairs.template, 9).batch(3) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a, b)


def test_sides_of_a_shape_go_together_and_jaws_one_way():
    names = ("eyeBlinkLeft", "eyeBlinkRight", "jawLeft", "jawRight", "mouthSmile_L", "mouthSmile_R", "jawOpen")
    found = expressions.groups(names)
    assert found == {"eyeBlink": [0, 1], "jawLeft": [2], "jawRight": [3], "mouthSmile": [4, 5], "jawOpen": [6]}
    random = np.random.default_rng(1)
    many = np.stack([expressions.sample(random, found, 7) for _ in range(500)])
    assert not ((many[:, 2] > 0) & (many[:, 3] > 0)).any()
    assert ((many >= 0) & (many <= 1)).all()
    both = (many[:, 0] > 0) & (many[:, 1] > 0)
    equal = many[both, 0] == many[both, 1]
    assert 0.7 < equal.mean() < 1  # most of a face is even


def test_noise_has_the_amplitude_that_was_asked_for():
    points = np.random.default_rng(1).normal(0, 60, (400, 3))
    noise = expressions.smooth_noise(np.random.default_rng(2), points, 0.5)
    assert np.sqrt((noise**2).sum(1).mean()) == pytest.approx(0.5)
    near = np.linalg.norm(points - points[0], axis=1) < 8
    assert np.linalg.norm(noise[near] - noise[0], axis=1).max() < 0.5  # smooth


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_writes_weights_and_a_card(tmp_path, capsys):
    out = tmp_path / "mine.safetensors"
    words = ["train", "facestab", "-o", str(out), "--steps", "20", "--batch", "8", "--leave-out", "noseSneer", "--json"]
    assert run_command(words) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    made = checkpoint.load(out)
    assert made.note["leave_out"] == ["noseSneer"]
    assert made.licence == "CC0-1.0"
    assert made.config.habit > 0
    assert isinstance(made.config, network.TrustConfig)
    card = (tmp_path / "mine.card.md").read_text()
    assert f"{result['validation_mm']:.3f} mm" in card
    assert "noseSneer" in card
    assert result["baselines"]["irls"] < result["baselines"]["procrustes"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-o", "w.bin"], 2, ".bin"), (["-o", "w.safetensors", "--no-human"], 2, "nothing to learn from"),
        (["-o", "w.safetensors", "--ict", "missing"], 3, "missing"),
    ],
)  # fmt: skip
def test_trainings_that_make_no_sense(tmp_path, monkeypatch, capsys, words, code, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(face_pairs, "canonical_rows", _known_rows)
    assert run_command(["train", "facestab", *words]) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def _known_rows(template, report):
    own = checkpoint.load(checkpoint.find("human")).face
    return own.rows, own.core
