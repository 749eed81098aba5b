# SPDX-License-Identifier: Apache-2.0
"""Training of lifters: they learn, can be stopped, follow from the seed, commands refuse what makes no sense."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hyoid.cli import run_command
from hyoid.errors import InputError
from hyoid.report import Report
from hyoid.synthetic import lift_pairs, motion_clips
from hyoid.verbs import lift_training, train_hopfir, train_ktpformer, training

from tests.synthetic.test_lift_pairs import packed as waving

torch = pytest.importorskip("torch")

from hyoid.systems.hopfir import checkpoint as hopfir_checkpoint  # noqa: E402  they need torch
from hyoid.systems.hopfir import network as hopfir_network  # noqa: E402
from hyoid.systems.hopfir import train as hopfir_train  # noqa: E402
from hyoid.systems.ktpformer import checkpoint as ktpformer_checkpoint  # noqa: E402
from hyoid.systems.ktpformer import network as ktpformer_network  # noqa: E402
from hyoid.systems.ktpformer import train as ktpformer_train  # noqa: E402
from hyoid.systems.ktpformer.config import Config  # noqa: E402

WINDOW = Config(frames=9, channels=16, depth=1, heads=2)
PICTURE = hopfir_network.Config(channels=16, blocks=1, hops=2, heads=2)
SYSTEMS = ("ktpformer", "hopfir")


def packed(folder: Path, licence: str = "free for all uses") -> Path:
    """The made-up people of the tests of pairs; their licence is one that weights may be published under."""
    waving(folder)
    index = folder / "index.csv"
    index.write_text(index.read_text().replace(",free,", f",{licence},"))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return packed(tmp_path_factory.mktemp("mocap") / "packed")


@pytest.fixture(scope="module")
def motion(folder) -> motion_clips.Motion:
    return motion_clips.load(folder)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with training.threads(1):
        yield


def drawn(motion: motion_clips.Motion, seed: int = 0) -> lift_training.Draw:
    lesson = lift_training.Lesson(motion, motion_clips.split(motion), {}, "cpu", 0.0)
    return lift_training.draws(lesson, seed)


def trained(motion, system: str, steps: int, *, seed: int = 0, note=None, state: Path | None = None, report=None):
    more = {} if report is None else {"report": report}
    batches = drawn(motion, seed)
    if system == "ktpformer":
        recipe = ktpformer_train.Recipe(steps=steps, windows=4, rate=3e-3, seed=seed)
        return ktpformer_train.train(batches, WINDOW, recipe, note=note, state=state, **more)
    recipe = hopfir_train.Recipe(steps=steps, pictures=32, rate=3e-3, seed=seed)
    return hopfir_train.train(batches, PICTURE, recipe, note=note, state=state, **more)


def saved(system: str, path: Path, model) -> bytes:
    {"ktpformer": ktpformer_checkpoint, "hopfir": hopfir_checkpoint}[system].save(path, model, half=True)
    return path.read_bytes()


def error(motion, system: str, model) -> float:
    """Millimetres on windows that were not learned from."""
    image, joints = drawn(motion, seed=99)(0, 32, WINDOW.frames if system == "ktpformer" else 1)
    parameters = {name: torch.from_numpy(array) for name, array in model.parameters.items()}
    with torch.inference_mode():
        if system == "ktpformer":
            found = ktpformer_network.forward(parameters, WINDOW, torch.from_numpy(image))
        else:
            found = hopfir_network.forward(parameters, PICTURE, torch.from_numpy(image))
    return 1000 * float(np.linalg.norm(found.numpy() - joints, axis=-1).mean())


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_step_draws_the_same_whatever_was_drawn_before(motion):
    stream = lift_pairs.Windows(motion, np.array([0, 4]), 9, 3)
    wanted = stream.at(7).batch(4)
    stream.batch(2)
    stream.at(6).batch(1)
    again = lift_pairs.Windows(motion, np.array([0, 4]), 9, 3)
    again.random = np.random.default_rng([3, 7])  # the seed and the step, as trainings that are stored had it
    for found in (stream.at(7).batch(4), again.batch(4)):
        assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert not np.array_equal(stream.at(8).batch(4)[0], wanted[0])


def test_batches_drawn_ahead_are_the_same(motion):
    draw = drawn(motion)
    with lift_training.ahead(draw, lambda step: (2 + step % 2, 9), 12, workers=3) as drawn_ahead:
        for step in range(4, 12):  # a resumed training begins later
            for a, b in zip(drawn_ahead(step, 0, 0), draw(step, 2 + step % 2, 9), strict=True):
                assert np.array_equal(a, b)


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", SYSTEMS)
def test_it_learns(motion, system):
    first, last = (error(motion, system, trained(motion, system, steps)) for steps in (1, 100))
    assert last < 0.5 * first


@pytest.mark.parametrize("system", SYSTEMS)
def test_equal_seeds_give_equal_bytes(motion, system, tmp_path):
    one, same, other = (
        saved(system, tmp_path / "w.safetensors", trained(motion, system, 3, seed=seed)) for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


class StopError(Exception):
    """The power goes."""


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_stopped_training_goes_on_to_the_same_weights(motion, system, tmp_path, monkeypatch):
    from hyoid import training

    plain = training.Schedule
    monkeypatch.setattr(training, "Schedule", lambda *given: plain(*given, kept_every=15))
    whole = trained(motion, system, 50)
    state = tmp_path / "state.safetensors"

    def emit(event: dict) -> None:
        if event["event"] == "progress" and event["fraction"] >= 0.8:
            raise StopError

    with pytest.raises(StopError):
        trained(motion, system, 50, state=state, report=Report(emit))
    kept = state.read_bytes()
    again = trained(motion, system, 50, state=state)
    assert saved(system, tmp_path / "a.safetensors", whole) == saved(system, tmp_path / "b.safetensors", again)
    for change in ({"seed": 1}, {"note": {"data": "other"}}):
        state.write_bytes(kept)
        with pytest.raises(InputError, match="another training"):
            trained(motion, system, 50, state=state, **change)
    state.write_bytes(kept[:100])
    with pytest.raises(InputError, match="damaged"):
        trained(motion, system, 50, state=state)


# --- a window of few frames -------------------------------------------------------------------------------------------


def tensors(seed: int = 0) -> dict:
    """Parameters of which none is at a value that hides a mistake."""
    random = np.random.default_rng(seed)
    return {
        name: torch.tensor(array + 0.05 * np.abs(random.standard_normal(array.shape)), dtype=torch.float64)
        for name, array in ktpformer_train.initial(WINDOW, seed).items()
    }


def test_all_frames_kept_are_the_whole_network():
    parameters = tensors()
    every, sizes = ktpformer_train.thinned(parameters, WINDOW, torch.arange(WINDOW.frames))
    assert sizes == WINDOW
    image = torch.randn(2, WINDOW.frames, 17, 2, dtype=torch.float64)
    assert torch.equal(
        ktpformer_network.forward(every, sizes, image), ktpformer_network.forward(parameters, WINDOW, image)
    )


def test_a_thinned_network_has_the_shapes_of_a_shorter_one_and_shares_the_rest():
    from hyoid.systems.ktpformer.config import shapes_of

    parameters, rows = tensors(), torch.tensor([1, 4, 6])
    few, sizes = ktpformer_train.thinned(parameters, WINDOW, rows)
    assert {name: tuple(value.shape) for name, value in few.items()} == shapes_of(sizes)
    changed = {name for name in few if few[name] is not parameters[name]}
    assert changed
    assert all(name.startswith("tpattention") for name in changed)
    place = "tpattention.attn.Temporal_pos_embed"
    assert torch.equal(few[place], parameters[place][:, rows])
    for name in changed - {place}:
        wanted = parameters[name][rows]
        assert torch.equal(few[name], wanted[:, rows] if name.endswith("adj2") else wanted), name


def test_gradients_reach_the_kept_frames_alone():
    parameters, rows = tensors(), torch.tensor([1, 4, 6])
    for name, value in parameters.items():
        value.requires_grad_("running" not in name)
    few, sizes = ktpformer_train.thinned(parameters, WINDOW, rows)
    image = torch.randn(2, 3, 17, 2, dtype=torch.float64)
    ktpformer_network.forward(few, sizes, image, ktpformer_network.Training()).square().sum().backward()
    for name in ("tpattention.attn.Temporal_pos_embed", "tpattention.attn.tpa.gconv1.gconv.M"):
        slope = parameters[name].grad
        assert slope is not None
        moved = np.flatnonzero(slope.abs().reshape(-1, WINDOW.frames, WINDOW.channels).sum((0, 2)).numpy())
        assert moved.tolist() == rows.tolist(), name
    slope = parameters["tpattention.attn.tpa.gconv1.gconv.adj2"].grad
    assert slope is not None
    assert set(np.argwhere(slope.numpy()).ravel().tolist()) <= set(rows.tolist())
    assert parameters["head.1.weight"].grad is not None


# --- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(monkeypatch):
    """Presets of the size of these tests."""
    window = ({"frames": 9, "channels": 16, "depth": 1, "heads": 2}, {"steps": 40, "windows": 4})
    picture = ({"channels": 16, "blocks": 1, "hops": 2, "heads": 2}, {"steps": 40, "pictures": 16})
    monkeypatch.setitem(train_ktpformer.PRESETS, "cpu", window)
    monkeypatch.setitem(train_hopfir.PRESETS, "cpu", picture)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_command_writes_weights_and_a_card(folder, system, tiny, tmp_path, capsys):
    out = tmp_path / "mine.safetensors"
    words = ["train", system, "-o", str(out), "--data", str(folder), "--steps", "3", "--threads", "1"]
    assert run_command([*words, "--state", str(tmp_path / "state.safetensors"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    made = {"ktpformer": ktpformer_checkpoint, "hopfir": hopfir_checkpoint}[system].load(out)
    assert made.licence == "Apache-2.0"
    assert made.note["validation_mm"] == result["validation_mm"]
    assert made.note["data"]["clips"] == 2  # subject 1 and the pack: the others are held out or not identified
    assert made.note["recipe"]["steps"] == 3
    assert (made.note["frames_seen"] > 0, "mocap.cs.cmu.edu" in made.note["credits"][0]) == (True, True)
    card = (tmp_path / "mine.card.md").read_text()
    assert f"| ours | {result['validation_mm']['ours']['mpjpe']:.1f} |" in card
    assert "NSF EIA-0196217" in card
    assert str(tmp_path) not in card
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.card.md", "mine.safetensors"]


def test_what_may_not_be_used_is_left_out(tmp_path):
    own = packed(tmp_path / "packed")
    index = own / "index.csv"
    index.write_text(index.read_text().replace("Pack,free for all uses", "Pack,ask the studio"))
    told: list[dict] = []
    _, parts, note = lift_training.lesson_of(own, report=Report(told.append))
    assert parts.train.tolist() == [0]
    assert note["data"]["clips"] == 1
    assert "1 clips are not learned from" in told[0]["text"]
    assert lift_training.lesson_of(own, unidentified=True)[1].train.tolist() == [0, 3]


def refused(folder: Path, change: str) -> Path:
    index = folder / "index.csv"
    if change == "missing":
        return folder.parent / "nothing"
    if change == "not free":
        index.write_text(index.read_text().replace("free for all uses", "all rights reserved"))
    elif change == "no judges":
        index.write_text(index.read_text().replace("CMU,free for all uses,10", "CMU,free for all uses,11"))
    else:
        index.unlink()
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("missing", "motion.npz"), ("not free", "no clip may be learned from"), ("no index", "index.csv"),
        ("no judges", "no clip to judge the weights by"),
    ],
)  # fmt: skip
def test_folders_that_cannot_be_learned_from(tmp_path, monkeypatch, capsys, change, said):
    own = refused(packed(tmp_path / "packed"), change)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    assert run_command(["train", "hopfir", "-o", "w.safetensors", "--data", str(own)]) == 3
    errors = capsys.readouterr().err.strip()
    assert said in errors
    assert len(errors.splitlines()) == 1
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "said"), [(["-o", "w.bin"], 2, ".bin"), (["-o", "w.safetensors", "--device", "cuda"], 6, "GPU")]
)
def test_trainings_that_make_no_sense(folder, tmp_path, monkeypatch, capsys, words, code, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run_command(["train", "ktpformer", *words, "--data", str(folder)]) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_shipped_weights_have_a_place_and_their_absence_is_told(tmp_path, monkeypatch):
    from hyoid.errors import WeightsError

    monkeypatch.setattr("hyoid.weights.data_folder", lambda _: tmp_path)
    for module, name in ((ktpformer_checkpoint, "ktpformer"), (hopfir_checkpoint, "hopfir")):
        with pytest.raises(WeightsError, match=f"hyoid train {name}"):
            module.find()
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.safetensors").touch()
        assert module.find() == tmp_path / name / f"{name}.safetensors"
