# SPDX-License-Identifier: Apache-2.0
"""hyoid train semiuhpe and directmhp: they end with weights and a card, go on after a stop, refuse the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hyoid.cli import run_command
from hyoid.report import Report
from hyoid.synthetic import heads, render_store
from hyoid.verbs import headpose_training, train_directmhp, train_semiuhpe

from tests.synthetic import head_paintings

torch = pytest.importorskip("torch")

from hyoid import training  # noqa: E402  it is used with torch
from hyoid.systems.directmhp import checkpoint as directmhp_checkpoint  # noqa: E402  they need torch
from hyoid.systems.semiuhpe import checkpoint as semiuhpe_checkpoint  # noqa: E402

SYSTEMS = ("semiuhpe", "directmhp")
LOAD = {"semiuhpe": semiuhpe_checkpoint.load, "directmhp": directmhp_checkpoint.load}
STEPS = 12


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    """Paintings for renders, and presets of the size of these tests."""
    monkeypatch.setattr(heads, "crops", head_paintings.crops)
    monkeypatch.setattr(heads, "scene", head_paintings.scene, raising=False)
    monkeypatch.setattr(render_store, "PARTS", {"crops": 8, "scenes": 4})
    sizes = {"backbone": "plain", "size": 32, "width": 0.1}
    recipe = {"steps": STEPS, "batch": 4, "precision": "float32", "warm_up": 2}
    monkeypatch.setitem(train_semiuhpe.PRESETS, "cpu", (sizes, recipe))
    monkeypatch.setitem(train_semiuhpe.CROPS, "cpu", {"count": 24, "unlabelled": 16, "judged": 20, "size": 46})
    second = {"share": 1 / 3, "rate": 1e-4, "batch": 4, "ratio": 2, "threshold": None, "asked": 8, "kept_every": 2}
    monkeypatch.setitem(train_semiuhpe.UNLABELLED, "cpu", second)
    monkeypatch.setitem(train_semiuhpe.CALM, "cpu", {"share": 1 / 3, "rate": 1e-3})
    recipe = {"steps": STEPS, "pictures": 2, "precision": "float32"}
    monkeypatch.setitem(train_directmhp.PRESETS, "cpu", ({"name": "t5"}, recipe))
    scenes = {"count": 10, "judged": 4, "width": 64, "height": 64, "people": (1, 2), "heads": (8.0, 60.0)}
    monkeypatch.setitem(train_directmhp.SCENES, "cpu", scenes)


def words(system: str, folder: Path, *more: object) -> list[str]:
    out = folder / "mine.safetensors"
    return ["train", system, "-o", str(out), "--threads", "1", "--workers", "0", *map(str, more)]


def told(capsys: pytest.CaptureFixture[str]) -> dict:
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    return event.get("result", event)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_command_writes_weights_and_a_card(system, tmp_path, capsys):
    state = tmp_path / "state"
    assert run_command([*words(system, tmp_path, "--state", state, "--cache", tmp_path / "kept"), "--json"]) == 0
    result = told(capsys)
    made = LOAD[system](tmp_path / "mine.safetensors")
    assert made.licence == "Apache-2.0"
    assert made.note["validation"] == result["validation"]
    assert set(result["validation"]) == {"usual", "shifted"}
    whole = head_paintings.crops(headpose_training.JUDGES, 0, 20, settings=heads.Settings(size=46, held_out=True))
    if system == "semiuhpe":
        assert result["validation"]["usual"]["heads"] == len(whole.rotations)
        assert made.note["semi_recipe"]["steps"] == STEPS // 3
        assert made.note["data"]["crops"]["count"] == 24
        assert result["validation"]["usual"]["mean pose"]["mean"] > 20  # angles are drawn from -60 to 60 degrees
    else:
        assert result["validation"]["usual"]["detection"]["ap50"] is not None
        assert made.size == 64
    card = (tmp_path / "mine.card.md").read_text()
    assert "A starter model" in card
    assert "No photograph was used" in card
    assert f"--steps {STEPS} " in card
    assert str(tmp_path) not in card
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "mine.card.md", "mine.safetensors"]


class StopError(Exception):
    """The power goes."""


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_stopped_training_goes_on_to_the_same_weights(system, tmp_path, monkeypatch, capsys):
    plain = training.Schedule
    monkeypatch.setattr(training, "Schedule", lambda *given, **more: plain(*given, **{**more, "kept_every": 2}))
    monkeypatch.setattr(training, "_TOLD_EVERY", 1)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir(), cut.mkdir()
    assert run_command(words(system, whole)) == 0
    verb = {"semiuhpe": train_semiuhpe, "directmhp": train_directmhp}[system]
    job = verb.Job(output=cut / "mine.safetensors", threads=1, workers=0, state=cut / "state")
    real, calls, stops = render_store.Renders.rows, [], []

    def rows(self, name, step, *rest):
        calls.append(step)
        if len(calls) in stops:
            raise StopError
        return real(self, name, step, *rest)

    monkeypatch.setattr(render_store.Renders, "rows", rows)
    for stop in {"semiuhpe": (3, 4, 6, 7), "directmhp": (6, 5, 3)}[system]:  # one in each stage
        calls.clear()
        stops[:] = [stop]
        with pytest.raises(StopError):
            verb.run(job, Report())
        assert (cut / "state").is_file() or (cut / "state.first").is_file()
    kept = {path.name: path.read_bytes() for path in cut.iterdir()}
    stops.clear()
    changed = job.model_copy(update={"seed": 1})
    with pytest.raises(Exception, match="holds another training"):
        verb.run(changed, Report())
    assert kept == {path.name: path.read_bytes() for path in cut.iterdir()}
    verb.run(job, Report())
    assert (cut / "mine.safetensors").read_bytes() == (whole / "mine.safetensors").read_bytes()
    assert sorted(path.name for path in cut.iterdir()) == ["mine.card.md", "mine.safetensors"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_weights_follow_from_the_seed(system, tmp_path):
    found = []
    for name, more in (("a", ()), ("b", ("--cache", tmp_path / "kept")), ("c", ("--seed", 1))):
        folder = tmp_path / name
        folder.mkdir()
        assert run_command(words(system, folder, "--steps", 3, *more)) == 0
        found.append(LOAD[system](folder / "mine.safetensors").parameters)
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])
    assert not all(np.array_equal(found[0][name], found[2][name]) for name in found[0])


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_cache_of_other_renders_is_refused(system, tmp_path, capsys):
    more = ["--steps", 3, "--cache", tmp_path / "kept"]
    assert run_command(words(system, tmp_path, *more)) == 0
    assert run_command(words(system, tmp_path, *more, "--seed", 1)) == 3
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "holds renders of other seed" in error


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [(["-o", "w.bin"], 2, ".bin"), (["-o", "w.safetensors", "--device", "cuda"], 6, "GPU"),
     (["-o", "w.safetensors", "--workers", "-1"], 2, "workers")],
)  # fmt: skip
@pytest.mark.parametrize("system", SYSTEMS)
def test_trainings_that_make_no_sense_end_before_the_work(system, more, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(heads, "crops", None)
    assert run_command(["train", system, *more]) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_training_goes_on_from_weights(system, tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    assert run_command(words(system, first)) == 0
    before = LOAD[system](first / "mine.safetensors")
    words_of_it = words(system, second, "--start", first / "mine.safetensors", "--seed", 1, "--steps", 3)
    assert run_command(words_of_it) == 0
    made = LOAD[system](second / "mine.safetensors")
    assert made.note["start"]["sha256"] == before.digest
    assert made.note["start"]["recipe"] == before.note["recipe"]
    assert made.licence == before.licence == "Apache-2.0"
    moved = [np.abs(made.parameters[name] - before.parameters[name]).max() for name in made.parameters]
    anew = training_of_nothing(system, tmp_path)
    far = [np.abs(anew.parameters[name] - before.parameters[name]).max() for name in made.parameters]
    assert 0 < sum(moved) < 0.5 * sum(far)
    card = (second / "mine.card.md").read_text()
    assert f"Went on from weights of SHA-256 {before.digest[:16]}" in card
    assert "--start mine.safetensors" in card


def test_a_calm_training_goes_on_with_labels_alone(tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    assert run_command(words("semiuhpe", first)) == 0
    assert run_command(words("semiuhpe", second, "--calm")) == 2
    assert "expected --start" in capsys.readouterr().err
    assert list(second.iterdir()) == []
    more = ("--start", first / "mine.safetensors", "--calm", "--steps", 5, "--state", second / "state")
    assert run_command(words("semiuhpe", second, *more)) == 0
    made = semiuhpe_checkpoint.load(second / "mine.safetensors")
    assert set(made.note["data"]) == {"crops"}
    assert made.note["recipe"]["steps"] == 5
    assert made.note["recipe"]["rate"] == train_semiuhpe.CALM["cpu"]["rate"]
    assert "semi_recipe" not in made.note
    card = (second / "mine.card.md").read_text()
    assert "--calm" in card
    assert sorted(path.name for path in second.iterdir()) == ["mine.card.md", "mine.safetensors"]


def test_a_training_sees_further_heads_from_the_side(tmp_path, monkeypatch):
    asked = set()

    def crops(seed: int, first: int, count: int, *, settings: heads.Settings) -> heads.Crops:
        asked.add((seed, settings.region, settings.domain, settings.held_out))
        return head_paintings.crops(seed, first, count, settings=settings)

    monkeypatch.setattr(heads, "crops", crops)
    real, seen = render_store.Renders.crops, []

    def told(self, names, step, *rest):
        seen.append((step, tuple(names)))
        return real(self, names, step, *rest)

    monkeypatch.setattr(render_store.Renders, "crops", told)
    assert run_command(words("semiuhpe", tmp_path, "--sides", 12, "--seed", 4)) == 0
    assert {region for seed, region, *_ in asked if seed == 4 + train_semiuhpe._PROFILES} == {"side"}
    assert {region for seed, region, *_ in asked if seed != 4 + train_semiuhpe._PROFILES} == {None}
    calm = range(STEPS // 3, 2 * STEPS // 3)
    assert {step for step, names in seen if names == ("crops", "crops_sides")} == set(calm)
    made = semiuhpe_checkpoint.load(tmp_path / "mine.safetensors")
    assert {name: of["count"] for name, of in made.note["data"].items()} == {
        "crops": 24, "crops_sides": 12, "crops_unlabelled": 16,
    }  # fmt: skip
    card = (tmp_path / "mine.card.md").read_text()
    assert "24 crops of 46 pixels; 12 crops of 46 pixels, seen from the side; 16 crops without labels" in card
    assert "--crops 24 --sides 12 " in card


def test_a_deeper_network_goes_on_from_a_shallow_one(tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    assert run_command(words("semiuhpe", first, "--depth", 3)) == 0
    assert semiuhpe_checkpoint.load(first / "mine.safetensors").config.depth == 3
    capsys.readouterr()
    start = ("--start", first / "mine.safetensors", "--calm", "--steps", 2)
    assert run_command(words("semiuhpe", second, *start, "--depth", 2)) == 2
    assert capsys.readouterr().err == "hyoid: error: --depth 2; expected 3, which --start has, or more\n"
    assert run_command(words("semiuhpe", second, "--preset", "gpu", "--depth", 3)) == 2
    assert "mobilenet with a depth of 3" in capsys.readouterr().err
    assert list(second.iterdir()) == []
    assert run_command(words("semiuhpe", second, *start, "--depth", 5)) == 0
    made = semiuhpe_checkpoint.load(second / "mine.safetensors")
    assert made.config.depth == 5
    assert "stage4.4.conv2.weight" in made.parameters
    card = (second / "mine.card.md").read_text()
    assert "a depth of 5" in card
    assert "--start mine.safetensors --depth 5 --calm" in card


def training_of_nothing(system: str, folder: Path):
    """Weights of the same few steps from another beginning."""
    anew = folder / "anew"
    anew.mkdir()
    assert run_command(words(system, anew, "--seed", 1, "--steps", 3)) == 0
    return LOAD[system](anew / "mine.safetensors")


def test_weights_with_other_terms_hand_them_on(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    assert run_command(words("semiuhpe", first)) == 0
    model = semiuhpe_checkpoint.load(first / "mine.safetensors")
    foreign = type(model)(model.config, model.parameters, {"credits": ["Somebody"], "licence": "CC-BY-NC-4.0"})
    semiuhpe_checkpoint.save(tmp_path / "foreign.safetensors", foreign)
    assert run_command(words("semiuhpe", second, "--start", tmp_path / "foreign.safetensors", "--steps", 3)) == 0
    made = semiuhpe_checkpoint.load(second / "mine.safetensors")
    assert made.licence == "CC-BY-NC-4.0"
    assert "Somebody" in made.note["credits"]
    card = (second / "mine.card.md").read_text()
    assert "Licence of the weights: CC-BY-NC-4.0. They went on" in card
    assert "No photograph was used" not in card


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_start_that_holds_no_weights_is_refused(system, tmp_path, capsys):
    (tmp_path / "empty.safetensors").write_bytes(b"nothing")
    assert run_command(words(system, tmp_path, "--start", tmp_path / "empty.safetensors")) == 4
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["empty.safetensors"]
