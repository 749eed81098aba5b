# SPDX-License-Identifier: Apache-2.0
"""hyoid rig: variants of the bundled human, and the list of what can be set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid import cli
from hyoid.characters import bundled
from hyoid.characters.character import Shapes
from hyoid.errors import UsageError
from hyoid.files import sha256_of
from hyoid.formats import character_npz, glb_read, take_npz
from hyoid.formats.npz import read_npz, write_npz
from hyoid.report import SILENT
from hyoid.verbs import check, convert, info, rig
from hyoid.verbs import run as run_verb

from tests import toy


def run(**options):
    return rig.run(rig.Job(**options), SILENT)


def test_settings_change_the_written_shape(tmp_path):
    """Age and weight must arrive in the file: another head, the same topology."""
    first = run(output=[tmp_path / "a.glb"], part="head")
    second = run(output=[tmp_path / "b.glb"], part="head", set={"age": 1.0, "weight": 0.9})
    assert {key: first[key] for key in ("vertices", "faces", "joints", "shapes")} == {
        key: second[key] for key in ("vertices", "faces", "joints", "shapes")
    }
    a, b = (glb_read.read(tmp_path / name) for name in ("a.glb", "b.glb"))
    assert glb_read.summary(a)["joints"] == glb_read.summary(b)["joints"]
    bounds = [glb.document["accessors"][0].get("max") for glb in (a, b)]
    assert bounds[0] != bounds[1]
    assert len(glb_read.summary(a)["shapes"]) >= 52
    assert glb_read.summary(a)["animations"] == 0


def test_list_has_every_setting_with_range_and_default():
    result = run(list=True)
    assert result["settings"]["age"] == pytest.approx({"low": -1 / 3, "high": 1.0, "default": 0.7})
    assert len(result["settings"]) > 200
    lines = rig.show(result).splitlines()
    assert any(line.startswith("gender") and "0.00 .. 1.00" in line for line in lines)


def test_what_cannot_be_done_is_said():
    with pytest.raises(UsageError, match="no output"):
        run()
    with pytest.raises(UsageError, match="performance"):
        run(output=["a.mp4"])
    with pytest.raises(UsageError, match="dragon"):
        run(character="dragon", output=["a.glb"])
    with pytest.raises(UsageError, match="agee"):
        run(set={"agee": 1.0}, output=["a.glb"])
    with pytest.raises(UsageError, match="dragon"):
        run(character="dragon", list=True)


def test_an_expression_is_held_in_every_output(tmp_path):
    options = {"shape": {"smile": 0.5, "jawOpen": 0.2}, "part": "head", "output": [tmp_path / "a.take.npz"]}
    rig.run(rig.Job.model_validate(options), SILENT)
    take = take_npz.read(tmp_path / "a.take.npz")
    assert take.frames == 1
    # The preset's own curve, halved, beside the plain shape.
    assert take.curve("mouthSmileLeft")[0] == pytest.approx(0.5 * bundled.presets()["smile"]["mouthSmileLeft"])
    assert take.curve("jawOpen")[0] == pytest.approx(0.2)
    with pytest.raises(UsageError, match=r"no shape 'grin'.*smile"):
        rig.run(rig.Job.model_validate({"shape": {"grin": 1}, "output": [tmp_path / "b.glb"]}), SILENT)


def test_a_character_file_is_a_character_everywhere(tmp_path, monkeypatch):
    """Written once, it stands for the name of a character: in rig, in what shows a take, in info and check."""
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path / "cache"))
    hero = tmp_path / "hero.character.npz"
    run(output=[hero], part="head", set={"age": 0.9})
    result = run(character=str(hero), output=[tmp_path / "a.glb"], shape={"smile": 1.0}, subdivision=0)
    assert result["shapes"] >= 55
    # Skin texture and teeth came along.
    assert glb_read.summary(glb_read.read(tmp_path / "a.glb"))["images"] >= 6
    assert run(character=str(hero), list=True)["settings"] == {}
    assert "none" in rig.show(run(character=str(hero), list=True))
    take_npz.write(tmp_path / "a.take.npz", toy.take(5))
    job = convert.Job.model_validate(
        {"source": tmp_path / "a.take.npz", "outputs": [tmp_path / "b.glb", tmp_path / "b.take.npz"],
         "character": str(hero), "set": {}}
    )  # fmt: skip
    convert.run(job, SILENT)
    take = take_npz.read(tmp_path / "b.take.npz")
    assert take.character.name == str(hero)
    assert [source.sha256 for source in take.provenance.sources if source.role == "character"] == [sha256_of(hero)]
    found = info.run(info.Job(file=hero), SILENT)
    assert found["contents"]["settings"] == {"age": 0.9}
    assert found["licence"]["commercial"] == "yes"
    assert check.run(check.Job(files=[hero], strict=False), SILENT)["files"][0]["problems"] == []


@pytest.mark.parametrize(
    ("licence", "answer"), [("LicenseRef-FLAME-2020", "no"), ("LicenseRef-HACK", "ask"), ("MIT", "yes")]
)
def test_what_is_made_of_a_model_tells_its_licence(tmp_path, licence, answer):
    """The geometry of a research model must never look free, in whatever file it lies."""
    path = tmp_path / "a.character.npz"
    character_npz.write(path, replace(toy.character(), licence=licence))
    outputs = [tmp_path / "b.character.npz", tmp_path / "b.glb", tmp_path / "b.usdc"]
    result = run(character=str(path), output=outputs)
    for file in (path, *outputs):
        assert info.run(info.Job(file=file), SILENT)["licence"]["commercial"] == answer, file
    assert {"no": "commercial use: NO", "ask": "not certain", "yes": "keep its copyright notice"}[answer] in rig.show(
        result
    )


def test_a_damaged_character_file_is_listed_problem_by_problem(tmp_path):
    path = tmp_path / "a.character.npz"
    character_npz.write(path, toy.character())
    arrays = read_npz(path)
    arrays["weights"] = 0.5 * arrays["weights"]
    arrays["parents"] = arrays["parents"] + 3
    write_npz(path, arrays)
    result = check.run(check.Job(files=[path], strict=False), SILENT)
    assert result["exit_code"] == 3
    problems = result["files"][0]["problems"]
    assert len(problems) == 3
    assert any("do not sum to 1" in text for text in problems)
    assert any("stands before its parent" in text for text in problems)


def test_every_character_holds_presets_its_own_shapes_and_action_units(tmp_path):
    plain = toy.character().shapes
    own = Shapes((*plain.names, "wink"), np.append(plain.starts, plain.starts[-1]), plain.vertices, plain.offsets)
    path = tmp_path / "a.character.npz"
    character_npz.write(path, replace(toy.character(), shapes=own))
    take = tmp_path / "a.take.npz"
    run(character=str(path), output=[take], shape={"wink": 0.5, "AU12": "c", "smile": 1.0})
    held = take_npz.read(take)
    assert held.curve("wink")[0] == 0.5
    assert held.curve("AU12")[0] == pytest.approx(0.6)  # C of A to E
    assert held.curve("mouthSmileLeft")[0] > 0
    with pytest.raises(UsageError, match=r"no shape 'winc'.*Did you mean wink"):
        run(character=str(path), output=[take], shape={"winc": 0.5})
    with pytest.raises(UsageError, match="AU46"):
        run(character=str(path), output=[take], shape={"AU46": 0.5})


def test_a_job_file_finds_the_character_file_beside_it(tmp_path, monkeypatch):
    """A folder with a job and its character can be moved as one, and run from anywhere."""
    (tmp_path / "there").mkdir()
    character_npz.write(tmp_path / "there" / "a.character.npz", toy.character())
    (tmp_path / "there" / "job.toml").write_text(
        'verb = "rig"\ncharacter = "a.character.npz"\noutput = ["a.bvh"]\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    assert cli.run_command(["run", "there/job.toml"]) == 0
    assert (tmp_path / "there" / "a.bvh").is_file()
    # Names that are no files stay as they are.
    assert run_verb.read_job(_job(tmp_path, "human"))[1].character == "human"  # type: ignore[attr-defined]
    assert run_verb.read_job(_job(tmp_path, "ict:there"))[1].character == f"ict:{tmp_path / 'there'}"  # type: ignore[attr-defined]


def _job(folder, character):
    (folder / "b.toml").write_text(f'verb = "rig"\ncharacter = "{character}"\noutput = ["a.bvh"]\n', encoding="utf-8")
    return folder / "b.toml"


def test_a_wrong_intensity_and_an_unknown_shape_are_told_in_one_short_line(tmp_path, capsys):
    for shape, said in (
        ("AU12=F", "--shape AU12 is 'F'; expected a number, or a letter from A to E"),
        ("grin=1", "'grin'"),
    ):
        assert cli.run_command(["rig", "human", "--shape", shape, "-o", str(tmp_path / "a.glb")]) == 2
        text = capsys.readouterr().err
        assert said in text
        assert text.count("\n") == 1
        assert len(text) < 300
    assert not list(tmp_path.iterdir())


def test_a_picture_of_a_character_at_rest_names_its_licence_beside_it(tmp_path):
    path = tmp_path / "a.character.npz"
    character_npz.write(path, replace(toy.character(), licence="LicenseRef-FLAME-2020"))
    run(character=str(path), output=[tmp_path / "a.bvh", tmp_path / "a.png"], width=64, height=64)
    for file in ("a.bvh", "a.png"):
        assert info.run(info.Job(file=tmp_path / file), SILENT)["licence"]["commercial"] == "no"
    assert check.run(check.Job(files=[tmp_path / "a.bvh.json"]), SILENT)["files"][0]["type"] == "provenance"
