# SPDX-License-Identifier: Apache-2.0
"""hyoid weights: checkpoints are recognised by reading them, kept whole, and checked again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hyoid import weights_store
from hyoid.cli import run_command
from hyoid.errors import UsageError, WeightsError

from tests.systems.ktpformer_files import drawn, write

pytest.importorskip("torch")


@pytest.fixture
def kept(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("HYOID_WEIGHTS", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def official(tmp_path) -> Path:
    """A file as KTPFormer's training writes it, of a small network."""
    from hyoid.systems.ktpformer.config import Config

    return write(tmp_path / "model_243_CPN_best_epoch.bin", drawn(Config(frames=9, channels=32, depth=2, heads=8)))


def ended(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict]:
    code = run_command(["weights", *map(str, words), "--json"])
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    return code, event.get("result", event)


def test_what_exists_is_listed_with_places_and_licences(kept, capsys):
    code, told = ended(capsys, "list")
    assert code == 0
    assert {"directmhp", "semiuhpe", "ktpformer", "facestab"} <= set(told["systems"])
    ktpformer = told["systems"]["ktpformer"]
    assert [one["present"] for one in ktpformer["official"]] == [False, False]
    assert all(one["where"].startswith("https://") and one["licence"] for one in ktpformer["official"])
    assert len(ktpformer["shipped"][0]["sha256"]) == 64
    assert run_command(["weights", "list", "--system", "facestab"]) == 0
    assert "publish no weights" in capsys.readouterr().out
    assert ended(capsys, "list", "--system", "none")[0] == 2


def test_a_checkpoint_is_recognised_kept_and_found_by_name(kept, official, capsys):
    code, told = ended(capsys, "add", official)
    assert code == 0
    assert (told["system"], told["licence"]) == ("ktpformer", "LicenseRef-KTPFormer")
    stored = kept / "ktpformer" / official.name
    assert stored.read_bytes() == official.read_bytes()
    official.unlink()
    for name in (official.name, official.stem):
        assert weights_store.resolve(Path(name), "ktpformer") == stored
    with pytest.raises(WeightsError, match="no weights"):
        weights_store.resolve(Path(official.stem), "hopfir")
    listed = ended(capsys, "list")[1]["systems"]["ktpformer"]
    assert [one["present"] for one in listed["official"]] == [True, False]
    assert listed["kept"][0]["sha256"] == told["sha256"]


def test_other_files_are_refused_with_the_reason_of_each_system(kept, tmp_path, capsys):
    (tmp_path / "a.pt").write_bytes(b"nothing")
    code, told = ended(capsys, "add", tmp_path / "a.pt")
    assert code == 4
    assert "ktpformer:" in told["error"]
    assert "facestab:" in told["error"]
    assert not kept.exists() or not list(kept.rglob("*"))
    assert ended(capsys, "add", tmp_path / "missing.pt")[0] == 3
    assert ended(capsys, "add", tmp_path / "a.pt", "--system", "sing")[0] == 2


def test_a_name_is_never_replaced_by_chance(kept, official, tmp_path):
    from hyoid.systems.ktpformer.config import Config

    weights_store.add(official)
    weights_store.add(official)  # the same file again is no news
    write(official, drawn(Config(frames=9, channels=32, depth=2, heads=8), seed=5))
    with pytest.raises(UsageError, match="--replace"):
        weights_store.add(official)
    entry = weights_store.add(official, replace=True)
    assert [known.sha256 for known in weights_store.entries()] == [entry.sha256]


def test_verify_finds_what_has_changed_or_gone(kept, official, capsys):
    entry = weights_store.add(official)
    code, told = ended(capsys, "verify")
    assert (code, {one["problem"] for one in told["files"]}) == (0, {""})
    assert {one["system"] for one in told["files"]} >= {"ktpformer", "hopfir", "facestab"}
    data = bytearray(entry.path.read_bytes())
    data[-40] ^= 1
    entry.path.write_bytes(data)
    code, told = ended(capsys, "verify")
    assert code == 4
    assert "has changed" in told["files"][0]["problem"]
    entry.path.unlink()
    assert "gone" in ended(capsys, "verify")[1]["files"][0]["problem"]
    (kept / "ktpformer" / f"{entry.name}.weights.json").write_text("{}")
    told = ended(capsys, "verify")[1]
    assert any("record cannot be read" in one["problem"] for one in told["files"])


def test_a_path_that_exists_stands_before_a_name(kept, official):
    weights_store.add(official)
    assert weights_store.resolve(official, "ktpformer") == official


def test_lift_takes_a_name_too(kept, official, tmp_path, capsys, monkeypatch):
    from hyoid.verbs import lift_people
    from hyoid.verbs.lift import Job

    weights_store.add(official)
    official.unlink()
    job = Job.model_validate({"keypoints": "a.json", "output": ["a.bvh"], "weights": official.name})
    _, sources = lift_people._system(job)
    assert sources[0].name == official.name


def test_doctor_and_check_know_them(kept, official, tmp_path, capsys):
    from hyoid.verbs import doctor

    entry = weights_store.add(official)
    assert [check["state"] for check in doctor._weights(quick=False)] == [doctor.OK]
    (tmp_path / "a.json").write_text("[1]")
    job = tmp_path / "job.toml"
    job.write_text(f'verb = "lift"\nkeypoints = "a.json"\nweights = "{official.stem}"\noutput = ["a.bvh"]\n')
    assert run_command(["check", str(job)]) == 0, capsys.readouterr().out
    entry.path.unlink()
    assert [check["state"] for check in doctor._weights(quick=True)] == [doctor.BROKEN]
