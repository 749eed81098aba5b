# SPDX-License-Identifier: Apache-2.0
"""Jobs of steps and shots: what a file says becomes units, chunks and what they need; what is wrong is told."""

from __future__ import annotations

import json

import pytest
from hyoid.cli import run_command
from hyoid.errors import HyoidError, InputError, UsageError
from hyoid.farm import jobs, plan
from hyoid.farm.splits import Extent


def written(folder, text: str, name: str = "job.toml"):
    (folder / name).write_text(text)
    return folder / name


def numbers(folder, name: str, count: int):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{value}\n" for value in range(count)))
    return path


TWO_STEPS = """
name = "waves"
[[steps]]
name = "smooth"
verb = "wave"
source = "in/*.txt"
output = ["mid/{shot}.txt"]
[[steps]]
name = "again"
verb = "wave"
source = "mid/{shot}.txt"
output = ["out/{shot}.txt"]
chunk = 4
"""


@pytest.mark.parametrize(
    ("frames", "size", "found"),
    [(10, 4, [(0, 4), (4, 8), (8, 10)]), (10, 3, [(0, 4), (4, 8), (8, 10)]), (10, None, [(0, 10)]), (0, 4, [(0, 0)])],
)
def test_chunks_begin_on_the_grid_and_cover_the_whole(frames, size, found):
    assert Extent(frames, grid=2, usual=100).chunks(size) == found


def test_a_pattern_makes_shots_and_steps_that_read_what_others_write_come_after(wave):
    numbers(wave, "in/a.txt", 25)
    numbers(wave, "in/b.txt", 5)
    made = plan.read(written(wave, TWO_STEPS))
    assert [(unit.step, unit.shot, unit.needs) for unit in made.units] == [
        ("smooth", "a", ()), ("smooth", "b", ()), ("again", "a", ("smooth",)), ("again", "b", ("smooth",)),
    ]  # fmt: skip
    assert made.units[0].chunks == ((0, 10), (10, 20), (20, 25))
    assert made.units[1].chunks == ()  # one chunk is the whole
    assert made.units[2].chunks == ()  # its input is still to be made, and the verb cannot tell its length before
    assert made.folder == wave / "waves.farm"
    kinds = [task.kind for task in made.tasks("smooth")]
    assert kinds == ["chunk"] * 3 + ["whole"]
    assert [task.unit for task in made.tasks("smooth", "finish")] == [0]


def test_a_transcript_may_ask(wave):
    path = written(wave, 'verb = "talk"\naudio = "voice.wav"\ntext = "Who? All *of* us?"\noutput = ["a.take.npz"]\n')
    assert not jobs.is_list(path)
    (wave / "voice.wav").touch()
    path = written(wave, path.read_text().replace("voice.wav", "*.wav"))
    assert jobs.is_list(path)
    assert plan.read(path).units[0].values["text"] == "Who? All *of* us?"


def test_check_tells_what_is_wrong_before_the_work(wave, capsys):
    numbers(wave, "in/a.txt", 5)
    path = written(wave, TWO_STEPS)
    assert run_command(["check", str(path)]) == 0  # what a step makes need not be there
    path.write_text(TWO_STEPS.replace('"mid/{shot}.txt"\noutput', '"none/{shot}.txt"\noutput'))
    assert run_command(["check", str(path)]) == 3
    assert "a again: source: " in capsys.readouterr().out


def test_a_table_fills_places_and_empty_cells_leave_options_out(wave):
    numbers(wave, "a.txt", 3)
    numbers(wave, "b.txt", 3)
    (wave / "shots.csv").write_text("shot,file,scale,steps\none,a.txt,2,\ntwo,b.txt,,smooth\nthree,a.txt,3,other\n")
    text = """
    shots = "shots.csv"
    [[steps]]
    name = "smooth"
    verb = "wave"
    source = "{file}"
    scale = "{scale}"
    output = ["{shot}.out"]
    """
    made = plan.read(written(wave, text))
    assert [dict(unit.values) for unit in made.units] == [
        {"source": "a.txt", "scale": "2", "output": ["one.out"]}, {"source": "b.txt", "output": ["two.out"]},
    ]  # fmt: skip


