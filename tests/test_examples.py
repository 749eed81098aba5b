# SPDX-License-Identifier: Apache-2.0
"""The examples run as they stand, and the commands in the documents exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hyoid.cli import load_verb, verb_parser
from hyoid.formats import take_npz
from hyoid.verbs import SUMMARIES

ROOT = Path(__file__).parents[1]


def test_the_python_example_writes_what_it_says(tmp_path):
    command = [sys.executable, ROOT / "examples/python/talk.py", tmp_path / "a.take.npz", tmp_path / "a.glb"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5 s at 30 fps: and so my fellow americans")
    assert take_npz.read(tmp_path / "a.take.npz").seconds == 5
    assert (tmp_path / "a.glb").read_bytes()[:4] == b"glTF"


def commands() -> list[tuple[str, str]]:
    """Every `hyoid VERB ...` line in the fenced blocks of the documents."""
    found = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]:
        for block in re.findall(r"^```(?:\w*)\n(.*?)^```", path.read_text(), re.S | re.M):
            for line in block.replace("\\\n", " ").splitlines():
                words = line.split("#")[0].strip()
                if re.match(r"(\.venv/bin/)?hyoid [a-z]", words):
                    found.append((path.name, words))
    return found


@pytest.mark.parametrize(("document", "command"), commands())
def test_the_commands_in_the_documents_are_understood(document, command):
    words = shlex.split(command)[1:]
    count = 2 if " ".join(words[:2]) in SUMMARIES else 1  # `rig fit` is a verb of two words
    verb = " ".join(words[:count])
    verb_parser(verb, load_verb(verb).Job).parse_args(words[count:])
