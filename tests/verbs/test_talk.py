# SPDX-License-Identifier: Apache-2.0
"""``hyoid talk``: the job runs from file to files, says what it does, and its model guards what it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hyoid.errors import OutputError, UsageError
from hyoid.formats import take_npz
from hyoid.report import Report
from hyoid.speech import style
from hyoid.verbs import talk
from pydantic import ValidationError

EXAMPLE = Path(__file__).parents[2] / "examples" / "talk"


@pytest.fixture(scope="module")
def phrase(tmp_path_factory):
    samples, rate = soundfile.read(EXAMPLE / "jfk.flac", dtype="float32", frames=int(2.7 * 44100))
    path = tmp_path_factory.mktemp("talk") / "phrase.wav"
    soundfile.write(path, samples, rate)
    return path


def job(audio, *outputs, **options):
    return talk.Job(audio=audio, output=list(outputs), text="and so my fellow Americans", **options)


def test_a_job_writes_its_outputs_and_tells_its_progress(tmp_path, phrase):
    told: list[dict] = []
    outputs = [tmp_path / "a.take.npz", tmp_path / "a.csv"]
    result = talk.run(job(phrase, *outputs, fps=24, events_out=tmp_path / "events.csv"), Report(told.append))
    assert result["mode"] == "forced alignment"
    assert result["words"] == 5
    assert result["outputs"] == [*map(str, outputs), str(tmp_path / "events.csv")]
    fractions = [event["fraction"] for event in told if event["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any("channels" in event["text"] for event in told if event["event"] == "message")
    take = take_npz.read(outputs[0])
    assert take.fps == 24
    assert take.frames == result["frames"] == int(np.ceil(2.7 * 24))
    assert take.audio is not None
    assert take.audio.seconds == pytest.approx(2.7, abs=0.01)


def test_provenance_names_everything_that_touched_the_take(tmp_path, phrase):
    talk.run(job(phrase, tmp_path / "a.take.npz", jaw=1.5, seed=7), Report())
    take = take_npz.read(tmp_path / "a.take.npz")
    assert take.provenance.verb == "talk"
    assert take.provenance.settings["seed"] == 7
    assert take.provenance.settings["strengths"] == {"jaw": 1.5}
    assert {source.role for source in take.provenance.sources} >= {"input", "weights"}
    assert take.character.name == "human"
    assert take.character.part == "head"


def test_two_runs_write_the_same_bytes(tmp_path, phrase):
    for name in ("a", "b"):
        talk.run(job(phrase, tmp_path / f"{name}.take.npz"), Report())
    assert (tmp_path / "a.take.npz").read_bytes() == (tmp_path / "b.take.npz").read_bytes()


def test_the_whole_way_from_the_edited_track(tmp_path, phrase):
    talk.run(job(phrase, tmp_path / "a.take.npz", events_out=tmp_path / "events.csv"), Report())
    edited = talk.Job(audio=phrase, output=[tmp_path / "b.take.npz"], events=tmp_path / "events.csv")
    assert talk.run(edited, Report())["mode"] == "edited events"
    first, second = (take_npz.read(tmp_path / f"{name}.take.npz") for name in "ab")
    assert np.abs(first.curves - second.curves).mean() < 1e-3


def test_faults_that_are_known_before_the_work_starts(tmp_path, phrase):
    with pytest.raises(UsageError, match="nobody"):
        talk.run(job(phrase, tmp_path / "a.glb", character="nobody"), Report())
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        talk.run(job(phrase, tmp_path / "file" / "a.glb"), Report())


@pytest.mark.parametrize(
    "options", [{"fps": 29}, {"jaw": -1}, {"jaw": 4}, {"style": "wild"}, {"seed": -1}, {"colour": 1}]
)
def test_the_job_refuses_what_makes_no_sense(phrase, options):
    with pytest.raises(ValidationError):
        job(phrase, "a.take.npz", **options)


def test_every_layer_has_its_option():
    assert set(talk.LAYERS) == set(style.LAYERS)
    assert set(talk.LAYERS) <= set(talk.Job.model_fields)


def test_a_character_with_one_neck_joint_speaks_with_it(tmp_path, phrase, monkeypatch):
    """FLAME with its native neck has no eight joints: the head must move all the same."""
    from hyoid import characters
    from hyoid.characters import neck
    from hyoid.geometry import rotations

    from tests.characters.test_retarget import member

    talk.run(job(phrase, tmp_path / "human.take.npz"), Report())
    monkeypatch.setattr(characters, "load", lambda *_, **__: member("flame"))
    talk.run(job(phrase, tmp_path / "flame.take.npz", character="flame:any"), Report())
    human, flame = (take_npz.read(tmp_path / f"{name}.take.npz") for name in ("human", "flame"))
    assert flame.joint_names == ("neck",)
    eight = human.rotations[:, [human.joint_names.index(name) for name in neck.JOINTS]]
    between = rotations.multiply(rotations.inverse(neck.collapse(eight.astype(float))), flame.rotations[:, 0])
    assert np.degrees(np.linalg.norm(rotations.to_rotation_vector(between), axis=-1)).max() < 0.01
    assert flame.provenance.sources[-1].name == "flame"
