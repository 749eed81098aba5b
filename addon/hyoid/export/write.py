# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes become files: in Blender where NumPy is enough, through the toolkit for everything else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..toolkit.files import part_file
from ..toolkit.formats import curves_csv, take_npz
from ..toolkit.take import Take


@dataclass(frozen=True)
class Format:
    """A kind of file: its suffix, its name and use for an artist, whether Blender writes it without the toolkit."""

    suffix: str
    title: str
    use: str
    here: bool = False


FORMATS = {
    "TAKE": Format(".take.npz", "Take (.take.npz)", "Everything, to be opened again by Hyoid", True),
    "CSV": Format(".csv", "Table (.csv)", "Face curves as a table, one row a frame", True),
    "LIVE_LINK": Format(".csv", "Live Link Face (.csv)", "Face and head as Epic's Live Link Face records them", True),
    "GLB": Format(".glb", "glTF (.glb)", "Character and performance for game engines and the web"),
    "USDC": Format(".usdc", "USD (.usdc)", "Character and performance for USD pipelines"),
    "FBX": Format(".fbx", "FBX (.fbx)", "Character and performance for Maya, MotionBuilder, Unreal, Unity"),
    "ABC": Format(".abc", "Alembic (.abc)", "Moving meshes without a rig"),
    "BVH": Format(".bvh", "BVH (.bvh)", "Skeleton and its movement alone"),
    "BLEND": Format(".blend", "Blender (.blend)", "A file of its own with the character, its rig and the performance"),
    "MP4": Format(".mp4", "Film (.mp4)", "A quick preview with sound"),
    "PNG": Format(".png", "Picture (.png)", "One telling moment of the performance"),
}


ITEMS = tuple((key, entry.title, entry.use) for key, entry in FORMATS.items())
"""The same for a list to choose from."""


def with_suffix(path: str, suffix: str) -> str:
    """A path that ends with a suffix; another one of ours at its end is replaced."""
    low = path.lower()
    if low.endswith(suffix):
        return path
    for known in sorted({entry.suffix for entry in FORMATS.values()}, key=len, reverse=True):
        if low.endswith(known):
            return path[: -len(known)] + suffix
    return path + suffix


def kind_of(path: str) -> str:
    """The first format that writes files with the ending of a path; "" where none does."""
    return next((kind for kind, entry in FORMATS.items() if path.lower().endswith(entry.suffix)), "")


def write_here(path: Path, take: Take, kind: str) -> None:
    """Write a take to a file of a kind that Blender writes by itself.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
        InputError: the take holds what cannot be, such as numbers that are not finite.
    """
    with part_file(path) as part:
        if kind == "TAKE":
            take_npz.write(part, take)
        else:
            curves_csv.write(part, take, convention="live_link" if kind == "LIVE_LINK" else "plain")