def test_the_environment_gives_defaults_that_become_part_of_the_job(wave, monkeypatch):
    numbers(wave, "a.txt", 3)
    monkeypatch.setenv("HYOID_WAVE_SCALE", "5")
    text = 'verb = "wave"\nsource = "a.txt"\noutput = ["a.out"]\n'
    assert plan.read(written(wave, text)).units[0].values["scale"] == "5"
    assert plan.read(written(wave, text + "scale = 2.0\n")).units[0].values["scale"] == 2.0


def test_a_plan_that_was_written_is_the_same(wave):
    numbers(wave, "in/a b'c.txt", 25)
    made = plan.read(written(wave, TWO_STEPS))
    plan.write(wave / "plan.json", made)
    again = plan.read(wave / "plan.json")
    assert again.units == made.units
    assert (again.home, again.folder, again.name) == (made.home, made.folder, made.name)
    values = json.loads((wave / "plan.json").read_text())
    (wave / "plan.json").write_text(json.dumps({**values, "version": 99}))
    with pytest.raises(InputError, match="version 99"):
        plan.read(wave / "plan.json")
    del values["units"][0]["step"]
    (wave / "plan.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="no sound plan"):
        plan.read(wave / "plan.json")


def test_names_become_file_names_on_every_system():
    assert jobs.slug("sh_010-a") == "sh_010-a"
    names = ["a b", "a_b", "é", "a.b", "..", "x" * 300, "x" * 301, "A;'\""]
    slugs = [jobs.slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert all(len(slug) < 140 and slug.isascii() and not set(slug) & set("/\\:*?\"<>| ';") for slug in slugs)


STEP = '[[steps]]\nverb = "wave"\n'
OUT = 'output = ["{shot}.out"]\n'


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("steps = []\n", UsageError, "steps"),
        ("steps = [1]\n", UsageError, r"\[\[steps\]\]"),
        ('[[steps]]\nverb = "fly"\n', UsageError, "'fly' is not a verb"),
        (f'{STEP}source = "none/*.txt"\n{OUT}', InputError, "no file matches 'none/"),
        (f'{STEP}source = "a.txt"\nwidth = 3\n{OUT}', UsageError, "unknown option 'width'"),
        (f'{STEP}source = "a.txt"\noutput = ["{{name}}.out"]\n', UsageError, "{name}"),
        (f'{STEP}source = "a.txt"\n{OUT}{STEP}source = "a.txt"\n{OUT}', UsageError, "two steps are called 'wave'"),
        (f'{STEP}after = ["render"]\nsource = "a.txt"\n{OUT}', UsageError, "comes after 'render'"),
        (f'{STEP}source = "*.txt"\noutput = ["all.out"]\n', UsageError, "is written by"),
        (f'shots = "none.csv"\n{STEP}source = "a.txt"\n{OUT}', InputError, "cannot be read"),
        (f'shots = "bad.csv"\n{STEP}source = "a.txt"\n{OUT}', InputError, "line 2"),
        (f'shots = [{{shot = "a"}}, {{shot = "a"}}]\n{STEP}source = "a.txt"\n{OUT}', InputError, "two shots"),
        (f'shots = [{{shot = "../a"}}]\n{STEP}source = "a.txt"\n{OUT}', InputError, "without slashes"),
        (f'shots = [{{name = "a"}}]\n{STEP}source = "a.txt"\n{OUT}', InputError, "has no name"),
        (f'shots = []\n{STEP}source = "a.txt"\n{OUT}', InputError, "no shots"),
        (f'{STEP}source = "*.txt"\n{OUT}{STEP}name = "b"\nsource = "*.csv"\noutput = ["b"]\n', UsageError, "patterns"),
        (f'chunk = 0\n{STEP}source = "a.txt"\n{OUT}', UsageError, "chunk"),
    ],
)
def test_what_is_wrong_with_a_job_is_told_in_one_line(wave, text, kind, said):
    numbers(wave, "a.txt", 3)
    numbers(wave, "b.txt", 3)
    (wave / "bad.csv").write_text("shot,file\na,b,c\n")
    with pytest.raises(HyoidError, match=said) as caught:
        plan.read(written(wave, text))
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
