# SPDX-License-Identifier: Apache-2.0
"""The table of file types, and the example in docs/formats.md."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hyoid.errors import InputError, UsageError
from hyoid.formats import FORMATS, format_of, read_take, take_npz

from tests import toy

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["a.take.npz", "A.TAKE.NPZ", "x/.y/b.glb", "c.d.csv"])
def test_the_suffix_decides(name):
    assert name.lower().endswith(format_of(Path(name)).suffix)


@pytest.mark.parametrize("name", ["a.npz", "take", "a.glb.bak", "a.obj"])
def test_an_unknown_suffix_lists_those_that_exist(name):
    with pytest.raises(UsageError, match=r"expected one of \.take\.npz, \.csv"):
        format_of(Path(name))


def test_what_cannot_be_read_says_what_can():
    with pytest.raises(UsageError, match=r"cannot be read back as a take; expected one of \.take\.npz, \.csv, \.bvh"):
        read_take(Path("a.fbx"))


@pytest.mark.parametrize("suffix", [entry.suffix for entry in FORMATS.values() if entry.reads])
def test_every_reader_names_a_missing_file(tmp_path, suffix):
    path = tmp_path / f"none{suffix}"
    with pytest.raises(InputError, match="does not exist") as caught:
        read_take(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", [entry.suffix for entry in FORMATS.values() if entry.reads])
def test_every_reader_refuses_a_folder(tmp_path, suffix):
    (tmp_path / f"a{suffix}").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_take(tmp_path / f"a{suffix}")


def test_the_table_imports_nothing_heavy():
    code = (
        "import sys, hyoid.formats; print([n for n in ('numpy', 'scipy', 'torch', 'bpy', 'pxr') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_type_is_in_the_documentation():
    text = (ROOT / "docs" / "formats.md").read_text()
    documented = [
        entry.suffix for entry in FORMATS.values() if "curves" in entry.carries or "geometry" in entry.carries
    ]
    assert [suffix for suffix in documented if f"`{suffix}`" not in text] == []


def test_the_example_of_the_documentation_runs(tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "formats.md").read_text(), re.DOTALL)
    assert code is not None
    take_npz.write(tmp_path / "shot.take.npz", toy.take(60))
    monkeypatch.chdir(tmp_path)
    exec(compile(code[1], "formats.md", "exec"), {})
    assert "60 frames at 30.0 a second" in capsys.readouterr().out
    piece = read_take(tmp_path / "piece.take.npz")
    assert (piece.frames, piece.fps) == (25, 25.0)
    assert piece.curve("jawOpen").max() <= 0.51
    assert read_take(tmp_path / "piece.csv").frames == 25
