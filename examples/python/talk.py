# SPDX-License-Identifier: Apache-2.0
"""A take from a recording, edited in Python, then written: python examples/python/talk.py OUT.take.npz OUT.glb"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from hyoid import characters, take_edit
from hyoid.formats import glb, take_npz
from hyoid.speech import solve

VOICE = Path(__file__).parents[1] / "talk" / "jfk.flac"


def main(take_path: Path, glb_path: Path) -> None:
    """Solve the example voice, calm its brows, keep the first five seconds, write both files."""
    take = solve(VOICE, text=str(VOICE.with_suffix(".txt")), fps=30, strengths={"head": 1.5})
    curves = take.curves.copy()
    for column, name in enumerate(take.curve_names):
        if name.startswith("brow"):
            curves[:, column] *= 0.5
    take = take_edit.cut(replace(take, curves=curves), 0.0, 5.0)
    take_npz.write(take_path, take)
    glb.write(glb_path, characters.load("human", {"age": 0.8}, part="head", subdivision=1), take)
    words = " ".join(event.name for event in take.events if event.kind == "word")
    sys.stdout.write(f"{take.seconds:g} s at {take.fps:g} fps: {words}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
