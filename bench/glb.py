# SPDX-License-Identifier: Apache-2.0
"""Writing a performance as .glb: our writer beside Blender's exporter, the same content in one run.

Normals, UVs, morph targets with normals, skin and 300 frames in which every shape and joint moves: once on a grid of
5 041 vertices with 52 shapes and 55 joints, once on the bundled head. Before any time counts both files are opened in
Blender: joints and vertices must agree on five frames. The runs alternate, and medians are compared.
"""

from __future__ import annotations

import json
import time
from typing import Any

import _blender_peer
import numpy as np

SUMMARY = "writing .glb: ours beside Blender's exporter, ratio of medians"
FRAMES, ROUNDS, GOAL = 300, 5, 20.0
CHECKED = [0, 60, 150, 222, 299]
TOLERANCE = 1e-4  # metres


def run() -> dict[str, Any]:
    """Measure both contents.

    Raises:
        MissingToolError: bpy is not installed.
        HyoidError: the files do not show the same.
    """
    from hyoid import characters

    return {
        "frames": FRAMES,
        "goal": GOAL,
        "grid": _compare(_blender_peer.grid_character()),
        "bundled_head": _compare(characters.load("human", part="head")),
    }


def _compare(character: Any) -> dict[str, Any]:
    from hyoid.formats import glb

    take = _blender_peer.busy_take(character, FRAMES)
    times: dict[str, list[float]] = {"ours": [], "blender": []}
    with _blender_peer.Peer(character, take) as peer:
        ours, theirs = peer.folder / "ours.glb", peer.folder / "blender.glb"
        glb.write(ours, character, take)
        peer.export(theirs)
        difference = _difference(peer.show(ours, CHECKED), peer.show(theirs, CHECKED))
        for _ in range(ROUNDS):
            times["blender"].append(peer.export(theirs))
            start = time.perf_counter()
            glb.write(ours, character, take)
            times["ours"].append(time.perf_counter() - start)
        sizes = {"ours": ours.stat().st_size, "blender": theirs.stat().st_size}
    return {
        "vertices": len(character.vertices),
        "shapes": len(character.shapes.names),
        "joints": len(character.joint_names),
        "largest_difference_metres": difference,
        "ours": _blender_peer.spread(times["ours"]),
        "blender": _blender_peer.spread(times["blender"]),
        "ratio": float(np.median(times["blender"]) / np.median(times["ours"])),
        "bytes": sizes,
    }


def _difference(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """The largest distance between joints of one name, and from each vertex to the nearest of the other file."""
    from hyoid.errors import HyoidError
    from scipy.spatial import KDTree

    worst = _blender_peer.joint_difference(ours, theirs)
    for first, second in zip(ours["vertices"], theirs["vertices"], strict=True):
        for points, others in ((first, second), (second, first)):
            worst = max(worst, float(KDTree(others).query(points)[0].max()))
    if not worst < TOLERANCE:
        raise HyoidError(f"the files differ by {worst:.2g} m", expected=f"at most {TOLERANCE:g} m")
    return worst


def main() -> None:
    """Print the figures as JSON."""
    print(json.dumps(run(), indent=1))


if __name__ == "__main__":
    main()
