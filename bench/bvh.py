# SPDX-License-Identifier: Apache-2.0
"""Writing and reading .bvh: ours beside Blender's exporter and importer, the same motion in one run.

300 frames in which all joints move: 55 joints, and the bundled human's. Before any time counts both files are opened in
Blender: the joints must agree on five frames. The runs alternate, and medians are compared. Reading compares unlike
things and is told apart: Blender's importer also builds its armature and action, ours makes a take.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import _blender_peer
import numpy as np

SUMMARY = "writing and reading .bvh: ours beside Blender's, ratios of medians"
FRAMES, ROUNDS = 300, 5
CHECKED = [0, 60, 150, 222, 299]
TOLERANCE = 1e-4  # metres


def run() -> dict[str, Any]:
    """Measure both skeletons.

    Raises:
        MissingToolError: bpy is not installed.
        HyoidError: the files do not show the same.
    """
    from hyoid import characters

    return {
        "frames": FRAMES,
        "chain": _compare(_blender_peer.grid_character(side=8)),
        "bundled_human": _compare(characters.load("human")),
    }


def _compare(character: Any) -> dict[str, Any]:
    from hyoid.formats import bvh

    # Without meshes: Blender would deform them in each frame that it samples, and BVH holds none.
    character = replace(character, parts=())
    take = _blender_peer.busy_take(character, FRAMES)
    write: dict[str, list[float]] = {"ours": [], "blender": []}
    read: dict[str, list[float]] = {"ours": [], "blender": []}
    with _blender_peer.Peer(character, take) as peer:
        ours, theirs = peer.folder / "ours.bvh", peer.folder / "blender.bvh"
        bvh.write(ours, character, take)
        peer.export(theirs)
        difference = _difference(peer.show(ours, CHECKED), peer.show(theirs, CHECKED))
        for _ in range(ROUNDS):
            write["blender"].append(peer.export(theirs))
            start = time.perf_counter()
            bvh.write(ours, character, take)
            write["ours"].append(time.perf_counter() - start)
            read["blender"].append(
                peer.ask(do="show", path=str(ours), frames=[], out=str(peer.folder / "o.npz"))["seconds"]
            )
            start = time.perf_counter()
            bvh.read(ours)
            read["ours"].append(time.perf_counter() - start)
    return {
        "joints": len(character.joint_names),
        "largest_difference_metres": difference,
        "write": _ratio(write),
        "read": _ratio(read),
    }


def _ratio(times: dict[str, list[float]]) -> dict[str, Any]:
    ratio = float(np.median(times["blender"]) / np.median(times["ours"]))
    return {
        "ours": _blender_peer.spread(times["ours"]),
        "blender": _blender_peer.spread(times["blender"]),
        "ratio": ratio,
    }


def _difference(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """The largest distance between joints of one name."""
    from hyoid.errors import HyoidError

    worst = _blender_peer.joint_difference(ours, theirs)
    if not worst < TOLERANCE:
        raise HyoidError(f"the files differ by {worst:.2g} m", expected=f"at most {TOLERANCE:g} m")
    return worst


def main() -> None:
    """Print the figures as JSON."""
    print(json.dumps(run(), indent=1))


if __name__ == "__main__":
    main()
