# SPDX-License-Identifier: Apache-2.0
"""Any character, deformed by a take, as arrays: python examples/python/deform.py TAKE.take.npz CHARACTER OUT.npy

CHARACTER is a name as everywhere: human, ict:FOLDER, hack:FOLDER, flame:FILE, smplx:FILE or hero.character.npz.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from hyoid import characters
from hyoid.characters.performance import deform, perform
from hyoid.characters.retarget import retarget
from hyoid.formats import take_npz
from hyoid.take import CharacterReference

CHUNK = 100  # frames at a time: posed vertices are the only large thing in memory


def main(take_path: Path, name: str, out: Path) -> None:
    """Bring the take onto the character, pose its vertices frame by frame, write (frames, V, 3) float32, metres."""
    take = take_npz.read(take_path)
    character = characters.load(name, part="head")
    moved = retarget(take, character, CharacterReference(name, {}, "head"))
    for message in moved.messages:
        sys.stderr.write(f"{message}\n")
    take = moved.take
    posed = np.empty((take.frames, len(character.vertices), 3), np.float32)
    for start in range(0, take.frames, CHUNK):
        posed[start : start + CHUNK] = deform(character, perform(character, take, start, start + CHUNK))
    with out.open("wb") as file:
        np.save(file, posed)
    furthest = 1000 * np.linalg.norm(posed - character.vertices, axis=-1).max()
    sys.stdout.write(f"{character.name} ({character.licence}): {posed.shape}, at most {furthest:.0f} mm from rest\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
