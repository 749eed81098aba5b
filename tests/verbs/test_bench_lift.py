# SPDX-License-Identifier: Apache-2.0
"""The benches of lifters: who is judged, the errors, the table, the goals, and the networks that ours are beside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hyoid.cli import run_command
from hyoid.errors import InputError, UsageError, WeightsError
from hyoid.report import Report
from hyoid.synthetic import lift_pairs, lift_scores, motion_clips
from hyoid.verbs.bench import load

from tests.systems.test_lift_train import PICTURE, WINDOW, packed

torch = pytest.importorskip("torch")
BENCH = Path(__file__).resolve().parents[2] / "bench"
lift = load(BENCH / "lift.py")
hopfir = load(BENCH / "hopfir.py")
opponents = load(BENCH / "_lift_opponents.py")
data = load(BENCH / "_lift_data.py")
fitting = load(BENCH / "_fit_lift_opponents.py")
SIMPLE = {"width": 16, "blocks": 1, "dropout": 0.25}
TCN = {"channels": 8, "dilations": [1, 2], "dropout": 0.25}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return packed(tmp_path_factory.mktemp("mocap") / "packed")


@pytest.fixture(scope="module")
def motion(folder) -> motion_clips.Motion:
    return motion_clips.load(folder)


# --- errors -----------------------------------------------------------------------------------------------------------


def clips_of(motion) -> list[lift_pairs.Clip]:
    return lift_pairs.held_out(motion, np.array([1, 5]))


def answering(motion, change) -> lift_scores.Lift:
    """Who knows the truth, changed by a function of joints (F, 17, 3)."""
    truth = {len(clip.joints): clip.joints.astype(np.float64) for clip in clips_of(motion)}
    return lambda keypoints, _width, _height: change(truth[len(keypoints)])


def test_the_truth_anywhere_has_no_error(motion):
    found = lift_scores.scores(answering(motion, lambda joints: joints + np.arange(3)), clips_of(motion))
    assert max(found.mpjpe, found.p_mpjpe, found.mpjve) < 1e-9


def test_size_counts_in_mpjpe_alone(motion):
    half = lift_scores.scores(answering(motion, lambda joints: 0.5 * joints), clips_of(motion))
    rooted = np.concatenate([clip.joints - clip.joints[:, :1] for clip in clips_of(motion)]).astype(np.float64)
    assert half.mpjpe == pytest.approx(500 * np.linalg.norm(rooted, axis=-1).mean())
    assert np.allclose(half.joints, 500 * np.linalg.norm(rooted, axis=-1).mean(0))
    assert half.p_mpjpe < 1e-9
    assert half.bone_spread == pytest.approx(
        0.5 * lift_scores.scores(answering(motion, lambda joints: joints), clips_of(motion)).bone_spread
    )


def test_steps_are_counted_within_clips_and_by_frames(motion):
    """A jitter of 10 mm to and fro of all joints but the pelvis is an error of 10 mm, and of 20 mm a frame."""

    def shaken(joints: np.ndarray) -> np.ndarray:
        found = joints.copy()
        found[:, 1:, 0] += 0.01 * (-1.0) ** np.arange(len(joints))[:, None]
        return found

    found = lift_scores.scores(answering(motion, shaken), clips_of(motion))
    assert found.mpjpe == pytest.approx(10 * 16 / 17, abs=1e-6)
    assert found.mpjve == pytest.approx(20 * 16 / 17, abs=1e-6)


def test_the_same_pose_has_bones_that_keep_their_length(motion):
    found = lift_scores.scores(lift_scores.same_pose(np.ones((17, 3))), clips_of(motion))
    assert found.bone_spread == 0
    assert found.mpjpe > 100


# --- who is judged ----------------------------------------------------------------------------------------------------


def test_in_the_database_the_subjects_of_the_test_are_judged(motion):
    assert data.judges(motion).tolist() == [1, 5]
    assert data.counts(motion, data.judges(motion)) == {"clips": 2, "subjects": 2, "frames": 120}


@pytest.mark.parametrize("dataset", ["Studio", "CMU"])
def test_in_another_folder_everybody_is_judged(tmp_path, dataset):
    """People of another database, or test subjects alone: nobody in the folder was learned from."""
    own = packed(tmp_path / "packed")
    index = own / "index.csv"
    text = index.read_text().replace("CMU,free for all uses,1,", "CMU,free for all uses,5,")
    index.write_text(text if dataset == "CMU" else text.replace("CMU", dataset))
    assert data.judges(motion_clips.load(own)).tolist() == [0, 1, 2, 3, 4, 5]


def test_the_folder_is_named_or_known(tmp_path, monkeypatch):
    monkeypatch.setenv("HYOID_MOCAP", str(tmp_path / "set"))
    assert data.folder_of(None) == tmp_path / "set"
    assert data.folder_of(tmp_path) == tmp_path
    monkeypatch.delenv("HYOID_MOCAP")
    monkeypatch.setattr(data, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(InputError, match="HYOID_MOCAP"):
        data.folder_of(None)


# --- the networks beside ours -----------------------------------------------------------------------------------------


def drawn(motion, frames: int):
    stream = lift_pairs.Windows(motion, np.array([0, 4]), frames, 0)
    return lambda step, count: stream.at(step).batch(count)


def tiny(name: str, seed: int = 0):
    return opponents.built(name, SIMPLE if name == "simple" else TCN, seed)


class StopError(Exception):
    """The power goes."""


@pytest.mark.parametrize("name", ["simple", "tcn"])
def test_they_learn_and_a_stopped_training_goes_on_to_the_same_weights(motion, name, tmp_path, monkeypatch):
    from hyoid import training

    plain = training.Schedule
    monkeypatch.setattr(training, "Schedule", lambda *given: plain(*given, kept_every=20))
    draw, errors = drawn(motion, 2 * tiny(name).margin + 3), []

    def trained(state: Path | None = None, stop: float = 2.0):
        def emit(event: dict) -> None:
            errors.append(float(event["what"].split()[-2]))
            if event["fraction"] > stop:
                raise StopError

        return opponents.fit(tiny(name), draw, 60, 16, rate=3e-3, state=state, report=Report(emit)).state_dict()

    whole = trained()
    assert errors[-1] < 0.8 * errors[0]
    state = tmp_path / "state"
    with pytest.raises(StopError):
        trained(state, 0.5)
    again = trained(state)
    assert all(torch.equal(whole[each], again[each]) for each in whole if not each.endswith("num_batches_tracked"))
    moved = [each for each in whole if each.endswith("running_mean")]
    assert moved
    assert all(whole[each].abs().max() > 0 for each in moved)
    with pytest.raises(InputError, match="another training"):
        opponents.fit(tiny(name), draw, 60, 16, rate=1e-3, state=state)


@pytest.mark.parametrize("name", ["simple", "tcn"])
def test_their_files_answer_as_they_do(motion, name, tmp_path):
    model = tiny(name).half().float().eval()
    path = tmp_path / "w.safetensors"
    opponents.save(path, name, SIMPLE if name == "simple" else TCN, model, {"frames_seen": 7})
    again, note = opponents.load(path)
    image = drawn(motion, 20)(0, 1)[0][0]
    assert np.array_equal(opponents.lifted(model, image), opponents.lifted(again, image))
    assert note["frames_seen"] == 7
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError):
        opponents.load(path)
    with pytest.raises(WeightsError):
        opponents.load_pose(path)


@pytest.mark.parametrize("name", ["simple", "tcn", "mean_pose"])
def test_the_command_trains_and_writes(folder, name, tmp_path, capsys):
    words = [name, "--data", str(folder), "--out", str(tmp_path / "out"), "--state", str(tmp_path / "state")]
    fitting.main([*words, "--steps", "2", "--windows", "4"])
    assert f"wrote {name}.safetensors" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    path = tmp_path / "out" / f"{name}.safetensors"
    if name == "mean_pose":
        assert opponents.load_pose(path).shape == (17, 3)
    else:
        assert opponents.load(path)[1]["frames_seen"] == 2 * 4 * (3 if name == "tcn" else 1)


def test_they_see_as_many_frames_as_ours():
    from hyoid.systems.ktpformer.train import Recipe
    from hyoid.verbs import train_hopfir, train_ktpformer

    seen = {name: one["steps"] * one["windows"] * one["answers"] for name, one in fitting.RECIPES.items()}
    sizes, recipe = train_ktpformer.PRESETS["cpu"]
    assert seen["tcn"] == Recipe(**recipe).seen(sizes["frames"])
    picture = train_hopfir.PRESETS["cpu"][1]
    assert seen["simple"] == picture["steps"] * picture["pictures"]


# --- the table --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory, motion) -> Path:
    """Small networks that have learned nothing."""
    from hyoid.systems.hopfir import checkpoint as pictures
    from hyoid.systems.hopfir import network
    from hyoid.systems.ktpformer import checkpoint as windows
    from hyoid.systems.ktpformer import train

    found = tmp_path_factory.mktemp("weights")
    note = {"frames_seen": 1_500_000}
    windows.save(found / "ktpformer.safetensors", windows.Model(WINDOW, train.initial(WINDOW, 0), note))
    pictures.save(found / "hopfir.safetensors", pictures.Model(PICTURE, network.initial(PICTURE, 0), note))
    opponents.save(found / "simple.safetensors", "simple", SIMPLE, tiny("simple"), note)
    opponents.save(found / "tcn.safetensors", "tcn", TCN, tiny("tcn"), note)
    opponents.save_pose(found / "mean_pose.safetensors", lift_pairs.mean_pose(motion, np.array([0]), 0, 64), {})
    return found


def test_the_table_has_every_method_and_strength(folder, weights):
    told: list[dict] = []
    result = lift.run(folder, weights=weights, opponents=weights, report=Report(told.append))
    assert json.loads(json.dumps(result)) == result
    assert list(result["rows"]) == list(lift.ROWS)
    assert (result["clips"], result["subjects"], result["frames"]) == (2, 2, 120)
    for name, row in result["rows"].items():
        assert row["frames_seen"] == (0 if name == "mean pose" else 1_500_000)
        for label in ("x0", "x1", "x2"):
            assert all(np.isfinite(value) for value in row[label].values())
            assert row[label]["p_mpjpe"] <= row[label]["mpjpe"]
    pose = result["rows"]["mean pose"]
    assert pose["x0"] == pose["x1"] == pose["x2"]  # it does not look at the picture
    assert pose["x1"]["bone_spread"] == 0
    assert result["rows"]["KTPFormer"]["x2"]["mpjve"] > result["rows"]["KTPFormer"]["x0"]["mpjve"]
    lines = lift.show(result).splitlines()
    assert sum(line.startswith("| ") and "1.50 M" in line for line in lines) == 4
    assert {line.count("|") for line in lines if line.startswith("|")} == {16}
    assert len(result["goals"]) == 12
    assert all(": yes (" in line or ": no (" in line for line in lines[-12:])
    assert [event["fraction"] for event in told] == sorted(event["fraction"] for event in told)


def test_the_rows_are_what_the_library_says(folder, weights, motion):
    from hyoid.systems.ktpformer import infer

    result = lift.run(folder, ("KTPFormer",), weights, weights)["rows"]["KTPFormer"]["x1"]
    lifter, errors = infer.load(weights / "ktpformer.safetensors"), []
    for clip in clips_of(motion):
        found = infer.lift(lifter, clip.keypoints[1.0], clip.width, clip.height)
        away = (found - found[:, :1]) - (clip.joints - clip.joints[:, :1])
        errors.append(1000 * np.linalg.norm(away, axis=-1).mean(1))
    assert result["mpjpe"] == pytest.approx(np.concatenate(errors).mean(), abs=0.01)


def test_goals_are_reached_or_not():
    def row(mpjpe: float, p_mpjpe: float, mpjve: float) -> dict:
        return {"x1": {"mpjpe": mpjpe, "p_mpjpe": p_mpjpe, "mpjve": mpjve}}

    rows = {
        "SimpleBaseline": row(80, 55, 18), "TCN": row(75, 52, 11), "HopFIR": row(79, 57, 18),
        "KTPFormer": row(70, 50, 9.1),
    }  # fmt: skip
    missed = [goal["goal"] for goal in lift.goals(rows) if not goal["reached"]]
    assert missed == [
        "HopFIR: P-MPJPE at most 56 mm", "KTPFormer: MPJVE at most half of that of SimpleBaseline",
        "HopFIR: P-MPJPE at most that of SimpleBaseline",
    ]  # fmt: skip
    assert [goal["goal"] for goal in lift.goals({"HopFIR": rows["HopFIR"]})] == [
        "HopFIR: MPJPE at most 80 mm", "HopFIR: P-MPJPE at most 56 mm",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="no row 'MLP'"):
        lift.run(rows=("MLP",))


def test_weights_that_are_not_there_are_told(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("hyoid.weights.data_folder", lambda _: tmp_path)
    assert run_command(["bench", "lift", "--data", str(folder)]) == 4
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert run_command(["bench", "lift", "--steps", "3"]) == 2
    assert "--steps" in capsys.readouterr().err


def test_the_claims_of_hopfir_are_measured(folder, capsys):
    result = hopfir.run(folder, steps=2, small=True)
    assert json.loads(json.dumps(result)) == result
    sizes = {name: row["parameters"] for name, row in result["rows"].items()}
    assert sizes[hopfir.GRAPH] < sizes[hopfir.GRAPH_HOPS]
    assert max(sizes[hopfir.PLAIN], sizes[hopfir.UNREFINED]) < sizes[hopfir.WHOLE]
    assert len(result["claims"]) == 3
    assert len(hopfir.show(result).splitlines()) == 2 + 2 + 5 + 1 + 3


def test_the_claims_hold_in_sign_or_not():
    def row(mpjpe: float, ends: float, torso: float) -> dict:
        return {"mpjpe": mpjpe, "wrists_and_ankles": ends, "torso": torso}

    rows = {
        hopfir.GRAPH: row(90, 0, 0), hopfir.GRAPH_HOPS: row(88, 0, 0), hopfir.PLAIN: row(85, 0, 0),
        hopfir.UNREFINED: row(87, 120, 60), hopfir.WHOLE: row(86, 117, 56),
    }  # fmt: skip
    assert [claim["holds"] for claim in hopfir.claims(rows)] == [True, False, False]
    rows[hopfir.WHOLE] = row(84, 110, 56)
    assert [claim["holds"] for claim in hopfir.claims(rows)] == [True, True, True]
